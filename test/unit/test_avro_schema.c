/*
 * test_avro_schema.c
 *		Reading Avro schemas: what is one, what is not and why, and what is kept.
 *
 * Each schema is parsed from a heap block of its exact length, so that a
 * sanitizer sees a read beyond its end.
 */
#include <stdlib.h>
#include <string.h>

#include "core/avro_schema.h"
#include "core/utf8.h"
#include "unit.h"

/* Parses a copy of one text. */
static FsAvroSchema *
parse(const char *text, char *message)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);
	FsAvroSource source = {copy, len};
	FsAvroSchema *schema;

	memcpy(copy, text, len);
	schema = fs_avro_schema_parse(&source, 1, message);
	free(copy);
	return schema;
}

static const char *const good[] = {
	"\"null\"", " \"int\" ", "{\"type\":\"string\"}", "{\"type\":{\"type\":\"long\"}}",
	"[\"null\",\"int\"]", "[\"int\",\"long\",\"string\",\"bytes\"]",
	"{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"map\",\"values\":[\"null\",\"int\"]}",
	"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"_b\",\"C9\"],\"default\":\"A\"}",
	"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
	"{\"type\":\"fixed\",\"name\":\"F\",\"size\":0}",
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}",
	"{\"type\":\"error\",\"name\":\"R\",\"fields\":[]}",
	"{\"fields\":[{\"type\":\"int\",\"name\":\"a\"}],\"name\":\"R\",\"type\":\"record\"}",
	/* names */
	"{\"type\":\"record\",\"name\":\"a.b.R\",\"namespace\":\"ignored\",\"fields\":[{\"name\":\"x\",\"type\":[\"null\",\"R\"]}]}",
	"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"fields\":[{\"name\":\"x\",\"type\":[\"null\",\"a.b.R\"]}]}",
	"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"n.F\",\"size\":2}},"
	"{\"name\":\"y\",\"type\":\"n.F\"}]}",
	"{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}},"
	"{\"name\":\"y\",\"type\":\"n.E\"},{\"name\":\"z\",\"type\":\"E\"}]}",
	"[{\"type\":\"fixed\",\"name\":\"a.F\",\"size\":1},{\"type\":\"fixed\",\"name\":\"b.F\",\"size\":1}]",
	"{\"type\":\"\\u0069nt\"}",
	/* logical types that do not fit are left out */
	"{\"type\":\"string\",\"logicalType\":\"date\"}", "{\"type\":\"int\",\"logicalType\":\"no such\"}",
	"{\"type\":\"int\",\"logicalType\":7}", "{\"type\":\"bytes\",\"logicalType\":\"decimal\"}",
	"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":3}",
	"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":9}",
	/* defaults */
#define FIELD(type, value) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":" type ",\"default\":" value "}]}"
	FIELD("\"int\"", "-2147483648"), FIELD("\"long\"", "9223372036854775807"), FIELD("\"float\"", "1"),
	FIELD("\"double\"", "-1.5e300"), FIELD("\"string\"", "\"\\u00e9\\n\""), FIELD("\"bytes\"", "\"\\u0000\\u00ff\xc3\xbf\""),
	FIELD("\"null\"", "null"), FIELD("\"boolean\"", "false"), FIELD("[\"null\",\"int\"]", "null"), FIELD("[\"int\",\"null\"]", "7"),
	FIELD("{\"type\":\"array\",\"items\":\"int\"}", "[]"), FIELD("{\"type\":\"map\",\"values\":\"int\"}", "{\"a\":1}"),
	FIELD("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"ab\""),
	FIELD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\"A\""),
	FIELD("{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"default\":2}]}",
		  "{\"a\":1,\"c\":null}"),
};

