/*
 * lake_rows.c
 *		Rows of a history into Parquet files; see lake_rows.h.
 *
 * Each partition that rows belong to has a file that is open.  When as many are
 * as may be, rows of other partitions wait: sorted by these they come last, and
 * then the file that got no row for longest is finished for the next one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "core/iceberg_transform.h"
#include "core/parquet.h"
#include "offline/lake_rows.h"
#include "offline/lake_spill.h"
#include "offline/lake_value.h"

#define FILE_BYTES		(256 * 1024 * 1024)	/* a file that has as many is finished */
#define FEW_FILES		4		/* open ones where rows come about in the order of partitions ... */
#define MANY_FILES		16		/* ... and where they do not */
#define ALL_GROUPS		(128 * 1024 * 1024)	/* bytes of row groups under construction */

/* A file that is open. */
typedef struct Output
{
	FsBuffer	key;			/* of its partition */
	FsIcebergValue *partition;
	FsParquetWriter *writer;
	File		file;
	off_t		written;
	char	   *location;
	int64		last_row;		/* that it got */
} Output;

struct FsLakeRows
{
	/* Info */
	MemoryContext context;
	MemoryContext row_context;
	MemoryContextCallback callback;
	FsIcebergMetadata *metadata;
	FsIcebergSpec spec;
	int			nfields;		/* of the spec */
	int		   *field_columns;	/* by field of the spec: which of 'columns' */
	const FsLakeColumn *columns;
	int			ncolumns;
	FsParquetColumn *table_columns; /* those of the files, by column */
	FsLakeValueMaker *makers;	/* by column */
	FsParquetOptions options;

	/* Files */
	int			max_outputs;
	int			noutputs;
	Output	   *outputs[MANY_FILES];
	List	   *files;			/* FsLakeFiles, finished */
	FsScratch	memory;			/* of what manifests say of them */
	FsLakeSpill *spill;			/* rows that wait; NULL: there are none */
	bool		is_draining;	/* no more of them wait */

	/* The row at hand */
	int64		nrows;
	FsIcebergValue *values;		/* by column; of lists unused */
	FsIcebergValue *partition;	/* by field */
	char	  (*room)[16];		/* by field */
	FsBuffer	key;
};

/* See lake_rows.h. */
void
fs_lake_throw(const char *what, const char *message)
{
	ereport(ERROR,
			(errcode(message[0] == '\0' ? ERRCODE_OUT_OF_MEMORY : ERRCODE_DATA_EXCEPTION),
			 errmsg("could not %s: %s", what, message[0] == '\0' ? "out of memory" : message)));
}

/* See lake_rows.h. */
char *
fs_lake_uuid(void)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, DirectFunctionCall1(gen_random_uuid, (Datum) 0)));
}

/* See lake_rows.h.  A level of another codec says nothing of ours. */
FsParquetOptions
fs_lake_parquet_options(const FsIcebergMetadata *metadata)
{
	FsParquetOptions options = fs_parquet_defaults;
	const char *codec = fs_iceberg_property(metadata, FS_LAKE_CODEC);
	int64		level = fs_iceberg_property_number(metadata, FS_LAKE_LEVEL, 0);

	if ((codec == NULL || pg_strcasecmp(codec, "zstd") == 0) && level >= 1 && level <= FS_PARQUET_MAX_LEVEL)
		options.zstd_level = (int) level;
	return options;
}

/* Lets go of what the context does not hold. */
static void
free_output(Output *output)
{
	fs_parquet_free(output->writer);
	fs_buffer_free(&output->key);
	output->writer = NULL;
}

/* The context goes: so do files and what core/ has allocated. */
static void
release(void *arg)
{
	FsLakeRows *rows = arg;
	ListCell   *lc;

	for (int i = 0; i < rows->noutputs; i++)
	{
		free_output(rows->outputs[i]);
		FileClose(rows->outputs[i]->file);
	}
	foreach(lc, rows->files)
		FileClose(((FsLakeFile *) lfirst(lc))->file);
	fs_scratch_free(&rows->memory);
	fs_buffer_free(&rows->key);
}

