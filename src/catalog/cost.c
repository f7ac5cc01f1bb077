/*
 * cost.c
 *		What feature views cost: memory, and time of their stream's one worker.
 *
 * The constants were measured with test/bench/aggregates, windows and ingest (CPU
 * time, builds without assertions; test/bench/README.md has the figures and the
 * machine).  They are for one core of that machine; a faster one does better in
 * proportion.  Bytes follow from how rings encode events (state/ring.h).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/cost.h"
#include "catalog/feature_view.h"
#include "state/entity.h"
#include "state/shared.h"

/*
 * Microseconds of the worker: an event read, decoded and logged; folded into one
 * view; and there for each value kept.  From test/bench/ingest and its profile.
 */
#define READ_US 1.0
#define FOLD_US 0.25
#define KEEP_US 0.05
#define EXPRESSION_US 0.15		/* WHERE, or a value that is an expression */

/* Microseconds of a row: finding the entity; writing it to the history; for each event decoding and ordering it. */
#define ROW_US 1.0
#define HISTORY_US 8.0
#define ROW_EVENT_US 0.03
#define GUARD_US 2.8			/* a row in which something may raise */
#define FEATURE_US 0.2			/* a feature that is an expression */

/* A replay: starting the executor over a window, putting an event there, and each value of it; then each aggregate. */
#define REPLAY_US 1.0
#define REPLAY_EVENT_US 0.25
#define REPLAY_VALUE_US 0.12
#define REPLAY_STEP_US 0.05
#define REPLAY_SORT_US 0.35		/* an event, where the aggregate wants an order */

/* The same order natively, by a key of a type passed by value or by reference; from test/bench/aggregates. */
#define SORT_US 0.15
#define SORT_REFERENCE_US 0.5

/* Bytes that encoding takes beside the values: difference of times, partition; and share of chunks that is not used. */
#define EVENT_BYTES 4
#define CHUNK_FILL 1.25
#define CELL_BYTES 3			/* of a partial state, of mostly small numbers */
#define VALUE_BYTES 20			/* of a partial state that is a set of one value */
#define SET_BYTES 72			/* of two or three */

/*
 * A record of states: its bytes, and those of a state in it; microseconds to
 * combine one, and one of type internal, which has to be deserialized: 0.5 for a
 * sketch of counters, 3 of quantiles, 6 for a map.
 */
#define RECORD_BYTES 56
#define STATE_BYTES 60
#define STATE_US 0.2
#define STATE_INTERNAL_US 3.0

/* What an aggregate takes for a window, and for each event in it, in microseconds. */
typedef struct NativeCost
{
	double		window_us;
	double		event_us;
} NativeCost;

/* Without its order. */
static NativeCost
unordered_cost(const FsAggregate *aggregate)
{
	bool		is_float = aggregate->input_type == FLOAT4OID || aggregate->input_type == FLOAT8OID;
	bool		by_value = OidIsValid(aggregate->input_type) && get_typbyval(aggregate->input_type);

	switch (fs_aggregate_what(aggregate))
	{
		case FS_AGG_ARRAY_AGG:
			return (NativeCost) {0.1, 0.10};
		case FS_AGG_COUNT_DISTINCT:
			return (NativeCost) {0.05, 0.01};
		case FS_AGG_MODE:
			return (NativeCost) {0.1, 0.20};
		case FS_AGG_SUM:
		case FS_AGG_AVG:
			return is_float ? (NativeCost) {0.3, 0.035} : (NativeCost) {0.1, 0.016};
		case FS_AGG_VAR_SAMP:
		case FS_AGG_VAR_POP:
		case FS_AGG_STDDEV_SAMP:
		case FS_AGG_STDDEV_POP:
			return (NativeCost) {0.3, 0.035};
		case FS_AGG_CALL:
			return by_value ? (NativeCost) {0.6, 0.15} : (NativeCost) {0.6, 0.35};
		case FS_AGG_MIN:
		case FS_AGG_MAX:
			return by_value ? (NativeCost) {0.1, 0.03} : (NativeCost) {0.3, 0.15};
		default:
			return (NativeCost) {0.05, 0.02};
	}
}

/* What a native aggregate costs a window and an event of it, its ORDER BY included. */
static NativeCost
native_cost(const FsAggregate *aggregate)
{
	NativeCost	cost = unordered_cost(aggregate);

	if (aggregate->kind != FS_AGG_ORDERED || aggregate->nkeys == 0)
		return cost;
	cost.window_us += 0.2;
	cost.event_us += get_typbyval(aggregate->keys[0].type) ? SORT_US : SORT_REFERENCE_US;
	return cost;
}

