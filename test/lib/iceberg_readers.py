#!/usr/bin/env python3
"""Iceberg tables of ours, read by PyIceberg, DuckDB and fastavro, and written on by PyIceberg.

    iceberg_readers.py PROGRAM DIRECTORY [SEED]

PROGRAM is iceberg_cases.c compiled; tables go to DIRECTORY.  What the rows are,
and which of them a filter finds, is decided here; each reader has to find the
same, in each snapshot.  Manifests are read once more by fastavro, and what they
say of a file is compared with the file.
"""
import datetime
import decimal
import glob
import json
import math
import os
import random
import struct
import subprocess
import sys
import uuid

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg import expressions as ex
from pyiceberg.table import StaticTable

BOOLEAN, INT, LONG, FLOAT, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ, STRING, BINARY, UUID, DECIMAL = range(12)
DAY = 86_400_000_000
START = 20_000 * DAY            # 2024-10-04
checks = 0


def check(condition, *what):
    global checks
    checks += 1
    assert condition, what


class Column:
    def __init__(self, name, kind, required=False, is_list=False, precision=0, scale=0):
        self.name, self.kind, self.required, self.is_list = name, kind, required, is_list
        self.precision, self.scale = precision, scale

    def described(self):
        return [self.name, self.kind, self.required, self.is_list, self.precision, self.scale]


COLUMNS = [Column("id", LONG, True), Column("user_id", STRING, True), Column("window_end", TIMESTAMPTZ, True),
           Column("b", BOOLEAN), Column("i", INT), Column("l", LONG), Column("f", FLOAT), Column("d", DOUBLE),
           Column("dt", DATE), Column("ts", TIMESTAMP), Column("s", STRING), Column("bin", BINARY), Column("u", UUID),
           Column("texts", STRING, is_list=True), Column("longs", LONG, is_list=True), Column("größe \"x\".y", DOUBLE),
           Column("dec9", DECIMAL, precision=9, scale=2), Column("dec18", DECIMAL, precision=18),
           Column("dec38", DECIMAL, precision=38, scale=10), Column("decs", DECIMAL, is_list=True, precision=20, scale=20)]
EXACT = decimal.Context(prec=80)


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def draw(rnd, column):
    """A value, often an extreme one."""
    kind = column.kind
    if kind == DECIMAL:
        most = 10**column.precision - 1
        return EXACT.scaleb(decimal.Decimal(rnd.choice([0, 7, -1, most, -most, rnd.randint(-1000, 1000), rnd.randint(-most, most)])), -column.scale)
    if kind == BOOLEAN:
        return rnd.random() < 0.5
    if kind == INT:
        return rnd.choice([0, 7, -1, 2**31 - 1, -2**31, rnd.randrange(-100, 100)])
    if kind == LONG:
        return rnd.choice([0, 7, -1, 2**63 - 1, -2**63, rnd.randrange(-100, 100), rnd.randrange(-2**63, 2**63)])
    if kind in (FLOAT, DOUBLE):
        x = rnd.choice([0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, rnd.gauss(0, 1), rnd.uniform(-1e30, 1e30)])
        return single(x) if kind == FLOAT else x
    if kind == DATE:
        return rnd.choice([0, -1, -700_000, 2_930_000, rnd.randrange(19000, 21000)])
    if kind in (TIMESTAMP, TIMESTAMPTZ):
        return rnd.choice([0, -1, -700_000 * DAY + 1, 2_930_000 * DAY - 1, START + rnd.randrange(100 * DAY)])
    if kind == STRING:
        alphabet = rnd.choice(["abc", "aé€😀\uffff\U0010ffff", "z\U0010ffff", "\x01~"])
        return "".join(rnd.choice(alphabet) for _ in range(rnd.choice([0, 1, 4, 15, 16, 17, 40])))
    if kind == BINARY:
        return bytes(rnd.choice([0, 1, 255, 255]) for _ in range(rnd.choice([0, 1, 15, 16, 17, 40])))
    return rnd.randbytes(16)


class Row(dict):
    """Values by column's name; times as integers."""


