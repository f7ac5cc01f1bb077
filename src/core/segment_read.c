/*
 * segment_read.c
 *		Reading a segment of the event log back.
 *
 * Segments come from a table, so that anything may be in them: the CRC is
 * checked first, then the header, the chain of blocks and the dictionaries.
 * What is inside a block is checked when it is decoded (segment_decode.c), a
 * block ahead of the events that are handed out.
 *
 * All memory is bounded by the segment's length: a block's rows by the columns
 * (a byte each in every block) and the largest block there is, a dictionary's
 * entries by its bytes.
 *
 * The layout is told in segment_format.h.
 */
#include "core/segment_reader.h"

#include <stdlib.h>

#include "core/crc32c.h"

/* Does the CRC fit all bytes but its own? */
static bool
is_whole(const char *bytes, size_t len)
{
	uint32_t	crc = fs_crc32c(0, bytes, FS_SEGMENT_CRC_OFFSET);

	FS_ASSERT(len >= FS_SEGMENT_HEADER_SIZE);
	crc = fs_crc32c(crc, bytes + FS_SEGMENT_CRC_OFFSET + 4, len - FS_SEGMENT_CRC_OFFSET - 4);
	return crc == fs_get_le32(bytes + FS_SEGMENT_CRC_OFFSET);
}

static bool
is_known_type(uint8_t type)
{
	FsType		element = fs_type_element((FsType) type);

	return element >= FS_TYPE_TEXT && element <= FS_TYPE_JSONB;
}

/*
 * Reads the header's columns and lays out memory for them.  What the reader
 * already has is freed by the caller on failure.
 */
static FsSegmentStatus
read_columns(FsSegmentReader *reader, FsCursor *in, int ncolumns)
{
	const char *bytes;
	int			i;

	if (ncolumns > FS_SEGMENT_MAX_COLUMNS ||
		!fs_take_bytes(in, (size_t) ncolumns * FS_SEGMENT_COLUMN_SIZE, &bytes))
		return FS_SEGMENT_CORRUPT;
	reader->columns = calloc((size_t) ncolumns + 1, sizeof(FsSegmentColumn));
	reader->data = calloc((size_t) ncolumns + 1, sizeof(FsReaderColumn));
	if (reader->columns == NULL || reader->data == NULL)
		return FS_SEGMENT_NO_MEMORY;
	reader->ncolumns = ncolumns;
	for (i = 0; i < ncolumns; i++)
	{
		uint8_t		type = (uint8_t) bytes[2];

		if (!is_known_type(type))
			return FS_SEGMENT_CORRUPT;
		reader->columns[i].number = (int16_t) fs_get_le16(bytes);
		reader->columns[i].type = (FsType) type;
		bytes += FS_SEGMENT_COLUMN_SIZE;
	}
	return FS_SEGMENT_OK;
}

/* Do the blocks follow each other to the end, with so many events in all? */
static bool
check_blocks(FsSegmentReader *reader, FsCursor blocks)
{
	int64_t		count = 0;

	while (fs_cursor_left(&blocks) > 0)
	{
		FsCursor	block;
		int			nevents;

		if (!fs_segment_take_block(&blocks, reader->ncolumns, &block, &nevents))
			return false;
		count += nevents;
		if (nevents > reader->cap)
			reader->cap = nevents;
	}
	return count == reader->count;
}

/* Reads one column's dictionary; its entries point into the segment. */
static FsSegmentStatus
read_dictionary(FsReaderColumn *column, FsType type, FsCursor *in)
{
	uint64_t	i;

	/* an entry takes a byte at least */
	if (!fs_take_varint(in, &column->nentries) || column->nentries > fs_cursor_left(in))
		return FS_SEGMENT_CORRUPT;
	if (column->nentries == 0)
		return FS_SEGMENT_OK;
	column->entries = malloc((size_t) column->nentries * sizeof(FsValue));
	if (column->entries == NULL)
		return FS_SEGMENT_NO_MEMORY;
	for (i = 0; i < column->nentries; i++)
	{
		FsValue    *entry = &column->entries[i];
		uint64_t	len;

		if (!fs_take_varint(in, &len) || len > UINT32_MAX ||
			(type == FS_TYPE_UUID && len != 16) ||
			!fs_take_bytes(in, (size_t) len, &entry->data))
			return FS_SEGMENT_CORRUPT;
		entry->presence = FS_PRESENT;
		entry->len = (uint32_t) len;
	}
	return FS_SEGMENT_OK;
}

/* Reads all dictionaries, and the padding, with which the segment must end. */
static FsSegmentStatus
read_dictionaries(FsSegmentReader *reader, FsCursor in)
{
	int			c;

	for (c = 0; c < reader->ncolumns; c++)
	{
		FsSegmentStatus status;

		if (!fs_type_is_bytes(reader->columns[c].type))
			continue;
		status = read_dictionary(&reader->data[c], reader->columns[c].type, &in);
		if (status != FS_SEGMENT_OK)
			return status;
	}
	if (fs_cursor_left(&in) != FS_SEGMENT_PAD || fs_get_le64(in.p) != 0)
		return FS_SEGMENT_CORRUPT;
	return FS_SEGMENT_OK;
}

/*
 * Allocates what a block is decoded into, in one piece: many segments are read
 * one after the other, and malloc keeps one large piece at hand where it gives
 * many small ones back to the system each time.
 */
