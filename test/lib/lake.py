"""Compares a table in a lake with the history that it was exported from, by readers
that share no code with the extension.

    lake.py compare URI CATALOG TABLE HISTORY [KEY=VALUE ...]
    lake.py files URI - DIRECTORY HISTORY
    lake.py schema URI CATALOG TABLE -
    lake.py types URI CATALOG TABLE -
    lake.py widen URI CATALOG TABLE COLUMN PRECISION=SCALE
    lake.py change URI CATALOG TABLE TAG [KEY=VALUE ...]
    lake.py travel URI CATALOG TABLE
    lake.py watch URI CATALOG TABLE FILE
    lake.py sorted URI CATALOG TABLE COLUMN
    lake.py reachable URI CATALOG TABLE
    lake.py marks URI CATALOG TABLE
    lake.py contend URI CATALOG TABLE COUNT
    lake.py append URI CATALOG TABLE USER
    lake.py remove URI CATALOG TABLE USER
    lake.py repartition URI CATALOG TABLE - [FIELD=add|remove ...]
    lake.py summary URI CATALOG TABLE KEY

URI is a libpq connection string of the database, KEY=VALUE are properties of
PyIceberg's catalog.  "change" tags the current snapshot, and sets properties of
the table ("KEY=x*9" is nine times "x").  "files" compares Parquet
files that another reader made of the table.  "schema" prints the columns with
their ids, first those of the oldest snapshot; "types" the types of the columns that
are there; "widen" gives a decimal a greater precision.  "compare" prints one line: how many rows the lake and the history
have, how many only one of the two has, and how many files and snapshots there
are; then up to ten rows of each kind.  Rows are read by PyIceberg from its SQL
catalog on the database itself, and once more by DuckDB: from the files that
PyIceberg plans, or where these are of several schemas, by its own Iceberg reader.
"travel" reads each snapshot, and "watch" the newest again and again until FILE
is gone: the rows never become fewer.  "sorted" tells of the files that say that
they are sorted whether they are, by that column and window_end; "reachable" how many
manifest lists, manifests and data files all snapshots have; "marks" how many chunks of the
history snapshots say that they have, whether each but the first begins behind the one before, and the last chunk.  "contend" commits so many
times, each as soon as it can.  "append" adds a row of a user, and "remove" takes out all of that user.
"repartition" has the table partitioned by columns, too, or by fields no more; "summary" prints what
the current snapshot's summary says.
"""
import collections
import datetime
import decimal
import os
import sys
import uuid

import duckdb
import psycopg2
import pyarrow.parquet
import pyiceberg.catalog
import psycopg2.extras
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import EqualTo

psycopg2.extras.register_uuid()


def plain(value):
    """One value as both sides have it."""
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) for v in value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, decimal.Decimal) and value.is_nan():
        return None             # as decimals of a lake have it
    return value


def load_table(uri, catalog, table, properties):
    import urllib.parse
    options = urllib.parse.urlencode({**psycopg2.extensions.parse_dsn(uri), "options": "-csearch_path=feature_stream_catalog"})
    return pyiceberg.catalog.load_catalog(catalog, type="sql", uri="postgresql+psycopg2://?" + options,
                                          init_catalog_tables="false", **properties).load_table(table)


def is_decimal(arrow):
    return pyarrow.types.is_decimal(arrow.value_type if hasattr(arrow, "value_type") else arrow)


def read_history(cursor, history, columns, decimals=()):
    cursor.execute("SELECT a.attname, a.atttypid FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
                   (history,))
    types = dict(cursor.fetchall())
    assert set(types) == set(columns), (types, columns)
    casts = {114: "::text", 1700: "::text", 3802: "::text", 1231: "::text[]"}
    cursor.execute("SELECT %s FROM %s" % (", ".join('"%s"%s' % (c, casts.get(types[c], "") if c not in decimals else "") for c in columns), history))
    return [tuple(map(plain, row)) for row in cursor.fetchall()]


def read_lake(table):
    data = table.scan().to_arrow()
    columns = data.column_names
    decimals = [f.name for f in data.schema if is_decimal(f.type)]
    return columns, decimals, [tuple(plain(row[c]) for c in columns) for row in data.to_pylist()]


