/*
 * compile_combine.c
 *		Which aggregates can be put together from states of parts of their events.
 *
 * PostgreSQL does so in parallel queries, with the aggregate's combine function,
 * and gives whatever comes out.  A feature has to be the same however its events
 * were parted: only aggregates are taken that say they may be computed in parts
 * (a combine function, PARALLEL SAFE) and of whose states it is known that order
 * makes no difference to them.  Floating point is left out for its rounding.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "parser/parse_agg.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog/compile.h"
#include "catalog/extension.h"

/* Are equal values of the type always the same, whatever bytes they have? */
static bool
has_one_image(Oid type, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	Oid			function = InvalidOid;

	if (OidIsValid(entry->btree_opf))
		function = get_opfamily_proc(entry->btree_opf, entry->btree_opintype, entry->btree_opintype,
									 BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, collation, ObjectIdGetDatum(entry->btree_opintype)));
}

/* Why states of this type may depend on the order of the events; NULL when it is known that they do not. */
static const char *
judge_type(Oid type)
{
	Oid			element = get_element_type(type);
	Oid			base = getBaseType(OidIsValid(element) ? element : type);

	if (base == FLOAT4OID || base == FLOAT8OID)
		return "its rounding depends on the order of the events";
	if ((base < FirstNormalObjectId && get_typtype(base) == TYPTYPE_BASE) || get_typtype(base) == TYPTYPE_ENUM)
		return NULL;
	return "its state may depend on the order of the events";
}

/* The same of an aggregate whose state is 'internal': nobody can look into that but who made it. */
static const char *
judge_internal(const Aggref *aggref)
{
	Oid			function = aggref->aggfnoid;
	char	   *name;

	if (function < FirstNormalObjectId)
		return NULL;			/* sums of numbers; lists have no combine function */
	if (getExtensionOfObject(ProcedureRelationId, function) != get_extension_oid(FS_SCHEMA, true))
		return "its state may depend on the order of the events";
	name = get_func_name(function);
	if (strcmp(name, "approx_top_k") == 0)
		return "its error depends on the order of the events";
	if (strcmp(name, "top_k") == 0 && !has_one_image(linitial_oid(aggref->aggargtypes), aggref->inputcollid))
		return "which of equal values it gives depends on the order of the events";
	return NULL;
}

/* The same of any aggregate that has a combine function. */
static const char *
judge_state(const Aggref *aggref, Form_pg_aggregate form)
{
	Oid			types[FUNC_MAX_ARGS];
	int			ntypes = get_aggregate_argtypes(unconstify(Aggref *, aggref), types);
	Oid			type = resolve_aggregate_transtype(aggref->aggfnoid, form->aggtranstype, types, ntypes);

	if (type == INTERNALOID && (!OidIsValid(form->aggserialfn) || !OidIsValid(form->aggdeserialfn)))
		return "its state cannot be stored";
	if (OidIsValid(form->aggsortop) && !has_one_image(types[0], aggref->inputcollid))
		return "which of equal values it gives depends on the order of the events";
	return type == INTERNALOID ? judge_internal(aggref) : judge_type(type);
}

/* See compile.h. */
const char *
fs_compile_combine(const Aggref *aggref)
{
	HeapTuple	tuple;
	Form_pg_aggregate form;
	const char *reason;

	Assert(aggref->aggsplit == AGGSPLIT_SIMPLE);
	if (aggref->aggkind != AGGKIND_NORMAL || aggref->aggdistinct != NIL || aggref->aggorder != NIL)
		return "it needs all events of a window at once";
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	if (!OidIsValid(form->aggcombinefn))
		reason = "it has no combine function";
	else if (func_parallel(aggref->aggfnoid) != PROPARALLEL_SAFE)
		reason = "it is not PARALLEL SAFE";
	else
		reason = judge_state(aggref, form);
	ReleaseSysCache(tuple);
	return reason;
}
