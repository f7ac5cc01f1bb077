/*
 * registry_answer.h
 *		What a schema registry answered: the JSON of its HTTP interface, read.
 *
 * The interface is Confluent's, which others offer too.  An answer comes from
 * outside and may be anything; it says that there is a schema, that there is
 * none, or nothing that can be relied on.  What a registry has and nobody can
 * use is an answer, too: asking again would bring the same.
 */
#ifndef FS_CORE_REGISTRY_ANSWER_H
#define FS_CORE_REGISTRY_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/scratch.h"

#define FS_REGISTRY_MESSAGE_SIZE	160
#define FS_REGISTRY_MAX_REFERENCES	256
#define FS_REGISTRY_MAX_VERSIONS	1024	/* of a subject */

typedef enum FsRegistryVerdict
{
	FS_REGISTRY_SCHEMA,			/* there is one, or what else was asked for */
	FS_REGISTRY_UNKNOWN,		/* the registry says that it has none */
	FS_REGISTRY_UNUSABLE,		/* there is one, that nobody can use; 'message' says why */
	FS_REGISTRY_TROUBLE			/* nothing was learned; 'message' says why */
} FsRegistryVerdict;

/* Another schema whose types this one uses. */
typedef struct FsRegistryReference
{
	const char *name;			/* the type that it is for; NULL: not told */
	const char *subject;
	int			version;
} FsRegistryReference;

typedef struct FsRegistryAnswer
{
	FsRegistryVerdict verdict;
	const char *schema;			/* its text, NUL-terminated, valid UTF-8 */
	const char *type;			/* "AVRO", "JSON", "PROTOBUF" ... */
	int			id;				/* its number; 0: not told */
	int			nreferences;
	FsRegistryReference references[FS_REGISTRY_MAX_REFERENCES];
	int			nversions;
	int			versions[FS_REGISTRY_MAX_VERSIONS];
	const char *level;			/* of compatibility: "BACKWARD" ... */
	char		message[FS_REGISTRY_MESSAGE_SIZE];	/* what follows "the registry ", or the schema's name; valid UTF-8 */
	const char *words;			/* its own for what is wrong, valid UTF-8; NULL: none */
	FsScratch	memory;			/* of all texts */
} FsRegistryAnswer;

/*
 * Reads an answer, which need not outlive the call.  'is_reference': what was
 * asked for is a version of a subject, not a schema by its number.  Whatever
 * comes of it, fs_registry_answer_free() frees what 'answer' holds.
 */
extern void fs_registry_answer_read(FsRegistryAnswer *answer, int status, bool is_reference,
									const char *body, size_t len);

/* The same for the numbers of a subject's versions, for its compatibility, for the number of a schema just published, and for "AVRO" among the types of schemas. */
extern void fs_registry_versions_read(FsRegistryAnswer *answer, int status, const char *body, size_t len);
extern void fs_registry_level_read(FsRegistryAnswer *answer, int status, const char *body, size_t len);
extern void fs_registry_id_read(FsRegistryAnswer *answer, int status, const char *body, size_t len);
extern void fs_registry_types_read(FsRegistryAnswer *answer, int status, const char *body, size_t len);
extern void fs_registry_answer_free(FsRegistryAnswer *answer);

#endif							/* FS_CORE_REGISTRY_ANSWER_H */