def make_rows(rnd, columns, first, n, days=3, step=1):
    """Rows of some days; in some batches a column is all NULL, or has few values."""
    nulls = {c.name: rnd.choice([0.0, 0.1, 0.9, 1.0]) for c in columns}
    rows = []
    for i in range(n):
        row = Row(id=first + i, user_id="u%d" % rnd.randrange(6),
                  window_end=START + rnd.randrange(days * step) * DAY + rnd.randrange(1440) * 60_000_000)
        for c in columns[3:]:
            if rnd.random() < nulls[c.name]:
                row[c.name] = None
            elif c.is_list:
                row[c.name] = [rnd.choice([None, draw(rnd, c)]) for _ in range(rnd.choice([0, 1, 3]))]
            else:
                row[c.name] = draw(rnd, c)
        rows.append(row)
    return rows


def unscaled(value, scale):
    """A decimal's digits as bytes of a signed number, as few as it takes."""
    n = int(EXACT.scaleb(value, scale))
    return n.to_bytes((n if n >= 0 else ~n).bit_length() // 8 + 1, "big", signed=True)


def encode(value, column):
    kind = column.kind
    if isinstance(value, list):
        return [encode(v, column) for v in value]
    if value is None or kind in (INT, LONG, DATE, TIMESTAMP, TIMESTAMPTZ):
        return value
    if kind == BOOLEAN:
        return int(value)
    if kind in (FLOAT, DOUBLE):
        return struct.unpack("<q", struct.pack("<d", value))[0]
    if kind == DECIMAL:
        return unscaled(value, column.scale).hex()
    return (value.encode() if kind == STRING else value).hex()


class Table:
    """A table that the program writes, and what its rows should be in each snapshot."""

    def __init__(self, program, location):
        self.program, self.location, self.metadata = program, location, None
        self.columns, self.rows, self.history, self.now = [], {}, {}, 1_760_000_000_000

    def tell(self, **command):
        self.now += 60_000
        command.setdefault("now", self.now)
        self.program.stdin.write((json.dumps(command) + "\n").encode())
        self.program.stdin.flush()
        answer = json.loads(self.program.stdout.readline() or '{"error": "the program died"}')
        if "error" in answer:
            raise AssertionError(answer["error"])
        self.metadata = answer["metadata"]
        return answer

    def create(self, columns, partitions, sorts=(), properties=None):
        self.columns = list(columns)
        self.tell(do="create", location=self.location, columns=[c.described() for c in columns],
                  partitions=partitions, sorts=list(sorts), properties=properties or {})

    def commit(self, rows, operation="append", remove=None, **options):
        encoded = [[encode(row.get(c.name), c) for c in self.columns] for row in rows]
        if remove is not None:
            options["remove"] = remove
        answer = self.tell(do="commit", operation=operation, rows=encoded, **options)
        if operation == "append":
            for row in rows:
                self.rows[row["id"]] = row
        self.history[answer["snapshot"]] = (dict(self.rows), list(self.columns))
        return answer["snapshot"]

    def open(self):
        return StaticTable.from_metadata(self.metadata)


def plain(array, kind):
    """An arrow column as values that can be compared, times as integers, floats as their bits."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return [None if not v.is_valid else plain(v.values, kind) for v in array]
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if kind == DATE:
        array = array.cast(pa.int32())
    elif kind in (TIMESTAMP, TIMESTAMPTZ):
        array = array.cast(pa.int64())
    values = array.to_pylist()
    if kind in (FLOAT, DOUBLE):
        values = [None if v is None else struct.pack("<d", v) for v in values]
    if kind == UUID:
        values = [uuid.UUID(v).bytes if isinstance(v, str) else v.bytes if isinstance(v, uuid.UUID) else v for v in values]
    return values


def expected(value, kind):
    if isinstance(value, list):
        return [expected(v, kind) for v in value]
    return struct.pack("<d", value) if isinstance(value, float) else value


def same(arrow, rows, columns, where):
    """Does the reader's table have these rows, cell by cell?"""
    for c in columns:
        check(c.kind != DECIMAL or c.is_list or arrow.schema.field(c.name).type == pa.decimal128(c.precision, c.scale), where, c.name, arrow.schema)
    ids = arrow.column("id").to_pylist()
    check(sorted(ids) == sorted(rows), where, "rows", len(ids), len(rows))
    for c in columns:
        cells = plain(arrow.column(c.name), c.kind)
        for i, cell in zip(ids, cells):
            check(cell == expected(rows[i].get(c.name), c.kind), where, c.name, i, cell, rows[i].get(c.name))


def check_snapshots(table):
    """PyIceberg reads each snapshot whole."""
    reader = table.open()
    for snapshot, (rows, columns) in table.history.items():
        if reader.snapshot_by_id(snapshot) is not None:
            same(reader.scan(snapshot_id=snapshot).to_arrow(), rows, columns, ("pyiceberg", snapshot))
    same(reader.scan().to_arrow(), table.rows, table.columns, ("pyiceberg", "now"))


def to_iceberg(value, kind):
    """A literal for a filter of PyIceberg's."""
    if kind == DATE:
        return (datetime.date(1970, 1, 1) + datetime.timedelta(days=value)).isoformat()
    if kind in (TIMESTAMP, TIMESTAMPTZ):
        t = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=value)
        return t.isoformat() + ("+00:00" if kind == TIMESTAMPTZ else "")
    return uuid.UUID(bytes=value) if kind == UUID else value


