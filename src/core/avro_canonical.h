/*
 * avro_canonical.h
 *		An Avro schema as text that says nothing but what it is.
 */
#ifndef FS_CORE_AVRO_CANONICAL_H
#define FS_CORE_AVRO_CANONICAL_H

#include "core/avro_schema.h"
#include "core/buffer.h"

/*
 * Appends the Parsing Canonical Form of the specification, whose SHA-256 is the
 * schema's fingerprint: what the bytes of a datum depend on.  'whole' adds what
 * only readers ask for, in a form of our own: aliases, defaults, logical types;
 * two schemas that are alike in that resolve alike.  False when memory is out.
 * The schema was read from one source.
 */
extern bool fs_avro_canonical_write(FsBuffer *out, const FsAvroSchema *schema, bool whole);

#endif							/* FS_CORE_AVRO_CANONICAL_H */
