/*
 * parquet.c
 *		Writer of Apache Parquet files; see parquet.h.
 *
 * The file: magic, row groups (a column's pages together), column indexes,
 * offset indexes, footer, its length, magic.
 */
#include "core/parquet.h"

#include <stdlib.h>

#include "core/parquet_column.h"
#include "core/parquet_footer.h"
#include "core/unscaled.h"

#define MAGIC "PAR1"
#define ROWS_BETWEEN_LOOKS 16	/* at the bytes of a row group */
#define BOUND_LENGTH 16			/* characters or bytes of a bound in a manifest */

const FsParquetOptions fs_parquet_defaults = {
	.zstd_level = 3,
	.group_bytes = 32 * 1024 * 1024,
	.group_rows = 1000000,
	.page_bytes = 1024 * 1024,
	.page_rows = 20000,
	.dictionary_bytes = 1024 * 1024
};

struct FsParquetWriter
{
	const FsParquetColumn *columns;
	int			ncolumns;
	FsParquetOptions options;
	FsParquetSink sink;
	void	   *arg;
	const char *error;
	bool		finished;

	FsParquetPress press;
	FsParquetChunk *chunks;		/* one for each column */
	int64_t		nrows;			/* of the row group that is being filled */
	FsBuffer	out;			/* for the sink */
	int64_t		size;			/* what the sink has taken */

	FsBuffer	groups;			/* FsParquetGroups that are written */
	FsBuffer	offsets;		/* where they begin */
	int64_t		rows;			/* in them */
	FsParquetBounds *bounds;	/* of the whole file, one for each column */
};

/* Notes why; returns false. */
static bool
fail(FsParquetWriter *writer, const char *error)
{
	if (writer->error == NULL)
		writer->error = error;
	return false;
}

/* Passes on a result that is false when memory is out. */
static bool
check_memory(FsParquetWriter *writer, bool done)
{
	return done || fail(writer, "out of memory");
}

static FsParquetGroup *
groups(const FsParquetWriter *writer, size_t *n)
{
	*n = writer->groups.len / sizeof(FsParquetGroup);
	return (FsParquetGroup *) writer->groups.data;
}

/* See parquet.h. */
FsParquetWriter *
fs_parquet_create(const FsParquetColumn *columns, int ncolumns, const FsParquetOptions *options,
				  FsParquetSink sink, void *arg)
{
	FsParquetWriter *writer = calloc(1, sizeof(FsParquetWriter));

	FS_ASSERT(ncolumns > 0);
	if (writer == NULL)
		return NULL;
	writer->columns = columns;
	writer->ncolumns = ncolumns;
	writer->options = *options;
	writer->sink = sink;
	writer->arg = arg;
	writer->press.options = &writer->options;
	writer->chunks = calloc((size_t) ncolumns, sizeof(FsParquetChunk));
	writer->bounds = calloc((size_t) ncolumns, sizeof(FsParquetBounds));
	if (options->zstd_level > 0)
		writer->press.compressor = fs_compressor_create(options->zstd_level);
	if (writer->chunks == NULL || writer->bounds == NULL || !fs_buffer_append(&writer->out, MAGIC, 4) ||
		(options->zstd_level > 0 && writer->press.compressor == NULL))
	{
		fs_parquet_free(writer);
		return NULL;
	}
	for (int i = 0; i < ncolumns; i++)
	{
		fs_parquet_chunk_init(&writer->chunks[i], &columns[i]);
		fs_parquet_bounds_reset(&writer->bounds[i], &columns[i]);
	}
	return writer;
}

/* Frees what is known of the row groups. */
static void
free_groups(FsParquetWriter *writer)
{
	size_t		n;
	FsParquetGroup *group = groups(writer, &n);

	for (size_t g = 0; g < n; g++)
	{
		for (int i = 0; i < writer->ncolumns; i++)
			fs_parquet_chunk_info_free(&group[g].chunks[i]);
		free(group[g].chunks);
	}
	fs_buffer_free(&writer->groups);
}

/* See parquet.h. */
void
fs_parquet_free(FsParquetWriter *writer)
{
	if (writer == NULL)
		return;
	free_groups(writer);
	for (int i = 0; i < writer->ncolumns; i++)
	{
		if (writer->chunks != NULL)
			fs_parquet_chunk_free(&writer->chunks[i]);
		if (writer->bounds != NULL)
			fs_parquet_bounds_free(&writer->bounds[i]);
	}
	free(writer->chunks);
	free(writer->bounds);
	fs_compressor_free(writer->press.compressor);
	fs_parquet_dictionary_free(&writer->press.dictionary);
	fs_buffer_free(&writer->press.page);
	fs_buffer_free(&writer->press.packed);
	fs_buffer_free(&writer->press.deltas);
	fs_buffer_free(&writer->out);
	fs_buffer_free(&writer->offsets);
	free(writer);
}