def is_number(value):
    return value is not None and value == value


def filters(rnd, table, columns):
    """Predicates: for PyIceberg, for Python, and (condition, literal) for DuckDB."""
    for c in columns:
        if c.is_list or "." in c.name:     # PyIceberg cannot filter by such names
            continue
        name = c.name
        yield c, "null", ex.IsNull(name), lambda v: v is None, None
        yield c, "not null", ex.NotNull(name), lambda v: v is not None, None
        values = [r[name] for r in table.rows.values() if is_number(r.get(name))]
        if c.kind == FLOAT:         # PyIceberg takes an infinity for a number that no float is
            values = [v for v in values if math.isfinite(v)]
        if c.kind in (FLOAT, DOUBLE):
            yield c, "nan", ex.IsNaN(name), lambda v: v is not None and v != v, None
        if not values:
            continue
        value = rnd.choice(values)
        literal = to_iceberg(value, c.kind)
        yield c, "=", ex.EqualTo(name, literal), lambda v, x=value: is_number(v) and v == x, value
        if c.kind in (BOOLEAN, UUID):
            continue
        key = (lambda v: v.encode()) if c.kind == STRING else (lambda v: v)
        yield c, "<", ex.LessThan(name, literal), lambda v, x=value: is_number(v) and key(v) < key(x), value
        yield c, ">=", ex.GreaterThanOrEqual(name, literal), lambda v, x=value: is_number(v) and key(v) >= key(x), value
        yield c, ">", ex.GreaterThan(name, literal), lambda v, x=value: is_number(v) and key(v) > key(x), value
        if c.kind == STRING and value:
            start = value[:2]
            yield c, "starts", ex.StartsWith(name, start), lambda v, x=start: v is not None and v.startswith(x), None


def check_filters(rnd, table, columns):
    """Filtered = unfiltered, then filtered; and the files that statistics let readers skip, counted."""
    reader = table.open()
    total = len(list(reader.scan().plan_files()))
    skipped = 0
    for c, word, predicate, fits, _ in filters(rnd, table, columns):
        scan = reader.scan(row_filter=predicate, selected_fields=("id",))
        got = sorted(scan.to_arrow().column("id").to_pylist())
        want = sorted(i for i, row in table.rows.items() if fits(row.get(c.name)))
        check(got == want, "filter", table.location, str(predicate), len(got), len(want), set(got) ^ set(want))
        planned = len(list(scan.plan_files()))
        check(planned <= total, "planned", planned, total)
        skipped += total - planned
    return skipped


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def check_duckdb(con, rnd, table, columns):
    """DuckDB counts, sums and filters the same, in each snapshot; not before 1970, where it prunes wrongly."""
    scan = f"iceberg_scan('{table.metadata}')"
    for snapshot, (rows, there) in table.history.items():
        if table.open().snapshot_by_id(snapshot) is None:
            continue
        at = f"iceberg_scan('{table.metadata}', snapshot_from_id := {snapshot}::UBIGINT)"
        got = con.execute(f"SELECT {', '.join(['count(*)'] + ['count(' + quoted(c.name) + ')' for c in there])} FROM {at}").fetchone()
        want = [len(rows)] + [sum(r.get(c.name) is not None for r in rows.values()) for c in there]
        check(list(got) == want, "duckdb", snapshot, got, want)
    got = con.execute(f"SELECT * FROM {scan}").arrow()
    same(got if isinstance(got, pa.Table) else got.read_all(), table.rows, table.columns, "duckdb")
    for c, word, _, fits, value in filters(rnd, table, columns):
        if c.kind in (BINARY, UUID, FLOAT, DOUBLE, DATE, TIMESTAMP) or (isinstance(value, str) and "\0" in value):
            continue
        if word in ("null", "not null"):
            n = con.execute(f"SELECT count(*) FROM {scan} WHERE {quoted(c.name)} IS {word.upper()}").fetchone()[0]
        elif word != "starts":
            literal, asked = "?", value
            if c.kind == TIMESTAMPTZ:
                literal, asked = "?::TIMESTAMPTZ", to_iceberg(value, c.kind)
            n = con.execute(f"SELECT count(*) FROM {scan} WHERE {quoted(c.name)} {word} {literal}", [asked]).fetchone()[0]
        else:
            continue
        check(n == sum(fits(r.get(c.name)) for r in table.rows.values()), "duckdb filter", c.name, word, value, n)


