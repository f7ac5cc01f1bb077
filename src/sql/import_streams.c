/*
 * import_streams.c
 *		IMPORT FOREIGN SCHEMA: streams from registered subjects.
 *
 * The "schema" is a subject, or how names of subjects begin.  A stream is named
 * like its topic and has the columns of the subject's newest version; what the
 * stream itself asks of them is checked when PostgreSQL runs the command.
 * Nothing is asked of a registry: import_schemas() does that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "catalog/options.h"
#include "catalog/server.h"
#include "sql/import_columns.h"
#include "sql/import_streams.h"
#include "sql/schemas.h"

#define SUFFIX			"-value"

/* What IMPORT FOREIGN SCHEMA says of all streams. */
typedef struct Import
{
	const char *server;
	bool		has_registry;	/* records name their schemas */
	const char *event_time;		/* NULL: the only candidate */
	const char *unit;			/* of it; NULL: it is a time */
	List	   *options;		/* DefElems that each stream gets */
} Import;

/* The topic that a subject is about; NULL: none. */
static char *
topic_of(const char *subject)
{
	size_t		len = strlen(subject);
	size_t		suffix = strlen(SUFFIX);

	if (len <= suffix || strcmp(subject + len - suffix, SUFFIX) != 0)
		return NULL;
	return pnstrdup(subject, len - suffix);
}

/* Sorts the options: those of the import itself, and those that streams get. */
static void
read_options(Import *import, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "event_time") == 0)
			import->event_time = defGetString(option);
		else if (strcmp(option->defname, "event_time_unit") == 0)
			import->unit = defGetString(option);
		else if (strcmp(option->defname, "topic") == 0 || strcmp(option->defname, "format") == 0 ||
				 strcmp(option->defname, "schema") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("option \"%s\" cannot be given to IMPORT FOREIGN SCHEMA", option->defname),
					 errdetail("It follows from the subject."),
					 errhint("Give event_time, event_time_unit, or options that all streams are to have.")));
		else
			import->options = lappend(import->options, option);
	}
	if (import->unit != NULL && import->event_time == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"event_time_unit\" needs the option \"event_time\"")));
}

/* The subjects that are meant: the one of this name, else those whose names begin so and that are about topics. */
static List *
find_subjects(const char *name)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(name)};
	MemoryContext context = CurrentMemoryContext;
	List	   *subjects = NIL;

	/* as the user, who may read the table or not */
	SPI_connect();
	if (SPI_execute_with_args("SELECT s.subject FROM feature_stream.schema_subject s"
							  " WHERE s.subject OPERATOR(pg_catalog.=) $1 OR"
							  "  (pg_catalog.starts_with(s.subject, $1) AND pg_catalog.right(s.subject, 6) OPERATOR(pg_catalog.=) '" SUFFIX "'"
							  "   AND NOT EXISTS (SELECT FROM feature_stream.schema_subject e WHERE e.subject OPERATOR(pg_catalog.=) $1))"
							  " ORDER BY s.subject COLLATE pg_catalog.\"C\"",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read subjects");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *subject = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(context);

		subjects = lappend(subjects, pstrdup(subject));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	if (subjects == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("no subject is named or begins with \"%s\"", name),
				 errhint("CALL feature_stream.import_schemas() brings subjects from a registry, feature_stream.register_schema() makes them.")));
	return subjects;
}

/* The columns that event time could be, for a message. */
static char *
list_candidates(List *columns)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, columns)
	{
		const FsImportColumn *column = lfirst(lc);

		if (column->type == FS_TYPE_TIMESTAMPTZ)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", column->name);
	}
	return names.data;
}

/* The column of event time that the options name, by its own name or its field's. */
static FsImportColumn *
find_named(const Import *import, const char *subject, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		FsImportColumn *column = lfirst(lc);

		if (strcmp(column->name, import->event_time) != 0 && strcmp(column->path, import->event_time) != 0)
			continue;
		if (import->unit != NULL ? column->is_count : column->type == FS_TYPE_TIMESTAMPTZ)
			return column;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("field \"%s\" of subject \"%s\" cannot be the event time", column->path, subject),
				 import->unit != NULL ?
				 errdetail("With the option \"event_time_unit\" it must be a plain int, long, float or double.") :
				 errdetail("It is not of a logical type timestamp-millis, timestamp-micros or the like."),
				 import->unit != NULL ? 0 : errhint("Of a plain number, say what it counts: OPTIONS (event_time_unit 's'), 'ms' or 'us'.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the schema of subject \"%s\" has no field \"%s\"", subject, import->event_time),
			 errhint("Streams of other event times can be left out by EXCEPT, and imported by themselves.")));
}

