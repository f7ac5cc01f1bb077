#!/usr/bin/env python3
"""The cases of cases.tsv: pairs of Avro schemas, made from the rules of the specification's "Schema
Resolution" and from what registries are known to get wrong.

Usage: generate.py > pairs.tsv        (name, reader's schema, writer's schema)
       compare.py --accept ...        puts Avro's verdicts behind them, which makes cases.tsv"""
import itertools
import json
import random

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
CASES = []


def case(name, reader, writer):
    CASES.append((name, reader, writer))


def both(name, one, other):
    case(name, one, other)
    case(name + " (back)", other, one)


def record(name, *fields, **more):
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name, type_, **more):
    return {"name": name, "type": type_, **more}


def enum(name, symbols, **more):
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(name, size, **more):
    return {"type": "fixed", "name": name, "size": size, **more}


def array(items):
    return {"type": "array", "items": items}


def map_(values):
    return {"type": "map", "values": values}


# Where a pair of types stands: at the root, in a field, and so on.
PLACES = {
    "root": lambda t: t,
    "field": lambda t: record("R", field("before", "int"), field("x", t)),
    "items": array,
    "values": map_,
    "nullable": lambda t: ["null", t],
    "deep": lambda t: record("R", field("x", array(record("S", field("y", map_(t)))))),
    "nullable record": lambda t: record("R", field("x", ["null", record("S", field("y", t))], default=None)),
}


def everywhere(name, reader, writer, places=PLACES):
    for place in places:
        if place == "nullable" and "null" in (reader, writer):
            continue
        case(f"{name}, {place}", PLACES[place](reader), PLACES[place](writer))


def kinds():
    """Each kind of type against each: promotions and nothing else."""
    types = {p: p for p in PRIMITIVES}
    types.update({"record": record("N", field("a", "int")), "enum": enum("N", "AB"), "fixed": fixed("N", 4),
                  "array": array("int"), "map": map_("int"), "union": ["null", "int"]})
    for (r, reader), (w, writer) in itertools.product(types.items(), types.items()):
        case(f"kinds: {r} reads {w}", reader, writer)
    for r, w in [("long", "int"), ("int", "long"), ("double", "float"), ("float", "double"), ("float", "long"), ("string", "bytes"),
                 ("bytes", "string"), ("string", "int"), ("null", "int"), ("boolean", "int"), ("int", "int")]:
        everywhere(f"promotion: {r} reads {w}", r, w)


def names():
    """Named types: unqualified names must be equal, or an alias of the reader be the writer's full name."""
    makers = {"record": lambda n, **m: record(n, field("a", "int"), **m), "enum": lambda n, **m: enum(n, "AB", **m),
              "fixed": lambda n, **m: fixed(n, 4, **m)}
    for kind, make in makers.items():
        pairs = {
            "same": (make("N"), make("N")), "other": (make("M"), make("N")), "case": (make("n"), make("N")),
            "other namespace": (make("a.N"), make("b.N")), "namespace and none": (make("a.N"), make("N")),
            "alias": (make("M", aliases=["N"]), make("N")), "alias of the writer": (make("N"), make("M", aliases=["N"])),
            "alias within the namespace": (make("M", namespace="a", aliases=["N"]), make("a.N")),
            "alias misses the namespace": (make("M", namespace="a", aliases=["N"]), make("N")),
            "full alias": (make("b.M", aliases=["a.N"]), make("a.N")),
            "full alias of another namespace": (make("b.M", aliases=["c.N"]), make("a.N")),
            "several aliases": (make("M", aliases=["X", "Y", "N"]), make("N")),
            "alias short of the namespace": (make("M", aliases=["N"]), make("a.N")),
        }
        for name, (reader, writer) in pairs.items():
            everywhere(f"{kind} names: {name}", reader, writer, ["root", "field", "nullable", "items"])


