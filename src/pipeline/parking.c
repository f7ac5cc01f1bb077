/*
 * parking.c
 *		Partitions that wait for the schema of their next record.
 *
 * The records of a stream with a registry name the schema they were written
 * with.  One that this process does not know is looked for in its table, where
 * any worker may have put it; then the registry is asked.  Until it has answered
 * the partition is parked: it stands before the record, holds the watermark as
 * any partition does that is not idle, and the others go on.  Only the registry's
 * own word that there is no such schema makes dead letters.
 *
 * Dead letters that come back wait likewise, each for itself.  A schema that was
 * not there when they were refused is asked for again.
 *
 * What is stored is never asked for again, so that streams run and restart
 * without the registry as long as they meet no new schema.
 */
#include "postgres.h"

#include "access/xact.h"

#include "catalog/writer_schemas.h"
#include "ground/clock.h"
#include "pipeline/dead_letters.h"
#include "pipeline/parking.h"
#include "source/registry.h"

#define MAX_WANTED		64
#define UNKNOWN_TIME	(60 * INT64CONST(1000000))	/* us, for which "there is none" is believed */

typedef struct FsParking
{
	FsRegistry *registry;
	FsWriterSchemas *schemas;	/* the contract's */
	int			nwanted;
	FsWireHeader wanted[MAX_WANTED];	/* the first is being asked for, or will be next */
	uint64		answers;		/* of those, found or said not to be there */
	char		trouble[FS_SOURCE_ERROR_SIZE];
} FsParking;

static inline bool
is_same(const FsWireHeader *a, const FsWireHeader *b)
{
	return a->kind == b->kind && a->id == b->id &&
		memcmp(a->guid, b->guid, sizeof(a->guid)) == 0;
}

static bool
is_wanted(const FsParking *parking, const FsWireHeader *id)
{
	for (int i = 0; i < parking->nwanted; i++)
		if (is_same(&parking->wanted[i], id))
			return true;
	return false;
}

/* Notes that a schema is wanted; when there are too many it comes up again. */
static void
want(FsParking *parking, const FsWireHeader *id)
{
	if (parking->nwanted < MAX_WANTED && !is_wanted(parking, id))
		parking->wanted[parking->nwanted++] = *id;
}

/* A schema is not wanted any more. */
static void
forget(FsParking *parking, const FsWireHeader *id)
{
	for (int i = 0; i < parking->nwanted; i++)
	{
		if (!is_same(&parking->wanted[i], id))
			continue;
		memmove(&parking->wanted[i], &parking->wanted[i + 1],
				sizeof(FsWireHeader) * (parking->nwanted - i - 1));
		parking->nwanted--;
		return;
	}
}

/* Does this process know what to do with records of the schema? */
static inline bool
is_known(const FsParking *parking, const FsWireHeader *id, int64 now)
{
	const FsWriterSchema *schema = fs_writer_schemas_find(parking->schemas, id);

	return schema != NULL && (schema->retry_at == 0 || now < schema->retry_at);
}

/* See parking.h. */
void
fs_parking_open(FsShard *shard)
{
	FsParking  *parking;

	if (shard->def->registry == NULL)
		return;
	Assert(shard->source->ops->rewind != NULL);
	parking = palloc0(sizeof(FsParking));
	parking->schemas = fs_contract_schemas(shard);
	parking->registry = fs_registry_open(shard->def->registry);
	shard->parking = parking;
}

/* See parking.h. */
void
fs_parking_close(FsShard *shard)
{
	if (shard->parking != NULL)
		fs_registry_close(shard->parking->registry);
	shard->parking = NULL;
}

/* --- Screening --- */

/* Does the record name a schema that has to be waited for?  Which goes to *id. */
static inline bool
must_wait(FsParking *parking, const FsRecord *record, int64 now, FsWireHeader *id)
{
	const char *wrong;

	if (record->value == NULL ||
		!fs_wire_read(record->value, record->value_len, record->header, record->header_len, id, &wrong))
		return false;			/* a dead letter, whatever the registry says */
	if (likely(is_known(parking, id, now)))
		return false;
	return is_wanted(parking, id) || fs_writer_schemas_load(parking->schemas, id) == NULL;
}

/* See parking.h. */
int
fs_parking_screen(FsShard *shard, FsPartition *partition, const FsRecord *records, int n)
{
	FsParking  *parking = shard->parking;
	int64		now = fs_clock_monotonic();
	int			taken = n;
	FsWireHeader id;

	Assert(parking != NULL && shard->nevents == 0 && !partition->parked);
	fs_writer_schemas_trim(parking->schemas);
	for (int i = 0; i < n && (taken == n || parking->nwanted < MAX_WANTED); i++)
	{
		if (!must_wait(parking, &records[i], now, &id))
			continue;
		want(parking, &id);		/* also those behind the first: their turn will come */
		if (taken < n)
			continue;
		taken = i;
		partition->parked = true;
		partition->parked_for = id;
	}
	if (taken < n)
		shard->source->ops->rewind(shard->source, partition->source_index, records[taken].offset);
	return taken;
}

