/*
 * lake_options.c
 *		The options of servers and user mappings of wrapper feature_stream_iceberg:
 *		a table with a check for each, and the reading of a definition.
 *
 * Nothing here opens a file or talks to an object store.  Paths and keys are of
 * unreserved characters only: servers and signers disagree about all others.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/lake_options.h"
#include "catalog/user_mapping.h"
#include "core/parquet_types.h"

#define MAX_LOCATION	500		/* the catalog's tables have 1,000 characters for a file's */
#define MAX_CREDENTIAL	4096
#define MAX_NAME		255		/* of the catalog's tables */
#define MIN_TIMEOUT		100		/* ms */
#define MAX_TIMEOUT		(10 * 60 * 1000)

static bool
is_plain(char c)
{
	return isalnum((unsigned char) c) || (c != '\0' && strchr("-._~", c) != NULL);
}

/* See lake_options.h. */
bool
fs_lake_name_is_plain(const char *name)
{
	if (name[0] == '\0')
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!is_plain(*p))
			return false;
	return true;
}

static void
throw_warehouse(const char *value, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", "warehouse", value),
			 errdetail("%s", detail),
			 errhint("Write a directory such as \"file:///srv/lake\", or a place in an object store such as \"s3://bucket/lake\".")));
}

/* Throws unless 'path' is made of plain names with one slash between them. */
static void
check_path(const char *value, const char *path)
{
	const char *start = path;

	for (const char *p = path;; p++)
	{
		size_t		len = p - start;

		if (*p != '/' && *p != '\0')
		{
			if (!is_plain(*p))
				throw_warehouse(value, "It can have letters, digits and the characters \"-._~/\".");
			continue;
		}
		if (len == 0 || (len == 1 && start[0] == '.') || (len == 2 && strncmp(start, "..", 2) == 0))
			throw_warehouse(value, "Its parts must not be empty, \".\" or \"..\", and it must not end with a slash.");
		if (*p == '\0')
			return;
		start = p + 1;
	}
}

/* Is the warehouse in an object store, not a directory? */
static bool
is_remote(const char *warehouse)
{
	return strncmp(warehouse, "s3://", 5) == 0;
}

/* Throws unless 'value' is a place that the lake can be in. */
static void
check_warehouse(const char *name, const char *value)
{
	if (strncmp(value, "file:///", 8) != 0 && !is_remote(value))
		throw_warehouse(value, "It must begin with \"file:///\" or \"s3://\".");
	if (strlen(value) > MAX_LOCATION)
		throw_warehouse(value, "It is too long.");
	check_path(value, value + (is_remote(value) ? 5 : 8));
}

static void
throw_value(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\"", name),
			 errdetail("%s", detail)));
}

/* Throws unless 'value' is the address of a host; it is not shown, as it might hold a password. */
static void
check_endpoint(const char *name, const char *value)
{
	const char *host = strstr(value, "://");

	if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
		throw_value(name, "It must begin with \"http://\" or \"https://\".");
	host += 3;
	if (!isalnum((unsigned char) *host) && *host != '[')
		throw_value(name, "It has no host.");
	for (const char *p = host; *p != '\0'; p++)
		if (!isalnum((unsigned char) *p) && strchr("-._:[]", *p) == NULL)
			throw_value(name, "It must be a host, and perhaps a port, with nothing behind them.");
	if (strlen(value) > MAX_LOCATION)
		throw_value(name, "It is too long.");
}

static void
check_region(const char *name, const char *value)
{
	if (!fs_lake_name_is_plain(value) || strlen(value) > MAX_NAME)
		throw_value(name, "It has letters, digits and the characters \"-._~\".");
}

/* A time such as "5 s", in ms. */
static int
read_timeout(const char *name, const char *value)
{
	const char *hint = NULL;
	int			result;

	if (!parse_int(value, &result, GUC_UNIT_MS, &hint) || result < MIN_TIMEOUT || result > MAX_TIMEOUT)
		throw_value(name, "It must be a time from 100 ms to 10 min.");
	return result;
}

static void
check_timeout(const char *name, const char *value)
{
	(void) read_timeout(name, value);
}

/* A level of zstd. */
static int
read_level(const char *name, const char *value)
{
	int			level;

	if (!parse_int(value, &level, 0, NULL) || level < 1 || level > FS_PARQUET_MAX_LEVEL)
		throw_value(name, psprintf("It must be a number from 1 to %d.", FS_PARQUET_MAX_LEVEL));
	return level;
}

static void
check_level(const char *name, const char *value)
{
	(void) read_level(name, value);
}

/* A part of a header: nothing that could be more than that. */
static void
check_credential(const char *name, const char *value)
{
	if (value[0] == '\0' || strlen(value) > MAX_CREDENTIAL)
		throw_value(name, "It is empty, or too long.");
	for (const char *p = value; *p != '\0'; p++)
		if (!isgraph((unsigned char) *p))
			throw_value(name, "It has a character that does not belong there.");
}

