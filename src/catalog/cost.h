/*
 * cost.h
 *		What feature views cost: memory, and time of their stream's one worker.
 *
 * Estimates, from constants that were measured and the live rates that the
 * stream's worker publishes.  Good for choosing between forms of a view and for
 * telling what cannot work; not for billing.
 */
#ifndef FS_CATALOG_COST_H
#define FS_CATALOG_COST_H

#include "catalog/feature_view_def.h"

/* Events in the longest window of a row, where nothing is known. */
#define FS_COST_EVENTS 100

/* What one thing adds. */
typedef struct FsCost
{
	double		bytes_per_key;
	double		bytes_per_event;	/* that the longest window holds */
	double		event_us;		/* of CPU, an event that is counted */
	double		row_us;			/* of CPU, a row that is computed, all windows */
} FsCost;

/* The live rates of a view, or of one that might be: what it would have. */
typedef struct FsCostLoad
{
	bool		known;			/* else the stream has no rate yet, and the rest is not set */
	double		events_per_second;	/* of event time */
	double		entities;
	double		rows_per_second;	/* of event time */
} FsCostLoad;

/* All of a view under a load. */
typedef struct FsCostEstimate
{
	FsCost		unit;
	double		events_per_row; /* in the longest window */
	double		memory_bytes;
	double		cpu_share;		/* of one core */
} FsCostEstimate;

/*
 * Reads the load; for a view that does not exist (relid InvalidOid) it is taken
 * from the stream's other views.  Throws nothing.
 */
extern void fs_cost_load(const FsViewDef *view, FsCostLoad *load);

/* Events in the longest window of a row under this load. */
extern double fs_cost_events(const FsViewDef *view, const FsCostLoad *load);

/* What one aggregate adds.  'kept' marks kept values that another one pays for; the aggregate's own are added. */
extern FsCost fs_cost_aggregate(const FsViewDef *view, const FsStreamDef *stream, int aggregate, double events,
								bool *kept);

/* What the view costs without its aggregates: entities, times and order of events, rows. */
extern FsCost fs_cost_base(const FsViewDef *view, const FsStreamDef *stream, double events);

/* All of it; the load is known. */
extern void fs_cost_estimate(const FsViewDef *view, const FsStreamDef *stream, const FsCostLoad *load,
							 FsCostEstimate *estimate);

/*
 * Raises a WARNING when the stream's worker with all its views takes more than
 * one core, or the windows do not fit into the arena, by the stream's live rates.
 * 'former' is the view as it was, where it is altered; NULL: it is new.
 */
extern void fs_cost_check(const FsViewDef *view, const FsViewDef *former, const FsStreamDef *stream);

#endif							/* FS_CATALOG_COST_H */
