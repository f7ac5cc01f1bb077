/*
 * partial_record.c
 *		Records of rings as events of a segment, and back; see partial_log.h.
 *
 * The event's time is the record's, its late bound the window end at which the
 * record counts first if it is of late events.  The columns are the entity's key
 * and the cells, with values in the place of codes, which mean nothing after a
 * restart, and the members in the place of a set:
 *
 *		varint	members; for each
 *		varint, bytes	the value, of a dictionary; else 8 bytes, its bits
 *		varint	how often it came
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "core/buffer.h"
#include "core/hash.h"
#include "pipeline/partial.h"
#include "pipeline/partial_log.h"

/* Of records as they are written here, and of what the cells mean: to be raised when either changes. */
#define FORMAT 1

/* The dictionary of an aggregate's cell number 'cell'; NULL when it has no codes. */
static FsDictionary *
dictionary_of(const FsView *view, const FsAggregate *aggregate, int cell)
{
	FsCellKind	kind = view->layout.kinds[aggregate->partial + cell];

	if (aggregate->kept < 0 || (kind != FS_CELL_CODE && kind != FS_CELL_SET))
		return NULL;
	return view->kept[aggregate->kept].partial;
}

/* See shard.h. */
struct FsPartialLog *
fs_partial_log_create(const FsView *view)
{
	FsPartialLog *log = palloc0(sizeof(FsPartialLog));

	Assert(view->def->is_sliced);
	log->layout = (int64) FORMAT << 32 | view->shared->signature;
	log->from = log->upto = log->last = FS_TIME_MIN;
	for (int a = 0; a < view->def->naggregates; a++)
	{
		const FsAggregate *aggregate = &view->def->aggregates[a];

		for (int c = 0; c < fs_view_state_cells(view->def, a); c++)
			log->dictionaries[aggregate->partial + c] = dictionary_of(view, aggregate, c);
	}
	return log;
}

/* The type of a cell's column. */
static FsType
cell_type(FsCellKind kind)
{
	switch (kind)
	{
		case FS_CELL_INT:
			return FS_TYPE_INT8;
		case FS_CELL_FLOAT4:
			return FS_TYPE_FLOAT4;
		case FS_CELL_FLOAT8:
			return FS_TYPE_FLOAT8;
		case FS_CELL_CODE:
		case FS_CELL_SET:
			return FS_TYPE_TEXT;
	}
	pg_unreachable();
}

/* See partial_log.h. */
int
fs_partial_record_columns(const FsView *view, FsSegmentColumn *columns)
{
	Assert(view->layout.ncells <= FS_RING_MAX_CELLS);
	columns[0] = (FsSegmentColumn) {.number = 1, .type = FS_TYPE_TEXT};
	for (int i = 0; i < view->layout.ncells; i++)
		columns[i + 1] = (FsSegmentColumn) {.number = i + 2, .type = cell_type(view->layout.kinds[i])};
	return view->layout.ncells + 1;
}

/* See partial_log.h; the caller's to free. */
FsSegmentWriter *
fs_partial_record_writer(const FsView *view, FsTime window_end)
{
	FsSegmentColumn columns[FS_RING_MAX_CELLS + 1];
	int			n = fs_partial_record_columns(view, columns);
	FsSegmentWriter *writer = fs_segment_writer_create(window_end - view->def->slide, columns, n);

	if (writer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not make a segment of partial aggregates.")));
	return writer;
}

static void
append_varint(StringInfo out, uint64 v)
{
	char		bytes[FS_VARINT_MAX];

	appendBinaryStringInfo(out, bytes, fs_put_varint(bytes, v) - bytes);
}

/* A value that the worker's own dictionary has. */
static const char *
look_up(const FsDictionary *dictionary, uint32 code, uint32 *len)
{
	const char *data = fs_dictionary_value(dictionary, code, len);

	if (data == NULL)
		elog(ERROR, "a partial aggregate refers to a value that is not there");
	return data;
}

/* The bytes of a set; in the current context. */
static FsValue
encode_set(FsHandle handle, const FsDictionary *dictionary)
{
	StringInfoData out;
	int			n;
	FsSetMember *members = fs_value_set_copy(handle, &n);

	if (members == NULL)
		elog(ERROR, "a partial aggregate refers to a set that is not there");
	initStringInfo(&out);
	append_varint(&out, n);
	for (int i = 0; i < n; i++)
	{
		char		bits[8];
		const char *data = bits;
		uint32		len = sizeof(bits);

		if (dictionary != NULL)
		{
			data = look_up(dictionary, (uint32) members[i].bits, &len);
			append_varint(&out, len);
		}
		else
			fs_put_le64(bits, members[i].bits);
		appendBinaryStringInfo(&out, data, len);
		append_varint(&out, members[i].count);
	}
	return (FsValue) {.presence = FS_PRESENT, .data = out.data, .len = out.len};
}

/* A cell as a value of its column. */
static FsValue
encode_cell(FsCellKind kind, const FsCell *cell, const FsDictionary *dictionary)
{
	FsValue		value = {.presence = FS_PRESENT};

	if (kind == FS_CELL_SET)
		return encode_set(cell->set, dictionary);
	if (cell->isnull)
		value.presence = FS_NULL;
	else if (kind == FS_CELL_CODE)
		value.data = look_up(dictionary, cell->code, &value.len);
	else if (kind == FS_CELL_INT)
		value.i = cell->i;
	else
		value.f = cell->f;
	return value;
}

/* See partial_log.h. */
void
fs_partial_record_append(const FsView *view, FsSegmentWriter *writer, const FsEntity *entity, const FsRingEvent *event)
{
	FsValue		values[FS_RING_MAX_CELLS + 1];
	FsEventMeta meta = {
		.event_time = event->time,
		.arrival = event->time,
		.late_bound = event->counts_from,
		.offset = fs_segment_count(writer)
	};

	Assert(event->counts_from == FS_TIME_MIN || event->counts_from > event->time);
	values[0] = (FsValue) {.presence = FS_PRESENT, .data = entity->key, .len = entity->key_len};
	for (int i = 0; i < view->layout.ncells; i++)
		values[i + 1] = encode_cell(view->layout.kinds[i], &event->cells[i], view->partial_log->dictionaries[i]);
	if (fs_segment_append(writer, &meta, values) != FS_SEGMENT_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not add a record to a segment of partial aggregates.")));
}

/* A segment's checksum was right, so this is our own mistake, or another version's. */
static void pg_attribute_noreturn()
fail_set(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("set of values in feature_stream.partial_log is corrupted"),
			 errhint("Delete the view's rows there: its events are read instead.")));
}