/* The chunk a value goes to. */
static FsParquetChunk *
chunk_of(FsParquetWriter *writer, int column)
{
	FS_ASSERT(column >= 0 && column < writer->ncolumns && !writer->finished);
	return &writer->chunks[column];
}

bool
fs_parquet_put_null(FsParquetWriter *writer, int column)
{
	return check_memory(writer, fs_parquet_chunk_put_null(chunk_of(writer, column)));
}

bool
fs_parquet_put_int(FsParquetWriter *writer, int column, int64_t value)
{
	/* Little-endian, so a narrower number is the first bytes of the wider one. */
	return check_memory(writer, fs_parquet_chunk_put_bits(chunk_of(writer, column), (uint64_t) value));
}

/* See parquet.h. */
bool
fs_parquet_put_float(FsParquetWriter *writer, int column, double value)
{
	FsParquetChunk *chunk = chunk_of(writer, column);
	float		single = (float) value;
	uint32_t	bits;
	uint64_t	wide;

	FS_ASSERT(chunk->column->type == FS_PARQUET_FLOAT || chunk->column->type == FS_PARQUET_DOUBLE);
	memcpy(&bits, &single, sizeof(bits));
	memcpy(&wide, &value, sizeof(wide));
	return check_memory(writer, fs_parquet_chunk_put_bits(chunk, chunk->width == 4 ? bits : wide));
}

bool
fs_parquet_put_bytes(FsParquetWriter *writer, int column, const void *bytes, size_t len)
{
	return check_memory(writer, fs_parquet_chunk_put_bytes(chunk_of(writer, column), bytes, len));
}

/* See parquet.h. */
bool
fs_parquet_put_decimal(FsParquetWriter *writer, int column, const char *bytes, size_t len)
{
	FsParquetChunk *chunk = chunk_of(writer, column);
	char		value[FS_UNSCALED_SIZE];

	fs_parquet_decimal_put(chunk->column, bytes, len, value);
	return check_memory(writer, fs_parquet_chunk_put_bytes(chunk, value, (size_t) chunk->width));
}

bool
fs_parquet_put_list(FsParquetWriter *writer, int column, uint32_t nelements)
{
	return check_memory(writer, fs_parquet_chunk_put_list(chunk_of(writer, column), nelements));
}

/* Gives the sink what is there. */
static bool
flush(FsParquetWriter *writer)
{
	if (!writer->sink(writer->arg, writer->out.data, writer->out.len))
		return fail(writer, "the bytes could not be written");
	writer->size += (int64_t) writer->out.len;
	fs_buffer_reset(&writer->out);
	return true;
}

/* Writes the chunks of a row group, and takes their bounds into account. */
static bool
write_chunks(FsParquetWriter *writer, FsParquetGroup *group)
{
	for (int i = 0; i < writer->ncolumns; i++)
	{
		FsParquetChunkInfo *info = &group->chunks[i];

		if (!check_memory(writer, fs_parquet_column_write(&writer->chunks[i], &writer->press, &writer->out,
														 writer->size, info) &&
						  fs_parquet_bounds_merge(&writer->bounds[i], &info->bounds)) ||
			!flush(writer))
			return false;
	}
	return true;
}

/* Writes the row group that was filled, if it has rows. */
static bool
write_group(FsParquetWriter *writer)
{
	FsParquetGroup group = {.nrows = writer->nrows, .offset = writer->size + (int64_t) writer->out.len};

	if (writer->nrows == 0)
		return true;
	if (!check_memory(writer, fs_buffer_append(&writer->offsets, &group.offset, sizeof(int64_t))))
		return false;
	group.chunks = calloc((size_t) writer->ncolumns, sizeof(FsParquetChunkInfo));
	if (!check_memory(writer, group.chunks != NULL) ||
		!check_memory(writer, fs_buffer_append(&writer->groups, &group, sizeof(group))))
	{
		free(group.chunks);
		return false;
	}
	writer->rows += writer->nrows;
	writer->nrows = 0;
	return write_chunks(writer, &group);
}

