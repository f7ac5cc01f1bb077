/*
 * compare.h
 *		Comparing rows of a feature view, however they came to be.
 */
#ifndef FS_SQL_COMPARE_H
#define FS_SQL_COMPARE_H

#include "fmgr.h"

#include "pipeline/batch.h"

/* How values of one column are compared and shown. */
typedef struct FsCompareColumn
{
	const char *name;
	int16		typlen;
	bool		typbyval;
	Oid			collation;
	bool		by_text;		/* equal when their texts are */
	FmgrInfo	equal;			/* fn_oid InvalidOid: only equal bytes are equal */
	FmgrInfo	output;
	FmgrInfo	order;			/* entity columns: the default order */
} FsCompareColumn;

typedef struct FsCompare
{
	int			nentity;
	FsCompareColumn *columns;	/* entity columns, then features */
} FsCompare;

extern void fs_compare_init(FsCompare *compare, const FsBatch *batch);

/* Orders two entities as a batch does. */
extern int	fs_compare_entities(FsCompare *compare, const Datum *a, const Datum *b);

/*
 * Are two values of a feature the same?  Yes when their bytes are.  Floats are
 * the same when their shortest texts are (so all NaNs, but not 0 and -0);
 * values of other types also when they are equal for SQL, as numerics of
 * different scale are.
 */
extern bool fs_compare_feature(FsCompare *compare, int feature, Datum a, bool a_null,
							   Datum b, bool b_null);

/* A feature's value as text, palloc'd. */
extern char *fs_compare_text(FsCompare *compare, int feature, Datum value);

#endif							/* FS_SQL_COMPARE_H */
