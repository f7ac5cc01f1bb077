/*
 * avro_match.c
 *		How a writer's Avro type meets a reader's: names, aliases, promotions.
 *
 * As in "Schema Resolution" of the specification.  Named types match by what
 * follows the last dot.  In a reader's union the branch that is the same type is
 * taken before one that the writer's is promoted to, as Avro's own library for
 * Java does it, so that nothing is widened without need.
 */
#include <stdlib.h>
#include <string.h>

#include "core/avro_program.h"

/* Do two named types have one name, or is the writer's an alias of the reader's? */
static bool
is_same_name(FsAvroRef writer, FsAvroRef reader)
{
	const char *name = fs_avro_short_name(fs_avro_node(writer)->name);
	FsAvroNames aliases = fs_avro_node(reader)->aliases;

	if (strcmp(name, fs_avro_short_name(fs_avro_node(reader)->name)) == 0)
		return true;
	for (int i = 0; i < aliases.count; i++)
		if (strcmp(name, fs_avro_short_name(reader.schema->strings[aliases.first + i])) == 0)
			return true;
	return false;
}

/* See avro_schema.h. */
bool
fs_avro_is_promoted(FsAvroType writer, FsAvroType reader)
{
	switch (writer)
	{
		case FS_AVRO_INT:
			return reader == FS_AVRO_LONG || reader == FS_AVRO_FLOAT || reader == FS_AVRO_DOUBLE;
		case FS_AVRO_LONG:
			return reader == FS_AVRO_FLOAT || reader == FS_AVRO_DOUBLE;
		case FS_AVRO_FLOAT:
			return reader == FS_AVRO_DOUBLE;
		case FS_AVRO_STRING:
			return reader == FS_AVRO_BYTES;
		case FS_AVRO_BYTES:
			return reader == FS_AVRO_STRING;
		default:
			return false;
	}
}

/* See avro_program.h. */
FsAvroMatch
fs_avro_match(FsAvroRef writer, FsAvroRef reader)
{
	const FsAvroNode *w = fs_avro_node(writer);
	const FsAvroNode *r = fs_avro_node(reader);

	FS_ASSERT(w->type != FS_AVRO_UNION && r->type != FS_AVRO_UNION);
	if (w->type != r->type)
		return fs_avro_is_promoted(w->type, r->type) ? FS_AVRO_PROMOTED : FS_AVRO_DIFFERENT;
	if (!fs_avro_is_named(w->type))
		return FS_AVRO_SAME;
	if (w->type == FS_AVRO_FIXED && w->size != r->size)
		return FS_AVRO_DIFFERENT;
	return is_same_name(writer, reader) ? FS_AVRO_SAME : FS_AVRO_DIFFERENT;
}

/* See avro_program.h. */
int
fs_avro_match_branch(FsAvroRef writer, FsAvroRef reader)
{
	const FsAvroNode *w = fs_avro_node(writer);
	int			same = -1;
	int			promoted = -1;

	for (int i = fs_avro_node(reader)->first; i >= 0; i = reader.schema->members[i].next)
	{
		FsAvroRef	branch = fs_avro_child(reader, i);
		FsAvroMatch match = fs_avro_match(writer, branch);

		if (match == FS_AVRO_SAME && w->name != NULL &&
			strcmp(w->name, fs_avro_node(branch)->name) == 0)
			return i;
		if (match == FS_AVRO_SAME && same < 0)
			same = i;
		if (match == FS_AVRO_PROMOTED && promoted < 0)
			promoted = i;
	}
	return same >= 0 ? same : promoted;
}

/* See avro_program.h. */
FsAvroRef
fs_avro_pick_branch(FsAvroRef writer, FsAvroRef reader)
{
	int			branch;

	if (!fs_avro_is_union(reader))
		return reader;
	branch = fs_avro_match_branch(writer, reader);
	return branch < 0 ? reader : fs_avro_child(reader, branch);
}

/*
 * Fields
 */

/* Fields of a record by name: open addressing over member indices. */
typedef struct NameTable
{
	FsAvroRef	record;
	uint32_t	mask;
	int		   *slots;			/* -1 is free */
} NameTable;

/* The slot of a name: the one that holds it, or the free one it would get. */
static int *
find_slot(const NameTable *table, const char *name)
{
	uint32_t	hash = 2166136261u;

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * 16777619u;
	for (;; hash++)
	{
		int		   *slot = &table->slots[hash & table->mask];

		if (*slot < 0 || strcmp(table->record.schema->members[*slot].name, name) == 0)
			return slot;
	}
}

/* Makes the table of a record's fields; false when memory is out. */
static bool
build_table(NameTable *table, FsAvroRef record)
{
	uint32_t	slots = 8;

	while (slots < 2 * (uint32_t) fs_avro_node(record)->count)
		slots *= 2;
	table->record = record;
	table->mask = slots - 1;
	table->slots = malloc(slots * sizeof(int));
	if (table->slots == NULL)
		return false;
	memset(table->slots, 0xFF, slots * sizeof(int));
	for (int i = fs_avro_node(record)->first; i >= 0; i = record.schema->members[i].next)
		*find_slot(table, record.schema->members[i].name) = i;
	return true;
}

/* The writer's field that goes by an alias of the reader's and by no field's own name, or -1. */
static int
find_alias(const NameTable *writers, const NameTable *readers, const FsAvroMember *member)
{
	for (int i = 0; i < member->aliases.count; i++)
	{
		const char *alias = readers->record.schema->strings[member->aliases.first + i];
		int			found = *find_slot(writers, alias);

		if (found >= 0 && *find_slot(readers, alias) < 0)
			return found;
	}
	return -1;
}

/* See avro_program.h.  A field of the same name goes before an alias, on either side. */
bool
fs_avro_map_fields(FsAvroFieldMap *map, FsAvroRef writer, FsAvroRef reader)
{
	NameTable	writers = {.slots = NULL};
	NameTable	readers = {.slots = NULL};
	int			count = fs_avro_node(writer)->count;
	int			ordinal = 0;
	bool		ok;

	map->reader = malloc(sizeof(int) * (size_t) (count + 1));
	map->is_written = calloc((size_t) fs_avro_node(reader)->count + 1, sizeof(bool));
	ok = map->reader != NULL && map->is_written != NULL && build_table(&writers, writer) &&
		build_table(&readers, reader);
	for (int i = 0; i < count && ok; i++)
		map->reader[i] = -1;
	for (int i = ok ? fs_avro_node(reader)->first : -1; i >= 0; i = reader.schema->members[i].next)
	{
		const FsAvroMember *member = &reader.schema->members[i];
		int			found = *find_slot(&writers, member->name);
		int			at = 0;

		if (found < 0)
			found = find_alias(&writers, &readers, member);
		for (int w = found < 0 ? -1 : fs_avro_node(writer)->first; w >= 0 && w != found;
			 w = writer.schema->members[w].next)
			at++;
		if (found >= 0 && map->reader[at] < 0)
		{
			map->reader[at] = i;
			map->is_written[ordinal] = true;
		}
		ordinal++;
	}
	free(writers.slots);
	free(readers.slots);
	if (!ok)
		fs_avro_free_map(map);
	return ok;
}

/* See avro_program.h. */
void
fs_avro_free_map(FsAvroFieldMap *map)
{
	free(map->reader);
	free(map->is_written);
	map->reader = NULL;
	map->is_written = NULL;
}
