/*
 * json_decoder.h
 *		What the JSON decoder is made of: for decode_json.c, which reads, and
 *		json_decoder.c, which does the rest.
 */
#ifndef FS_CORE_JSON_DECODER_H
#define FS_CORE_JSON_DECODER_H

#include "core/decode.h"
#include "core/json_column.h"
#include "core/json_scan.h"
#include "core/scratch.h"

#define FS_JSON_MAX_GAPS	64
#define FS_JSON_MAX_GAP		112		/* bytes of a gap worth remembering */
#define FS_JSON_NO_FIELD	(-1)
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
	int16_t		field;
	int16_t		len;			/* 0: nothing remembered */
	FsJsonGuess guess;			/* for the value */
	uint32_t	short_mask;		/* its bytes, a bit each; FS_JSON_NO_MASK: none, or more than a load takes */
	char		bytes[FS_JSON_MAX_GAP];
} FsJsonGap;

/* A declared field, and the next one that reads the same key. */
typedef struct FsJsonColumn
{
	FsField		field;			/* its name points into 'names' */
	int			same_key;		/* a greater index, or FS_JSON_NO_FIELD */
	FsJsonGuess guess;			/* if it is alone with its key */
	int			time_digits;	/* of the unit's fraction of a second: 0, 3, 6 */
} FsJsonColumn;

/* A declared field whose last value did not fit; or FS_MISFIT_NONE. */
typedef struct FsJsonRefusal
{
	FsMisfit	misfit;
	const char *start;			/* the value */
	const char *end;
} FsJsonRefusal;

struct FsJsonDecoder
{
	/* Made once */
	int			ncolumns;
	FsJsonColumn *columns;
	FsJsonRefusal *refusals;	/* one per column */
	char	   *names;
	char	   *key;			/* room to unescape the longest key that can match */
	size_t		max_key;		/* its bytes as written */
	uint32_t	hash_mask;
	int16_t    *hash;			/* open addressing; FS_JSON_NO_FIELD is free */

	/* Since the last reset */
	FsScratch	scratch;

	/* Learnt from earlier records */
	FsJsonGap	gaps[FS_JSON_MAX_GAPS + 1];	/* the last one is never learnt */

	/* The record being read */
	FsJsonScan	scan;
	FsValue    *values;
	int			nrefusals;
	bool		no_memory;
};

/* The first column that reads the key, or FS_JSON_NO_FIELD. */
extern int	fs_json_find_field(FsJsonDecoder *decoder, const FsJsonToken *key);

/* Fills *error for a record that is malformed at 'at'; always false. */
extern bool fs_json_refuse_record(FsDecodeError *error, const char *begin, const char *at,
								  const char *end, const char *wrong);

/* Fills *error for the first misfit of the record; always false. */
extern bool fs_json_refuse_value(const FsJsonDecoder *decoder, FsDecodeError *error);

#endif							/* FS_CORE_JSON_DECODER_H */
