/*
 * stream_contract.c
 *		The data contract of a stream: its columns, DEFAULTs and CHECKs.
 *
 * A record that breaks the contract becomes a dead letter, so the contract has
 * to say the same today, tomorrow and on a replay: everything in it must be
 * immutable, and nothing in a column's type may change a value silently.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tupdesc.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "catalog/options.h"
#include "catalog/stream_contract.h"

static const struct
{
	Oid			typid;
	Oid			array;
	FsType		type;
}			column_types[] =
{
	{TEXTOID, TEXTARRAYOID, FS_TYPE_TEXT},
	{INT2OID, INT2ARRAYOID, FS_TYPE_INT2},
	{INT4OID, INT4ARRAYOID, FS_TYPE_INT4},
	{INT8OID, INT8ARRAYOID, FS_TYPE_INT8},
	{FLOAT4OID, FLOAT4ARRAYOID, FS_TYPE_FLOAT4},
	{FLOAT8OID, FLOAT8ARRAYOID, FS_TYPE_FLOAT8},
	{NUMERICOID, NUMERICARRAYOID, FS_TYPE_NUMERIC},
	{BOOLOID, BOOLARRAYOID, FS_TYPE_BOOL},
	{TIMESTAMPTZOID, TIMESTAMPTZARRAYOID, FS_TYPE_TIMESTAMPTZ},
	{DATEOID, DATEARRAYOID, FS_TYPE_DATE},
	{UUIDOID, UUIDARRAYOID, FS_TYPE_UUID},
	{JSONBOID, InvalidOid, FS_TYPE_JSONB},	/* a document may be an array itself */
};

/* See stream_contract.h. */
bool
fs_contract_type(Oid typid, FsType *type)
{
	for (int i = 0; i < lengthof(column_types); i++)
		if (column_types[i].typid == typid ||
			(column_types[i].array == typid && OidIsValid(typid)))
		{
			*type = column_types[i].type;
			if (column_types[i].array == typid)
				*type = (FsType) (*type | FS_TYPE_ARRAY);
			return true;
		}
	return false;
}

/* See stream_contract.h. */
Oid
fs_contract_element(FsType type)
{
	for (int i = 0; i < lengthof(column_types); i++)
		if (column_types[i].type == fs_type_element(type))
			return column_types[i].typid;
	elog(ERROR, "unexpected column type %d", (int) type);
}

/* Columns that show what is around a record's payload. */
static const struct
{
	const char *field;
	FsMetaField meta;
	Oid			types[2];
	const char *allowed;		/* the types, for a hint */
}			meta_fields[] =
{
	{"$partition", FS_META_PARTITION, {INT4OID}, "integer"},
	{"$offset", FS_META_OFFSET, {INT8OID}, "bigint"},
	{"$timestamp", FS_META_TIMESTAMP, {TIMESTAMPTZOID}, "timestamptz"},
	{"$key", FS_META_KEY, {TEXTOID, BYTEAOID}, "text or bytea"},
	{"$headers", FS_META_HEADERS, {JSONBOID}, "jsonb"}
};

/* What the walker below found: a function, or something else that is not immutable. */
typedef struct MutableSearch
{
	Oid			function;
} MutableSearch;

static bool
is_mutable_function(Oid function, void *context)
{
	if (func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return false;
	((MutableSearch *) context)->function = function;
	return true;
}

/* Finds the first function that is not immutable, so that the error can name it. */
static bool
find_mutable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_mutable_function, context))
		return true;
	return expression_tree_walker(node, find_mutable, context);
}

/*
 * See stream_contract.h.  A worker that loads a definition is a superuser, and a
 * function that claims to be immutable is called here.
 */
Node *
fs_contract_plan_as(Node *expr, Oid owner)
{
	Oid			user;
	int			security;
	int			guc_level = NewGUCNestLevel();
	Node	   *planned;

	Assert(OidIsValid(owner));
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_RESTRICTED_OPERATION);
	planned = (Node *) expression_planner((Expr *) copyObject(expr));
	AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(user, security);
	return planned;
}

/* See stream_contract.h. */
Node *
fs_contract_plan(Node *expr, Oid owner, const char *what, const char *why,
				 const char *hint)
{
	Node	   *planned = fs_contract_plan_as(expr, owner);
	MutableSearch search = {InvalidOid};

	if (!contain_mutable_functions(planned))
		return planned;
	if (find_mutable(planned, &search))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must be immutable", what),
				 errdetail("Function %s is %s. %s",
						   format_procedure(search.function),
						   func_volatile(search.function) == PROVOLATILE_STABLE ?
						   "stable" : "volatile", why),
				 errhint("%s", hint)));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s must be immutable", what),
			 errdetail("%s", why),
			 errhint("%s", hint)));
	return NULL;				/* not reached */
}

