/*
 * registry_options.c
 *		The options of schema registries: a table with a check for each, and the
 *		reading of a definition into FsRegistryConfig.
 *
 * Nothing here talks to a registry.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/option_hint.h"
#include "catalog/registry_options.h"

#define MAX_URL			2000
#define MAX_CREDENTIAL	4096
#define MIN_TIMEOUT		100		/* ms */
#define MAX_TIMEOUT		60000

static void
throw_url(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\"", name),
			 errdetail("%s", detail),
			 errhint("Write the registry's address, such as \"https://registry.example:8081\".")));
}

/* Where the host begins behind a scheme that we speak; NULL: there is none. */
static const char *
skip_scheme(const char *value)
{
	if (pg_strncasecmp(value, "http://", 7) == 0)
		return value + 7;
	if (pg_strncasecmp(value, "https://", 8) == 0)
		return value + 8;
	return NULL;
}

/* Throws unless 'value' is a plain http or https address; it is not shown, as it might hold a password. */
static void
check_url(const char *name, const char *value)
{
	const char *host = skip_scheme(value);

	if (host == NULL)
		throw_url(name, "The address must begin with \"http://\" or \"https://\".");
	if (!isalnum((unsigned char) *host) && *host != '[')
		throw_url(name, "The address has no host.");
	if (strlen(value) > MAX_URL)
		throw_url(name, "The address is too long.");
	for (const char *p = host; *p != '\0'; p++)
		if (!isgraph((unsigned char) *p) || strchr("\"<>\\^`{|}", *p) != NULL)
			throw_url(name, "The address has a character that does not belong there.");
	if (strpbrk(host, "?#") != NULL)
		throw_url(name, "The address must not have a query or a fragment.");
	if (strchr(host, '@') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("The address must not have a user name or password."),
				 errhint("Give them as registry_username and registry_password of the user mapping.")));
}

/* Reads a time such as "5 s"; throws when it is none, or out of bounds. */
static int
read_timeout(const char *name, const char *value)
{
	const char *hint = NULL;
	int			result;

	if (!parse_int(value, &result, GUC_UNIT_MS, &hint) || result < MIN_TIMEOUT || result > MAX_TIMEOUT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errdetail("It must be a time from 100 ms to 60 s.")));
	return result;
}

static void
check_timeout(const char *name, const char *value)
{
	(void) read_timeout(name, value);
}

static void
check_bool(const char *name, const char *value)
{
	(void) fs_option_bool(name, value);
}

/* A user name: basic authentication separates it from the password by a colon. */
static void
check_username(const char *name, const char *value)
{
	if (value[0] == '\0' || strlen(value) > MAX_CREDENTIAL || strchr(value, ':') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("A user name is not empty and has no colon.")));
}

static void
check_password(const char *name, const char *value)
{
	if (strlen(value) > MAX_CREDENTIAL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value for option \"%s\" is too long", name)));
}

static void
check_pem(const char *name, const char *value)
{
	if (strstr(value, "-----BEGIN CERTIFICATE-----") == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("It must hold the certificates themselves, in PEM format.")));
}

const FsRegistryOption fs_registry_options[] = {
	{"registry", ForeignServerRelationId, false, check_url},
	{"registry_timeout", ForeignServerRelationId, false, check_timeout},
	{"registry_link_local", ForeignServerRelationId, true, check_bool},
	{"registry_username", UserMappingRelationId, false, check_username},
	{"registry_password", UserMappingRelationId, false, check_password},
	{"registry_ca_pem", UserMappingRelationId, false, check_pem},
	{NULL, InvalidOid, false, NULL}
};

/* The option of this name in this place, or NULL. */
static const FsRegistryOption *
find_option(Oid catalog, const char *name)
{
	for (const FsRegistryOption *option = fs_registry_options; option->name != NULL; option++)
		if (option->context == catalog && strcmp(option->name, name) == 0)
			return option;
	return NULL;
}

/* See registry_options.h. */
bool
fs_registry_option_check(Oid catalog, const char *name, const char *value)
{
	const FsRegistryOption *option = find_option(catalog, name);

	if (option == NULL)
		return false;
	if (option->superuser_only && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", name),
				 errhint("Only superusers can set it.")));
	option->check(name, value);
	return true;
}

/* Puts one option into 'config', if it is one of ours; throws for a value that cannot be. */
static void
apply_option(FsRegistryConfig *config, Oid catalog, const char *name, char *value)
{
	const FsRegistryOption *option = find_option(catalog, name);

	if (option == NULL)
		return;
	option->check(name, value);
	if (option->check == check_url)
		config->url = value;
	else if (option->check == check_timeout)
		config->timeout = read_timeout(name, value);
	else if (option->check == check_bool)
		(void) parse_bool(value, &config->link_local);
	else if (option->check == check_username)
		config->username = value;
	else if (option->check == check_password)
		config->password = value;
	else
		config->ca = value;
}

/* Likewise for all of an object's options: they may be older than this version of the extension. */
static void
apply_options(FsRegistryConfig *config, Oid catalog, List *options)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *elem = lfirst_node(DefElem, cell);

		apply_option(config, catalog, elem->defname, pstrdup(defGetString(elem)));
	}
}

/* See registry_options.h. */
FsRegistryConfig *
fs_registry_config(List *server, List *mapping)
{
	FsRegistryConfig *config = palloc0(sizeof(FsRegistryConfig));

	config->timeout = FS_REGISTRY_DEFAULT_TIMEOUT;
	apply_options(config, ForeignServerRelationId, server);
	apply_options(config, UserMappingRelationId, mapping);
	if (config->url == NULL)
		return NULL;
	for (size_t len = strlen(config->url); len > 0 && config->url[len - 1] == '/'; len--)
		config->url[len - 1] = '\0';
	Assert(skip_scheme(config->url) != NULL);
	return config;
}
