/*
 * view_columns.c
 *		The columns of a feature view's foreign table and history.
 *
 * One description serves creation, which makes the relations from it, and
 * every later change of them, which is held against it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/extension.h"
#include "catalog/view_columns.h"
#include "catalog/window.h"

/* Columns every view has besides entity and features; the last four are the history's alone. */
static const struct
{
	const char *name;
	Oid			typid;
	bool		history_only;
}			fixed_columns[] =
{
	{"window_end", TIMESTAMPTZOID, false},
	{"computed_at", TIMESTAMPTZOID, false},
	{"available_at", TIMESTAMPTZOID, true},
	{"complete", BOOLOID, true},
	{"backfilled", BOOLOID, true},
	{"revision", INT4OID, true},
};

/* Throws when the last of the columns has a name that cannot be. */
static void
check_name(const FsViewColumn *columns, int ncolumns)
{
	const char *name = columns[ncolumns - 1].name;

	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("column name \"%s\" is too long", name),
				 errdetail("Names can have %d bytes; those of features end in the length of their window.",
						   NAMEDATALEN - 1),
				 errhint("Give the column a shorter name with AS.")));
	for (int i = 0; i < ncolumns - 1; i++)
		if (strcmp(columns[i].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column name \"%s\" appears twice", name),
					 errdetail("A feature view has its entity columns, <feature>_<window> for each feature and window, and window_end, computed_at, available_at, complete, backfilled and revision."),
					 errhint("Give the column another name with AS.")));
}

/*
 * Adds a column that stands for nothing yet; throws when it has the name of an
 * earlier one.  The caller sets what it is.
 */
static FsViewColumn *
add_column(FsViewColumn *columns, int *ncolumns, char *name, Oid typid, Oid collation)
{
	FsViewColumn *column = &columns[(*ncolumns)++];

	column->name = name;
	column->typid = typid;
	column->typmod = -1;
	column->collation = collation;
	column->feature = column->window = column->entity = column->stream_column = -1;
	column->history_only = false;
	check_name(columns, *ncolumns);
	return column;
}

/* Type of a view's column for an entity column or feature is the query's own. */
static void
add_feature(FsViewColumn *columns, int *ncolumns, const FsViewDef *view,
			int window, int index)
{
	const FsFeature *feature = &view->features[index];
	FsViewColumn *column;

	Assert(window < view->nwindows && index < view->nfeatures);
	column = add_column(columns, ncolumns,
						psprintf("%s_%s", feature->name, view->suffixes[window]),
						feature->type, feature->collation);
	column->typmod = feature->typmod;
	column->window = window;
	column->feature = index;
}

/* See view_columns.h. */
FsViewColumn *
fs_view_columns(const FsViewDef *view, const FsStreamDef *stream, int *ncolumns)
{
	FsViewColumn *columns;

	columns = palloc0((fs_view_natts(view) + lengthof(fixed_columns)) *
					  sizeof(FsViewColumn));
	*ncolumns = 0;
	for (int i = 0; i < view->noutputs; i++)
	{
		const FsOutput *output = &view->outputs[i];
		FsViewColumn *column;
		int			index;

		if (!output->is_entity)
			continue;
		index = output->index;
		column = add_column(columns, ncolumns, output->name,
							fs_view_entity(view, index)->typid,
							fs_view_entity(view, index)->collation);
		column->entity = index;
		column->stream_column = view->inputs[view->entity[index]].stream_column;
	}
	for (int w = 0; w < view->nwindows; w++)
		for (int f = 0; f < view->nfeatures; f++)
			add_feature(columns, ncolumns, view, w, f);
	for (int i = 0; i < lengthof(fixed_columns); i++)
		add_column(columns, ncolumns, pstrdup(fixed_columns[i].name),
				   fixed_columns[i].typid,
				   InvalidOid)->history_only = fixed_columns[i].history_only;
	Assert(*ncolumns == fs_view_natts(view) + 4);
	return columns;
}

/* See view_columns.h. */
AttrNumber *
fs_view_attnums(const FsViewColumn *columns, int ncolumns, Oid relid)
{
	AttrNumber *attnums = palloc(sizeof(AttrNumber) * ncolumns);

	for (int i = 0; i < ncolumns; i++)
		attnums[i] = get_attnum(relid, columns[i].name);
	return attnums;
}

/*
 * Has the attribute the column's type?  One without a modifier takes all values
 * of the type; another one than the column's would not be that of the values,
 * which are stored as they were computed.
 */
static bool
has_type(Form_pg_attribute attribute, const FsViewColumn *column)
{
	return attribute->atttypid == column->typid &&
		(attribute->atttypmod == -1 || attribute->atttypmod == column->typmod);
}

/* Does the relation have 'columns', and no others but 'past' ones?  Entity columns have their places. */
static bool
has_columns(TupleDesc desc, const FsViewColumn *columns, int ncolumns, const AttrNumber *attnums,
			const List *past)
{
	int			others = -ncolumns;

	for (int i = 0; i < desc->natts; i++)
		others += !TupleDescAttr(desc, i)->attisdropped &&
			!list_member(past, makeString(NameStr(TupleDescAttr(desc, i)->attname)));
	for (int i = 0; i < ncolumns; i++)
		if (attnums[i] <= InvalidAttrNumber ||
			(columns[i].entity >= 0 && attnums[i] != i + 1) ||
			!has_type(TupleDescAttr(desc, attnums[i] - 1), &columns[i]))
			return false;
	return others == 0;
}

/* Throws unless the relation's columns are 'columns', without others but 'past' ones. */
static void
check_relation(const FsViewDef *view, Oid relid, const FsViewColumn *columns,
			   int ncolumns, const List *past)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		same = has_columns(RelationGetDescr(rel), columns, ncolumns,
								   fs_view_attnums(columns, ncolumns, relid), past);

	relation_close(rel, NoLock);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change the columns of %s",
						fs_relation_name(relid)),
				 errdetail("They follow from the query and the windows of feature view %s.",
						   quote_qualified_identifier(view->schema, view->name)),
				 errhint("Add and drop features with feature_stream.alter_feature_view().")));
}

/* See view_columns.h. */
void
fs_view_check_relations(const FsViewDef *view, const FsStreamDef *stream)
{
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(view, stream, &ncolumns);

	check_relation(view, view->relid, columns, fs_view_natts(view), NIL);
	if (OidIsValid(view->live))
		check_relation(view, view->live, columns, fs_view_natts(view), NIL);
	if (OidIsValid(view->history))
		check_relation(view, view->history, columns, ncolumns, view->past_columns);
}
