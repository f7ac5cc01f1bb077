/*
 * lineage.c
 *		What the query of a feature view is made of, for the registry.
 *
 * The stored query is PostgreSQL's own and follows renames, so nothing of it is
 * kept elsewhere that could go stale.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "catalog/lineage.h"

/* A definition view has passed create_feature_view: it reads one relation. */
static int
find_stream(Query *query, Oid *stream)
{
	RangeTblRef *ref = linitial_node(RangeTblRef, query->jointree->fromlist);

	Assert(list_length(query->jointree->fromlist) == 1);
	*stream = rt_fetch(ref->rtindex, query->rtable)->relid;
	Assert(OidIsValid(*stream));
	return ref->rtindex;
}

/* See lineage.h. */
bool
fs_lineage_is_grouping(const Query *query, const TargetEntry *tle)
{
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		if (tle->ressortgroupref != 0 &&
			lfirst_node(SortGroupClause, lc)->tleSortGroupRef == tle->ressortgroupref)
			return true;
	}
	return false;
}

static int
count_columns(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	int			natts = RelationGetNumberOfAttributes(rel);

	relation_close(rel, NoLock);
	return natts;
}

/* Adds the attribute numbers of 'varno' in an expression; a whole row is every column. */
static Bitmapset *
add_columns(Bitmapset *columns, Node *node, int varno, Oid stream)
{
	Bitmapset  *attnos = NULL;
	int			shifted = -1;

	pull_varattnos(node, varno, &attnos);
	while ((shifted = bms_next_member(attnos, shifted)) >= 0)
	{
		int			attnum = shifted + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			columns = bms_add_member(columns, attnum);
		else if (attnum == InvalidAttrNumber)
			columns = bms_add_range(columns, 1, count_columns(stream));
	}
	return columns;
}

/* The column that the stream's option event_time names. */
static AttrNumber
find_event_time(Oid stream)
{
	ListCell   *lc;

	if (get_rel_relkind(stream) != RELKIND_FOREIGN_TABLE)
		return InvalidAttrNumber;
	foreach(lc, GetForeignTable(stream)->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "event_time") == 0)
			return get_attnum(stream, defGetString(option));
	}
	return InvalidAttrNumber;
}

/* One target that is no grouping column. */
static FsLineageFeature *
read_feature(const TargetEntry *tle, int varno, Oid stream)
{
	FsLineageFeature  *feature = palloc0(sizeof(FsLineageFeature));
	Node	   *expr = (Node *) copyObject(tle->expr);

	feature->name = pstrdup(tle->resname);
	feature->columns = add_columns(NULL, expr, varno, stream);
	ChangeVarNodes(expr, varno, 1, 0);
	feature->expression = deparse_expression(expr,
											 deparse_context_for(get_rel_name(stream), stream),
											 false, false);
	return feature;
}

/* See lineage.h. */
FsLineage *
fs_lineage_read(Query *query)
{
	FsLineage  *lineage = palloc0(sizeof(FsLineage));
	int			varno = find_stream(query, &lineage->stream);
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (fs_lineage_is_grouping(query, tle))
			lineage->entity = add_columns(lineage->entity, (Node *) tle->expr,
										  varno, lineage->stream);
		else if (!tle->resjunk)
			lineage->features = lappend(lineage->features,
										read_feature(tle, varno, lineage->stream));
	}
	lineage->filter = add_columns(NULL, query->jointree->quals, varno, lineage->stream);
	lineage->event_time = find_event_time(lineage->stream);
	return lineage;
}

/* See lineage.h. */
FsLineage *
fs_lineage_load(Oid definition)
{
	Relation	rel = try_relation_open(definition, AccessShareLock);
	FsLineage  *lineage = NULL;

	if (rel == NULL)
		return NULL;
	if (rel->rd_rel->relkind == RELKIND_VIEW)
		lineage = fs_lineage_read(get_view_query(rel));
	relation_close(rel, NoLock);
	return lineage;
}