/* The column of the table that has the name of ours; throws when it is another one. */
static const FsParquetColumn *
find_table_column(const FsParquetColumn *columns, int ncolumns, const FsLakeColumn *column)
{
	const FsParquetColumn *ours = &column->column;

	for (int i = 0; i < ncolumns; i++)
	{
		if (strcmp(columns[i].name, ours->name) != 0)
			continue;
		if (fs_lake_value_fits(&columns[i], column))
			return &columns[i];
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the table in the lake is of another type than the history's", ours->name),
				 errhint("Give the history's column the type that it had, or export the feature view to another table.")));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the table in the lake has no column \"%s\"", ours->name),
			 errhint("Export the feature view to another table.")));
	return NULL;				/* not reached */
}

/* Finds our columns in the table's, and refuses to leave out one that must not be NULL. */
static void
match_columns(FsLakeRows *rows, const FsLakeColumn *columns, int ncolumns)
{
	FsParquetColumn *theirs;
	int			ntheirs;
	int			nrequired = 0;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	if (!fs_iceberg_columns(rows->metadata, &theirs, &ntheirs, message))
		fs_lake_throw("read the columns of the table in the lake", message);
	rows->columns = columns;
	rows->ncolumns = ncolumns;
	rows->table_columns = palloc(sizeof(FsParquetColumn) * ncolumns);
	rows->makers = palloc(sizeof(FsLakeValueMaker) * ncolumns);
	rows->values = palloc0(sizeof(FsIcebergValue) * ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		rows->table_columns[i] = *find_table_column(theirs, ntheirs, &columns[i]);
		fs_lake_value_prepare(&rows->makers[i], &columns[i], &rows->table_columns[i]);
		nrequired += rows->table_columns[i].required;
	}
	for (int i = 0; i < ntheirs; i++)
		nrequired -= theirs[i].required;
	if (nrequired != 0)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("the table in the lake requires columns that the history does not have")));
}

/* Finds the columns that partitions are made of. */
static void
match_fields(FsLakeRows *rows)
{
	char		message[FS_ICEBERG_MESSAGE_SIZE];
	bool		in_order = true;

	if (!fs_iceberg_spec(rows->metadata, &rows->spec, message))
		fs_lake_throw("read the partitions of the table in the lake", message);
	rows->nfields = rows->spec.nfields;
	rows->field_columns = palloc(sizeof(int) * Max(rows->nfields, 1));
	rows->partition = palloc0(sizeof(FsIcebergValue) * Max(rows->nfields, 1));
	rows->room = palloc0(sizeof(*rows->room) * Max(rows->nfields, 1));
	for (int f = 0; f < rows->nfields; f++)
	{
		const FsIcebergField *field = &rows->spec.fields[f];

		rows->field_columns[f] = -1;
		for (int c = 0; c < rows->ncolumns; c++)
			if (rows->table_columns[c].field_id == field->source_id && !rows->table_columns[c].is_list)
				rows->field_columns[f] = c;
		if (field->transform.kind == FS_ICEBERG_UNKNOWN ||
			(rows->field_columns[f] < 0 && field->transform.kind != FS_ICEBERG_VOID))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the table in the lake is partitioned by \"%s\", which cannot be computed", field->name)));
		in_order &= field->transform.kind >= FS_ICEBERG_YEAR && field->transform.kind <= FS_ICEBERG_VOID;
	}
	rows->max_outputs = in_order ? FEW_FILES : MANY_FILES;
}

/* See lake_rows.h. */
FsLakeRows *
fs_lake_rows_open(FsIcebergMetadata *metadata, const FsLakeColumn *columns, int ncolumns)
{
	FsLakeRows *rows = palloc0(sizeof(FsLakeRows));

	rows->context = CurrentMemoryContext;
	rows->row_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream lake row", ALLOCSET_DEFAULT_SIZES);
	rows->metadata = metadata;
	rows->callback.func = release;
	rows->callback.arg = rows;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &rows->callback);
	match_columns(rows, columns, ncolumns);
	match_fields(rows);
	rows->options = fs_lake_parquet_options(metadata);
	rows->options.group_bytes = ALL_GROUPS / rows->max_outputs;
	return rows;
}

