/*
 * schema_check.c
 *		A new schema against the versions that its subject has.
 *
 * As Confluent's registry has it: BACKWARD, the new schema reads what the newest
 * version wrote; FORWARD, the newest version reads what the new schema writes;
 * FULL, both; the transitive modes ask it of all versions.
 *
 * Core's schemas are malloc'd: a callback of the memory context owns them, since
 * any palloc may throw.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/avro_canonical.h"
#include "sql/schemas.h"

static const FsCompatibility compatibilities[] = {
	{"NONE", false, false, false},
	{"BACKWARD", true, false, false},
	{"FORWARD", false, true, false},
	{"FULL", true, true, false},
	{"BACKWARD_TRANSITIVE", true, false, true},
	{"FORWARD_TRANSITIVE", false, true, true},
	{"FULL_TRANSITIVE", true, true, true},
};

/* See schemas.h. */
const FsCompatibility *
fs_schema_compatibility(const char *name)
{
	for (int i = 0; i < lengthof(compatibilities); i++)
		if (pg_strcasecmp(name, compatibilities[i].name) == 0)
			return &compatibilities[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("compatibility \"%s\" is not known", name),
			 errhint("It is one of NONE, BACKWARD, FORWARD, FULL,"
					 " BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE, FULL_TRANSITIVE.")));
}

/* Memory context callback. */
static void
close_cb(void *arg)
{
	fs_schema_close(arg);
}

/* See schemas.h. */
void
fs_schema_close(FsSchemaWork *work)
{
	fs_avro_schema_free(work->given);
	fs_avro_schema_free(work->other);
	fs_avro_conflicts_free(&work->conflicts);
	fs_buffer_free(&work->form);
	memset(work, 0, sizeof(FsSchemaWork));
}

static void
throw_no_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not read or compare Avro schemas.")));
}

/* The schema, malloc'd; throws when it is none.  'what' names it. */
static FsAvroSchema *
parse_schema(const FsSchemaVersion *version, const char *what)
{
	FsAvroSource *sources = palloc(sizeof(FsAvroSource) * (version->nreferenced + 1));
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema;

	for (int i = 0; i <= version->nreferenced; i++)
	{
		const char *text = i < version->nreferenced ? version->referenced[i] : version->text;

		sources[i].text = pg_server_to_any(text, strlen(text), PG_UTF8);
		sources[i].len = strlen(sources[i].text);
	}
	schema = fs_avro_schema_parse(sources, version->nreferenced + 1, message);

	if (schema == NULL && message[0] == '\0')
		throw_no_memory();
	if (schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not an Avro schema", what),
				 errdetail("%s.", pg_any_to_server(message, strlen(message), PG_UTF8)),
				 errhint("Write the schema as JSON, such as {\"type\": \"record\", \"name\": ..., \"fields\": [...]}.")));
	return schema;
}

/* See schemas.h. */
FsSchemaWork *
fs_schema_open(const FsSchemaVersion *version, const char *what)
{
	FsSchemaWork *work = palloc0(sizeof(FsSchemaWork));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = close_cb;
	callback->arg = work;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	work->given = parse_schema(version, what);
	return work;
}

/* See schemas.h. */
void
fs_schema_parse_other(FsSchemaWork *work, const FsSchemaVersion *version, const char *what)
{
	fs_avro_schema_free(work->other);
	work->other = NULL;
	work->other = parse_schema(version, what);
}

/* See schemas.h. */
FsAvroVerdict
fs_schema_compare(FsSchemaWork *work, bool is_reader, const char *reader_name, const char *writer_name)
{
	FsAvroVerdict verdict;

	Assert(work->given != NULL && work->other != NULL);
	fs_avro_conflicts_free(&work->conflicts);
	memset(&work->conflicts, 0, sizeof(work->conflicts));
	verdict = fs_avro_compat_check(is_reader ? work->given : work->other, is_reader ? work->other : work->given,
								   reader_name, writer_name, &work->conflicts);
	if (verdict == FS_AVRO_NO_MEMORY)
		throw_no_memory();
	return verdict;
}

/* One canonical form of work->given. */
static Datum
make_form(FsSchemaWork *work, bool whole)
{
	bytea	   *form;

	fs_buffer_reset(&work->form);
	if (!fs_avro_canonical_write(&work->form, work->given, whole))
		throw_no_memory();
	form = palloc(VARHDRSZ + work->form.len);
	SET_VARSIZE(form, VARHDRSZ + work->form.len);
	memcpy(VARDATA(form), work->form.data, work->form.len);
	return PointerGetDatum(form);
}

/* See schemas.h. */
void
fs_schema_forms(FsSchemaWork *work, FsSchemaForms *forms)
{
	forms->parsing = make_form(work, false);
	forms->whole = make_form(work, true);
}

/* Judges one pair; appends what is wrong. */
static List *
compare_pair(FsSchemaWork *work, int version, bool is_reader, List *problems)
{
	const char *given = is_reader ? "the new reader" : "the new writer";
	const char *other = psprintf(is_reader ? "writer v%d" : "reader v%d", version);
	const FsAvroSchema *reader = is_reader ? work->given : work->other;

	Assert(version > 0);
	if (fs_schema_compare(work, is_reader, is_reader ? given : other, is_reader ? other : given) == FS_AVRO_TOO_LARGE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the schemas are too large to be compared"),
				 errdetail("The new schema was compared with version %d.", version)));
	for (int i = 0; i < work->conflicts.count; i++)
	{
		const FsAvroConflict *conflict = &work->conflicts.items[i];
		const char *field = fs_schema_field_of_path(reader, conflict->path);
		FsSchemaProblem *problem = palloc0(sizeof(FsSchemaProblem));

		problem->path = pstrdup(conflict->path);
		problem->field = field == NULL ? NULL : pstrdup(field);
		problem->rule = fs_avro_rule_name(conflict->rule);
		problem->reader_version = is_reader ? 0 : version;
		problem->writer_version = is_reader ? version : 0;
		problem->sentence = pstrdup(conflict->sentence);
		problems = lappend(problems, problem);
	}
	return problems;
}

/* See schemas.h. */
List *
fs_schema_check(const char *subject, FsSchemaWork *work, const FsCompatibility *compatibility)
{
	List	   *problems = NIL;
	List	   *versions = NIL;
	ListCell   *lc;

	if (compatibility->backward || compatibility->forward)
		versions = fs_schema_versions(subject, compatibility->transitive);
	foreach(lc, versions)
	{
		const FsSchemaVersion *version = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		fs_schema_parse_other(work, version, psprintf("version %d", version->number));
		if (compatibility->backward)
			problems = compare_pair(work, version->number, true, problems);
		if (compatibility->forward)
			problems = compare_pair(work, version->number, false, problems);
	}
	return problems;
}
