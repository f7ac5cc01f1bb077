/*
 * kafka_header.c
 *		Record headers as JSON, and back; see kafka_header.h.
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

/* A member of a header's object that is a string; NULL: it has none. */
static const JsonbValue *
find_text(JsonbContainer *header, const char *name, JsonbValue *buffer)
{
	const JsonbValue *value = getKeyJsonValueFromContainer(header, name, strlen(name), buffer);

	return value != NULL && value->type == jbvString ? value : NULL;
}

/* What append_bytes() wrote: "name_base64" when it is that, else "name"; NULL: neither. */
static const char *
find_bytes(JsonbContainer *header, const char *name, size_t *len)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_text(header, psprintf("%s_base64", name), &buffer);

	if (value != NULL)
	{
		int			size = pg_b64_dec_len(value->val.string.len);
		char	   *bytes = palloc(Max(size, 1));

		size = pg_b64_decode(value->val.string.val, value->val.string.len, bytes, size);
		*len = Max(size, 0);
		if (size >= 0)
			return bytes;
		pfree(bytes);
	}
	value = find_text(header, name, &buffer);
	*len = value == NULL ? 0 : value->val.string.len;
	return value == NULL ? NULL : value->val.string.val;
}

/* See kafka_header.h. */
const char *
fs_kafka_header_find(Jsonb *headers, const char *key, size_t *len)
{
	*len = 0;
	if (!JB_ROOT_IS_ARRAY(headers))
		return NULL;
	for (int i = (int) JB_ROOT_COUNT(headers) - 1; i >= 0; i--)
	{
		const JsonbValue *header = getIthJsonbValueFromContainer(&headers->root, i);
		const char *bytes;
		size_t		size;

		if (header->type != jbvBinary || !JsonContainerIsObject(header->val.binary.data))
			continue;
		bytes = find_bytes(header->val.binary.data, "key", &size);
		if (bytes == NULL || size != strlen(key) || memcmp(bytes, key, size) != 0)
			continue;
		bytes = find_bytes(header->val.binary.data, "value", len);
		return bytes == NULL ? "" : bytes;
	}
	return NULL;
}
