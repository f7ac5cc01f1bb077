/*
 * fault.c
 *		Fault points for tests; see fault.h.
 */
#include "postgres.h"

#include "ground/fault.h"

#ifdef FS_FAULTS

#include <signal.h>
#include <unistd.h>

#include "utils/guc.h"

static char *fault_setting = NULL;
static int	passages = 0;

/* Defines feature_stream.fault. */
void
fs_fault_define(void)
{
	DefineCustomStringVariable("feature_stream.fault",
							   "Makes a process fail at a named point; for tests only.",
							   "Format: name:action:n, action crash or error.",
							   &fault_setting,
							   "", PGC_SIGHUP, GUC_NOT_IN_SAMPLE,
							   NULL, NULL, NULL);
}

/* Passes a point; does not return when its time has come and the action is 'crash'. */
void
fs_fault_pass(const char *name)
{
	size_t		len = strlen(name);
	char		action[16];
	int			n;

	if (fault_setting == NULL || strncmp(fault_setting, name, len) != 0 || fault_setting[len] != ':')
		return;
	if (sscanf(fault_setting + len + 1, "%15[a-z]:%d", action, &n) != 2 || ++passages != n)
		return;
	passages = 0;
	if (strcmp(action, "crash") == 0)
		kill(getpid(), SIGKILL);
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("fault point \"%s\" was told to fail", name)));
}

#endif							/* FS_FAULTS */
