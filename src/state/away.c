/*
 * away.c
 *		Peers that do not answer: whose turn it is to try one again.
 *
 * Hashes of their names in the main shared memory segment, under FsShared.lock:
 * two peers of one hash would take turns with each other, no worse.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "ground/clock.h"
#include "state/away.h"
#include "state/shared.h"

/* What a peer is known by; never 0. */
static uint64
hash_peer(const char *peer)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) peer, strlen(peer), 0);

	return hash == 0 ? 1 : hash;
}

/* The peer's entry, or NULL. */
static FsSharedAway *
find_entry(uint64 hash)
{
	Assert(LWLockHeldByMeInMode(fs_shared->lock, LW_EXCLUSIVE));
	for (int i = 0; i < FS_MAX_AWAY; i++)
		if (fs_shared->away[i].peer == hash)
			return &fs_shared->away[i];
	return NULL;
}

/* An entry to be used for another peer: a free one, or that of the peer tried longest ago. */
static FsSharedAway *
reuse_entry(void)
{
	FsSharedAway *oldest = find_entry(0);

	for (int i = 0; i < FS_MAX_AWAY && (oldest == NULL || oldest->peer != 0); i++)
		if (oldest == NULL || fs_shared->away[i].next_at < oldest->next_at)
			oldest = &fs_shared->away[i];
	return oldest;
}

/* See away.h. */
bool
fs_away_may_try(const char *peer, int64 *next)
{
	int64		now = fs_clock_monotonic();
	FsSharedAway *entry;
	bool		may_try;

	Assert(fs_shared != NULL);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	entry = find_entry(hash_peer(peer));
	may_try = entry == NULL || now >= entry->next_at;
	if (!may_try)
		*next = entry->next_at;
	else if (entry != NULL)
		entry->next_at = now + FS_AWAY_PAUSE;
	LWLockRelease(fs_shared->lock);
	return may_try;
}

/* See away.h. */
void
fs_away_note(const char *peer)
{
	uint64		hash = hash_peer(peer);
	int64		next_at = fs_clock_monotonic() + FS_AWAY_PAUSE;
	FsSharedAway *entry;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	entry = find_entry(hash);
	if (entry == NULL)
		entry = reuse_entry();
	entry->peer = hash;
	entry->next_at = next_at;
	LWLockRelease(fs_shared->lock);
}

/* See away.h. */
void
fs_away_end(const char *peer)
{
	FsSharedAway *entry;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	entry = find_entry(hash_peer(peer));
	if (entry != NULL)
		entry->peer = 0;
	LWLockRelease(fs_shared->lock);
}
