/*
 * iceberg_entry_read.c
 *		Reads an entry of a manifest, whoever wrote it; see iceberg_entry.h.
 *
 * Fields are told apart by their ids in the file's own schema; those that we do
 * not know are passed over, those that are missing are not known.
 */
#include <stdlib.h>

#include "core/iceberg_entry.h"
#include "core/iceberg_value.h"

/* Something known of a column, as the file's maps have it: a count or a bound. */
typedef struct Fact
{
	int32_t		field_id;		/* of the column */
	int			map;			/* id of the map */
	int64_t		count;
	const char *bytes;
	size_t		len;
} Fact;

/* Notes that memory is out: no words; always false. */
static bool
no_memory(FsIcebergEntryReader *reader)
{
	reader->walk.wrong = NULL;
	return false;
}

/*
 * Arrays of numbers
 */

/* A number of an array. */
static bool
read_element(void *arg, int item)
{
	FsIcebergEntryReader *reader = arg;
	int64_t		value = 0;

	return fs_avro_walk_number(&reader->walk, item, &value) &&
		(fs_buffer_append(&reader->numbers, &value, sizeof(value)) || no_memory(reader));
}

/* An array of numbers that may be NULL: *n is -1 then. */
static bool
read_numbers(FsIcebergEntryReader *reader, int node, int64_t **numbers, int *n)
{
	bool		there;

	fs_buffer_reset(&reader->numbers);
	if (!fs_avro_walk_array(&reader->walk, node, read_element, reader, &there))
		return false;
	*n = there ? (int) (reader->numbers.len / sizeof(int64_t)) : -1;
	*numbers = fs_scratch_take_aligned(&reader->memory, reader->numbers.len + 1);
	if (*numbers == NULL)
		return no_memory(reader);
	if (*n > 0)
		memcpy(*numbers, reader->numbers.data, reader->numbers.len);
	return true;
}

/* Where row groups begin. */
static bool
read_offsets(FsIcebergEntryReader *reader, int node, FsIcebergDataFile *file)
{
	int64_t    *offsets;

	if (!read_numbers(reader, node, &offsets, &file->noffsets))
		return false;
	file->offsets = offsets;
	return true;
}

/* The columns of equality deletes, which PyIceberg writes as longs. */
static bool
read_equality_ids(FsIcebergEntryReader *reader, int node, FsIcebergDataFile *file)
{
	int64_t    *numbers;
	int32_t    *ids;
	int			n;

	if (!read_numbers(reader, node, &numbers, &n))
		return false;
	ids = fs_scratch_take_aligned(&reader->memory, sizeof(int32_t) * (size_t) (n + 2));
	if (ids == NULL)
		return no_memory(reader);
	for (int i = 0; i < n; i++)
		ids[i] = (int32_t) numbers[i];
	file->equality_ids = ids;
	file->nequality_ids = n < 0 ? 0 : n;
	return true;
}

/*
 * Facts of columns
 */

static bool
is_bounds(int map)
{
	return map == 125 || map == 128;
}

/* Reads a pair of a map: an array's item, a record of a key and a value. */
static bool
read_pair(void *arg, int item)
{
	FsIcebergEntryReader *reader = arg;
	const FsAvroNode *record = &reader->walk.schema->nodes[item];
	Fact		fact = {.map = reader->map, .count = -1};
	bool		is_key = true;

	if (record->type != FS_AVRO_RECORD || record->count != 2)
		return fs_avro_walk_fail(&reader->walk, "a map has no keys and values");
	for (int i = record->first; i >= 0; i = reader->walk.schema->members[i].next)
	{
		int			node = reader->walk.schema->members[i].node;

		if (is_key ? !fs_avro_walk_int(&reader->walk, node, &fact.field_id) :
			is_bounds(reader->map) ? !fs_avro_walk_some(&reader->walk, node, &fact.bytes, &fact.len) :
			!fs_avro_walk_number(&reader->walk, node, &fact.count))
			return false;
		is_key = false;
	}
	return fs_buffer_append(&reader->facts, &fact, sizeof(fact)) || no_memory(reader);
}

