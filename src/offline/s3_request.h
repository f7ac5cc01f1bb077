/*
 * s3_request.h
 *		Requests to an object store that speaks S3: for the files object_s3.c and s3_*.c alone.
 *
 * A request is begun, changed where it is not an ordinary one, and asked.  What
 * may be better in a moment (no connection, 429, 5xx) is asked again, with longer
 * and longer pauses; what comes of it in the end is the caller's to judge.  Once a
 * request was not answered in time, that is what comes of all others, too, and
 * none of them is sent (offline/lake_silence.h).
 */
#ifndef FS_OFFLINE_S3_REQUEST_H
#define FS_OFFLINE_S3_REQUEST_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "core/s3_answer.h"
#include "core/sha256.h"
#include "offline/object_store.h"

#define FS_S3_CODE_SIZE		65	/* of the store's word for what is wrong */

typedef struct FsS3Request
{
	FsObjectStore *store;
	const char *verb;			/* for messages: "put" */
	const char *method;
	const char *path;			/* bucket and key */
	const char *query;			/* as it is sent and signed: escaped, in the order of names; "" */
	const FsObjectBody *body;	/* NULL: none */
	char		hash[FS_SHA256_HEX];	/* of it */
	bool		only_new;		/* the object must not be there */
	bool		has_result;		/* it has only succeeded when the answer says so: 200 may come before the store knows */
	int			most_attempts;

	/* What became of it */
	int			attempt;		/* how many failed before */
	const FsHttpAnswer *answer; /* until the next request */
	int			status;			/* of the answer, or of the error that it tells; 0: there is none */
	char		code[FS_S3_CODE_SIZE];	/* the store's word, of letters and digits */
} FsS3Request;

/* Begins a request about an object, or about the bucket (without a path). */
extern void fs_s3_begin(FsS3Request *request, FsObjectStore *store, const char *verb, const char *method,
						const char *path);

/* What is sent with it, which must stay as long as the request; an empty body where there should be none but POST wants one. */
extern void fs_s3_set_body(FsS3Request *request, const FsObjectBody *body);

/* Asks until there is an answer that will not be another one in a moment, or often enough: its status.  Throws no answer. */
extern int	fs_s3_ask(FsS3Request *request);

/* May the store have done it before, in an attempt whose answer was lost? */
extern bool fs_s3_is_again(const FsS3Request *request);

/* Throws what the store said in the end. */
extern void fs_s3_throw(const FsS3Request *request) pg_attribute_noreturn();

/* Reads the answer's XML; throws when it is not of that kind.  The caller frees it. */
extern void fs_s3_read(const FsS3Request *request, const char *root, FsS3Answer *answer);

/* Appends "name=value" to a query, the value escaped. */
extern void fs_s3_append(StringInfo query, const char *name, const char *value);

/* s3_upload.c: puts an object part by part; false, and nothing was done, where the store does not know that. */
extern bool fs_s3_upload(FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace);

/* s3_list.c: operations of the store, and whether an object is there. */
extern List *fs_s3_list(FsObjectStore *store, const char *path, char **after);
extern List *fs_s3_uploads(FsObjectStore *store, const char *path);
extern void fs_s3_abort(FsObjectStore *store, const char *path, const char *upload_id);
extern bool fs_s3_is_there(FsObjectStore *store, const char *path);

#endif							/* FS_OFFLINE_S3_REQUEST_H */
