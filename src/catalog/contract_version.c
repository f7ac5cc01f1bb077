/*
 * contract_version.c
 *		The versions of a stream's contract; see contract_version.h.
 *
 * A segment of the event log names its columns by number, so that what an event
 * has is known whatever the stream is now.  What it has not, because the column
 * came later, must not follow later changes of the DEFAULT: it is kept here, as
 * text that means the same under any settings.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/contract_version.h"
#include "catalog/extension.h"
#include "catalog/run_as.h"

/* The columns of foreign table $1, as they are recorded. */
#define DESCRIBE_COLUMNS \
	"SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('number', a.attnum, 'name', a.attname," \
	" 'type', format_type(a.atttypid, NULL), 'not_null', a.attnotnull," \
	" 'default', pg_get_expr(d.adbin, d.adrelid)," \
	" 'options', (SELECT jsonb_object_agg(o.option_name, o.option_value)" \
	"             FROM pg_options_to_table(a.attfdwoptions) o))) ORDER BY a.attnum) AS columns" \
	" FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum" \
	" WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped"

/*
 * Parameters: stream, values of added columns by number, user.  A value that was
 * recorded stays while the column has its type: that changes only where there
 * are no events.  A column is never null as long as none of its versions allows
 * null, and events from before it have a value.
 */
#define ENTER_VERSION \
	"WITH new AS (" DESCRIBE_COLUMNS ")," \
	" old AS (SELECT version, columns, missing, never_null FROM feature_stream.stream_contract" \
	"         WHERE stream = $1 ORDER BY version DESC LIMIT 1)," \
	" added AS (SELECT key, value FROM old, jsonb_each($2::jsonb) UNION ALL" \
	"           SELECT m.key, m.value FROM new, old, jsonb_array_elements(new.columns) n," \
	"                  jsonb_array_elements(old.columns) o, jsonb_each(old.missing) m" \
	"           WHERE n ->> 'number' = m.key AND o -> 'number' = n -> 'number' AND o -> 'type' = n -> 'type')," \
	" never AS (SELECT array_agg(number ORDER BY number) AS numbers" \
	"           FROM new LEFT JOIN old ON true, jsonb_array_elements(new.columns) n," \
	"                LATERAL (SELECT (n -> 'number')::int2) c (number)" \
	"           WHERE (n -> 'not_null')::bool AND (old.version IS NULL OR number = ANY (old.never_null)" \
	"                                              OR $2::jsonb ? number::text))" \
	" INSERT INTO feature_stream.stream_contract (stream, version, columns, missing, never_null, changed_by)" \
	" SELECT $1, coalesce(old.version, 0) + 1, new.columns," \
	"        coalesce((SELECT jsonb_object_agg(key, value) FROM added), '{}')," \
	"        coalesce((SELECT numbers FROM never), '{}'), $3" \
	" FROM new LEFT JOIN old ON true WHERE new.columns IS DISTINCT FROM old.columns"

/* The value of an immutable expression as text, NULL for null; as the stream's owner. */
static char *
evaluate_text(const FsStreamDef *stream, const FsColumn *column)
{
	List	   *settings = list_make4("DateStyle", "ISO, YMD", "TimeZone", "UTC");
	ExprContext *econtext = CreateStandaloneExprContext();
	FsRunAs		scope;
	Oid			output;
	bool		is_varlena;
	bool		isnull;
	Datum		value;
	char	   *text = NULL;

	settings = list_concat(settings, list_make2("extra_float_digits", "1"));
	getTypeOutputInfo(column->typid, &output, &is_varlena);
	fs_run_as_begin(&scope, stream->owner, settings);
	value = ExecEvalExpr(ExecInitExpr((Expr *) column->default_expr, NULL), econtext, &isnull);
	if (!isnull)
		text = OidOutputFunctionCall(output, value);
	fs_run_as_end(&scope);
	return text;
}

/* See contract_version.h. */
void
fs_contract_version_fence(Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(stream)};

	fs_owner_execute("UPDATE feature_stream.stream_state SET epoch = epoch + 1 WHERE stream = $1",
					 SPI_OK_UPDATE, 1, types, values, NULL);
}

/* Has any event of the stream been accepted? */
static bool
has_events(Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(stream)};

	return fs_owner_execute("SELECT FROM feature_stream.partition_position"
							" WHERE stream = $1 AND accepted_count > 0",
							SPI_OK_SELECT, 1, types, values, NULL) > 0;
}

/*
 * Throws when an added column needs a value, and events are there that have
 * none.  What a worker has read but not committed is read again, with the column.
 */
