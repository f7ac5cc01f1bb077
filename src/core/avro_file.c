/*
 * avro_file.c
 *		Avro's object container files; see avro_file.h.
 */
#include "core/avro_file.h"

#include "core/compress.h"
#include "core/hash.h"

#define MAGIC		"Obj\x01"
#define MAGIC_SIZE	4

typedef enum Codec
{
	CODEC_NULL,
	CODEC_DEFLATE,
	CODEC_ZSTANDARD
} Codec;

/*
 * Writing
 */

bool
fs_avro_put_bytes(FsBuffer *out, const char *bytes, size_t len)
{
	return fs_buffer_append_zigzag(out, (int64_t) len) && fs_buffer_append(out, bytes, len);
}

bool
fs_avro_put_optional_bytes(FsBuffer *out, const char *bytes, size_t len)
{
	if (bytes == NULL)
		return fs_buffer_append_byte(out, 0);
	return fs_buffer_append_byte(out, 2) && fs_avro_put_bytes(out, bytes, len);
}

static bool
append_key(FsBuffer *out, const FsAvroFileKey *key)
{
	return fs_avro_put_bytes(out, key->key, strlen(key->key)) && fs_avro_put_bytes(out, key->value, key->len);
}

/* See avro_file.h.  The marker has to be unlike what is in the file, no more. */
bool
fs_avro_file_begin(FsAvroFileWriter *writer, const char *schema, const FsAvroFileKey *keys, int nkeys, uint64_t seed)
{
	FsAvroFileKey own[] = {{"avro.schema", schema, strlen(schema)}, {"avro.codec", "deflate", 7}};
	FsBuffer   *out = &writer->out;
	uint64_t	low;

	memset(writer, 0, sizeof(*writer));
	if (!fs_buffer_append(out, MAGIC, MAGIC_SIZE) || !fs_buffer_append_zigzag(out, nkeys + 2) ||
		!append_key(out, &own[0]) || !append_key(out, &own[1]))
		return false;
	for (int i = 0; i < nkeys; i++)
		if (!append_key(out, &keys[i]))
			return false;
	low = fs_hash_fold(seed ^ UINT64_C(0xa0761d6478bd642f), fs_hash_bytes(out->data, out->len) | UINT64_C(1) << 63);
	fs_put_le64(writer->sync, low);
	fs_put_le64(writer->sync + 8, fs_hash_fold(low ^ UINT64_C(0xe7037ed1a0b428db), UINT64_C(0x9e3779b97f4a7c15)));
	return fs_buffer_append_byte(out, 0) && fs_buffer_append(out, writer->sync, FS_AVRO_SYNC_SIZE);
}

/* Writes the block at hand. */
static bool
flush_block(FsAvroFileWriter *writer)
{
	FsBuffer   *out = &writer->out;

	FS_ASSERT(writer->nrecords > 0);
	fs_buffer_reset(&writer->packed);
	if (!fs_deflate(&writer->packed, writer->block.data, writer->block.len) ||
		!fs_buffer_append_zigzag(out, writer->nrecords) ||
		!fs_avro_put_bytes(out, writer->packed.data, writer->packed.len) ||
		!fs_buffer_append(out, writer->sync, FS_AVRO_SYNC_SIZE))
		return false;
	fs_buffer_reset(&writer->block);
	writer->nrecords = 0;
	return true;
}

bool
fs_avro_file_end_record(FsAvroFileWriter *writer)
{
	writer->nrecords++;
	return writer->block.len < FS_AVRO_BLOCK_SIZE || flush_block(writer);
}

bool
fs_avro_file_finish(FsAvroFileWriter *writer)
{
	return writer->nrecords == 0 || flush_block(writer);
}

void
fs_avro_file_writer_free(FsAvroFileWriter *writer)
{
	fs_buffer_free(&writer->out);
	fs_buffer_free(&writer->block);
	fs_buffer_free(&writer->packed);
}

/*
 * Reading
 */

/* Notes what is wrong; always false. */
static bool
fail(FsAvroFileReader *reader, const char *wrong)
{
	reader->wrong = wrong;
	return false;
}

/* Takes bytes behind their length; false when they are not there. */
static bool
take_text(FsAvroFileReader *reader, const char **text, size_t *len)
{
	int64_t		n;

	if (!fs_take_zigzag(&reader->cursor, &n) || n < 0 || !fs_take_bytes(&reader->cursor, (size_t) n, text))
		return fail(reader, "the header ends early");
	*len = (size_t) n;
	return true;
}