def enums():
    sets = ["", "A", "AB", "BA", "ABC", "BCD"]
    for r, w in itertools.product(sets, sets):
        case(f"enum: {r or 'none'} reads {w or 'none'}", enum("E", r), enum("E", w))
        if r:
            case(f"enum: {r} by default reads {w or 'none'}", enum("E", r, default=r[0]), enum("E", w))
    everywhere("enum: default of the writer does not help", enum("E", "A"), enum("E", "AB", default="A"))
    everywhere("enum: symbol removed", enum("E", "A"), enum("E", "AB"))
    everywhere("enum: symbol removed, with default", enum("E", "A", default="A"), enum("E", "AB"))
    everywhere("enum: symbol added", enum("E", "ABC"), enum("E", "AB"))
    everywhere("enum: other name, with default", enum("F", "A", default="A"), enum("E", "AB"))
    # The default of the enum is not one of the field: Avro calls it a TYPE_MISMATCH, we the missing default it is.
    case("enum-default-field: field missing", record("R", field("e", enum("E", "AB", default="A"))), record("R"))
    case("enum-default-field: with others", record("R", field("e", enum("E", "AB", default="A")), field("f", "int")), record("R"))
    case("enum field missing, field default", record("R", field("e", enum("E", "AB", default="A"), default="B")), record("R"))
    case("enum field missing, no default", record("R", field("e", enum("E", "AB"))), record("R"))


def fixeds():
    for r, w in itertools.product([0, 1, 4, 16], repeat=2):
        case(f"fixed: {r} reads {w}", fixed("F", r), fixed("F", w))
    everywhere("fixed: size", fixed("F", 4), fixed("F", 5))
    everywhere("fixed: size and name", fixed("G", 4), fixed("F", 5))
    everywhere("fixed: bytes", fixed("F", 4), "bytes")
    everywhere("fixed: logical type only", fixed("F", 16), fixed("F", 16, logicalType="uuid"))


def records():
    a, b = field("a", "int"), field("b", "string")
    for name, reader, writer in [
            ("same", [a, b], [a, b]), ("other order", [b, a], [a, b]), ("removed", [a], [a, b]), ("added", [a, b], [a]),
            ("added, default", [a, field("b", "string", default="")], [a]), ("all removed", [], [a, b]), ("all added", [a, b], []),
            ("added, null default", [a, field("b", ["null", "string"], default=None)], [a]),
            ("added, nullable without default", [a, field("b", ["null", "string"])], [a]),
            ("added, null", [a, field("b", "null")], [a]), ("added, null with default", [a, field("b", "null", default=None)], [a]),
            ("added, record default", [a, field("b", record("In", a), default={"a": 1})], [a]),
            ("added, record of defaults without one", [a, field("b", record("In", field("c", "int", default=1)))], [a]),
            ("added, empty array", [a, field("b", array("int"), default=[])], [a]),
            ("added, empty map", [a, field("b", map_("int"), default={})], [a]),
            ("default of the writer does not help", [a, b], [a, field("c", "string", default="")]),
            ("default, but the type differs", [field("a", "int", default=1)], [field("a", "string")]),
            ("several wrong", [field("a", "string"), b, field("c", enum("E", "A"))], [a, field("c", enum("E", "B"))]),
            ("made nullable", [field("a", ["null", "int"])], [a]), ("made nullable and wider", [field("a", ["null", "long"])], [a]),
            ("nullable no more", [a], [field("a", ["null", "int"])]), ("case of the name", [field("A", "int")], [a]),
            ("alias", [field("c", "int", aliases=["a"])], [a, b]), ("alias of the writer", [a], [field("c", "int", aliases=["a"])]),
            ("alias, other type", [field("c", "int", aliases=["b"])], [a, b]), ("alias, promoted", [field("c", "long", aliases=["a"])], [a]),
            ("alias not written", [field("c", "int", aliases=["x"])], [a]),
            ("alias not written, default", [field("c", "int", aliases=["x"], default=1)], [a]),
            ("two aliases, one written", [field("c", "int", aliases=["x", "a"])], [a]),
            ("same alias twice", [field("c", "int", aliases=["a", "a"])], [a]),
            ("alias shared by two fields", [field("c", "int", aliases=["a"]), field("d", "int", aliases=["a"])], [a]),
            ("swapped by aliases", [field("x", "int", aliases=["a"]), field("y", "string", aliases=["b"])], [b, a]),
            ("ambiguous: name and alias", [field("a", "int", aliases=["c"])], [a, field("c", "int")]),
            ("ambiguous: two aliases", [field("x", "int", aliases=["a", "c"])], [a, field("c", "int")]),
            ("ambiguous: alias is the name", [field("a", "int", aliases=["a"])], [a]),
            ("order and doc do not matter", [field("a", "int", order="descending", doc="d")], [a]),
            ("logical type does not matter", [field("a", {"type": "int", "logicalType": "date"})], [a]),
            ("logical types differ", [field("a", {"type": "long", "logicalType": "timestamp-micros"})],
             [field("a", {"type": "long", "logicalType": "timestamp-millis"})]),
            ("decimals differ", [field("a", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2})],
             [field("a", {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 4})])]:
        for place in ("root", "items", "nullable", "nullable record"):
            case(f"fields: {name}, {place}", PLACES[place](record("Q", *reader)), PLACES[place](record("Q", *writer)))
    case("ambiguous in a branch not needed", [record("Q", field("a", "int", aliases=["c"])), record("P", field("a", "int"))],
         record("P", field("a", "int"), field("c", "int")))
    case("ambiguous behind a branch that fits", [record("P", field("a", "int")), record("Q", field("a", "int", aliases=["c"]))],
         record("P", field("a", "int"), field("c", "int")))
    case("error reads record", {**record("Q", a), "type": "error"}, record("Q", a))
    case("one type, used twice", record("Q", field("x", record("S", a)), field("y", "S")), record("Q", field("x", record("S", a)), field("y", "S")))
    case("one type, used twice, wrong", record("Q", field("x", record("S", b)), field("y", "S")), record("Q", field("x", record("S", a)), field("y", "S")))


