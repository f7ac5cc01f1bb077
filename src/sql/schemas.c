/*
 * schemas.c
 *		register_schema, check_schema, set_compatibility: schemas of subjects.
 *
 * A subject belongs to the role that registered it first; its row is locked
 * while a version is added, so versions are numbered without gaps and each was
 * judged by those before it.  Two schemas are the same when readers and writers
 * cannot tell them apart: documentation, order of attributes and white space do
 * not count, defaults and aliases do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/extension.h"
#include "sql/arguments.h"
#include "sql/schemas.h"

PG_FUNCTION_INFO_V1(fs_register_schema);
PG_FUNCTION_INFO_V1(fs_check_schema);
PG_FUNCTION_INFO_V1(fs_set_compatibility);

#define MAX_SUBJECT		255		/* characters */
#define DETAIL_PROBLEMS 50		/* in an error's detail */
#define PROBLEM_COLUMNS 6

/* A subject's row. */
typedef struct Subject
{
	Oid			owner;
	const FsCompatibility *compatibility;
} Subject;

/* A text argument that must be there. */
static char *
require_text(FunctionCallInfo fcinfo, int arg, const char *name)
{
	fs_argument_require(fcinfo, arg, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* Argument "subject"; throws for one that is empty or too long. */
static char *
require_subject(FunctionCallInfo fcinfo)
{
	char	   *subject = require_text(fcinfo, 0, "subject");

	if (subject[0] == '\0' || pg_mbstrlen(subject) > MAX_SUBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a subject has from 1 to %d characters", MAX_SUBJECT),
				 errhint("A topic's values have the subject \"<topic>-value\" by custom.")));
	return subject;
}

/* Reads the subject's row, and locks it when asked to; false when there is none. */
static bool
load_subject(const char *name, bool lock, Subject *subject)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	FsOwnerScope scope;
	bool		isnull;
	bool		found;
	char	   *mode = NULL;
	MemoryContext context = CurrentMemoryContext;

	values[0] = CStringGetTextDatum(name);
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args(lock ?
							  "SELECT owner, compatibility FROM feature_stream.schema_subject"
							  " WHERE subject = $1 FOR UPDATE" :
							  "SELECT owner, compatibility FROM feature_stream.schema_subject"
							  " WHERE subject = $1", 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a subject");
	found = SPI_processed > 0;
	if (found)
	{
		subject->owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
														SPI_tuptable->tupdesc, 1, &isnull));
		mode = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0],
														 SPI_tuptable->tupdesc, 2));
	}
	SPI_finish();
	fs_owner_end(&scope);
	if (found)
		subject->compatibility = fs_schema_compatibility(mode);
	return found;
}

/* Throws unless the current user has the rights of the subject's owner. */
static void
check_owner(const char *name, const Subject *subject)
{
	if (!has_privs_of_role(GetUserId(), subject->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of subject \"%s\"", name),
				 errhint("A subject belongs to the role that registered its first schema.")));
}

/* Sets the compatibility of a subject that is there. */
static void
store_compatibility(const char *name, const FsCompatibility *compatibility)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(compatibility->name);
	fs_owner_execute("UPDATE feature_stream.schema_subject SET compatibility = $2 WHERE subject = $1",
					 SPI_OK_UPDATE, 2, types, values, NULL);
}

/* Makes the subject, if it is new, the current user's; locks its row and reads it. */
static void
enter_subject(const char *name, Subject *subject)
{
	Oid			types[2] = {TEXTOID, OIDOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(name);
	values[1] = ObjectIdGetDatum(GetUserId());
	fs_owner_execute("INSERT INTO feature_stream.schema_subject (subject, owner) VALUES ($1, $2)"
					 " ON CONFLICT (subject) DO NOTHING", SPI_OK_INSERT, 2, types, values, NULL);
	if (!load_subject(name, true, subject))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not register a schema of subject \"%s\" due to concurrent changes", name)));
	check_owner(name, subject);
}

