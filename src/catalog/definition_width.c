/*
 * definition_width.c
 *		Whether the rows of a feature view fit into its history.
 *
 * A row of a table fits into a page: values of variable length are moved away
 * where they are long, and pointers to them stay, but numbers and times are not.
 * Many features of many windows are too much.  What can never fit is refused
 * where the columns are made, not met when the first window fires; what fits
 * or not by its values is told then (offline/table_writer.h).
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "catalog/view_columns.h"

#define FEWER_COLUMNS "Use fewer windows, or distribute the features over several feature views."

/* The fewest bytes that a value of variable length takes: with a header of one byte, and nothing in it. */
static Size
least_bytes(Oid type)
{
	Oid			base = getBaseType(type);

	if (OidIsValid(get_element_type(base)))
		return ARR_OVERHEAD_NONULLS(0) - VARHDRSZ + VARHDRSZ_SHORT;
	if (base == NUMERICOID)
		return VARHDRSZ_SHORT + sizeof(uint16);
	return VARHDRSZ_SHORT;
}

/* The bytes of a row with few nulls; values of variable length are as short as can be, or as long as pointers to them. */
static Size
row_bytes(const FsViewColumn *columns, int ncolumns, bool have_pointers)
{
	Size		data = 0;

	for (int i = 0; i < ncolumns; i++)
	{
		int16		len;
		bool		byval;
		char		align;

		get_typlenbyvalalign(columns[i].typid, &len, &byval, &align);
		if (len > 0)
			data = att_align_nominal(data, align) + len;
		else
			data += have_pointers ? TOAST_POINTER_SIZE : least_bytes(columns[i].typid);
	}
	return MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(ncolumns)) + MAXALIGN(data);
}

/* Throws when no table can have the columns. */
static void
check_number(const FsViewDef *view, int ncolumns)
{
	if (ncolumns > MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("feature view \"%s\" has too many columns", view->name),
				 errdetail("%d features of %d windows make %d columns; a table can have %d.",
						   view->nfeatures, view->nwindows, ncolumns, MaxHeapAttributeNumber),
				 errhint(FEWER_COLUMNS)));
}

/* See view_columns.h. */
void
fs_view_check_width(const FsViewDef *view, const FsViewColumn *columns, int ncolumns, bool has_history)
{
	Size		least = row_bytes(columns, ncolumns, false);
	Size		most = row_bytes(columns, ncolumns, true);

	check_number(view, has_history ? ncolumns : fs_view_natts(view));
	if (!has_history || most <= MaxHeapTupleSize)
		return;
	if (least > MaxHeapTupleSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rows of feature view \"%s\" are too wide for its history", view->name),
				 errdetail("%d features of %d windows take at least %zu bytes; a row can have %zu.",
						   view->nfeatures, view->nwindows, least, (size_t) MaxHeapTupleSize),
				 errhint(FEWER_COLUMNS)));
	ereport(WARNING,
			(errmsg("rows of feature view \"%s\" may be too wide for its history", view->name),
			 errdetail("%d features of %d windows take between %zu and some %zu bytes; a row can have %zu. "
					   "Features of one that has more are null there.",
					   view->nfeatures, view->nwindows, least, most, (size_t) MaxHeapTupleSize),
			 errhint(FEWER_COLUMNS)));
}
