/*
 * json_tree.h
 *		A JSON text as a tree, to be read, changed and written again.
 *
 * For texts whose unknown parts have to survive: what nobody touches is written
 * as it was read, numbers digit by digit, members in their order.  Nodes and
 * texts live in the scratch memory they were made in; nothing is freed one by
 * one.  Functions that make something return NULL (false) when memory is out,
 * and take a NULL node for that, so that calls can be nested.
 */
#ifndef FS_CORE_JSON_TREE_H
#define FS_CORE_JSON_TREE_H

#include "core/buffer.h"
#include "core/scratch.h"

typedef enum FsJsonNodeKind
{
	FS_JSON_NODE_OBJECT,
	FS_JSON_NODE_ARRAY,
	FS_JSON_NODE_TEXT,			/* characters, and a zero that does not count behind them */
	FS_JSON_NODE_RAW			/* as it stands: a number, true, false, null; a string that is no text */
} FsJsonNodeKind;

typedef struct FsJsonNode
{
	FsJsonNodeKind kind;
	const char *key;			/* of an object's member, zero-terminated; else NULL */
	const char *text;			/* of a text or raw node */
	size_t		len;
	int			count;			/* of parts of an object or array */
	struct FsJsonNode *first;
	struct FsJsonNode *last;
	struct FsJsonNode *next;	/* in its object or array */
} FsJsonNode;

/*
 * Reads a text.  NULL when it is not JSON, nested deeper than 64 levels, or
 * memory is out: *wrong says what, or is NULL for memory, *at is the byte.
 */
extern FsJsonNode *fs_json_tree_read(FsScratch *memory, const char *text, size_t len, const char **wrong, size_t *at);

/* Appends it, without space; false when memory is out. */
extern bool fs_json_tree_write(const FsJsonNode *node, FsBuffer *out);

/*
 * Reading.  Each takes NULL, or a node of another kind, for something that is
 * not there.  Of members of one key the last counts.
 */
extern FsJsonNode *fs_json_get(const FsJsonNode *object, const char *key);
extern FsJsonNode *fs_json_get_array(const FsJsonNode *object, const char *key);
extern FsJsonNode *fs_json_get_object(const FsJsonNode *object, const char *key);
extern const char *fs_json_get_text(const FsJsonNode *object, const char *key);
extern bool fs_json_get_number(const FsJsonNode *object, const char *key, int64_t *value);
extern bool fs_json_get_int(const FsJsonNode *object, const char *key, int32_t *value);
extern bool fs_json_is_true(const FsJsonNode *node);

/* Making nodes. */
extern FsJsonNode *fs_json_new(FsScratch *memory, FsJsonNodeKind kind);
extern FsJsonNode *fs_json_new_text(FsScratch *memory, const char *text);
extern FsJsonNode *fs_json_new_number(FsScratch *memory, int64_t value);
extern FsJsonNode *fs_json_new_boolean(FsScratch *memory, bool value);

/* A copy that shares the parts, to be changed by itself; of an object or array. */
extern FsJsonNode *fs_json_copy(FsScratch *memory, const FsJsonNode *node);

/* Puts a node to the end of an array. */
extern bool fs_json_append(FsJsonNode *array, FsJsonNode *node);

/* Makes a node the member of this key, in place of the one there is.  The key is copied; the node is not to be used after. */
extern bool fs_json_set(FsScratch *memory, FsJsonNode *object, const char *key, FsJsonNode *node);

/* Takes a part out of an object or array. */
extern void fs_json_remove(FsJsonNode *from, const FsJsonNode *node);

#endif							/* FS_CORE_JSON_TREE_H */
