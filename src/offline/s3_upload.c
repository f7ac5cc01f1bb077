/*
 * s3_upload.c
 *		Puts a long object part by part: what a bad connection cuts is one part only.
 *
 * Each part is signed with its hash, which the store checks, and named at the end
 * by the ETag that the store gave it.  Parts are tried again by themselves.  An
 * upload that fails is aborted at once; one that a crash leaves behind is found by
 * the name of its object, which was written down before (fs_object_store_abandon).
 */
#include "postgres.h"

#include "ground/fault.h"
#include "offline/s3_request.h"

/* An upload at work. */
typedef struct Upload
{
	FsObjectStore *store;
	const char *path;
	const FsObjectBody *body;
	bool		only_new;
	char	   *id;
	StringInfoData parts;		/* what completes it, as XML */
} Upload;

/* Aborts the upload if that can be done at once, and throws why it failed. */
static void
fail(const Upload *upload, FsS3Request *request)
{
	FsHttpAnswer answer = *request->answer;
	FsS3Request end;
	StringInfoData query;

	request->answer = &answer;	/* the store's is gone with the next request */
	initStringInfo(&query);
	fs_s3_append(&query, "uploadId", upload->id);
	fs_s3_begin(&end, upload->store, "abort an upload of", "DELETE", upload->path);
	end.query = query.data;
	end.most_attempts = 1;
	(void) fs_s3_ask(&end);
	fs_s3_throw(request);
}

/* Aborts uploads of the same object that were begun by requests whose answers were lost. */
static void
abort_others(const Upload *upload)
{
	ListCell   *lc;

	foreach(lc, fs_object_store_uploads(upload->store, psprintf("%s%s", upload->store->config->warehouse, upload->path)))
	{
		const FsObjectEntry *other = lfirst(lc);

		if (strcmp(other->upload_id, upload->id) != 0)
			fs_object_store_abort(upload->store, other);
	}
}

/* Begins an upload; false where the store does not know that. */
static bool
initiate(Upload *upload)
{
	const FsObjectBody nothing = {.bytes = ""};
	FsS3Request request;
	FsS3Answer	answer;

	fs_s3_begin(&request, upload->store, "begin an upload of", "POST", upload->path);
	request.query = "uploads=";
	fs_s3_set_body(&request, &nothing);
	if (fs_s3_ask(&request) == 501 || strcmp(request.code, "NotImplemented") == 0)
		return false;
	if (request.status != 200)
		fs_s3_throw(&request);
	fs_s3_read(&request, "InitiateMultipartUploadResult", &answer);
	upload->id = pstrdup(answer.upload_id);
	fs_s3_answer_free(&answer);
	if (upload->id[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not begin an upload of \"s3:/%s\": the object store does not name it", request.path)));
	if (fs_s3_is_again(&request))
		abort_others(upload);
	return true;
}

/* Notes a part of this number and ETag. */
static void
add_part(Upload *upload, int number, const char *etag)
{
	appendStringInfo(&upload->parts, "<Part><PartNumber>%d</PartNumber><ETag>", number);
	for (const char *p = etag; *p != '\0'; p++)
	{
		if (*p == '&' || *p == '<' || *p == '>' || *p == '"')
			appendStringInfo(&upload->parts, "&#%d;", *p);
		else
			appendStringInfoChar(&upload->parts, *p);
	}
	appendStringInfoString(&upload->parts, "</ETag></Part>");
}

/* Puts the part that begins at 'offset'. */
static void
put_part(Upload *upload, int number, int64 offset, int64 len)
{
	FsObjectBody part = *upload->body;
	FsS3Request request;
	StringInfoData query;

	Assert(number >= 1 && number <= FS_S3_MAX_PARTS && len > 0);
	part.offset += offset;
	part.len = len;
	initStringInfo(&query);
	appendStringInfo(&query, "partNumber=%d", number);
	fs_s3_append(&query, "uploadId", upload->id);
	fs_s3_begin(&request, upload->store, "put a part of", "PUT", upload->path);
	request.query = query.data;
	fs_s3_set_body(&request, &part);
	if (fs_s3_ask(&request) != 200 || request.answer->etag[0] == '\0')
		fail(upload, &request);
	add_part(upload, number, request.answer->etag);
	pfree(query.data);
}

/* Makes an object of the parts. */
static void
complete(Upload *upload)
{
	FsObjectBody body = {.bytes = upload->parts.data, .len = upload->parts.len};
	FsS3Request request;
	StringInfoData query;
	int			status;

	initStringInfo(&query);
	fs_s3_append(&query, "uploadId", upload->id);
	fs_s3_begin(&request, upload->store, "complete the upload of", "POST", upload->path);
	request.query = query.data;
	request.only_new = upload->only_new;
	request.has_result = true;
	fs_s3_set_body(&request, &body);
	status = fs_s3_ask(&request);
	if (status == 200 || (status == 412 && fs_s3_is_again(&request)))
		return;					/* as with objects that are put in one piece */
	if (status == 404 && fs_s3_is_again(&request) && fs_s3_is_there(upload->store, upload->path))
		return;					/* so has the attempt whose answer was lost: the upload is no more */
	fail(upload, &request);
}

/* See s3_request.h. */
bool
fs_s3_upload(FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace)
{
	Upload		upload = {.store = store, .path = path, .body = body, .only_new = !replace};
	int64		size = fs_s3_part_size(body->len);
	int			number = 0;

	if (store->no_uploads)
		return false;
	if (!initiate(&upload))
	{
		store->no_uploads = true;
		return false;
	}
	FS_FAULT("lake_initiated");
	initStringInfo(&upload.parts);
	appendStringInfoString(&upload.parts, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (int64 offset = 0; offset < body->len; offset += size)
	{
		put_part(&upload, ++number, offset, Min(size, body->len - offset));
		FS_FAULT("lake_part");
	}
	appendStringInfoString(&upload.parts, "</CompleteMultipartUpload>");
	complete(&upload);
	FS_FAULT("lake_completed");
	pfree(upload.parts.data);
	return true;
}
