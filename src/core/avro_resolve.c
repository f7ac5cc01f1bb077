/*
 * avro_resolve.c
 *		Emitting Avro programs: from the paths of columns to operations.
 *
 * Columns are put into a tree of names, which is followed through the reader's
 * schema and the writer's at once, in the order of the writer's fields, since
 * that is the order of the bytes.  Records on the way of a path stand in line;
 * what no path leads into is left to avro_whole.c.
 */
#include "core/avro_resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/avro_compile.h"
#include "core/avro_targets.h"
#include "core/utf8.h"

typedef struct Resolver
{
	FsAvroCompiler compiler;
	FsAvroTargets tree;
	int			saves;			/* slots in use */
	bool		in_items;		/* what is emitted is for an element of the column */
} Resolver;

static void emit_target(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target);
static void emit_part(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target, int column);

/* Calls 'visit' for the columns at a target and below it. */
static void
visit_columns(Resolver *resolver, int target,
			  void (*visit) (Resolver *resolver, int column, void *arg), void *arg)
{
	for (int i = resolver->tree.targets[target].first_column; i != FS_AVRO_NO_TARGET;
		 i = resolver->tree.next_column[i])
		visit(resolver, i, arg);
	for (int i = resolver->tree.targets[target].child; i != FS_AVRO_NO_TARGET;
		 i = resolver->tree.targets[i].sibling)
		visit_columns(resolver, i, visit, arg);
}

/* Visitors: nothing is there (arg is the sentence); it is there, and null; it cannot be read. */
static void
note_unknown(Resolver *resolver, int column, void *arg)
{
	FsAvroProblem *problem = &resolver->compiler.problems[column];

	if (problem->detail[0] == '\0')
		snprintf(problem->detail, sizeof(problem->detail), "%s", (const char *) arg);
}

static void
note_found(Resolver *resolver, int column, void *arg)
{
	resolver->compiler.found[column] = true;
}

static void
emit_null(Resolver *resolver, int column, void *arg)
{
	fs_avro_emit(&resolver->compiler, FS_AVRO_OP_NULL, column, 0, 0);
}

static void
emit_mismatch(Resolver *resolver, int column, void *arg)
{
	const FsAvroRef *types = arg;

	fs_avro_emit_mismatch(&resolver->compiler, column, types[0], types[1]);
}

/*
 * A column's value
 */

/* The column, or what its elements are. */
static const FsField *
field_of(const Resolver *resolver, int column)
{
	const FsAvroProgram *program = resolver->compiler.program;

	return &program->fields[column + (resolver->in_items ? program->nfields : 0)];
}

/* Notes that the column cannot take the type, and refuses it in records. */
static void
emit_misfit(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int column)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	const FsField *field = field_of(resolver, column);
	FsAvroRef	shown = reader.schema == NULL ? writer : reader;
	FsAvroProblem *problem = &compiler->problems[column];
	FsAvroConv	conv;
	char		type[160];
	char		text[FS_DECODE_MESSAGE_SIZE];
	int			len;

	fs_avro_conv_init(&conv, writer, reader);
	fs_avro_describe(type, sizeof(type), shown);
	if (problem->kind == FS_AVRO_NO_PROBLEM)
	{
		problem->kind = FS_AVRO_MISFIT;
		snprintf(problem->detail, sizeof(problem->detail), "The schema has %s as %s.",
				 resolver->in_items ? "its items" : "it", type);
		if (resolver->in_items)
			snprintf(problem->hint, sizeof(problem->hint),
					 "Use a column of type jsonb, or an array of a type that takes them.");
		else
			fs_avro_write_hint(problem->hint, sizeof(problem->hint), &conv, field);
	}
	len = snprintf(text, sizeof(text), "is %.120s, which the column does not take", type);
	fs_avro_emit(compiler, FS_AVRO_OP_FAIL, column,
				 fs_avro_add_text(compiler, text, (size_t) len), len);
	fs_avro_emit_skip(compiler, writer);
}

