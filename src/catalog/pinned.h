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

/*
 * Among them where it was on.  It is never put in force: readers and worker
 * compile the view in the same way whatever the setting is now.
 */
#define FS_FORCE_REPLAY "feature_stream.force_replay"

/* Captures the current values in view->settings, and view->force_replay. */
extern void fs_settings_capture(FsViewDef *view);

#endif							/* FS_CATALOG_PINNED_H */
