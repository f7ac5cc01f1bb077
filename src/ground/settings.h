/*
 * settings.h
 *		The settings (GUCs) of feature_stream.
 */
#ifndef FS_GROUND_SETTINGS_H
#define FS_GROUND_SETTINGS_H

#include "postgres.h"

/* Largest feature_stream.poll_batch_size. */
#define FS_POLL_BATCH_MAX 10000

/* Largest feature_stream.memory, in MB: what handles can name (state/arena.h). */
#define FS_MEMORY_MAX 32767

/* Largest feature_stream.max_topic_readers. */
#define FS_MAX_TOPIC_READERS 64

extern int	fs_checkpoint_interval;	/* ms */
extern int	fs_expression_timeout;	/* ms, of one event or row in a worker; 0: none */
extern bool fs_force_replay;	/* views made now have no native aggregates */
extern char *fs_lake_directory;	/* lakes of file:/// are below it; empty: none are */
extern int	fs_max_topic_readers;	/* SELECTs on streams at once */
extern int	fs_max_workers;			/* ingest workers = streams of the cluster */
extern int	fs_memory;				/* MB, the arena */
extern double fs_partial_log_ratio; /* events a record from which on records are stored; 0: never */
extern int	fs_poll_batch_size;		/* records */
extern int	fs_worker_restart_delay;	/* ms, first back-off */
extern int	fs_sink_timeout;		/* ms, Redis */

extern void fs_settings_define(void);

/* Turns Boolean settings off until the caller's nest level of settings ends. */
extern void fs_settings_turn_off(const char *const *names, int count);

#endif							/* FS_GROUND_SETTINGS_H */
