/*
 * pinned.h
 *		Settings that a feature view captured when it was created.
 *
 * What depends on them comes out as it would have for the creator: in the
 * worker, for every reader, in verification.  run_as.h puts them in force.
 */
#ifndef FS_CATALOG_PINNED_H
#define FS_CATALOG_PINNED_H

#include "catalog/feature_view_def.h"

/* Captures the current values in view->settings. */
extern void fs_settings_capture(FsViewDef *view);

#endif							/* FS_CATALOG_PINNED_H */
