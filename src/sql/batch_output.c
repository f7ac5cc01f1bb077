/*
 * batch_output.c
 *		What the functions over batches share: rows as JSON, definitions as queries.
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "sql/batch_output.h"

/* A description of n of the batch's columns. */
static TupleDesc
make_desc(const FsBatch *batch, int first, int n)
{
	TupleDesc	desc = CreateTemplateTupleDesc(n);

	for (int i = 0; i < n; i++)
	{
		const FsViewColumn *column = &batch->columns[first + i];

		TupleDescInitEntry(desc, i + 1, column->name, column->typid, -1, 0);
		TupleDescInitEntryCollation(desc, i + 1, column->collation);
	}
	return desc;
}

/* See batch_output.h. */
void
fs_batch_output_init(FsBatchOutput *output, const FsBatch *batch)
{
	fs_json_row_init(&output->entity, make_desc(batch, 0, batch->nentity), true);
	fs_json_row_init(&output->features, make_desc(batch, batch->nentity, batch->nfeatures), false);
	output->not_null = palloc0(sizeof(bool) * batch->nentity);
}

/* See batch_output.h. */
Datum
fs_batch_output_entity(FsBatchOutput *output, const Datum *entity)
{
	return fs_json_row_make(&output->entity, entity, output->not_null);
}

/* See batch_output.h. */
Datum
fs_batch_output_features(FsBatchOutput *output, const Datum *values, const bool *nulls)
{
	return fs_json_row_make(&output->features, values, nulls);
}

/* See batch_output.h. */
void
fs_batch_check_right(Oid relid)
{
	AclResult	right = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);

	if (right != ACLCHECK_OK)
		aclcheck_error(right, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* See batch_output.h. */
FsTime
fs_batch_time(TimestampTz value)
{
	if (TIMESTAMP_IS_NOBEGIN(value))
		return FS_TIME_MIN;
	if (TIMESTAMP_IS_NOEND(value))
		return FS_TIME_MAX;
	return value;
}
