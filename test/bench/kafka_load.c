/*
 * kafka_load.c
 *		A bare librdkafka producer and consumer, for the benchmarks.
 *
 *	kafka_load produce BROKERS TOPIC EVENTS USERS SPAN_SECONDS PARTITIONS [FORMAT BAD END]
 *		clicks of random users, event times rising evenly over the span that
 *		ends now, keyed by user; batches of 10,000, no compression.  FORMAT: json,
 *		avro, or wire, the same behind a zero byte and schema number 1; BAD: percent
 *		of records that lack their last byte; END, in seconds since 1970: of the
 *		span, the same clicks each time
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

typedef struct Click
{
	uint32_t	user;
	uint32_t	item;
	const char *category;
	double		time;
} Click;

/* A zigzag varint; the byte behind it. */
static char *
put_long(char *p, int64_t value)
{
	uint64_t	left = ((uint64_t) value << 1) ^ (uint64_t) (value >> 63);

	for (; left >= 0x80; left >>= 7)
		*p++ = (char) (left | 0x80);
	*p++ = (char) left;
	return p;
}

static char *
put_string(char *p, const char *text)
{
	size_t		len = strlen(text);

	p = put_long(p, (int64_t) len);
	memcpy(p, text, len);
	return p + len;
}

/* Writes a click as the format has it; how many bytes. */
static int
write_click(char *value, size_t size, const Click *click, const char *format)
{
	char		text[32];
	char	   *p = value;

	if (strcmp(format, "json") == 0)
		return snprintf(value, size, "{\"user_id\": \"u%u\", \"item_id\": \"i%u\", \"category\": \"%s\", \"timestamp\": %.3f}",
						click->user, click->item, click->category, click->time);
	if (strcmp(format, "wire") == 0)
	{
		memcpy(p, "\0\0\0\0\1", 5);
		p += 5;
	}
	snprintf(text, sizeof(text), "u%u", click->user);
	p = put_string(p, text);
	snprintf(text, sizeof(text), "i%u", click->item);
	p = put_string(p, text);
	p = put_string(p, click->category);
	return (int) (put_long(p, (int64_t) (click->time * 1000)) - value);
}

/* Event i happens at start + span * i / events; 'paced': it is sent then. */
static int
produce(const char *brokers, const char *topic, long events, long users, double start, double span,
		int partitions, int paced, const char *format, int bad)
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
		uint32_t	item = next_random(100000);
		Click		click = {user, item, categories[next_random(8)], start + span * i / events};
		int			key_len = snprintf(key, sizeof(key), "u%u", user);
		int			len = write_click(value, sizeof(value), &click, format) - (i % 100 < bad);

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

	if ((argc == 8 || argc == 11) && strcmp(argv[1], "produce") == 0)
		return produce(argv[2], argv[3], atol(argv[4]), atol(argv[5]), (argc == 11 ? atof(argv[10]) : now) - atof(argv[6]),
					   atof(argv[6]), atoi(argv[7]), 0, argc == 11 ? argv[8] : "json", argc == 11 ? atoi(argv[9]) : 0);
	if (argc == 8 && strcmp(argv[1], "flow") == 0)
		return produce(argv[2], argv[3], atol(argv[4]) * atol(argv[5]), atol(argv[6]), now, atof(argv[5]), atoi(argv[7]), 1, "json", 0);
	if (argc == 6 && strcmp(argv[1], "consume") == 0)
		return consume(argv[2], argv[3], atol(argv[4]), atoi(argv[5]));
	fprintf(stderr, "usage: kafka_load produce BROKERS TOPIC EVENTS USERS SPAN PARTITIONS [FORMAT BAD END] | flow BROKERS TOPIC RATE SECONDS USERS PARTITIONS | consume BROKERS TOPIC EVENTS PARTITIONS\n");
	return 2;
}
