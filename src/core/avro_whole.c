/*
 * avro_whole.c
 *		Emitting Avro programs: what is skipped, and what becomes JSON text.
 *
 * Both read a value whole, whatever is in it.  Records are routines, one for
 * each pair of types, so that a type may hold itself and a program is never
 * longer than its schemas; everything else stands where it is read.
 *
 * JSON text is plain: a union is its value without its branch's name.
 */
#include "core/avro_compile.h"

#include <string.h>

#include "core/json_write.h"

/* Emits a call of the routine for a record. */
static void
emit_call(FsAvroCompiler *compiler, FsAvroRef writer, FsAvroRef reader, FsAvroMode mode)
{
	FsAvroRoutine *routine;
	int			i = 0;

	for (; i < compiler->nroutines; i++)
	{
		routine = &compiler->routines[i];
		if (routine->mode == mode && routine->writer.schema == writer.schema &&
			routine->writer.node == writer.node && routine->reader.schema == reader.schema &&
			routine->reader.node == reader.node)
			break;
	}
	if (i == compiler->nroutines)
	{
		if (!fs_avro_grow(compiler, (void **) &compiler->routines, &compiler->max_routines,
						  i, 1, sizeof(FsAvroRoutine)))
			return;
		routine = &compiler->routines[compiler->nroutines++];
		routine->writer = writer;
		routine->reader = reader;
		routine->mode = mode;
		routine->start = 0;
	}
	fs_avro_emit(compiler, FS_AVRO_OP_CALL, -1, i, 0);
}

/* Emits a loop over an array or map, whose body 'emit' makes. */
static void
emit_items(FsAvroCompiler *compiler, FsAvroRef writer, FsAvroRef reader, bool is_json)
{
	FsAvroRef	item = {writer.schema, fs_avro_item(writer.schema, fs_avro_node(writer))};
	int			flags = (fs_avro_node(writer)->type == FS_AVRO_MAP ? FS_AVRO_ITEMS_MAP : 0) |
		(is_json ? FS_AVRO_ITEMS_JSON : 0);
	int			op = fs_avro_emit(compiler, FS_AVRO_OP_ITEMS, -1, 0, flags);

	if (!is_json)
		fs_avro_emit_skip(compiler, item);
	else if (reader.schema == NULL)
		fs_avro_emit_json(compiler, item, reader);
	else
		fs_avro_emit_json(compiler, item, fs_avro_child(reader, fs_avro_node(reader)->first));
	fs_avro_end_body(compiler, op);
}

/* Emits a union whose branches are skipped or become JSON. */
static void
emit_union(FsAvroCompiler *compiler, FsAvroRef writer, FsAvroRef reader, bool is_json)
{
	int			table = fs_avro_begin_union(compiler, writer);
	int			branch = 0;
	int			jumps = -1;

	for (int i = fs_avro_node(writer)->first; i >= 0 && !compiler->failed;
		 i = writer.schema->members[i].next)
	{
		fs_avro_begin_branch(compiler, table, branch++);
		if (is_json)
			fs_avro_emit_json(compiler, fs_avro_child(writer, i), reader);
		else
			fs_avro_emit_skip(compiler, fs_avro_child(writer, i));
		if (writer.schema->members[i].next >= 0)
			fs_avro_end_branch(compiler, &jumps);
	}
	fs_avro_end_union(compiler, jumps);
}

/* See avro_compile.h. */
void
fs_avro_emit_skip(FsAvroCompiler *compiler, FsAvroRef writer)
{
	const FsAvroNode *node = fs_avro_node(writer);

	if (compiler->failed)
		return;
	switch (node->type)
	{
		case FS_AVRO_NULL:
			break;
		case FS_AVRO_BOOLEAN:
			fs_avro_emit(compiler, FS_AVRO_OP_SKIP_FIXED, -1, 1, 0);
			break;
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
		case FS_AVRO_ENUM:
			fs_avro_emit(compiler, FS_AVRO_OP_SKIP_VARINT, -1, 0, 0);
			break;
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			fs_avro_emit(compiler, FS_AVRO_OP_SKIP_FIXED, -1, node->type == FS_AVRO_FLOAT ? 4 : 8, 0);
			break;
		case FS_AVRO_BYTES:
		case FS_AVRO_STRING:
			fs_avro_emit(compiler, FS_AVRO_OP_SKIP_BYTES, -1, 0, 0);
			break;
		case FS_AVRO_FIXED:
			fs_avro_emit(compiler, FS_AVRO_OP_SKIP_FIXED, -1, node->size, 0);
			break;
		case FS_AVRO_RECORD:
			emit_call(compiler, writer, fs_avro_none, FS_AVRO_SKIP);
			break;
		case FS_AVRO_ARRAY:
		case FS_AVRO_MAP:
			emit_items(compiler, writer, fs_avro_none, false);
			break;
		case FS_AVRO_UNION:
			emit_union(compiler, writer, fs_avro_none, false);
			break;
	}
}

static void
emit_literal(FsAvroCompiler *compiler, const char *text, size_t len)
{
	int			offset = fs_avro_add_text(compiler, text, len);

	fs_avro_emit(compiler, FS_AVRO_OP_JSON_LITERAL, -1, offset, (int) len);
}

