/*
 * test_registry_answer.c
 *		What answers of schema registries mean.
 */
#include <stdlib.h>
#include <string.h>

#include "core/registry_answer.h"
#include "unit.h"

static FsRegistryAnswer answer;

/* Reads a copy of the exact size. */
static FsRegistryVerdict
read_copy(int status, bool is_reference, const char *body, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, body, len);
	fs_registry_answer_free(&answer);
	fs_registry_answer_read(&answer, status, is_reference, copy, len);
	free(copy);
	return answer.verdict;
}

static FsRegistryVerdict
read_answer(int status, const char *body)
{
	return read_copy(status, false, body, strlen(body));
}

static bool
is_trouble(int status, const char *body, const char *message)
{
	return read_answer(status, body) == FS_REGISTRY_TROUBLE && strstr(answer.message, message) != NULL;
}

/* What it holds. */
static void
check_schemas(void)
{
	CHECK(read_answer(200, "{\"schema\": \"\\\"string\\\"\"}") == FS_REGISTRY_SCHEMA);
	CHECK(strcmp(answer.schema, "\"string\"") == 0 && strcmp(answer.type, "AVRO") == 0 && answer.nreferences == 0);
	CHECK(read_answer(200, " {\"id\": 7, \"schemaType\":\"PROTOBUF\" ,\"schema\":\"syn\\u0074ax \\u00fc\", \"references\":[]}\n") == FS_REGISTRY_SCHEMA);
	CHECK(strcmp(answer.schema, "syntax \xc3\xbc") == 0 && strcmp(answer.type, "PROTOBUF") == 0);
	CHECK(read_answer(200, "{\"schema\": \"x\", \"schemaType\": null, \"references\": null}") == FS_REGISTRY_SCHEMA);
	CHECK(strcmp(answer.type, "AVRO") == 0);
	CHECK(read_answer(200, "{\"references\": [{\"name\": \"a.B\", \"subject\": \"b/\\u00fc\", \"version\": 3}, "
					  "{\"version\": 2147483647, \"subject\": \"c\", \"name\": \"c\"}], \"schema\": \"x\"}") == FS_REGISTRY_SCHEMA);
	CHECK(answer.nreferences == 2 && strcmp(answer.references[0].subject, "b/\xc3\xbc") == 0 && answer.references[0].version == 3);
	CHECK(answer.references[1].version == 2147483647 && strcmp(answer.references[0].name, "a.B") == 0);
	/* the last of duplicate keys wins */
	CHECK(read_answer(200, "{\"schema\": \"x\", \"schema\": \"y\"}") == FS_REGISTRY_SCHEMA && strcmp(answer.schema, "y") == 0);
}

/* That it holds none. */
static void
check_unknown(void)
{
	const char *missing = "{\"error_code\": 40403, \"message\": \"Schema not found\"}";
	const char *subject = "{\"error_code\": 40401, \"message\": \"Subject not found\"}";

	CHECK(read_answer(404, missing) == FS_REGISTRY_UNKNOWN);
	CHECK(is_trouble(404, subject, "status 404 (error code 40401)"));
	CHECK(read_copy(404, true, subject, strlen(subject)) == FS_REGISTRY_UNKNOWN);
	CHECK(is_trouble(404, "{\"error_code\": 404, \"message\": \"no such page\"}", "status 404 (error code 404)"));
	CHECK(is_trouble(404, "<html>nothing here</html>", "answers with status 404"));
	CHECK(is_trouble(404, "", "answers with status 404"));
	CHECK(is_trouble(500, missing, "status 500 (error code 40403)"));
	CHECK(is_trouble(404, "{\"error_code\": \"40403\"}", "answers with status 404"));
	CHECK(is_trouble(404, "{\"error_code\": 40403.5}", "answers with status 404"));
}

/* That it holds one which is no good, and never will be. */
static void
check_unusable(void)
{
	static char many[64 * (FS_REGISTRY_MAX_REFERENCES + 1) + 64] = "{\"schema\": \"x\", \"references\": [";

	CHECK(read_answer(200, "{\"schema\": \"a\\u0000b\"}") == FS_REGISTRY_UNUSABLE && strstr(answer.message, "no text can have") != NULL);
	CHECK(read_answer(200, "{\"schema\": \"\\ud800\"}") == FS_REGISTRY_UNUSABLE);
	CHECK(read_answer(200, "{\"schema\": \"\\ud800\", \"schema\": \"x\"}") == FS_REGISTRY_SCHEMA);
	for (int i = 0; i < FS_REGISTRY_MAX_REFERENCES; i++)
		strcat(many, i == 0 ? "{\"subject\": \"a\", \"version\": 1}" : ",{\"subject\": \"a\", \"version\": 1}");
	strcat(many, "]}");
	CHECK(read_answer(200, many) == FS_REGISTRY_SCHEMA && answer.nreferences == FS_REGISTRY_MAX_REFERENCES);
	strcpy(many + strlen(many) - 2, ",{\"subject\": \"a\", \"version\": 1}]}");
	CHECK(read_answer(200, many) == FS_REGISTRY_UNUSABLE && strcmp(answer.message, "refers to too many others") == 0);
}

