/*
 * kafka_asker.c
 *		The asking thread; see kafka_asker.h.
 *
 * Beside questions it does the destroying of clients: that waits for
 * librdkafka's threads, and a name look-up under way in one of them cannot be
 * broken off.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "source/kafka_asker.h"

typedef enum AskerState
{
	ASKER_IDLE,					/* inquiry is the main thread's -> POSTED */
	ASKER_POSTED,				/* inquiry is the asker's -> DONE */
	ASKER_DONE					/* inquiry is the main thread's -> IDLE */
} AskerState;

/* malloc'd, as it outlives an end that was given up. */
struct FsKafkaAsker
{
	const FsKafkaAskerWork *work;
	int			fd;
	pthread_t	thread;
	pthread_mutex_t lock;		/* protects what follows, but for inquiry */
	pthread_cond_t wake;		/* to the asker: something to do */
	pthread_cond_t done;		/* from the asker: state has become DONE */
	AskerState	state;
	bool		quit;
	FsKafkaPeer peer;			/* changes only while no question is under way */
	void	   *doomed;
	FsKafkaInquiry inquiry;		/* whose it is: see AskerState */
};

/*
 * Does what there is to do, without the lock: first the destroying, then the
 * question.  Caller holds the lock, and does so again afterwards.
 */
static void
do_work(FsKafkaAsker *asker)
{
	void	   *doomed = asker->doomed;
	bool		posted = asker->state == ASKER_POSTED;
	const uint64 one = 1;

	asker->doomed = NULL;
	pthread_mutex_unlock(&asker->lock);
	if (doomed != NULL)
		asker->work->destroy(doomed);
	if (posted)
		asker->work->answer(asker->peer, &asker->inquiry);
	pthread_mutex_lock(&asker->lock);
	if (!posted)
		return;
	asker->state = ASKER_DONE;
	pthread_cond_signal(&asker->done);
	if (write(asker->fd, &one, sizeof(one)) < 0)
		return;					/* full: it is readable anyway */
}

/*
 * The thread: works until it is told to quit and nothing is left to do.
 * Nothing of PostgreSQL may be called in it.
 */
static void *
asker_main(void *arg)
{
	FsKafkaAsker *asker = arg;

	pthread_mutex_lock(&asker->lock);
	for (;;)
	{
		if (asker->doomed != NULL || asker->state == ASKER_POSTED)
			do_work(asker);
		else if (asker->quit)
			break;
		else
			pthread_cond_wait(&asker->wake, &asker->lock);
	}
	pthread_mutex_unlock(&asker->lock);
	return NULL;
}

static void
free_asker(FsKafkaAsker *asker)
{
	pthread_mutex_destroy(&asker->lock);
	pthread_cond_destroy(&asker->wake);
	pthread_cond_destroy(&asker->done);
	free(asker);
}

/* See kafka_asker.h. */
FsKafkaAsker *
fs_kafka_asker_start(const FsKafkaAskerWork *work, int fd)
{
	FsKafkaAsker *asker = calloc(1, sizeof(FsKafkaAsker));
	pthread_condattr_t attributes;
	sigset_t	all;
	sigset_t	saved;
	int			rc;

	if (asker == NULL)
		return NULL;
	asker->work = work;
	asker->fd = fd;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&asker->lock, NULL);
	pthread_cond_init(&asker->wake, NULL);
	pthread_cond_init(&asker->done, &attributes);
	pthread_condattr_destroy(&attributes);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	rc = pthread_create(&asker->thread, NULL, asker_main, asker);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (rc == 0)
		return asker;
	free_asker(asker);
	return NULL;
}

/* See kafka_asker.h. */
FsKafkaInquiry *
fs_kafka_asker_idle(FsKafkaAsker *asker)
{
	bool		idle;

	pthread_mutex_lock(&asker->lock);
	idle = asker->state == ASKER_IDLE;
	pthread_mutex_unlock(&asker->lock);
	return idle ? &asker->inquiry : NULL;
}

void
fs_kafka_asker_post(FsKafkaAsker *asker)
{
	pthread_mutex_lock(&asker->lock);
	Assert(asker->state == ASKER_IDLE);
	asker->state = ASKER_POSTED;
	pthread_cond_signal(&asker->wake);
	pthread_mutex_unlock(&asker->lock);
}

/* See kafka_asker.h. */
const FsKafkaInquiry *
fs_kafka_asker_take(FsKafkaAsker *asker)
{
	bool		done;

	pthread_mutex_lock(&asker->lock);
	done = asker->state == ASKER_DONE;
	if (done)
		asker->state = ASKER_IDLE;
	pthread_mutex_unlock(&asker->lock);
	return done ? &asker->inquiry : NULL;
}

/* See kafka_asker.h. */
void
fs_kafka_asker_turn(FsKafkaAsker *asker, FsKafkaPeer peer, void *doomed)
{
	pthread_mutex_lock(&asker->lock);
	Assert(asker->state != ASKER_POSTED && asker->doomed == NULL);
	asker->peer = peer;
	asker->doomed = doomed;
	pthread_cond_signal(&asker->wake);
	pthread_mutex_unlock(&asker->lock);
}

/* The monotonic time 'ms' from now. */
static struct timespec
deadline_in(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += (ms % 1000) * 1000000L;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000L;
	ts.tv_nsec %= 1000000000L;
	return ts;
}

/* See kafka_asker.h. */
void
fs_kafka_asker_await(FsKafkaAsker *asker, int ms)
{
	struct timespec deadline = deadline_in(ms);
	int			rc = 0;

	pthread_mutex_lock(&asker->lock);
	while (asker->state == ASKER_POSTED && rc == 0)
		rc = pthread_cond_timedwait(&asker->done, &asker->lock, &deadline);
	pthread_mutex_unlock(&asker->lock);
}

/* See kafka_asker.h. */
bool
fs_kafka_asker_end(FsKafkaAsker *asker, void *doomed, int ms)
{
	struct timespec deadline = deadline_in(ms);

	pthread_mutex_lock(&asker->lock);
	Assert(asker->doomed == NULL || doomed == NULL);
	if (doomed != NULL)
		asker->doomed = doomed;
	asker->quit = true;
	pthread_cond_signal(&asker->wake);
	pthread_mutex_unlock(&asker->lock);
	if (pthread_clockjoin_np(asker->thread, NULL, CLOCK_MONOTONIC, &deadline) != 0)
	{
		pthread_detach(asker->thread);
		return false;
	}
	free_asker(asker);
	return true;
}
