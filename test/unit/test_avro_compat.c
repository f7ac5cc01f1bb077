/*
 * test_avro_compat.c
 *		Comparing Avro schemas: where problems are, what is said of them, and bounds;
 *		which schemas are the same.
 *
 * The verdicts themselves are compared with Apache Avro's by the corpus of
 * test/lib/avro_compat.
 */
#include <stdlib.h>
#include <string.h>

#include "core/avro_canonical.h"
#include "core/avro_compat.h"
#include "unit.h"

static FsAvroSchema *
parse(const char *text)
{
	FsAvroSource source = {text, strlen(text)};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema = fs_avro_schema_parse(&source, 1, message);

	if (schema == NULL)
		printf("# %s: %s\n", text, message);
	return schema;
}

/* All problems as "RULE path: sentence", causes in parentheses, with newlines between. */
static char *
check(const char *reader_text, const char *writer_text, FsAvroVerdict *verdict)
{
	FsAvroSchema *reader = parse(reader_text);
	FsAvroSchema *writer = parse(writer_text);
	FsAvroConflicts conflicts = {0};
	char	   *out = calloc(1, 100000);

	*verdict = fs_avro_compat_check(reader, writer, "reader v2", "writer v1", &conflicts);
	for (int i = 0; i < conflicts.count && i < 50; i++)
		sprintf(out + strlen(out), "%s%s%s %s: %s%s", i > 0 ? "\n" : "",
				conflicts.items[i].is_cause ? "(" : "",
				fs_avro_rule_name(conflicts.items[i].rule), conflicts.items[i].path,
				conflicts.items[i].sentence, conflicts.items[i].is_cause ? ")" : "");
	fs_avro_conflicts_free(&conflicts);
	fs_avro_schema_free(reader);
	fs_avro_schema_free(writer);
	return out;
}

#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

static const struct
{
	const char *reader;
	const char *writer;
	const char *problems;
}			cases[] =
{
	{"\"long\"", "\"int\"", ""},
	{"\"int\"", "\"long\"", "TYPE_MISMATCH $: reader v2 has int, which does not take long of writer v1"},
	{RECORD("R", FIELD("a", "\"int\"") "," FIELD("device", "\"string\"")), RECORD("R", FIELD("a", "\"int\"")),
	"READER_FIELD_MISSING_DEFAULT_VALUE $.fields[1]: reader v2 requires \"device\", which writer v1 does not write and which has no default"},
	{RECORD("R", FIELD("a", "{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"int\"}}") "," FIELD("b", "\"int\"")),
	RECORD("S", FIELD("a", "{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"string\"}}")),
		"NAME_MISMATCH $.name: reader v2 has record \"R\", which has neither the name of \"S\" of writer v1 nor an alias for it\n"
		"TYPE_MISMATCH $.fields[0].type.items.values: reader v2 has int in \"a\", which does not take string of writer v1\n"
	"READER_FIELD_MISSING_DEFAULT_VALUE $.fields[1]: reader v2 requires \"b\", which writer v1 does not write and which has no default"},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\",\"C\"]}",
	"MISSING_ENUM_SYMBOLS $.symbols: reader v2 has enum \"E\" without \"B\", \"C\" of writer v1 and without a default"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}",
	"FIXED_SIZE_MISMATCH $.size: reader v2 has fixed \"F\" of 2 bytes, writer v1 of 3 bytes"},
	{"[\"null\",\"int\"]", "\"string\"", "MISSING_UNION_BRANCH $: reader v2 has no branch for string of writer v1"},
	/* why the branch that would be it is not */
	{RECORD("R", FIELD("x", "[\"null\"," RECORD("S", FIELD("a", "\"int\"") "," FIELD("b", "\"int\"")) "]")),
		RECORD("R", FIELD("x", "[\"null\"," RECORD("S", FIELD("a", "\"int\"")) "]")),
		"MISSING_UNION_BRANCH $.fields[0].type: reader v2 has no branch in \"x\" for record \"S\" of writer v1\n"
	"(READER_FIELD_MISSING_DEFAULT_VALUE $.fields[0].type[1].fields[1]: reader v2 requires \"b\", which writer v1 does not write and which has no default)"},
	/* a type that is used twice is told of once */
	{RECORD("R", FIELD("x", RECORD("S", FIELD("a", "\"int\""))) "," FIELD("y", "\"S\"")),
		RECORD("R", FIELD("x", RECORD("S", FIELD("a", "\"string\""))) "," FIELD("y", "\"S\"")),
	"TYPE_MISMATCH $.fields[0].type.fields[0].type: reader v2 has int in \"a\", which does not take string of writer v1"},
	{RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"c\"]}"), RECORD("R", FIELD("a", "\"int\"") "," FIELD("c", "\"int\"")),
	"NAME_MISMATCH $: reader v2 has field \"a\" of record \"R\", whose name and aliases are those of several fields of writer v1"},
};