/* The operation that takes a scalar into its column: a short one for what is common. */
static void
emit_scalar(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int column)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	const FsField *field = field_of(resolver, column);
	FsAvroConv	conv;
	FsAvroOpCode code = FS_AVRO_OP_VALUE;

	fs_avro_conv_init(&conv, writer, reader);
	if (conv.wire == FS_AVRO_STRING && conv.as == FS_AVRO_STRING && field->type == FS_TYPE_TEXT)
		code = FS_AVRO_OP_TEXT;
	else if (conv.wire == FS_AVRO_LONG && conv.as == FS_AVRO_LONG && field->type == FS_TYPE_INT8)
		code = FS_AVRO_OP_INT8;
	else if (conv.wire == FS_AVRO_LONG && field->type == FS_TYPE_TIMESTAMPTZ &&
			 (conv.logical == FS_AVRO_TIMESTAMP_MILLIS || conv.logical == FS_AVRO_LOCAL_MILLIS))
		code = FS_AVRO_OP_MILLIS;
	else if (conv.wire == FS_AVRO_LONG && field->type == FS_TYPE_TIMESTAMPTZ &&
			 (conv.logical == FS_AVRO_TIMESTAMP_MICROS || conv.logical == FS_AVRO_LOCAL_MICROS))
		code = FS_AVRO_OP_MICROS;
	fs_avro_emit(compiler, code, column, code != FS_AVRO_OP_VALUE ? 0 :
				 fs_avro_add_conv(compiler, writer, reader, field), 0);
}

/* An array into a column of an array type: each item in turn is the column's value. */
static void
emit_array(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int column)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	FsAvroRef	item = {writer.schema, fs_avro_item(writer.schema, fs_avro_node(writer))};
	FsAvroRef	wanted = fs_avro_none;
	int			op = fs_avro_emit(compiler, FS_AVRO_OP_ITEMS, column, 0, FS_AVRO_ITEMS_COLUMN);

	if (reader.schema != NULL)
	{
		wanted.schema = reader.schema;
		wanted.node = fs_avro_item(reader.schema, fs_avro_node(reader));
	}
	resolver->in_items = true;
	emit_part(resolver, item, wanted, FS_AVRO_NO_TARGET, column);
	resolver->in_items = false;
	fs_avro_end_body(compiler, op);
}

/* Emits one column's value from one type that is no union, on either side. */
static void
emit_plain(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int column)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	const FsField *field = field_of(resolver, column);
	FsAvroType	type = fs_avro_node(writer)->type;
	FsAvroConv	conv;

	if (reader.schema != NULL && fs_avro_match(writer, reader) == FS_AVRO_DIFFERENT)
	{
		fs_avro_emit_mismatch(compiler, column, writer, reader);
		fs_avro_emit_skip(compiler, writer);
		return;
	}
	fs_avro_conv_init(&conv, writer, reader);
	if (type == FS_AVRO_NULL)
		fs_avro_emit(compiler, FS_AVRO_OP_NULL, column, 0, 0);
	else if (field->type == FS_TYPE_JSONB ||
			 (field->type == FS_TYPE_TEXT &&
			  (type == FS_AVRO_RECORD || type == FS_AVRO_ARRAY || type == FS_AVRO_MAP)))
	{
		fs_avro_emit(compiler, FS_AVRO_OP_JSON_BEGIN, column, 0, 0);
		fs_avro_emit_json(compiler, writer, reader);
		fs_avro_emit(compiler, FS_AVRO_OP_JSON_END, column, 0, 0);
	}
	else if (fs_type_is_array(field->type) && type == FS_AVRO_ARRAY)
		emit_array(resolver, writer, reader, column);
	else if (fs_avro_fits(&conv, field))
		emit_scalar(resolver, writer, reader, column);
	else
		emit_misfit(resolver, writer, reader, column);
}

/*
 * The way to it
 */

/* The fields that were written, in their order; 'map' is NULL where there is no reader. */
static void
emit_written(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target,
			 const FsAvroFieldMap *map)
{
	int			ordinal = 0;

	for (int i = fs_avro_node(writer)->first; i >= 0 && !resolver->compiler.failed;
		 i = writer.schema->members[i].next)
	{
		int			field = map == NULL ? i : map->reader[ordinal++];
		int			child = field < 0 ? FS_AVRO_NO_TARGET :
			fs_avro_targets_find(&resolver->tree, target, (map == NULL ? writer : reader).schema->members[field].name);

		if (child == FS_AVRO_NO_TARGET)
			fs_avro_emit_skip(&resolver->compiler, fs_avro_child(writer, i));
		else
			emit_target(resolver, fs_avro_child(writer, i),
						map == NULL ? fs_avro_none : fs_avro_child(reader, field), child);
	}
}

