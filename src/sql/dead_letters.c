/*
 * dead_letters.c
 *		replay_dead_letters() and discard_dead_letters(), and what a repair keeps.
 *
 * The two enter rows into feature_stream.dead_letter_outcome, for the owner of the
 * stream.  One that is 'requested' belongs to the stream's ingest worker, which
 * marks it in a checkpoint; users' commands never touch it, so no checkpoint
 * waits for their transactions.  All others belong to these functions.
 * What is 'replayed' or 'discarded' stays so.
 *
 * A repair is an UPDATE of dead_letter, whose first one keeps what came beside it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "core/decode.h"
#include "ground/clock.h"
#include "sql/arguments.h"
#include "worker/wakeup.h"

PG_FUNCTION_INFO_V1(fs_replay_dead_letters);
PG_FUNCTION_INFO_V1(fs_discard_dead_letters);
PG_FUNCTION_INFO_V1(fs_keep_original);

/* Parameters of the commands below: the filter's, then who, when, why and whether with corrections. */
#define NFILTERS 6
#define NPARAMETERS (1 + NFILTERS + 4)

static Oid	parameter_types[NPARAMETERS] = {
	OIDOID, TEXTOID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, NAMEOID, TIMESTAMPTZOID, TEXTOID,
	BOOLOID
};

typedef struct Command
{
	Oid			stream;
	Datum		values[NPARAMETERS];
	char		nulls[NPARAMETERS];
} Command;

/* The dead letters d that are meant. */
#define CHOSEN \
	" d.stream = $1::pg_catalog.regclass AND ($2 IS NULL OR d.reason = $2) AND ($3 IS NULL OR d.partition = $3)" \
	" AND ($4 IS NULL OR d.\"offset\" >= $4) AND ($5 IS NULL OR d.\"offset\" <= $5)" \
	" AND ($6 IS NULL OR d.received_at >= $6) AND ($7 IS NULL OR d.received_at < $7)"

/* Those that have come to an end which is not final. */
#define CHOSEN_AGAIN \
	" FROM feature_stream.dead_letter d WHERE" CHOSEN \
	" AND o.stream = d.stream AND o.partition = d.partition AND o.\"offset\" = d.\"offset\"" \
	" AND o.recorded_at = d.recorded_at AND o.outcome IN ('still_bad', 'too_late')"

#define INSERT_NEW \
	"INSERT INTO feature_stream.dead_letter_outcome" \
	" (stream, partition, \"offset\", recorded_at, outcome, requested_by, requested_at, why, finished_at, corrections)"

/* Throws when no dead letter can ever have the reason. */
static void
check_reason(const char *reason)
{
	const char *unknown = fs_reason_name((FsReason) -1);

	for (int i = FS_REASON_NONE + 1; strcmp(fs_reason_name((FsReason) i), unknown) != 0; i++)
		if (strcmp(fs_reason_name((FsReason) i), reason) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("dead letters have no reason \"%s\"", reason),
			 errhint("See column \"reason\" of feature_stream.dead_letter_summary.")));
}

/*
 * Reads the stream, which is argument 0, and the filter, which is the arguments
 * from 'first' on; who and when are told here.
 */
static void
begin_command(FunctionCallInfo fcinfo, int first, Command *command)
{
	fs_argument_require(fcinfo, 0, "stream");
	command->stream = PG_GETARG_OID(0);
	fs_argument_own_stream(command->stream);
	memset(command->nulls, ' ', NPARAMETERS);
	command->values[0] = ObjectIdGetDatum(command->stream);
	for (int i = 0; i < NFILTERS; i++)
	{
		command->nulls[1 + i] = PG_ARGISNULL(first + i) ? 'n' : ' ';
		command->values[1 + i] = PG_ARGISNULL(first + i) ? (Datum) 0 : PG_GETARG_DATUM(first + i);
	}
	if (!PG_ARGISNULL(first))
		check_reason(text_to_cstring(PG_GETARG_TEXT_PP(first)));
	command->values[1 + NFILTERS] = DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
	command->values[2 + NFILTERS] = TimestampTzGetDatum(fs_clock_now());
	command->nulls[3 + NFILTERS] = 'n';
	command->values[3 + NFILTERS] = (Datum) 0;
	command->values[4 + NFILTERS] = BoolGetDatum(false);
}

static uint64
execute(Command *command, const char *sql, int expected)
{
	return fs_owner_execute(sql, expected, NPARAMETERS, parameter_types, command->values, command->nulls);
}

