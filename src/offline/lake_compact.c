/*
 * lake_compact.c
 *		Small files of a table in a lake become larger ones; see lake_compact.h.
 *
 * Rows are sorted as byte strings: a key that compares as the table's order wants
 * (core/parquet_read.h), the row, and how long that is.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "core/parquet_read.h"
#include "ground/fault.h"
#include "offline/lake_compact.h"
#include "offline/lake_compact_plan.h"
#include "offline/lake_rows.h"
#include "offline/lake_spill.h"

#define PIECE			(1024 * 1024)

struct FsLakeCompaction
{
	MemoryContext context;
	MemoryContextCallback callback;
	FsLakeTable *table;
	FsIcebergSpec spec;
	FsParquetColumn *columns;	/* of the table */
	int			ncolumns;
	FsIcebergSortField *sorts;
	int			nsorts;
	int		   *sort_columns;	/* by field of the order */
	int32		sort_id;
	FsLakeSmall *inputs;
	int			ninputs;
	FsIcebergPaths replaced;	/* those that could be read */
	int64		rows;			/* of these */
	FsParquetOptions options;	/* of the files that are written */

	/* The inputs' bytes, one behind the other */
	File		stage;
	int64		staged;

	/* At work */
	FsParquetReader *reader;
	FsBuffer	row;

	/* The file that is written */
	FsParquetWriter *writer;
	File		file;
	off_t		written;
	int64		put;			/* rows, in all files */
	List	   *files;			/* FsLakeFiles */
	FsScratch	memory;			/* of what manifests say of them */
};

/* The context goes: so does what it does not hold. */
static void
release(void *arg)
{
	FsLakeCompaction *compaction = arg;
	ListCell   *lc;

	fs_parquet_reader_free(compaction->reader);
	fs_buffer_free(&compaction->row);
	fs_iceberg_paths_free(&compaction->replaced);
	if (compaction->writer != NULL)
		FileClose(compaction->file);
	fs_parquet_free(compaction->writer);
	if (compaction->stage > 0)
		FileClose(compaction->stage);
	foreach(lc, compaction->files)
		FileClose(((FsLakeFile *) lfirst(lc))->file);
	fs_scratch_free(&compaction->memory);
}

/* Finds the table's order among its columns; none where one of its columns is none that we write. */
static void
find_order(FsLakeCompaction *compaction)
{
	FsIcebergMetadata *metadata = compaction->table->metadata;

	if (!fs_iceberg_sort_fields(metadata, &compaction->sorts, &compaction->nsorts))
		fs_lake_throw("read the order of the table in the lake", "");
	compaction->sort_columns = palloc(sizeof(int) * (compaction->nsorts + 1));
	for (int f = 0; f < compaction->nsorts; f++)
	{
		compaction->sort_columns[f] = -1;
		for (int c = 0; c < compaction->ncolumns; c++)
			if (compaction->columns[c].field_id == compaction->sorts[f].source_id && !compaction->columns[c].is_list)
				compaction->sort_columns[f] = c;
		if (compaction->sort_columns[f] < 0)
			compaction->nsorts = 0;
	}
	compaction->sort_id = compaction->nsorts > 0 ? fs_iceberg_sort_id(metadata) : 0;
}

/* See lake_compact.h. */
FsLakeCompaction *
fs_lake_compact_plan(FsLakeTable *table, bool forced, int *nsmall)
{
	FsLakeCompaction *compaction = palloc0(sizeof(FsLakeCompaction));
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	compaction->context = CurrentMemoryContext;
	compaction->table = table;
	compaction->options = fs_lake_parquet_options(table->metadata);
	compaction->callback.func = release;
	compaction->callback.arg = compaction;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &compaction->callback);
	if (!fs_iceberg_spec(table->metadata, &compaction->spec, message))
		fs_lake_throw("read the partitions of the table in the lake", message);
	if (!fs_iceberg_columns(table->metadata, &compaction->columns, &compaction->ncolumns, message))
		fs_lake_throw("read the columns of the table in the lake", message);
	*nsmall = 0;
	if (compaction->ncolumns == 0)
		return NULL;
	find_order(compaction);
	compaction->inputs = fs_lake_compact_choose(table, &compaction->spec, forced, &compaction->ninputs, nsmall);
	return compaction->inputs == NULL ? NULL : compaction;
}

/* See lake_compact.h. */
List *
fs_lake_compact_paths(const FsLakeCompaction *compaction)
{
	List	   *paths = NIL;

	for (int i = 0; i < compaction->ninputs; i++)
		paths = lappend(paths, compaction->inputs[i].path);
	return paths;
}

/* See lake_compact.h. */
const FsIcebergPaths *
fs_lake_compact_replaced(const FsLakeCompaction *compaction)
{
	return &compaction->replaced;
}