/* That nothing was learned. */
static void
check_trouble(void)
{
	CHECK(is_trouble(200, "", "no JSON object"));
	CHECK(is_trouble(200, "[]", "no JSON object"));
	CHECK(is_trouble(200, "{\"schema\": \"x\"", "no JSON object"));
	CHECK(is_trouble(200, "{\"schema\": \"x\"} x", "no JSON object"));
	CHECK(is_trouble(200, "{\"schema\": \"\xff\"}", "no JSON object"));
	CHECK(is_trouble(200, "{}", "without a schema"));
	CHECK(is_trouble(200, "{\"schema\": 7}", "without a schema"));
	CHECK(is_trouble(200, "{\"schema\": \"x\", \"schemaType\": 1}", "without a schema"));
	CHECK(is_trouble(200, "{\"schema\": \"x\", \"references\": {}}", "references that are none"));
	CHECK(is_trouble(200, "{\"schema\": \"x\", \"references\": [1]}", "references that are none"));
	CHECK(is_trouble(200, "{\"schema\": \"x\", \"references\": [{\"subject\": \"a\"}]}", "references that are none"));
	CHECK(is_trouble(200, "{\"schema\": \"x\", \"references\": [{\"subject\": \"a\", \"version\": 0}]}", "references that are none"));
	CHECK(is_trouble(301, "", "sends us elsewhere"));
	CHECK(is_trouble(401, "{\"error_code\": 40101}", "status 401 (error code 40101)"));
	CHECK(is_trouble(204, "", "status 204"));
}

/* Numbers of versions, modes, numbers of schemas, and what the registry says. */
static void
check_others(void)
{
	static const char many[] = "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,";
	static char versions[FS_REGISTRY_MAX_VERSIONS * 2 + 64] = "[";

	fs_registry_answer_free(&answer);
	fs_registry_versions_read(&answer, 200, "[3, 1, 2147483647]", 18);
	CHECK(answer.verdict == FS_REGISTRY_SCHEMA && answer.nversions == 3 && answer.versions[0] == 3 && answer.versions[2] == 2147483647);
	fs_registry_versions_read(&answer, 200, "[]", 2);
	CHECK(answer.verdict == FS_REGISTRY_SCHEMA && answer.nversions == 0);
	fs_registry_versions_read(&answer, 200, "[0]", 3);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE);
	fs_registry_versions_read(&answer, 200, "{}", 2);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE && strstr(answer.message, "without versions") != NULL);
	fs_registry_versions_read(&answer, 404, "{\"error_code\": 40401}", 21);
	CHECK(answer.verdict == FS_REGISTRY_UNKNOWN);
	for (int i = 0; i < FS_REGISTRY_MAX_VERSIONS / 16; i++)
		strcat(versions, many);
	strcat(versions, "1]");
	fs_registry_versions_read(&answer, 200, versions, strlen(versions));
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE && strstr(answer.message, "too many") != NULL);
	fs_registry_types_read(&answer, 200, "[\"JSON\", \"AVRO\"]", 16);
	CHECK(answer.verdict == FS_REGISTRY_SCHEMA);
	fs_registry_types_read(&answer, 200, "[\"JSON\", 7]", 11);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE && strstr(answer.message, "without the type AVRO") != NULL);
	fs_registry_types_read(&answer, 200, "{\"AVRO\": 1}", 11);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE && strstr(answer.message, "without types") != NULL);
	fs_registry_types_read(&answer, 404, "[\"AVRO\"]", 8);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE && strstr(answer.message, "status 404") != NULL);
	fs_registry_level_read(&answer, 200, "{\"compatibilityLevel\": \"FULL\"}", 30);
	CHECK(answer.verdict == FS_REGISTRY_SCHEMA && strcmp(answer.level, "FULL") == 0);
	fs_registry_answer_free(&answer);
	fs_registry_level_read(&answer, 404, "{\"error_code\": 40408}", 21);
	CHECK(answer.verdict == FS_REGISTRY_UNKNOWN);
	fs_registry_level_read(&answer, 200, "{}", 2);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE);
	fs_registry_id_read(&answer, 200, "{\"id\": 7}", 9);
	CHECK(answer.verdict == FS_REGISTRY_SCHEMA && answer.id == 7);
	fs_registry_id_read(&answer, 200, "{\"id\": 0}", 9);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE);
	fs_registry_id_read(&answer, 409, "{\"error_code\": 409, \"message\": \"not \\u0041\"}", 44);
	CHECK(answer.verdict == FS_REGISTRY_TROUBLE && strcmp(answer.words, "not A") == 0);
	fs_registry_answer_free(&answer);
}

int
main(void)
{
	check_others();
	check_schemas();
	check_unknown();
	check_unusable();
	check_trouble();
	fs_registry_answer_free(&answer);
	return unit_finish();
}
