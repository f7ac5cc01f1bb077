/*
 * lake_upkeep.c
 *		Upkeep of tables in a lake; see lake_upkeep.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/lake_compact.h"
#include "offline/lake_reach.h"
#include "offline/lake_rewrite.h"
#include "offline/lake_silence.h"
#include "pipeline/lake_commit.h"
#include "pipeline/lake_orphans.h"
#include "pipeline/lake_request.h"
#include "pipeline/lake_upkeep.h"
#include "state/query.h"

#define MAX_LISTS	100			/* that are looked at in one go */

/* Upkeep at work. */
typedef struct Upkeep
{
	FsLakeExport *export;
	const FsLakeRequest *request;	/* NULL: none, it is just due */
	bool		has_more;		/* to be done soon */
	int			nsnapshots;		/* of the table */
	int			nsmall;			/* files of ours that are small */
} Upkeep;

/* Something users can ask for. */
typedef struct Action
{
	const char *name;
	void		(*run) (Upkeep *upkeep);
} Action;

/* See lake_upkeep.h. */
bool
fs_lake_upkeep_next(FsLakeDuty *duty)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {OIDARRAYOID};
	Datum		values[1];

	fs_transaction_begin();
	values[0] = fs_lake_silent_servers();
	SPI_connect();
	fs_query_read("(SELECT u.view, u.id FROM feature_stream.lake_upkeep u WHERE u.state = 'waiting'"
				  " AND NOT " FS_LAKE_IS_ON("$1", "u.view") " ORDER BY u.id LIMIT 1)"
				  " UNION ALL (SELECT e.view, 0 FROM feature_stream.lake_export e"
				  " WHERE e.next_upkeep_time <= pg_catalog.now() AND e.commit_count > 0"
				  " AND (e.commit_count > e.upkeep_commit_count OR e.upkeep_failure_count > 0"
				  " OR e.next_orphan_time <= pg_catalog.now()"
				  " OR EXISTS (SELECT FROM feature_stream.lake_file f WHERE f.view = e.view AND f.is_unread))"
				  " AND NOT " FS_LAKE_IS_ON("$1", "e.view") " ORDER BY e.next_upkeep_time, e.view LIMIT 1)", 1, types, values);
	if (SPI_processed > 0)
	{
		duty->view = fs_query_oid(0, 1);
		duty->request = fs_query_int64(0, 2, 0);
	}
	else
		duty->view = InvalidOid;
	SPI_finish();
	fs_transaction_end(context);
	return OidIsValid(duty->view);
}

/* See lake_upkeep.h. */
void
fs_lake_upkeep_note_error(const FsLakeDuty *duty, const char *message)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2];

	if (duty->request != 0)
	{
		fs_lake_request_failed(duty->request, message);
		return;
	}
	fs_transaction_begin();
	values[0] = ObjectIdGetDatum(duty->view);
	values[1] = CStringGetTextDatum(message);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET last_upkeep_error = $2,"
				 " upkeep_failure_count = upkeep_failure_count + 1, next_upkeep_time = pg_catalog.clock_timestamp()"
				 " + LEAST(pg_catalog.power(2, LEAST(upkeep_failure_count, 12)), 3600) * '1 second'::interval WHERE view = $1",
				 SPI_OK_UPDATE, 2, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}

/*
 * Files that only snapshots need that are gone
 */

/* Lists of manifests that nobody has looked at since their snapshots went; those that could not be read last. */
static List *
find_lists(const Upkeep *upkeep)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		values[2] = {ObjectIdGetDatum(upkeep->export->view), Int64GetDatum(MAX_LISTS)};
	List	   *lists = NIL;

	fs_transaction_begin();
	SPI_connect();
	fs_query_read("SELECT location FROM feature_stream.lake_file WHERE view = $1 AND is_unread"
				  " ORDER BY failure_count, delete_after, location LIMIT $2", 2, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		lists = lappend(lists, pstrdup(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1)));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	fs_transaction_end(context);
	return lists;
}

/* Notes which lists were read; what could not be is tried again until the file itself is to go. */
static void
note_lists(List *lists, List *read)
{
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1] = {fs_lake_state_array(list_difference_ptr(lists, read))};

	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_file SET failure_count = failure_count + 1 WHERE location = ANY ($1)",
				 SPI_OK_UPDATE, 1, types, values, NULL);
	values[0] = fs_lake_state_array(read);
	fs_query_run("UPDATE feature_stream.lake_file SET is_unread = false, failure_count = 0 WHERE location = ANY ($1)",
				 SPI_OK_UPDATE, 1, types, values, NULL);
	SPI_finish();
}

