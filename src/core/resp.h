/*
 * resp.h
 *		Redis commands in RESP2: an array of bulk strings, appended to a buffer.
 *
 * A command is fs_resp_array(buf, n) followed by exactly n bulks.  All return
 * false when memory is out; the caller then cuts the buffer back to where the
 * command began.
 */
#ifndef FS_CORE_RESP_H
#define FS_CORE_RESP_H

#include "core/buffer.h"

/* Begins a command of 'n' parts, its name included. */
extern bool fs_resp_array(FsBuffer *buf, int n);

/* One part; any bytes. */
extern bool fs_resp_bulk(FsBuffer *buf, const char *data, size_t len);

/* One part that is a decimal number. */
extern bool fs_resp_bulk_int(FsBuffer *buf, int64_t value);

/* One part that is a C string, for command names. */
static inline bool
fs_resp_bulk_cstring(FsBuffer *buf, const char *text)
{
	return fs_resp_bulk(buf, text, strlen(text));
}

#endif							/* FS_CORE_RESP_H */
