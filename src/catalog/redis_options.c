/*
 * redis_options.c
 *		The options of servers and user mappings of wrapper feature_stream_redis.
 *
 * A plain table with a check for each option, and the reading of a definition
 * into FsRedisConfig.  Nothing here talks to Redis.
 */
#include "postgres.h"

#include <ctype.h>
#include <sys/un.h>

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/option_hint.h"
#include "catalog/redis_options.h"
#include "catalog/user_mapping.h"

#define MAX_HOST_LENGTH 253		/* of a DNS name */
#define MAX_TIMEOUT (10 * 60 * 1000)	/* ms */

/*
 * Throws unless 'value' is a decimal integer from 'min' to 'max'; returns it.
 */
static int
check_int(const char *name, const char *value, int min, int max)
{
	char	   *end;
	long		result;

	errno = 0;
	result = strtol(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || result < min || result > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errdetail("It must be an integer from %d to %d.", min, max)));
	return (int) result;
}

/*
 * Throws unless 'value' is a time from 1 ms to ten minutes, such as "500ms",
 * "5 s" or a plain number of milliseconds; returns milliseconds.
 */
static int
check_time(const char *name, const char *value)
{
	int			result;
	const char *hint = NULL;

	if (!parse_int(value, &result, GUC_UNIT_MS, &hint) ||
		result < 1 || result > MAX_TIMEOUT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errdetail("It must be a time from 1 ms to 10 min."),
				 hint ? errhint("%s", _(hint)) : 0));
	return result;
}

/*
 * Throws unless 'value' can be a host name or a numeric address.
 */
static void
check_host(const char *name, const char *value)
{
	size_t		len = strlen(value);

	if (value[0] == '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Use option \"unix_socket\" for the path of a socket.")));
	if (len == 0 || len > MAX_HOST_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("A host has 1 to %d characters.", MAX_HOST_LENGTH)));
	for (const char *p = value; *p != '\0'; p++)
	{
		unsigned char c = (unsigned char) *p;

		if (!isascii(c) || (!isalnum(c) && strchr(".-_:%", c) == NULL))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
					 errdetail("It must be one host name or one numeric address, without port or brackets.")));
	}
}

static void
check_port(const char *name, const char *value)
{
	(void) check_int(name, value, 1, 65535);
}

static void
check_database(const char *name, const char *value)
{
	(void) check_int(name, value, 0, 65535);
}

static void
check_timeout(const char *name, const char *value)
{
	(void) check_time(name, value);
}

/*
 * Throws unless 'value' is an absolute path that fits a socket address.
 */
static void
check_unix_socket(const char *name, const char *value)
{
	size_t		max = sizeof(((struct sockaddr_un *) NULL)->sun_path) - 1;

	if (value[0] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errdetail("It must be an absolute path.")));
	if (strlen(value) > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value for option \"%s\" is too long", name),
				 errdetail("The path of a socket has at most %d bytes.", (int) max)));
}

/*
 * Throws unless 'value' is false: the socket is ours and hiredis as built here
 * only parses replies, so there is nothing that could encrypt it.
 */
static void
check_tls(const char *name, const char *value)
{
	if (fs_option_bool(name, value))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("TLS connections to Redis are not supported"),
				 errdetail("The hiredis library this extension is built with has no TLS."),
				 errhint("Use \"unix_socket\", a private network, or a TLS tunnel such as stunnel on this host.")));
}

/* A value of AUTH: anything; an empty password is allowed. */
static void
check_credential(const char *name, const char *value)
{
	if (strlen(value) > 4096)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value for option \"%s\" is too long", name)));
}

const FsRedisOption fs_redis_options[] = {
	{"host", ForeignServerRelationId, false, false, check_host},
	{"port", ForeignServerRelationId, false, false, check_port},
	{"unix_socket", ForeignServerRelationId, false, true, check_unix_socket},
	{"database", ForeignServerRelationId, false, false, check_database},
	{"db", ForeignServerRelationId, false, false, check_database},
	{"tls", ForeignServerRelationId, false, false, check_tls},
	{"connect_timeout", ForeignServerRelationId, false, false, check_timeout},
	{"command_timeout", ForeignServerRelationId, false, false, check_timeout},
	{"username", UserMappingRelationId, false, false, check_credential},
	{"password", UserMappingRelationId, true, false, check_credential},
	{NULL, InvalidOid, false, false, NULL}
};

/* See redis_options.h. */
const FsRedisOption *
fs_redis_option_find(const char *name)
{
	for (const FsRedisOption *option = fs_redis_options; option->name; option++)
	{
		if (strcmp(option->name, name) == 0)
			return option;
	}
	return NULL;
}

/* See redis_options.h. */
void
fs_redis_option_check(const FsRedisOption *option, const char *value)
{
	Assert(option != NULL && option->name != NULL);

	if (option->superuser_only && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", option->name),
				 errdetail("Only superusers may let the server open a local path."),
				 errhint("Use options \"host\" and \"port\".")));
	option->check(option->name, value);
}

/* Is there an option of this name in a List of DefElem? */
static bool
has_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return true;
	}
	return false;
}

/* See redis_options.h. */
void
fs_redis_server_check(List *options)
{
	if (has_option(options, "unix_socket") &&
		(has_option(options, "host") || has_option(options, "port")))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"unix_socket\" and \"host\" or \"port\" cannot be used together")));
	if (has_option(options, "db") && has_option(options, "database"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"db\" and \"database\" cannot be used together"),
				 errdetail("They are two names of the same option.")));
}

/*
 * Puts one option, whose value was found to be valid, into 'config'.
 */
static void
apply_option(FsRedisConfig *config, const char *name, const char *value)
{
	if (strcmp(name, "host") == 0)
		config->host = pstrdup(value);
	else if (strcmp(name, "port") == 0)
		config->port = check_int(name, value, 1, 65535);
	else if (strcmp(name, "unix_socket") == 0)
		config->unix_socket = pstrdup(value);
	else if (strcmp(name, "database") == 0 || strcmp(name, "db") == 0)
		config->database = check_int(name, value, 0, 65535);
	else if (strcmp(name, "connect_timeout") == 0)
		config->connect_timeout = check_time(name, value);
	else if (strcmp(name, "command_timeout") == 0)
		config->command_timeout = check_time(name, value);
	else if (strcmp(name, "username") == 0)
		config->username = pstrdup(value);
	else if (strcmp(name, "password") == 0)
		config->password = pstrdup(value);
	else
		Assert(strcmp(name, "tls") == 0);	/* valid only when false */
}

/*
 * Checks again and applies all options of a definition: it may have been made
 * under another version of the extension.
 */
static void
apply_options(FsRedisConfig *config, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const FsRedisOption *option = fs_redis_option_find(def->defname);

		if (option == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", def->defname)));
		option->check(def->defname, defGetString(def));
		apply_option(config, def->defname, defGetString(def));
	}
}

/* See redis_options.h. */
FsRedisConfig *
fs_redis_config_load(Oid server, Oid user)
{
	FsRedisConfig *config = palloc0(sizeof(FsRedisConfig));
	ForeignServer *definition = GetForeignServer(server);

	config->port = FS_REDIS_DEFAULT_PORT;
	fs_redis_server_check(definition->options);
	apply_options(config, definition->options);
	apply_options(config, fs_user_mapping_options(server, user));
	if (config->host == NULL && config->unix_socket == NULL)
		config->host = pstrdup(FS_REDIS_DEFAULT_HOST);
	Assert(config->host == NULL || config->unix_socket == NULL);
	return config;
}
