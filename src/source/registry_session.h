/*
 * registry_session.h
 *		A schema registry, asked by a session that waits for the answers.
 *
 * Everything here waits, gives way to interrupts at once, and throws what the
 * registry has against it.  Never called in a transaction that has begun to do
 * anything (ground/http.h).  Texts are in the server's encoding.
 */
#ifndef FS_SOURCE_REGISTRY_SESSION_H
#define FS_SOURCE_REGISTRY_SESSION_H

#include "source/registry.h"

typedef struct FsRegistrySession FsRegistrySession;

/* Both arguments must outlive it; it ends with the current memory context. */
extern FsRegistrySession *fs_registry_session_open(const char *server, const FsRegistryConfig *config);

/* The numbers of the subject's versions, in the registry's order; a list of int. */
extern List *fs_registry_session_versions(FsRegistrySession *session, const char *subject);

/* The name of the mode that it judges new versions by; valid until the next call. */
extern const char *fs_registry_session_level(FsRegistrySession *session, const char *subject);

/* A version, with what it refers to; valid until the next call. */
extern const FsRegistryResult *fs_registry_session_version(FsRegistrySession *session, const char *subject, int version);

/* Adds a schema, unless it is there; its number.  'body' is the JSON that the registry wants, 'version' our number, for messages. */
extern int	fs_registry_session_publish(FsRegistrySession *session, const char *subject, int version, const char *body);

/* Sets the mode. */
extern void fs_registry_session_set_level(FsRegistrySession *session, const char *subject, const char *level);

#endif							/* FS_SOURCE_REGISTRY_SESSION_H */
