/*
 * query.c
 *		Queries on the extension's own tables; see query.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "state/query.h"

/* Runs a command and checks its result code. */
static void
execute(const char *command, int expected, int nargs, Oid *types, Datum *values, const char *nulls, bool read_only)
{
	int			result = SPI_execute_with_args(command, nargs, types, values, nulls, read_only, 0);

	if (result != expected)
		elog(ERROR, "command \"%s\" returned %s", command, SPI_result_code_string(result));
}

/* See query.h. */
void
fs_query_run(const char *command, int expected, int nargs, Oid *types, Datum *values, const char *nulls)
{
	execute(command, expected, nargs, types, values, nulls, false);
}

/* See query.h. */
void
fs_query_read(const char *query, int nargs, Oid *types, Datum *values)
{
	execute(query, SPI_OK_SELECT, nargs, types, values, NULL, true);
}

/* See query.h. */
void
fs_query_set_time(Datum *values, char *nulls, int i, FsTime time)
{
	nulls[i] = time == FS_TIME_MIN ? 'n' : ' ';
	values[i] = TimestampTzGetDatum(time);
}

/* A column's value of the last query. */
static Datum
get_value(uint64 row, int column, bool *isnull)
{
	Assert(SPI_tuptable != NULL && row < SPI_tuptable->numvals);
	Assert(column >= 1 && column <= SPI_tuptable->tupdesc->natts);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/* See query.h. */
bool
fs_query_is_null(uint64 row, int column)
{
	bool		isnull;

	(void) get_value(row, column, &isnull);
	return isnull;
}

/* See query.h. */
FsTime
fs_query_time(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_value(row, column, &isnull);

	return isnull ? FS_TIME_MIN : DatumGetTimestampTz(value);
}

/* See query.h. */
int32
fs_query_int32(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_value(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* See query.h. */
int64
fs_query_int64(uint64 row, int column, int64 otherwise)
{
	bool		isnull;
	Datum		value = get_value(row, column, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

/* See query.h. */
bool
fs_query_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_value(row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* See query.h. */
Oid
fs_query_oid(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_value(row, column, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/* See query.h. */
List *
fs_query_names(Datum array)
{
	List	   *names = NIL;
	Datum	   *elements;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		names = lappend(names, makeString(pstrdup(NameStr(*DatumGetName(elements[i])))));
	return names;
}
