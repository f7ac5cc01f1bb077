/*
 * condense.c
 *		Records of states in the place of the events of slides that are over; see states.h.
 *
 * A slide's window end has fired, and with it the slide is closed: what still
 * comes for it is late.  Windows hold its on-time events together or not at all,
 * so where there are many of an entity, a record with the states over them takes
 * their place, if it takes less room.  Late events stay as they are, with the
 * window end that they count from.  A record stands at the time of the latest
 * of its events, whose slice has the entity in its touch list.
 *
 * Nothing depends on it but memory: when an aggregate raises, memory is out, or
 * states are too large, the events stay, and the row says what there is to say.
 * That is why recovery may do the same in its own rhythm.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/htup_details.h"
#include "utils/memutils.h"

#include "catalog/guard.h"
#include "core/slice.h"
#include "pipeline/condense.h"
#include "pipeline/row.h"
#include "pipeline/states.h"
#include "state/blob.h"

#define MIN_EVENTS 4			/* of a slide: fewer are not worth a try */
#define RECORD_BYTES 12			/* of a record in the ring, besides its blob; about */

/* An event that may give way. */
typedef struct Candidate
{
	FsTime		slide_end;
	int			index;
} Candidate;

/* The work on one entity; everything is in a memory context of its own. */
typedef struct Condensing
{
	FsShard    *shard;
	FsView	   *view;
	FsEventSet *set;			/* the entity's events; records are put into it */
	bool	   *gone;			/* per event: a record has taken its place */
	const FsRingEvent **events; /* of the slide at hand */
	int			n;
	MinimalTuple tuple;			/* their states */
	FsHandle   *blobs;
	int			nblobs;
} Condensing;

/* By slide, then as they stand in the ring. */
static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	if (x->slide_end != y->slide_end)
		return x->slide_end < y->slide_end ? -1 : 1;
	return x->index - y->index;
}

/* The events, from index 'first' on, that may give way, by slide; *n of them. */
static Candidate *
find_candidates(const Condensing *work, FsTime after, FsTime until, int first, int *n)
{
	Candidate  *candidates = palloc(sizeof(Candidate) * Max(work->set->n, 1));
	const FsViewDef *def = work->view->def;

	*n = 0;
	for (int i = first; i < work->set->n; i++)
	{
		const FsRingEvent *event = &work->set->events[i];
		FsTime		slide_end = fs_time_next(event->time, def->slide);

		if (event->counts_from == FS_TIME_MIN && slide_end > after && slide_end <= until &&
			!fs_states_is_record(def, event))
			candidates[(*n)++] = (Candidate) {slide_end, i};
	}
	qsort(candidates, *n, sizeof(Candidate), compare_candidates);
	return candidates;
}

/* Bytes that events take in a ring. */
static int
ring_bytes(const FsRingLayout *layout, const FsRingEvent **events, int n)
{
	uint8		bytes[FS_RING_MAX_EVENT];
	int			sum = 0;

	for (int i = 0; i < n; i++)
		sum += fs_ring_encode(layout, i > 0 ? events[i - 1]->time : events[i]->time, events[i]->time,
							  events[i]->partition, events[i]->counts_from, events[i]->cells, bytes);
	return sum;
}

static void
make_states(FsRow *row, void *arg)
{
	Condensing *work = arg;

	work->tuple = fs_states_make(row, work->events, work->n);
}

/* A blob with the states over the events at hand; 0 when they stay. */
static FsHandle
make_blob(Condensing *work)
{
	FsRow	   *row = work->view->row;
	FsHandle	blob;

	if (!fs_features_run_as_owner(row, make_states, work))
		return 0;
	if (work->tuple->t_len > FS_BLOB_MAX ||
		fs_blob_size(work->tuple->t_len) + RECORD_BYTES > ring_bytes(&work->view->layout, work->events, work->n))
		return 0;
	blob = fs_blob_create(&work->shard->arena, fs_states_seed(row), work->tuple, work->tuple->t_len);
	if (blob != 0)
		work->blobs[work->nblobs++] = blob;
	return blob;
}

