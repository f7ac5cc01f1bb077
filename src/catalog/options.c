/*
 * options.c
 *		The options of the wrappers' servers, streams, columns and user mappings.
 *
 * Validators run when DDL is executed and see one list of options alone;
 * loaders run later, in workers too.  Both go through the same table, so an
 * option is described in one place.  Values are never shown in messages here:
 * some are secrets.  (The few messages that show a value are for our own
 * options, which are none.)
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/kafka_options.h"
#include "catalog/lake_options.h"
#include "catalog/option_hint.h"
#include "catalog/options.h"
#include "catalog/redis_options.h"
#include "catalog/registry_options.h"
#include "catalog/start.h"
#include "catalog/window.h"

#define ON_KAFKA (1 << FS_WRAPPER_KAFKA)
#define ON_TABLE (1 << FS_WRAPPER_TABLE)
#define ON_STREAM (ON_KAFKA | ON_TABLE)

/* How a value reads. */
typedef enum OptionKind
{
	OPTION_STRING,				/* not empty */
	OPTION_NAME,				/* not empty, and looked up by stream.c */
	OPTION_SPAN,				/* interval >= 0 */
	OPTION_POSITIVE_SPAN,		/* interval > 0 */
	OPTION_BOOL,
	OPTION_COUNT,				/* a number >= 0 */
	OPTION_BYTES,				/* a size, with or without unit */
	OPTION_CHOICE,				/* one of two words: false, true */
	OPTION_FORMAT,
	OPTION_LIMIT,
	OPTION_START
} OptionKind;

/* An option of a stream's foreign table. */
typedef struct StreamOption
{
	const char *name;
	int			wrappers;		/* ON_... */
	OptionKind	kind;
	size_t		offset;			/* of the field of FsStreamDef it sets */
	bool		required;
	const char *choices[2];		/* OPTION_CHOICE: words for false and true */
} StreamOption;

#define FIELD(f) offsetof(FsStreamDef, f)

static const StreamOption stream_options[] =
{
	{"arrival", ON_TABLE, OPTION_STRING, FIELD(arrival)},
	{"dead_letter_budget", ON_STREAM, OPTION_COUNT, FIELD(dead_letter_budget)},
	{"dead_letter_limit", ON_STREAM, OPTION_LIMIT, 0},
	{"dead_letter_payload", ON_STREAM, OPTION_BOOL, FIELD(dead_letter_payload)},
	{"dead_letter_retention", ON_STREAM, OPTION_POSITIVE_SPAN, FIELD(dead_letter_retention)},
	{"dead_letter_topic", ON_KAFKA, OPTION_STRING, FIELD(dead_letter_topic)},
	{"event_time", ON_STREAM, OPTION_NAME, 0, true},
	{"format", ON_STREAM, OPTION_FORMAT, 0},
	{"idle_after", ON_STREAM, OPTION_POSITIVE_SPAN, FIELD(idle_after)},
	{"key", ON_STREAM, OPTION_STRING, FIELD(key)},
	{"late_events", ON_STREAM, OPTION_CHOICE, FIELD(late_strict), false, {"accept", "strict"}},
	{"log_retention", ON_STREAM, OPTION_SPAN, FIELD(log_retention)},
	{"max_drift", ON_STREAM, OPTION_POSITIVE_SPAN, FIELD(max_drift)},
	{"max_future", ON_STREAM, OPTION_SPAN, FIELD(max_future)},
	{"max_record_bytes", ON_STREAM, OPTION_BYTES, FIELD(max_record_bytes)},
	{"on_limit", ON_STREAM, OPTION_CHOICE, FIELD(pause_on_limit), false, {"alert", "pause"}},
	{"on_stopped", ON_STREAM, OPTION_CHOICE, FIELD(exclude_stopped), false, {"wait", "exclude"}},
	{"order_by", ON_TABLE, OPTION_STRING, FIELD(order_by), true},
	{"reader_schema", ON_KAFKA, OPTION_STRING, FIELD(reader_schema)},
	{"schema", ON_STREAM, OPTION_STRING, FIELD(schema)},
	{"slice", ON_STREAM, OPTION_POSITIVE_SPAN, FIELD(slice)},
	{"start", ON_STREAM, OPTION_START, 0},
	{"table", ON_TABLE, OPTION_NAME, 0, true},
	{"topic", ON_KAFKA, OPTION_STRING, FIELD(topic), true},
	{"value", ON_TABLE, OPTION_STRING, FIELD(value), true},
	{"watermark_delay", ON_STREAM, OPTION_SPAN, FIELD(watermark_delay)},
	{"xid", ON_TABLE, OPTION_STRING, FIELD(xid), true},
};

