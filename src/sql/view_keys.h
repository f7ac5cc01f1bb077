/*
 * view_keys.h
 *		Conditions on the entity columns of a feature view that make a key look-up.
 */
#ifndef FS_SQL_VIEW_KEYS_H
#define FS_SQL_VIEW_KEYS_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/*
 * Picks from a List of RestrictInfos one condition for each entity column
 * (attributes 1 .. nentity of 'rel').  Returns them in column order, each with
 * the column on its left side: column = value (OpExpr) or column = ANY (array)
 * (ScalarArrayOpExpr); NIL when a column has none.
 */
extern List *fs_view_keys_choose(PlannerInfo *root, RelOptInfo *rel, int nentity, List *restrictions);

/*
 * The sets of other relations (a List of Relids) that a look-up could take its
 * key from: from each one join condition on an entity column, and their unions.
 */
extern List *fs_view_keys_outer_relids(PlannerInfo *root, RelOptInfo *rel, int nentity);

/* How many keys the chosen conditions will name, about. */
extern double fs_view_keys_estimate(List *keys);

#endif							/* FS_SQL_VIEW_KEYS_H */
