/*
 * registry_answer.c
 *		What a schema registry answered: the JSON of its HTTP interface, read.
 *
 * Only a 404 with the registry's own code for it says that there is no such
 * schema.  Any other 404 is a wrong path, or a proxy before the registry: a fault
 * of the configuration, for which no record is to blame; or a question that the
 * registry has no ear for (source/registry.c).
 */
#include "core/registry_answer.h"

#include <stdio.h>
#include <string.h>

#include "core/avro_parse.h"

#define NO_SUBJECT	40401
#define NO_VERSION	40402
#define NO_SCHEMA	40403
#define NO_LEVEL	40408

/* Nothing was learned: says why. */
static void
note_trouble(FsRegistryAnswer *answer, const char *message)
{
	answer->verdict = FS_REGISTRY_TROUBLE;
	snprintf(answer->message, sizeof(answer->message), "%s", message);
}

/* There is a schema, but none to use: says why. */
static void
note_unusable(FsRegistryAnswer *answer, const char *message)
{
	note_trouble(answer, message);
	answer->verdict = FS_REGISTRY_UNUSABLE;
}

/* Is it a string of characters that no text of ours can have? */
static bool
is_odd_string(const FsJsonToken *token)
{
	return fs_avro_is_string(token) && (token->seen & (FS_JSON_SEEN_NUL | FS_JSON_SEEN_SURROGATE)) != 0;
}

/* The characters of a string, NUL-terminated; NULL when it is none or an odd one, or memory is out. */
static const char *
take_string(FsRegistryAnswer *answer, const FsJsonToken *token)
{
	size_t		len;
	char	   *out;

	if (!fs_avro_is_string(token) || is_odd_string(token))
		return NULL;
	len = (size_t) (token->end - token->start) - 2;
	out = fs_scratch_take(&answer->memory, len + 1);
	if (out == NULL)
		return NULL;
	if (token->seen & FS_JSON_SEEN_ESCAPE)
		len = fs_json_unescape(out, token->start + 1, token->end - 1);
	else
		memcpy(out, token->start + 1, len);
	out[len] = '\0';
	return out;
}

/* Reads one reference; false when it does not say what it refers to. */
static bool
read_reference(FsRegistryAnswer *answer, const FsJsonToken *object)
{
	FsRegistryReference *reference = &answer->references[answer->nreferences];
	FsJsonToken key;
	FsJsonToken value;
	const char *p = NULL;

	reference->name = reference->subject = NULL;
	reference->version = 0;
	while (fs_avro_next_entry(object, &p, &key, &value))
	{
		if (fs_avro_key_is(&key, "subject"))
			reference->subject = take_string(answer, &value);
		else if (fs_avro_key_is(&key, "name"))
			reference->name = take_string(answer, &value);
		else if (fs_avro_key_is(&key, "version") &&
				 !fs_avro_read_whole(&value, 1, INT32_MAX, &reference->version))
			return false;
	}
	if (reference->subject == NULL || reference->version == 0)
		return false;
	answer->nreferences++;
	return true;
}

/* Reads the list of references; false, and takes over why, when it is none or too long. */
static bool
read_references(FsRegistryAnswer *answer, const FsJsonToken *array)
{
	FsJsonToken element;
	const char *p = NULL;
	bool		is_list = array->kind == FS_JSON_NULL || fs_avro_is_array(array);

	answer->nreferences = 0;
	while (is_list && array->kind != FS_JSON_NULL && fs_avro_next_element(array, &p, &element))
	{
		if (answer->nreferences == FS_REGISTRY_MAX_REFERENCES)
		{
			note_unusable(answer, "refers to too many others");
			return false;
		}
		is_list = fs_avro_is_object(&element) && read_reference(answer, &element);
	}
	if (!is_list)
		note_trouble(answer, "answers with references that are none");
	return is_list;
}

