/*
 * upkeep.c
 *		Partitions of one database: made ahead, dropped after retention.
 *
 * Three families of tables: the event log of each stream (dropped behind what
 * recovery needs of it), the history of each view, and the dead letters.  "Now"
 * for the first two is the stream's durable frontier, since that is event time.
 * Beside them, what a worker wrote of a feature view while that was dropped.
 * Each table is looked after by itself: what is wrong with one is reported and
 * does not hold up the others.  An ingest worker that is ahead of us makes the
 * partitions it needs itself.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/feature_view.h"
#include "catalog/stream.h"
#include "ground/clock.h"
#include "ground/transaction.h"
#include "offline/partition.h"
#include "pipeline/backread.h"
#include "state/event_log.h"
#include "state/query.h"
#include "worker/process.h"
#include "worker/upkeep.h"
#include "worker/wakeup.h"

#define MAX_AHEAD 8

/* A table and what it needs; 0 <= nahead <= MAX_AHEAD. */
typedef struct Chore
{
	Oid			parent;
	int64		span;
	FsTime		ahead[MAX_AHEAD];
	int			nahead;
	FsTime		drop_before;	/* FS_TIME_MIN: nothing is to be dropped */
} Chore;

/* What is known of one stream, for which chores are planned. */
typedef struct StreamPlan
{
	Oid			relid;
	FsTime		frontier;		/* durable event time; FS_TIME_MIN: none yet */
	FsTime		log_before;		/* the log is not needed before this */
	List	   *views;			/* Oids */
} StreamPlan;

/* One round; lives in 'context'. */
typedef struct Round
{
	MemoryContext context;
	List	   *streams;		/* Oids */
	List	   *chores;
	FsTime		longest_dead_letters;	/* retention; -1: for ever, or not known */
	FsTime		dead_letters_before;	/* go; FS_TIME_MIN: none */
	Oid			stream;			/* that plan_stream is to plan */
	bool		complete;
} Round;

/* Relation of that name in our schema, InvalidOid if there is none. */
static Oid
find_own_relation(const char *name)
{
	Oid			schema = get_namespace_oid("feature_stream", true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

/* 'before' minus a span, without overflow. */
static FsTime
time_minus(FsTime t, int64 span)
{
	return t == FS_TIME_MIN || t < FS_TIME_MIN + span ? FS_TIME_MIN : t - span;
}

/* Adds a chore; from 'start' on 'nahead' partitions are made. */
static void
add_chore(Round *round, Oid parent, int64 span, FsTime start, int nahead, FsTime drop_before)
{
	MemoryContext old = MemoryContextSwitchTo(round->context);
	Chore	   *chore = palloc0(sizeof(Chore));

	Assert(nahead >= 0 && nahead <= MAX_AHEAD);
	chore->parent = parent;
	chore->span = span;
	chore->drop_before = drop_before;
	if (start != FS_TIME_MIN)
	{
		chore->nahead = nahead;
		for (int i = 0; i < nahead; i++)
			chore->ahead[i] = start + i * span;
	}
	round->chores = lappend(round->chores, chore);
	MemoryContextSwitchTo(old);
}

/* Durable event time of a stream: its frontier, or its watermark before anything fired. */
static FsTime
read_frontier(Oid stream)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(stream)};
	FsTime		frontier;

	SPI_connect();
	fs_query_read("SELECT pg_catalog.min(COALESCE(frontier, watermark))"
				  " FROM feature_stream.stream_state WHERE stream = $1",
				  1, types, values);
	frontier = fs_query_time(0, 1);
	SPI_finish();
	return TIMESTAMP_NOT_FINITE(frontier) ? FS_TIME_MIN : frontier;
}

/*
 * Deletes rows about event time the log does not hold any more.  Nothing to
 * delete takes no transaction id.
 */
static void
delete_old_rows(const StreamPlan *plan)
{
	Oid			types[] = {OIDOID, TIMESTAMPTZOID};
	Datum		values[] = {ObjectIdGetDatum(plan->relid), TimestampTzGetDatum(plan->log_before)};
	ListCell   *lc;

	if (plan->log_before == FS_TIME_MIN)
		return;
	SPI_connect();
	fs_query_run("DELETE FROM feature_stream.partition_wakeup WHERE stream = $1 AND watermark < $2",
				 SPI_OK_DELETE, 2, types, values, NULL);
	foreach(lc, plan->views)
	{
		values[0] = ObjectIdGetDatum(lfirst_oid(lc));
		fs_query_run("DELETE FROM feature_stream.firing WHERE view = $1 AND window_end < $2",
					 SPI_OK_DELETE, 2, types, values, NULL);
		fs_query_run("DELETE FROM feature_stream.backfill WHERE view = $1 AND until < $2"
					 " AND state <> 'pending'",
					 SPI_OK_DELETE, 2, types, values, NULL);
		fs_query_run("DELETE FROM feature_stream.view_alteration WHERE view = $1 AND until < $2"
					 " AND state <> 'pending'",
					 SPI_OK_DELETE, 2, types, values, NULL);
	}
	SPI_finish();
}

