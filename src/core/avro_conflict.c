/*
 * avro_conflict.c
 *		Why one Avro schema cannot read what was written with another.
 *
 * From the root through the pairs that were lost (avro_judge.c), each told at
 * the first place where it is met.
 */
#include "core/avro_checker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTENCE_SIZE	1024

/* See avro_compat.h. */
const char *
fs_avro_rule_name(FsAvroRule rule)
{
	static const char *const names[] = {
		"NAME_MISMATCH", "FIXED_SIZE_MISMATCH", "MISSING_ENUM_SYMBOLS",
		"READER_FIELD_MISSING_DEFAULT_VALUE", "TYPE_MISMATCH", "MISSING_UNION_BRANCH"
	};

	return names[rule];
}

/* Was the pair lost? */
static bool
is_lost(const FsAvroChecker *checker, int reader, int writer)
{
	const FsAvroPair *pair = fs_avro_find_pair(checker, reader, writer);

	return pair->reader >= 0 && pair->state == FS_AVRO_PAIR_BAD;
}

/* See avro_checker.h. */
size_t
fs_avro_push_path(FsAvroChecker *checker, const char *format,...)
{
	size_t		before = checker->path.len;
	char		step[64];
	va_list		args;
	int			len;

	va_start(args, format);
	len = vsnprintf(step, sizeof(step), format, args);
	va_end(args);
	FS_ASSERT(len > 0 && (size_t) len < sizeof(step));
	if (!fs_buffer_append(&checker->path, step, (size_t) len))
		fs_avro_stop_check(checker, FS_AVRO_NO_MEMORY);
	return before;
}

/* See avro_checker.h. */
void
fs_avro_add_conflict(FsAvroChecker *checker, FsAvroRule rule, const char *suffix, const char *format,...)
{
	FsAvroConflicts *conflicts = checker->conflicts;
	char		sentence[SENTENCE_SIZE];
	size_t		len;
	char	   *path;
	char	   *text;
	va_list		args;

	if (conflicts->count == FS_AVRO_MAX_CONFLICTS || checker->is_stopped)
		return;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (conflicts->count == conflicts->max)
	{
		int			max = conflicts->max == 0 ? 8 : 2 * conflicts->max;
		FsAvroConflict *items = realloc(conflicts->items, sizeof(FsAvroConflict) * (size_t) max);

		if (items == NULL)
		{
			fs_avro_stop_check(checker, FS_AVRO_NO_MEMORY);
			return;
		}
		conflicts->items = items;
		conflicts->max = max;
	}
	len = checker->path.len;
	path = fs_scratch_take(&conflicts->memory, len + strlen(suffix) + 1);
	text = fs_scratch_take(&conflicts->memory, strlen(sentence) + 1);
	if (path == NULL || text == NULL)
	{
		fs_avro_stop_check(checker, FS_AVRO_NO_MEMORY);
		return;
	}
	memcpy(path, checker->path.data, len);
	strcpy(path + len, suffix);
	strcpy(text, sentence);
	conflicts->items[conflicts->count++] = (FsAvroConflict) {
		.rule = rule, .is_cause = checker->is_cause, .path = path, .sentence = text
	};
}

/* " in \"field\"", or nothing outside of records. */
static const char *
describe_place(char *out, size_t size, const FsAvroChecker *checker)
{
	out[0] = '\0';
	if (checker->field != NULL)
		snprintf(out, size, " in \"%.150s\"", checker->field);
	return out;
}

/* "int", "record \"a.B\"". */
static const char *
describe(char *out, size_t size, const FsAvroNode *node)
{
	if (node->name != NULL)
		snprintf(out, size, "%s \"%.150s\"", fs_avro_type_name(node->type), node->name);
	else
		snprintf(out, size, "%s", fs_avro_type_name(node->type));
	return out;
}

/* Tells the symbols that the reader's enum lacks; as many as fit. */
static void
tell_symbols(FsAvroChecker *checker, const FsAvroNode *reader, const FsAvroNode *writer)
{
	char		list[512];
	size_t		len = 0;
	int			more = 0;

	for (int i = writer->first; i >= 0; i = checker->writer->members[i].next)
	{
		const char *symbol = checker->writer->members[i].name;

		if (fs_avro_find_member(checker, checker->reader, reader, symbol) != FS_AVRO_NO_FIELD)
			continue;
		if (len + strlen(symbol) + 24 > sizeof(list))
			more++;
		else
			len += (size_t) snprintf(list + len, sizeof(list) - len, "%s\"%s\"",
									 len > 0 ? ", " : "", symbol);
	}
	if (more > 0)
		snprintf(list + len, sizeof(list) - len, "%s%d more", len > 0 ? " and " : "", more);
	fs_avro_add_conflict(checker, FS_AVRO_MISSING_ENUM_SYMBOLS, ".symbols",
				 "%s has enum \"%.150s\" without %s of %s and without a default",
				 checker->reader_name, reader->name, list, checker->writer_name);
}

