/*
 * sketch.h
 *		What the mergeable summaries of values have in common.
 *
 * hyperloglog.h (how many different values), ddsketch.h (percentiles) and
 * frequent.h (the most frequent values) are each a struct that its owner places
 * where it likes, and pieces of memory that the struct's allocator gives: a
 * memory context, an arena, malloc.  All have the same verbs:
 *
 *	init		an empty one; takes no memory yet
 *	add			one value
 *	merge		another one's values too; that one is left as it was
 *	...			what it knows; changes nothing
 *	serialize	to bytes that any machine can read: ask for the size, give the room
 *	deserialize from bytes that may be anything
 *	free		gives the memory back
 *
 * When an allocator does not return (PostgreSQL's raise an ERROR), a sketch is
 * only good for being forgotten with its memory.  When it returns NULL the verb
 * fails, and the sketch is as it was, or (merge) holds a part of the new values.
 */
#ifndef FS_CORE_SKETCH_H
#define FS_CORE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FsAllocator
{
	/*
	 * Makes 'piece' (NULL: a new one) 'size' bytes long, as realloc does; with
	 * 'size' 0 frees it and returns NULL.  NULL otherwise: memory is out and
	 * the piece is as it was.
	 */
	void	   *(*resize) (void *context, void *piece, size_t size);
	void	   *context;
} FsAllocator;

/* malloc's. */
extern const FsAllocator fs_sketch_malloc;

typedef enum FsSketchStatus
{
	FS_SKETCH_OK = 0,
	FS_SKETCH_NO_MEMORY,
	FS_SKETCH_CORRUPT			/* these bytes are no such sketch */
} FsSketchStatus;

/* A piece of 'size' > 0 bytes in the place of 'piece'; see FsAllocator. */
static inline void *
fs_sketch_resize(const FsAllocator *allocator, void *piece, size_t size)
{
	return allocator->resize(allocator->context, piece, size);
}

/* Frees a piece, or NULL. */
static inline void
fs_sketch_release(const FsAllocator *allocator, void *piece)
{
	if (piece != NULL)
		(void) allocator->resize(allocator->context, piece, 0);
}

#endif							/* FS_CORE_SKETCH_H */