/*
 * Puts off the end of the log for a view some of whose rows are still to come
 * from it, but by no more than the gap's limit.
 */
static FsTime
hold_log(const FsViewDef *view, FsTime before)
{
	Oid			types[] = {OIDOID, TIMESTAMPTZOID, INTERVALOID};
	Interval	reach = {.time = fs_view_max_window(view) + view->slide};
	Datum		values[] = {ObjectIdGetDatum(view->relid), TimestampTzGetDatum(before), IntervalPGetDatum(&reach)};

	if (before == FS_TIME_MIN)
		return before;
	SPI_connect();
	fs_query_read("SELECT min(GREATEST(COALESCE(h.fired, '-infinity') - $3, $2 - h.hold)) FROM"
				  " (SELECT COALESCE(done_upto, after), hold FROM feature_stream.backfill"
				  " WHERE view = $1 AND state = 'pending' UNION ALL"
				  " SELECT done_upto, hold FROM feature_stream.view_alteration"
				  " WHERE view = $1 AND state = 'pending' UNION ALL"
				  " SELECT paused_after, paused_hold FROM feature_stream.view_state"
				  " WHERE view = $1 AND paused UNION ALL"
				  " SELECT NULL, hold FROM feature_stream.backread"
				  " WHERE view = $1 AND state <> 'done') h (fired, hold)",
				  3, types, values);
	if (!fs_query_is_null(0, 1))
		before = Min(before, fs_query_time(0, 1));
	SPI_finish();
	return before;
}

/* The history's rows that are to be exported stay; those before are in the lake. */
static FsTime
hold_history(const FsViewDef *view, FsTime before)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(view->relid)};

	if (before == FS_TIME_MIN || !OidIsValid(view->offline_server))
		return before;
	SPI_connect();
	fs_query_read("SELECT min(first_window_end) FROM feature_stream.lake_chunk WHERE view = $1", 1, types, values);
	if (!fs_query_is_null(0, 1))
		before = Min(before, fs_query_time(0, 1));
	SPI_finish();
	return before;
}

/* Plans the history of a view: today's partition and the next one, and its retention. */
static void
plan_history(Round *round, const StreamPlan *plan, const FsViewDef *view)
{
	FsTime		before = FS_TIME_MIN;

	if (!OidIsValid(view->history) || get_rel_relkind(view->history) != RELKIND_PARTITIONED_TABLE)
		return;
	if (view->history_retention > 0)
		before = hold_history(view, time_minus(plan->frontier, view->history_retention));
	add_chore(round, view->history, FS_HISTORY_PARTITION_SPAN, plan->frontier, 2, before);
}

/* Plans the tables of round->stream.  The argument is the Round. */
static void
plan_stream(void *arg)
{
	Round	   *round = arg;
	StreamPlan	plan = {.relid = round->stream};
	FsStreamDef *stream;
	int64		needed = 0;
	FsTime		before = FS_TIME_MAX;
	List	   *views;
	Oid			log;
	ListCell   *lc;

	fs_transaction_begin();
	stream = fs_stream_load(round->stream);
	plan.frontier = read_frontier(round->stream);
	views = fs_view_list(round->stream);
	foreach(lc, views)
	{
		FsViewDef  *view = lfirst(lc);

		plan.views = lappend_oid(plan.views, view->relid);
		needed = Max(needed, 2 * fs_view_max_window(view) + view->slide);
		plan_history(round, &plan, view);
	}
	plan.log_before = time_minus(plan.frontier, needed + stream->log_retention);
	foreach(lc, views)
		before = Min(before, hold_log(lfirst(lc), plan.log_before));
	plan.log_before = Min(plan.log_before, before);
	log = fs_event_log_relation(round->stream);
	if (OidIsValid(log))
		add_chore(round, log, FS_LOG_PARTITION_SPAN, plan.frontier, 3, plan.log_before);
	delete_old_rows(&plan);
	if (fs_backread_plan(round->stream, plan.log_before))
		fs_ddl_touch_stream(round->stream);
	if (stream->dead_letter_retention <= 0)
		round->longest_dead_letters = -1;
	else if (round->longest_dead_letters >= 0)
		round->longest_dead_letters = Max(round->longest_dead_letters, stream->dead_letter_retention);
	fs_transaction_end(round->context);
}

/* Dead letters that are still to be sent to a topic stay: the oldest of them, or 'before' when that is older. */
static FsTime
find_unsent(FsTime before)
{
	FsTime		oldest;

	SPI_connect();
	fs_query_read("SELECT pg_catalog.min(recorded_at) FROM feature_stream.dead_letter_unsent WHERE error IS NULL",
				  0, NULL, NULL);
	oldest = fs_query_time(0, 1);
	SPI_finish();
	return oldest == FS_TIME_MIN ? before : Min(oldest, before);
}

