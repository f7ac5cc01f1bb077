/*
 * kafka_question.c
 *		Questions to the broker, through librdkafka.
 *
 * All of it runs in the asker's thread (kafka_asker.h): calls here wait for the
 * broker, and nothing of the server may be called, no memory of it be touched.
 * What to ask and what the answers mean is decided in kafka_watch.c and
 * kafka_answer.c.
 */
#include "postgres.h"

#include "ground/clock.h"
#include "source/kafka_client.h"

/* Milliseconds left until 'deadline', at least 1 and never "for ever". */
static int
ms_until(int64 deadline)
{
	return (int) Max((deadline - fs_clock_monotonic()) / 1000, 1);
}

static void
answer_error(FsKafkaInquiry *inquiry, FsKafkaOutcome outcome, const char *what,
			 rd_kafka_resp_err_t err)
{
	inquiry->outcome = outcome;
	snprintf(inquiry->message, sizeof(inquiry->message), "%s: %s", what, rd_kafka_err2str(err));
}

/* Adds the cluster's id to the answer, as far as it is known; never waits. */
static void
ask_cluster(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	char	   *cluster = rd_kafka_clusterid(peer.client, 0);

	inquiry->cluster[0] = '\0';
	if (cluster == NULL)
		return;
	snprintf(inquiry->cluster, sizeof(inquiry->cluster), "%s", cluster);
	rd_kafka_mem_free(peer.client, cluster);
}

/* Does the topic exist, how many partitions has it? */
static void
ask_topic(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(peer.client, 0, peer.topic, &metadata, FS_KAFKA_ASK_TIMEOUT);
	if (err)
	{
		answer_error(inquiry, FS_KAFKA_UNREACHABLE, "no Kafka broker answers", err);
		return;
	}
	err = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN;
	inquiry->npartitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
	rd_kafka_metadata_destroy(metadata);
	ask_cluster(peer, inquiry);
	inquiry->outcome = FS_KAFKA_ANSWERED;
	if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		inquiry->outcome = FS_KAFKA_NO_TOPIC;
	else if (err || inquiry->npartitions == 0)
		answer_error(inquiry, FS_KAFKA_REFUSED, rd_kafka_topic_name(peer.topic),
					 err ? err : RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
}

typedef enum LookUp
{
	LOOK_UP_BEGIN,
	LOOK_UP_END,
	LOOK_UP_TIME
} LookUp;

/*
 * Looks up one kind of offset for the items that want it.  ListOffsets with
 * isolation level read_committed ends at the last stable offset.
 * (rd_kafka_query_watermark_offsets() is not used: in 2.0 it may overrun its
 * timeout by socket.timeout.ms.)
 */
static rd_kafka_resp_err_t
look_up(FsKafkaPeer peer, FsKafkaInquiry *inquiry, LookUp what, int64 deadline)
{
	static const int64 logical[] = {RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END};
	const char *topic = rd_kafka_topic_name(peer.topic);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(inquiry->nitems);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < inquiry->nitems; i++)
	{
		FsKafkaAskItem *item = &inquiry->items[i];

		if (what == LOOK_UP_TIME && item->time < 0)
			continue;
		rd_kafka_topic_partition_list_add(list, topic, item->partition)->offset =
			what == LOOK_UP_TIME ? item->time : logical[what];
	}
	if (list->cnt > 0)
		err = rd_kafka_offsets_for_times(peer.client, list, ms_until(deadline));
	for (int i = 0; i < inquiry->nitems && !err; i++)
	{
		FsKafkaAskItem *item = &inquiry->items[i];
		rd_kafka_topic_partition_t *found =
			rd_kafka_topic_partition_list_find(list, topic, item->partition);

		if (found == NULL)
			continue;
		err = found->err;
		*(what == LOOK_UP_TIME ? &item->at :
		  what == LOOK_UP_END ? &item->end : &item->begin) = found->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

/*
 * Where do the partitions begin and end?  The end before the time: when no
 * record is found at or after the time, then none was there below that end.
 */
static void
ask_offsets(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	int64		deadline = fs_clock_monotonic() + FS_KAFKA_ASK_TIMEOUT * INT64CONST(1000);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (inquiry->begin)
		err = look_up(peer, inquiry, LOOK_UP_BEGIN, deadline);
	if (!err)
		err = look_up(peer, inquiry, LOOK_UP_END, deadline);
	if (!err)
		err = look_up(peer, inquiry, LOOK_UP_TIME, deadline);
	if (err)
		answer_error(inquiry, FS_KAFKA_REFUSED, "cannot look up offsets", err);
	else
		inquiry->outcome = FS_KAFKA_ANSWERED;
}

/* Answers any question, within FS_KAFKA_ASK_TIMEOUT. */
static void
answer(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	if (inquiry->ask == FS_KAFKA_ASK_TOPIC)
		ask_topic(peer, inquiry);
	else
		ask_offsets(peer, inquiry);
}

const FsKafkaAskerWork fs_kafka_questions = {
	.answer = answer,
	.destroy = fs_kafka_client_destroy
};
