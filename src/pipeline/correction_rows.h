/*
 * correction_rows.h
 *		History rows that are corrected, for events that came in after they were fired.
 *
 * Which these are the ingest worker says, in feature_stream.correction
 * (correction.h).  The rows come from the event log by PostgreSQL's executor
 * (batch.h), whole, and are added to the history with the next revision of
 * theirs; those that are there never change.  The backfill worker does it in
 * steps: each is one transaction that writes the rows of some entities and marks
 * their corrections.
 *
 * A row that counts the event is written even if nothing in it differs: the row
 * in force has that time, too.  One at which the event leaves its last window is
 * only written where there was none.
 */
#ifndef FS_PIPELINE_CORRECTION_ROWS_H
#define FS_PIPELINE_CORRECTION_ROWS_H

#include "pipeline/backfill.h"

/* Does the next step for the view; as fs_backfill_step(). */
extern void fs_correction_step(FsBackfill *backfill);

/* Writes down why the last step failed; in a transaction of its own. */
extern void fs_correction_note_error(const FsBackfill *backfill, const char *message);

#endif							/* FS_PIPELINE_CORRECTION_ROWS_H */
