/*
 * feature_stream.c
 *		Where PostgreSQL enters: settings, shared memory, hooks, the launcher.
 *
 * Nothing calls into this file.  All others, in reading order; a folder's files
 * include only headers of their own and of folders further down this list:
 *
 *	pipeline/	The data's way, in one ingest worker.  Read this first.
 *		pipeline.c			the loop of an ingest worker, in verbs
 *		shard.c				making a shard: definitions, arena, dictionaries, rings
 *		partitions.c		the partitions of a shard: where they stand, which is next
 *		contract.c, contract_expressions.c	from record to event by the stream's data contract
 *		inputs.c			what feature views evaluate of each event
 *		admit.c				which events count, judged by the data alone
 *		dead_letters.c		those that do not
 *		dead_letter_replay.c	those that come back
 *		correction.c, corrected.c	those that windows count which have fired: in memory, and to recovery
 *		dead_letter_limit.c	when they are too many
 *		fold.c				an accepted event becomes state
 *		fire.c, collect.c	window ends that are due: entities, their rows
 *		prune.c				what no window needs any more
 *		row.c, features.c	the feature row of one entity at one window end; slow.c: parts that run out of time
 *		aggregate*.c, partial*.c, replay.c	one aggregate: over events, over slides, by the executor
 *		ephemeral_plan.c, states.c, condense.c	its plans; states that are combined, in the place of events
 *		entity_key.c, values.c			keys and values, between core and Datums
 *		encode_json.c, encode_avro.c	columns as the JSON or Avro of a record, for INSERT
 *		log_columns.c		events of the log by the columns that the stream has now
 *		checkpoint.c, checkpoint_state.c, pace.c	one transaction that makes all of it durable together
 *		publish.c, online_key.c, left.c	rows in force, to the online store
 *		recover*.c			from the tables back to memory: positions, log, rows in force
 *		gap.c				window ends that a view does not fire when they are due
 *		stuck.c				views that are set aside, since their expressions do not end
 *		history_writer.c	rows into the history, where its columns are
 *		backread.c, backread_step.c, backread_write.c
 *							older events for one view, from the topic
 *		backfill.c			their rows for the history, from the log
 *		alteration.c		columns of features that were added, for rows that the history has
 *		correction_plan.c, correction_rows.c	rows of the history that are corrected
 *		lake_export.c, lake_evolve.c, lake_state.c, lake_duty.c	the history's rows into a lake, exactly once
 *		batch*.c			the same rows from the log, by PostgreSQL's executor
 *		report.c			what the shard knows, told to the stat_* views
 *	worker/		Process life.
 *		launcher.c			finds databases with the extension; the only starter of workers
 *		ingest_worker.c		the owner of a stream's shard
 *		export_worker.c		says which streams of a database are to run
 *		backfill_worker.c	fills gaps of histories, and corrects them
 *		lake_worker.c		exports histories to lakes
 *		upkeep.c			partitions made ahead and dropped, for the export worker
 *		database_worker.c	the place of a worker that a database has one of
 *		topic_link.c, topic_place.c, topic_reader.c, topic_sender.c	a topic for SELECT and INSERT, by a worker that the backend starts
 *		process.c			signals, connection, settings, error capture of them all
 *		wakeup.c			tells workers at commit what DDL changed
 *		utility_hook.c		keeps workers out of the way of DROP DATABASE and the like
 *	sql/		What SQL calls, one file a subject.
 *		dead_letters.c		replaying and discarding dead letters
 *		streams.c, stream_fdw.c, stream_scan.c, stream_bounds.c (SELECT on a stream),
 *		stream_insert.c, stream_outbox.c (INSERT), stream_events.c, column_guard.c, fdw_validators.c
 *		feature_views.c, pause.c, registry.c, schema*.c, import_*.c, view_*.c (SELECT on a feature view),
 *		event_log.c, test_event.c (one event by the stream's contract), print_payload.c
 *		preview.c, verify*.c, explain_feature.c (over batches), refused_events.c, candidate.c,
 *		explain_view.c, batch_output.c, found_rows.c, compare.c, json_row.c
 *		statistics.c, access.c, arguments.c, test_clock.c
 *		aggregate_*.c				the extension's own aggregates
 *	source/		Where records come from, behind the operations of source.h.
 *		kafka*.c, table*.c, topic_message.c
 *	online/		The online store, behind the operations of online.h.
 *		redis*.c
 *	offline/	Tables partitioned by time, and lakes.
 *		partition.c			create ahead, drop after retention
 *		table_writer.c, table_width.c	fast inserts, as COPY does them
 *		object_store.c, object_*.c	where files of a lake are
 *		lake_silence.c		servers that have not answered in time
 *		lake_table.c, lake_rows.c, lake_spill.c, lake_value.c, lake_catalog.c	a table there: files, rows, values, its pointer
 *	catalog/	From catalog rows to structs, and back.
 *		stream*.c, contract_version.c, payload.c, *_schema*.c, start.c, server.c, options.c, *_options.c, option_hint.c
 *		feature_view.c, compile*.c, definition*.c, as_of.c, lineage.c, view_columns.c,
 *		window.c, online_key.c, pinned.c, cost.c
 *		stand_in*.c, ephemeral.c	the query over given events, in PostgreSQL's own executor
 *		run_as.c, guard.c	as the view's owner, with pinned settings; errors contained
 *		lake.c, lake_columns.c	feature views that are exported
 *		extension.c			writing the extension's own tables for any user
 *	state/		What is shared, and what is kept in it.
 *		shared.c			slots and statistics of databases and streams
 *		arena.c				the memory of all window state
 *		table.c, dictionary.c, ring.c, entity*.c, event_set.c, value_set.c, blob.c, touch.c	what is built in the arena
 *		event_log.c			reading the tables of segments
 *		query.c				queries on the extension's own tables
 *	core/		Plain C without PostgreSQL: times, slices, decoding, encoding.
 *		decode*.c, json*.c, avro*.c, wire_header.c, number.c, time_text.c, utf8.c	records
 *		array_value.c					the bytes of arrays
 *		segment*.c, crc32c.c			the event log's format
 *		sketch.c, hyperloglog.c, ddsketch.c, frequent.c	mergeable summaries of values
 *		parquet*.c, thrift.c, compress.c, unscaled.c (decimals)	data files of the lake
 *		iceberg*.c, avro_file.c, avro_walk.c, json_tree.c	its metadata, manifests, partitions
 *		resp.c, percent.c, buffer.c, scratch.c, reason.c, and value.h, slice.h, watermark.h
 *	ground/		settings.c, clock.c, transaction.c, identity.c, http.c (libcurl), deadline.c (users' code in workers is bounded), fault.c
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "ground/settings.h"
#include "state/arena.h"
#include "state/shared.h"
#include "worker/launcher.h"
#include "worker/utility_hook.h"
#include "worker/wakeup.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static shmem_request_hook_type next_shmem_request_hook = NULL;
static shmem_startup_hook_type next_shmem_startup_hook = NULL;

/* Asks for our part of the main shared memory segment. */
static void
request_shared_memory(void)
{
	if (next_shmem_request_hook)
		next_shmem_request_hook();
	RequestAddinShmemSpace(fs_shared_size());
	RequestAddinShmemSpace(fs_arena_shared_size());
	RequestNamedLWLockTranche("feature_stream", 1);
}

/* Attaches to it, or initialises it: at start and after a crash restart. */
static void
start_shared_memory(void)
{
	if (next_shmem_startup_hook)
		next_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	fs_shared_init();
	fs_arena_shared_init();
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Called when the library is loaded.  Loaded later than by
 * shared_preload_libraries it does nothing: fs_require_preload() then says so
 * in whatever needs more.  In pg_upgrade no worker is to run.
 */
void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	fs_settings_define();
	next_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	next_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
	fs_wakeup_init();
	fs_utility_hook_install();
	if (!IsBinaryUpgrade)
		fs_launcher_register();
}
