/*
 * hyperloglog.c
 *		How many different values there were; see hyperloglog.h.
 *
 * The first 12 digits of a hash choose the register, which keeps the greatest
 * rank: the place, 1 or more, of the first 1 among the digits after these.  A
 * code is all three: register (12 bits), rank (5), and the 15 digits after that 1.
 *
 * Bytes: 'H', version, then 0 and sparse codes (varint count, each code
 * little-endian), or 1 and the words (each little-endian).
 */
#include "core/hyperloglog.h"

#include <math.h>
#include <string.h>

#include "core/buffer.h"

#define REGISTERS	FS_HYPERLOGLOG_REGISTERS
#define MAX_CODES	FS_HYPERLOGLOG_MAX_CODES
#define PER_WORD	12
#define WORDS		((REGISTERS + PER_WORD - 1) / PER_WORD)
#define MAX_RANK	31			/* stands for itself and all greater ones */
#define FIRST_CODES 8			/* room that the first value makes */
#define VERSION		1

#define code_register(code) ((code) >> 20)
#define code_rank(code)		((code) >> 15 & 31)

/*
 * Register (12 bits), rank (5) and 15 more bits of the hash: values that differ
 * have different codes while they are few, and a register needs but the first
 * two.
 */
static uint32_t
make_code(uint64_t hash)
{
	uint32_t	number = (uint32_t) (hash >> 52);
	uint64_t	digits = hash << 12;
	uint32_t	rank = MAX_RANK;

	if (digits >> (64 - MAX_RANK) != 0)
		rank = (uint32_t) __builtin_clzll(digits) + 1;
	return number << 20 | rank << 15 | (uint32_t) (digits << rank >> 49);
}

/* See hyperloglog.h. */
void
fs_hyperloglog_init(FsHyperLogLog *sketch, const FsAllocator *allocator)
{
	memset(sketch, 0, sizeof(*sketch));
	sketch->allocator = *allocator;
}

/* Gives the memory back; the sketch is empty and may be used again. */
void
fs_hyperloglog_free(FsHyperLogLog *sketch)
{
	FsAllocator allocator = sketch->allocator;

	fs_sketch_release(&allocator, sketch->words);
	fs_sketch_release(&allocator, sketch->codes);
	fs_hyperloglog_init(sketch, &allocator);
}

static uint32_t
get_rank(const uint64_t *words, uint32_t number)
{
	return (uint32_t) (words[number / PER_WORD] >> (number % PER_WORD * 5) & 31);
}

/* Raises a register to 'rank', unless it is there already. */
static inline void
raise_rank(uint64_t *words, uint32_t number, uint32_t rank)
{
	uint64_t   *word = &words[number / PER_WORD];
	uint32_t	shift = number % PER_WORD * 5;

	FS_ASSERT(number < REGISTERS && rank <= MAX_RANK);
	if ((*word >> shift & 31) < rank)
		*word = (*word & ~(UINT64_C(31) << shift)) | (uint64_t) rank << shift;
}

/* From codes to registers.  False when memory is out. */
static bool
make_dense(FsHyperLogLog *sketch)
{
	uint64_t   *words = fs_sketch_resize(&sketch->allocator, NULL, WORDS * sizeof(uint64_t));

	if (words == NULL)
		return false;
	memset(words, 0, WORDS * sizeof(uint64_t));
	for (uint32_t i = 0; i < sketch->ncodes; i++)
		raise_rank(words, code_register(sketch->codes[i]), code_rank(sketch->codes[i]));
	fs_sketch_release(&sketch->allocator, sketch->codes);
	sketch->codes = NULL;
	sketch->ncodes = sketch->cap = 0;
	sketch->words = words;
	return true;
}

