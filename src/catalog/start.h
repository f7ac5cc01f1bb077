/*
 * start.h
 *		The option 'start': where a stream begins to read.
 */
#ifndef FS_CATALOG_START_H
#define FS_CATALOG_START_H

#include "catalog/stream_def.h"

/*
 * Reads 'latest', 'earliest', a timestamp with time zone, or
 * 'offsets <partition>:<offset>,...' into the start fields of 'def'.  Throws
 * when it is none of them.
 */
extern void fs_start_parse(FsStreamDef *def, const char *value);

/* The same for an argument of a function, which may be 'earliest' or a timestamp. */
extern void fs_start_parse_argument(FsStreamDef *def, const char *argument, const char *value);

#endif							/* FS_CATALOG_START_H */
