/*
 * object_s3.c
 *		A lake in an object store that speaks S3.
 *
 * Objects are put in one piece, or part by part where they are long
 * (s3_upload.c).  Where a store offers it nothing is overwritten
 * (If-None-Match); names are fresh ones anyway.
 */
#include "postgres.h"

#include "offline/s3_request.h"

/* Puts an object in one piece. */
static void
put_whole(FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace)
{
	FsS3Request request;
	int			status;

	fs_s3_begin(&request, store, "put", "PUT", path);
	fs_s3_set_body(&request, body);
	request.only_new = !replace;
	status = fs_s3_ask(&request);
	if (status == 412 && fs_s3_is_again(&request))
		return;					/* the attempt whose answer was lost has put it: nobody else has its name */
	if (status != 200 && status != 201 && status != 204)
		fs_s3_throw(&request);
}

/* See object_store.h. */
static void
put_object(FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace)
{
	if (body->len <= FS_S3_PART_SIZE || !fs_s3_upload(store, path, body, replace))
		put_whole(store, path, body, replace);
}

/* See object_store.h. */
static char *
get_object(FsObjectStore *store, const char *path, int64 max, int64 *len)
{
	FsS3Request request;
	char	   *bytes;

	fs_s3_begin(&request, store, "get", "GET", path);
	if (fs_s3_ask(&request) != 200)
		fs_s3_throw(&request);
	*len = request.answer->len;
	if (*len > max)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("object \"s3:/%s\" is too long", request.path),
				 errdetail("It has %lld bytes, of %lld at most.", (long long) *len, (long long) max)));
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, *len + 1);
	if (*len > 0)
		memcpy(bytes, request.answer->body, *len);
	bytes[*len] = '\0';
	return bytes;
}

/* See object_store.h. */
static void
delete_object(FsObjectStore *store, const char *path)
{
	FsS3Request request;
	int			status;

	fs_s3_begin(&request, store, "delete", "DELETE", path);
	status = fs_s3_ask(&request);
	if (status != 200 && status != 204 && (status != 404 || strcmp(request.code, "NoSuchBucket") == 0))
		fs_s3_throw(&request);
}

const FsObjectStoreOps fs_object_s3_ops = {
	.scheme = "s3://",
	.put = put_object,
	.get = get_object,
	.delete = delete_object,
	.list = fs_s3_list,
	.uploads = fs_s3_uploads,
	.abort = fs_s3_abort
};
