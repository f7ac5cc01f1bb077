/*
 * kafka_config.c
 *		Puts together the librdkafka properties of a stream.
 *
 * Memory: librdkafka's queue limits are per partition, ours is for the stream;
 * so it is divided by the number of partitions.  A worst case is all
 * partitions at their limit plus one fetch each.
 */
#include "postgres.h"

#include "catalog/kafka_options.h"
#include "source/kafka_config.h"

#define QUEUE_KBYTES		65536	/* fetched ahead, all partitions */
#define QUEUE_MESSAGES		131072	/* ... each also costs about 400 bytes */

/* Ours unless the user says otherwise. */
static const FsKafkaProperty default_properties[] = {
	{"client.id", "feature_stream"},
	{"fetch.wait.max.ms", "50"},	/* bounds the wait of our questions, too */
	{"fetch.error.backoff.ms", "50"},
	{"socket.timeout.ms", "10000"},
	{"socket.connection.setup.timeout.ms", "10000"},
	{"socket.keepalive.enable", "true"},
	{"reconnect.backoff.ms", "100"},
	{"reconnect.backoff.max.ms", "2000"},
	{"sasl.mechanisms", "SCRAM-SHA-512"},	/* librdkafka's own default, GSSAPI, runs kinit in a shell */
	{"topic.metadata.refresh.interval.ms", "30000"}
};

/* What exactly-once and a sane process rest on; set last. */
static const FsKafkaProperty fixed_properties[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "error"},
	{"isolation.level", "read_committed"},
	{"check.crcs", "true"},
	{"allow.auto.create.topics", "false"},
	{"enable.partition.eof", "true"},
	{"log.queue", "true"},
	{"statistics.interval.ms", "0"}
};

static void
append(FsKafkaProperty *properties, int *count, const FsKafkaProperty *more, int n)
{
	memcpy(properties + *count, more, n * sizeof(*more));
	*count += n;
}

/* Divides the memory to fetch ahead among 'npartitions'. */
static void
append_queue_limits(FsKafkaProperty *properties, int *count, int npartitions)
{
	FsKafkaProperty limits[2] = {{"queued.max.messages.kbytes"}, {"queued.min.messages"}};

	Assert(npartitions > 0);
	limits[0].value = psprintf("%d", Max(QUEUE_KBYTES / npartitions, 256));
	limits[1].value = psprintf("%d", Max(QUEUE_MESSAGES / npartitions, 512));
	append(properties, count, limits, lengthof(limits));
}

/*
 * The allowed property of a user's setting, or throws.  The value was checked
 * when it was set; but options survive an upgrade of the extension, and a
 * wrong one here may run code.
 */
static FsKafkaProperty
checked_property(const FsStreamDef *stream, const FsSetting *setting)
{
	const FsKafkaOption *option = fs_kafka_option_find(setting->name);
	const char *complaint;
	FsKafkaProperty property;

	if (option == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of stream %s is not a Kafka property that may be set",
						setting->name, stream->name)));
	complaint = fs_kafka_option_complaint(option, setting->value);
	if (complaint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\" of stream %s", setting->name, stream->name),
				 errdetail("The value must be %s.", complaint)));
	property.name = option->property;
	property.value = setting->value;
	property.secret = option->secret;
	return property;
}

/* What server, user mapping and table say, in that order. */
static void
append_settings(FsKafkaProperty *properties, int *count, const FsStreamDef *stream)
{
	FsKafkaProperty property = {"bootstrap.servers", stream->brokers, false};
	bool		has_brokers = stream->brokers != NULL && stream->brokers[0] != '\0';

	if (has_brokers)
		append(properties, count, &property, 1);
	for (int i = 0; i < stream->nsettings; i++)
	{
		property = checked_property(stream, &stream->settings[i]);
		append(properties, count, &property, 1);
		if (strcmp(property.name, "bootstrap.servers") == 0)
			has_brokers = true;
	}
	if (!has_brokers)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stream %s has no Kafka brokers", stream->name),
				 errhint("Set option \"brokers\" of its server.")));
}

/* See kafka_config.h. */
FsKafkaProperty *
fs_kafka_config(const FsStreamDef *stream, int npartitions, int *count)
{
	int			most = lengthof(default_properties) + lengthof(fixed_properties) + 3 + stream->nsettings;
	FsKafkaProperty *properties = palloc(most * sizeof(*properties));

	*count = 0;
	append(properties, count, default_properties, lengthof(default_properties));
	append_queue_limits(properties, count, npartitions);
	append_settings(properties, count, stream);
	append(properties, count, fixed_properties, lengthof(fixed_properties));
	Assert(*count <= most);
	return properties;
}