/* See avro_compile.h. */
void
fs_avro_emit_json(FsAvroCompiler *compiler, FsAvroRef writer, FsAvroRef reader)
{
	FsAvroType	type = fs_avro_node(writer)->type;

	if (compiler->failed)
		return;
	if (type == FS_AVRO_UNION)
	{
		emit_union(compiler, writer, reader, true);
		return;
	}
	if (reader.schema != NULL && fs_avro_node(reader)->type == FS_AVRO_UNION)
	{
		int			branch = fs_avro_match_branch(writer, reader);

		if (branch >= 0)
			reader = fs_avro_child(reader, branch);
	}
	if (reader.schema != NULL && (fs_avro_node(reader)->type == FS_AVRO_UNION ||
								  fs_avro_match(writer, reader) == FS_AVRO_DIFFERENT))
	{
		fs_avro_emit_mismatch(compiler, -1, writer, reader);
		fs_avro_emit_skip(compiler, writer);
	}
	else if (type == FS_AVRO_NULL)
		emit_literal(compiler, "null", 4);
	else if (type == FS_AVRO_RECORD)
		emit_call(compiler, writer, reader, FS_AVRO_JSON);
	else if (type == FS_AVRO_ARRAY || type == FS_AVRO_MAP)
		emit_items(compiler, writer, reader, true);
	else
		fs_avro_emit(compiler, FS_AVRO_OP_JSON_VALUE, -1,
					 fs_avro_add_conv(compiler, writer, reader, NULL), 0);
}

/* Emits the key of a field, with what stands before it. */
static void
emit_key(FsAvroCompiler *compiler, const char *name, bool *is_first)
{
	FsBuffer	text = {0};

	if (!fs_buffer_append_byte(&text, *is_first ? '{' : ',') ||
		!fs_json_write_string(&text, name, strlen(name)) ||
		!fs_buffer_append_byte(&text, ':'))
		compiler->failed = true;
	else
		emit_literal(compiler, text.data, text.len);
	fs_buffer_free(&text);
	*is_first = false;
}

/* A record as it was written. */
static void
emit_own_record(FsAvroCompiler *compiler, FsAvroRef writer)
{
	bool		is_first = true;

	for (int i = fs_avro_node(writer)->first; i >= 0 && !compiler->failed;
		 i = writer.schema->members[i].next)
	{
		emit_key(compiler, writer.schema->members[i].name, &is_first);
		fs_avro_emit_json(compiler, fs_avro_child(writer, i), fs_avro_none);
	}
	emit_literal(compiler, is_first ? "{}" : "}", is_first ? 2 : 1);
}

/* A field that only the reader has: its default. */
static void
emit_missing(FsAvroCompiler *compiler, FsAvroRef reader, int field, bool *is_first)
{
	static const char text[] = "lacks a part that was not written and has no default";
	const FsAvroMember *member = &reader.schema->members[field];
	int			op;

	if (!member->has_default)
	{
		fs_avro_emit(compiler, FS_AVRO_OP_FAIL, -1,
					 fs_avro_add_text(compiler, text, sizeof(text) - 1), sizeof(text) - 1);
		return;
	}
	emit_key(compiler, member->name, is_first);
	op = fs_avro_begin_default(compiler, member);
	fs_avro_emit_json(compiler, fs_avro_child(reader, field), fs_avro_none);
	fs_avro_end_body(compiler, op);
}

/* A record as the reader has it: fields in the order written, then defaults. */
static void
emit_record(FsAvroCompiler *compiler, FsAvroRef writer, FsAvroRef reader)
{
	bool		is_first = true;
	int			ordinal = 0;
	FsAvroFieldMap map;

	if (!fs_avro_map_fields(&map, writer, reader))
	{
		compiler->failed = true;
		return;
	}
	for (int i = fs_avro_node(writer)->first; i >= 0 && !compiler->failed;
		 i = writer.schema->members[i].next)
	{
		int			field = map.reader[ordinal++];

		if (field < 0)
			fs_avro_emit_skip(compiler, fs_avro_child(writer, i));
		else
		{
			emit_key(compiler, reader.schema->members[field].name, &is_first);
			fs_avro_emit_json(compiler, fs_avro_child(writer, i), fs_avro_child(reader, field));
		}
	}
	ordinal = 0;
	for (int i = fs_avro_node(reader)->first; i >= 0 && !compiler->failed;
		 i = reader.schema->members[i].next)
		if (!map.is_written[ordinal++])
			emit_missing(compiler, reader, i, &is_first);
	emit_literal(compiler, is_first ? "{}" : "}", is_first ? 2 : 1);
	fs_avro_free_map(&map);
}

/* See avro_compile.h. */
void
fs_avro_emit_routines(FsAvroCompiler *compiler)
{
	FsAvroProgram *program = compiler->program;

	/* each may add some behind it */
	for (int i = 0; i < compiler->nroutines && !compiler->failed; i++)
	{
		FsAvroRoutine routine = compiler->routines[i];

		compiler->routines[i].start = program->nops;
		if (routine.mode == FS_AVRO_JSON && routine.reader.schema == NULL)
			emit_own_record(compiler, routine.writer);
		else if (routine.mode == FS_AVRO_JSON)
			emit_record(compiler, routine.writer, routine.reader);
		else
			for (int m = fs_avro_node(routine.writer)->first; m >= 0;
				 m = routine.writer.schema->members[m].next)
				fs_avro_emit_skip(compiler, fs_avro_child(routine.writer, m));
		fs_avro_emit(compiler, FS_AVRO_OP_END, -1, 0, 0);
	}
	for (int i = 0; i < program->nops && !compiler->failed; i++)
		if (program->ops[i].code == FS_AVRO_OP_CALL)
			program->ops[i].a = compiler->routines[program->ops[i].a].start;
}
