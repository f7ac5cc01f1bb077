/*
 * batch_output.h
 *		What the functions over batches share: rows as JSON, definitions as queries.
 */
#ifndef FS_SQL_BATCH_OUTPUT_H
#define FS_SQL_BATCH_OUTPUT_H

#include "nodes/parsenodes.h"

#include "pipeline/batch.h"
#include "sql/json_row.h"

/* Objects of a view's entity (jsonb) and of its features (json). */
typedef struct FsBatchOutput
{
	FsJsonRow	entity;
	FsJsonRow	features;
	bool	   *not_null;		/* nentity times false */
} FsBatchOutput;

extern void fs_batch_output_init(FsBatchOutput *output, const FsBatch *batch);
extern Datum fs_batch_output_entity(FsBatchOutput *output, const Datum *entity);
extern Datum fs_batch_output_features(FsBatchOutput *output, const Datum *values, const bool *nulls);

/* Throws unless the current user may SELECT from the relation. */
extern void fs_batch_check_right(Oid relid);

/* A timestamp argument within what times can be computed with; FS_TIME_MIN and _MAX for infinities. */
extern FsTime fs_batch_time(TimestampTz value);

#endif							/* FS_SQL_BATCH_OUTPUT_H */
