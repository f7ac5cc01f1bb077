/*
 * crc32c.h
 *		CRC-32C (Castagnoli), by the processor's instruction where it has one.
 */
#ifndef FS_CORE_CRC32C_H
#define FS_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The CRC of 'n' more bytes after those whose CRC is 'crc'; begin with 0.  The
 * standard function: "123456789" gives 0xe3069283.
 */
extern uint32_t fs_crc32c(uint32_t crc, const void *bytes, size_t n);

/* The same by tables; for tests. */
extern uint32_t fs_crc32c_software(uint32_t crc, const void *bytes, size_t n);

#endif							/* FS_CORE_CRC32C_H */