/* The fields that only the reader has: their defaults.  One without is absent. */
static void
emit_missing(Resolver *resolver, FsAvroRef reader, int target, const FsAvroFieldMap *map)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	int			ordinal = 0;

	for (int i = fs_avro_node(reader)->first; i >= 0 && !compiler->failed;
		 i = reader.schema->members[i].next)
	{
		const FsAvroMember *member = &reader.schema->members[i];
		int			child = fs_avro_targets_find(&resolver->tree, target, member->name);
		int			op;

		if (map->is_written[ordinal++] || child == FS_AVRO_NO_TARGET)
			continue;
		visit_columns(resolver, child, note_found, NULL);
		if (!member->has_default)
			continue;
		op = fs_avro_begin_default(compiler, member);
		emit_target(resolver, fs_avro_child(reader, i), fs_avro_none, child);
		fs_avro_end_body(compiler, op);
	}
}

/* What the columns below a target find in a record. */
static void
emit_fields(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target)
{
	FsAvroFieldMap map;
	char		type[160];
	char		name[84];
	char		text[FS_AVRO_PROBLEM_SIZE];

	if (reader.schema == NULL)
		emit_written(resolver, writer, reader, target, NULL);
	else if (!fs_avro_map_fields(&map, writer, reader))
		resolver->compiler.failed = true;
	else
	{
		emit_written(resolver, writer, reader, target, &map);
		emit_missing(resolver, reader, target, &map);
		fs_avro_free_map(&map);
	}
	/* said of those that were not found */
	fs_avro_describe(type, sizeof(type), reader.schema == NULL ? writer : reader);
	for (int i = resolver->tree.targets[target].child; i != FS_AVRO_NO_TARGET; i = resolver->tree.targets[i].sibling)
	{
		fs_utf8_print(name, sizeof(name) - 4, resolver->tree.targets[i].name, resolver->tree.targets[i].len);
		snprintf(text, sizeof(text), "The schema's %.120s has no field \"%s\".", type, name);
		visit_columns(resolver, i, note_unknown, text);
	}
}

/* The columns below a target, in whatever type is written there. */
static void
emit_below(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	FsAvroRef	types[2] = {writer, fs_avro_pick_branch(writer, reader)};

	reader = types[1];
	if (fs_avro_is_union(reader) ||
		(reader.schema != NULL && fs_avro_match(writer, reader) == FS_AVRO_DIFFERENT))
	{
		for (int i = resolver->tree.targets[target].child; i != FS_AVRO_NO_TARGET; i = resolver->tree.targets[i].sibling)
			visit_columns(resolver, i, emit_mismatch, types);
		fs_avro_emit_skip(compiler, writer);
	}
	else if (fs_avro_node(writer)->type == FS_AVRO_RECORD)
		emit_fields(resolver, writer, reader, target);
	else
	{
		char		type[160];
		char		text[FS_AVRO_PROBLEM_SIZE];

		fs_avro_describe(type, sizeof(type), writer);
		snprintf(text, sizeof(text), "The path ends at %s, which has no fields.", type);
		for (int i = resolver->tree.targets[target].child; i != FS_AVRO_NO_TARGET; i = resolver->tree.targets[i].sibling)
			visit_columns(resolver, i, fs_avro_node(writer)->type == FS_AVRO_NULL ?
						  emit_null : note_unknown, text);
		fs_avro_emit_skip(compiler, writer);
	}
}

/* One column at a target (or, FS_AVRO_NO_TARGET, those below it) through the writer's union, if it is one. */
static void
emit_part(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target, int column)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	int			table;
	int			branch = 0;
	int			jumps = -1;

	if (!fs_avro_is_union(writer))
	{
		if (column == FS_AVRO_NO_TARGET)
			emit_below(resolver, writer, reader, target);
		else if (fs_avro_is_union(fs_avro_pick_branch(writer, reader)))
		{
			fs_avro_emit_mismatch(compiler, column, writer, reader);
			fs_avro_emit_skip(compiler, writer);
		}
		else
			emit_plain(resolver, writer, fs_avro_pick_branch(writer, reader), column);
		return;
	}
	table = fs_avro_begin_union(compiler, writer);
	for (int i = fs_avro_node(writer)->first; i >= 0 && !compiler->failed;
		 i = writer.schema->members[i].next)
	{
		fs_avro_begin_branch(compiler, table, branch++);
		emit_part(resolver, fs_avro_child(writer, i), reader, target, column);
		if (writer.schema->members[i].next >= 0)
			fs_avro_end_branch(compiler, &jumps);
	}
	fs_avro_end_union(compiler, jumps);
}

/*
 * All that a target wants of one value.  Where several columns read it, or one
 * reads it and others its parts, it is read again for each.
 */
