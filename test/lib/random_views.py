#!/usr/bin/env python3
"""Random feature views over random events, compared with PostgreSQL's executor.

    random_views.py --dsn DSN --seed N [--views N] [--events N] [--own] [--both] [--partials SHARE]

Makes a table stream and N random feature views, lets the engine compute their
history, and compares every row of it with the same query run by PostgreSQL
over the events of each window: which rows there are, every value, and what
becomes NULL because it raises.  Some events are late: for some windows, or for all of them.  The view is read too and compared with the
newest row, verify_feature_view() has to find nothing, and <view>_live at some
point on the way is compared as well.  With --both each view is made twice, the
second time with feature_stream.force_replay, so that native = replay = executor.
Prints one line a view, "ok" or "not ok" with the differences;
exits 1 when there was one.  The same seed makes the same views and events.
"""
import argparse
import random
import sys
import time

import psycopg2

START = 1705320000          # 2024-01-15 12:00:00 UTC
NUMBERS = ["qty", "big", "small", "price", "score", "score4"]
INTEGERS = ["qty", "big", "small"]
ANY = NUMBERS + ["item", "flag", "at", "day", "uid", "word"]
SORTABLE = NUMBERS + ["item", "at", "day", "uid", "word"]
DELAY = 30                  # of the watermark, in seconds

# The words sort as a language does, the names are equal whatever their case.
COLUMNS = """user_id text NOT NULL, shop int NOT NULL, item text, price numeric, qty int, big bigint, small smallint,
 score float8, score4 real, flag boolean, day date, uid uuid, doc jsonb, word text COLLATE "und-x-icu", name text COLLATE no_case,
 at timestamptz NOT NULL"""


