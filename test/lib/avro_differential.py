#!/usr/bin/env python3
"""Random Avro schemas, readers made of them by evolution, and random data:
decoded by core/ (avro_cases.c) and by fastavro, which must agree; and encoded
again by core/ from the columns, which fastavro must read as before.

Usage: avro_differential.py PROGRAM [CASES [SEED]]   (a case that differs is printed whole)

The data are encoded here, with blocks of all forms, so that fastavro is asked
only to read.  Columns are the fields of the reader's schema, or of records in
it by path, of every type that takes them.  Where fastavro departs from the
specification the generator stays away: a branch that a type is promoted to
stands behind the one that is the same type, aliases are not ambiguous, and
items of collections stay compatible, since it judges empty ones too."""
import datetime
import decimal
import io
import json
import math
import random
import struct
import subprocess
import sys

import fastavro

TEXT, INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC, BOOL, TIMESTAMPTZ, DATE, UUID, JSONB = range(1, 13)
ARRAY = 32  # and the type of the elements
ISO, UNIT_S = 4, 1
EPOCH = datetime.datetime(2000, 1, 1)
NAMED = ("record", "enum", "fixed")
LOGICAL = {"date": "int", "time-millis": "int", "time-micros": "long", "timestamp-millis": "long", "timestamp-micros": "long",
           "local-timestamp-millis": "long", "local-timestamp-micros": "long", "uuid": "string", "decimal": "bytes"}


def kind(schema):
    return schema if isinstance(schema, str) else "union" if isinstance(schema, list) else schema["type"]


