/*
 * query.h
 *		Queries on the extension's own tables: run, parameters set, results read.
 *
 * Thin wrappers of SPI for whoever is connected to it.  A time that is not
 * known, FS_TIME_MIN in memory, is NULL in a table.
 */
#ifndef FS_STATE_QUERY_H
#define FS_STATE_QUERY_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "core/value.h"

/* Runs a command that must end with SPI result 'expected', else throws; it sees what was done before it. */
extern void fs_query_run(const char *command, int expected, int nargs, Oid *types, Datum *values, const char *nulls);

/* Runs a query that only reads, in the snapshot at hand; throws unless it returns rows, or none. */
extern void fs_query_read(const char *query, int nargs, Oid *types, Datum *values);

/* Sets parameter i to a time. */
extern void fs_query_set_time(Datum *values, char *nulls, int i, FsTime time);

/* A column of a row of the last query, which must have that row: rows count from 0, columns from 1. */
extern bool fs_query_is_null(uint64 row, int column);
extern FsTime fs_query_time(uint64 row, int column);
extern int32 fs_query_int32(uint64 row, int column);	/* 0 for NULL */
extern int64 fs_query_int64(uint64 row, int column, int64 otherwise);	/* 'otherwise' for NULL */
extern bool fs_query_bool(uint64 row, int column);	/* false for NULL */
extern Oid	fs_query_oid(uint64 row, int column);	/* InvalidOid for NULL */

/* A name[], not NULL, as a list of Strings in the current memory context. */
extern List *fs_query_names(Datum array);

#endif							/* FS_STATE_QUERY_H */