/*
 * A record with 'n' fields (names differ by the prefix) whose types are records,
 * each with the one before as its only field, and a field "last" of the last.
 */
static char *
make_chain(const char *prefix, int n)
{
	char	   *out = malloc(200 * (size_t) n + 200);
	char	   *p = out + sprintf(out, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");

	for (int i = 0; i < n; i++)
	{
		p += sprintf(p, "{\"name\":\"%s%d\",\"type\":{\"type\":\"record\",\"name\":\"w%d\",\"fields\":[", prefix, i, i);
		if (i > 0)
			p += sprintf(p, "{\"name\":\"next\",\"type\":\"w%d\"}", i - 1);
		p += sprintf(p, "]}},");
	}
	sprintf(p, "{\"name\":\"last\",\"type\":\"w%d\"}]}", n - 1);
	return out;
}

/* The verdict on two such chains of one length. */
static FsAvroVerdict
check_chains(int n)
{
	char	   *reader = make_chain("a", n);
	char	   *writer = make_chain("b", n);
	FsAvroVerdict verdict;

	free(check(reader, writer, &verdict));
	free(reader);
	free(writer);
	return verdict;
}

/* Are two schemas the same, by the specification's canonical form or by the whole one? */
static bool
is_same(const char *one, const char *other, bool whole)
{
	FsAvroSchema *schemas[2] = {parse(one), parse(other)};
	FsBuffer	forms[2] = {{0}, {0}};
	bool		same;

	for (int i = 0; i < 2; i++)
	{
		CHECK_NAMED(schemas[i] != NULL && fs_avro_canonical_write(&forms[i], schemas[i], whole), one);
		fs_avro_schema_free(schemas[i]);
	}
	same = forms[0].len == forms[1].len && memcmp(forms[0].data, forms[1].data, forms[0].len) == 0;
	fs_buffer_free(&forms[0]);
	fs_buffer_free(&forms[1]);
	return same;
}

/* What makes a difference to readers alone is in the whole form. */
static void
check_forms(void)
{
	static const char *const pairs[][2] = {
		{RECORD("R", FIELD("a", "\"int\"")), RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"default\":0}")},
		{RECORD("R", FIELD("a", "\"int\"")), RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"aliases\":[\"b\"]}")},
		{RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"default\":1}"), RECORD("R", "{\"name\":\"a\",\"type\":\"int\",\"default\":2}")},
		{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16}", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"uuid\"}"},
		{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16}", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"aliases\":[\"G\"]}"},
		{"\"int\"", "{\"type\":\"int\",\"logicalType\":\"date\"}"},
		{"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4}", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}"},
		{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"A\"}"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		CHECK_NAMED(is_same(pairs[i][0], pairs[i][1], false), pairs[i][1]);
		CHECK_NAMED(!is_same(pairs[i][0], pairs[i][1], true), pairs[i][1]);
	}
	CHECK(is_same("{\"type\":\"array\",\"items\":{\"type\":\"int\"}}", "{\"items\":\"int\",\"doc\":\"x\",\"type\":\"array\"}", true));
}

int
main(void)
{
	FsAvroVerdict verdict;
	char	   *found;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		found = check(cases[i].reader, cases[i].writer, &verdict);
		if (!CHECK_NAMED(strcmp(found, cases[i].problems) == 0 &&
						 verdict == (cases[i].problems[0] == '\0' ? FS_AVRO_COMPATIBLE : FS_AVRO_INCOMPATIBLE),
						 cases[i].reader))
			printf("# expected %s\n# found %s\n", cases[i].problems, found);
		free(found);
	}
	check_forms();
	/* types within types are followed so far, and then not at all */
	CHECK(check_chains(500) == FS_AVRO_INCOMPATIBLE);
	CHECK(check_chains(3000) == FS_AVRO_TOO_LARGE);
	return unit_finish();
}
