/*
 * parquet_page.h
 *		Pages of a column chunk, and the index over them.
 *
 * For parquet_column.c.
 */
#ifndef FS_CORE_PARQUET_PAGE_H
#define FS_CORE_PARQUET_PAGE_H

#include "core/parquet_chunk.h"

/* What of a chunk is in a page. */
typedef struct FsParquetPage
{
	size_t		first_level;
	size_t		nlevels;
	size_t		first_value;
	size_t		nvalues;
	int64_t		first_row;		/* in the row group */
	int64_t		nrows;
} FsParquetPage;

/* The index that grows with the pages. */
typedef struct FsParquetPageIndex
{
	FsBuffer	entries;		/* PageEntry, in parquet_page.c */
	FsBuffer	bytes;			/* encoded bounds */
	FsParquetBounds bounds;		/* of the page at hand */
	FsParquetBounds last;		/* of the last page that has some */
	bool		has_last;
	bool		ascending;
	bool		descending;
	bool		incomplete;		/* a page has values but no bounds */
} FsParquetPageIndex;

extern void fs_parquet_index_init(FsParquetPageIndex *index);
extern void fs_parquet_index_free(FsParquetPageIndex *index);

/*
 * Appends a data page to 'out', whose first byte is at 'offset' in the file,
 * and enters it into the index and the chunk's info.  False when memory is out.
 */
extern bool fs_parquet_page_write(const FsParquetChunk *chunk, const FsParquetValues *values, const FsParquetPage *page,
								  FsParquetPress *press, FsBuffer *out, int64_t offset,
								  FsParquetPageIndex *index, FsParquetChunkInfo *info);

/* The same for the page of the press's dictionary. */
extern bool fs_parquet_dictionary_write(FsParquetPress *press, FsBuffer *out, int64_t offset, FsParquetChunkInfo *info);

/* Serializes the index into the chunk's info.  False when memory is out. */
extern bool fs_parquet_index_finish(FsParquetPageIndex *index, FsParquetChunkInfo *info);

#endif							/* FS_CORE_PARQUET_PAGE_H */
