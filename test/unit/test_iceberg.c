/*
 * test_iceberg.c
 *		Iceberg's metadata, transforms and manifests: the specification's vectors, and what must be refused.
 *
 * Whole tables are read by others in test/lib/iceberg_readers.py.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/avro_file.h"
#include "core/iceberg_manifest.h"
#include "core/iceberg_metadata.h"
#include "core/iceberg_transform.h"
#include "core/json_tree.h"
#include "unit.h"

#define UUID "9c12d441-03fe-4693-9a96-a0705ddf69c1"
#define HOUR INT64_C(3600000)

static char message[FS_ICEBERG_MESSAGE_SIZE];
static FsScratch memory;

static FsIcebergValue
number(int64_t i)
{
	return (FsIcebergValue) {.i = i};
}

static FsIcebergValue
text(const char *bytes)
{
	return (FsIcebergValue) {.bytes = bytes, .len = strlen(bytes)};
}

/*
 * Transforms
 */

static int32_t
hash(FsIcebergKind kind, FsIcebergValue value)
{
	FsIcebergType type = {.kind = kind};

	return fs_iceberg_hash(&type, &value);
}

/* Appendix B of the specification. */
static void
check_hashes(void)
{
	FsIcebergValue bytes = {.bytes = "\x00\x01\x02\x03", .len = 4};
	FsIcebergValue uuid = {.bytes = "\xf7\x9c\x3e\x09\x67\x7c\x4b\xbd\xa4\x79\x3f\x34\x9c\xb7\x85\xe7", .len = 16};
	FsIcebergValue decimal = {.bytes = "\x05\x8c", .len = 2};

	CHECK(hash(FS_ICEBERG_INT, number(34)) == 2017239379);
	CHECK(hash(FS_ICEBERG_LONG, number(34)) == 2017239379);
	CHECK(hash(FS_ICEBERG_DECIMAL, decimal) == -500754589);
	CHECK(hash(FS_ICEBERG_DATE, number(17486)) == -653330422);
	CHECK(hash(FS_ICEBERG_TIME, number(INT64_C(81068000000))) == -662762989);
	CHECK(hash(FS_ICEBERG_TIMESTAMP, number(INT64_C(1510871468000000))) == -2047944441);
	CHECK(hash(FS_ICEBERG_TIMESTAMPTZ, number(INT64_C(1510871468000001))) == -1207196810);
	CHECK(hash(FS_ICEBERG_STRING, text("iceberg")) == 1210000089);
	CHECK(hash(FS_ICEBERG_UUID, uuid) == 1488055340);
	CHECK(hash(FS_ICEBERG_FIXED, bytes) == -188683207);
	CHECK(hash(FS_ICEBERG_BINARY, bytes) == -188683207);
	CHECK(fs_murmur3("", 0) == 0);
}

/* What a transform makes of a value. */
static FsIcebergValue
transform(const char *name, FsIcebergKind kind, FsIcebergValue value)
{
	static char room[16];
	FsIcebergTransform how = fs_iceberg_transform_read(name, strlen(name));
	FsIcebergType type = {.kind = kind, .precision = 9, .scale = 2};
	FsIcebergType result_type;
	FsIcebergValue result;

	if (!fs_iceberg_transform_type(&how, &type, &result_type))
		return (FsIcebergValue) {.is_null = true, .i = -1};
	fs_iceberg_transform(&how, &type, &value, &result, room);
	return result;
}

static bool
is_text(FsIcebergValue value, const char *bytes, size_t len)
{
	return !value.is_null && value.len == len && memcmp(value.bytes, bytes, len) == 0;
}

static void
check_truncation(void)
{
	FsIcebergValue decimal = {.bytes = "\x04\x29", .len = 2};	/* 10.65 */
	FsIcebergValue minus = {.bytes = "\xff", .len = 1}; /* -0.01 */

	CHECK(transform("truncate[10]", FS_ICEBERG_INT, number(1)).i == 0);
	CHECK(transform("truncate[10]", FS_ICEBERG_INT, number(-1)).i == -10);
	CHECK(transform("truncate[10]", FS_ICEBERG_LONG, number(-10)).i == -10);
	CHECK(transform("truncate[10]", FS_ICEBERG_LONG, number(INT64_MAX)).i == INT64_C(9223372036854775800));
	CHECK(is_text(transform("truncate[50]", FS_ICEBERG_DECIMAL, decimal), "\x04\x1a", 2));	/* 10.50 */
	CHECK(is_text(transform("truncate[10]", FS_ICEBERG_DECIMAL, minus), "\xf6", 1));	/* -0.10 */
	CHECK(is_text(transform("truncate[3]", FS_ICEBERG_STRING, text("iceberg")), "ice", 3));
	CHECK(is_text(transform("truncate[2]", FS_ICEBERG_STRING, text("\xe2\x82\xac\xf0\x9f\x98\x80z")), "\xe2\x82\xac\xf0\x9f\x98\x80", 7));
	CHECK(is_text(transform("truncate[9]", FS_ICEBERG_STRING, text("ab")), "ab", 2));
	CHECK(is_text(transform("truncate[2]", FS_ICEBERG_BINARY, text("\xe2\x82\xac")), "\xe2\x82", 2));
}

static void
check_times(void)
{
	CHECK(transform("year", FS_ICEBERG_DATE, number(17501)).i == 47);	/* 2017-12-01 */
	CHECK(transform("month", FS_ICEBERG_DATE, number(17501)).i == 575);
	CHECK(transform("day", FS_ICEBERG_DATE, number(17501)).i == 17501);
	CHECK(transform("year", FS_ICEBERG_TIMESTAMP, number(-1)).i == -1);
	CHECK(transform("month", FS_ICEBERG_TIMESTAMP, number(-1)).i == -1);
	CHECK(transform("day", FS_ICEBERG_TIMESTAMPTZ, number(-1)).i == -1);
	CHECK(transform("hour", FS_ICEBERG_TIMESTAMPTZ, number(-1)).i == -1);
	CHECK(transform("hour", FS_ICEBERG_TIMESTAMPTZ, number(INT64_C(1510871468000000))).i == 419686);
	CHECK(transform("month", FS_ICEBERG_DATE, number(-32)).i == -2);	/* 1969-11-30 */
	CHECK(transform("year", FS_ICEBERG_DATE, number(-365)).i == -1 && transform("year", FS_ICEBERG_DATE, number(-366)).i == -2);
	CHECK(transform("hour", FS_ICEBERG_TIMESTAMPTZ, number(INT64_MAX)).i == INT32_MAX);
	CHECK(transform("day", FS_ICEBERG_TIMESTAMPTZ, number(INT64_MIN)).i == -106751992);
	CHECK(transform("void", FS_ICEBERG_LONG, number(5)).is_null);
	CHECK(transform("bucket[16]", FS_ICEBERG_STRING, text("iceberg")).i == (1210000089 & INT32_MAX) % 16);
	CHECK(transform("bucket[16]", FS_ICEBERG_INT, (FsIcebergValue) {.is_null = true}).is_null);
	/* what they do not take */
	CHECK(transform("hour", FS_ICEBERG_DATE, number(1)).i == -1 && transform("bucket[4]", FS_ICEBERG_DOUBLE, number(1)).i == -1);
	CHECK(transform("truncate[4]", FS_ICEBERG_UUID, number(1)).i == -1 && transform("day", FS_ICEBERG_LONG, number(1)).i == -1);
}