/* Throws unless the column's type is one a record's field can be decoded to. */
static FsType
check_column_type(const FsStreamDef *def, Form_pg_attribute attr)
{
	FsType		type;

	if (!fs_contract_type(attr->atttypid, &type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of stream %s has unsupported type %s",
						NameStr(attr->attname), def->name,
						format_type_be(attr->atttypid)),
				 errhint("Columns of a stream can be text, smallint, integer, bigint, real, double precision, numeric, boolean, timestamp with time zone, date or uuid, arrays of these, or jsonb.")));
	if (attr->atttypmod >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of stream %s must not have a type modifier",
						NameStr(attr->attname), def->name),
				 errdetail("The type is %s; its modifier would change values silently.",
						   format_type_with_typemod(attr->atttypid,
													attr->atttypmod)),
				 errhint("Use %s and a CHECK constraint.",
						 format_type_be(attr->atttypid))));
	if (attr->attndims > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of stream %s must not have more than one dimension",
						NameStr(attr->attname), def->name),
				 errdetail("Arrays within arrays of a record would not be values of it."),
				 errhint("Use jsonb, or %s for arrays of one dimension.", format_type_be(attr->atttypid))));
	if (attr->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of stream %s must not be generated",
						NameStr(attr->attname), def->name),
				 errhint("Columns of a stream are fields of its records; compute in the feature view's query.")));
	return type;
}

/* Reads one live attribute, without its default. */
static void
load_column(FsStreamDef *def, FsColumn *column, Form_pg_attribute attr)
{
	column->attnum = attr->attnum;
	column->name = pstrdup(NameStr(attr->attname));
	column->field = column->name;
	column->typid = attr->atttypid;
	column->typmod = attr->atttypmod;
	column->collation = attr->attcollation;
	column->type = check_column_type(def, attr);
	column->not_null = attr->attnotnull;
	column->unit = FS_UNIT_NONE;
	column->default_expr = NULL;
	fs_options_read_column(column,
						   GetForeignColumnOptions(def->relid, attr->attnum));
	if (fs_type_element(column->type) == FS_TYPE_TIMESTAMPTZ)
	{
		if (column->unit == FS_UNIT_NONE)
			column->unit = FS_UNIT_ISO8601;
	}
	else if (column->unit != FS_UNIT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"unit\" of column \"%s\" needs type timestamp with time zone",
						column->name),
				 errdetail("The column's type is %s.",
						   format_type_be(column->typid)),
				 errhint("Drop the option, or declare the column as timestamptz.")));
}

/* Index into meta_fields of what the column's option "field" names; -1: a field of the payload. */
static int
find_meta_field(List *options)
{
	const char *field = fs_option_value(options, "field");

	for (int i = 0; i < lengthof(meta_fields) && field != NULL; i++)
		if (strcmp(meta_fields[i].field, field) == 0)
			return i;
	return -1;
}

/*
 * Adds a column that shows what is around the payload; false when this is none.
 * Nothing of it is in the log, so it can be neither demanded nor computed with.
 */
static bool
load_meta_column(FsStreamDef *def, Form_pg_attribute attr)
{
	List	   *options = GetForeignColumnOptions(def->relid, attr->attnum);
	int			at = find_meta_field(options);
	FsMetaColumn *column = &def->meta[def->nmeta];

	if (at < 0)
		return false;
	if (attr->atttypmod >= 0 ||
		(attr->atttypid != meta_fields[at].types[0] && attr->atttypid != meta_fields[at].types[1]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" of stream %s cannot show field \"%s\"",
						NameStr(attr->attname), def->name, meta_fields[at].field),
				 errdetail("Its type is %s.", format_type_with_typemod(attr->atttypid, attr->atttypmod)),
				 errhint("Declare it as %s.", meta_fields[at].allowed)));
	if (attr->attnotnull || attr->atthasdef || fs_option_value(options, "unit") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of stream %s shows field \"%s\" and cannot have NOT NULL, DEFAULT or the option \"unit\"",
						NameStr(attr->attname), def->name, meta_fields[at].field),
				 errdetail("It is no part of the payload, and so not of the data contract.")));
	column->attnum = attr->attnum;
	column->name = pstrdup(NameStr(attr->attname));
	column->typid = attr->atttypid;
	column->field = meta_fields[at].meta;
	def->nmeta++;
	return true;
}

