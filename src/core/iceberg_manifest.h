/*
 * iceberg_manifest.h
 *		Manifests and manifest lists of an Iceberg table: Avro files that name other files.
 *
 * Written with the specification's names and ids (readers go by either); read by
 * ids, whoever wrote them, compressed by deflate, zstandard or not at all.
 * Bytes that are read are not trusted.  What false and the message mean:
 * iceberg_types.h.
 */
#ifndef FS_CORE_ICEBERG_MANIFEST_H
#define FS_CORE_ICEBERG_MANIFEST_H

#include "core/iceberg.h"
#include "core/parquet.h"

/* Bounds on what is read; larger files are refused. */
#define FS_ICEBERG_MAX_LIST		(256 * 1024 * 1024)	/* bytes, uncompressed */
#define FS_ICEBERG_MAX_BLOCK	(256 * 1024 * 1024)	/* of a manifest's block, uncompressed */

#define FS_ICEBERG_INHERITED	INT64_C(-1)	/* a number that is to be the manifest's */

typedef enum FsIcebergContent
{
	FS_ICEBERG_DATA,
	FS_ICEBERG_POSITION_DELETES,
	FS_ICEBERG_EQUALITY_DELETES
} FsIcebergContent;

typedef enum FsIcebergStatus
{
	FS_ICEBERG_EXISTING,
	FS_ICEBERG_ADDED,
	FS_ICEBERG_DELETED
} FsIcebergStatus;

/* What is known of a column of a file, each count -1 where it is not. */
typedef struct FsIcebergMetrics
{
	int32_t		field_id;
	int64_t		bytes;
	int64_t		value_count;
	int64_t		null_count;
	int64_t		nan_count;
	const char *lower;			/* NULL: no bound; appendix D of the specification */
	size_t		lower_len;
	const char *upper;
	size_t		upper_len;
} FsIcebergMetrics;

typedef struct FsIcebergDataFile
{
	FsIcebergContent content;
	const char *path;
	const char *format;			/* "PARQUET" */
	const FsIcebergValue *partition;	/* a value for each field of the spec */
	int64_t		rows;
	int64_t		size;			/* bytes */
	const FsIcebergMetrics *metrics;
	int			nmetrics;
	const char *key_metadata;	/* NULL: none */
	size_t		key_metadata_len;
	const int64_t *offsets;		/* where row groups begin */
	int			noffsets;		/* -1: not known */
	const int32_t *equality_ids;
	int			nequality_ids;
	int32_t		sort_id;		/* -1: not known; 0: not sorted */
	const char *referenced;		/* of position deletes: their only data file; NULL: not known */
} FsIcebergDataFile;

typedef struct FsIcebergEntry
{
	FsIcebergStatus status;
	int64_t		snapshot_id;	/* that added or deleted the file */
	int64_t		sequence_number;	/* of the data */
	int64_t		file_sequence_number;	/* of the commit that added the file */
	FsIcebergDataFile file;
} FsIcebergEntry;

/* What the values of a partition field of all files in a manifest are. */
typedef struct FsIcebergSummary
{
	bool		has_null;
	int			has_nan;		/* -1: not known */
	const char *lower;			/* NULL: no bound */
	size_t		lower_len;
	const char *upper;
	size_t		upper_len;
} FsIcebergSummary;

/* What a manifest list says of a manifest. */
typedef struct FsIcebergManifest
{
	const char *path;
	int64_t		length;
	int32_t		spec_id;
	bool		is_deletes;		/* of delete files */
	int64_t		sequence_number;	/* FS_ICEBERG_INHERITED: that of the snapshot that adds it */
	int64_t		min_sequence_number;	/* the same */
	int64_t		snapshot_id;	/* that added it */
	int			added_files;
	int			existing_files;
	int			deleted_files;
	int64_t		added_rows;
	int64_t		existing_rows;
	int64_t		deleted_rows;
	const FsIcebergSummary *partitions;
	int			npartitions;	/* -1: not known */
	const char *key_metadata;	/* NULL: none */
	size_t		key_metadata_len;
} FsIcebergManifest;

/*
 * Data files
 */

/*
 * Says of a file that the Parquet writer has finished what a manifest wants to
 * know.  'columns' are the writer's.  Arrays and bytes are in 'memory', path and
 * partition the caller's.  False when memory is out.
 */
extern bool fs_iceberg_data_file(FsIcebergDataFile *file, FsScratch *memory, const FsParquetWriter *writer,
								 const FsParquetColumn *columns, int ncolumns, const char *path,
								 const FsIcebergValue *partition, int32_t sort_id);

/*
 * Writing a manifest
 *
 * For files of one spec and one content (data or deletes), that the snapshot
 * 'snapshot_id' adds, keeps or takes away.  The metadata outlives the writer.  The
 * bytes are in memory until it is finished, compressed: less than 100 for a file,
 * and 20 for each of its columns.
 */