/* Reads the body; false when it is not JSON. */
static bool
scan_body(const char *body, size_t len, FsJsonToken *token)
{
	FsJsonScan	scan = {.begin = body, .end = body + len};
	const char *end;

	if (body == NULL || fs_utf8_valid_length(body, len) < len)
		return false;
	end = fs_json_scan_value(&scan, body, token);
	return end != NULL && fs_json_skip_space(end, scan.end) == scan.end;
}

/* Takes over a schema. */
static void
read_schema(FsRegistryAnswer *answer, const FsJsonToken *object)
{
	FsJsonToken key;
	FsJsonToken value;
	const char *p = NULL;
	bool		is_odd = false;

	answer->type = "AVRO";
	while (fs_avro_next_entry(object, &p, &key, &value))
	{
		if (fs_avro_key_is(&key, "schema"))
		{
			answer->schema = take_string(answer, &value);
			is_odd = is_odd_string(&value);
		}
		else if (fs_avro_key_is(&key, "schemaType") && value.kind != FS_JSON_NULL)
			answer->type = take_string(answer, &value);
		else if (fs_avro_key_is(&key, "id") && !fs_avro_read_whole(&value, 0, INT32_MAX, &answer->id))
			answer->id = 0;
		else if (fs_avro_key_is(&key, "references") && !read_references(answer, &value))
			return;
	}
	if (is_odd)
		note_unusable(answer, "has characters that no text can have");
	else if (answer->schema == NULL || answer->type == NULL)
		note_trouble(answer, "answers without a schema");
	else
		answer->verdict = FS_REGISTRY_SCHEMA;
}

/* The registry's own number for what is wrong, or 0; its words go to the answer. */
static int
read_error(FsRegistryAnswer *answer, const FsJsonToken *object)
{
	FsJsonToken key;
	FsJsonToken value;
	const char *p = NULL;
	int			code = 0;

	while (fs_avro_next_entry(object, &p, &key, &value))
	{
		if (fs_avro_key_is(&key, "message"))
			answer->words = take_string(answer, &value);
		else if (fs_avro_key_is(&key, "error_code") &&
				 !fs_avro_read_whole(&value, 0, INT32_MAX, &code))
			code = 0;
	}
	return code;
}

/* An empty answer. */
static void
begin_answer(FsRegistryAnswer *answer)
{
	answer->verdict = FS_REGISTRY_TROUBLE;
	answer->schema = answer->type = answer->level = answer->words = NULL;
	answer->id = answer->nreferences = answer->nversions = 0;
	answer->message[0] = '\0';
	memset(&answer->memory, 0, sizeof(answer->memory));
}

/* Takes over that there is nothing, or no answer; 'object' is NULL when the body is none. */
static void
read_refusal(FsRegistryAnswer *answer, int status, bool is_of_subject, const FsJsonToken *object)
{
	int			code = object != NULL ? read_error(answer, object) : 0;

	answer->verdict = FS_REGISTRY_UNKNOWN;
	if (status == 404 && (code == NO_SCHEMA ||
						  (is_of_subject && (code == NO_SUBJECT || code == NO_VERSION || code == NO_LEVEL))))
		return;
	answer->verdict = FS_REGISTRY_TROUBLE;
	if (status == 200)
		note_trouble(answer, "answers with what is no JSON object");
	else if (status >= 300 && status < 400)
		note_trouble(answer, "sends us elsewhere, where we do not go");
	else
		snprintf(answer->message, sizeof(answer->message),
				 code != 0 ? "answers with status %d (error code %d)" : "answers with status %d",
				 status, code);
}

/* Is there an answer, an object?  Else takes over why not. */
static bool
is_answered(FsRegistryAnswer *answer, int status, bool is_of_subject, const char *body, size_t len,
			FsJsonToken *object)
{
	bool		is_object = scan_body(body, len, object) && fs_avro_is_object(object);

	begin_answer(answer);
	if (status == 200 && is_object)
		return true;
	read_refusal(answer, status, is_of_subject, is_object ? object : NULL);
	return false;
}

