/*
 * iceberg_snapshot.c
 *		Snapshots of a table, and how one is added; see iceberg.h.
 */
#include "core/iceberg_metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * What there is
 */

static const FsJsonNode *
snapshots(const FsIcebergMetadata *metadata)
{
	return fs_json_get_array(metadata->root, "snapshots");
}

/* Reads a snapshot; false when it is none. */
static bool
read_snapshot(const FsJsonNode *node, FsIcebergSnapshot *snapshot)
{
	if (!fs_json_get_number(node, "parent-snapshot-id", &snapshot->parent_id))
		snapshot->parent_id = FS_ICEBERG_NO_SNAPSHOT;
	if (!fs_json_get_number(node, "sequence-number", &snapshot->sequence_number))
		snapshot->sequence_number = 0;	/* of version 1 */
	snapshot->manifest_list = fs_json_get_text(node, "manifest-list");
	snapshot->operation = fs_json_get_text(fs_json_get_object(node, "summary"), "operation");
	return snapshot->manifest_list != NULL && fs_json_get_number(node, "snapshot-id", &snapshot->snapshot_id) &&
		fs_json_get_number(node, "timestamp-ms", &snapshot->timestamp_ms);
}

int
fs_iceberg_snapshot_count(const FsIcebergMetadata *metadata)
{
	const FsJsonNode *array = snapshots(metadata);

	return array == NULL ? 0 : array->count;
}

bool
fs_iceberg_snapshot(const FsIcebergMetadata *metadata, int i, FsIcebergSnapshot *snapshot)
{
	const FsJsonNode *node = snapshots(metadata) == NULL ? NULL : snapshots(metadata)->first;

	while (node != NULL && i-- > 0)
		node = node->next;
	return node != NULL && read_snapshot(node, snapshot);
}

bool
fs_iceberg_find_snapshot(const FsIcebergMetadata *metadata, int64_t snapshot_id, FsIcebergSnapshot *snapshot)
{
	const FsJsonNode *node = fs_iceberg_by_id(snapshots(metadata), "snapshot-id", snapshot_id);

	return node != NULL && read_snapshot(node, snapshot);
}

/* Where it does not say which snapshot is current, or says -1, there is none. */
bool
fs_iceberg_current_snapshot(const FsIcebergMetadata *metadata, FsIcebergSnapshot *snapshot)
{
	int64_t		id;

	return fs_json_get_number(metadata->root, "current-snapshot-id", &id) &&
		fs_iceberg_find_snapshot(metadata, id, snapshot);
}

const char *
fs_iceberg_summary(const FsIcebergMetadata *metadata, int64_t snapshot_id, const char *key)
{
	const FsJsonNode *node = fs_iceberg_by_id(snapshots(metadata), "snapshot-id", snapshot_id);

	return fs_json_get_text(fs_json_get_object(node, "summary"), key);
}

/* See iceberg.h. */
int64_t
fs_iceberg_new_snapshot_id(const FsIcebergMetadata *metadata, const uint8_t *random)
{
	uint64_t	bits = fs_get_le64((const char *) random) ^ fs_get_le64((const char *) random + 8);
	int64_t		id = (int64_t) (bits & INT64_MAX);

	while (id == 0 || fs_iceberg_by_id(snapshots(metadata), "snapshot-id", id) != NULL)
		id = (int64_t) (((uint64_t) id + 1) & INT64_MAX);
	return id;
}

/*
 * Adding one
 */

/* A number as text, which is what summaries hold. */
static bool
set_count(FsIcebergMetadata *metadata, FsJsonNode *summary, const char *key, int64_t value)
{
	char		text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return fs_iceberg_set_text(metadata, summary, key, text);
}

/* The same for a count that is left out when there is nothing to count. */
static bool
set_some(FsIcebergMetadata *metadata, FsJsonNode *summary, const char *key, int64_t value)
{
	return value == 0 || set_count(metadata, summary, key, value);
}

/* A total, if the parent has one or there is no parent; not one below zero, which would be no total. */
static bool
set_total(FsIcebergMetadata *metadata, FsJsonNode *summary, const FsIcebergSnapshot *parent, const char *key,
		  int64_t change)
{
	const char *text = parent == NULL ? "0" : fs_iceberg_summary(metadata, parent->snapshot_id, key);
	int64_t		total;
	char	   *end;

	if (text == NULL)
		return true;
	total = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || total < 0 || __builtin_add_overflow(total, change, &total) || total < 0)
		return true;
	return set_count(metadata, summary, key, total);
}

