/*
 * object_store.h
 *		Where the files of a lake are: put, get, delete and list, whole files at a time.
 *
 * Behind a table of operations, one instance a kind of store.  Files are named
 * by their whole location ("file:///lake/x/y.parquet"), which must be below the
 * store's warehouse.  They never change: a put never overwrites, so what is
 * there under a name is what was put there first.  (A hint for readers is the
 * exception.)
 *
 * All of it throws, must be called outside of transactions and obeys interrupts
 * while it waits.
 */
#ifndef FS_OFFLINE_OBJECT_STORE_H
#define FS_OFFLINE_OBJECT_STORE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/fd.h"

#include "catalog/lake_options.h"
#include "core/value.h"
#include "ground/http.h"

typedef struct FsObjectStore FsObjectStore;

/* What is to be put: bytes in memory, or else (part of) a temporary file. */
typedef struct FsObjectBody
{
	const char *bytes;			/* NULL: it is in 'file' */
	File		file;
	int64		offset;			/* where it begins there */
	int64		len;
} FsObjectBody;

/* A file that was found, or an upload that was begun and neither completed nor aborted. */
typedef struct FsObjectEntry
{
	char	   *location;
	FsTime		time;			/* when that was, by the store's clock */
	char	   *upload_id;		/* NULL: it is a file */
} FsObjectEntry;

/* One kind of store.  'path' is the location behind the warehouse, with its leading slash. */
typedef struct FsObjectStoreOps
{
	const char *scheme;			/* of the warehouses it serves, such as "file://" */

	/* Durable when it returns.  Throws when there is such a file, unless it is to be replaced. */
	void		(*put) (FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace);

	/* Its bytes, palloc'd; throws when there is none, or it is longer than 'max'. */
	char	   *(*get) (FsObjectStore *store, const char *path, int64 max, int64 *len);

	/* Does nothing where there is none. */
	void		(*delete) (FsObjectStore *store, const char *path);

	/* See fs_object_store_list(); 'path' has a slash at its end, '*after' is a path, too. */
	List	   *(*list) (FsObjectStore *store, const char *path, char **after);

	/* Uploads of files whose paths begin so, and the end of one.  NULL: the store has no such thing. */
	List	   *(*uploads) (FsObjectStore *store, const char *path);
	void		(*abort) (FsObjectStore *store, const char *path, const char *upload_id);
} FsObjectStoreOps;

struct FsObjectStore
{
	const FsObjectStoreOps *ops;
	const FsLakeConfig *config;
	char	   *base;			/* the warehouse without its scheme */

	/* Of stores that are spoken to by HTTP */
	FsHttpConfig peer;
	FsHttp	   *http;			/* NULL: nothing was asked yet */
	const FsHttpAnswer *silence;	/* to a request that was not answered in time: no more is asked; or NULL */
	bool		no_conditions;	/* it does not know If-None-Match */
	bool		no_uploads;		/* it takes objects in one piece only */
	MemoryContextCallback callback;
};

/* Opens a store, in the current memory context; 'config' must outlive it.  There is nothing to be closed. */
extern FsObjectStore *fs_object_store_open(const FsLakeConfig *config);

extern void fs_object_store_put(FsObjectStore *store, const char *location, const FsObjectBody *body);
extern void fs_object_store_replace(FsObjectStore *store, const char *location, const char *text);
extern char *fs_object_store_get(FsObjectStore *store, const char *location, int64 max, int64 *len);
extern void fs_object_store_delete(FsObjectStore *store, const char *location);

/*
 * Lists files below a directory, some at a time and in an order that stays: a
 * List of FsObjectEntry, of those behind *after (NULL: all).  *after then is
 * where to go on, palloc'd, or NULL when these were the last.  What has come or
 * gone meanwhile may be there or not; links and odd things are not.
 */
extern List *fs_object_store_list(FsObjectStore *store, const char *directory, char **after);

/*
 * Uploads of files whose locations begin so, that a crash may have left behind;
 * NIL where the store has no such thing, or does not tell.  Aborting one leaves
 * the file alone that may be there under its name.
 */
extern List *fs_object_store_uploads(FsObjectStore *store, const char *prefix);
extern void fs_object_store_abort(FsObjectStore *store, const FsObjectEntry *upload);

/* Aborts all uploads of that very file. */
extern void fs_object_store_abandon(FsObjectStore *store, const char *location);

/* The next piece of a body, from 'offset' on, into 'room'; how many bytes that are. */
extern int64 fs_object_body_read(const FsObjectBody *body, int64 offset, char *room, int64 size);

/* The stores there are. */
extern const FsObjectStoreOps fs_object_file_ops;
extern const FsObjectStoreOps fs_object_s3_ops;

#endif							/* FS_OFFLINE_OBJECT_STORE_H */