/* Has a dead letter that comes back to wait?  Its schema is wanted then. */
static bool
must_replay_wait(FsParking *parking, const FsRecord *record, int64 since)
{
	const FsWriterSchema *schema;
	FsWireHeader id;
	const char *wrong;

	if (record->value == NULL ||
		!fs_wire_read(record->value, record->value_len, record->header, record->header_len, &id, &wrong))
		return false;
	schema = fs_writer_schemas_find(parking->schemas, &id);
	if (schema != NULL && (schema->retry_at == 0 || schema->retry_at - UNKNOWN_TIME >= since))
		return false;
	if (!is_wanted(parking, &id) && fs_writer_schemas_load(parking->schemas, &id) != NULL)
		return false;
	want(parking, &id);
	return true;
}

/* See parking.h. */
int
fs_parking_screen_replays(FsShard *shard, FsRecord *records, FsReplay *replays, int n, int64 since)
{
	FsParking  *parking = shard->parking;
	int			taken = 0;

	Assert(shard->nevents == 0 && !IsTransactionState());
	if (parking == NULL)
		return n;
	fs_writer_schemas_trim(parking->schemas);
	for (int i = 0; i < n; i++)
	{
		if ((int64) records[i].value_len <= shard->def->max_record_bytes && must_replay_wait(parking, &records[i], since))
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
	return shard->parking == NULL ? 0 : shard->parking->answers;
}

/* --- Asking --- */

/* Takes in what has come of the last question. */
static void
take_result(FsShard *shard)
{
	FsParking  *parking = shard->parking;
	const FsRegistryResult *result = fs_registry_drive(parking->registry);

	if (result == NULL)
		return;
	forget(parking, &result->id);
	switch (result->outcome)
	{
		case FS_REGISTRY_HAS_IT:
			parking->answers++;
			fs_writer_schemas_store(parking->schemas, &result->id, result->type, result->texts, result->ntexts);
			break;
		case FS_REGISTRY_HAS_NONE:
			parking->answers++;
			fs_writer_schemas_note_unknown(parking->schemas, &result->id, result->message,
										   fs_clock_monotonic() + UNKNOWN_TIME);
			break;
		case FS_REGISTRY_AWAY:
			want(parking, &result->id); /* behind the others: it may be this one that the registry stumbles over */
			if (parking->trouble[0] == '\0')
				ereport(LOG,
						(errmsg("stream %s waits for schemas: %s", shard->def->name, result->message)));
			strlcpy(parking->trouble, result->message, sizeof(parking->trouble));
			break;
		case FS_REGISTRY_NOTHING:
			break;
	}
}

/* Asks for the next schema wanted, unless it is in its table by now. */
static void
ask_next(FsParking *parking)
{
	while (parking->nwanted > 0 && fs_registry_is_ready(parking->registry))
	{
		FsWireHeader id = parking->wanted[0];

		if (fs_writer_schemas_load(parking->schemas, &id) == NULL)
		{
			fs_registry_ask(parking->registry, &id);
			return;
		}
		parking->answers++;
		forget(parking, &id);
	}
}

/* See parking.h. */
void
fs_parking_step(FsShard *shard)
{
	FsParking  *parking = shard->parking;
	int64		now;

	if (parking == NULL)
		return;
	Assert(!IsTransactionState());
	take_result(shard);
	ask_next(parking);
	if (parking->nwanted == 0)
		parking->trouble[0] = '\0';
	now = fs_clock_monotonic();
	for (int i = 0; i < shard->npartitions; i++)
	{
		FsPartition *partition = &shard->partitions[i];

		if (!partition->parked)
			continue;
		partition->parked = !is_known(parking, &partition->parked_for, now);
		if (partition->parked)
			want(parking, &partition->parked_for);
	}
}

/* See parking.h. */
int
fs_parking_wait(FsShard *shard, FsHttpSocket *sockets, long *timeout)
{
	return shard->parking == NULL ? 0 :
		fs_registry_wait(shard->parking->registry, sockets, timeout);
}

/* --- Reporting --- */

/* See parking.h. */
void
fs_parking_explain(const FsShard *shard, const FsPartition *partition, char *out)
{
	const char *trouble = fs_parking_trouble(shard);
	char		name[FS_SCHEMA_NAME_SIZE];

	Assert(partition->parked);
	snprintf(out, FS_SOURCE_ERROR_SIZE, "waits for %s%s%s",
			 fs_writer_schema_name(name, &partition->parked_for),
			 trouble[0] != '\0' ? ": " : "", trouble);
}

/* See parking.h. */
const char *
fs_parking_trouble(const FsShard *shard)
{
	return shard->parking == NULL ? "" : shard->parking->trouble;
}