static void
emit_target(Resolver *resolver, FsAvroRef writer, FsAvroRef reader, int target)
{
	FsAvroCompiler *compiler = &resolver->compiler;
	int			column = resolver->tree.targets[target].first_column;
	bool		has_below = resolver->tree.targets[target].child != FS_AVRO_NO_TARGET;
	int			slot = resolver->saves;

	if (compiler->failed)
		return;
	if (column != FS_AVRO_NO_TARGET && (has_below || resolver->tree.next_column[column] != FS_AVRO_NO_TARGET))
	{
		if (slot == FS_AVRO_MAX_DEPTH)
		{
			compiler->failed = compiler->too_long = true;
			return;
		}
		resolver->saves++;
		fs_avro_emit(compiler, FS_AVRO_OP_SAVE, -1, slot, 0);
	}
	for (; column != FS_AVRO_NO_TARGET; column = resolver->tree.next_column[column])
	{
		note_found(resolver, column, NULL);
		emit_part(resolver, writer, reader, target, column);
		if (has_below || resolver->tree.next_column[column] != FS_AVRO_NO_TARGET)
			fs_avro_emit(compiler, FS_AVRO_OP_RESTORE, -1, slot, 0);
	}
	if (has_below)
		emit_part(resolver, writer, reader, target, FS_AVRO_NO_TARGET);
	else if (resolver->tree.targets[target].first_column == FS_AVRO_NO_TARGET)
		fs_avro_emit_skip(compiler, writer);	/* there are no columns */
	resolver->saves = slot;
}

/*
 * The whole
 */

/* Copies the fields and their names; false when memory is out. */
static bool
copy_fields(FsAvroProgram *program, const FsField *fields, int nfields)
{
	program->fields = calloc(2 * (size_t) nfields + 1, sizeof(FsField));
	if (program->fields == NULL)
		return false;
	program->nfields = nfields;
	for (int i = 0; i < nfields; i++)
	{
		char	   *name = fs_scratch_take(&program->memory, fields[i].name_len + 1);

		if (name == NULL)
			return false;
		if (fields[i].name_len > 0)
			memcpy(name, fields[i].name, fields[i].name_len);
		program->fields[i] = fields[i];
		program->fields[i].name = name;
		program->fields[nfields + i] = program->fields[i];
		program->fields[nfields + i].type = fs_type_element(fields[i].type);
	}
	return true;
}

/* Turns what was noted of columns that found nothing into problems. */
static void
finish_problems(FsAvroCompiler *compiler)
{
	for (int i = 0; i < compiler->program->nfields; i++)
	{
		FsAvroProblem *problem = &compiler->problems[i];

		if (compiler->found[i] && problem->kind == FS_AVRO_NO_PROBLEM)
			problem->detail[0] = '\0';
		if (compiler->found[i])
			continue;
		problem->kind = FS_AVRO_UNKNOWN_FIELD;
		if (problem->detail[0] == '\0')
			snprintf(problem->detail, sizeof(problem->detail), "The schema has nothing there.");
	}
}

/* See avro_resolve.h. */
FsAvroProgram *
fs_avro_program_create(const FsAvroSchema *writer, const FsAvroSchema *reader,
					   const FsField *fields, int nfields,
					   FsAvroProblem *problems, bool *too_long)
{
	Resolver	resolver = {0};
	FsAvroCompiler *compiler = &resolver.compiler;
	FsAvroProgram *program = calloc(1, sizeof(FsAvroProgram));
	FsAvroRef	w = {writer, writer->root};
	FsAvroRef	r = {reader, reader != NULL ? reader->root : -1};

	*too_long = false;
	if (program == NULL || nfields < 0 || nfields > INT16_MAX)
	{
		free(program);
		return NULL;
	}
	memset(problems, 0, sizeof(FsAvroProblem) * (size_t) nfields);
	compiler->program = program;
	compiler->problems = problems;
	compiler->found = calloc((size_t) nfields + 1, sizeof(bool));
	if (compiler->found == NULL || !copy_fields(program, fields, nfields) ||
		!fs_avro_targets_init(&resolver.tree, program->fields, nfields))
		compiler->failed = true;
	else
	{
		emit_target(&resolver, w, r, 0);
		fs_avro_emit(compiler, FS_AVRO_OP_END, -1, 0, 0);
		fs_avro_emit_routines(compiler);
		finish_problems(compiler);
	}
	free(compiler->found);
	free(compiler->routines);
	fs_avro_targets_free(&resolver.tree);
	if (!compiler->failed)
		return program;
	*too_long = compiler->too_long;
	fs_avro_program_free(program);
	return NULL;
}
