/*
 * avro_program.h
 *		The program that decodes Avro records, and the machine that runs it.
 *
 * For avro_resolve.c, avro_match.c and avro_fit.c, which make programs, and
 * decode_avro.c and avro_value.c, which run them.  A program is a flat array of
 * operations.  Bodies of loops and of defaults stand behind the operation that
 * runs them and end with END, as routines do, which are called.
 */
#ifndef FS_CORE_AVRO_PROGRAM_H
#define FS_CORE_AVRO_PROGRAM_H

#include "core/avro_schema.h"
#include "core/buffer.h"
#include "core/decode.h"
#include "core/scratch.h"

#define FS_AVRO_MAX_OPS		65536	/* of a program */
#define FS_AVRO_MAX_DEPTH	FS_DECODE_MAX_DEPTH /* of calls, loops and defaults within each other */
#define FS_AVRO_MAX_JSON	((size_t) 64 * 1024 * 1024) /* bytes of one value as JSON text */
#define FS_AVRO_EMPTY_ITEMS 4096	/* items of arrays that may take no bytes, in one record */

typedef enum FsAvroOpCode
{
	FS_AVRO_OP_END,				/* of the program, of a body, of a routine */

	/* Values of 'column' */
	FS_AVRO_OP_TEXT,			/* a string, as text */
	FS_AVRO_OP_INT8,			/* a long, as bigint */
	FS_AVRO_OP_MILLIS,			/* a long, milliseconds as timestamptz */
	FS_AVRO_OP_MICROS,
	FS_AVRO_OP_VALUE,			/* anything else: conversion a */
	FS_AVRO_OP_NULL,
	FS_AVRO_OP_FAIL,			/* what stands here cannot be read: sentence a */

	/* What no column reads */
	FS_AVRO_OP_SKIP_VARINT,
	FS_AVRO_OP_SKIP_BYTES,		/* with their length before them */
	FS_AVRO_OP_SKIP_FIXED,		/* a bytes */

	/* Control */
	FS_AVRO_OP_UNION,			/* to targets[a + branch], of b branches */
	FS_AVRO_OP_JUMP,			/* to a */
	FS_AVRO_OP_CALL,			/* routine a, then its place */
	FS_AVRO_OP_ITEMS,			/* body for each item of an array; goes on at a; b: what it is, below */
	FS_AVRO_OP_DEFAULT,			/* body over default b; goes on at a */
	FS_AVRO_OP_SAVE,			/* the place in the record, in slot a */
	FS_AVRO_OP_RESTORE,

	/* JSON text of 'column' */
	FS_AVRO_OP_JSON_BEGIN,
	FS_AVRO_OP_JSON_LITERAL,	/* b bytes at a of 'text' */
	FS_AVRO_OP_JSON_VALUE,		/* conversion a */
	FS_AVRO_OP_JSON_END
} FsAvroOpCode;

/* b of OP_ITEMS */
#define FS_AVRO_ITEMS_MAP	1	/* a key stands before each item */
#define FS_AVRO_ITEMS_JSON	2	/* becomes JSON text */
#define FS_AVRO_ITEMS_COLUMN	4	/* becomes the value of 'column', an array; else it is skipped */

typedef struct FsAvroOp
{
	uint16_t	code;			/* FsAvroOpCode */
	int16_t		column;
	int32_t		a;
	int32_t		b;
} FsAvroOp;

/* From a scalar as written to a column's value, or to JSON. */
typedef struct FsAvroConv
{
	FsAvroType	wire;			/* as written */
	FsAvroType	as;				/* as the reader has it: promoted */
	FsAvroLogical logical;
	int			scale;			/* of a decimal */
	int			size;			/* of a fixed */
	int			first_symbol;	/* of an enum: in 'symbols', by the writer's ordinals */
	int			nsymbols;
	const FsField *field;		/* NULL: to JSON */
} FsAvroConv;

typedef struct FsAvroSymbol
{
	int			offset;			/* in 'text'; -1: the reader has no such symbol */
	int			len;
} FsAvroSymbol;

typedef struct FsAvroDefault
{
	const char *bytes;			/* in 'memory' */
	size_t		len;
} FsAvroDefault;

struct FsAvroProgram
{
	int			nfields;
	FsField    *fields;			/* names in 'memory'; behind them the same with the types of their elements */
	int			nops;
	FsAvroOp   *ops;
	int			ntargets;
	int32_t    *targets;
	int			nconvs;
	FsAvroConv *convs;
	int			nsymbols;
	FsAvroSymbol *symbols;
	int			ndefaults;
	FsAvroDefault *defaults;
	FsBuffer	text;			/* pieces of JSON, symbols, sentences */
	FsScratch	memory;
};

struct FsAvroDecoder
{
	FsScratch	scratch;		/* values, until the next reset */
	FsBuffer	json;			/* the JSON text being written */
	FsBuffer	items;			/* the array being read into a column */

	/* The record being read */
	const FsAvroProgram *program;
	const char *begin;
	const char *low;			/* of the record, or of the default in hand */
	const char *end;
	FsValue    *values;
	const char *saved[FS_AVRO_MAX_DEPTH];
	int			json_column;	/* -1: none */
	int			item;			/* of the array being read into a column; -1: none */
	long		budget;			/* of items that take no bytes, and of defaults */
	FsDecodeError *error;
	bool		refused;		/* a value did not fit; *error says so */
	const char *wrong;			/* malformed: what, in words; NULL: memory is out */
	const char *wrong_at;
};

