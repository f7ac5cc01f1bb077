/*
 * kafka_header.c
 *		Record headers as JSON; see kafka_header.h.
 */
#include "postgres.h"

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/json.h"

#include "source/kafka_header.h"

/* Appends "name":"text", or "name_base64":"..." for what is not UTF-8 text. */
static void
append_bytes(StringInfo json, const char *name, const char *data, int len)
{
	char	   *text;
	int			size;

	if (pg_encoding_verifymbstr(PG_UTF8, data, len) == len)
	{
		text = pnstrdup(data, len);
		appendStringInfo(json, "\"%s\":", name);
		escape_json(json, text);
		pfree(text);
		return;
	}
	size = pg_b64_enc_len(len);
	text = palloc(size + 1);
	size = pg_b64_encode(data, len, text, size);
	text[Max(size, 0)] = '\0';
	appendStringInfo(json, "\"%s_base64\":\"%s\"", name, text);
	pfree(text);
}

/* See kafka_header.h.  The form of bytes is never shorter than they are. */
bool
fs_kafka_header_append(StringInfo json, const char *key, const void *value, size_t size, size_t max)
{
	int			before = json->len;

	Assert(size <= PG_INT32_MAX && before > 0);
	if (before + strlen(key) + size > max)
		return false;
	if (before > 1)
		appendStringInfoChar(json, ',');
	appendStringInfoChar(json, '{');
	append_bytes(json, "key", key, strlen(key));
	appendStringInfoChar(json, ',');
	if (value == NULL)
		appendStringInfoString(json, "\"value\":null");
	else
		append_bytes(json, "value", value, size);
	appendStringInfoChar(json, '}');
	if (json->len <= max)
		return true;
	json->len = before;
	json->data[before] = '\0';
	return false;
}
