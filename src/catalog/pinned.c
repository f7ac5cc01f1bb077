/*
 * pinned.c
 *		Settings that a feature view captured; see pinned.h.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "catalog/pinned.h"

/* What can change how values look or are read. */
static const char *const pinned_settings[] = {
	"TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits",
	"bytea_output", "lc_monetary", "lc_numeric", "lc_time", "quote_all_identifiers"
};

/* See pinned.h. */
void
fs_settings_capture(FsViewDef *view)
{
	view->settings = NIL;
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		const char *value = GetConfigOption(pinned_settings[i], false, false);

		view->settings = lappend(view->settings, pstrdup(pinned_settings[i]));
		view->settings = lappend(view->settings, pstrdup(value));
	}
	if (view->force_replay)
		view->settings = list_concat(view->settings, list_make2(pstrdup(FS_FORCE_REPLAY), pstrdup("on")));
}