static bool
is_known(const char *name)
{
	return fs_iceberg_transform_read(name, strlen(name)).kind != FS_ICEBERG_UNKNOWN;
}

static bool
reads_partition(const char *text, FsIcebergTransformKind kind, int32_t width, const char *column)
{
	FsIcebergPartition partition;

	return fs_iceberg_partition_read(text, &memory, &partition, message) && partition.transform.kind == kind &&
		partition.transform.width == width && strcmp(partition.column, column) == 0;
}

static void
check_words(void)
{
	static const char *const wrong[] = {
		"", "bucket(user_id)", "bucket(0, x)", "bucket(2147483648, x)", "day()", "day(x", "day(x) y", "x y", "decade(x)", "\"x",
		"void(x)", "bucket(16, x, y)", "\"day\"(x)", "day(x))"
	};
	char		out[FS_ICEBERG_TRANSFORM_SIZE];
	FsIcebergTransform bucket = {FS_ICEBERG_BUCKET, INT32_MAX};

	fs_iceberg_transform_write(&bucket, out);
	CHECK(strcmp(out, "bucket[2147483647]") == 0 && is_known(out) && is_known("void"));
	CHECK(!is_known("bucket") && !is_known("bucket[]") && !is_known("bucket[0]") && !is_known("bucket[2147483648]"));
	CHECK(!is_known("days") && !is_known("") && !is_known("truncate[1x]") && !is_known("identity[1]"));
	CHECK(reads_partition("user_id", FS_ICEBERG_IDENTITY, 0, "user_id"));
	CHECK(reads_partition(" day( window_end ) ", FS_ICEBERG_DAY, 0, "window_end"));
	CHECK(reads_partition("days(\"day\")", FS_ICEBERG_DAY, 0, "day") && reads_partition("hours(x)", FS_ICEBERG_HOUR, 0, "x"));
	CHECK(reads_partition("bucket (16 ,\"a \"\"b\")", FS_ICEBERG_BUCKET, 16, "a \"b"));
	CHECK(reads_partition("truncate(8,gr\xc3\xb6\xc3\x9f" "e)", FS_ICEBERG_TRUNCATE, 8, "gr\xc3\xb6\xc3\x9f" "e"));
	CHECK(reads_partition("\"day(x)\"", FS_ICEBERG_IDENTITY, 0, "day(x)"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_NAMED(!reads_partition(wrong[i], FS_ICEBERG_DAY, 0, "x") && strstr(message, "neither") != NULL, wrong[i]);
}

/*
 * JSON that is written again
 */

/* A text, read and written; "!" and why it is none. */
static const char *
again(const char *json)
{
	static char out[1024];
	FsBuffer	buffer = {0};
	char	   *copy = malloc(strlen(json) + 1);
	const char *wrong;
	size_t		at;
	FsJsonNode *node;

	memcpy(copy, json, strlen(json));
	node = fs_json_tree_read(&memory, copy, strlen(json), &wrong, &at);
	free(copy);
	if (node == NULL)
		snprintf(out, sizeof(out), "!%s at %zu", wrong, at);
	else if (fs_json_tree_write(node, &buffer))
		snprintf(out, sizeof(out), "%.*s", (int) buffer.len, buffer.data);
	fs_buffer_free(&buffer);
	return out;
}

static bool
stays(const char *json)
{
	return strcmp(again(json), json) == 0;
}

static void
check_json(void)
{
	char		deep[200];

	CHECK(stays("{\"a\":9223372036854775807,\"b\":[-0,1.50,1e999,null,true,{}],\"\":[],\"a\":\"x\\\"\\\\\\n\"}"));
	CHECK(stays("\"\\u0000\"") && stays("\"\\ud800x\"") && stays("\"\xf0\x9f\x98\x80\"") && stays("7"));
	CHECK(strcmp(again(" { \"\\u0061\" : [ 1 , \"\\/\\ud83d\\ude00\" ] } "), "{\"a\":[1,\"/\xf0\x9f\x98\x80\"]}") == 0);
	CHECK(*again("") == '!' && *again("{\"a\":1,}") == '!' && *again("[1,]") == '!' && *again("[1 2]") == '!');
	CHECK(*again("{\"a\" 1}") == '!' && *again("{1:2}") == '!' && *again("[1") == '!' && *again("[1}") == '!' && *again("{]") == '!');
	CHECK(*again("1 2") == '!' && *again("\"\xff\"") == '!' && *again("{\"\\u0000\":1}") == '!' && *again("nul") == '!');
	memset(deep, '[', 64);
	memset(deep + 64, ']', 64);
	deep[128] = '\0';
	CHECK(stays(deep));
	memset(deep, '[', 65);
	memset(deep + 65, ']', 65);
	deep[130] = '\0';
	CHECK(*again(deep) == '!');
}

/*
 * Metadata
 */

static const FsParquetColumn columns[] = {
	{"user_id", FS_PARQUET_STRING, true}, {"window_end", FS_PARQUET_TIMESTAMPTZ, true},
	{"tags", FS_PARQUET_STRING, false, true}, {"n", FS_PARQUET_LONG}
};

static FsIcebergMetadata *
create(void)
{
	static const FsIcebergPartition partitions[] = {
		{"window_end", {FS_ICEBERG_DAY, 0}}, {"user_id", {FS_ICEBERG_BUCKET, 16}}, {"n", {FS_ICEBERG_IDENTITY, 0}}
	};
	static const FsIcebergSort sorts[] = {{"user_id", false, false}, {"window_end", true, true}};
	static const FsIcebergProperty properties[] = {{"write.metadata.previous-versions-max", "2"}};
	FsIcebergTable table = {"file:///x/t", columns, 4, partitions, 3, sorts, 2, properties, 1};

	return fs_iceberg_metadata_create(&table, UUID, 1000, message);
}

/* The metadata as its text. */
static const char *
json_of(const FsIcebergMetadata *metadata)
{
	static FsBuffer out;

	fs_buffer_reset(&out);
	if (metadata == NULL || !fs_iceberg_metadata_write(metadata, &out) || !fs_buffer_append_byte(&out, 0))
		return "";
	return out.data;
}

static void
check_creation(void)
{
	FsIcebergMetadata *metadata = create();
	FsIcebergTable bad = {"file:///x/t", columns, 4};
	FsIcebergPartition partition = {"tags", {FS_ICEBERG_IDENTITY, 0}};
	FsIcebergSort sort = {"nothing", false, false};
	FsIcebergSnapshot snapshot;
	FsIcebergSpec spec;
	FsParquetColumn *read;
	int			n;

	CHECK(strcmp(json_of(metadata),
				 "{\"format-version\":2,\"table-uuid\":\"" UUID "\",\"location\":\"file:///x/t\",\"last-sequence-number\":0,"
				 "\"last-updated-ms\":1000,\"last-column-id\":5,\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\","
				 "\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"user_id\",\"required\":true,\"type\":\"string\"},"
				 "{\"id\":2,\"name\":\"window_end\",\"required\":true,\"type\":\"timestamptz\"},"
				 "{\"id\":3,\"name\":\"tags\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":5,"
				 "\"element\":\"string\",\"element-required\":false}},"
				 "{\"id\":4,\"name\":\"n\",\"required\":false,\"type\":\"long\"}]}],"
				 "\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":\"window_end_day\",\"transform\":\"day\","
				 "\"source-id\":2,\"field-id\":1000},{\"name\":\"user_id_bucket\",\"transform\":\"bucket[16]\","
				 "\"source-id\":1,\"field-id\":1001},{\"name\":\"n\",\"transform\":\"identity\",\"source-id\":4,"
				 "\"field-id\":1002}]}],\"sort-orders\":[{\"order-id\":0,\"fields\":[]},{\"order-id\":1,\"fields\":["
				 "{\"transform\":\"identity\",\"source-id\":1,\"direction\":\"asc\",\"null-order\":\"nulls-first\"},"
				 "{\"transform\":\"identity\",\"source-id\":2,\"direction\":\"desc\",\"null-order\":\"nulls-last\"}]}],"
				 "\"default-spec-id\":0,\"last-partition-id\":1002,\"default-sort-order-id\":1,"
				 "\"properties\":{\"write.metadata.previous-versions-max\":\"2\"},\"refs\":{},\"snapshots\":[],"
				 "\"snapshot-log\":[],\"metadata-log\":[]}") == 0);
	CHECK(!fs_iceberg_current_snapshot(metadata, &snapshot) && fs_iceberg_sort_id(metadata) == 1);
	CHECK(fs_iceberg_columns(metadata, &read, &n, message) && n == 4 && read[2].is_list && read[2].element_id == 5);
	CHECK(fs_iceberg_spec(metadata, &spec, message) && spec.nfields == 3 && spec.fields[0].result.kind == FS_ICEBERG_DATE &&
		  spec.fields[1].transform.width == 16 && spec.fields[2].result.kind == FS_ICEBERG_LONG);
	fs_iceberg_metadata_free(metadata);
	bad.partitions = &partition;
	bad.npartitions = 1;
	CHECK(fs_iceberg_metadata_create(&bad, UUID, 1, message) == NULL && strstr(message, "\"tags\"") != NULL);
	partition.column = "user_id";
	partition.transform.kind = FS_ICEBERG_DAY;
	CHECK(fs_iceberg_metadata_create(&bad, UUID, 1, message) == NULL && strstr(message, "type") != NULL);
	bad.npartitions = 0;
	bad.sorts = &sort;
	bad.nsorts = 1;
	CHECK(fs_iceberg_metadata_create(&bad, UUID, 1, message) == NULL && strstr(message, "\"nothing\"") != NULL);
	bad.location = "file:///x/";
	CHECK(fs_iceberg_metadata_create(&bad, UUID, 1, message) == NULL && strstr(message, "slash") != NULL);
}

/* Names of partition fields are Avro's, and nobody else's. */
static void
check_names(void)
{
	static const FsParquetColumn odd[] = {
		{"d", FS_PARQUET_DATE}, {"d_day", FS_PARQUET_INT}, {"1 \xc3\xbc", FS_PARQUET_STRING}, {"d_day_2", FS_PARQUET_INT}
	};
	static const FsIcebergPartition partitions[] = {
		{"d", {FS_ICEBERG_DAY, 0}}, {"1 \xc3\xbc", {FS_ICEBERG_IDENTITY, 0}}, {"1 \xc3\xbc", {FS_ICEBERG_TRUNCATE, 3}},
		{"d", {FS_ICEBERG_DAY, 0}}
	};
	FsIcebergTable table = {"/x", odd, 4, partitions, 4};
	FsIcebergMetadata *metadata = fs_iceberg_metadata_create(&table, UUID, 1, message);
	FsIcebergSpec spec = {0};

	CHECK(metadata != NULL && fs_iceberg_spec(metadata, &spec, message) && strcmp(spec.fields[0].name, "d_day_3") == 0);
	CHECK(strcmp(spec.fields[1].name, "_1_x20_xC3_xBC") == 0 && strcmp(spec.fields[2].name, "_1_x20_xC3_xBC_trunc") == 0);
	CHECK(strcmp(spec.fields[3].name, "d_day_4") == 0);
	fs_iceberg_metadata_free(metadata);
}

static bool
commit(FsIcebergMetadata *metadata, int64_t id, int64_t now, int64_t added)
{
	FsIcebergProperty mark = {"feature_stream.export-hi", "17"};
	FsIcebergCommit commit = {
		.snapshot_id = id, .now_ms = now, .operation = "append", .manifest_list = "file:///x/t/metadata/snap.avro",
		.added_files = 1, .added_rows = added, .added_bytes = 10 * added, .changed_partitions = 1, .summary = &mark, .nsummary = 1
	};

	return fs_iceberg_add_snapshot(metadata, &commit, message);
}

static bool
summary_is(const FsIcebergMetadata *metadata, int64_t id, const char *key, const char *value)
{
	const char *found = fs_iceberg_summary(metadata, id, key);

	return found != NULL && strcmp(found, value) == 0;
}

static void
check_snapshots(void)
{
	FsIcebergMetadata *metadata = create();
	FsIcebergSnapshot snapshot;
	uint8_t		random[16] = {0};

	CHECK(commit(metadata, INT64_MAX, 5000, 7) && strstr(json_of(metadata), "parent-snapshot-id") == NULL);
	CHECK(strstr(json_of(metadata), "\"snapshot-id\":9223372036854775807") != NULL);
	CHECK(commit(metadata, 2, 4000, 3));	/* the clock went back */
	CHECK(fs_iceberg_current_snapshot(metadata, &snapshot) && snapshot.snapshot_id == 2 && snapshot.parent_id == INT64_MAX);
	CHECK(snapshot.sequence_number == 2 && snapshot.timestamp_ms == 5001 && fs_iceberg_last_updated(metadata) == 5001);
	CHECK(summary_is(metadata, 2, "total-records", "10") && summary_is(metadata, 2, "total-data-files", "2"));
	CHECK(summary_is(metadata, 2, "total-files-size", "100") && summary_is(metadata, 2, "total-delete-files", "0"));
	CHECK(summary_is(metadata, 2, "feature_stream.export-hi", "17") && fs_iceberg_summary(metadata, 2, "deleted-records") == NULL);
	CHECK(strstr(json_of(metadata), "\"refs\":{\"main\":{\"snapshot-id\":2,\"type\":\"branch\"}}") != NULL);
	CHECK(!commit(metadata, 2, 6000, 1) && strstr(message, "already") != NULL);
	memcpy(random, "\x02", 1);
	CHECK(fs_iceberg_new_snapshot_id(metadata, random) == 3);
	memset(random, 0xff, 8);
	CHECK(fs_iceberg_new_snapshot_id(metadata, random) == 1);	/* after the greatest, which is taken, and 0 */
	fs_iceberg_metadata_free(metadata);
}

static void
check_log(void)
{
	FsIcebergMetadata *metadata = create();
	FsIcebergTexts dropped;

	CHECK(fs_iceberg_supersede(metadata, "/a", 1500, &dropped, message) && dropped.n == 0);
	CHECK(fs_iceberg_last_updated(metadata) == 1500);
	CHECK(fs_iceberg_supersede(metadata, "/b", 1400, NULL, message) && fs_iceberg_last_updated(metadata) == 1500);
	CHECK(fs_iceberg_supersede(metadata, "/c", 1600, &dropped, message) && dropped.n == 1 && strcmp(dropped.texts[0], "/a") == 0);
	CHECK(strstr(json_of(metadata), "\"metadata-log\":[{\"timestamp-ms\":1000,\"metadata-file\":\"/b\"},") != NULL);
	CHECK(fs_iceberg_set_property(metadata, "x", "\"", message) && strcmp(fs_iceberg_property(metadata, "x"), "\"") == 0);
	CHECK(fs_iceberg_set_property(metadata, "x", NULL, message) && fs_iceberg_property(metadata, "x") == NULL);
	CHECK(fs_iceberg_set_property(metadata, "n", "-12", message) && fs_iceberg_property_number(metadata, "n", 5) == -12);
	CHECK(fs_iceberg_set_property(metadata, "n", "99999999999999999999", message) && fs_iceberg_property_number(metadata, "n", 5) == 5);
	fs_iceberg_metadata_free(metadata);
}

static void
check_evolution(void)
{
	FsIcebergMetadata *metadata = create();
	FsParquetColumn more[] = {{"a", FS_PARQUET_DOUBLE}, {"b", FS_PARQUET_LONG, false, true}, {"n", FS_PARQUET_LONG}};
	FsParquetColumn *read;
	int			n;

	CHECK(fs_iceberg_add_columns(metadata, more, 2, message) && fs_iceberg_schema_id(metadata) == 1);
	CHECK(fs_iceberg_columns(metadata, &read, &n, message) && n == 6);
	CHECK(read[4].field_id == 6 && read[5].field_id == 7 && read[5].element_id == 8);
	CHECK(fs_iceberg_drop_column(metadata, "a", message) && fs_iceberg_columns(metadata, &read, &n, message) && n == 5);
	CHECK(fs_iceberg_add_columns(metadata, more, 1, message) && fs_iceberg_columns(metadata, &read, &n, message));
	CHECK(n == 6 && read[5].field_id == 9 && fs_iceberg_schema_id(metadata) == 3);
	CHECK(strstr(json_of(metadata), "\"last-column-id\":9,\"current-schema-id\":3") != NULL);
	CHECK(!fs_iceberg_add_columns(metadata, &more[2], 1, message) && strstr(message, "already") != NULL);
	fs_iceberg_metadata_free(metadata);
	metadata = create();
	CHECK(!fs_iceberg_drop_column(metadata, "user_id", message) && !fs_iceberg_drop_column(metadata, "n", message));
	more[0].required = true;
	CHECK(!fs_iceberg_add_columns(metadata, more, 1, message) && strstr(message, "NULL") != NULL);
	CHECK(!fs_iceberg_drop_column(metadata, "nothing", message) && strstr(message, "no column") != NULL);
	fs_iceberg_metadata_free(metadata);
}

/* Decimals: their type as text, digits that become more, and what cannot become of them. */
static void
check_decimal_columns(void)
{
	FsIcebergMetadata *metadata = create();
	const FsParquetColumn added[] = {{"price", FS_PARQUET_DECIMAL, .precision = 12, .scale = 2},
	{"prices", FS_PARQUET_DECIMAL, .is_list = true, .precision = 9}, {"text", FS_PARQUET_STRING}};
	FsParquetColumn wide[] = {{"price", FS_PARQUET_DECIMAL, .precision = 38, .scale = 2},
	{"prices", FS_PARQUET_DECIMAL, .is_list = true, .precision = 10}};
	FsIcebergSchemaChange change = {.widened = wide, .nwidened = 2};
	FsParquetColumn *read;
	int			n;

	CHECK(fs_iceberg_add_columns(metadata, added, 3, message) && fs_iceberg_columns(metadata, &read, &n, message) && n == 7);
	CHECK(strstr(json_of(metadata), "\"type\":\"decimal(12, 2)\"") != NULL);
	CHECK(read[4].type == FS_PARQUET_DECIMAL && read[4].precision == 12 && read[4].scale == 2 && read[4].field_id == 6);
	CHECK(read[5].is_list && read[5].precision == 9 && read[5].scale == 0 && read[5].element_id == 8);
	CHECK(fs_iceberg_change_schema(metadata, &change, message) && fs_iceberg_columns(metadata, &read, &n, message) && n == 7);
	CHECK(read[4].precision == 38 && read[4].scale == 2 && read[4].field_id == 6 && fs_iceberg_schema_id(metadata) == 2);
	CHECK(read[5].is_list && read[5].precision == 10 && read[5].field_id == 7 && read[5].element_id == 8);
	CHECK(strstr(json_of(metadata), "\"type\":\"decimal(12, 2)\"") != NULL && strstr(json_of(metadata), "\"type\":\"decimal(38, 2)\"") != NULL);
	change.nwidened = 1;
	for (int i = 0; i < 4; i++)
	{
		static const FsParquetColumn wrong[] = {{"price", FS_PARQUET_DECIMAL, .precision = 37, .scale = 2},
		{"price", FS_PARQUET_DECIMAL, .precision = 38, .scale = 3}, {"prices", FS_PARQUET_DECIMAL, .precision = 12},
		{"text", FS_PARQUET_DECIMAL, .precision = 12, .scale = 2}};

		change.widened = &wrong[i];
		CHECK(!fs_iceberg_change_schema(metadata, &change, message) && strstr(message, "cannot become decimal(") != NULL);
	}
	fs_iceberg_metadata_free(metadata);
}

/* Can a table be partitioned by truncate(width) of a decimal? */
static bool
can_truncate(int precision, int32_t width)
{
	const FsIcebergType type = {.kind = FS_ICEBERG_DECIMAL, .precision = precision, .scale = 1};

	return fs_iceberg_can_partition(&(FsIcebergTransform) {FS_ICEBERG_TRUNCATE, width}, &type);
}

/* Partitions by decimals have paths that people can read, and values that have room. */
static void
check_decimal_partitions(void)
{
	FsIcebergField field = {.source_id = 1, .field_id = 1000, .name = "price", .transform = {FS_ICEBERG_IDENTITY, 0},
	.source = {.kind = FS_ICEBERG_DECIMAL, .precision = 12, .scale = 2}};
	const FsIcebergSpec spec = {.nfields = 1, .fields = &field};
	const FsIcebergValue value = {.bytes = "\xfa\x74", .len = 2};
	FsBuffer	path = {0};

	field.result = field.source;
	CHECK(fs_iceberg_partition_path(&spec, &value, &path) && path.len == 6 && memcmp(path.data, "-14.20", 6) == 0);
	CHECK(can_truncate(2, 60) && !can_truncate(2, 70) && can_truncate(9, INT32_MAX) && can_truncate(38, INT32_MAX) && can_truncate(1, 10));
	fs_buffer_free(&path);
}

/* All of a change makes one schema; older ones stay as they were. */
static void
check_schema_change(void)
{
	FsIcebergMetadata *metadata = create();
	const FsParquetColumn first[] = {{"a", FS_PARQUET_DOUBLE}, {"b", FS_PARQUET_LONG}};
	const FsParquetColumn second = {"a", FS_PARQUET_DOUBLE};
	const char *dropped = "a";
	const char *relaxed = "window_end";
	const FsIcebergSchemaChange change = {.dropped = &dropped, .ndropped = 1, .relaxed = &relaxed, .nrelaxed = 1,
	.added = &second, .nadded = 1};
	const FsIcebergSchemaChange nothing = {0};
	const FsIcebergSchemaChange wrong = {.relaxed = &dropped, .nrelaxed = 1};
	FsParquetColumn *read;
	char	   *before;
	int			n;

	CHECK(fs_iceberg_columns(metadata, &read, &n, message) && n == 4 && read[1].required);
	CHECK(fs_iceberg_add_columns(metadata, first, 2, message) && fs_iceberg_change_schema(metadata, &nothing, message));
	CHECK(fs_iceberg_schema_id(metadata) == 1);
	before = strdup(strstr(json_of(metadata), "\"schemas\":["));
	*strstr(before, "]}]") = '\0';
	CHECK(fs_iceberg_change_schema(metadata, &change, message) && fs_iceberg_schema_id(metadata) == 2);
	CHECK(strstr(json_of(metadata), before) != NULL);
	CHECK(fs_iceberg_columns(metadata, &read, &n, message) && n == 6 && !read[1].required && read[1].field_id == 2);
	CHECK(strcmp(read[4].name, "b") == 0 && read[4].field_id == 7 && strcmp(read[5].name, "a") == 0 && read[5].field_id == 8);
	fs_iceberg_metadata_free(metadata);
	metadata = create();
	CHECK(!fs_iceberg_change_schema(metadata, &wrong, message) && strstr(message, "no column \"a\"") != NULL);
	fs_iceberg_metadata_free(metadata);
	free(before);
}

/* Metadata with snapshots 1 to 5, an hour apart, and these refs. */
static FsIcebergMetadata *
with_refs(const char *refs, const char *properties)
{
	char		json[4096];
	size_t		len = (size_t) snprintf(json, sizeof(json),
										"{\"format-version\":2,\"table-uuid\":\"u\",\"location\":\"/t\",\"last-sequence-number\":5,"
										"\"last-updated-ms\":18000000,\"last-column-id\":1,\"current-schema-id\":0,\"schemas\":[],"
										"\"partition-specs\":[],\"default-spec-id\":0,\"last-partition-id\":999,\"sort-orders\":[],"
										"\"default-sort-order-id\":0,\"properties\":%s,\"current-snapshot-id\":5,\"refs\":%s,"
										"\"statistics\":[{\"snapshot-id\":2,\"statistics-path\":\"/s2\"},{\"snapshot-id\":4,\"statistics-path\":\"/s45\"},"
										"{\"snapshot-id\":5,\"statistics-path\":\"/s45\"}],"
										"\"partition-statistics\":[{\"snapshot-id\":3,\"statistics-path\":\"/p35\"},{\"snapshot-id\":4,\"statistics-path\":\"/p4\"},"
										"{\"snapshot-id\":5,\"statistics-path\":\"/p35\"}],"
										"\"snapshots\":[", properties, refs);

	for (int i = 1; i <= 5; i++)
		len += (size_t) snprintf(json + len, sizeof(json) - len, "%s{\"snapshot-id\":%d,%s\"timestamp-ms\":%d,\"manifest-list\":\"/l%d\"}",
								 i > 1 ? "," : "", i, i == 1 ? "" : i == 2 ? "\"parent-snapshot-id\":1," : i == 3 ? "\"parent-snapshot-id\":2," :
								 i == 4 ? "\"parent-snapshot-id\":3," : "\"parent-snapshot-id\":4,", i * 3600000, i == 2 ? 1 : i);
	len += (size_t) snprintf(json + len, sizeof(json) - len, "],\"snapshot-log\":[{\"snapshot-id\":1,\"timestamp-ms\":3600000},"
							 "{\"snapshot-id\":2,\"timestamp-ms\":7200000},{\"snapshot-id\":5,\"timestamp-ms\":18000000}]}");
	return fs_iceberg_metadata_read(json, len, message);
}

/* Which snapshots stay, as digits. */
static const char *
left(const char *refs, const char *properties, int64_t hours, int count, FsIcebergExpired *expired)
{
	static char out[8];
	static FsIcebergMetadata *metadata;
	FsIcebergSnapshot snapshot;
	size_t		len = 0;

	fs_iceberg_metadata_free(metadata);
	metadata = with_refs(refs, properties);
	if (metadata == NULL || !fs_iceberg_expire(metadata, 5 * HOUR, hours * HOUR, count, expired, message))
		return message;
	for (int i = 0; fs_iceberg_snapshot(metadata, i, &snapshot); i++)
		out[len++] = (char) ('0' + snapshot.snapshot_id);
	out[len] = '\0';
	return out;
}

static void
check_expiry(void)
{
	const char *plain = "{\"main\":{\"snapshot-id\":5,\"type\":\"branch\"}}";
	FsIcebergExpired expired;

	CHECK(strcmp(left(plain, "{}", 0, 1, &expired), "5") == 0 && expired.nsnapshots == 4 && expired.lists.n == 3 + 1);
	/* not what another snapshot has, too */
	CHECK(expired.statistics.n == 2 && strcmp(expired.statistics.texts[0], "/s2") == 0 && strcmp(expired.statistics.texts[1], "/p4") == 0);
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":2,\"type\":\"branch\"}}", "{}", -1, 1, &expired), "2") == 0 && expired.statistics.n == 5);
	CHECK(strcmp(left(plain, "{}", 0, 3, &expired), "345") == 0 && strcmp(left(plain, "{}", 2, 1, &expired), "345") == 0);
	CHECK(strcmp(left(plain, "{}", 9, 1, &expired), "12345") == 0 && expired.nsnapshots == 0 && expired.lists.n == 0);
	CHECK(strcmp(left("{}", "{}", 0, 0, &expired), "5") == 0);
	CHECK(strcmp(left(plain, "{\"gc.enabled\":\"false\"}", 0, 1, &expired), "12345") == 0);
	/* a branch's own rules, a tag, a branch that is not the current one, a ref's own age */
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":5,\"type\":\"branch\",\"min-snapshots-to-keep\":2}}", "{}", 0, 1, &expired), "45") == 0);
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":5,\"type\":\"branch\",\"max-snapshot-age-ms\":7200000}}", "{}", 0, 1, &expired), "345") == 0);
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":5,\"type\":\"branch\"},\"t\":{\"snapshot-id\":2,\"type\":\"tag\"}}", "{}", 0, 1, &expired), "25") == 0);
	CHECK(expired.lists.n == 2);	/* snapshot 1's is that of 2, which stays */
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":5,\"type\":\"branch\"},\"b\":{\"snapshot-id\":3,\"type\":\"branch\",\"min-snapshots-to-keep\":2}}",
					  "{}", 0, 1, &expired), "235") == 0);
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":5,\"type\":\"branch\"},\"t\":{\"snapshot-id\":2,\"type\":\"tag\",\"max-ref-age-ms\":3600000}}",
					  "{}", 0, 1, &expired), "5") == 0);
	/* what no ref reaches stays while it is young */
	CHECK(strcmp(left("{\"main\":{\"snapshot-id\":1,\"type\":\"branch\"}}", "{}", 2, 1, &expired), "1345") == 0);
}

