/*
 * registry.h
 *		A schema registry outside, asked for schemas by their numbers or as
 *		versions of subjects.
 *
 * One schema at a time; what it refers to is asked for with it.  While the
 * registry is away it is asked at most once a second, and ever less often (of
 * several clients each: state/away.h is for all of them); what it does not know
 * it is asked for 100 times a second at most, but for a burst.
 */
#ifndef FS_SOURCE_REGISTRY_H
#define FS_SOURCE_REGISTRY_H

#include "catalog/registry_options.h"
#include "core/registry_answer.h"
#include "core/wire_header.h"
#include "ground/http.h"

typedef struct FsRegistry FsRegistry;

typedef enum FsRegistryOutcome
{
	FS_REGISTRY_NOTHING,		/* nothing new */
	FS_REGISTRY_HAS_IT,			/* 'type' and 'texts' */
	FS_REGISTRY_HAS_NONE,		/* 'message': a sentence about the schema */
	FS_REGISTRY_HAS_USELESS,	/* likewise; there is one, of no use to anybody */
	FS_REGISTRY_AWAY			/* 'message': what is the matter with the registry; ask again later */
} FsRegistryOutcome;

typedef struct FsRegistryResult
{
	FsRegistryOutcome outcome;
	FsWireHeader id;			/* of the schema asked for, when it was by that */
	const char *type;
	int			number;			/* of the schema there; 0: the registry does not say */
	int			nreferences;	/* of the schema itself */
	FsRegistryReference *references;
	int			ntexts;
	const char **texts;			/* the schema is the last; each comes after those that it refers to */
	bool		is_down;		/* FS_REGISTRY_AWAY for everybody: no answer, or one that tells of its own trouble */
	char		message[256];
} FsRegistryResult;

/* Makes a client in a child of the current memory context; 'config' must outlive it.  Throws for want of resources. */
extern FsRegistry *fs_registry_open(const FsRegistryConfig *config);

/* Lets go of everything, at once, as deleting the context does.  Throws nothing. */
extern void fs_registry_close(FsRegistry *registry);

/* May it be asked now?  Not while a question is under way, and not too often. */
extern bool fs_registry_is_ready(const FsRegistry *registry);

/* It is not ready before 'when', by fs_clock_monotonic(). */
extern void fs_registry_postpone(FsRegistry *registry, int64 when);

/* Asks for a schema.  It is ready. */
extern void fs_registry_ask(FsRegistry *registry, const FsWireHeader *id);

/* The same for a version of a subject. */
extern void fs_registry_ask_version(FsRegistry *registry, const char *subject, int version);

/* As fs_http_await(), while a question is under way. */
extern void fs_registry_await(FsRegistry *registry);

/* Its connection, for other requests while no question is under way. */
extern FsHttp *fs_registry_http(FsRegistry *registry);

/* A subject as part of an address, palloc'd. */
extern char *fs_registry_escape(const char *subject);

/* Carries on; what has come of the question, once.  Valid until the next one.  Never waits. */
extern const FsRegistryResult *fs_registry_drive(FsRegistry *registry);

/* As fs_http_wait(); also for the time when it may be asked again. */
extern int	fs_registry_wait(FsRegistry *registry, FsHttpSocket *sockets, long *timeout);

#endif							/* FS_SOURCE_REGISTRY_H */