def local(location):
    return location[len("file://"):] if location.startswith("file://") else location


def avro(location):
    with open(local(location), "rb") as file:
        reader = fastavro.reader(file)
        return dict(reader.metadata), reader.writer_schema, list(reader)


def ids_of(schema, found):
    """All field ids of an Avro schema."""
    if isinstance(schema, list):
        for s in schema:
            ids_of(s, found)
    elif isinstance(schema, dict):
        for field in schema.get("fields", []):
            check("field-id" in field, "field without id", field)
            found[field["field-id"]] = field["name"]
            ids_of(field["type"], found)
        if schema.get("type") == "array":
            if isinstance(schema["items"], dict) and str(schema["items"].get("name", "")).startswith("k"):
                check(schema.get("logicalType") == "map", schema)
            else:
                check("element-id" in schema, schema)
                found[schema["element-id"]] = "element"
            ids_of(schema["items"], found)
        elif isinstance(schema.get("type"), dict):
            ids_of(schema["type"], found)


LIST_IDS = {500, 501, 502, 517, 515, 516, 503, 504, 505, 506, 512, 513, 514, 507, 508, 509, 518, 510, 511, 519}
ENTRY_IDS = {0, 1, 3, 4, 2, 134, 100, 101, 102, 103, 104, 108, 117, 118, 109, 119, 120, 110, 121, 122, 137, 138, 139,
             125, 126, 127, 128, 129, 130, 131, 132, 133, 135, 136, 140}
FORMS = {BOOLEAN: "<?", INT: "<i", LONG: "<q", FLOAT: "<f", DOUBLE: "<d", DATE: "<i", TIMESTAMP: "<q", TIMESTAMPTZ: "<q"}


def decode(bound, column):
    kind = column.kind
    if kind == STRING:
        return bound.decode()
    if kind == DECIMAL:
        value = EXACT.scaleb(decimal.Decimal(int.from_bytes(bound, "big", signed=True)), -column.scale)
        check(bound == unscaled(value, column.scale), "bytes of a bound", bound)
        return value
    return bound if kind in (BINARY, UUID) else struct.unpack(FORMS[kind], bound)[0]


