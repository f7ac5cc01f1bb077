/*
 * settings.c
 *		Definition of the settings (GUCs) of feature_stream, in alphabetical order.
 *
 * Few on purpose: what belongs to one stream, one Redis or one view is an
 * option of its definition.  Written by the GUC machinery alone.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "ground/clock.h"
#include "ground/fault.h"
#include "ground/settings.h"

int			fs_checkpoint_interval = 30000;
int			fs_expression_timeout = 5000;
bool		fs_force_replay = false;
char	   *fs_lake_directory = NULL;
int			fs_max_topic_readers = 4;
int			fs_max_workers = 8;
int			fs_memory = 256;
double		fs_partial_log_ratio = 4;
int			fs_poll_batch_size = 1000;
int			fs_sink_timeout = 5000;
int			fs_worker_restart_delay = 1000;

/*
 * Defines the settings and reserves their prefix.  Only while
 * shared_preload_libraries is processed: some of them size shared memory.
 */
void
fs_settings_define(void)
{
	DefineCustomIntVariable("feature_stream.checkpoint_interval",
							"Sets the longest time between two checkpoints of a stream.",
							"State, offsets and output become durable together with each checkpoint.",
							&fs_checkpoint_interval,
							30000, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.expression_timeout",
							"Sets the longest time that a worker lets users' expressions of one event, or of one row, take.",
							"What takes longer fails as if it had raised an error. 0 turns this off.",
							&fs_expression_timeout,
							5000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("feature_stream.force_replay",
							 "Has the executor compute every aggregate of feature views made while it is on.",
							 "For finding out whether a native form of an aggregate is wrong or slow.",
							 &fs_force_replay,
							 false,
							 PGC_SUSET, GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("feature_stream.lake_directory",
							   "Sets the directory below which lakes of \"file:///\" can be.",
							   "If it is empty there can be none.",
							   &fs_lake_directory,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.max_topic_readers",
							"Sets the maximum number of scans of streams of the cluster that read their topics at the same time.",
							"Each one takes a slot of max_worker_processes while it runs.",
							&fs_max_topic_readers,
							4, 0, FS_MAX_TOPIC_READERS,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.max_workers",
							"Sets the maximum number of streams of the cluster, each with one ingest worker.",
							"Each one takes a slot of max_worker_processes while it runs.",
							&fs_max_workers,
							8, 1, 1024,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.memory",
							"Sets the shared memory that holds the window state of all streams.",
							NULL,
							&fs_memory,
							256, 16, FS_MEMORY_MAX,
							PGC_POSTMASTER, GUC_UNIT_MB,
							NULL, NULL, NULL);
	DefineCustomRealVariable("feature_stream.partial_log_ratio",
							 "Sets how many events a partial aggregate has to stand for, on average, to be stored for recovery.",
							 "1 stores those of every feature view that keeps any, 0 of none.",
							 &fs_partial_log_ratio,
							 4, 0, 1e6,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.poll_batch_size",
							"Sets how many records an ingest worker takes from a partition at once.",
							NULL,
							&fs_poll_batch_size,
							1000, 1, FS_POLL_BATCH_MAX,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.sink_timeout",
							"Sets the time after which an online store that does not answer counts as down.",
							NULL,
							&fs_sink_timeout,
							5000, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("feature_stream.worker_restart_delay",
							"Sets the time before a worker that failed is started again.",
							"It doubles with each failure, up to five minutes.",
							&fs_worker_restart_delay,
							1000, 10, 300000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	fs_fault_define();
	fs_clock_define();
	MarkGUCPrefixReserved("feature_stream");
}

/* See settings.h. */
void
fs_settings_turn_off(const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		(void) set_config_option(names[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