/* The summary of a commit; NULL when memory is out. */
static FsJsonNode *
make_summary(FsIcebergMetadata *metadata, const FsIcebergCommit *commit, const FsIcebergSnapshot *parent)
{
	FsJsonNode *summary = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);
	bool		done = summary != NULL && fs_iceberg_set_text(metadata, summary, "operation", commit->operation);

	for (int i = 0; i < commit->nsummary && done; i++)
		done = fs_iceberg_set_text(metadata, summary, commit->summary[i].key, commit->summary[i].value);
	done = done && fs_iceberg_set_text(metadata, summary, "operation", commit->operation) &&
		set_some(metadata, summary, "added-data-files", commit->added_files) &&
		set_some(metadata, summary, "deleted-data-files", commit->removed_files) &&
		set_some(metadata, summary, "added-records", commit->added_rows) &&
		set_some(metadata, summary, "deleted-records", commit->removed_rows) &&
		set_some(metadata, summary, "added-files-size", commit->added_bytes) &&
		set_some(metadata, summary, "removed-files-size", commit->removed_bytes) &&
		set_count(metadata, summary, "changed-partition-count", commit->changed_partitions) &&
		set_total(metadata, summary, parent, "total-records", commit->added_rows - commit->removed_rows) &&
		set_total(metadata, summary, parent, "total-files-size", commit->added_bytes - commit->removed_bytes) &&
		set_total(metadata, summary, parent, "total-data-files", commit->added_files - commit->removed_files) &&
		set_total(metadata, summary, parent, "total-delete-files", 0) &&
		set_total(metadata, summary, parent, "total-position-deletes", 0) &&
		set_total(metadata, summary, parent, "total-equality-deletes", 0);
	return done ? summary : NULL;
}

/* The snapshot as JSON; NULL when memory is out. */
static FsJsonNode *
make_snapshot(FsIcebergMetadata *metadata, const FsIcebergCommit *commit, const FsIcebergSnapshot *parent,
			  int64_t sequence, int64_t time)
{
	FsJsonNode *node = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);
	bool		done = node != NULL && fs_iceberg_set_number(metadata, node, "sequence-number", sequence) &&
		fs_iceberg_set_number(metadata, node, "snapshot-id", commit->snapshot_id);

	/* a null there would be refused by Java */
	if (parent != NULL)
		done = done && fs_iceberg_set_number(metadata, node, "parent-snapshot-id", parent->snapshot_id);
	return done && fs_iceberg_set_number(metadata, node, "timestamp-ms", time) &&
		fs_json_set(&metadata->memory, node, "summary", make_summary(metadata, commit, parent)) &&
		fs_iceberg_set_text(metadata, node, "manifest-list", commit->manifest_list) &&
		fs_iceberg_set_number(metadata, node, "schema-id", fs_iceberg_schema_id(metadata)) ? node : NULL;
}

/* Makes the snapshot current, for the branch main and the log; false when memory is out. */
static bool
make_current(FsIcebergMetadata *metadata, int64_t snapshot_id, int64_t time)
{
	FsJsonNode *root = metadata->root;
	FsJsonNode *refs = fs_iceberg_need(metadata, root, "refs", FS_JSON_NODE_OBJECT);
	FsJsonNode *branch = refs == NULL ? NULL : fs_iceberg_need(metadata, refs, "main", FS_JSON_NODE_OBJECT);
	FsJsonNode *log = fs_iceberg_need(metadata, root, "snapshot-log", FS_JSON_NODE_ARRAY);
	FsJsonNode *entry = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);

	return branch != NULL && log != NULL && entry != NULL &&
		fs_iceberg_set_number(metadata, branch, "snapshot-id", snapshot_id) &&
		fs_iceberg_set_text(metadata, branch, "type", "branch") &&
		fs_iceberg_set_number(metadata, entry, "timestamp-ms", time) &&
		fs_iceberg_set_number(metadata, entry, "snapshot-id", snapshot_id) && fs_json_append(log, entry) &&
		fs_iceberg_set_number(metadata, root, "current-snapshot-id", snapshot_id);
}

/* See iceberg.h.  Readers find a snapshot by its time: it is later than all before. */
bool
fs_iceberg_add_snapshot(FsIcebergMetadata *metadata, const FsIcebergCommit *commit, char *message)
{
	FsJsonNode *array = fs_iceberg_need(metadata, metadata->root, "snapshots", FS_JSON_NODE_ARRAY);
	int64_t		sequence = fs_iceberg_last_sequence(metadata) + 1;
	int64_t		time = fs_iceberg_last_updated(metadata);
	FsIcebergSnapshot parent;
	bool		has_parent = fs_iceberg_current_snapshot(metadata, &parent);

	FS_ASSERT(commit->operation != NULL && commit->manifest_list != NULL);
	if (has_parent && parent.timestamp_ms >= time && parent.timestamp_ms < INT64_MAX)
		time = parent.timestamp_ms + 1;
	if (commit->now_ms > time)
		time = commit->now_ms;
	if (commit->snapshot_id <= 0 || fs_iceberg_by_id(array, "snapshot-id", commit->snapshot_id) != NULL)
		return fs_iceberg_fail(message, "the table has a snapshot %" PRId64 " already", commit->snapshot_id);
	return fs_iceberg_done(array != NULL &&
						   fs_json_append(array, make_snapshot(metadata, commit, has_parent ? &parent : NULL, sequence,
															   time)) &&
						   make_current(metadata, commit->snapshot_id, time) &&
						   fs_iceberg_set_number(metadata, metadata->root, "last-sequence-number", sequence) &&
						   fs_iceberg_set_number(metadata, metadata->root, "last-updated-ms", time), message);
}
