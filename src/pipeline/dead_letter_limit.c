/*
 * dead_letter_limit.c
 *		An alert when too many records are dead letters; see dead_letter_limit.h.
 *
 * The span of the limit slides in FS_LIMIT_STEPS steps.  It is judged as soon as
 * the worker has seen all of one; an alert ends when it was kept for another.  Time is the real one: what is told is how
 * bad the stream is now.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "catalog/extension.h"
#include "ground/clock.h"
#include "ground/transaction.h"
#include "pipeline/dead_letter_limit.h"

#define CHANNEL "feature_stream"

/* Records read in the worker's life, and before. */
static int64
total_read(const FsShard *shard)
{
	int64		total = 0;

	for (int i = 0; i < shard->npartitions; i++)
		total += shard->partitions[i].read_count;
	return total;
}

/* Ends a step, when its time has come; true when it did. */
static bool
end_step(FsShard *shard)
{
	FsDeadLetterLimit *limit = &shard->limit;
	int64		now = fs_clock_monotonic();
	int			step = (int) (limit->steps % FS_LIMIT_STEPS);

	if (limit->began == 0)
	{
		limit->began = now;
		limit->read_before = total_read(shard);
		limit->refused_before = limit->refused;
	}
	if (now - limit->began < shard->def->dead_letter_limit_span / FS_LIMIT_STEPS)
		return false;
	limit->step_read[step] = total_read(shard) - limit->read_before;
	limit->step_refused[step] = limit->refused - limit->refused_before;
	limit->read_before += limit->step_read[step];
	limit->refused_before = limit->refused;
	limit->began = now;
	limit->steps++;
	return true;
}

/* Tells who listens; in a transaction. */
static void
notify(const FsShard *shard, const char *event, const char *message)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"stream\": ");
	escape_json(&json, shard->def->name);
	appendStringInfo(&json, ", \"event\": \"%s\", \"message\": ", event);
	escape_json(&json, message);
	appendStringInfoChar(&json, '}');
	Async_Notify(CHANNEL, json.data);
}

/* The same in a transaction of its own. */
static void
notify_alone(const FsShard *shard, const char *event, const char *message)
{
	MemoryContext context = CurrentMemoryContext;

	fs_transaction_begin();
	notify(shard, event, message);
	fs_transaction_end(context);
}

/*
 * Pauses the stream, as pause_stream() does, and says why for as long as it is; the
 * pipeline ends with the generation.  Nobody waits for a user's transaction that holds
 * the row: false then.
 */
static bool
pause_stream(FsShard *shard)
{
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2] = {ObjectIdGetDatum(shard->def->relid)};
	MemoryContext context = CurrentMemoryContext;
	bool		done;

	Assert(shard->limit.alert[0] != '\0');
	fs_transaction_begin();
	values[1] = CStringGetTextDatum(shard->limit.alert);
	done = fs_owner_execute("WITH free AS (SELECT stream FROM feature_stream.stream_definition"
							" WHERE stream = $1 FOR UPDATE SKIP LOCKED)"
							" UPDATE feature_stream.stream_definition d SET paused = true, alert = $2"
							" FROM free WHERE d.stream = free.stream",
							SPI_OK_UPDATE, 2, types, values, NULL) > 0;
	if (done)
		notify(shard, "paused", shard->limit.alert);
	fs_transaction_end(context);
	if (done)
		pg_atomic_fetch_add_u64(&shard->slot->generation, 1);
	return done;
}

/* Raises the alert. */
static void
raise_alert(FsShard *shard, int64 refused, int64 read)
{
	snprintf(shard->limit.alert, sizeof(shard->limit.alert),
			 "%lld of %lld records are dead letters, more than %g %%",
			 (long long) refused, (long long) read, shard->def->dead_letter_limit);
	ereport(WARNING,
			(errmsg("stream %s: %s", shard->def->name, shard->limit.alert),
			 errhint("See feature_stream.dead_letter_summary.")));
	notify_alone(shard, "dead_letter_limit", shard->limit.alert);
}

/* Ends it. */
static void
end_alert(FsShard *shard)
{
	ereport(LOG,
			(errmsg("stream %s: dead letters are no more than %g %% of its records again",
					shard->def->name, shard->def->dead_letter_limit)));
	notify_alone(shard, "dead_letter_limit_ended", "");
	shard->limit.alert[0] = '\0';
}

/* See dead_letter_limit.h. */
void
fs_dead_letter_limit_check(FsShard *shard)
{
	FsDeadLetterLimit *limit = &shard->limit;
	bool		is_raised = limit->alert[0] != '\0';
	int64		read = 0;
	int64		refused = 0;
	bool		exceeded;

	Assert(!IsTransactionState());
	if (shard->def->dead_letter_limit_span == 0 || !end_step(shard) || limit->steps < FS_LIMIT_STEPS)
		return;
	for (int i = 0; i < FS_LIMIT_STEPS; i++)
	{
		read += limit->step_read[i];
		refused += limit->step_refused[i];
	}
	Assert(refused >= 0 && refused <= read);
	exceeded = refused * 100.0 > read * shard->def->dead_letter_limit;
	if (exceeded)
		limit->exceeded_at = limit->steps;
	if (exceeded && !is_raised)
		raise_alert(shard, refused, read);
	else if (is_raised && limit->steps - limit->exceeded_at >= FS_LIMIT_STEPS)
		end_alert(shard);
	if (exceeded && shard->def->pause_on_limit)
		(void) pause_stream(shard);
}
