/*
 * contract.h
 *		The data contract of a stream, prepared for one worker's shard.
 *
 * Shared by contract.c, which makes it and decodes by it, and
 * contract_expressions.c, which evaluates what it leaves to PostgreSQL.  Single-
 * threaded, as all of the shard is.
 */
#ifndef FS_PIPELINE_CONTRACT_H
#define FS_PIPELINE_CONTRACT_H

#include "catalog/payload.h"
#include "pipeline/shard.h"

/*
 * CHECK (column <> 'constant'), the most common one, without the executor:
 * compared as bytes, which is what text's <> does under a deterministic
 * collation.  A null passes, as in SQL.
 */
typedef struct SimpleCheck
{
	int			column;			/* -1: this check is not a simple one */
	const char *value;
	uint32		len;
} SimpleCheck;

typedef struct FsContract
{
	FsPayloadDecoder *decoder;
	FsValue    *values;			/* of the batch, used again */
	int			maxvalues;
	FsValue    *defaults;		/* per column; FS_ABSENT: none */
	int			nbytes;			/* columns of byte types */
	int		   *bytes;			/* their indexes */
	bool	   *converts;		/* per column: goes through PostgreSQL's input function */
	bool	   *in_slot;		/* per column: read by some expression */
	bool		has_expressions;	/* anything at all for the guarded step */
	SimpleCheck *simple;		/* per check */
	ExprState **checks;			/* of those that are not simple */
	TupleTableSlot *slot;
	ExprContext *econtext;
	MemoryContext value_context;	/* of the values of expressions */

	/* Where the guarded step is, for its error handler */
	FsEvent    *event;
	int			column;			/* converting this one; -1 none */
	int			check;			/* evaluating this one; -1 none */
	int			view;			/* evaluating its expressions; -1 none */
	bool		only_views;		/* an event of the log: its values are final */
} FsContract;

/*
 * contract_expressions.c: the third step for events[0 .. n - 1] that are not refused
 * yet, with an active snapshot.  What an expression raises refuses its event, or
 * keeps it out of the view; messages are in the current memory context.
 */
extern void fs_contract_evaluate(FsShard *shard, FsEvent *events, int n);

/*
 * A copy of what is wrong with an event, in 'context': values that it quotes may be
 * as long as a record, so it is cut to FS_MESSAGE_BYTES, between characters, and
 * "..." says so.
 */
#define FS_MESSAGE_BYTES 2000
extern char *fs_contract_message(MemoryContext context, const char *message);

/* Refuses an event; the message is copied into the batch's memory. */
static inline void
fs_contract_refuse(FsShard *shard, FsEvent *event, FsReason reason, const char *message)
{
	Assert(event->reason == FS_REASON_NONE && reason != FS_REASON_NONE);
	event->reason = reason;
	event->message = fs_contract_message(shard->batch, message);
}

#endif							/* FS_PIPELINE_CONTRACT_H */
