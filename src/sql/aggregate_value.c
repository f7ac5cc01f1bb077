/*
 * aggregate_value.c
 *		Values of any type in the states of our aggregates; see aggregate_value.h.
 *
 * Serialised values are copies of memory, good only between processes of one
 * server: that is where PostgreSQL uses them, and nobody else can call the
 * functions that read them.  Lengths are checked all the same.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "core/hash.h"
#include "sql/aggregate_value.h"

/*
 * Neither 0, with which hash joins and hash indexes work, nor that of hash
 * partitioning: rows of one partition must not look alike to us.
 */
#define HASH_SEED	UINT64CONST(0x66735f6167677265)

/* See aggregate_value.h. */
MemoryContext
fs_agg_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate function called in non-aggregate context")));
	return context;
}

/* FsAllocator's resize; raises an ERROR rather than return NULL for lack of memory. */
static void *
resize_in_context(void *context, void *piece, size_t size)
{
	if (size == 0)
		pfree(piece);
	else if (piece == NULL)
		return MemoryContextAllocHuge((MemoryContext) context, size);
	else
		return repalloc_huge(piece, size);
	return NULL;
}

/* See aggregate_value.h. */
FsAllocator
fs_agg_allocator(MemoryContext context)
{
	return (FsAllocator) {resize_in_context, context};
}

/* See aggregate_value.h. */
void
fs_agg_check(FsSketchStatus status)
{
	if (status == FS_SKETCH_CORRUPT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid serialized aggregate state")));
	if (status == FS_SKETCH_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many different values in an aggregate")));
}

/* See aggregate_value.h. */
bytea *
fs_agg_make_bytes(size_t size)
{
	bytea	   *bytes;

	if (size > MaxAllocSize - VARHDRSZ)
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	bytes = palloc(VARHDRSZ + size);
	SET_VARSIZE(bytes, VARHDRSZ + size);
	return bytes;
}

/*
 * Does the hash function only fold a 64-bit word into 32 bits, as hashint8()
 * does to be compatible with hashint4()?  Values like (a << 32 | a) would then
 * all be one.
 */
static bool
folds_words(Oid hash_function)
{
	return hash_function == F_HASHINT8EXTENDED ||
		hash_function == F_TIMESTAMP_HASH_EXTENDED ||
		hash_function == F_TIME_HASH_EXTENDED ||
		hash_function == F_PG_LSN_HASH_EXTENDED;
}

static void
require_function(Oid function, Oid typid, const char *what)
{
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify %s for type %s", what, format_type_be(typid))));
}

/* See aggregate_value.h. */
const FsAggType *
fs_agg_type_of_state(FunctionCallInfo fcinfo, Oid typid, Oid collation, int flags)
{
	FsAggType  *type = fcinfo->flinfo->fn_extra;

	if (type != NULL && type->typid == typid && type->collation == collation)
		return type;
	type = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FsAggType));
	type->typid = typid;
	type->collation = collation;
	type->cache = lookup_type_cache(typid, flags | TYPECACHE_EQ_OPR_FINFO);
	if (flags & TYPECACHE_HASH_EXTENDED_PROC_FINFO)
		require_function(type->cache->hash_extended_proc_finfo.fn_oid, typid, "an extended hash function");
	if (flags & TYPECACHE_CMP_PROC_FINFO)
		require_function(type->cache->cmp_proc_finfo.fn_oid, typid, "a comparison function");
	type->typlen = type->cache->typlen;
	type->typbyval = type->cache->typbyval;
	type->typalign = type->cache->typalign;
	type->is_word = folds_words(type->cache->hash_extended_proc_finfo.fn_oid);
	fcinfo->flinfo->fn_extra = type;
	return type;
}

/* See aggregate_value.h. */
const FsAggType *
fs_agg_type_of_call(FunctionCallInfo fcinfo, int flags)
{
	const FsAggType *type = fcinfo->flinfo->fn_extra;
	Oid			typid;

	if (type != NULL)
		return type;
	typid = get_fn_expr_argtype(fcinfo->flinfo, 1);
	if (!OidIsValid(typid))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine input data type")));
	return fs_agg_type_of_state(fcinfo, typid, PG_GET_COLLATION(), flags);
}

/* See aggregate_value.h. */
Datum
fs_agg_copy(const FsAggType *type, MemoryContext context, Datum value)
{
	MemoryContext old;

	if (type->typbyval)
		return value;
	old = MemoryContextSwitchTo(context);
	if (type->typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	else
		value = datumCopy(value, type->typbyval, type->typlen);
	MemoryContextSwitchTo(old);
	return value;
}

/* See aggregate_value.h. */
Datum
fs_agg_make_array(const FsAggType *type, Datum *values, bool *nulls, int n)
{
	int			lower_bound = 1;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(type->typid));
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower_bound, type->typid,
											  type->typlen, type->typbyval, type->typalign));
}

