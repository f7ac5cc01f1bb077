/*
 * parquet_source.h
 *		What the files parquet_read*.c share of a file that is read.
 */
#ifndef FS_CORE_PARQUET_SOURCE_H
#define FS_CORE_PARQUET_SOURCE_H

#include "core/parquet_chunk.h"

/* Where a column's chunk of a row group is. */
typedef struct FsParquetPlace
{
	bool		is_there;
	bool		is_compressed;
	int64_t		offset;			/* of its first page */
	int64_t		bytes;
	int64_t		nlevels;
} FsParquetPlace;

/* A column that is read. */
typedef struct FsParquetSource
{
	bool		is_there;		/* in the file */
	FsParquetColumn column;		/* as the file has it */
	FsParquetChunk chunk;		/* of the row group at hand, as a writer would have it */
	size_t		level;			/* the row at hand begins here ... */
	size_t		value;
	size_t		nlevels;		/* ... and has so many */
	size_t		nvalues;
} FsParquetSource;

struct FsParquetReader
{
	const char *bytes;
	size_t		len;
	const FsParquetColumn *columns; /* the caller's */
	int			ncolumns;
	FsParquetSource *sources;
	int64_t		nrows;

	FsBuffer	leaves;			/* ints: by leaf of the file, which column, or -1 */
	FsBuffer	groups;			/* int64s: their rows */
	FsBuffer	places;			/* FsParquetPlaces: by group and column */

	size_t		ngroup;			/* that were begun */
	int64_t		row;			/* of the group at hand, that were begun */
	FsBuffer	page;			/* uncompressed */
	FsBuffer	numbers;		/* uint32s */
	FsParquetChunk dictionary;	/* only its values */
};

/* Says why, in FS_PARQUET_MESSAGE_SIZE bytes; always false. */
extern bool fs_parquet_refuse(char *message, const char *format,...) __attribute__((format(printf, 2, 3)));

/* Reads the footer; false with the message, as below. */
extern bool fs_parquet_read_footer(FsParquetReader *reader, char *message);

/* Reads all pages of a column's chunk. */
extern bool fs_parquet_read_chunk(FsParquetReader *reader, FsParquetSource *source, const FsParquetPlace *place,
								  char *message);

#endif							/* FS_CORE_PARQUET_SOURCE_H */
