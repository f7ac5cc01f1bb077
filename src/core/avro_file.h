/*
 * avro_file.h
 *		Avro's object container files: a header, and blocks of records between markers.
 *
 * Written with deflate; read with deflate, zstandard or no compression.  What is
 * read is not trusted.  Format: Apache Avro 1.11, "Object Container Files".
 */
#ifndef FS_CORE_AVRO_FILE_H
#define FS_CORE_AVRO_FILE_H

#include "core/buffer.h"

#define FS_AVRO_SYNC_SIZE	16
#define FS_AVRO_BLOCK_SIZE	(64 * 1024)	/* of records, when a block is written */
#define FS_AVRO_FILE_KEYS	64		/* at most, in a header that is read */

/* A file that is being written. */
typedef struct FsAvroFileWriter
{
	FsBuffer	out;			/* what is finished */
	FsBuffer	block;			/* records of the block at hand */
	FsBuffer	packed;
	int64_t		nrecords;		/* in it */
	char		sync[FS_AVRO_SYNC_SIZE];
} FsAvroFileWriter;

typedef struct FsAvroFileKey
{
	const char *key;
	const char *value;
	size_t		len;
} FsAvroFileKey;

/* Writes the header: the schema, the codec, and these keys.  'seed' makes the marker.  False: memory is out, as below. */
extern bool fs_avro_file_begin(FsAvroFileWriter *writer, const char *schema, const FsAvroFileKey *keys, int nkeys,
							   uint64_t seed);

/* Appends bytes as a string or bytes of Avro; the second NULL, or not, in a union behind null. */
extern bool fs_avro_put_bytes(FsBuffer *out, const char *bytes, size_t len);
extern bool fs_avro_put_optional_bytes(FsBuffer *out, const char *bytes, size_t len);

/* A record was appended to writer->block. */
extern bool fs_avro_file_end_record(FsAvroFileWriter *writer);

/* Writes the last block; the file is then all in writer->out. */
extern bool fs_avro_file_finish(FsAvroFileWriter *writer);
extern void fs_avro_file_writer_free(FsAvroFileWriter *writer);

/* A file that is being read: bytes that stay where they are. */
typedef struct FsAvroFileReader
{
	FsCursor	cursor;
	const char *keys[FS_AVRO_FILE_KEYS];	/* not zero-terminated */
	size_t		key_lens[FS_AVRO_FILE_KEYS];
	const char *values[FS_AVRO_FILE_KEYS];
	size_t		value_lens[FS_AVRO_FILE_KEYS];
	int			nkeys;
	int			codec;
	const char *sync;
	FsBuffer	expanded;
	const char *wrong;			/* why it failed; NULL: memory is out */
} FsAvroFileReader;

/* Reads the header; false on failure.  Freed in any case. */
extern bool fs_avro_file_open(FsAvroFileReader *reader, const char *bytes, size_t len);

/* What the header has under a key, or NULL. */
extern const char *fs_avro_file_value(const FsAvroFileReader *reader, const char *key, size_t *len);

/*
 * The next block of *nrecords > 0 records, expanded to at most 'limit' bytes,
 * valid until the next call: 1; 0 at the end of the file; -1 on failure.
 */
extern int	fs_avro_file_next(FsAvroFileReader *reader, size_t limit, FsCursor *records, int64_t *nrecords);
extern void fs_avro_file_reader_free(FsAvroFileReader *reader);

#endif							/* FS_CORE_AVRO_FILE_H */
