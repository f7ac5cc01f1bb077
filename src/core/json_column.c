/*
 * json_column.c
 *		From one JSON value to the value of a declared column.
 *
 * One function a family of types.  Whatever is refused is told by an FsMisfit;
 * the words for it are at the end, with the names SQL has for the types.
 */
#include "core/json_column.h"

#include <assert.h>
#include <stdio.h>

#include "core/array_value.h"
#include "core/time_text.h"

/*
 * The characters of a string token, in the record itself or in scratch memory
 * when there are escapes.
 */
static inline FsMisfit
take_characters(FsScratch *scratch, const FsJsonToken *token, const char **data,
				size_t *len)
{
	char	   *out;

	*data = token->start + 1;
	*len = (size_t) (token->end - token->start) - 2;
	if (token->seen == 0)
		return FS_MISFIT_NONE;
	if (token->seen & FS_JSON_SEEN_NUL)
		return FS_MISFIT_NUL;
	if (token->seen & FS_JSON_SEEN_SURROGATE)
		return FS_MISFIT_SURROGATE;
	out = fs_scratch_take(scratch, *len);
	if (out == NULL)
		return FS_MISFIT_NO_MEMORY;
	*len = fs_json_unescape(out, *data, token->end - 1);
	*data = out;
	return FS_MISFIT_NONE;
}

/* Reads 8-4-4-4-12 hexadecimal digits into 16 bytes of scratch memory. */
static FsMisfit
take_uuid(FsScratch *scratch, const char *text, size_t len, FsValue *value)
{
	unsigned char *out;

	if (len != 36 || text[8] != '-' || text[13] != '-' ||
		text[18] != '-' || text[23] != '-')
		return FS_MISFIT_FORM;
	out = (unsigned char *) fs_scratch_take(scratch, 16);
	if (out == NULL)
		return FS_MISFIT_NO_MEMORY;
	value->data = (const char *) out;
	value->len = 16;
	/* a hyphen stands only before these groups of four */
	for (int at = 0; at < 36; at += 4)
	{
		int			unit;

		if (at == 8 || at == 13 || at == 18 || at == 23)
			at++;
		unit = fs_json_read_hex4(text + at, text + len);
		if (unit < 0)
			return FS_MISFIT_FORM;
		*out++ = (unsigned char) (unit >> 8);
		*out++ = (unsigned char) unit;
	}
	assert(out == (const unsigned char *) value->data + 16);
	return FS_MISFIT_NONE;
}

/* See json_column.h. */
FsMisfit
fs_json_take_text(FsScratch *scratch, FsType type, const char *data, size_t len,
				  FsValue *value)
{
	switch (type)
	{
		case FS_TYPE_UUID:
			return take_uuid(scratch, data, len, value);
		case FS_TYPE_DATE:
			return fs_time_text_read_date(data, len, &value->i) ?
				FS_MISFIT_NONE : FS_MISFIT_FORM;
		case FS_TYPE_TIMESTAMPTZ:
			return fs_time_text_read(data, len, &value->i) ?
				FS_MISFIT_NONE : FS_MISFIT_FORM;
		default:
			value->data = data;
			value->len = (uint32_t) len;
			return FS_MISFIT_NONE;
	}
}

/* A string as a text, uuid, date or timestamptz. */
static inline FsMisfit
take_string(FsScratch *scratch, FsType type, const FsJsonToken *token,
			FsValue *value)
{
	const char *data;
	size_t		len;
	FsMisfit		misfit;

	if (token->kind != FS_JSON_STRING)
		return FS_MISFIT_KIND;
	misfit = take_characters(scratch, token, &data, &len);
	if (misfit != FS_MISFIT_NONE)
		return misfit;
	return fs_json_take_text(scratch, type, data, len, value);
}

/* The text of a number, where numeric_in takes it. */
static FsMisfit
take_numeric(const FsNumber *number, FsValue *value)
{
	if (number->written_exponent > FS_NUMERIC_MAX_EXPONENT ||
		number->written_exponent < -FS_NUMERIC_MAX_EXPONENT ||
		!fs_number_fits_numeric(number))
		return FS_MISFIT_RANGE;
	value->data = number->text;
	value->len = (uint32_t) number->len;
	return FS_MISFIT_NONE;
}

/* A number as one of the numeric types or a timestamptz of a unit. */
static inline FsMisfit
take_number(const FsField *field, const FsJsonToken *token, FsValue *value)
{
	const FsNumber *number = &token->number;
	FsNumberStatus status;

	if (token->kind != FS_JSON_NUMBER)
		return FS_MISFIT_KIND;
	switch (field->type)
	{
		case FS_TYPE_INT2:
			status = fs_number_to_int(number, 16, &value->i);
			break;
		case FS_TYPE_INT4:
			status = fs_number_to_int(number, 32, &value->i);
			break;
		case FS_TYPE_INT8:
			status = fs_number_to_int(number, 64, &value->i);
			break;
		case FS_TYPE_FLOAT4:
			status = fs_number_to_float(number, &value->f);
			break;
		case FS_TYPE_FLOAT8:
			status = fs_number_to_double(number, &value->f);
			break;
		case FS_TYPE_NUMERIC:
			return take_numeric(number, value);
		default:
			assert(field->type == FS_TYPE_TIMESTAMPTZ);
			status = fs_number_to_time(number,
									   field->unit == FS_UNIT_S ? 0 :
									   field->unit == FS_UNIT_MS ? 3 : 6,
									   &value->i);
			break;
	}
	if (status == FS_NUMBER_OK)
		return FS_MISFIT_NONE;
	return status == FS_NUMBER_NOT_INTEGER ? FS_MISFIT_FRACTION : FS_MISFIT_RANGE;
}