/* Adds the next version; its number. */
static int
add_version(const char *name, const char *text, const FsSchemaForms *forms)
{
	Oid			types[5] = {TEXTOID, TEXTOID, BYTEAOID, BYTEAOID, NAMEOID};
	Datum		values[5];
	FsOwnerScope scope;
	bool		isnull;
	int			version;

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(text);
	values[2] = forms->parsing;
	values[3] = forms->whole;
	values[4] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO feature_stream.schema_version"
							  " (subject, version, schema, fingerprint, content_hash, registered_by)"
							  " SELECT $1, coalesce(pg_catalog.max(version), 0) + 1, $2,"
							  "        pg_catalog.sha256($3), pg_catalog.sha256($4), $5"
							  "   FROM feature_stream.schema_version WHERE subject = $1"
							  " RETURNING version", 5, types, values, NULL, false, 0) !=
		SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not add a version");
	version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	fs_owner_end(&scope);
	return version;
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

/* Throws the problems: the first one is the message, all are the detail. */
static void
throw_problems(const char *name, const FsCompatibility *compatibility, List *problems)
{
	StringInfoData detail;
	int			told = 0;
	ListCell   *lc;

	Assert(problems != NIL);
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
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s", ((FsSchemaProblem *) linitial(problems))->sentence),
			 errdetail("%s", detail.data),
			 errhint("Subject \"%s\" has compatibility %s: feature_stream.check_schema() tells what a schema breaks,"
					 " feature_stream.set_compatibility() changes what is asked.",
					 name, compatibility->name)));
}

/* register_schema(subject, schema, compatibility) returns integer: the version */
Datum
fs_register_schema(PG_FUNCTION_ARGS)
{
	char	   *name = require_subject(fcinfo);
	char	   *schema = require_text(fcinfo, 1, "schema");
	const FsCompatibility *asked = PG_ARGISNULL(2) ? NULL :
		fs_schema_compatibility(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	FsSchemaWork *work = fs_schema_open(schema);
	FsSchemaForms forms;
	Subject		subject;
	int			version;

	fs_schema_forms(work, &forms);
	enter_subject(name, &subject);
	if (asked != NULL && asked != subject.compatibility)
	{
		store_compatibility(name, asked);
		subject.compatibility = asked;
	}
	version = fs_schema_find(name, &forms);
	if (version == 0)
	{
		List	   *problems = fs_schema_check(name, work, subject.compatibility);

		if (problems != NIL)
			throw_problems(name, subject.compatibility,
						   list_concat(problems, fs_schema_impact(name, work, fs_schema_newest(name))));
		version = add_version(name, schema, &forms);
	}
	fs_schema_close(work);
	PG_RETURN_INT32(version);
}

/* check_schema(subject, schema) returns table (path, rule, reader_version, writer_version, problem, features) */
Datum
fs_check_schema(PG_FUNCTION_ARGS)
{
	char	   *name = require_subject(fcinfo);
	FsSchemaWork *work = fs_schema_open(require_text(fcinfo, 1, "schema"));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FsSchemaForms forms;
	Subject		subject;
	List	   *problems = NIL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	fs_schema_forms(work, &forms);
	if (!load_subject(name, false, &subject))
		ereport(NOTICE,
				(errmsg("subject \"%s\" does not exist", name),
				 errdetail("The schema would be its first version.")));
	else if (fs_schema_find(name, &forms) == 0)
		problems = fs_schema_check(name, work, subject.compatibility);
	problems = list_concat(problems, fs_schema_impact(name, work, fs_schema_newest(name)));
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
	Subject		subject;

	if (!load_subject(name, true, &subject))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subject \"%s\" does not exist", name),
				 errhint("feature_stream.register_schema() makes it, with its first schema.")));
	check_owner(name, &subject);
	if (mode != subject.compatibility)
		store_compatibility(name, mode);
	PG_RETURN_VOID();
}
