/*
 * test_json_nested.c
 *		Tests of JSON records with paths into objects and with arrays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array_value.h"
#include "core/decode.h"
#include "core/utf8.h"

#include "unit.h"

#define FIELD(name, type) {name, sizeof(name) - 1, (FsType) (type), FS_UNIT_NONE}
#define NFIELDS 9

static const FsField fields[NFIELDS] = {
	FIELD("id", FS_TYPE_TEXT),
	FIELD("u.name", FS_TYPE_TEXT),
	FIELD("u.home.zip", FS_TYPE_INT8),
	FIELD("u.home", FS_TYPE_JSONB),
	FIELD("tags", FS_TYPE_TEXT | FS_TYPE_ARRAY),
	FIELD("u.nums", FS_TYPE_INT4 | FS_TYPE_ARRAY),
	FIELD("f", FS_TYPE_FLOAT8 | FS_TYPE_ARRAY),
	FIELD("b", FS_TYPE_BOOL | FS_TYPE_ARRAY),
	FIELD("u.name", FS_TYPE_TEXT),
};

/* Appends a value of no array. */
static char *
print_scalar(char *out, FsType type, const FsValue *value)
{
	if (value->presence == FS_NULL)
		return out + sprintf(out, "null");
	if (fs_type_is_bytes(type))
		return out + sprintf(out, "%.*s", (int) value->len, value->data);
	if (fs_type_is_float(type))
		return out + sprintf(out, "%g", value->f);
	return out + sprintf(out, "%lld", (long long) value->i);
}

/* Values as "name=value ...", those absent left out. */
static void
print_values(char *out, const FsValue *values)
{
	*out = '\0';
	for (int i = 0; i < NFIELDS; i++)
	{
		FsType		type = fields[i].type;
		FsCursor	cursor;
		FsValue		item;
		bool		is_first = true;

		if (values[i].presence == FS_ABSENT)
			continue;
		out += sprintf(out, " %s=", fields[i].name);
		if (!fs_type_is_array(type) || values[i].presence == FS_NULL)
		{
			out = print_scalar(out, type, &values[i]);
			continue;
		}
		cursor.p = values[i].data;
		cursor.end = values[i].data + values[i].len;
		*out++ = '[';
		while (fs_array_next(&cursor, fs_type_element(type), &item))
		{
			if (!is_first)
				*out++ = ',';
			is_first = false;
			out = print_scalar(out, fs_type_element(type), &item);
		}
		CHECK_NAMED(fs_cursor_left(&cursor) == 0, fields[i].name);
		out += sprintf(out, "]");
	}
}

typedef struct Case
{
	const char *record;
	const char *expected;		/* values; or, after "!", a part of the message */
} Case;

