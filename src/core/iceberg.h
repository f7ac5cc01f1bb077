/*
 * iceberg.h
 *		The metadata of an Apache Iceberg table (version 2): what metadata.json holds.
 *
 * Metadata is read or made, changed step by step, and written as a new file;
 * files never change.  What we do not know in it, other writers' snapshots,
 * schemas, specs and keys included, is written again as it was read.
 *
 * A commit, with the files iceberg_manifest.h is about:
 *
 *	1. data files are written (core/parquet.h) and their entries put into a
 *	   manifest (fs_iceberg_manifest_*), under names with fresh uuids
 *	2. the current metadata.json is read (fs_iceberg_metadata_read), and the
 *	   manifest list of its current snapshot (fs_iceberg_list_read)
 *	3. a new list: the old one's manifests and ours (fs_iceberg_list_write)
 *	4. fs_iceberg_add_snapshot, fs_iceberg_supersede, fs_iceberg_metadata_write
 *	5. the catalog's pointer is swapped; when somebody was faster, again from 2:
 *	   data files and the manifest stay as they are
 *
 * Nothing here reads files or clocks.  Bytes from files are not trusted.  Texts
 * that are returned live as long as the metadata.  Functions that return a bool
 * and take a message are false when something was refused or memory is out
 * (iceberg_types.h), and the metadata is then only good for being freed.
 */
#ifndef FS_CORE_ICEBERG_H
#define FS_CORE_ICEBERG_H

#include "core/buffer.h"
#include "core/iceberg_types.h"

#define FS_ICEBERG_NO_SNAPSHOT	INT64_C(-1)
#define FS_ICEBERG_MAX_METADATA	(32 * 1024 * 1024)	/* bytes of metadata.json that is read */

/* Properties that mean something to us. */
#define FS_ICEBERG_KEEP_AGE		"history.expire.max-snapshot-age-ms"
#define FS_ICEBERG_KEEP_COUNT	"history.expire.min-snapshots-to-keep"
#define FS_ICEBERG_KEEP_LOG		"write.metadata.previous-versions-max"
#define FS_ICEBERG_DELETE_LOG	"write.metadata.delete-after-commit.enabled"
#define FS_ICEBERG_COLLECT		"gc.enabled"
#define FS_ICEBERG_DATA_PATH	"write.data.path"
#define FS_ICEBERG_METADATA_PATH "write.metadata.path"

typedef struct FsIcebergMetadata FsIcebergMetadata;

/*
 * Metadata of a new table, without a snapshot.  'uuid' (36 characters) is to be
 * random.  Columns get ids from 1 on, elements of lists those after them.
 */
extern FsIcebergMetadata *fs_iceberg_metadata_create(const FsIcebergTable *table, const char *uuid, int64_t now_ms,
													 char *message);

/* Reads metadata.json.  Only version 2 of the format is taken. */
extern FsIcebergMetadata *fs_iceberg_metadata_read(const char *text, size_t len, char *message);

extern void fs_iceberg_metadata_free(FsIcebergMetadata *metadata);

/* Appends it as JSON; false when memory is out. */
extern bool fs_iceberg_metadata_write(const FsIcebergMetadata *metadata, FsBuffer *out);

/*
 * Notes that the file at 'location' was this table's metadata before the
 * changes made to it, which are of now.  The log of such files is kept to as
 * many as the property says (100): *dropped, unless it is NULL, has those that
 * leave it.
 */
typedef struct FsIcebergTexts
{
	int			n;
	const char **texts;			/* in the metadata's memory, as the array is */
} FsIcebergTexts;

extern bool fs_iceberg_supersede(FsIcebergMetadata *metadata, const char *location, int64_t now_ms,
								 FsIcebergTexts *dropped, char *message);

/*
 * All files that the metadata itself names: manifest lists, older metadata,
 * statistics.  False when memory is out.
 */
extern bool fs_iceberg_named_files(FsIcebergMetadata *metadata, FsIcebergTexts *files);

/*
 * What it says
 */
