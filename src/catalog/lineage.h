/*
 * lineage.h
 *		What the query of a feature view is made of, for the registry.
 *
 * Read from the definition view alone, without compiling it: the registry must
 * answer for feature views that cannot run, too.
 */
#ifndef FS_CATALOG_LINEAGE_H
#define FS_CATALOG_LINEAGE_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"

typedef struct FsLineageFeature
{
	char	   *name;			/* in the target list: without the suffix of a window */
	char	   *expression;		/* as SQL */
	Bitmapset  *columns;		/* attribute numbers of the stream's columns that it reads */
} FsLineageFeature;

typedef struct FsLineage
{
	Oid			stream;
	List	   *features;		/* FsLineageFeature, in the order of the target list */
	Bitmapset  *entity;			/* columns that the grouping reads */
	Bitmapset  *filter;			/* columns that WHERE reads */
	AttrNumber	event_time;		/* the stream's; InvalidAttrNumber when it has none */
} FsLineage;

/* Reads the query of a definition view, into the current memory context. */
extern FsLineage *fs_lineage_read(Query *query);

/* The same by the view's Oid; NULL when there is no such view (any more). */
extern FsLineage *fs_lineage_load(Oid definition);

/* Is the target one of the grouping columns? */
extern bool fs_lineage_is_grouping(const Query *query, const TargetEntry *tle);

#endif							/* FS_CATALOG_LINEAGE_H */
