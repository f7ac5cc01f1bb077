/*
 * avro_emit.c
 *		The pieces of Avro programs: operations, text, conversions, defaults, unions.
 *
 * All arrays of a program grow here.  A failure is noted in the compiler once,
 * and everything after it does nothing, so that callers need not look.
 */
#include "core/avro_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SYMBOLS	100000		/* of all enums, each time they are read */

/* See avro_compile.h. */
bool
fs_avro_grow(FsAvroCompiler *compiler, void **array, int *max, int n, int more,
			 size_t size)
{
	int			wanted = *max == 0 ? 16 : *max;
	void	   *grown;

	while (wanted < n + more)
		wanted *= 2;
	if (wanted == *max)
		return !compiler->failed;
	grown = realloc(*array, (size_t) wanted * size);
	if (grown == NULL)
	{
		compiler->failed = true;
		return false;
	}
	*array = grown;
	*max = wanted;
	return !compiler->failed;
}

/* See avro_compile.h. */
int
fs_avro_emit(FsAvroCompiler *compiler, FsAvroOpCode code, int column, int a, int b)
{
	FsAvroProgram *program = compiler->program;
	FsAvroOp   *op;

	if (program->nops >= FS_AVRO_MAX_OPS)
		compiler->failed = compiler->too_long = true;
	if (!fs_avro_grow(compiler, (void **) &program->ops, &compiler->max_ops,
					  program->nops, 1, sizeof(FsAvroOp)))
		return 0;
	op = &program->ops[program->nops];
	op->code = (uint16_t) code;
	op->column = (int16_t) column;
	op->a = a;
	op->b = b;
	return program->nops++;
}

/* See avro_compile.h. */
int
fs_avro_add_text(FsAvroCompiler *compiler, const char *text, size_t len)
{
	FsBuffer   *buffer = &compiler->program->text;

	if (!fs_buffer_append(buffer, text, len))
	{
		compiler->failed = true;
		return 0;
	}
	return (int) (buffer->len - len);
}

/*
 * Symbols of an enum by the writer's ordinals: the symbol, the reader's default
 * for one that it does not have, or none.
 */
static void
add_symbols(FsAvroCompiler *compiler, FsAvroConv *conv, FsAvroRef writer, FsAvroRef reader)
{
	FsAvroProgram *program = compiler->program;
	const FsAvroNode *w = fs_avro_node(writer);

	conv->first_symbol = program->nsymbols;
	conv->nsymbols = w->count;
	if (program->nsymbols > MAX_SYMBOLS)
		compiler->failed = compiler->too_long = true;
	if (!fs_avro_grow(compiler, (void **) &program->symbols, &compiler->max_symbols,
					  program->nsymbols, w->count, sizeof(FsAvroSymbol)))
		return;
	for (int i = w->first; i >= 0; i = writer.schema->members[i].next)
	{
		const char *name = writer.schema->members[i].name;
		FsAvroSymbol symbol = {-1, 0};
		bool		known = reader.schema == NULL;
		int			ordinal = 0;

		for (int j = known ? -1 : fs_avro_node(reader)->first; j >= 0 && !known;
			 j = reader.schema->members[j].next)
			known = strcmp(reader.schema->members[j].name, name) == 0;
		for (int j = known ? -1 : fs_avro_node(reader)->first; j >= 0;
			 j = reader.schema->members[j].next)
			if (ordinal++ == fs_avro_node(reader)->default_symbol)
			{
				name = reader.schema->members[j].name;
				known = true;
			}
		if (known)
		{
			symbol.len = (int) strlen(name);
			symbol.offset = fs_avro_add_text(compiler, name, strlen(name));
		}
		program->symbols[program->nsymbols++] = symbol;
	}
}