/* Any value as jsonb: its own text, when jsonb_in will take that. */
static FsMisfit
take_jsonb(const FsJsonToken *token, FsValue *value)
{
	if (token->seen & FS_JSON_SEEN_NUL)
		return FS_MISFIT_NUL;
	if (token->seen & FS_JSON_SEEN_SURROGATE)
		return FS_MISFIT_SURROGATE;
	if ((token->seen & FS_JSON_SEEN_HUGE) ||
		(token->kind == FS_JSON_NUMBER &&
		 !fs_number_fits_numeric(&token->number)))
		return FS_MISFIT_RANGE;
	value->data = token->start;
	value->len = (uint32_t) (token->end - token->start);
	return FS_MISFIT_NONE;
}

/* See json_column.h. */
FsMisfit
fs_json_take_value(FsScratch *scratch, const FsField *field, const FsJsonToken *token,
		   FsValue *value)
{
	switch (field->type)
	{
		case FS_TYPE_TIMESTAMPTZ:
			if (field->unit != FS_UNIT_NONE && field->unit != FS_UNIT_ISO8601)
				return take_number(field, token, value);
			return take_string(scratch, field->type, token, value);
		case FS_TYPE_TEXT:
		case FS_TYPE_DATE:
		case FS_TYPE_UUID:
			return take_string(scratch, field->type, token, value);
		case FS_TYPE_BOOL:
			value->i = token->kind == FS_JSON_TRUE;
			return token->kind == FS_JSON_TRUE || token->kind == FS_JSON_FALSE ?
				FS_MISFIT_NONE : FS_MISFIT_KIND;
		case FS_TYPE_JSONB:
			return take_jsonb(token, value);
		default:
			return take_number(field, token, value);
	}
}

/* The name SQL has for the type. */
static const char *
type_name(FsType type)
{
	switch (type)
	{
		case FS_TYPE_TEXT:
			return "text";
		case FS_TYPE_INT2:
			return "smallint";
		case FS_TYPE_INT4:
			return "integer";
		case FS_TYPE_INT8:
			return "bigint";
		case FS_TYPE_FLOAT4:
			return "real";
		case FS_TYPE_FLOAT8:
			return "double precision";
		case FS_TYPE_NUMERIC:
			return "numeric";
		case FS_TYPE_BOOL:
			return "boolean";
		case FS_TYPE_TIMESTAMPTZ:
			return "timestamptz";
		case FS_TYPE_DATE:
			return "date";
		case FS_TYPE_UUID:
			return "uuid";
		case FS_TYPE_JSONB:
			return "jsonb";
	}
	return "unknown";			/* not an FsType: keeps compilers quiet */
}

/* The kind of JSON value a field needs; jsonb needs none in particular. */
static const char *
needed_kind(const FsField *field)
{
	if (fs_type_is_array(field->type))
		return "an array";
	switch (field->type)
	{
		case FS_TYPE_BOOL:
			return "true or false";
		case FS_TYPE_TEXT:
		case FS_TYPE_DATE:
		case FS_TYPE_UUID:
			return "a string";
		case FS_TYPE_TIMESTAMPTZ:
			if (field->unit == FS_UNIT_NONE || field->unit == FS_UNIT_ISO8601)
				return "an ISO 8601 string";
			return "a number";
		default:
			return "a number";
	}
}

/* What a string that is refused should have looked like. */
static const char *
needed_form(FsType type)
{
	switch (type)
	{
		case FS_TYPE_DATE:
			return "a date as YYYY-MM-DD";
		case FS_TYPE_UUID:
			return "a uuid";
		default:
			return "an ISO 8601 time";
	}
}

/* See json_column.h. */
void
fs_json_write_misfit(char *out, size_t size, FsMisfit misfit,
					 const FsField *field)
{
	char		type[24];

	snprintf(type, sizeof(type), "%s%s", type_name(fs_type_element(field->type)),
			 fs_type_is_array(field->type) ? "[]" : "");
	assert(misfit != FS_MISFIT_NONE && misfit != FS_MISFIT_NO_MEMORY);
	switch (misfit)
	{
		case FS_MISFIT_KIND:
			snprintf(out, size, ", but %s needs %s", type,
					 needed_kind(field));
			break;
		case FS_MISFIT_FORM:
			snprintf(out, size, ", not %s", needed_form(field->type));
			break;
		case FS_MISFIT_FRACTION:
			snprintf(out, size, ", not an integer");
			break;
		case FS_MISFIT_NUL:
			snprintf(out, size, ", but %s cannot hold \\u0000", type);
			break;
		case FS_MISFIT_SURROGATE:
			snprintf(out, size, ", with half of a surrogate pair");
			break;
		case FS_MISFIT_LENGTH:
			snprintf(out, size, ", with more than %d elements", FS_ARRAY_MAX_ITEMS);
			break;
		case FS_MISFIT_PATH:
			snprintf(out, size, " on its path, which is no object");
			break;
		default:
			snprintf(out, size, ", out of range for %s", type);
			break;
	}
}
