/*
 * parking.c
 *		Partitions that wait for the schema of their next record.
 *
 * Where a record names a schema that nobody here knows, the registry is asked
 * (wanted.c).  Until it has answered the partition is parked: it stands before
 * the record, holds the watermark as any partition does that is not idle, and
 * the others go on.  Dead letters that come back wait likewise, each for itself.
 */
#include "postgres.h"

#include "access/xact.h"

#include "pipeline/dead_letters.h"
#include "pipeline/parking.h"
#include "pipeline/wanted.h"

/* See parking.h. */
void
fs_parking_open(FsShard *shard)
{
	if (shard->def->registry == NULL)
		return;
	Assert(shard->source->ops->rewind != NULL);
	shard->wanted = fs_wanted_open(shard->def, fs_contract_schemas(shard));
}

/* See parking.h. */
void
fs_parking_close(FsShard *shard)
{
	if (shard->wanted != NULL)
		fs_wanted_close(shard->wanted);
	shard->wanted = NULL;
}

/* See parking.h. */
int
fs_parking_screen(FsShard *shard, FsPartition *partition, const FsRecord *records, int n)
{
	int			taken;

	Assert(shard->wanted != NULL && shard->nevents == 0 && !partition->parked);
	taken = fs_wanted_screen(shard->wanted, records, n, &partition->parked_for);
	partition->parked = taken < n;
	if (partition->parked)
		shard->source->ops->rewind(shard->source, partition->source_index, records[taken].offset);
	return taken;
}

/* See parking.h. */
int
fs_parking_screen_replays(FsShard *shard, FsRecord *records, FsReplay *replays, int n, int64 since)
{
	int			taken = 0;

	Assert(shard->nevents == 0 && !IsTransactionState());
	if (shard->wanted == NULL)
		return n;
	fs_wanted_trim(shard->wanted);
	for (int i = 0; i < n; i++)
	{
		if ((int64) records[i].value_len <= shard->def->max_record_bytes && fs_wanted_holds(shard->wanted, &records[i], since))
			continue;
		records[taken] = records[i];
		replays[taken++] = replays[i];
	}
	return taken;
}

/* See parking.h. */
uint64
fs_parking_answers(const FsShard *shard)
{
	return shard->wanted == NULL ? 0 : fs_wanted_answers(shard->wanted);
}

/* See parking.h. */
void
fs_parking_step(FsShard *shard)
{
	if (shard->wanted == NULL)
		return;
	fs_wanted_step(shard->wanted);
	for (int i = 0; i < shard->npartitions; i++)
	{
		FsPartition *partition = &shard->partitions[i];

		partition->parked = partition->parked && fs_wanted_is_missing(shard->wanted, &partition->parked_for);
	}
}

/* See parking.h. */
int
fs_parking_wait(FsShard *shard, FsHttpSocket *sockets, long *timeout)
{
	return shard->wanted == NULL ? 0 : fs_wanted_wait(shard->wanted, sockets, timeout);
}

/* --- Reporting --- */

/* See parking.h. */
void
fs_parking_explain(const FsShard *shard, const FsPartition *partition, char *out)
{
	Assert(partition->parked);
	fs_wanted_explain(shard->wanted, &partition->parked_for, out);
}

/* See parking.h. */
const char *
fs_parking_trouble(const FsShard *shard)
{
	return shard->wanted == NULL ? "" : fs_wanted_trouble(shard->wanted);
}
