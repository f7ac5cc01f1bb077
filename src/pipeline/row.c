/*
 * row.c
 *		The feature row of one entity at one window end; see row.h.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/typcache.h"

#include "core/slice.h"
#include "pipeline/row.h"
#include "pipeline/values.h"

/* Equal exactly when code or bits are equal? */
static bool
has_byte_equality(const FsColumn *column)
{
	if (column->type == FS_TYPE_NUMERIC || column->type == FS_TYPE_JSONB || fs_type_is_array(column->type))
		return false;
	return !OidIsValid(column->collation) || get_collation_isdeterministic(column->collation);
}

static const FsDictionary *
find_dictionary(const FsSharedRoot *root, AttrNumber attnum)
{
	for (int i = 0; i < root->ndictionaries; i++)
		if (root->dictionary_column[i] == attnum)
			return &root->dictionaries[i];
	elog(ERROR, "column %d has no dictionary in shared memory", attnum);
}

/*
 * Prepares the computing of a view's rows.  The current memory context is the
 * result's for as long as it lives.  Throws when a column that the view keeps is
 * not in shared memory.
 */
FsRow *
fs_row_create(const FsViewDef *view, const FsStreamDef *stream, const FsSharedRoot *root)
{
	FsRow	   *row = palloc0(sizeof(FsRow));

	row->view = view;
	row->stream = stream;
	row->context = CurrentMemoryContext;
	row->columns = palloc0(sizeof(FsRowColumn) * Max(view->nkept, 1));
	for (int i = 0; i < view->nkept; i++)
	{
		FsRowColumn *rc = &row->columns[i];
		TypeCacheEntry *type;

		rc->column = fs_view_kept(view, i);
		rc->collation = rc->column->collation;
		rc->byte_equality = has_byte_equality(rc->column);
		if (fs_view_keeps_codes(view, i))
			rc->dictionary = find_dictionary(root, rc->column->attnum);
		type = lookup_type_cache(rc->column->typid, TYPECACHE_CMP_PROC_FINFO);
		if (OidIsValid(type->cmp_proc))
			fmgr_info_copy(&rc->compare, &type->cmp_proc_finfo, row->context);
		get_typlenbyvalalign(rc->column->typid, &rc->typlen, &rc->typbyval, &rc->typalign);
	}
	row->results = palloc0(sizeof(FsAggregateResult) * Max(view->naggregates, 1));
	fs_features_prepare(row);
	return row;
}

/* Does the event count in the window of 'size' that ends at 'end'? */
static inline bool
counts_in(const FsViewDef *view, const FsRingEvent *event, FsTime end, int64 size)
{
	return event->time < fs_window_end(view, end) && event->time >= fs_window_start(view, end, size) &&
		event->counts_from <= end;
}

/* See row.h. */
bool
fs_row_is_due(const FsViewDef *view, const FsEventSet *set, FsTime window_end)
{
	for (int i = 0; i < set->n; i++)
		for (int w = 0; w < view->nwindows; w++)
			if (counts_in(view, &set->events[i], window_end, view->windows[w]) !=
				counts_in(view, &set->events[i], window_end - view->slide, view->windows[w]))
				return true;
	return false;
}

/* See row.h. */
bool
fs_row_is_empty(const FsViewDef *view, const FsEventSet *set, FsTime window_end)
{
	int64		size = fs_view_max_window(view);

	for (int i = 0; i < set->n; i++)
		if (counts_in(view, &set->events[i], window_end, size))
			return false;
	return true;
}

/*
 * The order inside a window: event time, partition, arrival.  Within a partition
 * that is the offset, but for dead letters that came back later.
 */
static inline int
compare_order(const FsRingEvent *a, const FsRingEvent *b)
{
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->partition != b->partition)
		return a->partition < b->partition ? -1 : 1;
	return a->arrival < b->arrival ? -1 : a->arrival > b->arrival;
}

static int
compare_order_cb(const void *a, const void *b)
{
	return compare_order(*(const FsRingEvent *const *) a, *(const FsRingEvent *const *) b);
}

/* See row.h.  Where there is no memory the list is left empty. */
void
fs_row_reserve(FsRow *row, const FsRingEvent ***list, int *max, int n)
{
	int			room = fs_events_room(n, *max);

	if (n <= *max)
		return;
	if (*list != NULL)
		pfree(*list);
	*list = NULL;
	*max = 0;
	*list = MemoryContextAllocHuge(row->context, sizeof(FsRingEvent *) * room);
	*max = room;
}

/* Gives back a list that was made for a key of many events. */
static void
trim_list(const FsRingEvent ***list, int *max)
{
	if (*max <= FS_EVENTS_AT_HAND)
		return;
	pfree(*list);
	*list = NULL;
	*max = 0;
}

/* See row.h. */
void
fs_row_trim(FsRow *row)
{
	trim_list(&row->order, &row->max_order);
	trim_list(&row->filtered, &row->max_filtered);
	trim_list(&row->ordered, &row->max_ordered);
	if (row->set_size <= 4 * FS_EVENTS_AT_HAND)
		return;
	pfree(row->set);
	pfree(row->set_count);
	row->set = row->set_count = NULL;
	row->set_size = 0;
}

/* Puts the events of the longest window into row->order, sorted; returns their number. */
static int
order_events(FsRow *row, const FsEventSet *set, FsTime window_end)
{
	int64		size = fs_view_max_window(row->view);
	bool		sorted = true;
	int			n = 0;

	fs_row_reserve(row, &row->order, &row->max_order, set->n);
	for (int i = 0; i < set->n; i++)
	{
		if (!counts_in(row->view, &set->events[i], window_end, size))
			continue;
		if (n > 0 && compare_order(row->order[n - 1], &set->events[i]) > 0)
			sorted = false;
		row->order[n++] = &set->events[i];
	}
	if (!sorted)
		qsort(row->order, n, sizeof(FsRingEvent *), compare_order_cb);
	return n;
}

int
fs_row_compute(FsRow *row, const FsEventSet *set, const char *key, int key_len,
			   FsTime window_end, Datum *values, bool *nulls)
{
	int			n = order_events(row, set, window_end);

	row->stale = false;
	fs_features_compute(row, key, key_len, window_end, n, values, nulls);
	return n;
}

/* See row.h. */
void
fs_row_compute_own(FsRow *row, const FsEventSet *set, const char *key, int key_len,
				   FsTime window_end, Datum *values, bool *nulls)
{
	(void) fs_row_compute(row, set, key, key_len, window_end, values, nulls);
	if (row->stale)
		elog(ERROR, "a value that feature view \"%s\" keeps is not in shared memory", row->view->name);
}
