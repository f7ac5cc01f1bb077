/*
 * utility_hook.c
 *		Keeps workers out of the way of commands on whole databases.
 *
 * DROP DATABASE, ALTER DATABASE RENAME and SET TABLESPACE, and CREATE DATABASE
 * with a template need a database nobody is connected to.  Before such a
 * command its database is blocked (no worker starts), its workers are told to
 * stop, and the command waits for them a moment; what it does then is
 * PostgreSQL's business.  The block ends with the transaction, whether it
 * commits, aborts or its session dies, because its locks do too.
 *
 * Only one who may do the command can stop workers by it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "state/shared.h"
#include "worker/launcher.h"
#include "worker/utility_hook.h"
#include "worker/wakeup.h"

#define FS_EXTENSION_NAME "feature_stream"
#define STOP_TIMEOUT_MS 5000
#define STOP_POLL_MS 10L

static ProcessUtility_hook_type next_hook = NULL;

/* Databases this transaction has blocked; in TopTransactionContext. */
static List *blocked_databases = NIL;

/* Last 'name' of a list of options, NULL when it is not there. */
static DefElem *
find_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

/*
 * Name of the database that a command needs for itself, NULL for every other
 * command.  '*as_template' says that it is to be copied.
 */
static const char *
find_database_needed(Node *parsetree, bool *as_template)
{
	*as_template = false;
	switch (nodeTag(parsetree))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) parsetree)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) parsetree)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) parsetree)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			if (find_option(((AlterDatabaseStmt *) parsetree)->options, "tablespace"))
				return ((AlterDatabaseStmt *) parsetree)->dbname;
			return NULL;
		case T_CreatedbStmt:
			{
				DefElem    *option = find_option(((CreatedbStmt *) parsetree)->options, "template");

				*as_template = true;
				return option && option->arg ? defGetString(option) : "template1";
			}
		default:
			return NULL;
	}
}

/* May the current user do such a command on this database? */
static bool
is_permitted(Oid database, bool as_template)
{
	HeapTuple	tuple;
	bool		permitted = false;

	if (pg_database_ownercheck(database, GetUserId()))
		return true;
	if (!as_template)
		return false;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (!HeapTupleIsValid(tuple))
		return false;
	permitted = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	if (!permitted)
		return false;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	permitted = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return permitted;
}

/*
 * Tells the workers of a blocked database to stop.  Caller must hold 'lock'
 * exclusively.
 */
static void
stop_workers(FsSharedDatabase *entry)
{
	Assert(entry->blockers > 0);
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *stream = &fs_shared->streams[i];

		if (stream->database != entry->database)
			continue;
		stream->stop = true;
		if (stream->pid != 0)
			kill(stream->pid, SIGTERM);
	}
	for (int i = 0; i < FS_DATABASE_WORKERS; i++)
		if (entry->workers[i].pid != 0)
			kill(entry->workers[i].pid, SIGTERM);
}

/* Does the database still have a worker? */
static bool
has_workers(Oid database)
{
	FsSharedDatabase *entry;
	bool		found = false;

	LWLockAcquire(fs_shared->lock, LW_SHARED);
	entry = fs_shared_database(database, false);
	for (int i = 0; entry != NULL && i < FS_DATABASE_WORKERS; i++)
		found |= entry->workers[i].pid != 0;
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *stream = &fs_shared->streams[i];

		found |= stream->database == database && stream->pid != 0;
	}
	LWLockRelease(fs_shared->lock);
	return found;
}

/*
 * Lets workers of a database start again.  A stream whose 'stop' was set by the
 * export worker (it is gone) has it set again by that one.  Does not fail.
 */
static void
unblock_database(Oid database)
{
	FsSharedDatabase *entry;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	entry = fs_shared_database(database, false);
	if (entry != NULL && entry->blockers > 0 && --entry->blockers == 0)
	{
		for (int i = 0; i < fs_shared->max_streams; i++)
		{
			if (fs_shared->streams[i].database == database)
				fs_shared->streams[i].stop = false;
		}
		fs_launcher_poke();
	}
	LWLockRelease(fs_shared->lock);
}

/* The transaction that blocked databases has ended. */
static void
finish_transaction_cb(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	foreach(lc, blocked_databases)
		unblock_database(lfirst_oid(lc));
	blocked_databases = NIL;
}

/*
 * Blocks a database and signals its workers.  Returns false when it has no
 * entry and there is none free: then no worker can start in it either, unless
 * an entry becomes free within the command's time, which then fails as if
 * another session were connected.
 */
static bool
block_database(Oid database)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	FsSharedDatabase *entry;

	/* first the list, since it can run out of memory; then what must be undone */
	blocked_databases = lappend_oid(blocked_databases, database);
	MemoryContextSwitchTo(old);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	entry = fs_shared_database(database, true);
	if (entry != NULL)
	{
		entry->blockers++;
		stop_workers(entry);
	}
	LWLockRelease(fs_shared->lock);
	if (entry == NULL)
		blocked_databases = list_truncate(blocked_databases, list_length(blocked_databases) - 1);
	return entry != NULL;
}

/* Waits until the workers of a blocked database are gone, but not for ever. */
static void
wait_for_workers(Oid database)
{
	TimestampTz start = GetCurrentTimestamp();

	while (has_workers(database) &&
		   !TimestampDifferenceExceeds(start, GetCurrentTimestamp(), STOP_TIMEOUT_MS))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 STOP_POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Makes way for a command that needs a database for itself. */
static void
make_way(Node *parsetree)
{
	bool		as_template;
	const char *name = find_database_needed(parsetree, &as_template);
	Oid			database;

	if (name == NULL || !IsTransactionState())
		return;
	database = get_database_oid(name, true);
	if (!OidIsValid(database) || !is_permitted(database, as_template))
		return;
	if (block_database(database))
		wait_for_workers(database);
}

/* Does a DROP EXTENSION name ours? */
static bool
drops_extension(DropStmt *stmt)
{
	ListCell   *lc;

	if (stmt->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, stmt->objects)
	{
		if (strcmp(strVal(lfirst(lc)), FS_EXTENSION_NAME) == 0)
			return true;
	}
	return false;
}

/* Is this a command by which the extension comes, changes or goes? */
static bool
concerns_extension(Node *parsetree)
{
	switch (nodeTag(parsetree))
	{
		case T_CreateExtensionStmt:
			return strcmp(((CreateExtensionStmt *) parsetree)->extname, FS_EXTENSION_NAME) == 0;
		case T_AlterExtensionStmt:
			return strcmp(((AlterExtensionStmt *) parsetree)->extname, FS_EXTENSION_NAME) == 0;
		case T_DropStmt:
			return drops_extension((DropStmt *) parsetree);
		default:
			return false;
	}
}

/*
 * The hook: before a command workers are made to let go of what it needs; after
 * it they hear of the extension's coming and going.
 */
static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest,
				QueryCompletion *qc)
{
	bool		touches = concerns_extension(pstmt->utilityStmt);

	make_way(pstmt->utilityStmt);
	if (next_hook)
		next_hook(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	if (touches)
		fs_ddl_touch_database();
}

void
fs_utility_hook_install(void)
{
	RegisterXactCallback(finish_transaction_cb, NULL);
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
