#!/usr/bin/env python3
"""Random tables through our Parquet writer, read back by pyarrow and DuckDB.

    parquet_differential.py PROGRAM DIRECTORY [CASES [SEED]]

PROGRAM is parquet_cases.c compiled; files go to DIRECTORY.  Every cell has to
come back as it was (floating-point numbers bit by bit), from both readers, page
checksums verified; statistics of every row group have to bound its values, and
equal the least and greatest where they say they are exact; bounds and counts
for a manifest are computed again from the values; readers that skip by
statistics have to find what they would find without.  The index of pages, which
no reader shows, is decoded here and compared with the values of each page.
"""
import decimal
import math
import os
import random
import struct
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

BOOLEAN, INT, LONG, FLOAT, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ, STRING, BINARY, UUID, DECIMAL = range(12)
WIDTH = {INT: 32, DATE: 32, LONG: 64, TIMESTAMP: 64, TIMESTAMPTZ: 64}
ARROW = {BOOLEAN: pa.bool_(), INT: pa.int32(), LONG: pa.int64(), FLOAT: pa.float32(), DOUBLE: pa.float64(),
         DATE: pa.date32(), TIMESTAMP: pa.timestamp("us"), TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
         STRING: pa.string(), BINARY: pa.binary()}
SHORT = 64                      # characters, or bytes, of a bound in an index
EXACT = decimal.Context(prec=80)
LETTERS = "abcé€😀\u00ff\uffff\U0010ffff\ud7ff\x01z"


class Column:
    """A column of a random table, and how its values are drawn."""

    def __init__(self, rnd, number):
        self.name = rnd.choice(["c%d", "häufig %d", "a.b %d", "%d"]) % number
        self.type = rnd.randrange(12)
        self.precision = rnd.choice([1, 2, 9, 10, 18, 19, 38, rnd.randint(1, 38)]) if self.type == DECIMAL else 0
        self.scale = rnd.choice([0, self.precision, rnd.randint(0, self.precision)])
        self.required = rnd.random() < 0.3
        self.is_list = rnd.random() < 0.25
        self.id, self.element_id = number + 1, number + 1001
        self.nulls = rnd.choice([0, 0, 0.1, 0.9, 1])
        self.distinct = rnd.choice([1, 2, 9, 300, None])
        self.rnd = rnd
        self.step = rnd.choice([0, 1, 60_000_000])
        self.last = rnd.randrange(-2**31, 2**31)
        if self.distinct:
            self.values = [self.fresh() for _ in range(self.distinct)]

    def fresh(self):
        rnd = self.rnd
        if self.type == BOOLEAN:
            return rnd.random() < 0.5
        if self.type in WIDTH:
            limit = 2**(WIDTH[self.type] - 1)
            if self.type in (TIMESTAMP, TIMESTAMPTZ):
                limit = 2**55       # what Python's and DuckDB's calendars reach
            if rnd.random() < 0.5 and self.type not in (BOOLEAN,):
                self.last = max(-limit, min(limit - 1, self.last + rnd.randrange(self.step + 1)))
                return self.last
            return rnd.choice([0, 1, -1, limit - 1, -limit, rnd.randrange(-limit, limit), rnd.randrange(-100, 100)])
        if self.type in (FLOAT, DOUBLE):
            x = rnd.choice([0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, math.nan, rnd.uniform(-1e30, 1e30), rnd.gauss(0, 1)])
            return struct.unpack("<f", struct.pack("<f", x))[0] if self.type == FLOAT else x
        if self.type == STRING:
            n = rnd.choice([0, 1, 3, 8, 15, 16, 17, 70, 300])
            return "".join(rnd.choice(LETTERS) for _ in range(n)).encode()
        if self.type == BINARY:
            n = rnd.choice([0, 1, 3, 15, 16, 17, 64, 65, 300])
            return bytes(rnd.choice([0, 1, 65, 255, 255, 255]) for _ in range(n))
        if self.type == DECIMAL:
            most = 10**self.precision - 1
            digits = rnd.choice([0, 1, -1, most, -most, rnd.randint(-most, most), rnd.randint(max(-most, -300), min(most, 300))])
            return EXACT.scaleb(decimal.Decimal(digits), -self.scale)
        return rnd.randbytes(16)

    def element(self):
        if self.rnd.random() < self.nulls and (not self.required or self.is_list):
            return None
        return self.rnd.choice(self.values) if self.distinct else self.fresh()

    def cell(self):
        if not self.is_list:
            return self.element()
        if not self.required and self.rnd.random() < 0.2:
            return None
        return [self.element() for _ in range(self.rnd.choice([0, 1, 2, 5, 40]))]


