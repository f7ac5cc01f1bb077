/*
 * values.h
 *		Values between the plain-C core and PostgreSQL's Datums.
 */
#ifndef FS_PIPELINE_VALUES_H
#define FS_PIPELINE_VALUES_H

#include "utils/array.h"

#include "pipeline/row_state.h"

/*
 * A decoded value as a Datum of the column's type, in the current context.
 * numeric and jsonb go through their input functions, which may throw.  The
 * value must be present.
 */
extern Datum fs_value_datum(const FsColumn *column, const FsValue *value);

/*
 * Reads a number of at most 18 digits, with or without a point, as digits and
 * how many of them are behind the point; false for any other text.
 */
extern bool fs_decimal_read(const char *data, uint32 len, int64 *digits, int *scale);

/*
 * A Datum as a value; byte types point into palloc'd memory of the current
 * context.
 */
extern FsValue fs_datum_value(const FsColumn *column, Datum datum);

/* inputs.c: throws 54000 for a value of an expression that is too long to be kept in shared memory. */
extern void fs_datum_check_kept(const FsColumn *column, Datum datum);

/* Throws for a row's array that no record can have: it has one dimension, and begins at 1. */
extern void fs_column_check_array(const FsColumn *column, ArrayType *array);

/*
 * A kept value as a Datum in the current context.  When its code has no value
 * (a reader's copy was stale), sets row->stale and returns NULL.
 */
extern Datum fs_cell_datum(FsRow *row, const FsRowColumn *column, const FsCell *cell, bool *isnull);

/* A feature's value as it is stored online: text, arrays as JSON; in the current context. */
extern char *fs_datum_online_text(Oid type, Datum value, uint32 *len);

#endif							/* FS_PIPELINE_VALUES_H */