class Maker:
    """One case: writer's schema, reader's schema, datum."""

    def __init__(self, rng):
        self.rng, self.names, self.defined, self.renamed = rng, 0, {}, {}

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    # --- Writer's schemas.
    def type(self, depth, in_union=False):
        rng = self.rng
        choice = rng.random()
        if depth > 3 or choice < 0.45:
            return rng.choice(["boolean", "int", "long", "float", "double", "bytes", "string", "string", "null"])
        if choice < 0.60:
            logical = rng.choice(sorted(LOGICAL))
            schema = {"type": LOGICAL[logical], "logicalType": logical}
            if logical == "decimal":
                schema["precision"] = rng.randint(1, 40)
                schema["scale"] = rng.randint(0, schema["precision"])
            return schema
        if choice < 0.66:
            return self.keep({"type": "enum", "name": self.full("E"), "symbols": self.symbols()})
        if choice < 0.72:
            size = rng.choice([0, 1, 4, 12, 16])
            schema = {"type": "fixed", "name": self.full("F"), "size": size}
            if size == 4 and rng.random() < 0.5:
                schema.update(logicalType="decimal", precision=9, scale=rng.randint(0, 9))
            return self.keep(schema)
        if choice < 0.78:
            return {"type": "array", "items": self.type(depth + 1)}
        if choice < 0.83:
            return {"type": "map", "values": self.type(depth + 1)}
        if choice < 0.93 and not in_union:
            return self.union(depth)
        if choice < 0.96 and self.defined:
            return rng.choice(sorted(self.defined))
        return self.record(depth)

    def full(self, prefix):
        # always with a namespace, so that a name means the same wherever it stands
        return self.rng.choice(["p.", "n.", "n.m."]) + self.name(prefix)

    def keep(self, schema):
        self.defined[schema["name"]] = schema
        return schema

    def symbols(self):
        return [f"S{i}" for i in sorted(self.rng.sample(range(8), self.rng.randint(1, 5)))]

    def union(self, depth):
        rng = self.rng
        branches = []
        seen = set()
        for _ in range(rng.randint(1, 3)):
            before = dict(self.defined)
            branch = self.type(depth + 1, True)
            resolved = self.defined.get(branch, branch) if isinstance(branch, str) else branch
            key = resolved["name"] if kind(resolved) in NAMED else kind(resolved)
            # what another is promoted to would be ambiguous
            if key in ("string", "bytes"):
                key = "string"
            if key not in seen and kind(branch) != "union" and not (key == "null"):
                branches.append(branch)
                seen.add(key)
            else:
                self.defined = before
        order = ["int", "long", "float", "double"]
        branches.sort(key=lambda b: order.index(kind(b)) if kind(b) in order else -1)
        if rng.random() < 0.7 or not branches:
            branches.insert(0 if rng.random() < 0.8 else len(branches), "null")
        return branches

    def record(self, depth):
        rng = self.rng
        schema = {"type": "record", "name": self.full("R"), "fields": []}
        recursive = rng.random() < 0.15
        for _ in range(rng.randint(0 if depth else 1, 5)):
            schema["fields"].append({"name": self.name("f"), "type": self.type(depth + 1)})
        if recursive:
            schema["fields"].append({"name": self.name("f"), "type": ["null", schema["name"]]})
        return self.keep(schema)

    # --- Readers made of them.
    def evolve(self, schema, strict=False):
        """What a reader has instead; 'strict': only what always resolves."""
        rng = self.rng
        if isinstance(schema, str) and schema in self.defined:
            # its definition may be in a field that the reader has left out
            return self.renamed[schema] if schema in self.renamed else self.evolve_one(self.defined[schema], strict)
        if isinstance(schema, dict) and schema.get("name") in self.renamed:
            return self.renamed[schema["name"]]     # its definition came earlier, where it was referred to
        if isinstance(schema, list):
            if not strict and rng.random() < 0.1:
                return self.evolve(schema[0], True)
            return [self.evolve(b, True) for b in schema]
        if not strict and rng.random() < 0.02:
            return rng.choice(["boolean", {"type": "enum", "name": "q." + self.name("X"), "symbols": ["S1"]}])
        new = self.evolve_one(schema, strict)
        if not strict and rng.random() < 0.1 and kind(new) not in ("union", "null"):
            new = ["null", new] if rng.random() < 0.5 else [new, "null"]
        return new

    def evolve_one(self, schema, strict):
        rng = self.rng
        k = kind(schema)
        if isinstance(schema, str):
            promotions = {"int": ["long", "float", "double"], "long": ["float", "double"], "float": ["double"],
                          "string": ["bytes"], "bytes": ["string"]}.get(schema, [])
            return rng.choice(promotions) if promotions and not strict and rng.random() < 0.3 else schema
        if k == "array":
            return {"type": "array", "items": self.evolve(schema["items"], True)}
        if k == "map":
            return {"type": "map", "values": self.evolve(schema["values"], True)}
        if k not in NAMED:
            return dict(schema)
        new = dict(schema)
        if rng.random() < 0.2:
            new["name"] = "q." + self.name("N")
            new["aliases"] = [schema["name"]]
        elif rng.random() < 0.2:
            new["name"] = "other." + schema["name"].split(".")[-1]
        self.renamed[schema["name"]] = new["name"]
        if k == "enum" and rng.random() < 0.5:
            new["symbols"] = self.symbols()
            if rng.random() < 0.7 or strict:
                new["default"] = rng.choice(new["symbols"])
        if k == "record":
            self.evolve_record(schema, new)
        return new

    def evolve_record(self, schema, new):
        rng = self.rng
        fields = []
        for field in schema["fields"]:
            if rng.random() < 0.15:
                continue
            reader = {"name": field["name"], "type": self.evolve(field["type"])}
            if rng.random() < 0.15:
                reader["aliases"] = [field["name"], self.name("x")]
                reader["name"] = self.name("r")
            fields.append(reader)
        if rng.random() < 0.3:
            rng.shuffle(fields)
            # a name is defined before it is referred to: shuffled only where nothing is named
            if any(has_named(f["type"], self.defined, self.renamed) for f in fields):
                fields.sort(key=lambda f: [g["name"] for g in schema["fields"]].index((f.get("aliases") or [f["name"]])[0]))
        for _ in range(rng.choice([0, 0, 1, 2])):
            added = {"name": self.name("a"), "type": rng.choice(["int", "string", "double", "boolean", "bytes", ["null", "int"], ["string", "null"],
                     {"type": "array", "items": "long"}, {"type": "map", "values": "string"}])}
            if rng.random() < 0.93:
                added["default"] = self.default(added["type"])
            fields.append(added)
        new["fields"] = fields

    def default(self, schema):
        rng = self.rng
        return {"int": rng.randint(-2**31, 2**31 - 1), "string": "d\u00e9f\u20acault"[:rng.randint(0, 8)], "double": rng.choice([0, -1.5, 1e300]),
                "boolean": rng.random() < 0.5, "bytes": "\u00ff\u0001a", "union": None if kind(schema) == "union" and schema[0] == "null" else "u",
                "array": [rng.randint(-5, 5) for _ in range(rng.randint(0, 3))] if kind(schema) == "array" else None,
                "map": {"k": "v"} if rng.random() < 0.5 else {}}[kind(schema)]

    # --- Data, encoded.
    def encode(self, schema, out, depth=0):
        rng = self.rng
        if isinstance(schema, str) and schema in self.defined:
            schema = self.defined[schema]
        k = kind(schema)
        logical = None if isinstance(schema, (str, list)) else schema.get("logicalType")
        if k == "null":
            return
        if k == "boolean":
            out.write(bytes([rng.randint(0, 1)]))
        elif k in ("int", "long"):
            out.write(varint(self.integer(k, logical)))
        elif k in ("float", "double"):
            value = rng.choice([0.0, -0.0, 0.1, 1e10, -3.5, rng.uniform(-1e6, 1e6), rng.uniform(-1, 1) * 1e30, 1.5, 16777217.0])
            if rng.random() < 0.01:
                value = rng.choice([math.nan, math.inf, -math.inf])
            out.write(struct.pack("<f" if k == "float" else "<d", value))
        elif k in ("bytes", "string"):
            value = self.decimal(schema) if logical == "decimal" else self.characters(k, logical)
            out.write(varint(len(value)) + value)
        elif k == "fixed":
            out.write(self.decimal(schema) if logical == "decimal" else bytes(rng.randint(1, 255) for _ in range(schema["size"])))
        elif k == "enum":
            out.write(varint(rng.randrange(len(schema["symbols"]))))
        elif k == "union":
            branch = rng.randrange(len(schema))
            if depth > 6 and "null" in schema:
                branch = schema.index("null")
            out.write(varint(branch))
            self.encode(schema[branch], out, depth + 1)
        elif k == "record":
            for field in schema["fields"]:
                self.encode(field["type"], out, depth + 1)
        else:
            self.blocks(schema, out, depth)

    def blocks(self, schema, out, depth):
        rng = self.rng
        for _ in range(0 if depth > 8 else rng.choice([0, 1, 1, 2])):
            n = rng.randint(1, 3)
            block = io.BytesIO()
            for i in range(n):
                if kind(schema) == "map":
                    key = f"k{self.name('')}\u00e9".encode()
                    block.write(varint(len(key)) + key)
                self.encode(schema["items"] if kind(schema) == "array" else schema["values"], block, depth + 1)
            data = block.getvalue()
            out.write((varint(-n) + varint(len(data)) if rng.random() < 0.3 else varint(n)) + data)
        out.write(varint(0))

    def integer(self, k, logical):
        rng = self.rng
        if logical == "date":
            return rng.randint(-700000, 2900000)
        if logical == "time-millis":
            return rng.randrange(86400000)
        if logical == "time-micros":
            return rng.randrange(86400000000)
        if logical and logical.endswith("millis"):
            return rng.randint(-62000000000000, 253000000000000)
        if logical:
            return rng.randint(-62000000000000000, 253000000000000000)
        bits = 31 if k == "int" else 63
        return rng.choice([0, 1, -1, 2**bits - 1, -2**bits, rng.randint(-100, 100), rng.randint(-2**bits, 2**bits - 1),
                           rng.randint(-40000, 40000)])

    def decimal(self, schema):
        """Within its precision: fastavro cuts what is beyond."""
        most = 10 ** self.rng.randint(1, schema["precision"]) - 1
        value = self.rng.randint(-most, most)
        size = schema.get("size", value.bit_length() // 8 + 1 + self.rng.choice([0, 0, 3]))
        return value.to_bytes(size, "big", signed=True)

    def characters(self, k, logical):
        rng = self.rng
        if logical == "uuid":
            h = f"{rng.getrandbits(128):032x}"
            return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}".encode()
        if k == "string" or rng.random() < 0.7:
            text = "".join(rng.choice(["a", "Z", "0", " ", "\"", "\\", "\n", "\u00e9", "\u20ac", "\U0001f600"]) for _ in range(rng.choice([0, 1, 5, 8, 20])))
            if rng.random() < 0.01:
                text += "\0"
            return text.encode()
        return bytes(rng.randint(1, 255) for _ in range(rng.choice([0, 1, 7, 30])))


