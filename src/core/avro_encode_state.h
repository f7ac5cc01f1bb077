/*
 * avro_encode_state.h
 *		What the files that encode Avro records share.
 *
 * For avro_encode_plan.c (paths through records), avro_encode_value.c (a column's
 * value) and avro_encode_json.c (JSON).  All that write return false when they cannot,
 * with encoder->error saying why; they may have appended something by then.
 */
#ifndef FS_CORE_AVRO_ENCODE_STATE_H
#define FS_CORE_AVRO_ENCODE_STATE_H

#include "core/avro_encode.h"
#include "core/avro_program.h"
#include "core/avro_targets.h"
#include "core/json_tree.h"

/* Values that are written of one record, attempts included: those of unions within unions could be very many. */
#define FS_AVRO_MAX_STEPS	2000000

struct FsAvroEncoder
{
	FsAvroRef	writer;
	FsAvroRef	reader;
	int			nfields;
	FsField    *fields;			/* names in 'memory' */
	bool	   *found;			/* per field: fs_avro_encoder_has() */
	FsAvroTargets tree;
	FsScratch	memory;
	struct FsAvroPlan *plan;	/* of the whole record */

	/* The record being written */
	FsScratch	scratch;
	FsBuffer   *out;
	const FsValue *values;
	int			column;			/* being written, -1: none */
	bool		exact;			/* it must read as the very same: nothing cut, rounded, spelled otherwise or filled in */
	long		steps;			/* that are left */
	FsAvroEncodeError *error;
};

/* A value and what it is a value of. */
typedef struct FsAvroGiven
{
	const FsField *field;
	const FsValue *value;
} FsAvroGiven;

/* Says why something cannot be written; the message goes on from 'field "x" '.  Always false. */
extern bool fs_avro_encoder_refuse(FsAvroEncoder *encoder, FsAvroTrouble trouble,
								   const char *format,...) __attribute__((format(printf, 3, 4)));

/* Likewise: the type (of the reader's schema, if there is one) has no place for the column's value. */
extern bool fs_avro_encoder_misfit(FsAvroEncoder *encoder, FsAvroTrouble trouble, FsAvroRef writer, FsAvroRef reader);

/* Takes what an append returned. */
static inline bool
fs_avro_appended(FsAvroEncoder *encoder, bool ok)
{
	if (!ok)
		encoder->error->trouble = FS_AVRO_NO_MEMORY;
	return ok;
}

/* Counts a value; false when they are too many. */
extern bool fs_avro_encoder_step(FsAvroEncoder *encoder);

/* Makes *reader what the writer's type, which is no union, reads as; false when that is nothing. */
extern bool fs_avro_encoder_meet(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef *reader);

/* Null, in any type that has it. */
extern bool fs_avro_write_null(FsAvroEncoder *encoder, FsAvroRef writer);

/* What a field is that nothing is given for; 'name' is its path. */
extern bool fs_avro_write_fill(FsAvroEncoder *encoder, FsAvroRef record, int member, const char *name);

/* Writes what there is as the branch, whose number is given; none is null. */
typedef bool (*FsAvroWriteBranch) (FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int branch,
								   const void *what);

/* In the writer's union: in the first branch that holds it exactly, else in the first that holds it. */
extern bool fs_avro_write_union(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader,
								FsAvroWriteBranch write, const void *what);

/* A column's value, or an array's element, in any type. */
extern bool fs_avro_write_given(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given);

/* A value that is no array, neither null nor JSON, in a type that is neither union nor made of others. */
extern bool fs_avro_write_scalar(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given);

/* JSON, in any type. */
extern bool fs_avro_write_json(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsJsonNode *json);

#endif							/* FS_CORE_AVRO_ENCODE_STATE_H */
