/*
 * parquet_footer.c
 *		The end of a Parquet file; see parquet_footer.h.
 *
 * Field numbers are those of parquet.thrift.  Both the old (ConvertedType) and
 * the new (LogicalType) names of types are written, except for a timestamp of
 * no time zone, which the old name cannot say.
 */
#include "core/parquet_footer.h"

#include "core/thrift.h"

#define CREATED_BY "feature_stream version 1.0.0 (build 0)"
#define ZSTD 6					/* CompressionCodec */

enum
{
	REQUIRED = 0, OPTIONAL = 1, REPEATED = 2
};

/* ConvertedType */
enum
{
	NO_CONVERTED_TYPE = -1, CONVERTED_UTF8 = 0, CONVERTED_LIST = 3, CONVERTED_DECIMAL = 5, CONVERTED_DATE = 6,
	CONVERTED_TIMESTAMP_MICROS = 10
};

/* Fields of the union LogicalType */
enum
{
	LOGICAL_STRING = 1, LOGICAL_LIST = 3, LOGICAL_DECIMAL = 5, LOGICAL_DATE = 6, LOGICAL_TIMESTAMP = 8, LOGICAL_UUID = 14
};

/* The type as readers from before LogicalType know it, if they do. */
static int
converted_type(FsParquetType type)
{
	switch (type)
	{
		case FS_PARQUET_STRING:
			return CONVERTED_UTF8;
		case FS_PARQUET_DECIMAL:
			return CONVERTED_DECIMAL;
		case FS_PARQUET_DATE:
			return CONVERTED_DATE;
		case FS_PARQUET_TIMESTAMPTZ:
			return CONVERTED_TIMESTAMP_MICROS;
		default:
			return NO_CONVERTED_TYPE;
	}
}

/* LogicalType TIMESTAMP in microseconds. */
static void
put_timestamp(FsThrift *thrift, bool is_utc)
{
	fs_thrift_begin_field(thrift, LOGICAL_TIMESTAMP);
	fs_thrift_bool_field(thrift, 1, is_utc);
	fs_thrift_begin_field(thrift, 2);
	fs_thrift_empty_field(thrift, 2);	/* MICROS */
	fs_thrift_end(thrift);
	fs_thrift_end(thrift);
}

/* LogicalType DECIMAL. */
static void
put_decimal(FsThrift *thrift, const FsParquetColumn *column)
{
	fs_thrift_begin_field(thrift, LOGICAL_DECIMAL);
	fs_thrift_int_field(thrift, 1, FS_THRIFT_I32, column->scale);
	fs_thrift_int_field(thrift, 2, FS_THRIFT_I32, column->precision);
	fs_thrift_end(thrift);
}

/* The logical type of a value, if it has one. */
static void
put_logical_type(FsThrift *thrift, const FsParquetColumn *column)
{
	FsParquetType type = column->type;

	if (type != FS_PARQUET_STRING && type != FS_PARQUET_DATE && type != FS_PARQUET_UUID &&
		type != FS_PARQUET_TIMESTAMP && type != FS_PARQUET_TIMESTAMPTZ && type != FS_PARQUET_DECIMAL)
		return;
	fs_thrift_begin_field(thrift, 10);
	if (type == FS_PARQUET_TIMESTAMP || type == FS_PARQUET_TIMESTAMPTZ)
		put_timestamp(thrift, type == FS_PARQUET_TIMESTAMPTZ);
	else if (type == FS_PARQUET_DECIMAL)
		put_decimal(thrift, column);
	else
		fs_thrift_empty_field(thrift, type == FS_PARQUET_STRING ? LOGICAL_STRING :
							  type == FS_PARQUET_DATE ? LOGICAL_DATE : LOGICAL_UUID);
	fs_thrift_end(thrift);
}

/* A leaf of the schema. */
static void
put_leaf(FsThrift *thrift, const FsParquetColumn *column, const char *name, bool required, int32_t id)
{
	int			converted = converted_type(column->type);

	fs_thrift_begin(thrift);
	fs_thrift_int_field(thrift, 1, FS_THRIFT_I32, fs_parquet_physical(column));
	if (fs_parquet_physical(column) == FS_PHYSICAL_FIXED)
		fs_thrift_int_field(thrift, 2, FS_THRIFT_I32, fs_parquet_width(column));
	fs_thrift_int_field(thrift, 3, FS_THRIFT_I32, required ? REQUIRED : OPTIONAL);
	fs_thrift_bytes_field(thrift, 4, name, strlen(name));
	if (converted != NO_CONVERTED_TYPE)
		fs_thrift_int_field(thrift, 6, FS_THRIFT_I32, converted);
	if (column->type == FS_PARQUET_DECIMAL)
	{
		fs_thrift_int_field(thrift, 7, FS_THRIFT_I32, column->scale);
		fs_thrift_int_field(thrift, 8, FS_THRIFT_I32, column->precision);
	}
	fs_thrift_int_field(thrift, 9, FS_THRIFT_I32, id);
	put_logical_type(thrift, column);
	fs_thrift_end(thrift);
}

