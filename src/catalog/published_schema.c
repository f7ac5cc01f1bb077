/*
 * published_schema.c
 *		The schema that records are written with; see published_schema.h.
 *
 * A subject is about the values of a topic by its name (Confluent's
 * TopicNameStrategy).  What was imported from the registry, or published to it, has a
 * row that says so, and one in registry_schema, by which the record is read again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"

#include "catalog/extension.h"
#include "catalog/published_schema.h"
#include "catalog/writer_schemas.h"
#include "state/query.h"

/* Throws: nobody has said what schema of the registry it is to be. */
static void
throw_unpublished(const FsStreamDef *def, const char *subject)
{
	const char *server = quote_literal_cstr(GetForeignServer(def->serverid)->servername);
	const char *quoted = quote_literal_cstr(subject);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot write to stream %s", def->name),
			 errdetail("No version of subject \"%s\" is known to be a schema of its registry.", subject),
			 errhint("CALL feature_stream.import_schemas(%s, %s) brings in what the registry has; feature_stream.register_schema() and CALL feature_stream.publish_schema(%s, %s) give it a schema.",
					 server, quoted, server, quoted)));
}

/* Finds the row, as the extension's owner; its schemas are in the current context, 0 when there is none. */
static FsAvroSource *
find_texts(const FsStreamDef *def, const char *subject, int *n, int32 *id)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	FsAvroSource *sources = NULL;
	FsOwnerScope scope;

	values[0] = CStringGetTextDatum(def->registry->url);
	values[1] = CStringGetTextDatum(subject);
	fs_owner_begin(&scope);
	SPI_connect();
	fs_query_read("SELECT r.id, s.referenced || s.schema FROM feature_stream.schema_registration r"
				  " JOIN feature_stream.schema_version s USING (subject, version)"
				  " JOIN feature_stream.registry_schema g ON g.registry = r.registry AND g.id = r.id::text"
				  " WHERE r.registry = $1 AND r.subject = $2 ORDER BY r.version DESC LIMIT 1", 2, types, values);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		texts = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
		MemoryContext old = MemoryContextSwitchTo(context);

		sources = fs_writer_schemas_sources(PointerGetDatum(DatumGetArrayTypePCopy(texts)), n);
		MemoryContextSwitchTo(old);
		*id = fs_query_int32(0, 1);
	}
	SPI_finish();
	fs_owner_end(&scope);
	return sources;
}

/* See published_schema.h. */
FsAvroSchema *
fs_published_schema_load(const FsStreamDef *def, int32 *id)
{
	const char *subject = psprintf("%s-value", def->topic);
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSource *sources;
	FsAvroSchema *schema;
	int			n = 0;

	Assert(def->kind == FS_SOURCE_KAFKA && def->registry != NULL);
	sources = find_texts(def, subject, &n, id);
	if (sources == NULL)
		throw_unpublished(def, subject);
	schema = fs_avro_schema_parse(sources, n, message);
	if (schema == NULL)
		ereport(ERROR,
				(errcode(message[0] == '\0' ? ERRCODE_OUT_OF_MEMORY : ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot write to stream %s", def->name),
				 message[0] == '\0' ? errdetail("Memory is out.") :
				 errdetail("Schema %d of its registry cannot be used: %s.", *id, message)));
	return schema;
}
