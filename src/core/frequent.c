/*
 * frequent.c
 *		How often each value came; see frequent.h.
 *
 * Bytes: 'F', version, then varints: limit, offset, number of counters; and for
 * each counter its count (varint) and the value.
 */
#include "core/frequent.h"

#include <string.h>

#define FIRST_COUNTERS	4		/* room that the first value makes */
#define VERSION			1

/* See frequent.h. */
void
fs_frequent_init(FsFrequent *table, const FsAllocator *allocator, const FsFrequentOps *ops,
				 void *context, uint32_t limit)
{
	FS_ASSERT(limit <= FS_FREQUENT_MAX_COUNTERS / 2);
	memset(table, 0, sizeof(*table));
	table->allocator = *allocator;
	table->ops = ops;
	table->context = context;
	table->limit = limit;
}

/* Gives memory and values back; the table is empty and may be used again. */
void
fs_frequent_free(FsFrequent *table)
{
	FsFrequent	old = *table;

	for (uint32_t i = 0; i < old.n; i++)
		old.ops->drop(old.context, old.counters[i].value);
	fs_sketch_release(&old.allocator, old.counters);
	fs_sketch_release(&old.allocator, old.slots);
	fs_frequent_init(table, &old.allocator, old.ops, old.context, old.limit);
}

/* Enters counters from 'first' on into the slots. */
static void
fill_slots(FsFrequent *table, uint32_t first)
{
	uint32_t	mask = table->nslots - 1;

	for (uint32_t i = first; i < table->n; i++)
	{
		uint32_t	slot = table->counters[i].hash & mask;

		while (table->slots[slot] != 0)
			slot = (slot + 1) & mask;
		table->slots[slot] = i + 1;
	}
}

static void
empty_slots(FsFrequent *table)
{
	memset(table->slots, 0, table->nslots * sizeof(uint32_t));
}

/* The counter of a value, or NULL. */
static FsFrequentCounter *
find_counter(const FsFrequent *table, uint64_t value, uint32_t hash)
{
	uint32_t	mask = table->nslots - 1;
	uint32_t	slot = hash & mask;

	if (table->nslots == 0)
		return NULL;
	for (; table->slots[slot] != 0; slot = (slot + 1) & mask)
	{
		FsFrequentCounter *counter = &table->counters[table->slots[slot] - 1];

		if (counter->hash == hash && table->ops->equal(table->context, counter->value, value))
			return counter;
	}
	return NULL;
}

/* Makes twice as much room, 2 * limit at most.  False when memory is out. */
static bool
grow(FsFrequent *table)
{
	uint32_t	cap = table->cap > 0 ? table->cap * 2 : FIRST_COUNTERS;
	uint32_t	nslots = cap * 2;
	void	   *piece;

	if (table->cap >= FS_FREQUENT_MAX_COUNTERS)
		return false;
	if (table->limit > 0 && cap > table->limit * 2)
		cap = table->limit * 2;
	piece = fs_sketch_resize(&table->allocator, table->counters, cap * sizeof(FsFrequentCounter));
	if (piece == NULL)
		return false;
	table->counters = piece;
	if (nslots > table->nslots)
	{
		piece = fs_sketch_resize(&table->allocator, table->slots, nslots * sizeof(uint32_t));
		if (piece == NULL)
			return false;
		table->slots = piece;
		table->nslots = nslots;
		empty_slots(table);
		fill_slots(table, 0);
	}
	table->cap = cap;
	return true;
}

static void
swap_counts(uint64_t *a, uint64_t *b)
{
	uint64_t	t = *a;

	*a = *b;
	*b = t;
}

/*
 * The count of rank 'rank' (0: the greatest) of 'n' > rank ones, by Hoare's
 * quickselect; leaves them in another order.
 */
static uint64_t
select_count(uint64_t *counts, uint32_t n, uint32_t rank)
{
	int64_t		low = 0;
	int64_t		high = (int64_t) n - 1;
	uint64_t	random = UINT64_C(0x9e3779b97f4a7c15);

	while (low < high)
	{
		int64_t		i = low;
		int64_t		j = high;
		uint64_t	pivot = counts[low + (int64_t) ((random >> 33) % (uint64_t) (high - low + 1))];

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		while (i <= j)
		{
			while (counts[i] > pivot)
				i++;
			while (counts[j] < pivot)
				j--;
			if (i <= j)
				swap_counts(&counts[i++], &counts[j--]);
		}
		if (rank <= j)
			high = j;
		else if (rank >= i)
			low = i;
		else
			break;
	}
	return counts[rank];
}