class Query:
    """One random query: SQL for the view, SQL for the executor, and which events it cannot count."""

    def __init__(self, rnd, own, partials):
        self.rnd = rnd
        self.own = own
        self.raises = []                # conditions on an event: it is not counted
        self.entity = rnd.choice([["user_id"], ["user_id"], ["user_id", "shop"], ["shop"], ["lower(user_id)"],
                                  ["user_id", "shop % 2"], ["substr(user_id, 1, 2)"], ["upper(item)"], ["(100 / shop)", "user_id"]])
        if self.entity[0] == "upper(item)":
            self.raises.append("item IS NULL")
        if self.entity[0] == "(100 / shop)":
            self.raises.append("shop = 0")
        self.where = rnd.choice([None, None, None, "qty > 3", "item IS NOT NULL AND flag", "price < 80 OR score > 0",
                                 "user_id <> 'u1'", "at::date = '2024-01-15'", "name < 'BB'"])
        if rnd.random() < 0.1:
            self.where = "100 / qty > 20"
            self.raises.append("qty = 0")
        slide = rnd.choice([60, 60, 120, 300])
        self.slide = slide
        kind = rnd.random()
        sliced = kind < partials        # all of them of the kind that needs no events
        condensed = own and not sliced and kind > 0.8       # all of them of the kind whose states can be combined
        self.windows = sorted(rnd.sample([slide, 2 * slide, 5 * slide, 30 * slide] + [86400, 2 * 86400] * (sliced or condensed), rnd.randint(1, 3)))
        if condensed and self.windows[-1] < 3600:
            self.windows[-1] = 86400
        self.keeps = "partials" if sliced or condensed else "events"
        self.features = [self.mergeable() if sliced else self.combinable(i) if condensed else self.feature()
                         for i in range(rnd.randint(1, 8))]

    def filter(self):
        if self.rnd.random() < 0.7:
            return "", None
        f = self.rnd.choice(["flag", "qty > 4", "score < 0", "item LIKE 'i1%'", "shop = 1 AND flag IS NOT TRUE", "name = 'AB'"])
        if self.rnd.random() < 0.1:
            f = "10 / qty > 2"
            self.raises.append("qty = 0")
            return f" FILTER (WHERE {f})", "CASE WHEN qty = 0 THEN false ELSE 10 / qty > 2 END"
        return f" FILTER (WHERE {f})", f

    def argument(self, columns):
        """A column or an expression, and when that raises."""
        r = self.rnd
        c = r.choice(columns)
        if r.random() < 0.75:
            return c, None
        if c in INTEGERS and r.random() < 0.2:
            return f"1000 / {c}", f"{c} = 0"
        if c in ("score", "score4", "price") and r.random() < 0.3:
            return r.choice([f"CASE WHEN flag THEN 'NaN' ELSE {c} END", f"CASE WHEN qty = 3 THEN '-Infinity' ELSE {c} END",
                             f"CASE WHEN shop = 1 THEN 'Infinity' ELSE {c} END", f"-{c}"]), None
        if c in NUMBERS:
            return r.choice([f"{c} + 1", f"{c} * 2", f"abs({c})", f"CASE WHEN flag THEN {c} END", f"coalesce({c}, 7)"]), None
        if c == "item":
            return r.choice(["upper(item)", "item || user_id", "coalesce(item, 'none')", "left(item, 2)"]), None
        return c, None

    def aggregate(self):
        r = self.rnd
        clause, condition = self.filter()

        def arg(columns):
            text, raises = self.argument(columns)
            if raises:
                self.raises.append(f"({condition}) AND {raises}" if condition else raises)
            return text

        kind = r.random()
        if kind < 0.45:                 # those with native forms, mostly
            text = r.choice([
                lambda: "count(*)", lambda: f"count({arg(ANY)})", lambda: f"count(DISTINCT {arg(SORTABLE + ['name'])})",
                lambda: f"sum({arg(NUMBERS)})", lambda: f"avg({arg(NUMBERS)})",
                lambda: f"min({arg(NUMBERS + ['item', 'at', 'day', 'word', 'name'])})",
                lambda: f"max({arg(NUMBERS + ['item', 'at', 'day', 'word', 'name'])})",
                lambda: f"array_agg({arg(ANY)})", lambda: f"mode() WITHIN GROUP (ORDER BY {arg(SORTABLE)})",
                lambda: f"{r.choice(['stddev', 'stddev_samp', 'stddev_pop'])}({arg(NUMBERS)})",
                lambda: f"{r.choice(['variance', 'var_samp', 'var_pop'])}({arg(NUMBERS)})",
                lambda: "bool_and(flag)", lambda: "bool_or(flag)", lambda: "every(flag)",
                lambda: f"{r.choice(['bit_and', 'bit_or', 'bit_xor'])}({r.choice(INTEGERS)})",
                lambda: f"string_agg({arg(['item'])}, {r.choice([chr(39) + ', ' + chr(39), 'user_id', 'NULL'])})",
            ])()
            return text + clause
        if kind < 0.7:                  # sorted, without duplicates
            return self.sorted_aggregate(arg) + clause
        if kind < 0.8 and self.own:
            text = r.choice([
                lambda: f"feature_stream.top_k({arg(SORTABLE)}, {r.randint(1, 5)})",
                lambda: f"feature_stream.last_n({arg(ANY)}, {r.randint(1, 5)})",
                lambda: f"feature_stream.first_n({arg(ANY)}, {r.randint(1, 5)})",
                lambda: f"feature_stream.distinct_n({arg(SORTABLE)}, {r.randint(1, 5)})",
                lambda: f"feature_stream.approx_count_distinct({arg(SORTABLE)})",
                lambda: f"feature_stream.approx_percentile({arg(NUMBERS)}, 0.9)",
                lambda: f"feature_stream.approx_top_k({arg(SORTABLE)}, {r.randint(1, 5)})",
            ])()
            return text + clause
        order = r.choice(["ASC", "DESC", "DESC NULLS LAST"])
        text = r.choice([
            lambda: f"array_agg({arg(ANY)} ORDER BY {arg(SORTABLE)} {order})",
            lambda: f"array_agg(DISTINCT {arg(SORTABLE)})",
            lambda: f"sum(DISTINCT {arg(NUMBERS)})",
            lambda: "string_agg(item, ',')", lambda: f"string_agg(item, '-' ORDER BY {arg(SORTABLE)}, item)",
            lambda: f"percentile_cont({r.choice(['0.5', '0.95', '0'])}) WITHIN GROUP (ORDER BY score)",
            lambda: f"percentile_disc(0.3) WITHIN GROUP (ORDER BY {arg(SORTABLE)} {order})",
            lambda: f"percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY score)",
            lambda: f"mode() WITHIN GROUP (ORDER BY {arg(SORTABLE)} DESC)",
            lambda: f"json_agg({arg(ANY)})", lambda: f"jsonb_agg({arg(ANY)})",
            lambda: "jsonb_object_agg(coalesce(item, ''), qty)", lambda: "jsonb_object_agg(item, qty)",
            lambda: "corr(score, qty)", lambda: "regr_slope(score, qty)",
            lambda: f"{r.choice(['covar_pop', 'covar_samp', 'regr_r2', 'regr_count', 'regr_avgx'])}({arg(NUMBERS)}, score4)",
            lambda: "rank(3) WITHIN GROUP (ORDER BY qty)", lambda: "dense_rank(0.5) WITHIN GROUP (ORDER BY score)",
            lambda: f"array_agg(ROW(qty, item)::text)", lambda: "range_agg(int4range(qty, qty + 2))",
            lambda: "max(doc ->> 'a')", lambda: "count(DISTINCT doc)", lambda: "sum((doc ->> 'n')::int)",
            lambda: "array_agg(at::text)", lambda: "min(to_char(at, 'HH24:MI'))",
        ])()
        return text + clause

    def sorted_aggregate(self, arg):
        r = self.rnd

        def keys(n):
            return ", ".join(arg(SORTABLE) + r.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]) for _ in range(n))

        number = ["sum", "avg", "count", "min", "max", "array_agg", "stddev", "var_pop"]
        fraction = r.choice(["0", "0.5", "0.31", "0.95", "1", "ARRAY[0.1, 0.9]", "ARRAY[[0.5, NULL], [1, 0.25]]", "ARRAY[]::float8[]"])
        way = r.choice(["", " DESC", " NULLS FIRST", " USING <"])
        return r.choice([
            lambda: f"{r.choice(number)}(DISTINCT {arg(NUMBERS)})",
            lambda: f"{r.choice(number)}({arg(NUMBERS)} ORDER BY {keys(r.randint(1, 3))})",
            lambda: f"array_agg({arg(ANY)} ORDER BY {keys(r.randint(1, 3))})",
            lambda: f"array_agg(DISTINCT {arg(SORTABLE)})",
            lambda: (lambda c: f"array_agg(DISTINCT {c} ORDER BY {c}{way})")(arg(SORTABLE)),
            lambda: f"string_agg(item, '-' ORDER BY {keys(r.randint(1, 2))})",
            lambda: r.choice(["string_agg(DISTINCT item, ',')", "string_agg(DISTINCT item, ',' ORDER BY item DESC)",
                              "string_agg(DISTINCT item, user_id ORDER BY item, user_id)"]),
            lambda: f"jsonb_agg({arg(ANY)} ORDER BY {keys(1)})", lambda: f"jsonb_agg(DISTINCT {arg(['doc', 'price', 'item'])})",
            lambda: f"{r.choice(['bit_xor', 'bit_or'])}(DISTINCT {r.choice(INTEGERS)})",
            lambda: f"bool_and(flag ORDER BY {keys(1)})", lambda: "count(DISTINCT 1)", lambda: "string_agg(DISTINCT 'x', '')",
            lambda: f"percentile_cont({fraction}) WITHIN GROUP (ORDER BY {arg(NUMBERS)}{way})",
            lambda: f"percentile_disc({fraction}) WITHIN GROUP (ORDER BY {arg(SORTABLE)}{way})",
            lambda: f"mode() WITHIN GROUP (ORDER BY {arg(SORTABLE)}{way})",
        ])()

    def mergeable(self):
        """An aggregate that can be put together from partial ones."""
        r = self.rnd
        clause, condition = self.filter()
        text, raises = self.argument(r.choice([INTEGERS, INTEGERS, ["price"], ["price"], ["at", "day"], ["item"], ["word"], ["score", "score4"]]))
        over = [f"count({text})", f"min({text})", f"max({text})"]
        if not any(c in text for c in ("at", "day", "item", "word", "score")):
            over += [f"{f}({text})" for f in ("sum", "avg", "sum", "avg", "stddev", "stddev_pop", "variance", "var_pop", "var_samp")]
        if self.windows[-1] >= 3600:
            over += [f"count(DISTINCT {text})"] * 2
            if not any(c in text for c in ("score", "price")):
                over += [f"mode() WITHIN GROUP (ORDER BY {text}{r.choice(['', ' DESC'])})"] * 2
        over += ["count(*)", r.choice(["bool_and(flag)", "bool_or(flag)", "every(flag)"]),
                 f"{r.choice(['bit_and', 'bit_or', 'bit_xor'])}({r.choice(INTEGERS)})"]
        if "sum(" in over[3] and r.random() < 0.2:      # several that share a state
            parts = [f"{f}({text}){clause}" for f in ("count", "sum", "avg", "var_samp", "max")]
            if raises:
                self.raises.append(f"({condition}) AND {raises}" if condition else raises)
            return "ARRAY[" + ", ".join(f"({p})::numeric" for p in r.sample(parts, r.randint(2, 5))) + "]"
        aggregate = r.choice(over)
        if raises and text in aggregate:
            self.raises.append(f"({condition}) AND {raises}" if condition else raises)
        return aggregate + clause

    def combinable(self, index):
        """An aggregate that the executor can put together from states; the first one has no partial form of its own."""
        r = self.rnd
        clause, condition = self.filter()

        def arg(columns):
            text, raises = self.argument(columns)
            if raises:
                self.raises.append(f"({condition}) AND {raises}" if condition else raises)
            return text

        alike = INTEGERS + ["item", "at", "day", "uid"]     # equal values look the same
        text = r.choice([
            lambda: f"feature_stream.approx_count_distinct({arg(SORTABLE)})",
            lambda: f"feature_stream.approx_percentile({arg(NUMBERS)}, {r.choice(['0.5', '0.99'])})",
            lambda: f"feature_stream.top_k({arg(alike)}, {r.randint(1, 5)})",
            lambda: f"sum_of_squares({arg(['qty'])})", lambda: f"largest({r.choice(['qty + 1', 'big * 2', 'upper(item)'])})",
            lambda: f"regr_count({arg(NUMBERS)}, score)",
            lambda: f"{r.choice(['sum', 'avg'])}(at - '2024-01-15 12:00:00+00'::timestamptz)",
        ] + [
            lambda: "count(*)", lambda: f"count({arg(ANY)})", lambda: f"{r.choice(['sum', 'avg'])}({arg(INTEGERS)})",
            lambda: f"{r.choice(['sum', 'avg'])}({r.choice(['price', 'price * 2', 'price + 1'])})",
            lambda: f"{r.choice(['min', 'max'])}({arg(INTEGERS + ['item', 'at', 'day'])})",
            lambda: f"{r.choice(['stddev', 'var_pop'])}({arg(INTEGERS)})", lambda: f"{r.choice(['bool_and', 'every'])}(flag)",
            lambda: f"bit_xor({r.choice(INTEGERS)})", lambda: "sum((doc ->> 'n')::int)", lambda: "max(doc ->> 'a')",
        ] * (index > 0))()
        if r.random() < 0.15:
            return f"CASE WHEN 12 / (count(*) % 4) > 5 THEN {text}{clause} END"
        return text + clause

    def feature(self):
        r = self.rnd
        if r.random() < 0.7:
            return self.aggregate()
        return r.choice([
            lambda: "max(price) - min(price)",
            lambda: "(count(*) FILTER (WHERE flag))::float8 / count(*)",
            lambda: "sum(qty) / count(*) FILTER (WHERE flag)",
            lambda: "coalesce(max(score), 0)",
            lambda: "array_length(array_agg(item), 1) + count(*)",
            lambda: f"CASE WHEN count(*) > 2 THEN avg({r.choice(NUMBERS)}) END",
            lambda: "{e0}::text || count(*)",
            lambda: "string_agg(item, ',') || {e0}::text",
            lambda: "ln(sum(score))",
            lambda: "(array_agg(item ORDER BY at, qty))[1]",
            lambda: "GREATEST(count(DISTINCT item), count(DISTINCT qty))",
        ])()

    def view_sql(self):
        entity = ", ".join(f"{e} AS e{i}" for i, e in enumerate(self.entity))
        features = ",\n ".join(f.replace("{e0}", self.entity[0]) + f" AS f{i}" for i, f in enumerate(self.features))
        where = f" WHERE {self.where}" if self.where else ""
        return f"SELECT {entity},\n {features}\n FROM events{where} GROUP BY {', '.join(self.entity)}"

    def condition(self):
        """The events that count, as SQL over truth; WHERE is looked at only where nothing raises."""
        raises = " OR ".join(f"coalesce({r}, false)" for r in self.raises) or "false"
        # An event that WHERE leaves out cannot raise; WHERE's own errors are among 'raises'.
        if self.where is None:
            return f"NOT ({raises})"
        return f"CASE WHEN {raises} THEN false ELSE coalesce({self.where}, false) END"


