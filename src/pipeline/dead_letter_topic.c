/*
 * dead_letter_topic.c
 *		Dead letters on their way to a topic; see dead_letter_topic.h.
 *
 * The checkpoint that writes a dead letter enters it in dead_letter_unsent.  From
 * there it is taken, some at a time, handed to the producer, and struck off once
 * the broker has it: at least once, and only what a checkpoint has committed.
 * One that the broker will never take, since it is too large, stays with the
 * reason.  All of it is the ingest worker's; upkeep keeps the dead letters that
 * are still to be sent.  One that is repaired meanwhile goes out as it came.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ground/clock.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "pipeline/dead_letter_topic.h"
#include "pipeline/dead_letters.h"
#include "source/kafka_producer.h"
#include "state/query.h"

#define BATCH_LETTERS	200
#define BATCH_BYTES		(4 * 1024 * 1024)	/* beyond the first */
#define FIRST_RETRY		INT64CONST(1000000)	/* us; doubles up to ... */
#define LAST_RETRY		INT64CONST(60000000)

/* A dead letter in hand. */
typedef struct Letter
{
	FsKafkaMessage message;
	Datum		key[4];			/* of its row in dead_letter_unsent */
} Letter;

typedef struct FsDeadLetterTopic
{
	FsKafkaProducer *producer;	/* NULL: it failed, and is made anew at 'retry_at' */
	MemoryContext context;		/* of the letters in hand */
	int			nletters;
	Letter	   *letters;
	bool		maybe_more;		/* there may be rows to take */
	int64		retry_at;		/* monotonic clock; 0: now */
	int64		retry_after;	/* us */
	char		trouble[FS_SOURCE_ERROR_SIZE];
} FsDeadLetterTopic;

static Oid	key_types[] = {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID};

/* See dead_letter_topic.h. */
void
fs_dead_letter_topic_open(FsShard *shard)
{
	Datum		values[] = {ObjectIdGetDatum(shard->def->relid)};
	FsDeadLetterTopic *topic;

	if (shard->def->dead_letter_topic == NULL)
	{
		SPI_connect();
		fs_query_run("DELETE FROM feature_stream.dead_letter_unsent WHERE stream = $1",
					 SPI_OK_DELETE, 1, key_types, values, NULL);
		SPI_finish();
		return;
	}
	topic = palloc0(sizeof(FsDeadLetterTopic));
	topic->context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream dead letters to send",
										   ALLOCSET_DEFAULT_SIZES);
	topic->producer = fs_kafka_producer_open(shard->def, shard->def->dead_letter_topic, false);
	topic->maybe_more = true;
	topic->retry_after = FIRST_RETRY;
	shard->dead_letter_topic = topic;
}

/* See dead_letter_topic.h. */
void
fs_dead_letter_topic_close(FsShard *shard)
{
	FsDeadLetterTopic *topic = shard->dead_letter_topic;

	shard->dead_letter_topic = NULL;
	if (topic != NULL && topic->producer != NULL)
		fs_kafka_producer_close(topic->producer);
}

/* --- Rows of dead_letter_unsent, many at once --- */

/* Partitions, offsets and times of recording: what tells a stream's rows apart. */
typedef struct Keys
{
	int			n;
	Datum	   *columns[3];
} Keys;

/* Makes room for so many; they are in the current memory context. */
static void
make_keys(Keys *keys, int most)
{
	keys->n = 0;
	for (int i = 0; i < lengthof(keys->columns); i++)
		keys->columns[i] = palloc(sizeof(Datum) * Max(most, 1));
}

static void
add_key(Keys *keys, Datum partition, Datum offset, Datum recorded_at)
{
	keys->columns[0][keys->n] = partition;
	keys->columns[1][keys->n] = offset;
	keys->columns[2][keys->n++] = recorded_at;
}

