/*
 * candidate.h
 *		A feature view that does not exist: a query with windows, checked and compiled.
 */
#ifndef FS_SQL_CANDIDATE_H
#define FS_SQL_CANDIDATE_H

#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "catalog/feature_view.h"

/*
 * Checks as create_feature_view does, and returns the definition; relid is
 * InvalidOid and the caller its owner.  Without a slide it is the stream's
 * slice.  Throws unless the current user may SELECT from the stream.
 */
extern FsViewDef *fs_candidate_compile(char *text, ArrayType *windows, Interval *slide,
									   FsStreamDef **stream, Query **query);

#endif							/* FS_SQL_CANDIDATE_H */