/* Reads the header's map, which comes in blocks. */
static bool
read_keys(FsAvroFileReader *reader)
{
	int64_t		n;
	int64_t		size;

	for (;;)
	{
		if (!fs_take_zigzag(&reader->cursor, &n) || (n < 0 && !fs_take_zigzag(&reader->cursor, &size)))
			return fail(reader, "the header ends early");
		if (n == 0)
			return true;
		if (n < -FS_AVRO_FILE_KEYS || n > FS_AVRO_FILE_KEYS)
			return fail(reader, "the header has too many keys");
		for (n = n < 0 ? -n : n; n > 0; n--)
		{
			int			i = reader->nkeys;

			if (i == FS_AVRO_FILE_KEYS)
				return fail(reader, "the header has too many keys");
			if (!take_text(reader, &reader->keys[i], &reader->key_lens[i]) ||
				!take_text(reader, &reader->values[i], &reader->value_lens[i]))
				return false;
			reader->nkeys++;
		}
	}
}

/* Is the codec one that we read? */
static bool
read_codec(FsAvroFileReader *reader)
{
	static const char *const names[] = {"null", "deflate", "zstandard"};
	size_t		len;
	const char *name = fs_avro_file_value(reader, "avro.codec", &len);

	reader->codec = CODEC_NULL;
	if (name == NULL)
		return true;
	for (int i = CODEC_NULL; i <= CODEC_ZSTANDARD; i++)
		if (len == strlen(names[i]) && memcmp(name, names[i], len) == 0)
		{
			reader->codec = i;
			return true;
		}
	return fail(reader, "it is compressed by a codec other than deflate and zstandard");
}

/* See avro_file.h. */
bool
fs_avro_file_open(FsAvroFileReader *reader, const char *bytes, size_t len)
{
	const char *magic;

	memset(reader, 0, sizeof(*reader));
	reader->cursor.p = bytes;
	reader->cursor.end = bytes + len;
	if (!fs_take_bytes(&reader->cursor, MAGIC_SIZE, &magic) || memcmp(magic, MAGIC, MAGIC_SIZE) != 0)
		return fail(reader, "it is no Avro file");
	if (!read_keys(reader) || !read_codec(reader))
		return false;
	if (!fs_take_bytes(&reader->cursor, FS_AVRO_SYNC_SIZE, &reader->sync))
		return fail(reader, "the header ends early");
	return true;
}

/* See avro_file.h. */
const char *
fs_avro_file_value(const FsAvroFileReader *reader, const char *key, size_t *len)
{
	for (int i = 0; i < reader->nkeys; i++)
		if (reader->key_lens[i] == strlen(key) && memcmp(reader->keys[i], key, reader->key_lens[i]) == 0)
		{
			*len = reader->value_lens[i];
			return reader->values[i];
		}
	return NULL;
}

/* Expands a block; false on failure. */
static bool
expand(FsAvroFileReader *reader, const char *bytes, size_t len, size_t limit, FsCursor *records)
{
	FsExpandStatus status;

	if (reader->codec == CODEC_NULL)
	{
		records->p = bytes;
		records->end = bytes + len;
		return true;
	}
	fs_buffer_reset(&reader->expanded);
	status = reader->codec == CODEC_DEFLATE ? fs_inflate(&reader->expanded, bytes, len, limit) :
		fs_expand_zstd(&reader->expanded, bytes, len, limit);
	records->p = reader->expanded.data;
	records->end = records->p + reader->expanded.len;
	if (status == FS_EXPAND_MALFORMED)
		return fail(reader, "a block is not what its codec writes");
	if (status == FS_EXPAND_TOO_LONG)
		return fail(reader, "a block is too long");
	return status == FS_EXPAND_OK;
}

/* See avro_file.h. */
int
fs_avro_file_next(FsAvroFileReader *reader, size_t limit, FsCursor *records, int64_t *nrecords)
{
	int64_t		size;
	const char *bytes;
	const char *sync;

	FS_ASSERT(limit < FS_BUFFER_MAX && reader->sync != NULL);
	do
	{
		if (fs_cursor_left(&reader->cursor) == 0)
			return 0;
		if (!fs_take_zigzag(&reader->cursor, nrecords) || !fs_take_zigzag(&reader->cursor, &size) || *nrecords < 0 ||
			size < 0 || size > UINT32_MAX || !fs_take_bytes(&reader->cursor, (size_t) size, &bytes) ||
			!fs_take_bytes(&reader->cursor, FS_AVRO_SYNC_SIZE, &sync))
		{
			fail(reader, "a block runs beyond the end");
			return -1;
		}
		if (memcmp(sync, reader->sync, FS_AVRO_SYNC_SIZE) != 0)
		{
			fail(reader, "a block is not followed by the marker");
			return -1;
		}
		if (!expand(reader, bytes, (size_t) size, limit, records))
			return -1;
	} while (*nrecords == 0);
	return 1;
}

void
fs_avro_file_reader_free(FsAvroFileReader *reader)
{
	fs_buffer_free(&reader->expanded);
}