/* Reads one of the maps into the facts. */
static bool
read_map(FsIcebergEntryReader *reader, int node, int map)
{
	bool		there;

	reader->map = map;
	return fs_avro_walk_array(&reader->walk, node, read_pair, reader, &there);
}

static int
compare_facts(const void *a, const void *b)
{
	int32_t		x = ((const Fact *) a)->field_id;
	int32_t		y = ((const Fact *) b)->field_id;

	return x < y ? -1 : x > y;
}

/* Puts a fact where it belongs. */
static void
use_fact(const Fact *fact, FsIcebergMetrics *metrics)
{
	switch (fact->map)
	{
		case 108:
			metrics->bytes = fact->count;
			break;
		case 109:
			metrics->value_count = fact->count;
			break;
		case 110:
			metrics->null_count = fact->count;
			break;
		case 137:
			metrics->nan_count = fact->count;
			break;
		case 125:
			metrics->lower = fact->bytes;
			metrics->lower_len = fact->len;
			break;
		default:
			metrics->upper = fact->bytes;
			metrics->upper_len = fact->len;
			break;
	}
}

/* Makes the columns' metrics of all facts. */
static bool
gather_facts(FsIcebergEntryReader *reader, FsIcebergDataFile *file)
{
	Fact	   *facts = (Fact *) (void *) reader->facts.data;
	size_t		n = reader->facts.len / sizeof(Fact);
	FsIcebergMetrics *metrics = fs_scratch_take_aligned(&reader->memory, sizeof(FsIcebergMetrics) * (n + 1));

	FS_ASSERT(reader->facts.len % sizeof(Fact) == 0 && file->nmetrics == 0);
	if (metrics == NULL)
		return no_memory(reader);
	if (n > 0)
		qsort(facts, n, sizeof(Fact), compare_facts);
	for (size_t i = 0; i < n; i++)
	{
		if (file->nmetrics == 0 || metrics[file->nmetrics - 1].field_id != facts[i].field_id)
			metrics[file->nmetrics++] = (FsIcebergMetrics) {
				.field_id = facts[i].field_id, .bytes = -1, .value_count = -1, .null_count = -1, .nan_count = -1
			};
		use_fact(&facts[i], &metrics[file->nmetrics - 1]);
	}
	file->metrics = metrics;
	return true;
}

/*
 * Entries
 */

/* Reads the partition's values, which are those of the spec; what the file does not have is NULL. */
static bool
read_partition(FsIcebergEntryReader *reader, int node)
{
	const FsAvroNode *record = &reader->walk.schema->nodes[node];

	if (record->type != FS_AVRO_RECORD)
		return fs_avro_walk_fail(&reader->walk, "the partition is no record");
	for (int i = record->first; i >= 0; i = reader->walk.schema->members[i].next)
	{
		const FsAvroMember *member = &reader->walk.schema->members[i];
		int			field = 0;

		while (field < reader->spec.nfields && reader->spec.fields[field].field_id != member->field_id)
			field++;
		if (field == reader->spec.nfields ? !fs_avro_walk_skip(&reader->walk, member->node) :
			!fs_iceberg_avro_get(&reader->walk, member->node, &reader->spec.fields[field].result,
								 &reader->partition[field]))
			return false;
	}
	return true;
}