static const Case cases[] = {
	{"{}", ""},
	{"{\"id\":\"1\",\"u\":{\"name\":\"ann\",\"home\":{\"zip\":7,\"x\":[{}]},\"nums\":[1,-2]},\"tags\":[\"a\",\"b\"]}",
	" id=1 u.name=ann u.home.zip=7 u.home={\"zip\":7,\"x\":[{}]} tags=[a,b] u.nums=[1,-2] u.name=ann"},
	{" { \"u\" : { \"x\" : [ 1 , { \"name\" : 2 } ] , \"name\" : \"b\" } , \"tags\" : [ \"x\" , null , \"\\u00e9\" ] } ",
	" u.name=b tags=[x,null,\xc3\xa9] u.name=b"},
	{"{\"u\":{}}", ""}, {"{\"u\":{ }}", ""},
	{"{\"u\":null}", " u.name=null u.home.zip=null u.home=null u.nums=null u.name=null"},
	{"{\"u\":{\"home\":null}}", " u.home.zip=null u.home=null"},
	{"{\"u\":{\"home\":[1]}}", "!field \"u.home.zip\" has value [1] on its path, which is no object"},
	{"{\"u\":5}", "!field \"u.name\" has value 5 on its path, which is no object"},
	{"{\"u\":\"{}\"}", "!field \"u.name\" has value \"{}\" on its path"},
	{"{\"u\":{\"home\":{\"zip\":1.5}}}", "!field \"u.home.zip\" has value 1.5, not an integer"},
	{"{\"u\":{\"name\":1}}", "!field \"u.name\" has value 1, but text needs a string"},
	/* of duplicates the last one counts, misfits and all below included */
	{"{\"u\":{\"name\":\"a\"},\"u\":{\"home\":{}}}", " u.home={}"},
	{"{\"u\":5,\"u\":{\"name\":\"a\"}}", " u.name=a u.name=a"},
	{"{\"u\":{\"name\":5,\"name\":\"a\"}}", " u.name=a u.name=a"},
	{"{\"u\":{\"name\":5},\"u\":{}}", ""},
	{"{\"u\":{\"name\":\"a\"},\"u\":null}", " u.name=null u.home.zip=null u.home=null u.nums=null u.name=null"},
	{"{\"u\":{\"name\":\"a\"},\"u\":7}", "!\"u.name\" has value 7 on its path"},
	{"{\"u\":{\"home\":{\"zip\":1},\"home\":{\"y\":2}}}", " u.home={\"y\":2}"},
	/* keys of flat records */
	{"{\"u.name\":\"flat\"}", " u.name=flat u.name=flat"},
	{"{\"u.home.zip\":3,\"u\":{\"name\":\"a\"}}", " u.name=a u.home.zip=3 u.name=a"},
	{"{\"u.name\":\"flat\",\"u\":\"text\",\"u.home.zip\":1,\"u.home\":2,\"u.nums\":[]}", " u.name=flat u.home.zip=1 u.home=2 u.nums=[] u.name=flat"},
	{"{\"u\":\"text\",\"u.name\":\"flat\",\"u.home.zip\":1,\"u.home\":2,\"u.nums\":null}", " u.name=flat u.home.zip=1 u.home=2 u.nums=null u.name=flat"},
	{"{\"u.home\":{\"zip\":4}}", " u.home={\"zip\":4}"},
	/* escapes in keys of a path */
	{"{\"\\u0075\":{\"n\\u0061me\":\"x\"}}", " u.name=x u.name=x"},
	/* arrays */
	{"{\"tags\":[]}", " tags=[]"}, {"{\"tags\":[ ]}", " tags=[]"}, {"{\"tags\":null}", " tags=null"},
	{"{\"tags\":[null]}", " tags=[null]"}, {"{\"tags\":[\"\"]}", " tags=[]"},
	{"{\"f\":[1,2.5,-0.25e1,null]}", " f=[1,2.5,-2.5,null]"}, {"{\"b\":[true,false,null]}", " b=[1,0,null]"},
	{"{\"u\":{\"nums\":[2147483647,-2147483648]}}", " u.nums=[2147483647,-2147483648]"},
	{"{\"u\":{\"nums\":[1,2147483648]}}", "!field \"u.nums[1]\" has value 2147483648, out of range for integer"},
	{"{\"tags\":\"a\"}", "!field \"tags\" has value \"a\", but text[] needs an array"},
	{"{\"tags\":{}}", "!field \"tags\" has value {}, but text[] needs an array"},
	{"{\"tags\":[\"a\",1]}", "!field \"tags[1]\" has value 1, but text needs a string"},
	{"{\"tags\":[\"a\",[\"b\"]]}", "!field \"tags[1]\" has value [\"b\"], but text needs a string"},
	{"{\"tags\":[\"\\u0000\"]}", "!field \"tags[0]\" has value \"\\u0000\", but text cannot hold"},
	{"{\"b\":[0]}", "!field \"b[0]\" has value 0, but boolean needs true or false"},
	{"{\"f\":[1e400]}", "!field \"f[0]\" has value 1e400, out of range for double precision"},
	{"{\"tags\":[1],\"tags\":[\"a\"]}", " tags=[a]"},
	{"{\"tags\":[1],\"f\":[\"x\"],\"tags\":[\"a\"]}", "!field \"f[0]\""},
	/* malformed inside */
	{"{\"tags\":[\"a\",]}", "!expected a value at byte 13"}, {"{\"u\":{\"name\":}}", "!expected a value"},
	{"{\"tags\":[\"a\"}", "!expected"}, {"{\"u\":{\"name\":\"a\",}}", "!expected a key"},
};

