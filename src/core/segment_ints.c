/*
 * segment_ints.c
 *		Number streams: the one encoding below all columns of a segment.
 *
 * See segment_format.h for the layout.  The encoder looks at the values once or
 * twice and takes the smallest of the four forms, by estimates of their sizes.
 * Both sides work on at most a block.
 */
#include "core/segment_format.h"

enum
{
	INTS_CONSTANT = 0,
	INTS_PACKED = 1,
	INTS_VARINT = 2,
	INTS_RUNS = 3
};

#define STEP_THOUSAND	64
#define STEP_MILLION	65
#define WIDEST_PACKED	56		/* what 8 bytes can yield from any bit on; beyond: 64 */

/* What the encoder knows of a stream before it chooses. */
typedef struct Shape
{
	int64_t		least;
	uint64_t	range;			/* greatest - least */
	int			runs;
	int			step;
	int			width;
} Shape;

static inline int
bit_width(uint64_t v)
{
	return 64 - __builtin_clzll(v | 1);
}

/* Are all distances from 'least' multiples of 'unit'?  Mostly found out at once. */
static inline bool
is_multiple(const int64_t *v, int n, int64_t least, uint64_t unit)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (((uint64_t) v[i] - (uint64_t) least) % unit != 0)
			return false;
	}
	return true;
}

/*
 * Chooses the step that leaves the fewest bits.  'bits' is the OR of all
 * distances: its trailing zeros are the greatest power of two that divides all,
 * and 1000 needs three of them, a million six.
 */
static void
choose_step(Shape *shape, const int64_t *v, int n, uint64_t bits)
{
	int			shift = __builtin_ctzll(bits);

	FS_ASSERT(bits != 0);
	shape->step = shift;
	shape->width = bit_width(shape->range >> shift);
	if (shift >= 6 && shift < 20 && is_multiple(v, n, shape->least, 1000000))
	{
		shape->step = STEP_MILLION;
		shape->width = bit_width(shape->range / 1000000);
	}
	else if (shift >= 3 && shift < 10 && is_multiple(v, n, shape->least, 1000))
	{
		shape->step = STEP_THOUSAND;
		shape->width = bit_width(shape->range / 1000);
	}
	if (shape->width > WIDEST_PACKED)
	{
		shape->step = 0;
		shape->width = 64;
	}
}

/* Fills *shape; false when all values are the same. */
static bool
find_shape(Shape *shape, const int64_t *v, int n)
{
	const int64_t first = v[0];
	int64_t		least = first;
	int64_t		greatest = first;
	int64_t		previous = first;
	uint64_t	bits = 0;
	int			runs = 1;
	int			i;

	/* each equals the one before: told by the library's widest loads */
	if (memcmp(v, v + 1, (size_t) (n - 1) * sizeof(*v)) == 0)
		return false;
	for (i = 1; i < n; i++)
	{
		int64_t		value = v[i];

		if (value == previous)
			continue;
		bits |= (uint64_t) value ^ (uint64_t) first;
		least = value < least ? value : least;
		greatest = value > greatest ? value : greatest;
		previous = value;
		runs++;
	}
	shape->least = least;
	shape->range = (uint64_t) greatest - (uint64_t) least;
	shape->runs = runs;

	/* XOR and difference have the same lowest set bits in common */
	choose_step(shape, v, n, bits);
	return true;
}

static size_t
packed_bytes(int n, int width)
{
	return ((size_t) n * (size_t) width + 7) / 8;
}

/* The bits that a value is packed as. */
static inline uint64_t
packed_value(int64_t value, const Shape *shape, int step)
{
	uint64_t	d = (uint64_t) value - (uint64_t) shape->least;

	if (step == STEP_THOUSAND)
		d /= 1000;
	else if (step == STEP_MILLION)
		d /= 1000000;
	else
		d >>= step;
	FS_ASSERT(bit_width(d) <= shape->width);
	return d;
}

/*
 * Writes n distances of 'width' bits at 'p', which has 8 bytes more than they need.
 * Two at a time, where a word has room for both.  Inlined for each kind of step,
 * so that the loops do not choose among them.
 */
static inline void
pack_steps(char *p, const int64_t *v, int n, const Shape *shape, int step)
{
	const int	width = shape->width;
	uint64_t	pending = 0;
	int			used = 0;
	int			i = 0;

	while (i < n)
	{
		uint64_t	d = packed_value(v[i++], shape, step);
		int			bits = width;

		if (width <= 32 && i < n)
		{
			d |= packed_value(v[i++], shape, step) << width;
			bits = 2 * width;
		}
		pending |= d << used;
		used += bits;
		if (used >= 64)
		{
			fs_put_le64(p, pending);
			p += 8;
			used -= 64;
			pending = used > 0 ? d >> (bits - used) : 0;
		}
	}
	fs_put_le64(p, pending);
}

