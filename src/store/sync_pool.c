#include "store/sync_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

enum { HELPERS = 7 };

struct sync_pool {
	pthread_t threads[HELPERS];
	unsigned started;
	pthread_mutex_t lock;
	pthread_cond_t work, all_done;
	const int *fds;
	size_t n, next, done;
	int failed; /* errno */
	bool stop;
};

/* With the lock held: syncs what nobody has taken yet. */
static void take_part(struct sync_pool *p)
{
	while (p->next < p->n) {
		int fd = p->fds[p->next++];
		pthread_mutex_unlock(&p->lock);
		int failed = fsync(fd) == 0 ? 0 : errno;
		pthread_mutex_lock(&p->lock);
		if (failed)
			p->failed = failed;
		if (++p->done == p->n)
			pthread_cond_signal(&p->all_done);
	}
}

static void *help(void *arg)
{
	struct sync_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		take_part(p);
		pthread_cond_wait(&p->work, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void start_threads(struct sync_pool *p)
{
	while (p->started < HELPERS && pthread_create(&p->threads[p->started], NULL, help, p) == 0)
		p->started++;
}

struct sync_pool *sync_pool_new(void)
{
	struct sync_pool *p = mem_new(sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->all_done, NULL);
	return p;
}

void sync_pool_free(struct sync_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->all_done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int sync_pool_run(struct sync_pool *p, const int *fds, size_t n)
{
	if (n > 1 && p->started < HELPERS)
		start_threads(p);
	pthread_mutex_lock(&p->lock);
	p->fds = fds;
	p->n = n;
	p->next = p->done = 0;
	p->failed = 0;
	if (n > 1)
		pthread_cond_broadcast(&p->work);
	take_part(p);
	while (p->done < p->n)
		pthread_cond_wait(&p->all_done, &p->lock);
	int failed = p->failed;
	p->n = p->next = 0;
	pthread_mutex_unlock(&p->lock);
	return failed;
}