/* The column of event time; throws when it is not clear which. */
static FsImportColumn *
find_event_time(const Import *import, const char *subject, List *columns)
{
	FsImportColumn *found = NULL;
	int			count = 0;
	ListCell   *lc;

	if (import->event_time != NULL)
		return find_named(import, subject, columns);
	foreach(lc, columns)
	{
		FsImportColumn *column = lfirst(lc);

		if (column->type == FS_TYPE_TIMESTAMPTZ)
		{
			found = column;
			count++;
		}
	}
	if (count != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("subject \"%s\" needs the option \"event_time\"", subject),
				 count == 0 ? errdetail("Its schema has no field of a logical type timestamp-millis, timestamp-micros or the like.") :
				 errdetail("Its event time could be any of %s.", list_candidates(columns)),
				 count == 0 ? errhint("Name a number: OPTIONS (event_time 'column', event_time_unit 'ms'), or leave the subject out by EXCEPT.") :
				 errhint("Name one: OPTIONS (event_time 'column'), or leave the subject out by EXCEPT.")));
	return found;
}

/* Appends an option. */
static void
append_option(StringInfo command, const char *name, const char *value, bool is_first)
{
	appendStringInfo(command, "%s%s %s", is_first ? "" : ", ", quote_identifier(name), quote_literal_cstr(value));
}

/* Appends a column: its options stand before its constraints. */
static void
append_column(const Import *import, StringInfo command, const FsImportColumn *column, bool is_event_time)
{
	bool		has_unit = is_event_time && import->unit != NULL;
	bool		has_field = strcmp(column->name, column->path) != 0;
	const char *type = has_unit ? "timestamp with time zone" : format_type_be(column->typid);

	appendStringInfo(command, "\n\t%s %s", quote_identifier(column->name), type);
	if (has_field || has_unit)
	{
		appendStringInfoString(command, " OPTIONS (");
		if (has_field)
			append_option(command, "field", column->path, true);
		if (has_unit)
			append_option(command, "unit", import->unit, !has_field);
		appendStringInfoChar(command, ')');
	}
	if (column->default_text != NULL && !is_event_time)
		appendStringInfo(command, " DEFAULT %s::%s", quote_literal_cstr(column->default_text), type);
	if (column->not_null || is_event_time)
		appendStringInfoString(command, " NOT NULL");
}

/* The schema that records of the stream are read by, where they do not say it themselves. */
static void
append_schema(const Import *import, StringInfo command, const char *subject, const FsSchemaVersion *version)
{
	if (import->has_registry)
		return;
	if (version->nreferenced > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the schema of subject \"%s\" refers to others, so its records need a registry", subject),
				 errhint("ALTER SERVER %s OPTIONS (ADD registry 'https://...').", quote_identifier(import->server))));
	append_option(command, "schema", version->text, false);
}

/* The command that makes a stream. */
static char *
make_command(const Import *import, const char *subject, const char *topic, const char *name)
{
	List	   *versions = fs_schema_versions(subject, false);
	const FsSchemaVersion *version;
	FsSchemaWork *work;
	List	   *columns;
	FsImportColumn *event_time;
	StringInfoData command;
	ListCell   *lc;

	if (versions == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("subject \"%s\" has no versions", subject)));
	version = linitial(versions);
	work = fs_schema_open(version, psprintf("version %d of subject \"%s\"", version->number, subject));
	columns = fs_import_columns(subject, work);
	fs_schema_close(work);
	event_time = find_event_time(import, subject, columns);
	initStringInfo(&command);
	appendStringInfo(&command, "CREATE FOREIGN TABLE %s (", quote_identifier(name));
	foreach(lc, columns)
	{
		append_column(import, &command, lfirst(lc), lfirst(lc) == event_time);
		appendStringInfoString(&command, lnext(columns, lc) != NULL ? "," : "\n");
	}
	appendStringInfo(&command, ") SERVER %s OPTIONS (", quote_identifier(import->server));
	append_option(&command, "topic", topic, true);
	append_option(&command, "format", "avro", false);
	append_option(&command, "event_time", event_time->name, false);
	append_schema(import, &command, subject, version);
	foreach(lc, import->options)
		append_option(&command, lfirst_node(DefElem, lc)->defname, defGetString(lfirst_node(DefElem, lc)), false);
	appendStringInfoChar(&command, ')');
	return command.data;
}

/* See import_streams.h. */
List *
fs_import_streams(ImportForeignSchemaStmt *statement, Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);
	Import		import = {.server = server->servername};
	List	   *commands = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	if (fs_wrapper_of_server(serverid) != FS_WRAPPER_KAFKA)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_NO_SCHEMAS),
				 errmsg("server \"%s\" has no subjects", server->servername),
				 errhint("Import from a server of wrapper feature_stream_kafka.")));
	import.has_registry = fs_option_value(server->options, "registry") != NULL;
	read_options(&import, statement->options);
	foreach(lc, find_subjects(statement->remote_schema))
	{
		const char *subject = lfirst(lc);
		char	   *topic = topic_of(subject);
		char	   *name;

		if (topic == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("subject \"%s\" does not say which topic it is about", subject),
					 errdetail("The subject of a topic's values is named \"<topic>%s\".", SUFFIX)));
		name = fs_import_name(topic, names);
		names = lappend(names, name);
		if (IsImportableForeignTable(name, statement))
			commands = lappend(commands, make_command(&import, subject, topic, name));
	}
	return commands;
}
