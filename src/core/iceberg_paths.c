/*
 * iceberg_paths.c
 *		A set of paths; see iceberg_manifest.h.
 *
 * Open addressing.  A path that is taken out leaves its slot taken, so that
 * others are still found behind it.
 */
#include <stdlib.h>

#include "core/hash.h"
#include "core/iceberg_manifest.h"

#define FIRST_SLOTS		64		/* a power of two, as all sizes are */

typedef struct FsIcebergPath
{
	const char *path;			/* NULL: the slot was never used */
	uint32_t	hash;
	bool		removed;
} FsIcebergPath;

/* The slot of a path, or the free one it would get. */
static FsIcebergPath *
find_slot(const FsIcebergPaths *paths, const char *path, uint32_t hash)
{
	size_t		i = hash;

	FS_ASSERT(paths->nslots > paths->used && (paths->nslots & (paths->nslots - 1)) == 0);
	for (;; i++)
	{
		FsIcebergPath *slot = &paths->slots[i & (paths->nslots - 1)];

		if (slot->path == NULL || (slot->hash == hash && strcmp(slot->path, path) == 0))
			return slot;
	}
}

/* Makes the table larger, or as large without what was taken out; false when memory is out. */
static bool
rebuild(FsIcebergPaths *paths)
{
	FsIcebergPaths grown = *paths;

	grown.nslots = FIRST_SLOTS;
	while (grown.nslots < 4 * (paths->count + 1))
		grown.nslots *= 2;
	grown.used = paths->count;
	grown.slots = calloc(grown.nslots, sizeof(FsIcebergPath));
	if (grown.slots == NULL)
		return false;
	for (size_t i = 0; i < paths->nslots; i++)
	{
		const FsIcebergPath *old = &paths->slots[i];

		if (old->path != NULL && !old->removed)
			*find_slot(&grown, old->path, old->hash) = *old;
	}
	free(paths->slots);
	*paths = grown;
	return true;
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_paths_add(FsIcebergPaths *paths, const char *path)
{
	size_t		len = strlen(path);
	uint32_t	hash = fs_hash_bytes(path, len);
	FsIcebergPath *slot;

	if (2 * (paths->used + 1) > paths->nslots && !rebuild(paths))
		return false;
	slot = find_slot(paths, path, hash);
	if (slot->path == NULL)
	{
		char	   *copy = fs_scratch_take(&paths->memory, len + 1);

		if (copy == NULL)
			return false;
		memcpy(copy, path, len + 1);
		slot->path = copy;
		slot->hash = hash;
		slot->removed = true;
		paths->used++;
	}
	paths->count += slot->removed;
	slot->removed = false;
	return true;
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_paths_has(const FsIcebergPaths *paths, const char *path)
{
	const FsIcebergPath *slot;

	if (paths->nslots == 0)
		return false;
	slot = find_slot(paths, path, fs_hash_bytes(path, strlen(path)));
	return slot->path != NULL && !slot->removed;
}

void
fs_iceberg_paths_remove(FsIcebergPaths *paths, const char *path)
{
	if (!fs_iceberg_paths_has(paths, path))
		return;
	find_slot(paths, path, fs_hash_bytes(path, strlen(path)))->removed = true;
	paths->count--;
}

/* See iceberg_manifest.h. */
const char *
fs_iceberg_paths_next(const FsIcebergPaths *paths, size_t *i)
{
	while (*i < paths->nslots)
	{
		const FsIcebergPath *slot = &paths->slots[(*i)++];

		if (slot->path != NULL && !slot->removed)
			return slot->path;
	}
	return NULL;
}

void
fs_iceberg_paths_free(FsIcebergPaths *paths)
{
	free(paths->slots);
	fs_scratch_free(&paths->memory);
	memset(paths, 0, sizeof(*paths));
}
