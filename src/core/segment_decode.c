/*
 * segment_decode.c
 *		Decoding a block of a segment, column by column, into rows.
 *
 * The CRC has been checked, but everything that is read is checked for itself
 * again, and no number of the segment is believed further than its bytes reach.
 *
 * Byte values point into the segment, but for numbers that were text ("u42"):
 * those are rendered into memory of the reader.  A number takes at least a bit
 * of a segment unless it is the same as the one before, which shares its text;
 * that bounds this memory.
 *
 * Not checked: that text is valid UTF-8.  The CRC vouches for the writer, and
 * the writer for its decoder.
 *
 * The layout is told in segment_format.h.
 */
#include "core/segment_reader.h"

#include <stdlib.h>

#define CHUNK_SIZE	(64 * 1024)
#define COPY_SLACK	(FS_PREFIX_MAX + 1) /* prefixes are copied in this fixed size */

/* A column of the block being decoded: where its values go. */
typedef struct Target
{
	uint8_t		kind;
	int			n;				/* values that are not null */
	const uint16_t *rows;		/* their rows */
	uint16_t	some_rows[FS_SEGMENT_BLOCK];
} Target;

static const uint64_t powers[FS_NUMBER_DIGITS + 1] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
	UINT64_C(10000000000), UINT64_C(100000000000), UINT64_C(1000000000000),
	UINT64_C(10000000000000), UINT64_C(100000000000000),
	UINT64_C(1000000000000000), UINT64_C(10000000000000000),
	UINT64_C(100000000000000000), UINT64_C(1000000000000000000)
};

/*
 * Makes room for 'size' bytes of text and the slack; NULL when memory is out.
 * What of it is used is told by adding to chunks->used.
 */
static char *
reserve_text(FsSegmentReader *reader, size_t size)
{
	FsTextChunk	   *chunk = reader->chunks;

	size += COPY_SLACK;
	if (chunk == NULL || chunk->size - chunk->used < size)
	{
		size_t		room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = malloc(sizeof(FsTextChunk) + room);
		if (chunk == NULL)
			return NULL;
		chunk->next = reader->chunks;
		chunk->size = room;
		chunk->used = 0;
		reader->chunks = chunk;
	}
	return chunk->data + chunk->used;
}

/* Decimal digits of v < 10^18. */
static inline int
count_digits(uint64_t v)
{
	int			guess = (64 - __builtin_clzll(v | 1)) * 1233 >> 12;

	return guess - (v < powers[guess]) + 1 + (v == 0);
}

static const char pairs[201] =
	"0001020304050607080910111213141516171819"
	"2021222324252627282930313233343536373839"
	"4041424344454647484950515253545556575859"
	"6061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

/*
 * Writes v in exactly 'digits' characters, with leading zeros; what is left of
 * it in 32 bits is divided faster.
 */
static inline void
put_number(char *p, uint64_t v, int digits)
{
	uint32_t	low;

	while (v > UINT32_MAX && digits >= 2)
	{
		digits -= 2;
		memcpy(p + digits, pairs + v % 100 * 2, 2);
		v /= 100;
	}
	low = (uint32_t) v;
	while (digits >= 2)
	{
		digits -= 2;
		memcpy(p + digits, pairs + (size_t) (low % 100) * 2, 2);
		low /= 100;
	}
	if (digits > 0)
		*p = (char) ('0' + low % 10);
}

/* The greatest of n numbers, negative ones being huge. */
static uint64_t
greatest_number(const int64_t *numbers, int n)
{
	uint64_t	greatest = 0;
	int			i;

	for (i = 0; i < n; i++)
		greatest = (uint64_t) numbers[i] > greatest ? (uint64_t) numbers[i] : greatest;
	return greatest;
}

/*
 * Renders 'n' numbers after 'prefix' (which can be read to COPY_SLACK bytes)
 * into the given rows.  'digits' 0: as many as it takes.
 */
static bool
render_numbers(FsSegmentReader *reader, const int64_t *numbers, int n, const char *prefix,
			   size_t prefix_len, int digits, FsValue *values, const uint16_t *rows)
{
	uint64_t	greatest = greatest_number(numbers, n);
	FsValue		value = {FS_PRESENT, 0, {0}};
	char	   *p;
	int			most;
	int			i;

	if (greatest >= powers[digits > 0 ? digits : FS_NUMBER_DIGITS])
		return false;
	most = digits > 0 ? digits : count_digits(greatest);
	p = reserve_text(reader, (size_t) n * (prefix_len + (size_t) most));
	if (p == NULL)
	{
		reader->status = FS_SEGMENT_NO_MEMORY;
		return false;
	}
	for (i = 0; i < n; i++)
	{
		if (i == 0 || numbers[i] != numbers[i - 1])
		{
			int			width = digits > 0 ? digits : count_digits((uint64_t) numbers[i]);

			FS_ASSERT(width <= most);
			memcpy(p, prefix, COPY_SLACK);
			put_number(p + prefix_len, (uint64_t) numbers[i], width);
			value.data = p;
			value.len = (uint32_t) (prefix_len + (size_t) width);
			p += value.len;
		}
		values[rows[i]] = value;
	}
	reader->chunks->used = (size_t) (p - reader->chunks->data);
	return true;
}

