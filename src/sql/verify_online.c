/*
 * verify_online.c
 *		What the online store has, held against what a batch computes.
 *
 * Keys are asked for one by one, as the view's owner's user mapping lets.  A key
 * may be newer than the rows expected; it may be gone when it was to expire.
 * Keys of entities that the log knows nothing of are not looked for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "catalog/guard.h"
#include "catalog/online_key.h"
#include "catalog/run_as.h"
#include "ground/clock.h"
#include "online/redis_fetch.h"
#include "pipeline/online_key.h"
#include "pipeline/values.h"
#include "sql/verify_online.h"

/* How long all differences together may take to go away. */
#define SETTLE_TIME 10000		/* ms */
#define SETTLE_POLL 50			/* ms */

/* Keys closer than this to their end may have expired. */
#define EXPIRY_MARGIN (5 * FS_USEC_PER_SEC)

typedef struct Difference
{
	const char *feature;
	char	   *expected;
	char	   *found;
	const char *problem;
} Difference;

typedef struct OnlineCheck
{
	FsBatch    *batch;
	FsRedisFetch *fetch;
	FsKeyPart  *parts;
	int			nparts;
	FsDifferenceReceiver receive;
	void	   *arg;
	int64		count;
	TimestampTz deadline;		/* for differences to go away; 0: there was none yet */
	MemoryContext context;		/* of one comparison */
	Difference *differences;	/* of the key at hand */
	int			ndifferences;
} OnlineCheck;

/*
 * Notes a difference of the key at hand, for which the array has room; strings
 * live in check->context.
 */
static void
add_difference(OnlineCheck *check, const char *feature, char *expected, char *found,
			   const char *problem)
{
	Difference *difference = &check->differences[check->ndifferences++];

	difference->feature = feature;
	difference->expected = expected;
	difference->found = found;
	difference->problem = problem;
}

/* A field of the hash; NULL when it has none of that name. */
static const FsRedisPair *
find_field(const FsRedisPair *pairs, int npairs, const char *name)
{
	for (int i = 0; i < npairs; i++)
		if (strcmp(pairs[i].field, name) == 0)
			return &pairs[i];
	return NULL;
}

/* A time as text, palloc'd; NULL for none. */
static char *
time_text(FsTime t)
{
	return t == FS_TIME_MIN ? NULL : pstrdup(timestamptz_to_str(t));
}

/* A time published as seconds since the Unix epoch; FS_TIME_MIN when the text is none. */
static FsTime
parse_seconds(const char *text)
{
	char	   *end;
	int64		seconds = strtoll(text, &end, 10);
	int64		fraction = 0;

	if (end == text)
		return FS_TIME_MIN;
	if (*end == '.')
		fraction = strtoll(end + 1, &end, 10);
	return *end != '\0' ? FS_TIME_MIN : FS_UNIX_EPOCH + seconds * FS_USEC_PER_SEC + fraction;
}

/* Must the key be there?  Not when it may have expired, or never had to be written. */
static bool
is_required(const OnlineCheck *check, const FsBatchRow *row)
{
	const FsViewDef *view = check->batch->view;
	FsTime		now = fs_clock_now() + EXPIRY_MARGIN;

	if (row->is_empty)
		return false;
	return now < row->empties_at + check->batch->stream->watermark_delay &&
		(view->online_ttl == 0 || now < row->window_end + view->online_ttl);
}

/* Compares the fields of a row of the expected window end. */
static void
compare_fields(OnlineCheck *check, const FsBatchRow *row, const FsRedisPair *pairs, int npairs)
{
	const FsBatch *batch = check->batch;

	for (int i = 0; i < batch->nfeatures; i++)
	{
		const FsViewColumn *column = &batch->columns[batch->nentity + i];
		const FsRedisPair *pair = find_field(pairs, npairs, column->name);
		char	   *expected = NULL;	/* ends with NUL, as all such texts do */
		uint32		len = 0;

		if (!row->nulls[i])
			expected = fs_datum_online_text(column->typid, row->values[i], &len);
		if (expected == NULL ? pair == NULL :
			pair != NULL && pair->value_len == len && memcmp(pair->value, expected, len) == 0)
			continue;
		add_difference(check, column->name, expected, pair == NULL ? NULL : pair->value,
					   "value differs");
	}
}

