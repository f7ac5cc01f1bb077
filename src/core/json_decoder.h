/*
 * json_decoder.h
 *		What the JSON decoder is made of: for decode_json.c and json_nested.c, which
 *		read, and json_decoder.c, which does the rest.
 */
#ifndef FS_CORE_JSON_DECODER_H
#define FS_CORE_JSON_DECODER_H

#include "core/buffer.h"
#include "core/decode.h"
#include "core/json_column.h"
#include "core/json_scan.h"
#include "core/scratch.h"

#define FS_JSON_MAX_GAPS	64
#define FS_JSON_MAX_GAP		112		/* bytes of a gap worth remembering */
#define FS_JSON_NO_FIELD	(-1)
#define FS_JSON_ROOT		(-1)	/* the record's own object, as a parent */
#define FS_JSON_NO_ITEM		(-1)
#define FS_JSON_NO_MASK		UINT32_MAX

/* What is tried first of all with a value, because it nearly always succeeds. */
typedef enum FsJsonGuess
{
	FS_JSON_GUESS_NOTHING,
	FS_JSON_GUESS_TEXT,			/* a string without escapes, for a text column or none */
	FS_JSON_GUESS_TIME			/* a number of the plainest form, for a time */
} FsJsonGuess;

/* What stood before a value in an earlier record. */
typedef struct FsJsonGap
{
	int32_t		field;
	int32_t		len;			/* 0: nothing remembered */
	FsJsonGuess guess;			/* for the value */
	uint32_t	short_mask;		/* its bytes, a bit each; FS_JSON_NO_MASK: none, or more than a load takes */
	char		bytes[FS_JSON_MAX_GAP];
} FsJsonGap;

/*
 * What a key stands for, and the next one that reads the same key.  The first
 * entries are the declared fields, under their whole names; behind them come those
 * inside of objects (json_nested.c).
 */
typedef struct FsJsonColumn
{
	FsField		field;			/* of a declared field; its name points into 'names' */
	bool		is_plain;		/* a declared field that is no array */
	int			column;			/* which declared field it is; -1: an object that paths lead into */
	int			parent;			/* the entry of the object it is in, or FS_JSON_ROOT */
	const char *key;			/* its name there, in 'names' */
	size_t		key_len;
	uint32_t	seen_in;		/* an object: number of the record that had it last */
	int			same_key;		/* or FS_JSON_NO_FIELD */
	FsJsonGuess guess;			/* if it is alone with its key */
	int			time_digits;	/* of the unit's fraction of a second: 0, 3, 6 */
} FsJsonColumn;

/* A declared field whose last value did not fit; or FS_MISFIT_NONE. */
typedef struct FsJsonRefusal
{
	FsMisfit	misfit;
	int			item;			/* of an array; FS_JSON_NO_ITEM: the whole value */
	const char *start;			/* the value */
	const char *end;
} FsJsonRefusal;

struct FsJsonDecoder
{
	/* Made once */
	int			ncolumns;		/* declared fields */
	int			nentries;		/* these, and what is inside of objects */
	FsJsonColumn *columns;
	FsJsonRefusal *refusals;	/* one per column */
	char	   *names;
	char	   *key;			/* room to unescape the longest key that can match */
	size_t		max_key;		/* its bytes as written */
	uint32_t	hash_mask;
	int32_t    *hash;			/* open addressing; FS_JSON_NO_FIELD is free */

	/* Since the last reset */
	FsScratch	scratch;
	FsBuffer	items;			/* of the array being read */

	/* Learnt from earlier records */
	FsJsonGap	gaps[FS_JSON_MAX_GAPS + 1];	/* the last one is never learnt */

	/* The record being read */
	FsJsonScan	scan;
	FsValue    *values;
	uint32_t	nrecords;		/* so far */
	int			nrefusals;
	bool		no_memory;
};

/* The first entry that reads the key in the object of entry 'parent', or FS_JSON_NO_FIELD. */
extern int	fs_json_find_field(FsJsonDecoder *decoder, int parent, const FsJsonToken *key);

/*
 * Notes what became of a field's value, or of an element of it; a later one makes
 * up for a misfit.
 */
extern void fs_json_note_misfit(FsJsonDecoder *decoder, int column, const FsJsonToken *token,
								FsMisfit misfit, int item);

/* Takes a token for an entry that is not plain, or is inside of an object. */
extern void fs_json_take_nested(FsJsonDecoder *decoder, const FsJsonToken *token, int entry);

/* Takes a token into a declared field that is no array. */
static inline void
fs_json_take_plain(FsJsonDecoder *decoder, const FsJsonToken *token, int column)
{
	FsValue    *value = &decoder->values[column];
	FsMisfit	misfit = FS_MISFIT_NONE;

	value->presence = FS_NULL;
	if (token->kind != FS_JSON_NULL)
	{
		misfit = fs_json_take_value(&decoder->scratch, &decoder->columns[column].field,
									token, value);
		value->presence = FS_PRESENT;
	}
	if (misfit != FS_MISFIT_NONE || decoder->nrefusals > 0)
		fs_json_note_misfit(decoder, column, token, misfit, FS_JSON_NO_ITEM);
}

/* Fills *error for a record that is malformed at 'at'; always false. */
extern bool fs_json_refuse_record(FsDecodeError *error, const char *begin, const char *at,
								  const char *end, const char *wrong);

/* Fills *error for the first misfit of the record; always false. */
extern bool fs_json_refuse_value(const FsJsonDecoder *decoder, FsDecodeError *error);

#endif							/* FS_CORE_JSON_DECODER_H */
