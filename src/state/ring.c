/*
 * ring.c
 *		Encoding of events in chunks; see ring.h.
 */
#include "postgres.h"

#include "core/slice.h"
#include "state/ring.h"

#define MAX_VARINT 10

/* Writes a varint at 'p', which has room for it; returns the byte after it. */
static inline uint8 *
put_varint(uint8 *p, uint64 v)
{
	if (v < 0x80)
	{
		*p = (uint8) v;
		return p + 1;
	}
	if (v < 0x4000)
	{
		p[0] = (uint8) v | 0x80;
		p[1] = (uint8) (v >> 7);
		return p + 2;
	}
	p[0] = (uint8) v | 0x80;
	p[1] = (uint8) (v >> 7) | 0x80;
	p += 2;
	for (v >>= 14; v >= 0x80; v >>= 7)
		*p++ = (uint8) v | 0x80;
	*p++ = (uint8) v;
	return p;
}

static inline uint64
zigzag(int64 v)
{
	return ((uint64) v << 1) ^ (uint64) (v >> 63);
}

static inline int64
unzigzag(uint64 v)
{
	return (int64) (v >> 1) ^ -(int64) (v & 1);
}

/* Reads one varint; NULL when it does not end before 'end'. */
static inline const uint8 *
get_varint(const uint8 *p, const uint8 *end, uint64 *v)
{
	uint64		result = 0;

	for (int shift = 0; p < end && shift < 64; shift += 7)
	{
		uint8		byte = *p++;

		result |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			*v = result;
			return p;
		}
	}
	return NULL;
}

/*
 * Times are differences; most producers stamp milliseconds, so those cost a
 * byte less.
 */
static inline uint8 *
put_time(uint8 *p, int64 difference)
{
	if (difference % 1000 == 0)
		return put_varint(p, zigzag(difference / 1000) << 1);
	return put_varint(p, zigzag(difference) << 1 | 1);
}

static inline uint8 *
put_code(uint8 *p, const FsCell *cell)
{
	return put_varint(p, cell->isnull ? 0 : cell->code);
}

/*
 * Writes a cell at 'p', which has room for the widest; NULLs take no bytes but
 * in codes, whose 0 they are.
 */
static uint8 *
put_cell(uint8 *p, FsCellKind kind, const FsCell *cell)
{
	float		f4;

	switch (kind)
	{
		case FS_CELL_CODE:
			return put_code(p, cell);
		case FS_CELL_INT:
			return cell->isnull ? p : put_varint(p, zigzag(cell->i));
		case FS_CELL_FLOAT4:
			if (cell->isnull)
				return p;
			f4 = (float) cell->f;
			memcpy(p, &f4, 4);
			return p + 4;
		case FS_CELL_FLOAT8:
			if (cell->isnull)
				return p;
			memcpy(p, &cell->f, 8);
			return p + 8;
		case FS_CELL_SET:
			memcpy(p, &cell->set, 4);
			return p + 4;
	}
	pg_unreachable();
}

/* See ring.h. */
int
fs_ring_encode(const FsRingLayout *layout, FsTime previous, FsTime time, int32 partition,
			   FsTime counts_from, const FsCell *cells, uint8 *out)
{
	bool		late = counts_from != FS_TIME_MIN;
	uint8	   *p = put_time(out, time - previous);

	p = put_varint(p, (uint64) partition << 1 | late);
	if (late)
		p = put_varint(p, fs_slice_index(counts_from, layout->slice) -
					   fs_slice_index(time, layout->slice));
	if (layout->has_nulls)
	{
		uint8	   *bitmap = p;

		memset(p, 0, (layout->ncells + 7) / 8);
		p += (layout->ncells + 7) / 8;
		for (int i = 0; i < layout->ncells; i++)
			if (cells[i].isnull)
				bitmap[i / 8] |= 1 << (i % 8);
	}
	for (int i = 0; i < layout->ncells; i++)
		p = layout->kinds[i] == FS_CELL_CODE ? put_code(p, &cells[i]) : put_cell(p, layout->kinds[i], &cells[i]);
	Assert(p - out <= FS_RING_MAX_EVENT);
	return p - out;
}

/*
 * Reads what put_cell() wrote; NULL when the bytes end before, as they may for
 * a reader of what is being changed.
 */
