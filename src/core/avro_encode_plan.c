/*
 * avro_encode_plan.c
 *		Avro records of columns: which column or default each field is.
 *
 * The paths of columns are followed through the schema once, which makes a tree
 * of plans: a record with a plan for each of its fields in order, a union with one
 * for each branch, a column, or what a field is that no column gives.  What is below
 * a column's field is left to avro_encode_value.c.
 */
#include "core/avro_encode.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/avro_encode_state.h"
#include "core/utf8.h"

typedef enum PlanKind
{
	PLAN_FILL,					/* the field 'member' of record 'writer', which no column gives */
	PLAN_COLUMN,
	PLAN_RECORD,				/* a child for each field */
	PLAN_UNION,					/* a child for each branch */
	PLAN_NONE					/* a branch that paths do not go on in */
} PlanKind;

typedef struct FsAvroPlan
{
	PlanKind	kind;
	FsAvroRef	writer;
	FsAvroRef	reader;
	int			member;
	int			column;
	int			target;			/* that it is at */
	const char *path;
	struct FsAvroPlan *child;	/* the first one */
	struct FsAvroPlan *sibling;
} FsAvroPlan;

static FsAvroPlan *plan_record(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int target, const char *path);

/* --- Saying why not --- */

/* See avro_encode_state.h. */
bool
fs_avro_encoder_refuse(FsAvroEncoder *encoder, FsAvroTrouble trouble, const char *format,...)
{
	FsAvroEncodeError *error = encoder->error;
	char		text[FS_DECODE_MESSAGE_SIZE];
	char		name[84] = "";
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error->trouble = trouble;
	error->field = encoder->column;
	if (encoder->column >= 0)
		fs_utf8_print(name, sizeof(name) - 4, encoder->fields[encoder->column].name,
					  encoder->fields[encoder->column].name_len);
	snprintf(error->message, sizeof(error->message), "%s%s%s", encoder->column >= 0 ? "field \"" : "", name,
			 encoder->column >= 0 ? "\" " : "");
	fs_utf8_print(error->message + strlen(error->message), sizeof(error->message) - strlen(error->message) - 4,
				  text, fs_utf8_valid_length(text, strlen(text)));
	return false;
}

/* See avro_encode_state.h. */
bool
fs_avro_encoder_step(FsAvroEncoder *encoder)
{
	return encoder->steps-- > 0 ||
		fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_VALUE, "takes too many attempts to be written");
}

/* --- Plans --- */

/* A plan without anything; NULL when memory is out. */
static FsAvroPlan *
make_plan(FsAvroEncoder *encoder, PlanKind kind, FsAvroRef writer, FsAvroRef reader)
{
	FsAvroPlan *plan = fs_scratch_take_aligned(&encoder->memory, sizeof(FsAvroPlan));

	if (!fs_avro_appended(encoder, plan != NULL))
		return NULL;
	memset(plan, 0, sizeof(*plan));
	plan->kind = kind;
	plan->writer = writer;
	plan->reader = reader;
	plan->column = -1;
	return plan;
}

/* The path of a record's field. */
static const char *
extend_path(FsAvroEncoder *encoder, const char *path, const char *name)
{
	size_t		len = strlen(path);
	char	   *longer = fs_scratch_take(&encoder->memory, len + strlen(name) + 2);

	if (!fs_avro_appended(encoder, longer != NULL))
		return NULL;
	memcpy(longer, path, len);
	if (len > 0)
		longer[len++] = '.';
	memcpy(longer + len, name, strlen(name) + 1);
	return longer;
}

/* Does the writer's type, which is no union, read as the reader's?  That becomes its branch. */
static bool
is_read(FsAvroRef writer, FsAvroRef *reader)
{
	if (reader->schema == NULL)
		return true;
	*reader = fs_avro_pick_branch(writer, *reader);
	return !fs_avro_is_union(*reader) && fs_avro_match(writer, *reader) != FS_AVRO_DIFFERENT;
}

/* See avro_encode_state.h. */
bool
fs_avro_encoder_meet(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef *reader)
{
	return is_read(writer, reader) || fs_avro_encoder_misfit(encoder, FS_AVRO_WRONG_TYPE, writer, fs_avro_none);
}

