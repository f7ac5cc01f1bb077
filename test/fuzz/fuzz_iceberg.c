/*
 * fuzz_iceberg.c
 *		Any bytes at all as metadata, manifests and manifest lists of an Iceberg table.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_iceberg.c, all files of src/core, -lzstd -lz -lm.  With
 * -DFS_FUZZ_MAIN and any compiler: a driver that mutates a few files at random,
 * [seed [rounds]].
 *
 * Metadata that is read is written as a text that reads as the same; what can be
 * asked of it is answered or refused with a reason.  What is read of a manifest
 * or list can be written again, or is refused with a reason.
 */
#include "core/avro_file.h"
#include "core/iceberg_manifest.h"
#include "fuzz.h"

#define MAX_RECORDS 64

typedef enum Kind
{
	KIND_METADATA,
	KIND_ENTRIES,				/* records of a manifest, whose container is made here */
	KIND_MANIFESTS,				/* records of a list, the same */
	KIND_MANIFEST,				/* a manifest */
	KIND_LIST,					/* a list */
	KINDS
} Kind;

static char message[FS_ICEBERG_MESSAGE_SIZE];

static const FsParquetColumn columns[] = {
	{"user_id", FS_PARQUET_STRING, true}, {"window_end", FS_PARQUET_TIMESTAMPTZ, true}, {"tags", FS_PARQUET_STRING, false, true},
	{"d", FS_PARQUET_DOUBLE}, {"u", FS_PARQUET_UUID}, {"bin", FS_PARQUET_BINARY}, {"dec", FS_PARQUET_DECIMAL, .precision = 20, .scale = 2}
};

static void
require_reason(void)
{
	require(fs_utf8_valid_length(message, strlen(message)) == strlen(message) && message[0] != '\0', "a refusal has a reason");
}

/* A table with fields of all kinds, that only ends with the process. */
static FsIcebergMetadata *
table(void)
{
	static FsIcebergMetadata *metadata;
	static const FsIcebergPartition partitions[] = {
		{"window_end", {FS_ICEBERG_DAY, 0}}, {"user_id", {FS_ICEBERG_BUCKET, 16}}, {"user_id", {FS_ICEBERG_IDENTITY, 0}},
		{"d", {FS_ICEBERG_IDENTITY, 0}}, {"u", {FS_ICEBERG_IDENTITY, 0}}, {"bin", {FS_ICEBERG_TRUNCATE, 3}}, {"dec", {FS_ICEBERG_TRUNCATE, 100}}
	};
	FsIcebergTable description = {"/t", columns, 7, partitions, 7};

	if (metadata == NULL)
		metadata = fs_iceberg_metadata_create(&description, "uuid", 1000, message);
	require(metadata != NULL, "a table is made");
	return metadata;
}

/*
 * Metadata
 */

/* Asks it for all that it can be asked for. */
static void
ask(FsIcebergMetadata *metadata)
{
	FsParquetColumn *read;
	FsIcebergSpec spec;
	FsIcebergSnapshot snapshot;
	FsBuffer	path = {0};
	int			n;

	message[0] = '\0';
	if (fs_iceberg_columns(metadata, &read, &n, message))
		for (int i = 0; i < n; i++)
			require(read[i].name != NULL && read[i].type <= FS_PARQUET_DECIMAL, "a column has a name and a type");
	else
		require_reason();
	if (fs_iceberg_spec(metadata, &spec, message))
		for (int i = 0; i < spec.nfields; i++)
			require(spec.fields[i].name != NULL && spec.fields[i].result.kind != FS_ICEBERG_OTHER, "a field has a name and a type");
	else
		require_reason();
	for (int i = 0; i < fs_iceberg_snapshot_count(metadata); i++)
		if (fs_iceberg_snapshot(metadata, i, &snapshot))
			require(snapshot.manifest_list != NULL, "a snapshot has a list");
	require(fs_iceberg_uuid(metadata) != NULL && fs_iceberg_list_path(metadata, 1, 1, "u", &path), "it has a uuid");
	fs_iceberg_property_number(metadata, FS_ICEBERG_KEEP_AGE, 0);
	fs_buffer_free(&path);
}

