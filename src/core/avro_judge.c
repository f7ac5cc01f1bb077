/*
 * avro_judge.c
 *		Can one Avro schema read what was written with another?
 *
 * In two passes over pairs of types.  The first judges each pair, as Java does
 * it: all parts of a pair are judged, even when it is lost, since what is
 * judged meanwhile is remembered.  The second goes from the root through the
 * pairs that were lost and tells why.
 */
#include "core/avro_compat.h"

#include <stdlib.h>
#include <string.h>

#include "core/avro_checker.h"

#define MAX_PAIRS		1000000
#define MAX_DEPTH		2000	/* pairs within pairs: recursive types may go on long */
#define MAX_STEPS		100000000	/* names compared */

static bool is_readable(FsAvroChecker *checker, int reader, int writer);

/* See avro_checker.h. */
bool
fs_avro_stop_check(FsAvroChecker *checker, FsAvroVerdict verdict)
{
	if (!checker->is_stopped)
		checker->verdict = verdict;
	checker->is_stopped = true;
	return false;
}

/*
 * Pairs
 */

/* See avro_checker.h. */
FsAvroPair *
fs_avro_find_pair(const FsAvroChecker *checker, int reader, int writer)
{
	uint32_t	hash = (uint32_t) reader * 2654435761u ^ (uint32_t) writer * 2246822519u;

	for (hash ^= hash >> 15;; hash++)
	{
		FsAvroPair *pair = &checker->pairs[hash & checker->mask];

		if (pair->reader < 0 || (pair->reader == reader && pair->writer == writer))
			return pair;
	}
}

/* Makes the table of twice the size, or the first one; false when memory is out. */
static bool
grow_pairs(FsAvroChecker *checker)
{
	uint32_t	slots = checker->pairs == NULL ? 256 : 2 * (checker->mask + 1);
	FsAvroPair *old = checker->pairs;
	uint32_t	nold = old == NULL ? 0 : checker->mask + 1;
	FsAvroPair *pairs = malloc(slots * sizeof(FsAvroPair));

	if (pairs == NULL)
		return fs_avro_stop_check(checker, FS_AVRO_NO_MEMORY);
	for (uint32_t i = 0; i < slots; i++)
		pairs[i].reader = -1;
	checker->pairs = pairs;
	checker->mask = slots - 1;
	for (uint32_t i = 0; i < nold; i++)
		if (old[i].reader >= 0)
			*fs_avro_find_pair(checker, old[i].reader, old[i].writer) = old[i];
	free(old);
	return true;
}

/* The pair, which is made when it is not there; good until the next one is.  NULL: stopped. */
static FsAvroPair *
enter_pair(FsAvroChecker *checker, int reader, int writer)
{
	FsAvroPair *pair;

	if (checker->npairs >= MAX_PAIRS)
	{
		fs_avro_stop_check(checker, FS_AVRO_TOO_LARGE);
		return NULL;
	}
	if ((checker->pairs == NULL || checker->npairs >= checker->mask / 2) && !grow_pairs(checker))
		return NULL;
	pair = fs_avro_find_pair(checker, reader, writer);
	if (pair->reader < 0)
	{
		memset(pair, 0, sizeof(FsAvroPair));
		pair->reader = reader;
		pair->writer = writer;
		checker->npairs++;
	}
	return pair;
}

/*
 * Names
 */

/* See avro_checker.h. */
int
fs_avro_find_member(FsAvroChecker *checker, const FsAvroSchema *schema,
					const FsAvroNode *node, const char *name)
{
	for (int i = node->first; i >= 0 && !checker->is_stopped; i = schema->members[i].next)
	{
		if (++checker->steps > MAX_STEPS)
			fs_avro_stop_check(checker, FS_AVRO_TOO_LARGE);
		if (strcmp(schema->members[i].name, name) == 0)
			return i;
	}
	return FS_AVRO_NO_FIELD;
}

/* See avro_checker.h.  The same alias twice is one. */
int
fs_avro_find_written(FsAvroChecker *checker, const FsAvroMember *field, const FsAvroNode *writer)
{
	const char *const *strings = checker->reader->strings;	/* NULL: there are none at all */
	int			first = field->aliases.first;
	int			found = fs_avro_find_member(checker, checker->writer, writer, field->name);
	int			by = -1;		/* the alias that found it */

	for (int i = 0; i < field->aliases.count; i++)
	{
		int			other = fs_avro_find_member(checker, checker->writer, writer, strings[first + i]);

		if (other == FS_AVRO_NO_FIELD || (by >= 0 && strcmp(strings[first + by], strings[first + i]) == 0))
			continue;
		if (found != FS_AVRO_NO_FIELD)
			return FS_AVRO_AMBIGUOUS;
		found = other;
		by = i;
	}
	return found;
}

/* See avro_checker.h. */
bool
fs_avro_is_called(FsAvroChecker *checker, const FsAvroNode *reader, const FsAvroNode *writer)
{
	const char *const *strings = checker->reader->strings;	/* NULL: there are none at all */

	if (strcmp(fs_avro_short_name(reader->name), fs_avro_short_name(writer->name)) == 0)
		return true;
	checker->steps += reader->aliases.count;
	if (checker->steps > MAX_STEPS)
		return fs_avro_stop_check(checker, FS_AVRO_TOO_LARGE);
	for (int i = 0; i < reader->aliases.count; i++)
		if (strcmp(strings[reader->aliases.first + i], writer->name) == 0)
			return true;
	return false;
}

