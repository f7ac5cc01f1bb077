/*
 * slow.c
 *		Parts of a row (aggregates, expressions) that ran out of time.
 *
 * One that did is not tried again in the same row, for its other windows.  One
 * that does so again and again, entity after entity, is passed over for a while,
 * so that it costs the stream a small share of its time and no more: each part
 * may run out of time TRIES times, and earns another try in REST times what a
 * row has.  Trying costs two times that at most, once with the rest of the row
 * and once alone.  Behind the parts of a row stands one that is none of it: the
 * making of states (condense.c), without which nothing is wrong.
 */
#include "postgres.h"

#include "ground/clock.h"
#include "ground/settings.h"
#include "pipeline/row.h"

#define TRIES	5
#define REST	20

/* What is known of a part. */
typedef struct FsSlowPart
{
	uint64		row;			/* number of the row in which it last ran out of time */
	double		tries;			/* that it has left */
	int64		since;			/* when they were counted; fs_clock_monotonic() */
} FsSlowPart;

/* Those of a row; the one behind them is the making of states. */
static int
count_row_parts(const FsRow *row)
{
	return row->view->naggregates + row->view->nfeatures;
}

/* Counts the tries that a part has by now. */
static void
earn_tries(FsSlowPart *part)
{
	int64		now = fs_clock_monotonic();
	double		rest = REST * 1000.0 * Max(fs_expression_timeout, 1);

	part->tries = Min(part->tries + (now - part->since) / rest, TRIES);
	part->since = now;
}

/* A part of the row at hand has run out of time: aggregates count from 0, features behind them, then states. */
void
fs_slow_note(FsRow *row, int part)
{
	int			nparts = count_row_parts(row) + 1;

	Assert(part >= 0 && part < nparts);
	if (row->slow == NULL)
	{
		row->slow = MemoryContextAllocZero(row->context, sizeof(FsSlowPart) * nparts);
		for (int i = 0; i < nparts; i++)
			row->slow[i].tries = TRIES;
	}
	earn_tries(&row->slow[part]);
	row->slow[part].tries -= 1;
	row->slow[part].row = row->number;
}

/* Is a part not to be tried in the row at hand?  Says so in row->error, unless that says why already. */
bool
fs_slow_is_passed_over(FsRow *row, int part)
{
	if (row->slow == NULL)
		return false;
	if (row->slow[part].row == row->number)
		return true;
	earn_tries(&row->slow[part]);
	if (row->slow[part].tries >= 1)
		return false;
	strlcpy(row->error, "expression is passed over, since it has taken longer than feature_stream.expression_timeout too often",
			sizeof(row->error));
	return true;
}

/* Is any of the row's? */
bool
fs_slow_has_any(FsRow *row)
{
	for (int i = 0; row->slow != NULL && i < count_row_parts(row); i++)
		if (fs_slow_is_passed_over(row, i))
			return true;
	return false;
}
