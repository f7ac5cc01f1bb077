/*
 * schema_transfer.c
 *		import_schemas, publish_schema: subjects from a registry, and to one.
 *
 * Procedures, for a registry is never asked while a transaction holds anything:
 * what has to be known is read first, then the transaction is committed, and only
 * in the new one, which has neither a snapshot nor a lock, is the registry waited
 * for.  What has come of it is written when all of it is there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "catalog/extension.h"
#include "catalog/server.h"
#include "catalog/user_mapping.h"
#include "catalog/writer_schemas.h"
#include "source/registry_session.h"
#include "sql/arguments.h"
#include "sql/schemas.h"

PG_FUNCTION_INFO_V1(fs_import_schemas);
PG_FUNCTION_INFO_V1(fs_publish_schema);

#define MAX_BYTES		(64 * 1024 * 1024)	/* of all schemas that are imported at once */

/* A call of one of the procedures, in a context of its own that outlives the transaction. */
typedef struct Transfer
{
	MemoryContext context;
	MemoryContext caller;
	const char *server;
	FsRegistryConfig *registry;
	FsRegistrySession *session; /* once the transaction is left */
	size_t		bytes;
} Transfer;

/* A version as the registry has it. */
typedef struct Imported
{
	FsSchemaVersion version;
	int			number;			/* of the schema in the registry; 0: not told */
	int			ntexts;
	const char **texts;			/* what registry_schema is to have */
} Imported;

/* What is imported of a subject. */
typedef struct Import
{
	char	   *subject;
	List	   *known;			/* numbers of versions that were imported before */
	const FsCompatibility *compatibility;
	List	   *versions;		/* of Imported */
} Import;

/* --- Both procedures --- */

/* Throws within a transaction block, or in a function. */
static void
check_caller(FunctionCallInfo fcinfo, const char *procedure)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot be called within a transaction", procedure),
				 errdetail("It waits for a schema registry, and holds no locks meanwhile."),
				 errhint("CALL it outside of a transaction block.")));
}

/* The registry of a Kafka server that the current user may use. */
static FsRegistryConfig *
load_registry(const char *name)
{
	Oid			serverid = fs_server_find(name, GetUserId(), FS_WRAPPER_KAFKA);
	FsRegistryConfig *config = fs_registry_config(GetForeignServer(serverid)->options,
												  fs_user_mapping_options(serverid, GetUserId()));

	if (config == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("server \"%s\" has no schema registry", name),
				 errhint("ALTER SERVER %s OPTIONS (ADD registry 'https://...').", quote_identifier(name))));
	return config;
}

/* Begins; argument 0 is the server. */
static Transfer *
begin_transfer(FunctionCallInfo fcinfo, const char *procedure)
{
	MemoryContext context;
	MemoryContext caller;
	Transfer   *transfer;

	check_caller(fcinfo, procedure);
	fs_argument_require(fcinfo, 0, "server");
	fs_argument_require(fcinfo, 1, "subject");
	context = AllocSetContextCreate(PortalContext, "feature_stream schemas", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	transfer = palloc0(sizeof(Transfer));
	transfer->context = context;
	transfer->caller = caller;
	transfer->server = pstrdup(NameStr(*PG_GETARG_NAME(0)));
	transfer->registry = load_registry(transfer->server);
	return transfer;
}

/* Commits what was read, and goes on without a snapshot, to ask the registry. */
static void
leave_transaction(Transfer *transfer)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	SPI_commit();
	SPI_finish();
	MemoryContextSwitchTo(transfer->context);
	InvalidateCatalogSnapshot();
	Assert(!ActiveSnapshotSet() && !TransactionIdIsValid(MyProc->xmin) && !TransactionIdIsValid(GetTopTransactionIdIfAny()));
	transfer->session = fs_registry_session_open(transfer->server, transfer->registry);
}

/* All questions are answered: what follows writes. */
static void
enter_transaction(Transfer *transfer)
{
	EnsurePortalSnapshotExists();
}

static void
end_transfer(Transfer *transfer)
{
	MemoryContextSwitchTo(transfer->caller);
	MemoryContextDelete(transfer->context);
}

/* Notes that a version of a subject is a schema of the registry, which is known from now on. */
static void
store_registration(const Transfer *transfer, const char *subject, const FsSchemaVersion *version, int number,
				   const char **texts, int ntexts)
{
	Oid			types[4] = {TEXTOID, TEXTOID, INT4OID, INT4OID};
	Datum		values[4];
	const char *registry = transfer->registry->url;

	values[0] = CStringGetTextDatum(registry);
	values[1] = CStringGetTextDatum(subject);
	values[2] = Int32GetDatum(version->number);
	values[3] = Int32GetDatum(number);
	if (number > 0)
		fs_writer_schemas_insert(registry, psprintf("%d", number), "AVRO", texts, ntexts);
	fs_owner_execute("INSERT INTO feature_stream.schema_registration (registry, subject, version, id)"
					 " VALUES ($1, $2, $3, NULLIF($4, 0)) ON CONFLICT (registry, subject, version)"
					 " DO UPDATE SET id = EXCLUDED.id, registered_at = EXCLUDED.registered_at"
					 " WHERE schema_registration.id IS DISTINCT FROM EXCLUDED.id",
					 SPI_OK_INSERT, 4, types, values, NULL);
}

