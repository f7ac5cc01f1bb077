/*
 * object_file.c
 *		A lake in a directory of the server, below feature_stream.lake_directory.
 *
 * A file is written under a name that nobody looks at, flushed, and gets its own
 * by a link, which fails where there is such a name; then the directory is
 * flushed.  A crash leaves a name ending in ".tmp" at most, which the next file
 * of that name takes away and no reader takes for one.
 *
 * Whoever can write there must not lead us out of it by links: they are resolved
 * in directories, and not followed in names of files, nor where directories are
 * listed.
 */
#include "postgres.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"

#include "ground/settings.h"
#include "offline/object_store.h"

#define PIECE		(64 * 1024)
#define MAX_LISTED	10000		/* files at a time */

static void
throw_file(const char *what, const char *path)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s \"%s\": %m", what, path)));
}

/* Makes names in a directory durable; trouble there is an error, never a panic, as it is not our cluster's. */
static void
flush_directory(const char *path)
{
	if (fsync_fname_ext(path, true, false, ERROR) != 0)
		throw_file("flush directory", path);
}

/* The part of a path that is there, links followed, in PATH_MAX bytes; *len is its length as it was written. */
static void
find_real(const char *path, char *real, size_t *len)
{
	char	   *there = pstrdup(path);

	while (realpath(there, real) == NULL)
	{
		if (errno != ENOENT || strrchr(there, '/') == there)
			throw_file("find directory", there);
		*strrchr(there, '/') = '\0';
	}
	*len = strlen(there);
	pfree(there);
}

/* Makes the directories that a path is in, where they are not there.  The file itself may be, after a crash. */
static void
make_directories(char *path)
{
	char		real[PATH_MAX];
	size_t		len;

	find_real(path, real, &len);
	if (path[len] == '\0')
		return;
	for (char *slash = strchr(path + len + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		*slash = '\0';
		if (MakePGDirectory(path) != 0 && errno != EEXIST)
			throw_file("create directory", path);
		*slash = '/';
		path[len] = '\0';
		flush_directory(path);
		path[len] = '/';
		len = slash - path;
	}
}

/*
 * The file's path.  Throws when it is not below the directory that superusers
 * allow.
 */
static char *
find_file(const FsObjectStore *store, const char *path)
{
	char	   *file = psprintf("%s%s", store->base, path);
	char		allowed[PATH_MAX];
	char		real[PATH_MAX];
	size_t		len;

	if (fs_lake_directory == NULL || fs_lake_directory[0] != '/' || realpath(fs_lake_directory, allowed) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("there is no directory for lakes"),
				 errhint("Set \"feature_stream.lake_directory\" to a directory that is there.")));
	find_real(file, real, &len);
	if (strncmp(real, allowed, strlen(allowed)) != 0 || (real[strlen(allowed)] != '/' && real[strlen(allowed)] != '\0'))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("warehouse \"%s\" of server \"%s\" is not below the directory for lakes",
						store->config->warehouse, store->config->server),
				 errhint("\"feature_stream.lake_directory\" says where lakes can be.")));
	return file;
}

/* Writes a body into a file that is open for it. */
static void
write_body(int fd, const char *path, const FsObjectBody *body)
{
	char	   *piece = palloc(PIECE);

	for (int64 done = 0; done < body->len;)
	{
		int64		n = fs_object_body_read(body, done, piece, PIECE);

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		if (write(fd, piece, n) != n)
		{
			if (errno == 0)
				errno = ENOSPC;
			throw_file("write file", path);
		}
		done += n;
	}
	if (pg_fsync(fd) != 0)
		throw_file("flush file", path);
	pfree(piece);
}

/*
 * The name that a file is written under, palloc'd.  One that is to be replaced
 * may be written by other databases at the same time.
 */
static char *
temporary_name(const char *file, bool replace)
{
	return replace ? psprintf("%s.%u.tmp", file, MyDatabaseId) : psprintf("%s.tmp", file);
}

/* Creates a file, in place of what a crash has left, and never through a link. */
static int
create_file(const char *path)
{
	int			fd;

	if (unlink(path) != 0 && errno != ENOENT)
		throw_file("remove file", path);
	fd = BasicOpenFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | PG_BINARY);
	if (fd < 0)
		throw_file("create file", path);
	return fd;
}

/* See object_store.h. */
static void
put_file(FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace)
{
	char	   *file = find_file(store, path);
	char	   *temporary = temporary_name(file, replace);
	int			fd;

	make_directories(temporary);
	fd = create_file(temporary);
	PG_TRY();
	{
		write_body(fd, temporary, body);
	}
	PG_FINALLY();
	{
		close(fd);
	}
	PG_END_TRY();
	if (replace)
		(void) durable_rename(temporary, file, ERROR);
	else
	{
		if (link(temporary, file) != 0)
			throw_file("create file", file);
		if (unlink(temporary) != 0)
			throw_file("remove file", temporary);
		*strrchr(temporary, '/') = '\0';
		flush_directory(temporary);
	}
	pfree(temporary);
	pfree(file);
}

