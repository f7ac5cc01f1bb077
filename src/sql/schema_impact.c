/*
 * schema_impact.c
 *		Which features a new version of a schema would break.
 *
 * A subject is about the values of a topic by its name, "<topic>-value"
 * (Confluent's TopicNameStrategy).  Of each Avro stream over that topic the
 * columns are held against the new schema as the writer's, and against the
 * newest version, as what a change breaks was whole before.
 *
 * A column without its field is what its DEFAULT says, or NULL where it may be.
 * So the change breaks it where it may not be, or where features that had the
 * field would go on with NULLs; and where its field is there, of no use.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/extension.h"
#include "catalog/options.h"
#include "catalog/payload.h"
#include "catalog/stream.h"
#include "sql/schemas.h"

/* Is the subject about what the stream reads? */
static bool
is_about(const char *subject, Oid stream)
{
	List	   *options = GetForeignTable(stream)->options;
	const char *topic = fs_option_value(options, "topic");
	const char *format = fs_option_value(options, "format");

	return topic != NULL && format != NULL && strcmp(format, "avro") == 0 &&
		strcmp(psprintf("%s-value", topic), subject) == 0;
}

/* The Avro streams that the subject is about. */
static List *
load_streams(const char *subject)
{
	List	   *streams = NIL;
	ListCell   *lc;

	foreach(lc, fs_stream_list())
	{
		CHECK_FOR_INTERRUPTS();
		if (is_about(subject, lfirst_oid(lc)))
			streams = lappend(streams, fs_stream_load(lfirst_oid(lc)));
	}
	return streams;
}

