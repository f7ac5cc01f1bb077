/*
 * import_columns.h
 *		The columns of a stream, made of an Avro schema.
 */
#ifndef FS_SQL_IMPORT_COLUMNS_H
#define FS_SQL_IMPORT_COLUMNS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "core/value.h"
#include "sql/schemas.h"

/* A field that becomes a column. */
typedef struct FsImportColumn
{
	char	   *name;			/* unique in its list, at most NAMEDATALEN - 1 bytes */
	char	   *path;			/* of the field: a.b.c */
	FsType		type;
	Oid			typid;
	bool		not_null;
	bool		is_count;		/* a number without a meaning of its own: could be a time in some unit */
	char	   *default_text;	/* as the type's input function takes it; NULL: none */
} FsImportColumn;

/*
 * List of FsImportColumn, palloc'd, in the order of the schema: its fields, those
 * of records in it by their paths.  Bytes, which no column takes whatever they
 * are, are left out with a NOTICE.  Throws when it is no record, or has too many
 * fields; 'subject' is for messages.
 */
extern List *fs_import_columns(const char *subject, FsSchemaWork *work);

/* A name like 'wanted' of at most NAMEDATALEN - 1 bytes that is not in the list of strings, palloc'd. */
extern char *fs_import_name(const char *wanted, List *taken);

#endif							/* FS_SQL_IMPORT_COLUMNS_H */