/* Files are known by names of the kinds that are given to them, and by the metadata that names them. */
static void
check_kinds(void)
{
	static const char *const others[] = {
		"", UUID, UUID ".parquet.crc", "x" UUID ".parquet", "00000-0-" UUID ".parquet", "00000-0-" UUID "-00001.parquet",
		UUID "-m.avro", UUID "-m1.avr", "snap-1-" UUID ".avro", "snap--1-" UUID ".avro", "snap-1-1-" UUID ".avro.tmp", "snap-", "snap-1",
		"1-" UUID ".metadata.json", "00001-" UUID ".gz.metadata.json", "v1.metadata.json", "version-hint.text",
		"0F9A3C5E-1111-4222-8333-444455556666.parquet"
	};
	FsIcebergMetadata *metadata = create();
	FsIcebergTexts files;

	CHECK(fs_iceberg_name_read(UUID ".parquet") == FS_ICEBERG_NAME_DATA);
	CHECK(fs_iceberg_name_read(UUID "-m12.avro") == FS_ICEBERG_NAME_MANIFEST);
	CHECK(fs_iceberg_name_read("snap-123-4-" UUID ".avro") == FS_ICEBERG_NAME_LIST);
	CHECK(fs_iceberg_name_read("00042-" UUID ".metadata.json") == FS_ICEBERG_NAME_METADATA);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CHECK_NAMED(fs_iceberg_name_read(others[i]) == FS_ICEBERG_NAME_OTHER, others[i]);
	CHECK(fs_iceberg_named_files(metadata, &files) && files.n == 0);
	CHECK(fs_iceberg_supersede(metadata, "/m1", 1, NULL, message) && fs_iceberg_named_files(metadata, &files));
	CHECK(files.n == 1 && strcmp(files.texts[0], "/m1") == 0);
	fs_iceberg_metadata_free(metadata);
}

