/*
 * lake.h
 *		Feature views that are exported to a lake: what DDL does about it.
 *
 * The view's row in feature_stream.feature_view says what the user wants; a row
 * in lake_export says that the export is on, from a known set of rows: those in
 * lake_chunk.  Each transaction that writes history rows enters what it wrote
 * there (pipeline/history_writer.c), and the lake's worker takes it out in the
 * transaction that makes it part of the lake (pipeline/lake_export.h).
 */
#ifndef FS_CATALOG_LAKE_H
#define FS_CATALOG_LAKE_H

#include "postgres.h"

#include "catalog/feature_view_def.h"
#include "catalog/view_request.h"
#include "core/iceberg_transform.h"

#define FS_LAKE_DEFAULT_INTERVAL (5 * 60)	/* s between two exports */

/*
 * Checks what the request says of the lake against the view; completes it with
 * the defaults and sets view->offline_server.  Throws when something cannot be,
 * before anything is made but the view.
 */
extern void fs_lake_check(FsViewDef *view, FsViewRequest *request);

/*
 * Begins the export: what the history has, and what comes.  'is_new': nobody can
 * have written the history.  Else writers wait until the transaction ends.
 */
extern void fs_lake_attach(const FsViewDef *view, const FsViewRequest *request, bool is_new);

/* Ends it; the table in the lake stays as it is. */
extern void fs_lake_detach(const FsViewDef *view);

/* Throws when the lake's table cannot follow the history's columns, which were changed. */
extern void fs_lake_check_change(const FsViewDef *view);

/* Throws when the history has rows that are not here: a foreign table for a partition. */
extern void fs_lake_check_history(Oid history);

/* Reads how a table is partitioned from what the user wrote; 'memory' keeps the names.  Throws for what cannot be read. */
extern FsIcebergPartition *fs_lake_read_partitions(ArrayType *texts, FsScratch *memory, int *n);

#endif							/* FS_CATALOG_LAKE_H */
