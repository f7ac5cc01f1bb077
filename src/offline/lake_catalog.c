/*
 * lake_catalog.c
 *		Pointers of the Iceberg catalog; see lake_catalog.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "offline/lake_catalog.h"
#include "state/query.h"

static Oid	types[5] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};

static void
set_name(Datum *values, const FsLakeName *name)
{
	values[0] = CStringGetTextDatum(name->catalog);
	values[1] = CStringGetTextDatum(name->namespace);
	values[2] = CStringGetTextDatum(name->table);
}

/* See lake_catalog.h. */
char *
fs_lake_catalog_find(const FsLakeName *name)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[3];
	char	   *location = NULL;

	set_name(values, name);
	SPI_connect();
	fs_query_run("SELECT metadata_location FROM feature_stream_catalog.iceberg_tables"
				 " WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3"
				 " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)",
				 SPI_OK_SELECT, 3, types, values, NULL);
	if (SPI_processed > 0)
		location = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (location != NULL)
		location = MemoryContextStrdup(caller, location);
	SPI_finish();
	return location;
}

/* See lake_catalog.h. */
bool
fs_lake_catalog_create(const FsLakeName *name, const char *location)
{
	Datum		values[4];
	bool		is_made;

	Assert(strlen(location) <= FS_LAKE_MAX_LOCATION);
	set_name(values, name);
	values[3] = CStringGetTextDatum(location);
	SPI_connect();
	fs_query_run("INSERT INTO feature_stream_catalog.iceberg_namespace_properties"
				 " (catalog_name, namespace, property_key, property_value)"
				 " SELECT $1, $2, 'exists', 'true' WHERE NOT EXISTS"
				 " (SELECT FROM feature_stream_catalog.iceberg_namespace_properties WHERE catalog_name = $1 AND namespace = $2)"
				 " ON CONFLICT DO NOTHING",
				 SPI_OK_INSERT, 2, types, values, NULL);
	fs_query_run("INSERT INTO feature_stream_catalog.iceberg_tables"
				 " (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)"
				 " VALUES ($1, $2, $3, $4, 'TABLE') ON CONFLICT DO NOTHING",
				 SPI_OK_INSERT, 4, types, values, NULL);
	is_made = SPI_processed == 1;
	SPI_finish();
	return is_made;
}

/* See lake_catalog.h. */
bool
fs_lake_catalog_swap(const FsLakeName *name, const char *from, const char *to)
{
	Datum		values[5];
	bool		is_moved;

	Assert(strlen(to) <= FS_LAKE_MAX_LOCATION);
	set_name(values, name);
	values[3] = CStringGetTextDatum(from);
	values[4] = CStringGetTextDatum(to);
	SPI_connect();
	fs_query_run("UPDATE feature_stream_catalog.iceberg_tables SET metadata_location = $5, previous_metadata_location = $4"
				 " WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 AND metadata_location = $4"
				 " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)",
				 SPI_OK_UPDATE, 5, types, values, NULL);
	is_moved = SPI_processed == 1;
	SPI_finish();
	return is_moved;
}