def load_extensions(connection):
    import duckdb_extension_avro
    import duckdb_extension_iceberg

    for package, name in (duckdb_extension_avro, "avro"), (duckdb_extension_iceberg, "iceberg"):
        connection.execute("LOAD '%s/extensions/v%s/%s.duckdb_extension'" % (list(package.__path__)[0], duckdb.__version__, name))


def read_files(table, columns):
    paths = [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]
    if not paths:
        return []
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    source = "read_parquet(?)"
    if len(table.metadata.schemas) > 1:
        load_extensions(connection)
        source, paths = "iceberg_scan(?)", table.metadata_location.removeprefix("file://")
    rows = connection.execute("SELECT %s FROM %s" % (", ".join('"%s"' % c for c in columns), source), [paths]).to_arrow_table().to_pylist()
    return [tuple(plain(row[c]) for c in columns) for row in rows]


def compare(uri, catalog, name, history, properties):
    table = load_table(uri, catalog, name, properties)
    columns, decimals, lake = read_lake(table)
    expected, got = history_of(uri, history, columns, decimals), collections.Counter(lake)
    missing, extra = expected - got, got - expected
    same = "-"
    if not properties.get("s3.endpoint"):
        same = str(collections.Counter(read_files(table, columns)) == got).lower()
    paths = [task.file.file_path for task in table.scan().plan_files()]
    assert len(paths) == len(set(paths)), "a file is twice in the table"
    manifests = table.current_snapshot().manifests(table.io)
    total = sum(entry.data_file.record_count for manifest in manifests for entry in manifest.fetch_manifest_entry(table.io))
    assert total == int(table.current_snapshot().summary["total-records"]) == len(lake), "totals"
    assert len(paths) == int(table.current_snapshot().summary["total-data-files"]), "totals"
    print("lake=%d history=%d missing=%d extra=%d duckdb=%s files=%d snapshots=%d manifests=%d" % (
        len(lake), sum(expected.values()), sum(missing.values()), sum(extra.values()), same, len(paths), len(table.metadata.snapshots), len(manifests)))
    for row in list(missing)[:5]:
        print("missing", row)
    for row in list(extra)[:5]:
        print("extra", row)


def files(uri, _, directory, history, properties):
    data = pyarrow.parquet.read_table(directory)
    expected = history_of(uri, history, data.column_names)
    got = collections.Counter(tuple(plain(value) for value in row.values()) for row in data.to_pylist())
    print("files=%d history=%d missing=%d extra=%d" % (
        sum(got.values()), sum(expected.values()), sum((expected - got).values()), sum((got - expected).values())))
    for row in list(expected - got)[:2] + list(got - expected)[:2]:
        print(row)


def history_of(uri, history, columns, decimals=()):
    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        return collections.Counter(read_history(cursor, history, columns, decimals))


def schema(uri, catalog, name, _, properties):
    table = load_table(uri, catalog, name, properties)
    for schema in table.schemas()[table.metadata.snapshots[0].schema_id], table.schema():
        print(" ".join("%s=%d%s" % (f.name, f.field_id, "!" if f.required else "") for f in schema.fields))


def types(uri, catalog, name, _, properties):
    print(" ".join("%s=%s" % (f.name, str(f.field_type).replace(" ", "")) for f in load_table(uri, catalog, name, properties).schema().fields))


def widen(uri, catalog, name, column, properties):
    from pyiceberg.types import DecimalType

    for precision, scale in properties.items():
        with load_table(uri, catalog, name, {}).update_schema() as update:
            update.update_column(column, field_type=DecimalType(int(precision), int(scale)))


def change(uri, catalog, name, tag, properties):
    table = load_table(uri, catalog, name, {})
    table.manage_snapshots().create_tag(table.metadata.current_snapshot_id, tag).commit()
    values = {key: value if "*" not in value else value.split("*")[0] * int(value.split("*")[1]) for key, value in properties.items()}
    with table.transaction() as transaction:
        transaction.set_properties(values)


