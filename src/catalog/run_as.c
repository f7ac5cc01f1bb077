/*
 * run_as.c
 *		Running what a user defined, as that user and with pinned settings.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/pg_locale.h"

#include "catalog/run_as.h"

/* The value of a setting; some need not be searched for by name, which costs more than all else here. */
static const char *
look_at(const char *name)
{
	if (strcmp(name, "lc_monetary") == 0)
		return locale_monetary;
	if (strcmp(name, "lc_numeric") == 0)
		return locale_numeric;
	if (strcmp(name, "lc_time") == 0)
		return locale_time;
	if (strcmp(name, "quote_all_identifiers") == 0)
		return quote_all_identifiers ? "on" : "off";
	return GetConfigOption(name, false, false);
}

/* Setting a value costs far more than looking at it. */
static void
set_for_scope(const char *name, const char *value)
{
	if (strcmp(look_at(name), value) == 0)
		return;
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* See run_as.h. */
void
fs_run_as_pin(List *settings)
{
	set_for_scope("search_path", "");
	for (int i = 0; i < list_length(settings); i += 2)
		set_for_scope(list_nth(settings, i), list_nth(settings, i + 1));
}

/* See run_as.h. */
void
fs_run_as_begin(FsRunAs *scope, Oid role, List *settings)
{
	Assert(IsTransactionState());
	Assert(list_length(settings) % 2 == 0);
	GetUserIdAndSecContext(&scope->user, &scope->security);
	scope->guc_level = NewGUCNestLevel();
	fs_run_as_pin(settings);
	SetUserIdAndSecContext(role, scope->security | SECURITY_RESTRICTED_OPERATION);
}

/* See run_as.h. */
void
fs_run_as_end(FsRunAs *scope)
{
	Assert(scope->guc_level > 0);
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->security);
}
