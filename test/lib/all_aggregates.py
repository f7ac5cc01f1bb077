#!/usr/bin/env python3
"""Every aggregate of pg_catalog in feature views, compared with PostgreSQL's executor.

    all_aggregates.py --dsn DSN [--extra]

For each aggregate calls are built from its declaration: over each type a
stream can have that it takes, over expressions of other types where it takes
none of these, and with DISTINCT, ORDER BY and FILTER.  Each call is a feature,
computed natively where there is such a form, and once more with
feature_stream.force_replay.  Prints a line an aggregate:

    works  avg(integer)  4 calls, 4 natively
    works  max(inet)  4 calls, 0 natively, over expressions
    cannot foo(bar)  <the error message>
    not ok max(text): what differs

--extra takes aggregates from the list EXTRA instead, made by the user or by an
extension, each as it is.
"""
import argparse
import random
import sys

import psycopg2

from random_views import connect, count_late, create, events, read_expected, read_rows, send

EVENTS = 220
VIEWS = 15                      # made at first, twice each; a stream can have 32

# Values of each type, from the columns of a stream where streams have the type, else by an expression.
VALUES = {
    "smallint": "small", "integer": "qty", "bigint": "big", "real": "score4", "double precision": "score", "numeric": "price",
    "text": "item", "boolean": "flag", "date": "day", "timestamp with time zone": "at", "uuid": "uid", "jsonb": "doc",
    "interval": "qty * interval '1 hour'", "timestamp without time zone": "at AT TIME ZONE 'UTC'",
    "time without time zone": "(at AT TIME ZONE 'UTC')::time", "time with time zone": "(at AT TIME ZONE 'UTC')::time::timetz",
    "money": "'12.50'::money * qty", "bytea": "decode(md5(item), 'hex')", "inet": "'10.0.0.0'::inet + qty", "oid": "qty::oid",
    "tid": "('(' || qty || ',1)')::tid", "character": "item::bpchar", "xid8": "qty::text::xid8",
    "pg_lsn": "'0/10'::pg_lsn + qty::numeric", "xml": "xmlelement(name x, item)", "bit": "qty::bit(8)", "json": "doc::json",
    "anyenum": "CASE qty % 3 WHEN 0 THEN 'low'::level WHEN 1 THEN 'high'::level END", "anyarray": "ARRAY[qty, 1]",
    "anyrange": "int4range(qty, qty + 3)", "anymultirange": "int4multirange(int4range(qty, qty + 3), int4range(20, 21))",
}
STREAM_TYPES = ["smallint", "integer", "bigint", "real", "double precision", "numeric", "text", "boolean", "date",
                "timestamp with time zone", "uuid", "jsonb"]
POLYMORPHIC = {'"any"', "anyelement", "anynonarray"}
NO_EQUALITY = {"xml", "json"}
NO_KEY = {"json_object_agg", "jsonb_object_agg"}    # their first argument must not be null
HYPOTHETICAL = {"text": "'i3'", "integer": "4", "double precision": "0.5", "numeric": "7.0"}

EXTRA_SETUP = """
CREATE FUNCTION last_item_step(state text, item text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN RETURN coalesce(item, state); END';
CREATE AGGREGATE last_item(text) (SFUNC = last_item_step, STYPE = text);
CREATE FUNCTION product_step(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT RETURN $1 * (1 + $2 / 1000);
CREATE AGGREGATE product(float8) (SFUNC = product_step, STYPE = float8, INITCOND = '1');
CREATE AGGREGATE sum_product(numeric, numeric) (SFUNC = sum_product_step, STYPE = numeric, INITCOND = '0');
CREATE AGGREGATE smallest(anyelement) (SFUNC = smallest_step, STYPE = anyelement);
CREATE AGGREGATE nth_item(int ORDER BY text) (SFUNC = nth_step, STYPE = text[], INITCOND = '{}', FINALFUNC = nth_final);
CREATE EXTENSION tdigest;
"""
EXTRA_FUNCTIONS = """
CREATE FUNCTION sum_product_step(numeric, numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT RETURN $1 + $2 * $3;
CREATE FUNCTION smallest_step(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT least($1, $2)';
CREATE FUNCTION nth_step(text[], text) RETURNS text[] LANGUAGE sql IMMUTABLE RETURN $1 || $2;
CREATE FUNCTION nth_final(text[], int) RETURNS text LANGUAGE sql IMMUTABLE RETURN (SELECT x FROM unnest($1) x ORDER BY x OFFSET $2 LIMIT 1);
"""
EXTRA = ["last_item(item)", "last_item(item ORDER BY price, item)", "last_item(item) FILTER (WHERE flag)", "product(score)",
         "product(DISTINCT score4)", "sum_product(price, qty)", "smallest(day)", "smallest(price)",
         "nth_item(2) WITHIN GROUP (ORDER BY item)", "tdigest_percentile(score, 100, 0.9)",
         "tdigest_percentile(score4, 50, ARRAY[0.1, 0.5])", "tdigest_percentile_of(price, 100, 50.0) FILTER (WHERE flag)",
         "tdigest(score, 20)"]


class Query:
    """A feature view of given features, in the form that random_views.py compares."""
    entity = ["user_id"]
    where = None
    slide = 60
    windows = [300]

    def __init__(self, features):
        self.features = features

    def view_sql(self):
        return "SELECT user_id AS e0,\n " + ",\n ".join(f"{f} AS f{i}" for i, f in enumerate(self.features)) \
            + "\n FROM events GROUP BY user_id"

    def condition(self):
        return "true"


def values_of(declared):
    """Types and values for an argument of a declared type."""
    if declared in POLYMORPHIC:
        return [(t, VALUES[t]) for t in STREAM_TYPES]
    return [(declared, VALUES[declared])]