/* Tells what is wrong with the fields of two records. */
static void
tell_fields(FsAvroChecker *checker, const FsAvroNode *reader, const FsAvroNode *writer)
{
	const char *outer = checker->field;
	int			ordinal = 0;

	for (int i = reader->first; i >= 0; i = checker->reader->members[i].next)
	{
		const FsAvroMember *field = &checker->reader->members[i];
		int			found = fs_avro_find_written(checker, field, writer);
		size_t		before = fs_avro_push_path(checker, ".fields[%d]", ordinal++);

		if (found == FS_AVRO_NO_FIELD && !field->has_default)
			fs_avro_add_conflict(checker, FS_AVRO_MISSING_DEFAULT, "",
						 "%s requires \"%.150s\", which %s does not write and which has no default",
						 checker->reader_name, field->name, checker->writer_name);
		else if (found >= 0 &&
				 is_lost(checker, field->node, checker->writer->members[found].node))
		{
			fs_avro_push_path(checker, ".type");
			checker->field = field->name;
			fs_avro_tell(checker, field->node, checker->writer->members[found].node);
			checker->field = outer;
		}
		checker->path.len = before;
	}
}

/* Tells what is wrong with two types that are of one kind, and no unions. */
static void
tell_same(FsAvroChecker *checker, int reader, int writer)
{
	const FsAvroNode *r = &checker->reader->nodes[reader];
	const FsAvroNode *w = &checker->writer->nodes[writer];

	if (fs_avro_is_named(r->type) && !fs_avro_is_called(checker, r, w))
		fs_avro_add_conflict(checker, FS_AVRO_NAME_MISMATCH, ".name",
					 "%s has %s \"%.150s\", which has neither the name of \"%.150s\" of %s nor an alias for it",
					 checker->reader_name, fs_avro_type_name(r->type), r->name, w->name,
					 checker->writer_name);
	if (r->type == FS_AVRO_FIXED && r->size != w->size)
		fs_avro_add_conflict(checker, FS_AVRO_FIXED_SIZE_MISMATCH, ".size",
					 "%s has fixed \"%.150s\" of %d bytes, %s of %d bytes",
					 checker->reader_name, r->name, r->size, checker->writer_name, w->size);
	if (r->type == FS_AVRO_ENUM && !fs_avro_has_symbols(checker, r, w))
		tell_symbols(checker, r, w);
	if (r->type == FS_AVRO_RECORD)
		tell_fields(checker, r, w);
	if (r->type == FS_AVRO_ARRAY || r->type == FS_AVRO_MAP)
	{
		size_t		before = fs_avro_push_path(checker, r->type == FS_AVRO_ARRAY ? ".items" : ".values");

		fs_avro_tell(checker, fs_avro_item(checker->reader, r), fs_avro_item(checker->writer, w));
		checker->path.len = before;
	}
}

/* Tells that no branch takes the writer's type; and why not the one that looks like it. */
static void
tell_branch(FsAvroChecker *checker, int reader, int writer)
{
	const FsAvroNode *r = &checker->reader->nodes[reader];
	const FsAvroNode *w = &checker->writer->nodes[writer];
	char		type[192];
	char		place[192];
	int			ordinal = 0;
	bool		was_cause = checker->is_cause;

	fs_avro_add_conflict(checker, FS_AVRO_MISSING_BRANCH, "", "%s has no branch%s for %s of %s",
				 checker->reader_name, describe_place(place, sizeof(place), checker),
				 describe(type, sizeof(type), w), checker->writer_name);
	for (int i = r->first; i >= 0; i = checker->reader->members[i].next)
	{
		int			branch = checker->reader->members[i].node;
		const FsAvroNode *b = &checker->reader->nodes[branch];
		size_t		before = fs_avro_push_path(checker, "[%d]", ordinal++);

		if (b->type == w->type && (b->name == NULL || fs_avro_is_called(checker, b, w)) &&
			is_lost(checker, branch, writer))
		{
			checker->is_cause = true;
			fs_avro_tell(checker, branch, writer);
			checker->is_cause = was_cause;
		}
		checker->path.len = before;
	}
}

/* See avro_checker.h. */
void
fs_avro_tell(FsAvroChecker *checker, int reader, int writer)
{
	const FsAvroNode *r = &checker->reader->nodes[reader];
	const FsAvroNode *w = &checker->writer->nodes[writer];
	FsAvroPair *pair = fs_avro_find_pair(checker, reader, writer);
	char		types[2][192];
	char		place[192];

	if (pair->reader < 0 || pair->state != FS_AVRO_PAIR_BAD || pair->told[checker->is_cause] ||
		checker->is_stopped)
		return;
	pair->told[checker->is_cause] = true;
	if (w->type == FS_AVRO_UNION)
	{
		for (int i = w->first; i >= 0; i = checker->writer->members[i].next)
		{
			int			branch = checker->writer->members[i].node;

			if (is_lost(checker, reader, branch))
				fs_avro_tell(checker, reader, branch);
		}
	}
	else if (r->type == FS_AVRO_UNION)
		tell_branch(checker, reader, writer);
	else if (r->type == w->type)
		tell_same(checker, reader, writer);
	else
		fs_avro_add_conflict(checker, FS_AVRO_TYPE_MISMATCH, "", "%s has %s%s, which does not take %s of %s",
					 checker->reader_name, describe(types[0], sizeof(types[0]), r),
					 describe_place(place, sizeof(place), checker),
					 describe(types[1], sizeof(types[1]), w), checker->writer_name);
}

/* Frees what the check made; all zero afterwards. */
void
fs_avro_conflicts_free(FsAvroConflicts *conflicts)
{
	fs_scratch_free(&conflicts->memory);
	free(conflicts->items);
	memset(conflicts, 0, sizeof(*conflicts));
}
