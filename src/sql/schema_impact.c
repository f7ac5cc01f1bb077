/*
 * schema_impact.c
 *		Which features a new version of a schema would break.
 *
 * A subject is about the values of a topic by its name, "<topic>-value"
 * (Confluent's TopicNameStrategy).  Of each Avro stream over that topic the
 * columns are held against the new schema as the writer's, and against the
 * newest version, as what a change breaks was whole before.
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

/* The features that depend on a column of a stream, as text[]. */
static Datum
find_features(Oid stream, const char *column)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(stream), CStringGetTextDatum(column)};
	MemoryContext context = CurrentMemoryContext;
	FsOwnerScope scope;
	Datum		features;
	bool		isnull;

	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT ARRAY(SELECT DISTINCT v.view::pg_catalog.text || '.' || l.feature"
							  " FROM feature_stream.feature_lineage l, LATERAL (SELECT l.view) v"
							  " WHERE l.stream = $1 AND l.stream_column = $2 ORDER BY 1)",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the features of a stream");
	features = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	MemoryContextSwitchTo(context);
	features = PointerGetDatum(DatumGetArrayTypePCopy(features));
	SPI_finish();
	fs_owner_end(&scope);
	return features;
}

/* One problem of a column. */
static FsSchemaProblem *
make_problem(const FsStreamDef *def, const FsColumn *column, const char *rule, const char *path, char *sentence)
{
	FsSchemaProblem *problem = palloc0(sizeof(FsSchemaProblem));

	problem->path = pstrdup(path);
	problem->rule = rule;
	problem->sentence = sentence;
	problem->features = find_features(def->relid, column->name);
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

		if (now[i].kind == FS_AVRO_NO_PROBLEM || (before != NULL && before[i].kind != FS_AVRO_NO_PROBLEM) ||
			(before == NULL && fs_column_is_served(column, &now[i])))
			continue;
		found = lappend(found, now[i].kind == FS_AVRO_UNKNOWN_FIELD ?
						make_problem(def, column, "STREAM_COLUMN_MISSING", path,
									 psprintf("column \"%s\" of stream %s reads \"%s\", which the new schema does not have: %s",
											  column->name, def->name, column->field, without_field(column))) :
						make_problem(def, column, "STREAM_COLUMN_MISMATCH", path,
									 psprintf("column \"%s\" of stream %s cannot take \"%s\" of the new schema: %s",
											  column->name, def->name, column->field, as_clause(now[i].detail))));
	}
	return found;
}

/* The name of the field of a record that a path is about, such as $.fields[2].type; NULL: it is about none. */
static const char *
field_of_path(const FsAvroSchema *schema, const char *path)
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

/* Does a column read the field, or something in it?  NULL is any field. */
static bool
reads_field(const FsColumn *column, const char *field)
{
	size_t		len = field == NULL ? 0 : strlen(field);

	return field == NULL ||
		(strncmp(column->field, field, len) == 0 && (column->field[len] == '\0' || column->field[len] == '.'));
}

/* A stream that resolves all records to a schema of its own, work->other. */
static List *
judge_reader(const FsStreamDef *def, FsSchemaWork *work, List *found)
{
	(void) fs_schema_compare(work, false, "the stream", "the new writer");
	for (int c = 0; c < work->conflicts.count; c++)
	{
		const FsAvroConflict *conflict = &work->conflicts.items[c];
		const char *field = field_of_path(work->other, conflict->path);

		for (int i = 0; i < def->ncolumns; i++)
			if (reads_field(&def->columns[i], field))
				found = lappend(found, make_problem(def, &def->columns[i], fs_avro_rule_name(conflict->rule), conflict->path,
													psprintf("column \"%s\" of stream %s: %s", def->columns[i].name,
															 def->name, conflict->sentence)));
	}
	return found;
}

/* See schemas.h. */
List *
fs_schema_impact(const char *subject, FsSchemaWork *work)
{
	List	   *newest = fs_schema_versions(subject, false);
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, fs_stream_list())
	{
		FsStreamDef *def;
		FsSchemaVersion own = {0};
		const FsSchemaVersion *other;

		CHECK_FOR_INTERRUPTS();
		if (!is_about(subject, lfirst_oid(lc)))
			continue;
		def = fs_stream_load(lfirst_oid(lc));
		own.text = def->reader_schema;
		other = own.text != NULL ? &own : newest != NIL ? linitial(newest) : NULL;
		if (other != NULL)
			fs_schema_parse_other(work, other, "a schema");
		found = own.text != NULL ? judge_reader(def, work, found) : judge_stream(def, work, found, other != NULL);
	}
	return found;
}
