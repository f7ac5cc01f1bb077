/*
 * iceberg_data_file.c
 *		From a finished Parquet file to what a manifest says of it; see iceberg_manifest.h.
 *
 * Columns that are lists have no bounds: no reader asks for them.  Neither have
 * uuids, which Java compares otherwise than the specification says.
 */
#include "core/iceberg_manifest.h"

/* A copy of bytes, not NULL even when there are none; NULL when memory is out. */
static const char *
copy_bytes(FsScratch *memory, const FsBuffer *bytes, size_t *len)
{
	char	   *copy = fs_scratch_take(memory, bytes->len + 1);

	if (copy != NULL && bytes->len > 0)
		memcpy(copy, bytes->data, bytes->len);
	*len = bytes->len;
	return copy;
}

/* Says what is known of a column; false when memory is out. */
static bool
describe_column(FsScratch *memory, const FsParquetWriter *writer, int i, const FsParquetColumn *column,
				FsIcebergMetrics *out)
{
	FsParquetMetrics metrics;
	bool		done = fs_parquet_get_metrics(writer, i, &metrics);
	bool		is_float = column->type == FS_PARQUET_FLOAT || column->type == FS_PARQUET_DOUBLE;

	memset(out, 0, sizeof(*out));
	out->field_id = column->is_list ? column->element_id : column->field_id;
	out->bytes = metrics.bytes;
	out->value_count = metrics.value_count;
	out->null_count = metrics.null_count;
	out->nan_count = is_float ? metrics.nan_count : -1;
	if (done && metrics.has_bounds && !column->is_list && column->type != FS_PARQUET_UUID)
	{
		out->lower = copy_bytes(memory, &metrics.lower, &out->lower_len);
		if (metrics.has_upper)
			out->upper = copy_bytes(memory, &metrics.upper, &out->upper_len);
		done = out->lower != NULL && (out->upper != NULL || !metrics.has_upper);
	}
	fs_buffer_free(&metrics.lower);
	fs_buffer_free(&metrics.upper);
	return done;
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_data_file(FsIcebergDataFile *file, FsScratch *memory, const FsParquetWriter *writer,
					 const FsParquetColumn *columns, int ncolumns, const char *path,
					 const FsIcebergValue *partition, int32_t sort_id)
{
	FsIcebergMetrics *metrics = fs_scratch_take_aligned(memory, sizeof(FsIcebergMetrics) * (size_t) (ncolumns + 1));
	const int64_t *offsets;
	int64_t    *copy;

	memset(file, 0, sizeof(*file));
	offsets = fs_parquet_offsets(writer, &file->noffsets);
	copy = fs_scratch_take_aligned(memory, sizeof(int64_t) * (size_t) (file->noffsets + 1));
	if (metrics == NULL || copy == NULL)
		return false;
	for (int i = 0; i < ncolumns; i++)
		if (!describe_column(memory, writer, i, &columns[i], &metrics[i]))
			return false;
	for (int i = 0; i < file->noffsets; i++)
		copy[i] = offsets[i];
	file->content = FS_ICEBERG_DATA;
	file->path = path;
	file->format = "PARQUET";
	file->partition = partition;
	file->rows = fs_parquet_rows(writer);
	file->size = fs_parquet_size(writer);
	file->metrics = metrics;
	file->nmetrics = ncolumns;
	file->offsets = copy;
	file->sort_id = sort_id;
	return true;
}