def events(rnd, n):
    """Rows of truth, and one far behind that lets all windows fire.

    With nulls, and disorder: up to 20 s, which is within the watermark's delay, and now and then far more.  The last but one column is
    the watermark that an event finds: it counts in windows that end after it.
    """
    def maybe(v):
        return None if rnd.random() < 0.08 else v

    def price():
        """Equal numbers come in several scales."""
        if rnd.random() < 0.03:     # more digits than 64 bits take, far apart
            return rnd.choice(["123456789012345678901234.5", "-0.00000000000000000000012", "999999999999999999", "-0.123456789012345678"])
        if rnd.random() < 0.3:
            return f"{rnd.randint(0, 5)}{rnd.choice(['', '.0', '.00'])}"
        return str(round(rnd.uniform(0, 100), rnd.randint(0, 3)))

    def wildly(v, choices):
        """Now and then a zero with a sign or, with some seeds, what overflows."""
        if rnd.random() < 0.04:
            return rnd.choice([0.0, -0.0])
        return rnd.choice(choices) if wild and rnd.random() < 0.02 else v

    wild = rnd.random() < 0.3
    rows = []
    watermark = 0
    for i in range(n):
        t = START + i * 2 - rnd.random() * (20 if rnd.random() < 0.93 else rnd.choice([200, 1500]))
        rows.append((i + 1, f"U{rnd.randint(0, 5)}" if rnd.random() < 0.1 else f"u{int(8 * rnd.random() ** 2)}",
                     rnd.randint(0, 3), maybe(f"i{rnd.randint(0, 25)}"), maybe(price()),
                     maybe(rnd.randint(0, 9)), maybe(rnd.randint(-10**12, 10**12) if rnd.random() < .5 else rnd.randint(-3, 3)),
                     maybe(rnd.randint(-3, 3)), maybe(wildly(round(rnd.gauss(0, 50), rnd.choice([0, 1, 6])), [8e307, -8e307, 1e200])),
                     maybe(wildly(rnd.randint(-40, 40) / 8, [3e38, -3e38])), maybe(rnd.random() < 0.5), maybe(f"2024-01-{rnd.randint(1, 28):02d}"),
                     maybe(f"00000000-0000-4000-8000-{rnd.randint(0, 12):012d}"),
                     maybe('{"a": "%s", "n": %d}' % (rnd.choice("xyz"), rnd.randint(0, 9))),
                     maybe(rnd.choice(["cote", "Cote", "coté", "côte", "Zoë", "zoe", "a b", "ab", "Ab", "ß", "ss", ""])),
                     maybe(rnd.choice(["ab", "Ab", "AB", "b", "B", "ba"])), watermark, round(t, 3)))
        watermark = max(watermark, round(t, 3) - DELAY)
    rows.append((10**6, "zz", 0) + (None,) * 13 + (watermark, START + n * 2 + 160 * 60))
    return rows


