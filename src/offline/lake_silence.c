/*
 * lake_silence.c
 *		Servers of lakes that have not answered in time; see lake_silence.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "offline/lake_silence.h"

#define MOST_MS		INT64CONST(300000)	/* for which a server is left alone, unless one request may take longer */
#define MAX_SHIFT	16

/* A server whose last request was not answered in time. */
typedef struct Silence
{
	Oid			server;
	int			count;			/* how often, since it last answered */
	TimestampTz until;			/* nothing is asked before */
} Silence;

static List *silences = NIL;	/* in TopMemoryContext */

/* What is known of a server; NULL when it answers. */
static Silence *
find_silence(Oid server)
{
	ListCell   *lc;

	foreach(lc, silences)
		if (((Silence *) lfirst(lc))->server == server)
			return lfirst(lc);
	return NULL;
}

/* See lake_silence.h. */
void
fs_lake_silence_note(Oid server, int timeout)
{
	Silence    *silence = find_silence(server);

	Assert(OidIsValid(server) && timeout > 0);
	if (silence == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		silence = palloc0(sizeof(Silence));
		silence->server = server;
		silences = lappend(silences, silence);
		MemoryContextSwitchTo(old);
	}
	silence->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												 Min((int64) timeout << Min(silence->count, MAX_SHIFT), Max(MOST_MS, timeout)));
	silence->count++;
}

/* See lake_silence.h. */
void
fs_lake_silence_over(Oid server)
{
	Silence    *silence = find_silence(server);

	if (silence == NULL)
		return;
	silences = list_delete_ptr(silences, silence);
	pfree(silence);
}

/* See lake_silence.h. */
Datum
fs_lake_silent_servers(void)
{
	Datum	   *servers = palloc(sizeof(Datum) * Max(list_length(silences), 1));
	TimestampTz now = GetCurrentTimestamp();
	int			n = 0;
	ListCell   *lc;

	foreach(lc, silences)
	{
		const Silence *silence = lfirst(lc);

		if (silence->until > now)
			servers[n++] = ObjectIdGetDatum(silence->server);
	}
	return PointerGetDatum(construct_array(servers, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}
