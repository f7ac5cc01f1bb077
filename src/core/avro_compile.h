/*
 * avro_compile.h
 *		What the parts of the compiler of Avro programs share.
 *
 * avro_resolve.c follows the paths of columns through the schemas;
 * avro_whole.c emits what is read without a path: what is skipped, and what
 * becomes JSON text; avro_emit.c has the pieces of both.
 */
#ifndef FS_CORE_AVRO_COMPILE_H
#define FS_CORE_AVRO_COMPILE_H

#include "core/avro_program.h"

/* What a record becomes where no path leads into it. */
typedef enum FsAvroMode
{
	FS_AVRO_SKIP,
	FS_AVRO_JSON
} FsAvroMode;

/* A record that is read by a routine, so that a type may hold itself. */
typedef struct FsAvroRoutine
{
	FsAvroRef	writer;
	FsAvroRef	reader;
	FsAvroMode	mode;
	int			start;			/* its first operation, when it is emitted */
} FsAvroRoutine;

typedef struct FsAvroCompiler
{
	FsAvroProgram *program;
	struct FsAvroProblem *problems; /* per field; see avro_resolve.h */
	bool	   *found;			/* per field: the schema has something at its path */
	int			max_ops;		/* allocated */
	int			max_targets;
	int			max_convs;
	int			max_symbols;
	int			max_defaults;
	int			nroutines;
	int			max_routines;
	FsAvroRoutine *routines;
	bool		failed;			/* memory is out, or the program is too long */
	bool		too_long;
} FsAvroCompiler;

/* Makes *array hold n + more elements; false, with failed set, when memory is out. */
extern bool fs_avro_grow(FsAvroCompiler *compiler, void **array, int *max,
						 int n, int more, size_t size);

/* Appends an operation; its index, or 0 when that failed. */
extern int	fs_avro_emit(FsAvroCompiler *compiler, FsAvroOpCode code, int column,
						 int a, int b);

/* Appends to the program's text; its offset. */
extern int	fs_avro_add_text(FsAvroCompiler *compiler, const char *text, size_t len);

/* Adds the conversion of a scalar into a field (NULL: JSON); its index. */
extern int	fs_avro_add_conv(FsAvroCompiler *compiler, FsAvroRef writer,
							 FsAvroRef reader, const FsField *field);

/* Begins the body that reads a field's default; its operation. */
extern int	fs_avro_begin_default(FsAvroCompiler *compiler, const FsAvroMember *member);

/* Ends the body of an operation. */
extern void fs_avro_end_body(FsAvroCompiler *compiler, int op);

/* Begins a union: its jump table, which the branches fill in. */
extern int	fs_avro_begin_union(FsAvroCompiler *compiler, FsAvroRef writer);

/* Begins a branch, by its number, whose code follows. */
extern void fs_avro_begin_branch(FsAvroCompiler *compiler, int table, int branch);

/* Ends a branch that is not the last: *jumps chains the jumps to the end (-1: none yet). */
extern void fs_avro_end_branch(FsAvroCompiler *compiler, int *jumps);
extern void fs_avro_end_union(FsAvroCompiler *compiler, int jumps);

/* Emits a failure for the column (-1: the one whose JSON is written): these types do not match. */
extern void fs_avro_emit_mismatch(FsAvroCompiler *compiler, int column,
								  FsAvroRef writer, FsAvroRef reader);

/* Emits what passes over a value of the writer's type. */
extern void fs_avro_emit_skip(FsAvroCompiler *compiler, FsAvroRef writer);

/* Emits what makes JSON text of a value. */
extern void fs_avro_emit_json(FsAvroCompiler *compiler, FsAvroRef writer,
							  FsAvroRef reader);

/* Emits all routines that were called, and those that they call. */
extern void fs_avro_emit_routines(FsAvroCompiler *compiler);

#endif							/* FS_CORE_AVRO_COMPILE_H */
