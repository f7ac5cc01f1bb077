/*
 * topic_link.c
 *		A worker that speaks to Kafka for one backend, and the way between the two;
 *		see topic_link.h.
 *
 * The segment: a header, the request, two message queues.  The callback for
 * letting go of it, which runs however the backend does, ends the worker.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "ground/clock.h"
#include "ground/settings.h"
#include "source/topic_message.h"
#include "worker/process.h"
#include "worker/topic_link.h"
#include "worker/topic_place.h"

#define LINK_MAGIC		0x46544c4b
#define QUEUE_BYTES		262144	/* each way */
#define SLOT_PATIENCE	(6 * USECS_PER_SEC)	/* closing a client may take 5 s of it */
#define SLOT_WAIT		10		/* ms, between two looks */

/* At the segment's beginning; what the worker reads of it, but 'abandoned', is written before it starts. */
typedef struct LinkHeader
{
	uint32		magic;
	volatile bool abandoned;	/* by the backend, which alone writes it */
	uint64		ticket;			/* of the worker's place; 0: it needs none.  The backend's */
	Size		request_len;
	Size		queues[2];		/* where they are: to the backend, to the worker */
	char		request[FLEXIBLE_ARRAY_MEMBER];
} LinkHeader;

struct FsTopicLink
{
	const char *stream;
	dsm_segment *segment;
	shm_mq_handle *in;
	shm_mq_handle *out;
};

/* --- The backend's end --- */

/* Called when the backend lets go of the segment; the argument is the worker's handle, in TopMemoryContext. */
static void
end_worker(dsm_segment *segment, Datum arg)
{
	BackgroundWorkerHandle *handle = (BackgroundWorkerHandle *) DatumGetPointer(arg);
	LinkHeader *header = dsm_segment_address(segment);

	Assert(header->magic == LINK_MAGIC && !header->abandoned);
	header->abandoned = true;
	TerminateBackgroundWorker(handle);
	if (header->ticket != 0)
		fs_topic_place_leave(header->ticket);
	pfree(handle);
}

/*
 * Registers a worker, which has its ticket in bgw_extra if it needs a place; false
 * when there is no slot for it.
 */
static bool
try_register(BackgroundWorker *worker, uint64 ticket, BackgroundWorkerHandle **handle)
{
	StaticAssertStmt(sizeof(ticket) <= BGW_EXTRALEN, "a ticket fits");
	memcpy(worker->bgw_extra, &ticket, sizeof(ticket));
	if (RegisterDynamicBackgroundWorker(worker, handle))
		return true;
	if (ticket != 0)
		fs_topic_place_leave(ticket);
	return false;
}

/*
 * Registers a worker, and gives the ticket of its place; false when there is no
 * slot, or, of those that need one, no place: *ticket is 0 then.  Workers that were
 * let go of may still be ending, after a cancel or in a scan that begins again:
 * they are waited for.
 */
static bool
register_worker(BackgroundWorker *worker, bool needs_place, uint64 *ticket, BackgroundWorkerHandle **handle)
{
	int64		until = fs_clock_monotonic() + SLOT_PATIENCE;

	for (;;)
	{
		*ticket = needs_place ? fs_topic_place_take() : 0;
		if ((!needs_place || *ticket != 0) && try_register(worker, *ticket, handle))
			return true;
		if (fs_clock_monotonic() >= until)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SLOT_WAIT, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Throws: all places are taken. */
static void
throw_no_place(const char *stream)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start a worker for the topic of stream %s", stream),
			 errdetail("There are as many topic readers as \"feature_stream.max_topic_readers\" allows, which is %d.",
					   fs_max_topic_readers),
			 errhint("Wait until other scans of streams have ended and their cursors are closed,"
					 " or increase \"feature_stream.max_topic_readers\".")));
}