static bool
is_refused(const char *from, const char *to, const char *why)
{
	FsIcebergMetadata *metadata = create();
	char	   *json = strdup(json_of(metadata));
	char	   *at = strstr(json, from);
	char	   *changed = malloc(strlen(json) + strlen(to) + 1);
	FsIcebergMetadata *read;

	sprintf(changed, "%.*s%s%s", (int) (at - json), json, to, at + strlen(from));
	read = fs_iceberg_metadata_read(changed, strlen(changed), message);
	fs_iceberg_metadata_free(read);
	fs_iceberg_metadata_free(metadata);
	free(changed);
	free(json);
	return read == NULL && strstr(message, why) != NULL;
}

static void
check_reading(void)
{
	CHECK(is_refused("\"format-version\":2", "\"format-version\":3", "version 3"));
	CHECK(is_refused("\"format-version\":2", "\"format-version\":1", "version 1"));
	CHECK(is_refused("\"table-uuid\"", "\"table-uid\"", "table-uuid") && is_refused("\"location\":", "\"location\":[],\"x\":", "location"));
	CHECK(is_refused("\"last-column-id\":5", "\"last-column-id\":5.5", "last-column-id"));
	CHECK(is_refused("\"last-sequence-number\":0", "\"last-sequence-number\":9223372036854775807", "last-sequence-number"));
	CHECK(is_refused("\"schemas\":[", "\"schemas\":7,\"x\":[", "schemas") && is_refused("}", "]", "not JSON"));
	CHECK(is_refused("{", "[{", "not JSON"));
	/* a current snapshot that is not there, or has no list, is not "none" */
	CHECK(is_refused("{", "{\"current-snapshot-id\":7,", "current snapshot 7 cannot") &&
		  is_refused("{", "{\"current-snapshot-id\":\"7\",", "current-snapshot-id"));
	CHECK(is_refused("\"snapshots\":[", "\"current-snapshot-id\":7,\"snapshots\":[{\"snapshot-id\":7,\"timestamp-ms\":1}", "current snapshot 7 cannot"));
	CHECK(!is_refused("{", "{\"current-snapshot-id\":-1,", "") && !is_refused("{", "{\"current-snapshot-id\":null,", ""));
}

