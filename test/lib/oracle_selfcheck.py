#!/usr/bin/python3
"""oracle_selfcheck.py: who checks the oracle?

Usage: oracle_selfcheck.py --dsn CONNINFO [--rounds 200] [--seed 1]

Compares the oracle's SQL with a computation from the words of the definition,
by brute force over tiny random inputs, and its reading of records with a table
of what RFC 8259 and the data contract say.  Needs any PostgreSQL; no extension,
no Kafka.  Ends with 1 at the first difference.
"""

import argparse
import collections
import os
import random
import sys

import psycopg2

sys.dont_write_bytecode = True           # the source tree stays clean
import oracle  # noqa: E402

MINUTE = 60 * oracle.SECOND
BASE = 1700000000 // 3600 * 3600 * oracle.SECOND

# A value, and why it is refused, or the event it is: (user, item, category, microseconds)
READINGS = [
    (None, 'tombstone'),
    (b'', 'malformed'),
    (b' ', 'malformed'),
    (b'[]', 'malformed'),
    (b'null', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1}', ('u', 'i', 'unknown', 1000000)),
    (b' {"timestamp":1.5e0 ,"category":null,"item_id":"","user_id":"u"}\n', ('u', '', None, 1500000)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1,}', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1} x', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 01}', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1.}', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": NaN}', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": -Infinity}', 'malformed'),
    (b'{"user_id": "u\t", "item_id": "i", "timestamp": 1}', 'malformed'),
    (b'{"user_id": "\xff", "item_id": "i", "timestamp": 1}', 'malformed'),
    (b'{"user_id": "\xed\xa0\x80", "item_id": "i", "timestamp": 1}', 'malformed'),
    (b'\xef\xbb\xbf{"user_id": "u", "item_id": "i", "timestamp": 1}', 'malformed'),
    (b'{"user_id": "u", "item_id": "i"}', 'missing_field'),
    (b'{"user_id": null, "item_id": "i", "timestamp": 1}', 'missing_field'),
    (b'{"user_id": "", "item_id": "i", "timestamp": 1}', 'check_violation'),
    (b'{"user_id": "", "timestamp": 1}', 'missing_field'),
    (b'{"user_id": "", "item_id": 5}', 'bad_value'),
    (b'{"user_id": 5, "user_id": "u", "item_id": "i", "timestamp": 1}', ('u', 'i', 'unknown', 1000000)),
    (b'{"user_id": "u", "user_id": 5, "item_id": "i", "timestamp": 1}', 'bad_value'),
    (b'{"user\\u005fid": "u", "item_id": "\\ud83d\\ude00", "timestamp": 1}', ('u', '\U0001f600', 'unknown', 1000000)),
    (b'{"user_id": "u", "item_id": "\\ud83d", "timestamp": 1}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "\\u0000", "timestamp": 1}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "x": "\\u0000\\ud83d", "timestamp": 1}', ('u', 'i', 'unknown', 1000000)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": "1"}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": true}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": -0.0}', ('u', 'i', 'unknown', 0)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": -1e-99}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1e-99}', ('u', 'i', 'unknown', 0)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1700000000.1239999}', ('u', 'i', 'unknown', 1700000000123999)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 0.17e10}', ('u', 'i', 'unknown', 1700000000000000)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1e18}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1e999999999999999999999999999999}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": ' + b'9' * 5000 + b'}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 9224318015999.999999}', ('u', 'i', 'unknown', 9224318015999999999)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 9224318016000}', 'bad_value'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1, "x": ' + b'[' * 63 + b']' * 63 + b'}', ('u', 'i', 'unknown', 1000000)),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1, "x": ' + b'[' * 64 + b']' * 64 + b'}', 'malformed'),
    (b'{"user_id": "u", "item_id": "i", "timestamp": 1, "x": "' + b'[' * 64 + b'"}', ('u', 'i', 'unknown', 1000000)),
    (b'{"x": ' + b'[' * 100000, 'malformed'),
]

Options = collections.namedtuple('Options', 'max_record_bytes window slide watermark_delay max_future strict')


def fail(text):
    print('FAILED %s' % text)
    sys.exit(1)


def check_readings(options):
    for value, expected in READINGS:
        try:
            outcome = tuple(oracle.read_event(value, options))
        except oracle.Refused as refusal:
            outcome = refusal.args[0]
        if outcome != expected:
            fail('reading %r: %r; should be %r' % (value and value[:100], outcome, expected))
    print('ok     %d readings of records' % len(READINGS))


def window_ends(options):
    return range(BASE - 20 * MINUTE, BASE + 60 * MINUTE, options.slide)


def counts_in(event, late_bound, window_end, options):
    """DESIGN 2 and 3.5, in its words."""
    return window_end - options.window <= event.time < window_end and (late_bound is None or window_end > late_bound)


