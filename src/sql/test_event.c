/*
 * test_event.c
 *		test_event(): what would become of an event that arrived now.
 *
 * The event goes through the worker's own contract and admission, in a shard
 * without state, so that verdict and message are those of its dead letter.
 * Only lateness depends on more than event and definition: it is judged by the
 * partition's watermark, and which partition is not known.  So it is judged
 * apart, by the stream's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/payload.h"
#include "core/wire_header.h"
#include "pipeline/shard.h"
#include "pipeline/values.h"
#include "source/kafka_header.h"
#include "sql/arguments.h"
#include "sql/batch_output.h"

PG_FUNCTION_INFO_V1(fs_test_event);

typedef struct Trial
{
	ReturnSetInfo *result;
	FsShard    *shard;
	FsRecord	record;
	FsEvent		event;
	FsReason	lateness;		/* FS_REASON_LATE: all is missed, at 'watermark' */
	FsTime		watermark;		/* of the stream; FS_TIME_MIN: none yet */
	FsPresence *presence;		/* per column, of the payload; only of an accepted event */
	char	  **errors;			/* per view, NULL: raised none */
} Trial;

/* Adds one row; the last two may be NULL. */
static void
put_row(Trial *trial, const char *kind, const char *name, const char *verdict, const char *value,
		const char *detail)
{
	const char *texts[5] = {kind, name, verdict, value, detail};
	Datum		values[5];
	bool		nulls[5];

	for (int i = 0; i < 5; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(trial->result->setResult, trial->result->setDesc, values, nulls);
}

/* Decodes the event by a shard's contract, as the worker does with a batch. */
static void
decode(FsShard *shard, const FsRecord *record, FsEvent *event)
{
	memset(event, 0, sizeof(FsEvent));
	event->record = record;
	event->meta.partition = record->partition;
	event->meta.offset = record->offset;
	event->meta.arrival = fs_clock_now();
	fs_contract_decode(shard, event, 1);
}

/* Admits the decoded event, as one of a partition with this watermark. */
static void
admit(FsShard *shard, FsEvent *event, FsTime watermark)
{
	FsPartition partition = {.id = event->meta.partition, .clock.watermark = watermark};

	Assert(event->reason == FS_REASON_NONE && shard->closing == FS_TIME_MIN);
	event->lacks_key = true;	/* it may: nothing was prepared, so admission is to look */
	fs_admit(shard, &partition, event);
}

/* The stream's watermark, a worker's or the one of its last checkpoint. */
static FsTime
read_watermark(Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(stream)};
	FsTime		watermark = FS_TIME_MIN;

	SPI_connect();
	if (SPI_execute_with_args("SELECT watermark FROM feature_stream.stat_stream"
							  " WHERE stream = $1::pg_catalog.regclass AND watermark IS NOT NULL",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the watermark of a stream");
	if (SPI_processed > 0)
	{
		bool		isnull;

		watermark = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	return watermark;
}

/* Notes which columns the payload has; the contract has filled in DEFAULTs by now. */
static void
find_presence(Trial *trial)
{
	const FsStreamDef *def = trial->shard->def;
	FsPayloadDecoder *decoder = fs_payload_create(def);
	FsValue    *values = palloc(sizeof(FsValue) * def->ncolumns);
	FsDecodeError error;

	fs_payload_reset(decoder);
	if (!fs_payload_decode(decoder, trial->record.value, trial->record.value_len,
						   trial->record.header, trial->record.header_len, values, &error))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not decode a record.")));
	trial->presence = palloc(sizeof(FsPresence) * def->ncolumns);
	for (int i = 0; i < def->ncolumns; i++)
		trial->presence[i] = values[i].presence;
}

/* An event has the message of the last error alone: each view that raised is asked again, by itself. */
static void
find_errors(Trial *trial)
{
	trial->errors = palloc0(sizeof(char *) * Max(trial->shard->nviews, 1));
	for (int v = 0; v < trial->shard->nviews; v++)
	{
		FsShard		shard = *trial->shard;
		FsEvent		event;

		if ((trial->event.error_mask & ((uint32) 1 << v)) == 0)
			continue;
		shard.views = &trial->shard->views[v];
		shard.nviews = 1;
		decode(&shard, &trial->record, &event);
		trial->errors[v] = event.error;
	}
}

/*
 * Judges the event with a worker's rights: expressions run as their owners all
 * the same.  The transaction is read-only meanwhile, in case one of these is
 * not as immutable as it says.
 */
static void
judge(Trial *trial, Oid stream)
{
	FsOwnerScope scope;

	fs_owner_begin(&scope);
	(void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	trial->shard = fs_shard_create_stateless(stream);
	decode(trial->shard, &trial->record, &trial->event);
	if (trial->event.reason == FS_REASON_NONE)
	{
		find_presence(trial);
		find_errors(trial);
		decode(trial->shard, &trial->record, &trial->event);	/* errors were found in the memory of its values */
		admit(trial->shard, &trial->event, FS_TIME_MIN);
	}
	trial->watermark = read_watermark(stream);
	if (trial->event.reason == FS_REASON_NONE && trial->watermark != FS_TIME_MIN)
	{
		admit(trial->shard, &trial->event, trial->watermark);
		trial->lateness = trial->event.reason;
	}
	fs_owner_end(&scope);
	Assert(trial->lateness == FS_REASON_NONE || trial->lateness == FS_REASON_LATE);
}

/* Gives the columns, as the event log would have them. */
static void
put_columns(Trial *trial)
{
	const FsStreamDef *def = trial->shard->def;

	for (int i = 0; i < def->ncolumns; i++)
	{
		const FsColumn *column = &def->columns[i];
		const FsValue *value = &trial->event.values[i];
		char	   *text = NULL;
		const char *presence = trial->presence[i] == FS_PRESENT ? "value" :
			trial->presence[i] == FS_NULL ? "null" :
			column->default_expr != NULL ? "default" : "missing";

		if (value->presence == FS_PRESENT)
		{
			Oid			output;
			bool		is_varlena;

			getTypeOutputInfo(column->typid, &output, &is_varlena);
			text = OidOutputFunctionCall(output, fs_value_datum(column, value));
		}
		put_row(trial, "column", column->name, presence, text,
				psprintf("field \"%s\"", column->field));
	}
}

/* Says whether the event is late, as far as that can be told. */
static void
put_lateness(Trial *trial)
{
	const FsStreamDef *def = trial->shard->def;
	char	   *time = pstrdup(timestamptz_to_str(trial->event.meta.event_time));
	const char *verdict = trial->lateness == FS_REASON_LATE ? "late" :
		trial->event.meta.late_bound != FS_TIME_MIN ? "partially_late" : "on_time";

	if (trial->watermark == FS_TIME_MIN)
		put_row(trial, "lateness", def->columns[def->event_time].name, "unknown", time,
				"the stream has no watermark yet");
	else
		put_row(trial, "lateness", def->columns[def->event_time].name, verdict, time,
				psprintf("by the stream's watermark %s; a record is judged by that of its partition",
						 timestamptz_to_str(trial->watermark)));
}

/* Says what each feature view does with the event. */
static void
put_views(Trial *trial)
{
	for (int v = 0; v < trial->shard->nviews; v++)
	{
		uint32		bit = (uint32) 1 << v;
		const char *verdict = (trial->event.error_mask & bit) != 0 ?
			fs_reason_name(FS_REASON_EXPRESSION_ERROR) :
			(trial->event.where_mask & bit) != 0 ? "counts" : "filtered";

		put_row(trial, "view", trial->shard->views[v].def->name, verdict, NULL, trial->errors[v]);
	}
}

/* Gives the result. */
static void
put_rows(Trial *trial)
{
	const char *name = trial->shard->def->name;

	if (trial->event.reason != FS_REASON_NONE && trial->lateness == FS_REASON_NONE)
	{
		put_row(trial, "event", name, fs_reason_name(trial->event.reason), NULL, trial->event.message);
		return;
	}
	put_row(trial, "event", name, "accepted", NULL, NULL);
	put_columns(trial);
	put_lateness(trial);
	put_views(trial);
}

/* Takes the header that names the payload's schema; throws for headers that are not as dead letters have them. */
static void
take_headers(FsRecord *record, Jsonb *headers)
{
	if (!JB_ROOT_IS_ARRAY(headers) || JB_ROOT_IS_SCALAR(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"headers\" is not an array"),
				 errhint("Give it as column \"headers\" of feature_stream.dead_letter has it, such as [{\"key\": \"%s\", \"value_base64\": \"AAAAAAE=\"}].",
						 FS_WIRE_HEADER_NAME)));
	record->header = fs_kafka_header_find(headers, FS_WIRE_HEADER_NAME, &record->header_len);
}

/* test_event(stream regclass, payload bytea, key bytea, headers jsonb) */
Datum
fs_test_event(PG_FUNCTION_ARGS)
{
	Trial		trial = {.record.arrival = FS_TIME_MIN, .record.record_time = FS_TIME_MIN};

	fs_argument_require(fcinfo, 0, "stream");
	fs_batch_check_right(PG_GETARG_OID(0));
	InitMaterializedSRF(fcinfo, 0);
	trial.result = (ReturnSetInfo *) fcinfo->resultinfo;
	trial.watermark = FS_TIME_MIN;
	if (!PG_ARGISNULL(1))
	{
		bytea	   *payload = PG_GETARG_BYTEA_PP(1);

		trial.record.value = VARDATA_ANY(payload);
		trial.record.value_len = VARSIZE_ANY_EXHDR(payload);
	}
	if (!PG_ARGISNULL(2))
	{
		bytea	   *key = PG_GETARG_BYTEA_PP(2);

		trial.record.key = VARDATA_ANY(key);
		trial.record.key_len = VARSIZE_ANY_EXHDR(key);
	}
	if (!PG_ARGISNULL(3))
		take_headers(&trial.record, PG_GETARG_JSONB_P(3));
	judge(&trial, PG_GETARG_OID(0));
	put_rows(&trial);
	return (Datum) 0;
}