/* Looks at such lists, and enters what only they lead to. */
static void
collect(Upkeep *upkeep)
{
	FsLakeExport *export = upkeep->export;
	List	   *lists = find_lists(upkeep);
	List	   *read;
	List	   *files;

	if (lists == NIL)
		return;
	files = fs_lake_unreachable(fs_lake_open(export), lists, &read);
	FS_FAULT("lake_reach");
	fs_transaction_begin();
	if (fs_lake_state_lock(export))
	{
		note_lists(lists, read);
		fs_lake_state_drop(export, files, NIL);
	}
	fs_transaction_end(export->context);
	upkeep->has_more |= list_length(lists) == MAX_LISTS && read != NIL;
}

/* expire_snapshots() */
static void
expire(Upkeep *upkeep)
{
	const FsLakeRequest *request = upkeep->request;
	FsLakeExport *export = upkeep->export;
	FsLakeTable *table = fs_lake_open(export);
	List	   *lists;
	List	   *files;
	List	   *read;

	if (!request->is_dry)
	{
		FsLakeCommit *commit = fs_lake_commit_begin(table, NULL, NIL, NULL);

		commit->keep_age = request->older_than;
		commit->keep_count = request->keep;
		(void) fs_lake_commit(export, table, commit);
		lists = commit->expired;
		table = fs_lake_open(export);
	}
	else
		lists = fs_lake_table_expire(table, request->older_than, request->keep);
	files = fs_lake_unreachable(table, lists, &read);
	fs_transaction_begin();
	fs_lake_request_add(request, "manifest list", lists);
	fs_lake_request_add(request, "file", files);
	fs_transaction_end(export->context);
}

/*
 * Manifests
 */

/* Merges small manifests; merge_manifests() does that even where there are few. */
static void
merge(Upkeep *upkeep)
{
	FsLakeExport *export = upkeep->export;
	FsLakeTable *table = fs_lake_open(export);
	FsLakeRewrite *rewrite = fs_lake_rewrite_begin(NULL, upkeep->request != NULL);
	FsLakeCommit *commit;

	upkeep->nsnapshots = fs_iceberg_snapshot_count(table->metadata);
	if (!fs_lake_rewrite_plan(rewrite, table))
		return;
	if (upkeep->request == NULL || !upkeep->request->is_dry)
	{
		commit = fs_lake_commit_begin(table, "replace", NIL, NULL);
		commit->rewrite = rewrite;
		(void) fs_lake_commit(export, table, commit);
	}
	if (upkeep->request == NULL)
		return;
	fs_transaction_begin();
	fs_lake_request_add(upkeep->request, "merged manifest", fs_lake_rewrite_replaced(rewrite));
	fs_transaction_end(export->context);
}

/*
 * Data files
 */

/* Makes a compaction's files of those that were fetched; NIL: one of these cannot be read. */
static List *
make_files(FsLakeExport *export, FsLakeCompaction *compaction)
{
	List	   *files;

	fs_transaction_begin();
	MemoryContextSwitchTo(export->context);
	files = fs_lake_compact_make(compaction);
	fs_transaction_end(export->context);
	return files;
}

/* Commits them in the place of the others; false: the table has changed too much. */
static bool
replace_files(FsLakeExport *export, FsLakeTable *table, FsLakeCompaction *compaction, List *files)
{
	FsLakeCommit *commit = fs_lake_commit_begin(table, "replace", files, NULL);

	commit->rewrite = fs_lake_rewrite_begin(fs_lake_compact_replaced(compaction), false);
	return fs_lake_commit(export, table, commit);
}

/* Makes one file of small ones, or tells which; false when there is nothing to be done, or no more of it. */
static bool
compact_once(Upkeep *upkeep)
{
	const FsLakeRequest *request = upkeep->request;
	FsLakeExport *export = upkeep->export;
	FsLakeTable *table = fs_lake_open(export);
	FsLakeCompaction *compaction = fs_lake_compact_plan(table, request != NULL, &upkeep->nsmall);
	bool		is_dry = request != NULL && request->is_dry;
	List	   *files = NIL;

	if (compaction == NULL)
		return false;
	if (!is_dry && fs_lake_compact_fetch(compaction))
		files = make_files(export, compaction);
	if (!is_dry && files == NIL)
		return true;			/* the next plan is one without those that could not be read */
	if (!is_dry && !replace_files(export, table, compaction, files))
		return false;
	if (request != NULL)
	{
		fs_transaction_begin();
		fs_lake_request_add(request, "small file", fs_lake_compact_paths(compaction));
		fs_transaction_end(export->context);
	}
	return !is_dry;
}

