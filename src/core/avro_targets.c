/*
 * avro_targets.c
 *		The paths of columns as a tree of names; see avro_targets.h.
 */
#include "core/avro_targets.h"

#include <stdlib.h>
#include <string.h>

/* The child of a target with this name, or FS_AVRO_NO_TARGET. */
static int
find_name(const FsAvroTargets *tree, int parent, const char *name, size_t len)
{
	int			i = tree->targets[parent].child;

	while (i != FS_AVRO_NO_TARGET &&
		   (tree->targets[i].len != len || memcmp(tree->targets[i].name, name, len) != 0))
		i = tree->targets[i].sibling;
	return i;
}

/* The same, made when it is not there. */
static int
enter_name(FsAvroTargets *tree, int parent, const char *name, size_t len)
{
	int			i = find_name(tree, parent, name, len);
	FsAvroTarget *target;

	if (i != FS_AVRO_NO_TARGET)
		return i;
	i = tree->ntargets++;
	target = &tree->targets[i];
	target->name = name;
	target->len = len;
	target->first_column = target->child = FS_AVRO_NO_TARGET;
	target->sibling = tree->targets[parent].child;
	tree->targets[parent].child = i;
	return i;
}

/* Enters a path; its end.  A part between two dots is never found when it is empty. */
static int
enter_path(FsAvroTargets *tree, const FsField *field)
{
	size_t		start = 0;
	int			at = 0;

	for (size_t end = 0; end <= field->name_len; end++)
		if (end == field->name_len || field->name[end] == '.')
		{
			at = enter_name(tree, at, field->name + start, end - start);
			start = end + 1;
		}
	return at;
}

/* See avro_targets.h. */
bool
fs_avro_targets_init(FsAvroTargets *tree, const FsField *fields, int nfields)
{
	size_t		names = 1;

	for (int i = 0; i < nfields; i++)
		names += fields[i].name_len + 1;
	tree->targets = calloc(names, sizeof(FsAvroTarget));
	tree->next_column = calloc((size_t) nfields + 1, sizeof(int));
	if (tree->targets == NULL || tree->next_column == NULL)
		return false;
	tree->ntargets = 1;
	tree->targets[0].first_column = tree->targets[0].child = FS_AVRO_NO_TARGET;
	for (int i = 0; i < nfields; i++)
	{
		int			at = enter_path(tree, &fields[i]);

		tree->next_column[i] = tree->targets[at].first_column;
		tree->targets[at].first_column = i;
	}
	return true;
}

/* See avro_targets.h. */
void
fs_avro_targets_free(FsAvroTargets *tree)
{
	free(tree->targets);
	free(tree->next_column);
	memset(tree, 0, sizeof(*tree));
}

/* See avro_targets.h. */
int
fs_avro_targets_find(const FsAvroTargets *tree, int parent, const char *name)
{
	return find_name(tree, parent, name, strlen(name));
}