SETUP = """
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
SELECT feature_stream.set_test_clock('2024-01-15 15:00:00+00');
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE truth (id bigint PRIMARY KEY, %s, watermark timestamptz);
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
CREATE SERVER random_tables FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE events (%s) SERVER random_tables
  OPTIONS (table 'outbox', order_by 'id', xid 'xid', value 'value', format 'json', event_time 'at', slice '1 min',
           watermark_delay '30 s', max_future '1 hour', idle_after '1 day', start 'earliest', log_retention '7 days');
-- Aggregates of a user's that can be combined: with an initial value, and strict without one.
CREATE FUNCTION add_square(bigint, int) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN $1 + coalesce($2, 0)::bigint * coalesce($2, 0);
CREATE AGGREGATE sum_of_squares(int) (SFUNC = add_square, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, PARALLEL = SAFE);
CREATE FUNCTION larger_of(anyelement, anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
    'BEGIN RETURN CASE WHEN $1 > $2 THEN $1 ELSE $2 END; END';
CREATE AGGREGATE largest(anyelement) (SFUNC = larger_of, STYPE = anyelement, COMBINEFUNC = larger_of, PARALLEL = SAFE);
-- The text of one expression over no grouping; raised() when it raises.
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE query INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
CREATE FUNCTION try_all(query text, parts text[], source text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE result text[];
BEGIN
    BEGIN
        EXECUTE query INTO result;
        RETURN result;
    EXCEPTION WHEN OTHERS THEN
        RETURN ARRAY(SELECT try(format('SELECT (%%s)::text %%s', p, source)) FROM unnest(parts) p);
    END;
END $$;
"""


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def make_expected(q, frontier, live_end=None, whole_slides=False):
    """SQL for (entity values, window_end, feature texts window by window): the executor's answer.

    An event counts in the windows that end after the watermark that it found.

    With live_end: of the windows that end there, it included, of each entity that has events in the longest one;
    with whole_slides they begin with the slide that their beginning is in.
    """
    n = len(q.entity)
    keys = ", ".join(f"k{i}" for i in range(n))
    slide = q.slide
    in_time = f"to_timestamp(floor(extract(epoch FROM at + interval '{q.windows[-1]} s') / {slide}) * {slide}) > watermark"
    counted = (f"SELECT {', '.join(f'{e} AS k{i}' for i, e in enumerate(q.entity))}, at, watermark FROM truth"
               f" WHERE {in_time} AND {q.condition()}")
    nexts = [f"to_timestamp((floor(extract(epoch FROM {t}) / {slide}) + 1) * {slide})"
             for t in ["greatest(at, watermark)"] + [f"at + interval '{w} s'" for w in q.windows]]
    due = " UNION ".join(f"SELECT {keys}, {x} AS window_end FROM counted WHERE {x} > watermark" for x in nexts)
    if live_end:
        first = f"'{live_end}'::timestamptz + interval '1 us' - interval '{q.windows[-1]} s'"
        if whole_slides:
            first = f"to_timestamp(floor(extract(epoch FROM {first}) / {slide}) * {slide})"
        due = (f"SELECT DISTINCT {keys}, '{live_end}'::timestamptz + interval '1 us' AS window_end FROM counted"
               f" WHERE at >= {first} AND at <= '{live_end}'")
    parts = []
    for w in q.windows:
        start = "%L::timestamptz - interval ''{w} s''"
        if whole_slides:
            start = f"to_timestamp(floor(extract(epoch FROM {start}) / {slide}) * {slide})"
        source = (" FROM (SELECT * FROM truth WHERE at >= " + start + " AND at < %L AND watermark < %L AND {in_time}"
                  " AND CASE WHEN {cond} THEN {match} ELSE false END ORDER BY at, id) truth").format(
                      w=w, in_time=in_time.replace("'", "''"), cond=q.condition().replace("'", "''").replace("%", "%%"),
                      match=" AND ".join(f"({e.replace(chr(39), chr(39) * 2).replace('%', '%%')}) = %L" for e in q.entity))
        args = ", ".join(["window_end"] * 3 + [f"k{i}" for i in range(n)])
        features = [quote(f.replace("%", "%%")) for f in q.features]
        literal = "quote_literal(k0)"
        texts = "ARRAY[" + ", ".join(f"replace({f}, '{{e0}}', {literal})" for f in features) + "]"
        parts.append(f"try_all(format('SELECT ARRAY[(' || array_to_string({texts}, ')::text, (') || ')::text]' || '{source}', {args}),"
                     f" {texts}, format('{source}', {args}))")
    return (f"WITH counted AS ({counted}), due AS ({due})"
            f" SELECT {', '.join(f'k{i}::text' for i in range(n))}, extract(epoch FROM window_end)::bigint, {' || '.join(parts)}"
            f" FROM due WHERE window_end <= '{frontier}'")


