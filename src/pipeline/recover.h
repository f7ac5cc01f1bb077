/*
 * recover.h
 *		What recovery needs of the contract, apart from shard.h.
 */
#ifndef FS_PIPELINE_RECOVER_H
#define FS_PIPELINE_RECOVER_H

#include "pipeline/shard.h"

/*
 * Which views' WHERE an accepted event passes (a bit each), evaluated anew in
 * the current transaction.  An expression that raises counts as not passed.
 */
extern uint32 fs_contract_views(FsShard *shard, FsEvent *event);

#endif							/* FS_PIPELINE_RECOVER_H */
