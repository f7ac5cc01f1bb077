/*
 * json_row.h
 *		Values with names and types as one JSON object.
 */
#ifndef FS_SQL_JSON_ROW_H
#define FS_SQL_JSON_ROW_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"

/* What making objects of one shape takes. */
typedef struct FsJsonRow
{
	TupleDesc	desc;			/* blessed */
	FmgrInfo	function;		/* to_json or to_jsonb */
} FsJsonRow;

/*
 * Prepares for objects with the columns of 'desc', which must live as long.
 * binary: jsonb, else json, whose keys keep the columns' order.
 */
extern void fs_json_row_init(FsJsonRow *row, TupleDesc desc, bool binary);

/* The object, in the current memory context. */
extern Datum fs_json_row_make(FsJsonRow *row, const Datum *values, const bool *nulls);

#endif							/* FS_SQL_JSON_ROW_H */
