/*
 * parquet_read_footer.c
 *		What the end of a Parquet file says of it; see parquet_source.h.
 *
 * Fields go in the order of their numbers, as we write them: the schema is known
 * before row groups are met.  Field numbers are those of parquet.thrift.
 */
#include "core/parquet_source.h"
#include "core/thrift_read.h"

#define MAGIC "PAR1"
#define CREATED_BY "feature_stream version "
#define MALFORMED "its footer is malformed"

enum
{
	REQUIRED = 0, OPTIONAL = 1, REPEATED = 2
};
enum
{
	UNCOMPRESSED = 0, ZSTD = 6
};

/* An element of the schema. */
typedef struct Element
{
	int64_t		physical;		/* -1: a group */
	int64_t		length;
	int64_t		repetition;
	int64_t		nchildren;
	int64_t		scale;			/* of a decimal, which has a precision */
	int64_t		precision;		/* 0: it is none */
	int64_t		id;				/* -1: none */
} Element;

/* Takes a SchemaElement; what it does not say stays as it is here. */
static Element
take_element(FsThriftReader *in)
{
	Element		element = {.physical = -1, .id = -1};
	FsThriftType type;
	int			field;

	fs_thrift_enter(in);
	while ((field = fs_thrift_next_field(in, &type)) != 0)
	{
		if (field == 1)
			element.physical = fs_thrift_take_int(in, type);
		else if (field == 2)
			element.length = fs_thrift_take_int(in, type);
		else if (field == 3)
			element.repetition = fs_thrift_take_int(in, type);
		else if (field == 5)
			element.nchildren = fs_thrift_take_int(in, type);
		else if (field == 7)
			element.scale = fs_thrift_take_int(in, type);
		else if (field == 8)
			element.precision = fs_thrift_take_int(in, type);
		else if (field == 9)
			element.id = fs_thrift_take_int(in, type);
		else
			fs_thrift_skip(in, type);
	}
	return element;
}

/* The column that a leaf is of, by its id and, of a list, its element's; -1: none that is wanted. */
static int
find_column(const FsParquetReader *reader, bool is_list, int64_t id)
{
	for (int i = 0; i < reader->ncolumns; i++)
		if (reader->columns[i].field_id == id && reader->columns[i].is_list == is_list)
			return i;
	return -1;
}

/* Is the leaf one that the column can be read from: the same, or a decimal of the same scale and fewer digits? */
static bool
is_readable(const Element *leaf, const FsParquetColumn *column, const FsParquetColumn *wanted)
{
	if (wanted->type == FS_PARQUET_DECIMAL ?
		leaf->precision < 1 || leaf->precision > wanted->precision || leaf->scale != wanted->scale : leaf->precision != 0)
		return false;
	return leaf->physical == (int64_t) fs_parquet_physical(column) &&
		(leaf->physical != FS_PHYSICAL_FIXED || leaf->length == fs_parquet_width(column));
}

/* Takes over what the file has of a column; false with the message when it has that in another form. */
static bool
set_column(FsParquetReader *reader, int i, const Element *leaf, bool is_required, char *message)
{
	const FsParquetColumn *wanted = &reader->columns[i];
	FsParquetSource *source = &reader->sources[i];
	FsParquetColumn column = *wanted;

	column.required = is_required;
	if (leaf->precision >= 1 && leaf->precision <= wanted->precision)
		column.precision = (int) leaf->precision;
	if (!is_readable(leaf, &column, wanted) || (wanted->required && !is_required) || source->is_there)
		return fs_parquet_refuse(message, "its column \"%.100s\" is of another type", wanted->name);
	source->is_there = true;
	source->column = column;
	fs_parquet_chunk_init(&source->chunk, &source->column);
	return true;
}