/* Makes room for codes: 'needed' of them, at least twice what there was. */
static bool
reserve_codes(FsHyperLogLog *sketch, uint32_t needed)
{
	uint32_t	cap = sketch->cap > 0 ? sketch->cap * 2 : FIRST_CODES;
	uint32_t   *codes;

	FS_ASSERT(needed <= MAX_CODES);
	if (needed <= sketch->cap)
		return true;
	if (cap < needed)
		cap = needed;
	if (cap > MAX_CODES)
		cap = MAX_CODES;
	codes = fs_sketch_resize(&sketch->allocator, sketch->codes, cap * sizeof(uint32_t));
	if (codes == NULL)
		return false;
	sketch->codes = codes;
	sketch->cap = cap;
	return true;
}

/* The first code that is not less: where it is, or where it belongs. */
static uint32_t
find_code(const FsHyperLogLog *sketch, uint32_t code)
{
	uint32_t	low = 0;
	uint32_t	high = sketch->ncodes;

	while (low < high)
	{
		uint32_t	middle = (low + high) / 2;

		if (sketch->codes[middle] < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* False when memory is out. */
static bool
add_code(FsHyperLogLog *sketch, uint32_t code)
{
	uint32_t	at;

	if (sketch->words == NULL)
	{
		at = find_code(sketch, code);
		if (at < sketch->ncodes && sketch->codes[at] == code)
			return true;
		if (sketch->ncodes < MAX_CODES)
		{
			if (!reserve_codes(sketch, sketch->ncodes + 1))
				return false;
			memmove(sketch->codes + at + 1, sketch->codes + at, (sketch->ncodes - at) * sizeof(uint32_t));
			sketch->codes[at] = code;
			sketch->ncodes++;
			return true;
		}
		if (!make_dense(sketch))
			return false;
	}
	raise_rank(sketch->words, code_register(code), code_rank(code));
	return true;
}

/* See hyperloglog.h. */
bool
fs_hyperloglog_add(FsHyperLogLog *sketch, uint64_t hash)
{
	return add_code(sketch, make_code(hash));
}

/* See hyperloglog.h. */
bool
fs_hyperloglog_merge(FsHyperLogLog *into, const FsHyperLogLog *from)
{
	FS_ASSERT(into != from);
	if (from->words == NULL)
	{
		for (uint32_t i = 0; i < from->ncodes; i++)
			if (!add_code(into, from->codes[i]))
				return false;
		return true;
	}
	if (into->words == NULL && !make_dense(into))
		return false;
	for (uint32_t i = 0; i < REGISTERS; i++)
		raise_rank(into->words, i, get_rank(from->words, i));
	return true;
}

/* Ertl's sigma: what registers of rank 0, a share 'x' of all, stand for. */
static double
sum_empty(double x)
{
	double		y = 1;
	double		z = x;
	double		before;

	if (x == 1)
		return INFINITY;
	do
	{
		before = z;
		x *= x;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

/* Ertl's tau: what registers of the greatest rank, a share 1 - 'x', stand for. */
static double
sum_full(double x)
{
	double		y = 1;
	double		z = 1 - x;
	double		before;

	if (x == 0 || x == 1)
		return 0;
	do
	{
		before = z;
		x = sqrt(x);
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (z != before);
	return z / 3;
}

/* Algorithm 6 of Ertl 2017, with q = MAX_RANK - 1. */
static double
estimate_dense(const uint64_t *words)
{
	uint32_t	count[MAX_RANK + 1] = {0};
	double		m = REGISTERS;
	double		z;

	for (uint32_t i = 0; i < REGISTERS; i++)
		count[get_rank(words, i)]++;
	z = m * sum_full(1 - count[MAX_RANK] / m);
	for (int rank = MAX_RANK - 1; rank >= 1; rank--)
		z = 0.5 * (z + count[rank]);
	z += m * sum_empty(count[0] / m);
	return m * m / (2 * M_LN2 * z);
}

/* See hyperloglog.h. */
int64_t
fs_hyperloglog_estimate(const FsHyperLogLog *sketch)
{
	double		estimate;

	if (sketch->words == NULL)
		return sketch->ncodes;
	estimate = estimate_dense(sketch->words);
	return estimate < 9e18 ? (int64_t) (estimate + 0.5) : INT64_MAX;
}

/* See hyperloglog.h. */
size_t
fs_hyperloglog_memory(const FsHyperLogLog *sketch)
{
	return sketch->words != NULL ? WORDS * sizeof(uint64_t) : sketch->cap * sizeof(uint32_t);
}

/* See hyperloglog.h. */
size_t
fs_hyperloglog_serialized_size(const FsHyperLogLog *sketch)
{
	if (sketch->words != NULL)
		return 3 + WORDS * sizeof(uint64_t);
	return 3 + (size_t) fs_varint_size(sketch->ncodes) + sketch->ncodes * sizeof(uint32_t);
}

/* See hyperloglog.h. */
char *
fs_hyperloglog_serialize(const FsHyperLogLog *sketch, char *p)
{
	*p++ = 'H';
	*p++ = VERSION;
	*p++ = sketch->words != NULL;
	if (sketch->words == NULL)
	{
		p = fs_put_varint(p, sketch->ncodes);
		for (uint32_t i = 0; i < sketch->ncodes; i++, p += sizeof(uint32_t))
			fs_put_le32(p, sketch->codes[i]);
	}
	else
		for (uint32_t i = 0; i < WORDS; i++, p += sizeof(uint64_t))
			fs_put_le64(p, sketch->words[i]);
	return p;
}

/* Codes must ascend, and be such as make_code() makes. */
static FsSketchStatus
read_codes(FsHyperLogLog *sketch, FsCursor *cursor)
{
	uint64_t	n;

	if (!fs_take_varint(cursor, &n) || n > MAX_CODES || fs_cursor_left(cursor) != n * sizeof(uint32_t))
		return FS_SKETCH_CORRUPT;
	if (n > 0 && !reserve_codes(sketch, (uint32_t) n))
		return FS_SKETCH_NO_MEMORY;
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	code = fs_get_le32(cursor->p + i * sizeof(uint32_t));

		if (code_rank(code) == 0 || (i > 0 && code <= sketch->codes[i - 1]))
			return FS_SKETCH_CORRUPT;
		sketch->codes[i] = code;
		sketch->ncodes = i + 1;
	}
	return FS_SKETCH_OK;
}

/* Registers may hold anything; the bits beside them are zero. */
static FsSketchStatus
read_words(FsHyperLogLog *sketch, FsCursor *cursor)
{
	if (fs_cursor_left(cursor) != WORDS * sizeof(uint64_t))
		return FS_SKETCH_CORRUPT;
	if (!make_dense(sketch))
		return FS_SKETCH_NO_MEMORY;
	for (uint32_t i = 0; i < WORDS; i++)
	{
		uint32_t	used = i < WORDS - 1 ? PER_WORD : REGISTERS - (WORDS - 1) * PER_WORD;

		sketch->words[i] = fs_get_le64(cursor->p + i * sizeof(uint64_t));
		if (sketch->words[i] >> (used * 5) != 0)
			return FS_SKETCH_CORRUPT;
	}
	return FS_SKETCH_OK;
}

/* See hyperloglog.h. */
FsSketchStatus
fs_hyperloglog_deserialize(FsHyperLogLog *sketch, const FsAllocator *allocator, const char *bytes, size_t len)
{
	FsCursor	cursor = {bytes, bytes + len};
	const char *head;
	FsSketchStatus status;

	fs_hyperloglog_init(sketch, allocator);
	if (!fs_take_bytes(&cursor, 3, &head) || head[0] != 'H' || head[1] != VERSION ||
		(head[2] != 0 && head[2] != 1))
		return FS_SKETCH_CORRUPT;
	status = head[2] == 0 ? read_codes(sketch, &cursor) : read_words(sketch, &cursor);
	if (status != FS_SKETCH_OK)
		fs_hyperloglog_free(sketch);
	return status;
}