/* Each case by a fresh decoder and by one that has read all the others. */
static void
test_cases(void)
{
	FsJsonDecoder *used = fs_json_decoder_create(fields, NFIELDS);

	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		{
			FsJsonDecoder *fresh = fs_json_decoder_create(fields, NFIELDS);
			FsJsonDecoder *decoder = round == 0 ? fresh : used;
			size_t		len = strlen(cases[i].record);
			char	   *copy = malloc(len);	/* so that reading beyond it is seen */
			FsValue		values[NFIELDS];
			FsDecodeError error = {0};
			char		printed[1024] = "!";

			memcpy(copy, cases[i].record, len);
			fs_json_decoder_reset(decoder);
			if (fs_json_decode(decoder, copy, len, values, &error))
				print_values(printed, values);
			else
				strcat(printed, error.message);
			if (cases[i].expected[0] == '!')
				CHECK_NAMED(printed[0] == '!' && strstr(printed, cases[i].expected + 1) != NULL, cases[i].record);
			else
				CHECK_NAMED(strcmp(printed, cases[i].expected) == 0, cases[i].record);
			if (printed[0] == '!')
				CHECK_NAMED(fs_utf8_valid_length(error.message, strlen(error.message)) == strlen(error.message), cases[i].record);
			free(copy);
			fs_json_decoder_free(fresh);
		}
	fs_json_decoder_free(used);
}

/* An array may have so many elements, and no more. */
static void
test_length(void)
{
	FsJsonDecoder *decoder = fs_json_decoder_create(fields, NFIELDS);
	size_t		len = strlen("{\"tags\":[") + 5 * FS_ARRAY_MAX_ITEMS;
	char	   *record = malloc(len + 16);
	FsValue		values[NFIELDS];
	FsDecodeError error;

	for (int more = 0; more < 2; more++)
	{
		char	   *p = record + sprintf(record, "{\"tags\":[null");

		for (int i = 1; i < FS_ARRAY_MAX_ITEMS + more; i++)
		{
			memcpy(p, ",null", 5);
			p += 5;
		}
		memcpy(p, "]}", 2);
		fs_json_decoder_reset(decoder);
		CHECK(fs_json_decode(decoder, record, (size_t) (p + 2 - record), values, &error) == (more == 0));
		if (more == 1)
			CHECK(strstr(error.message, ", with more than 1000000 elements") != NULL);
		else
			CHECK(values[4].len == FS_ARRAY_MAX_ITEMS);
	}
	free(record);
	fs_json_decoder_free(decoder);
}

/* Elements of all types come back; bytes that are no array's are seen. */
static void
test_elements(void)
{
	static const FsType types[] = {FS_TYPE_TEXT, FS_TYPE_INT8, FS_TYPE_FLOAT8, FS_TYPE_UUID, FS_TYPE_BOOL, FS_TYPE_DATE};

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
	{
		FsBuffer	buffer = {0};
		FsValue		in[3] = {{.presence = FS_PRESENT, .len = 0, .data = NULL}, {.presence = FS_NULL}, {.presence = FS_PRESENT}};
		FsValue		out;
		FsCursor	cursor;

		if (fs_type_is_bytes(types[t]))
		{
			in[2].data = "0123456789abcdef";
			in[2].len = 16;
		}
		else
			in[2].i = INT64_MIN;
		for (int i = 0; i < 3; i++)
			CHECK(fs_array_append(&buffer, types[t], &in[i]));
		for (size_t cut = 0; cut <= buffer.len; cut++)
		{
			int			n = 0;

			cursor.p = buffer.data;
			cursor.end = buffer.data + cut;
			while (fs_array_next(&cursor, types[t], &out))
			{
				CHECK(out.presence == in[n].presence);
				CHECK(out.presence == FS_NULL || (fs_type_is_bytes(types[t]) ?
					  out.len == in[n].len && memcmp(out.data, in[n].len > 0 ? in[n].data : "", out.len) == 0 :
					  out.i == in[n].i));
				n++;
			}
			CHECK((n == 3) == (cut == buffer.len));
		}
		fs_buffer_free(&buffer);
	}
}

int
main(void)
{
	test_cases();
	test_length();
	test_elements();
	return unit_finish();
}