/* Can paths go on in the type: is it a record, or a union that has one? */
static bool
has_fields(FsAvroRef writer)
{
	const FsAvroNode *node = fs_avro_node(writer);

	for (int i = node->type == FS_AVRO_UNION ? node->first : -1; i >= 0; i = writer.schema->members[i].next)
		if (fs_avro_node(fs_avro_child(writer, i))->type == FS_AVRO_RECORD)
			return true;
	return node->type == FS_AVRO_RECORD;
}

/* Puts a plan to the end of another one's; false when there is none. */
static bool
add_child(FsAvroPlan *plan, FsAvroPlan ***end, FsAvroPlan *child)
{
	if (child == NULL)
		return false;
	if (*end == NULL)
		*end = &plan->child;
	**end = child;
	*end = &child->sibling;
	return true;
}

/* A union on the way of paths. */
static FsAvroPlan *
plan_union(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int target, const char *path)
{
	FsAvroPlan *plan = make_plan(encoder, PLAN_UNION, writer, reader);
	FsAvroPlan **end = NULL;

	for (int i = plan == NULL ? -1 : fs_avro_node(writer)->first; i >= 0; i = writer.schema->members[i].next)
	{
		FsAvroRef	branch = fs_avro_child(writer, i);
		FsAvroRef	read = reader;
		bool		leads_on = fs_avro_node(branch)->type == FS_AVRO_RECORD && is_read(branch, &read);

		if (!add_child(plan, &end, leads_on ? plan_record(encoder, branch, read, target, path) :
					   make_plan(encoder, PLAN_NONE, branch, read)))
			return NULL;
	}
	if (plan != NULL)
		plan->target = target;
	return plan;
}

/* What is below a target, in a type that has fields and, if it is a record, is read. */
static FsAvroPlan *
plan_below(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int target, const char *path)
{
	return fs_avro_is_union(writer) ? plan_union(encoder, writer, reader, target, path) :
		plan_record(encoder, writer, reader, target, path);
}

/* A record's field; 'name' is what columns call it, NULL: nothing. */
static FsAvroPlan *
plan_field(FsAvroEncoder *encoder, FsAvroRef record, FsAvroRef reader, int member, const char *name, int target,
		   const char *path)
{
	FsAvroRef	writer = fs_avro_child(record, member);
	int			child = name == NULL ? FS_AVRO_NO_TARGET : fs_avro_targets_find(&encoder->tree, target, name);
	FsAvroPlan *plan;

	path = extend_path(encoder, path, name == NULL ? record.schema->members[member].name : name);
	if (path == NULL)
		return NULL;
	if (child != FS_AVRO_NO_TARGET && encoder->tree.targets[child].first_column != FS_AVRO_NO_TARGET)
	{
		plan = make_plan(encoder, PLAN_COLUMN, writer, reader);
		if (plan != NULL)
		{
			plan->column = encoder->tree.targets[child].first_column;
			encoder->found[plan->column] = true;
		}
		return plan;
	}
	if (child != FS_AVRO_NO_TARGET && has_fields(writer) && (fs_avro_is_union(writer) || is_read(writer, &reader)))
		return plan_below(encoder, writer, reader, child, path);
	plan = make_plan(encoder, PLAN_FILL, record, reader);
	if (plan != NULL)
	{
		plan->member = member;
		plan->path = path;
	}
	return plan;
}

/* A record that is read as the reader's, if there is one. */
static FsAvroPlan *
plan_record(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int target, const char *path)
{
	FsAvroPlan *plan = make_plan(encoder, PLAN_RECORD, writer, reader);
	FsAvroPlan **end = NULL;
	FsAvroFieldMap map = {NULL, NULL};
	int			ordinal = 0;
	bool		ok = plan != NULL;

	if (ok && reader.schema != NULL)
		ok = fs_avro_appended(encoder, fs_avro_map_fields(&map, writer, reader));
	for (int i = ok ? fs_avro_node(writer)->first : -1; i >= 0 && ok; i = writer.schema->members[i].next)
	{
		int			read = reader.schema == NULL ? i : map.reader[ordinal++];
		const char *name = read < 0 ? NULL : (reader.schema == NULL ? writer : reader).schema->members[read].name;

		ok = add_child(plan, &end, plan_field(encoder, writer, reader.schema == NULL || read < 0 ? fs_avro_none :
											  fs_avro_child(reader, read), i, name, target, path));
	}
	fs_avro_free_map(&map);
	return ok ? plan : NULL;
}

