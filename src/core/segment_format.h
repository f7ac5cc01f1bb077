/*
 * segment_format.h
 *		How a segment of the event log is laid out; private to segment_*.c.
 *
 * All multi-byte numbers are little-endian and unaligned, whatever the host.
 * "varint" is 7 bits a byte, least significant first, the high bit set on all
 * but the last byte, in its shortest spelling; "zigzag" is a varint of
 * (v << 1) ^ (v >> 63).  Arithmetic on 64-bit values wraps around.
 *
 *	segment:
 *		 0	"FSEG"
 *		 4	u8	version: 1.  A reader refuses what it does not know.
 *		 5	u8	zero
 *		 6	u16 number of columns, at most FS_SEGMENT_MAX_COLUMNS
 *		 8	u32 CRC-32C of all bytes of the segment but these four
 *		12	u32 offset of the dictionaries = end of the blocks
 *		16	i64 start of the slice, microseconds since 2000-01-01 UTC
 *		24	u64 number of events
 *		32	per column: i16 attribute number, u8 FsType
 *			blocks
 *			dictionaries
 *			8 zero bytes, so that the decoder of packed numbers may load 8
 *			bytes wherever a stream has one
 *
 *	block: up to FS_SEGMENT_BLOCK events.  Small enough to be built and decoded
 *	in the processor's cache, large enough that its own description costs
 *	nothing; also what bounds the writer's raw memory.
 *		u32 bytes that follow, u16 number of events (at least 1), and then a
 *		column each for event time, arrival, late bound (null = on time),
 *		partition, offset and xid; and the declared columns in order.
 *		The offset is stored as its distance to the offset after the previous
 *		event of that partition in this segment: mostly 0.  (The first event of
 *		a partition, and any of a partition not in 0..FS_SEGMENT_PARTITIONS-1,
 *		counts from 0.)
 *
 *	column: u8 kind, with FS_COLUMN_HAS_NULLS when some but not all values are
 *	null; then a bitmap of a bit an event (least significant first, 1 = null).
 *	What follows is about the values that are not null:
 *		ALL_NULL	nothing
 *		EVENT_TIME	nothing: every value equals the event time (declared columns)
 *		INTS		a number stream: integers, times, dates, booleans; floats as
 *					their IEEE bits
 *		PLAIN		a byte list
 *		NUMBER		u8 length of a prefix (at most FS_PREFIX_MAX), the prefix, u8
 *					digits, exceptions, and a number stream for all others: text
 *					that is the prefix and a decimal number of at most 18
 *					digits, without leading zeros if 'digits' is 0, else padded
 *					with zeros to so many digits
 *		DICTIONARY	exceptions, and a number stream of indexes into the column's
 *					dictionary for all others
 *	exceptions: varint their number; if not zero, a number stream of gaps (values
 *	since the exception before) and a byte list.
 *	byte list: a number stream of lengths, then the bytes of all.
 *	A number stream or list of nothing takes no bytes.
 *
 *	number stream: u8 how.  'origin' is the start of the slice for times, else 0.
 *		CONSTANT	zigzag (v - origin): all values are the same
 *		PACKED		zigzag (least - origin), u8 step, u8 width: 1..56 or 64; then
 *					(v - least) / step in 'width' bits each, least significant
 *					first.  step 0..63 means 2^step, 64 means 1000, 65 means
 *					1000000: so milliseconds cost no more than they carry.
 *		VARINT		zigzag (v - origin) each
 *		RUNS		varint number of runs (at least 2), a number stream of the
 *					runs' values, one of their lengths (from 1 on); not RUNS
 *
 *	dictionaries: one for every column of a byte type, in column order: varint
 *	number of entries, then varint length and bytes of each.
 *
 * The format knows the few shapes that streams of events have, rather than a
 * general compressor: identifiers that count, a handful of categories, times in
 * a minute.  It is decided anew for each block from the values themselves.
 */
#ifndef FS_CORE_SEGMENT_FORMAT_H
#define FS_CORE_SEGMENT_FORMAT_H