/* The same with memory and temporary files of its own: a request may be about very many files. */
static bool
compact_apart(Upkeep *upkeep)
{
	FsLakeExport *export = upkeep->export;
	MemoryContext outer = export->context;
	bool		goes_on;

	Assert(CurrentMemoryContext == outer);
	export->context = AllocSetContextCreate(outer, "feature_stream compaction", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(export->context);
	goes_on = compact_once(upkeep);
	MemoryContextSwitchTo(outer);
	if (export->location != NULL)
		export->location = pstrdup(export->location);
	MemoryContextDelete(export->context);
	export->context = outer;
	return goes_on;
}

/* Makes one file of small ones; compact_lake() all there are, and of few. */
static void
compact(Upkeep *upkeep)
{
	bool		goes_on = compact_apart(upkeep);

	while (goes_on && upkeep->request != NULL)
		goes_on = compact_apart(upkeep);
	upkeep->has_more |= goes_on;
}

/* remove_orphan_files() */
static void
remove_orphans(Upkeep *upkeep)
{
	fs_lake_orphans_find(upkeep->export, upkeep->request);
}

static const Action actions[] = {
	{"compact_lake", compact},
	{"expire_snapshots", expire},
	{"merge_manifests", merge},
	{"remove_orphan_files", remove_orphans}
};

/* Does what was asked for. */
static void
run_request(Upkeep *upkeep, int64 id)
{
	upkeep->request = fs_lake_request_load(id);
	if (upkeep->request == NULL)
		return;
	for (int i = 0; i < lengthof(actions) && upkeep->export->uuid != NULL; i++)
		if (strcmp(actions[i].name, upkeep->request->action) == 0)
			actions[i].run(upkeep);
	fs_lake_request_done(upkeep->request);
}

/* Upkeep is done, for now. */
static void
note_done(const Upkeep *upkeep)
{
	Oid			types[5] = {OIDOID, INT8OID, BOOLOID, INT4OID, INT4OID};
	Datum		values[5] = {ObjectIdGetDatum(upkeep->export->view), Int64GetDatum(upkeep->export->id),
	BoolGetDatum(upkeep->has_more), Int32GetDatum(upkeep->nsnapshots), Int32GetDatum(upkeep->nsmall)};

	fs_transaction_begin();
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET upkeep_failure_count = 0,"
				 " upkeep_commit_count = CASE WHEN $3 THEN commit_count - 1 ELSE commit_count END,"
				 " last_upkeep_error = NULL, last_upkeep_time = pg_catalog.clock_timestamp(),"
				 " snapshot_count = $4, small_file_count = $5,"
				 " next_upkeep_time = pg_catalog.clock_timestamp() + CASE WHEN $3 THEN '0' ELSE '5 min' END::interval"
				 " WHERE view = $1 AND id = $2",
				 SPI_OK_UPDATE, 5, types, values, NULL);
	fs_query_run("DELETE FROM feature_stream.lake_upkeep WHERE finished_at < pg_catalog.now() - '7 days'::interval",
				 SPI_OK_DELETE, 0, NULL, NULL, NULL);
	SPI_finish();
	fs_transaction_end(upkeep->export->context);
}

/* See lake_upkeep.h. */
void
fs_lake_upkeep_run(const FsLakeDuty *duty)
{
	Upkeep		upkeep = {.export = fs_lake_state_load(duty->view)};

	Assert(OidIsValid(duty->view));
	if (upkeep.export == NULL)
	{
		if (duty->request != 0)
			fs_lake_request_failed(duty->request, "the feature view is not exported any more");
		return;
	}
	if (duty->request != 0)
	{
		run_request(&upkeep, duty->request);
		return;
	}
	collect(&upkeep);
	compact(&upkeep);
	merge(&upkeep);
	upkeep.has_more |= fs_lake_orphans_keep_up(upkeep.export);
	note_done(&upkeep);
}