/* --- The encoder --- */

/* See avro_encode.h. */
void
fs_avro_encoder_free(FsAvroEncoder *encoder)
{
	if (encoder == NULL)
		return;
	free(encoder->fields);
	free(encoder->found);
	fs_avro_targets_free(&encoder->tree);
	fs_scratch_free(&encoder->memory);
	fs_scratch_free(&encoder->scratch);
	free(encoder);
}

/* Copies the fields with their names, and makes their tree; false when memory is out. */
static bool
copy_fields(FsAvroEncoder *encoder, const FsField *fields, int nfields)
{
	encoder->nfields = nfields;
	encoder->fields = calloc((size_t) nfields + 1, sizeof(FsField));
	encoder->found = calloc((size_t) nfields + 1, sizeof(bool));
	if (encoder->fields == NULL || encoder->found == NULL)
		return false;
	for (int i = 0; i < nfields; i++)
	{
		char	   *name = fs_scratch_take(&encoder->memory, fields[i].name_len + 1);

		if (name == NULL)
			return false;
		if (fields[i].name_len > 0)
			memcpy(name, fields[i].name, fields[i].name_len);
		name[fields[i].name_len] = '\0';
		encoder->fields[i] = fields[i];
		encoder->fields[i].name = name;
	}
	return fs_avro_targets_init(&encoder->tree, encoder->fields, nfields);
}

/* Refuses columns that read one field, or one a part of another's. */
static bool
check_overlap(FsAvroEncoder *encoder)
{
	for (int i = 0; i < encoder->tree.ntargets; i++)
	{
		const FsAvroTarget *target = &encoder->tree.targets[i];

		if (target->first_column == FS_AVRO_NO_TARGET ||
			(target->child == FS_AVRO_NO_TARGET && encoder->tree.next_column[target->first_column] == FS_AVRO_NO_TARGET))
			continue;
		encoder->column = target->first_column;
		return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_TYPE, "is read by several columns, or in parts");
	}
	return true;
}

/* Makes the plan of the whole. */
static bool
plan_whole(FsAvroEncoder *encoder)
{
	char		type[160];

	fs_avro_describe(type, sizeof(type), encoder->writer);
	if (!has_fields(encoder->writer))
		return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_TYPE, "the schema is %s, which has no fields", type);
	if (!fs_avro_is_union(encoder->writer) && !is_read(encoder->writer, &encoder->reader))
		return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_TYPE, "the schema is %s, which the reader's schema does not read", type);
	encoder->plan = plan_below(encoder, encoder->writer, encoder->reader, 0, "");
	return encoder->plan != NULL;
}

/* See avro_encode.h. */
FsAvroEncoder *
fs_avro_encoder_create(const FsAvroSchema *writer, const FsAvroSchema *reader, const FsField *fields, int nfields,
					   FsAvroEncodeError *error)
{
	FsAvroEncoder *encoder = calloc(1, sizeof(FsAvroEncoder));

	error->trouble = FS_AVRO_NO_MEMORY;
	error->field = -1;
	error->message[0] = '\0';
	if (encoder == NULL)
		return NULL;
	encoder->error = error;
	encoder->column = -1;
	encoder->writer.schema = writer;
	encoder->writer.node = writer->root;
	encoder->reader = fs_avro_none;
	if (reader != NULL)
	{
		encoder->reader.schema = reader;
		encoder->reader.node = reader->root;
	}
	if (copy_fields(encoder, fields, nfields) && check_overlap(encoder) && plan_whole(encoder))
		return encoder;
	fs_avro_encoder_free(encoder);
	return NULL;
}

/* See avro_encode.h. */
bool
fs_avro_encoder_has(const FsAvroEncoder *encoder, int field)
{
	FS_ASSERT(field >= 0 && field < encoder->nfields);
	return encoder->found[field];
}