/* The same, with the loop for the shape's step. */
static void
pack(char *p, const int64_t *v, int n, const Shape *shape)
{
	if (shape->step == 0)
		pack_steps(p, v, n, shape, 0);
	else if (shape->step == STEP_THOUSAND)
		pack_steps(p, v, n, shape, STEP_THOUSAND);
	else if (shape->step == STEP_MILLION)
		pack_steps(p, v, n, shape, STEP_MILLION);
	else
		pack_steps(p, v, n, shape, shape->step);
}

/* All values with the same number of bits, over the least one, in units of the shape's step. */
static bool
encode_packed(FsBuffer *out, const int64_t *v, int n, int64_t origin, const Shape *shape)
{
	size_t		size = packed_bytes(n, shape->width);

	if (!fs_buffer_append_byte(out, INTS_PACKED) ||
		!fs_buffer_append_zigzag(out, (int64_t) ((uint64_t) shape->least - (uint64_t) origin)) ||
		!fs_buffer_append_byte(out, (uint8_t) shape->step) ||
		!fs_buffer_append_byte(out, (uint8_t) shape->width) ||
		!fs_buffer_reserve(out, size + 8))
		return false;
	pack(out->data + out->len, v, n, shape);
	out->len += size;
	return true;
}

/*
 * Bytes the stream takes as varints, about: every eighth is measured.  A wrong
 * choice costs a few bytes, the measure of all a nanosecond each.
 */
static size_t
estimate_varint(const int64_t *v, int n, int64_t origin)
{
	size_t		size = 0;
	int			stride = n >= 256 ? 8 : 1;
	int			i;

	for (i = 0; i < n; i += stride)
		size += (size_t) fs_varint_size(fs_zigzag((int64_t) ((uint64_t) v[i] - (uint64_t) origin)));
	return size * (size_t) stride;
}

/* One varint a value: for a few large ones among small ones. */
static bool
encode_varint(FsBuffer *out, const int64_t *v, int n, int64_t origin)
{
	char	   *p;
	int			i;

	if (!fs_buffer_reserve(out, 1 + (size_t) n * FS_VARINT_MAX))
		return false;
	p = out->data + out->len;
	*p++ = INTS_VARINT;
	for (i = 0; i < n; i++)
		p = fs_put_varint(p, fs_zigzag((int64_t) ((uint64_t) v[i] - (uint64_t) origin)));
	out->len = (size_t) (p - out->data);
	return true;
}

static bool encode_stream(FsBuffer *out, const int64_t *v, int n, int64_t origin, bool may_run);

/* Values and the lengths of their runs, each as a stream of its own that has no runs again. */
static bool
encode_runs(FsBuffer *out, const int64_t *v, int n, int64_t origin, int runs)
{
	int64_t		values[FS_SEGMENT_BLOCK];
	int64_t		lengths[FS_SEGMENT_BLOCK];
	int64_t		value = v[0];
	int			run = 0;
	int			start = 0;
	int			i;

	for (i = 1; i < n; i++)
	{
		if (v[i] == value)
			continue;
		values[run] = value;
		lengths[run++] = i - start;
		value = v[i];
		start = i;
	}
	values[run] = value;
	lengths[run] = n - start;
	FS_ASSERT(run + 1 == runs);
	return fs_buffer_append_byte(out, INTS_RUNS) &&
		fs_buffer_append_varint(out, (uint64_t) runs) &&
		encode_stream(out, values, runs, origin, false) &&
		encode_stream(out, lengths, runs, 0, false);
}

/*
 * Takes the smallest form.  A varint has at least 8 bits, so that it is not
 * even measured against narrower packed ones.
 */
static bool
encode_stream(FsBuffer *out, const int64_t *v, int n, int64_t origin, bool may_run)
{
	Shape		shape;
	size_t		packed;
	size_t		best;
	bool		varint = false;

	if (!find_shape(&shape, v, n))
		return fs_buffer_append_byte(out, INTS_CONSTANT) &&
			fs_buffer_append_zigzag(out, (int64_t) ((uint64_t) v[0] - (uint64_t) origin));
	packed = packed_bytes(n, shape.width) + 6;
	best = packed;
	if (shape.width > 8)
	{
		best = estimate_varint(v, n, origin);
		varint = best < packed;
		best = varint ? best : packed;
	}
	if (may_run && (size_t) shape.runs * ((size_t) shape.width + 8) / 8 + 14 < best)
		return encode_runs(out, v, n, origin, shape.runs);
	if (varint)
		return encode_varint(out, v, n, origin);
	return encode_packed(out, v, n, origin, &shape);
}

