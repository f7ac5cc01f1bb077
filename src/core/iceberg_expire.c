/*
 * iceberg_expire.c
 *		Which snapshots of a table may go; see fs_iceberg_expire in iceberg.h.
 */
#include <stdlib.h>

#include "core/iceberg_manifest.h"
#include "core/iceberg_metadata.h"

typedef struct Snapshot
{
	int64_t		id;
	int64_t		parent_id;
	int64_t		time;
	FsJsonNode *node;
	bool		stays;
	bool		reached;		/* from a ref */
} Snapshot;

/* What stays is decided on these, which are sorted by id. */
typedef struct Expiry
{
	FsIcebergMetadata *metadata;
	Snapshot   *snapshots;
	int			n;
	int64_t		now_ms;
	int64_t		keep_ms;
	int			keep_count;
} Expiry;

static int
compare_ids(const void *a, const void *b)
{
	int64_t		x = ((const Snapshot *) a)->id;
	int64_t		y = ((const Snapshot *) b)->id;

	return x < y ? -1 : x > y;
}

static Snapshot *
find_snapshot(const Expiry *expiry, int64_t id)
{
	Snapshot	key = {.id = id};

	return bsearch(&key, expiry->snapshots, (size_t) expiry->n, sizeof(Snapshot), compare_ids);
}

/* Reads the snapshots; false with the message. */
static bool
collect(Expiry *expiry, char *message)
{
	const FsJsonNode *array = fs_json_get_array(expiry->metadata->root, "snapshots");
	size_t		size = sizeof(Snapshot) * (size_t) (array == NULL ? 1 : array->count + 1);

	expiry->n = 0;
	expiry->snapshots = fs_scratch_take_aligned(&expiry->metadata->memory, size);
	if (expiry->snapshots == NULL)
		return fs_iceberg_no_memory(message);
	memset(expiry->snapshots, 0, size);
	for (FsJsonNode *node = array == NULL ? NULL : array->first; node != NULL; node = node->next)
	{
		Snapshot   *snapshot = &expiry->snapshots[expiry->n++];

		snapshot->node = node;
		if (!fs_json_get_number(node, "snapshot-id", &snapshot->id) ||
			!fs_json_get_number(node, "timestamp-ms", &snapshot->time))
			return fs_iceberg_fail(message, "a snapshot has no id or no time");
		if (!fs_json_get_number(node, "parent-snapshot-id", &snapshot->parent_id))
			snapshot->parent_id = FS_ICEBERG_NO_SNAPSHOT;
	}
	qsort(expiry->snapshots, (size_t) expiry->n, sizeof(Snapshot), compare_ids);
	return true;
}

/* Is the time longer ago than this age? */
static bool
is_old(const Expiry *expiry, int64_t time, int64_t age)
{
	int64_t		passed;

	return !__builtin_sub_overflow(expiry->now_ms, time, &passed) && passed > age;
}

/* Notes what a branch keeps: its newest snapshots, back to the first that is neither young nor one of so many. */
static void
keep_branch(const Expiry *expiry, const FsJsonNode *ref, int64_t head)
{
	int64_t		age = expiry->keep_ms;
	int64_t		most = expiry->keep_count;
	bool		keeping = true;
	Snapshot   *snapshot = find_snapshot(expiry, head);

	fs_json_get_number(ref, "max-snapshot-age-ms", &age);
	fs_json_get_number(ref, "min-snapshots-to-keep", &most);
	if (most < 1)
		most = 1;
	for (int i = 0; i < expiry->n && snapshot != NULL; i++)
	{
		keeping = keeping && (i < most || !is_old(expiry, snapshot->time, age));
		snapshot->stays = snapshot->stays || keeping;
		snapshot->reached = true;
		snapshot = snapshot->parent_id == FS_ICEBERG_NO_SNAPSHOT ? NULL : find_snapshot(expiry, snapshot->parent_id);
	}
}

