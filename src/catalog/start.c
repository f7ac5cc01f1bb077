/*
 * start.c
 *		The option 'start': where a stream begins to read.
 *
 * The text is read again by the worker, under its own settings.  So a timestamp
 * must mean the same everywhere: year first and with a time zone.
 */
#include "postgres.h"

#include <ctype.h>

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "catalog/start.h"

static void
throw_bad_start(const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", "start", value),
			 errhint("Write \"latest\", \"earliest\", a timestamp such as \"2024-01-31 12:00:00+00\", or \"offsets 0:120,1:98\" (partition:offset).")));
}

/* Reads digits at *s up to 'limit' and steps over them.  False when there is no such number. */
static bool
read_number(const char **s, int64 limit, int64 *number)
{
	const char *p = *s;

	Assert(limit >= 0);
	*number = 0;
	for (; isdigit((unsigned char) *p); p++)
		if (pg_mul_s64_overflow(*number, 10, number) ||
			pg_add_s64_overflow(*number, *p - '0', number) ||
			*number > limit)
			return false;
	if (p == *s)
		return false;
	*s = p;
	return true;
}

static void
skip_blanks(const char **s)
{
	while (isspace((unsigned char) **s))
		(*s)++;
}

/* Reads "0:120,1:98"; each partition may be named once. */
static void
parse_offsets(FsStreamDef *def, const char *value, const char *s)
{
	int			room = 8;

	def->start_kind = FS_START_OFFSETS;
	def->nstart_offsets = 0;
	def->start_offsets = palloc(room * sizeof(FsStartOffset));
	for (;;)
	{
		int64		partition;
		int64		offset;

		skip_blanks(&s);
		if (!read_number(&s, PG_INT32_MAX, &partition) || *s++ != ':' ||
			!read_number(&s, PG_INT64_MAX, &offset))
			throw_bad_start(value);
		for (int i = 0; i < def->nstart_offsets; i++)
			if (def->start_offsets[i].partition == partition)
				throw_bad_start(value);
		if (def->nstart_offsets == room)
			def->start_offsets = repalloc(def->start_offsets,
										  (room *= 2) * sizeof(FsStartOffset));
		def->start_offsets[def->nstart_offsets].partition = (int32) partition;
		def->start_offsets[def->nstart_offsets++].offset = offset;
		skip_blanks(&s);
		if (*s == '\0')
			return;
		if (*s++ != ',')
			throw_bad_start(value);
	}
}

/*
 * Is it a timestamp to PostgreSQL's own decoder?  Told that no zone is wanted
 * ('tz' is NULL), it takes only texts without one.
 */
static bool
decodes(const char *value, int *tz)
{
	char		buffer[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nfields;
	int			dtype;
	struct pg_tm tm;
	fsec_t		fsec;

	return ParseDateTime(value, buffer, sizeof(buffer), field, ftype,
						 MAXDATEFIELDS, &nfields) == 0 &&
		DecodeDateTime(field, ftype, nfields, &dtype, &tm, &fsec, tz) == 0 &&
		dtype == DTK_DATE;
}

/* Does the text begin with a four-digit year and name its time zone? */
static bool
is_unambiguous_timestamp(const char *value)
{
	int			tz;

	for (int i = 0; i < 4; i++)
		if (!isdigit((unsigned char) value[i]))
			return false;
	return value[4] == '-' && !decodes(value, NULL) && decodes(value, &tz);
}

/* Reading is to start at this timestamp, which has been checked. */
static void
set_start_time(FsStreamDef *def, const char *value)
{
	def->start_kind = FS_START_TIMESTAMP;
	def->start_time = DatumGetTimestampTz(
		DirectFunctionCall3(timestamptz_in, CStringGetDatum(value),
							ObjectIdGetDatum(InvalidOid),
							Int32GetDatum(-1)));
}

/* See start.h. */
void
fs_start_parse(FsStreamDef *def, const char *value)
{
	if (strcmp(value, "latest") == 0)
		def->start_kind = FS_START_LATEST;
	else if (strcmp(value, "earliest") == 0)
		def->start_kind = FS_START_EARLIEST;
	else if (strncmp(value, "offsets ", strlen("offsets ")) == 0)
		parse_offsets(def, value, value + strlen("offsets "));
	else if (is_unambiguous_timestamp(value))
		set_start_time(def, value);
	else
		throw_bad_start(value);
}

/* See start.h. */
void
fs_start_parse_argument(FsStreamDef *def, const char *argument, const char *value)
{
	if (strcmp(value, "earliest") == 0)
		def->start_kind = FS_START_EARLIEST;
	else if (is_unambiguous_timestamp(value))
		set_start_time(def, value);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\": \"%s\"", argument, value),
				 errhint("Write \"earliest\", or a timestamp such as \"2024-01-31 12:00:00+00\".")));
}