def brute_force(events, options, frontier):
    """{(user, window_end): features}, from the definition."""
    rows = {}
    for user in {event.user_id for _, _, event, _ in events}:
        mine = sorted((e for e in events if e[2].user_id == user), key=lambda e: (e[2].time, e[0], e[1]))
        before = []
        for end in window_ends(options):
            if end > frontier:
                break
            inside = [e for e in mine if counts_in(e[2], e[3], end, options)]
            if inside != before:
                items = [e[2].item_id for e in inside]
                present = [e[2].category for e in inside if e[2].category is not None]
                most = max((present.count(c) for c in present), default=0)
                top = min((c for c in present if present.count(c) == most), default=None)
                rows[user, end] = (items or None, len(items), len(set(items)), len(set(present)), top)
            before = inside
    return rows


def tiny_input(rng, options):
    """Events that a run could have accepted, at most one a (partition, offset)."""
    events = []
    for offset in range(rng.randrange(1, 14)):
        t = BASE + rng.randrange(30) * MINUTE // 2 + rng.choice([0, 0, 1, -1, rng.randrange(MINUTE)])
        bound = None
        if rng.random() < 0.4:
            bound = oracle.next_multiple(t, options.slide) + rng.choice([0, 1, rng.randrange(options.window)])
            if bound >= (t + options.window) // options.slide * options.slide:
                continue                        # missed all windows
        events.append((rng.randrange(3), offset, oracle.Event(
            rng.choice('ab'), rng.choice('xyz'), rng.choice(['c', 'B', None, '']), t), bound))
    return events


def check_rows(db, schema, rng, rounds, options):
    total = 0
    for _ in range(rounds):
        options = options._replace(slide=rng.choice([1, 2, 5]) * MINUTE)
        options = options._replace(window=options.slide * rng.choice([1, 2, 3, 6]))
        events = tiny_input(rng, options)
        frontier = BASE + rng.randrange(40) * MINUTE
        db.execute('CREATE SCHEMA %s' % schema)
        oracle.load_events(db, schema, events)
        oracle.compute_history(db, schema, options.window, options.slide, frontier)
        db.execute('SELECT user_id, (extract(epoch FROM window_end) * 1000000)::bigint, items_clicked, item_count, '
                   'distinct_items, distinct_categories, top_category FROM %s.expected' % schema)
        found = db.fetchall()
        rows = {row[:2]: row[2:] for row in found}
        expected = brute_force(events, options, frontier)
        db.connection.rollback()
        if rows != expected or len(found) != len(rows):
            fail('rows of %r up to %s: %r; should be %r' % (events, oracle.show_time(frontier), rows, expected))
        total += len(expected)
    print('ok     %d rows in %d rounds' % (total, rounds))


def check_judge(rng, rounds, options):
    """The watermark rules, event by event: DESIGN 3.2 and 3.5."""
    for _ in range(rounds):
        judge = oracle.Judge(options)
        watermark = None
        arrival = BASE
        for offset in range(50):
            arrival += rng.randrange(MINUTE)
            t = arrival + rng.randrange(-50 * MINUTE, 2 * MINUTE)
            value = b'{"user_id": "u", "item_id": "i", "timestamp": %d.%06d}' % divmod(t, oracle.SECOND)
            verdict = judge.judge(oracle.Record(offset, None, value, None), arrival, None)
            ends = [end for end in range(t // options.slide * options.slide, t + options.window + 2 * options.slide, options.slide)
                    if counts_in(oracle.Event('u', 'i', None, t), None, end, options)]
            left = [end for end in ends if watermark is None or end > watermark]
            reason = 'future' if t - arrival > options.max_future else 'late' if not left else None
            bound = watermark if reason is None and left != ends else None
            if (verdict.reason, verdict.late_bound, verdict.watermark) != (reason, bound, watermark):
                fail('verdict %r; should be %r' % (verdict, (reason, bound, watermark)))
            if reason is None:
                reached = min(t, arrival) - options.watermark_delay
                watermark = reached if watermark is None else max(watermark, reached)
    print('ok     %d verdicts' % (50 * rounds))


def main():
    parser = argparse.ArgumentParser(description='checks the oracle against brute force')
    parser.add_argument('--dsn', required=True)
    parser.add_argument('--rounds', type=int, default=200)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    options = Options(max_record_bytes=1 << 20, window=30 * MINUTE, slide=MINUTE, watermark_delay=MINUTE // 2,
                      max_future=MINUTE, strict=False)
    check_readings(options)
    check_judge(rng, args.rounds, options)
    connection = psycopg2.connect(args.dsn)
    db = connection.cursor()
    db.execute("SET TimeZone = 'UTC'")
    # mode() takes the smallest of the most frequent by the database's order
    db.execute("SELECT 'B' < 'c' AND '' < 'B'")
    if not db.fetchone()[0]:
        fail('this database sorts in a way the brute force does not know')
    connection.commit()
    check_rows(db, 'oracle_selfcheck_%d' % os.getpid(), rng, args.rounds, options)


if __name__ == '__main__':
    main()
