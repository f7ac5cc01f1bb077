/*
 * stream_outbox.c
 *		Records that a transaction has inserted into streams; see stream_outbox.h.
 *
 * Each stream has a temporary file, and another one when the transaction changes
 * where its records go: they go where they did when they were inserted.  It is
 * written front to back.  A subtransaction's
 * records are behind those from before it, so rolling it back is going back to
 * where the file was: there is a mark for each level that has put any.
 *
 * Sending begins when the transaction is about to commit, and it waits there until
 * the broker has everything, with interrupts on.  A serializable transaction is
 * asked before whether it may commit, else one that is to be tried again would
 * have sent its records.  What remains is a crash, a cancel, an error of another
 * stream's sending or of the little that PostgreSQL does between that and the
 * commit record (a full queue of notifications): then records are delivered of a
 * transaction that is not.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "storage/buffile.h"
#include "storage/predicate.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"

#include "catalog/extension.h"
#include "source/topic_message.h"
#include "sql/stream_outbox.h"
#include "worker/topic_sender.h"

#define MESSAGE_BYTES	65536	/* records are sent together up to that much */

/* A place in a file, and how many records are before it. */
typedef struct Place
{
	int			file;
	off_t		offset;
	int64		count;
} Place;

/* Where the file was when a level of subtransactions first put a record. */
typedef struct Mark
{
	int			level;
	Place		place;
} Mark;

struct FsStreamOutbox
{
	Oid			relid;
	char	   *name;
	StringInfoData stream;		/* what the sender has to know of it */
	BufFile    *file;
	int64		count;
	bool		has_moved;		/* the next record is to be put at 'place', whatever the file says */
	Place		place;
	List	   *marks;			/* Mark *, innermost first */
	StringInfoData record;		/* scratch */
};

/* Of the transaction at hand, in TopTransactionContext. */
static List *outboxes = NIL;
static bool is_registered = false;

/* --- Delivery --- */

/* Reads exactly so many bytes. */
static void
read_file(BufFile *file, void *bytes, Size len)
{
	if (BufFileRead(file, bytes, len) != len)
		ereport(ERROR,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not read a temporary file of records for a topic: it is too short")));
}

/* Sends the file's records. */
static void
send_records(FsStreamOutbox *outbox, FsTopicLink *link)
{
	StringInfoData batch;
	StringInfoData room;

	initStringInfo(&batch);
	initStringInfo(&room);
	if (BufFileSeek(outbox->file, 0, 0, SEEK_SET) != 0)
		elog(ERROR, "could not rewind a temporary file of records for a topic");
	for (int64 i = 0; i < outbox->count; i++)
	{
		int32		len;

		read_file(outbox->file, &len, sizeof(len));
		enlargeStringInfo(&batch, len);
		read_file(outbox->file, batch.data + batch.len, len);
		batch.len += len;
		if (batch.len < MESSAGE_BYTES && i + 1 < outbox->count)
			continue;
		fs_topic_sender_send(link, batch.data, batch.len, &room);
		resetStringInfo(&batch);
	}
	pfree(batch.data);
	pfree(room.data);
}

/* Delivers a stream's records, or throws. */
static void
deliver(FsStreamOutbox *outbox)
{
	FsTopicLink *link;

	if (outbox->count == 0)
		return;
	link = fs_topic_sender_start(outbox->name, &outbox->stream);
	send_records(outbox, link);
	fs_topic_sender_finish(link);
	fs_topic_link_close(link);
}

/*
 * Delivers everything, unless the transaction is one that must not commit: from
 * then on others give way to it, as to a prepared one.  The statement's time has
 * been taken off the clock by now if it is the whole transaction: it is put on
 * again.
 */
static void
deliver_all(void)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	bool		timed = StatementTimeout > 0 && !get_timeout_active(STATEMENT_TIMEOUT);
	ListCell   *lc;

	Assert(IsTransactionState() && GetCurrentTransactionNestLevel() == 1);
	PreCommit_CheckForSerializationFailure();
	CurrentResourceOwner = TopTransactionResourceOwner;
	if (timed)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	foreach(lc, outboxes)
		deliver(lfirst(lc));
	if (timed)
		disable_timeout(STATEMENT_TIMEOUT, false);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
}

/* Closes the files, which may fail: not a moment too late. */
static void
close_files(void)
{
	ListCell   *lc;

	foreach(lc, outboxes)
		BufFileClose(((FsStreamOutbox *) lfirst(lc))->file);
	outboxes = NIL;
}

/* Is there anything to be sent? */
static bool
has_records(void)
{
	ListCell   *lc;

	foreach(lc, outboxes)
		if (((FsStreamOutbox *) lfirst(lc))->count > 0)
			return true;
	return false;
}

/* --- Transactions --- */

/* Delivers before the transaction commits, which throws when it cannot; and forgets the rest. */
static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (has_records())
				deliver_all();
			close_files();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (has_records())
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot prepare a transaction that has inserted into a stream"),
						 errhint("Commit it.")));
			close_files();
			break;
		case XACT_EVENT_ABORT:
			outboxes = NIL;		/* files and memory go with the transaction */
			break;
		default:
			break;
	}
}