/* Reads a field of the data file. */
static bool
read_file_field(FsIcebergEntryReader *reader, const FsAvroMember *member, FsIcebergDataFile *file)
{
	int32_t		content = FS_ICEBERG_DATA;

	switch (member->field_id)
	{
		case 134:
			if (!fs_avro_walk_int(&reader->walk, member->node, &content))
				return false;
			if (content < FS_ICEBERG_DATA || content > FS_ICEBERG_EQUALITY_DELETES)
				return fs_avro_walk_fail(&reader->walk, "a file has content of an unknown kind");
			file->content = (FsIcebergContent) content;
			return true;
		case 100:
			return fs_avro_walk_text(&reader->walk, member->node, &reader->memory, &file->path);
		case 101:
			return fs_avro_walk_text(&reader->walk, member->node, &reader->memory, &file->format);
		case 102:
			return read_partition(reader, member->node);
		case 103:
			return fs_avro_walk_number(&reader->walk, member->node, &file->rows);
		case 104:
			return fs_avro_walk_number(&reader->walk, member->node, &file->size);
		case 108:
		case 109:
		case 110:
		case 137:
		case 125:
		case 128:
			return read_map(reader, member->node, member->field_id);
		case 131:
			return fs_avro_walk_some(&reader->walk, member->node, &file->key_metadata, &file->key_metadata_len);
		case 132:
			return read_offsets(reader, member->node, file);
		case 135:
			return read_equality_ids(reader, member->node, file);
		case 140:
			return fs_avro_walk_int(&reader->walk, member->node, &file->sort_id);
		case 143:
			return fs_avro_walk_text(&reader->walk, member->node, &reader->memory, &file->referenced);
		default:
			return fs_avro_walk_skip(&reader->walk, member->node);
	}
}

/* Reads the data file. */
static bool
read_file(FsIcebergEntryReader *reader, int node, FsIcebergDataFile *file)
{
	const FsAvroNode *record = &reader->walk.schema->nodes[node];

	if (record->type != FS_AVRO_RECORD)
		return fs_avro_walk_fail(&reader->walk, "the data file is no record");
	for (int i = record->first; i >= 0; i = reader->walk.schema->members[i].next)
		if (!read_file_field(reader, &reader->walk.schema->members[i], file))
			return false;
	if (file->path == NULL || file->format == NULL || file->rows < 0 || file->size < 0)
		return fs_avro_walk_fail(&reader->walk, "a file has no path, format, rows or size");
	return gather_facts(reader, file);
}

/* Reads a field of the entry. */
static bool
read_entry_field(FsIcebergEntryReader *reader, const FsAvroMember *member, FsIcebergEntry *entry)
{
	int32_t		status = -1;

	switch (member->field_id)
	{
		case 0:
			if (!fs_avro_walk_int(&reader->walk, member->node, &status))
				return false;
			if (status < FS_ICEBERG_EXISTING || status > FS_ICEBERG_DELETED)
				return fs_avro_walk_fail(&reader->walk, "an entry has an unknown status");
			entry->status = (FsIcebergStatus) status;
			return true;
		case 1:
			return fs_avro_walk_number(&reader->walk, member->node, &entry->snapshot_id);
		case 3:
			return fs_avro_walk_number(&reader->walk, member->node, &entry->sequence_number);
		case 4:
			return fs_avro_walk_number(&reader->walk, member->node, &entry->file_sequence_number);
		case 2:
			return read_file(reader, member->node, &entry->file);
		default:
			return fs_avro_walk_skip(&reader->walk, member->node);
	}
}

/* See iceberg_entry.h. */
bool
fs_iceberg_entry_get(FsIcebergEntryReader *reader, FsIcebergEntry *entry)
{
	const FsAvroNode *record = &reader->walk.schema->nodes[reader->walk.schema->root];

	memset(entry, 0, sizeof(*entry));
	entry->snapshot_id = entry->sequence_number = entry->file_sequence_number = -1;
	entry->file.rows = entry->file.size = -1;
	entry->file.noffsets = entry->file.sort_id = -1;
	entry->file.partition = reader->partition;
	for (int i = 0; i < reader->spec.nfields; i++)
		reader->partition[i] = (FsIcebergValue) {.is_null = true};
	fs_scratch_reset(&reader->memory);
	fs_buffer_reset(&reader->facts);
	for (int i = record->first; i >= 0; i = reader->walk.schema->members[i].next)
		if (!read_entry_field(reader, &reader->walk.schema->members[i], entry))
			return false;
	if (entry->file.path == NULL)
		return fs_avro_walk_fail(&reader->walk, "an entry has no data file");
	return true;
}