static void
check_paths(void)
{
	FsIcebergMetadata *metadata = create();
	FsIcebergSpec spec;
	FsIcebergValue values[3] = {{.i = -1}, {.i = 3}, {.is_null = true}};
	FsBuffer	path = {0};
	FsIcebergPaths paths = {0};
	char		name[32];
	size_t		i = 0;

	CHECK(fs_iceberg_spec(metadata, &spec, message) && fs_iceberg_data_path(metadata, &spec, values, UUID, &path));
	CHECK(path.len == strlen("file:///x/t/data/1969-12-31/3/null/" UUID ".parquet") &&
		  memcmp(path.data, "file:///x/t/data/1969-12-31/3/null/" UUID ".parquet", path.len) == 0);
	fs_buffer_reset(&path);
	CHECK(fs_iceberg_set_property(metadata, FS_ICEBERG_METADATA_PATH, "s3://b/m/", message) &&
		  fs_iceberg_metadata_path(metadata, 7, UUID, &path) && fs_buffer_append_byte(&path, 0));
	CHECK(strcmp(path.data, "s3://b/m/00007-" UUID ".metadata.json") == 0 && fs_iceberg_metadata_version(path.data) == 7);
	CHECK(fs_iceberg_metadata_version("/a/1-b") == 1 && fs_iceberg_metadata_version("v1.metadata.json") == -1);
	fs_buffer_free(&path);
	for (int n = 0; n < 1000; n++)
	{
		snprintf(name, sizeof(name), "/f%d", n % 500);
		if (!fs_iceberg_paths_add(&paths, name))
			abort();
		snprintf(name, sizeof(name), "/f%d", n % 7);
		fs_iceberg_paths_remove(&paths, name);
	}
	CHECK(paths.count == 493 && fs_iceberg_paths_has(&paths, "/f499") && !fs_iceberg_paths_has(&paths, "/f3"));
	for (int n = 0; n < 493; n++)
		if (fs_iceberg_paths_next(&paths, &i) == NULL)
			abort();
	CHECK(fs_iceberg_paths_next(&paths, &i) == NULL);
	fs_iceberg_paths_free(&paths);
	fs_iceberg_metadata_free(metadata);
}