/* Changes it by all that it can be changed by. */
static void
change(FsIcebergMetadata *metadata)
{
	FsIcebergExpired expired;
	FsIcebergTexts dropped;
	FsIcebergCommit commit = {.snapshot_id = 77, .now_ms = 5, .operation = "append", .manifest_list = "/l", .added_rows = INT64_MAX};

	message[0] = '\0';
	if (!fs_iceberg_add_snapshot(metadata, &commit, message) ||
		!fs_iceberg_supersede(metadata, "/old", 7, &dropped, message) ||
		!fs_iceberg_expire(metadata, 20000000, 3600000, 1, &expired, message) ||
		!fs_iceberg_add_columns(metadata, &columns[3], 1, message) || !fs_iceberg_drop_column(metadata, "tags", message))
		require_reason();
	else
		require(fs_iceberg_find_snapshot(metadata, 77, &(FsIcebergSnapshot) {0}), "the current snapshot stays");
}

/* The metadata, appended with a zero. */
static void
write_text(const FsIcebergMetadata *metadata, FsBuffer *out)
{
	require(fs_iceberg_metadata_write(metadata, out), "metadata is written");
}

static void
check_metadata(const char *text, size_t len)
{
	FsIcebergMetadata *metadata = fs_iceberg_metadata_read(text, len, message);
	FsIcebergMetadata *again;
	FsBuffer	first = {0};
	FsBuffer	second = {0};

	if (metadata == NULL)
	{
		require_reason();
		return;
	}
	write_text(metadata, &first);
	again = fs_iceberg_metadata_read(first.data, first.len, message);
	require(again != NULL, "what was written is read");
	write_text(again, &second);
	require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0, "and is the same");
	ask(metadata);
	change(metadata);
	fs_buffer_reset(&first);
	write_text(metadata, &first);
	fs_iceberg_metadata_free(again);
	fs_iceberg_metadata_free(metadata);
	fs_buffer_free(&first);
	fs_buffer_free(&second);
}

/*
 * Manifests and lists
 */

/* Reads a manifest to its end, or to what is wrong, and writes what is read. */
static void
check_manifest(const char *bytes, size_t len)
{
	FsIcebergManifest manifest = {.path = "/m", .sequence_number = 9, .snapshot_id = 7};
	FsIcebergManifestReader *reader = fs_iceberg_manifest_open(table(), &manifest, bytes, len, message);
	FsIcebergManifestWriter *writer = fs_iceberg_manifest_create(table(), 0, false, 8, message);
	FsScratch	memory = {0};
	FsBuffer	out = {0};
	FsIcebergEntry entry;
	int			found = 0;

	require(writer != NULL, "a manifest is begun");
	while (reader != NULL && (found = fs_iceberg_manifest_next(reader, &entry, message)) > 0)
	{
		require(entry.file.path != NULL && entry.file.format != NULL && entry.file.rows >= 0, "a file is whole");
		require(entry.file.nmetrics == 0 || entry.file.metrics != NULL, "metrics are there");
		if (!fs_iceberg_manifest_put(writer, &entry, message))
			require_reason();
	}
	if (found < 0)
		require_reason();
	require(fs_iceberg_manifest_finish(writer, "/m2", &memory, &out, &manifest, message), "a manifest is finished");
	fs_iceberg_reader_free(reader);
	fs_iceberg_manifest_free(writer);
	fs_scratch_free(&memory);
	fs_buffer_free(&out);
}

/* Reads a list; what is read is written, and read again. */
static void
check_list(const char *bytes, size_t len)
{
	FsScratch	memory = {0};
	FsBuffer	out = {0};
	FsIcebergManifest *manifests;
	int			n;
	int			again;

	if (!fs_iceberg_list_read(bytes, len, &memory, &manifests, &n, message))
		require_reason();
	else if (!fs_iceberg_list_write(manifests, n, 1, 2, 3, &out, message))
		require_reason();
	else
		require(fs_iceberg_list_read(out.data, out.len, &memory, &manifests, &again, message) && again == n,
				"what was written is read");
	fs_scratch_free(&memory);
	fs_buffer_free(&out);
}