/* --- Writing --- */

static bool
has_value(const FsAvroEncoder *encoder, int column)
{
	return encoder->found[column] && encoder->values[column].presence == FS_PRESENT;
}

/* Has any column at or below a target a value, be it one that cannot be written? */
static bool
has_any(const FsAvroEncoder *encoder, int target)
{
	const FsAvroTarget *at = &encoder->tree.targets[target];
	bool		any = at->first_column != FS_AVRO_NO_TARGET && encoder->values[at->first_column].presence == FS_PRESENT;

	for (int i = at->child; i != FS_AVRO_NO_TARGET && !any; i = encoder->tree.targets[i].sibling)
		any = has_any(encoder, i);
	return any;
}

/* How many columns at and below a target have values that can be written. */
static int
count_values(const FsAvroEncoder *encoder, int target)
{
	const FsAvroTarget *at = &encoder->tree.targets[target];
	int			count = at->first_column != FS_AVRO_NO_TARGET && has_value(encoder, at->first_column);

	for (int i = at->child; i != FS_AVRO_NO_TARGET; i = encoder->tree.targets[i].sibling)
		count += count_values(encoder, i);
	return count;
}

/* How many of them a plan writes, in one branch of a union the most. */
static int
count_planned(const FsAvroEncoder *encoder, const FsAvroPlan *plan)
{
	int			count = plan->kind == PLAN_COLUMN && has_value(encoder, plan->column);

	for (const FsAvroPlan *child = plan->child; child != NULL; child = child->sibling)
	{
		int			of_child = count_planned(encoder, child);

		if (plan->kind != PLAN_UNION)
			count += of_child;
		else if (of_child > count)
			count = of_child;
	}
	return count;
}

static bool write_plan(FsAvroEncoder *encoder, const FsAvroPlan *plan);

/* A branch of a union that is a plan, if it has fields for all values. */
static bool
write_planned_branch(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int branch, const void *what)
{
	const FsAvroPlan *plan = what;
	const FsAvroPlan *child = plan->child;

	for (int i = 0; i < branch; i++)
		child = child->sibling;
	if (child->kind == PLAN_NONE || count_planned(encoder, child) < count_values(encoder, plan->target))
		return fs_avro_encoder_misfit(encoder, FS_AVRO_WRONG_VALUE, writer, reader);
	return write_plan(encoder, child);
}

/* A union with fields below it: null when there is nothing in them, not even what reading a record fills in. */
static bool
write_planned_union(FsAvroEncoder *encoder, const FsAvroPlan *plan)
{
	if (!has_any(encoder, plan->target) && fs_avro_write_null(encoder, plan->writer))
		return true;
	return fs_avro_write_union(encoder, plan->writer, plan->reader, write_planned_branch, plan);
}

/* Writes what is planned. */
static bool
write_plan(FsAvroEncoder *encoder, const FsAvroPlan *plan)
{
	FsAvroGiven given;

	encoder->column = plan->column;
	switch (plan->kind)
	{
		case PLAN_FILL:
			return fs_avro_write_fill(encoder, plan->writer, plan->member, plan->path);
		case PLAN_COLUMN:
			given.field = &encoder->fields[plan->column];
			given.value = &encoder->values[plan->column];
			return fs_avro_write_given(encoder, plan->writer, plan->reader, &given);
		case PLAN_UNION:
			return write_planned_union(encoder, plan);
		default:
			for (const FsAvroPlan *child = plan->child; child != NULL; child = child->sibling)
				if (!write_plan(encoder, child))
					return false;
			return true;
	}
}

/* See avro_encode.h. */
bool
fs_avro_encode(FsAvroEncoder *encoder, const FsValue *values, FsBuffer *out, FsAvroEncodeError *error)
{
	error->trouble = FS_AVRO_NO_MEMORY;
	error->field = -1;
	error->message[0] = '\0';
	fs_scratch_reset(&encoder->scratch);
	encoder->error = error;
	encoder->values = values;
	encoder->out = out;
	encoder->exact = false;
	encoder->steps = FS_AVRO_MAX_STEPS;
	return write_plan(encoder, encoder->plan);
}
