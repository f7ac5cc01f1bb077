/*
 * stream_def.h
 *		The definition of a stream, as a struct.
 *
 * A stream is a foreign table of a server of wrapper feature_stream_kafka or
 * feature_stream_table.  FsStreamDef is a private, fully validated copy of what
 * the system catalogs say; it never points into a cache.
 */
#ifndef FS_CATALOG_STREAM_DEF_H
#define FS_CATALOG_STREAM_DEF_H

#include "postgres.h"

#include "access/attnum.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "catalog/registry_options.h"
#include "core/decode.h"
#include "core/value.h"

typedef enum FsSourceKind
{
	FS_SOURCE_KAFKA,
	FS_SOURCE_TABLE
} FsSourceKind;

typedef enum FsFormat
{
	FS_FORMAT_JSON = 0,
	FS_FORMAT_AVRO				/* one datum a record, by the schema given on the stream or one that the record names */
} FsFormat;

typedef enum FsStartKind
{
	FS_START_LATEST,
	FS_START_EARLIEST,
	FS_START_TIMESTAMP,			/* start '2024-01-01 00:00:00+00' */
	FS_START_OFFSETS			/* start 'offsets 0:120,1:98' (partition:offset) */
} FsStartKind;

typedef struct FsStartOffset
{
	int32		partition;
	int64		offset;
} FsStartOffset;

/* One declared column.  Dropped columns of the foreign table are left out. */
typedef struct FsColumn
{
	AttrNumber	attnum;
	char	   *name;			/* SQL name */
	char	   *field;			/* key in the payload (Avro: path): option 'field', default the name */
	Oid			typid;
	int32		typmod;
	Oid			collation;
	FsType		type;
	FsTimeUnit	unit;
	bool		not_null;
	bool		never_null;		/* nor were events from before: fs_contract_version_mark(); false: not known */
	Node	   *default_expr;	/* planned, immutable; NULL when there is none */
} FsColumn;

/* What a column of a record's surroundings shows; such columns are no part of the contract. */
typedef enum FsMetaField
{
	FS_META_PARTITION,
	FS_META_OFFSET,
	FS_META_TIMESTAMP,
	FS_META_KEY,
	FS_META_HEADERS
} FsMetaField;

/* A column with the option field '$partition' or the like: SELECT on the stream fills it in. */
typedef struct FsMetaColumn
{
	AttrNumber	attnum;
	char	   *name;
	Oid			typid;
	FsMetaField field;
} FsMetaColumn;

typedef struct FsCheck
{
	char	   *name;			/* of the constraint */
	Node	   *expr;			/* planned, immutable, Vars of varno 1 with the stream's attnums */
} FsCheck;

/* A librdkafka or connection setting, as given; secrets come from the user mapping. */
typedef struct FsSetting
{
	char	   *name;
	char	   *value;
} FsSetting;

typedef struct FsStreamDef
{
	/* Info */
	Oid			relid;
	Oid			owner;
	Oid			serverid;
	char	   *name;			/* qualified and quoted as needed, for messages */
	FsSourceKind kind;

	/* Columns and the data contract */
	FsFormat	format;
	char	   *schema;			/* of format Avro, as JSON; else NULL */
	FsRegistryConfig *registry;	/* format Avro without 'schema': records name theirs; else NULL */
	char	   *reader_schema;	/* what the columns read, with a registry; NULL: each record's own schema */
	int			natts;			/* attributes of the relation, dropped ones included */
	int			ncolumns;
	FsColumn   *columns;		/* in attnum order; those of 'meta' are not among them */
	int			nmeta;
	FsMetaColumn *meta;
	int			event_time;		/* index into columns */
	int			nchecks;
	FsCheck    *checks;

	/* Event time; all spans in microseconds */
	int64		slice;
	int64		watermark_delay;
	int64		max_future;
	int64		idle_after;
	int64		max_drift;
	bool		late_strict;	/* late_events 'strict': partially late events are refused too */
	bool		exclude_stopped;	/* on_stopped 'exclude' */

	/* Retention; microseconds */
	int64		log_retention;	/* kept beyond what recovery needs */
	int64		dead_letter_retention;
	double		dead_letter_limit;	/* per cent of the records read, over ... */
	int64		dead_letter_limit_span; /* microseconds; 0: there is no limit */
	bool		pause_on_limit; /* on_limit 'pause' */
	int64		dead_letter_budget; /* dead letters stored in a minute; the others are counted */
	bool		dead_letter_payload;	/* keep raw payload and key in dead letters */
	int64		max_record_bytes;	/* larger records are dead letters, with their first bytes only */

	/* Where reading starts */
	FsStartKind start_kind;
	TimestampTz start_time;
	int			nstart_offsets;
	FsStartOffset *start_offsets;

	/* Kafka */
	char	   *brokers;
	char	   *topic;
	char	   *dead_letter_topic;	/* NULL: none */
	char	   *key;			/* column that INSERT makes the records' key of, NULL.  Table: optional column (bytea or text) */
	int			nsettings;		/* allowlisted librdkafka properties of server, table and user mapping, in that order */
	FsSetting  *settings;

	/* Table */
	Oid			table;
	char	   *order_by;		/* bigint column */
	char	   *xid;			/* xid8 column */
	char	   *value;			/* payload column: bytea, text, json or jsonb */
	char	   *arrival;		/* optional timestamptz column: the arrival clock, NULL */
} FsStreamDef;

/* Index into def->columns of the column with this attnum, or -1. */
static inline int
fs_stream_column_index(const FsStreamDef *def, AttrNumber attnum)
{
	for (int i = 0; i < def->ncolumns; i++)
		if (def->columns[i].attnum == attnum)
			return i;
	return -1;
}

/* The column with this attnum that shows a record's surroundings; NULL: it is none of them. */
static inline const FsMetaColumn *
fs_stream_meta_column(const FsStreamDef *def, AttrNumber attnum)
{
	for (int i = 0; i < def->nmeta; i++)
		if (def->meta[i].attnum == attnum)
			return &def->meta[i];
	return NULL;
}

#endif							/* FS_CATALOG_STREAM_DEF_H */