/* The bytes of a file that is open, palloc'd. */
static char *
read_body(int fd, const char *path, int64 max, int64 *len)
{
	struct stat status;
	char	   *bytes;

	if (fstat(fd, &status) != 0)
		throw_file("stat file", path);
	if (status.st_size > max)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("file \"%s\" is too long", path),
				 errdetail("It has %lld bytes, of %lld at most.", (long long) status.st_size, (long long) max)));
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, status.st_size + 1);
	for (*len = 0; *len < status.st_size;)
	{
		ssize_t		n = read(fd, bytes + *len, Min(status.st_size - *len, PIECE));

		CHECK_FOR_INTERRUPTS();
		if (n < 0)
			throw_file("read file", path);
		if (n == 0)
			break;
		*len += n;
	}
	bytes[*len] = '\0';
	return bytes;
}

/* See object_store.h. */
static char *
get_file(FsObjectStore *store, const char *path, int64 max, int64 *len)
{
	char	   *file = find_file(store, path);
	int			fd = BasicOpenFile(file, O_RDONLY | O_NOFOLLOW | PG_BINARY);
	char	   *bytes = NULL;

	if (fd < 0)
		throw_file("open file", file);
	PG_TRY();
	{
		bytes = read_body(fd, file, max, len);
	}
	PG_FINALLY();
	{
		close(fd);
	}
	PG_END_TRY();
	pfree(file);
	return bytes;
}

/* See object_store.h. */
static void
delete_file(FsObjectStore *store, const char *path)
{
	char	   *file = find_file(store, path);
	char	   *temporary = temporary_name(file, false);

	if ((unlink(temporary) != 0 && errno != ENOENT) || (unlink(file) != 0 && errno != ENOENT))
		throw_file("remove file", file);
	pfree(temporary);
	pfree(file);
}

/* Compares two names, for list_sort(). */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* What is in a directory by name, directories with a slash behind it: a List of char *.  Nothing when it is not there. */
static List *
read_directory(const char *path)
{
	DIR		   *dir = AllocateDir(path);
	List	   *names = NIL;
	struct dirent *entry;

	if (dir == NULL && errno == ENOENT)
		return NIL;
	if (dir == NULL)
		throw_file("open directory", path);
	while ((entry = ReadDirExtended(dir, path, LOG)) != NULL)
	{
		PGFileType	type = get_dirent_type(psprintf("%s/%s", path, entry->d_name), entry, false, LOG);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (type == PGFILETYPE_DIR || type == PGFILETYPE_REG)
			names = lappend(names, psprintf("%s%s", entry->d_name, type == PGFILETYPE_DIR ? "/" : ""));
	}
	FreeDir(dir);
	list_sort(names, compare_names);
	return names;
}

/* A walk through directories. */
typedef struct Walk
{
	const FsObjectStore *store;
	const char *after;			/* paths up to that one were seen; NULL: none */
	List	   *entries;
	char	   *last;			/* of them */
} Walk;

/* Notes a file, unless it has gone meanwhile. */
static void
note_file(Walk *walk, char *path)
{
	struct stat status;
	FsObjectEntry *entry;

	if (lstat(psprintf("%s%s", walk->store->base, path), &status) != 0)
		return;
	entry = palloc0(sizeof(FsObjectEntry));
	entry->location = psprintf("%s%s", walk->store->config->warehouse, path);
	entry->time = (FsTime) status.st_mtime * FS_USEC_PER_SEC + FS_UNIX_EPOCH;
	walk->entries = lappend(walk->entries, entry);
	walk->last = path;
}

/* Goes through a directory, whose path has a slash at its end, in the order of names; false when there are enough. */
static bool
walk_directory(Walk *walk, const char *path)
{
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	foreach(lc, read_directory(psprintf("%s%s", walk->store->base, path)))
	{
		char	   *full = psprintf("%s%s", path, (char *) lfirst(lc));
		size_t		len = strlen(full);
		bool		is_directory = full[len - 1] == '/';

		/* of a directory that was come to, what is behind may be still to be seen */
		if (walk->after != NULL && strcmp(full, walk->after) <= 0 &&
			!(is_directory && strncmp(walk->after, full, len) == 0))
			continue;
		if (list_length(walk->entries) == MAX_LISTED)
			return false;
		if (!is_directory)
			note_file(walk, full);
		else if (!walk_directory(walk, full))
			return false;
	}
	return true;
}

/* See object_store.h. */
static List *
list_files(FsObjectStore *store, const char *path, char **after)
{
	Walk		walk = {.store = store, .after = *after};

	Assert(path[strlen(path) - 1] == '/');
	(void) find_file(store, path);
	*after = walk_directory(&walk, path) ? NULL : walk.last;
	return walk.entries;
}

const FsObjectStoreOps fs_object_file_ops = {
	.scheme = "file://",
	.put = put_file,
	.get = get_file,
	.delete = delete_file,
	.list = list_files
};