/* Throws for what replaying cannot do. */
static void
check_replay(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(1) && strcmp(text_to_cstring(PG_GETARG_TEXT_PP(1)),
								   fs_reason_name(FS_REASON_EXPRESSION_ERROR)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("dead letters of reason %s cannot be replayed", fs_reason_name(FS_REASON_EXPRESSION_ERROR)),
				 errdetail("The stream has accepted these events: they count in its other feature views."),
				 errhint("A feature view created with a query that does not raise the error counts them by backfill.")));
}

/*
 * replay_dead_letters(stream, reason, partition, first_offset, last_offset,
 * since, until, corrections): how many were requested.
 */
Datum
fs_replay_dead_letters(PG_FUNCTION_ARGS)
{
	Command		command;
	uint64		n;

	begin_command(fcinfo, 1, &command);
	check_replay(fcinfo);
	command.values[4 + NFILTERS] = BoolGetDatum(!PG_ARGISNULL(7) && PG_GETARG_BOOL(7));
	n = execute(&command, "UPDATE feature_stream.dead_letter_outcome o SET outcome = 'requested',"
				" requested_by = $8, requested_at = $9, why = $10, reason = NULL, message = NULL, finished_at = NULL, corrections = $11"
				CHOSEN_AGAIN, SPI_OK_UPDATE);
	n += execute(&command, INSERT_NEW
				 " SELECT d.stream, d.partition, d.\"offset\", d.recorded_at, 'requested', $8, $9, $10, NULL, $11"
				 " FROM feature_stream.dead_letter d WHERE" CHOSEN " AND d.reason <> 'expression_error'"
				 " ON CONFLICT DO NOTHING", SPI_OK_INSERT);
	if (n > 0)
		fs_wakeup_replay(command.stream);
	PG_RETURN_INT64((int64) n);
}

/*
 * discard_dead_letters(stream, why, reason, partition, first_offset,
 * last_offset, since, until): how many were discarded.
 */
Datum
fs_discard_dead_letters(PG_FUNCTION_ARGS)
{
	Command		command;
	uint64		n;

	begin_command(fcinfo, 2, &command);
	fs_argument_require(fcinfo, 1, "why");
	command.nulls[3 + NFILTERS] = ' ';
	command.values[3 + NFILTERS] = PG_GETARG_DATUM(1);
	n = execute(&command, "UPDATE feature_stream.dead_letter_outcome o SET outcome = 'discarded',"
				" requested_by = $8, requested_at = $9, why = $10, finished_at = $9, corrections = $11" CHOSEN_AGAIN, SPI_OK_UPDATE);
	n += execute(&command, INSERT_NEW
				 " SELECT d.stream, d.partition, d.\"offset\", d.recorded_at, 'discarded', $8, $9, $10, $9, $11"
				 " FROM feature_stream.dead_letter d WHERE" CHOSEN " ON CONFLICT DO NOTHING", SPI_OK_INSERT);
	PG_RETURN_INT64((int64) n);
}

/* The number of a column that dead_letter must have. */
static int
find_column(TupleDesc desc, const char *name)
{
	int			number = SPI_fnumber(desc, name);

	if (number <= 0)
		elog(ERROR, "table dead_letter has no column \"%s\"", name);
	return number;
}

/*
 * keep_original(), a trigger before the first repair of a dead letter: keeps what
 * came.  So the stream's dead_letter_topic gets that, however late, and who has
 * repaired it wrongly can go back.
 */
Datum
fs_keep_original(PG_FUNCTION_ARGS)
{
	static const char *const repaired[][2] = {
		{"key", "original_key"}, {"payload", "original_payload"}, {"headers", "original_headers"}
	};
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			columns[lengthof(repaired) + 1];
	Datum		values[lengthof(repaired) + 1];
	bool		nulls[lengthof(repaired) + 1] = {false};

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function keep_original() must be called before an update of a row")));
	desc = RelationGetDescr(data->tg_relation);
	for (int i = 0; i < lengthof(repaired); i++)
	{
		values[i] = heap_getattr(data->tg_trigtuple, find_column(desc, repaired[i][0]), desc, &nulls[i]);
		columns[i] = find_column(desc, repaired[i][1]);
	}
	columns[lengthof(repaired)] = find_column(desc, "repaired_at");
	values[lengthof(repaired)] = TimestampTzGetDatum(fs_clock_now());
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_newtuple, desc, lengthof(columns),
													 columns, values, nulls));
}