/* Two columns must not read the same field of the payload. */
static void
check_fields_differ(const FsStreamDef *def)
{
	for (int i = 0; i < def->ncolumns; i++)
		for (int j = 0; j < i; j++)
			if (strcmp(def->columns[i].field, def->columns[j].field) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("columns \"%s\" and \"%s\" of stream %s both read field \"%s\"",
								def->columns[j].name, def->columns[i].name,
								def->name, def->columns[i].field),
						 errhint("Give one of them another field with OPTIONS (field ...), or drop it.")));
}

/* Throws for the DEFAULT of an array column that is no array as records have them. */
static void
check_default_array(const FsColumn *column, const char *what)
{
	const Const *value = (const Const *) column->default_expr;
	ArrayType  *array;

	if (!fs_type_is_array(column->type) || !IsA(value, Const) || value->constisnull)
		return;
	array = DatumGetArrayTypeP(value->constvalue);
	if (ARR_NDIM(array) == 0 || (ARR_NDIM(array) == 1 && ARR_LBOUND(array)[0] == 1))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s must be an array of one dimension that begins at 1", what),
			 errhint("Arrays of records have one dimension; use jsonb for others.")));
}

/* Reads the DEFAULT expressions; rel->rd_att->constr may be NULL. */
static void
load_defaults(FsStreamDef *def, TupleConstr *constr)
{
	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		int			index = fs_stream_column_index(def, constr->defval[i].adnum);
		char	   *what;

		if (index < 0)
			continue;
		what = psprintf("DEFAULT of column \"%s\" of stream %s",
						def->columns[index].name, def->name);
		def->columns[index].default_expr =
			fs_contract_plan(stringToNode(constr->defval[i].adbin),
							 def->owner, what,
							 "A replay of the stream would give other values.",
							 "Use a constant.");
		check_default_array(&def->columns[index], what);
	}
}

/* Throws when a CHECK looks at something that is no column of the record. */
static void
check_vars(const FsStreamDef *def, const FsCheck *check)
{
	List	   *vars = pull_var_clause(check->expr, 0);
	ListCell   *lc;

	foreach(lc, vars)
	{
		Var		   *var = lfirst_node(Var, lc);

		if (var->varattno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("CHECK constraint \"%s\" of stream %s must not use %s",
							check->name, def->name, var->varattno == 0 ?
							"the whole row" : "system columns"),
					 errhint("Name the columns it is about.")));
		if (fs_stream_meta_column(def, var->varattno) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("CHECK constraint \"%s\" of stream %s must not use column \"%s\"", check->name,
							def->name, fs_stream_meta_column(def, var->varattno)->name),
					 errhint("Name columns that are fields of the payload.")));
		Assert(fs_stream_column_index(def, var->varattno) >= 0);
	}
}

/* Reads the CHECK constraints, in order of their names as PostgreSQL keeps them. */
static void
load_checks(FsStreamDef *def, TupleConstr *constr)
{
	def->nchecks = constr != NULL ? constr->num_check : 0;
	def->checks = palloc0(Max(def->nchecks, 1) * sizeof(FsCheck));
	for (int i = 0; i < def->nchecks; i++)
	{
		FsCheck    *check = &def->checks[i];
		char	   *what;

		check->name = pstrdup(constr->check[i].ccname);
		what = psprintf("CHECK constraint \"%s\" of stream %s", check->name,
						def->name);
		check->expr =
			fs_contract_plan(stringToNode(constr->check[i].ccbin),
							 def->owner, what,
							 "Whether an event is valid must not depend on when or where it is asked.",
							 "Use immutable functions; event times are bounded by the stream's options max_future and watermark_delay.");
		check_vars(def, check);
	}
}

/* See stream_contract.h. */
void
fs_contract_load(FsStreamDef *def, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	def->natts = desc->natts;
	def->ncolumns = 0;
	def->columns = palloc0(Max(desc->natts, 1) * sizeof(FsColumn));
	def->nmeta = 0;
	def->meta = palloc0(Max(desc->natts, 1) * sizeof(FsMetaColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (!attr->attisdropped && !load_meta_column(def, attr))
			load_column(def, &def->columns[def->ncolumns++], attr);
	}
	Assert(def->ncolumns + def->nmeta <= def->natts);
	check_fields_differ(def);
	load_defaults(def, desc->constr);
	load_checks(def, desc->constr);
}