/* Is the row group full?  Its bytes are looked at now and then. */
static bool
is_full(const FsParquetWriter *writer)
{
	size_t		bytes = 0;

	if (writer->nrows >= writer->options.group_rows)
		return true;
	if (writer->nrows % ROWS_BETWEEN_LOOKS != 0)
		return false;
	for (int i = 0; i < writer->ncolumns; i++)
	{
		FS_ASSERT(writer->chunks[i].nrows == writer->nrows && writer->chunks[i].open == 0);
		bytes += fs_parquet_chunk_size(&writer->chunks[i]);
	}
	return bytes >= writer->options.group_bytes;
}

bool
fs_parquet_end_row(FsParquetWriter *writer)
{
	if (writer->error != NULL)
		return false;
	writer->nrows++;
	return !is_full(writer) || write_group(writer);
}

/* Writes the indexes of all chunks, first those of columns, and notes where they are. */
static bool
write_indexes(FsParquetWriter *writer)
{
	size_t		n;
	FsParquetGroup *group = groups(writer, &n);
	FsBuffer   *out = &writer->out;

	for (size_t g = 0; g < n; g++)
		for (int i = 0; i < writer->ncolumns; i++)
		{
			FsParquetChunkInfo *info = &group[g].chunks[i];

			info->column_index_offset = writer->size + (int64_t) out->len;
			if (!fs_buffer_append(out, info->column_index.data, info->column_index.len))
				return false;
		}
	for (size_t g = 0; g < n; g++)
		for (int i = 0; i < writer->ncolumns; i++)
		{
			FsParquetChunkInfo *info = &group[g].chunks[i];

			info->offset_index_offset = writer->size + (int64_t) out->len;
			if (!fs_buffer_append(out, info->offset_index.data, info->offset_index.len))
				return false;
		}
	return true;
}

/* Writes the footer, its length and the magic. */
static bool
write_footer(FsParquetWriter *writer)
{
	size_t		n;
	FsParquetGroup *group = groups(writer, &n);
	size_t		begin = writer->out.len;
	char		length[4];

	if (!fs_parquet_footer_encode(writer->columns, writer->ncolumns, writer->press.compressor != NULL, group, n,
								  &writer->out))
		return false;
	fs_put_le32(length, (uint32_t) (writer->out.len - begin));
	return fs_buffer_append(&writer->out, length, 4) && fs_buffer_append(&writer->out, MAGIC, 4);
}

/* See parquet.h. */
bool
fs_parquet_finish(FsParquetWriter *writer)
{
	FS_ASSERT(!writer->finished);
	if (writer->error != NULL || !write_group(writer) ||
		!check_memory(writer, write_indexes(writer) && write_footer(writer)) || !flush(writer))
		return false;
	writer->finished = true;
	return true;
}

const char *
fs_parquet_error(const FsParquetWriter *writer)
{
	return writer->error;
}

int64_t
fs_parquet_rows(const FsParquetWriter *writer)
{
	return writer->rows;
}

int64_t
fs_parquet_size(const FsParquetWriter *writer)
{
	return writer->size;
}

const int64_t *
fs_parquet_offsets(const FsParquetWriter *writer, int *n)
{
	*n = (int) (writer->offsets.len / sizeof(int64_t));
	return (const int64_t *) writer->offsets.data;
}

/* Appends a bound as Iceberg has it; as fs_parquet_bounds_encode. */
static bool
put_bound(const FsParquetBounds *bounds, bool upper, FsBuffer *out, bool *found)
{
	char		digits[FS_UNSCALED_SIZE];
	bool		exact;

	if (!fs_parquet_bounds_encode(bounds, upper, BOUND_LENGTH, out, &exact, found))
		return false;
	if (bounds->column->type != FS_PARQUET_DECIMAL)
		return true;
	out->len = fs_parquet_decimal_get(bounds->column, out->data, digits);
	memcpy(out->data, digits, out->len);	/* as long at most */
	return true;
}

/* See parquet.h. */
bool
fs_parquet_get_metrics(const FsParquetWriter *writer, int column, FsParquetMetrics *metrics)
{
	const FsParquetBounds *bounds = &writer->bounds[column];
	size_t		n;
	FsParquetGroup *group = groups(writer, &n);
	bool		found;

	FS_ASSERT(writer->finished);
	memset(metrics, 0, sizeof(*metrics));
	for (size_t g = 0; g < n; g++)
	{
		metrics->bytes += group[g].chunks[column].bytes;
		metrics->value_count += group[g].chunks[column].nlevels;
	}
	metrics->null_count = bounds->nulls;
	metrics->nan_count = bounds->nans;
	metrics->has_bounds = bounds->any;
	return !bounds->any ||
		(put_bound(bounds, false, &metrics->lower, &found) &&
		 put_bound(bounds, true, &metrics->upper, &metrics->has_upper));
}
