/*
 * stream_outbox.h
 *		Records that a transaction has inserted into streams, until it commits.
 */
#ifndef FS_SQL_STREAM_OUTBOX_H
#define FS_SQL_STREAM_OUTBOX_H

#include "postgres.h"

#include "catalog/stream.h"
#include "source/source.h"

typedef struct FsStreamOutbox FsStreamOutbox;

/* Where this transaction's records of the stream are put; valid until its end.  Throws in a parallel worker. */
extern FsStreamOutbox *fs_stream_outbox_open(const FsStreamDef *stream);

/*
 * Puts a record, which is copied.  It is sent when the transaction is about to
 * commit, unless the subtransaction at hand, or one around it, is rolled back.
 */
extern void fs_stream_outbox_put(FsStreamOutbox *outbox, const FsRecord *record);

#endif							/* FS_SQL_STREAM_OUTBOX_H */