/* Takes a byte list of n values into the given rows. */
static bool
decode_list(FsCursor *in, FsType type, int n, FsValue *values, const uint16_t *rows)
{
	int64_t		lengths[FS_SEGMENT_BLOCK];
	int			i;

	if (!fs_ints_decode(in, lengths, n, 0))
		return false;
	for (i = 0; i < n; i++)
	{
		FsValue    *value = &values[rows[i]];

		if (lengths[i] < 0 || (uint64_t) lengths[i] > UINT32_MAX ||
			(type == FS_TYPE_UUID && lengths[i] != 16) ||
			!fs_take_bytes(in, (size_t) lengths[i], &value->data))
			return false;
		value->presence = FS_PRESENT;
		value->len = (uint32_t) lengths[i];
	}
	return true;
}

/*
 * Takes the exceptions of a column, and takes their rows out of the target, so
 * that those of all others are left.
 */
static bool
decode_exceptions(FsCursor *in, FsType type, Target *target, FsValue *values)
{
	int64_t		gaps[FS_SEGMENT_BLOCK];
	uint16_t	exceptions[FS_SEGMENT_BLOCK];
	uint64_t	n;
	uint64_t	i;
	int			from = 0;
	int			to = 0;

	if (!fs_take_varint(in, &n) || n > (uint64_t) target->n)
		return false;
	if (n == 0)
		return true;
	if (!fs_ints_decode(in, gaps, (int) n, 0))
		return false;
	for (i = 0; i < n; i++)
	{
		if (gaps[i] < 0 || gaps[i] >= target->n - from)
			return false;
		while (gaps[i]-- > 0)
			target->some_rows[to++] = target->rows[from++];
		exceptions[i] = target->rows[from++];
	}
	while (from < target->n)
		target->some_rows[to++] = target->rows[from++];
	FS_ASSERT(to + (int) n == target->n);
	target->n = to;
	target->rows = target->some_rows;
	return decode_list(in, type, (int) n, values, exceptions);
}

/*
 * Texts that are a prefix and a number: "user-000042".  Exceptions come first;
 * they take rows off the target.
 */
static bool
decode_number_column(FsSegmentReader *reader, FsCursor *in, FsType type, Target *target, FsValue *values)
{
	int64_t		numbers[FS_SEGMENT_BLOCK];
	char		prefix[COPY_SLACK] = {0};
	const char *bytes;
	uint8_t		prefix_len;
	uint8_t		digits;

	if (!fs_take_byte(in, &prefix_len) || prefix_len > FS_PREFIX_MAX ||
		!fs_take_bytes(in, prefix_len, &bytes) ||
		!fs_take_byte(in, &digits) || digits > FS_NUMBER_DIGITS ||
		type == FS_TYPE_UUID)
		return false;
	memcpy(prefix, bytes, prefix_len);
	if (!decode_exceptions(in, type, target, values) ||
		!fs_ints_decode(in, numbers, target->n, 0))
		return false;
	return render_numbers(reader, numbers, target->n, prefix, prefix_len, digits,
						  values, target->rows);
}

/* Codes into the dictionary of the column, which outlives the block: values point into it. */
static bool
decode_dictionary_column(const FsReaderColumn *column, FsCursor *in, FsType type, Target *target)
{
	int64_t		codes[FS_SEGMENT_BLOCK];
	int			i;

	if (!decode_exceptions(in, type, target, column->rows) ||
		!fs_ints_decode(in, codes, target->n, 0))
		return false;
	for (i = 0; i < target->n; i++)
	{
		if ((uint64_t) codes[i] >= column->nentries)
			return false;
		column->rows[target->rows[i]] = column->entries[codes[i]];
	}
	return true;
}

/* A column of a byte type, in the form that the block says. */
static bool
decode_bytes_column(FsSegmentReader *reader, FsCursor *in, int c, Target *target)
{
	FsReaderColumn *column = &reader->data[c];
	FsType		type = reader->columns[c].type;

	switch (target->kind)
	{
		case FS_COLUMN_PLAIN:
			return decode_list(in, type, target->n, column->rows, target->rows);
		case FS_COLUMN_NUMBER:
			return decode_number_column(reader, in, type, target, column->rows);
		case FS_COLUMN_DICTIONARY:
			return decode_dictionary_column(column, in, type, target);
		default:
			return false;
	}
}