def has_named(schema, defined, renamed):
    """Does a type define or refer to a named type?"""
    if isinstance(schema, list):
        return any(has_named(s, defined, renamed) for s in schema)
    if isinstance(schema, str):
        return schema in defined or schema in renamed.values()
    return kind(schema) in NAMED or any(has_named(schema[p], defined, renamed) for p in ("items", "values") if p in schema)


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


# --- Columns.
def columns(rng, schema, prefix=""):
    """(path, type, unit) for each field, or for the parts of it."""
    result = []
    for field in schema["fields"]:
        path = prefix + field["name"]
        inner = field["type"]
        if isinstance(inner, list) and len(inner) == 2 and "null" in inner:
            inner = inner[1 - inner.index("null")]
        if kind(inner) == "record" and inner["fields"] and rng.random() < 0.5:
            result += columns(rng, inner, path + ".")
        else:
            result.append((path, *column_type(rng, inner)))
    return result


def column_type(rng, schema):
    k = kind(schema)
    logical = None if isinstance(schema, (str, list)) else schema.get("logicalType")
    if rng.random() < 0.3:
        return JSONB, 0
    if k == "array" and rng.random() < 0.7:
        items = schema["items"]
        if isinstance(items, list) and len(items) == 2 and "null" in items:
            items = items[1 - items.index("null")]
        typ, unit = column_type(rng, items) if kind(items) not in ("array", "bytes", "union") else (JSONB, 0)
        if typ != JSONB:
            return typ | ARRAY, unit
    if logical:
        return {"date": DATE, "uuid": UUID, "decimal": NUMERIC, "time-millis": TEXT, "time-micros": TEXT}.get(logical, TIMESTAMPTZ), ISO
    fits = {"boolean": [BOOL], "int": [INT2, INT4, INT8, FLOAT8, NUMERIC], "long": [INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC],
            "float": [FLOAT4, FLOAT8, NUMERIC], "double": [FLOAT4, FLOAT8, NUMERIC], "string": [TEXT], "bytes": [TEXT], "enum": [TEXT],
            "array": [TEXT], "map": [TEXT]}
    return rng.choice(fits.get(k, [JSONB])), 0