def suffix(seconds):
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def read_rows(cursor, q, table, extra=""):
    columns = [f"f{i}_{suffix(w)}::text" for w in q.windows for i in range(len(q.features))]
    keys = ", ".join(f"e{i}::text" for i in range(len(q.entity)))
    cursor.execute(f"SELECT {keys}, extract(epoch FROM window_end)::bigint, ARRAY[{', '.join(columns)}] FROM {table} {extra}")
    n = len(q.entity)
    return {tuple(r[:n + 1]): r[n + 1] for r in cursor.fetchall()}


def wait(cursor, sql, seconds=180):
    for _ in range(seconds * 20):
        cursor.execute(sql)
        if cursor.fetchone()[0]:
            return
        time.sleep(0.05)
    sys.exit(f"waited in vain for {sql}")


def compare_live(cursor, view, q):
    """Differences between the view at the newest event and the executor, as lines."""
    cursor.execute("SELECT max(at) FROM truth")
    live_end = cursor.fetchone()[0]
    cursor.execute(f"SELECT count(*) FROM {view}_live WHERE window_end <> '{live_end}'")
    wrong_end = ["window_end is another"] if cursor.fetchone()[0] else []
    lines = list(wrong_end)
    found = {key[:-1]: row for key, row in read_rows(cursor, q, f"{view}_live").items()}
    for whole_slides in (False, True):      # a view of partial aggregates has whole slides alone
        cursor.execute(make_expected(q, "infinity", live_end, whole_slides))
        n = len(q.entity)
        expected = {tuple(r[:n]): r[n + 1] for r in cursor.fetchall()}
        if expected == found:
            return wrong_end
        if not whole_slides:
            lines += [f"{key}\n    expected {expected.get(key)}\n    live     {found.get(key)}"
                      for key in sorted(set(expected) | set(found)) if expected.get(key) != found.get(key)]
    return lines