/* Goes back to where the file was before the level.  Touches no file: nothing may fail here. */
static void
roll_back(FsStreamOutbox *outbox, int level)
{
	Assert(level > 1);
	while (outbox->marks != NIL && ((Mark *) linitial(outbox->marks))->level >= level)
	{
		const Mark *mark = linitial(outbox->marks);

		Assert(mark->place.count <= outbox->count);
		outbox->has_moved = true;
		outbox->place = mark->place;
		outbox->count = mark->place.count;
		outbox->marks = list_delete_first(outbox->marks);
	}
}

/* The level's records are its parent's now, whose own mark is older. */
static void
merge(FsStreamOutbox *outbox, int level)
{
	Mark	   *mark = outbox->marks == NIL ? NULL : linitial(outbox->marks);

	if (mark == NULL || mark->level < level)
		return;
	Assert(mark->level == level);	/* deeper levels have ended before */
	mark->level = level - 1;
	if (mark->level <= 1 || (list_length(outbox->marks) > 1 && ((Mark *) lsecond(outbox->marks))->level == mark->level))
		outbox->marks = list_delete_first(outbox->marks);
}

/* Records of a subtransaction go with it, or become those of its parent. */
static void
on_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, outboxes)
	{
		if (event == SUBXACT_EVENT_ABORT_SUB)
			roll_back(lfirst(lc), level);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			merge(lfirst(lc), level);
	}
}

/* --- Records --- */

/* Makes the file, which lives as long as the transaction. */
static void
make_file(FsStreamOutbox *outbox)
{
	ResourceOwner owner = CurrentResourceOwner;

	PrepareTempTablespaces();
	CurrentResourceOwner = TopTransactionResourceOwner;
	outbox->file = BufFileCreateTemp(false);
	CurrentResourceOwner = owner;
}

/* The outbox of a stream for what its sender is to know now, or NULL. */
static FsStreamOutbox *
find_outbox(Oid relid, const StringInfoData *target)
{
	ListCell   *lc;

	foreach(lc, outboxes)
	{
		FsStreamOutbox *outbox = lfirst(lc);

		if (outbox->relid == relid && outbox->stream.len == target->len &&
			memcmp(outbox->stream.data, target->data, target->len) == 0)
			return outbox;
	}
	return NULL;
}

/* See stream_outbox.h. */
FsStreamOutbox *
fs_stream_outbox_open(const FsStreamDef *stream)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	FsStreamOutbox *outbox;
	StringInfoData target;

	Assert(!IsParallelWorker());
	if (!is_registered)
	{
		RegisterXactCallback(on_transaction, NULL);
		RegisterSubXactCallback(on_subtransaction, NULL);
		is_registered = true;
	}
	initStringInfo(&target);
	fs_message_put_stream(&target, stream);
	outbox = find_outbox(stream->relid, &target);
	if (outbox == NULL)
	{
		outbox = palloc0(sizeof(FsStreamOutbox));
		outbox->relid = stream->relid;
		outbox->name = pstrdup(stream->name);
		outbox->stream = target;
		initStringInfo(&outbox->record);
		make_file(outbox);
		outboxes = lappend(outboxes, outbox);
	}
	else
		pfree(target.data);
	MemoryContextSwitchTo(old);
	return outbox;
}

/* Marks where the file is, if this level of subtransactions has not yet. */
static void
mark_level(FsStreamOutbox *outbox)
{
	int			level = GetCurrentTransactionNestLevel();
	MemoryContext old;
	Mark	   *mark;

	if (level <= 1 || (outbox->marks != NIL && ((Mark *) linitial(outbox->marks))->level >= level))
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	mark = palloc(sizeof(Mark));
	mark->level = level;
	mark->place.count = outbox->count;
	BufFileTell(outbox->file, &mark->place.file, &mark->place.offset);
	outbox->marks = lcons(mark, outbox->marks);
	MemoryContextSwitchTo(old);
}

/* Goes to where the next record belongs. */
static void
find_place(FsStreamOutbox *outbox)
{
	if (outbox->has_moved &&
		BufFileSeek(outbox->file, outbox->place.file, outbox->place.offset, SEEK_SET) != 0)
		elog(ERROR, "could not go back in a temporary file of records for a topic");
	outbox->has_moved = false;
}

/* See stream_outbox.h. */
void
fs_stream_outbox_put(FsStreamOutbox *outbox, const FsRecord *record)
{
	int32		len;

	Assert(list_member_ptr(outboxes, outbox));
	find_place(outbox);
	mark_level(outbox);
	resetStringInfo(&outbox->record);
	fs_topic_sender_put(&outbox->record, record);
	len = outbox->record.len;
	BufFileWrite(outbox->file, &len, sizeof(len));
	BufFileWrite(outbox->file, outbox->record.data, len);
	outbox->count++;
}