def check_data_file(file, metadata, columns):
    """What the manifest says of a file, against the file."""
    path = local(file["file_path"])
    table = pq.read_table(path)
    parquet = pq.ParquetFile(path).metadata
    check(file["record_count"] == table.num_rows and file["file_size_in_bytes"] == os.path.getsize(path), path)
    check(file["split_offsets"] == [parquet.row_group(g).column(0).dictionary_page_offset or
                                    parquet.row_group(g).column(0).data_page_offset
                                    for g in range(parquet.num_row_groups)] or parquet.num_row_groups == 0, path)
    maps = {key: {p["key"]: p["value"] for p in file[key] or []} for key in
            ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")}
    by_id = {int(f.metadata[b"PARQUET:field_id"]): i for i, f in enumerate(table.schema)}
    by_name = {f["name"]: f for schema in metadata["schemas"] if schema["schema-id"] == metadata["current-schema-id"]
               for f in schema["fields"]}
    for c in columns:
        field = by_name[c.name]
        if field["id"] not in by_id:
            continue
        number = field["type"]["element-id"] if c.is_list else field["id"]
        check(number in maps["column_sizes"], c.name)
        cells = plain(table.column(by_id[field["id"]]), c.kind)
        if c.is_list:
            check(number not in maps["lower_bounds"] and field["id"] not in maps["value_counts"])
            continue
        if c.kind in (FLOAT, DOUBLE):
            cells = [None if v is None else struct.unpack("<d", v)[0] for v in cells]
            check(maps["nan_value_counts"][number] == sum(v is not None and v != v for v in cells))
        check(maps["value_counts"][number] == len(cells))
        check(maps["null_value_counts"][number] == sum(v is None for v in cells))
        values = [v for v in cells if is_number(v)]
        if c.kind == UUID or not values:
            check(number not in maps["lower_bounds"] and number not in maps["upper_bounds"], c.name)
            continue
        key = (lambda v: v.encode()) if c.kind == STRING else (lambda v: v)
        low, high = maps["lower_bounds"][number], maps["upper_bounds"].get(number)
        check(key(decode(low, c)) <= min(map(key, values)), c.name, "lower")
        if c.kind in (STRING, BINARY):
            check(len(decode(low, c)) <= 16 and (high is None or len(decode(high, c)) <= 16), c.name)
            check(high is not None or max(map(key, values))[:4] in (b"\xff\xff\xff\xff", "\U0010ffff".encode()), c.name, "no upper")
        else:
            check((decode(low, c), decode(high, c)) == (min(values), max(values)), c.name, "exact")
            if c.kind in (FLOAT, DOUBLE):
                check(decode(low, c) != 0 or math.copysign(1, decode(low, c)) < 0, "-0.0")
                check(decode(high, c) != 0 or math.copysign(1, decode(high, c)) > 0, "+0.0")
        check(high is None or key(decode(high, c)) >= max(map(key, values)), c.name, "upper", high)


def check_manifests(table, foreign=False):
    """Every list, manifest and data file of every snapshot, by fastavro."""
    with open(local(table.metadata)) as file:
        metadata = json.load(file)
    seen = set()
    for snapshot in metadata["snapshots"]:
        header, schema, manifests = avro(snapshot["manifest-list"])
        found = {}
        ids_of(schema, found)
        check(foreign or set(found) == LIST_IDS, set(found) ^ LIST_IDS)
        check(header["snapshot-id"] == str(snapshot["snapshot-id"]) and header["format-version"] == "2", header)
        live = {"files": 0, "rows": 0, "bytes": 0}
        for m in manifests:
            check(m["manifest_length"] == os.path.getsize(local(m["manifest_path"])))
            check(m["min_sequence_number"] <= m["sequence_number"] <= snapshot["sequence-number"], m)
            header, schema, entries = avro(m["manifest_path"])
            found = {}
            ids_of(schema, found)
            check(foreign or {i for i in found if i < 1000} == ENTRY_IDS, {i for i in found if i < 1000} ^ ENTRY_IDS)
            check(header["format-version"] == "2" and header["content"] == "data" and
                  header["partition-spec-id"] == str(m["partition_spec_id"]), header)
            check(json.loads(header["partition-spec"]) == metadata["partition-specs"][m["partition_spec_id"]]["fields"])
            check(json.loads(header["schema"])["type"] == "struct")
            count = {0: [0, 0], 1: [0, 0], 2: [0, 0]}
            for e in entries:
                count[e["status"]][0] += 1
                count[e["status"]][1] += e["data_file"]["record_count"]
                check(e["status"] == 1 or (e["sequence_number"] is not None and e["file_sequence_number"] is not None), e)
                if e["status"] != 2:
                    live["files"] += 1
                    live["rows"] += e["data_file"]["record_count"]
                    live["bytes"] += e["data_file"]["file_size_in_bytes"]
                    if e["data_file"]["file_path"] not in seen and not foreign:
                        check_data_file(e["data_file"], metadata, table.columns)
                    seen.add(e["data_file"]["file_path"])
            check([m[k] for k in ("added_files_count", "added_rows_count")] == count[1], m, count)
            check([m[k] for k in ("existing_files_count", "existing_rows_count")] == count[0], m, count)
            check([m[k] for k in ("deleted_files_count", "deleted_rows_count")] == count[2], m, count)
        summary = snapshot["summary"]
        check([summary[k] for k in ("total-data-files", "total-records", "total-files-size")] ==
              [str(live[k]) for k in ("files", "rows", "bytes")], summary, live)
    return metadata


def bucket(text, n):
    """The bucket of a string, by another implementation of the hash."""
    import mmh3
    return (mmh3.hash(text.encode(), 0) & 0x7fffffff) % n


def main_table(program, directory, rnd, con):
    """Days and buckets, all types; an added and a dropped column, a merge, a compaction, expiry."""
    table = Table(program, "file://" + os.path.join(directory, "main"))
    table.create(COLUMNS, ["day(window_end)", "bucket(16, user_id)"], ["user_id", "window_end"],
                 {"write.metadata.previous-versions-max": "3", "owner": "Ünï \"q\""})
    check(table.open().scan().to_arrow().num_rows == 0)
    first = table.commit(make_rows(rnd, COLUMNS, 0, 200), summary={"feature_stream.export-hi": "17"})
    table.commit(make_rows(rnd, COLUMNS, 1000, 150), split=20)
    table.commit([])
    check(table.open().snapshot_by_id(first).summary["feature_stream.export-hi"] == "17")

    added = [Column("neu", LONG), Column("neue", STRING, is_list=True)]
    table.tell(do="add", columns=[c.described() for c in added])
    table.columns += added
    table.commit(make_rows(rnd, table.columns, 2000, 100))
    schema = table.open().schema()
    check(schema.find_field("neu").field_id == len(COLUMNS) + 4, schema)
    check([s.schema_id for s in table.open().schemas().values()] == [0, 1])

    table.commit(make_rows(rnd, table.columns, 3000, 50), merge=True)
    check(len(table.open().inspect.manifests()) == 1)
    check_snapshots(table)
    metadata = check_manifests(table)
    check(len(metadata["metadata-log"]) <= 3 and
          all(os.path.exists(local(e["metadata-file"])) for e in metadata["metadata-log"]))
    check(len(glob.glob(local(table.location) + "/metadata/*.metadata.json")) == len(metadata["metadata-log"]) + 1)
    check(check_filters(rnd, table, table.columns) > 0, "nothing was skipped")

    # partitions that readers plan are those the specification says
    for user in ("u1", "u4"):
        for day in range(20_000, 20_003):
            low = to_iceberg(day * DAY, TIMESTAMPTZ)
            tasks = list(table.open().scan(row_filter=ex.And(
                ex.EqualTo("user_id", user), ex.GreaterThanOrEqual("window_end", low),
                ex.LessThan("window_end", to_iceberg((day + 1) * DAY, TIMESTAMPTZ)))).plan_files())
            for task in tasks:
                check((task.file.partition[0], task.file.partition[1]) == (day, bucket(user, 16)), task.file.partition)

    # the same rows of a day, in fewer files
    days = {}
    for task in table.open().scan().plan_files():
        days.setdefault(task.file.partition[0], []).append(task.file.file_path)
    day = sorted(days)[1]
    rows = sorted((r for r in table.rows.values() if r["window_end"] // DAY == day), key=lambda r: (r["user_id"], r["window_end"]))
    check(len(days[day]) > len({r["user_id"] for r in rows}) // 2 and rows)
    replaced = table.commit(rows, operation="replace", remove=days[day])
    summary = table.open().snapshot_by_id(replaced).summary
    check(summary["added-records"] == summary["deleted-records"] == str(len(rows)), summary)
    check(summary.operation.value == "replace" and int(summary["deleted-data-files"]) == len(days[day]), summary)
    check_snapshots(table)
    check_manifests(table)
    if con:
        check_duckdb(con, rnd, table, table.columns)

    # a decimal gets a greater precision; what was written before is of the old one
    wide = Column("dec9", DECIMAL, precision=20, scale=2)
    table.tell(do="widen", columns=[wide.described()])
    table.columns = [wide if c.name == "dec9" else c for c in table.columns]
    table.commit(make_rows(rnd, table.columns, 3500, 40))
    check_snapshots(table)
    check_manifests(table)
    check_filters(rnd, table, [wide])
    if con:
        check_duckdb(con, rnd, table, table.columns)

    table.tell(do="drop", column="i")
    table.columns = [c for c in table.columns if c.name != "i"]
    table.tell(do="add", columns=[Column("i", STRING).described()])
    again = Column("i", STRING)
    for row in list(table.rows.values()):
        row = table.rows[row["id"]] = Row(row)
        row["i"] = None
    table.columns.append(again)
    table.commit(make_rows(rnd, table.columns, 4000, 30))
    check(table.open().schema().find_field("i").field_id == len(COLUMNS) + 7)
    check_snapshots(table)

    # only what expired snapshots alone lead to is deleted
    before = len(table.history)
    answer = table.tell(do="expire", keep_ms=0, keep_count=2)
    left = [s.snapshot_id for s in table.open().snapshots()]
    check(left == list(table.history)[-2:] and before > 2 and answer["deleted"] > 0, left)
    check_snapshots(table)
    metadata = check_manifests(table)
    check([e["snapshot-id"] for e in metadata["snapshot-log"]] == left)
    files = {local(task.file.file_path) for s in left for task in table.open().scan(snapshot_id=s).plan_files()}
    check(set(glob.glob(local(table.location) + "/data/**/*.parquet", recursive=True)) == files)
    if con:
        check_duckdb(con, rnd, table, table.columns)
    return len(table.rows)


SPECS = [[], ["identity(s)"], ["truncate(4, s)"], ["truncate(3, bin)"], ["year(dt)"], ["month(ts)"], ["hour(window_end)"],
         ["bucket(4, l)"], ["truncate(10, i)"], ["truncate(7, l)"], ["identity(b)"], ["i"], ["bucket(4, u)"], ["d"], ["f"],
         ["month(dt)", "bucket(3, bin)"], ["day(dt)"], ["year(ts)", "truncate(2, user_id)"], ["u"], ["dt"], ["ts"],
         ["bucket(5, dt)", "bucket(5, ts)"], ['"größe ""x"".y"', "bin"], ["dec9"], ["dec38"], ["bucket(4, dec9)", "bucket(3, dec38)"],
         ["truncate(50, dec18)"], ["truncate(1000000, dec38)"]]


def not_least(rows):
    """Without numbers that truncation would take below what there is: Java wraps around, PyIceberg does not."""
    for row in rows:
        for name, least in (("i", -2**31 + 8), ("l", -2**63 + 8)):
            if row[name] is not None:
                row[name] = max(row[name], least)
    return rows


def transform_tables(program, directory, rnd, con):
    """Each transform in a table of its own: what a filter finds does not depend on it."""
    skipped = 0
    for n, partitions in enumerate(SPECS):
        table = Table(program, os.path.join(directory, f"spec-{n}"))
        table.create(COLUMNS, partitions)
        table.commit(not_least(make_rows(rnd, COLUMNS, 0, 25)))
        table.commit(not_least(make_rows(rnd, COLUMNS, 100, 25)), merge=rnd.random() < 0.5)
        check_snapshots(table)
        check_manifests(table)
        # what the partitions are made of; PyIceberg compares a partition's uuid with bytes and finds none, and reads a double as a float
        asked = [c for c in COLUMNS if any(c.name in p.replace("(", " ").replace(")", " ").split(" ") for p in partitions)]
        skipped += check_filters(rnd, table, [c for c in asked if partitions not in (["u"], ["d"])] or COLUMNS[:1])
        if con:
            got = con.execute(f"SELECT * FROM iceberg_scan('{table.metadata}')").arrow()
            same(got if isinstance(got, pa.Table) else got.read_all(), table.rows, COLUMNS, ("duckdb", partitions))
    return len(SPECS), skipped


def foreign_table(program, directory, rnd):
    """PyIceberg writes on where we stopped, and we where it stopped; what is its own stays."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.types import DecimalType, StructType, NestedField, StringType

    catalog = SqlCatalog("t", uri="sqlite://", warehouse="file://" + directory)
    catalog.create_namespace("x")
    table = Table(program, "file://" + os.path.join(directory, "foreign"))
    columns = [c for c in COLUMNS if c.kind != UUID]
    table.create(columns, ["day(window_end)", "bucket(4, user_id)"], properties={"ours": "1"})
    table.commit(make_rows(rnd, columns, 0, 60))

    other = catalog.register_table("x.t", table.metadata)
    rows = make_rows(rnd, columns, 100, 40)
    for row in rows:                # pyarrow does not find a NaN again that it wrote beside a single number
        for name in ("f", "d"):
            row[name] = row[name] if is_number(row[name]) else None
    arrays = []
    arrow = other.schema().as_arrow()
    for c in columns:
        cells = [r[c.name] for r in rows]
        field = arrow.field(c.name)
        if c.kind in (DATE, TIMESTAMP, TIMESTAMPTZ):
            arrays.append(pa.array(cells, pa.int32() if c.kind == DATE else pa.int64()).cast(field.type))
        else:
            arrays.append(pa.array(cells, field.type))
    other.append(pa.Table.from_arrays(arrays, schema=arrow))
    with other.update_schema() as update:
        update.add_column("price", DecimalType(10, 2))
        update.add_column("nest", StructType(NestedField(99, "x", StringType(), required=False)))
    with other.update_spec() as update:
        update.add_identity("i")
    other.manage_snapshots().create_tag(other.current_snapshot().snapshot_id, "kept").commit()
    with other.transaction() as transaction:
        transaction.set_properties(theirs="2")
    table.rows.update({r["id"]: r for r in rows})
    tagged = other.current_snapshot().snapshot_id
    table.history[tagged] = (dict(table.rows), columns)
    kinds = [("id", pa.int64(), False), ("user_id", pa.large_string(), False), ("window_end", pa.timestamp("us", tz="UTC"), False),
             ("i", pa.int32(), True), ("price", pa.decimal128(10, 2), True)]
    added = pa.table([pa.array([900], pa.int64()), pa.array(["u1"], pa.large_string()),
                      pa.array([START], pa.int64()).cast(pa.timestamp("us", tz="UTC")), pa.array([None], pa.int32()),
                      pa.array([decimal.Decimal("1.25")], pa.decimal128(10, 2))], schema=pa.schema([pa.field(*k) for k in kinds]))
    other.append(added)
    table.rows[900] = Row({c.name: None for c in columns}, id=900, user_id="u1", window_end=START, price=decimal.Decimal("1.25"))
    columns = columns + [Column("price", DECIMAL, precision=10, scale=2)]

    # somebody else's keys, at every level
    metadata = json.load(open(local(other.metadata_location)))
    metadata["x-unknown"] = {"deep": [1, 9007199254740993, 1.50, {"ключ": None}]}
    metadata["snapshots"][0]["x-key"] = 9223372036854775807
    changed = other.metadata_location.replace(".metadata.json", "-x.metadata.json")
    json.dump(metadata, open(local(changed), "w"))
    table.now = metadata["last-updated-ms"]
    table.tell(do="open", metadata=changed)
    table.columns = columns
    table.commit(make_rows(rnd, columns, 1000, 50))
    table.commit(make_rows(rnd, columns, 2000, 20), merge=True)
    table.commit([], merge=True)

    after = json.load(open(local(table.metadata)))
    check(after["x-unknown"] == metadata["x-unknown"] and after["snapshots"][0]["x-key"] == 9223372036854775807)
    check(after["refs"]["kept"] == metadata["refs"]["kept"] and after["properties"]["theirs"] == "2")
    check(after["schemas"] == metadata["schemas"] and after["partition-specs"] == metadata["partition-specs"])
    check_snapshots(table)
    check_manifests(table, foreign=True)
    check_filters(rnd, table, columns)
    prices = table.open().scan(row_filter="price is not null").to_arrow()
    check(decimal.Decimal("1.25") in prices.column("price").to_pylist())

    # a tag outlives the age of snapshots
    table.tell(do="expire", keep_ms=0, keep_count=1)
    left = {s.snapshot_id for s in table.open().snapshots()}
    check(tagged in left and len(left) == 2, left, tagged)
    check_snapshots(table)

    # and PyIceberg goes on with what we left
    catalog.drop_table("x.t")
    other = catalog.register_table("x.t", table.metadata)
    other.delete(ex.EqualTo("user_id", "u1"))
    table.rows = {i: r for i, r in table.rows.items() if r["user_id"] != "u1"}
    same(other.scan().to_arrow(), table.rows, columns, "after a delete of PyIceberg's")
    table.tell(do="open", metadata=other.metadata_location)
    table.commit(make_rows(rnd, columns, 3000, 20), merge=True)
    check_snapshots(table)
    check_manifests(table, foreign=True)
    return len(table.rows)


def open_duckdb():
    """DuckDB with its Iceberg extension, from the package beside it; None where it cannot be loaded."""
    try:
        import duckdb_extension_avro
        import duckdb_extension_iceberg
        con = duckdb.connect()
        for package in (duckdb_extension_avro, duckdb_extension_iceberg):
            folder = list(package.__path__)[0]
            name = os.path.basename(folder)[len("duckdb_extension_"):]
            con.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")
        return con
    except Exception as error:
        print("DuckDB's Iceberg extension cannot be loaded:", error)
        return None


def main():
    seed = int((sys.argv[3:] + ["1"])[0])
    rnd = random.Random(seed)
    directory = os.path.abspath(sys.argv[2])
    con = open_duckdb()
    with subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        rows = main_table(program, directory, rnd, con)
        tables, skipped = transform_tables(program, directory, rnd, con)
        foreign = foreign_table(program, directory, rnd)
        program.stdin.close()
        check(program.wait() == 0, "the program ended badly")
    print(f"tables of seed {seed} read by PyIceberg, fastavro and {'DuckDB' if con else '(no DuckDB)'}: "
          f"{rows} rows in days and buckets, {tables} specs ({skipped} files skipped), "
          f"{foreign} rows beside PyIceberg's: {checks} checks")


if __name__ == "__main__":
    main()