/*
 * Appends a stream of n numbers, at most a block; nothing when n is 0.  False
 * when memory is out, with part of it perhaps written.
 */
bool
fs_ints_encode(FsBuffer *out, const int64_t *v, int n, int64_t origin)
{
	FS_ASSERT(n >= 0 && n <= FS_SEGMENT_BLOCK);
	return n == 0 || encode_stream(out, v, n, origin, true);
}

/* One value, n times. */
static bool
decode_constant(FsCursor *in, int64_t *v, int n, int64_t origin)
{
	int64_t		value;
	int			i;

	if (!fs_take_zigzag(in, &value))
		return false;
	value = (int64_t) ((uint64_t) value + (uint64_t) origin);
	for (i = 0; i < n; i++)
		v[i] = value;
	return true;
}

/*
 * Loads 8 bytes for each number, from the byte its first bit is in; the
 * segment's padding makes that safe at its end.
 */
static void
unpack(const char *p, int64_t *v, int n, int width, uint64_t least, uint64_t unit)
{
	uint64_t	mask = UINT64_MAX >> (64 - width);
	size_t		bit = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		uint64_t	d = fs_get_le64(p + (bit >> 3)) >> (bit & 7) & mask;

		v[i] = (int64_t) (least + d * unit);
		bit += (size_t) width;
	}
}

/*
 * What encode_packed() wrote.  Widths and steps that it never writes are
 * refused, since unpack() relies on them.
 */
static bool
decode_packed(FsCursor *in, int64_t *v, int n, int64_t origin)
{
	int64_t		least;
	uint8_t		step;
	uint8_t		width;
	const char *bytes;
	uint64_t	unit;

	if (!fs_take_zigzag(in, &least) ||
		!fs_take_byte(in, &step) || !fs_take_byte(in, &width))
		return false;
	if (step > STEP_MILLION || width < 1 || (width > WIDEST_PACKED && width != 64))
		return false;
	if (!fs_take_bytes(in, packed_bytes(n, width), &bytes))
		return false;
	if (step < STEP_THOUSAND)
		unit = UINT64_C(1) << step;
	else
		unit = step == STEP_THOUSAND ? 1000 : 1000000;
	unpack(bytes, v, n, width, (uint64_t) least + (uint64_t) origin, unit);
	return true;
}

/* What encode_varint() wrote. */
static bool
decode_varint(FsCursor *in, int64_t *v, int n, int64_t origin)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		int64_t		value;

		if (!fs_take_zigzag(in, &value))
			return false;
		v[i] = (int64_t) ((uint64_t) value + (uint64_t) origin);
	}
	return true;
}

static bool decode_stream(FsCursor *in, int64_t *v, int n, int64_t origin, bool may_run);

/* The lengths must be from 1 on and fill the stream exactly. */
static bool
decode_runs(FsCursor *in, int64_t *v, int n, int64_t origin)
{
	int64_t		values[FS_SEGMENT_BLOCK];
	int64_t		lengths[FS_SEGMENT_BLOCK];
	uint64_t	runs;
	uint64_t	run;
	int			done = 0;

	if (!fs_take_varint(in, &runs) || runs < 2 || runs > (uint64_t) n)
		return false;
	if (!decode_stream(in, values, (int) runs, origin, false) ||
		!decode_stream(in, lengths, (int) runs, 0, false))
		return false;
	for (run = 0; run < runs; run++)
	{
		int			end;

		if (lengths[run] < 1 || lengths[run] > n - done)
			return false;
		end = done + (int) lengths[run];
		while (done < end)
			v[done++] = values[run];
	}
	return done == n;
}

/* Any stream; runs of runs are refused, so that hostile bytes cannot nest. */
static bool
decode_stream(FsCursor *in, int64_t *v, int n, int64_t origin, bool may_run)
{
	uint8_t		how;

	if (!fs_take_byte(in, &how))
		return false;
	switch (how)
	{
		case INTS_CONSTANT:
			return decode_constant(in, v, n, origin);
		case INTS_PACKED:
			return decode_packed(in, v, n, origin);
		case INTS_VARINT:
			return decode_varint(in, v, n, origin);
		case INTS_RUNS:
			return may_run && decode_runs(in, v, n, origin);
		default:
			return false;
	}
}

/*
 * Takes a stream of n numbers, at most a block.  False when it is not well
 * formed.  FS_SEGMENT_PAD bytes beyond in->end must be readable.
 */
bool
fs_ints_decode(FsCursor *in, int64_t *v, int n, int64_t origin)
{
	FS_ASSERT(n >= 0 && n <= FS_SEGMENT_BLOCK);
	return n == 0 || decode_stream(in, v, n, origin, true);
}