def unions():
    parts = [["null"], ["int"], ["long"], ["string"], ["null", "int"], ["int", "null"], ["null", "long"], ["int", "string"],
             ["string", "bytes"], ["float", "double"], ["null", "int", "string"], ["long", "string"]]
    for r, w in itertools.product(parts, parts):
        case(f"union: {'|'.join(r)} reads {'|'.join(w)}", r, w)
    for r, w in itertools.product(["int", "long", "double", "string", "bytes", "null"], parts):
        both(f"union: {r} and {'|'.join(w)}", r, w)
    one, more = record("A", field("x", "int")), record("A", field("x", "int"), field("y", "int"))
    other, given = record("B", field("x", "int")), record("A", field("x", "int"), field("y", "int", default=0))
    branches = {"A": [one], "A+": [more], "A+default": [given], "B": [other], "A|B": [one, other], "A+|B": [more, other], "null|A": ["null", one],
                "null|A+": ["null", more], "null|A+default": ["null", given], "n.A": [{**one, "name": "n.A"}], "A|n.A": [one, {**more, "name": "n.A"}],
                "n.A|A": [{**more, "name": "n.A"}, one], "C alias A": [{**one, "name": "C", "aliases": ["A"]}]}
    for (r, reader), (w, writer) in itertools.product(branches.items(), branches.items()):
        case(f"records in unions: {r} reads {w}", reader, writer)
    case("union: enum branch with fewer symbols", ["null", enum("E", "A")], ["null", enum("E", "AB")])
    case("union: enum branch with default", ["null", enum("E", "A", default="A")], ["null", enum("E", "AB")])
    case("union: fixed of another size", [fixed("F", 1), fixed("G", 2)], fixed("F", 2))
    case("union: fixed found by name", [fixed("F", 1), fixed("G", 2)], fixed("G", 2))
    case("union: array in union", ["null", array("long")], ["null", array("int")])
    case("union: array in union, wrong", ["null", array("int")], ["null", array("long")])
    case("union: empty writer's record", ["null", record("A", field("x", "int", default=1))], [record("A")])
    case("union: in items", array(["null", "string"]), array(["null", "int"]))
    case("union in field, branch removed", record("R", field("x", ["null", "int"])), record("R", field("x", ["null", "int", "string"])))
    case("union in field, branch added", record("R", field("x", ["null", "int", "string"])), record("R", field("x", ["null", "int"])))


