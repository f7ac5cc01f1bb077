/*
 * decode_avro.c
 *		Avro records: running the program that was made of schemas and columns.
 *
 * The bytes of a record are read once, front to back, one operation a field;
 * every read is checked against the end.  Loops, routines and defaults call
 * run() again, to a bounded depth.  Items that take no bytes could be counted
 * without end, and defaults be repeated: both are paid for from a budget.
 *
 * As with JSON there are two kinds of failure: the record is malformed, which
 * ends it; or a value does not fit its column, which is noted, and reading goes
 * on, since the rest may be malformed.  A text points into the record.
 */
#include "core/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array_value.h"
#include "core/avro_program.h"
#include "core/avro_read.h"
#include "core/number.h"

#define MAX_RECORD	((size_t) INT32_MAX)

/*
 * Operations that are not of every record
 */

static const char *run(FsAvroDecoder *decoder, int pc, const char *p, int depth);

/* Takes from the budget of the record; false when it is used up. */
static bool
pay(FsAvroDecoder *decoder, const char *p, size_t cost)
{
	decoder->budget -= (long) cost;
	return decoder->budget >= 0 ||
		fs_avro_malformed(decoder, p, "too many items that take no bytes") != NULL;
}

/* The key of a map's item, and what stands before it in JSON. */
static const char *
take_key(FsAvroDecoder *decoder, const char *p, bool is_json)
{
	FsAvroConv	conv = {.wire = FS_AVRO_STRING, .as = FS_AVRO_STRING};
	size_t		len;

	if (!is_json)
	{
		p = fs_avro_length(decoder, p, &len);
		return p == NULL ? NULL : p + len;
	}
	p = fs_avro_take_value(decoder, p, &conv);
	return p == NULL || !fs_avro_append_json(decoder, ":", 1) ? NULL : p;
}

/*
 * The number of items of the next block; 0 at the end.  A block that says how
 * many bytes it has is passed over when its items are skipped: then *count is 0
 * and *passed is set.
 */
static const char *
take_block(FsAvroDecoder *decoder, const char *p, bool is_skipped, uint64_t *count, bool *passed)
{
	const char *start = p;
	uint64_t	value;
	int64_t		n;

	*passed = false;
	p = fs_avro_varint(decoder, p, &value);
	if (p == NULL)
		return NULL;
	n = fs_unzigzag(value);
	*count = n < 0 ? -(uint64_t) n : (uint64_t) n;
	if (n >= 0)
		return p;
	p = fs_avro_varint(decoder, p, &value);
	if (p == NULL)
		return NULL;
	n = fs_unzigzag(value);
	if (n < 0 || (uint64_t) n > (uint64_t) (decoder->end - p))
		return fs_avro_malformed(decoder, start, "block runs beyond the end");
	*passed = is_skipped;
	return is_skipped ? p + n : p;
}

/* The value that the body left in the array's column becomes its next element; false when memory is out. */
static bool
put_item(FsAvroDecoder *decoder, int column)
{
	FsType		type = fs_type_element(decoder->program->fields[column].type);
	const FsValue *value = &decoder->values[column];

	if (decoder->refused)
		return true;
	if (++decoder->item > FS_ARRAY_MAX_ITEMS)
	{
		decoder->item = -1;
		fs_avro_refuse(decoder, column, NULL, "has more than %d elements", FS_ARRAY_MAX_ITEMS);
		return true;
	}
	return fs_array_append(&decoder->items, type, value) || fs_avro_no_memory(decoder);
}

/* The elements that were read become the value of their column; false when memory is out. */
static bool
end_items(FsAvroDecoder *decoder, int column)
{
	FsValue    *value = &decoder->values[column];
	char	   *copy = fs_scratch_take(&decoder->scratch, decoder->items.len);

	decoder->item = -1;
	if (copy == NULL)
		return fs_avro_no_memory(decoder);
	if (decoder->items.len > 0)
		memcpy(copy, decoder->items.data, decoder->items.len);
	value->presence = FS_PRESENT;
	value->len = (uint32_t) decoder->items.len;
	value->data = copy;
	return true;
}

/* An array into a column of an array type: the body behind the operation reads each item into it. */
static const char *
take_array(FsAvroDecoder *decoder, int pc, const char *p, int depth)
{
	int			column = decoder->program->ops[pc].column;
	bool		passed;
	uint64_t	count;

	fs_buffer_reset(&decoder->items);
	decoder->item = 0;
	for (;;)
	{
		p = take_block(decoder, p, false, &count, &passed);
		if (p == NULL)
			return NULL;
		if (count == 0)
			break;
		for (; count > 0; count--)
		{
			const char *before = p;

			decoder->values[column].presence = FS_NULL;
			p = run(decoder, pc + 1, p, depth + 1);
			if (p == NULL || (p == before && !pay(decoder, p, 1)) || !put_item(decoder, column))
				return NULL;
		}
	}
	return end_items(decoder, column) ? p : NULL;
}

