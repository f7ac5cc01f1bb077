/*
 * iceberg_path.c
 *		Names of a table's files; see iceberg.h.
 */
#include "core/iceberg.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/iceberg_transform.h"

static bool
append_text(FsBuffer *out, const char *text)
{
	return fs_buffer_append(out, text, strlen(text));
}

/* Appends where files of a kind lie, with a slash behind it: as the property says, or below the table's location. */
static bool
append_folder(const FsIcebergMetadata *metadata, const char *property, const char *folder, FsBuffer *out)
{
	const char *path = fs_iceberg_property(metadata, property);
	bool		below = path == NULL;
	size_t		len;

	if (below)
		path = fs_iceberg_location(metadata);
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	return fs_buffer_append(out, path, len) && append_text(out, below ? folder : "/");
}

/* See iceberg.h. */
bool
fs_iceberg_metadata_path(const FsIcebergMetadata *metadata, int version, const char *uuid, FsBuffer *out)
{
	char		name[80];

	snprintf(name, sizeof(name), "%05d-%.40s.metadata.json", version, uuid);
	return append_folder(metadata, FS_ICEBERG_METADATA_PATH, "/metadata/", out) && append_text(out, name);
}

/* See iceberg.h. */
int
fs_iceberg_metadata_version(const char *location)
{
	const char *slash = strrchr(location, '/');
	const char *p = slash == NULL ? location : slash + 1;
	int			version = 0;
	int			digits = 0;

	for (; *p >= '0' && *p <= '9' && digits < 9; digits++)
		version = version * 10 + (*p++ - '0');
	return digits > 0 && *p == '-' ? version : -1;
}

bool
fs_iceberg_manifest_path(const FsIcebergMetadata *metadata, const char *uuid, int n, FsBuffer *out)
{
	char		name[80];

	snprintf(name, sizeof(name), "%.40s-m%d.avro", uuid, n);
	return append_folder(metadata, FS_ICEBERG_METADATA_PATH, "/metadata/", out) && append_text(out, name);
}

bool
fs_iceberg_list_path(const FsIcebergMetadata *metadata, int64_t snapshot_id, int attempt, const char *uuid,
					 FsBuffer *out)
{
	char		name[120];

	snprintf(name, sizeof(name), "snap-%" PRId64 "-%d-%.40s.avro", snapshot_id, attempt, uuid);
	return append_folder(metadata, FS_ICEBERG_METADATA_PATH, "/metadata/", out) && append_text(out, name);
}

bool
fs_iceberg_data_path(const FsIcebergMetadata *metadata, const FsIcebergSpec *spec, const FsIcebergValue *partition,
					 const char *uuid, FsBuffer *out)
{
	return append_folder(metadata, FS_ICEBERG_DATA_PATH, "/data/", out) &&
		fs_iceberg_partition_path(spec, partition, out) && (spec->nfields == 0 || fs_buffer_append_byte(out, '/')) &&
		append_text(out, uuid) && append_text(out, ".parquet");
}

/* Behind a uuid in digits of lower case; NULL: there is none. */
static const char *
pass_uuid(const char *p)
{
	for (int i = 0; i < 36; i++, p++)
	{
		bool		is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? *p != '-' : !((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
			return NULL;
	}
	return p;
}

/* Behind digits, at least 'least' of them, and what follows them; NULL: they are not there. */
static const char *
pass_number(const char *p, int least, char next)
{
	int			n = 0;

	while (p[n] >= '0' && p[n] <= '9')
		n++;
	return n >= least && p[n] == next ? p + n + (next != '\0') : NULL;
}

/* See iceberg.h. */
FsIcebergName
fs_iceberg_name_read(const char *name)
{
	const char *rest = pass_uuid(name);

	if (rest != NULL && strcmp(rest, ".parquet") == 0)
		return FS_ICEBERG_NAME_DATA;
	if (rest != NULL && strncmp(rest, "-m", 2) == 0 && (rest = pass_number(rest + 2, 1, '.')) != NULL)
		return strcmp(rest, "avro") == 0 ? FS_ICEBERG_NAME_MANIFEST : FS_ICEBERG_NAME_OTHER;
	if (strncmp(name, "snap-", 5) == 0)
	{
		rest = pass_number(name + 5, 1, '-');
		rest = rest == NULL ? NULL : pass_number(rest, 1, '-');
		rest = rest == NULL ? NULL : pass_uuid(rest);
		return rest != NULL && strcmp(rest, ".avro") == 0 ? FS_ICEBERG_NAME_LIST : FS_ICEBERG_NAME_OTHER;
	}
	rest = pass_number(name, 5, '-');
	rest = rest == NULL ? NULL : pass_uuid(rest);
	return rest != NULL && strcmp(rest, ".metadata.json") == 0 ? FS_ICEBERG_NAME_METADATA : FS_ICEBERG_NAME_OTHER;
}