/* Bytes of a kept value. */
static double
value_bytes(const FsColumn *column)
{
	if (fs_type_is_bytes(column->type))
		return 2.5;				/* a dictionary code */
	switch (column->typid)
	{
		case BOOLOID:
			return 1;
		case FLOAT4OID:
			return 4;
		case FLOAT8OID:
		case TIMESTAMPTZOID:
			return 8;
		default:
			return get_typlen(column->typid) <= 2 ? 2 : 3;
	}
}

/* Slides in the longest window: records that a sliced view keeps of an entity at most. */
static double
slides(const FsViewDef *view)
{
	return (double) fs_view_max_window(view) / view->slide;
}

/* Events of the windows of a row, all added up, when the longest has 'events'. */
static double
window_events(const FsViewDef *view, double events)
{
	double		sum = 0;

	for (int i = 0; i < view->nwindows; i++)
		sum += events * view->windows[i] / fs_view_max_window(view);
	return sum;
}

/* Adds the values of one kept input, unless they are paid for. */
static void
add_kept(const FsViewDef *view, int index, bool *kept, FsCost *cost)
{
	const FsInput *input;

	if (index < 0 || kept[index])
		return;
	kept[index] = true;
	input = &view->inputs[view->kept[index]];
	cost->bytes_per_event += value_bytes(&input->column) * CHUNK_FILL;
	cost->event_us += KEEP_US + (input->expr != NULL ? EXPRESSION_US : 0);
}

/* A replayed aggregate: its columns, and the executor. */
static void
add_replay(const FsViewDef *view, const FsStreamDef *stream, const FsAggregate *aggregate, double events,
		   bool *kept, FsCost *cost)
{
	Bitmapset  *attnums = NULL;
	int			ncolumns = 0;
	bool		first = true;

	pull_varattnos((Node *) aggregate->aggref, 1, &attnums);
	for (int i = 0; i < view->nkept; i++)
	{
		AttrNumber	attnum = fs_view_kept(view, i)->attnum;

		if (attnum <= 0 || !bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, attnums))
			continue;
		ncolumns += kept[i] ? 0 : 1;
		add_kept(view, i, kept, cost);
	}
	for (const FsAggregate *before = view->aggregates; before < aggregate; before++)
		first &= before->kind != FS_AGG_REPLAY;

	/* One run of the executor serves all replayed aggregates of a window. */
	cost->row_us = window_events(view, events) *
		(REPLAY_STEP_US + REPLAY_VALUE_US * ncolumns + (first ? REPLAY_EVENT_US : 0) +
		 (aggregate->aggref->aggorder != NIL || aggregate->aggref->aggdistinct != NIL ? REPLAY_SORT_US : 0)) +
		(first ? REPLAY_US * view->nwindows + GUARD_US : 0);
}

/* Bytes that a record of a sliced view takes for an aggregate. */
static double
state_bytes(const FsViewDef *view, int index, double events)
{
	int			ncells = fs_view_state_cells(view, index);

	if (view->aggregates[index].partial_kind >= FS_PARTIAL_DISTINCT)
		return ncells * (events > slides(view) ? SET_BYTES : VALUE_BYTES);
	return ncells * CELL_BYTES * CHUNK_FILL;
}

/* Are there events enough, in a view that keeps states of slides, that most are in these? */
static bool
is_mostly_states(const FsViewDef *view, double events)
{
	return view->is_condensed &&
		events * EVENT_BYTES * CHUNK_FILL > slides(view) * (RECORD_BYTES + STATE_BYTES * view->naggregates);
}

/* An aggregate of a view that keeps partial aggregates, or events. */
static FsCost
aggregate_cost(const FsViewDef *view, const FsStreamDef *stream, int index, double events, bool *kept)
{
	const FsAggregate *aggregate = &view->aggregates[index];
	FsCost		cost = {0};
	NativeCost	native;

	Assert(index < view->naggregates);
	if (aggregate->kind == FS_AGG_REPLAY)
	{
		add_replay(view, stream, aggregate, events, kept, &cost);
		return cost;
	}
	native = native_cost(aggregate);
	if (view->is_sliced)
	{
		cost.bytes_per_key = state_bytes(view, index, events) * Min(slides(view), events);
		cost.event_us = KEEP_US;
		events = Min(slides(view), events);
	}
	else
	{
		for (int i = 0; i < aggregate->nargs; i++)
			add_kept(view, aggregate->args[i].kept, kept, &cost);
		for (int i = 0; i < aggregate->nkeys; i++)
			add_kept(view, aggregate->keys[i].kept, kept, &cost);
		add_kept(view, aggregate->filter, kept, &cost);
	}
	cost.row_us = native.window_us * view->nwindows + native.event_us * window_events(view, events);
	return cost;
}

