/*
 * view_columns.h
 *		The columns of a feature view's foreign table and history.
 *
 * Their order is that of the definition: entity columns, features window by
 * window, and the fixed ones.  That is the order in which rows are computed.
 * In the relations entity columns come first, and any order follows.
 */
#ifndef FS_CATALOG_VIEW_COLUMNS_H
#define FS_CATALOG_VIEW_COLUMNS_H

#include "access/attnum.h"

#include "catalog/feature_view_def.h"

typedef struct FsViewColumn
{
	char	   *name;
	Oid			typid;
	int32		typmod;			/* of a feature; else -1 */
	Oid			collation;
	int			feature;		/* index into features; -1: not a feature */
	int			window;			/* index into windows; -1: not a feature */
	int			entity;			/* index into entity columns; -1: not one */
	int			stream_column;	/* entity columns: index into the stream's columns; -1: an expression, or no entity column */
	bool		history_only;	/* not in the foreign table */
} FsViewColumn;

/*
 * All columns, those of the history alone last; *ncolumns is set.  Throws when
 * a name is too long or appears twice.
 */
extern FsViewColumn *fs_view_columns(const FsViewDef *view, const FsStreamDef *stream, int *ncolumns);

/*
 * Where the columns are in one of the view's relations, by name: attribute
 * numbers, palloc'd; InvalidAttrNumber for one that it does not have.
 */
extern AttrNumber *fs_view_attnums(const FsViewColumn *columns, int ncolumns, Oid relid);

/*
 * Throws unless the columns of the foreign tables and, when there is one, the
 * history are those of the definition: somebody altered them.
 */
extern void fs_view_check_relations(const FsViewDef *view, const FsStreamDef *stream);

/*
 * definition_width.c: throws when no table can have all the columns, or no row of
 * the history can have them; warns when that depends on their values.
 */
extern void fs_view_check_width(const FsViewDef *view, const FsViewColumn *columns, int ncolumns, bool has_history);

#endif							/* FS_CATALOG_VIEW_COLUMNS_H */