/* Are all of n numbers values of the type?  For floats: of so many bits. */
static bool
are_in_range(FsType type, const int64_t *v, int n)
{
	int64_t		least = INT64_MIN;
	int64_t		greatest = INT64_MAX;
	bool		in_range = true;
	int			i;

	switch (type)
	{
		case FS_TYPE_INT2:
			least = INT16_MIN;
			greatest = INT16_MAX;
			break;
		case FS_TYPE_INT4:
		case FS_TYPE_DATE:
			least = INT32_MIN;
			greatest = INT32_MAX;
			break;
		case FS_TYPE_BOOL:
			least = 0;
			greatest = 1;
			break;
		case FS_TYPE_FLOAT4:
			least = 0;
			greatest = UINT32_MAX;
			break;
		default:
			return true;
	}
	for (i = 0; i < n; i++)
		in_range &= v[i] >= least && v[i] <= greatest;
	return in_range;
}

/* Takes the numbers of a column that is not of a byte type. */
static bool
decode_numbers(FsSegmentReader *reader, FsCursor *in, FsType type, const Target *target, int64_t *v)
{
	int64_t		origin = type == FS_TYPE_TIMESTAMPTZ ? reader->slice_start : 0;
	int			i;

	if (target->kind == FS_COLUMN_INTS)
		return fs_ints_decode(in, v, target->n, origin) && are_in_range(type, v, target->n);
	if (target->kind != FS_COLUMN_EVENT_TIME || type != FS_TYPE_TIMESTAMPTZ)
		return target->kind == FS_COLUMN_ALL_NULL;
	for (i = 0; i < target->n; i++)
		v[i] = reader->metas[target->rows[i]].event_time;
	return true;
}

/* A column of a fixed-width type: as integers, floating point as its bits. */
static bool
decode_numbers_column(FsSegmentReader *reader, FsCursor *in, int c, const Target *target)
{
	int64_t		v[FS_SEGMENT_BLOCK];
	FsType		type = reader->columns[c].type;
	FsValue    *values = reader->data[c].rows;
	int			i;

	if (!decode_numbers(reader, in, type, target, v))
		return false;
	for (i = 0; i < target->n; i++)
	{
		FsValue		value = {FS_PRESENT, 0, {v[i]}};

		if (type == FS_TYPE_FLOAT8)
			memcpy(&value.f, &v[i], 8);
		else if (type == FS_TYPE_FLOAT4)
		{
			uint32_t	bits = (uint32_t) v[i];
			float		single;

			memcpy(&single, &bits, 4);
			value.f = single;
		}
		values[target->rows[i]] = value;
	}
	return true;
}

/*
 * Finds the rows of the values that are not null.  Some but not all must be
 * null in a bitmap, and its last bits beyond the block 0.
 */
static bool
read_nulls(FsSegmentReader *reader, FsCursor *in, Target *target)
{
	const char *bitmap;
	int			i;

	if (!fs_take_bytes(in, (size_t) (reader->nevents + 7) / 8, &bitmap))
		return false;
	for (i = 0; i < reader->nevents; i++)
	{
		target->some_rows[target->n] = (uint16_t) i;
		target->n += !((uint8_t) bitmap[i >> 3] >> (i & 7) & 1);
	}
	target->rows = target->some_rows;
	if (reader->nevents % 8 != 0 &&
		(uint8_t) bitmap[reader->nevents >> 3] >> (reader->nevents & 7) != 0)
		return false;
	return target->n > 0 && target->n < reader->nevents;
}

/* Takes the kind of the column, and prepares the target for its values. */
static bool
begin_column(FsSegmentReader *reader, FsCursor *in, Target *target)
{
	uint8_t		kind;

	if (!fs_take_byte(in, &kind))
		return false;
	target->kind = kind & (uint8_t) ~FS_COLUMN_HAS_NULLS;
	target->n = 0;
	target->rows = reader->all_rows;
	if (kind & FS_COLUMN_HAS_NULLS)
		return target->kind != FS_COLUMN_ALL_NULL && read_nulls(reader, in, target);
	if (target->kind != FS_COLUMN_ALL_NULL)
		target->n = reader->nevents;
	return true;
}

