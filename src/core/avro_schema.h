/*
 * avro_schema.h
 *		An Avro schema (specification 1.11), read from its JSON.
 *
 * The schema becomes a graph in flat arrays: nodes are types, members are what
 * types consist of (fields, branches, symbols, items), links are indices, so a
 * recursive type is a cycle.  A schema is read-only once it is made, and refers
 * to nothing outside itself.
 *
 * Our own reader rather than libavro-c's, which drops aliases, defaults and
 * logical types, all of which resolution needs, and has no bounds on what it
 * is given.
 */
#ifndef FS_CORE_AVRO_SCHEMA_H
#define FS_CORE_AVRO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/scratch.h"

/* Bounds on what is accepted. */
#define FS_AVRO_MAX_TEXT		(1024 * 1024)	/* bytes of JSON, references included */
#define FS_AVRO_MAX_NODES		65536
#define FS_AVRO_MAX_NAMES		4096	/* named types */
#define FS_AVRO_MAX_MEMBERS		4096	/* of one type */
#define FS_AVRO_MAX_SOURCES		256
#define FS_AVRO_MAX_PRECISION	1000	/* of a decimal; PostgreSQL's bound for numeric(p) */
#define FS_AVRO_MAX_DEFAULTS	(1024 * 1024)	/* bytes of all defaults together */

#define FS_AVRO_MESSAGE_SIZE	512

typedef enum FsAvroType
{
	FS_AVRO_NULL,
	FS_AVRO_BOOLEAN,
	FS_AVRO_INT,
	FS_AVRO_LONG,
	FS_AVRO_FLOAT,
	FS_AVRO_DOUBLE,
	FS_AVRO_BYTES,
	FS_AVRO_STRING,				/* the last primitive type */
	FS_AVRO_RECORD,				/* or an error, which is one */
	FS_AVRO_ENUM,
	FS_AVRO_FIXED,
	FS_AVRO_ARRAY,
	FS_AVRO_MAP,
	FS_AVRO_UNION
} FsAvroType;

/* What a value means; FS_AVRO_PLAIN also for logical types unknown or invalid, as the specification asks. */
typedef enum FsAvroLogical
{
	FS_AVRO_PLAIN,
	FS_AVRO_DECIMAL,
	FS_AVRO_UUID,
	FS_AVRO_DATE,
	FS_AVRO_TIME_MILLIS,
	FS_AVRO_TIME_MICROS,
	FS_AVRO_TIMESTAMP_MILLIS,
	FS_AVRO_TIMESTAMP_MICROS,
	FS_AVRO_TIMESTAMP_NANOS,
	FS_AVRO_LOCAL_MILLIS,		/* local-timestamp-millis and so on */
	FS_AVRO_LOCAL_MICROS,
	FS_AVRO_LOCAL_NANOS,
	FS_AVRO_DURATION
} FsAvroLogical;

/* Strings of a schema: a stretch of schema->strings. */
typedef struct FsAvroNames
{
	int			first;
	int			count;
} FsAvroNames;

typedef struct FsAvroNode
{
	FsAvroType	type;
	FsAvroLogical logical;
	int			precision;		/* of a decimal */
	int			scale;
	int			size;			/* of a fixed */
	const char *name;			/* full name of a named type, else NULL */
	FsAvroNames aliases;		/* full names */
	int			first;			/* its first member, or -1 */
	int			count;			/* of members; an array or map has one, its item */
	int			default_symbol; /* of an enum; -1: none */
} FsAvroNode;

/* A field of a record, a branch of a union, a symbol of an enum, the item of an array or map. */
typedef struct FsAvroMember
{
	const char *name;			/* of a field or symbol, else NULL */
	int			node;			/* its type; -1 for a symbol */
	int			next;			/* the next member of the same type, or -1 */
	FsAvroNames aliases;		/* of a field */
	bool		has_default;
	const char *default_bytes;	/* the default as Avro binary of its type */
	size_t		default_len;
	int			field_id;		/* of a field of Iceberg's files ("field-id"); -1: none */
} FsAvroMember;

typedef struct FsAvroSchema
{
	int			root;
	int			nnodes;
	FsAvroNode *nodes;
	int			nmembers;
	FsAvroMember *members;
	int			nstrings;
	const char **strings;
	FsScratch	memory;			/* of all strings and defaults */
} FsAvroSchema;

/* One piece of JSON. */
typedef struct FsAvroSource
{
	const char *text;
	size_t		len;
} FsAvroSource;

/*
 * Reads a schema.  The last source is the schema itself; those before it define
 * types that it, and those after them, refer to by name.  NULL when it is not a
 * schema: 'message' (FS_AVRO_MESSAGE_SIZE bytes, valid UTF-8) then says where
 * and why, or is empty when memory was out.  The caller frees the result.
 */
extern FsAvroSchema *fs_avro_schema_parse(const FsAvroSource *sources,
										  int nsources, char *message);
extern void fs_avro_schema_free(FsAvroSchema *schema);

/* "int", "record" and so on. */
extern const char *fs_avro_type_name(FsAvroType type);

/* Does a value written as one type also read as the other?  Two different types; named ones never do. */
extern bool fs_avro_is_promoted(FsAvroType writer, FsAvroType reader);

/* What follows the last dot of a full name. */
extern const char *fs_avro_short_name(const char *name);

/* The node of an array's or map's item. */
static inline int
fs_avro_item(const FsAvroSchema *schema, const FsAvroNode *node)
{
	return schema->members[node->first].node;
}

static inline bool
fs_avro_is_named(FsAvroType type)
{
	return type == FS_AVRO_RECORD || type == FS_AVRO_ENUM || type == FS_AVRO_FIXED;
}

#endif							/* FS_CORE_AVRO_SCHEMA_H */