/* The features that depend on any of 'n' columns of streams, as text[]. */
static Datum
find_features(Datum *streams, Datum *columns, int n)
{
	Oid			types[] = {OIDARRAYOID, TEXTARRAYOID};
	Datum		values[] = {
		PointerGetDatum(construct_array(streams, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT)),
		PointerGetDatum(construct_array(columns, n, TEXTOID, -1, false, TYPALIGN_INT))
	};
	MemoryContext context = CurrentMemoryContext;
	FsOwnerScope scope;
	Datum		features;
	bool		isnull;

	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT ARRAY(SELECT DISTINCT v.view::pg_catalog.text || '.' || l.feature"
							  " FROM feature_stream.feature_lineage l, LATERAL (SELECT l.view) v"
							  " WHERE EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) r(stream, name)"
							  " WHERE r.stream = l.stream AND r.name = l.stream_column) ORDER BY 1)",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the features of a stream");
	features = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	MemoryContextSwitchTo(context);
	features = PointerGetDatum(DatumGetArrayTypePCopy(features));
	SPI_finish();
	fs_owner_end(&scope);
	return features;
}

static bool
is_empty(Datum array)
{
	return ARR_NDIM(DatumGetArrayTypeP(array)) == 0;
}

/* Does a column read the field, or something in it?  NULL is any field. */
static bool
reads_field(const FsColumn *column, const char *field)
{
	size_t		len = field == NULL ? 0 : strlen(field);

	return field == NULL ||
		(strncmp(column->field, field, len) == 0 && (column->field[len] == '\0' || column->field[len] == '.'));
}

/* The features that depend on the field of records, as text[]; 0: none. */
static Datum
find_features_of_field(List *streams, const char *field)
{
	Datum	   *relids = NULL;
	Datum	   *names = NULL;
	int			n = 0;
	Datum		features;
	ListCell   *lc;

	foreach(lc, streams)
	{
		const FsStreamDef *def = lfirst(lc);
		Size		size = sizeof(Datum) * (n + def->ncolumns + 1);

		relids = relids == NULL ? palloc(size) : repalloc(relids, size);
		names = names == NULL ? palloc(size) : repalloc(names, size);
		for (int i = 0; i < def->ncolumns; i++)
		{
			if (!reads_field(&def->columns[i], field))
				continue;
			relids[n] = ObjectIdGetDatum(def->relid);
			names[n++] = CStringGetTextDatum(def->columns[i].name);
		}
	}
	if (n == 0)
		return (Datum) 0;
	features = find_features(relids, names, n);
	return is_empty(features) ? (Datum) 0 : features;
}

/* One problem of a column. */
static FsSchemaProblem *
make_problem(const FsStreamDef *def, const FsColumn *column, const char *rule, const char *path, char *sentence)
{
	Datum		stream = ObjectIdGetDatum(def->relid);
	Datum		name = CStringGetTextDatum(column->name);
	FsSchemaProblem *problem = palloc0(sizeof(FsSchemaProblem));

	problem->path = pstrdup(path);
	problem->rule = rule;
	problem->sentence = sentence;
	problem->features = find_features(&stream, &name, 1);
	problem->breaks = true;
	return problem;
}

/* The same of one whose field records do not have; 'had': they had it so far. */
static FsSchemaProblem *
make_missing(const FsStreamDef *def, const FsColumn *column, const char *rule, const char *path, char *sentence, bool had)
{
	FsSchemaProblem *problem = make_problem(def, column, rule, path, sentence);

	problem->breaks = column->default_expr == NULL && (column->not_null || (had && !is_empty(problem->features)));
	return problem;
}

/* What becomes of a column whose field records do not have. */
static const char *
without_field(const FsColumn *column)
{
	return column->default_expr != NULL ? "it would take its DEFAULT" :
		column->not_null ? "each record would be a dead letter" : "it would be NULL";
}

/* Problems of a stream's columns with a schema of records, one a column. */
static FsAvroProblem *
judge_columns(const FsStreamDef *def, const FsAvroSchema *writer)
{
	FsAvroProblem *problems = palloc0(sizeof(FsAvroProblem) * Max(def->ncolumns, 1));
	FsField    *fields = fs_payload_fields(def);
	bool		too_long = false;
	FsAvroProgram *program = fs_avro_program_create(writer, NULL, fields, def->ncolumns, problems, &too_long);

	if (program == NULL)
		ereport(ERROR,
				(errcode(too_long ? ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not compare the schema with stream %s", def->name),
				 errdetail("%s", too_long ? "What its columns read takes too many steps." : "Memory is out.")));
	fs_avro_program_free(program);
	return problems;
}

/* A sentence as the end of another one. */
static const char *
as_clause(const char *sentence)
{
	char	   *clause = pstrdup(sentence);
	size_t		len = strlen(clause);

	if (len > 0 && clause[len - 1] == '.')
		clause[len - 1] = '\0';
	clause[0] = pg_ascii_tolower((unsigned char) clause[0]);
	return clause;
}

/* A stream that reads each record by the schema that it was written with; 'is_known': work->other is what they had so far. */
static List *
judge_stream(const FsStreamDef *def, const FsSchemaWork *work, List *found, bool is_known)
{
	FsAvroProblem *now = judge_columns(def, work->given);
	FsAvroProblem *before = !is_known ? NULL : judge_columns(def, work->other);

	for (int i = 0; i < def->ncolumns; i++)
	{
		const FsColumn *column = &def->columns[i];
		char	   *path = psprintf("$.%s", column->field);

		/* kinds are in order: what was as bad before is not the change's doing */
		if (now[i].kind == FS_AVRO_NO_PROBLEM || (before != NULL && now[i].kind <= before[i].kind) ||
			(before == NULL && fs_column_is_served(column, &now[i])))
			continue;
		found = lappend(found, now[i].kind == FS_AVRO_UNKNOWN_FIELD ?
						make_missing(def, column, "STREAM_COLUMN_MISSING", path,
									 psprintf("column \"%s\" of stream %s reads \"%s\", which the new schema does not have: %s",
											  column->name, def->name, column->field, without_field(column)), is_known) :
						make_problem(def, column, "STREAM_COLUMN_MISMATCH", path,
									 psprintf("column \"%s\" of stream %s cannot take \"%s\" of the new schema: %s",
											  column->name, def->name, column->field, as_clause(now[i].detail))));
	}
	return found;
}

/*
 * A stream that reads all records by its option "schema", of whoever they are:
 * written by another one they cannot be read, or are read as something else.
 */
static List *
judge_fixed(const FsStreamDef *def, FsSchemaWork *work, List *found)
{
	FsSchemaVersion own = {.text = def->schema};
	FsSchemaWork *fixed = fs_schema_open(&own, psprintf("option \"schema\" of stream %s", def->name));
	FsSchemaForms forms;
	FsSchemaForms new_forms;
	FsSchemaProblem *problem;

	fs_schema_forms(fixed, &forms);
	fs_schema_close(fixed);
	fs_schema_forms(work, &new_forms);
	if (DatumGetBool(DirectFunctionCall2(byteaeq, forms.whole, new_forms.whole)))
		return found;
	problem = palloc0(sizeof(FsSchemaProblem));
	problem->path = pstrdup("$");
	problem->rule = "STREAM_SCHEMA_FIXED";
	problem->sentence = psprintf("stream %s reads all records by its option \"schema\", which is another schema", def->name);
	problem->features = find_features_of_field(list_make1(unconstify(FsStreamDef *, def)), NULL);
	if (problem->features == (Datum) 0)
		problem->features = PointerGetDatum(construct_empty_array(TEXTOID));
	return lappend(found, problem);
}

/* See schemas.h. */
const char *
fs_schema_field_of_path(const FsAvroSchema *schema, const char *path)
{
	const FsAvroNode *root = &schema->nodes[schema->root];
	int			number;
	int			member = root->first;

	if (root->type != FS_AVRO_RECORD || sscanf(path, "$.fields[%d]", &number) != 1)
		return NULL;
	while (number-- > 0 && member >= 0)
		member = schema->members[member].next;
	return member < 0 ? NULL : schema->members[member].name;
}

/* Has the work this conflict, too?  NULL has none. */
static bool
has_conflict(const FsSchemaWork *work, const FsAvroConflict *conflict)
{
	for (int i = 0; work != NULL && i < work->conflicts.count; i++)
		if (work->conflicts.items[i].rule == conflict->rule && strcmp(work->conflicts.items[i].path, conflict->path) == 0)
			return true;
	return false;
}

/* What a column says of a conflict of its stream's schema; 'before': what the newest version has against that. */
static FsSchemaProblem *
judge_conflict(const FsStreamDef *def, const FsColumn *column, const FsAvroConflict *conflict, const FsSchemaWork *before)
{
	const char *rule = fs_avro_rule_name(conflict->rule);
	char	   *sentence = psprintf("column \"%s\" of stream %s: %s", column->name, def->name, conflict->sentence);
	FsSchemaProblem *problem = conflict->rule == FS_AVRO_MISSING_DEFAULT ?
		make_missing(def, column, rule, conflict->path, sentence, before != NULL) :
		make_problem(def, column, rule, conflict->path, sentence);

	problem->breaks &= !has_conflict(before, conflict);
	return problem;
}

/* What a stream's own schema, work->other, has against a writer's; throws when they are too large to be judged. */
static void
compare_with_stream(const FsStreamDef *def, FsSchemaWork *work, const char *writer)
{
	if (fs_schema_compare(work, false, "the stream", writer) == FS_AVRO_TOO_LARGE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the schemas are too large to be compared"),
				 errdetail("Option \"reader_schema\" of stream %s was compared with %s.", def->name, writer)));
}

/* A stream that resolves all records to a schema of its own, work->other; 'newest' NULL: there is none yet. */
static List *
judge_reader(const FsStreamDef *def, FsSchemaWork *work, const FsSchemaVersion *newest, List *found)
{
	FsSchemaVersion own = {.text = def->reader_schema};
	FsSchemaWork *before = newest == NULL ? NULL : fs_schema_open(newest, "the newest version");

	if (before != NULL)
	{
		fs_schema_parse_other(before, &own, "a schema");
		compare_with_stream(def, before, "the newest writer");
	}
	fs_schema_parse_other(work, &own, "a schema");
	compare_with_stream(def, work, "the new writer");
	for (int c = 0; c < work->conflicts.count; c++)
	{
		const FsAvroConflict *conflict = &work->conflicts.items[c];
		const char *field = fs_schema_field_of_path(work->other, conflict->path);

		for (int i = 0; i < def->ncolumns; i++)
			if (reads_field(&def->columns[i], field))
				found = lappend(found, judge_conflict(def, &def->columns[i], conflict, before));
	}
	if (before != NULL)
		fs_schema_close(before);
	return found;
}

/* See schemas.h. */
List *
fs_schema_impact(const char *subject, FsSchemaWork *work)
{
	List	   *versions = fs_schema_versions(subject, false);
	const FsSchemaVersion *newest = versions == NIL ? NULL : linitial(versions);
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, load_streams(subject))
	{
		const FsStreamDef *def = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (def->schema != NULL)
			found = judge_fixed(def, work, found);
		if (def->reader_schema != NULL)
		{
			found = judge_reader(def, work, newest, found);
			continue;
		}
		if (newest != NULL)
			fs_schema_parse_other(work, newest, "a schema");
		found = judge_stream(def, work, found, newest != NULL);
	}
	return found;
}

/* See schemas.h.  Problems of one field mostly follow each other. */
void
fs_schema_name_features(const char *subject, List *problems)
{
	List	   *streams = problems == NIL ? NIL : load_streams(subject);
	const FsSchemaProblem *before = NULL;
	ListCell   *lc;

	if (streams == NIL)
		return;
	foreach(lc, problems)
	{
		FsSchemaProblem *problem = lfirst(lc);
		bool		is_same = before != NULL && (before->field == NULL || problem->field == NULL ?
												 before->field == problem->field : strcmp(before->field, problem->field) == 0);

		CHECK_FOR_INTERRUPTS();
		problem->features = is_same ? before->features : find_features_of_field(streams, problem->field);
		before = problem;
	}
}