def travel(uri, catalog, name, _, properties):
    table = load_table(uri, catalog, name, properties)
    unreadable = 0
    for snapshot in table.metadata.snapshots:
        try:
            rows = len(table.scan(snapshot_id=snapshot.snapshot_id).to_arrow())
            assert rows == int(snapshot.summary["total-records"]), (rows, snapshot)
        except OSError as error:
            print(error)
            unreadable += 1
    print("snapshots=%d unreadable=%d" % (len(table.metadata.snapshots), unreadable))


def watch(uri, catalog, name, path, properties):
    table = load_table(uri, catalog, name, properties)
    rows = reads = 0
    while os.path.exists(path):
        now = len(table.scan(selected_fields=("user_id", "computed_at")).to_arrow())
        assert now >= rows, (now, rows)
        rows = now
        reads += 1
        table.refresh()
    print("reads=%d rows=%d" % (reads, rows))


def sorted_files(uri, catalog, name, column, properties):
    table = load_table(uri, catalog, name, properties)
    counts = {True: 0, False: 0}
    for task in table.scan().plan_files():
        if task.file.sort_order_id:
            data = duckdb.connect().execute("SELECT %s, window_end FROM read_parquet(?)" % column, [task.file.file_path.removeprefix("file://")]).fetchall()
            keys = [(row[0].encode(), row[1]) for row in data]
            counts[keys == sorted(keys)] += 1
    print("sorted=%d unsorted=%d" % (counts[True], counts[False]))


def reachable(uri, catalog, name, _, properties):
    table = load_table(uri, catalog, name, properties)
    paths = set()
    for snapshot in table.metadata.snapshots:
        paths.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            paths.add(manifest.manifest_path)
            paths.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
    print("reachable=%d" % len(paths))


def marks(uri, catalog, name, _, properties):
    snapshots = load_table(uri, catalog, name, properties).metadata.snapshots
    marked = [s for s in snapshots if s.summary.additional_properties.get("feature_stream.export")]
    assert all((s in marked) == (s.summary.operation.value == "append") for s in snapshots), "marks are of appends"
    chunks = [tuple(map(int, s.summary["feature_stream.export"].split("-"))) for s in sorted(marked, key=lambda s: s.sequence_number)]
    ordered = all(first <= last for first, last in chunks) and all(a[1] < b[0] for a, b in zip(chunks, chunks[1:]))
    print("appends=%d ordered=%s first=%d last=%d" % (len(chunks), str(ordered).lower(), chunks[0][0], chunks[-1][1]))


def contend(uri, catalog, name, count, properties):
    commits = 0
    while commits < int(count):
        try:
            with load_table(uri, catalog, name, properties).transaction() as transaction:
                transaction.set_properties({"contended": str(commits)})
            commits += 1
        except CommitFailedException:
            pass
    print("commits=%d" % commits)


def append(uri, catalog, name, user, properties):
    table = load_table(uri, catalog, name, properties)
    row = table.scan(limit=1).to_arrow().to_pylist()[0]
    row["user_id"] = user
    table.append(pyarrow.Table.from_pylist([row], schema=table.schema().as_arrow()))
    print("appended")


def remove(uri, catalog, name, user, properties):
    load_table(uri, catalog, name, properties).delete(EqualTo("user_id", user))
    print("removed")


def repartition(uri, catalog, name, _, fields):
    with load_table(uri, catalog, name, {}).update_spec() as update:
        for field, what in fields.items():
            {"add": update.add_identity, "remove": update.remove_field}[what](field)
    print("repartitioned")


def summary(uri, catalog, name, key, properties):
    print(load_table(uri, catalog, name, properties).current_snapshot().summary[key])


def main():
    command, uri, catalog, name, argument = (sys.argv[1:] + [""])[:5]
    commands = {"compare": compare, "files": files, "change": change, "schema": schema, "types": types, "widen": widen, "travel": travel, "watch": watch,
                "sorted": sorted_files, "reachable": reachable, "marks": marks, "contend": contend,
                "append": append, "remove": remove, "repartition": repartition, "summary": summary}
    commands[command](uri, catalog, name, argument, dict(p.split("=", 1) for p in sys.argv[6:]))


main()