/* See avro_checker.h. */
bool
fs_avro_has_symbols(FsAvroChecker *checker, const FsAvroNode *reader, const FsAvroNode *writer)
{
	if (reader->default_symbol >= 0)
		return true;
	for (int i = writer->first; i >= 0; i = checker->writer->members[i].next)
		if (fs_avro_find_member(checker, checker->reader, reader,
								checker->writer->members[i].name) == FS_AVRO_NO_FIELD)
			return false;
	return true;
}

/*
 * Judging
 */

/* Are all fields of the reader's record written, or have a default?  Stops at an ambiguous one. */
static bool
are_fields_readable(FsAvroChecker *checker, const FsAvroNode *reader, const FsAvroNode *writer)
{
	bool		good = true;

	for (int i = reader->first; i >= 0 && !checker->is_stopped; i = checker->reader->members[i].next)
	{
		const FsAvroMember *field = &checker->reader->members[i];
		int			found = fs_avro_find_written(checker, field, writer);

		if (found == FS_AVRO_AMBIGUOUS)
		{
			fs_avro_add_conflict(checker, FS_AVRO_NAME_MISMATCH, "",
						 "%s has field \"%.150s\" of record \"%.150s\", whose name and aliases"
								 " are those of several fields of %s",
						 checker->reader_name, field->name, reader->name, checker->writer_name);
			return fs_avro_stop_check(checker, FS_AVRO_INCOMPATIBLE);
		}
		if (found == FS_AVRO_NO_FIELD)
			good = good && field->has_default;
		else
			good = is_readable(checker, field->node, checker->writer->members[found].node) && good;
	}
	return good;
}

/* Judges two types that are no unions. */
static bool
is_type_readable(FsAvroChecker *checker, const FsAvroNode *reader, const FsAvroNode *writer)
{
	bool		good;

	if (reader->type != writer->type)
		return fs_avro_is_promoted(writer->type, reader->type);
	good = !fs_avro_is_named(reader->type) || fs_avro_is_called(checker, reader, writer);
	switch (reader->type)
	{
		case FS_AVRO_FIXED:
			return good && reader->size == writer->size;
		case FS_AVRO_ENUM:
			return good && fs_avro_has_symbols(checker, reader, writer);
		case FS_AVRO_RECORD:
			return are_fields_readable(checker, reader, writer) && good;
		case FS_AVRO_ARRAY:
		case FS_AVRO_MAP:
			return is_readable(checker, fs_avro_item(checker->reader, reader),
							   fs_avro_item(checker->writer, writer));
		default:
			return true;
	}
}

/* Judges two types, of which any may be a union. */
static bool
judge(FsAvroChecker *checker, int reader, int writer)
{
	const FsAvroNode *r = &checker->reader->nodes[reader];
	const FsAvroNode *w = &checker->writer->nodes[writer];
	bool		good = true;

	if (w->type == FS_AVRO_UNION)
	{
		for (int i = w->first; i >= 0; i = checker->writer->members[i].next)
			good = is_readable(checker, reader, checker->writer->members[i].node) && good;
		return good;
	}
	if (r->type != FS_AVRO_UNION)
		return is_type_readable(checker, r, w);
	for (int i = r->first; i >= 0 && !checker->is_stopped; i = checker->reader->members[i].next)
		if (is_readable(checker, checker->reader->members[i].node, writer))
			return true;
	return false;
}

/* Judges a pair once; one that is being judged counts as readable. */
static bool
is_readable(FsAvroChecker *checker, int reader, int writer)
{
	FsAvroPair *pair = checker->is_stopped ? NULL : enter_pair(checker, reader, writer);
	bool		good;

	if (pair == NULL)
		return false;
	if (pair->state != FS_AVRO_PAIR_NEW)
		return pair->state != FS_AVRO_PAIR_BAD;
	pair->state = FS_AVRO_PAIR_OPEN;
	if (++checker->depth > MAX_DEPTH)
		return fs_avro_stop_check(checker, FS_AVRO_TOO_LARGE);
	good = judge(checker, reader, writer);
	checker->depth--;
	/* the table may have moved */
	fs_avro_find_pair(checker, reader, writer)->state = good ? FS_AVRO_PAIR_GOOD : FS_AVRO_PAIR_BAD;
	return good;
}

/* See avro_compat.h. */
FsAvroVerdict
fs_avro_compat_check(const FsAvroSchema *reader, const FsAvroSchema *writer,
					 const char *reader_name, const char *writer_name,
					 FsAvroConflicts *conflicts)
{
	FsAvroChecker		checker = {
		.reader = reader, .writer = writer, .reader_name = reader_name,
		.writer_name = writer_name, .conflicts = conflicts
	};

	FS_ASSERT(conflicts->count == 0 && conflicts->items == NULL);
	fs_avro_push_path(&checker, "$");
	if (is_readable(&checker, reader->root, writer->root))
		checker.verdict = FS_AVRO_COMPATIBLE;
	else if (!checker.is_stopped)
	{
		checker.verdict = FS_AVRO_INCOMPATIBLE;
		fs_avro_tell(&checker, reader->root, writer->root);
		FS_ASSERT(checker.is_stopped || conflicts->count > 0);
	}
	fs_buffer_free(&checker.path);
	free(checker.pairs);
	return checker.verdict;
}