/* --- Importing --- */

/* The versions of a subject that have come from the registry before. */
static List *
load_known(const Transfer *transfer, const char *subject)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	FsOwnerScope scope;
	List	   *known = NIL;

	values[0] = CStringGetTextDatum(transfer->registry->url);
	values[1] = CStringGetTextDatum(subject);
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT version FROM feature_stream.schema_registration"
							  " WHERE registry = $1 AND subject = $2", 2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the versions of a subject");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int			version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(transfer->context);

		known = lappend_int(known, version);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	fs_owner_end(&scope);
	return known;
}

/* The subjects that are to be imported, each once; throws for those that are somebody else's. */
static List *
begin_imports(const Transfer *transfer, ArrayType *subjects)
{
	List	   *imports = NIL;
	Datum	   *names;
	bool	   *nulls;
	int			count;

	deconstruct_array(subjects, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		Import	   *import = palloc0(sizeof(Import));
		FsSubject	subject;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a subject must not be null")));
		import->subject = TextDatumGetCString(names[i]);
		fs_subject_check_name(import->subject);
		if (fs_subject_load(import->subject, false, &subject))
			fs_subject_check_owner(import->subject, &subject);
		import->known = load_known(transfer, import->subject);
		imports = lappend(imports, import);
	}
	return imports;
}

/* What the schema refers to, as the registry wants to be told of it; NULL: nothing. */
static char *
write_references(const FsRegistryResult *result)
{
	StringInfoData json;

	if (result->nreferences == 0)
		return NULL;
	initStringInfo(&json);
	for (int i = 0; i < result->nreferences; i++)
	{
		const FsRegistryReference *reference = &result->references[i];

		appendStringInfoString(&json, i == 0 ? "[{\"name\": " : ", {\"name\": ");
		escape_json(&json, reference->name != NULL ? reference->name : reference->subject);
		appendStringInfoString(&json, ", \"subject\": ");
		escape_json(&json, reference->subject);
		appendStringInfo(&json, ", \"version\": %d}", reference->version);
	}
	appendStringInfoChar(&json, ']');
	return pg_any_to_server(json.data, json.len, PG_UTF8);
}

/* Asks for a version. */
static Imported *
fetch_version(Transfer *transfer, const Import *import, int number)
{
	const FsRegistryResult *result = fs_registry_session_version(transfer->session, import->subject, number);
	Imported   *imported = palloc0(sizeof(Imported));
	FsSchemaVersion *version = &imported->version;

	if (strcmp(result->type, "AVRO") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("version %d of subject \"%s\" is of type %s, not Avro", number, import->subject, result->type)));
	imported->number = result->number;
	imported->ntexts = result->ntexts;
	imported->texts = palloc(sizeof(char *) * result->ntexts);
	version->number = number;
	version->nreferenced = result->ntexts - 1;
	version->referenced = palloc(sizeof(char *) * result->ntexts);
	for (int i = 0; i < result->ntexts; i++)
	{
		transfer->bytes += strlen(result->texts[i]);
		imported->texts[i] = pstrdup(result->texts[i]);
		version->referenced[i] = pg_any_to_server(imported->texts[i], strlen(imported->texts[i]), PG_UTF8);
	}
	version->text = version->referenced[version->nreferenced];
	version->refers_to = write_references(result);
	if (transfer->bytes > MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the schemas are too large to be imported at once"),
				 errdetail("Together they may have %d MB.", MAX_BYTES / (1024 * 1024)),
				 errhint("Import fewer subjects at once.")));
	return imported;
}

/* Asks for all that is new of a subject. */
static void
fetch_subject(Transfer *transfer, Import *import)
{
	List	   *numbers = fs_registry_session_versions(transfer->session, import->subject);
	ListCell   *lc;

	import->compatibility = fs_schema_compatibility(fs_registry_session_level(transfer->session, import->subject));
	foreach(lc, numbers)
		if (!list_member_int(import->known, lfirst_int(lc)))
			import->versions = lappend(import->versions, fetch_version(transfer, import, lfirst_int(lc)));
}

