/*
 * s3_list.c
 *		What an object store has: objects, and uploads that nobody completed.
 *
 * Stores list a thousand at a time, in the order of their names.  A list goes on
 * behind the last name that was seen (start-after), not by the store's own token,
 * so that it can be gone on with days later.
 */
#include "postgres.h"

#include "core/time_text.h"
#include "offline/s3_request.h"

#define PAGE		"1000"
#define MAX_PAGES	20			/* of uploads: the next time finds others */

/* The part of the store's base that is not the bucket, with a slash at its end: what all keys begin with. */
static const char *
key_base(const FsObjectStore *store)
{
	const char *slash = strchr(store->base, '/');

	return slash == NULL ? "" : slash + 1;
}

/* The key of a path. */
static char *
key_of(const FsObjectStore *store, const char *path)
{
	const char *base = key_base(store);

	Assert(path[0] == '/');
	return base[0] == '\0' ? pstrdup(path + 1) : psprintf("%s%s", base, path);
}

/* The path of a key; NULL: it is not below the warehouse. */
static const char *
path_of(const FsObjectStore *store, const char *key)
{
	const char *base = key_base(store);
	size_t		len = strlen(base);

	if (base[0] == '\0')
		return psprintf("/%s", key);
	return strncmp(key, base, len) == 0 && key[len] == '/' ? pstrdup(key + len) : NULL;
}

/* Adds what is known of an object, or an upload, to a list. */
static List *
add_item(List *entries, const FsObjectStore *store, const FsS3Item *item, bool is_upload)
{
	const char *path = path_of(store, item->key);
	FsTime		time;
	FsObjectEntry *entry;

	if (path == NULL || path[strlen(path) - 1] == '/' || !fs_time_text_read(item->time, strlen(item->time), &time))
		return entries;
	entry = palloc0(sizeof(FsObjectEntry));
	entry->location = psprintf("%s%s", store->config->warehouse, path);
	entry->time = time;
	if (is_upload)
		entry->upload_id = pstrdup(item->upload_id);
	return lappend(entries, entry);
}

/* Takes a page of a list; *last: the key of its last object, NULL when there is none behind it. */
static List *
take_page(const FsS3Request *request, char **last)
{
	FsS3Answer	answer;
	List	   *entries = NIL;
	const char *key = NULL;

	fs_s3_read(request, "ListBucketResult", &answer);
	for (const FsS3Item *item = answer.items; item != NULL; item = item->next)
	{
		entries = add_item(entries, request->store, item, false);
		key = item->key;
	}
	*last = answer.is_truncated && key != NULL ? pstrdup(key) : NULL;
	fs_s3_answer_free(&answer);
	return entries;
}

/* See object_store.h. */
List *
fs_s3_list(FsObjectStore *store, const char *path, char **after)
{
	char	   *previous = *after == NULL ? NULL : key_of(store, *after);
	FsS3Request request;
	StringInfoData query;
	List	   *entries;
	char	   *last;

	initStringInfo(&query);
	fs_s3_append(&query, "list-type", "2");
	fs_s3_append(&query, "max-keys", PAGE);
	fs_s3_append(&query, "prefix", key_of(store, path));
	if (previous != NULL)
		fs_s3_append(&query, "start-after", previous);
	fs_s3_begin(&request, store, "list", "GET", NULL);
	request.query = query.data;
	if (fs_s3_ask(&request) != 200)
		fs_s3_throw(&request);
	entries = take_page(&request, &last);
	*after = last == NULL ? NULL : unconstify(char *, path_of(store, last));
	if (*after != NULL && previous != NULL && strcmp(last, previous) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("could not list \"s3:/%s\": the object store does not list by name", request.path)));
	return entries;
}

/* See s3_request.h. */
bool
fs_s3_is_there(FsObjectStore *store, const char *path)
{
	char	   *location = psprintf("%s%s", store->config->warehouse, path);
	char	   *after = NULL;
	ListCell   *lc;

	foreach(lc, fs_s3_list(store, path, &after))
		if (strcmp(((FsObjectEntry *) lfirst(lc))->location, location) == 0)
			return true;
	return false;
}

/* Where a list of uploads goes on. */
typedef struct Marker
{
	char	   *key;
	char	   *upload_id;
} Marker;

/* Asks for a page of uploads below a prefix; false, with a line in the server's log, where the store does not tell. */
static bool
ask_uploads(FsS3Request *request, FsObjectStore *store, const char *prefix, const Marker *marker)
{
	StringInfoData query;

	initStringInfo(&query);
	if (marker->key != NULL)
		fs_s3_append(&query, "key-marker", marker->key);
	fs_s3_append(&query, "max-uploads", PAGE);
	fs_s3_append(&query, "prefix", prefix);
	if (marker->key != NULL)
		fs_s3_append(&query, "upload-id-marker", marker->upload_id);
	fs_s3_append(&query, "uploads", "");
	fs_s3_begin(request, store, "list uploads of", "GET", NULL);
	request->query = query.data;
	if (fs_s3_ask(request) == 200)
		return true;
	if (request->status == 0 || request->status >= 502 || request->status == 500)
		fs_s3_throw(request);
	ereport(LOG,
			(errmsg("uploads to \"s3:/%s\" that were not completed stay there: the object store answers %d%s%s",
					request->path, request->status, request->code[0] != '\0' ? " " : "", request->code)));
	return false;
}

/* See object_store.h. */
List *
fs_s3_uploads(FsObjectStore *store, const char *path)
{
	char	   *prefix = key_of(store, path);
	List	   *entries = NIL;
	Marker		marker = {NULL, NULL};
	FsS3Request request;

	for (int page = 0; page < MAX_PAGES && ask_uploads(&request, store, prefix, &marker); page++)
	{
		FsS3Answer	answer;
		bool		goes_on;

		fs_s3_read(&request, "ListMultipartUploadsResult", &answer);
		for (const FsS3Item *item = answer.items; item != NULL; item = item->next)
			if (item->upload_id[0] != '\0')
				entries = add_item(entries, store, item, true);
		goes_on = answer.is_truncated && answer.next_key[0] != '\0';
		marker = (Marker) {pstrdup(answer.next_key), pstrdup(answer.next_upload_id)};
		fs_s3_answer_free(&answer);
		if (!goes_on)
			break;
	}
	return entries;
}

/* See object_store.h. */
void
fs_s3_abort(FsObjectStore *store, const char *path, const char *upload_id)
{
	FsS3Request request;
	StringInfoData query;
	int			status;

	initStringInfo(&query);
	fs_s3_append(&query, "uploadId", upload_id);
	fs_s3_begin(&request, store, "abort an upload of", "DELETE", path);
	request.query = query.data;
	status = fs_s3_ask(&request);
	if (status != 200 && status != 204 && status != 404)
		fs_s3_throw(&request);
}
