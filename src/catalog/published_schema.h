/*
 * published_schema.h
 *		The schema that records are written with, where each names its schema.
 */
#ifndef FS_CATALOG_PUBLISHED_SCHEMA_H
#define FS_CATALOG_PUBLISHED_SCHEMA_H

#include "catalog/stream_def.h"
#include "core/avro_schema.h"

/*
 * The newest version of the subject "<topic>-value" that is known to be a schema of
 * the stream's registry, malloc'd; *id is its number there.  The registry is not
 * asked.  Throws when there is none.
 */
extern FsAvroSchema *fs_published_schema_load(const FsStreamDef *def, int32 *id);

#endif							/* FS_CATALOG_PUBLISHED_SCHEMA_H */