/* Stores a version; throws when there is another one of its number. */
static void
store_version(const Transfer *transfer, const Import *import, const Imported *imported)
{
	const FsSchemaVersion *version = &imported->version;
	FsSchemaWork *work = fs_schema_open(version, psprintf("version %d of subject \"%s\" in the registry",
														  version->number, import->subject));
	FsSchemaForms forms;
	bool		is_there;

	fs_schema_forms(work, &forms);
	fs_schema_close(work);
	if (!fs_schema_is_same(import->subject, version->number, &forms, &is_there) && is_there)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of subject \"%s\" is not the schema that the registry has", version->number, import->subject),
				 errdetail("The subject has versions of its own in this database."),
				 errhint("Publish them with feature_stream.publish_schema() instead.")));
	if (!is_there)
		(void) fs_schema_add(import->subject, version, &forms);
	store_registration(transfer, import->subject, version, imported->number, imported->texts, imported->ntexts);
}

/* Stores what has come of a subject, and says so. */
static void
store_import(const Transfer *transfer, const Import *import)
{
	FsSubject	subject;
	ListCell   *lc;

	if (import->versions == NIL && import->known == NIL)
	{
		ereport(NOTICE,
				(errmsg("subject \"%s\" has no versions in the registry", import->subject)));
		return;
	}
	fs_subject_enter(import->subject, &subject);
	if (subject.compatibility != import->compatibility)
		fs_subject_set_compatibility(import->subject, import->compatibility);
	foreach(lc, import->versions)
		store_version(transfer, import, lfirst(lc));
	ereport(NOTICE,
			(errmsg_plural("subject \"%s\": %d version imported, %d known, compatibility %s",
						   "subject \"%s\": %d versions imported, %d known, compatibility %s",
						   list_length(import->versions), import->subject, list_length(import->versions),
						   list_length(import->known), import->compatibility->name)));
}

/* import_schemas(server name, VARIADIC subjects text[]) */
Datum
fs_import_schemas(PG_FUNCTION_ARGS)
{
	Transfer   *transfer = begin_transfer(fcinfo, "import_schemas()");
	List	   *imports = begin_imports(transfer, PG_GETARG_ARRAYTYPE_P(1));
	ListCell   *lc;

	leave_transaction(transfer);
	foreach(lc, imports)
		fetch_subject(transfer, lfirst(lc));
	enter_transaction(transfer);
	foreach(lc, imports)
		store_import(transfer, lfirst(lc));
	end_transfer(transfer);
	PG_RETURN_VOID();
}

/* --- Publishing --- */

/* The version of this number, 0: the newest; throws when there is none, or when it is somebody else's. */
static const FsSchemaVersion *
load_version(const char *name, int number, FsSubject *subject)
{
	ListCell   *lc;

	if (!fs_subject_load(name, false, subject))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subject \"%s\" does not exist", name),
				 errhint("feature_stream.register_schema() makes it, with its first schema.")));
	fs_subject_check_owner(name, subject);
	foreach(lc, fs_schema_versions(name, number != 0))
	{
		const FsSchemaVersion *version = lfirst(lc);

		if (number == 0 || version->number == number)
			return version;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("subject \"%s\" has no version %d", name, number)));
}

/* The request's body. */
static char *
write_body(const FsSchemaVersion *version)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"schema\": ");
	escape_json(&json, version->text);
	if (version->refers_to != NULL)
		appendStringInfo(&json, ", \"references\": %s", version->refers_to);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* The texts of a schema as registry_schema has them: what it refers to, itself last, in UTF-8. */
static const char **
list_texts(const FsSchemaVersion *version)
{
	const char **texts = palloc(sizeof(char *) * (version->nreferenced + 1));

	for (int i = 0; i <= version->nreferenced; i++)
	{
		const char *text = i < version->nreferenced ? version->referenced[i] : version->text;

		texts[i] = pg_server_to_any(text, strlen(text), PG_UTF8);
	}
	return texts;
}

/* publish_schema(server name, subject text, version integer, compatibility boolean) */
Datum
fs_publish_schema(PG_FUNCTION_ARGS)
{
	Transfer   *transfer = begin_transfer(fcinfo, "publish_schema()");
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool		with_compatibility = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	FsSubject	subject;
	const FsSchemaVersion *version;
	int			number;

	fs_subject_check_name(name);
	version = load_version(name, PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2), &subject);
	leave_transaction(transfer);
	if (with_compatibility)
		fs_registry_session_set_level(transfer->session, name, subject.compatibility->name);
	number = fs_registry_session_publish(transfer->session, name, version->number, write_body(version));
	enter_transaction(transfer);
	store_registration(transfer, name, version, number, list_texts(version), version->nreferenced + 1);
	ereport(NOTICE,
			(errmsg("version %d of subject \"%s\" is schema %d of the registry", version->number, name, number)));
	end_transfer(transfer);
	PG_RETURN_VOID();
}
