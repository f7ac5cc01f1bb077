/*
 * away.h
 *		Peers that do not answer: whose turn it is to try one again.
 *
 * Many workers may use one peer, and each backs off by itself.  While the peer
 * is away they take turns, so that it is tried once in FS_AWAY_PAUSE by all of
 * them together.  A peer is known by a name, such as a URL.
 */
#ifndef FS_STATE_AWAY_H
#define FS_STATE_AWAY_H

#include "postgres.h"

#define FS_AWAY_PAUSE (1000 * INT64CONST(1000))	/* us */

/*
 * May the caller try the peer now?  Always while it is not away; else one caller
 * may, and the next one FS_AWAY_PAUSE later: for the others *next is when to come
 * again, by fs_clock_monotonic().  Throws nothing, like all of these.
 */
extern bool fs_away_may_try(const char *peer, int64 *next);

/* The peer was tried and is away.  Where too many are, the one that was tried longest ago is forgotten. */
extern void fs_away_note(const char *peer);

/* The peer answers. */
extern void fs_away_end(const char *peer);

#endif							/* FS_STATE_AWAY_H */
