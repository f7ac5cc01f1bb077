/*
 * lake_options.h
 *		The options of servers and user mappings of wrapper feature_stream_iceberg.
 *
 * One table says which options there are and checks their values; the wrapper's
 * validator walks it, and the export reads a definition through
 * fs_lake_config_load().
 */
#ifndef FS_CATALOG_LAKE_OPTIONS_H
#define FS_CATALOG_LAKE_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct FsLakeOption
{
	const char *name;
	Oid			context;		/* catalog it belongs to: ForeignServerRelationId or UserMappingRelationId */
	void		(*check) (const char *name, const char *value);
} FsLakeOption;

/* All options; the last entry has a NULL name. */
extern const FsLakeOption fs_lake_options[];

/* Checks an option; false when there is none of this name in this place.  Throws for a value that cannot be. */
extern bool fs_lake_option_check(Oid catalog, const char *name, const char *value);

/* Throws when the options of a server, each already checked alone, lack something or contradict each other. */
extern void fs_lake_server_check(List *options);

/* Where a lake is, and how to get there.  Strings are the owner's, NULL where an option was not given. */
typedef struct FsLakeConfig
{
	/* Server */
	Oid			oid;
	char	   *server;			/* its name */
	char	   *warehouse;		/* "file:///..." or "s3://bucket/...", without a slash at the end */
	char	   *catalog_name;
	int			compression_level;	/* of zstd, for tables that are made; 0: it was not given */

	/* Object stores that are spoken to by HTTP */
	char	   *endpoint;		/* "https://host:port"; never NULL for "s3://" */
	char	   *region;
	int			timeout;		/* ms, of one request */

	/* User mapping; for these only */
	char	   *access_key_id;
	char	   *secret_access_key;
	char	   *session_token;
	char	   *ca;				/* PEM: whom to trust instead of whom the system does */
} FsLakeConfig;

#define FS_LAKE_DEFAULT_TIMEOUT 60000	/* ms */
#define FS_LAKE_DEFAULT_REGION "us-east-1"

/*
 * Reads the server and the user mapping of 'user' for it, or the one of PUBLIC,
 * into the current memory context.  Throws when a definition is broken.  The
 * caller is in a transaction.
 */
extern FsLakeConfig *fs_lake_config_load(Oid server, Oid user);

/* Is all of it made of letters, digits and "-._~", which no store and no signature spells in two ways? */
extern bool fs_lake_name_is_plain(const char *name);

#endif							/* FS_CATALOG_LAKE_OPTIONS_H */