/*
 * Plans the dead letters: all streams share them, so the longest retention
 * counts.  One that is not known, since its stream is broken, keeps them all.
 */
static void
plan_dead_letters(void *arg)
{
	Round	   *round = arg;
	FsTime		now = fs_clock_now();
	FsTime		before = FS_TIME_MIN;
	Oid			table;

	fs_transaction_begin();
	table = find_own_relation("dead_letter");
	if (OidIsValid(table) && round->streams != NIL && round->complete && round->longest_dead_letters > 0)
		before = find_unsent(time_minus(now, round->longest_dead_letters));
	fs_transaction_end(round->context);
	if (!OidIsValid(table))
		return;
	round->dead_letters_before = before;
	add_chore(round, table, FS_DEAD_LETTER_PARTITION_SPAN, now - FS_USEC_PER_DAY, 4, before);
}

/*
 * Deletes what became of dead letters that are gone, and how many were not stored.  One that is still
 * requested is the ingest worker's to mark.  The argument is the Round.
 */
static void
forget_outcomes(void *arg)
{
	Round	   *round = arg;
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(round->dead_letters_before)};

	if (round->dead_letters_before == FS_TIME_MIN)
		return;
	fs_transaction_begin();
	SPI_connect();
	fs_query_run("DELETE FROM feature_stream.dead_letter_outcome o WHERE recorded_at < $1"
				 " AND outcome <> 'requested' AND NOT EXISTS (SELECT FROM feature_stream.dead_letter d"
				 " WHERE d.stream = o.stream AND d.partition = o.partition"
				 " AND d.\"offset\" = o.\"offset\" AND d.recorded_at = o.recorded_at)",
				 SPI_OK_DELETE, 1, types, values, NULL);
	fs_query_run("DELETE FROM feature_stream.dead_letter_overflow WHERE recorded_at < $1",
				 SPI_OK_DELETE, 1, types, values, NULL);
	fs_query_run("DELETE FROM feature_stream.dead_letter_unsent WHERE recorded_at < $1 AND error IS NOT NULL",
				 SPI_OK_DELETE, 1, types, values, NULL);
	SPI_finish();
	fs_transaction_end(round->context);
}

/* Lists the streams.  The argument is the Round. */
static void
plan_round(void *arg)
{
	Round	   *round = arg;
	List	   *streams;

	fs_transaction_begin();
	streams = fs_stream_list();
	MemoryContextSwitchTo(round->context);
	round->streams = list_copy(streams);
	fs_transaction_end(round->context);
}

/* Makes the partitions of a chore.  The argument is the Chore. */
static void
make_ahead(void *arg)
{
	Chore	   *chore = arg;
	MemoryContext context = CurrentMemoryContext;

	fs_transaction_begin();
	if (OidIsValid(chore->parent) && get_rel_name(chore->parent) != NULL)
		(void) fs_partition_ensure(chore->parent, chore->span, chore->ahead, chore->nahead);
	fs_transaction_end(context);
}

/*
 * Deletes rows about feature views that are gone.  A drop deletes what it sees:
 * not what the stream's worker is writing at that moment.  No argument.
 */
static void
forget_dropped(void *arg)
{
	static const char *const tables[] = {"firing", "view_state", "backfill", "lake_chunk", "lake_upkeep"};
	MemoryContext context = CurrentMemoryContext;

	fs_transaction_begin();
	if (OidIsValid(find_own_relation("feature_view")))
	{
		SPI_connect();
		for (int i = 0; i < lengthof(tables); i++)
			fs_query_run(psprintf("DELETE FROM feature_stream.%s t WHERE NOT EXISTS"
								  " (SELECT FROM feature_stream.feature_view v WHERE v.view = t.view)", tables[i]),
						 SPI_OK_DELETE, 0, NULL, NULL, NULL);
		SPI_finish();
	}
	fs_transaction_end(context);
}

/* Drops the expired partitions of a chore.  The argument is the Chore. */
static void
drop_expired(void *arg)
{
	Chore	   *chore = arg;

	if (chore->drop_before != FS_TIME_MIN)
		(void) fs_partition_drop_before(chore->parent, chore->drop_before);
}

/* See upkeep.h. */
bool
fs_upkeep_run(void)
{
	Round		round = {.dead_letters_before = FS_TIME_MIN};
	ListCell   *lc;
	bool		complete;

	round.context = CurrentMemoryContext;
	round.complete = fs_process_try(plan_round, &round);
	foreach(lc, round.streams)
	{
		round.stream = lfirst_oid(lc);
		round.complete &= fs_process_try(plan_stream, &round);
	}
	complete = fs_process_try(plan_dead_letters, &round) && round.complete;
	complete &= fs_process_try(forget_dropped, NULL);
	foreach(lc, round.chores)
	{
		CHECK_FOR_INTERRUPTS();
		complete &= fs_process_try(make_ahead, lfirst(lc));
		complete &= fs_process_try(drop_expired, lfirst(lc));
	}
	complete &= fs_process_try(forget_outcomes, &round);
	return complete;
}
