/*
 * topic_reader.c
 *		Records of a topic for SELECT on its stream; see topic_reader.h.
 *
 * Partitions end where position has reached the end, not with a record: behind
 * the last one there may be transaction markers, and what was compacted or
 * aborted.  What is fetched ahead is bounded by librdkafka's queues, what is sent
 * by the link's: a backend that takes its time is waited for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "ground/clock.h"
#include "source/topic_message.h"
#include "worker/topic_reader.h"

#define BATCH_RECORDS	500
#define MESSAGE_BYTES	65536	/* a message is sent when it has that much */
#define IDLE_WAIT		100		/* ms */
#define PATIENCE		(20 * USECS_PER_SEC)	/* without any answer of the brokers */

/* A partition that is read. */
typedef struct Part
{
	int			index;			/* in source->partitions */
	int64		next;			/* first offset not read; -1: not known yet */
	int64		log_end;		/* where the partition ends, for this scan */
	int64		end;			/* first offset not to be read */
	bool		assigned;
} Part;

typedef struct Reader
{
	FsTopicRequest request;
	FsStreamDef *stream;
	int			nparts;			/* -1: not known yet */
	Part	   *parts;
	int64		answered_at;	/* when there was any progress; monotonic */
	FsRecord   *records;
	StringInfoData message;
} Reader;

/* The process's one source; it has to be closed whatever happens. */
static FsSource *my_source = NULL;

/* --- The request, on both sides --- */

/* Where partitions end, into the request. */
static void
put_ends(StringInfo message, int nends, const FsTopicEnd *ends)
{
	fs_message_put_number(message, nends);
	for (int i = 0; i < nends; i++)
	{
		fs_message_put_number(message, ends[i].partition);
		fs_message_put_number(message, ends[i].offset);
	}
}

/* Where the partition ends, as far as an earlier reading has told; NULL: it has not. */
static const FsTopicEnd *
find_end(const FsTopicRequest *request, int32 partition)
{
	for (int i = 0; i < request->nends; i++)
		if (request->ends[i].partition == partition)
			return &request->ends[i];
	return NULL;
}

/* See topic_reader.h. */
void
fs_topic_reader_take_ends(FsCursor *rest, FsTopicRequest *request)
{
	int			n = (int) fs_message_take_number(rest);

	if (request->nends == 0)
		request->ends = palloc(sizeof(FsTopicEnd) * Max(n, 1));
	else
		request->ends = repalloc(request->ends, sizeof(FsTopicEnd) * (request->nends + n));
	for (int i = 0; i < n; i++)
	{
		FsTopicEnd	end = {.partition = (int32) fs_message_take_number(rest)};

		end.offset = fs_message_take_number(rest);
		if (find_end(request, end.partition) == NULL)
			request->ends[request->nends++] = end;
	}
}

/* See topic_reader.h. */
FsTopicLink *
fs_topic_reader_start(const FsStreamDef *stream, const FsTopicRequest *request)
{
	StringInfoData message;
	FsTopicLink *link;

	initStringInfo(&message);
	fs_message_put_stream(&message, stream);
	fs_message_put_number(&message, request->headers);
	fs_message_put_number(&message, request->min_partition);
	fs_message_put_number(&message, request->max_partition);
	fs_message_put_number(&message, request->some_partitions);
	fs_message_put_number(&message, request->npartitions);
	for (int i = 0; i < request->npartitions; i++)
		fs_message_put_number(&message, request->partitions[i]);
	fs_message_put_number(&message, request->min_offset);
	fs_message_put_number(&message, request->max_offset);
	fs_message_put_number(&message, request->since);
	put_ends(&message, request->nends, request->ends);
	link = fs_topic_link_open("reader", stream->name, &message);
	pfree(message.data);
	return link;
}

/* Takes what fs_topic_reader_start() has put. */
static void
take_request(FsCursor *cursor, Reader *reader)
{
	FsTopicRequest *request = &reader->request;

	reader->stream = fs_message_take_stream(cursor);
	request->headers = fs_message_take_number(cursor) != 0;
	request->min_partition = fs_message_take_number(cursor);
	request->max_partition = fs_message_take_number(cursor);
	request->some_partitions = fs_message_take_number(cursor) != 0;
	request->npartitions = (int) fs_message_take_number(cursor);
	request->partitions = palloc(sizeof(int64) * Max(request->npartitions, 1));
	for (int i = 0; i < request->npartitions; i++)
		request->partitions[i] = fs_message_take_number(cursor);
	request->min_offset = fs_message_take_number(cursor);
	request->max_offset = fs_message_take_number(cursor);
	request->since = fs_message_take_number(cursor);
	fs_topic_reader_take_ends(cursor, request);
	reader->stream->start_kind = request->since == FS_TIME_MIN ? FS_START_EARLIEST : FS_START_TIMESTAMP;
	reader->stream->start_time = request->since;
}