/* An array or map: the body behind the operation for each item of each block. */
static const char *
take_items(FsAvroDecoder *decoder, int pc, const char *p, int depth)
{
	const FsAvroOp *op = &decoder->program->ops[pc];
	bool		is_json = (op->b & FS_AVRO_ITEMS_JSON) != 0;
	bool		is_map = (op->b & FS_AVRO_ITEMS_MAP) != 0;
	bool		is_first = true;
	bool		passed;
	uint64_t	count;

	if (is_json && !fs_avro_append_json(decoder, is_map ? "{" : "[", 1))
		return NULL;
	for (;;)
	{
		p = take_block(decoder, p, !is_json, &count, &passed);
		if (p == NULL)
			return NULL;
		if (count == 0)
			break;
		for (; count > 0 && !passed; count--)
		{
			const char *before = p;

			if (is_json && !is_first && !fs_avro_append_json(decoder, ",", 1))
				return NULL;
			is_first = false;
			if (is_map)
				p = take_key(decoder, p, is_json);
			if (p != NULL)
				p = run(decoder, pc + 1, p, depth + 1);
			if (p == NULL || (p == before && !pay(decoder, p, 1)))
				return NULL;
		}
	}
	if (is_json && !fs_avro_append_json(decoder, is_map ? "}" : "]", 1))
		return NULL;
	return p;
}

/* Runs the body behind the operation over a default instead of the record. */
static bool
take_default(FsAvroDecoder *decoder, int pc, const char *p, int depth)
{
	const FsAvroDefault *bytes = &decoder->program->defaults[decoder->program->ops[pc].b];
	const char *low = decoder->low;
	const char *end = decoder->end;
	const char *after;

	if (!pay(decoder, p, 1 + bytes->len / 16))
		return false;
	decoder->low = bytes->bytes;
	decoder->end = bytes->bytes + bytes->len;
	after = run(decoder, pc + 1, bytes->bytes, depth + 1);
	FS_ASSERT(after == NULL || after == decoder->end);
	decoder->low = low;
	decoder->end = end;
	/* whatever is wrong is not wrong in the default */
	if (after == NULL && decoder->wrong != NULL)
		decoder->wrong_at = p;
	return after != NULL;
}

/* The JSON text is the value of its column. */
static bool
end_json(FsAvroDecoder *decoder, int column)
{
	FsValue    *value = &decoder->values[column];
	char	   *copy = fs_scratch_take(&decoder->scratch, decoder->json.len);

	decoder->json_column = -1;
	if (copy == NULL)
		return fs_avro_no_memory(decoder);
	if (decoder->json.len > 0)
		memcpy(copy, decoder->json.data, decoder->json.len);
	value->presence = FS_PRESENT;
	value->len = (uint32_t) decoder->json.len;
	value->data = copy;
	return true;
}

/* A long as a timestamptz; refuses what is out of range. */
static inline void
put_time(FsAvroDecoder *decoder, const char *at, int64_t raw, int64_t factor, int column)
{
	FsValue    *value = &decoder->values[column];
	int64_t		time;

	if (__builtin_mul_overflow(raw, factor, &time) ||
		__builtin_add_overflow(time, FS_UNIX_EPOCH, &time) ||
		time < FS_TIMESTAMP_MIN || time >= FS_TIMESTAMP_END)
	{
		fs_avro_refuse(decoder, column, at, "has value %lld, out of range for timestamptz",
					   (long long) raw);
		time = 0;
	}
	value->presence = FS_PRESENT;
	value->i = time;
}

static void
fail_value(FsAvroDecoder *decoder, const FsAvroOp *op, const char *at)
{
	fs_avro_refuse(decoder, op->column >= 0 ? op->column : decoder->json_column, at, "%.*s",
				   op->b, decoder->program->text.data + op->a);
}

