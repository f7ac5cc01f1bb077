/*
 * view_reader.h
 *		Rows in force of a feature view, read from its stream's shared memory.
 *
 * Never blocks the stream's worker: everything is read without locks and taken
 * only when the counters say that it did not change meanwhile.
 */
#ifndef FS_SQL_VIEW_READER_H
#define FS_SQL_VIEW_READER_H

#include "sql/view_cache.h"

typedef struct FsViewReader FsViewReader;

/*
 * Makes a reader of a feature view, or of its table <view>_live, in the current
 * memory context, which also ends it.  Throws
 * 55000 when the view's state cannot be read now: what there is to read is
 * never guessed, so a missing row always means that no row is in force.
 *
 * Rows of <view>_live are of the windows that end at the newest event seen, T:
 * of size S over all accepted events with T - S < event time <= T, late ones
 * too; where rings keep slides, over all of the first one.  An entity without
 * such an event has no row.  T is the same for all rows
 * that a reader gives, unless it takes so long that windows ending at T expire.
 */
extern FsViewReader *fs_view_reader_open(Oid relid);

/* The definition the reader goes by; lives as long as the reader. */
extern const FsViewEntry *fs_view_reader_entry(const FsViewReader *reader);

/*
 * The row in force of the entity with this key (fs_key_encode) into values[]
 * and nulls[] (fs_view_natts), in the current memory context.  False when it
 * has none.
 */
extern bool fs_view_reader_lookup(FsViewReader *reader, const char *key, int key_len,
								  Datum *values, bool *nulls);

/*
 * All rows in force: begin, then next until it is false.  An entity that
 * exists all the while is met exactly once, one that comes or goes once or
 * never.
 */
extern void fs_view_reader_begin(FsViewReader *reader);
extern bool fs_view_reader_next(FsViewReader *reader, Datum *values, bool *nulls);

/* All window ends up to this one are fired and committed; FS_TIME_MIN: none. */
extern FsTime fs_view_reader_frontier(FsViewReader *reader);

/* Entities the worker last counted for the view; -1 when that is not known.  Never throws. */
extern int64 fs_view_entities(Oid stream, Oid relid);

#endif							/* FS_SQL_VIEW_READER_H */
