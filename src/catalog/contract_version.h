/*
 * contract_version.h
 *		The versions of a stream's contract: feature_stream.stream_contract.
 *
 * The event trigger enters a version with the command that changed a stream's
 * columns.  The ingest worker that first reads by it writes down the offsets from
 * which on records are read so.  Events that were logged before a column was
 * added have in it what the newest version says: the DEFAULT of that moment.
 */
#ifndef FS_CATALOG_CONTRACT_VERSION_H
#define FS_CATALOG_CONTRACT_VERSION_H

#include "catalog/stream_def.h"

/*
 * Enters the stream's columns as a new version unless the newest one says the
 * same.  Columns behind attribute number 'known' have been added by the command
 * at hand.  Throws when one of them is NOT NULL without a DEFAULT and there are events that
 * have no value for it; workers lose what they have not committed if not.
 */
extern void fs_contract_version_enter(const FsStreamDef *stream, int known);

/*
 * Fences off the stream's worker, as another one would: what it has read and not
 * committed is read again.  None is let in before the transaction ends.
 */
extern void fs_contract_version_fence(Oid stream);

/* Number of the newest version; 0 when there is none. */
extern int	fs_contract_version_newest(Oid stream);

/*
 * What events have in columns that were added after they were logged, as text
 * by column (NULL: null), palloc'd.
 */
extern char **fs_contract_version_missing(const FsStreamDef *stream);

/*
 * Sets never_null of the stream's columns: no event of the log, whatever version
 * it was read by, has NULL there.
 */
extern void fs_contract_version_mark(FsStreamDef *stream);

#endif							/* FS_CATALOG_CONTRACT_VERSION_H */
