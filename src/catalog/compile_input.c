/*
 * compile_input.c
 *		The values that a feature view takes from events.
 *
 * A column of the stream, or an expression over its columns that is evaluated
 * once, when the event is folded: whatever it raises then belongs to that
 * event.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "catalog/compile.h"
#include "catalog/stream_contract.h"

/* Index of the stream's column that a planned expression is, or -1. */
static int
plain_column(const FsCompile *compile, Node *expr)
{
	Var		   *var = (Var *) expr;

	if (!IsA(expr, Var) || var->varlevelsup != 0 || var->varno != 1)
		return -1;
	return fs_stream_column_index(compile->stream, var->varattno);
}

/* Describes the values of an expression in *column; false when they cannot be kept. */
static bool
describe_expression(Node *expr, const char *what, FsColumn *column)
{
	memset(column, 0, sizeof(FsColumn));
	column->name = column->field = pstrdup(what);
	column->typid = exprType(expr);
	column->typmod = -1;		/* the expression has applied what there was */
	column->collation = exprCollation(expr);
	column->not_null = IsA(expr, BooleanTest) || IsA(expr, NullTest);
	/* an array that was computed may have more dimensions than one that was decoded */
	return fs_contract_type(column->typid, &column->type) && !fs_type_is_array(column->type);
}

/* See compile.h. */
int
fs_compile_input(FsCompile *compile, Node *expr, const char *what)
{
	FsViewDef  *view = compile->view;
	int			at = plain_column(compile, expr);
	FsInput		input = {.stream_column = at};

	for (int i = 0; i < view->ninputs; i++)
		if (at >= 0 ? view->inputs[i].stream_column == at : equal(view->inputs[i].expr, expr))
			return i;
	if (at >= 0)
		input.column = compile->stream->columns[at];
	else
	{
		fs_compile_check_columns(compile, expr, what);
		if (!describe_expression(expr, what, &input.column))
			return -1;
		input.expr = expr;
	}
	view->inputs = view->ninputs == 0 ? palloc(sizeof(FsInput)) :
		repalloc(view->inputs, sizeof(FsInput) * (view->ninputs + 1));
	view->inputs[view->ninputs] = input;
	return view->ninputs++;
}

/* See compile.h. */
int
fs_compile_keep(FsViewDef *view, int input)
{
	Assert(input >= 0 && input < view->ninputs);
	for (int i = 0; i < view->nkept; i++)
		if (view->kept[i] == input)
			return i;
	if (view->nkept == FS_MAX_KEPT_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("feature view aggregates more than %d columns", FS_MAX_KEPT_COLUMNS),
				 errhint("Split it into several feature views.")));
	view->kept[view->nkept] = input;
	return view->nkept++;
}

/* See compile.h. */
void
fs_compile_check_columns(FsCompile *compile, Node *expr, const char *what)
{
	List	   *vars = pull_var_clause(expr, PVC_RECURSE_AGGREGATES);
	ListCell   *lc;

	foreach(lc, vars)
	{
		const Var  *var = lfirst(lc);

		if (IsA(var, Var) && fs_stream_meta_column(compile->stream, var->varattno) != NULL)
			fs_compile_refuse(psprintf("column \"%s\" in %s",
									   fs_stream_meta_column(compile->stream, var->varattno)->name, what),
							  "Where a record stands in its topic is no part of its payload, and is not kept with the event.",
							  "Name columns that are fields of the payload.");
		if (plain_column(compile, lfirst(lc)) < 0)
			fs_compile_refuse(psprintf("system columns or whole rows in %s", what),
							  "Events have the declared columns alone.",
							  "Name the columns of the stream.");
	}
}
