/*
 * kafka_load.c
 *		A bare librdkafka producer and consumer, for the benchmarks.
 *
 *	kafka_load produce BROKERS TOPIC EVENTS USERS SPAN_SECONDS PARTITIONS
 *		clicks of random users, event times rising evenly over the span that
 *		ends now, keyed by user; batches of 10,000, no compression
 *	kafka_load flow BROKERS TOPIC RATE SECONDS USERS PARTITIONS
 *		the same, so many events a second from now on, with the times they are sent at
 *	kafka_load consume BROKERS TOPIC EVENTS PARTITIONS
 *		polls batches from one queue and throws them away: the floor under any
 *		consumer that uses this library.  Prints events, seconds, CPU seconds
 */
#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double
now_seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		error[256];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
	{
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
}

static rd_kafka_t *
make_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *brokers)
{
	char		error[256];
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", brokers);
	rk = rd_kafka_new(type, conf, error, sizeof(error));
	if (rk == NULL)
	{
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	return rk;
}

static uint64_t seed = 88172645463325252ULL;

static uint32_t
next_random(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) ((seed >> 20) % n);
}

/* Waits until a time of the real clock. */
static void
wait_until(rd_kafka_t *rk, double due)
{
	double		left;

	while ((left = due - now_seconds(CLOCK_REALTIME)) > 0)
		rd_kafka_poll(rk, left < 0.001 ? 1 : (int) (left * 1000));
}

/* Event i happens at start + span * i / events; 'paced': it is sent then. */
static int
produce(const char *brokers, const char *topic, long events, long users, double start, double span,
		int partitions, int paced)
{
	static const char *categories[] = {"shoes", "books", "toys", "food", "garden", "music", "tools", "sport"};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;

	set(conf, "linger.ms", paced ? "5" : "100");
	set(conf, "batch.num.messages", "10000");
	set(conf, "queue.buffering.max.messages", "1000000");
	set(conf, "queue.buffering.max.kbytes", "1048576");
	rk = make_handle(RD_KAFKA_PRODUCER, conf, brokers);
	rkt = rd_kafka_topic_new(rk, topic, NULL);
	seed += (uint64_t) (start * 1000);
	for (long i = 0; i < events; i++)
	{
		char		key[32];
		char		value[256];
		uint32_t	user = next_random(users);
		int			key_len = snprintf(key, sizeof(key), "u%u", user);
		int			len = snprintf(value, sizeof(value),
								   "{\"user_id\": \"u%u\", \"item_id\": \"i%u\", \"category\": \"%s\", \"timestamp\": %.3f}",
								   user, next_random(100000), categories[next_random(8)],
								   start + span * i / events);

		if (paced && i % 100 == 0)
			wait_until(rk, start + span * i / events);
		while (rd_kafka_produce(rkt, user % partitions, RD_KAFKA_MSG_F_COPY, value, len, key, key_len, NULL) != 0)
			rd_kafka_poll(rk, 10);
		if (i % 10000 == 0)
			rd_kafka_poll(rk, 0);
	}
	rd_kafka_flush(rk, 60000);
	rd_kafka_topic_destroy(rkt);
	rd_kafka_destroy(rk);
	return 0;
}

static int
consume(const char *brokers, const char *topic, long events, int partitions)
{
	static rd_kafka_message_t *messages[1000];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *queue;
	long		seen = 0;
	double		begin = now_seconds(CLOCK_MONOTONIC);

	set(conf, "check.crcs", "true");
	set(conf, "fetch.wait.max.ms", "10");
	rk = make_handle(RD_KAFKA_CONSUMER, conf, brokers);
	rkt = rd_kafka_topic_new(rk, topic, NULL);
	queue = rd_kafka_queue_new(rk);
	for (int p = 0; p < partitions; p++)
		rd_kafka_consume_start_queue(rkt, p, 0, queue);
	while (seen < events)
	{
		ssize_t		n = rd_kafka_consume_batch_queue(queue, 100, messages, 1000);

		for (ssize_t i = 0; i < n; i++)
		{
			if (messages[i]->err == 0)
				seen++;
			rd_kafka_message_destroy(messages[i]);
		}
	}
	printf("%ld %.3f %.3f\n", seen, now_seconds(CLOCK_MONOTONIC) - begin, now_seconds(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}

int
main(int argc, char **argv)
{
	double		now = now_seconds(CLOCK_REALTIME);

	if (argc == 8 && strcmp(argv[1], "produce") == 0)
		return produce(argv[2], argv[3], atol(argv[4]), atol(argv[5]), now - atof(argv[6]), atof(argv[6]), atoi(argv[7]), 0);
	if (argc == 8 && strcmp(argv[1], "flow") == 0)
		return produce(argv[2], argv[3], atol(argv[4]) * atol(argv[5]), atol(argv[6]), now, atof(argv[5]), atoi(argv[7]), 1);
	if (argc == 6 && strcmp(argv[1], "consume") == 0)
		return consume(argv[2], argv[3], atol(argv[4]), atoi(argv[5]));
	fprintf(stderr, "usage: kafka_load produce BROKERS TOPIC EVENTS USERS SPAN PARTITIONS | flow BROKERS TOPIC RATE SECONDS USERS PARTITIONS | consume BROKERS TOPIC EVENTS PARTITIONS\n");
	return 2;
}
