/*
 * json_row.c
 *		Values with names and types as one JSON object.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "utils/fmgroids.h"

#include "sql/json_row.h"

/* See json_row.h. */
void
fs_json_row_init(FsJsonRow *row, TupleDesc desc, bool binary)
{
	Oid			function = binary ? F_TO_JSONB : F_TO_JSON;
	Const	   *argument = makeNullConst(RECORDOID, -1, InvalidOid);

	row->desc = BlessTupleDesc(desc);
	fmgr_info(function, &row->function);

	/* It decides by the argument's type what to do, and finds that in its call's expression. */
	fmgr_info_set_expr((Node *) makeFuncExpr(function, binary ? JSONBOID : JSONOID,
											 list_make1(argument), InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL),
					   &row->function);
}

/* See json_row.h. */
Datum
fs_json_row_make(FsJsonRow *row, const Datum *values, const bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(row->desc, unconstify(Datum *, values),
										unconstify(bool *, nulls));

	return FunctionCall1(&row->function, HeapTupleGetDatum(tuple));
}
