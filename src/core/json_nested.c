/*
 * json_nested.c
 *		JSON objects into which paths of columns lead, and JSON arrays for columns of array types.
 *
 * Both are tokens already: the whole of them was found well-formed, and not
 * nested too deep.  What is declared of them is read again from there, so that records
 * without any pay nothing.
 *
 * A path is a chain of entries: nodes, which are objects, and a leaf, which is
 * the column's.  A column is also entered at the top under its whole name, since
 * producers of flat records have keys like "a.b"; of both the last one counts.
 */
#include "core/json_decoder.h"

#include <assert.h>
#include <string.h>

#include "core/array_value.h"

/* See json_decoder.h. */
void
fs_json_note_misfit(FsJsonDecoder *decoder, int column, const FsJsonToken *token, FsMisfit misfit, int item)
{
	FsJsonRefusal *refusal = &decoder->refusals[column];

	if (misfit == FS_MISFIT_NO_MEMORY)
	{
		decoder->no_memory = true;
		return;
	}
	decoder->nrefusals += (misfit != FS_MISFIT_NONE) -
		(refusal->misfit != FS_MISFIT_NONE);
	assert(decoder->nrefusals >= 0);
	refusal->misfit = misfit;
	refusal->item = item;
	refusal->start = token->start;
	refusal->end = token->end;
}

/*
 * Arrays
 */

/* The place of the first value in an array or object, or of its end. */
static const char *
enter_token(const FsJsonToken *token)
{
	return fs_json_skip_space(token->start + 1, token->end);
}

/* The place after a value: of the next one, or of the end. */
static const char *
pass_comma(const char *p, const FsJsonToken *token)
{
	p = fs_json_skip_space(p, token->end);
	return *p == ',' ? fs_json_skip_space(p + 1, token->end) : p;
}

/* Appends one element to the array at hand. */
static FsMisfit
append_item(FsJsonDecoder *decoder, const FsField *element, const FsJsonToken *item)
{
	FsValue		value = {.presence = FS_NULL};
	FsMisfit	misfit = FS_MISFIT_NONE;

	if (item->kind != FS_JSON_NULL)
	{
		value.presence = FS_PRESENT;
		misfit = fs_json_take_value(&decoder->scratch, element, item, &value);
	}
	if (misfit == FS_MISFIT_NONE && !fs_array_append(&decoder->items, element->type, &value))
		misfit = FS_MISFIT_NO_MEMORY;
	return misfit;
}

/* The elements of the array at hand become the column's value. */
static FsMisfit
keep_items(FsJsonDecoder *decoder, FsValue *value)
{
	size_t		len = decoder->items.len;
	char	   *copy = fs_scratch_take(&decoder->scratch, len);

	if (copy == NULL)
		return FS_MISFIT_NO_MEMORY;
	if (len > 0)
		memcpy(copy, decoder->items.data, len);
	value->data = copy;
	value->len = (uint32_t) len;
	return FS_MISFIT_NONE;
}

/* An array as the value of a column of an array type; where it is refused, *item is the element. */
static FsMisfit
take_array(FsJsonDecoder *decoder, const FsField *field, FsJsonToken *token, FsValue *value, int *item)
{
	FsField		element = *field;
	FsJsonToken inner;
	const char *p;

	if (token->kind != FS_JSON_NESTED || *token->start != '[')
		return FS_MISFIT_KIND;
	element.type = fs_type_element(field->type);
	fs_buffer_reset(&decoder->items);
	for (p = enter_token(token); *p != ']'; p = pass_comma(p, token))
	{
		FsMisfit	misfit;

		if (++*item == FS_ARRAY_MAX_ITEMS)
		{
			*item = FS_JSON_NO_ITEM;
			return FS_MISFIT_LENGTH;
		}
		p = fs_json_scan_value(&decoder->scan, p, &inner);
		assert(p != NULL && p < token->end);
		misfit = append_item(decoder, &element, &inner);
		if (misfit != FS_MISFIT_NONE)
		{
			*token = inner;
			return misfit;
		}
	}
	*item = FS_JSON_NO_ITEM;
	return keep_items(decoder, value);
}