/* Notes what a tag keeps, and what it reaches. */
static void
keep_tag(const Expiry *expiry, int64_t head)
{
	Snapshot   *snapshot = find_snapshot(expiry, head);

	if (snapshot != NULL)
		snapshot->stays = true;
	for (int i = 0; i < expiry->n && snapshot != NULL; i++)
	{
		snapshot->reached = true;
		snapshot = snapshot->parent_id == FS_ICEBERG_NO_SNAPSHOT ? NULL : find_snapshot(expiry, snapshot->parent_id);
	}
}

/* Is the ref itself to go, by its own age?  Never the branch main. */
static bool
is_ref_old(const Expiry *expiry, const FsJsonNode *ref, int64_t head)
{
	const Snapshot *snapshot = find_snapshot(expiry, head);
	int64_t		age;

	return strcmp(ref->key, "main") != 0 && snapshot != NULL && fs_json_get_number(ref, "max-ref-age-ms", &age) &&
		is_old(expiry, snapshot->time, age);
}

/* Goes through all refs, taking out what is too old; then the current snapshot, and what no ref reaches and is young. */
static void
decide(const Expiry *expiry)
{
	FsJsonNode *root = expiry->metadata->root;
	FsJsonNode *refs = fs_json_get_object(root, "refs");
	FsJsonNode *next;
	int64_t		head;

	for (FsJsonNode *ref = refs == NULL ? NULL : refs->first; ref != NULL; ref = next)
	{
		const char *type = fs_json_get_text(ref, "type");

		next = ref->next;
		if (!fs_json_get_number(ref, "snapshot-id", &head))
			continue;
		if (is_ref_old(expiry, ref, head))
			fs_json_remove(refs, ref);
		else if (type != NULL && strcmp(type, "tag") == 0)
			keep_tag(expiry, head);
		else
			keep_branch(expiry, ref, head);
	}
	if (fs_json_get_number(root, "current-snapshot-id", &head) && fs_json_get(refs, "main") == NULL)
		keep_branch(expiry, NULL, head);
	for (int i = 0; i < expiry->n; i++)
	{
		Snapshot   *snapshot = &expiry->snapshots[i];

		snapshot->stays = snapshot->stays || (!snapshot->reached && !is_old(expiry, snapshot->time, expiry->keep_ms));
	}
}

/* Does the object name a snapshot that goes? */
static bool
is_gone(const Expiry *expiry, const FsJsonNode *node)
{
	const Snapshot *snapshot;
	int64_t		id;

	if (!fs_json_get_number(node, "snapshot-id", &id))
		return false;
	snapshot = find_snapshot(expiry, id);
	return snapshot != NULL && !snapshot->stays;
}

/* The log goes back to the last snapshot that went: what stays before it would say that nothing was between. */
static void
shorten_log(const Expiry *expiry)
{
	FsJsonNode *log = fs_json_get_array(expiry->metadata->root, "snapshot-log");
	FsJsonNode *last = NULL;

	for (FsJsonNode *entry = log == NULL ? NULL : log->first; entry != NULL; entry = entry->next)
		if (is_gone(expiry, entry))
			last = entry;
	while (last != NULL)
	{
		FsJsonNode *first = log->first;

		fs_json_remove(log, first);
		if (first == last)
			break;
	}
}

/* Takes out what is known of snapshots that go under this key, and notes its files that no other snapshot has. */
static void
drop_statistics(const Expiry *expiry, const char *key, const FsIcebergPaths *kept, FsIcebergTexts *files)
{
	FsJsonNode *array = fs_json_get_array(expiry->metadata->root, key);
	FsJsonNode *next;

	for (FsJsonNode *node = array == NULL ? NULL : array->first; node != NULL; node = next)
	{
		const char *file = fs_json_get_text(node, "statistics-path");

		next = node->next;
		if (!is_gone(expiry, node))
			continue;
		if (file != NULL && !fs_iceberg_paths_has(kept, file))
			files->texts[files->n++] = file;
		fs_json_remove(array, node);
	}
}

