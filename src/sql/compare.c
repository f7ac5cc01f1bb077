/*
 * compare.c
 *		Comparing rows of a feature view, however they came to be.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "sql/compare.h"

/* Is it a float, or made of them? */
static bool
is_float(Oid typid)
{
	Oid			element = get_element_type(typid);

	if (OidIsValid(element))
		typid = element;
	return typid == FLOAT4OID || typid == FLOAT8OID;
}

/*
 * Looks up how values of the column are compared.  No equality is taken that
 * calls different texts equal.
 */
static void
init_column(FsCompareColumn *column, const FsViewColumn *def)
{
	TypeCacheEntry *type = lookup_type_cache(def->typid, TYPECACHE_EQ_OPR_FINFO | TYPECACHE_CMP_PROC_FINFO);
	Oid			output;
	bool		is_varlena;

	column->name = def->name;
	column->collation = def->collation;
	column->by_text = is_float(def->typid);
	get_typlenbyval(def->typid, &column->typlen, &column->typbyval);
	if (OidIsValid(type->eq_opr) &&
		(!OidIsValid(def->collation) || get_collation_isdeterministic(def->collation)))
		fmgr_info_copy(&column->equal, &type->eq_opr_finfo, CurrentMemoryContext);
	if (OidIsValid(type->cmp_proc))
		fmgr_info_copy(&column->order, &type->cmp_proc_finfo, CurrentMemoryContext);
	getTypeOutputInfo(def->typid, &output, &is_varlena);
	fmgr_info(output, &column->output);
}

/* See compare.h. */
void
fs_compare_init(FsCompare *compare, const FsBatch *batch)
{
	int			n = batch->nentity + batch->nfeatures;

	compare->nentity = batch->nentity;
	compare->columns = palloc0(sizeof(FsCompareColumn) * n);
	for (int i = 0; i < n; i++)
		init_column(&compare->columns[i], &batch->columns[i]);
}

/* See compare.h. */
int
fs_compare_entities(FsCompare *compare, const Datum *a, const Datum *b)
{
	for (int i = 0; i < compare->nentity; i++)
	{
		FsCompareColumn *column = &compare->columns[i];
		int			order;

		Assert(OidIsValid(column->order.fn_oid));
		order = DatumGetInt32(FunctionCall2Coll(&column->order, column->collation, a[i], b[i]));
		if (order != 0)
			return order;
	}
	return 0;
}

/* See compare.h. */
bool
fs_compare_feature(FsCompare *compare, int feature, Datum a, bool a_null, Datum b, bool b_null)
{
	FsCompareColumn *column = &compare->columns[compare->nentity + feature];

	if (a_null || b_null)
		return a_null == b_null;
	if (datum_image_eq(a, b, column->typbyval, column->typlen))
		return true;
	if (column->by_text)
		return strcmp(OutputFunctionCall(&column->output, a),
					  OutputFunctionCall(&column->output, b)) == 0;
	return OidIsValid(column->equal.fn_oid) &&
		DatumGetBool(FunctionCall2Coll(&column->equal, column->collation, a, b));
}

/* See compare.h. */
char *
fs_compare_text(FsCompare *compare, int feature, Datum value)
{
	return OutputFunctionCall(&compare->columns[compare->nentity + feature].output, value);
}
