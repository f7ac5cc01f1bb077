/*
 * segment_write.c
 *		Building a segment of the event log, block by block.
 *
 * Events are put into columns of plain numbers, at most a block of them; a full
 * block is encoded at once, so that a writer holds little more than the
 * finished segment.  Header and blocks grow in one buffer; fs_segment_finish
 * adds the dictionaries behind them and signs the whole, and they are cut off
 * again when more events come.
 *
 * The layout is told in segment_format.h.
 */
#include "core/segment_format.h"

#include <stdlib.h>

#include "core/crc32c.h"

#define SMALLEST_BLOCK 16		/* events there is room for at first */

/* A column of the block being built. */
typedef struct Column
{
	FsSegmentColumn def;		/* number 0 for the columns every segment has */
	int64_t		origin;			/* of its number stream */
	bool		is_bytes;
	bool		is_float;
	bool		is_time;		/* declared as TIMESTAMPTZ: may be the event time */
	bool		is_event_time;	/* every value of the block so far is the event time */
	int			nvalues;		/* in 'values'; for all others only known to flush_block */
	int			nnulls;
	int64_t    *values;			/* those that are not null; unused for bytes */
	FsTextColumn text;			/* for bytes */
	uint8_t		nulls[FS_SEGMENT_BLOCK / 8];
} Column;

struct FsSegmentWriter
{
	FsTime		slice_start;
	int			ncolumns;		/* FS_META_COLUMNS and the declared ones */
	int			nevents;		/* in the block */
	int			cap;			/* of the block, so far */
	int64_t		count;			/* in the segment */
	bool		failed;			/* memory was out: the events are not whole */
	FsBuffer	out;			/* header, blocks, and after finish the rest */
	size_t		blocks_end;		/* in 'out' */
	size_t		dictionaries;	/* bytes of all when the last block was encoded */
	size_t		block_bytes;	/* byte values of the block */
	int64_t    *next_offsets;	/* per partition, the offset after its last event's */
	int			npartitions;	/* entries there */
	Column		columns[];
};

/*
 * The header, with zeros for what is known at the end only (count, length,
 * checksum); blocks follow it.
 */
static bool
append_header(FsSegmentWriter *writer)
{
	FsBuffer   *out = &writer->out;
	int			declared = writer->ncolumns - FS_META_COLUMNS;
	int			i;

	if (!fs_buffer_reserve(out, FS_SEGMENT_HEADER_SIZE +
						   (size_t) declared * FS_SEGMENT_COLUMN_SIZE))
		return false;
	memset(out->data, 0, FS_SEGMENT_HEADER_SIZE);
	memcpy(out->data, FS_SEGMENT_MAGIC, 4);
	out->data[4] = FS_SEGMENT_VERSION;
	fs_put_le16(out->data + 6, (uint16_t) declared);
	fs_put_le64(out->data + 16, (uint64_t) writer->slice_start);
	out->len = FS_SEGMENT_HEADER_SIZE;
	for (i = 0; i < declared; i++)
	{
		const FsSegmentColumn *def = &writer->columns[FS_META_COLUMNS + i].def;

		fs_put_le16(out->data + out->len, (uint16_t) def->number);
		out->data[out->len + 2] = (char) def->type;
		out->len += FS_SEGMENT_COLUMN_SIZE;
	}
	writer->blocks_end = out->len;
	return true;
}

/* Sets what follows from the column's type; times count from the slice's start. */
static void
init_column(Column *column, const FsSegmentColumn *def, bool is_declared, FsTime slice_start)
{
	column->def = *def;
	column->is_bytes = fs_type_is_bytes(def->type);
	column->origin = def->type == FS_TYPE_TIMESTAMPTZ ? slice_start : 0;
	column->is_float = fs_type_is_float(def->type);
	column->is_time = is_declared && def->type == FS_TYPE_TIMESTAMPTZ;
	column->is_event_time = column->is_time;
	if (column->is_bytes)
		fs_text_init(&column->text, def->type);
}