typedef struct FsIcebergManifestWriter FsIcebergManifestWriter;

extern FsIcebergManifestWriter *fs_iceberg_manifest_create(FsIcebergMetadata *metadata, int32_t spec_id, bool is_deletes,
														   int64_t snapshot_id, char *message);
extern void fs_iceberg_manifest_free(FsIcebergManifestWriter *writer);

/* A file that the snapshot adds; its sequence number will be the snapshot's. */
extern bool fs_iceberg_manifest_add(FsIcebergManifestWriter *writer, const FsIcebergDataFile *file, char *message);

/* An entry as it is; an existing or deleted one has all its numbers. */
extern bool fs_iceberg_manifest_put(FsIcebergManifestWriter *writer, const FsIcebergEntry *entry, char *message);

/* The snapshot it is for. */
extern int64_t fs_iceberg_manifest_snapshot(const FsIcebergManifestWriter *writer);

/* Bytes so far, about; a manifest is best about 8 MB at most. */
extern size_t fs_iceberg_manifest_size(const FsIcebergManifestWriter *writer);

/*
 * Appends the finished file to 'out' and says in *manifest what a list needs to
 * know, with 'path' and what else it points to in 'memory'.
 */
extern bool fs_iceberg_manifest_finish(FsIcebergManifestWriter *writer, const char *path, FsScratch *memory,
									   FsBuffer *out, FsIcebergManifest *manifest, char *message);

/*
 * Reading a manifest
 *
 * The bytes stay where they are until the reader is freed, as the metadata does.  What 'manifest' (its
 * row in the list) says is what entries inherit.
 */
typedef struct FsIcebergManifestReader FsIcebergManifestReader;

extern FsIcebergManifestReader *fs_iceberg_manifest_open(FsIcebergMetadata *metadata, const FsIcebergManifest *manifest,
														 const char *bytes, size_t len, char *message);
extern void fs_iceberg_reader_free(FsIcebergManifestReader *reader);

/* The next entry, with the numbers it inherits, valid until the next call: 1; 0 at the end; -1 with the message. */
extern int	fs_iceberg_manifest_next(FsIcebergManifestReader *reader, FsIcebergEntry *entry, char *message);

/*
 * Writes again what is in a manifest that the writer's snapshot replaces, to
 * merge manifests or to take files out: files that were there become existing,
 * those that 'removed' (NULL: none) chooses deleted, those that had been deleted
 * before are left out.  What this very snapshot added stays so, or is left out
 * where it is chosen.  Counts are of what was chosen.
 */
typedef bool (*FsIcebergChosen) (void *arg, const FsIcebergEntry *entry);

typedef struct FsIcebergRemoved
{
	int64_t		files;
	int64_t		rows;
	int64_t		bytes;
} FsIcebergRemoved;

extern bool fs_iceberg_manifest_rewrite(FsIcebergManifestReader *reader, FsIcebergManifestWriter *writer,
										FsIcebergChosen removed, void *arg, FsIcebergRemoved *count, char *message);

/*
 * Manifest lists
 */

/* Reads one into 'memory'. */
extern bool fs_iceberg_list_read(const char *bytes, size_t len, FsScratch *memory, FsIcebergManifest **manifests, int *n,
								 char *message);

/*
 * Appends the list of a snapshot that has this sequence number: manifests with
 * FS_ICEBERG_INHERITED get it.
 */
extern bool fs_iceberg_list_write(const FsIcebergManifest *manifests, int n, int64_t snapshot_id, int64_t parent_id,
								  int64_t sequence_number, FsBuffer *out, char *message);

/*
 * A set of paths, to find what only expired snapshots need: put in what their
 * manifest lists (their manifests) name, then take out what those that stay do.
 * An all-zero one is empty.
 */
typedef struct FsIcebergPaths
{
	size_t		count;			/* in it */
	size_t		used;			/* slots: of these, and of what was taken out */
	size_t		nslots;
	struct FsIcebergPath *slots;
	FsScratch	memory;
} FsIcebergPaths;

extern bool fs_iceberg_paths_add(FsIcebergPaths *paths, const char *path);	/* false: memory is out */
extern void fs_iceberg_paths_remove(FsIcebergPaths *paths, const char *path);
extern bool fs_iceberg_paths_has(const FsIcebergPaths *paths, const char *path);

/* Steps through them: *i is 0 at first; NULL at the end. */
extern const char *fs_iceberg_paths_next(const FsIcebergPaths *paths, size_t *i);
extern void fs_iceberg_paths_free(FsIcebergPaths *paths);

#endif							/* FS_CORE_ICEBERG_MANIFEST_H */
