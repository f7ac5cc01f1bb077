/*
 * option_hint.h
 *		Options: "Perhaps you meant", the closest of the names that would have
 *		been right; values that several wrappers read alike.
 */
#ifndef FS_CATALOG_OPTION_HINT_H
#define FS_CATALOG_OPTION_HINT_H

#include "postgres.h"

#include "lib/stringinfo.h"

typedef struct FsOptionHint
{
	const char *source;			/* what the user wrote */
	const char *match;			/* closest candidate so far; NULL: none near */
	int			distance;
	int			candidates;
	StringInfoData names;		/* all candidates, for when none is near */
} FsOptionHint;

extern void fs_option_hint_start(FsOptionHint *hint, const char *source);
extern void fs_option_hint_consider(FsOptionHint *hint, const char *candidate);

/* The hint's text, palloc'd: the closest name, else all of them. */
extern const char *fs_option_hint_text(FsOptionHint *hint);

/* The value of a Boolean option; throws when it is none. */
extern bool fs_option_bool(const char *name, const char *value);

#endif							/* FS_CATALOG_OPTION_HINT_H */
