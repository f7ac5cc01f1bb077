/*
 * run_as.c
 *		Running what a user defined, as that user and with pinned settings.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "catalog/pinned.h"
#include "catalog/run_as.h"

/* Setting a value costs far more than looking whether it is in force. */
static void
set_for_scope(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* See run_as.h. */
void
fs_run_as_pin(List *settings)
{
	if (namespace_search_path[0] != '\0')
		set_for_scope("search_path", "");
	for (int i = 0; i < list_length(settings); i += 2)
	{
		const char *name = list_nth(settings, i);
		const char *value = list_nth(settings, i + 1);

		if (!fs_setting_is_in_force(i / 2, name, value))
			set_for_scope(name, value);
	}
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