/* Notes that the record is malformed at 'at' (wrong NULL: that memory is out); always NULL. */
static inline const char *
fs_avro_malformed(FsAvroDecoder *decoder, const char *at, const char *wrong)
{
	decoder->wrong = wrong;
	decoder->wrong_at = at;
	return NULL;
}

/* The same, for those who return a bool: always false. */
static inline bool
fs_avro_no_memory(FsAvroDecoder *decoder)
{
	return fs_avro_malformed(decoder, NULL, NULL) != NULL;
}

/*
 * Notes that the value at 'at' does not fit its column: the sentence
 * 'field "x" ' followed by what the format makes.  Only the first is kept.
 */
extern void fs_avro_refuse(FsAvroDecoder *decoder, int column, const char *at,
						   const char *format,...) __attribute__((format(printf, 4, 5)));

/*
 * Takes the scalar at 'p' by the conversion, into the column's value or (no
 * field) onto the JSON text.  Returns the byte after it, or NULL.
 */
extern const char *fs_avro_take_value(FsAvroDecoder *decoder, const char *p,
									  const FsAvroConv *conv);

/* Appends to the JSON text; nothing where it gets too long, which is noted.  False: memory is out. */
extern bool fs_avro_append_json(FsAvroDecoder *decoder, const char *text, size_t len);

/* A text column's value from 'len' bytes at 'p', which are checked; false when the record is malformed. */
extern bool fs_avro_put_text(FsAvroDecoder *decoder, const char *p, size_t len,
							 int column, bool is_string);

/*
 * A varint of more than one byte at 'p'; the byte after it, or NULL when the
 * bytes end inside it or it does not fit 64 bits.
 */
extern const char *fs_avro_long_varint(FsAvroDecoder *decoder, const char *p,
									   uint64_t *value);

/* A varint at 'p': nearly always of one byte.  The byte after it, or NULL. */
static inline const char *
fs_avro_varint(FsAvroDecoder *decoder, const char *p, uint64_t *value)
{
	if (__builtin_expect(p < decoder->end && (unsigned char) *p < 0x80, 1))
	{
		*value = (unsigned char) *p;
		return p + 1;
	}
	return fs_avro_long_varint(decoder, p, value);
}

/* The length of the bytes behind it, of which there are as many. */
static inline const char *
fs_avro_length(FsAvroDecoder *decoder, const char *p, size_t *len)
{
	uint64_t	value;
	const char *next = fs_avro_varint(decoder, p, &value);

	if (next == NULL)
		return NULL;
	/* a negative length has its last bit set */
	if ((value & 1) || (value >> 1) > (uint64_t) (decoder->end - next))
		return fs_avro_malformed(decoder, p, "length runs beyond the end");
	*len = (size_t) (value >> 1);
	return next;
}

/* Making programs: how a writer's type meets a reader's. */
typedef struct FsAvroRef
{
	const FsAvroSchema *schema; /* NULL: there is no reader's type */
	int			node;
} FsAvroRef;

/* No reader's type: the writer's is what is wanted. */
static const FsAvroRef fs_avro_none = {NULL, -1};

typedef enum FsAvroMatch
{
	FS_AVRO_DIFFERENT,
	FS_AVRO_PROMOTED,
	FS_AVRO_SAME
} FsAvroMatch;

static inline const FsAvroNode *
fs_avro_node(FsAvroRef ref)
{
	return &ref.schema->nodes[ref.node];
}

static inline FsAvroRef
fs_avro_child(FsAvroRef ref, int member)
{
	FsAvroRef	child = {ref.schema, ref.schema->members[member].node};

	return child;
}

/* Does a value of one type read as the other?  Neither is a union; parts are not looked at. */
extern FsAvroMatch fs_avro_match(FsAvroRef writer, FsAvroRef reader);

/* The branch of the reader's union that the writer's type (no union) reads as; its member, or -1. */
extern int	fs_avro_match_branch(FsAvroRef writer, FsAvroRef reader);

/* Is there a type, and is it a union? */
static inline bool
fs_avro_is_union(FsAvroRef ref)
{
	return ref.schema != NULL && fs_avro_node(ref)->type == FS_AVRO_UNION;
}

/* The reader's branch where it has a union; the union when none matches.  The writer's type is none. */
extern FsAvroRef fs_avro_pick_branch(FsAvroRef writer, FsAvroRef reader);

/* Which fields of two records are the same, by name or alias. */
typedef struct FsAvroFieldMap
{
	int		   *reader;			/* per writer's field, in order: the reader's member, or -1 */
	bool	   *is_written;		/* per reader's field, in order */
} FsAvroFieldMap;

/* Fills in the map, which the caller frees; false when memory is out, and nothing is to be freed. */
extern bool fs_avro_map_fields(FsAvroFieldMap *map, FsAvroRef writer, FsAvroRef reader);
extern void fs_avro_free_map(FsAvroFieldMap *map);

/* How many units of the logical type (or of the column's unit) are a second: 10 to this power. */
extern int	fs_avro_time_digits(const FsAvroConv *conv);

/* Fills in how a scalar is read; all but symbols and field. */
extern void fs_avro_conv_init(FsAvroConv *conv, FsAvroRef writer, FsAvroRef reader);

/* Can the scalar be a value of the field (which is no jsonb)? */
extern bool fs_avro_fits(const FsAvroConv *conv, const FsField *field);

/* Writes what a type is ("long (timestamp-millis)"), and which columns take it. */
extern void fs_avro_describe(char *out, size_t size, FsAvroRef ref);
extern void fs_avro_write_hint(char *out, size_t size, const FsAvroConv *conv,
							   const FsField *field);

#endif							/* FS_CORE_AVRO_PROGRAM_H */
