/*
 * pinned.c
 *		Settings that a feature view captured; see pinned.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/pg_locale.h"

#include "catalog/pinned.h"

/* What follows looks at a setting where PostgreSQL keeps it. */

static bool
is_timezone(const char *value)
{
	const char *name = pg_get_timezone_name(session_timezone);

	return name != NULL && strcmp(name, value) == 0;
}

static bool
is_datestyle(const char *value)
{
	static const char *const styles[] = {"Postgres", "ISO", "SQL", "German"};
	static const char *const orders[] = {"YMD", "DMY", "MDY"};
	const char *style = styles[DateStyle];	/* an int of PostgreSQL's that only its check hook sets */
	size_t		len = strlen(style);

	StaticAssertStmt(USE_POSTGRES_DATES == 0 && USE_ISO_DATES == 1 && USE_SQL_DATES == 2 && USE_GERMAN_DATES == 3,
					 "styles are in the order of their codes");
	StaticAssertStmt(DATEORDER_YMD == 0 && DATEORDER_DMY == 1 && DATEORDER_MDY == 2,
					 "orders are in the order of their codes");
	Assert(DateStyle >= 0 && DateStyle < lengthof(styles));
	return strncmp(value, style, len) == 0 && strncmp(value + len, ", ", 2) == 0 &&
		strcmp(value + len + 2, orders[DateOrder]) == 0;
}

static bool
is_intervalstyle(const char *value)
{
	static const char *const styles[] = {"postgres", "postgres_verbose", "sql_standard", "iso_8601"};

	StaticAssertStmt(INTSTYLE_POSTGRES == 0 && INTSTYLE_POSTGRES_VERBOSE == 1 && INTSTYLE_SQL_STANDARD == 2 &&
					 INTSTYLE_ISO_8601 == 3, "styles are in the order of their codes");
	Assert(IntervalStyle >= 0 && IntervalStyle < lengthof(styles));
	return strcmp(value, styles[IntervalStyle]) == 0;
}

static bool
is_extra_float_digits(const char *value)
{
	return strtol(value, NULL, 10) == extra_float_digits;
}

static bool
is_bytea_output(const char *value)
{
	return strcmp(value, bytea_output == BYTEA_OUTPUT_HEX ? "hex" : "escape") == 0;
}

static bool
is_lc_monetary(const char *value)
{
	return strcmp(value, locale_monetary) == 0;
}

static bool
is_lc_numeric(const char *value)
{
	return strcmp(value, locale_numeric) == 0;
}

static bool
is_lc_time(const char *value)
{
	return strcmp(value, locale_time) == 0;
}

static bool
is_quote_all_identifiers(const char *value)
{
	return strcmp(value, quote_all_identifiers ? "on" : "off") == 0;
}

/* What can change how values look or are read, and whether a value is in force. */
static const struct
{
	const char *name;
	bool		(*is_in_force) (const char *value);
}			pinned_settings[] =
{
	{"TimeZone", is_timezone},
	{"DateStyle", is_datestyle},
	{"IntervalStyle", is_intervalstyle},
	{"extra_float_digits", is_extra_float_digits},
	{"bytea_output", is_bytea_output},
	{"lc_monetary", is_lc_monetary},
	{"lc_numeric", is_lc_numeric},
	{"lc_time", is_lc_time},
	{"quote_all_identifiers", is_quote_all_identifiers},
};

/* See pinned.h. */
void
fs_settings_capture(FsViewDef *view)
{
	view->settings = NIL;
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		const char *value = GetConfigOption(pinned_settings[i].name, false, false);

		view->settings = lappend(view->settings, pstrdup(pinned_settings[i].name));
		view->settings = lappend(view->settings, pstrdup(value));
	}
	if (view->force_replay)
		view->settings = list_concat(view->settings, list_make2(pstrdup(FS_FORCE_REPLAY), pstrdup("on")));
}

/* See pinned.h. */
bool
fs_setting_is_in_force(int at, const char *name, const char *value)
{
	if (at >= 0 && at < lengthof(pinned_settings) && strcmp(pinned_settings[at].name, name) == 0 &&
		pinned_settings[at].is_in_force(value))
		return true;
	return strcmp(GetConfigOption(name, false, false), value) == 0;
}