static FsSegmentStatus
allocate_block(FsSegmentReader *reader)
{
	size_t		cap = reader->cap > 0 ? (size_t) reader->cap : 1;
	size_t		metas = cap * sizeof(FsEventMeta);
	size_t		rows = cap * sizeof(FsValue);
	size_t		offsets = FS_SEGMENT_PARTITIONS * sizeof(int64_t);
	char	   *p = malloc(offsets + metas + rows * (size_t) reader->ncolumns);
	size_t		i;
	int			c;

	reader->block = p;
	if (p == NULL)
		return FS_SEGMENT_NO_MEMORY;
	reader->next_offsets = (int64_t *) p;
	memset(p, 0, offsets);
	p += offsets;
	reader->metas = (FsEventMeta *) p;
	p += metas;
	for (c = 0; c < reader->ncolumns; c++)
	{
		reader->data[c].rows = (FsValue *) p;
		p += rows;
	}
	for (i = 0; i < cap; i++)
		reader->all_rows[i] = (uint16_t) i;
	return FS_SEGMENT_OK;
}

/* Reads all but the blocks' insides; the CRC has been found right. */
static FsSegmentStatus
open_segment(FsSegmentReader *reader, const char *bytes, size_t len)
{
	size_t		blocks_end = fs_get_le32(bytes + 12);
	FsCursor	in;
	FsSegmentStatus status;

	if (blocks_end < FS_SEGMENT_HEADER_SIZE || blocks_end > len - FS_SEGMENT_PAD ||
		fs_get_le64(bytes + 24) > INT64_MAX)
		return FS_SEGMENT_CORRUPT;
	reader->slice_start = (FsTime) fs_get_le64(bytes + 16);
	reader->count = (int64_t) fs_get_le64(bytes + 24);
	in.p = bytes + FS_SEGMENT_HEADER_SIZE;
	in.end = bytes + blocks_end;
	status = read_columns(reader, &in, fs_get_le16(bytes + 6));
	if (status != FS_SEGMENT_OK)
		return status;
	reader->blocks = in;
	if (!check_blocks(reader, in))
		return FS_SEGMENT_CORRUPT;
	in.p = bytes + blocks_end;
	in.end = bytes + len;
	status = read_dictionaries(reader, in);
	if (status != FS_SEGMENT_OK)
		return status;
	return allocate_block(reader);
}

/* On failure *reader is NULL. */
FsSegmentStatus
fs_segment_reader_open(const char *bytes, size_t len, FsSegmentReader **reader)
{
	FsSegmentStatus status;

	*reader = NULL;
	if (len < FS_SEGMENT_HEADER_SIZE + FS_SEGMENT_PAD ||
		memcmp(bytes, FS_SEGMENT_MAGIC, 4) != 0 ||
		bytes[4] != FS_SEGMENT_VERSION || bytes[5] != 0 ||
		!is_whole(bytes, len))
		return FS_SEGMENT_CORRUPT;
	*reader = calloc(1, sizeof(FsSegmentReader));
	if (*reader == NULL)
		return FS_SEGMENT_NO_MEMORY;
	status = open_segment(*reader, bytes, len);
	if (status != FS_SEGMENT_OK)
	{
		fs_segment_reader_free(*reader);
		*reader = NULL;
	}
	return status;
}

/* See segment.h. */
void
fs_segment_reader_free(FsSegmentReader *reader)
{
	int			c;

	if (reader == NULL)
		return;
	for (c = 0; c < reader->ncolumns; c++)
		free(reader->data[c].entries);
	while (reader->chunks != NULL)
	{
		FsTextChunk *chunk = reader->chunks;

		reader->chunks = chunk->next;
		free(chunk);
	}
	free(reader->columns);
	free(reader->data);
	free(reader->block);
	free(reader);
}

FsTime
fs_segment_reader_slice(const FsSegmentReader *reader)
{
	return reader->slice_start;
}

int
fs_segment_reader_columns(const FsSegmentReader *reader, const FsSegmentColumn **columns)
{
	*columns = reader->columns;
	return reader->ncolumns;
}

int64_t
fs_segment_reader_count(const FsSegmentReader *reader)
{
	return reader->count;
}

/* Decodes what fs_segment_next needs next; the status it ends with sticks. */
static FsSegmentStatus
advance(FsSegmentReader *reader)
{
	if (reader->status != FS_SEGMENT_OK)
		return reader->status;
	if (fs_cursor_left(&reader->blocks) == 0)
		return reader->status = FS_SEGMENT_END;
	if (!fs_segment_decode_block(reader))
	{
		reader->nevents = reader->at = 0;
		if (reader->status == FS_SEGMENT_OK)
			reader->status = FS_SEGMENT_CORRUPT;
	}
	return reader->status;
}

/* See segment.h. */
FsSegmentStatus
fs_segment_next(FsSegmentReader *reader, FsEventMeta *meta, FsValue *values)
{
	int			c;

	if (reader->at == reader->nevents && advance(reader) != FS_SEGMENT_OK)
		return reader->status;
	*meta = reader->metas[reader->at];
	for (c = 0; c < reader->ncolumns; c++)
		values[c] = reader->data[c].rows[reader->at];
	reader->at++;
	return FS_SEGMENT_OK;
}
