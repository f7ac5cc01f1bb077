/*
 * kafka_options.c
 *		The allowlist of librdkafka properties.
 *
 * Called by the validators of servers, user mappings and streams, and by the
 * Kafka source, which trusts no option that is not found here.  To allow
 * another property, first make sure that it can neither run code, read files,
 * move offsets nor unbound memory; then add a line.
 */
#include "postgres.h"

#include "catalog/kafka_options.h"

#define S	FS_KAFKA_ON_SERVER
#define M	FS_KAFKA_ON_MAPPING
#define T	FS_KAFKA_ON_TABLE

#define TEXT(property, alias, where) \
	{property, alias, where, false, false, FS_KAFKA_TEXT, 0, 0, NULL}
#define SECRET(property, alias) \
	{property, alias, M, true, false, FS_KAFKA_TEXT, 0, 0, NULL}
#define INT(property, where, min, max) \
	{property, NULL, where, false, false, FS_KAFKA_INT, min, max, NULL}
#define BOOL(property, where) \
	{property, NULL, where, false, false, FS_KAFKA_BOOL, 0, 0, NULL}
#define CHOICE(property, where, choices) \
	{property, NULL, where, false, false, FS_KAFKA_CHOICE, 0, 0, choices}
#define SUPERUSER(property, kind, choices) \
	{property, NULL, S, false, true, kind, 0, 0, choices}

const FsKafkaOption fs_kafka_options[] = {
	/* Connection */
	TEXT("bootstrap.servers", "brokers", S),
	TEXT("client.id", NULL, S | T),
	TEXT("client.rack", NULL, S | T),
	CHOICE("broker.address.family", S, "any, v4, v6"),
	INT("broker.address.ttl", S, 0, 86400000),
	INT("connections.max.idle.ms", S, 0, 86400000),
	INT("reconnect.backoff.ms", S, 10, 60000),
	INT("reconnect.backoff.max.ms", S, 10, 300000),
	INT("socket.timeout.ms", S, 1000, 300000),
	INT("socket.connection.setup.timeout.ms", S, 1000, 300000),
	BOOL("socket.keepalive.enable", S),
	BOOL("socket.nagle.disable", S),
	INT("socket.receive.buffer.bytes", S, 0, 100000000),
	INT("socket.send.buffer.bytes", S, 0, 100000000),
	INT("socket.max.fails", S, 0, 1000000),
	INT("topic.metadata.refresh.interval.ms", S, 1000, 3600000),

	/* Authentication and encryption */
	CHOICE("security.protocol", S, "plaintext, ssl, sasl_plaintext, sasl_ssl, PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
	CHOICE("sasl.mechanisms", S | M, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
	CHOICE("sasl.mechanism", S | M, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
	TEXT("sasl.username", "username", M),
	SECRET("sasl.password", "password"),
	TEXT("ssl.ca.pem", NULL, S),
	TEXT("ssl.certificate.pem", NULL, S | M),
	SECRET("ssl.key.pem", NULL),
	SECRET("ssl.key.password", NULL),
	TEXT("ssl.cipher.suites", NULL, S),
	TEXT("ssl.curves.list", NULL, S),
	TEXT("ssl.sigalgs.list", NULL, S),
	SUPERUSER("ssl.ca.location", FS_KAFKA_TEXT, NULL),
	SUPERUSER("ssl.crl.location", FS_KAFKA_TEXT, NULL),
	SUPERUSER("ssl.certificate.location", FS_KAFKA_TEXT, NULL),
	SUPERUSER("ssl.key.location", FS_KAFKA_TEXT, NULL),
	SUPERUSER("enable.ssl.certificate.verification", FS_KAFKA_BOOL, NULL),
	SUPERUSER("ssl.endpoint.identification.algorithm", FS_KAFKA_CHOICE, "https, none"),

	/* Fetching and memory; the queue limits are for one partition */
	INT("fetch.min.bytes", S | T, 1, 100000000),
	INT("fetch.wait.max.ms", S | T, 1, 5000),
	INT("fetch.max.bytes", S | T, 1024, 500000000),
	INT("fetch.message.max.bytes", S | T, 1024, 100000000),
	INT("fetch.error.backoff.ms", S | T, 0, 60000),
	INT("queued.min.messages", S | T, 1, 1000000),
	INT("queued.max.messages.kbytes", S | T, 64, 1048576),
	INT("message.max.bytes", S | T, 1000, 100000000),
	INT("receive.message.max.bytes", S | T, 1000000, 1000000000)
};

const int	fs_kafka_option_count = lengthof(fs_kafka_options);

/*
 * Is 'sql_name' this property, its alias, or its name with underscores for the
 * dots?  SQL folds unquoted names to lower case and so are librdkafka's.
 */
static bool
option_has_name(const FsKafkaOption *option, const char *sql_name)
{
	const char *p = option->property;
	const char *s = sql_name;

	if (option->alias != NULL && strcmp(option->alias, sql_name) == 0)
		return true;
	while (*p != '\0' && (*p == *s || (*p == '.' && *s == '_')))
	{
		p++;
		s++;
	}
	return *p == '\0' && *s == '\0';
}

/* See kafka_options.h. */
const FsKafkaOption *
fs_kafka_option_find(const char *sql_name)
{
	Assert(sql_name != NULL);

	for (int i = 0; i < fs_kafka_option_count; i++)
	{
		if (option_has_name(&fs_kafka_options[i], sql_name))
			return &fs_kafka_options[i];
	}
	return NULL;
}

/* Is 'value' one of the words of 'choices'?  Case counts, as it does to librdkafka. */
static bool
is_one_of(const char *value, const char *choices)
{
	size_t		len = strlen(value);

	for (const char *c = choices; c != NULL; c = strchr(c, ','))
	{
		c += strspn(c, ", ");
		if (strcspn(c, ",") == len && strncmp(c, value, len) == 0)
			return true;
	}
	return false;
}

/* Is 'value' a decimal integer from min to max? */
static bool
is_integer(const char *value, int min, int max)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	return end != value && *end == '\0' && errno == 0 &&
		number >= min && number <= max;
}

/* See kafka_options.h. */
const char *
fs_kafka_option_complaint(const FsKafkaOption *option, const char *value)
{
	Assert(option != NULL && value != NULL);

	switch (option->kind)
	{
		case FS_KAFKA_TEXT:
			return value[0] != '\0' ? NULL : "a text that is not empty";
		case FS_KAFKA_INT:
			if (is_integer(value, option->min, option->max))
				return NULL;
			return psprintf("an integer from %d to %d", option->min, option->max);
		case FS_KAFKA_BOOL:
			return is_one_of(value, "true, false") ? NULL : "true or false";
		case FS_KAFKA_CHOICE:
			if (is_one_of(value, option->choices))
				return NULL;
			return psprintf("one of %s", option->choices);
	}
	pg_unreachable();
}
