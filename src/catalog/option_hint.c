/*
 * option_hint.c
 *		Options: names that would have been right, values; see option_hint.h.
 *
 * PostgreSQL's own helper for this came with version 16; the rules are the
 * same: at most four edits, and fewer than half of the letters changed.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/varlena.h"

#include "catalog/option_hint.h"

#define MAX_EDITS 4

/* varstr_levenshtein throws for longer ones. */
#define MAX_LENGTH 255

void
fs_option_hint_start(FsOptionHint *hint, const char *source)
{
	hint->source = source;
	hint->match = NULL;
	hint->distance = MAX_EDITS + 1;
	hint->candidates = 0;
	initStringInfo(&hint->names);
}

/* Takes one right name into account. */
void
fs_option_hint_consider(FsOptionHint *hint, const char *candidate)
{
	int			length = strlen(hint->source);
	int			distance;

	Assert(candidate != NULL && candidate != hint->source);
	appendStringInfo(&hint->names, "%s%s", hint->candidates++ > 0 ? ", " : "",
					 candidate);
	if (length == 0 || length > MAX_LENGTH || strlen(candidate) > MAX_LENGTH)
		return;
	distance = varstr_levenshtein_less_equal(hint->source, length, candidate,
											 strlen(candidate), 1, 1, 1,
											 MAX_EDITS, false);
	if (distance <= MAX_EDITS && distance < hint->distance &&
		distance <= length / 2)
	{
		hint->match = candidate;
		hint->distance = distance;
	}
}

/* See option_hint.h. */
const char *
fs_option_hint_text(FsOptionHint *hint)
{
	if (hint->candidates == 0)
		return "There are no valid options in this context.";
	if (hint->match != NULL)
		return psprintf("Perhaps you meant the option \"%s\".", hint->match);
	return psprintf("Valid options in this context are: %s.",
					hint->names.data);
}

/* See option_hint.h. */
bool
fs_option_bool(const char *name, const char *value)
{
	bool		result;

	if (!parse_bool(value, &result))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" requires a Boolean value", name)));
	return result;
}
