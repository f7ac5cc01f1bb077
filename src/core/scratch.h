/*
 * scratch.h
 *		Memory for one batch: taken in pieces, given back all at once.
 *
 * Pieces never move, so that values may point into them.  An FsScratch that is
 * all zero is empty and ready; one thread uses it at a time.
 */
#ifndef FS_CORE_SCRATCH_H
#define FS_CORE_SCRATCH_H

#include <stddef.h>

typedef struct FsScratch
{
	struct FsScratchChunk *chunks;	/* newest first */
} FsScratch;

/*
 * Takes 'size' bytes, not aligned, that live until the next reset.  NULL when
 * memory is out.
 */
extern char *fs_scratch_take(FsScratch *scratch, size_t size);

/* The same, aligned for any type. */
extern void *fs_scratch_take_aligned(FsScratch *scratch, size_t size);

/* Takes all pieces back; keeps some memory for the next batch. */
extern void fs_scratch_reset(FsScratch *scratch);

/* Takes all pieces back and frees all memory. */
extern void fs_scratch_free(FsScratch *scratch);

#endif							/* FS_CORE_SCRATCH_H */
