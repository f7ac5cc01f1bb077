/*
 * iceberg_metadata.h
 *		What the files iceberg*.c share of a table's metadata.
 */
#ifndef FS_CORE_ICEBERG_METADATA_H
#define FS_CORE_ICEBERG_METADATA_H

#include "core/iceberg.h"
#include "core/json_tree.h"

struct FsIcebergMetadata
{
	FsScratch	memory;			/* of the tree, and of all that is returned */
	FsJsonNode *root;
	int64_t		read_updated_ms;	/* last-updated-ms of the file that was read */
};

/* Says why something is refused, or that memory is out (no words); always false. */
extern bool fs_iceberg_fail(char *message, const char *format,...) __attribute__((format(printf, 2, 3)));
extern bool fs_iceberg_no_memory(char *message);

/* The same result: done, or memory is out. */
static inline bool
fs_iceberg_done(bool done, char *message)
{
	return done || fs_iceberg_no_memory(message);
}

/* Sets a member of an object; false when memory is out. */
extern bool fs_iceberg_set_number(FsIcebergMetadata *metadata, FsJsonNode *object, const char *key, int64_t value);
extern bool fs_iceberg_set_text(FsIcebergMetadata *metadata, FsJsonNode *object, const char *key, const char *value);

/* The object or array of this key, made when it is not there; NULL when memory is out. */
extern FsJsonNode *fs_iceberg_need(FsIcebergMetadata *metadata, FsJsonNode *object, const char *key,
								   FsJsonNodeKind kind);

/* The element of an array whose 'id_key' is this id, or NULL. */
extern FsJsonNode *fs_iceberg_by_id(const FsJsonNode *array, const char *id_key, int64_t id);

/* The current schema, or the fields of a spec, as they stand there; NULL with the message. */
extern FsJsonNode *fs_iceberg_schema_node(const FsIcebergMetadata *metadata, char *message);
extern FsJsonNode *fs_iceberg_spec_node(const FsIcebergMetadata *metadata, int32_t spec_id, char *message);

/* Puts what a new table consists of into metadata that has its root: schema, spec, order. */
extern bool fs_iceberg_make_schema(FsIcebergMetadata *metadata, const FsIcebergTable *table, char *message);
extern bool fs_iceberg_make_spec(FsIcebergMetadata *metadata, const FsIcebergTable *table, char *message);

/* A type's name of the specification; FS_ICEBERG_OTHER for what is none. */
extern FsIcebergType fs_iceberg_type_read(const char *text);

/* A name that is one in Avro: what no such name has is replaced, as the Java library does.  NULL: memory is out. */
extern const char *fs_iceberg_avro_name(FsScratch *memory, const char *name);

/* Room for 'n' texts; false when memory is out. */
extern bool fs_iceberg_texts_make(FsIcebergMetadata *metadata, FsIcebergTexts *texts, int n);

#endif							/* FS_CORE_ICEBERG_METADATA_H */
