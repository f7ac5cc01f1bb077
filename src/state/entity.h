/*
 * entity.h
 *		Entities of one feature view, with their recent events.
 *
 * Everything here lives in the arena and is written by the stream's ingest
 * worker alone.  Whatever changes an entity's ring or stamps does so between
 * fs_entity_begin_change() and fs_entity_end_change(), which make 'seq' odd and
 * even again.  A reader copies the entity and its chunks and takes the copy
 * only when 'seq' was even and did not move: chunks freed and used again in
 * between belong to an entity whose 'seq' has moved.
 *
 * The row in force is told by two stamps: 'row' is the newest window end fired
 * for the entity (as a slice index), 'durable_row' the newest one known to be
 * committed when 'row' was set.  Readers show 'row' when the view's durable
 * frontier has reached it, else 'durable_row'.
 */
#ifndef FS_STATE_ENTITY_H
#define FS_STATE_ENTITY_H

#include "port/atomics.h"

#include "state/dictionary.h"
#include "state/ring.h"

#define FS_ENTITY_DIRTY 0x01	/* its online row is to be written */
#define FS_ENTITY_DOOMED 0x02	/* on the list that pruning goes through: nobody else removes it */
#define FS_ENTITY_MET 0x04		/* the checkpoint at work has stored its partial aggregates */

#define FS_NO_SLICE PG_UINT32_MAX

typedef struct FsEntity
{
	FsEntry		entry;
	uint32		seq;			/* odd: being changed */
	FsHandle	head;			/* oldest chunk */
	FsHandle	tail;
	uint32		nevents;		/* in the ring */
	uint32		row;			/* slice index of the newest window end fired; 0 none */
	uint32		durable_row;	/* see header comment; 0 none */
	FsTime		computed_at;	/* when 'row' became known */
	FsTime		durable_computed_at;	/* when 'durable_row' did */
	FsTime		last_time;		/* of the newest arrival: the next event's time counts from it */
	uint32		last_touch;		/* slice whose touch list got it last; FS_NO_SLICE: none did */
	uint16		key_len;
	uint16		flags;			/* worker's own; not for readers */
	char		key[FLEXIBLE_ARRAY_MEMBER];
} FsEntity;

/* A key must also fit into the history's primary key: a btree takes 2704 bytes, window_end included. */
#define FS_ENTITY_MAX_KEY 2560

static inline void
fs_entity_begin_change(FsEntity *entity)
{
	entity->seq++;
	pg_write_barrier();
}

static inline void
fs_entity_end_change(FsEntity *entity)
{
	pg_write_barrier();
	entity->seq++;
}

/* Finds an entity by its key and the place of the key's hash; 0 when there is none. */
static inline FsHandle
fs_entity_find(const FsTable *table, const char *key, uint16 key_len, const FsTablePlace *place)
{
	FsHandle	handle = fs_table_first(table, place);

	while (handle != 0)
	{
		FsEntity   *entity = fs_arena_ptr(handle);

		if (entity->entry.hash == place->hash && entity->key_len == key_len &&
			fs_bytes_equal(entity->key, key, key_len))
			return handle;
		handle = entity->entry.next;
	}
	return 0;
}

/* Makes an entity without events; 0 when memory is out. */
extern FsHandle fs_entity_add(FsArena *arena, FsTable *table, const char *key, uint16 key_len, uint32 hash);

/* Removes an entity and its chunks. */
extern void fs_entity_remove(FsArena *arena, FsTable *table, FsHandle handle);

/* Appends one event, whose time lies in slice 'slice'; false when memory is out. */
extern bool fs_entity_append(FsArena *arena, FsEntity *entity, const FsRingLayout *layout,
							 FsTime time, uint32 slice, int32 partition, FsTime counts_from, const FsCell *cells);

/* Adds to the cells, which it may spoil unless it is done; those of a new record are still to be set. */
typedef FsMergeResult (*FsMergeFunction) (void *arg, FsCell *cells, bool is_new);

