#include "ask/ask_keys.h"

enum { KEY_ID_MAX = 64, NAME_MAX_BYTES = 1024, NAMES_MAX = 16 * 1024, PEM_MAX = 256 * 1024 };

void xfer_ask_sign(struct xfer *x, void *v)
{
	struct ask_sign *q = v;
	xfer_str(x, &q->key_id, KEY_ID_MAX);
	xfer_str(x, &q->digest, 16);
	xfer_bool(x, &q->pss);
	xfer_i64(x, &q->salt_length);
	xfer_str(x, &q->text, SIGN_TEXT_MAX);
}

void xfer_ask_sign_answer(struct xfer *x, void *v)
{
	struct ask_sign_answer *a = v;
	xfer_str(x, &a->signature, 1024);
}

static void xfer_certificate_facts(struct xfer *x, struct certificate_facts *f)
{
	xfer_str(x, &f->names, NAMES_MAX);
	xfer_str(x, &f->subject, NAME_MAX_BYTES);
	xfer_str(x, &f->issuer, NAME_MAX_BYTES);
	xfer_str(x, &f->thumbprint, 64);
	xfer_str(x, &f->key_id, KEY_ID_MAX);
	xfer_str(x, &f->key_type, 32);
	xfer_i64(x, &f->not_before_ms);
	xfer_i64(x, &f->not_after_ms);
	xfer_bool(x, &f->self_signed);
}

void xfer_ask_key_make(struct xfer *x, void *v)
{
	struct ask_key_make *q = v;
	xfer_str(x, &q->type, 32);
}

void xfer_ask_key_answer(struct xfer *x, void *v)
{
	struct ask_key_answer *a = v;
	xfer_str(x, &a->key_id, KEY_ID_MAX);
	xfer_str(x, &a->spki, 4096);
}

void xfer_ask_self_sign(struct xfer *x, void *v)
{
	struct ask_self_sign *q = v;
	xfer_str(x, &q->key_id, KEY_ID_MAX);
	xfer_str(x, &q->name, 255);
	xfer_u32(x, &q->days);
}

void xfer_ask_self_sign_answer(struct xfer *x, void *v)
{
	struct ask_self_sign_answer *a = v;
	xfer_str(x, &a->certificate_pem, PEM_MAX);
	xfer_certificate_facts(x, &a->facts);
}

void xfer_ask_pile(struct xfer *x, void *v)
{
	struct ask_pile *q = v;
	xfer_str(x, &q->passphrase, 1024);
	xfer_list(x, &q->files, &q->file_count, sizeof *q->files, PILE_FILES_MAX);
	for (uint32_t i = 0; i < q->file_count; i++) {
		xfer_str(x, &q->files[i].name, 1024);
		xfer_u64(x, &q->files[i].size);
	}
}

void xfer_ask_pile_answer(struct xfer *x, void *v)
{
	struct ask_pile_answer *a = v;
	xfer_certificate_facts(x, &a->facts);
	xfer_str(x, &a->summary, 4096);
	xfer_str(x, &a->findings, 64 * 1024);
}