/* Makes an event a record; what it kept is as nothing. */
static void
make_record(const FsRingLayout *layout, FsRingEvent *event, const FsRingEvent *latest, FsHandle blob)
{
	Assert(blob != 0 && layout->has_blobs && event->counts_from == FS_TIME_MIN);
	event->time = latest->time;
	event->partition = latest->partition;
	for (int i = 0; i < layout->ncells; i++)
	{
		event->cells[i].isnull = layout->has_nulls || layout->kinds[i] == FS_CELL_CODE;
		event->cells[i].i = 0;
	}
	event->cells[layout->ncells - 1].isnull = false;
	event->cells[layout->ncells - 1].code = blob;
}

/* The events of one slide. */
static void
condense_slide(Condensing *work, const Candidate *candidates, int n)
{
	const FsRingEvent *latest = &work->set->events[candidates[0].index];
	FsHandle	blob;

	Assert(n > 0 && candidates[0].slide_end == candidates[n - 1].slide_end);
	if (n < MIN_EVENTS)
		return;
	for (int i = 0; i < n; i++)
	{
		work->events[i] = &work->set->events[candidates[i].index];
		if (work->events[i]->time > latest->time)
			latest = work->events[i];
	}
	work->n = n;
	blob = make_blob(work);
	if (blob == 0)
		return;
	for (int i = 0; i < n - 1; i++)
		work->gone[candidates[i].index] = true;
	make_record(&work->view->layout, &work->set->events[candidates[n - 1].index], latest, blob);
}

/* Makes the ring what the work has left of it; false when memory is out, and it is as it was. */
static bool
rewrite(Condensing *work, FsEntity *entity)
{
	FsEventSet *set = work->set;
	int			same = 0;
	int			n = 0;

	while (!work->gone[same])
		same++;
	for (int i = 0; i < set->n; i++)
		if (!work->gone[i])
			set->events[n++] = set->events[i];
	return fs_entity_rewrite(&work->shard->arena, entity, &work->view->layout, set->events, n, same);
}

/* Condenses what events of the entity say; all memory is the current context's. */
static void
condense(Condensing *work, FsEntity *entity, FsTime after, FsTime until, int first)
{
	int			n;
	Candidate  *candidates = find_candidates(work, after, until, first, &n);
	int			end;

	if (n < MIN_EVENTS)
		return;
	work->gone = palloc0(sizeof(bool) * work->set->n);
	work->events = palloc(sizeof(FsRingEvent *) * n);
	work->blobs = palloc(sizeof(FsHandle) * n);
	for (int begin = 0; begin < n; begin = end)
	{
		for (end = begin; end < n && candidates[end].slide_end == candidates[begin].slide_end;)
			end++;
		condense_slide(work, candidates + begin, end - begin);
	}
	if (work->nblobs > 0 && !rewrite(work, entity))
		for (int i = 0; i < work->nblobs; i++)
			fs_blob_free(&work->shard->arena, work->blobs[i]);
}

/* See condense.h. */
void
fs_condense(FsShard *shard, FsView *view, FsEntity *entity, FsTime after, FsTime until, int first)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream condense",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Condensing	work = {.shard = shard, .view = view, .set = &view->set};

	Assert(view->def->is_condensed && IsTransactionState() && first >= 0);
	fs_entity_events(entity, &view->layout, &view->set);
	condense(&work, entity, after, until, first);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* See condense.h. */
void
fs_condense_recovered(FsShard *shard, FsView *view, FsEntity *entity)
{
	if (shard->frontier != FS_TIME_MIN && entity->nevents >= FS_CONDENSE_BATCH &&
		entity->nevents % FS_CONDENSE_BATCH == 0)
		fs_condense(shard, view, entity, FS_TIME_MIN, shard->frontier, entity->nevents - FS_CONDENSE_BATCH);
}
