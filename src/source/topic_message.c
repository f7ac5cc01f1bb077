/*
 * topic_message.c
 *		What a backend and the worker that speaks to Kafka for it tell each other;
 *		see topic_message.h.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "source/topic_message.h"

/* Throws: the other end has written something else than this one reads. */
static void
throw_broken(void)
{
	elog(ERROR, "a message about a topic is broken");
}

static void
put_varint(StringInfo message, uint64 value)
{
	char		bytes[FS_VARINT_MAX];

	appendBinaryStringInfo(message, bytes, (int) (fs_put_varint(bytes, value) - bytes));
}

/* See topic_message.h. */
void
fs_message_put_number(StringInfo message, int64 value)
{
	put_varint(message, fs_zigzag(value));
}

/* See topic_message.h. */
int64
fs_message_take_number(FsCursor *cursor)
{
	int64		value;

	if (!fs_take_zigzag(cursor, &value))
		throw_broken();
	return value;
}

/* See topic_message.h. */
void
fs_message_put_bytes(StringInfo message, const char *bytes, Size len)
{
	Assert(len < MaxAllocSize);
	put_varint(message, bytes == NULL ? 0 : len + 1);
	if (bytes != NULL)
		appendBinaryStringInfo(message, bytes, (int) len);
}

/* See topic_message.h. */
const char *
fs_message_take_bytes(FsCursor *cursor, size_t *len)
{
	const char *bytes = NULL;
	uint64		size;

	if (!fs_take_varint(cursor, &size) ||
		(size > 0 && !fs_take_bytes(cursor, size - 1, &bytes)))
		throw_broken();
	*len = size == 0 ? 0 : size - 1;
	return bytes;
}

/* See topic_message.h. */
void
fs_message_put_text(StringInfo message, const char *text)
{
	fs_message_put_bytes(message, text, text == NULL ? 0 : strlen(text));
}

/* See topic_message.h. */
char *
fs_message_take_text(FsCursor *cursor)
{
	size_t		len;
	const char *bytes = fs_message_take_bytes(cursor, &len);

	return bytes == NULL ? NULL : pnstrdup(bytes, len);
}

/* See topic_message.h. */
void
fs_message_put_stream(StringInfo message, const FsStreamDef *stream)
{
	Assert(stream->kind == FS_SOURCE_KAFKA);
	fs_message_put_text(message, stream->name);
	fs_message_put_text(message, stream->topic);
	fs_message_put_text(message, stream->brokers);
	fs_message_put_number(message, stream->max_record_bytes);
	fs_message_put_number(message, stream->registry != NULL);
	fs_message_put_number(message, stream->nsettings);
	for (int i = 0; i < stream->nsettings; i++)
	{
		fs_message_put_text(message, stream->settings[i].name);
		fs_message_put_text(message, stream->settings[i].value);
	}
}

/* See topic_message.h.  That there is a registry is all that reading asks about it. */
FsStreamDef *
fs_message_take_stream(FsCursor *cursor)
{
	FsStreamDef *stream = palloc0(sizeof(FsStreamDef));

	stream->kind = FS_SOURCE_KAFKA;
	stream->name = fs_message_take_text(cursor);
	stream->topic = fs_message_take_text(cursor);
	stream->brokers = fs_message_take_text(cursor);
	stream->max_record_bytes = fs_message_take_number(cursor);
	stream->registry = fs_message_take_number(cursor) != 0 ? palloc0(sizeof(FsRegistryConfig)) : NULL;
	stream->nsettings = (int) fs_message_take_number(cursor);
	stream->settings = palloc0(sizeof(FsSetting) * Max(stream->nsettings, 1));
	for (int i = 0; i < stream->nsettings; i++)
	{
		stream->settings[i].name = fs_message_take_text(cursor);
		stream->settings[i].value = fs_message_take_text(cursor);
	}
	return stream;
}