/* Largest max_record_bytes. */
#define MAX_RECORD_BYTES (256 * 1024 * 1024)

/* See options.h. */
char *
fs_option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

static void
throw_invalid_value(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
			 errhint("%s", hint)));
}

/* The format of this name; throws for a name it does not know. */
static FsFormat
read_format(const char *value)
{
	if (strcmp(value, "json") == 0)
		return FS_FORMAT_JSON;
	if (strcmp(value, "avro") == 0)
		return FS_FORMAT_AVRO;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("format \"%s\" is not supported", value),
			 errhint("Available formats: \"json\", \"avro\".")));
	return FS_FORMAT_JSON;		/* not reached */
}

/* Reads a size such as "1MB" or "65536". */
static int64
read_bytes(const char *name, const char *value)
{
	const char *hint = NULL;
	int			bytes;

	if (!parse_int(value, &bytes, GUC_UNIT_BYTE, &hint) ||
		bytes < 1 || bytes > MAX_RECORD_BYTES)
		throw_invalid_value(name, value,
							"Write a size from 1 byte to 256 MB, such as \"65536\" or \"1MB\".");
	return bytes;
}

/* Reads a number such as "10000". */
static int64
read_count(const char *name, const char *value)
{
	int			count;

	if (!parse_int(value, &count, 0, NULL) || count < 0)
		throw_invalid_value(name, value, "Write a number from 0 to 2147483647.");
	return count;
}

/* Reads one of the two words of a choice: false for the first. */
static bool
read_choice(const StreamOption *option, const char *value)
{
	Assert(option->kind == OPTION_CHOICE);
	if (strcmp(value, option->choices[0]) == 0)
		return false;
	if (strcmp(value, option->choices[1]) != 0)
		throw_invalid_value(option->name, value,
							psprintf("Available values: \"%s\", \"%s\".",
									 option->choices[0], option->choices[1]));
	return true;
}

static const char *
skip_spaces(const char *text)
{
	return text + strspn(text, " ");
}

/* Reads a limit such as "1 % over 1 min". */
static void
read_limit(FsStreamDef *def, const char *name, const char *value)
{
	char	   *end;
	const char *rest;

	def->dead_letter_limit = strtod(value, &end);
	rest = skip_spaces(end);
	if (end == value || !(def->dead_letter_limit >= 0 && def->dead_letter_limit < 100) || *rest != '%' ||
		strncmp(skip_spaces(rest + 1), "over ", 5) != 0)
		throw_invalid_value(name, value, "Write a share and a span, such as \"1 % over 1 min\".");
	def->dead_letter_limit_span = fs_span_parse(skip_spaces(rest + 1) + 5, psprintf("option \"%s\"", name),
												USECS_PER_SEC);
}

/*
 * Reads one option's value into 'def' (a scratch one in validators).  Throws
 * when it does not read.
 */
static void
read_option(const StreamOption *option, const char *value, FsStreamDef *def)
{
	char	   *field = (char *) def + option->offset;
	char	   *what = psprintf("option \"%s\"", option->name);

	Assert(option->offset < sizeof(FsStreamDef));
	switch (option->kind)
	{
		case OPTION_NAME:
		case OPTION_STRING:
			if (value[0] == '\0')
				throw_invalid_value(option->name, value,
									"The value must not be empty.");
			if (option->kind == OPTION_STRING)
				*(char **) field = pstrdup(value);
			break;
		case OPTION_SPAN:
			*(int64 *) field = fs_span_parse(value, what, 0);
			break;
		case OPTION_POSITIVE_SPAN:
			*(int64 *) field = fs_span_parse(value, what, 1);
			break;
		case OPTION_BOOL:
			if (!parse_bool(value, (bool *) field))
				throw_invalid_value(option->name, value,
									"Write \"true\" or \"false\".");
			break;
		case OPTION_COUNT:
			*(int64 *) field = read_count(option->name, value);
			break;
		case OPTION_BYTES:
			*(int64 *) field = read_bytes(option->name, value);
			break;
		case OPTION_CHOICE:
			*(bool *) field = read_choice(option, value);
			break;
		case OPTION_FORMAT:
			def->format = read_format(value);
			break;
		case OPTION_LIMIT:
			read_limit(def, option->name, value);
			break;
		case OPTION_START:
			fs_start_parse(def, value);
			break;
	}
}

