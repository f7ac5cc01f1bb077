/*
 * row.h
 *		The feature row of one entity at one window end.
 *
 * Used by the ingest worker when it fires and by backends that read a feature
 * view: what differs is only how the events were got (entity.h).
 */
#ifndef FS_PIPELINE_ROW_H
#define FS_PIPELINE_ROW_H

#include "core/slice.h"
#include "pipeline/row_state.h"

/*
 * Where a window begins and ends.  Window ends that fire are multiples of the
 * slide, and so are the beginnings of their windows.  At another instant a view
 * that keeps whole slides counts all of the first and of the last one.
 */
static inline FsTime
fs_window_start(const FsViewDef *view, FsTime end, int64 size)
{
	return fs_view_has_whole_slides(view) ? fs_time_floor(end - size, view->slide) : end - size;
}

static inline FsTime
fs_window_end(const FsViewDef *view, FsTime end)
{
	return fs_view_has_whole_slides(view) ? fs_time_ceil(end, view->slide) : end;
}

extern FsRow *fs_row_create(const FsViewDef *view, const FsStreamDef *stream, const FsSharedRoot *root);

/*
 * Computes the features of all windows of the entity with this key that end at
 * 'window_end' into values[] and nulls[] (nwindows * nfeatures, window by
 * window), allocated in the current context.  A feature whose computation
 * raises is NULL, and counted in row->errors.  Returns the number of events in
 * the longest window.  A view that may raise wants a transaction around.
 */
extern int	fs_row_compute(FsRow *row, const FsEventSet *set, const char *key, int key_len,
						   FsTime window_end, Datum *values, bool *nulls);

/* The same by who writes the events, for whom every code has a value: throws when one has none. */
extern void fs_row_compute_own(FsRow *row, const FsEventSet *set, const char *key, int key_len,
							   FsTime window_end, Datum *values, bool *nulls);

/* Makes room for 'n' events in one of the row's lists; what was in it is given up. */
extern void fs_row_reserve(FsRow *row, const FsRingEvent ***list, int *max, int n);

/* Gives back what a key of many events has taken; between rows. */
extern void fs_row_trim(FsRow *row);

/* Did an event enter or leave one of the windows that end at 'window_end', compared with one slide before? */
extern bool fs_row_is_due(const FsViewDef *view, const FsEventSet *set, FsTime window_end);

/* Does any event count in the longest window that ends at 'window_end'? */
extern bool fs_row_is_empty(const FsViewDef *view, const FsEventSet *set, FsTime window_end);

/* entity_key.c: entity key -> its columns' values (view->nentity), and back. */
extern void fs_key_decode(const FsViewDef *view, const char *key, int key_len, Datum *values);
/* The key goes to key[FS_ENTITY_MAX_KEY]; -1 when it does not fit. */
extern int	fs_key_encode(const FsViewDef *view, const Datum *values, char *key);
/* The same of an event's values, where value_of[] says where each input's value is. */
extern int	fs_key_of_inputs(const FsViewDef *view, const FsValue *values, const int *value_of, char *key);

/* slow.c: parts of rows that ran out of time; aggregates count from 0, features behind them, then the making of states. */
extern void fs_slow_note(FsRow *row, int part);
extern bool fs_slow_is_passed_over(FsRow *row, int part);
extern bool fs_slow_has_any(FsRow *row);

/* features.c */
/* Does a piece of work as the view's owner, guarded; false, with the message in row->error, when it raised. */
extern bool fs_features_run_as_owner(FsRow *row, void (*work) (FsRow *row, void *arg), void *arg);
extern void fs_features_prepare(FsRow *row);
extern void fs_features_compute(FsRow *row, const char *key, int key_len, FsTime window_end, int n,
								Datum *values, bool *nulls);

/* aggregate_sum.c: sum or avg of 'count' > 0 integers that add up to 'sum'. */
extern Datum fs_aggregate_of_integers(const FsAggregate *aggregate, int128 sum, int64 count);

/* aggregate.c: in the current context, which is the row's. */
extern void fs_aggregates_prepare(FsRow *row);
/*
 * A native aggregate over events in window order.  When it cannot be computed,
 * sets row->native_failed and row->error and returns NULL; only what
 * aggregate->may_raise says may raise an error instead.
 */
extern Datum fs_aggregate_compute(FsRow *row, const FsAggregate *aggregate,
								  const FsRingEvent **events, int n, bool *isnull);

#endif							/* FS_PIPELINE_ROW_H */