static void
check_added(const FsStreamDef *stream, const FsColumn *column, const char *value)
{
	if (value != NULL || !column->not_null)
		return;
	fs_contract_version_fence(stream->relid);
	if (!has_events(stream->relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("column \"%s\" of stream %s contains null values", column->name, stream->name),
			 errdetail("Events that were read before have no value for it."),
			 errhint("Add the column with a DEFAULT; or without NOT NULL, which can be set afterwards.")));
}

/* {"5": "unknown"}: values of the columns behind number 'known'. */
static char *
added_values(const FsStreamDef *stream, int known)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];
		char	   *value = NULL;

		if (column->attnum <= known)
			continue;
		if (column->default_expr != NULL)
			value = evaluate_text(stream, column);
		check_added(stream, column, value);
		if (value == NULL)
			continue;
		appendStringInfo(&json, "%s\"%d\": ", json.len > 0 ? ", " : "", column->attnum);
		escape_json(&json, value);
	}
	return psprintf("{%s}", json.data);
}

/* See contract_version.h. */
void
fs_contract_version_enter(const FsStreamDef *stream, int known)
{
	Oid			types[3] = {OIDOID, TEXTOID, NAMEOID};
	Datum		values[3];

	Assert(known >= 0);
	values[0] = ObjectIdGetDatum(stream->relid);
	values[1] = CStringGetTextDatum(added_values(stream, known));
	values[2] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
	(void) fs_owner_execute(ENTER_VERSION, SPI_OK_INSERT, 3, types, values, NULL);
}

/* Runs a query on the stream's versions; connected to SPI until finish_query(). */
static void
begin_query(FsOwnerScope *scope, const char *query, Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(stream)};

	fs_owner_begin(scope);
	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\"", query);
}

static void
finish_query(FsOwnerScope *scope)
{
	SPI_finish();
	fs_owner_end(scope);
}

/* See contract_version.h. */
int
fs_contract_version_newest(Oid stream)
{
	FsOwnerScope scope;
	bool		isnull;
	int			version;

	begin_query(&scope, "SELECT coalesce(max(version), 0) FROM feature_stream.stream_contract"
				" WHERE stream = $1", stream);
	Assert(SPI_processed == 1);
	version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	finish_query(&scope);
	return version;
}

/* See contract_version.h. */
char **
fs_contract_version_missing(const FsStreamDef *stream)
{
	MemoryContext caller = CurrentMemoryContext;
	char	  **missing = palloc0(sizeof(char *) * Max(stream->ncolumns, 1));
	FsOwnerScope scope;

	begin_query(&scope, "SELECT m.key::int2, m.value FROM (SELECT missing FROM feature_stream.stream_contract"
				" WHERE stream = $1 ORDER BY version DESC LIMIT 1) c, jsonb_each_text(c.missing) m",
				stream->relid);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;
		AttrNumber	attnum = DatumGetInt16(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		int			index = fs_stream_column_index(stream, attnum);

		if (index >= 0)
			missing[index] = MemoryContextStrdup(caller, SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2));
	}
	finish_query(&scope);
	return missing;
}

/* Marks the columns with these attribute numbers, and no others. */
static void
mark_columns(FsStreamDef *stream, ArrayType *numbers)
{
	int16	   *elements = (int16 *) ARR_DATA_PTR(numbers);
	int			n = ArrayGetNItems(ARR_NDIM(numbers), ARR_DIMS(numbers));

	Assert(ARR_ELEMTYPE(numbers) == INT2OID && !ARR_HASNULL(numbers));
	for (int i = 0; i < stream->ncolumns; i++)
		stream->columns[i].never_null = false;
	for (int i = 0; i < n; i++)
	{
		int			index = fs_stream_column_index(stream, elements[i]);

		if (index >= 0)
			stream->columns[index].never_null = stream->columns[index].not_null;
	}
}

/* See contract_version.h.  Read directly, not through SPI: readers plan queries with it. */
void
fs_contract_version_mark(FsStreamDef *stream)
{
	Oid			relid = fs_extension_relation("stream_contract");
	Relation	rel = table_open(relid, AccessShareLock);
	AttrNumber	version = get_attnum(relid, "version");
	AttrNumber	never_null = get_attnum(relid, "never_null");
	int			newest = 0;
	SysScanDesc scan;
	ScanKeyData skey;
	HeapTuple	tuple;

	ScanKeyInit(&skey, get_attnum(relid, "stream"), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream->relid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &skey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		int			found = DatumGetInt32(heap_getattr(tuple, version, RelationGetDescr(rel), &isnull));

		if (found <= newest)
			continue;
		newest = found;
		mark_columns(stream, DatumGetArrayTypePCopy(heap_getattr(tuple, never_null, RelationGetDescr(rel), &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}
