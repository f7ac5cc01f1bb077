/*
 * lake_orphan.c
 *		Files of a table in a lake that may be nobody's; see lake_orphan.h.
 *
 * Only the two directories are looked at that the table's files are in, "data"
 * and then "metadata" below its location: another table's may be beside them.
 * What others have made goes by their names, or by its age.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "offline/lake_orphan.h"

#define TEMPORARY ".tmp"		/* ends the name of a file that is being written (object_file.c) */

static const char *const directories[] = {"data", "metadata"};

/* A directory of the table's, below its location. */
static char *
directory_of(const FsLakeTable *table, const char *directory)
{
	const char *location = fs_iceberg_location(table->metadata);
	size_t		len = strlen(location);

	while (len > 0 && location[len - 1] == '/')
		len--;
	return psprintf("%.*s/%s", (int) len, location, directory);
}

/* Does a property of the table have this value? */
static bool
is_set(const FsLakeTable *table, const char *key, const char *value)
{
	const char *set = fs_iceberg_property(table->metadata, key);

	return set != NULL && strcmp(set, value) == 0;
}

/* Is it a file in that directory with a name that we could have given, which may go? */
static bool
is_candidate(const FsLakeTable *table, const char *location, const char *directory)
{
	size_t		len = strlen(directory);
	const char *slash = strrchr(location, '/');
	char	   *name = pstrdup(slash + 1);
	size_t		name_len = strlen(name);
	FsIcebergName kind;

	/* characters that no store of ours takes, if it has them, are not ours either */
	if (strncmp(location, directory, len) != 0 || location[len] != '/' ||
		location[strspn(location, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:")] != '\0')
		return false;
	if (name_len > strlen(TEMPORARY) && strcmp(name + name_len - strlen(TEMPORARY), TEMPORARY) == 0)
		name[name_len - strlen(TEMPORARY)] = '\0';
	kind = fs_iceberg_name_read(name);
	pfree(name);
	if (strcmp(directory + len - strlen("/data"), "/data") == 0)
		return kind == FS_ICEBERG_NAME_DATA;
	return slash == location + len && kind != FS_ICEBERG_NAME_OTHER && kind != FS_ICEBERG_NAME_DATA &&
		(kind != FS_ICEBERG_NAME_METADATA || is_set(table, FS_ICEBERG_DELETE_LOG, "true"));
}

/* Takes those of a page that may be nobody's. */
static List *
take_page(const FsLakeTable *table, const char *directory, List *page, FsTime before, List *found)
{
	ListCell   *lc;

	foreach(lc, page)
	{
		const FsObjectEntry *entry = lfirst(lc);

		if (entry->time < before && is_candidate(table, entry->location, directory))
			found = lappend(found, entry->location);
	}
	return found;
}

/* See lake_orphan.h. */
List *
fs_lake_orphan_list(FsLakeTable *table, FsTime before, int64 most, char **position)
{
	List	   *found = NIL;
	int64		seen = 0;

	if (is_set(table, FS_ICEBERG_COLLECT, "false"))
	{
		*position = NULL;
		return NIL;
	}
	for (int i = 0; i < lengthof(directories); i++)
	{
		char	   *directory = directory_of(table, directories[i]);
		size_t		len = strlen(directory);
		char	   *after = NULL;

		/* a position in the directory behind this one */
		if (*position != NULL && strncmp(*position, directory, len) != 0)
			continue;
		if (*position != NULL && (*position)[len] == '/')
			after = *position;
		do
		{
			List	   *page;

			CHECK_FOR_INTERRUPTS();
			if (seen >= most)
			{
				*position = after != NULL ? after : directory;
				return found;
			}
			page = fs_object_store_list(table->store, directory, &after);
			found = take_page(table, directory, page, before, found);
			seen += Max(list_length(page), 1);
		} while (after != NULL);
		*position = NULL;
	}
	*position = NULL;			/* also where it is in none of them: the table has moved */
	return found;
}

/* See lake_orphan.h. */
List *
fs_lake_orphan_uploads(FsLakeTable *table, FsTime before)
{
	List	   *found = NIL;

	for (int i = 0; i < lengthof(directories); i++)
	{
		char	   *directory = directory_of(table, directories[i]);
		ListCell   *lc;

		foreach(lc, fs_object_store_uploads(table->store, psprintf("%s/", directory)))
		{
			FsObjectEntry *upload = lfirst(lc);

			if (upload->time < before && is_candidate(table, upload->location, directory))
				found = lappend(found, upload);
		}
	}
	return found;
}