/* Parts of the array of this key. */
static int
count_parts(const Expiry *expiry, const char *key)
{
	const FsJsonNode *array = fs_json_get_array(expiry->metadata->root, key);

	return array == NULL ? 0 : array->count;
}

/* Files of statistics, under this key, of what stays; false when memory is out. */
static bool
collect_statistics(const Expiry *expiry, const char *key, FsIcebergPaths *kept)
{
	const FsJsonNode *array = fs_json_get_array(expiry->metadata->root, key);

	for (const FsJsonNode *node = array == NULL ? NULL : array->first; node != NULL; node = node->next)
	{
		const char *file = fs_json_get_text(node, "statistics-path");

		if (file != NULL && !is_gone(expiry, node) && !fs_iceberg_paths_add(kept, file))
			return false;
	}
	return true;
}

/* The lists of snapshots that stay; false when memory is out. */
static bool
collect_lists(const Expiry *expiry, FsIcebergPaths *kept)
{
	for (int i = 0; i < expiry->n; i++)
	{
		const char *list = fs_json_get_text(expiry->snapshots[i].node, "manifest-list");

		if (expiry->snapshots[i].stays && list != NULL && !fs_iceberg_paths_add(kept, list))
			return false;
	}
	return true;
}

/* Takes out the snapshots that do not stay; false when memory is out. */
static bool
drop_snapshots(const Expiry *expiry, const FsIcebergPaths *kept, FsIcebergExpired *expired)
{
	FsIcebergMetadata *metadata = expiry->metadata;
	FsJsonNode *array = fs_json_get_array(metadata->root, "snapshots");
	int			nstatistics = count_parts(expiry, "statistics") + count_parts(expiry, "partition-statistics");

	expired->snapshots = fs_scratch_take_aligned(&metadata->memory, sizeof(int64_t) * (size_t) (expiry->n + 1));
	if (expired->snapshots == NULL || !fs_iceberg_texts_make(metadata, &expired->lists, expiry->n) ||
		!fs_iceberg_texts_make(metadata, &expired->statistics, nstatistics))
		return false;
	shorten_log(expiry);
	drop_statistics(expiry, "statistics", kept, &expired->statistics);
	drop_statistics(expiry, "partition-statistics", kept, &expired->statistics);
	for (int i = 0; i < expiry->n; i++)
	{
		const Snapshot *snapshot = &expiry->snapshots[i];
		const char *list = fs_json_get_text(snapshot->node, "manifest-list");

		if (snapshot->stays)
			continue;
		FS_ASSERT(expired->nsnapshots < expiry->n);
		expired->snapshots[expired->nsnapshots++] = snapshot->id;
		if (list != NULL && !fs_iceberg_paths_has(kept, list))
			expired->lists.texts[expired->lists.n++] = list;
		fs_json_remove(array, snapshot->node);
	}
	return true;
}

/* See iceberg.h. */
bool
fs_iceberg_expire(FsIcebergMetadata *metadata, int64_t now_ms, int64_t keep_ms, int keep_count,
				  FsIcebergExpired *expired, char *message)
{
	Expiry		expiry = {.metadata = metadata, .now_ms = now_ms, .keep_ms = keep_ms, .keep_count = keep_count};
	const char *collect_garbage = fs_iceberg_property(metadata, FS_ICEBERG_COLLECT);
	FsIcebergPaths kept = {0};
	bool		done;

	memset(expired, 0, sizeof(*expired));
	if (collect_garbage != NULL && strcmp(collect_garbage, "false") == 0)
		return true;
	if (!collect(&expiry, message))
		return false;
	decide(&expiry);
	done = collect_lists(&expiry, &kept) && collect_statistics(&expiry, "statistics", &kept) &&
		collect_statistics(&expiry, "partition-statistics", &kept) && drop_snapshots(&expiry, &kept, expired);
	fs_iceberg_paths_free(&kept);
	return fs_iceberg_done(done, message);
}
