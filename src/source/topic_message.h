/*
 * topic_message.h
 *		What a backend and the worker that speaks to Kafka for it tell each other.
 *
 * Numbers are zigzag varints, bytes have their length before them.  Both ends are
 * processes of one server, so what cannot be read is an error of ours.
 */
#ifndef FS_SOURCE_TOPIC_MESSAGE_H
#define FS_SOURCE_TOPIC_MESSAGE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "catalog/stream.h"
#include "core/buffer.h"

extern void fs_message_put_number(StringInfo message, int64 value);
extern int64 fs_message_take_number(FsCursor *cursor);

/* NULL is told from no bytes; what is taken points into the message. */
extern void fs_message_put_bytes(StringInfo message, const char *bytes, Size len);
extern const char *fs_message_take_bytes(FsCursor *cursor, size_t *len);

/* Text without NUL, or NULL; what is taken is palloc'd. */
extern void fs_message_put_text(StringInfo message, const char *text);
extern char *fs_message_take_text(FsCursor *cursor);

/*
 * What of a stream's definition its Kafka handle needs, secrets included; what is
 * taken is palloc'd and has nothing else.
 */
extern void fs_message_put_stream(StringInfo message, const FsStreamDef *stream);
extern FsStreamDef *fs_message_take_stream(FsCursor *cursor);

#endif							/* FS_SOURCE_TOPIC_MESSAGE_H */
