/*
 * segment_text.c
 *		How a segment's writer keeps and encodes columns of byte types.
 *
 * A column is tried as NUMBER when its first value ends in a digit ("u123456"),
 * else as DICTIONARY ("shoes"); values that do not fit are exceptions of their
 * block.  After each block the kind is thought over: too many exceptions, or a
 * dictionary of values that do not come again, and the next block is of another
 * kind, at worst PLAIN.  So nothing is ever encoded twice, and a wrong guess
 * costs a block.
 */
#include "core/segment_format.h"

#include <stdlib.h>

#include "core/hash.h"

/* Keeps paths apart, so that each saves only the registers it needs itself. */
#define APART	__attribute__((noinline))
#define RARELY	__attribute__((noinline, cold))

#define DICTIONARY_ENTRIES		65536
#define DICTIONARY_BYTES		(1024 * 1024)
#define DICTIONARY_VALUE		255 /* longer values are exceptions */
#define DICTIONARY_TRIAL		4096	/* values after which it is judged */
#define DICTIONARY_PROBES		32	/* then an exception: collisions can be crafted */
#define SMALLEST_DICTIONARY		128 /* slots */
#define SLOTS_PER_ENTRY			4	/* at least; so that most values are where they hash to */
#define NUMBER_TRIES			2	/* prefixes tried in vain before the column is no NUMBER */

/* Prepares an empty column; it owns no memory yet. */
void
fs_text_init(FsTextColumn *column, FsType type)
{
	memset(column, 0, sizeof(*column));
	if (type == FS_TYPE_TEXT || type == FS_TYPE_NUMERIC)
		column->number_tries = NUMBER_TRIES;
}

/* See segment_format.h. */
void
fs_text_free(FsTextColumn *column)
{
	free(column->codes);
	free(column->gaps);
	free(column->lengths);
	fs_buffer_free(&column->raw);
	fs_buffer_free(&column->dictionary.bytes);
	free(column->dictionary.entries);
	free(column->dictionary.slots);
}

/* Room for 'cap' numbers; false, and the array as before, when memory is out. */
static bool
resize_array(int64_t **array, int cap)
{
	int64_t    *grown = realloc(*array, (size_t) cap * sizeof(int64_t));

	if (grown == NULL)
		return false;
	*array = grown;
	return true;
}

/* Makes room for blocks of 'cap' values; false when memory is out. */
bool
fs_text_resize(FsTextColumn *column, int cap)
{
	FS_ASSERT(cap >= column->n && cap <= FS_SEGMENT_BLOCK);
	return resize_array(&column->codes, cap) &&
		resize_array(&column->gaps, cap) &&
		resize_array(&column->lengths, cap);
}

/* Bytes held besides the arrays of a block. */
size_t
fs_text_memory(const FsTextColumn *column)
{
	const FsDictionary *dictionary = &column->dictionary;

	return column->raw.cap + dictionary->bytes.cap +
		(dictionary->nslots / SLOTS_PER_ENTRY) * sizeof(uint64_t) +
		dictionary->nslots * sizeof(uint32_t);
}

/* Appends a value as such: as an exception, or in a PLAIN block. */
static APART bool
append_raw(FsTextColumn *column, const char *data, size_t len)
{
	if (!fs_buffer_append(&column->raw, data, len))
		return false;
	column->gaps[column->nraw] = column->n - column->raw_next;
	column->lengths[column->nraw] = (int64_t) len;
	column->nraw++;
	column->n++;
	column->raw_next = column->n;
	return true;
}

static inline bool
append_code(FsTextColumn *column, int64_t code)
{
	column->codes[column->ncodes++] = code;
	column->n++;
	return true;
}

/*
 * Up to 8 digits as one word, a byte each, the last in its highest byte, with
 * zeros before them; what is no digit becomes a byte that is greater than 9.
 */
static inline uint64_t
load_digits(const char *p, size_t n)
{
	uint64_t	word = 0;
	size_t		i;

	FS_ASSERT(n >= 1 && n <= 8);
	if (n == 8)
		word = fs_get_le64(p);
	else if (n >= 4)
		word = (uint64_t) fs_get_le32(p + n - 4) << 32 |
			(uint64_t) fs_get_le32(p) << (64 - 8 * n);
	else
		for (i = 0; i < n; i++)
			word |= (uint64_t) (uint8_t) p[i] << (64 - 8 * (n - i));
	return word ^ UINT64_C(0x3030303030303030) << (64 - 8 * n);
}

/*
 * The number that the digits of load_digits are; false unless all are digits:
 * 0x76 more, and a byte greater than 9 has its highest bit set, or had.
 */