/* What is refused, and a piece of the sentence that says so. */
static const char *const bad[][2] = {
	{"", "not JSON"}, {"{", "not JSON"}, {"\"int\" x", "nothing after the schema"}, {"\"\xff\"", "invalid UTF-8"},
	{"7", "$: a type must be"}, {"null", "$: a type must be"}, {"\"no\"", "type \"no\" is not known here"},
	{"\"a-b\"", "is not a name"}, {"{}", "$.type: there is no type"}, {"[]", "at least one branch"},
	{"{\"type\":\"int\",\"type\":\"int\"}", "stands there twice"},
	{"[\"int\",[\"null\"]]", "$[1]: a union must not hold a union"}, {"[\"int\",\"int\"]", "two branches of type int"},
	{"[{\"type\":\"array\",\"items\":\"int\"},{\"type\":\"array\",\"items\":\"long\"}]", "two branches of type array"},
	{"[{\"type\":\"fixed\",\"name\":\"F\",\"size\":1},\"F\"]", "has type \"F\" twice"},
	{"{\"type\":\"array\"}", "\"items\""}, {"{\"type\":\"map\",\"items\":\"int\"}", "\"values\""},
	{"{\"type\":\"array\",\"items\":[\"null\",\"x\"]}", "$.items[1]: type \"x\""},
	{"{\"type\":\"enum\",\"symbols\":[]}", "\"name\" must be a string"},
	{"{\"type\":\"enum\",\"name\":\"E\"}", "\"symbols\""}, {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a b\"]}", "symbol of an enum"},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}", "two symbols \"A\""},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}", "no symbol of the enum"},
	{"{\"type\":\"fixed\",\"name\":\"F\"}", "\"size\""}, {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "\"size\""},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":1.5}", "\"size\""}, {"{\"type\":\"fixed\",\"name\":\"1F\",\"size\":1}", "is not a name"},
	{"{\"type\":\"fixed\",\"name\":\"int\",\"size\":1}", "primitive type"}, {"{\"type\":\"fixed\",\"name\":\"a.int\",\"size\":1}", "primitive type"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"namespace\":\"a..b\",\"size\":1}", "is not a namespace"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"aliases\":\"x\",\"size\":1}", "\"aliases\""},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"aliases\":[\"-\"],\"size\":1}", "is not a name"},
	{"{\"type\":\"record\",\"name\":\"R\"}", "\"fields\""}, {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[7]}", "$.fields[0]: a field must be"},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\"}]}", "$.fields[0].type: there is no type"},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a.b\",\"type\":\"int\"}]}", "is not a name"},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"a\",\"type\":\"int\"}]}", "two fields \"a\""},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"R\",\"size\":1}}]}", "defined twice"},
	{"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":1001}", "more than 1000 digits"},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"n\",\"type\":\"\xc3\xa9\"}]}", "is not a name"},
	{FIELD("\"int\"", "2147483648"), "$.R.x.default: the default must be a whole number of 32 bits"},
	{FIELD("\"int\"", "1.0"), "32 bits"}, {FIELD("\"long\"", "\"1\""), "64 bits"}, {FIELD("\"float\"", "1e39"), "range of float"},
	{FIELD("\"double\"", "null"), "range of double"}, {FIELD("\"string\"", "1"), "a string"}, {FIELD("\"string\"", "\"\\u0000\""), "\\u0000"},
	{FIELD("\"bytes\"", "\"\\u0100\""), "up to \\u00ff"}, {FIELD("\"bytes\"", "\"\xe2\x82\xac\""), "up to \\u00ff"},
	{FIELD("\"bytes\"", "\"\xc4\x80\""), "up to \\u00ff"}, {FIELD("\"null\"", "0"), "must be null"}, {FIELD("\"boolean\"", "0"), "true or false"},
	{FIELD("[\"null\",\"int\"]", "1"), "must be null"}, {FIELD("[\"int\",\"null\"]", "null"), "32 bits"},
	{FIELD("{\"type\":\"array\",\"items\":\"int\"}", "{}"), "an array"}, {FIELD("{\"type\":\"map\",\"values\":\"int\"}", "[]"), "an object"},
	{FIELD("{\"type\":\"map\",\"values\":\"int\"}", "{\"a\":null}"), "32 bits"},
	{FIELD("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"abc\""), "must have 2 bytes, not 3"},
	{FIELD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\"B\""), "a symbol of enum \"E\""},
	{FIELD("{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}", "{}"), "lacks field \"a\""},
	/* a default that holds itself */
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"r\",\"type\":\"R\",\"default\":{}}]}", "without end"},
};

static void
test_tables(void)
{
	char		message[FS_AVRO_MESSAGE_SIZE];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		FsAvroSchema *schema = parse(good[i], message);

		if (!CHECK_NAMED(schema != NULL && message[0] == '\0', good[i]))
			printf("# %s\n", message);
		fs_avro_schema_free(schema);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		FsAvroSchema *schema = parse(bad[i][0], message);

		if (!CHECK_NAMED(schema == NULL && strstr(message, bad[i][1]) != NULL &&
						 fs_utf8_valid_length(message, strlen(message)) == strlen(message), bad[i][0]))
			printf("# %s\n", message);
		fs_avro_schema_free(schema);
	}
}

/* What is kept of a schema. */
static void
test_graph(void)
{
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema = parse("{\"type\":\"record\",\"name\":\"n.Click\",\"aliases\":[\"Hit\",\"old.Hit\"],\"fields\":["
								 "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
								 "{\"name\":\"price\",\"aliases\":[\"cost\"],\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2},"
								 "\"default\":\"\\u0001\\u00c8\"},"
								 "{\"name\":\"next\",\"type\":[\"null\",\"Click\"],\"default\":null}]}", message);
	const FsAvroNode *root;
	const FsAvroMember *at;
	const FsAvroMember *price;
	const FsAvroMember *next;

	if (!CHECK(schema != NULL))
		return;
	root = &schema->nodes[schema->root];
	at = &schema->members[root->first];
	price = &schema->members[at->next];
	next = &schema->members[price->next];
	CHECK(root->type == FS_AVRO_RECORD && root->count == 3 && strcmp(root->name, "n.Click") == 0);
	CHECK(root->aliases.count == 2 && strcmp(schema->strings[root->aliases.first], "n.Hit") == 0 &&
		  strcmp(schema->strings[root->aliases.first + 1], "old.Hit") == 0);
	CHECK(schema->nodes[at->node].logical == FS_AVRO_TIMESTAMP_MILLIS && !at->has_default);
	CHECK(price->aliases.count == 1 && strcmp(schema->strings[price->aliases.first], "cost") == 0);
	CHECK(schema->nodes[price->node].precision == 9 && schema->nodes[price->node].scale == 2);
	CHECK(price->default_len == 3 && memcmp(price->default_bytes, "\4\1\xc8", 3) == 0);
	CHECK(next->default_len == 1 && next->default_bytes[0] == 0 && next->next == -1);
	CHECK(schema->members[schema->members[schema->nodes[next->node].first].next].node == schema->root);
	fs_avro_schema_free(schema);
}