#include "core/buffer.h"
#include "core/segment.h"

#define FS_SEGMENT_MAGIC		"FSEG"
#define FS_SEGMENT_VERSION		1
#define FS_SEGMENT_CRC_OFFSET	8
#define FS_SEGMENT_HEADER_SIZE	32
#define FS_SEGMENT_COLUMN_SIZE	3
#define FS_SEGMENT_PAD			8
#define FS_SEGMENT_MAX_COLUMNS	1600	/* as many as a table can have */
#define FS_SEGMENT_BLOCK		1024
#define FS_SEGMENT_BLOCK_HEADER 6
#define FS_SEGMENT_PARTITIONS	1024	/* whose offsets are stored as distances */
#define FS_PREFIX_MAX			15
#define FS_NUMBER_DIGITS		18		/* so many fit 63 bits */

/* The columns every segment has, in this order. */
enum
{
	FS_META_EVENT_TIME,
	FS_META_ARRIVAL,
	FS_META_LATE_BOUND,
	FS_META_PARTITION,
	FS_META_OFFSET,
	FS_META_XID,
	FS_META_COLUMNS
};

/* Kinds of columns: stored, never renumber. */
enum
{
	FS_COLUMN_ALL_NULL = 0,
	FS_COLUMN_EVENT_TIME = 1,
	FS_COLUMN_INTS = 2,
	FS_COLUMN_PLAIN = 3,
	FS_COLUMN_NUMBER = 4,
	FS_COLUMN_DICTIONARY = 5,
	FS_COLUMN_HAS_NULLS = 0x80
};

/* In segment_write.c: puts the CRC into a segment; for the writer, and for tests that forge. */
extern void fs_segment_sign(char *bytes, size_t len);

/* Functions in segment_ints.c */
extern bool fs_ints_encode(FsBuffer *out, const int64_t *v, int n, int64_t origin);
extern bool fs_ints_decode(FsCursor *in, int64_t *v, int n, int64_t origin);

/*
 * The writer's side of a column of a byte type (segment_text.c): the values of
 * the block being built, and the segment's dictionary.
 */
typedef struct FsDictionary
{
	FsBuffer	bytes;			/* the stored form: length and bytes of each */
	uint64_t   *entries;		/* hash, place in 'bytes' and length of each */
	uint32_t   *slots;			/* hash table of entry number + 1; 0 = free */
	uint32_t	nentries;
	uint32_t	nslots;			/* a power of two, or 0 */
} FsDictionary;

typedef struct FsTextColumn
{
	uint8_t		kind;			/* of the block being built */
	uint8_t		number_tries;	/* how often it may yet be tried as NUMBER */
	bool		has_prefix;		/* NUMBER: 'prefix' is set */
	int			n;				/* values in the block */

	/* NUMBER and DICTIONARY: the numbers or codes */
	int64_t    *codes;
	int			ncodes;
	uint8_t		prefix_len;
	char		prefix[FS_PREFIX_MAX + 1];
	int			digits;			/* of the block's first number; 0 none yet */
	bool		other_digits;	/* some number has not so many */
	bool		leading_zeros;	/* some number begins with 0 */

	/* PLAIN: the values; else the exceptions */
	int64_t    *gaps;
	int64_t    *lengths;
	int			nraw;
	int			raw_next;		/* index after the last exception's */
	FsBuffer	raw;

	FsDictionary dictionary;
	int64_t		coded;			/* values ever looked up in the dictionary */
} FsTextColumn;

extern void fs_text_init(FsTextColumn *column, FsType type);
extern void fs_text_free(FsTextColumn *column);
extern bool fs_text_resize(FsTextColumn *column, int cap);
extern bool fs_text_append(FsTextColumn *column, const char *data, size_t len);
extern bool fs_text_encode_block(FsTextColumn *column, FsBuffer *out);
extern bool fs_text_encode_dictionary(const FsTextColumn *column, FsBuffer *out);
extern size_t fs_text_memory(const FsTextColumn *column);

#endif							/* FS_CORE_SEGMENT_FORMAT_H */
