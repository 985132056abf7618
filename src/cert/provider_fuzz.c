/* What `keys` answers to the provider, when it is `keys` no more: any signature, of any length, or none
 * that can be read. OpenSSL gets an error or what fits into its buffer, and its queue stays clean.
 *
 *   input = u8 key and way, u8 form of the answer, u8 room for the signature, the answer */
#include <unistd.h>

#include "cert/fuzz_pki.h"
#include "cert/provider.h"
#include "io/ask.h"
#include "io/xfer.h"

enum { KEYS = 3, ROOM = 600, ANSWER = 1, FAILED = 2 };

/* The packet that answers the first question of a link. */
static void send_answer(int to, uint8_t form, struct str content)
{
	char bytes[8 + 4200];
	struct buf out = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes - 1};
	struct xfer x = xfer_writer(&out);
	uint32_t id = form & 4 ? 77 : 0;
	uint16_t kind = 40, flags = ANSWER | (form & FAILED);
	xfer_u32(&x, &id);
	xfer_u16(&x, &kind);
	xfer_u16(&x, &flags);
	if (form & 8)
		buf_add(&out, content);
	else
		xfer_str(&x, &content, 4096);
	assert(!out.overflow);
	ssize_t sent = write(to, out.p, out.n);
	assert(sent == (ssize_t)out.n);
}

static void sign(EVP_PKEY *key, bool pss, size_t room)
{
	static const unsigned char text[] = "a text";
	unsigned char *signature = malloc(room + 1); /* style: its end is watched */
	size_t n = room;
	EVP_PKEY_CTX *way = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : "SHA256";
	bool ok = EVP_DigestSignInit_ex(ctx, &way, digest, NULL, NULL, key, NULL) == 1;
	if (ok && pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(way, RSA_PKCS1_PSS_PADDING) == 1;
	if (ok && EVP_DigestSign(ctx, signature, &n, text, sizeof text) == 1)
		assert(n > 0 && n <= room);
	EVP_MD_CTX_free(ctx);
	free(signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static EVP_PKEY *local[KEYS];
	struct str script = str_make((const char *)data, size);
	if (!local[0]) {
		fuzz_pki();
		provider_load();
		local[0] = fuzz_key(7);
		local[1] = pki_key("p256");
		local[2] = pki_key("rsa2048");
	}
	uint8_t which = fuzz_byte(&script), form = fuzz_byte(&script);
	size_t room = fuzz_byte(&script) * 3u % ROOM;
	int pair[2];
	struct err err;
	ask_pair(pair);
	struct ask_link *link = ask_link_new(pair[0], "keys", NULL, NULL, NULL);
	EVP_PKEY *key = provider_key(local[which % KEYS], &link, &err);
	assert(key);
	if (!(form & 16))
		send_answer(pair[1], form, script);
	close(pair[1]);
	sign(key, which & 128, room);
	EVP_PKEY_free(key);
	ERR_clear_error();
	ask_link_free(link);
	return 0;
}
