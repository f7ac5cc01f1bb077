/*
 * parquet_physical.c
 *		What values of a column are in a file; see parquet_values.h.
 *
 * Decimals are numbers of 32 or 64 bits where these hold their digits, and else
 * bytes, as few as hold all of the precision: what Iceberg's appendix A says.
 */
#include "core/parquet_values.h"

#include "core/unscaled.h"

#define INT32_PRECISION	9		/* digits that each number of 32 bits has room for */
#define INT64_PRECISION	18

/* See parquet_values.h. */
FsParquetPhysical
fs_parquet_physical(const FsParquetColumn *column)
{
	switch (column->type)
	{
		case FS_PARQUET_BOOLEAN:
			return FS_PHYSICAL_BOOLEAN;
		case FS_PARQUET_INT:
		case FS_PARQUET_DATE:
			return FS_PHYSICAL_INT32;
		case FS_PARQUET_LONG:
		case FS_PARQUET_TIMESTAMP:
		case FS_PARQUET_TIMESTAMPTZ:
			return FS_PHYSICAL_INT64;
		case FS_PARQUET_FLOAT:
			return FS_PHYSICAL_FLOAT;
		case FS_PARQUET_DOUBLE:
			return FS_PHYSICAL_DOUBLE;
		case FS_PARQUET_STRING:
		case FS_PARQUET_BINARY:
			return FS_PHYSICAL_BYTES;
		case FS_PARQUET_UUID:
			return FS_PHYSICAL_FIXED;
		case FS_PARQUET_DECIMAL:
			return column->precision <= INT32_PRECISION ? FS_PHYSICAL_INT32 :
				column->precision <= INT64_PRECISION ? FS_PHYSICAL_INT64 : FS_PHYSICAL_FIXED;
	}
	FS_ASSERT(false);
	return FS_PHYSICAL_BYTES;
}

/* See parquet_values.h. */
int
fs_parquet_width(const FsParquetColumn *column)
{
	switch (fs_parquet_physical(column))
	{
		case FS_PHYSICAL_BOOLEAN:
			return 1;
		case FS_PHYSICAL_INT32:
		case FS_PHYSICAL_FLOAT:
			return 4;
		case FS_PHYSICAL_INT64:
		case FS_PHYSICAL_DOUBLE:
			return 8;
		case FS_PHYSICAL_BYTES:
			return 0;
		case FS_PHYSICAL_FIXED:
			return column->type == FS_PARQUET_UUID ? 16 : fs_unscaled_width(column->precision);
	}
	return 0;
}

/* See parquet_values.h. */
void
fs_parquet_decimal_put(const FsParquetColumn *column, const char *bytes, size_t len, char *out)
{
	size_t		width = (size_t) fs_parquet_width(column);
	char		number[8];

	FS_ASSERT(column->type == FS_PARQUET_DECIMAL && len <= width);
	if (fs_parquet_physical(column) != FS_PHYSICAL_FIXED)
	{
		fs_put_le64(number, (uint64_t) fs_unscaled_get(bytes, len));
		memcpy(out, number, width);		/* little-endian: the low bytes come first */
		return;
	}
	memset(out, len > 0 && (bytes[0] & 0x80) != 0 ? 0xff : 0, width - len);
	memcpy(out + width - len, bytes, len);
}

/* See parquet_values.h. */
size_t
fs_parquet_decimal_get(const FsParquetColumn *column, const char *bytes, char *out)
{
	size_t		len = (size_t) fs_parquet_width(column);
	const char *first;

	FS_ASSERT(column->type == FS_PARQUET_DECIMAL);
	if (fs_parquet_physical(column) != FS_PHYSICAL_FIXED)
		return fs_unscaled_put(len == 4 ? (int32_t) fs_get_le32(bytes) : (int64_t) fs_get_le64(bytes), out);
	first = fs_unscaled_shorten(bytes, &len);
	memcpy(out, first, len);
	return len;
}
