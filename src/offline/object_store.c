/*
 * object_store.c
 *		Locations of files, and which store they are in; see object_store.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "pgstat.h"

#include "offline/object_store.h"

static const FsObjectStoreOps *const stores[] = {&fs_object_file_ops, &fs_object_s3_ops};

/* See object_store.h. */
FsObjectStore *
fs_object_store_open(const FsLakeConfig *config)
{
	FsObjectStore *store = palloc0(sizeof(FsObjectStore));

	store->config = config;
	for (int i = 0; i < lengthof(stores); i++)
		if (strncmp(config->warehouse, stores[i]->scheme, strlen(stores[i]->scheme)) == 0)
			store->ops = stores[i];
	if (store->ops == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("warehouse \"%s\" of server \"%s\" is of no kind that is supported",
						config->warehouse, config->server)));
	store->base = pstrdup(config->warehouse + strlen(store->ops->scheme));
	return store;
}

/* The location without the warehouse; throws for one that is not below it, or leads out of it. */
static const char *
find_path(const FsObjectStore *store, const char *location)
{
	size_t		len = strlen(store->config->warehouse);
	const char *path = location + len;

	Assert(!IsTransactionState());
	if (strncmp(location, store->config->warehouse, len) != 0 || path[0] != '/' || strstr(path, "/../") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("file \"%s\" is not below the warehouse of server \"%s\"", location, store->config->server),
				 errdetail("The warehouse is \"%s\".", store->config->warehouse)));
	return path;
}

/* See object_store.h. */
void
fs_object_store_put(FsObjectStore *store, const char *location, const FsObjectBody *body)
{
	store->ops->put(store, find_path(store, location), body, false);
}

/* See object_store.h. */
void
fs_object_store_replace(FsObjectStore *store, const char *location, const char *text)
{
	FsObjectBody body = {.bytes = text, .len = strlen(text)};

	store->ops->put(store, find_path(store, location), &body, true);
}

/* See object_store.h. */
char *
fs_object_store_get(FsObjectStore *store, const char *location, int64 max, int64 *len)
{
	return store->ops->get(store, find_path(store, location), max, len);
}

/* See object_store.h. */
void
fs_object_store_delete(FsObjectStore *store, const char *location)
{
	store->ops->delete(store, find_path(store, location));
}

/* See object_store.h. */
List *
fs_object_store_list(FsObjectStore *store, const char *directory, char **after)
{
	const char *path = find_path(store, psprintf("%s/", directory));
	List	   *entries;

	if (*after != NULL)
		*after = unconstify(char *, find_path(store, *after));
	entries = store->ops->list(store, path, after);
	if (*after != NULL)
		*after = psprintf("%s%s", store->config->warehouse, *after);
	return entries;
}

/* See object_store.h. */
List *
fs_object_store_uploads(FsObjectStore *store, const char *prefix)
{
	const char *path = find_path(store, prefix);

	return store->ops->uploads == NULL ? NIL : store->ops->uploads(store, path);
}

/* See object_store.h. */
void
fs_object_store_abort(FsObjectStore *store, const FsObjectEntry *upload)
{
	Assert(upload->upload_id != NULL && store->ops->abort != NULL);
	store->ops->abort(store, find_path(store, upload->location), upload->upload_id);
}

/* See object_store.h. */
void
fs_object_store_abandon(FsObjectStore *store, const char *location)
{
	ListCell   *lc;

	foreach(lc, fs_object_store_uploads(store, location))
	{
		const FsObjectEntry *upload = lfirst(lc);

		if (strcmp(upload->location, location) == 0)
			fs_object_store_abort(store, upload);
	}
}

/* See object_store.h. */
int64
fs_object_body_read(const FsObjectBody *body, int64 offset, char *room, int64 size)
{
	int64		n = Min(size, body->len - offset);

	Assert(offset >= 0 && offset <= body->len);
	if (body->bytes != NULL)
		memcpy(room, body->bytes + body->offset + offset, n);
	else if (FileRead(body->file, room, n, body->offset + offset, PG_WAIT_EXTENSION) != n)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read temporary file \"%s\": %m", FilePathName(body->file))));
	return n;
}