/* --- Records, on both sides --- */

/* Of a value that is too long to be decoded its length is enough. */
static void
put_record(Reader *reader, const FsRecord *record)
{
	StringInfo	message = &reader->message;
	bool		too_long = (int64) record->value_len > reader->stream->max_record_bytes;
	char	   *headers = NULL;

	if (reader->request.headers)
		headers = fs_source_kafka_ops.headers(my_source, record, MaxAllocSize);
	fs_message_put_number(message, record->partition);
	fs_message_put_number(message, record->offset);
	fs_message_put_number(message, record->record_time);
	fs_message_put_bytes(message, record->key, record->key_len);
	fs_message_put_number(message, too_long ? (int64) record->value_len : 0);
	fs_message_put_bytes(message, too_long ? "" : record->value, too_long ? 0 : record->value_len);
	fs_message_put_bytes(message, record->header, record->header_len);
	fs_message_put_text(message, headers);
	if (headers != NULL)
		pfree(headers);
}

/* See topic_reader.h. */
bool
fs_topic_reader_take(FsCursor *rest, FsRecord *record)
{
	int64		too_long;

	if (fs_cursor_left(rest) == 0)
		return false;
	memset(record, 0, sizeof(FsRecord));
	record->partition = (int32) fs_message_take_number(rest);
	record->offset = fs_message_take_number(rest);
	record->record_time = fs_message_take_number(rest);
	record->arrival = FS_TIME_MIN;
	record->key = fs_message_take_bytes(rest, &record->key_len);
	too_long = fs_message_take_number(rest);
	record->value = fs_message_take_bytes(rest, &record->value_len);
	if (too_long > 0)
		record->value_len = (size_t) too_long;
	record->header = fs_message_take_bytes(rest, &record->header_len);
	record->handle = fs_message_take_text(rest);
	return true;
}

/* --- Reading, in the worker --- */

/* Exit callback. */
static void
close_source(void)
{
	FsSource   *source = my_source;

	my_source = NULL;
	if (source != NULL)
		fs_source_kafka_ops.close(source);
}

static bool
is_finished(const Part *part)
{
	return part->next >= 0 && part->next >= part->end;
}

/* Is the partition asked for? */
static bool
is_wanted(const FsTopicRequest *request, int32 id)
{
	if (id < request->min_partition || id > request->max_partition)
		return false;
	for (int i = 0; i < request->npartitions; i++)
		if (request->partitions[i] == id)
			return true;
	return !request->some_partitions;
}

/* Takes the partitions that there are, once they are known. */
static void
find_parts(Reader *reader)
{
	if (reader->nparts >= 0 || my_source->npartitions == 0)
		return;
	reader->nparts = 0;
	reader->parts = palloc0(sizeof(Part) * my_source->npartitions);
	for (int i = 0; i < my_source->npartitions; i++)
		if (is_wanted(&reader->request, my_source->partitions[i].id))
		{
			reader->parts[reader->nparts].index = i;
			reader->parts[reader->nparts++].next = -1;
		}
}

/* Takes over where a partition begins and ends. */
static void
take_start(Reader *reader, Part *part, const FsSourcePartition *known)
{
	const FsTopicRequest *request = &reader->request;
	const FsTopicEnd *told = find_end(request, known->id);

	Assert(part->next < 0 && known->state == FS_PARTITION_RESOLVED);
	part->log_end = told != NULL ? told->offset : known->end_offset;
	part->end = request->max_offset < part->log_end ? request->max_offset + 1 : part->log_end;
	part->next = Max(known->start.offset, request->min_offset);
	reader->answered_at = fs_clock_monotonic();
}

/* Begins a partition, and follows how far its position has come. */
static void
follow_part(Reader *reader, Part *part)
{
	const FsSourcePartition *known = &my_source->partitions[part->index];
	FsPosition	position = {.offset = part->next};

	if (is_finished(part))
		return;
	if (known->state == FS_PARTITION_STOPPED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not read the topic of stream %s", reader->stream->name),
				 errdetail_internal("%s.", known->error),
				 errhint("Try again.")));
	if (part->next < 0 && known->state == FS_PARTITION_FOUND)
		fs_source_kafka_ops.resolve_start(my_source, part->index, reader->request.since == FS_TIME_MIN);
	else if (part->next < 0 && known->state == FS_PARTITION_RESOLVED)
		take_start(reader, part, known);
	else if (part->next >= 0 && !part->assigned)
	{
		fs_source_kafka_ops.assign(my_source, part->index, position);
		part->assigned = true;
	}
	else if (part->assigned && known->read_to > part->next)
	{
		part->next = known->read_to;
		reader->answered_at = fs_clock_monotonic();
	}
}