/* Takes 'excess' from all counters; those with no more than that go. */
static void
reduce_counters(FsFrequent *table, uint64_t excess)
{
	uint32_t	left = 0;

	for (uint32_t i = 0; i < table->n; i++)
	{
		FsFrequentCounter counter = table->counters[i];

		if (counter.count > excess)
		{
			counter.count -= excess;
			table->counters[left++] = counter;
		}
		else
			table->ops->drop(table->context, counter.value);
	}
	table->n = left;
	table->offset += excess;
	empty_slots(table);
	fill_slots(table, 0);
}

/* Makes room in a full table with a limit.  False when memory is out. */
static bool
purge(FsFrequent *table)
{
	uint64_t   *counts = fs_sketch_resize(&table->allocator, NULL, table->n * sizeof(uint64_t));
	uint64_t	excess;

	if (counts == NULL)
		return false;
	FS_ASSERT(table->n == table->limit * 2);
	for (uint32_t i = 0; i < table->n; i++)
		counts[i] = table->counters[i].count;
	excess = select_count(counts, table->n, table->limit);
	fs_sketch_release(&table->allocator, counts);
	reduce_counters(table, excess);
	FS_ASSERT(table->n <= table->limit);
	return true;
}

/* Makes room for one more counter. */
static bool
reserve_counter(FsFrequent *table)
{
	if (table->n < table->cap)
		return true;
	if (table->limit > 0 && table->n == table->limit * 2)
		return purge(table);
	return grow(table);
}

/* A counter for a value that has none and is kept; there is room for it. */
static void
append_counter(FsFrequent *table, uint64_t kept, uint32_t hash, uint64_t count)
{
	FS_ASSERT(table->n < table->cap && count > 0);
	table->counters[table->n] = (FsFrequentCounter) {kept, count, hash};
	table->n++;
	fill_slots(table, table->n - 1);
}

/* Adds a value, or one that is kept already, of this hash. */
static bool
add_hashed(FsFrequent *table, uint64_t value, uint32_t hash, uint64_t count, bool is_kept)
{
	FsFrequentCounter *counter = find_counter(table, value, hash);

	if (counter != NULL)
	{
		counter->count += count;
		if (is_kept)
			table->ops->drop(table->context, value);
		return true;
	}
	if (!reserve_counter(table))
		return false;
	if (!is_kept && !table->ops->keep(table->context, value, &value))
		return false;
	append_counter(table, value, hash, count);
	return true;
}

/* See frequent.h. */
bool
fs_frequent_add(FsFrequent *table, uint64_t value, uint64_t count)
{
	return add_hashed(table, value, table->ops->hash(table->context, value), count, false);
}

/* See frequent.h. */
bool
fs_frequent_merge(FsFrequent *into, const FsFrequent *from)
{
	FS_ASSERT(into != from && into->ops == from->ops && into->limit == from->limit);
	for (uint32_t i = 0; i < from->n; i++)
	{
		const FsFrequentCounter *counter = &from->counters[i];

		if (!add_hashed(into, counter->value, counter->hash, counter->count, false))
			return false;
	}
	into->offset += from->offset;
	return true;
}

/* Does counter 'a' come before counter 'b' in the ranking? */
static bool
ranks_before(const FsFrequent *table, uint32_t a, uint32_t b)
{
	const FsFrequentCounter *x = &table->counters[a];
	const FsFrequentCounter *y = &table->counters[b];

	if (x->count != y->count)
		return x->count > y->count;
	return table->ops->compare(table->context, x->value, y->value) < 0;
}

/* Restores a heap, whose root ranks last, from place 'at' downward. */
static void
sift_down(const FsFrequent *table, uint32_t *heap, uint32_t n, uint32_t at)
{
	for (;;)
	{
		uint32_t	child = at * 2 + 1;
		uint32_t	t;

		if (child >= n)
			return;
		if (child + 1 < n && ranks_before(table, heap[child], heap[child + 1]))
			child++;
		if (!ranks_before(table, heap[at], heap[child]))
			return;
		t = heap[at];
		heap[at] = heap[child];
		heap[child] = t;
		at = child;
	}
}

