/*
 * sketch.c
 *		The summaries' allocator for those who have no better one.
 */
#include "core/sketch.h"

#include <stdlib.h>

static void *
resize_by_malloc(void *context, void *piece, size_t size)
{
	(void) context;
	if (size > 0)
		return realloc(piece, size);
	free(piece);
	return NULL;
}

const FsAllocator fs_sketch_malloc = {resize_by_malloc, NULL};