/* A token that is an array, or is not, for a column of an array type. */
static void
take_array_column(FsJsonDecoder *decoder, const FsJsonToken *token, int column)
{
	FsValue    *value = &decoder->values[column];
	FsMisfit	misfit = FS_MISFIT_NONE;
	FsJsonToken shown = *token;
	int			item = FS_JSON_NO_ITEM;

	value->presence = FS_NULL;
	if (token->kind != FS_JSON_NULL)
	{
		misfit = take_array(decoder, &decoder->columns[column].field, &shown, value, &item);
		value->presence = FS_PRESENT;
	}
	if (misfit != FS_MISFIT_NONE || decoder->nrefusals > 0)
		fs_json_note_misfit(decoder, column, &shown, misfit, item);
}

/*
 * Paths
 */

/* Is the entry at the end of a path through the node? */
static bool
is_below(const FsJsonDecoder *decoder, int entry, int node)
{
	do
		entry = decoder->columns[entry].parent;
	while (entry != FS_JSON_ROOT && entry != node);
	return entry == node;
}

/* Forgets what an earlier object of the same key gave; the last one counts. */
static void
forget_below(FsJsonDecoder *decoder, const FsJsonToken *token, int node)
{
	for (int i = decoder->ncolumns; i < decoder->nentries; i++)
	{
		int			column = decoder->columns[i].column;

		if (column < 0 || !is_below(decoder, i, node))
			continue;
		decoder->values[column].presence = FS_ABSENT;
		if (decoder->nrefusals > 0)
			fs_json_note_misfit(decoder, column, token, FS_MISFIT_NONE, FS_JSON_NO_ITEM);
	}
}

/* What stands where an object should be: a null is null for all below it; all else does not fit. */
static void
miss_below(FsJsonDecoder *decoder, const FsJsonToken *token, int node)
{
	for (int i = decoder->ncolumns; i < decoder->nentries; i++)
	{
		int			column = decoder->columns[i].column;

		if (column < 0 || !is_below(decoder, i, node) ||
			decoder->values[column].presence != FS_ABSENT)
			continue;
		if (token->kind == FS_JSON_NULL)
			decoder->values[column].presence = FS_NULL;
		else
			fs_json_note_misfit(decoder, column, token, FS_MISFIT_PATH, FS_JSON_NO_ITEM);
	}
}

/* Reads the members of an object that paths lead into. */
static void
take_members(FsJsonDecoder *decoder, const FsJsonToken *token, int node)
{
	FsJsonToken key;
	FsJsonToken value;

	if (decoder->columns[node].seen_in == decoder->nrecords)
		forget_below(decoder, token, node);
	decoder->columns[node].seen_in = decoder->nrecords;
	if (token->kind != FS_JSON_NESTED || *token->start != '{')
	{
		miss_below(decoder, token, node);
		return;
	}
	for (const char *p = enter_token(token); *p != '}'; p = pass_comma(p, token))
	{
		p = fs_json_scan_key(&decoder->scan, p, &key);
		assert(p != NULL && p < token->end);
		p = fs_json_scan_value(&decoder->scan, p, &value);
		assert(p != NULL && p < token->end);
		for (int i = fs_json_find_field(decoder, node, &key); i != FS_JSON_NO_FIELD;
			 i = decoder->columns[i].same_key)
			fs_json_take_nested(decoder, &value, i);
	}
}

/* See json_decoder.h. */
void
fs_json_take_nested(FsJsonDecoder *decoder, const FsJsonToken *token, int entry)
{
	int			column = decoder->columns[entry].column;

	if (column < 0)
		take_members(decoder, token, entry);
	else if (decoder->columns[column].is_plain)
		fs_json_take_plain(decoder, token, column);
	else
		take_array_column(decoder, token, column);
}