/* Sets the differences between a row and the hash at its key. */
static void
compare_hash(OnlineCheck *check, const FsBatchRow *row, const FsRedisPair *pairs, int npairs)
{
	const FsViewDef *view = check->batch->view;
	const FsRedisPair *pair = find_field(pairs, npairs, "window_end");
	FsTime		found = pair == NULL ? FS_TIME_MIN : parse_seconds(pair->value);

	if (npairs == 0)
	{
		if (is_required(check, row))
			add_difference(check, NULL, NULL, NULL, "missing row");
	}
	else if (found > row->window_end)
		return;					/* the store is further on */
	else if (row->is_empty && view->on_empty == FS_ON_EMPTY_DELETE)
		add_difference(check, NULL, NULL, NULL, "extra row");
	else if (found < row->window_end)
		add_difference(check, "window_end", time_text(row->window_end), time_text(found),
					   "value differs");
	else
		compare_fields(check, row, pairs, npairs);
}

/* Looks at one key; true when nothing differs. */
static bool
look(OnlineCheck *check, const FsBatchRow *row)
{
	const FsBatch *batch = check->batch;
	FsRedisPair *pairs;
	FsRunAs		scope;
	uint32		key_len;
	char	   *key;
	int			npairs;

	MemoryContextReset(check->context);
	check->differences = palloc(sizeof(Difference) * (batch->nfeatures + 1));
	check->ndifferences = 0;
	fs_run_as_begin(&scope, batch->run_as, batch->view->settings);
	key = fs_online_key_of_values(batch->view, check->parts, check->nparts, row->entity, &key_len);
	pairs = fs_redis_fetch_hash(check->fetch, key, key_len, &npairs);
	compare_hash(check, row, pairs, npairs);
	fs_run_as_end(&scope);
	return check->ndifferences == 0;
}

/* Waits a little; false when there was time enough for differences to go away. */
static bool
may_settle(OnlineCheck *check)
{
	TimestampTz now = GetCurrentTimestamp();

	if (check->deadline == 0)
		check->deadline = now + SETTLE_TIME * INT64CONST(1000);
	if (now >= check->deadline)
		return false;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SETTLE_POLL,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return true;
}

/* Compares one expected row with its key; the argument is the OnlineCheck. */
static bool
check_row(void *arg, const FsBatchRow *row)
{
	OnlineCheck *check = arg;
	MemoryContext old = MemoryContextSwitchTo(check->context);

	while (!look(check, row) && may_settle(check))
		;
	for (int i = 0; i < check->ndifferences; i++)
	{
		const Difference *difference = &check->differences[i];

		check->receive(check->arg, row->entity, row->window_end, difference->feature,
					   difference->expected, difference->found, difference->problem);
	}
	check->count++;
	MemoryContextSwitchTo(old);
	return true;
}

/* Connects to the view's store; the argument is the OnlineCheck. */
static void
open_store(void *arg)
{
	OnlineCheck *check = arg;
	const FsViewDef *view = check->batch->view;

	check->fetch = fs_redis_fetch_open(view->online_server, view->owner);
}

/* See verify_online.h. */
int64
fs_verify_online(FsBatch *batch, const FsBatchRange *range, FsDifferenceReceiver receive,
				 void *arg, char *message)
{
	OnlineCheck check = {.batch = batch, .receive = receive, .arg = arg};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream online",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	bool		opened;

	Assert(range->choice == FS_BATCH_NEWEST);
	check.context = AllocSetContextCreate(context, "feature_stream key", ALLOCSET_SMALL_SIZES);
	check.parts = fs_online_key_parse(batch->view, batch->view->online_key, &check.nparts);
	opened = fs_guard_run(open_store, &check, message);
	MemoryContextSwitchTo(old);
	if (opened)
		fs_batch_rows(batch, range, check_row, &check);
	MemoryContextDelete(context);
	return opened ? check.count : -1;
}
