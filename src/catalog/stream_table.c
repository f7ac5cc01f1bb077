/*
 * stream_table.c
 *		Streams that read an ordinary table.
 *
 * The worker reads the table on behalf of the stream's owner, in the order of
 * (xid, order_by) and only below the oldest running transaction.  That is right
 * only when both are always there and xid is the transaction that inserted the
 * row, which is what is checked here.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tupdesc.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/extension.h"
#include "catalog/options.h"
#include "catalog/stream_table.h"

/* The name as the stream means it: without a schema it belongs to the stream's own. */
static RangeVar *
resolve_table(Oid stream, const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(stringToQualifiedNameList(name));

	if (range->schemaname == NULL)
		range->schemaname = get_namespace_name(get_rel_namespace(stream));
	return range;
}

/* See stream_table.h. */
void
fs_stream_table_lock(Oid relid)
{
	const char *name;
	Oid			table;

	if (!SearchSysCacheExists1(FOREIGNTABLEREL, ObjectIdGetDatum(relid)) || get_rel_name(relid) == NULL)
		return;
	name = fs_option_value(GetForeignTable(relid)->options, "table");
	table = name == NULL ? InvalidOid : RangeVarGetRelid(resolve_table(relid, name), NoLock, true);
	if (OidIsValid(table))
		LockRelationOid(table, AccessShareLock);
}

/* Finds the table. */
static Oid
find_table(const FsStreamDef *def, const char *name)
{
	RangeVar   *range;
	Oid			table;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("stream %s has no table", def->name),
				 errhint("Name the table in the option \"table\".")));
	range = resolve_table(def->relid, name);
	table = RangeVarGetRelid(range, NoLock, true);
	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" of stream %s does not exist",
						range->schemaname, range->relname, def->name),
				 errhint("Qualify the name in the option \"table\" with its schema.")));
	return table;
}

/* Throws unless the column is there and has one of the types; InvalidOid ends them. */
static Form_pg_attribute
check_column(const FsStreamDef *def, Relation rel, const char *option,
			 const char *name, const Oid *types, const char *type_names)
{
	TupleDesc	desc = RelationGetDescr(rel);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("stream %s has no option \"%s\"", def->name, option),
				 errhint("Name a column of table %s of type %s.",
						 fs_relation_name(def->table), type_names)));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (attr->attisdropped || strcmp(NameStr(attr->attname), name) != 0)
			continue;
		for (const Oid *type = types; OidIsValid(*type); type++)
			if (attr->atttypid == *type)
				return attr;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" in option \"%s\" of stream %s has type %s",
						name, option, def->name,
						format_type_be(attr->atttypid)),
				 errhint("It must be %s.", type_names)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" in option \"%s\" of stream %s does not exist",
					name, option, def->name),
			 errdetail("Table %s has no such column.",
					   fs_relation_name(def->table))));
	return NULL;				/* not reached */
}

/* A row without order or transaction would never be read: not allowed. */
static void
check_not_null(const FsStreamDef *def, Form_pg_attribute attr, const char *option)
{
	if (attr->attnotnull)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" in option \"%s\" of stream %s must be NOT NULL",
					NameStr(attr->attname), option, def->name),
			 errdetail("Rows without it would never be read."),
			 errhint("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL.",
					 fs_relation_name(def->table),
					 quote_identifier(NameStr(attr->attname)))));
}

/* Is the column's default pg_current_xact_id()? */
static bool
has_xact_id_default(Relation rel, AttrNumber attnum)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		Node	   *expr;

		if (constr->defval[i].adnum != attnum)
			continue;
		expr = stringToNode(constr->defval[i].adbin);
		return IsA(expr, FuncExpr) &&
			((FuncExpr *) expr)->funcid == F_PG_CURRENT_XACT_ID;
	}
	return false;
}

/* The xid column tells which rows are surely committed: it has to be the inserter's. */
static void
check_xid(const FsStreamDef *def, Relation rel, Form_pg_attribute attr)
{
	check_not_null(def, attr, "xid");
	if (has_xact_id_default(rel, attr->attnum))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" in option \"xid\" of stream %s must have the default pg_current_xact_id()",
					NameStr(attr->attname), def->name),
			 errdetail("Without it rows of slow transactions would be skipped."),
			 errhint("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT pg_current_xact_id().",
					 fs_relation_name(def->table),
					 quote_identifier(NameStr(attr->attname)))));
}

/* Throws unless it is a table that the stream's owner may read. */
static void
check_table(const FsStreamDef *def, Relation rel)
{
	char	   *name = fs_relation_name(def->table);

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", name),
				 errhint("A stream reads an append-only table.")));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stream %s must not read a temporary table", def->name),
				 errdetail("Workers cannot see it.")));
	if (pg_class_aclcheck(def->table, def->owner, ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", name),
				 errdetail("Owner \"%s\" of stream %s must be able to read it.",
						   GetUserNameFromId(def->owner, false), def->name),
				 errhint("GRANT SELECT ON %s TO %s.", name,
						 quote_identifier(GetUserNameFromId(def->owner, false)))));
}

/* See stream_table.h. */
void
fs_stream_table_load(FsStreamDef *def, const char *name)
{
	static const Oid order_types[] = {INT8OID, InvalidOid};
	static const Oid xid_types[] = {XID8OID, InvalidOid};
	static const Oid value_types[] = {BYTEAOID, TEXTOID, JSONOID, JSONBOID, InvalidOid};
	static const Oid bytes_types[] = {BYTEAOID, InvalidOid};
	static const Oid key_types[] = {BYTEAOID, TEXTOID, InvalidOid};
	static const Oid arrival_types[] = {TIMESTAMPTZOID, InvalidOid};
	Relation	rel;

	def->table = find_table(def, name);
	rel = relation_open(def->table, AccessShareLock);
	check_table(def, rel);
	check_not_null(def, check_column(def, rel, "order_by", def->order_by,
									 order_types, "bigint"), "order_by");
	check_xid(def, rel, check_column(def, rel, "xid", def->xid, xid_types, "xid8"));
	(void) check_column(def, rel, "value", def->value,
						def->format == FS_FORMAT_AVRO ? bytes_types : value_types,
						def->format == FS_FORMAT_AVRO ? "bytea" : "bytea, text, json or jsonb");
	if (def->key != NULL)
		(void) check_column(def, rel, "key", def->key, key_types, "bytea or text");
	if (def->arrival != NULL)
		(void) check_column(def, rel, "arrival", def->arrival, arrival_types,
							"timestamp with time zone");
	relation_close(rel, NoLock);
}
