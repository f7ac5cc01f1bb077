/*
 * avro_parse.h
 *		What the files that read an Avro schema share.
 *
 * For avro_parse.c, avro_attribute.c, avro_names.c and avro_default.c only.  Functions that can
 * fail return false or -1 and leave the reason in the parser.
 */
#ifndef FS_CORE_AVRO_PARSE_H
#define FS_CORE_AVRO_PARSE_H

#include "core/avro_schema.h"
#include "core/buffer.h"
#include "core/json_scan.h"

#define FS_AVRO_NAME_SLOTS	(2 * FS_AVRO_MAX_NAMES) /* a power of two */
#define FS_AVRO_MAX_PATH	192 /* steps from the root of the JSON */

/* Attributes that mean something to us. */
typedef enum FsAvroAttribute
{
	FS_AVRO_A_TYPE, FS_AVRO_A_NAME, FS_AVRO_A_NAMESPACE, FS_AVRO_A_ALIASES, FS_AVRO_A_FIELDS, FS_AVRO_A_SYMBOLS, FS_AVRO_A_ITEMS,
	FS_AVRO_A_VALUES, FS_AVRO_A_SIZE, FS_AVRO_A_DEFAULT, FS_AVRO_A_LOGICAL, FS_AVRO_A_PRECISION, FS_AVRO_A_SCALE,
	FS_AVRO_A_FIELD_ID,
	FS_AVRO_ATTRIBUTES
} FsAvroAttribute;

extern const char *const fs_avro_attribute_names[FS_AVRO_ATTRIBUTES];

/* An object's attributes; those not there have no start. */
typedef struct FsAvroObject
{
	FsJsonToken token[FS_AVRO_ATTRIBUTES];
} FsAvroObject;

/* A step of the path: a key, or an index. */
typedef struct FsAvroStep
{
	const char *key;			/* NULL: an index */
	int			index;
} FsAvroStep;

/* A default as written: read when all types are known. */
typedef struct FsAvroPending
{
	const char *start;			/* NULL: the member has none */
	const char *end;
} FsAvroPending;

typedef struct FsAvroParser
{
	FsAvroSchema *schema;
	int			max_nodes;		/* allocated */
	int			max_members;
	int			max_strings;
	FsAvroPending *pending;		/* per member */
	int			nnames;
	int			names[FS_AVRO_NAME_SLOTS];	/* node of a named type, or -1 */
	int			depth;			/* steps in 'path' */
	FsAvroStep	path[FS_AVRO_MAX_PATH];
	char	   *message;		/* FS_AVRO_MESSAGE_SIZE bytes; empty until something fails */
	bool		failed;

	/* Defaults */
	FsBuffer	bytes;
	long		steps;			/* values read, against defaults of defaults without end */
} FsAvroParser;

/* Notes why the schema is refused, behind the path; always false.  The first reason stays. */
extern bool fs_avro_fail(FsAvroParser *parser, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* The same when memory is out. */
extern bool fs_avro_fail_memory(FsAvroParser *parser);

/* Makes *array hold n + 1 elements of 'size' bytes, doubling; false when memory is out. */
extern bool fs_avro_reserve(FsAvroParser *parser, void **array, int *max,
							int n, size_t size);

/*
 * The characters of a string token, NUL-terminated, in the schema's memory.
 * NULL when there is a NUL or half of a surrogate pair in it.
 */
extern const char *fs_avro_string(FsAvroParser *parser, const FsJsonToken *token);

/* Is this a name of the specification: [A-Za-z_][A-Za-z0-9_]*, of 'len' bytes? */
extern bool fs_avro_is_name(const char *name, size_t len);

/* The primitive type of this name; false when there is none. */
extern bool fs_avro_primitive(const char *name, FsAvroType *type);

/*
 * The full name of 'name' within 'space' ("" is the null namespace), in the
 * schema's memory; checked.  NULL on failure.
 */
extern const char *fs_avro_full_name(FsAvroParser *parser, const char *name,
									 const char *space);

/* The namespace of a full name, in the schema's memory; "" is the null one.  NULL: memory is out. */
extern const char *fs_avro_namespace(FsAvroParser *parser, const char *name);

/* The node of a named type, or -1. */
extern int	fs_avro_find(const FsAvroParser *parser, const char *name);

/* Enters a named type, whose node has its name. */
extern bool fs_avro_enter(FsAvroParser *parser, int node);

/*
 * Steps through the elements of an array, or the members of an object, whose
 * token was scanned: *p is NULL at first, *value is the next value and *key its
 * key.  False at the end.
 */
extern bool fs_avro_next_element(const FsJsonToken *array, const char **p,
								 FsJsonToken *value);
extern bool fs_avro_next_entry(const FsJsonToken *object, const char **p,
							   FsJsonToken *key, FsJsonToken *value);

/* Is the key this word? */
extern bool fs_avro_key_is(const FsJsonToken *key, const char *word);

/* A new node without members, or -1. */
extern int	fs_avro_add_node(FsAvroParser *parser, FsAvroType type);

/* A new member of 'node' behind member 'last' (-1: the first); its index, or -1. */
extern int	fs_avro_add_member(FsAvroParser *parser, int node, int last);

/* Picks the attributes of an object. */
extern bool fs_avro_read_object(FsAvroParser *parser, const FsJsonToken *token,
								FsAvroObject *object);

/* What a token is; false for one that is not there. */
extern bool fs_avro_is_array(const FsJsonToken *token);
extern bool fs_avro_is_object(const FsJsonToken *token);
extern bool fs_avro_is_string(const FsJsonToken *token);

/* A whole number from 'min' to 'max'; false when the token is none (or not there). */
extern bool fs_avro_read_whole(const FsJsonToken *token, int64_t min, int64_t max,
							   int *result);

/* An attribute that must be a string; NULL when it is not. */
extern const char *fs_avro_need_string(FsAvroParser *parser, const FsAvroObject *object,
									   FsAvroAttribute attribute);

/* Reads "aliases" into *names: full names within 'space' ("" for fields). */
extern bool fs_avro_read_aliases(FsAvroParser *parser, const FsAvroObject *object,
								 const char *space, FsAvroNames *names);

/* Gives the node the logical type that the object names, if it may have it. */
extern bool fs_avro_read_logical(FsAvroParser *parser, const FsAvroObject *object,
								 int index);

/* Reads all pending defaults into their members. */
extern bool fs_avro_read_defaults(FsAvroParser *parser);

#endif							/* FS_CORE_AVRO_PARSE_H */
