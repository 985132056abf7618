/* Whatever the rule lets through has one of the two forms, checked here in another way. */
#include "cert/sign_rule.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head13[] = "                                                                "
								 "TLS 1.3, server CertificateVerify";
	static const char x25519[] = "\x03\x00\x1d\x20", p256[] = "\x03\x00\x17\x41\x04";
	switch (sign_rule_text(str_make((const char *)data, size))) {
	case HANDSHAKE_TLS13:
		if ((size != 130 && size != 146) || memcmp(data, head13, sizeof head13) != 0)
			abort();
		break;
	case HANDSHAKE_TLS12:
		if (!(size == 100 && memcmp(data + 64, x25519, 4) == 0) &&
			!(size == 133 && memcmp(data + 64, p256, 5) == 0))
			abort();
		break;
	case HANDSHAKE_NONE:
		break;
	}
	return 0;
}