/*
 * Manifests
 */

/* A manifest of two entries, in 'out', and its row in the list. */
static bool
write_manifest(FsIcebergMetadata *metadata, FsBuffer *out, FsIcebergManifest *manifest)
{
	static const FsIcebergValue first[3] = {{.i = 20000}, {.i = 3}, {.i = -5}};
	static const FsIcebergValue second[3] = {{.i = -7}, {.i = 15}, {.is_null = true}};
	static const int64_t offsets[2] = {4, INT64_C(5000000000)};
	static const FsIcebergMetrics metrics[2] = {
		{.field_id = 1, .bytes = 10, .value_count = 3, .null_count = 0, .nan_count = -1, .lower = "", .lower_len = 0, .upper = "b", .upper_len = 1},
		{.field_id = 4, .bytes = 20, .value_count = 3, .null_count = 3, .nan_count = -1}
	};
	FsIcebergDataFile file = {
		.path = "/a", .format = "PARQUET", .partition = first, .rows = 3, .size = 100, .metrics = metrics, .nmetrics = 2,
		.offsets = offsets, .noffsets = 2, .sort_id = 1
	};
	FsIcebergEntry entry = {.status = FS_ICEBERG_EXISTING, .snapshot_id = 5, .sequence_number = 2, .file_sequence_number = 3};
	FsIcebergManifestWriter *writer = fs_iceberg_manifest_create(metadata, 0, false, 7, message);
	bool		done = writer != NULL && fs_iceberg_manifest_add(writer, &file, message);

	file.path = "/b";
	file.partition = second;
	file.nmetrics = 0;
	file.noffsets = -1;
	file.sort_id = -1;
	entry.file = file;
	done = done && fs_iceberg_manifest_put(writer, &entry, message);
	entry.sequence_number = FS_ICEBERG_INHERITED;
	CHECK(!fs_iceberg_manifest_put(writer, &entry, message) && strstr(message, "sequence") != NULL);
	done = done && fs_iceberg_manifest_finish(writer, "/m", &memory, out, manifest, message);
	fs_iceberg_manifest_free(writer);
	return done;
}

