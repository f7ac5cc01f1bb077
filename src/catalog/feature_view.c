/*
 * feature_view.c
 *		Reading feature views from the catalogs.
 *
 * What the user gave is in feature_stream.feature_view; the query is the stored
 * rule of the definition view.  Both are read directly, not through SPI: a
 * reader of a feature view needs no rights on the extension's tables, and the
 * result does not depend on any setting of the session.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "nodes/value.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/pinned.h"
#include "catalog/window.h"
#include "state/query.h"

/* A row of feature_stream.feature_view, its columns found by name. */
typedef struct ViewRow
{
	HeapTuple	tuple;
	TupleDesc	desc;
} ViewRow;

/* The value of a column; throws when there is no such column. */
static Datum
get_value(const ViewRow *row, const char *name, bool *isnull)
{
	for (int i = 0; i < row->desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(row->desc, i)->attname), name) == 0)
			return heap_getattr(row->tuple, i + 1, row->desc, isnull);
	elog(ERROR, "feature_stream.feature_view has no column \"%s\"", name);
	return (Datum) 0;			/* not reached */
}

static Oid
get_oid(const ViewRow *row, const char *name)
{
	bool		isnull;
	Datum		value = get_value(row, name, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/* A text, palloc'd, or NULL. */
static char *
get_text(const ViewRow *row, const char *name)
{
	bool		isnull;
	Datum		value = get_value(row, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* An interval in microseconds; 0 for NULL. */
static int64
get_span(const ViewRow *row, const char *name)
{
	bool		isnull;
	Datum		value = get_value(row, name, &isnull);

	return isnull ? 0 : fs_interval_to_usec(DatumGetIntervalP(value), name, 1);
}

/* Reads windows and slide. */
static void
load_windows(FsViewDef *view, const ViewRow *row)
{
	bool		isnull;
	Datum		value = get_value(row, "windows", &isnull);
	Datum	   *elements;

	Assert(!isnull);
	view->slide = get_span(row, "slide");
	deconstruct_array(DatumGetArrayTypePCopy(value), INTERVALOID,
					  sizeof(Interval), false, TYPALIGN_DOUBLE, &elements,
					  NULL, &view->nwindows);
	view->windows = palloc(Max(view->nwindows, 1) * sizeof(int64));
	for (int i = 0; i < view->nwindows; i++)
		view->windows[i] = fs_interval_to_usec(DatumGetIntervalP(elements[i]),
											   "window", 1);
}

/* Reads what the user said about emission, history and stores. */
static void
load_emission(FsViewDef *view, const ViewRow *row)
{
	bool		isnull;
	Datum		online = get_value(row, "online", &isnull);
	Datum		offline;
	char	   *mode = get_text(row, "history_mode");

	view->online_server = isnull ? InvalidOid :
		get_foreign_server_oid(NameStr(*DatumGetName(online)), false);
	offline = get_value(row, "offline", &isnull);
	view->offline_server = isnull ? InvalidOid :
		get_foreign_server_oid(NameStr(*DatumGetName(offline)), false);
	offline = get_value(row, "offline_partition_by", &isnull);
	view->offline_partition_by = isnull ? NULL : DatumGetArrayTypePCopy(offline);
	view->offline_interval = get_span(row, "offline_interval");
	view->online_key = get_text(row, "online_key");
	view->online_ttl = get_span(row, "online_ttl");
	view->on_empty = strcmp(get_text(row, "on_empty"), "set") == 0 ?
		FS_ON_EMPTY_SET : FS_ON_EMPTY_DELETE;
	view->emit_every_slide = strcmp(get_text(row, "emit"), "every_slide") == 0;
	view->history_mode = strcmp(mode, "none") == 0 ? FS_HISTORY_NONE :
		strcmp(mode, "thinned") == 0 ? FS_HISTORY_THINNED : FS_HISTORY_ALL;
	view->history_interval = get_span(row, "history_interval");
	view->history_retention = get_span(row, "history_retention");
}

/* Reads the settings captured at creation: name, value, name, value ... */
static void
load_settings(FsViewDef *view, const ViewRow *row)
{
	bool		isnull;
	Datum		value = get_value(row, "settings", &isnull);
	Datum	   *elements;
	int			count;

	Assert(!isnull);
	deconstruct_array(DatumGetArrayTypePCopy(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &count);
	Assert(count % 2 == 0);
	view->settings = NIL;
	for (int i = 0; i < count; i += 2)
	{
		char	   *name = TextDatumGetCString(elements[i]);

		if (strcmp(name, FS_FORCE_REPLAY) == 0)
			view->force_replay = true;
		else
			view->settings = lappend(lappend(view->settings, name), TextDatumGetCString(elements[i + 1]));
	}
}

/* See feature_view.h. */
Query *
fs_view_query(Oid definition)
{
	Relation	rel = try_relation_open(definition, AccessShareLock);
	Query	   *query;

	if (rel == NULL || rel->rd_rel->relkind != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the definition of the feature view does not exist"),
				 errdetail("There is no view with OID %u.", definition)));
	query = copyObject(get_view_query(rel));
	relation_close(rel, NoLock);
	return query;
}

/* Names and owner of the view's foreign table. */
static void
load_relation(FsViewDef *view)
{
	Relation	rel = try_relation_open(view->relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature view with OID %u does not exist", view->relid)));
	view->owner = rel->rd_rel->relowner;
	view->schema = get_namespace_name(RelationGetNamespace(rel));
	view->name = pstrdup(RelationGetRelationName(rel));
	relation_close(rel, NoLock);
}

/* Reads the names of columns that only the history still has. */
static void
load_past_columns(FsViewDef *view, const ViewRow *row)
{
	bool		isnull;
	Datum		value = get_value(row, "past_columns", &isnull);

	Assert(!isnull);
	view->past_columns = fs_query_names(value);
}

/* Sets what the row of a view says, whose foreign table is locked. */
static void
load_row(FsViewDef *view, const ViewRow *row)
{
	view->stream = get_oid(row, "stream");
	view->definition = get_oid(row, "definition");
	view->history = get_oid(row, "history");
	view->live = get_oid(row, "live");
	load_relation(view);
	if (OidIsValid(view->history) && get_rel_name(view->history) == NULL)
		view->history = InvalidOid;
	if (OidIsValid(view->live) && get_rel_name(view->live) == NULL)
		view->live = InvalidOid;
	load_windows(view, row);
	load_emission(view, row);
	load_settings(view, row);
	load_past_columns(view, row);
}

/* Rows of feature_stream.feature_view whose column 'name' is 'key', copied. */
static List *
read_rows(const char *name, Oid key, TupleDesc *desc)
{
	Oid			relid = fs_extension_relation("feature_view");
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData skey;
	HeapTuple	tuple;
	List	   *rows = NIL;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension feature_stream is not installed in this database"),
				 errhint("CREATE EXTENSION feature_stream.")));
	rel = table_open(relid, AccessShareLock);
	ScanKeyInit(&skey, get_attnum(relid, name), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key));
	*desc = CreateTupleDescCopy(RelationGetDescr(rel));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &skey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		rows = lappend(rows, toast_flatten_tuple(tuple, *desc));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return rows;
}

/*
 * Loads a view; 'stream' may be given when it is loaded already.  The row is
 * read under a lock on the foreign table, so that it goes with the relations it
 * names.  NULL when it is gone.
 */
static FsViewDef *
load_view(Oid relid, const FsStreamDef *stream)
{
	FsViewDef  *view = palloc0(sizeof(FsViewDef));
	ViewRow		row;
	List	   *rows;

	LockRelationOid(relid, AccessShareLock);
	rows = read_rows("view", relid, &row.desc);
	if (rows == NIL)
		return NULL;
	row.tuple = linitial(rows);
	view->relid = relid;
	load_row(view, &row);
	if (stream == NULL)
		stream = fs_stream_load(view->stream);
	fs_view_compile(view, fs_view_query(view->definition), stream);
	fs_window_finish(view, stream);
	return view;
}

/* See feature_view.h. */
FsViewDef *
fs_view_load(Oid relid)
{
	ViewRow		row;
	FsViewDef  *view = NULL;

	if (read_rows("view", relid, &row.desc) != NIL)
		view = load_view(relid, NULL);
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s is not a feature view", fs_relation_name(relid)),
				 errhint("Feature views are made by feature_stream.create_feature_view().")));
	return view;
}