/* See avro_compile.h. */
int
fs_avro_add_conv(FsAvroCompiler *compiler, FsAvroRef writer, FsAvroRef reader,
				 const FsField *field)
{
	FsAvroProgram *program = compiler->program;
	FsAvroConv	conv;

	fs_avro_conv_init(&conv, writer, reader);
	conv.field = field;
	if (conv.wire == FS_AVRO_ENUM)
		add_symbols(compiler, &conv, writer, reader);
	if (!fs_avro_grow(compiler, (void **) &program->convs, &compiler->max_convs,
					  program->nconvs, 1, sizeof(FsAvroConv)))
		return 0;
	program->convs[program->nconvs] = conv;
	return program->nconvs++;
}

/* Adds the default of a field; its index. */
static int
add_default(FsAvroCompiler *compiler, const FsAvroMember *member)
{
	FsAvroProgram *program = compiler->program;
	char	   *copy = fs_scratch_take(&program->memory, member->default_len + 1);

	if (copy == NULL)
		compiler->failed = true;
	if (!fs_avro_grow(compiler, (void **) &program->defaults, &compiler->max_defaults,
					  program->ndefaults, 1, sizeof(FsAvroDefault)))
		return 0;
	memcpy(copy, member->default_bytes, member->default_len);
	program->defaults[program->ndefaults].bytes = copy;
	program->defaults[program->ndefaults].len = member->default_len;
	return program->ndefaults++;
}

/* See avro_compile.h. */
int
fs_avro_begin_default(FsAvroCompiler *compiler, const FsAvroMember *member)
{
	return fs_avro_emit(compiler, FS_AVRO_OP_DEFAULT, -1, 0, add_default(compiler, member));
}

/* See avro_compile.h. */
void
fs_avro_end_body(FsAvroCompiler *compiler, int op)
{
	fs_avro_emit(compiler, FS_AVRO_OP_END, -1, 0, 0);
	if (!compiler->failed)
		compiler->program->ops[op].a = compiler->program->nops;
}

/* See avro_compile.h. */
int
fs_avro_begin_union(FsAvroCompiler *compiler, FsAvroRef writer)
{
	FsAvroProgram *program = compiler->program;
	int			count = fs_avro_node(writer)->count;
	int			table = program->ntargets;

	if (!fs_avro_grow(compiler, (void **) &program->targets, &compiler->max_targets,
					  table, count, sizeof(int32_t)))
		return 0;
	program->ntargets += count;
	fs_avro_emit(compiler, FS_AVRO_OP_UNION, -1, table, count);
	return table;
}

/* See avro_compile.h. */
void
fs_avro_begin_branch(FsAvroCompiler *compiler, int table, int branch)
{
	if (!compiler->failed)
		compiler->program->targets[table + branch] = compiler->program->nops;
}

/* See avro_compile.h. */
void
fs_avro_end_branch(FsAvroCompiler *compiler, int *jumps)
{
	*jumps = fs_avro_emit(compiler, FS_AVRO_OP_JUMP, -1, *jumps, 0);
}

/* See avro_compile.h. */
void
fs_avro_end_union(FsAvroCompiler *compiler, int jumps)
{
	while (!compiler->failed && jumps >= 0)
	{
		FsAvroOp   *jump = &compiler->program->ops[jumps];

		jumps = jump->a;
		jump->a = compiler->program->nops;
	}
}

/* See avro_compile.h. */
void
fs_avro_emit_mismatch(FsAvroCompiler *compiler, int column, FsAvroRef writer,
					  FsAvroRef reader)
{
	char		w[160];
	char		r[160];
	char		text[FS_DECODE_MESSAGE_SIZE];
	int			len;

	fs_avro_describe(w, sizeof(w), writer);
	fs_avro_describe(r, sizeof(r), reader);
	len = snprintf(text, sizeof(text), "was written as %.90s, which cannot be read as %.90s", w, r);
	fs_avro_emit(compiler, FS_AVRO_OP_FAIL, column,
				 fs_avro_add_text(compiler, text, (size_t) len), len);
}