static void
check_manifest(void)
{
	FsIcebergMetadata *metadata = create();
	FsBuffer	bytes = {0};
	FsBuffer	list = {0};
	FsIcebergManifest manifest;
	FsIcebergManifest *read;
	FsIcebergManifestReader *reader;
	FsIcebergEntry entry;
	int			n;

	CHECK(write_manifest(metadata, &bytes, &manifest) && manifest.length == (int64_t) bytes.len);
	CHECK(manifest.added_files == 1 && manifest.existing_rows == 3 && manifest.min_sequence_number == 2 && manifest.npartitions == 3);
	CHECK(fs_get_le32(manifest.partitions[0].lower) == (uint32_t) -7 && fs_get_le32(manifest.partitions[1].upper) == 15);
	CHECK(manifest.partitions[2].has_null && manifest.partitions[2].lower_len == 8 && manifest.partitions[0].has_nan == -1);
	CHECK(fs_iceberg_list_write(&manifest, 1, 7, FS_ICEBERG_NO_SNAPSHOT, 9, &list, message));
	CHECK(fs_iceberg_list_read(list.data, list.len, &memory, &read, &n, message) && n == 1);
	CHECK(read[0].sequence_number == 9 && read[0].min_sequence_number == 2 && read[0].snapshot_id == 7 && strcmp(read[0].path, "/m") == 0);
	CHECK(read[0].npartitions == 3 && read[0].partitions[2].has_null && fs_get_le32(read[0].partitions[0].upper) == 20000);
	reader = fs_iceberg_manifest_open(metadata, &read[0], bytes.data, bytes.len, message);
	CHECK(reader != NULL && fs_iceberg_manifest_next(reader, &entry, message) == 1);
	CHECK(entry.status == FS_ICEBERG_ADDED && entry.snapshot_id == 7 && entry.sequence_number == 9 && entry.file_sequence_number == 9);
	CHECK(strcmp(entry.file.path, "/a") == 0 && entry.file.nmetrics == 2 && entry.file.metrics[0].lower != NULL &&
		  entry.file.metrics[0].lower_len == 0 && *entry.file.metrics[0].upper == 'b' && entry.file.metrics[1].lower == NULL);
	CHECK(entry.file.metrics[0].nan_count == -1 && entry.file.metrics[1].null_count == 3 && entry.file.noffsets == 2 &&
		  entry.file.offsets[1] == INT64_C(5000000000) && entry.file.partition[2].i == -5 && entry.file.sort_id == 1);
	CHECK(fs_iceberg_manifest_next(reader, &entry, message) == 1 && entry.status == FS_ICEBERG_EXISTING);
	CHECK(entry.snapshot_id == 5 && entry.sequence_number == 2 && entry.file_sequence_number == 3 && entry.file.sort_id == -1);
	CHECK(entry.file.partition[0].i == -7 && entry.file.partition[2].is_null && entry.file.noffsets == -1 && entry.file.nmetrics == 0);
	CHECK(fs_iceberg_manifest_next(reader, &entry, message) == 0);
	fs_iceberg_reader_free(reader);
	fs_buffer_free(&bytes);
	fs_buffer_free(&list);
	fs_iceberg_metadata_free(metadata);
}