/* See frequent.h.  A heap of the best so far, then sorted by taking its root away. */
uint32_t
fs_frequent_top(const FsFrequent *table, uint32_t k, uint32_t *places)
{
	uint32_t	n = k < table->n ? k : table->n;

	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		places[i] = i;
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(table, places, n, i);
	for (uint32_t i = n; i < table->n; i++)
	{
		if (!ranks_before(table, i, places[0]))
			continue;
		places[0] = i;
		sift_down(table, places, n, 0);
	}
	for (uint32_t left = n - 1; left > 0; left--)
	{
		uint32_t	last = places[0];

		places[0] = places[left];
		places[left] = last;
		sift_down(table, places, left, 0);
	}
	return n;
}

/* See frequent.h. */
size_t
fs_frequent_memory(const FsFrequent *table)
{
	return table->cap * sizeof(FsFrequentCounter) + table->nslots * sizeof(uint32_t);
}

/* See frequent.h. */
size_t
fs_frequent_serialized_size(const FsFrequent *table)
{
	size_t		size = 2 + (size_t) (fs_varint_size(table->limit) + fs_varint_size(table->offset) +
									 fs_varint_size(table->n));

	for (uint32_t i = 0; i < table->n; i++)
		size += (size_t) fs_varint_size(table->counters[i].count) +
			table->ops->size(table->context, table->counters[i].value);
	return size;
}

/* See frequent.h. */
char *
fs_frequent_serialize(const FsFrequent *table, char *p)
{
	*p++ = 'F';
	*p++ = VERSION;
	p = fs_put_varint(p, table->limit);
	p = fs_put_varint(p, table->offset);
	p = fs_put_varint(p, table->n);
	for (uint32_t i = 0; i < table->n; i++)
	{
		p = fs_put_varint(p, table->counters[i].count);
		p = table->ops->write(table->context, table->counters[i].value, p);
	}
	return p;
}

/* Takes one counter: a count that does not overflow *total, and a new value. */
static FsSketchStatus
read_counter(FsFrequent *table, FsCursor *cursor, uint64_t *total)
{
	uint64_t	count;
	uint64_t	kept;
	uint32_t	before = table->n;
	FsSketchStatus status;

	if (!fs_take_varint(cursor, &count) || count == 0 || __builtin_add_overflow(*total, count, total))
		return FS_SKETCH_CORRUPT;
	status = table->ops->read(table->context, cursor, &kept);
	if (status != FS_SKETCH_OK)
		return status;
	if (!add_hashed(table, kept, table->ops->hash(table->context, kept), count, true))
	{
		table->ops->drop(table->context, kept);
		return FS_SKETCH_NO_MEMORY;
	}
	return table->n > before ? FS_SKETCH_OK : FS_SKETCH_CORRUPT;
}

/* See frequent.h. */
FsSketchStatus
fs_frequent_deserialize(FsFrequent *table, const char *bytes, size_t len)
{
	FsCursor	cursor = {bytes, bytes + len};
	const char *head;
	uint64_t	limit;
	uint64_t	n;
	uint64_t	total;

	FS_ASSERT(table->n == 0 && table->offset == 0);
	if (!fs_take_bytes(&cursor, 2, &head) || head[0] != 'F' || head[1] != VERSION ||
		!fs_take_varint(&cursor, &limit) || limit != table->limit ||
		!fs_take_varint(&cursor, &total) || !fs_take_varint(&cursor, &n) ||
		n > (limit > 0 ? limit * 2 : FS_FREQUENT_MAX_COUNTERS) || (limit == 0 && total > 0))
		return FS_SKETCH_CORRUPT;
	table->offset = total;
	for (uint64_t i = 0; i < n; i++)
	{
		FsSketchStatus status = read_counter(table, &cursor, &total);

		if (status != FS_SKETCH_OK)
			return status;
	}
	return fs_cursor_left(&cursor) == 0 ? FS_SKETCH_OK : FS_SKETCH_CORRUPT;
}