/* See registry_answer.h. */
void
fs_registry_answer_read(FsRegistryAnswer *answer, int status, bool is_reference,
						const char *body, size_t len)
{
	FsJsonToken object;

	if (is_answered(answer, status, is_reference, body, len, &object))
		read_schema(answer, &object);
}

/* Is the answer an array?  Else takes over why not: 'without' is what is missing in an object. */
static bool
is_answered_array(FsRegistryAnswer *answer, int status, bool is_of_subject, const char *body, size_t len,
				  const char *without, FsJsonToken *array)
{
	if (status == 200 && scan_body(body, len, array) && fs_avro_is_array(array))
	{
		begin_answer(answer);
		return true;
	}
	if (is_answered(answer, status, is_of_subject, body, len, array))
		note_trouble(answer, without);
	return false;
}

/* See registry_answer.h. */
void
fs_registry_versions_read(FsRegistryAnswer *answer, int status, const char *body, size_t len)
{
	FsJsonToken array;
	FsJsonToken element;
	const char *p = NULL;

	if (!is_answered_array(answer, status, true, body, len, "answers without versions", &array))
		return;
	while (fs_avro_next_element(&array, &p, &element))
	{
		if (answer->nversions == FS_REGISTRY_MAX_VERSIONS)
		{
			note_trouble(answer, "has too many versions of the subject");
			return;
		}
		if (!fs_avro_read_whole(&element, 1, INT32_MAX, &answer->versions[answer->nversions++]))
		{
			note_trouble(answer, "answers with versions that are none");
			return;
		}
	}
	answer->verdict = FS_REGISTRY_SCHEMA;
}

/* See registry_answer.h. */
void
fs_registry_types_read(FsRegistryAnswer *answer, int status, const char *body, size_t len)
{
	FsJsonToken array;
	FsJsonToken element;
	const char *p = NULL;

	if (!is_answered_array(answer, status, false, body, len, "answers without types of schemas", &array))
		return;
	while (fs_avro_next_element(&array, &p, &element))
		if (fs_avro_is_string(&element) && fs_avro_key_is(&element, "AVRO"))
			answer->verdict = FS_REGISTRY_SCHEMA;
	if (answer->verdict != FS_REGISTRY_SCHEMA)
		note_trouble(answer, "answers without the type AVRO");
}

/* See registry_answer.h. */
void
fs_registry_level_read(FsRegistryAnswer *answer, int status, const char *body, size_t len)
{
	FsJsonToken object;
	FsJsonToken key;
	FsJsonToken value;
	const char *p = NULL;

	if (!is_answered(answer, status, true, body, len, &object))
		return;
	while (fs_avro_next_entry(&object, &p, &key, &value))
		if (fs_avro_key_is(&key, "compatibilityLevel") || fs_avro_key_is(&key, "compatibility"))
			answer->level = take_string(answer, &value);
	if (answer->level == NULL)
		note_trouble(answer, "answers without a compatibility");
	else
		answer->verdict = FS_REGISTRY_SCHEMA;
}

/* See registry_answer.h. */
void
fs_registry_id_read(FsRegistryAnswer *answer, int status, const char *body, size_t len)
{
	FsJsonToken object;
	FsJsonToken key;
	FsJsonToken value;
	const char *p = NULL;

	if (!is_answered(answer, status, true, body, len, &object))
		return;
	while (fs_avro_next_entry(&object, &p, &key, &value))
		if (fs_avro_key_is(&key, "id") && !fs_avro_read_whole(&value, 1, INT32_MAX, &answer->id))
			answer->id = 0;
	if (answer->id == 0)
		note_trouble(answer, "answers without the number of the schema");
	else
		answer->verdict = FS_REGISTRY_SCHEMA;
}

/* See registry_answer.h. */
void
fs_registry_answer_free(FsRegistryAnswer *answer)
{
	fs_scratch_free(&answer->memory);
	answer->schema = answer->type = answer->level = answer->words = NULL;
	answer->nreferences = 0;
}