/*
 * The option as a stream of that wrapper has it, or NULL: a name may mean
 * different things to different wrappers.
 */
static const StreamOption *
find_stream_option(FsWrapper wrapper, const char *name)
{
	for (int i = 0; i < lengthof(stream_options); i++)
	{
		const StreamOption *option = &stream_options[i];

		if ((option->wrappers & (1 << wrapper)) != 0 &&
			strcmp(option->name, name) == 0)
			return option;
	}
	return NULL;
}

/* See options.h.  The defaults are those of the README's table. */
void
fs_options_default(FsStreamDef *def)
{
	def->slice = USECS_PER_MINUTE;
	def->watermark_delay = 30 * USECS_PER_SEC;
	def->max_future = 60 * USECS_PER_SEC;
	def->idle_after = USECS_PER_MINUTE;
	def->max_drift = USECS_PER_MINUTE;
	def->late_strict = false;
	def->exclude_stopped = false;
	def->log_retention = USECS_PER_HOUR;
	def->dead_letter_retention = 7 * USECS_PER_DAY;
	def->dead_letter_payload = true;
	def->dead_letter_budget = 10000;
	def->max_record_bytes = 1024 * 1024;
	def->start_kind = FS_START_LATEST;
}

/* See options.h. */
void
fs_options_read(FsStreamDef *def, List *options)
{
	FsWrapper	wrapper = def->kind == FS_SOURCE_KAFKA ?
	FS_WRAPPER_KAFKA : FS_WRAPPER_TABLE;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);
		const StreamOption *option = find_stream_option(wrapper, elem->defname);

		if (option != NULL)		/* else a librdkafka property */
			read_option(option, defGetString(elem), def);
	}
}

/* See options.h. */
void
fs_options_read_column(FsColumn *column, List *options)
{
	char	   *field = fs_option_value(options, "field");
	char	   *unit = fs_option_value(options, "unit");

	if (field != NULL)
	{
		if (field[0] == '\0')
			throw_invalid_value("field", field, "The value must not be empty.");
		column->field = pstrdup(field);
	}
	if (unit == NULL)
		return;
	if (strcmp(unit, "s") == 0)
		column->unit = FS_UNIT_S;
	else if (strcmp(unit, "ms") == 0)
		column->unit = FS_UNIT_MS;
	else if (strcmp(unit, "us") == 0)
		column->unit = FS_UNIT_US;
	else if (strcmp(unit, "iso8601") == 0)
		column->unit = FS_UNIT_ISO8601;
	else
		throw_invalid_value("unit", unit,
							"Available values: \"s\", \"ms\", \"us\", \"iso8601\".");
}

/* Where a Kafka option stands, as kafka_options.h puts it. */
static int
kafka_place(Oid catalog)
{
	switch (catalog)
	{
		case ForeignServerRelationId:
			return FS_KAFKA_ON_SERVER;
		case ForeignTableRelationId:
			return FS_KAFKA_ON_TABLE;
		case UserMappingRelationId:
			return FS_KAFKA_ON_MAPPING;
		default:
			return 0;
	}
}

/* See options.h. */
void
fs_options_settings(FsStreamDef *def, Oid catalog, List *options)
{
	ListCell   *lc;

	def->settings = def->settings == NULL ?
		palloc((list_length(options) + 1) * sizeof(FsSetting)) :
		repalloc(def->settings,
				 (def->nsettings + list_length(options) + 1) * sizeof(FsSetting));
	foreach(lc, options)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);
		const FsKafkaOption *option = fs_kafka_option_find(elem->defname);

		if (option == NULL || (option->where & kafka_place(catalog)) == 0)
			continue;
		def->settings[def->nsettings].name = pstrdup(option->property);
		def->settings[def->nsettings++].value = pstrdup(defGetString(elem));
	}
}

