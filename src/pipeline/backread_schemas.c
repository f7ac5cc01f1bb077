/*
 * backread_schemas.c
 *		Schemas that records name which are read back; see backread.h.
 *
 * Records from before a stream began may name schemas that its worker never met.
 * As there (parking.c), a partition waits at the first of them until the registry
 * has answered: what is not decoded would be missing from the history for good.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "pipeline/backread_state.h"
#include "pipeline/wanted.h"

#define IDLE_WAIT 100			/* ms */

/* See backread_state.h. */
void
fs_backread_open_schemas(FsBackread *backread)
{
	FsShard    *shard = backread->shard;

	if (shard->def->registry == NULL)
		return;
	Assert(backread->source->ops->rewind != NULL);
	backread->wanted = fs_wanted_open(shard->def, fs_contract_schemas(shard));
}

/* See backread_state.h. */
int
fs_backread_screen(FsBackread *backread, FsBackreadPartition *partition, int n)
{
	int			taken;

	if (backread->wanted == NULL)
		return n;
	Assert(!partition->parked);
	taken = fs_wanted_screen(backread->wanted, backread->records, n, &partition->parked_for);
	partition->parked = taken < n;
	if (partition->parked)
		backread->source->ops->rewind(backread->source, partition->index, backread->records[taken].offset);
	return taken;
}

/* See backread_state.h. */
void
fs_backread_ask(FsBackread *backread)
{
	if (backread->wanted == NULL)
		return;
	fs_wanted_step(backread->wanted);
	for (int i = 0; i < backread->npartitions; i++)
	{
		FsBackreadPartition *partition = &backread->partitions[i];

		partition->parked = partition->parked && fs_wanted_is_missing(backread->wanted, &partition->parked_for);
	}
}

/* See backread_state.h. */
void
fs_backread_wait(FsBackread *backread)
{
	WaitEventSet *set = CreateWaitEventSet(CurrentMemoryContext, 3 + FS_HTTP_MAX_SOCKETS);
	FsHttpSocket sockets[FS_HTTP_MAX_SOCKETS];
	long		timeout = IDLE_WAIT;
	int			fd = backread->source->ops->wait_fd(backread->source);
	int			nsockets = backread->wanted == NULL ? 0 : fs_wanted_wait(backread->wanted, sockets, &timeout);
	WaitEvent	event;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	if (fd >= 0)
		AddWaitEventToSet(set, WL_SOCKET_READABLE, fd, NULL, NULL);
	for (int i = 0; i < nsockets; i++)
		AddWaitEventToSet(set, sockets[i].events, sockets[i].fd, NULL, NULL);
	(void) WaitEventSetWait(set, timeout, &event, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
}

/* See backread_state.h. */
const char *
fs_backread_explain(const FsBackread *backread, bool stands)
{
	char		why[FS_SOURCE_ERROR_SIZE];

	for (int i = 0; i < backread->npartitions; i++)
	{
		const FsBackreadPartition *partition = &backread->partitions[i];

		if (!partition->parked || (!stands && fs_wanted_trouble(backread->wanted)[0] == '\0'))
			continue;
		fs_wanted_explain(backread->wanted, &partition->parked_for, why);
		return psprintf("partition %d %s", partition->id, why);
	}
	return stands && backread->source->error[0] != '\0' ? backread->source->error : NULL;
}