def unscaled(value, scale):
    """A decimal's digits as bytes of a signed number, as few as it takes."""
    n = int(EXACT.scaleb(value, scale))
    return n.to_bytes((n if n >= 0 else ~n).bit_length() // 8 + 1, "big", signed=True)


def u32(n):
    return struct.pack("<I", n)


def text(b):
    return u32(len(b)) + b


def encode(column, value):
    if value is None:
        return b"\0"
    if isinstance(value, list):
        return b"\2" + u32(len(value)) + b"".join(encode(column, v) for v in value)
    if isinstance(value, decimal.Decimal):
        return b"\1" + text(unscaled(value, column.scale))
    if isinstance(value, bytes):
        return b"\1" + text(value)
    if isinstance(value, float):
        return b"\1" + struct.pack("<d", value)
    return b"\1" + struct.pack("<q", int(value))


def leaves(cells):
    """All values of a column, those of its lists one by one."""
    for cell in cells:
        if isinstance(cell, list):
            yield from cell
        else:
            yield cell


def raw(array, kind):
    """An arrow array as Python values that keep every bit."""
    if pa.types.is_list(array.type):
        return [None if x is None else x for x in
                (None if not v.is_valid else raw(v.values, kind) for v in array)]
    if kind == UUID and isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if kind in WIDTH:
        array = array.cast(pa.int32() if WIDTH[kind] == 32 else pa.int64())
    if kind in (FLOAT, DOUBLE):
        return [None if x is None else struct.pack("<d", x) for x in array.to_pylist()]
    if kind == STRING:
        array = array.cast(pa.binary())
    return array.to_pylist()


def bits(cell, kind):
    """What raw() makes of a cell."""
    if isinstance(cell, list):
        return [bits(c, kind) for c in cell]
    return struct.pack("<d", cell) if isinstance(cell, float) else cell


def ordered(values, kind):
    values = [v for v in values if v is not None and not (isinstance(v, float) and math.isnan(v))]
    return (min(values), max(values)) if values and kind != UUID else None


def check_bounds(column, values, line):
    """What a manifest says, computed again."""
    size, count, nulls, nans, lower, upper = line.split(" ")
    values = list(values)
    assert int(nulls) == sum(v is None for v in values if v != []), ("nulls", column.name, line)
    assert int(nans) == sum(isinstance(v, float) and math.isnan(v) for v in values), ("nans", line)
    least = ordered((v for v in values), column.type)
    assert (least is None) == (lower == "-"), ("bounds", column.name, line)
    if least is None:
        return
    lower = bytes.fromhex(lower[:-1])
    upper = None if upper == "-" else bytes.fromhex(upper[:-1])
    if column.type in (STRING, BINARY):
        cut = (lambda b: b.decode()[:16].encode()) if column.type == STRING else (lambda b: b[:16])
        assert lower == cut(least[0]), ("lower", line)
        if upper is None:
            assert cut(least[1]) != least[1] and all(c in ("\U0010ffff" if column.type == STRING else b"\xff")
                                                     for c in (least[1].decode()[:16] if column.type == STRING else least[1][:16]))
        else:
            assert upper >= least[1] and len(upper) <= len(cut(least[1])) + 3, ("upper", line, least[1])
            assert upper == least[1] or cut(least[1]) != least[1], ("upper", line)
            if column.type == STRING:
                assert len(upper.decode()) <= 16
    elif column.type == DECIMAL:
        assert (lower, upper) == tuple(unscaled(v, column.scale) for v in least), ("bounds", lower, upper, least)
    else:
        form = {BOOLEAN: "<B", INT: "<i", DATE: "<i", FLOAT: "<f", DOUBLE: "<d"}.get(column.type, "<q")
        got = struct.unpack(form, lower)[0], struct.unpack(form, upper)[0]
        assert got == (int(least[0]), int(least[1])) if form[1] in "Biq" else got == least, ("bounds", got, least)
        if got[0] == 0 and form[1] in "fd":
            assert math.copysign(1, got[0]) < 0, "-0.0"
        if got[1] == 0 and form[1] in "fd":
            assert math.copysign(1, got[1]) > 0, "+0.0"


def check_statistics(path, columns, table):
    """Of each row group."""
    file = pq.ParquetFile(path)
    exact = {(g, c): flags for g, c, *flags in duckdb.execute(
        "SELECT row_group_id, column_id, min_is_exact, max_is_exact FROM parquet_metadata(?)", [path]).fetchall()}
    exact = {k: tuple(v) for k, v in exact.items()}
    first = 0
    for g in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(g)
        for c, column in enumerate(columns):
            chunk = group.column(c)
            values = list(leaves(table[c][first:first + group.num_rows]))
            assert chunk.has_offset_index
            assert chunk.statistics is not None and chunk.statistics.null_count == sum(v is None for v in values)
            expected = ordered(values, column.type)
            if any(v != v for v in values):
                expected = None
            assert chunk.statistics.has_min_max == (expected is not None), (column.name, chunk.statistics)
            if expected is None or column.type in (TIMESTAMP, TIMESTAMPTZ, DATE):
                continue
            least, greatest = chunk.statistics.min, chunk.statistics.max
            if isinstance(least, str):
                least, greatest = least.encode(), greatest.encode()
            assert least <= expected[0] and greatest >= expected[1], (column.name, least, greatest, expected)
            if column.type not in (STRING, BINARY):
                assert (least, greatest) == expected
            assert exact[g, c] == (least == expected[0], greatest == expected[1]), (column.name, exact[g, c], expected)
        first += group.num_rows


class Thrift:
    """Thrift's compact protocol: structs as {field number: value}."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        n = shift = 0
        while True:
            b = self.byte()
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n

    def value(self, kind):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            n = self.varint()
            return (n >> 1) ^ -(n & 1)
        if kind == 8:
            n = self.varint()
            self.at += n
            return self.data[self.at - n:self.at]
        if kind in (9, 10):
            head = self.byte()
            n = self.varint() if head >> 4 == 15 else head >> 4
            return [self.value(self.byte() if head & 15 in (1, 2) else head & 15) for _ in range(n)]
        assert kind == 12, kind
        fields, number = {}, 0
        while (head := self.byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self.value(4)
            fields[number] = self.value(head & 15)
        return fields


def read_bound(column, b):
    """A bound of a page, as ordered() has values."""
    if column.type in (STRING, BINARY):
        return b
    if column.type == DECIMAL:
        n = int.from_bytes(b, "little" if column.precision <= 18 else "big", signed=True)
        assert len(b) == (4 if column.precision <= 9 else 8) or column.precision > 18
        return EXACT.scaleb(decimal.Decimal(n), -column.scale)
    form = {BOOLEAN: "<B", INT: "<i", DATE: "<i", FLOAT: "<f", DOUBLE: "<d"}.get(column.type, "<q")
    return struct.unpack(form, b)[0]


def check_page(column, values, is_null, least, greatest, nulls):
    """What the index says of a page; its bounds, None where it has none."""
    assert nulls == sum(v is None for v in values), ("nulls of a page", column.name, nulls)
    expected = ordered(values, column.type)
    assert is_null == (expected is None), ("null page", column.name)
    if expected is None:
        assert least == greatest == b""
        return None
    least, greatest = read_bound(column, least), read_bound(column, greatest)
    if column.type not in (STRING, BINARY):
        assert (least, greatest) == expected, ("bounds of a page", column.name, least, greatest, expected)
        if column.type in (FLOAT, DOUBLE):
            assert least != 0 or math.copysign(1, least) < 0, "-0.0"
            assert greatest != 0 or math.copysign(1, greatest) > 0, "+0.0"
        return least, greatest
    assert expected[0].startswith(least) and greatest >= expected[1], ("bounds of a page", column.name, least, greatest, expected)
    assert least == expected[0] or len(least) >= SHORT, ("bounds of a page", column.name, least, expected)
    assert greatest == expected[1] or SHORT < len(expected[1]) >= len(greatest) - 3, ("bounds of a page", column.name, greatest, expected)
    if column.type == STRING:
        least.decode(), greatest.decode()
    return least, greatest


def check_page_index(path, columns, table):
    """The index over the pages of each chunk, which no reader at hand shows."""
    with open(path, "rb") as f:
        data = f.read()
    footer = Thrift(data[-8 - struct.unpack("<I", data[-8:-4])[0]:-8]).value(12)
    first = 0
    for group in footer.get(4, []):
        for c, column in enumerate(columns):
            chunk = group[1][c]
            pages = Thrift(data[chunk[4]:chunk[4] + chunk[5]]).value(12)[1]
            starts = [page[3] for page in pages] + [group[3]]
            assert starts[0] == 0 and starts == sorted(starts), ("rows of pages", column.name, starts)
            assert all(a[1] + a[2] == b[1] for a, b in zip(pages, pages[1:])), ("offsets of pages", column.name)
            values = [list(leaves(table[c][first + a:first + b])) for a, b in zip(starts, starts[1:])]
            is_whole = not any(v is not None and (column.type == UUID or v != v) for page in values for v in page)
            assert (6 in chunk) == is_whole, ("index", column.name)
            if not is_whole:
                continue
            index = Thrift(data[chunk[6]:chunk[6] + chunk[7]]).value(12)
            assert all(len(index[i]) == len(pages) for i in (1, 2, 3, 5)), ("index", column.name)
            bounds = [check_page(column, *page) for page in zip(values, index[1], index[2], index[3], index[5])]
            bounds = [b for b in bounds if b is not None]
            rising = all(a[0] <= b[0] and a[1] <= b[1] for a, b in zip(bounds, bounds[1:]))
            falling = all(a[0] >= b[0] and a[1] >= b[1] for a, b in zip(bounds, bounds[1:]))
            assert index[4] != 1 or rising, ("order of pages", column.name, bounds)
            assert index[4] != 2 or falling, ("order of pages", column.name, bounds)
            assert index[4] != 0 or column.type in (STRING, BINARY) or not (rising or falling), ("order of pages", column.name, bounds)
        first += group[3]


def check_filters(path, columns, table, rnd):
    """DuckDB skips row groups and pages by their statistics: it has to find what is there."""
    for c, column in enumerate(columns):
        if column.is_list or column.type not in (INT, LONG, STRING, DOUBLE, DECIMAL) or not table[c]:
            continue
        value = rnd.choice(table[c])
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            continue
        asked = value.decode() if isinstance(value, bytes) else value
        if isinstance(asked, str) and ("\0" in asked):
            continue
        for op, fits in (("=", lambda v: v == value), ("<", lambda v: v < value), (">", lambda v: v > value or v != v)):
            n = duckdb.execute(f'SELECT count(*) FROM read_parquet(?) WHERE "{column.name}" {op} ?', [path, asked]).fetchone()[0]
            expected = sum(v is not None and fits(v) for v in table[c])
            assert n == expected, (column.name, op, value, n, expected)


def run_case(program, path, seed):
    rnd = random.Random(seed)
    columns = [Column(rnd, i) for i in range(rnd.randint(1, 8))]
    nrows = rnd.choice([0, 1, 2, 7, 100, 1000, 5000])
    table = [[column.cell() for _ in range(nrows)] for column in columns]
    options = [rnd.choice([0, 1, 3]), rnd.choice([1, 10, 1000, 10**6]) if nrows <= 100 else rnd.choice([999, 10**6]),
               rnd.choice([1000, 32 << 20]) if nrows <= 1000 else 32 << 20,
               rnd.choice([1, 8, 100, 20000]), rnd.choice([64, 1 << 20]), rnd.choice([10, 2000, 1 << 20])]
    case = text(path.encode()) + b"".join(map(u32, options)) + u32(len(columns))
    for c in columns:
        case += text(c.name.encode()) + b"".join(map(u32, [c.type, c.required, c.is_list, c.id, c.element_id, c.precision, c.scale]))
    case += u32(nrows) + b"".join(encode(c, table[i][r]) for r in range(nrows) for i, c in enumerate(columns))
    program.stdin.write(case)
    program.stdin.flush()
    lines = [program.stdout.readline().decode().rstrip("\n") for _ in range(len(columns) + 1)]
    assert lines[-1], "the writer died"

    rows, size = map(int, lines[-1].split(" ")[:2])
    assert rows == nrows and size == os.path.getsize(path), lines[-1]
    got = pq.read_table(path, page_checksum_verification=True)
    assert got.num_rows == nrows and got.column_names == [c.name for c in columns]
    for i, column in enumerate(columns):
        field = got.schema.field(i)
        assert field.metadata[b"PARQUET:field_id"] == str(column.id).encode() and field.nullable != column.required
        if column.type != UUID:
            arrow = pa.decimal128(column.precision, column.scale) if column.type == DECIMAL else ARROW[column.type]
            assert (field.type.value_type if column.is_list else field.type) == arrow, field
        cells = [c for chunk in got.column(i).chunks for c in raw(chunk, column.type)]
        assert cells == [bits(c, column.type) for c in table[i]], ("cells", column.name, column.type)
        check_bounds(column, leaves(table[i]), lines[i])
    check_statistics(path, columns, table)
    check_page_index(path, columns, table)
    there = duckdb.execute("SELECT count(*)%s FROM read_parquet(?)" %
                           "".join(f', count("{c.name}")' for c in columns), [path]).fetchone()
    assert list(there) == [nrows] + [sum(c is not None for c in cells) for cells in table], there
    check_filters(path, columns, table, rnd)


def main():
    cases, seed = (int(x) for x in (sys.argv[3:] + [300, 1][len(sys.argv) - 3:]))
    program = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    path = os.path.join(sys.argv[2], "case.parquet")
    differ = 0
    for case in range(cases):
        try:
            run_case(program, path, seed * 1_000_000 + case)
        except Exception as error:
            differ += 1
            print(f"case {case} of seed {seed}: {type(error).__name__} {error}"[:2000])
            if program.poll() is not None or differ >= 5:
                break
    print(f"{cases} files of seed {seed} read by pyarrow and DuckDB: {differ} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