/* See lake_rows.h. */
bool
fs_lake_file_write(File file, const void *bytes, size_t n, off_t offset)
{
	int			written = FileWrite(file, unconstify(char *, (const char *) bytes), n, offset, PG_WAIT_EXTENSION);

	if (written >= 0 && written != n)
		errno = ENOSPC;
	return written == n;
}

/* The writer's bytes go into the temporary file. */
static bool
write_cb(void *arg, const void *bytes, size_t n)
{
	Output	   *output = arg;

	if (!fs_lake_file_write(output->file, bytes, n, output->written))
		return false;
	output->written += n;
	return true;
}

/* See lake_rows.h. */
void
fs_lake_throw_writer(const FsParquetWriter *writer)
{
	const char *error = fs_parquet_error(writer);

	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not write a file for the lake: %s", error != NULL ? error : "out of memory")));
}

/* Copies the row's partition for as long as the rows live. */
static FsIcebergValue *
copy_partition(FsLakeRows *rows)
{
	FsIcebergValue *copy = palloc(sizeof(FsIcebergValue) * Max(rows->nfields, 1));

	for (int f = 0; f < rows->nfields; f++)
	{
		copy[f] = rows->partition[f];
		if (!copy[f].is_null && copy[f].bytes != NULL)
		{
			char	   *bytes = palloc(copy[f].len + 1);

			memcpy(bytes, copy[f].bytes, copy[f].len);
			copy[f].bytes = bytes;
		}
	}
	return copy;
}

/* The location of a new file of the row's partition. */
static char *
choose_location(FsLakeRows *rows)
{
	FsBuffer	path = {0};
	char	   *location;

	if (!fs_iceberg_data_path(rows->metadata, &rows->spec, rows->partition, fs_lake_uuid(), &path))
		fs_lake_throw("name a file", "");
	location = pnstrdup(path.data, path.len);
	fs_buffer_free(&path);
	return location;
}

/* Finishes a file, and takes it from the open ones. */
static void
finish_output(FsLakeRows *rows, int at)
{
	Output	   *output = rows->outputs[at];
	FsLakeFile *file;

	if (!fs_parquet_finish(output->writer))
		fs_lake_throw_writer(output->writer);
	file = palloc0(sizeof(FsLakeFile));
	file->file = output->file;
	file->location = output->location;
	if (!fs_iceberg_data_file(&file->entry, &rows->memory, output->writer, rows->table_columns, rows->ncolumns,
							  file->location, output->partition, 0))
		fs_lake_throw("describe a file", "");
	Assert(file->entry.size == output->written);
	rows->files = lappend(rows->files, file);
	rows->outputs[at] = rows->outputs[--rows->noutputs];
	free_output(output);
}

/* Opens a file for the row's partition. */
static Output *
open_output(FsLakeRows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);
	Output	   *output;
	int			oldest = 0;

	for (int i = 1; i < rows->noutputs; i++)
		if (rows->outputs[i]->last_row < rows->outputs[oldest]->last_row)
			oldest = i;
	if (rows->noutputs == rows->max_outputs)
		finish_output(rows, oldest);
	output = palloc0(sizeof(Output));
	output->partition = copy_partition(rows);
	output->location = choose_location(rows);
	output->file = OpenTemporaryFile(true);
	rows->outputs[rows->noutputs++] = output;
	output->writer = fs_parquet_create(rows->table_columns, rows->ncolumns, &rows->options, write_cb, output);
	if (output->writer == NULL || !fs_buffer_append(&output->key, rows->key.data, rows->key.len))
		fs_lake_throw("begin a file", "");
	MemoryContextSwitchTo(old);
	return output;
}