/* See feature_view.h. */
Oid
fs_view_of_live(Oid relid)
{
	ViewRow		row;
	List	   *rows = read_rows("live", relid, &row.desc);

	if (rows == NIL)
		return InvalidOid;
	row.tuple = linitial(rows);
	return get_oid(&row, "view");
}

/* See feature_view.h. */
Oid
fs_view_live(Oid view)
{
	ViewRow		row;
	List	   *rows = read_rows("view", view, &row.desc);
	Oid			live;

	if (rows == NIL)
		return InvalidOid;
	row.tuple = linitial(rows);
	live = get_oid(&row, "live");
	return get_rel_relkind(live) == RELKIND_FOREIGN_TABLE ? live : InvalidOid;
}

static int
compare_views(const ListCell *a, const ListCell *b)
{
	const FsViewDef *x = lfirst(a);
	const FsViewDef *y = lfirst(b);

	return (x->relid > y->relid) - (x->relid < y->relid);
}

/* See feature_view.h. */
List *
fs_view_list(Oid stream)
{
	ViewRow		row;
	List	   *rows = read_rows("stream", stream, &row.desc);
	FsStreamDef *def = rows != NIL ? fs_stream_load(stream) : NULL;
	List	   *views = NIL;
	ListCell   *lc;

	foreach(lc, rows)
	{
		FsViewDef  *view;

		row.tuple = lfirst(lc);
		view = load_view(get_oid(&row, "view"), def);
		if (view != NULL)
			views = lappend(views, view);
	}
	list_sort(views, compare_views);
	return views;
}
