/*
 * aggregate_value.h
 *		Values of any type in the states of our aggregates.
 *
 * What aggregate_distinct.c, aggregate_percentile.c, aggregate_top_k.c and
 * aggregate_list.c share: the state's memory, the argument's type and what can
 * be done with its values, and the way of a state between processes.  All
 * states are of type internal; one that comes from another process names its
 * type and collation, since combine functions are not told them.
 */
#ifndef FS_SQL_AGGREGATE_VALUE_H
#define FS_SQL_AGGREGATE_VALUE_H

#include "fmgr.h"
#include "utils/typcache.h"

#include "core/frequent.h"
#include "core/sketch.h"

#define FS_AGG_MAX_VALUES 10000 /* greatest k and n */

/* A type and a collation; lives as long as the call's FmgrInfo. */
typedef struct FsAggType
{
	Oid			typid;
	Oid			collation;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	bool		is_word;		/* equal exactly when equal as 64-bit words */
	TypeCacheEntry *cache;
} FsAggType;

/* What fs_agg_value_ops want as context. */
typedef struct FsAggValues
{
	const FsAggType *type;
	MemoryContext context;		/* of the state */
} FsAggValues;

/* The aggregate's memory context; throws when called outside an aggregate. */
extern MemoryContext fs_agg_context(FunctionCallInfo fcinfo);

/* The state so far, or NULL when there is none: what adding nothing to it returns. */
static inline Datum
fs_agg_unchanged(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* An allocator on a memory context; it raises an ERROR when memory is out. */
extern FsAllocator fs_agg_allocator(MemoryContext context);

/* Throws what a sketch's status says; 'status' FS_SKETCH_OK: returns. */
extern void fs_agg_check(FsSketchStatus status);

/* A bytea for 'size' bytes of a state; 54000 when there is none so large. */
extern bytea *fs_agg_make_bytes(size_t size);

/*
 * The type of an aggregate's first argument (SQL's first: fcinfo's second), with
 * the collation of the call.  'flags' say what must be there (TYPECACHE_...):
 * TYPECACHE_HASH_EXTENDED_PROC_FINFO, TYPECACHE_CMP_PROC_FINFO.  Throws 42883
 * for a type without it.
 */
extern const FsAggType *fs_agg_type_of_call(FunctionCallInfo fcinfo, int flags);

/* The same for a type and collation that a state from elsewhere names. */
extern const FsAggType *fs_agg_type_of_state(FunctionCallInfo fcinfo, Oid typid, Oid collation, int flags);

/* A copy, in 'context', that depends on nothing outside it. */
extern Datum fs_agg_copy(const FsAggType *type, MemoryContext context, Datum value);

/* An array of such values; 'nulls' may be NULL. */
extern Datum fs_agg_make_array(const FsAggType *type, Datum *values, bool *nulls, int n);

/* 64 good bits; equal values have equal ones. */
extern uint64 fs_agg_hash(const FsAggType *type, Datum value);

/* Values (Datums) in a table of frequent.h; their context is an FsAggValues. */
extern const FsFrequentOps fs_agg_value_ops;

/*
 * A parameter of the aggregate, which all rows of a group share: how many
 * values it is to give.  22003 unless 0..FS_AGG_MAX_VALUES, 22004 for NULL.
 */
extern int32 fs_agg_count_argument(FunctionCallInfo fcinfo, const char *aggregate);

/* Throws 22023: the parameter is not what it was in other rows. */
extern void fs_agg_refuse_change(const char *aggregate, const char *parameter) pg_attribute_noreturn();

#endif							/* FS_SQL_AGGREGATE_VALUE_H */
