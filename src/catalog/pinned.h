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

/*
 * Is 'value' the value of the setting 'name' now?  Asked for every event, so the
 * settings that views capture are looked at where they are kept, not by name;
 * 'at' is the setting's place among those captured (-1: none).
 */
extern bool fs_setting_is_in_force(int at, const char *name, const char *value);

#endif							/* FS_CATALOG_PINNED_H */
