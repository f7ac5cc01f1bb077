/*
 * schema_store.c
 *		Subjects and their versions in their tables.
 *
 * Nobody writes to schema_subject and schema_version but through here.  Whoever
 * adds a version has entered the subject, whose row is locked then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "catalog/extension.h"
#include "sql/schemas.h"

#define MAX_SUBJECT		255		/* characters */

/* See schemas.h. */
void
fs_subject_check_name(const char *subject)
{
	if (subject[0] == '\0' || pg_mbstrlen(subject) > MAX_SUBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a subject has from 1 to %d characters", MAX_SUBJECT),
				 errhint("A topic's values have the subject \"<topic>-value\" by custom.")));
}

/* See schemas.h. */
bool
fs_subject_load(const char *name, bool lock, FsSubject *subject)
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

/* See schemas.h. */
void
fs_subject_check_owner(const char *name, const FsSubject *subject)
{
	if (!has_privs_of_role(GetUserId(), subject->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of subject \"%s\"", name),
				 errhint("A subject belongs to the role that registered its first schema.")));
}

/* See schemas.h. */
void
fs_subject_set_compatibility(const char *name, const FsCompatibility *compatibility)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(compatibility->name);
	fs_owner_execute("UPDATE feature_stream.schema_subject SET compatibility = $2 WHERE subject = $1",
					 SPI_OK_UPDATE, 2, types, values, NULL);
}

/* See schemas.h. */
void
fs_subject_enter(const char *name, FsSubject *subject)
{
	Oid			types[2] = {TEXTOID, OIDOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(name);
	values[1] = ObjectIdGetDatum(GetUserId());
	fs_owner_execute("INSERT INTO feature_stream.schema_subject (subject, owner) VALUES ($1, $2)"
					 " ON CONFLICT (subject) DO NOTHING", SPI_OK_INSERT, 2, types, values, NULL);
	if (!fs_subject_load(name, true, subject))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not register a schema of subject \"%s\" due to concurrent changes", name)));
	fs_subject_check_owner(name, subject);
}

/*
 * Runs one SELECT as the extension's owner, with the subject as $1 and 'form' as
 * $2; SPI stays connected for the caller to read the rows.
 */
static void
select_begin(FsOwnerScope *scope, const char *command, const char *subject, Datum form)
{
	Oid			types[2] = {TEXTOID, BYTEAOID};
	Datum		values[2];
	char		nulls[2] = {' ', form == (Datum) 0 ? 'n' : ' '};

	fs_owner_begin(scope);
	SPI_connect();
	values[0] = CStringGetTextDatum(subject);
	values[1] = form;
	if (SPI_execute_with_args(command, 2, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the versions of a subject");
}

static void
select_end(FsOwnerScope *scope)
{
	SPI_finish();
	fs_owner_end(scope);
}

/* See schemas.h. */
int
fs_schema_find(const char *subject, const FsSchemaForms *forms)
{
	FsOwnerScope scope;
	bool		isnull;
	int			version = 0;

	select_begin(&scope, "SELECT version FROM feature_stream.schema_version"
				 " WHERE subject = $1 AND content_hash = pg_catalog.sha256($2)"
				 " ORDER BY version DESC LIMIT 1", subject, forms->whole);
	if (SPI_processed > 0)
		version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											  &isnull));
	select_end(&scope);
	return version;
}

/* See schemas.h. */
bool
fs_schema_is_same(const char *subject, int version, const FsSchemaForms *forms, bool *is_there)
{
	FsOwnerScope scope;
	bool		isnull;
	bool		is_same;

	select_begin(&scope, psprintf("SELECT content_hash OPERATOR(pg_catalog.=) pg_catalog.sha256($2)"
								  " FROM feature_stream.schema_version WHERE subject = $1 AND version = %d", version),
				 subject, forms->whole);
	*is_there = SPI_processed > 0;
	is_same = *is_there && DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	select_end(&scope);
	return is_same;
}

/* Texts as text[]. */
static Datum
make_array(int n, const char **texts)
{
	Datum	   *items = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		items[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(items, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* See schemas.h. */
int
fs_schema_add(const char *subject, const FsSchemaVersion *version, const FsSchemaForms *forms)
{
	Oid			types[8] = {TEXTOID, TEXTOID, BYTEAOID, BYTEAOID, NAMEOID, INT4OID, TEXTARRAYOID, TEXTOID};
	Datum		values[8];
	char		nulls[9] = "        ";
	FsOwnerScope scope;
	bool		isnull;
	int			number;

	values[0] = CStringGetTextDatum(subject);
	values[1] = CStringGetTextDatum(version->text);
	values[2] = forms->parsing;
	values[3] = forms->whole;
	values[4] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
	values[5] = Int32GetDatum(version->number);
	values[6] = make_array(version->nreferenced, version->referenced);
	values[7] = version->refers_to != NULL ? CStringGetTextDatum(version->refers_to) : (Datum) 0;
	nulls[7] = version->refers_to != NULL ? ' ' : 'n';
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO feature_stream.schema_version"
							  " (subject, version, schema, fingerprint, content_hash, registered_by, referenced, refers_to)"
							  " SELECT $1, CASE WHEN $6 > 0 THEN $6 ELSE coalesce(pg_catalog.max(version), 0) + 1 END, $2,"
							  "        pg_catalog.sha256($3), pg_catalog.sha256($4), $5, $7, $8::pg_catalog.jsonb"
							  "   FROM feature_stream.schema_version WHERE subject = $1"
							  " RETURNING version", 8, types, values, nulls, false, 0) !=
		SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not add a version");
	number = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	fs_owner_end(&scope);
	return number;
}

/* The version of a row that SPI has read (version, schema, referenced, refers_to), in the current memory context. */
static FsSchemaVersion *
read_version(HeapTuple tuple, TupleDesc desc)
{
	FsSchemaVersion *version = palloc0(sizeof(FsSchemaVersion));
	bool		isnull;
	Datum	   *texts;
	Datum		refers_to;

	version->number = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
	version->text = TextDatumGetCString(SPI_getbinval(tuple, desc, 2, &isnull));
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(tuple, desc, 3, &isnull)),
					  TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &version->nreferenced);
	version->referenced = palloc(sizeof(char *) * Max(version->nreferenced, 1));
	for (int i = 0; i < version->nreferenced; i++)
		version->referenced[i] = TextDatumGetCString(texts[i]);
	refers_to = SPI_getbinval(tuple, desc, 4, &isnull);
	version->refers_to = isnull ? NULL : TextDatumGetCString(refers_to);
	return version;
}

/* See schemas.h. */
List *
fs_schema_versions(const char *subject, bool all)
{
	MemoryContext context = CurrentMemoryContext;
	FsOwnerScope scope;
	List	   *versions = NIL;

	select_begin(&scope, all ?
				 "SELECT version, schema, referenced, refers_to::pg_catalog.text FROM feature_stream.schema_version"
				 " WHERE subject = $1 AND $2 IS NULL ORDER BY version DESC" :
				 "SELECT version, schema, referenced, refers_to::pg_catalog.text FROM feature_stream.schema_version"
				 " WHERE subject = $1 AND $2 IS NULL ORDER BY version DESC LIMIT 1",
				 subject, (Datum) 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext before = MemoryContextSwitchTo(context);

		versions = lappend(versions, read_version(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
		MemoryContextSwitchTo(before);
	}
	select_end(&scope);
	return versions;
}