/* What a manifest, or a list, of two entries is, in the way it is written. */
static FsBuffer *
sample(Kind kind)
{
	static FsBuffer files[KINDS];
	static const FsIcebergValue values[7] = {
		{.i = 20000}, {.i = 3}, {.bytes = "user", .len = 4}, {.f = 1.5}, {.bytes = "0123456789abcdef", .len = 16}, {.is_null = true},
		{.bytes = "\x05\x8c", .len = 2}
	};
	static const int64_t offsets[2] = {4, 100};
	static const int32_t ids[1] = {1};
	static const FsIcebergMetrics metrics[2] = {
		{.field_id = 1, .bytes = 10, .value_count = 3, .null_count = 0, .nan_count = 0, .lower = "a", .lower_len = 1, .upper = "b", .upper_len = 1},
		{.field_id = 4, .bytes = 20, .value_count = 3, .null_count = 3, .nan_count = -1}
	};
	FsIcebergDataFile file = {
		.path = "/a", .format = "PARQUET", .partition = values, .rows = 3, .size = 100, .metrics = metrics, .nmetrics = 2,
		.key_metadata = "k", .key_metadata_len = 1, .offsets = offsets, .noffsets = 2, .equality_ids = ids, .nequality_ids = 1
	};
	FsIcebergManifest manifest;
	FsIcebergManifestWriter *writer;
	FsScratch	memory = {0};

	if (files[kind].len > 0)
		return &files[kind];
	writer = fs_iceberg_manifest_create(table(), 0, false, 7, message);
	require(writer != NULL && fs_iceberg_manifest_add(writer, &file, message) && fs_iceberg_manifest_add(writer, &file, message) &&
			fs_iceberg_manifest_finish(writer, "/m", &memory, &files[KIND_MANIFEST], &manifest, message) &&
			fs_iceberg_list_write((FsIcebergManifest[]) {manifest, manifest}, 2, 7, 6, 1, &files[KIND_LIST], message), "samples");
	fs_iceberg_manifest_free(writer);
	fs_scratch_free(&memory);
	return &files[kind];
}

/* Appends the container of a sample up to its records, without compression. */
static void
append_header(Kind kind, FsBuffer *out, FsCursor *records, FsAvroFileReader *reader)
{
	const FsBuffer *file = sample(kind);
	size_t		len;
	const char *schema;
	int64_t		n;

	require(fs_avro_file_open(reader, file->data, file->len), "a sample is opened");
	schema = fs_avro_file_value(reader, "avro.schema", &len);
	require(fs_buffer_append(out, "Obj\x01\x02\x16" "avro.schema", 17) && fs_avro_put_bytes(out, schema, len) &&
			fs_buffer_append_byte(out, 0) && fs_buffer_append(out, reader->sync, FS_AVRO_SYNC_SIZE), "memory");
	require(fs_avro_file_next(reader, 1 << 20, records, &n) == 1, "a sample has records");
}

/* Appends a block of these records. */
static void
append_block(FsBuffer *out, const FsAvroFileReader *reader, int64_t n, const char *bytes, size_t len)
{
	require(fs_buffer_append_zigzag(out, n) && fs_avro_put_bytes(out, bytes, len) &&
			fs_buffer_append(out, reader->sync, FS_AVRO_SYNC_SIZE), "memory");
}

/* Reads bytes as records of a sample's container. */
static void
check_records(Kind kind, int64_t n, const char *bytes, size_t len)
{
	FsBuffer	out = {0};
	FsAvroFileReader reader;
	FsCursor	records;

	append_header(kind, &out, &records, &reader);
	append_block(&out, &reader, n, bytes, len);
	if (kind == KIND_MANIFEST)
		check_manifest(out.data, out.len);
	else
		check_list(out.data, out.len);
	fs_avro_file_reader_free(&reader);
	fs_buffer_free(&out);
}