extern const char *fs_iceberg_uuid(const FsIcebergMetadata *metadata);
extern const char *fs_iceberg_location(const FsIcebergMetadata *metadata);
extern int64_t fs_iceberg_last_sequence(const FsIcebergMetadata *metadata);
extern int64_t fs_iceberg_last_updated(const FsIcebergMetadata *metadata);

/* A property, or NULL; a number that is one, or 'otherwise'. */
extern const char *fs_iceberg_property(const FsIcebergMetadata *metadata, const char *key);
extern int64_t fs_iceberg_property_number(const FsIcebergMetadata *metadata, const char *key, int64_t otherwise);

/* Sets a property, or takes it away when the value is NULL. */
extern bool fs_iceberg_set_property(FsIcebergMetadata *metadata, const char *key, const char *value, char *message);

/*
 * Columns of the current schema in its order, those of types that we write, with
 * their ids: what the Parquet writer is given.  Refused when a column that we
 * cannot write must not be NULL.
 */
extern bool fs_iceberg_columns(FsIcebergMetadata *metadata, FsParquetColumn **columns, int *n, char *message);
extern int32_t fs_iceberg_schema_id(const FsIcebergMetadata *metadata);

/* The spec that new files follow, or the one of an id; refused when there is none, or it is malformed. */
extern bool fs_iceberg_spec(FsIcebergMetadata *metadata, FsIcebergSpec *spec, char *message);
extern bool fs_iceberg_spec_of(FsIcebergMetadata *metadata, int32_t spec_id, FsIcebergSpec *spec, char *message);

/* Id of the order in which files are to be sorted; 0: none. */
extern int32_t fs_iceberg_sort_id(const FsIcebergMetadata *metadata);

/*
 * What it consists of; without fields where it has others than columns as they
 * are.  False: memory is out.
 */
typedef struct FsIcebergSortField
{
	int32_t		source_id;		/* of the column */
	bool		descending;
	bool		nulls_last;
} FsIcebergSortField;

extern bool fs_iceberg_sort_fields(FsIcebergMetadata *metadata, FsIcebergSortField **fields, int *n);

/*
 * Makes a new schema out of the current one, which then is the current one.
 * Columns are dropped first: a name can come back as another column.  Refused
 * where partitions or the sort order need a column that is dropped; its id is
 * not used again.  Added columns can be NULL, stand at the end, and have ids
 * that were never used.  Nothing happens where there is nothing to do.
 */
typedef struct FsIcebergSchemaChange
{
	const char *const *dropped; /* names */
	int			ndropped;
	const char *const *relaxed; /* those that can be NULL from now on */
	int			nrelaxed;
	const FsParquetColumn *widened; /* decimals that get a greater precision, of the same scale */
	int			nwidened;
	const FsParquetColumn *added;
	int			nadded;
} FsIcebergSchemaChange;

extern bool fs_iceberg_change_schema(FsIcebergMetadata *metadata, const FsIcebergSchemaChange *change, char *message);

/* The same for some columns that come, or one that goes. */
extern bool fs_iceberg_add_columns(FsIcebergMetadata *metadata, const FsParquetColumn *columns, int n, char *message);
extern bool fs_iceberg_drop_column(FsIcebergMetadata *metadata, const char *name, char *message);

/*
 * Snapshots
 */
typedef struct FsIcebergSnapshot
{
	int64_t		snapshot_id;
	int64_t		parent_id;		/* FS_ICEBERG_NO_SNAPSHOT: none */
	int64_t		sequence_number;
	int64_t		timestamp_ms;
	const char *manifest_list;	/* its location */
	const char *operation;		/* "append", "replace", "overwrite", "delete"; NULL: it does not say */
} FsIcebergSnapshot;

/* How many there are, and the i-th, oldest first as a rule; the current one; the one of an id.  False: there is none. */
extern int	fs_iceberg_snapshot_count(const FsIcebergMetadata *metadata);
extern bool fs_iceberg_snapshot(const FsIcebergMetadata *metadata, int i, FsIcebergSnapshot *snapshot);
extern bool fs_iceberg_current_snapshot(const FsIcebergMetadata *metadata, FsIcebergSnapshot *snapshot);
extern bool fs_iceberg_find_snapshot(const FsIcebergMetadata *metadata, int64_t snapshot_id, FsIcebergSnapshot *snapshot);