/* The two groups around a list's elements. */
static void
put_list_groups(FsThrift *thrift, const FsParquetColumn *column)
{
	fs_thrift_begin(thrift);
	fs_thrift_int_field(thrift, 3, FS_THRIFT_I32, column->required ? REQUIRED : OPTIONAL);
	fs_thrift_bytes_field(thrift, 4, column->name, strlen(column->name));
	fs_thrift_int_field(thrift, 5, FS_THRIFT_I32, 1);
	fs_thrift_int_field(thrift, 6, FS_THRIFT_I32, CONVERTED_LIST);
	fs_thrift_int_field(thrift, 9, FS_THRIFT_I32, column->field_id);
	fs_thrift_begin_field(thrift, 10);
	fs_thrift_empty_field(thrift, LOGICAL_LIST);
	fs_thrift_end(thrift);
	fs_thrift_end(thrift);

	fs_thrift_begin(thrift);
	fs_thrift_int_field(thrift, 3, FS_THRIFT_I32, REPEATED);
	fs_thrift_bytes_field(thrift, 4, "list", 4);
	fs_thrift_int_field(thrift, 5, FS_THRIFT_I32, 1);
	fs_thrift_end(thrift);
}

/* The schema: its root, and a leaf or a list for each column. */
static void
put_schema(FsThrift *thrift, const FsParquetColumn *columns, int ncolumns)
{
	int			nelements = 1;

	for (int i = 0; i < ncolumns; i++)
		nelements += columns[i].is_list ? 3 : 1;
	fs_thrift_list_field(thrift, 2, FS_THRIFT_STRUCT, (size_t) nelements);
	fs_thrift_begin(thrift);
	fs_thrift_bytes_field(thrift, 4, "table", 5);
	fs_thrift_int_field(thrift, 5, FS_THRIFT_I32, ncolumns);
	fs_thrift_end(thrift);
	for (int i = 0; i < ncolumns; i++)
	{
		if (columns[i].is_list)
		{
			put_list_groups(thrift, &columns[i]);
			put_leaf(thrift, &columns[i], "element", false, columns[i].element_id);
		}
		else
			put_leaf(thrift, &columns[i], columns[i].name, columns[i].required, columns[i].field_id);
	}
}

/* Statistics of a chunk. */
static bool
put_statistics(FsThrift *thrift, const FsParquetBounds *bounds)
{
	FsBuffer	least = {0};
	FsBuffer	greatest = {0};
	bool		least_exact = true;
	bool		greatest_exact = true;
	bool		known = fs_parquet_bounds_are_whole(bounds);
	bool		done = !known || (fs_parquet_bounds_encode_short(bounds, false, &least, &least_exact) &&
								  fs_parquet_bounds_encode_short(bounds, true, &greatest, &greatest_exact));

	fs_thrift_begin_field(thrift, 12);
	fs_thrift_int_field(thrift, 3, FS_THRIFT_I64, bounds->nulls);
	if (known && done)
	{
		fs_thrift_bytes_field(thrift, 5, greatest.data, greatest.len);
		fs_thrift_bytes_field(thrift, 6, least.data, least.len);
		fs_thrift_bool_field(thrift, 7, greatest_exact);
		fs_thrift_bool_field(thrift, 8, least_exact);
	}
	fs_thrift_end(thrift);
	fs_buffer_free(&least);
	fs_buffer_free(&greatest);
	return done;
}

/* Encodings, path and codec of a chunk. */
static void
put_chunk_form(FsThrift *thrift, const FsParquetColumn *column, const FsParquetChunkInfo *chunk, bool compressed)
{
	fs_thrift_int_field(thrift, 1, FS_THRIFT_I32, fs_parquet_physical(column));
	fs_thrift_list_field(thrift, 2, FS_THRIFT_I32, chunk->encoding == FS_ENCODING_PLAIN ? 2 : 3);
	fs_thrift_int_item(thrift, FS_ENCODING_PLAIN);
	fs_thrift_int_item(thrift, FS_ENCODING_RLE);
	if (chunk->encoding != FS_ENCODING_PLAIN)
		fs_thrift_int_item(thrift, chunk->encoding);
	fs_thrift_list_field(thrift, 3, FS_THRIFT_BINARY, column->is_list ? 3 : 1);
	fs_thrift_bytes_item(thrift, column->name, strlen(column->name));
	if (column->is_list)
	{
		fs_thrift_bytes_item(thrift, "list", 4);
		fs_thrift_bytes_item(thrift, "element", 7);
	}
	fs_thrift_int_field(thrift, 4, FS_THRIFT_I32, compressed ? ZSTD : 0);
}