static const uint8 *
get_cell(const uint8 *p, const uint8 *end, FsCellKind kind, bool isnull, FsCell *cell)
{
	uint64		v = 0;
	float		f4;

	cell->isnull = isnull;
	switch (kind)
	{
		case FS_CELL_CODE:
			p = get_varint(p, end, &v);
			cell->code = (uint32) v;
			cell->isnull = p != NULL && v == 0;
			return p;
		case FS_CELL_INT:
			if (isnull)
				return p;
			p = get_varint(p, end, &v);
			cell->i = unzigzag(v);
			return p;
		case FS_CELL_FLOAT4:
			if (isnull)
				return p;
			if (end - p < 4)
				return NULL;
			memcpy(&f4, p, 4);
			cell->f = f4;
			return p + 4;
		case FS_CELL_FLOAT8:
			if (isnull)
				return p;
			if (end - p < 8)
				return NULL;
			memcpy(&cell->f, p, 8);
			return p + 8;
		case FS_CELL_SET:
			if (end - p < 4)
				return NULL;
			cell->isnull = false;
			memcpy(&cell->set, p, 4);
			return p + 4;
	}
	return NULL;
}

/* Decodes one event; NULL when the bytes end early. */
static const uint8 *
get_event(const FsRingLayout *layout, const uint8 *p, const uint8 *end, FsTime previous,
		  FsRingEvent *event)
{
	const uint8 *bitmap = NULL;
	uint64		v = 0;
	int64		difference;

	if ((p = get_varint(p, end, &v)) == NULL)
		return NULL;
	difference = unzigzag(v >> 1);
	event->time = (FsTime) ((uint64) previous +
							(uint64) difference * ((v & 1) ? 1 : 1000));
	if ((p = get_varint(p, end, &v)) == NULL)
		return NULL;
	event->partition = (int32) (v >> 1);
	event->counts_from = FS_TIME_MIN;
	if (v & 1)
	{
		if ((p = get_varint(p, end, &v)) == NULL)
			return NULL;
		event->counts_from = fs_time_floor(event->time, layout->slice) +
			(int64) v * layout->slice;
	}
	if (layout->has_nulls)
	{
		bitmap = p;
		p += (layout->ncells + 7) / 8;
		if (p > end)
			return NULL;
	}
	for (int i = 0; i < layout->ncells && p != NULL; i++)
		p = get_cell(p, end, layout->kinds[i],
					 bitmap != NULL && (bitmap[i / 8] & (1 << (i % 8))) != 0, &event->cells[i]);
	return p;
}

/* See ring.h. */
bool
fs_ring_decode(const FsRingLayout *layout, const FsChunk *chunk,
			   FsRingEvent *events, FsCell *cells, int *n, int max)
{
	const uint8 *p = chunk->data;
	const uint8 *end = p + chunk->used;
	FsTime		previous = fs_slice_start(chunk->base_slice, layout->slice);

	while (p < end)
	{
		FsRingEvent *event = &events[*n];

		if (*n >= max)
			return false;
		event->cells = cells + (int64) *n * layout->ncells;
		event->arrival = *n;
		p = get_event(layout, p, end, previous, event);
		if (p == NULL)
			return false;
		previous = event->time;
		++*n;
	}
	return true;
}

/* Skips a varint of a chunk that is whole. */
static inline const uint8 *
skip_varint(const uint8 *p)
{
	while (*p++ >= 0x80)
		;
	return p;
}

/* Skips the cells of one event; 'bitmap' tells its nulls, or is NULL. */
static const uint8 *
skip_cells(const FsRingLayout *layout, const uint8 *p, const uint8 *bitmap)
{
	for (int i = 0; i < layout->ncells; i++)
	{
		if (bitmap != NULL && (bitmap[i / 8] & (1 << (i % 8))) != 0 && layout->kinds[i] != FS_CELL_CODE)
			continue;
		if (layout->kinds[i] == FS_CELL_FLOAT4 || layout->kinds[i] == FS_CELL_SET)
			p += 4;
		else if (layout->kinds[i] == FS_CELL_FLOAT8)
			p += 8;
		else
			p = skip_varint(p);
	}
	return p;
}

/* See ring.h. */
int
fs_ring_count(const FsRingLayout *layout, const FsChunk *chunk)
{
	const uint8 *p = chunk->data;
	const uint8 *end = p + chunk->used;
	int			n = 0;

	while (p < end)
	{
		const uint8 *bitmap = NULL;
		bool		late;

		p = skip_varint(p);		/* time */
		late = (*p & 1) != 0;
		p = skip_varint(p);		/* partition */
		if (late)
			p = skip_varint(p);
		if (layout->has_nulls)
		{
			bitmap = p;
			p += (layout->ncells + 7) / 8;
		}
		p = skip_cells(layout, p, bitmap);
		n++;
	}
	Assert(p == end);
	return n;
}