/*
 * Adds something to the record of 'time' in the newest chunk that has the same
 * counts_from, where there is one, merge() agrees and the chunk has room; else
 * to a new record, which is appended.  False when memory is out: nothing was
 * changed then.
 */
extern bool fs_entity_merge(FsArena *arena, FsEntity *entity, const FsRingLayout *layout, FsTime time,
							FsTime counts_from, FsMergeFunction merge, void *arg);

/*
 * entity_rewrite.c: makes events[n] the entity's events, in order of arrival, of
 * which the first 'same' are its first ones now.  Blobs are the caller's to free.
 * False when memory is out: nothing was changed then.
 */
extern bool fs_entity_rewrite(FsArena *arena, FsEntity *entity, const FsRingLayout *layout,
							  const FsRingEvent *events, int n, int same);

/*
 * Frees the chunks at the head that hold nothing newer than slice 'oldest'
 * (exclusive), with the sets and blobs of their records.  Events of younger chunks stay
 * until their chunk dies.
 */
extern void fs_entity_trim(FsArena *arena, FsEntity *entity, const FsRingLayout *layout, uint32 oldest);

/*
 * Events of an entity, copied and decoded into growing arrays that are used
 * again.  They live in 'context'; NULL means the one that is current when they
 * are first needed, which then has to live as long as the set.
 */
typedef struct FsEventSet
{
	MemoryContext context;
	FsRingEvent *events;
	FsCell	   *cells;
	int			n;
	int			max;
} FsEventSet;

/* Room for so many, which is more than a chunk has, is made at once and kept; more is given back. */
#define FS_EVENTS_AT_HAND 131072

/* Room to be made for 'n' events where there is too little, for 'max': some more, so that it is made rarely. */
static inline int
fs_events_room(int n, int max)
{
	if (n > FS_EVENTS_AT_HAND)
		return (int) Min((int64) n + n / 8, PG_INT32_MAX);
	return Max(n, Min(max * 2, FS_EVENTS_AT_HAND));
}

/* event_set.c: makes room for 'n' events; what was decoded before is given up. */
extern void fs_event_set_reserve(FsEventSet *set, const FsRingLayout *layout, int n);

/* The same for 'n' events, more than there is room for; those that were decoded stay. */
extern void fs_event_set_extend(FsEventSet *set, const FsRingLayout *layout, int n);

/* Gives back what a key of many events has taken, with what was decoded. */
extern void fs_event_set_trim(FsEventSet *set);

/* The worker's way: decodes all events of an entity in order of arrival. */
extern void fs_entity_events(const FsEntity *entity, const FsRingLayout *layout, FsEventSet *set);

/* The same without chunks that have nothing of slice 'oldest' or a newer one. */
extern void fs_entity_events_from(const FsEntity *entity, const FsRingLayout *layout, uint32 oldest, FsEventSet *set);

/* A reader's private copy of an entity. */
typedef struct FsEntityCopy
{
	FsEntity	header;
	char	   *key;
	uint32		seq;
	FsEventSet	set;
	char	   *buffer;			/* chunk under copy */
} FsEntityCopy;

/*
 * A reader's way: copies and decodes the entity at 'handle'.  False when it
 * changed meanwhile or makes no sense: the caller looks it up again.  What the
 * copy says counts only if fs_entity_unchanged() still holds after the last
 * dictionary code was resolved.
 */
extern bool fs_entity_copy(FsHandle handle, const FsRingLayout *layout, FsEntityCopy *copy);
extern bool fs_entity_unchanged(FsHandle handle, const FsEntityCopy *copy);

/* A reader's search; *sure is false when the table changed meanwhile and a miss proves nothing. */
extern FsHandle fs_entity_search(const FsTable *table, const char *key, uint16 key_len, uint32 hash, bool *sure);

#endif							/* FS_STATE_ENTITY_H */
