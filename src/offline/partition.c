/*
 * partition.c
 *		Upkeep of tables partitioned by time; see partition.h.
 *
 * Creation.  Whoever creates holds SHARE UPDATE EXCLUSIVE on the parent until
 * its transaction ends, which lets readers and writers go on and makes the
 * export worker and an ingest worker take turns.  CREATE TABLE ... PARTITION OF
 * would need ACCESS EXCLUSIVE and queue all inserts behind one reader.
 *
 * A partition whose detach was interrupted takes no rows, and no other may take
 * its place.  Where rows are to go there the detach is undone: finished, and the
 * same table attached again.
 *
 * Removal.  DETACH CONCURRENTLY commits a mark first, then waits for the
 * transactions that still may read the partition, then detaches in a second
 * transaction, in which we drop the table too: so either it is there, marked or
 * not, or gone, and no table without parent is ever left behind.  When the wait
 * is longer than the lock timeout the mark stays, queries already leave the
 * partition out, and the next call finishes it with FINALIZE.
 *
 * A partition of a member of the extension becomes a member too, so that
 * pg_dump leaves it out.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "pgtime.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/run_as.h"
#include "core/slice.h"
#include "offline/partition.h"

#define LOCK_TIMEOUT_SETTING "1s"

/* A partition that is to go. */
typedef struct Expired
{
	Oid			relid;
	bool		pending;		/* an earlier detach was interrupted */
} Expired;

/* The instant as a timestamptz literal without quotes, whatever DateStyle and TimeZone are. */
static char *
format_instant(FsTime t)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d.%06d+00%s",
					tm.tm_year > 0 ? tm.tm_year : 1 - tm.tm_year,
					tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
					(int) fsec, tm.tm_year > 0 ? "" : " BC");
}

/* Name for the partition that begins at 'start': <parent>_pYYYYMMDD[_HH[MI]], cut and numbered where it must be. */
static char *
choose_name(Relation parent, FsTime start, int64 span)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		label[64];
	int			len;

	if (timestamp2tm(start, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	len = snprintf(label, sizeof(label), "p%04d%02d%02d", tm.tm_year, tm.tm_mon, tm.tm_mday);
	if (span % FS_USEC_PER_DAY != 0)
		len += snprintf(label + len, sizeof(label) - len, "_%02d", tm.tm_hour);
	if (span % (INT64_C(3600) * FS_USEC_PER_SEC) != 0)
		snprintf(label + len, sizeof(label) - len, "%02d", tm.tm_min);
	return ChooseRelationName(RelationGetRelationName(parent), NULL, label,
							  RelationGetNamespace(parent), false);
}

/*
 * The partition of 'rel' that holds 't', or InvalidOid; of those that are being
 * detached only with 'detached'.  Needs a snapshot, as an insert does.
 */
static Oid
find_partition(Relation rel, FsTime t, bool detached)
{
	PartitionKey key = RelationGetPartitionKey(rel);
	PartitionDesc desc = RelationGetPartitionDesc(rel, !detached);
	Datum		value = TimestampTzGetDatum(t);
	bool		is_equal;
	int			offset;
	int			index;

	Assert(ActiveSnapshotSet());
	if (desc->nparts == 0)
		return InvalidOid;
	offset = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
										   desc->boundinfo, 1, &value, &is_equal);
	index = desc->boundinfo->indexes[offset + 1];
	return index < 0 ? InvalidOid : desc->oids[index];
}

/* Opens a table and makes sure that it is partitioned as we expect. */
static Relation
open_parent(Oid relid, LOCKMODE mode)
{
	Relation	rel = table_open(relid, mode);
	PartitionKey key = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
	RelationGetPartitionKey(rel) : NULL;

	if (key == NULL || key->strategy != PARTITION_STRATEGY_RANGE ||
		key->partnatts != 1 || key->parttypid[0] != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not partitioned by range of one timestamptz column",
						RelationGetRelationName(rel))));
	return rel;
}

/* See partition.h. */
bool
fs_partition_exists_for(Oid parent, const FsTime *instants, int n)
{
	Relation	rel = open_parent(parent, AccessShareLock);
	bool		exists = true;

	for (int i = 0; i < n && exists; i++)
		exists = OidIsValid(find_partition(rel, instants[i], false));
	table_close(rel, AccessShareLock);
	return exists;
}

/* The partition that holds 't' although its detach was interrupted, or InvalidOid. */
static Oid
find_detached(Oid parent, FsTime t)
{
	Relation	rel = open_parent(parent, NoLock);
	Oid			child = find_partition(rel, t, true);

	table_close(rel, NoLock);
	return child;
}

