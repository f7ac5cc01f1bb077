/*
 * parquet_read.h
 *		Reader of the Parquet files that our writer makes (parquet.h), to write their rows again.
 *
 * Files of other writers are refused: what they may consist of is a larger world.
 * The bytes are not trusted all the same.  Memory: what a row group has
 * uncompressed.
 */
#ifndef FS_CORE_PARQUET_READ_H
#define FS_CORE_PARQUET_READ_H

#include "core/parquet.h"

#define FS_PARQUET_MESSAGE_SIZE	160	/* bytes of a message */

/*
 * Opens a file, whose bytes stay where they are until the reader is freed.
 * 'columns' are those that rows are to have, found by their ids; one that the
 * file does not have is NULL, others of the file are left out.  NULL, with a
 * clause that says why, or empty when memory is out: the file is of another
 * writer, is malformed, or has a column in another form.
 */
extern FsParquetReader *fs_parquet_open(const char *bytes, size_t len, const FsParquetColumn *columns, int ncolumns,
										char *message);
extern void fs_parquet_reader_free(FsParquetReader *reader);

/* How many rows it has. */
extern int64_t fs_parquet_reader_rows(const FsParquetReader *reader);

/* Goes to the next row, or the first: 1; 0 at the end; -1 with the message. */
extern int	fs_parquet_next_row(FsParquetReader *reader, char *message);

/*
 * Appends the row at hand in a form of our own, which fs_parquet_put_row() puts
 * into a writer of the same columns.  Those bytes are trusted.  False: memory is
 * out; or, for a writer, see fs_parquet_error.
 */
extern bool fs_parquet_take_row(const FsParquetReader *reader, FsBuffer *out);
extern bool fs_parquet_put_row(FsParquetWriter *writer, const FsParquetColumn *columns, int ncolumns,
							   const char *bytes, size_t len);

/*
 * Appends bytes that compare, unsigned and one after the other, as the row's
 * value of a column does, which is no list; none of them is the beginning of
 * another.  False: memory is out.
 */
extern bool fs_parquet_take_key(const FsParquetReader *reader, int column, bool descending, bool nulls_last,
								FsBuffer *out);

#endif							/* FS_CORE_PARQUET_READ_H */
