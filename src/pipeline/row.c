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
	if (column->type == FS_TYPE_NUMERIC || column->type == FS_TYPE_JSONB)
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

		rc->column = &stream->columns[view->kept[i]];
		rc->collation = rc->column->collation;
		rc->byte_equality = has_byte_equality(rc->column);
		if (fs_type_is_bytes(rc->column->type))
			rc->dictionary = find_dictionary(root, rc->column->attnum);
		type = lookup_type_cache(rc->column->typid, TYPECACHE_CMP_PROC_FINFO);
		if (OidIsValid(type->cmp_proc))
			fmgr_info_copy(&rc->compare, &type->cmp_proc_finfo, row->context);
		get_typlenbyvalalign(rc->column->typid, &rc->typlen, &rc->typbyval, &rc->typalign);
	}
	return row;
}

/* Does the event count in the window of 'size' that ends at 'end'? */
static inline bool
counts_in(const FsRingEvent *event, FsTime end, int64 size)
{
	return event->time < end && event->time >= end - size && event->counts_from <= end;
}

bool
fs_row_is_due(const FsViewDef *view, const FsEventSet *set, FsTime window_end)
{
	for (int i = 0; i < set->n; i++)
		for (int w = 0; w < view->nwindows; w++)
			if (counts_in(&set->events[i], window_end, view->windows[w]) !=
				counts_in(&set->events[i], window_end - view->slide, view->windows[w]))
				return true;
	return false;
}

bool
fs_row_is_empty(const FsViewDef *view, const FsEventSet *set, FsTime window_end)
{
	int64		size = fs_view_max_window(view);

	for (int i = 0; i < set->n; i++)
		if (counts_in(&set->events[i], window_end, size))
			return false;
	return true;
}

/* The order inside a window: event time, partition, offset (which is arrival within a partition). */
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

/* Puts the events of the longest window into row->order, sorted; returns their number. */
static int
order_events(FsRow *row, const FsEventSet *set, FsTime window_end)
{
	int64		size = fs_view_max_window(row->view);
	bool		sorted = true;
	int			n = 0;

	if (row->max_order < set->n)
	{
		if (row->order != NULL)
			pfree(row->order);
		row->max_order = Max(set->n, row->max_order * 2);
		row->order = MemoryContextAllocHuge(row->context,
											sizeof(FsRingEvent *) * row->max_order);
	}
	for (int i = 0; i < set->n; i++)
	{
		if (!counts_in(&set->events[i], window_end, size))
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
fs_row_compute(FsRow *row, const FsEventSet *set, FsTime window_end, Datum *values, bool *nulls)
{
	const FsViewDef *view = row->view;
	int			n = order_events(row, set, window_end);
	int			first = n;
	int			out = view->nwindows * view->naggregates;

	row->stale = false;

	/* Longer windows begin earlier: go from the shortest, so that 'first' only falls. */
	for (int w = 0; w < view->nwindows; w++)
	{
		FsTime		start = window_end - view->windows[w];

		while (first > 0 && row->order[first - 1]->time >= start)
			first--;
		for (int a = 0; a < view->naggregates && !row->stale; a++)
		{
			int			at = w * view->naggregates + a;

			Assert(at < out);
			values[at] = fs_aggregate_compute(row, &view->aggregates[a], row->order + first,
											  n - first, &nulls[at]);
		}
	}
	(void) out;
	return n;
}

/*
 * Keys.  Each entity column in turn: byte types as a varint of their length
 * and the bytes, all others as 8 bytes.  Equal keys have equal bytes, because
 * such columns are NOT NULL and of types whose equality is byte equality.
 */
static int
put_key_value(FsType type, const FsValue *value, char *key)
{
	int			n = 0;
	uint32		len = value->len;

	if (!fs_type_is_bytes(type))
	{
		memcpy(key, &value->i, 8);
		return 8;
	}
	for (; len >= 0x80; len >>= 7)
		key[n++] = (char) (len | 0x80);
	key[n++] = (char) len;
	memcpy(key + n, value->data, value->len);
	return n + value->len;
}

/* Writes the key of decoded values; returns its length, or -1 when it is longer than FS_ENTITY_MAX_KEY. */
int
fs_key_of_values(const FsViewDef *view, const FsStreamDef *stream, const FsValue *values, char *key)
{
	int			len = 0;

	for (int i = 0; i < view->nentity; i++)
	{
		FsType		type = stream->columns[view->entity[i]].type;
		const FsValue *value = &values[view->entity[i]];

		if (len + (fs_type_is_bytes(type) ? (int64) value->len + 5 : 8) > FS_ENTITY_MAX_KEY)
			return -1;
		len += put_key_value(type, value, key + len);
	}
	return len;
}

int
fs_key_encode(const FsViewDef *view, const FsStreamDef *stream, const Datum *values, char *key)
{
	int			len = 0;

	for (int i = 0; i < view->nentity; i++)
	{
		const FsColumn *column = &stream->columns[view->entity[i]];
		FsValue		value = fs_datum_value(column, values[i]);

		if (len + (fs_type_is_bytes(column->type) ? (int64) value.len + 5 : 8) > FS_ENTITY_MAX_KEY)
			return -1;
		len += put_key_value(column->type, &value, key + len);
	}
	return len;
}

void
fs_key_decode(const FsViewDef *view, const FsStreamDef *stream, const char *key, int key_len, Datum *values)
{
	const char *p = key;

	for (int i = 0; i < view->nentity; i++)
	{
		const FsColumn *column = &stream->columns[view->entity[i]];
		FsValue		value = {.presence = FS_PRESENT};

		if (fs_type_is_bytes(column->type))
		{
			for (int shift = 0;; shift += 7)
			{
				uint8		byte = (uint8) *p++;

				value.len |= (uint32) (byte & 0x7f) << shift;
				if (byte < 0x80)
					break;
			}
			value.data = p;
			p += value.len;
		}
		else
		{
			memcpy(&value.i, p, 8);
			p += 8;
		}
		Assert(p <= key + key_len);
		values[i] = fs_value_datum(column, &value);
	}
}