/* Takes a number of a set; throws when the bytes end before it does. */
static uint64
take_varint(FsCursor *in)
{
	uint64		v;

	if (!fs_take_varint(in, &v))
		fail_set();
	return v;
}

/* Takes 'n' bytes of a set; throws when there are fewer. */
static const char *
take_bytes(FsCursor *in, uint64 n)
{
	const char *bytes;

	if (!fs_take_bytes(in, n, &bytes))
		fail_set();
	return bytes;
}

/* The code of a value; 0 when memory is out. */
static uint32
make_code(FsShard *shard, FsDictionary *dictionary, const char *data, uint32 len, uint32 slice)
{
	FsTablePlace place = fs_table_place(&dictionary->table, fs_hash_bytes(data, len));

	return fs_dictionary_code(&shard->arena, dictionary, data, len, &place, slice);
}

/* The set of some bytes, in the arena; 0 when memory is out. */
static FsHandle
decode_set(FsShard *shard, FsDictionary *dictionary, const FsValue *value, uint32 slice)
{
	FsCursor	in = {value->data, value->data + value->len};
	uint64		n = take_varint(&in);
	FsSetMember *members;
	FsHandle	handle;

	if (n > FS_VALUE_SET_MAX)
		fail_set();
	members = palloc(sizeof(FsSetMember) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		if (dictionary != NULL)
		{
			uint64		len = take_varint(&in);

			members[i].bits = make_code(shard, dictionary, take_bytes(&in, len), (uint32) len, slice);
			if (members[i].bits == 0)
				return 0;
		}
		else
			members[i].bits = fs_get_le64(take_bytes(&in, 8));
		members[i].count = take_varint(&in);
	}
	if (in.p != in.end)
		fail_set();
	handle = fs_value_set_restore(&shard->arena, members, (int) n);
	pfree(members);
	return handle;
}

/* See partial_log.h. */
bool
fs_partial_record_cells(FsShard *shard, const FsView *view, const FsPartialRecord *record, uint32 slice, FsCell *cells)
{
	for (int i = 0; i < view->layout.ncells; i++)
	{
		const FsValue *value = &record->cells[i];
		FsCellKind	kind = view->layout.kinds[i];
		FsDictionary *dictionary = view->partial_log->dictionaries[i];

		Assert(kind != FS_CELL_SET || value->presence == FS_PRESENT);
		cells[i].isnull = value->presence != FS_PRESENT;
		cells[i].i = 0;
		if (cells[i].isnull)
			continue;
		if (kind == FS_CELL_CODE || kind == FS_CELL_SET)
		{
			uint32		found = kind == FS_CELL_SET ? decode_set(shard, dictionary, value, slice) :
				make_code(shard, dictionary, value->data, value->len, slice);

			if (found == 0)
				return false;
			if (kind == FS_CELL_SET)
				cells[i].set = found;
			else
				cells[i].code = found;
		}
		else if (kind == FS_CELL_INT)
			cells[i].i = value->i;
		else
			cells[i].f = value->f;
	}
	return true;
}
