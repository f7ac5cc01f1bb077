/*
 * reason.c
 *		The words for why an event was not counted.
 *
 * They are stored in feature_stream.dead_letter.reason and users filter by
 * them: a word, once released, never changes.
 */
#include "core/decode.h"

/* Never NULL.  A reason without a word would be a dead letter nobody finds. */
const char *
fs_reason_name(FsReason reason)
{
	switch (reason)
	{
		case FS_REASON_NONE:
			return "none";
		case FS_REASON_MALFORMED:
			return "malformed";
		case FS_REASON_MISSING_FIELD:
			return "missing_field";
		case FS_REASON_CHECK_VIOLATION:
			return "check_violation";
		case FS_REASON_BAD_VALUE:
			return "bad_value";
		case FS_REASON_FUTURE:
			return "future";
		case FS_REASON_LATE:
			return "late";
		case FS_REASON_TOMBSTONE:
			return "tombstone";
		case FS_REASON_EXPRESSION_ERROR:
			return "expression_error";
		case FS_REASON_UNKNOWN_SCHEMA:
			return "unknown_schema";
	}
	return "unknown";			/* not an FsReason: keeps compilers quiet */
}
