/*
 * schemas.c
 *		register_schema, check_schema, set_compatibility: schemas of subjects.
 *
 * A new schema has to meet the versions of its subject, by its compatibility, and
 * the streams over its topic.
 *
 * A subject belongs to the role that registered it first; its row is locked
 * while a version is added, so versions are numbered without gaps and each was
 * judged by those before it.  Two schemas are the same when readers and writers
 * cannot tell them apart: documentation, order of attributes and white space do
 * not count, defaults and aliases do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "sql/arguments.h"
#include "sql/schemas.h"

PG_FUNCTION_INFO_V1(fs_register_schema);
PG_FUNCTION_INFO_V1(fs_check_schema);
PG_FUNCTION_INFO_V1(fs_set_compatibility);

#define DETAIL_PROBLEMS 50		/* in an error's detail */
#define PROBLEM_COLUMNS 6

/* A text argument that must be there. */
static char *
require_text(FunctionCallInfo fcinfo, int arg, const char *name)
{
	fs_argument_require(fcinfo, arg, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* Argument "subject". */
static char *
require_subject(FunctionCallInfo fcinfo)
{
	char	   *subject = require_text(fcinfo, 0, "subject");

	fs_subject_check_name(subject);
	return subject;
}

/* Says which features depend on something. */
static void
append_features(StringInfo detail, ArrayType *features)
{
	Datum	   *names;
	int			count;

	deconstruct_array(features, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		appendStringInfo(detail, "%s%s", i == 0 ? " Features: " : ", ", TextDatumGetCString(names[i]));
}

/* The problems, a line each. */
static const char *
describe_problems(List *problems)
{
	StringInfoData detail;
	int			told = 0;
	ListCell   *lc;

	initStringInfo(&detail);
	foreach(lc, problems)
	{
		FsSchemaProblem *problem = lfirst(lc);

		if (told++ >= DETAIL_PROBLEMS)
			continue;
		appendStringInfo(&detail, "%s%s %s: %s.", told > 1 ? "\n" : "", problem->rule,
						 problem->path, problem->sentence);
		if (problem->features != (Datum) 0)
			append_features(&detail, DatumGetArrayTypeP(problem->features));
	}
	if (told > DETAIL_PROBLEMS)
		appendStringInfo(&detail, "\nThere are %d more.", told - DETAIL_PROBLEMS);
	return detail.data;
}

/* Throws the problems: the first one is the message, all are the detail. */
static void
throw_problems(const char *name, const FsCompatibility *compatibility, List *problems)
{
	const FsSchemaProblem *first = linitial(problems);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s", first->sentence),
			 errdetail("%s", describe_problems(problems)),
			 first->breaks ?
			 errhint("Change or drop the column, or the features, first: a column with a DEFAULT does without its field."
					 " With compatibility NONE the schema is registered all the same.") :
			 errhint("Subject \"%s\" has compatibility %s: feature_stream.check_schema() tells what a schema breaks,"
					 " feature_stream.set_compatibility() changes what is asked.",
					 name, compatibility->name)));
}

/*
 * Throws when the subject's versions have anything against a new schema, or, unless
 * its mode is NONE, when it breaks what streams read; warns of what else changes
 * for features.
 */
static void
judge_schema(const char *name, FsSchemaWork *work, const FsCompatibility *compatibility)
{
	List	   *problems = fs_schema_check(name, work, compatibility);
	List	   *impact = fs_schema_impact(name, work);
	List	   *broken = NIL;
	List	   *changed = NIL;
	ListCell   *lc;

	fs_schema_name_features(name, problems);
	foreach(lc, impact)
	{
		FsSchemaProblem *problem = lfirst(lc);

		if (problem->breaks)
			broken = lappend(broken, problem);
		else if (ARR_NDIM(DatumGetArrayTypeP(problem->features)) > 0)
			changed = lappend(changed, problem);
	}
	if (problems != NIL)
		throw_problems(name, compatibility, list_concat(problems, impact));
	if (broken != NIL && (compatibility->backward || compatibility->forward))
		throw_problems(name, compatibility, list_concat(broken, changed));
	changed = list_concat(broken, changed);
	if (changed != NIL)
		ereport(WARNING,
				(errmsg("the new schema of subject \"%s\" changes what streams read", name),
				 errdetail("%s", describe_problems(changed))));
}

/* register_schema(subject, schema, compatibility) returns integer: the version */
Datum
fs_register_schema(PG_FUNCTION_ARGS)
{
	char	   *name = require_subject(fcinfo);
	FsSchemaVersion schema = {.text = require_text(fcinfo, 1, "schema")};
	const FsCompatibility *asked = PG_ARGISNULL(2) ? NULL :
		fs_schema_compatibility(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	FsSchemaWork *work = fs_schema_open(&schema, "argument \"schema\"");
	FsSchemaForms forms;
	FsSubject	subject;
	int			version;

	fs_schema_forms(work, &forms);
	fs_subject_enter(name, &subject);
	if (asked != NULL && asked != subject.compatibility)
	{
		fs_subject_set_compatibility(name, asked);
		subject.compatibility = asked;
	}
	version = fs_schema_find(name, &forms);
	if (version == 0)
	{
		judge_schema(name, work, subject.compatibility);
		version = fs_schema_add(name, &schema, &forms);
	}
	fs_schema_close(work);
	PG_RETURN_INT32(version);
}

/* check_schema(subject, schema) returns table (path, rule, reader_version, writer_version, problem, features) */
Datum
fs_check_schema(PG_FUNCTION_ARGS)
{
	char	   *name = require_subject(fcinfo);
	FsSchemaVersion schema = {.text = require_text(fcinfo, 1, "schema")};
	FsSchemaWork *work = fs_schema_open(&schema, "argument \"schema\"");
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FsSchemaForms forms;
	FsSubject	subject;
	List	   *problems = NIL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	fs_schema_forms(work, &forms);
	if (!fs_subject_load(name, false, &subject))
		ereport(NOTICE,
				(errmsg("subject \"%s\" does not exist", name),
				 errdetail("The schema would be its first version.")));
	else if (fs_schema_find(name, &forms) == 0)
		problems = fs_schema_check(name, work, subject.compatibility);
	fs_schema_name_features(name, problems);
	problems = list_concat(problems, fs_schema_impact(name, work));
	fs_schema_close(work);
	foreach(lc, problems)
	{
		FsSchemaProblem *problem = lfirst(lc);
		Datum		values[PROBLEM_COLUMNS];
		bool		nulls[PROBLEM_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(problem->path);
		values[1] = CStringGetTextDatum(problem->rule);
		values[2] = Int32GetDatum(problem->reader_version);
		nulls[2] = problem->reader_version == 0;
		values[3] = Int32GetDatum(problem->writer_version);
		nulls[3] = problem->writer_version == 0;
		values[4] = CStringGetTextDatum(problem->sentence);
		values[5] = problem->features;
		nulls[5] = problem->features == (Datum) 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* set_compatibility(subject, mode) returns void */
Datum
fs_set_compatibility(PG_FUNCTION_ARGS)
{
	char	   *name = require_subject(fcinfo);
	const FsCompatibility *mode = fs_schema_compatibility(require_text(fcinfo, 1, "mode"));
	FsSubject	subject;

	if (!fs_subject_load(name, true, &subject))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subject \"%s\" does not exist", name),
				 errhint("feature_stream.register_schema() makes it, with its first schema.")));
	fs_subject_check_owner(name, &subject);
	if (mode != subject.compatibility)
		fs_subject_set_compatibility(name, mode);
	PG_RETURN_VOID();
}
