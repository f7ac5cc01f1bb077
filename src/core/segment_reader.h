/*
 * segment_reader.h
 *		What the two files of the segment reader share; private to them.
 *
 * segment_read.c opens segments and hands out events, segment_decode.c decodes
 * blocks.
 */
#ifndef FS_CORE_SEGMENT_READER_H
#define FS_CORE_SEGMENT_READER_H

#include "core/segment_format.h"

/* Memory for rendered numbers; lives as long as the reader. */
typedef struct FsTextChunk
{
	struct FsTextChunk *next;
	size_t		size;
	size_t		used;
	char		data[];
} FsTextChunk;

typedef struct FsReaderColumn
{
	FsValue    *rows;			/* the block's values */
	FsValue    *entries;		/* the dictionary */
	uint64_t	nentries;
} FsReaderColumn;

struct FsSegmentReader
{
	FsTime		slice_start;
	int64_t		count;
	int			ncolumns;
	FsSegmentColumn *columns;
	FsReaderColumn *data;
	FsCursor	blocks;			/* those not yet decoded */
	int			at;				/* next event of the block */
	int			nevents;		/* in the block */
	int			cap;			/* events of the largest block */
	FsSegmentStatus status;		/* once not OK, the answer to everything */
	void	   *block;			/* the memory of the next two, and of 'rows' */
	FsEventMeta *metas;
	int64_t    *next_offsets;	/* as in the writer */
	FsTextChunk *chunks;
	uint16_t	all_rows[FS_SEGMENT_BLOCK]; /* 0, 1, 2 ... */
};

/*
 * Takes the next block's bytes and the number of its events; false when they
 * cannot be a block.
 */
extern bool fs_segment_take_block(FsCursor *blocks, int ncolumns, FsCursor *block, int *nevents);

/*
 * Decodes the next block into 'metas' and the columns' 'rows'.  False when it is
 * corrupt, or memory was out: 'status' then says so.
 */
extern bool fs_segment_decode_block(FsSegmentReader *reader);

#endif							/* FS_CORE_SEGMENT_READER_H */
