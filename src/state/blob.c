/*
 * blob.c
 *		Bytes of some length in the arena; see blob.h.
 */
#include "postgres.h"

#include "core/crc32c.h"
#include "state/blob.h"

/* In the arena. */
typedef struct Blob
{
	uint32		check;			/* CRC-32C of the bytes, begun with seed and length */
	uint32		len;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} Blob;

static uint32
check_of(uint32 seed, const char *bytes, uint32 len)
{
	uint32		head[2] = {seed, len};

	return fs_crc32c(fs_crc32c(0, head, sizeof(head)), bytes, len);
}

/* See blob.h. */
Size
fs_blob_size(uint32 len)
{
	return fs_arena_chunk_size(offsetof(Blob, bytes) + len);
}

/* See blob.h. */
FsHandle
fs_blob_create(FsArena *arena, uint32 seed, const void *bytes, uint32 len)
{
	FsHandle	handle = fs_arena_alloc(arena, offsetof(Blob, bytes) + len);
	Blob	   *blob;

	Assert(len <= FS_BLOB_MAX);
	if (handle == 0)
		return 0;
	blob = fs_arena_ptr(handle);
	blob->check = check_of(seed, bytes, len);
	blob->len = len;
	memcpy(blob->bytes, bytes, len);
	return handle;
}

/* See blob.h. */
void
fs_blob_free(FsArena *arena, FsHandle handle)
{
	const Blob *blob = fs_arena_ptr(handle);

	Assert(blob->len <= FS_BLOB_MAX);
	fs_arena_free(arena, handle, offsetof(Blob, bytes) + blob->len);
}

/* See blob.h. */
void *
fs_blob_copy(FsHandle handle, uint32 seed, uint32 *len)
{
	const Blob *blob = fs_arena_ptr_checked(handle, offsetof(Blob, bytes));
	Blob		head;
	char	   *copy;

	if (blob == NULL)
		return NULL;
	memcpy(&head, blob, offsetof(Blob, bytes));
	if (head.len > FS_BLOB_MAX || fs_arena_ptr_checked(handle, offsetof(Blob, bytes) + head.len) == NULL)
		return NULL;
	copy = palloc(head.len);
	memcpy(copy, blob->bytes, head.len);
	*len = head.len;
	if (check_of(seed, copy, head.len) == head.check)
		return copy;
	pfree(copy);
	return NULL;
}