/* Starts the worker, or throws.  Its handle is in TopMemoryContext; the ticket of its place, if it is a reader, in the segment. */
static BackgroundWorkerHandle *
start_worker(const char *kind, const char *stream, dsm_segment *segment)
{
	LinkHeader *header = dsm_segment_address(segment);
	bool		is_reader = strcmp(kind, "reader") == 0;
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		is_registered;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	strlcpy(worker.bgw_library_name, "feature_stream", BGW_MAXLEN);
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "fs_topic_%s_main", kind);
	snprintf(worker.bgw_type, BGW_MAXLEN, "feature_stream topic %s", kind);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s: %s", worker.bgw_type, stream);
	is_registered = register_worker(&worker, is_reader, &header->ticket, &handle);
	MemoryContextSwitchTo(old);
	if (!is_registered && is_reader && header->ticket == 0)
		throw_no_place(stream);
	if (!is_registered)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker for the topic of stream %s", stream),
				 errdetail("Background worker slots are used up."),
				 errhint("You might need to increase \"max_worker_processes\".")));
	return handle;
}

/* A queue in the segment from one process to another; who is NULL attaches by itself. */
static shm_mq *
make_queue(LinkHeader *header, int which, PGPROC *sender, PGPROC *receiver)
{
	shm_mq	   *queue = shm_mq_create((char *) header + header->queues[which], QUEUE_BYTES);

	if (sender != NULL)
		shm_mq_set_sender(queue, sender);
	if (receiver != NULL)
		shm_mq_set_receiver(queue, receiver);
	return queue;
}

/* Makes the segment with the request, or throws. */
static dsm_segment *
make_segment(const char *stream, const StringInfoData *request)
{
	Size		start = MAXALIGN(offsetof(LinkHeader, request) + request->len);
	dsm_segment *segment = dsm_create(start + 2 * QUEUE_BYTES, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	LinkHeader *header;

	Assert(request->len > 0);
	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a worker for the topic of stream %s", stream),
				 errdetail("There are too many dynamic shared memory segments.")));
	header = dsm_segment_address(segment);
	header->magic = LINK_MAGIC;
	header->abandoned = false;
	header->ticket = 0;
	header->request_len = request->len;
	header->queues[0] = start;
	header->queues[1] = start + QUEUE_BYTES;
	memcpy(header->request, request->data, request->len);
	return segment;
}

/* See topic_link.h. */
FsTopicLink *
fs_topic_link_open(const char *kind, const char *stream, const StringInfoData *request)
{
	FsTopicLink *link = palloc0(sizeof(FsTopicLink));
	BackgroundWorkerHandle *handle;
	LinkHeader *header;
	shm_mq	   *in;
	shm_mq	   *out;

	link->stream = pstrdup(stream);
	link->segment = make_segment(stream, request);
	header = dsm_segment_address(link->segment);
	in = make_queue(header, 0, NULL, MyProc);
	out = make_queue(header, 1, MyProc, NULL);
	handle = start_worker(kind, stream, link->segment);
	on_dsm_detach(link->segment, end_worker, PointerGetDatum(handle));
	link->in = shm_mq_attach(in, link->segment, handle);
	link->out = shm_mq_attach(out, link->segment, handle);
	return link;
}

/* See topic_link.h. */
void
fs_topic_link_close(FsTopicLink *link)
{
	dsm_detach(link->segment);
	pfree(link);
}

/* Throws: the worker is gone and has not said why. */
static void
throw_gone(const FsTopicLink *link)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the worker for the topic of stream %s has ended unexpectedly", link->stream),
			 errhint("See the server log.")));
}