/* Runs one utility command.  SPI must be connected. */
static void
run_utility(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not run \"%s\"", sql);
}

/* Makes 'child' a member of the extension that 'parent' is a member of, if any. */
static void
share_membership(Oid parent, Oid child)
{
	Oid			extension = getExtensionOfObject(RelationRelationId, parent);

	if (OidIsValid(extension))
		fs_extension_add_member(extension, child);
}

/* The owner of an open or locked relation. */
static Oid
get_owner(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	Oid			owner = rel->rd_rel->relowner;

	table_close(rel, NoLock);
	return owner;
}

/*
 * Attaches a partition as the parent's owner: the predicates and expressions
 * of indexes, which are the owner's, are evaluated.
 */
static void
attach_partition(Oid owner, const char *whole, const char *part, const char *bounds)
{
	FsRunAs		scope;

	fs_run_as_begin(&scope, owner, NIL);
	run_utility(psprintf("ALTER TABLE %s ATTACH PARTITION %s %s", whole, part, bounds));
	fs_run_as_end(&scope);
}

/*
 * Creates the partition of 'relid' that begins at 'start'.  The table is made
 * without indexes: attaching it makes them, as its owner would.  Caller holds
 * the lock on the parent and has SPI connected; nobody in this process may have
 * the parent open.
 */
static void
create_partition(Oid relid, FsTime start, int64 span)
{
	Relation	parent = open_parent(relid, NoLock);
	Oid			schema_oid = RelationGetNamespace(parent);
	char	   *schema = get_namespace_name(schema_oid);
	char	   *name = choose_name(parent, start, span);
	char	   *child = quote_qualified_identifier(schema, name);
	char	   *whole = quote_qualified_identifier(schema, RelationGetRelationName(parent));
	Oid			space = parent->rd_rel->reltablespace;
	Oid			owner = parent->rd_rel->relowner;

	table_close(parent, NoLock);
	run_utility(psprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS "
						 "EXCLUDING COMMENTS EXCLUDING IDENTITY)%s%s",
						 child, whole, OidIsValid(space) ? " TABLESPACE " : "",
						 OidIsValid(space) ? quote_identifier(get_tablespace_name(space)) : ""));
	if (owner != GetUserId())
		run_utility(psprintf("ALTER TABLE %s OWNER TO %s", child,
							 quote_identifier(GetUserNameFromId(owner, false))));
	attach_partition(owner, whole, child, psprintf("FOR VALUES FROM ('%s') TO ('%s')",
												   format_instant(start), format_instant(start + span)));
	share_membership(relid, get_relname_relid(name, schema_oid));
}

/*
 * Finishes the interrupted detach of 'child' and attaches it again, with the
 * bounds it had.  The CHECK constraint that the detach left says that its rows
 * fit.  Caller as for create_partition().
 */