def read_expected(cursor, q, frontier):
    """The executor's rows."""
    cursor.execute(make_expected(q, frontier))
    n = len(q.entity)
    return {tuple(r[:n + 1]): r[n + 1] for r in cursor.fetchall()}


def compare(cursor, view, q, expected):
    """Differences between the engine and the executor, as lines."""
    found = read_rows(cursor, q, f"{view}_history")
    lines = []
    for key in sorted(set(expected) | set(found)):
        if expected.get(key) != found.get(key):
            lines.append(f"{key} of {view}\n    expected {expected.get(key)}\n    history  {found.get(key)}")
    newest = {}
    for key in found:
        if key[:-1] not in newest or key[-1] > newest[key[:-1]]:
            newest[key[:-1]] = key[-1]
    for key, row in read_rows(cursor, q, view).items():
        if newest.get(key[:-1]) != key[-1] or found[key] != row:
            lines.append(f"{key}: {view} has {row}\n    history {found.get(key)}")
    if q.keeps == "partials" and view.startswith("view_"):
        cursor.execute(f"SELECT feature, aggregate, reason FROM feature_stream.explain_feature_view('{view}') WHERE keeps <> 'partials'")
        lines += [f"{view} keeps events: {row}" for row in cursor.fetchall()]
    cursor.execute(f"SELECT * FROM feature_stream.verify_feature_view('{view}')")
    lines += [f"verify_feature_view: {row}" for row in cursor.fetchall()]
    return lines


