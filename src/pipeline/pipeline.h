/*
 * pipeline.h
 *		The data's way, from the process's point of view: one call.
 */
#ifndef FS_PIPELINE_PIPELINE_H
#define FS_PIPELINE_PIPELINE_H

#include "state/shared.h"

/* Why the pipeline of a stream ended in good order. */
typedef enum FsPipelineEnd
{
	FS_END_STOP,				/* asked to stop; everything read so far is committed */
	FS_END_RELOAD,				/* a definition changed, or memory was too small and has become free: start again at once */
	FS_END_GONE,				/* the stream or the extension does not exist any more */
	FS_END_PAUSED,				/* pause_stream: stay away until resumed */
	FS_END_FAILED				/* broken definition: stay away until it changes; slot->last_error says why */
} FsPipelineEnd;

/*
 * Runs the pipeline of the stream in 'slot' until it should end.  Called by
 * the ingest worker outside a transaction, connected to the stream's database
 * as the bootstrap superuser; throws for everything unexpected, after which
 * the process must exit.
 */
extern FsPipelineEnd fs_pipeline_run(FsSharedStream *slot);

/* Closes what the pipeline holds of foreign libraries; safe to call at any time, also twice. */
extern void fs_pipeline_cleanup(void);

#endif							/* FS_PIPELINE_PIPELINE_H */