/* Throws what the worker reports. */
static void
throw_reported(FsCursor *rest)
{
	int			code = (int) fs_message_take_number(rest);
	char	   *message = fs_message_take_text(rest);
	char	   *detail = fs_message_take_text(rest);
	char	   *hint = fs_message_take_text(rest);

	ereport(ERROR,
			(errcode(code),
			 errmsg_internal("%s", message != NULL ? message : "missing error text"),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* See topic_link.h. */
char
fs_topic_link_receive(FsTopicLink *link, FsCursor *rest)
{
	Size		len;
	void	   *data;
	char		kind;

	if (shm_mq_receive(link->in, &len, &data, false) != SHM_MQ_SUCCESS)
		throw_gone(link);
	Assert(len > 0);
	kind = *(char *) data;
	rest->p = (char *) data + 1;
	rest->end = (char *) data + len;
	if (kind == FS_TOPIC_ERROR)
		throw_reported(rest);
	return kind;
}

/* See topic_link.h.  What the worker had to say before it went comes first. */
void
fs_topic_link_send(FsTopicLink *link, const StringInfoData *message)
{
	FsCursor	rest;

	Assert(message->len > 0);
	if (shm_mq_send(link->out, message->len, message->data, false, true) == SHM_MQ_SUCCESS)
		return;
	while (fs_topic_link_receive(link, &rest) != FS_TOPIC_ERROR)
		 /* an answer that nobody waits for any more */ ;
}

/* --- The worker's end --- */

/* Of this process, for its whole life. */
static LinkHeader *my_header = NULL;
static shm_mq_handle *to_backend = NULL;
static shm_mq_handle *from_backend = NULL;

/* See topic_link.h. */
void
fs_topic_link_check(void)
{
	if (my_header->abandoned)
		proc_exit(0);
	CHECK_FOR_INTERRUPTS();
}

/* See topic_link.h. */
void
fs_topic_link_begin(StringInfo message, char kind)
{
	resetStringInfo(message);
	appendStringInfoChar(message, kind);
}

/* See topic_link.h. */
void
fs_topic_link_answer(const StringInfoData *message)
{
	Assert(to_backend != NULL && message->len > 0);
	if (shm_mq_send(to_backend, message->len, message->data, false, true) != SHM_MQ_SUCCESS)
		proc_exit(0);
}

/* See topic_link.h. */
bool
fs_topic_link_poll(StringInfo message)
{
	Size		len;
	void	   *data;
	shm_mq_result result = shm_mq_receive(from_backend, &len, &data, true);

	if (result == SHM_MQ_DETACHED)
		proc_exit(0);
	if (result != SHM_MQ_SUCCESS)
		return false;
	initStringInfo(message);
	appendBinaryStringInfo(message, data, (int) len);
	return true;
}

/* Tells the backend what is being thrown.  In a PG_CATCH block. */
static void
report_error(void)
{
	StringInfoData message;
	ErrorData  *error;

	MemoryContextSwitchTo(TopMemoryContext);
	HOLD_INTERRUPTS();
	error = CopyErrorData();
	FlushErrorState();
	RESUME_INTERRUPTS();
	initStringInfo(&message);
	fs_topic_link_begin(&message, FS_TOPIC_ERROR);
	fs_message_put_number(&message, error->sqlerrcode);
	fs_message_put_text(&message, error->message);
	fs_message_put_text(&message, error->detail);
	fs_message_put_text(&message, error->hint);
	fs_topic_link_answer(&message);
}

/* Exit callback: no handle of a foreign library survives, however the worker ends. */
static void
close_client(int code, Datum arg)
{
	((void (*) (void)) DatumGetPointer(arg)) ();
}

/* Attaches to the segment and its queues; ends the process when the backend has gone already. */
static void
attach(dsm_handle handle)
{
	dsm_segment *segment;
	shm_mq	   *out;
	shm_mq	   *in;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "feature_stream topic worker");
	segment = dsm_attach(handle);
	if (segment == NULL)
		proc_exit(0);
	my_header = dsm_segment_address(segment);
	Assert(my_header->magic == LINK_MAGIC);
	out = (shm_mq *) ((char *) my_header + my_header->queues[0]);
	in = (shm_mq *) ((char *) my_header + my_header->queues[1]);
	shm_mq_set_sender(out, MyProc);
	shm_mq_set_receiver(in, MyProc);
	to_backend = shm_mq_attach(out, segment, NULL);
	from_backend = shm_mq_attach(in, segment, NULL);
}

/* See topic_link.h. */
void
fs_topic_link_serve(Datum main_arg, void (*serve) (FsCursor *request), void (*close) (void))
{
	FsCursor	request;
	uint64		ticket;

	memcpy(&ticket, MyBgworkerEntry->bgw_extra, sizeof(ticket));
	if (ticket != 0)
		fs_topic_place_enter(ticket);
	fs_process_prepare();
	MemoryContextSwitchTo(TopMemoryContext);
	attach(DatumGetUInt32(main_arg));
	before_shmem_exit(close_client, PointerGetDatum(close));
	request.p = my_header->request;
	request.end = my_header->request + my_header->request_len;
	PG_TRY();
	{
		serve(&request);
	}
	PG_CATCH();
	{
		report_error();
	}
	PG_END_TRY();
	proc_exit(0);
}