static void
check_ca(const char *name, const char *value)
{
	if (strstr(value, "-----BEGIN CERTIFICATE-----") == NULL)
		throw_value(name, "It must hold the certificates themselves, in PEM format.");
}

/* The name that clients give the catalog: it is in each row of its tables. */
static void
check_catalog_name(const char *name, const char *value)
{
	if (!fs_lake_name_is_plain(value) || strlen(value) > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errdetail("It can have up to %d letters, digits and the characters \"-._~\".", MAX_NAME)));
}

const FsLakeOption fs_lake_options[] = {
	{"warehouse", ForeignServerRelationId, check_warehouse},
	{"catalog_name", ForeignServerRelationId, check_catalog_name},
	{"compression_level", ForeignServerRelationId, check_level},
	{"endpoint", ForeignServerRelationId, check_endpoint},
	{"region", ForeignServerRelationId, check_region},
	{"request_timeout", ForeignServerRelationId, check_timeout},
	{"access_key_id", UserMappingRelationId, check_credential},
	{"secret_access_key", UserMappingRelationId, check_credential},
	{"session_token", UserMappingRelationId, check_credential},
	{"ca_pem", UserMappingRelationId, check_ca},
	{NULL, InvalidOid, NULL}
};

/* See lake_options.h. */
bool
fs_lake_option_check(Oid catalog, const char *name, const char *value)
{
	for (const FsLakeOption *option = fs_lake_options; option->name != NULL; option++)
		if (option->context == catalog && strcmp(option->name, name) == 0)
		{
			option->check(name, value);
			return true;
		}
	return false;
}

/* See lake_options.h. */
void
fs_lake_server_check(List *options)
{
	const char *warehouse = NULL;
	const char *remote = NULL;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, "warehouse") == 0)
			warehouse = defGetString(def);
		else if (strcmp(def->defname, "catalog_name") != 0 && strcmp(def->defname, "compression_level") != 0)
			remote = def->defname;
	}
	if (warehouse == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("a server of wrapper feature_stream_iceberg needs the option \"warehouse\""),
				 errhint("For example OPTIONS (warehouse 'file:///srv/lake').")));
	if (remote != NULL && !is_remote(warehouse))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" needs a warehouse in an object store", remote),
				 errhint("Write a warehouse such as 's3://bucket/lake', or leave out the option.")));
}

/* Puts one option, whose value was found to be valid, into 'config'. */
static void
apply_option(FsLakeConfig *config, const char *name, const char *value)
{
	if (strcmp(name, "warehouse") == 0)
		config->warehouse = pstrdup(value);
	else if (strcmp(name, "catalog_name") == 0)
		config->catalog_name = pstrdup(value);
	else if (strcmp(name, "compression_level") == 0)
		config->compression_level = read_level(name, value);
	else if (strcmp(name, "endpoint") == 0)
		config->endpoint = pstrdup(value);
	else if (strcmp(name, "region") == 0)
		config->region = pstrdup(value);
	else if (strcmp(name, "request_timeout") == 0)
		config->timeout = read_timeout(name, value);
	else if (strcmp(name, "access_key_id") == 0)
		config->access_key_id = pstrdup(value);
	else if (strcmp(name, "secret_access_key") == 0)
		config->secret_access_key = pstrdup(value);
	else if (strcmp(name, "session_token") == 0)
		config->session_token = pstrdup(value);
	else
	{
		Assert(strcmp(name, "ca_pem") == 0);
		config->ca = pstrdup(value);
	}
}

/* Checks again and applies all options of a definition: it may be older than this version of the extension. */
static void
apply_options(FsLakeConfig *config, Oid catalog, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (!fs_lake_option_check(catalog, def->defname, defGetString(def)))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname)));
		apply_option(config, def->defname, defGetString(def));
	}
}

/* See lake_options.h. */
FsLakeConfig *
fs_lake_config_load(Oid server, Oid user)
{
	FsLakeConfig *config = palloc0(sizeof(FsLakeConfig));
	ForeignServer *definition = GetForeignServer(server);

	config->oid = server;
	config->server = pstrdup(definition->servername);
	config->catalog_name = config->server;
	fs_lake_server_check(definition->options);
	config->timeout = FS_LAKE_DEFAULT_TIMEOUT;
	apply_options(config, ForeignServerRelationId, definition->options);
	apply_options(config, UserMappingRelationId, fs_user_mapping_options(server, user));
	if (config->region == NULL)
		config->region = pstrdup(FS_LAKE_DEFAULT_REGION);
	if (config->endpoint == NULL && is_remote(config->warehouse))
		config->endpoint = psprintf("https://s3.%s.amazonaws.com", config->region);
	check_catalog_name("catalog_name", config->catalog_name);
	Assert(config->warehouse != NULL);
	return config;
}