def calls_of(name, kind, direct, types):
    """Calls of an aggregate.  types: the declared ones."""
    if not types:
        return [f"{name}(*)", f"{name}(*) FILTER (WHERE flag)"]
    if kind == "h":
        return [f"{name}({v}) WITHIN GROUP (ORDER BY {VALUES[t]}{order})"
                for t, v in HYPOTHETICAL.items() for order in ("", " DESC NULLS LAST")]
    if kind == "o":
        fractions = {"double precision": ["0.5", "0.31"], "double precision[]": ["ARRAY[0, 0.9]"]}
        directs = fractions[types[0]] if direct else [""]
        return [f"{name}({d}) WITHIN GROUP (ORDER BY {v}{order})"
                for d in directs for t, v in values_of(types[-1]) for order in ("", " DESC")]
    result = []
    for i, (t, v) in enumerate(values_of(types[0])):
        rest = [VALUES["text" if x in POLYMORPHIC else x] for x in types[1:]]
        if name in NO_KEY:
            v = f"coalesce({v}::text, '')"
        arguments = ", ".join([v] + rest)
        result.append(f"{name}({arguments})")
        if i < 2:
            result += [f"{name}({arguments} ORDER BY price DESC, item)", f"{name}({arguments}) FILTER (WHERE qty > 3)"]
        if not NO_EQUALITY & {t} and (i < 2 or name == "array_agg"):
            result.append(f"{name}(DISTINCT {arguments})")
    return result


def needs_expression(types):
    """Are there no columns of a stream that an aggregate of these types takes, as they are or converted?"""
    return any(t not in STREAM_TYPES and t not in POLYMORPHIC for t in types)


def catalog_calls(cursor):
    """(aggregate, calls, note) of pg_catalog, in order of their names."""
    cursor.execute("""
        SELECT p.proname, p.oid::regprocedure::text, aggkind, aggnumdirectargs,
               ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes::oid[]) WITH ORDINALITY u(t, n) ORDER BY n)
          FROM pg_aggregate a JOIN pg_proc p ON p.oid = aggfnoid
         WHERE p.pronamespace = 'pg_catalog'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C" """)
    return [(r[1], calls_of(r[0], r[2], r[3], r[4]), ", over expressions" if needs_expression(r[4][r[3]:]) else "")
            for r in cursor.fetchall()]


def make_views(cursor, calls):
    """Makes views of these calls, twice each; returns [(names, query)] and {call: error} of those that cannot be."""
    made = []
    refused = {}
    size = -(-len(calls) // VIEWS)
    pending = [calls[i:i + size] for i in range(0, len(calls), size)]
    while pending:
        part = pending.pop(0)
        query = Query(part)
        names = [f"view_{len(made)}", f"replay_{len(made)}"]
        try:
            for name in names:
                create(cursor, name, query)
            made.append((names, query))
        except psycopg2.Error as e:
            if len(part) == 1:
                refused[part[0]] = str(e).splitlines()[0]
            else:
                pending[:0] = [part[:len(part) // 2], part[len(part) // 2:]]
    return made, refused


def differences(cursor, name, query, expected):
    """{call: what differs} between a view's history and the executor's rows."""
    found = read_rows(cursor, query, f"{name}_history")
    wrong = {}
    for key in set(expected) | set(found):
        is_, should = found.get(key), expected.get(key)
        for i, call in enumerate(query.features):
            if all(row[i] is None for row in expected.values()):
                wrong[call] = "  it never has a value, so nothing was compared"
            elif is_ is None or should is None or is_[i] != should[i]:
                wrong[call] = f"  {name} at {key}\n    expected {should and should[i]}\n    history  {is_ and is_[i]}"
    return wrong


def native_calls(cursor, made):
    """Those of the calls that have a native form."""
    calls = set()
    for names, query in made:
        cursor.execute("SELECT feature, strategy FROM feature_stream.explain_feature_view(%s) WHERE feature ~ '^f[0-9]+$'", (names[0],))
        calls |= {query.features[int(feature[1:])] for feature, strategy in cursor.fetchall() if strategy == "native"}
        cursor.execute("SELECT count(*) FROM feature_stream.explain_feature_view(%s) WHERE strategy = 'native'", (names[1],))
        assert cursor.fetchone()[0] == 0, "feature_stream.force_replay does not work"
    return calls


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--extra", action="store_true")
    args = parser.parse_args()
    rows = events(random.Random(4), EVENTS)
    cursor = connect(args.dsn, rows)
    cursor.execute("CREATE TYPE level AS ENUM ('low', 'high')")
    if args.extra:
        cursor.execute(EXTRA_FUNCTIONS + EXTRA_SETUP)
    aggregates = [(call, [call], "") for call in EXTRA] if args.extra else catalog_calls(cursor)
    made, refused = make_views(cursor, [call for _, calls, _ in aggregates for call in calls])
    native = native_calls(cursor, made)
    frontier = send(cursor, EVENTS, count_late(rows, [query for _, query in made]))
    wrong = {}
    for names, query in made:
        expected = read_expected(cursor, query, frontier)
        for name in names:
            wrong.update(differences(cursor, name, query, expected))
    for aggregate, calls, note in aggregates:
        good = [call for call in calls if call not in refused and call not in wrong]
        for call in calls:
            if call in wrong:
                print(f"not ok {aggregate}: {call}\n{wrong[call]}")
            if call in refused:
                print(f"cannot {call}  {refused[call]}")
        if good:
            print(f"works  {aggregate}  {len(good)} calls, {len(native & set(good))} natively{note}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
