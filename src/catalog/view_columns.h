/*
 * view_columns.h
 *		The columns of a feature view's foreign table and history, in order.
 */
#ifndef FS_CATALOG_VIEW_COLUMNS_H
#define FS_CATALOG_VIEW_COLUMNS_H

#include "catalog/feature_view_def.h"

typedef struct FsViewColumn
{
	char	   *name;
	Oid			typid;
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
 * Throws unless the columns of the foreign tables and, when there is one, the
 * history are those of the definition: somebody altered them.
 */
extern void fs_view_check_relations(const FsViewDef *view, const FsStreamDef *stream);

#endif							/* FS_CATALOG_VIEW_COLUMNS_H */
