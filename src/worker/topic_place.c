/*
 * topic_place.c
 *		How many topic readers there are at once; see topic_place.h.
 *
 * A place has a ticket of its own each time that it is taken, so that who comes
 * too late to it, backend or worker, finds another one there, or none.  A process
 * that is killed takes the server's shared memory along.
 */
#include "postgres.h"

#include "storage/ipc.h"
#include "storage/lwlock.h"

#include "ground/settings.h"
#include "state/shared.h"
#include "worker/topic_place.h"

/* The place with this ticket; 0 is that of free ones.  NULL: there is none.  Caller must hold 'lock'. */
static FsSharedPlace *
find_place(uint64 ticket)
{
	Assert(LWLockHeldByMe(fs_shared->lock));
	for (int i = 0; i < FS_MAX_TOPIC_READERS; i++)
		if (fs_shared->topic_readers[i].ticket == ticket)
			return &fs_shared->topic_readers[i];
	return NULL;
}

/* How many are taken.  Caller must hold 'lock'. */
static int
count_taken(void)
{
	int			taken = 0;

	Assert(LWLockHeldByMe(fs_shared->lock));
	for (int i = 0; i < FS_MAX_TOPIC_READERS; i++)
		taken += fs_shared->topic_readers[i].ticket != 0;
	return taken;
}

/* See topic_place.h. */
uint64
fs_topic_place_take(void)
{
	uint64		ticket = 0;

	fs_require_preload();
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	if (count_taken() < fs_max_topic_readers)
	{
		FsSharedPlace *place = find_place(0);

		ticket = ++fs_shared->topic_tickets;
		place->ticket = ticket;
		place->has_begun = false;
	}
	LWLockRelease(fs_shared->lock);
	return ticket;
}

/* See topic_place.h. */
void
fs_topic_place_leave(uint64 ticket)
{
	FsSharedPlace *place;

	Assert(ticket != 0);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	place = find_place(ticket);
	if (place != NULL && !place->has_begun)
		place->ticket = 0;
	LWLockRelease(fs_shared->lock);
}

/* Exit callback of the worker; the argument is the index of its place. */
static void
give_back(int code, Datum arg)
{
	FsSharedPlace *place = &fs_shared->topic_readers[DatumGetInt32(arg)];

	Assert(place->ticket != 0 && place->has_begun);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	place->ticket = 0;
	LWLockRelease(fs_shared->lock);
}

/* See topic_place.h. */
void
fs_topic_place_enter(uint64 ticket)
{
	FsSharedPlace *place;

	Assert(ticket != 0);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	place = find_place(ticket);
	if (place != NULL)
		place->has_begun = true;
	LWLockRelease(fs_shared->lock);
	if (place == NULL)
		proc_exit(0);
	before_shmem_exit(give_back, Int32GetDatum(place - fs_shared->topic_readers));
}