/* Microseconds to combine a state of an aggregate. */
static double
state_us(const FsAggregate *aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggref->aggfnoid));
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate->aggref->aggfnoid);
	type = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggtranstype;
	ReleaseSysCache(tuple);
	return type == INTERNALOID ? STATE_INTERNAL_US : STATE_US;
}

/* See cost.h. */
FsCost
fs_cost_aggregate(const FsViewDef *view, const FsStreamDef *stream, int index, double events, bool *kept)
{
	FsCost		cost = aggregate_cost(view, stream, index, events, kept);

	if (is_mostly_states(view, events))
	{
		cost.bytes_per_key = STATE_BYTES * slides(view);
		cost.bytes_per_event = 0;
		cost.row_us = state_us(&view->aggregates[index]) * window_events(view, slides(view));
	}
	return cost;
}

/* See cost.h. */
FsCost
fs_cost_base(const FsViewDef *view, const FsStreamDef *stream, double events)
{
	FsCost		cost = {0};
	bool		has_states = is_mostly_states(view, events);
	double		records = view->is_sliced || has_states ? Min(slides(view), events) : events;
	Size		key = 0;

	for (int i = 0; i < view->nentity; i++)
		key += fs_type_is_bytes(fs_view_entity(view, i)->type) ? 16 : 8;
	cost.bytes_per_key = fs_arena_chunk_size(offsetof(FsEntity, key) + key) + FS_CHUNK_FIRST / 2 +
		2 * sizeof(FsHandle) +
		sizeof(uint32) * Min(events, (double) fs_view_max_window(view) / stream->slice);
	if (view->is_sliced)
		cost.bytes_per_key += EVENT_BYTES * CHUNK_FILL * records;
	else if (has_states)
		cost.bytes_per_key += RECORD_BYTES * records;
	else
		cost.bytes_per_event = EVENT_BYTES * CHUNK_FILL;
	cost.event_us = FOLD_US + (view->where != NULL ? EXPRESSION_US : 0) + list_length(view->guards) * EXPRESSION_US;
	cost.row_us = ROW_US + ROW_EVENT_US * records + (view->history_mode == FS_HISTORY_ALL ? HISTORY_US : 0);
	for (int i = 0; i < view->nfeatures; i++)
		if (view->features[i].expr != NULL)
			cost.row_us += FEATURE_US * view->nwindows;
	if (view->may_raise && view->nreplayed == 0)
		cost.row_us += GUARD_US;
	return cost;
}

static void
add_cost(FsCost *sum, const FsCost *cost)
{
	sum->bytes_per_key += cost->bytes_per_key;
	sum->bytes_per_event += cost->bytes_per_event;
	sum->event_us += cost->event_us;
	sum->row_us += cost->row_us;
}

double
fs_cost_events(const FsViewDef *view, const FsCostLoad *load)
{
	if (!load->known || load->entities < 1)
		return FS_COST_EVENTS;
	return Max(load->events_per_second * fs_view_max_window(view) / USECS_PER_SEC / load->entities, 1);
}

/* See cost.h. */
void
fs_cost_estimate(const FsViewDef *view, const FsStreamDef *stream, const FsCostLoad *load,
				 FsCostEstimate *estimate)
{
	bool	   *kept = palloc0(sizeof(bool) * Max(view->nkept, 1));
	double		in_window = load->events_per_second * fs_view_max_window(view) / USECS_PER_SEC;

	Assert(load->known);
	estimate->events_per_row = fs_cost_events(view, load);
	estimate->unit = fs_cost_base(view, stream, estimate->events_per_row);
	for (int i = 0; i < view->naggregates; i++)
	{
		FsCost		cost = fs_cost_aggregate(view, stream, i, estimate->events_per_row, kept);

		add_cost(&estimate->unit, &cost);
	}
	estimate->memory_bytes = load->entities * estimate->unit.bytes_per_key +
		in_window * estimate->unit.bytes_per_event;
	estimate->cpu_share = (load->events_per_second * estimate->unit.event_us +
						   load->rows_per_second * estimate->unit.row_us) / USECS_PER_SEC;
	pfree(kept);
}

/* Statistics of the stream's live worker; NULL when there is none. */
static FsSharedStats *
copy_stats(Oid stream)
{
	pid_t		pid = 0;
	FsSharedStats *stats = fs_shared == NULL ? NULL : fs_stats_copy(MyDatabaseId, stream, &pid, NULL, NULL);

	return pid == 0 ? NULL : stats;
}

/* Do the two views have the same entities? */
static bool
same_entities(const FsViewDef *a, const FsViewDef *b)
{
	if (a->nentity != b->nentity)
		return false;
	for (int i = 0; i < a->nentity; i++)
	{
		const FsInput *x = &a->inputs[a->entity[i]];
		const FsInput *y = &b->inputs[b->entity[i]];

		if (x->stream_column != y->stream_column || !equal(x->expr, y->expr))
			return false;
	}
	return true;
}