/* Reads a column of the schema: a leaf, or the three elements of a list; how many, 0 with the message. */
static size_t
take_column(FsParquetReader *reader, FsThriftReader *in, char *message)
{
	Element		outer = take_element(in);
	Element		leaf = outer;
	bool		is_list = outer.physical < 0;
	int			column;

	if (is_list)
	{
		Element		middle = take_element(in);

		leaf = take_element(in);
		if (outer.nchildren != 1 || middle.physical >= 0 || middle.nchildren != 1 || middle.repetition != REPEATED ||
			leaf.repetition != OPTIONAL)
			return fs_parquet_refuse(message, MALFORMED);
	}
	if (in->failed || leaf.physical < 0 || (outer.repetition != OPTIONAL && outer.repetition != REQUIRED))
		return fs_parquet_refuse(message, MALFORMED);
	column = find_column(reader, is_list, outer.id);
	if (column >= 0 && !set_column(reader, column, &leaf, outer.repetition == REQUIRED, message))
		return 0;
	if (!fs_buffer_append(&reader->leaves, &column, sizeof(column)))
	{
		message[0] = '\0';
		return 0;
	}
	return is_list ? 3 : 1;
}

/* Reads the schema; false with the message. */
static bool
take_schema(FsParquetReader *reader, FsThriftReader *in, FsThriftType type, char *message)
{
	FsThriftType item;
	size_t		n = fs_thrift_take_list(in, type, &item);
	Element		root;

	if (n == 0 || item != FS_THRIFT_STRUCT || reader->leaves.len > 0)
		return fs_parquet_refuse(message, MALFORMED);
	root = take_element(in);
	for (size_t done = 1; done < n;)
	{
		size_t		taken = take_column(reader, in, message);

		if (taken == 0)
			return false;
		done += taken;
		if (done > n)
			return fs_parquet_refuse(message, MALFORMED);
	}
	return (!in->failed && root.nchildren == (int64_t) (reader->leaves.len / sizeof(int))) ||
		fs_parquet_refuse(message, MALFORMED);
}

/* Reads what is known of a chunk. */
static FsParquetPlace
take_chunk_facts(FsThriftReader *in, FsThriftType type)
{
	FsParquetPlace place = {.is_there = true};
	int64_t		codec = -1;
	int64_t		dictionary = -1;
	int			field;

	if (!fs_thrift_take_struct(in, type))
		return place;
	while ((field = fs_thrift_next_field(in, &type)) != 0)
	{
		if (field == 4)
			codec = fs_thrift_take_int(in, type);
		else if (field == 5)
			place.nlevels = fs_thrift_take_int(in, type);
		else if (field == 7)
			place.bytes = fs_thrift_take_int(in, type);
		else if (field == 9)
			place.offset = fs_thrift_take_int(in, type);
		else if (field == 11)
			dictionary = fs_thrift_take_int(in, type);
		else
			fs_thrift_skip(in, type);
	}
	if (codec != UNCOMPRESSED && codec != ZSTD)
		in->failed = true;
	place.is_compressed = codec == ZSTD;
	if (dictionary >= 0)
		place.offset = dictionary;
	return place;
}

/* Reads a column chunk of a row group. */
static FsParquetPlace
take_chunk(FsThriftReader *in)
{
	FsParquetPlace place = {0};
	FsThriftType type;
	int			field;

	fs_thrift_enter(in);
	while ((field = fs_thrift_next_field(in, &type)) != 0)
	{
		if (field == 3)
			place = take_chunk_facts(in, type);
		else
			fs_thrift_skip(in, type);
	}
	return place;
}

/* Is the chunk within the file, and of a size that can be? */
static bool
is_within(const FsParquetReader *reader, const FsParquetPlace *place)
{
	return place->is_there && place->offset >= (int64_t) strlen(MAGIC) && place->bytes > 0 && place->nlevels >= 0 &&
		place->nlevels < UINT32_MAX && place->offset <= (int64_t) reader->len && place->bytes <= (int64_t) reader->len - place->offset;
}

/* Reads the chunks of a row group into 'places', of all columns. */
static bool
take_chunks(const FsParquetReader *reader, FsThriftReader *in, FsThriftType type, FsParquetPlace *places)
{
	const int  *leaves = (const int *) reader->leaves.data;
	FsThriftType item;
	size_t		n = fs_thrift_take_list(in, type, &item);

	if (n != reader->leaves.len / sizeof(int) || item != FS_THRIFT_STRUCT)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		FsParquetPlace place = take_chunk(in);

		if (in->failed || !is_within(reader, &place))
			return false;
		if (leaves[i] >= 0)
			places[leaves[i]] = place;
	}
	return true;
}