/* Undoes the distances of offsets; see segment_format.h. */
static void
restore_offsets(FsSegmentReader *reader, const int64_t *v)
{
	int			i;

	for (i = 0; i < reader->nevents; i++)
	{
		FsEventMeta *meta = &reader->metas[i];
		uint64_t	offset = (uint64_t) v[i];

		if ((uint32_t) meta->partition < FS_SEGMENT_PARTITIONS)
		{
			offset += (uint64_t) reader->next_offsets[meta->partition];
			reader->next_offsets[meta->partition] = (int64_t) (offset + 1);
		}
		meta->offset = (int64_t) offset;
	}
}

/* Puts a column that every segment has into the block's metas. */
static void
store_meta(FsSegmentReader *reader, int column, const Target *target, const int64_t *v)
{
	FsEventMeta *metas = reader->metas;
	int			i;

	switch (column)
	{
		case FS_META_EVENT_TIME:
			for (i = 0; i < target->n; i++)
				metas[i].event_time = v[i];
			break;
		case FS_META_ARRIVAL:
			for (i = 0; i < target->n; i++)
				metas[i].arrival = v[i];
			break;
		case FS_META_LATE_BOUND:
			for (i = 0; i < reader->nevents; i++)
				metas[i].late_bound = FS_TIME_MIN;
			for (i = 0; i < target->n; i++)
				metas[target->rows[i]].late_bound = v[i];
			break;
		case FS_META_PARTITION:
			for (i = 0; i < target->n; i++)
				metas[i].partition = (int32_t) v[i];
			break;
		case FS_META_OFFSET:
			restore_offsets(reader, v);
			break;
		case FS_META_XID:
			for (i = 0; i < target->n; i++)
				metas[i].xid = (uint64_t) v[i];
			break;
	}
}

/* Only the late bound may be null, and none is told by the event time. */
static bool
decode_meta(FsSegmentReader *reader, FsCursor *in, int column)
{
	static const FsType types[FS_META_COLUMNS] = {
		FS_TYPE_TIMESTAMPTZ, FS_TYPE_TIMESTAMPTZ, FS_TYPE_TIMESTAMPTZ,
		FS_TYPE_INT4, FS_TYPE_INT8, FS_TYPE_INT8
	};
	int64_t		v[FS_SEGMENT_BLOCK];
	Target		target;

	if (!begin_column(reader, in, &target))
		return false;
	if (target.n < reader->nevents && column != FS_META_LATE_BOUND)
		return false;
	if (target.kind == FS_COLUMN_EVENT_TIME)
		return false;
	if (!decode_numbers(reader, in, types[column], &target, v))
		return false;
	store_meta(reader, column, &target, v);
	return true;
}

/* One declared column of a block, from who has a value (the others are NULL) to the values. */
static bool
decode_declared(FsSegmentReader *reader, FsCursor *in, int c)
{
	FsValue    *values = reader->data[c].rows;
	Target		target;
	int			i;

	if (!begin_column(reader, in, &target))
		return false;
	if (target.n < reader->nevents)
	{
		for (i = 0; i < reader->nevents; i++)
			values[i] = (FsValue) {FS_NULL, 0, {0}};
	}
	if (target.n == 0)
		return true;
	if (fs_type_is_bytes(reader->columns[c].type))
		return decode_bytes_column(reader, in, c, &target);
	return decode_numbers_column(reader, in, c, &target);
}

/* What a block needs at least: its number of events, and a byte a column. */
bool
fs_segment_take_block(FsCursor *blocks, int ncolumns, FsCursor *block, int *nevents)
{
	const char *header;
	const char *bytes;
	uint32_t	size;

	if (!fs_take_bytes(blocks, FS_SEGMENT_BLOCK_HEADER, &header))
		return false;
	size = fs_get_le32(header);
	*nevents = fs_get_le16(header + 4);
	if (*nevents < 1 || *nevents > FS_SEGMENT_BLOCK ||
		size < 2 + (uint32_t) (FS_META_COLUMNS + ncolumns) ||
		!fs_take_bytes(blocks, size - 2, &bytes))
		return false;
	block->p = bytes;
	block->end = bytes + size - 2;
	return true;
}

/* A block must end where its columns do. */
bool
fs_segment_decode_block(FsSegmentReader *reader)
{
	FsCursor	block;
	int			c;

	if (!fs_segment_take_block(&reader->blocks, reader->ncolumns, &block, &reader->nevents))
		return false;
	FS_ASSERT(reader->nevents <= reader->cap);
	for (c = 0; c < FS_META_COLUMNS; c++)
	{
		if (!decode_meta(reader, &block, c))
			return false;
	}
	for (c = 0; c < reader->ncolumns; c++)
	{
		if (!decode_declared(reader, &block, c))
			return false;
	}
	reader->at = 0;
	return fs_cursor_left(&block) == 0;
}
