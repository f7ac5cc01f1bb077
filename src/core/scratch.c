/*
 * scratch.c
 *		Memory for one batch: taken in pieces, given back all at once.
 *
 * Chunks double until a batch of the usual kind needs only one, which is then
 * kept from batch to batch; what a rare giant record made us take is freed.
 */
#include "core/scratch.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define FIRST_CHUNK	((size_t) 16 * 1024)
#define LARGEST_KEPT	((size_t) 1024 * 1024)

/* 'used' of the 'size' bytes after this header are taken. */
typedef struct FsScratchChunk
{
	struct FsScratchChunk *next;
	size_t		size;
	size_t		used;
} FsScratchChunk;

/*
 * Puts a chunk with room for 'size' bytes in front; false when memory is out.
 */
static bool
add_chunk(FsScratch *scratch, size_t size)
{
	FsScratchChunk *last = scratch->chunks;
	FsScratchChunk *chunk;
	size_t		room = FIRST_CHUNK;

	if (last != NULL && last->size <= LARGEST_KEPT / 2)
		room = last->size * 2;
	if (room < size)
		room = size;
	if (room > SIZE_MAX - sizeof(FsScratchChunk))
		return false;
	chunk = malloc(sizeof(FsScratchChunk) + room);
	if (chunk == NULL)
		return false;
	chunk->next = last;
	chunk->size = room;
	chunk->used = 0;
	scratch->chunks = chunk;
	return true;
}

/* See scratch.h. */
char *
fs_scratch_take(FsScratch *scratch, size_t size)
{
	FsScratchChunk *chunk = scratch->chunks;

	if (chunk == NULL || chunk->size - chunk->used < size)
	{
		if (!add_chunk(scratch, size))
			return NULL;
		chunk = scratch->chunks;
	}
	chunk->used += size;
	assert(chunk->used <= chunk->size);
	return (char *) (chunk + 1) + chunk->used - size;
}

/* See scratch.h. */
void *
fs_scratch_take_aligned(FsScratch *scratch, size_t size)
{
	const uintptr_t unit = _Alignof(max_align_t);
	char	   *piece = size > SIZE_MAX - unit ? NULL : fs_scratch_take(scratch, size + unit - 1);

	return piece == NULL ? NULL : (void *) (((uintptr_t) piece + unit - 1) / unit * unit);
}

/* Frees all chunks but the newest of those no larger than 'kept'. */
static void
free_chunks(FsScratch *scratch, size_t kept)
{
	FsScratchChunk *chunk = scratch->chunks;

	scratch->chunks = NULL;
	while (chunk != NULL)
	{
		FsScratchChunk *next = chunk->next;

		if (scratch->chunks == NULL && chunk->size <= kept)
		{
			chunk->next = NULL;
			chunk->used = 0;
			scratch->chunks = chunk;
		}
		else
			free(chunk);
		chunk = next;
	}
}

/* See scratch.h. */
void
fs_scratch_reset(FsScratch *scratch)
{
	free_chunks(scratch, LARGEST_KEPT);
}

/* See scratch.h. */
void
fs_scratch_free(FsScratch *scratch)
{
	free_chunks(scratch, 0);
	assert(scratch->chunks == NULL);
}