/* The first byte says what it is, the second how many records there are. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *) data + 2;

	if (size < 2)
		return 0;
	switch (data[0] % KINDS)
	{
		case KIND_METADATA:
			check_metadata(bytes, size - 2);
			break;
		case KIND_ENTRIES:
			check_records(KIND_MANIFEST, data[1] % MAX_RECORDS, bytes, size - 2);
			break;
		case KIND_MANIFESTS:
			check_records(KIND_LIST, data[1] % MAX_RECORDS, bytes, size - 2);
			break;
		case KIND_MANIFEST:
			check_manifest(bytes, size - 2);
			break;
		default:
			check_list(bytes, size - 2);
			break;
	}
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 16384

/* A metadata file with snapshots and what may be in one. */
static FsBuffer *
sample_metadata(void)
{
	static FsBuffer text;
	FsIcebergMetadata *metadata;

	if (text.len > 0)
		return &text;
	write_text(table(), &text);
	metadata = fs_iceberg_metadata_read(text.data, text.len, message);
	for (int64_t i = 1; i <= 3; i++)
	{
		FsIcebergCommit commit = {.snapshot_id = i, .now_ms = i * 3600000, .operation = "append", .manifest_list = "/l", .added_rows = i};

		require(fs_iceberg_add_snapshot(metadata, &commit, message) && fs_iceberg_supersede(metadata, "/m", 0, NULL, message), "a sample");
	}
	fs_buffer_reset(&text);
	write_text(metadata, &text);
	fs_iceberg_metadata_free(metadata);
	return &text;
}

/* Changes what follows the first two bytes, once; returns the new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const char alphabet[] = "{}[]\",:\\u0123456789.-eanltrf \x01\x02\x03\x10\x7f\x80\xfe\xff\x00";
	static const char *const words[] = {
		"\"schemas\"", "\"refs\":{}", "null", "{}", "[[[[", "9223372036854775807", "\\ud800", "\"snapshot-id\":2,", "-1", "\"list\"",
		"\"decimal(38, 9)\"", "\"void\"", "\"type\":\"tag\"", "\"max-ref-age-ms\":1,", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x01\xff"
	};
	size_t		at = 2 + next_random((uint32_t) size - 1);
	const char *word = words[next_random(LENGTH_OF(words))];

	if (at > size)
		at = size;
	switch (next_random(4))
	{
		case 0:
			return replace_byte(data, size, at, alphabet, sizeof(alphabet));
		case 1:
			if (at < size)
				data[at] ^= (uint8_t) (1 << next_random(8));
			return size;
		case 2:
			return cut_piece(data, size, at, 30);
		default:
			return insert_word(data, size, MAX_SIZE, at, word);
	}
}

/* One of the samples, mutated. */
static size_t
make_input(uint8_t *data)
{
	Kind		kind = (Kind) next_random(KINDS);
	FsBuffer	container = {0};
	FsAvroFileReader reader = {0};
	FsCursor	records;
	const FsBuffer *text = kind == KIND_METADATA ? sample_metadata() : &container;
	size_t		size;

	if (kind != KIND_METADATA)
	{
		append_header(kind == KIND_ENTRIES || kind == KIND_MANIFEST ? KIND_MANIFEST : KIND_LIST, &container, &records, &reader);
		if (kind == KIND_ENTRIES || kind == KIND_MANIFESTS)
		{
			fs_buffer_reset(&container);
			require(fs_buffer_append(&container, records.p, fs_cursor_left(&records)), "memory");
		}
		else
			append_block(&container, &reader, 2, records.p, fs_cursor_left(&records));
	}
	require(text->len + 2 <= MAX_SIZE / 2, "samples are short");
	data[0] = (uint8_t) kind;
	data[1] = (uint8_t) (next_random(8) > 0 ? 2 : next_random(256));
	memcpy(data + 2, text->data, text->len);
	size = text->len + 2;
	fs_avro_file_reader_free(&reader);
	fs_buffer_free(&container);
	for (int n = (int) next_random(6); n > 0; n--)
		size = mutate(data, size);
	return size;
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_iceberg", 20000, make_input, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
