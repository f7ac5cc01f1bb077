/*
 * compile.h
 *		From the query of a feature view to what the engine computes.
 *
 * Files: compile_query.c which shapes are accepted; compile_expression.c plans
 * expressions and says what they may call; compile_input.c the values taken
 * from events; compile_aggregate.c how each aggregate is computed,
 * compile_native.c which ones natively; compile_slices.c whether partial ones
 * are kept; compile.c puts them together.  fs_view_compile itself is declared
 * in feature_view.h.
 */
#ifndef FS_CATALOG_COMPILE_H
#define FS_CATALOG_COMPILE_H

#include "nodes/parsenodes.h"

#include "catalog/feature_view_def.h"

/* The query at hand. */
typedef struct FsCompile
{
	FsViewDef  *view;
	Query	   *query;
	const FsStreamDef *stream;
	Index		varno;			/* of the stream in the query's range table */
	List	   *groups;			/* planned GROUP BY expressions, in the order of view->entity */
} FsCompile;

/* Throws: "the query of a feature view cannot have (must have) what". */
extern void fs_compile_refuse(const char *what, const char *why, const char *hint) pg_attribute_noreturn();
extern void fs_compile_demand(const char *what, const char *why, const char *hint) pg_attribute_noreturn();

/*
 * The stream the query reads.  Throws when its FROM is anything but one
 * stream.  The query has been analyzed.
 */
extern Oid	fs_compile_stream(Query *query);

/* Range table index of the one thing in FROM; throws when there is none or more. */
extern Index fs_compile_from(Query *query);

/* Throws for clauses that a feature view cannot have. */
extern void fs_compile_check_clauses(const Query *query);

/*
 * A copy of an expression of the query, planned as the view's owner, with the
 * stream as varno 1.  Throws when what it calls may give another result for
 * the same events later.
 * 'what' names the expression in messages.
 */
extern Node *fs_compile_plan(FsCompile *compile, Node *expr, const char *what);

/*
 * Index into view->inputs of a planned expression's value, added when it is
 * new; -1 when values of its type cannot be kept.  'what' names the expression
 * in messages.
 */
extern int	fs_compile_input(FsCompile *compile, Node *expr, const char *what);

/* Index into view->kept of an input, added when it is new. */
extern int	fs_compile_keep(FsViewDef *view, int input);

/* Throws for columns in a planned expression that are none of the stream's own. */
extern void fs_compile_check_columns(FsCompile *compile, Node *expr, const char *what);

/*
 * Sets kind, order and strictness of a planned aggregate that has a native
 * form and returns NULL; else returns why it has none.
 */
extern const char *fs_compile_native(const Aggref *aggref, FsAggregate *aggregate);

/* NULL when a planned aggregate can be put together from states of parts of its events; else why not. */
extern const char *fs_compile_combine(const Aggref *aggref);

/* What an aggregate sorts its events by: SortGroupClauses over its args. */
extern List *fs_compile_sort_clauses(const Aggref *aggref);

/* Index into view->aggregates of a planned aggregate, added when it is new. */
extern int	fs_compile_aggregate(FsCompile *compile, Aggref *aggref);

/* Decides whether the view, compiled but for that, keeps partial aggregates, or states in the place of events. */
extern void fs_compile_slices(FsViewDef *view);

#endif							/* FS_CATALOG_COMPILE_H */