/*
 * Fetching
 */

/* Appends a file's bytes to the stage. */
static void
stage_bytes(FsLakeCompaction *compaction, const char *bytes, int64 len)
{
	for (int64 done = 0; done < len;)
	{
		int			n = FileWrite(compaction->stage, unconstify(char *, bytes) + done, Min(len - done, PIECE), compaction->staged,
								  PG_WAIT_EXTENSION);

		if (n <= 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write a temporary file: %m")));
		compaction->staged += n;
		done += n;
	}
}

/* A file that cannot be read stays as it is, in this plan and those to come; why is for the server's log. */
static void
leave(const FsLakeSmall *input, const char *why)
{
	ereport(LOG,
			(errmsg("file \"%s\" stays as it is: %s", input->path, why)));
	fs_lake_compact_leave(input->path);
}

/* Has the file all of the rows that it should?  Their pages are looked at when they are sorted. */
static bool
is_readable(const FsLakeCompaction *compaction, const FsLakeSmall *input, const char *bytes, int64 len)
{
	char		message[FS_PARQUET_MESSAGE_SIZE];
	FsParquetReader *reader = fs_parquet_open(bytes, len, compaction->columns, compaction->ncolumns, message);
	bool		is_whole = reader != NULL && len == input->size && fs_parquet_reader_rows(reader) == input->rows;

	if (!is_whole)
		leave(input, reader != NULL ? "it has not the rows that its manifest says" :
			  message[0] != '\0' ? message : "out of memory");
	fs_parquet_reader_free(reader);
	return is_whole;
}

/* See lake_compact.h. */
bool
fs_lake_compact_fetch(FsLakeCompaction *compaction)
{
	int			n = 0;

	Assert(!IsTransactionState() && compaction->staged == 0);
	compaction->stage = OpenTemporaryFile(true);
	for (int i = 0; i < compaction->ninputs; i++)
	{
		FsLakeSmall *input = &compaction->inputs[i];
		int64		len;
		char	   *bytes = fs_object_store_get(compaction->table->store, input->path, 2 * input->size + 1, &len);

		if (is_readable(compaction, input, bytes, len))
		{
			stage_bytes(compaction, bytes, len);
			compaction->inputs[n++] = *input;
			compaction->rows += input->rows;
			if (!fs_iceberg_paths_add(&compaction->replaced, input->path))
				fs_lake_throw("choose files", "");
		}
		pfree(bytes);
	}
	compaction->ninputs = n;
	return n > 1;
}

/*
 * Sorting
 */

/* The row at hand as it is sorted: key, row, and the row's length. */
static Datum
make_datum(FsLakeCompaction *compaction)
{
	FsBuffer   *row = &compaction->row;
	bool		done = true;
	size_t		key;
	bytea	   *datum;

	fs_buffer_reset(row);
	for (int f = 0; f < compaction->nsorts && done; f++)
		done = fs_parquet_take_key(compaction->reader, compaction->sort_columns[f], compaction->sorts[f].descending,
								   compaction->sorts[f].nulls_last, row);
	key = row->len;
	if (!done || !fs_parquet_take_row(compaction->reader, row) || !fs_buffer_reserve(row, 4))
		fs_lake_throw("read a row", "");
	fs_put_le32(row->data + row->len, (uint32) (row->len - key));
	row->len += 4;
	datum = palloc(VARHDRSZ + row->len);
	SET_VARSIZE(datum, VARHDRSZ + row->len);
	memcpy(VARDATA(datum), row->data, row->len);
	return PointerGetDatum(datum);
}

/* Gives the rows of an input to the sort; false: it is malformed. */
static bool
sort_input(FsLakeCompaction *compaction, Tuplesortstate *sort, const FsLakeSmall *input, int64 offset)
{
	char	   *bytes = MemoryContextAllocHuge(CurrentMemoryContext, input->size);
	FsObjectBody body = {.file = compaction->stage, .len = offset + input->size};
	char		message[FS_PARQUET_MESSAGE_SIZE];
	int			found;

	for (int64 done = 0; done < input->size;)
		done += fs_object_body_read(&body, offset + done, bytes + done, PIECE);
	compaction->reader = fs_parquet_open(bytes, input->size, compaction->columns, compaction->ncolumns, message);
	if (compaction->reader == NULL)
		fs_lake_throw(psprintf("read file \"%s\"", input->path), message);
	while ((found = fs_parquet_next_row(compaction->reader, message)) > 0)
	{
		Datum		datum = make_datum(compaction);

		CHECK_FOR_INTERRUPTS();
		tuplesort_putdatum(sort, datum, false);
		pfree(DatumGetPointer(datum));
	}
	if (found < 0 && message[0] == '\0')
		fs_lake_throw(psprintf("read file \"%s\"", input->path), message);
	if (found < 0)
		leave(input, message);
	fs_parquet_reader_free(compaction->reader);
	compaction->reader = NULL;
	pfree(bytes);
	return found == 0;
}

/*
 * Writing
 */

/* The writer's bytes go into the temporary file. */
static bool
write_cb(void *arg, const void *bytes, size_t n)
{
	FsLakeCompaction *compaction = arg;

	if (!fs_lake_file_write(compaction->file, bytes, n, compaction->written))
		return false;
	compaction->written += n;
	return true;
}

/* Finishes the file that is open. */
static void
finish_file(FsLakeCompaction *compaction)
{
	MemoryContext old = MemoryContextSwitchTo(compaction->context);
	FsIcebergValue *partition = compaction->inputs[0].partition;
	FsBuffer	path = {0};
	FsLakeFile *file = palloc0(sizeof(FsLakeFile));

	if (!fs_parquet_finish(compaction->writer))
		fs_lake_throw_writer(compaction->writer);
	if (!fs_iceberg_data_path(compaction->table->metadata, &compaction->spec, partition, fs_lake_uuid(), &path))
		fs_lake_throw("name a file", "");
	file->location = pnstrdup(path.data, path.len);
	fs_buffer_free(&path);
	file->file = compaction->file;
	if (!fs_iceberg_data_file(&file->entry, &compaction->memory, compaction->writer, compaction->columns,
							  compaction->ncolumns, file->location, partition, compaction->sort_id))
		fs_lake_throw("describe a file", "");
	compaction->files = lappend(compaction->files, file);
	compaction->put += file->entry.rows;
	fs_parquet_free(compaction->writer);
	compaction->writer = NULL;
	MemoryContextSwitchTo(old);
}

/* Puts a row into the file that is open, or the next one. */
static void
put_row(FsLakeCompaction *compaction, const char *bytes, size_t len)
{
	size_t		row = fs_get_le32(bytes + len - 4);

	Assert(row <= len - 4);
	if (compaction->writer == NULL)
	{
		File		file = OpenTemporaryFile(true);

		compaction->written = 0;
		compaction->file = file;
		compaction->writer = fs_parquet_create(compaction->columns, compaction->ncolumns, &compaction->options, write_cb,
											   compaction);
		if (compaction->writer == NULL)
		{
			FileClose(file);
			fs_lake_throw("begin a file", "");
		}
	}
	if (!fs_parquet_put_row(compaction->writer, compaction->columns, compaction->ncolumns, bytes + len - 4 - row, row))
		fs_lake_throw_writer(compaction->writer);
	if (compaction->written >= fs_lake_compact_target(compaction->table))
		finish_file(compaction);
}

/* Puts all rows, in order. */
static void
put_sorted(FsLakeCompaction *compaction, Tuplesortstate *sort)
{
	Datum		datum;
	bool		isnull;

	while (tuplesort_getdatum(sort, true, &datum, &isnull, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		put_row(compaction, VARDATA_ANY(DatumGetPointer(datum)), VARSIZE_ANY_EXHDR(DatumGetPointer(datum)));
		pfree(DatumGetPointer(datum));
	}
	if (compaction->writer != NULL)
		finish_file(compaction);
}

/* Gives the rows of all inputs to the sort; false: one is malformed. */
static bool
sort_inputs(FsLakeCompaction *compaction, Tuplesortstate *sort)
{
	int64		offset = 0;

	for (int i = 0; i < compaction->ninputs; i++)
	{
		if (!sort_input(compaction, sort, &compaction->inputs[i], offset))
			return false;
		offset += compaction->inputs[i].size;
	}
	Assert(offset == compaction->staged);
	return true;
}

/* See lake_compact.h.  What comes out must be as many rows as went in. */
List *
fs_lake_compact_make(FsLakeCompaction *compaction)
{
	TypeCacheEntry *type = lookup_type_cache(BYTEAOID, TYPECACHE_LT_OPR);
	Tuplesortstate *sort = tuplesort_begin_datum(BYTEAOID, type->lt_opr, InvalidOid, false, FS_LAKE_SORT_KB, NULL, TUPLESORT_NONE);

	Assert(IsTransactionState() && compaction->ninputs > 1 && compaction->files == NIL);
	if (!sort_inputs(compaction, sort))
	{
		tuplesort_end(sort);
		return NIL;
	}
	tuplesort_performsort(sort);
	put_sorted(compaction, sort);
	tuplesort_end(sort);
	FS_FAULT("lake_compacted");
	if (compaction->put != compaction->rows)
		elog(ERROR, "compaction of %lld rows made %lld", (long long) compaction->rows, (long long) compaction->put);
	return compaction->files;
}