/* Types of other sources are known by name. */
static void
test_references(void)
{
	static const char user[] = "{\"type\":\"record\",\"name\":\"com.User\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}]}";
	static const char click[] = "{\"type\":\"record\",\"name\":\"com.Click\",\"fields\":[{\"name\":\"user\",\"type\":\"com.User\",\"default\":{\"id\":7}}]}";
	FsAvroSource sources[] = {{user, sizeof(user) - 1}, {click, sizeof(click) - 1}};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema = fs_avro_schema_parse(sources, 2, message);

	CHECK(schema != NULL && strcmp(schema->nodes[schema->root].name, "com.Click") == 0);
	fs_avro_schema_free(schema);
	schema = fs_avro_schema_parse(sources + 1, 1, message);
	CHECK(schema == NULL && strstr(message, "type \"com.User\" is not known here") != NULL);
	CHECK(fs_avro_schema_parse(sources, 0, message) == NULL);
}

/* Bounds: too long, too deep, too many, too much when it is unfolded. */
static void
test_bounds(void)
{
	char		message[FS_AVRO_MESSAGE_SIZE];
	size_t		room = FS_AVRO_MAX_TEXT + 100;
	char	   *text = malloc(room);
	FsAvroSchema *schema;
	char	   *p = text;

	memset(text, ' ', room);
	memcpy(text, "\"int\"", 5);
	text[FS_AVRO_MAX_TEXT + 1] = '\0';
	CHECK(parse(text, message) == NULL && strstr(message, "more than 1048576 bytes") != NULL);

	for (int i = 0; i < 70; i++)
		p += sprintf(p, "{\"type\":\"array\",\"items\":");
	*p = '\0';
	CHECK(parse(text, message) == NULL && strstr(message, "deeper than 64") != NULL);

	p = text + sprintf(text, "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"x\"");
	for (int i = 0; i < FS_AVRO_MAX_MEMBERS; i++)
		p += sprintf(p, ",\"s%d\"", i);
	strcpy(p, "]}");
	CHECK(parse(text, message) == NULL && strstr(message, "more than 4096 parts") != NULL);

	p = text + sprintf(text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\"");
	for (int i = 0; i < FS_AVRO_MAX_NAMES; i++)
		p += sprintf(p, "%s{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":1}",
					 i == 3000 ? "]},{\"name\":\"b\",\"type\":[" : ",", i);
	strcpy(p, "]}]}");
	CHECK(parse(text, message) == NULL && strstr(message, "more than 4096 named types") != NULL);

	/* 2^30 values from 30 records */
	p = text + sprintf(text, "[");
	for (int i = 0; i < 30; i++)
		p += sprintf(p, "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"%s%d\",\"default\":%s},"
					 "{\"name\":\"b\",\"type\":\"%s%d\",\"default\":%s}]},",
					 i, i == 0 ? "int\",\"x\":\"" : "R", i - 1, i == 0 ? "1" : "{}",
					 i == 0 ? "int\",\"x\":\"" : "R", i - 1, i == 0 ? "1" : "{}");
	strcpy(p, "\"null\"]");
	schema = parse(text, message);
	if (!CHECK(schema == NULL && (strstr(message, "without end") != NULL || strstr(message, "more than 1048576") != NULL)))
		printf("# %s\n", message);
	fs_avro_schema_free(schema);
	free(text);
}

/* A message has room for what is wrong, however long the names are that lead there. */
static void
test_long_names(void)
{
	static const int lengths[] = {10, 200, 250, 254, 255, 256, 300, 505, 511, 600, 5000};
	char		message[FS_AVRO_MESSAGE_SIZE];
	char	   *name = malloc(5001);
	char	   *text = malloc(6000);

	for (int i = 0; i < (int) (sizeof(lengths) / sizeof(lengths[0])); i++)
	{
		memset(name, 'a', lengths[i]);
		name[lengths[i]] = '\0';
		sprintf(text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"%s\",\"type\":\"int\",\"default\":\"x\"}]}", name);
		CHECK(parse(text, message) == NULL && strlen(message) < sizeof(message) && strncmp(message, "$.", 2) == 0 &&
			  strstr(message, "aaaaa") != NULL && strstr(message, ": the default must be a whole number of 32 bits") != NULL);
	}
	free(name);
	free(text);
}

int
main(void)
{
	test_tables();
	test_graph();
	test_references();
	test_bounds();
	test_long_names();
	return unit_finish();
}
