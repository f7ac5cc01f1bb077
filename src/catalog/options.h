/*
 * options.h
 *		The options of the wrappers' servers, streams, columns and user mappings.
 *
 * One table names every option of ours with where it may stand, how its value
 * reads and which field of FsStreamDef it sets; the properties handed through
 * to librdkafka, the Redis connection and the lake come from kafka_options.h,
 * redis_options.h and lake_options.h.  What a validator accepts is therefore exactly what a loader
 * understands.
 */
#ifndef FS_CATALOG_OPTIONS_H
#define FS_CATALOG_OPTIONS_H

#include "catalog/server.h"
#include "catalog/stream_def.h"

/*
 * The work of a wrapper's validator: every option of the list (DefElems) is
 * known in this place and its value reads well, and none that must be there is
 * missing.  'catalog' is the catalog the options are stored in.  Throws else.
 */
extern void fs_options_validate(FsWrapper wrapper, Oid catalog, List *options);

/* Sets what a stream's options leave open; then fs_options_read sets what they say. */
extern void fs_options_default(FsStreamDef *def);

/*
 * Reads the options of a stream's foreign table into 'def'; strings are copied.
 * Names of the event time column and of the table are left to the caller, who
 * looks them up, properties of librdkafka to fs_options_settings.
 */
extern void fs_options_read(FsStreamDef *def, List *options);

/* Reads the options of a column: field and unit. */
extern void fs_options_read_column(FsColumn *column, List *options);

/* The librdkafka properties among 'options', appended to def->settings. */
extern void fs_options_settings(FsStreamDef *def, Oid catalog, List *options);

/* Value of an option, or NULL; points into the list. */
extern char *fs_option_value(List *options, const char *name);

#endif							/* FS_CATALOG_OPTIONS_H */
