/*
 * view_unavailable.h
 *		Why a feature view cannot be read now: errors that say what state it is in.
 *
 * All of them throw 55000, so that a client can tell "no row" from "no answer".
 */
#ifndef FS_SQL_VIEW_UNAVAILABLE_H
#define FS_SQL_VIEW_UNAVAILABLE_H

#include "catalog/feature_view.h"

/* Its stream has no worker, or one that has not rebuilt the state yet. */
extern void fs_view_unavailable(const FsViewDef *view) pg_attribute_noreturn();

/* The worker's state was made from another definition. */
extern void fs_view_outdated(const FsViewDef *view) pg_attribute_noreturn();

/* By pause_feature_view(). */
extern void fs_view_paused(const FsViewDef *view) pg_attribute_noreturn();

/* The worker was restarted during a scan. */
extern void fs_view_interrupted(const FsViewDef *view) pg_attribute_noreturn();

/* No consistent reading succeeded. */
extern void fs_view_too_busy(const FsViewDef *view) pg_attribute_noreturn();

#endif							/* FS_SQL_VIEW_UNAVAILABLE_H */