/* Makes room for blocks of 'cap' events; false when memory is out. */
static bool
resize_block(FsSegmentWriter *writer, int cap)
{
	int			i;

	for (i = 0; i < writer->ncolumns; i++)
	{
		Column	   *column = &writer->columns[i];
		int64_t    *values;

		if (column->is_bytes)
		{
			if (!fs_text_resize(&column->text, cap))
				return false;
			continue;
		}
		values = realloc(column->values, (size_t) cap * sizeof(int64_t));
		if (values == NULL)
			return false;
		column->values = values;
	}
	writer->cap = cap;
	return true;
}

/* See segment.h. */
FsSegmentWriter *
fs_segment_writer_create(FsTime slice_start, const FsSegmentColumn *columns, int ncolumns)
{
	static const FsSegmentColumn meta[FS_META_COLUMNS] = {
		[FS_META_EVENT_TIME] = {0, FS_TYPE_TIMESTAMPTZ},
		[FS_META_ARRIVAL] = {0, FS_TYPE_TIMESTAMPTZ},
		[FS_META_LATE_BOUND] = {0, FS_TYPE_TIMESTAMPTZ},
		[FS_META_PARTITION] = {0, FS_TYPE_INT4},
		[FS_META_OFFSET] = {0, FS_TYPE_INT8},
		[FS_META_XID] = {0, FS_TYPE_INT8},
	};
	FsSegmentWriter *writer;
	int			i;

	FS_ASSERT(ncolumns >= 0 && ncolumns <= FS_SEGMENT_MAX_COLUMNS);
	writer = calloc(1, sizeof(*writer) + (size_t) (FS_META_COLUMNS + ncolumns) * sizeof(Column));
	if (writer == NULL)
		return NULL;
	writer->slice_start = slice_start;
	writer->ncolumns = FS_META_COLUMNS + ncolumns;
	for (i = 0; i < FS_META_COLUMNS; i++)
		init_column(&writer->columns[i], &meta[i], false, slice_start);
	for (i = 0; i < ncolumns; i++)
		init_column(&writer->columns[FS_META_COLUMNS + i], &columns[i], true, slice_start);
	if (!append_header(writer) || !resize_block(writer, SMALLEST_BLOCK))
	{
		fs_segment_writer_free(writer);
		return NULL;
	}
	return writer;
}

/* See segment.h. */
void
fs_segment_writer_free(FsSegmentWriter *writer)
{
	int			i;

	if (writer == NULL)
		return;
	for (i = 0; i < writer->ncolumns; i++)
	{
		free(writer->columns[i].values);
		fs_text_free(&writer->columns[i].text);
	}
	free(writer->next_offsets);
	fs_buffer_free(&writer->out);
	free(writer);
}

int64_t
fs_segment_count(const FsSegmentWriter *writer)
{
	return writer->count;
}

size_t
fs_segment_size(const FsSegmentWriter *writer)
{
	return writer->blocks_end + writer->dictionaries + writer->block_bytes;
}

/* See segment.h. */
size_t
fs_segment_memory(const FsSegmentWriter *writer)
{
	size_t		total = sizeof(*writer) + writer->out.cap +
		(size_t) writer->npartitions * sizeof(int64_t);
	int			i;

	for (i = 0; i < writer->ncolumns; i++)
	{
		const Column *column = &writer->columns[i];
		size_t		arrays = column->is_bytes ? 3 : 1;

		total += sizeof(Column) + arrays * (size_t) writer->cap * sizeof(int64_t);
		if (column->is_bytes)
			total += fs_text_memory(&column->text);
	}
	return total;
}

static inline bool
has_some_nulls(const Column *column)
{
	return column->nnulls > 0 && column->nvalues > 0;
}

/* Appends a column of the block and makes it empty; false when memory is out. */
static bool
encode_column(FsSegmentWriter *writer, Column *column)
{
	FsBuffer   *out = &writer->out;
	uint8_t		kind = FS_COLUMN_INTS;
	bool		done;

	FS_ASSERT(column->nvalues + column->nnulls == writer->nevents);
	if (column->nvalues == 0)
		kind = FS_COLUMN_ALL_NULL;
	else if (column->is_bytes)
		kind = column->text.kind;
	else if (column->is_event_time)
		kind = FS_COLUMN_EVENT_TIME;
	if (has_some_nulls(column))
		done = fs_buffer_append_byte(out, kind | FS_COLUMN_HAS_NULLS) &&
			fs_buffer_append(out, column->nulls, (size_t) (writer->nevents + 7) / 8);
	else
		done = fs_buffer_append_byte(out, kind);
	if (column->nvalues > 0 && column->is_bytes)
		done = done && fs_text_encode_block(&column->text, out);
	else if (kind == FS_COLUMN_INTS)
		done = done && fs_ints_encode(out, column->values, column->nvalues, column->origin);
	if (column->nnulls > 0)
		memset(column->nulls, 0, sizeof(column->nulls));
	column->nvalues = column->nnulls = 0;
	column->is_event_time = column->is_time;
	return done;
}