/* Runs a command with the stream as $1 and the keys as arrays, $2 to $4. */
static void
run_on_keys(const char *command, int expected, Oid stream, const Keys *keys)
{
	Oid			types[] = {OIDOID, INT4ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID};
	Datum		values[lengthof(types)] = {ObjectIdGetDatum(stream)};

	values[1] = PointerGetDatum(construct_array(keys->columns[0], keys->n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(keys->columns[1], keys->n, INT8OID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = PointerGetDatum(construct_array(keys->columns[2], keys->n, TIMESTAMPTZOID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	fs_query_run(command, expected, lengthof(types), types, values, NULL);
}

/* --- Noting --- */

/* See dead_letter_topic.h.  One command for all. */
void
fs_dead_letter_topic_note(FsShard *shard, const FsCheckpoint *checkpoint)
{
	int			n = list_length(checkpoint->pending.dead_letters);
	Keys		keys;
	ListCell   *cell;

	if (shard->dead_letter_topic == NULL || n == 0)
		return;
	make_keys(&keys, n);
	foreach(cell, checkpoint->pending.dead_letters)
	{
		const FsDeadLetter *letter = lfirst(cell);

		add_key(&keys, Int32GetDatum(letter->partition), Int64GetDatum(letter->offset),
				TimestampTzGetDatum(letter->recorded_at));
	}
	SPI_connect();
	run_on_keys("INSERT INTO feature_stream.dead_letter_unsent (stream, partition, \"offset\", recorded_at)"
				" SELECT $1, * FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) r",
				SPI_OK_INSERT, shard->def->relid, &keys);
	SPI_finish();
	shard->dead_letter_topic->maybe_more = true;
}

/* --- Taking --- */

/*
 * The oldest ones of a stream, with what is sent of each.  The original headers
 * come first, as two arrays of bytes, then ours.  One whose row is gone has no
 * reason, and the JSON of the headers may be anything: only a superuser can have
 * done that.
 */
#define AS_IT_CAME(table, column) \
	"CASE WHEN " table ".repaired_at IS NULL THEN " table "." column " ELSE " table ".original_" column " END"

#define SIZE_OF(bytes) "COALESCE(pg_catalog.octet_length(" bytes "), 0)"

#define PART(name) \
	"pg_catalog.array_agg(CASE WHEN h->>'" name "_base64' ~ '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'" \
	" THEN pg_catalog.decode(h->>'" name "_base64', 'base64') ELSE pg_catalog.convert_to(h->>'" name "', 'UTF8') END ORDER BY i)"

static const char take_query[] =
"SELECT u.stream, u.partition, u.\"offset\", u.recorded_at, " AS_IT_CAME("d", "key") ", " AS_IT_CAME("d", "payload") ","
" d.reason, d.message, d.topic,"
" pg_catalog.to_char(d.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), o.names, o.contents"
" FROM (SELECT *, pg_catalog.sum(size) OVER (ORDER BY recorded_at, partition, \"offset\" ROWS UNBOUNDED PRECEDING) - size AS before"
" FROM (SELECT q.*, " SIZE_OF(AS_IT_CAME("p", "payload")) " + " SIZE_OF(AS_IT_CAME("p", "key"))
" + " SIZE_OF("(" AS_IT_CAME("p", "headers") ")::pg_catalog.text") " AS size"
" FROM (SELECT * FROM feature_stream.dead_letter_unsent WHERE stream = $1 AND error IS NULL"
" ORDER BY recorded_at, partition, \"offset\" LIMIT $2) q"
" LEFT JOIN feature_stream.dead_letter p USING (stream, partition, \"offset\", recorded_at)) s) u"
" LEFT JOIN feature_stream.dead_letter d USING (stream, partition, \"offset\", recorded_at)"
" LEFT JOIN LATERAL (SELECT " PART("key") " AS names, " PART("value") " AS contents"
" FROM (SELECT " AS_IT_CAME("d", "headers") " AS came) j,"
" pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(j.came) WHEN 'array' THEN j.came END)"
" WITH ORDINALITY e(h, i) WHERE h ?| '{key,key_base64}') o ON true"
" WHERE u.before < $3 ORDER BY u.recorded_at, u.partition, u.\"offset\"";

/* Column of a row, copied to the current memory context; *len its length, NULL when it has none. */
static char *
copy_column(uint64 row, int column, size_t *len)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	struct varlena *bytes;
	char	   *copy;

	*len = 0;
	if (isnull)
		return NULL;
	bytes = PG_DETOAST_DATUM_PACKED(datum);
	*len = VARSIZE_ANY_EXHDR(bytes);
	copy = palloc(*len + 1);
	memcpy(copy, VARDATA_ANY(bytes), *len);
	copy[*len] = '\0';
	return copy;
}

/* The elements of a bytea[] column; 0 for NULL. */
static int
get_elements(uint64 row, int column, Datum **elements, bool **nulls)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	int			n = 0;

	if (!isnull)
		deconstruct_array(DatumGetArrayTypePCopy(datum), BYTEAOID, -1, false, TYPALIGN_INT, elements, nulls, &n);
	return n;
}

/* Headers of a letter: those that the record had, and what we say of it. */
static void
make_headers(const FsShard *shard, uint64 row, Letter *letter)
{
	static const char *const ours[] = {
		"feature_stream.reason", "feature_stream.error", "feature_stream.topic", "feature_stream.received_at",
		"feature_stream.stream", "feature_stream.partition", "feature_stream.offset"
	};
	Datum	   *names;
	Datum	   *contents;
	bool	   *no_name;
	bool	   *no_content;
	int			n = get_elements(row, 11, &names, &no_name);
	FsKafkaHeader *headers = palloc0(sizeof(FsKafkaHeader) * (n + lengthof(ours)));

	(void) get_elements(row, 12, &contents, &no_content);
	for (int i = 0; i < n; i++)
	{
		headers[i].name = no_name[i] ? "" : TextDatumGetCString(names[i]);
		headers[i].value = no_content[i] ? NULL : VARDATA_ANY(DatumGetPointer(contents[i]));
		headers[i].len = no_content[i] ? 0 : VARSIZE_ANY_EXHDR(DatumGetPointer(contents[i]));
	}
	for (int i = 0; i < lengthof(ours); i++)
	{
		FsKafkaHeader *header = &headers[n + i];

		header->name = ours[i];
		if (i < 4)
			header->value = copy_column(row, 7 + i, &header->len);
		else
		{
			header->value = i == 4 ? shard->def->name : i == 5 ? psprintf("%d", DatumGetInt32(letter->key[1])) :
				psprintf(INT64_FORMAT, DatumGetInt64(letter->key[2]));
			header->len = strlen(header->value);
		}
	}
	letter->message.headers = headers;
	letter->message.nheaders = n + lengthof(ours);
}

/* Makes a letter of a row, in the current memory context. */
static void
make_letter(const FsShard *shard, uint64 row, Letter *letter)
{
	bool		isnull;

	for (int i = 0; i < lengthof(letter->key); i++)
	{
		letter->key[i] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &isnull);
		Assert(!isnull);
	}
	if (fs_query_is_null(row, 7))
	{
		letter->message.delivery = FS_DELIVERY_DONE;
		return;
	}
	letter->message.key = copy_column(row, 5, &letter->message.key_len);
	letter->message.value = copy_column(row, 6, &letter->message.value_len);
	make_headers(shard, row, letter);
}

/* Takes some rows in hand, in a transaction of its own. */
static void
take_letters(FsShard *shard)
{
	FsDeadLetterTopic *topic = shard->dead_letter_topic;
	Oid			types[] = {OIDOID, INT8OID, INT8OID};
	Datum		values[] = {ObjectIdGetDatum(shard->def->relid), Int64GetDatum(BATCH_LETTERS), Int64GetDatum(BATCH_BYTES)};
	MemoryContext old = CurrentMemoryContext;
	MemoryContext spi;

	Assert(topic->nletters == 0);
	fs_transaction_begin();
	SPI_connect();
	fs_query_read(take_query, 3, types, values);
	spi = MemoryContextSwitchTo(topic->context);
	topic->letters = palloc0(sizeof(Letter) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
		make_letter(shard, i, &topic->letters[i]);
	topic->nletters = (int) SPI_processed;
	MemoryContextSwitchTo(spi);
	SPI_finish();
	fs_transaction_end(old);
	topic->maybe_more = topic->nletters > 0;
}

/* --- Sending --- */

/* Hands over what is pending, as far as there is room. */
static void
send_letters(FsDeadLetterTopic *topic)
{
	for (int i = 0; i < topic->nletters; i++)
	{
		FsKafkaMessage *message = &topic->letters[i].message;

		if (message->delivery == FS_DELIVERY_PENDING && !fs_kafka_producer_send(topic->producer, message))
			return;
	}
}

/* Has everything in hand come to its end? */
static bool
is_settled(const FsDeadLetterTopic *topic)
{
	for (int i = 0; i < topic->nletters; i++)
		if (topic->letters[i].message.delivery < FS_DELIVERY_DONE)
			return false;
	return true;
}

/* Has any come back, to be sent again?  Says so once. */
static bool
has_failed(FsDeadLetterTopic *topic)
{
	bool		failed = false;

	for (int i = 0; i < topic->nletters; i++)
	{
		FsKafkaMessage *message = &topic->letters[i].message;

		if (message->delivery != FS_DELIVERY_PENDING || message->error[0] == '\0')
			continue;
		message->error[0] = '\0';
		failed = true;
	}
	return failed;
}

/* Marks a letter that the broker will never take. */
static void
mark_refused(const Letter *letter)
{
	Datum		values[5];

	memcpy(values, letter->key, sizeof(letter->key));
	values[4] = CStringGetTextDatum(letter->message.error);
	fs_query_run("UPDATE feature_stream.dead_letter_unsent SET error = $5"
				 " WHERE stream = $1 AND partition = $2 AND \"offset\" = $3 AND recorded_at = $4",
				 SPI_OK_UPDATE, 5, key_types, values, NULL);
}

/*
 * Strikes off what has arrived, and marks what never will, in a transaction of
 * its own.  Should that be lost in a crash they are sent once more, so nobody
 * waits for it.
 */
static void
settle(FsShard *shard)
{
	FsDeadLetterTopic *topic = shard->dead_letter_topic;
	MemoryContext old = CurrentMemoryContext;
	Keys		done;

	FS_FAULT("dead-letter-topic-delivered");
	fs_transaction_begin();
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	make_keys(&done, topic->nletters);
	SPI_connect();
	for (int i = 0; i < topic->nletters; i++)
	{
		const Letter *letter = &topic->letters[i];

		if (letter->message.delivery == FS_DELIVERY_DONE)
			add_key(&done, letter->key[1], letter->key[2], letter->key[3]);
		else
			mark_refused(letter);
	}
	run_on_keys("DELETE FROM feature_stream.dead_letter_unsent u"
				" USING ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))"
				" k(partition, \"offset\", recorded_at) WHERE u.stream = $1 AND u.partition = k.partition"
				" AND u.\"offset\" = k.\"offset\" AND u.recorded_at = k.recorded_at",
				SPI_OK_DELETE, shard->def->relid, &done);
	SPI_finish();
	fs_transaction_end(old);
	MemoryContextReset(topic->context);
	topic->nletters = 0;
	topic->letters = NULL;
}

/* Puts off the next attempt. */
static void
back_off(FsDeadLetterTopic *topic, int64 now)
{
	topic->retry_at = now + topic->retry_after;
	topic->retry_after = Min(topic->retry_after * 2, LAST_RETRY);
}

/* A producer that has failed is given up, and another one made after a while. */
static void
renew_producer(FsShard *shard, int64 now)
{
	FsDeadLetterTopic *topic = shard->dead_letter_topic;

	if (topic->producer != NULL)
	{
		strlcpy(topic->trouble, fs_kafka_producer_trouble(topic->producer), sizeof(topic->trouble));
		fs_kafka_producer_close(topic->producer);
		topic->producer = NULL;
		for (int i = 0; i < topic->nletters; i++)
			if (topic->letters[i].message.delivery == FS_DELIVERY_UNDER_WAY)
				topic->letters[i].message.delivery = FS_DELIVERY_PENDING;
		back_off(topic, now);
	}
	else if (now >= topic->retry_at)
		topic->producer = fs_kafka_producer_open(shard->def, shard->def->dead_letter_topic, false);
}

/* See dead_letter_topic.h. */
bool
fs_dead_letter_topic_step(FsShard *shard)
{
	FsDeadLetterTopic *topic = shard->dead_letter_topic;
	int64		now;

	Assert(!IsTransactionState());
	if (topic == NULL)
		return false;
	now = fs_clock_monotonic();
	if (topic->producer != NULL)
		fs_kafka_producer_service(topic->producer);
	if (topic->producer == NULL || fs_kafka_producer_is_broken(topic->producer))
	{
		renew_producer(shard, now);
		return false;
	}
	strlcpy(topic->trouble, fs_kafka_producer_trouble(topic->producer), sizeof(topic->trouble));
	if (topic->nletters > 0 && is_settled(topic))
	{
		settle(shard);
		topic->retry_after = FIRST_RETRY;
		return true;
	}
	if (has_failed(topic))
		back_off(topic, now);
	if (now < topic->retry_at || (topic->nletters == 0 && !topic->maybe_more))
		return false;
	if (topic->nletters == 0)
		take_letters(shard);
	send_letters(topic);
	return false;
}

/* See dead_letter_topic.h. */
int
fs_dead_letter_topic_wait(FsShard *shard, long *timeout)
{
	FsDeadLetterTopic *topic = shard->dead_letter_topic;
	int64		now = fs_clock_monotonic();

	if (topic == NULL)
		return -1;
	if (topic->retry_at > now)
		*timeout = Min(*timeout, (long) ((topic->retry_at - now) / 1000 + 1));
	return topic->producer == NULL ? -1 : fs_kafka_producer_fd(topic->producer);
}

/* See dead_letter_topic.h. */
const char *
fs_dead_letter_topic_trouble(const FsShard *shard)
{
	const FsDeadLetterTopic *topic = shard->dead_letter_topic;

	/* where nothing is to be sent, nothing clears what was the matter */
	return topic == NULL || (topic->nletters == 0 && !topic->maybe_more) ? "" : topic->trouble;
}