static inline bool
join_digits(uint64_t word, uint64_t *number)
{
	if (((word | (word + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080)) != 0)
		return false;
	word = word * 10 + (word >> 8);
	*number = ((word & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
			   (word >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >> 32;
	return true;
}

/* parse_number for more than 8 digits. */
static APART bool
parse_long_number(const char *p, size_t n, int64_t *number)
{
	uint64_t	total = 0;
	size_t		head = (n - 1) % 8 + 1;

	while (n > 0)
	{
		uint64_t	part;

		if (!join_digits(load_digits(p, head), &part))
			return false;
		total = total * 100000000 + part;
		p += head;
		n -= head;
		head = 8;
	}
	*number = (int64_t) total;
	return true;
}

/* Parses 1..FS_NUMBER_DIGITS digits; false when there is anything else. */
static inline bool
parse_number(const char *p, size_t n, int64_t *number)
{
	uint64_t	eight;

	if (n > 8)
		return parse_long_number(p, n, number);
	if (!join_digits(load_digits(p, n), &eight))
		return false;
	*number = (int64_t) eight;
	return true;
}

/* Does a value, which has at least as many bytes, start as the column's others do? */
static inline bool
starts_with_prefix(const FsTextColumn *column, const char *data)
{
	int			i = column->prefix_len;

	while (i-- > 0)
	{
		if (data[i] != column->prefix[i])
			return false;
	}
	return true;
}

/*
 * Can a number of so many digits join those of the block?  A block has either
 * no leading zeros or one width for all.
 */
static inline bool
fits_digits(FsTextColumn *column, int digits, bool leading_zero)
{
	bool		other = digits != column->digits && column->digits != 0;

	if ((leading_zero || column->leading_zeros) && (other || column->other_digits))
		return false;
	if (column->digits == 0)
		column->digits = digits;
	column->other_digits |= other;
	column->leading_zeros |= leading_zero;
	return true;
}

/* Length of what stands before the value's last digits (at most 18 of them). */
static size_t
find_prefix(const char *data, size_t len)
{
	size_t		at = len;

	while (at > 0 && len - at < FS_NUMBER_DIGITS && data[at - 1] >= '0' && data[at - 1] <= '9')
		at--;
	return at;
}

/* The first value that ends in digits sets the prefix for as long as it holds. */
static RARELY void
choose_prefix(FsTextColumn *column, const char *data, size_t len)
{
	size_t		prefix = find_prefix(data, len);

	if (prefix == len || prefix > FS_PREFIX_MAX)
		return;
	memcpy(column->prefix, data, prefix);
	column->prefix_len = (uint8_t) prefix;
	column->has_prefix = true;
}

/* append_number for whatever is not as plain as it takes. */
static APART bool
append_unusual_number(FsTextColumn *column, const char *data, size_t len)
{
	size_t		digits;
	int64_t		number;

	if (!column->has_prefix)
		choose_prefix(column, data, len);
	if (!column->has_prefix ||
		len <= column->prefix_len || len - column->prefix_len > FS_NUMBER_DIGITS ||
		!starts_with_prefix(column, data))
		return append_raw(column, data, len);
	digits = len - column->prefix_len;
	if (!parse_number(data + column->prefix_len, digits, &number) ||
		!fits_digits(column, (int) digits, digits > 1 && data[column->prefix_len] == '0'))
		return append_raw(column, data, len);
	return append_code(column, number);
}

/*
 * Appends a value to a NUMBER block: its number, or itself as an exception.  Here
 * are only numbers of 4 to 8 digits that do not begin with 0, in a block of such.
 */
static APART bool
append_number(FsTextColumn *column, const char *data, size_t len)
{
	size_t		prefix = column->prefix_len;
	size_t		digits = len - prefix;
	uint64_t	number;

	if (!column->has_prefix || digits - 4 > 4 || column->leading_zeros ||
		data[prefix] == '0' || !starts_with_prefix(column, data) ||
		!join_digits(load_digits(data + prefix, digits), &number))
		return append_unusual_number(column, data, len);
	if ((int) digits != column->digits)
	{
		column->other_digits |= column->digits != 0;
		if (column->digits == 0)
			column->digits = (int) digits;
	}
	return append_code(column, (int64_t) number);
}

/*
 * A hash for this process's tables only: unlike fs_hash_bytes it takes short
 * values by overlapping loads, without a loop or a copy.
 */
static inline uint32_t
hash_value(const char *p, size_t len)
{
	uint64_t	a = 0;
	uint64_t	b = 0;
	size_t		i;

	if (len >= 8)
	{
		for (i = 0; i + 8 < len; i += 8)
			a = fs_hash_fold(a ^ fs_get_le64(p + i), UINT64_C(0x9e3779b97f4a7c15));
		b = fs_get_le64(p + len - 8);
	}
	else if (len >= 4)
	{
		a = fs_get_le32(p);
		b = fs_get_le32(p + len - 4);
	}
	else
	{
		for (i = 0; i < len; i++)
			a = a << 8 | (uint8_t) p[i];
	}
	a = fs_hash_fold(a ^ len ^ UINT64_C(0xa0761d6478bd642f), b ^ UINT64_C(0xe7037ed1a0b428db));
	return (uint32_t) (a ^ a >> 32);
}

/* memcmp() == 0 for short values. */
static inline bool
are_same_bytes(const char *a, const char *b, size_t len)
{
	size_t		i;

	if (len >= 8)
	{
		for (i = 0; i + 8 < len; i += 8)
		{
			if (fs_get_le64(a + i) != fs_get_le64(b + i))
				return false;
		}
		return fs_get_le64(a + len - 8) == fs_get_le64(b + len - 8);
	}
	if (len >= 4)
		return fs_get_le32(a) == fs_get_le32(b) &&
			fs_get_le32(a + len - 4) == fs_get_le32(b + len - 4);
	for (i = 0; i < len; i++)
	{
		if (a[i] != b[i])
			return false;
	}
	return true;
}

/* Doubles the hash table and the entries; false when memory is out. */
static RARELY bool
grow_dictionary(FsDictionary *dictionary)
{
	uint32_t	nslots = dictionary->nslots ? dictionary->nslots * 2 : SMALLEST_DICTIONARY;
	uint64_t   *entries;
	uint32_t   *slots;
	uint32_t	i;

	entries = realloc(dictionary->entries, nslots / SLOTS_PER_ENTRY * sizeof(uint64_t));
	if (entries == NULL)
		return false;
	dictionary->entries = entries;
	slots = calloc(nslots, sizeof(uint32_t));
	if (slots == NULL)
		return false;
	for (i = 0; i < dictionary->nentries; i++)
	{
		uint32_t	at = (uint32_t) entries[i] & (nslots - 1);

		while (slots[at] != 0)
			at = (at + 1) & (nslots - 1);
		slots[at] = i + 1;
	}
	free(dictionary->slots);
	dictionary->slots = slots;
	dictionary->nslots = nslots;
	return true;
}

/* An entry: its hash, where in the dictionary's bytes it begins, its length. */
static inline uint64_t
make_entry(uint32_t hash, size_t at, size_t len)
{
	FS_ASSERT(at < (1 << 24) && len <= DICTIONARY_VALUE);
	return hash | (uint64_t) at << 32 | (uint64_t) len << 56;
}

static inline bool
is_entry(const FsDictionary *dictionary, uint32_t entry, uint32_t hash, const char *data, size_t len)
{
	uint64_t	e = dictionary->entries[entry];

	return (uint32_t) e == hash && (size_t) (e >> 56) == len &&
		are_same_bytes(dictionary->bytes.data + (e >> 32 & 0xffffff), data, len);
}

/* Adds a value that is not there, at hash slot 'at'; false when memory is out. */
static RARELY bool
add_entry(FsDictionary *dictionary, uint32_t at, uint32_t hash, const char *data, size_t len)
{
	FsBuffer   *bytes = &dictionary->bytes;

	if (!fs_buffer_reserve(bytes, FS_VARINT_MAX + len) ||
		!fs_buffer_append_varint(bytes, len))
		return false;
	FS_ASSERT(dictionary->slots[at] == 0);
	dictionary->entries[dictionary->nentries] = make_entry(hash, bytes->len, len);
	dictionary->slots[at] = ++dictionary->nentries;
	return fs_buffer_append(bytes, data, len);
}

/* Appends the value's code, with a new entry where there is room for it. */
static APART bool
append_unusual_code(FsTextColumn *column, const char *data, size_t len, uint32_t hash)
{
	FsDictionary *dictionary = &column->dictionary;
	uint32_t	at;
	int			probe;

	if (dictionary->nentries >= dictionary->nslots / SLOTS_PER_ENTRY &&
		dictionary->nentries < DICTIONARY_ENTRIES && !grow_dictionary(dictionary))
		return false;
	at = hash & (dictionary->nslots - 1);
	for (probe = 0; probe < DICTIONARY_PROBES; probe++)
	{
		uint32_t	slot = dictionary->slots[at];

		if (slot == 0)
			break;
		if (is_entry(dictionary, slot - 1, hash, data, len))
			return append_code(column, slot - 1);
		at = (at + 1) & (dictionary->nslots - 1);
	}
	if (probe == DICTIONARY_PROBES || dictionary->nentries >= DICTIONARY_ENTRIES ||
		dictionary->bytes.len + len > DICTIONARY_BYTES)
		return append_raw(column, data, len);
	return add_entry(dictionary, at, hash, data, len) &&
		append_code(column, dictionary->nentries - 1);
}

/* The same; here are only values that are where they hash to, in a dictionary not about to grow. */
static APART bool
append_coded(FsTextColumn *column, const char *data, size_t len)
{
	const FsDictionary *dictionary = &column->dictionary;
	uint32_t	hash;

	if (len > DICTIONARY_VALUE)
		return append_raw(column, data, len);
	hash = hash_value(data, len);
	if (dictionary->nentries < dictionary->nslots / SLOTS_PER_ENTRY)
	{
		uint32_t	slot = dictionary->slots[hash & (dictionary->nslots - 1)];

		if (slot != 0 && is_entry(dictionary, slot - 1, hash, data, len))
			return append_code(column, slot - 1);
	}
	return append_unusual_code(column, data, len, hash);
}

/* The kind to begin with, from the first value there is. */
static uint8_t
first_kind(const FsTextColumn *column, const char *data, size_t len)
{
	size_t		prefix = find_prefix(data, len);

	return column->number_tries > 0 && prefix < len && prefix <= FS_PREFIX_MAX ?
		FS_COLUMN_NUMBER : FS_COLUMN_DICTIONARY;
}

/*
 * Appends one value to the block; the caller has made room by fs_text_resize.
 * Copies the bytes.  False when memory is out.
 */
bool
fs_text_append(FsTextColumn *column, const char *data, size_t len)
{
	FS_ASSERT(column->n < FS_SEGMENT_BLOCK);
	if (column->kind == FS_COLUMN_NUMBER)
		return append_number(column, data, len);
	if (column->kind == FS_COLUMN_DICTIONARY)
		return append_coded(column, data, len);
	if (column->kind == FS_COLUMN_PLAIN)
		return append_raw(column, data, len);
	column->kind = first_kind(column, data, len);
	return column->kind == FS_COLUMN_NUMBER ? append_number(column, data, len) : append_coded(column, data, len);
}

static bool
encode_raw(const FsTextColumn *column, FsBuffer *out)
{
	return fs_ints_encode(out, column->lengths, column->nraw, 0) &&
		fs_buffer_append(out, column->raw.data, column->raw.len);
}

static bool
encode_exceptions(const FsTextColumn *column, FsBuffer *out)
{
	return fs_buffer_append_varint(out, (uint64_t) column->nraw) &&
		fs_ints_encode(out, column->gaps, column->nraw, 0) &&
		encode_raw(column, out);
}

static bool
encode_prefix(const FsTextColumn *column, FsBuffer *out)
{
	return fs_buffer_append_byte(out, column->prefix_len) &&
		fs_buffer_append(out, column->prefix, column->prefix_len) &&
		fs_buffer_append_byte(out, column->leading_zeros ? (uint8_t) column->digits : 0);
}

/*
 * The kind for the next block.  NUMBER must fit three quarters of the values,
 * a dictionary half of them; and its entries must come again: of its first
 * values at least a quarter.
 */
static uint8_t
next_kind(FsTextColumn *column)
{
	bool		unfit = column->nraw > column->n / 2;

	if (column->kind == FS_COLUMN_NUMBER && column->nraw > column->n / 4)
	{
		column->number_tries--;
		column->has_prefix = false;
		return FS_COLUMN_DICTIONARY;
	}
	if (column->kind == FS_COLUMN_DICTIONARY &&
		column->coded >= DICTIONARY_TRIAL &&
		column->dictionary.nentries > column->coded / 4 * 3)
		unfit = true;
	if (column->kind == FS_COLUMN_DICTIONARY && unfit)
		return column->number_tries > 0 ? FS_COLUMN_NUMBER : FS_COLUMN_PLAIN;
	return column->kind;
}

/*
 * Appends the block's values after the column's kind and null bitmap, which are
 * the caller's, and begins an empty block.  False when memory is out.
 */
bool
fs_text_encode_block(FsTextColumn *column, FsBuffer *out)
{
	FS_ASSERT(column->n > 0 && column->ncodes + column->nraw == column->n);
	if (column->kind == FS_COLUMN_NUMBER && !encode_prefix(column, out))
		return false;
	if (column->kind == FS_COLUMN_PLAIN)
	{
		if (!encode_raw(column, out))
			return false;
	}
	else if (!encode_exceptions(column, out) ||
			 !fs_ints_encode(out, column->codes, column->ncodes, 0))
		return false;
	if (column->kind == FS_COLUMN_DICTIONARY)
		column->coded += column->ncodes;
	column->kind = next_kind(column);
	column->n = column->ncodes = column->nraw = column->raw_next = 0;
	column->digits = 0;
	column->other_digits = column->leading_zeros = false;
	fs_buffer_reset(&column->raw);
	return true;
}

/* Appends the segment's dictionary of this column, empty or not. */
bool
fs_text_encode_dictionary(const FsTextColumn *column, FsBuffer *out)
{
	return fs_buffer_append_varint(out, column->dictionary.nentries) &&
		fs_buffer_append(out, column->dictionary.bytes.data, column->dictionary.bytes.len);
}
