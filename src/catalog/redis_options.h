/*
 * redis_options.h
 *		The options of servers and user mappings of wrapper feature_stream_redis.
 *
 * One table says which options there are and checks their values; the wrapper's
 * validator walks it, and the online store reads a definition through
 * fs_redis_config_load().
 */
#ifndef FS_CATALOG_REDIS_OPTIONS_H
#define FS_CATALOG_REDIS_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#define FS_REDIS_DEFAULT_HOST "localhost"
#define FS_REDIS_DEFAULT_PORT 6379

/* One option.  'check' throws for a value that cannot be; see fs_redis_option_check. */
typedef struct FsRedisOption
{
	const char *name;
	Oid			context;		/* catalog it belongs to: ForeignServerRelationId or UserMappingRelationId */
	bool		secret;			/* never shown, logged or repeated in an error */
	bool		superuser_only; /* reaches into the server's file system */
	void		(*check) (const char *name, const char *value);
} FsRedisOption;

/* All options; the last entry has a NULL name. */
extern const FsRedisOption fs_redis_options[];

/* The option of this name (case-sensitive, as all options are), or NULL. */
extern const FsRedisOption *fs_redis_option_find(const char *name);

/*
 * Throws when the current user may not set the option or the value cannot be.
 * Messages repeat the value only when the option is no secret.
 */
extern void fs_redis_option_check(const FsRedisOption *option, const char *value);

/*
 * Throws when the options of a server (a List of DefElem, each already checked
 * alone) contradict each other.
 */
extern void fs_redis_server_check(List *options);

/* How to reach one Redis.  Strings are the owner's, NULL where an option was not given. */
typedef struct FsRedisConfig
{
	/* Server */
	char	   *host;
	int			port;
	char	   *unix_socket;	/* used instead of host and port */
	int			database;
	int			connect_timeout;	/* ms; 0: feature_stream.sink_timeout */
	int			command_timeout;	/* ms; 0: feature_stream.sink_timeout */

	/* User mapping */
	char	   *username;
	char	   *password;
} FsRedisConfig;

/*
 * Reads the server and the user mapping of 'user' for it, or the one of PUBLIC,
 * into the current memory context.  No mapping is no error: there are servers
 * without a password.  Throws when a definition is broken.  The caller is in a
 * transaction.
 */
extern FsRedisConfig *fs_redis_config_load(Oid server, Oid user);

#endif							/* FS_CATALOG_REDIS_OPTIONS_H */