/*
 * Checks a librdkafka property.  False when there is none of this name in this
 * place; throws for a value that cannot be, without showing it.
 */
static bool
validate_kafka_property(Oid catalog, const char *name, const char *value)
{
	const FsKafkaOption *option = fs_kafka_option_find(name);
	const char *complaint;

	if (option == NULL || (option->where & kafka_place(catalog)) == 0)
		return false;
	if (option->superuser && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", name),
				 errhint("Only superusers can set it.")));
	complaint = fs_kafka_option_complaint(option, value);
	if (complaint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("The value must be %s.", complaint)));
	return true;
}

/* The same for an option of a Redis server or user mapping. */
static bool
validate_redis_property(Oid catalog, const char *name, const char *value)
{
	const FsRedisOption *option = fs_redis_option_find(name);

	if (option == NULL || option->context != catalog)
		return false;
	fs_redis_option_check(option, value);
	return true;
}

/* Checks an option of ours; false when there is none of this name in this place. */
static bool
validate_own(FsWrapper wrapper, Oid catalog, const char *name, const char *value)
{
	const StreamOption *option;
	FsStreamDef scratch = {0};

	if (catalog == AttributeRelationId)
	{
		FsColumn	column = {0};

		if (!(ON_STREAM & (1 << wrapper)) ||
			(strcmp(name, "field") != 0 && strcmp(name, "unit") != 0))
			return false;
		fs_options_read_column(&column,
							   list_make1(makeDefElem(pstrdup(name),
													  (Node *) makeString(pstrdup(value)), -1)));
		return true;
	}
	if (catalog != ForeignTableRelationId)
		return false;
	option = find_stream_option(wrapper, name);
	if (option == NULL)
		return false;
	read_option(option, value, &scratch);
	return true;
}

/* Throws for a name that is no option here, with the one perhaps meant. */
static void
throw_unknown_option(FsWrapper wrapper, Oid catalog, const char *name)
{
	FsOptionHint hint;

	if (strcmp(name, "registry") == 0 && catalog == ForeignTableRelationId)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", name),
				 errhint("It is an option of the server: a stream of format 'avro' without the option \"schema\" uses it.")));
	fs_option_hint_start(&hint, name);
	for (int i = 0; i < lengthof(stream_options); i++)
		if (catalog == ForeignTableRelationId &&
			(stream_options[i].wrappers & (1 << wrapper)) != 0)
			fs_option_hint_consider(&hint, stream_options[i].name);
	if (catalog == AttributeRelationId && (ON_STREAM & (1 << wrapper)) != 0)
	{
		fs_option_hint_consider(&hint, "field");
		fs_option_hint_consider(&hint, "unit");
	}
	for (int i = 0; wrapper == FS_WRAPPER_KAFKA && i < fs_kafka_option_count; i++)
		if ((fs_kafka_options[i].where & kafka_place(catalog)) != 0)
			fs_option_hint_consider(&hint, fs_kafka_options[i].alias != NULL ?
									fs_kafka_options[i].alias :
									fs_kafka_options[i].property);
	for (const FsRegistryOption *o = fs_registry_options;
		 wrapper == FS_WRAPPER_KAFKA && o->name != NULL; o++)
		if (o->context == catalog)
			fs_option_hint_consider(&hint, o->name);
	for (const FsRedisOption *o = fs_redis_options;
		 wrapper == FS_WRAPPER_REDIS && o->name != NULL; o++)
		if (o->context == catalog)
			fs_option_hint_consider(&hint, o->name);
	for (const FsLakeOption *o = fs_lake_options;
		 wrapper == FS_WRAPPER_LAKE && o->name != NULL; o++)
		if (o->context == catalog)
			fs_option_hint_consider(&hint, o->name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 errhint("%s", fs_option_hint_text(&hint))));
}