/* A ColumnChunk. */
static bool
put_chunk(FsThrift *thrift, const FsParquetColumn *column, const FsParquetChunkInfo *chunk, bool compressed)
{
	fs_thrift_begin(thrift);
	fs_thrift_int_field(thrift, 2, FS_THRIFT_I64, 0);	/* metadata are nowhere else */
	fs_thrift_begin_field(thrift, 3);
	put_chunk_form(thrift, column, chunk, compressed);
	fs_thrift_int_field(thrift, 5, FS_THRIFT_I64, chunk->nlevels);
	fs_thrift_int_field(thrift, 6, FS_THRIFT_I64, chunk->raw_bytes);
	fs_thrift_int_field(thrift, 7, FS_THRIFT_I64, chunk->bytes);
	fs_thrift_int_field(thrift, 9, FS_THRIFT_I64, chunk->data_offset);
	if (chunk->dictionary_offset >= 0)
		fs_thrift_int_field(thrift, 11, FS_THRIFT_I64, chunk->dictionary_offset);
	if (!put_statistics(thrift, &chunk->bounds))
		return false;
	fs_thrift_end(thrift);
	fs_thrift_int_field(thrift, 4, FS_THRIFT_I64, chunk->offset_index_offset);
	fs_thrift_int_field(thrift, 5, FS_THRIFT_I32, (int64_t) chunk->offset_index.len);
	if (chunk->column_index.len > 0)
	{
		fs_thrift_int_field(thrift, 6, FS_THRIFT_I64, chunk->column_index_offset);
		fs_thrift_int_field(thrift, 7, FS_THRIFT_I32, (int64_t) chunk->column_index.len);
	}
	fs_thrift_end(thrift);
	return true;
}

/* A RowGroup. */
static bool
put_group(FsThrift *thrift, const FsParquetColumn *columns, int ncolumns, bool compressed,
		  const FsParquetGroup *group, size_t number)
{
	int64_t		bytes = 0;
	int64_t		raw_bytes = 0;

	fs_thrift_begin(thrift);
	fs_thrift_list_field(thrift, 1, FS_THRIFT_STRUCT, (size_t) ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		if (!put_chunk(thrift, &columns[i], &group->chunks[i], compressed))
			return false;
		bytes += group->chunks[i].bytes;
		raw_bytes += group->chunks[i].raw_bytes;
	}
	fs_thrift_int_field(thrift, 2, FS_THRIFT_I64, raw_bytes);
	fs_thrift_int_field(thrift, 3, FS_THRIFT_I64, group->nrows);
	fs_thrift_int_field(thrift, 5, FS_THRIFT_I64, group->offset);
	fs_thrift_int_field(thrift, 6, FS_THRIFT_I64, bytes);
	if (number <= INT16_MAX)
		fs_thrift_int_field(thrift, 7, FS_THRIFT_I16, (int64_t) number);
	fs_thrift_end(thrift);
	return true;
}

/* All columns are ordered as their types say; without this statistics are ignored. */
static void
put_orders(FsThrift *thrift, int ncolumns)
{
	fs_thrift_list_field(thrift, 7, FS_THRIFT_STRUCT, (size_t) ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		fs_thrift_begin(thrift);
		fs_thrift_empty_field(thrift, 1);
		fs_thrift_end(thrift);
	}
}

/* See parquet_footer.h. */
bool
fs_parquet_footer_encode(const FsParquetColumn *columns, int ncolumns, bool compressed,
						 const FsParquetGroup *groups, size_t ngroups, FsBuffer *out)
{
	FsThrift	thrift = {.out = out};
	int64_t		nrows = 0;

	for (size_t g = 0; g < ngroups; g++)
		nrows += groups[g].nrows;
	fs_thrift_begin(&thrift);
	fs_thrift_int_field(&thrift, 1, FS_THRIFT_I32, 1);
	put_schema(&thrift, columns, ncolumns);
	fs_thrift_int_field(&thrift, 3, FS_THRIFT_I64, nrows);
	fs_thrift_list_field(&thrift, 4, FS_THRIFT_STRUCT, ngroups);
	for (size_t g = 0; g < ngroups; g++)
		if (!put_group(&thrift, columns, ncolumns, compressed, &groups[g], g))
			return false;
	fs_thrift_bytes_field(&thrift, 6, CREATED_BY, strlen(CREATED_BY));
	put_orders(&thrift, ncolumns);
	fs_thrift_end(&thrift);
	return !thrift.failed;
}