static void
reattach_partition(Oid parent, Oid child)
{
	char	   *whole = quote_qualified_identifier(get_namespace_name(get_rel_namespace(parent)),
												   get_rel_name(parent));
	char	   *part = quote_qualified_identifier(get_namespace_name(get_rel_namespace(child)),
												  get_rel_name(child));
	char	   *bounds;

	if (SPI_execute(psprintf("SELECT pg_catalog.pg_get_expr(relpartbound, oid) FROM pg_catalog.pg_class"
							 " WHERE oid OPERATOR(pg_catalog.=) %u", child), true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not find partition %u", child);
	bounds = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	run_utility(psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE", whole, part));
	attach_partition(get_owner(parent), whole, part, bounds);
}

/* See partition.h. */
int
fs_partition_ensure(Oid parent, int64 span, const FsTime *instants, int n)
{
	int			created = 0;
	int			nest_level;

	Assert(span > 0 && IsTransactionState());
	if (fs_partition_exists_for(parent, instants, n))
		return 0;				/* no lock that others could wait for */

	nest_level = NewGUCNestLevel();
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT_SETTING, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	LockRelationOid(parent, ShareUpdateExclusiveLock);	/* until the transaction ends */
	SPI_connect();
	for (int i = 0; i < n; i++)
	{
		Oid			detached;

		if (fs_partition_exists_for(parent, &instants[i], 1))
			continue;
		detached = find_detached(parent, instants[i]);
		if (OidIsValid(detached))
			reattach_partition(parent, detached);
		else
			create_partition(parent, fs_time_floor(instants[i], span), span);
		CommandCounterIncrement();
		created++;
	}
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
	return created;
}

/*
 * Lists partitions whose upper bound is <= 'before' as Expired in 'context',
 * and before them those with an interrupted detach, which are as good as gone
 * whatever 'before' is by now.  NIL when the parent is gone.
 */
static List *
list_expired(Oid parent, FsTime before, MemoryContext context)
{
	List	   *expired = NIL;
	Relation	rel;
	PartitionDesc desc;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(parent)))
		return NIL;
	rel = open_parent(parent, AccessShareLock);
	desc = RelationGetPartitionDesc(rel, false);
	for (int i = 0; desc->nparts > 0 && i < desc->boundinfo->ndatums; i++)
	{
		PartitionBoundInfo bounds = desc->boundinfo;
		MemoryContext old;
		Expired    *entry;
		bool		pending;

		/* datums[i] is the upper bound of partition indexes[i] */
		if (bounds->indexes[i] < 0 ||
			bounds->kind[i][0] != PARTITION_RANGE_DATUM_VALUE)
			continue;
		pending = PartitionHasPendingDetach(desc->oids[bounds->indexes[i]]);
		if (!pending && DatumGetTimestampTz(bounds->datums[i][0]) > before)
			continue;
		old = MemoryContextSwitchTo(context);
		entry = palloc(sizeof(Expired));
		entry->relid = desc->oids[bounds->indexes[i]];
		entry->pending = pending;
		expired = entry->pending ? lcons(entry, expired) : lappend(expired, entry);
		MemoryContextSwitchTo(old);
	}
	table_close(rel, AccessShareLock);
	return expired;
}

/*
 * Runs one utility command as a client would, in memory that outlives the
 * transactions it may end.  Some commands refuse to run in any other way.
 * DETACH CONCURRENTLY keeps names in PortalContext across its transactions, so
 * caller has set that.
 */
static void
run_top_level(const char *sql)
{
	PlannedStmt *stmt = makeNode(PlannedStmt);
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(sql));
	QueryCompletion completion;

	Assert(PortalContext != NULL);
	stmt->commandType = CMD_UTILITY;
	stmt->canSetTag = true;
	stmt->utilityStmt = raw->stmt;
	stmt->stmt_location = raw->stmt_location;
	stmt->stmt_len = raw->stmt_len;
	InitializeQueryCompletion(&completion);
	ProcessUtility(stmt, sql, false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL,
				   None_Receiver, &completion);
}

/*
 * Detaches one partition and drops it, in transactions of its own; memory it
 * needs is the caller's.  Throws when a lock is not to be had in time.
 */
static void
drop_partition(Oid parent, const Expired *expired)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *child;
	char	   *whole;
	ObjectAddress table;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(caller);
	if (get_rel_name(parent) != NULL && get_rel_name(expired->relid) != NULL)
	{
		child = quote_qualified_identifier(get_namespace_name(get_rel_namespace(expired->relid)),
										   get_rel_name(expired->relid));
		whole = quote_qualified_identifier(get_namespace_name(get_rel_namespace(parent)),
										   get_rel_name(parent));
		run_top_level(psprintf("ALTER TABLE %s DETACH PARTITION %s %s", whole, child,
							   expired->pending ? "FINALIZE" : "CONCURRENTLY"));

		/* the transaction that detached it is still open, and has it locked */
		CommandCounterIncrement();
		ObjectAddressSet(table, RelationRelationId, expired->relid);
		performDeletion(&table, DROP_RESTRICT, PERFORM_DELETION_SKIP_EXTENSIONS);
	}
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

/* drop_partition(), but false when a lock is not to be had in time. */
static bool
try_drop_partition(Oid parent, const Expired *expired)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext portal = PortalContext;
	volatile bool dropped = true;

	PortalContext = caller;
	PG_TRY();
	{
		drop_partition(parent, expired);
	}
	PG_CATCH();
	{
		PortalContext = portal;
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		dropped = false;
	}
	PG_END_TRY();
	PortalContext = portal;
	return dropped;
}

/* See partition.h. */
int
fs_partition_drop_before(Oid parent, FsTime before)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "feature_stream partition drop",
												  ALLOCSET_SMALL_SIZES);
	List	   *expired;
	ListCell   *lc;
	int			dropped = 0;

	Assert(!IsTransactionState());
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	expired = list_expired(parent, before, context);
	PopActiveSnapshot();
	CommitTransactionCommand();

	MemoryContextSwitchTo(context);
	foreach(lc, expired)
	{
		CHECK_FOR_INTERRUPTS();
		if (!try_drop_partition(parent, lfirst(lc)))
			break;				/* the next ones would wait for the same reader */
		dropped++;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return dropped;
}
