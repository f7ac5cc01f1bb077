/*
 * lake_silence.h
 *		Servers of lakes that have not answered in time: they are left alone for a
 *		while, so that those of others are not held up.
 *
 * One process exports to all lakes of a database, one after the other, and a
 * server that says nothing costs it a whole time-out.  After that nothing is
 * asked of the server for as long again, twice as long after the next time, up to
 * some minutes; an answer ends it.  In the memory of the process.
 */
#ifndef FS_OFFLINE_LAKE_SILENCE_H
#define FS_OFFLINE_LAKE_SILENCE_H

#include "postgres.h"

/* The server has not answered within 'timeout' ms. */
extern void fs_lake_silence_note(Oid server, int timeout);

/* It has answered, whatever that was. */
extern void fs_lake_silence_over(Oid server);

/* Servers that nothing is to be asked of now, as an oid[] that is palloc'd. */
extern Datum fs_lake_silent_servers(void);

#endif							/* FS_OFFLINE_LAKE_SILENCE_H */