def names(args, number):
    """The views of one query."""
    return [f"view_{number}"] + ([f"replay_{number}"] if args.both else [])


def insert(cursor, rows):
    cursor.executemany("INSERT INTO truth VALUES (" + ", ".join(["%s"] * 16) + ", to_timestamp(%s), to_timestamp(%s))",
                       [r[:-2] + (r[-1], r[-2]) for r in rows])


def connect(dsn, rows):
    """A cursor on a database with a stream 'events', and the rows in truth; not yet sent."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET TimeZone = 'UTC'; SET search_path = public")
    cursor.execute(SETUP % (COLUMNS, COLUMNS.replace("at timestamptz", "at timestamptz OPTIONS (unit 's')")))
    insert(cursor, rows)
    return cursor


def create(cursor, name, q):
    """Makes a feature view of a query; views named replay... have no native aggregates."""
    cursor.execute("SET feature_stream.force_replay = " + ("on" if name.startswith("replay") else "off"))
    cursor.execute("SELECT feature_stream.create_feature_view(%s, %s, windows => %s::interval[], slide => %s)",
                   (name, q.view_sql(), [f"{w} s" for w in q.windows], f"{q.slide} s"))


def send_new(cursor, n):
    """Sends the rows of truth that were not sent yet, to a worker that knows all views, and waits until n in all have been read."""
    wait(cursor, """SELECT state = 'running' AND NOT EXISTS (
            SELECT FROM feature_stream.feature_view f LEFT JOIN feature_stream.stat_get_feature_view() l ON l.view = f.view::oid WHERE l.view IS NULL)
        FROM feature_stream.stat_stream""")
    cursor.execute("""INSERT INTO outbox (id, value)
        SELECT id, json_strip_nulls(json_build_object('user_id', user_id, 'shop', shop, 'item', item, 'price', price, 'qty', qty,
               'big', big, 'small', small, 'score', score, 'score4', score4, 'flag', flag, 'day', day, 'uid', uid, 'doc', doc,
               'word', word, 'name', name, 'at', extract(epoch FROM at)))::text FROM truth
         WHERE id > (SELECT coalesce(max(id), 0) FROM outbox) ORDER BY id""")
    wait(cursor, f"SELECT coalesce(sum(read_count), 0) = {n} FROM feature_stream.stat_partition")


def count_late(rows, queries):
    """How many events have no window to count in, in any view."""
    return sum(all((r[-1] + q.windows[-1]) // q.slide * q.slide <= r[-2] for q in queries) for r in rows)


def send(cursor, n, late):
    """Sends the rows of truth, n and one far behind; returns the frontier when all their windows have fired, and 'late' events were refused."""
    send_new(cursor, n + 1)
    cursor.execute("SELECT feature_stream.checkpoint_stream('events')")
    wait(cursor, "SELECT durable_frontier >= to_timestamp(%d) FROM feature_stream.stat_stream" % (START + n * 2 + 43 * 60))
    cursor.execute("SELECT durable_frontier FROM feature_stream.stat_stream")
    frontier = cursor.fetchone()[0]
    cursor.execute("SELECT (SELECT sum(dead_letter_count) FROM feature_stream.stat_partition), count(*)"
                   " FROM feature_stream.dead_letter WHERE reason = 'late'")
    counts = cursor.fetchone()
    assert counts == (late, late), f"{counts} dead letters, late ones; not {late}"
    return frontier


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--events", type=int, default=800)
    parser.add_argument("--both", action="store_true", help="make each view twice, with native aggregates and without")
    parser.add_argument("--partials", type=float, default=0.5, help="share of views whose aggregates need no events")
    parser.add_argument("--own", action="store_true", help="use the extension's own aggregates too")
    args = parser.parse_args()
    rnd = random.Random(args.seed)
    rows = events(rnd, args.events)
    cursor = connect(args.dsn, rows[:-1])
    queries = []
    failed = 0
    for v in range(args.views):
        q = Query(rnd, args.own, args.partials)
        try:
            for name in names(args, v):
                create(cursor, name, q)
        except psycopg2.Error as e:
            print(f"not ok seed {args.seed} view {v}: {e}\n{q.view_sql()}")
            failed += 1
            continue
        queries.append((v, q))
    send_new(cursor, args.events)
    live = {v: [line for name in names(args, v) for line in compare_live(cursor, name, q)] for v, q in queries}
    insert(cursor, rows[-1:])
    frontier = send(cursor, args.events, count_late(rows, [q for _, q in queries]))
    for v, q in queries:
        expected = read_expected(cursor, q, frontier)
        lines = live[v] + [line for name in names(args, v) for line in compare(cursor, name, q, expected)]
        if lines:
            failed += 1
            print(f"not ok seed {args.seed} view {v}: {len(lines)} of {len(expected)} rows differ\n{q.view_sql()}\n"
                  f"windows {q.windows} slide {q.slide}\n" + "\n".join(lines[:5]))
        else:
            print(f"ok seed {args.seed} view {v}: {len(expected)} rows")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