static bool
is_first(void *arg, const FsIcebergEntry *entry)
{
	return strcmp(entry->file.path, arg) == 0;
}

/* Takes out one of two files for snapshot 8, twice: what was deleted is then no longer said. */
static void
check_rewriting(void)
{
	FsIcebergMetadata *metadata = create();
	FsBuffer	bytes = {0};
	FsBuffer	again = {0};
	FsIcebergManifest manifest;
	FsIcebergRemoved removed;

	CHECK(write_manifest(metadata, &bytes, &manifest));
	manifest.sequence_number = 9;
	for (int64_t snapshot = 8; snapshot <= 9; snapshot++)
	{
		FsIcebergManifestReader *reader = fs_iceberg_manifest_open(metadata, &manifest, bytes.data, bytes.len, message);
		FsIcebergManifestWriter *writer = fs_iceberg_manifest_create(metadata, 0, false, snapshot, message);

		CHECK(fs_iceberg_manifest_rewrite(reader, writer, is_first, (void *) "/a", &removed, message));
		CHECK(removed.files == (snapshot == 8) && removed.bytes == (snapshot == 8 ? 100 : 0));
		fs_buffer_reset(&again);
		CHECK(fs_iceberg_manifest_finish(writer, "/m2", &memory, &again, &manifest, message));
		CHECK(manifest.deleted_files == (snapshot == 8) && manifest.existing_files == 1 && manifest.added_files == 0);
		CHECK(manifest.min_sequence_number == 2);
		manifest.sequence_number = 10;
		fs_buffer_reset(&bytes);
		CHECK(fs_buffer_append(&bytes, again.data, again.len));
		fs_iceberg_reader_free(reader);
		fs_iceberg_manifest_free(writer);
	}
	fs_buffer_free(&bytes);
	fs_buffer_free(&again);
	fs_iceberg_metadata_free(metadata);
}

/* A file that ends early is malformed, unless it ends before its only block: then it has no entries. */
static void
check_cut(void)
{
	FsIcebergMetadata *metadata = create();
	FsBuffer	bytes = {0};
	FsIcebergManifest manifest;
	bool		fine = write_manifest(metadata, &bytes, &manifest);

	manifest.sequence_number = 9;
	for (size_t len = 0; len < bytes.len && fine; len++)
	{
		char	   *copy = malloc(len + 1);
		FsIcebergManifestReader *reader;
		FsIcebergEntry entry;
		int			found = 1;
		int			entries = -1;

		memcpy(copy, bytes.data, len);
		reader = fs_iceberg_manifest_open(metadata, &manifest, copy, len, message);
		for (; reader != NULL && found > 0; entries++)
			found = fs_iceberg_manifest_next(reader, &entry, message);
		fine = found == 0 ? entries == 0 : strstr(message, "malformed") != NULL;
		fs_iceberg_reader_free(reader);
		free(copy);
	}
	CHECK_NAMED(fine, "a manifest that ends early has no entries");
	fs_buffer_free(&bytes);
	fs_iceberg_metadata_free(metadata);
}

int
main(void)
{
	check_hashes();
	check_truncation();
	check_times();
	check_words();
	check_json();
	check_creation();
	check_names();
	check_kinds();
	check_snapshots();
	check_log();
	check_evolution();
	check_schema_change();
	check_decimal_columns();
	check_decimal_partitions();
	check_expiry();
	check_reading();
	check_paths();
	check_manifest();
	check_rewriting();
	check_cut();
	fs_scratch_free(&memory);
	return unit_finish();
}