/* One operation that leads nowhere else, of those that run() does not do itself. */
static const char *
run_other(FsAvroDecoder *decoder, const FsAvroOp *op, const char *p)
{
	const FsAvroProgram *program = decoder->program;

	switch ((FsAvroOpCode) op->code)
	{
		case FS_AVRO_OP_VALUE:
		case FS_AVRO_OP_JSON_VALUE:
			return fs_avro_take_value(decoder, p, &program->convs[op->a]);
		case FS_AVRO_OP_FAIL:
			fail_value(decoder, op, p);
			return p;
		case FS_AVRO_OP_SAVE:
			decoder->saved[op->a] = p;
			return p;
		case FS_AVRO_OP_RESTORE:
			return decoder->saved[op->a];
		case FS_AVRO_OP_JSON_BEGIN:
			fs_buffer_reset(&decoder->json);
			decoder->json_column = op->column;
			return p;
		case FS_AVRO_OP_JSON_LITERAL:
			return fs_avro_append_json(decoder, program->text.data + op->a, (size_t) op->b) ? p : NULL;
		case FS_AVRO_OP_JSON_END:
			return end_json(decoder, op->column) ? p : NULL;
		default:
			FS_ASSERT(false);
			return NULL;
	}
}

/* Takes a varint at 'p' of those before 'end', which are the decoder's; NULL when it is none. */
static inline const char *
take_varint(FsAvroDecoder *decoder, const char *p, const char *end, uint64_t *value)
{
	if (__builtin_expect(p < end && (unsigned char) *p < 0x80, 1))
	{
		*value = (unsigned char) *p;
		return p + 1;
	}
	return fs_avro_long_varint(decoder, p, value);
}

/* Takes a length at 'p' and as many bytes behind it: *text; the byte after them, or NULL. */
static inline const char *
take_bytes(FsAvroDecoder *decoder, const char *p, const char *end, const char **text)
{
	uint64_t	raw;
	const char *next = take_varint(decoder, p, end, &raw);

	if (next == NULL)
		return NULL;
	/* a negative length has its last bit set */
	if (__builtin_expect((raw & 1) || (raw >> 1) > (uint64_t) (end - next), 0))
		return fs_avro_malformed(decoder, p, "length runs beyond the end");
	*text = next;
	return next + (raw >> 1);
}

/* Takes an integer into a value, where it needs no conversion. */
static inline const char *
take_int8(FsAvroDecoder *decoder, const char *p, const char *end, FsValue *value)
{
	uint64_t	raw;

	p = take_varint(decoder, p, end, &raw);
	if (p == NULL)
		return NULL;
	value->presence = FS_PRESENT;
	value->i = fs_unzigzag(raw);
	return p;
}

/* Takes a time in units of so many microseconds. */
static inline const char *
take_time(FsAvroDecoder *decoder, const char *p, const char *end, int unit, int column)
{
	uint64_t	raw;
	const char *next = take_varint(decoder, p, end, &raw);

	if (next != NULL)
		put_time(decoder, p, fs_unzigzag(raw), unit, column);
	return next;
}

/* Takes the number of a union's branch, and sets *pc to where that goes on. */
static inline const char *
take_branch(FsAvroDecoder *decoder, const char *p, const char *end, const FsAvroOp *op, int *pc)
{
	uint64_t	raw;
	const char *next = take_varint(decoder, p, end, &raw);

	if (next == NULL)
		return NULL;
	if ((raw & 1) || (raw >> 1) >= (uint64_t) op->b)
		return fs_avro_malformed(decoder, p, "union has no branch of this number");
	*pc = decoder->program->targets[op->a + (int) (raw >> 1)];
	return next;
}

/*
 * Runs operations from 'pc' to their END over the bytes at 'p'.  Returns the
 * byte after what was read, or NULL: malformed, or memory is out.
 */