def recursive():
    def node(*more, name="Node", value="int", link=None):
        return record(name, field("value", value), field("next", link or ["null", name]), *more)

    wide = node(value="long")
    case("recursive: same", node(), node())
    both("recursive: wider", wide, node())
    both("recursive: in a list", array(wide), array(node()))
    both("recursive: field added", node(field("z", "int")), node())
    both("recursive: field added with default", node(field("z", "int", default=0)), node())
    case("recursive: other name", node(name="Other"), node())
    case("recursive: alias", {**node(name="Other"), "aliases": ["Node"]}, node())
    case("recursive: not nullable", node(link="Node"), node(link="Node"))
    case("recursive: nullable for not", node(), node(link="Node"))
    case("recursive: not for nullable", node(link="Node"), node())
    case("recursive: tree for list", record("Node", field("value", "int"), field("next", ["null", array("Node")])), node())
    case("recursive: children", record("T", field("c", array("T"))), record("T", field("c", array("T")), field("d", "int")))
    case("recursive: children, new field", record("T", field("c", array("T")), field("d", "int")), record("T", field("c", array("T"))))

    def mutual(last, **more):
        return record("A", field("b", ["null", record("B", field("a", ["null", "A"]), field("c", last), **more)]))

    case("mutual: same", mutual("int"), mutual("int"))
    both("mutual: wider", mutual("long"), mutual("int"))
    both("mutual: wrong", mutual("string"), mutual("int"))
    case("mutual: alias", record("A", field("b", ["null", record("X", field("a", ["null", "A"]), field("c", "int"), aliases=["B"])])), mutual("int"))
    # What is judged while a pair is open counts as readable, also when the pair is lost later.
    case("open pair: lost later", record("A", field("u", [record("B", field("a", "A")), "null"]), field("z", "int")),
         record("A", field("u", [record("B", field("a", "A")), "null"])))
    case("open pair: reached again by a branch",
         record("A", field("u", ["null", record("B", field("a", ["null", "A"]))]), field("v", ["null", "B"]), field("z", "int")),
         record("A", field("u", ["null", record("B", field("a", ["null", "A"]))]), field("v", ["null", "B"])))
    case("open pair: remembered in a union",
         record("R", field("x", [record("A", field("b", ["null", record("B", field("a", ["null", "A"]))]), field("z", "int")), "null"]), field("y", ["null", "B"])),
         record("R", field("x", ["null"]), field("y", ["null", record("B", field("a", ["null", record("A", field("b", ["null", "B"]))]))])))
    for n in (2, 3):
        ring = None
        for i in range(n, 0, -1):
            ring = record(f"L{i}", field("v", "int"), field("next", ["null", ring if ring else "L1"]))
        case(f"recursive: ring of {n} reads a loop", {**json.loads(json.dumps(ring).replace('"L', '"K'))}, ring)


def invalid():
    """What is no schema: neither side may take it."""
    for name, bad in [("default of another type", record("R", field("a", "int", default="x"))),
                      ("null default of an int", record("R", field("a", "int", default=None))),
                      ("number as the default of a string", record("R", field("a", "string", default=1))),
                      ("fraction as the default of an int", record("R", field("a", "int", default=1.5))),
                      ("default of an enum that is no symbol", enum("E", "A", default="B")),
                      ("default beyond the union's branches", record("R", field("a", ["null", "int"], default="x"))),
                      ("items of a default", record("R", field("a", array("int"), default=["x"]))),
                      ("record default that lacks a field", record("R", field("a", record("S", field("b", "int")), default={}))),
                      ("two branches of a kind", ["int", "int"]), ("union in a union", ["null", ["int"]]), ("unknown type", "Nope"),
                      ("two fields of a name", record("R", field("a", "int"), field("a", "int"))), ("symbol that is no name", enum("E", ["a-b"])),
                      ("field that is no name", record("R", field("a-b", "int"))), ("type twice", [record("R"), record("R")])]:
        both(f"invalid: {name}", bad, record("R", field("a", "int")))
    for name, good in [("null default in a union", record("R", field("a", ["null", "int"], default=None))),
                       ("first branch's default", record("R", field("a", ["int", "null"], default=3))),
                       ("whole number as the default of a double", record("R", field("a", "double", default=1))),
                       ("bytes default", record("R", field("a", "bytes", default="\u00ff")))]:
        both(f"valid: {name}", good, record("R"))


