/*
 * iceberg_entry.h
 *		Entries of a manifest, as Avro records.
 *
 * For iceberg_manifest_write.c and iceberg_manifest_read.c.
 */
#ifndef FS_CORE_ICEBERG_ENTRY_H
#define FS_CORE_ICEBERG_ENTRY_H

#include "core/avro_walk.h"
#include "core/iceberg_manifest.h"

/* Appends the schema of a manifest of this spec, with a zero behind it; false when memory is out. */
extern bool fs_iceberg_entry_schema(FsScratch *memory, const FsIcebergSpec *spec, bool is_deletes, FsBuffer *out);

/* Appends an entry whose partition fits its types; false when memory is out. */
extern bool fs_iceberg_entry_put(const FsIcebergSpec *spec, bool is_deletes, const FsIcebergEntry *entry, FsBuffer *out);

/* What entries are read with; the walk is at the next one. */
typedef struct FsIcebergEntryReader
{
	FsIcebergSpec spec;
	FsAvroWalk	walk;
	FsScratch	memory;			/* of the entry at hand */
	FsBuffer	facts;			/* known of its columns */
	FsBuffer	numbers;		/* of the array at hand */
	int			map;			/* the map at hand */
	FsIcebergValue *partition;
} FsIcebergEntryReader;

/* Reads an entry, numbers that it inherits being -1; false when it is malformed (walk.wrong) or memory is out (nothing wrong). */
extern bool fs_iceberg_entry_get(FsIcebergEntryReader *reader, FsIcebergEntry *entry);

#endif							/* FS_CORE_ICEBERG_ENTRY_H */