/* Entities that a view would have: those of one like it, or the most there are. */
static double
guess_entities(const FsViewDef *view, const FsSharedStats *stats)
{
	List	   *others = fs_view_list(view->stream);
	double		most = 0;
	ListCell   *lc;

	for (int i = 0; i < stats->nviews; i++)
	{
		most = Max(most, stats->views[i].entities);
		foreach(lc, others)
			if (((FsViewDef *) lfirst(lc))->relid == stats->views[i].relid && same_entities(lfirst(lc), view))
				return stats->views[i].entities;
	}
	return most;
}

/* A row an entity and slide, but not more than events that enter or leave a window. */
static double
guess_rows(const FsViewDef *view, const FsCostLoad *load)
{
	double		slide = (double) view->slide / USECS_PER_SEC;

	return Min(load->entities, load->events_per_second * slide * (1 + view->nwindows)) / slide;
}

/* See cost.h. */
void
fs_cost_load(const FsViewDef *view, FsCostLoad *load)
{
	FsSharedStats *stats = copy_stats(view->stream);
	const FsSharedView *own = NULL;

	memset(load, 0, sizeof(FsCostLoad));
	if (stats == NULL || stats->events_per_second < 0)
		return;
	for (int i = 0; i < stats->nviews; i++)
		if (OidIsValid(view->relid) && stats->views[i].relid == view->relid)
			own = &stats->views[i];
	load->known = true;
	load->events_per_second = own != NULL && own->events_per_second >= 0 ? own->events_per_second :
		stats->events_per_second;
	load->entities = own != NULL ? own->entities : guess_entities(view, stats);
	load->rows_per_second = own != NULL && own->rows_per_second >= 0 ? own->rows_per_second :
		guess_rows(view, load);
	pfree(stats);
}

static void
warn_cpu(const FsViewDef *view, const FsStreamDef *stream, double share, const FsCostLoad *load)
{
	ereport(WARNING,
			(errmsg("the feature views of stream %s need more than the one core of its worker", stream->name),
			 errdetail("With \"%s\", which would have %.0f events and %.0f rows a second, they need about %.1f cores.",
					   view->name, load->events_per_second, load->rows_per_second, share),
			 errhint("feature_stream.explain_feature_view() shows what costs how much; a larger slide makes fewer rows.")));
}

static void
warn_memory(const FsViewDef *view, double bytes)
{
	ereport(WARNING,
			(errmsg("feature view \"%s\" does not fit into \"feature_stream.memory\"", view->name),
			 errdetail("Its windows and those of the stream's other views need about %lld MB, there are %lld.",
					   (long long) (bytes / (1024 * 1024)), (long long) (fs_arena_total() / (1024 * 1024))),
			 errhint("Increase \"feature_stream.memory\", or choose shorter windows.")));
}

/* Load of all views that the stream has, in shares of a core. */
static double
current_share(const FsViewDef *view, const FsStreamDef *stream)
{
	double		share = 0;
	List	   *others = fs_view_list(stream->relid);
	ListCell   *lc;

	foreach(lc, others)
	{
		FsViewDef  *other = lfirst(lc);
		FsCostEstimate estimate;
		FsCostLoad	load;

		if (other->relid == view->relid)
			continue;
		fs_cost_load(other, &load);
		if (!load.known)
			continue;
		fs_cost_estimate(other, stream, &load, &estimate);
		share += estimate.cpu_share;
	}
	return share;
}

/* Memory that the view takes as it was before, which is in use already. */
static double
former_memory(const FsViewDef *former, const FsStreamDef *stream, const FsCostLoad *load)
{
	FsCostEstimate estimate;

	if (former == NULL)
		return 0;
	fs_cost_estimate(former, stream, load, &estimate);
	return estimate.memory_bytes;
}

/* See cost.h. */
void
fs_cost_check(const FsViewDef *view, const FsViewDef *former, const FsStreamDef *stream)
{
	FsSharedStats *stats = copy_stats(stream->relid);
	FsCostEstimate estimate;
	FsCostLoad	load;
	double		share;
	double		others;

	Assert(former == NULL || former->relid == view->relid);
	fs_cost_load(view, &load);
	if (stats == NULL || !load.known)
		return;
	fs_cost_estimate(view, stream, &load, &estimate);
	share = estimate.cpu_share + current_share(view, stream) + stats->events_per_second * READ_US / USECS_PER_SEC;
	if (share > 1)
		warn_cpu(view, stream, share, &load);
	others = Max(stats->memory_used - former_memory(former, stream, &load), 0);
	if (estimate.memory_bytes + others > fs_arena_total())
		warn_memory(view, estimate.memory_bytes + others);
	pfree(stats);
}