static const char *
run(FsAvroDecoder *decoder, int pc, const char *p, int depth)
{
	const FsAvroProgram *program = decoder->program;
	const char *const end = decoder->end;	/* stays while this runs */
	FsValue    *const values = decoder->values;
	const char *at;
	uint64_t	raw;

	if (depth >= FS_AVRO_MAX_DEPTH)
		return fs_avro_malformed(decoder, p, "nested deeper than 64 levels");
	for (const FsAvroOp *op = &program->ops[pc];; op++)
	{
		FS_ASSERT(op >= program->ops && op < program->ops + program->nops);
		switch (op->code)
		{
			case FS_AVRO_OP_END:
				return p;
			case FS_AVRO_OP_TEXT:
				p = take_bytes(decoder, p, end, &at);
				if (p == NULL || !fs_avro_put_text_inline(decoder, at, (size_t) (p - at), op->column, true))
					return NULL;
				break;
			case FS_AVRO_OP_INT8:
				p = take_int8(decoder, p, end, &values[op->column]);
				break;
			case FS_AVRO_OP_MILLIS:
			case FS_AVRO_OP_MICROS:
				p = take_time(decoder, p, end, op->code == FS_AVRO_OP_MILLIS ? 1000 : 1, op->column);
				break;
			case FS_AVRO_OP_NULL:
				values[op->column].presence = FS_NULL;
				break;
			case FS_AVRO_OP_SKIP_VARINT:
				p = take_varint(decoder, p, end, &raw);
				break;
			case FS_AVRO_OP_SKIP_BYTES:
				p = take_bytes(decoder, p, end, &at);
				break;
			case FS_AVRO_OP_SKIP_FIXED:
				if (op->a > end - p)
					return fs_avro_malformed(decoder, p, "value runs beyond the end");
				p += op->a;
				break;
			case FS_AVRO_OP_UNION:
				p = take_branch(decoder, p, end, op, &pc);
				if (p == NULL)
					return NULL;
				op = &program->ops[pc] - 1;
				break;
			case FS_AVRO_OP_JUMP:
				op = &program->ops[op->a] - 1;
				break;
			case FS_AVRO_OP_CALL:
				p = run(decoder, op->a, p, depth + 1);
				break;
			case FS_AVRO_OP_ITEMS:
				p = (op->b & FS_AVRO_ITEMS_COLUMN) != 0 ?
					take_array(decoder, (int) (op - program->ops), p, depth) :
					take_items(decoder, (int) (op - program->ops), p, depth);
				op = &program->ops[op->a] - 1;
				break;
			case FS_AVRO_OP_DEFAULT:
				if (!take_default(decoder, (int) (op - program->ops), p, depth))
					return NULL;
				op = &program->ops[op->a] - 1;
				break;
			default:
				p = run_other(decoder, op, p);
				break;
		}
		if (p == NULL)
			return NULL;
	}
}

/*
 * The whole
 */

/* See decode.h. */
FsAvroDecoder *
fs_avro_decoder_create(void)
{
	return calloc(1, sizeof(FsAvroDecoder));
}

/* See decode.h; NULL is nothing to free. */
void
fs_avro_decoder_free(FsAvroDecoder *decoder)
{
	if (decoder == NULL)
		return;
	fs_scratch_free(&decoder->scratch);
	fs_buffer_free(&decoder->json);
	fs_buffer_free(&decoder->items);
	free(decoder);
}

/* See decode.h; the memory of a long JSON text or array is given back, too. */
void
fs_avro_decoder_reset(FsAvroDecoder *decoder)
{
	fs_scratch_reset(&decoder->scratch);
	if (decoder->json.cap > 1024 * 1024)
		fs_buffer_free(&decoder->json);
	if (decoder->items.cap > 1024 * 1024)
		fs_buffer_free(&decoder->items);
}

/* See decode.h; NULL is nothing to free. */
void
fs_avro_program_free(FsAvroProgram *program)
{
	if (program == NULL)
		return;
	fs_scratch_free(&program->memory);
	fs_buffer_free(&program->text);
	free(program->fields);
	free(program->ops);
	free(program->targets);
	free(program->convs);
	free(program->symbols);
	free(program->defaults);
	free(program);
}

/* Fills *error for a record that is malformed (or for which memory was out); always false. */
static bool
refuse_record(const FsAvroDecoder *decoder, FsDecodeError *error, size_t len)
{
	error->reason = decoder->wrong == NULL ? FS_REASON_NONE : FS_REASON_MALFORMED;
	error->field = -1;
	error->position = fs_avro_position(decoder, decoder->wrong_at);
	if (decoder->wrong == NULL)
		snprintf(error->message, sizeof(error->message), "out of memory");
	else
		snprintf(error->message, sizeof(error->message), "%s at byte %zu of %zu",
				 decoder->wrong, error->position, len);
	return false;
}

/* See decode.h. */
bool
fs_avro_decode(FsAvroDecoder *decoder, const FsAvroProgram *program, const char *bytes,
			   size_t len, FsValue *values, FsDecodeError *error)
{
	const char *p;

	FS_ASSERT(bytes != NULL);
	decoder->program = program;
	decoder->begin = decoder->low = bytes;
	decoder->end = bytes + len;
	decoder->values = values;
	decoder->json_column = -1;
	decoder->item = -1;
	decoder->budget = FS_AVRO_EMPTY_ITEMS + 16 * (long) len;
	decoder->error = error;
	decoder->refused = false;
	for (int i = 0; i < program->nfields; i++)
		values[i].presence = FS_ABSENT;
	if (len > MAX_RECORD)
		p = fs_avro_malformed(decoder, decoder->end, "record too long");
	else
		p = run(decoder, 0, bytes, 0);
	if (p != NULL && p < decoder->end)
		p = fs_avro_malformed(decoder, p, "expected nothing after the record");
	if (p == NULL)
		return refuse_record(decoder, error, len);
	return !decoder->refused;
}
