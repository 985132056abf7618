#include "ask/ask_serve.h"

#include "io/sandbox.h"

enum { ROLE_MAX = 32, PATH_MAX_BYTES = 4096, FAULTS_MAX = 4096, LINES_MAX = 64 * 1024 };

void xfer_ask_start(struct xfer *x, void *v)
{
	struct ask_start *q = v;
	xfer_str(x, &q->role, ROLE_MAX);
	xfer_str(x, &q->group, ROLE_MAX);
	xfer_u32(x, &q->number);
	xfer_str(x, &q->home, PATH_MAX_BYTES);
	xfer_u32(x, &q->uid);
	xfer_u32(x, &q->gid);
	xfer_enum(x, &q->walls, SANDBOX_OFF);
	xfer_u8(x, &q->log_level);
}

void xfer_ask_start_answer(struct xfer *x, void *v)
{
	struct ask_start_answer *a = v;
	xfer_str(x, &a->missing, 256);
}

void xfer_ask_link_peer(struct xfer *x, void *v)
{
	struct ask_link_peer *q = v;
	xfer_str(x, &q->role, ROLE_MAX);
	xfer_str(x, &q->group, ROLE_MAX);
}

void xfer_ask_file(struct xfer *x, void *v)
{
	struct ask_file *q = v;
	xfer_str(x, &q->setting, 64);
	xfer_str(x, &q->path, PATH_MAX_BYTES);
	xfer_str(x, &q->error, 256);
	xfer_i64(x, &q->changed_ms);
	xfer_bool(x, &q->trial);
}

void xfer_ask_conf_answer(struct xfer *x, void *v)
{
	struct ask_conf_answer *a = v;
	xfer_str(x, &a->faults, FAULTS_MAX);
}

void xfer_ask_listen(struct xfer *x, void *v)
{
	struct ask_listen *q = v;
	xfer_u32(x, &q->number);
	xfer_enum(x, &q->listener, LISTENER_LAST);
	xfer_str(x, &q->address, 128);
}

void xfer_ask_unlisten(struct xfer *x, void *v)
{
	struct ask_unlisten *q = v;
	xfer_u32(x, &q->number);
}

void xfer_ask_snapshot(struct xfer *x, void *v)
{
	struct ask_snapshot *q = v;
	xfer_u64(x, &q->revision);
	xfer_u32(x, &q->role);
}

void xfer_ask_apply_answer(struct xfer *x, void *v)
{
	struct ask_apply_answer *a = v;
	xfer_str(x, &a->report, LINES_MAX);
}

void xfer_ask_service(struct xfer *x, void *v)
{
	struct ask_service *q = v;
	xfer_str(x, &q->op, 16);
	xfer_str(x, &q->group, ROLE_MAX);
}

void xfer_ask_service_answer(struct xfer *x, void *v)
{
	struct ask_service_answer *a = v;
	xfer_str(x, &a->faults, LINES_MAX);
	xfer_str(x, &a->lines, LINES_MAX);
}