/* Encodes the block, if there is any event in it; false when memory is out. */
static bool
flush_block(FsSegmentWriter *writer)
{
	FsBuffer   *out = &writer->out;
	size_t		start = writer->blocks_end;
	int			i;

	if (writer->nevents == 0)
		return true;
	out->len = start;
	if (!fs_buffer_reserve(out, FS_SEGMENT_BLOCK_HEADER))
		return false;
	out->len += FS_SEGMENT_BLOCK_HEADER;
	for (i = 0; i < writer->ncolumns; i++)
		writer->columns[i].nvalues = writer->nevents - writer->columns[i].nnulls;
	writer->dictionaries = writer->block_bytes = 0;
	for (i = 0; i < writer->ncolumns; i++)
	{
		if (!encode_column(writer, &writer->columns[i]))
			return false;
		if (writer->columns[i].is_bytes)
			writer->dictionaries += writer->columns[i].text.dictionary.bytes.len;
	}
	fs_put_le32(out->data + start, (uint32_t) (out->len - start - 4));
	fs_put_le16(out->data + start + 4, (uint16_t) writer->nevents);
	writer->blocks_end = out->len;
	writer->nevents = 0;
	return true;
}

/* Makes room for one more event. */
static bool
make_room(FsSegmentWriter *writer)
{
	if (writer->cap < FS_SEGMENT_BLOCK)
		return resize_block(writer, writer->cap * 2);
	return flush_block(writer);
}

static inline void
put_int(Column *column, int64_t value)
{
	column->values[column->nvalues++] = value;
}

static inline void
put_null(Column *column, int event)
{
	column->nulls[event >> 3] |= (uint8_t) (1 << (event & 7));
	column->nnulls++;
}

/* The bits of a float, in its own size: FLOAT4 values are exact in a double. */
static inline int64_t
float_bits(FsType type, double value)
{
	int64_t		bits;

	if (type == FS_TYPE_FLOAT4)
	{
		float		single = (float) value;
		uint32_t	bits4;

		memcpy(&bits4, &single, 4);
		return bits4;
	}
	memcpy(&bits, &value, 8);
	return bits;
}

/* Appends a declared column's value; false when memory is out. */
static inline bool
put_value(FsSegmentWriter *writer, Column *column, const FsValue *value, FsTime event_time)
{
	int64_t		number;

	if (value->presence != FS_PRESENT)
	{
		put_null(column, writer->nevents);
		return true;
	}
	if (column->is_bytes)
	{
		writer->block_bytes += value->len;
		return fs_text_append(&column->text, value->len > 0 ? value->data : "", value->len);
	}
	number = column->is_float ? float_bits(column->def.type, value->f) : value->i;
	put_int(column, number);
	column->is_event_time &= number == event_time;
	return true;
}

/*
 * Room in next_offsets for this partition; new ones begin at 0.  Those out of
 * range have none: see segment_format.h.  False when memory is out.
 */
static bool
add_partition(FsSegmentWriter *writer, int32_t partition)
{
	int			n = writer->npartitions > 0 ? writer->npartitions * 2 : 16;
	int64_t    *grown;

	while (n <= partition)
		n *= 2;
	grown = realloc(writer->next_offsets, (size_t) n * sizeof(int64_t));
	if (grown == NULL)
		return false;
	memset(grown + writer->npartitions, 0, (size_t) (n - writer->npartitions) * sizeof(int64_t));
	writer->next_offsets = grown;
	writer->npartitions = n;
	return true;
}

