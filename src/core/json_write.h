/*
 * json_write.h
 *		Text as a JSON string, appended to a buffer.
 */
#ifndef FS_CORE_JSON_WRITE_H
#define FS_CORE_JSON_WRITE_H

#include "core/buffer.h"

/*
 * Appends 'len' bytes of UTF-8 text as a JSON string, quotes included, spelled
 * as PostgreSQL's to_json() spells it.  False when memory is out; the buffer
 * is then as it was.
 */
extern bool fs_json_write_string(FsBuffer *buf, const char *text, size_t len);

#endif							/* FS_CORE_JSON_WRITE_H */