/* The open file of the row's partition; NULL: it has none. */
static Output *
find_output(FsLakeRows *rows)
{
	fs_buffer_reset(&rows->key);
	for (int f = 0; f < rows->nfields; f++)
	{
		static const FsIcebergValue none = {.is_null = true};
		const FsIcebergField *field = &rows->spec.fields[f];
		int			column = rows->field_columns[f];

		fs_iceberg_transform(&field->transform, &field->source, column < 0 ? &none : &rows->values[column],
							 &rows->partition[f], rows->room[f]);
	}
	if (!fs_iceberg_partition_key(&rows->spec, rows->partition, &rows->key))
		fs_lake_throw("find a row's partition", "");
	for (int i = 0; i < rows->noutputs; i++)
	{
		const FsBuffer *key = &rows->outputs[i]->key;

		if (key->len == rows->key.len && (key->len == 0 || memcmp(key->data, rows->key.data, key->len) == 0))
			return rows->outputs[i];
	}
	return NULL;
}

/* The row waits.  Its values will be made again: a NaN among them is counted then. */
static void
spill_row(FsLakeRows *rows, const Datum *values, const bool *nulls)
{
	if (rows->spill == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(rows->context);

		rows->spill = fs_lake_spill_open(rows->columns, rows->ncolumns);
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < rows->ncolumns; i++)
		if (!rows->table_columns[i].is_list && rows->values[i].is_null && !nulls[i])
			rows->makers[i].nans--;
	fs_lake_spill_put(rows->spill, &rows->key, values, nulls);
}

/* Puts the row into a file. */
static void
put_row(FsLakeRows *rows, Output *output, const Datum *values, const bool *nulls)
{
	bool		ok = true;

	for (int i = 0; i < rows->ncolumns && ok; i++)
		ok = rows->table_columns[i].is_list ?
			fs_lake_value_put_list(&rows->makers[i], output->writer, i, values[i], nulls[i]) :
			fs_lake_value_put(&rows->makers[i], output->writer, i, &rows->values[i]);
	if (!ok || !fs_parquet_end_row(output->writer))
		fs_lake_throw_writer(output->writer);
	output->last_row = ++rows->nrows;
}

/* See lake_rows.h. */
void
fs_lake_rows_put(FsLakeRows *rows, const Datum *values, const bool *nulls)
{
	MemoryContext old = MemoryContextSwitchTo(rows->row_context);
	Output	   *output;

	for (int i = 0; i < rows->ncolumns; i++)
		if (!rows->table_columns[i].is_list)
			fs_lake_value_make(&rows->makers[i], values[i], nulls[i], &rows->values[i]);
	output = find_output(rows);
	if (output == NULL && (rows->noutputs < rows->max_outputs || rows->is_draining))
		output = open_output(rows);
	if (output == NULL)
		spill_row(rows, values, nulls);
	else
		put_row(rows, output, values, nulls);
	MemoryContextSwitchTo(rows->context);
	MemoryContextReset(rows->row_context);
	if (output != NULL && output->written >= FILE_BYTES)
		for (int i = 0; i < rows->noutputs; i++)
			if (rows->outputs[i] == output)
				finish_output(rows, i);
	MemoryContextSwitchTo(old);
}

/* Puts the rows that have waited. */
static void
drain(FsLakeRows *rows)
{
	const Datum *values;
	const bool *nulls;

	Assert(!rows->is_draining);
	rows->is_draining = true;
	fs_lake_spill_sort(rows->spill);
	while (fs_lake_spill_next(rows->spill, &values, &nulls))
	{
		CHECK_FOR_INTERRUPTS();
		fs_lake_rows_put(rows, values, nulls);
	}
	fs_lake_spill_close(rows->spill);
	rows->spill = NULL;
}

/* See lake_rows.h. */
List *
fs_lake_rows_finish(FsLakeRows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);

	if (rows->spill != NULL)
		drain(rows);
	while (rows->noutputs > 0)
		finish_output(rows, rows->noutputs - 1);
	MemoryContextSwitchTo(old);
	return rows->files;
}

/* See lake_rows.h. */
int64
fs_lake_rows_nans(const FsLakeRows *rows)
{
	int64		nans = 0;

	for (int i = 0; i < rows->ncolumns; i++)
		nans += rows->makers[i].nans;
	return nans;
}

/* See lake_rows.h. */
int64
fs_lake_rows_count(const FsLakeRows *rows)
{
	return rows->nrows;
}