class Random:
    """A schema, and what may become of it."""

    def __init__(self, seed):
        self.rng, self.count = random.Random(seed), 0

    def type(self, depth=0, in_union=False):
        pick = self.rng.random()
        if depth > 2 or pick < 0.4:
            return self.rng.choice(PRIMITIVES)
        self.count += 1
        name = f"T{self.count}"
        if pick < 0.6:
            return record(name, *[field(f"f{i}", self.type(depth + 1)) for i in range(self.rng.randint(0, 3))])
        if pick < 0.7:
            return enum(name, self.rng.sample("ABCDE", self.rng.randint(1, 4)))
        if pick < 0.75:
            return fixed(name, self.rng.choice([2, 4]))
        if pick < 0.9 or in_union:
            return self.rng.choice([array, map_])(self.type(depth + 1))
        kinds_seen, branches = set(), []
        for _ in range(self.rng.randint(1, 4)):
            branch = self.type(depth + 1, True)
            key = branch if isinstance(branch, str) else branch["type"] if isinstance(branch, dict) else "union"
            if key != "union" and (key in ("record", "enum", "fixed") or key not in kinds_seen):
                kinds_seen.add(key)
                branches.append(branch)
        return branches or "int"

    def evolve(self, schema):
        rng = self.rng
        if rng.random() < 0.03:
            self.count += 1
            return self.type(2)
        if isinstance(schema, str):
            wider = {"int": ["long", "double"], "long": ["float"], "float": ["double"], "string": ["bytes"], "bytes": ["string"]}
            return rng.choice(wider[schema]) if schema in wider and rng.random() < 0.15 else schema
        if isinstance(schema, list):
            branches = [b for b in (self.evolve(b) for b in schema) if not isinstance(b, list)]
            seen, unique = set(), []
            for b in branches:
                key = b if isinstance(b, str) else b["name"] if "name" in b else b["type"]
                if key not in seen and not (rng.random() < 0.05 and unique):
                    seen.add(key)
                    unique.append(b)
            return unique or schema
        out = dict(schema)
        if "name" in out and rng.random() < 0.08:
            out["name"], old = out["name"] + "x", out["name"]
            if rng.random() < 0.6:
                out["aliases"] = [old]
        if out["type"] == "array":
            out["items"] = self.evolve(out["items"])
        elif out["type"] == "map":
            out["values"] = self.evolve(out["values"])
        elif out["type"] == "fixed" and rng.random() < 0.08:
            out["size"] += 1
        elif out["type"] == "enum":
            out["symbols"] = [s for s in out["symbols"] if rng.random() > 0.06] or ["Z"]
            if rng.random() < 0.3:
                out["default"] = out["symbols"][0]
        elif out["type"] == "record":
            out["fields"] = [self.evolve_field(f) for f in out["fields"] if rng.random() > 0.1]
            if rng.random() < 0.2:
                out["fields"].append(field("added", "int", **({"default": 7} if rng.random() < 0.7 else {})))
            rng.shuffle(out["fields"])
        return out

    def evolve_field(self, one):
        out = {**one, "type": self.evolve(one["type"])}
        if self.rng.random() < 0.08:
            out["name"] = one["name"] + "x"
            if self.rng.random() < 0.6:
                out["aliases"] = [one["name"]]
        return out


def random_pairs(n):
    for seed in range(n):
        maker = Random(seed)
        writer = record("Top", *[field(f"f{i}", maker.type()) for i in range(maker.rng.randint(1, 4))])
        both(f"random {seed}", maker.evolve(writer), writer)


def main():
    for part in (kinds, names, enums, fixeds, records, unions, recursive, invalid):
        part()
    random_pairs(200)
    assert len({name for name, _, _ in CASES}) == len(CASES), "two cases have one name"
    for name, reader, writer in CASES:
        print(name, json.dumps(reader, separators=(",", ":")), json.dumps(writer, separators=(",", ":")), sep="\t")


main()
