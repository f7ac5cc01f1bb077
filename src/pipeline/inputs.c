/*
 * inputs.c
 *		What a feature view evaluates of each event: WHERE, arguments, FILTERs, keys.
 *
 * Called by contract.c, which has put the event into a slot, is the view's
 * owner, and catches what is raised: the event does not count in the view then.
 */
#include "postgres.h"

#include "executor/executor.h"

#include "catalog/run_as.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"
#include "pipeline/values.h"

/* Compiles one expression, and adds it to those that read the slot. */
static ExprState *
prepare_expression(Node *expr, List **expressions)
{
	*expressions = lappend(*expressions, expr);
	return ExecInitExpr((Expr *) expr, NULL);
}

/*
 * Compiles a view's expressions, as its owner: that is whose rights functions
 * are called with.  Returns the expressions, for who has to provide what they
 * read.
 */
List *
fs_inputs_prepare(FsView *view)
{
	const FsViewDef *def = view->def;
	List	   *expressions = NIL;
	ListCell   *lc;
	FsRunAs		scope;

	fs_run_as_begin(&scope, def->owner, def->settings);
	if (def->where != NULL)
		view->where = prepare_expression(def->where, &expressions);
	view->inputs = palloc0(sizeof(ExprState *) * Max(def->ninputs, 1));
	for (int i = 0; i < def->ninputs; i++)
		if (def->inputs[i].expr != NULL)
			view->inputs[i] = prepare_expression(def->inputs[i].expr, &expressions);
	for (int i = 0; i < def->nentity; i++)
		view->has_key_expressions |= view->inputs[def->entity[i]] != NULL;
	view->guards = palloc0(sizeof(ExprState *) * Max(list_length(def->guards), 1));
	foreach(lc, def->guards)
		view->guards[foreach_current_index(lc)] = prepare_expression(lfirst(lc), &expressions);
	view->has_expressions = expressions != NIL;
	fs_run_as_end(&scope);
	return expressions;
}

/* Throws when a value of so many bytes is longer than can be kept. */
static void
check_length(size_t len)
{
	if (len > FS_DICTIONARY_MAX_VALUE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value has %zu bytes, more than can be kept (%d)", len, FS_DICTIONARY_MAX_VALUE)));
}

/*
 * The value of a column, made in 'context'; throws, and leaves nothing there,
 * when it is longer than can be kept.  Numbers never are, and expressions that
 * are arrays are not kept.
 */
static FsValue
keep_datum(const FsColumn *column, Datum datum, MemoryContext context)
{
	MemoryContext old;
	FsValue		value;

	Assert(!fs_type_is_array(column->type));
	if (column->type == FS_TYPE_TEXT)
		check_length(VARSIZE_ANY_EXHDR(DatumGetTextPP(datum)));
	old = MemoryContextSwitchTo(context);
	value = fs_datum_value(column, datum);
	MemoryContextSwitchTo(old);
	if (column->type == FS_TYPE_JSONB && value.len > FS_DICTIONARY_MAX_VALUE)
	{
		pfree(unconstify(char *, value.data));
		check_length(value.len);
	}
	return value;
}

/* See values.h. */
void
fs_datum_check_kept(const FsColumn *column, Datum datum)
{
	FsValue		value;

	if (column->type == FS_TYPE_TEXT)
		check_length(VARSIZE_ANY_EXHDR(DatumGetTextPP(datum)));
	else if (column->type == FS_TYPE_JSONB)
	{
		value = keep_datum(column, datum, CurrentMemoryContext);
		pfree(unconstify(char *, value.data));
	}
}

/* The expressions that a view takes from events, into the event's values. */
static void
evaluate_inputs(FsView *view, FsEvent *event, ExprContext *econtext, MemoryContext context)
{
	for (int i = 0; i < view->def->ninputs; i++)
	{
		FsValue    *value = &event->values[view->value_of[i]];
		bool		isnull;
		Datum		datum;

		if (view->inputs[i] == NULL)
			continue;
		datum = ExecEvalExprSwitchContext(view->inputs[i], econtext, &isnull);
		value->presence = FS_NULL;
		if (!isnull)
			*value = keep_datum(&view->def->inputs[i].column, datum, context);
	}
}

/* Throws unless entity columns that are expressions make a key. */
static void
check_key(const FsView *view, const FsEvent *event)
{
	char		key[FS_ENTITY_MAX_KEY];

	for (int i = 0; i < view->def->nentity; i++)
		if (view->inputs[view->def->entity[i]] != NULL &&
			fs_input_value(view, event->values, view->def->entity[i])->presence != FS_PRESENT)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("entity column \"%s\" is null", fs_view_entity(view->def, i)->name)));
	if (fs_key_of_values(view, event->values, key) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("key is longer than %d bytes", FS_ENTITY_MAX_KEY)));
}

/*
 * WHERE, and for an event that passes it everything else; values of inputs are
 * made in 'context'.  Takes the view's bit off event->where_mask when the event
 * does not pass.
 */
void
fs_inputs_evaluate(FsView *view, FsEvent *event, uint32 bit, ExprContext *econtext, MemoryContext context)
{
	bool		isnull;

	if (view->where != NULL &&
		(!DatumGetBool(ExecEvalExprSwitchContext(view->where, econtext, &isnull)) || isnull))
	{
		event->where_mask &= ~bit;
		return;
	}
	evaluate_inputs(view, event, econtext, context);
	for (int i = 0; i < list_length(view->def->guards); i++)
		(void) ExecEvalExprSwitchContext(view->guards[i], econtext, &isnull);
	if (view->has_key_expressions)
		check_key(view, event);
}
