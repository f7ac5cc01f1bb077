/*
 * lake_columns.c
 *		What becomes of a history's columns in the lake; see lake_columns.h.
 *
 * A decimal of Iceberg has a precision and a scale, so a numeric becomes one where
 * it is declared with such as Iceberg has.  Others (those that sum and avg give)
 * become strings, which lose nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/lake_columns.h"
#include "core/unscaled.h"

typedef struct TypeForm
{
	Oid			typid;
	FsParquetType type;
	FsLakeForm	form;
} TypeForm;

static const TypeForm forms[] = {
	{BOOLOID, FS_PARQUET_BOOLEAN, FS_LAKE_BOOL},
	{INT2OID, FS_PARQUET_INT, FS_LAKE_INT2},
	{INT4OID, FS_PARQUET_INT, FS_LAKE_INT4},
	{INT8OID, FS_PARQUET_LONG, FS_LAKE_INT8},
	{FLOAT4OID, FS_PARQUET_FLOAT, FS_LAKE_FLOAT4},
	{FLOAT8OID, FS_PARQUET_DOUBLE, FS_LAKE_FLOAT8},
	{DATEOID, FS_PARQUET_DATE, FS_LAKE_DATE},
	{TIMESTAMPOID, FS_PARQUET_TIMESTAMP, FS_LAKE_TIME_POINT},
	{TIMESTAMPTZOID, FS_PARQUET_TIMESTAMPTZ, FS_LAKE_TIME_POINT},
	{TEXTOID, FS_PARQUET_STRING, FS_LAKE_VARLENA},
	{VARCHAROID, FS_PARQUET_STRING, FS_LAKE_VARLENA},
	{BYTEAOID, FS_PARQUET_BINARY, FS_LAKE_VARLENA},
	{UUIDOID, FS_PARQUET_UUID, FS_LAKE_UUID},
	{BPCHAROID, FS_PARQUET_STRING, FS_LAKE_PRINTED},
	{NUMERICOID, FS_PARQUET_STRING, FS_LAKE_PRINTED},
	{JSONOID, FS_PARQUET_STRING, FS_LAKE_PRINTED},
	{JSONBOID, FS_PARQUET_STRING, FS_LAKE_PRINTED},
};

static void
throw_unsupported(const char *name, Oid typid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" of type %s cannot be exported to a lake",
					name, format_type_be(typid)),
			 errhint("Cast it to text in the query.")));
}

/* The form of a type; throws when there is none. */
static TypeForm
find_form(const char *name, Oid typid)
{
	TypeForm	printed = {typid, FS_PARQUET_STRING, FS_LAKE_PRINTED};

	for (int i = 0; i < lengthof(forms); i++)
		if (forms[i].typid == typid)
			return forms[i];
	if (get_typtype(typid) != TYPTYPE_ENUM)
		throw_unsupported(name, typid);
	return printed;
}

/*
 * Makes a decimal of a numeric whose modifier (numeric.c's: the precision in the
 * upper half, the scale in 11 bits) is one that decimals can have.
 */
static void
set_decimal(FsLakeColumn *column, int32 typmod)
{
	int32		bits = typmod - VARHDRSZ;
	int			precision = (bits >> 16) & 0xffff;
	int			scale = ((bits & 0x7ff) ^ 1024) - 1024;

	if (typmod < (int32) VARHDRSZ || precision > FS_UNSCALED_PRECISION || scale < 0 || scale > precision)
		return;
	column->column.type = FS_PARQUET_DECIMAL;
	column->column.precision = precision;
	column->column.scale = scale;
	column->form = FS_LAKE_DECIMAL;
}

/* Sets what becomes of one column. */
static void
set_column(FsLakeColumn *column, Form_pg_attribute attribute)
{
	const char *name = NameStr(attribute->attname);
	int32		typmod = attribute->atttypmod;
	Oid			typid = getBaseTypeAndTypmod(attribute->atttypid, &typmod);
	Oid			element = get_element_type(typid);
	Oid			base = OidIsValid(element) ? getBaseTypeAndTypmod(element, &typmod) : typid;
	TypeForm	form = find_form(name, base);

	memset(column, 0, sizeof(FsLakeColumn));
	column->column.name = pstrdup(name);
	column->column.type = form.type;
	column->column.required = attribute->attnotnull;
	column->column.is_list = OidIsValid(element);
	column->form = form.form;
	column->typid = OidIsValid(element) ? element : typid;
	column->number = attribute->attnum;
	if (base == NUMERICOID)
		set_decimal(column, typmod);
}

/* See lake_columns.h. */
FsLakeColumn *
fs_lake_columns(Oid history, int *ncolumns)
{
	Relation	rel = table_open(history, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	FsLakeColumn *columns = palloc(sizeof(FsLakeColumn) * Max(desc->natts, 1));

	*ncolumns = 0;
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			set_column(&columns[(*ncolumns)++], TupleDescAttr(desc, i));
	table_close(rel, NoLock);
	return columns;
}