/* Reads a row group; false with the message. */
static bool
take_group(FsParquetReader *reader, FsThriftReader *in, char *message)
{
	size_t		size = sizeof(FsParquetPlace) * (size_t) reader->ncolumns;
	bool		has_chunks = false;
	int64_t		nrows = -1;
	FsThriftType type;
	int			field;

	if (!fs_buffer_reserve(&reader->places, size) || !fs_buffer_reserve(&reader->groups, sizeof(nrows)))
		return fs_parquet_refuse(message, "%s", "");
	memset(reader->places.data + reader->places.len, 0, size);
	fs_thrift_enter(in);
	while ((field = fs_thrift_next_field(in, &type)) != 0)
	{
		if (field == 1)
			has_chunks = take_chunks(reader, in, type, (FsParquetPlace *) (reader->places.data + reader->places.len));
		else if (field == 3)
			nrows = fs_thrift_take_int(in, type);
		else
			fs_thrift_skip(in, type);
		if (field == 1 && !has_chunks)
			break;
	}
	if (in->failed || !has_chunks || nrows <= 0 || nrows >= INT32_MAX)
		return fs_parquet_refuse(message, MALFORMED);
	reader->places.len += size;
	reader->nrows += nrows;
	return fs_buffer_append(&reader->groups, &nrows, sizeof(nrows));
}

/* Reads all row groups; false with the message. */
static bool
take_groups(FsParquetReader *reader, FsThriftReader *in, FsThriftType type, char *message)
{
	FsThriftType item;
	size_t		n = fs_thrift_take_list(in, type, &item);

	if (in->failed || (n > 0 && item != FS_THRIFT_STRUCT) || reader->leaves.len == 0 || reader->groups.len > 0)
		return fs_parquet_refuse(message, MALFORMED);
	for (size_t i = 0; i < n; i++)
		if (!take_group(reader, in, message))
			return false;
	return true;
}

/* Finds the footer; false when that is none. */
static bool
find_footer(const FsParquetReader *reader, FsCursor *footer)
{
	size_t		len = reader->len;
	uint32_t	n;

	if (len < 12 || memcmp(reader->bytes, MAGIC, 4) != 0 || memcmp(reader->bytes + len - 4, MAGIC, 4) != 0)
		return false;
	n = fs_get_le32(reader->bytes + len - 8);
	if (n > len - 12)
		return false;
	footer->end = reader->bytes + len - 8;
	footer->p = footer->end - n;
	return true;
}

/* Has somebody else made the file?  False with the message. */
static bool
check_creator(FsThriftReader *in, FsThriftType type, char *message)
{
	size_t		len;
	const char *creator = fs_thrift_take_bytes(in, type, &len);

	return (len > strlen(CREATED_BY) && memcmp(creator, CREATED_BY, strlen(CREATED_BY)) == 0) ||
		fs_parquet_refuse(message, "it was written by somebody else");
}

/* See parquet_source.h. */
bool
fs_parquet_read_footer(FsParquetReader *reader, char *message)
{
	FsThriftReader in = {.depth = 0};
	bool		is_ours = false;
	int64_t		nrows = -1;
	FsThriftType type;
	int			field;

	if (!find_footer(reader, &in.in))
		return fs_parquet_refuse(message, "it is no Parquet file");
	fs_thrift_enter(&in);
	while ((field = fs_thrift_next_field(&in, &type)) != 0)
	{
		if (field == 3)
			nrows = fs_thrift_take_int(&in, type);
		else if ((field == 2 && !take_schema(reader, &in, type, message)) ||
				 (field == 4 && !take_groups(reader, &in, type, message)) ||
				 (field == 6 && !(is_ours = check_creator(&in, type, message))))
			return false;
		else if (field != 2 && field != 4 && field != 6)
			fs_thrift_skip(&in, type);
	}
	if (in.failed || nrows != reader->nrows)
		return fs_parquet_refuse(message, MALFORMED);
	if (!is_ours)
		return fs_parquet_refuse(message, "it was written by somebody else");
	for (int i = 0; i < reader->ncolumns; i++)
		if (reader->columns[i].required && !reader->sources[i].is_there)
			return fs_parquet_refuse(message, "it has no column \"%.100s\"", reader->columns[i].name);
	return true;
}