/* Sends what the message has, if anything. */
static void
send_records(Reader *reader)
{
	if (reader->message.len > 1)
		fs_topic_link_answer(&reader->message);
	reader->answered_at = fs_clock_monotonic();
	if (reader->message.maxlen > 16 * MESSAGE_BYTES)
	{
		pfree(reader->message.data);
		initStringInfo(&reader->message);
	}
	fs_topic_link_begin(&reader->message, FS_TOPIC_RECORDS);
}

/* Sends what is at hand of a partition, up to its end; false when nothing is. */
static bool
read_part(Reader *reader, Part *part)
{
	int			got;
	int			n = 0;

	if (!part->assigned || is_finished(part))
		return false;
	got = fs_source_kafka_ops.poll(my_source, part->index, reader->records, BATCH_RECORDS);
	if (got == 0)
		return false;
	Assert(got <= BATCH_RECORDS && part->next >= 0);
	for (; n < got && reader->records[n].offset < part->end; n++)
	{
		put_record(reader, &reader->records[n]);
		if (reader->message.len >= MESSAGE_BYTES)
			send_records(reader);
	}
	part->next = n < got ? part->end : reader->records[got - 1].offset + 1;
	fs_source_kafka_ops.release(my_source);
	send_records(reader);
	return true;
}

/* Throws when nothing has come from the brokers for too long. */
static void
check_patience(const Reader *reader)
{
	if (fs_clock_monotonic() - reader->answered_at < PATIENCE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the brokers of stream %s do not answer", reader->stream->name),
			 my_source->error[0] != '\0' ? errdetail_internal("%s.", my_source->error) : 0,
			 errhint("Check the option \"brokers\" of its server and the topic's name.")));
}

/* Waits until the source has something, or not long. */
static void
wait_for_source(void)
{
	int			fd = fs_source_kafka_ops.wait_fd(my_source);

	(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH |
							 (fd >= 0 ? WL_SOCKET_READABLE : 0), fd, IDLE_WAIT, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* Tells the backend where the partitions end, once all of them know. */
static void
send_ends(Reader *reader)
{
	StringInfoData message;
	FsTopicEnd *ends = palloc(sizeof(FsTopicEnd) * Max(reader->nparts, 1));

	Assert(reader->nparts >= 0);
	for (int i = 0; i < reader->nparts; i++)
	{
		ends[i].partition = my_source->partitions[reader->parts[i].index].id;
		ends[i].offset = reader->parts[i].log_end;
	}
	initStringInfo(&message);
	fs_topic_link_begin(&message, FS_TOPIC_ENDS);
	put_ends(&message, reader->nparts, ends);
	fs_topic_link_answer(&message);
	pfree(message.data);
	pfree(ends);
}

/* Do all partitions have a beginning and an end? */
static bool
is_started(const Reader *reader)
{
	for (int i = 0; i < reader->nparts; i++)
		if (reader->parts[i].next < 0)
			return false;
	return reader->nparts >= 0;
}

static bool
is_all_read(const Reader *reader)
{
	for (int i = 0; i < reader->nparts; i++)
		if (!is_finished(&reader->parts[i]))
			return false;
	return true;
}

/* Looks after the source and all partitions; true when records may be read. */
static bool
service(Reader *reader)
{
	fs_topic_link_check();
	fs_source_kafka_ops.service(my_source);
	find_parts(reader);
	for (int i = 0; i < reader->nparts; i++)
		follow_part(reader, &reader->parts[i]);
	return is_started(reader);
}

/* The worker's work: reads until all is read. */
static void
serve(FsCursor *cursor)
{
	Reader		reader = {.nparts = -1, .answered_at = fs_clock_monotonic()};

	take_request(cursor, &reader);
	reader.records = palloc(sizeof(FsRecord) * BATCH_RECORDS);
	initStringInfo(&reader.message);
	fs_topic_link_begin(&reader.message, FS_TOPIC_RECORDS);
	my_source = fs_source_kafka_ops.open(reader.stream);
	while (!service(&reader))
	{
		check_patience(&reader);
		wait_for_source();
	}
	send_ends(&reader);
	while (!is_all_read(&reader))
	{
		bool		any = false;

		(void) service(&reader);
		for (int i = 0; i < reader.nparts; i++)
			any |= read_part(&reader, &reader.parts[i]);
		if (any)
			continue;
		check_patience(&reader);
		if (!is_all_read(&reader))
			wait_for_source();
	}
	fs_topic_link_begin(&reader.message, FS_TOPIC_DONE);
	fs_topic_link_answer(&reader.message);
}

/* See topic_reader.h. */
void
fs_topic_reader_main(Datum main_arg)
{
	fs_topic_link_serve(main_arg, serve, close_source);
}