/* What a snapshot's summary says under a key, or NULL. */
extern const char *fs_iceberg_summary(const FsIcebergMetadata *metadata, int64_t snapshot_id, const char *key);

/* An id for a new snapshot from 16 random bytes: positive, and none that the table has. */
extern int64_t fs_iceberg_new_snapshot_id(const FsIcebergMetadata *metadata, const uint8_t *random);

/* What a commit does.  The counts are of data files that it adds and takes away. */
typedef struct FsIcebergCommit
{
	int64_t		snapshot_id;
	int64_t		now_ms;
	const char *operation;		/* "append": adds files; "replace": other files, the same rows; "overwrite", "delete" */
	const char *manifest_list;
	int64_t		added_files;
	int64_t		added_rows;
	int64_t		added_bytes;
	int64_t		removed_files;
	int64_t		removed_rows;
	int64_t		removed_bytes;
	int64_t		changed_partitions;
	const FsIcebergProperty *summary;	/* more of it, like feature_stream.export-hi */
	int			nsummary;
} FsIcebergCommit;

/*
 * Makes a snapshot on top of the current one, of sequence number
 * fs_iceberg_last_sequence() + 1, and the table's current one (branch main).
 * Totals go on from the parent's, where it has them.
 */
extern bool fs_iceberg_add_snapshot(FsIcebergMetadata *metadata, const FsIcebergCommit *commit, char *message);

/*
 * Lets snapshots go, as the specification and the Java library do: a branch
 * keeps its newest 'keep_count' snapshots and those younger than 'keep_ms', a
 * tag its own; what a branch says of itself goes before that, and so do a
 * ref's own age and snapshots that no ref reaches.  The current one always
 * stays.  Nothing is done (and *expired is empty) where the table's property
 * gc.enabled is false.
 *
 * *expired has the manifest lists of what was let go, and other files of
 * theirs (statistics).  Manifests and data files that only these lists lead to
 * are to be found by reading them, see FsIcebergPaths.
 */
typedef struct FsIcebergExpired
{
	int			nsnapshots;
	int64_t    *snapshots;		/* their ids */
	FsIcebergTexts lists;
	FsIcebergTexts statistics;
} FsIcebergExpired;

extern bool fs_iceberg_expire(FsIcebergMetadata *metadata, int64_t now_ms, int64_t keep_ms, int keep_count,
							  FsIcebergExpired *expired, char *message);

/*
 * Names of files, appended without a zero; false when memory is out.  The uuids
 * are to be fresh ones.
 */

/* <metadata>/00042-<uuid>.metadata.json; the version is 0 for a new table, else one more than that of the last. */
extern bool fs_iceberg_metadata_path(const FsIcebergMetadata *metadata, int version, const char *uuid, FsBuffer *out);
extern int	fs_iceberg_metadata_version(const char *location);	/* -1: it has none */

/* <metadata>/<uuid>-m<n>.avro */
extern bool fs_iceberg_manifest_path(const FsIcebergMetadata *metadata, const char *uuid, int n, FsBuffer *out);

/* <metadata>/snap-<id>-<attempt>-<uuid>.avro */
extern bool fs_iceberg_list_path(const FsIcebergMetadata *metadata, int64_t snapshot_id, int attempt, const char *uuid,
								 FsBuffer *out);

/* <data>/<partition>/<uuid>.parquet; see fs_iceberg_partition_path. */
extern bool fs_iceberg_data_path(const FsIcebergMetadata *metadata, const FsIcebergSpec *spec,
								 const FsIcebergValue *partition, const char *uuid, FsBuffer *out);

/*
 * Of which kind a file is that has such a name, without directories, if these
 * have made it.  Other writers name data files otherwise, but not the others.
 */
typedef enum FsIcebergName
{
	FS_ICEBERG_NAME_OTHER,
	FS_ICEBERG_NAME_METADATA,
	FS_ICEBERG_NAME_MANIFEST,
	FS_ICEBERG_NAME_LIST,
	FS_ICEBERG_NAME_DATA
} FsIcebergName;

extern FsIcebergName fs_iceberg_name_read(const char *name);

#endif							/* FS_CORE_ICEBERG_H */