/* See aggregate_value.h. */
uint64
fs_agg_hash(const FsAggType *type, Datum value)
{
	uint64		hash;

	if (type->is_word)
		hash = (uint64) DatumGetInt64(value) ^ HASH_SEED;
	else
		hash = DatumGetUInt64(FunctionCall2Coll(&type->cache->hash_extended_proc_finfo, type->collation,
												value, Int64GetDatum((int64) HASH_SEED)));

	/* fmix64 of MurmurHash3: loses nothing, and makes all bits equally good */
	hash = (hash ^ hash >> 33) * UINT64CONST(0xff51afd7ed558ccd);
	hash = (hash ^ hash >> 33) * UINT64CONST(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 33;
}

static uint32_t
hash_value(void *context, uint64_t value)
{
	return (uint32_t) fs_agg_hash(((FsAggValues *) context)->type, (Datum) value);
}

static bool
values_equal(void *context, uint64_t a, uint64_t b)
{
	const FsAggType *type = ((FsAggValues *) context)->type;

	return DatumGetBool(FunctionCall2Coll(&type->cache->eq_opr_finfo, type->collation, (Datum) a, (Datum) b));
}

static int
compare_values(void *context, uint64_t a, uint64_t b)
{
	const FsAggType *type = ((FsAggValues *) context)->type;

	CHECK_FOR_INTERRUPTS();
	return DatumGetInt32(FunctionCall2Coll(&type->cache->cmp_proc_finfo, type->collation, (Datum) a, (Datum) b));
}

static bool
keep_value(void *context, uint64_t value, uint64_t *kept)
{
	FsAggValues *values = context;

	*kept = (uint64_t) fs_agg_copy(values->type, values->context, (Datum) value);
	return true;
}

static void
drop_value(void *context, uint64_t value)
{
	if (!((FsAggValues *) context)->type->typbyval)
		pfree(DatumGetPointer((Datum) value));
}

/* Bytes of a kept value that are written, and where they begin. */
static size_t
value_bytes(const FsAggType *type, Datum value, const char **bytes)
{
	if (type->typlen == -1)
	{
		*bytes = VARDATA(DatumGetPointer(value));
		return VARSIZE(DatumGetPointer(value)) - VARHDRSZ;
	}
	*bytes = DatumGetPointer(value);
	return datumGetSize(value, type->typbyval, type->typlen);
}

/* FsFrequentOps: bytes that write_value() writes. */
static size_t
size_of_value(void *context, uint64_t value)
{
	const FsAggType *type = ((FsAggValues *) context)->type;
	const char *bytes;
	size_t		n;

	if (type->typbyval)
		return sizeof(uint64_t);
	n = value_bytes(type, (Datum) value, &bytes);
	return (size_t) fs_varint_size(n) + n;
}

/* A word, or a length and so many bytes. */
static char *
write_value(void *context, uint64_t value, char *p)
{
	const FsAggType *type = ((FsAggValues *) context)->type;
	const char *bytes;
	size_t		n;

	if (type->typbyval)
	{
		fs_put_le64(p, value);
		return p + sizeof(uint64_t);
	}
	n = value_bytes(type, (Datum) value, &bytes);
	p = fs_put_varint(p, n);
	memcpy(p, bytes, n);
	return p + n;
}

/* Takes a value of a type by reference; false when no value is like this. */
static bool
take_pointer(const FsAggValues *values, FsCursor *cursor, uint64_t *kept)
{
	int			typlen = values->type->typlen;
	size_t		head = typlen == -1 ? VARHDRSZ : 0;
	uint64_t	n;
	const char *bytes;
	char	   *copy;

	if (!fs_take_varint(cursor, &n) || n > MaxAllocSize - VARHDRSZ || !fs_take_bytes(cursor, n, &bytes))
		return false;
	if ((typlen > 0 && n != typlen) || (typlen == -2 && strnlen(bytes, n) != n - 1))
		return false;
	copy = MemoryContextAlloc(values->context, head + n);
	memcpy(copy + head, bytes, n);
	if (typlen == -1)
		SET_VARSIZE(copy, head + n);
	*kept = (uint64_t) PointerGetDatum(copy);
	return true;
}

/* FsFrequentOps: a value that another process wrote, copied into the state's memory. */
static FsSketchStatus
read_value(void *context, FsCursor *cursor, uint64_t *kept)
{
	const FsAggValues *values = context;
	const char *bytes;

	if (!values->type->typbyval)
		return take_pointer(values, cursor, kept) ? FS_SKETCH_OK : FS_SKETCH_CORRUPT;
	if (!fs_take_bytes(cursor, sizeof(uint64_t), &bytes))
		return FS_SKETCH_CORRUPT;
	*kept = fs_get_le64(bytes);
	return FS_SKETCH_OK;
}

const FsFrequentOps fs_agg_value_ops = {
	.hash = hash_value,
	.equal = values_equal,
	.compare = compare_values,
	.keep = keep_value,
	.drop = drop_value,
	.size = size_of_value,
	.write = write_value,
	.read = read_value,
};

/* See aggregate_value.h. */
int32
fs_agg_count_argument(FunctionCallInfo fcinfo, const char *aggregate)
{
	int32		count;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("number of values of %s must not be null", aggregate)));
	count = PG_GETARG_INT32(2);
	if (count < 0 || count > FS_AGG_MAX_VALUES)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of values of %s is out of range: %d", aggregate, count),
				 errdetail("It must be between 0 and %d.", FS_AGG_MAX_VALUES)));
	return count;
}

/* See aggregate_value.h. */
void
fs_agg_refuse_change(const char *aggregate, const char *parameter)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s of %s is not the same in all rows of a group", parameter, aggregate),
			 errhint("Use a constant, or group by it.")));
}
