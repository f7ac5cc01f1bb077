/*
 * registry_options.h
 *		Where a Kafka server's schema registry is, and how to speak to it.
 *
 * The address is an option of the server, what is secret of the user mapping.
 * A stream whose records say which schema they were written with (format Avro,
 * no option "schema") has a registry; others have none, whatever their server
 * says.
 */
#ifndef FS_CATALOG_REGISTRY_OPTIONS_H
#define FS_CATALOG_REGISTRY_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#define FS_REGISTRY_DEFAULT_TIMEOUT 10000	/* ms */

typedef struct FsRegistryConfig
{
	char	   *url;			/* http or https, without a slash at its end */
	char	   *username;		/* basic authentication; NULL: none */
	char	   *password;
	char	   *ca;				/* PEM: certificates to trust instead of the system's; NULL */
	int			timeout;		/* of one request, in ms */
	bool		link_local;		/* link-local addresses are allowed */
} FsRegistryConfig;

typedef struct FsRegistryOption
{
	const char *name;
	Oid			context;		/* catalog of the objects that may carry it */
	bool		superuser_only;

	/* Throws when the value cannot be; never shows a secret. */
	void		(*check) (const char *name, const char *value);
} FsRegistryOption;

/* Ends with a name that is NULL. */
extern const FsRegistryOption fs_registry_options[];

/*
 * Checks an option of a server or user mapping; false when there is none of
 * this name in this place.  Throws for a value that cannot be.
 */
extern bool fs_registry_option_check(Oid catalog, const char *name, const char *value);

/* The registry that the options of a server and a user mapping tell of; NULL: none.  Palloc'd.  Throws. */
extern FsRegistryConfig *fs_registry_config(List *server, List *mapping);

#endif							/* FS_CATALOG_REGISTRY_OPTIONS_H */