/* What to write for an option that must be there. */
static const char *
required_hint(const char *name)
{
	if (strcmp(name, "event_time") == 0)
		return "Name the column of type timestamptz that says when an event happened.";
	if (strcmp(name, "topic") == 0)
		return "Name the Kafka topic to read.";
	if (strcmp(name, "table") == 0)
		return "Name the append-only table to read.";
	if (strcmp(name, "order_by") == 0)
		return "Name a bigint column of the table that numbers its rows.";
	if (strcmp(name, "xid") == 0)
		return "Name an xid8 column of the table with the default pg_current_xact_id().";
	return "Name the column of the table that holds the payload.";
}

/*
 * Throws for a schema without the format that has one.  Whether a format has the
 * schema that it needs is the stream's matter: its server may know a registry.
 */
static void
validate_format(List *options)
{
	static const char *const schemas[] = {"schema", "reader_schema"};
	char	   *format = fs_option_value(options, "format");

	for (int i = 0; i < lengthof(schemas); i++)
		if (fs_option_value(options, schemas[i]) != NULL &&
			(format == NULL || strcmp(format, "avro") != 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" needs format 'avro'", schemas[i]),
					 errhint("Add the option format 'avro', or leave out the schema: JSON has none.")));
	if (fs_option_value(options, "schema") != NULL && fs_option_value(options, "reader_schema") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"schema\" and \"reader_schema\" cannot be used together"),
				 errdetail("The first is for records that do not say which schema they were written with, the second for those that do.")));
}

/* Throws when an option that must be there is not, or when options contradict. */
static void
validate_whole(FsWrapper wrapper, Oid catalog, List *options)
{
	if (wrapper == FS_WRAPPER_KAFKA && catalog == ForeignServerRelationId)
	{
		FsStreamDef scratch = {0};

		fs_options_settings(&scratch, catalog, options);
		for (int i = 0; i < scratch.nsettings; i++)
			if (strcmp(scratch.settings[i].name, "bootstrap.servers") == 0)
				return;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("a server of wrapper feature_stream_kafka needs the option \"brokers\""),
				 errhint("For example OPTIONS (brokers 'localhost:9092').")));
	}
	if (wrapper == FS_WRAPPER_REDIS && catalog == ForeignServerRelationId)
		fs_redis_server_check(options);
	if (wrapper == FS_WRAPPER_LAKE && catalog == ForeignServerRelationId)
		fs_lake_server_check(options);
	if (catalog != ForeignTableRelationId)
		return;
	for (int i = 0; i < lengthof(stream_options); i++)
		if (stream_options[i].required &&
			(stream_options[i].wrappers & (1 << wrapper)) != 0 &&
			fs_option_value(options, stream_options[i].name) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
					 errmsg("a stream needs the option \"%s\"",
							stream_options[i].name),
					 errhint("%s", required_hint(stream_options[i].name))));
	validate_format(options);
}

/* See options.h. */
void
fs_options_validate(FsWrapper wrapper, Oid catalog, List *options)
{
	ListCell   *lc;

	Assert(wrapper != FS_WRAPPER_NONE);
	if (catalog == ForeignTableRelationId && wrapper == FS_WRAPPER_REDIS)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("wrapper feature_stream_redis has no foreign tables"),
				 errhint("Name the server in the argument \"online\" of feature_stream.create_feature_view().")));
	if (catalog == ForeignTableRelationId && wrapper == FS_WRAPPER_LAKE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("wrapper feature_stream_iceberg has no foreign tables"),
				 errhint("Name the server in the argument \"offline\" of feature_stream.create_feature_view().")));
	foreach(lc, options)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);
		char	   *value = defGetString(elem);
		bool		known;

		known = validate_own(wrapper, catalog, elem->defname, value) ||
			(wrapper == FS_WRAPPER_KAFKA &&
			 (validate_kafka_property(catalog, elem->defname, value) ||
			  fs_registry_option_check(catalog, elem->defname, value))) ||
			(wrapper == FS_WRAPPER_REDIS &&
			 validate_redis_property(catalog, elem->defname, value)) ||
			(wrapper == FS_WRAPPER_LAKE &&
			 fs_lake_option_check(catalog, elem->defname, value));
		if (!known)
			throw_unknown_option(wrapper, catalog, elem->defname);
	}
	validate_whole(wrapper, catalog, options);
}
