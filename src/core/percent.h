/*
 * percent.h
 *		Values inside online keys, percent-escaped.
 */
#ifndef FS_CORE_PERCENT_H
#define FS_CORE_PERCENT_H

#include "core/buffer.h"

/*
 * Appends 'text' with every byte but A-Z a-z 0-9 - . _ ~ as %XX (upper case):
 * RFC 3986's unreserved characters, so that no value can look like another
 * part of its key.  False when memory is out; the buffer is then as it was.
 */
extern bool fs_percent_escape(FsBuffer *buf, const char *text, size_t len);

#endif							/* FS_CORE_PERCENT_H */