/* Appends the offset as its distance from the one expected. */
static inline bool
put_offset(FsSegmentWriter *writer, int32_t partition, int64_t offset)
{
	int64_t    *value = &writer->columns[FS_META_OFFSET].values[writer->nevents];
	int64_t    *next;

	*value = offset;
	if ((uint32_t) partition >= FS_SEGMENT_PARTITIONS)
		return true;
	if (partition >= writer->npartitions && !add_partition(writer, partition))
		return false;
	next = &writer->next_offsets[partition];
	*value = (int64_t) ((uint64_t) offset - (uint64_t) *next);
	*next = (int64_t) ((uint64_t) offset + 1);
	return true;
}

/* Only columns that can be null count their values: see flush_block. */
static inline bool
put_meta(FsSegmentWriter *writer, const FsEventMeta *meta)
{
	Column	   *columns = writer->columns;
	int			n = writer->nevents;

	columns[FS_META_EVENT_TIME].values[n] = meta->event_time;
	columns[FS_META_ARRIVAL].values[n] = meta->arrival;
	columns[FS_META_PARTITION].values[n] = meta->partition;
	columns[FS_META_XID].values[n] = (int64_t) meta->xid;
	if (meta->late_bound == FS_TIME_MIN)
		put_null(&columns[FS_META_LATE_BOUND], n);
	else
		put_int(&columns[FS_META_LATE_BOUND], meta->late_bound);
	return put_offset(writer, meta->partition, meta->offset);
}

/*
 * Once memory was out, an event may be there in part: from then on the writer
 * answers FS_SEGMENT_NO_MEMORY to everything, and can only be freed.
 */
FsSegmentStatus
fs_segment_append(FsSegmentWriter *writer, const FsEventMeta *meta, const FsValue *values)
{
	Column	   *end = &writer->columns[writer->ncolumns];
	Column	   *column;

	if (writer->failed)
		return FS_SEGMENT_NO_MEMORY;
	writer->failed = true;
	if (writer->nevents == writer->cap && !make_room(writer))
		return FS_SEGMENT_NO_MEMORY;
	if (!put_meta(writer, meta))
		return FS_SEGMENT_NO_MEMORY;
	for (column = &writer->columns[FS_META_COLUMNS]; column < end; column++)
	{
		if (!put_value(writer, column, values++, meta->event_time))
			return FS_SEGMENT_NO_MEMORY;
	}
	writer->nevents++;
	writer->count++;
	writer->failed = false;
	return FS_SEGMENT_OK;
}

/* Appends what stands behind the blocks; false when memory is out. */
static bool
append_trailer(FsSegmentWriter *writer)
{
	FsBuffer   *out = &writer->out;
	int			i;

	out->len = writer->blocks_end;
	for (i = FS_META_COLUMNS; i < writer->ncolumns; i++)
	{
		if (writer->columns[i].is_bytes &&
			!fs_text_encode_dictionary(&writer->columns[i].text, out))
			return false;
	}
	return fs_buffer_append(out, "\0\0\0\0\0\0\0\0", FS_SEGMENT_PAD);
}

/* The CRC is over all bytes but its own. */
void
fs_segment_sign(char *bytes, size_t len)
{
	uint32_t	crc = fs_crc32c(0, bytes, FS_SEGMENT_CRC_OFFSET);

	FS_ASSERT(len >= FS_SEGMENT_HEADER_SIZE);
	crc = fs_crc32c(crc, bytes + FS_SEGMENT_CRC_OFFSET + 4, len - FS_SEGMENT_CRC_OFFSET - 4);
	fs_put_le32(bytes + FS_SEGMENT_CRC_OFFSET, crc);
}

/*
 * More events may be appended afterwards, and the segment finished again: it
 * then holds all of them.
 */
FsSegmentStatus
fs_segment_finish(FsSegmentWriter *writer, const char **bytes, size_t *len)
{
	FsBuffer   *out = &writer->out;

	if (writer->failed)
		return FS_SEGMENT_NO_MEMORY;
	if (!flush_block(writer) || !append_trailer(writer))
	{
		writer->failed = true;
		return FS_SEGMENT_NO_MEMORY;
	}
	fs_put_le32(out->data + 12, (uint32_t) writer->blocks_end);
	fs_put_le64(out->data + 24, (uint64_t) writer->count);
	fs_segment_sign(out->data, out->len);
	*bytes = out->data;
	*len = out->len;
	return FS_SEGMENT_OK;
}
