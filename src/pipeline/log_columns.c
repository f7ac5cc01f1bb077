/*
 * log_columns.c
 *		Events of the log by the columns that their stream has now; see log_columns.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/contract_version.h"
#include "pipeline/log_columns.h"
#include "pipeline/values.h"

struct FsLogColumns
{
	const FsStreamDef *stream;
	MemoryContext context;
	FsValue    *missing;		/* by stream column: of events without the column */
	int			n;				/* columns of the segment at hand */
	int			max;			/* there is room for */
	int		   *map;			/* their index in the stream; -1: it has it no longer */
	FsValue    *stored;			/* their values */
};

/* A recorded value; the types of streams are PostgreSQL's own, so nothing of a user's runs. */
static FsValue
read_missing(const FsColumn *column, char *text)
{
	FsValue		null = {.presence = FS_NULL};
	Oid			input;
	Oid			parameter;

	if (text == NULL)
		return null;
	getTypeInputInfo(column->typid, &input, &parameter);
	return fs_datum_value(column, OidInputFunctionCall(input, text, parameter, column->typmod));
}

/* See log_columns.h. */
FsLogColumns *
fs_log_columns_create(const FsStreamDef *stream)
{
	FsLogColumns *columns = palloc0(sizeof(FsLogColumns));
	char	  **texts = fs_contract_version_missing(stream);

	columns->stream = stream;
	columns->context = CurrentMemoryContext;
	columns->missing = palloc0(sizeof(FsValue) * Max(stream->ncolumns, 1));
	for (int i = 0; i < stream->ncolumns; i++)
		columns->missing[i] = read_missing(&stream->columns[i], texts[i]);
	return columns;
}

/* Room for the columns of a segment. */
static void
reserve_columns(FsLogColumns *columns, int n)
{
	columns->n = n;
	if (n <= columns->max)
		return;
	columns->max = n;
	columns->map = MemoryContextAlloc(columns->context, sizeof(int) * n);
	columns->stored = MemoryContextAlloc(columns->context, sizeof(FsValue) * n);
}

/* See log_columns.h. */
void
fs_log_columns_begin(FsLogColumns *columns, FsSegmentReader *segment, FsValue *values)
{
	const FsStreamDef *stream = columns->stream;
	const FsSegmentColumn *stored;

	reserve_columns(columns, fs_segment_reader_columns(segment, &stored));
	memcpy(values, columns->missing, sizeof(FsValue) * stream->ncolumns);
	for (int i = 0; i < columns->n; i++)
	{
		int			index = fs_stream_column_index(stream, stored[i].number);

		/* a number keeps its type once anything was read: fs_stream_state_ensure() */
		if (index >= 0 && stream->columns[index].type != stored[i].type)
			index = -1;
		columns->map[i] = index;
	}
}

/* See log_columns.h. */
FsSegmentStatus
fs_log_columns_next(FsLogColumns *columns, FsSegmentReader *segment, FsEventMeta *meta,
					FsValue *values)
{
	FsSegmentStatus status = fs_segment_next(segment, meta, columns->stored);

	if (status != FS_SEGMENT_OK)
		return status;
	for (int i = 0; i < columns->n; i++)
		if (columns->map[i] >= 0)
			values[columns->map[i]] = columns->stored[i];
	return status;
}