def f32(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.inf


# --- What fastavro says, in the terms of columns.
class Unholdable(Exception):
    """A value that no column can hold: expected to be refused."""


def plain(value, schema, named):
    """Its value as JSON is compared: by the reader's schema where Python's types do not tell."""
    if isinstance(schema, str):
        schema = named.get(schema, schema)
    k = kind(schema)
    if k == "union":
        return plain_union(value, schema, named)
    if isinstance(value, (list, tuple)):
        return [plain(v, schema["items"], named) for v in value]
    if k == "record":
        return {f["name"]: plain(value[f["name"]], f["type"], named) for f in schema["fields"]}
    if isinstance(value, dict):
        return {name: plain(v, schema["values"], named) for name, v in value.items()}
    if k == "bytes" and isinstance(value, str):
        value = value.encode("latin-1")      # a default
    if isinstance(value, bytes):
        if b"\0" in value:
            raise Unholdable
        return value.decode("latin-1")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unholdable
        return ("float", f32(value)) if k == "float" else value
    if isinstance(value, str) and "\0" in value:
        raise Unholdable
    if isinstance(value, datetime.datetime):
        return ("time", value.replace(tzinfo=None), value.tzinfo is not None)
    if isinstance(value, datetime.date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    if isinstance(value, datetime.time):
        return ("day", value)
    if isinstance(value, decimal.Decimal):
        return ("decimal", value)
    if hasattr(value, "hex") and hasattr(value, "urn"):
        return str(value)
    return value


def is_of_record(value, record):
    """Can a record have been read as this, rather than a map?"""
    return set(value) == {f["name"] for f in record["fields"]} and \
        not any(isinstance(value[f["name"]], float) and kind(f["type"]) in ("int", "long") for f in record["fields"])


def plain_union(value, schema, named):
    if value is None:
        return None
    branches = [named.get(b, b) if isinstance(b, str) else b for b in schema]
    for b in sorted(branches, key=lambda b: kind(b) != "record"):    # what is a record may look like a map
        k = kind(b)
        if k == "record" and isinstance(value, dict) and not is_of_record(value, b):
            continue
        fits = {"boolean": bool, "int": int, "long": int, "float": float, "double": float, "bytes": bytes, "string": str, "record": dict,
                "map": dict, "array": list, "enum": str, "fixed": bytes, "null": type(None)}[k]
        if isinstance(value, fits) and not (fits is int and isinstance(value, bool)):
            return plain(value, b, named)
    return plain(value, "string", named)


def same(expected, got):
    if isinstance(expected, tuple):
        what = expected[0]
        if what == "float":
            return isinstance(got, (int, float, decimal.Decimal)) and f32(float(got)) == expected[1]
        if what == "decimal":
            return isinstance(got, (int, decimal.Decimal)) and decimal.Decimal(got) == expected[1]
        if what == "time":
            return isinstance(got, str) and datetime.datetime.fromisoformat(got.rstrip("Z")) == expected[1] and got.endswith("Z") == expected[2]
        return isinstance(got, str) and datetime.time.fromisoformat(got) == expected[1]
    if isinstance(expected, dict):
        return isinstance(got, dict) and expected.keys() == got.keys() and all(same(expected[k], got[k]) for k in expected)
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, float) or isinstance(got, decimal.Decimal):
        return isinstance(got, (int, decimal.Decimal)) and not isinstance(got, bool) and float(got) == float(expected)
    return type(expected) is type(got) and expected == got


def matches(column, expected, line):
    """Does an answer's line hold what fastavro has?"""
    typ = column[1]
    if expected is None:
        return line == "N"
    if line in ("A", "N"):
        return False
    if typ & ARRAY:
        items = line[2:].split("|") if line != "L " else []
        return line.startswith("L ") and isinstance(expected, list) and len(items) == len(expected) and \
            all(matches((column[0], typ & ~ARRAY, column[2]), e, i) for e, i in zip(expected, items))
    tag, text = (line + " ").split(" ", 1)
    text = text.strip()
    if tag == "I":
        value = int(text)
        if typ == TIMESTAMPTZ:
            return isinstance(expected, tuple) and EPOCH + datetime.timedelta(microseconds=value) == expected[1]
        if typ == DATE:
            return str(EPOCH.date() + datetime.timedelta(days=value)) == expected
        return value == expected and isinstance(expected, bool) == (typ == BOOL)
    if tag == "F":
        value = float.fromhex(text)
        wanted = expected[1] if isinstance(expected, tuple) else float(expected)
        return value == (f32(wanted) if typ == FLOAT4 else wanted)
    data = bytes.fromhex(text)
    if typ == UUID:
        return data.hex() == expected.replace("-", "")
    if typ == NUMERIC:
        return same(expected, decimal.Decimal(data.decode()))
    if typ == JSONB or isinstance(expected, (dict, list)):
        return same(expected, json.loads(data.decode(), parse_float=decimal.Decimal))
    if isinstance(expected, tuple):
        return same(expected, data.decode())
    return data.decode() == expected


def walk(value, path):
    for name in path.split("."):
        if value is None:
            return None
        value = value[name]
    return value


def out_of_range(typ, value):
    """Does the column refuse a value that Avro has?"""
    if typ in (INT2, INT4) and isinstance(value, int):
        return not -(1 << 8 * typ - (1 if typ == INT2 else -7)) <= value < 1 << 15 if typ == INT2 else not -2**31 <= value < 2**31
    if typ == FLOAT4 and isinstance(value, float):
        return math.isinf(f32(value)) or (f32(value) == 0 and value != 0)
    return False


def scalars(cols, wanted):
    """Columns with their values; the elements of arrays, each as one."""
    for c, w in zip(cols, wanted):
        if c[1] & ARRAY and isinstance(w, list):
            yield from (((c[0], c[1] & ~ARRAY, c[2]), v) for v in w)
        else:
            yield c, w


def check(case, lines, named):
    """None when both say the same, else what fastavro says."""
    writer, reader, cols, datum = case
    try:
        value = fastavro.schemaless_reader(io.BytesIO(datum), fastavro.parse_schema(json.loads(json.dumps(writer))),
                                           fastavro.parse_schema(json.loads(json.dumps(reader))))
    except Exception as error:           # whatever it raises, it cannot read this
        return None if lines[0].startswith("bad_value") or "A" in lines else f"raises {error!r}"
    try:
        expected = plain(value, reader, named)
    except Unholdable:
        # a text column of bytes holds UTF-8 and a jsonb of a string a NUL no more
        return None if lines[0].startswith("bad_value") else ("skip" if text_of_bytes(value, cols) else "what no column holds")
    wanted = [walk(expected, c[0]) for c in cols]
    if lines[0].startswith("bad_value"):
        if any(out_of_range(c[1], w) for c, w in scalars(cols, wanted)):
            return None
        if "not UTF-8" in lines[0]:
            return None if any(c[1] == TEXT and isinstance(w, str) and not_utf8(w) for c, w in scalars(cols, wanted)) else f"{value!r}"
        return f"{value!r}"
    if len(lines) != len(cols):
        return f"{value!r}"
    for column, w, line in zip(cols, wanted, lines):
        if column[1] == TEXT and isinstance(w, str) and is_bytes(reader, column[0], named) and line.startswith("B"):
            w = w.encode("latin-1").decode("utf-8", "replace")
        if not matches(column, w, line):
            return f"{column[0]}: {w!r}, not {line}"
    return None


def text_of_bytes(value, cols):
    return any(c[1] == TEXT and isinstance(walk(value, c[0]), bytes) for c in cols)


def not_utf8(text):
    try:
        text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return True
    return False


def is_bytes(reader, path, named):
    """Is the field at the path bytes?"""
    schema = reader
    for name in path.split("."):
        schema = next(f for f in schema["fields"] if f["name"] == name)["type"]
        if isinstance(schema, list):
            schema = next(b for b in schema if b != "null")
    return kind(schema) == "bytes"


def named_types(schema, found):
    if isinstance(schema, list):
        for branch in schema:
            named_types(branch, found)
    elif isinstance(schema, dict):
        if kind(schema) in NAMED:
            found[schema["name"]] = schema
        for field in schema.get("fields", []):
            named_types(field["type"], found)
        for part in ("items", "values"):
            if part in schema:
                named_types(schema[part], found)
    return found


def make_case(seed):
    rng = random.Random(seed)
    maker = Maker(rng)
    writer = maker.record(0)
    reader = maker.evolve_one(writer, True) if rng.random() < 0.9 else writer
    if not reader["fields"]:
        reader = writer
    out = io.BytesIO()
    maker.encode(writer, out)
    return writer, reader, columns(rng, reader), out.getvalue()


def packed(case):
    writer, reader, cols, datum = case

    def string(data):
        return struct.pack("<I", len(data)) + data

    head = string(json.dumps(writer).encode()) + string(json.dumps(reader).encode()) + struct.pack("<I", len(cols))
    return head + b"".join(string(p.encode()) + struct.pack("<II", t, u) for p, t, u in cols) + string(datum)


def holds_nothing(schema, named):
    """Is there but one value of the type?"""
    schema = named.get(schema, schema) if isinstance(schema, str) else schema
    return kind(schema) == "null" or (kind(schema) == "record" and all(holds_nothing(f["type"], named) for f in schema["fields"]))


def has_empty_branch(schema, named):
    """Is there a record that holds nothing in a union?"""
    if isinstance(schema, list):
        return any(b != "null" and holds_nothing(b, named) for b in schema) or any(has_empty_branch(b, named) for b in schema)
    if isinstance(schema, str):
        return False
    return any(has_empty_branch(f["type"], named) for f in schema.get("fields", [])) or \
        any(has_empty_branch(schema[p], named) for p in ("items", "values") if p in schema)


def check_written(case, lines, written, named):
    """None when fastavro reads the record that was written of the columns as it read the one they were read from.

    Which branch of a union it was no column tells when one of them is a record that holds nothing.
    """
    if written.startswith("R"):
        # a field without column and default; a default or promotion of the reader's that the writer's type does not hold
        return None if written[:3] in ("R 1", "R 4") else written
    produced = bytes.fromhex(written[2:])
    wrong = check((case[0], case[1], case[2], produced), lines, named)
    return None if wrong in (None, "skip") or has_empty_branch(case[0], named_types(case[0], {})) else f"written {written}: {wrong}"


def main():
    program, count, seed = sys.argv[1], int((sys.argv + [0, 0, 10000])[2] or 10000), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    differ = refused = written = 0
    for start in range(0, count, 500):
        cases = [make_case(seed * 1000000007 + i) for i in range(start, min(start + 500, count))]
        run = subprocess.run([program], input=b"".join(map(packed, cases)), capture_output=True, check=False)
        answers = run.stdout.decode().split("\n\n")
        if run.returncode != 0 or len(answers) != len(cases) + 1:
            print(f"the program ended with {run.returncode} at case {start + len(answers) - 1}: {run.stderr.decode()[-2000:]}")
            return 1
        for i, (case, answer) in enumerate(zip(cases, answers)):
            lines = answer.strip("\n").split("\n")
            record = lines.pop() if lines[-1][:2] in ("E ", "R ") else None
            wrong = check(case, lines, named_types(case[1], {}))
            if wrong is None and record is not None:
                wrong = check_written(case, lines, record, named_types(case[1], {}))
                written += record.startswith("E")
            refused += lines[0][:1] not in "ANIBF"
            if wrong not in (None, "skip"):
                differ += 1
                if differ <= 5:
                    print(f"case {start + i} of seed {seed}\nwriter {json.dumps(case[0])}\nreader {json.dumps(case[1])}\n"
                          f"columns {case[2]}\ndatum {case[3].hex()}\nours {lines}\nfastavro {wrong}\n")
    print(f"{count} cases of seed {seed}: {differ} differ, {refused} refused by both, {written} written back")
    return 1 if differ or refused * 4 > count or written * 3 < count else 0


if __name__ == "__main__":
    sys.exit(main())
