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
	"bytea_output"
};

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
}

void
fs_settings_pin(const FsViewDef *view)
{
	Assert(list_length(view->settings) % 2 == 0);
	for (int i = 0; i + 1 < list_length(view->settings); i += 2)
	{
		const char *name = list_nth(view->settings, i);
		const char *value = list_nth(view->settings, i + 1);

		/* Setting a GUC costs far more than looking at it. */
		if (strcmp(GetConfigOption(name, false, false), value) != 0)
			(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
									 true, 0, false);
	}
}
