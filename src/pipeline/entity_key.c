/*
 * entity_key.c
 *		Entity keys: the values of the entity columns as bytes.
 */
#include "postgres.h"

#include "pipeline/row.h"
#include "pipeline/shard.h"
#include "pipeline/values.h"

/* memcpy(), without a call for what identifiers are mostly long. */
static inline void
copy_bytes(char *to, const char *from, uint32 len)
{
	if (len >= 8 && len <= 16)
	{
		uint64		first;
		uint64		last;

		memcpy(&first, from, 8);
		memcpy(&last, from + len - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + len - 8, &last, 8);
	}
	else if (len >= 4 && len < 8)
	{
		uint32		first;
		uint32		last;

		memcpy(&first, from, 4);
		memcpy(&last, from + len - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + len - 4, &last, 4);
	}
	else
		memcpy(to, from, len);
}

/*
 * Keys.  Each entity column in turn: byte types as a varint of their length
 * and the bytes, all others as 8 bytes.  Equal keys have equal bytes, because
 * such columns are NOT NULL and of types whose equality is byte equality.
 */
static inline int
put_key_value(FsType type, const FsValue *value, char *key)
{
	int			n = 0;
	uint32		len = value->len;

	Assert(value->presence == FS_PRESENT);
	if (!fs_type_is_bytes(type))
	{
		memcpy(key, &value->i, 8);
		return 8;
	}
	for (; len >= 0x80; len >>= 7)
		key[n++] = (char) (len | 0x80);
	key[n++] = (char) len;
	copy_bytes(key + n, value->data, value->len);
	return n + value->len;
}

/* See row.h. */
int
fs_key_of_inputs(const FsViewDef *view, const FsValue *values, const int *value_of, char *key)
{
	int			len = 0;

	for (int i = 0; i < view->nentity; i++)
	{
		FsType		type = fs_view_entity(view, i)->type;
		const FsValue *value = &values[value_of[view->entity[i]]];

		if (value->presence != FS_PRESENT ||
			len + (fs_type_is_bytes(type) ? (int64) value->len + 5 : 8) > FS_ENTITY_MAX_KEY)
			return -1;
		len += put_key_value(type, value, key + len);
	}
	Assert(len <= FS_ENTITY_MAX_KEY);
	return len;
}

/* See shard.h. */
int
fs_key_of_values(const FsView *view, const FsValue *values, char *key)
{
	const FsValue *text = view->text_key >= 0 ? &values[view->text_key] : NULL;

	/* most keys are one short text, which needs no loop */
	if (text != NULL && text->presence == FS_PRESENT && text->len < 0x80)
		return put_key_value(FS_TYPE_TEXT, text, key);
	return fs_key_of_inputs(view->def, values, view->value_of, key);
}

/* See row.h. */
int
fs_key_encode(const FsViewDef *view, const Datum *values, char *key)
{
	int			len = 0;

	for (int i = 0; i < view->nentity; i++)
	{
		const FsColumn *column = fs_view_entity(view, i);
		FsValue		value = fs_datum_value(column, values[i]);

		if (len + (fs_type_is_bytes(column->type) ? (int64) value.len + 5 : 8) > FS_ENTITY_MAX_KEY)
			return -1;
		len += put_key_value(column->type, &value, key + len);
	}
	return len;
}

/* See row.h. */
void
fs_key_decode(const FsViewDef *view, const char *key, int key_len, Datum *values)
{
	const char *p = key;

	for (int i = 0; i < view->nentity; i++)
	{
		const FsColumn *column = fs_view_entity(view, i);
		FsValue		value = {.presence = FS_PRESENT};

		if (fs_type_is_bytes(column->type))
		{
			for (int shift = 0;; shift += 7)
			{
				uint8		byte = (uint8) *p++;

				value.len |= (uint32) (byte & 0x7f) << shift;
				if (byte < 0x80)
					break;
			}
			value.data = p;
			p += value.len;
		}
		else
		{
			memcpy(&value.i, p, 8);
			p += 8;
		}
		Assert(p <= key + key_len);
		values[i] = fs_value_datum(column, &value);
	}
	Assert(p == key + key_len);
}
