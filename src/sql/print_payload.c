/*
 * print_payload.c
 *		print_payload(): bytes of a record as a line that a person can read.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/utf8.h"

PG_FUNCTION_INFO_V1(fs_print_payload);

/* More is no line any more. */
#define MAX_PRINTED (1024 * 1024)

/*
 * print_payload(payload bytea, max_bytes int) returns text
 *
 * No more of the payload is detoasted than is printed: each of its bytes makes
 * at least one of the text, so that anything beyond max_bytes is left out.
 */
Datum
fs_print_payload(PG_FUNCTION_ARGS)
{
	int32		max = PG_GETARG_INT32(1);
	bytea	   *payload;
	char	   *text;
	size_t		len;

	if (max < 1 || max > MAX_PRINTED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_bytes must be from 1 to %d", MAX_PRINTED)));
	payload = PG_GETARG_BYTEA_P_SLICE(0, 0, max + 4);
	text = palloc(max + 4);
	len = fs_utf8_print(text, max, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload));
	Assert(len <= max + 3);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text, len));
}
