#!/usr/bin/python3
"""oracle.py: is what feature_stream made of a topic what it should have made?

Usage: oracle.py --bootstrap HOST:PORT --topic NAME --dsn CONNINFO
                 [--stream clicks] [--view session_features]
                 [--redis-host HOST --redis-port PORT] [--wait SECONDS] [--keep]

Shares no code with the engine.  For the stream of the example (user_id, item_id,
category, clicked_at) and its five features over one window, it

1. reads every record back from Kafka;
2. decides for itself which events count, why the others do not, and from which
   window end on a late one counts (DESIGN 3.1 to 3.6), given the recorded arrival
   clocks and wake-ups of idle partitions; compares that, offset by offset, with the
   event log and the dead letters (the stream needs a log_retention that kept all);
3. computes the history in PostgreSQL's executor over the events that it accepted
   itself, and compares it with the history, row for row, both ways;
4. compares Redis and SELECT of the view with the last row of each user.

Call it when everything was consumed, or with --wait.  The engine may run on:
windows that end meanwhile do no harm.  Prints a line a check; ends with 1, and up
to 10 differences of each failed check, when one failed; with 2 when it could not look.
"""

import argparse
import collections
import datetime
import decimal
import fractions
import json
import os
import re
import socket
import sys
import time

import confluent_kafka
import psycopg2

SECOND = 1000000                                # all times are in microseconds since 1970
TIMESTAMP_END = 9224318016000 * SECOND          # where timestamptz ends (294277 AD)
MAX_DEPTH = 64                                  # of JSON, the record's object included
MAX_KEY = 8192                                  # bytes of an entity's key, 5 of them its overhead
AFTER_ALL = 1 << 62                             # dead letters that came back have their place after all offsets, in their order
SHOWN = 10                                      # differences shown of each check
FEATURES = ['items_clicked', 'item_count', 'distinct_items', 'distinct_categories', 'top_category']

Record = collections.namedtuple('Record', 'offset key value append_time')
Event = collections.namedtuple('Event', 'user_id item_id category time')
Verdict = collections.namedtuple('Verdict', 'reason event late_bound watermark')


def die(text):
    """Ends: the oracle cannot look."""
    print('oracle.py: ' + text, file=sys.stderr)
    sys.exit(2)


#
# The engine's definitions and records
#

class Stream:
    """Options of the stream, windows of the view, and where its history is."""

    DEFAULTS = {'watermark_delay': '30 s', 'max_future': '60 s', 'idle_after': '1 min',
                'late_events': 'accept', 'max_record_bytes': '1MB'}

    def __init__(self, db, args):
        db.execute('SELECT ftrelid, ftoptions FROM pg_foreign_table WHERE ftrelid = %s::regclass', [args.stream])
        self.oid, options = db.fetchone()
        options = dict(self.DEFAULTS, **dict(option.split('=', 1) for option in options or []))
        self.strict = options['late_events'] == 'strict'
        db.execute('SELECT pg_size_bytes(%s)', [options['max_record_bytes']])
        self.max_record_bytes = db.fetchone()[0]
        for name in ['watermark_delay', 'max_future', 'idle_after']:
            db.execute('SELECT (extract(epoch FROM %s::interval) * 1000000)::bigint', [options[name]])
            setattr(self, name, db.fetchone()[0])
        db.execute('''SELECT (extract(epoch FROM windows[1]) * 1000000)::bigint, cardinality(windows),
                             (extract(epoch FROM slide) * 1000000)::bigint, history::regclass::text, view::regclass::text
                        FROM feature_stream.feature_view WHERE view = %s::regclass''', [args.view])
        self.window, nwindows, self.slide, self.history, self.view = db.fetchone()
        if nwindows != 1:
            die('knows views with one window only')
        db.execute('''SELECT array_agg(column_name::text ORDER BY position) FROM feature_stream.feature
                       WHERE view = %s::regclass''', [args.view])
        self.features = db.fetchone()[0]
        if [name.rsplit('_', 1)[0] for name in self.features] != FEATURES:
            die('knows the features %s only, not %s' % (FEATURES, self.features))


class Recorded:
    """What the engine wrote down, as of one snapshot."""

    def __init__(self, db, stream):
        db.execute('''SELECT (extract(epoch FROM frontier) * 1000000)::bigint,
                             (extract(epoch FROM fire_window_end) * 1000000)::bigint
                        FROM feature_stream.stream_state WHERE stream = %s''', [stream.oid])
        self.frontier, self.firing = db.fetchone()      # the window end being fired, if any
        micros = '(extract(epoch FROM %s) * 1000000)::bigint'
        db.execute('''SELECT partition, "offset", event->>'user_id', event->>'item_id', event->>'category', %s, %s, %s
                        FROM feature_stream.read_event_log(%%s)''' %
                   tuple(micros % name for name in ['event_time', 'late_bound', 'arrival']), [stream.oid])
        self.accepted = collections.defaultdict(list)
        self.place = {}                                 # in the log
        for partition, offset, user, item, category, t, late_bound, arrival in db.fetchall():
            self.accepted[partition, offset].append((Event(user, item, category, t), late_bound, arrival))
            self.place[partition, offset] = len(self.place)
        db.execute('''SELECT partition, "offset", reason, %s, %s, %s, key, payload, payload_size, message
                        FROM feature_stream.dead_letter WHERE stream = %%s''' %
                   tuple(micros % name for name in ['received_at', 'event_time', 'watermark']), [stream.oid])
        self.refused = collections.defaultdict(list)
        for row in db.fetchall():
            self.refused[row[0], row[1]].append(row[2:])
        db.execute('''SELECT partition, "offset" FROM feature_stream.dead_letter_outcome WHERE stream = %s''', [stream.oid])
        self.asked_back = set(db.fetchall())            # their payloads may have been repaired
        db.execute('''SELECT partition, "offset", payload FROM feature_stream.dead_letter
                        JOIN feature_stream.dead_letter_outcome USING (stream, partition, "offset", recorded_at)
                       WHERE outcome = 'replayed' AND stream = %s''', [stream.oid])
        self.replayed = {(partition, offset): bytes(payload) for partition, offset, payload in db.fetchall()}
        db.execute('''SELECT partition, "offset", %s FROM feature_stream.partition_wakeup WHERE stream = %%s''' %
                   (micros % 'watermark'), [stream.oid])
        self.wakeups = {(partition, offset): watermark for partition, offset, watermark in db.fetchall()}
        db.execute('''SELECT partition, start_offset, next_offset, %s, read_count, accepted_count,
                             partially_late_count, dead_letter_count
                        FROM feature_stream.partition_position WHERE stream = %%s''' % (micros % 'watermark'),
                   [stream.oid])
        self.positions = {row[0]: row[1:] for row in db.fetchall()}


#
# Kafka
#

def read_topic(args):
    """All records of the topic: {partition: [Record, ...]}, and where each partition ends."""
    consumer = confluent_kafka.Consumer({
        'bootstrap.servers': args.bootstrap, 'group.id': 'oracle', 'enable.auto.commit': False,
        'isolation.level': 'read_committed', 'enable.partition.eof': True, 'auto.offset.reset': 'error',
        'fetch.message.max.bytes': 20000000, 'receive.message.max.bytes': 200000000})
    try:
        metadata = consumer.list_topics(args.topic, timeout=30).topics[args.topic]
        if metadata.error is not None:
            die('topic %s: %s' % (args.topic, metadata.error))
        records, ends, start = {}, {}, []
        for partition in sorted(metadata.partitions):
            where = confluent_kafka.TopicPartition(args.topic, partition)
            low, ends[partition] = consumer.get_watermark_offsets(where, timeout=30)
            records[partition] = []
            start.append(confluent_kafka.TopicPartition(args.topic, partition, low))
        consumer.assign(start)
        unread = {partition for partition in ends}
        deadline = time.monotonic() + 120
        while unread:
            if time.monotonic() > deadline:
                die('could not read partitions %s to their ends' % sorted(unread))
            for message in consumer.consume(10000, timeout=1):
                if message.error() is None:
                    kind, stamp = message.timestamp()
                    records[message.partition()].append(Record(
                        message.offset(), message.key(), message.value(),
                        stamp * 1000 if kind == confluent_kafka.TIMESTAMP_LOG_APPEND_TIME else None))
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
        return records, ends
    finally:
        consumer.close()


#
# Which events count
#

class Number(str):
    """A JSON number, as it was written."""


class Refused(Exception):
    """The event does not count; args[0] is the reason."""


def refuse_constant(text):
    raise ValueError(text)


DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=refuse_constant)
NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
DIGITS = re.compile(r'(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?\Z')


def is_too_deep(text):
    """Is any value nested in more than MAX_DEPTH arrays and objects?"""
    if text.count('[') + text.count('{') <= MAX_DEPTH:
        return False
    depth = 0
    for token in NESTING.finditer(text):
        token = token.group()
        if token in '[{':
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in ']}':
            depth -= 1
    return False


def decode(value):
    """The fields of a record as a dict; RFC 8259 to the letter."""
    try:
        text = value.decode('utf-8')
    except UnicodeDecodeError:
        raise Refused('malformed')
    if is_too_deep(text):
        raise Refused('malformed')
    try:
        fields = DECODER.decode(text)
    except ValueError:
        raise Refused('malformed')
    if not isinstance(fields, dict):
        raise Refused('malformed')
    return fields


def take_text(value):
    """A text column: a string that PostgreSQL can hold."""
    if value is None:
        return None
    if not isinstance(value, str) or isinstance(value, Number) or '\0' in value or \
       any('\ud800' <= c <= '\udfff' for c in value):
        raise Refused('bad_value')
    return value


def take_time(value):
    """A number of seconds since 1970, finer digits than microseconds cut toward the past."""
    if value is None:
        return None
    if not isinstance(value, Number):
        raise Refused('bad_value')
    sign, whole, part, exponent = DIGITS.match(value).groups()
    digits = (whole + (part or '')).lstrip('0')
    shift = (int(exponent) if exponent and len(exponent) < 30 else
             0 if not exponent else 10 ** 30 if exponent[0] != '-' else -10 ** 30) - len(part or '') + 6
    if digits == '':
        return 0
    if len(digits) + shift > 30:
        raise Refused('bad_value')
    if len(digits) + shift < -30:
        t = fractions.Fraction(1, 10)
    else:
        t = decimal_integer(digits) * fractions.Fraction(10) ** shift
    t = (-t if sign else t).__floor__()
    if t < 0 or t >= TIMESTAMP_END:
        raise Refused('bad_value')
    return t


def decimal_integer(digits):
    """int() of any number of digits."""
    value = 0
    for at in range(0, len(digits), 4000):
        part = digits[at:at + 4000]
        value = value * 10 ** len(part) + int(part)
    return value


def read_event(value, stream):
    """The event of a record's value; raises Refused."""
    if value is None:
        raise Refused('tombstone')
    if len(value) > stream.max_record_bytes or len(value) == 0:
        raise Refused('malformed')
    fields = decode(value)
    event = Event(take_text(fields.get('user_id')), take_text(fields.get('item_id')),
                  take_text(fields.get('category', 'unknown')), take_time(fields.get('timestamp')))
    if event.user_id is None or event.item_id is None or event.time is None:
        raise Refused('missing_field')
    if event.user_id == '':
        raise Refused('check_violation')
    return event


def next_multiple(t, span):
    """The least multiple of span that is after t."""
    return (t // span + 1) * span


class Judge:
    """Decides on the records of one partition, in order."""

    def __init__(self, stream):
        self.stream = stream
        self.watermark = None

    def lateness(self, t):
        """(counts at all, from which bound on or None)."""
        stream = self.stream
        bound = self.watermark
        if bound is None or next_multiple(t, stream.slide) > bound:
            return True, None
        last_window_end = (t + stream.window) // stream.slide * stream.slide
        if stream.strict or last_window_end <= bound:
            return False, None
        return True, bound

    def judge(self, record, arrival, wakeup):
        stream = self.stream
        before = self.watermark
        try:
            event = read_event(record.value, stream)
            if event.time > arrival + stream.max_future:
                return Verdict('future', event, None, before)
            if len(event.user_id.encode('utf-8')) + 5 > MAX_KEY:
                raise Refused('bad_value')
        except Refused as refusal:
            return Verdict(refusal.args[0], None, None, before)
        if wakeup is not None and (self.watermark is None or self.watermark < wakeup):
            self.watermark = wakeup
        before = self.watermark
        counts, bound = self.lateness(event.time)
        if not counts:
            return Verdict('late', event, None, before)
        reached = min(event.time, arrival) - stream.watermark_delay
        if self.watermark is None or self.watermark < reached:
            self.watermark = reached
        return Verdict(None, event, bound, before)


def show_time(t):
    if t is None:
        return 'none'
    if t >= 253370764800 * SECOND:              # more than datetime holds
        return '%d us since 1970' % t
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=t)).isoformat(' ')


def show_record(partition, record):
    value = record.value
    if value is not None and len(value) > 160:
        value = value[:120] + b' ... ' + value[-40:]
    return 'partition %d offset %d %r' % (partition, record.offset, value)


class Check:
    """One line of the outcome, and its differences."""

    failed = 0

    def __init__(self, name):
        self.name = name
        self.count = 0
        self.differences = []
        self.began = time.monotonic()

    def differ(self, text):
        self.count += 1
        if len(self.differences) < SHOWN:
            self.differences.append(text)

    def close(self, summary):
        print('%-6s %-12s %s (%.1f s)' % ('ok' if self.count == 0 else 'FAILED', self.name, summary,
                                          time.monotonic() - self.began))
        if self.count > 0:
            Check.failed += 1
            print('       %d differences, the first:' % self.count)
            for difference in self.differences:
                print('       - ' + difference)
        sys.stdout.flush()


def check_verdict(check, where, verdict, accepted, refused, record, is_repaired):
    """Compares one verdict with what the engine has about the same offset."""
    if len(accepted) + len(refused) != 1:
        check.differ('%s: %d times in the event log and %d times a dead letter; should be %s' %
                     (where, len(accepted), len(refused), verdict.reason or 'accepted'))
    elif verdict.reason is None and not accepted:
        check.differ('%s: refused as %s (%s) at arrival %s with watermark %s; should be accepted' %
                     (where, refused[0][0], refused[0][7], show_time(refused[0][1]), show_time(verdict.watermark)))
    elif verdict.reason is not None and accepted:
        check.differ('%s: accepted at arrival %s with watermark %s; should be refused as %s' %
                     (where, show_time(accepted[0][2]), show_time(verdict.watermark), verdict.reason))
    elif verdict.reason is None:
        event, bound, arrival = accepted[0]
        if event != verdict.event:
            check.differ('%s: decoded as %s; should be %s' % (where, event, verdict.event))
        if bound != verdict.late_bound:
            check.differ('%s: late bound %s; should be %s' % (where, show_time(bound), show_time(verdict.late_bound)))
    else:
        reason, arrival, t, watermark, key, payload, size, message = refused[0]
        if reason != verdict.reason:
            check.differ('%s: refused as %s (%s); should be %s' % (where, reason, message, verdict.reason))
        if watermark != verdict.watermark:
            check.differ('%s: dead letter with watermark %s; should be %s' %
                         (where, show_time(watermark), show_time(verdict.watermark)))
        if verdict.event is not None and t != verdict.event.time:
            check.differ('%s: dead letter with event time %s; should be %s' %
                         (where, show_time(t), show_time(verdict.event.time)))
        if (None if key is None else bytes(key)) != record.key:
            check.differ('%s: dead letter with another key' % where)
        if (None if payload is None else bytes(payload)) != record.value and not is_repaired or \
           size != (None if record.value is None else len(record.value)):
            check.differ('%s: dead letter with another payload' % where)
        if not message or message.isspace():
            check.differ('%s: dead letter without a message' % where)


def check_replayed(check, where, verdict, accepted, refused, payload, stream):
    """Compares a dead letter that came back with what is in the log, once; returns its event and late bound."""
    if len(accepted) != 1 or len(refused) != 1:
        check.differ('%s: came back; %d times in the event log and %d times a dead letter' %
                     (where, len(accepted), len(refused)))
    elif refused[0][0] != verdict.reason:
        check.differ('%s: refused as %s before it came back; should be %s' % (where, refused[0][0], verdict.reason))
    event = read_event(payload, stream)
    if accepted and accepted[0][0] != event:
        check.differ('%s: came back as %s; should be %s' % (where, accepted[0][0], event))
    return event, accepted[0][1] if accepted else None


def arrival_of(accepted, refused):
    """The recorded arrival clock; None when the engine does not know the record."""
    if refused:                                 # also of one that came back
        return refused[0][1]
    return accepted[0][2] if accepted else None


def check_events(records, ends, recorded, stream):
    """Judges every record of every partition; returns the events that count."""
    check = Check('events')
    positions = Check('positions')
    idle = Check('wake-ups')
    events = []
    reasons = collections.Counter()
    seen = set()
    for partition in sorted(records):
        judge = Judge(stream)
        counts = collections.Counter()
        last_arrival = None
        was_idle = False
        if partition not in recorded.positions:
            positions.differ('partition %d has no position' % partition)
            continue
        start, position, watermark, read, accepted_count, partially_late, dead = recorded.positions[partition]
        for record in records[partition]:
            if record.offset < start:
                continue
            at = (partition, record.offset)
            accepted, refused = recorded.accepted.get(at, []), recorded.refused.get(at, [])
            arrival = arrival_of(accepted, refused)
            where = show_record(partition, record)
            counts['read'] += 1
            seen.add(at)
            if arrival is None:
                check.differ('%s: neither in the event log nor a dead letter' % where)
                continue
            if record.append_time is not None and arrival != record.append_time:
                check.differ('%s: arrival %s; the broker says %s' %
                             (where, show_time(arrival), show_time(record.append_time)))
            wakeup = recorded.wakeups.get(at)
            if last_arrival is None or arrival - last_arrival >= stream.idle_after:
                was_idle = True
            if wakeup is not None:
                if not was_idle:
                    idle.differ('%s: woke up at %s, but was not idle: the record before came at %s' %
                                (where, show_time(arrival), show_time(last_arrival)))
                if wakeup > (recorded.firing or recorded.frontier):
                    idle.differ('%s: woke up with %s, which is after the frontier' % (where, show_time(wakeup)))
            verdict = judge.judge(record, arrival, wakeup)
            if wakeup is not None and verdict.reason not in (None, 'late'):
                idle.differ('%s: woke up with an event that is %s' % (where, verdict.reason))
            if at not in recorded.replayed:
                check_verdict(check, where, verdict, accepted, refused, record, at in recorded.asked_back)
            if verdict.reason in (None, 'late'):
                was_idle = False                # a record that cannot be read wakes nobody
            last_arrival = arrival if last_arrival is None else max(arrival, last_arrival)
            if at in recorded.replayed:
                event, bound = check_replayed(check, where, verdict, accepted, refused, recorded.replayed[at], stream)
                counts['accepted'] += 1
                counts['partially late'] += bound is not None
                reasons['replayed'] += 1
                events.append((partition, AFTER_ALL + recorded.place.get(at, 0), event, bound))
                continue
            reasons[verdict.reason or ('accepted' if verdict.late_bound is None else 'partially late')] += 1
            if verdict.reason is None:
                counts['accepted'] += 1
                counts['partially late'] += verdict.late_bound is not None
                events.append((partition, record.offset, verdict.event, verdict.late_bound))
        if position != ends[partition]:
            positions.differ('partition %d: durable up to offset %d of %d' % (partition, position, ends[partition]))
        for name, has, should in [('watermark', show_time(watermark), show_time(judge.watermark)),
                                  ('read', read, counts['read']),
                                  ('accepted', accepted_count, counts['accepted']),
                                  ('partially late', partially_late, counts['partially late']),
                                  ('dead letters', dead, counts['read'] - counts['accepted'])]:
            if has != should:
                positions.differ('partition %d: %s %s; should be %s' % (partition, name, has, should))
    for at in list(recorded.accepted) + list(recorded.refused):
        if at not in seen:
            check.differ('partition %d offset %d is in the engine\'s tables, but no record of the topic' % at)
    for at in recorded.wakeups:
        if at not in seen:
            idle.differ('partition %d offset %d woke up, but is no record of the topic' % at)
    check.close('%d records in %d partitions: %s' % (sum(reasons.values()), len(records), ', '.join(
        '%d %s' % (n, reason) for reason, n in reasons.most_common())))
    positions.close('offsets, watermarks and counters of partitions')
    idle.close('%d of idle partitions' % len(recorded.wakeups))
    return events


#
# History
#

def quote_copy(value):
    if value is None:
        return '\\N'
    return value.replace('\\', '\\\\').replace('\t', '\\t').replace('\n', '\\n').replace('\r', '\\r')


class Rows:
    """File for COPY of lines that are made when they are read."""

    def __init__(self, lines):
        self.lines = iter(lines)
        self.rest = ''

    def read(self, size):
        parts = [self.rest]
        have = len(self.rest)
        while have < size:
            line = next(self.lines, None)
            if line is None:
                break
            parts.append(line)
            have += len(line)
        text = ''.join(parts)
        self.rest = text[size:]
        return text[:size]


def load_events(db, schema, events):
    """Puts (partition, offset, Event, late_bound) into a table."""
    db.execute('CREATE TABLE %s.event (user_id text NOT NULL, item_id text NOT NULL, category text, '
               'event_time timestamptz NOT NULL, partition int NOT NULL, "offset" bigint NOT NULL, '
               'late_bound timestamptz)' % schema)

    def line(partition, offset, event, late_bound):
        return '\t'.join([quote_copy(event.user_id), quote_copy(event.item_id), quote_copy(event.category),
                          show_time(event.time) + '+00', str(partition), str(offset),
                          '\\N' if late_bound is None else show_time(late_bound) + '+00']) + '\n'

    db.copy_expert('COPY %s.event FROM STDIN' % schema, Rows(line(*event) for event in events))
    db.execute('CREATE INDEX ON %s.event (user_id, event_time)' % schema)
    db.execute('ANALYZE %s.event' % schema)


def compute_history(db, schema, window, slide, frontier):
    """Makes <schema>.expected: what the history has to be up to the frontier.

    All times in microseconds.  A row exists where an event enters or leaves; its
    features are the query of the view over the events that count then.
    """
    names = {'schema': schema, 'window': "interval '%d us'" % window, 'slide': "interval '%d us'" % slide,
             'frontier': "timestamptz '%s+00'" % show_time(frontier)}
    db.execute('''
        CREATE TABLE {schema}.point AS
        SELECT DISTINCT user_id, window_end
          FROM (SELECT user_id, unnest(ARRAY[
                       greatest(date_bin({slide}, event_time, 'epoch'), date_bin({slide}, late_bound, 'epoch')) + {slide},
                       date_bin({slide}, event_time + {window}, 'epoch') + {slide}]) AS window_end
                  FROM {schema}.event) p
         WHERE window_end <= {frontier}'''.format(**names))
    db.execute('ANALYZE %s.point' % schema)
    db.execute('''
        CREATE TABLE {schema}.expected AS
        SELECT p.user_id, p.window_end, f.*
          FROM {schema}.point p, LATERAL (
                SELECT array_agg(item_id ORDER BY event_time, partition, "offset") AS items_clicked,
                       count(*)                                AS item_count,
                       count(DISTINCT item_id)                 AS distinct_items,
                       count(DISTINCT category)                AS distinct_categories,
                       mode() WITHIN GROUP (ORDER BY category) AS top_category
                  FROM {schema}.event e
                 WHERE e.user_id = p.user_id
                   AND e.event_time >= p.window_end - {window} AND e.event_time < p.window_end
                   AND (e.late_bound IS NULL OR e.late_bound < p.window_end)) f'''.format(**names))


def show_row(row):
    text = repr(row)
    return text if len(text) <= 300 else text[:200] + ' ... ' + text[-80:]


def check_history(db, schema, stream, recorded, events):
    check = Check('history')
    load_events(db, schema, events)
    compute_history(db, schema, stream.window, stream.slide, recorded.frontier)
    frontier = "timestamptz '%s+00'" % show_time(recorded.frontier)
    columns = ', '.join(['user_id', 'window_end'] + stream.features)
    db.execute('CREATE TABLE %s.actual AS SELECT DISTINCT ON (user_id, window_end) %s FROM %s WHERE window_end <= %s '
               'ORDER BY user_id, window_end, revision DESC' %    # of a row that was corrected the newest one
               (schema, columns, stream.history, frontier))
    for what, one, other in [('is missing', 'expected', 'actual'), ('is too much', 'actual', 'expected')]:
        db.execute('SELECT * FROM (TABLE {0}.{1} EXCEPT ALL TABLE {0}.{2}) d ORDER BY 2, 1'.format(schema, one, other))
        for user, window_end, *values in db.fetchall():
            check.differ('%s: %s %s %s' % (what, user, window_end.strftime('%H:%M'), show_row(values)))
    db.execute('SELECT count(*), count(*) FILTER (WHERE item_count = 0), max(item_count), count(DISTINCT user_id), '
               'count(DISTINCT window_end) FROM %s.expected' % schema)
    summary = '%d rows, %d of them empty, up to %s items, %d users, %d window ends' % db.fetchone()
    db.execute('SELECT count(*) FROM %s WHERE window_end > %s AND window_end IS DISTINCT FROM %s' %
               (stream.history, frontier, 'NULL' if recorded.firing is None else
                "timestamptz '%s+00'" % show_time(recorded.firing)))
    beyond = db.fetchone()[0]
    if beyond > 0:
        check.differ('%d rows after the frontier %s' % (beyond, show_time(recorded.frontier)))
    db.execute('SELECT count(*) FROM %s WHERE computed_at IS NULL OR available_at IS DISTINCT FROM '
               'CASE WHEN backfilled THEN window_end + %d * interval \'1 us\' ELSE computed_at END' %
               (stream.history, stream.watermark_delay))
    wrong = db.fetchone()[0]
    if wrong > 0:
        check.differ('%d rows with wrong available_at' % wrong)
    check.close(summary + ', frontier ' + show_time(recorded.frontier))


#
# Online
#

class Redis:
    """As much of a Redis client as is needed: pipelined commands."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=30)
        self.file = self.socket.makefile('rb')

    def answer(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b'$':
            if rest == b'-1':
                return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b'*':
            return [self.answer() for _ in range(int(rest))]
        if kind == b':':
            return int(rest)
        if kind == b'+':
            return rest
        die('Redis says: %r' % line)

    def call(self, commands):
        """The answers to some commands, each a list of bytes."""
        answers = []
        for at in range(0, len(commands), 500):
            part = commands[at:at + 500]
            self.socket.sendall(b''.join(
                b'*%d\r\n' % len(command) + b''.join(b'$%d\r\n%s\r\n' % (len(word), word) for word in command)
                for command in part))
            answers += [self.answer() for _ in part]
        return answers

    def hashes(self):
        """All feature rows: {key: {field: value}}, as bytes."""
        keys, cursor = set(), b'0'
        while True:
            cursor, some = self.call([[b'SCAN', cursor, b'MATCH', b'user:*:session_features', b'COUNT', b'1000']])[0]
            keys.update(some)
            if cursor == b'0':
                break
        keys = sorted(keys)
        found = {}
        for key, fields in zip(keys, self.call([[b'HGETALL', key] for key in keys])):
            if fields:
                found[key] = dict(zip(fields[::2], fields[1::2]))
        return found


def online_key(user):
    """user:<id>:session_features with all but RFC 3986's unreserved characters escaped."""
    escaped = b''.join(bytes([c]) if re.match(rb'[A-Za-z0-9._~-]', bytes([c])) else b'%%%02X' % c
                       for c in user.encode('utf-8'))
    return b'user:' + escaped + b':session_features'


def online_row(fields, stream):
    """(window_end, computed_at, features) of a Redis hash; what cannot be read stays as it is."""
    values = {name.decode('utf-8', 'replace'): value.decode('utf-8', 'replace') for name, value in fields.items()}
    try:
        window_end = decimal.Decimal(values.pop('window_end')) * SECOND
        computed_at = decimal.Decimal(values.pop('computed_at')) * SECOND
        row = [json.loads(values.pop(stream.features[0]))]
        row += [int(values.pop(name)) for name in stream.features[1:4]]
        row += [values.pop(stream.features[4], None)]
    except (KeyError, ValueError, decimal.InvalidOperation) as error:
        return 'unreadable (%r): %r' % (error, fields)
    if values:
        return 'has other fields, too: %r' % values
    return int(window_end), int(computed_at), tuple(row)


def freeze(row):
    """The features of a row, hashable."""
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)


def show_difference(has, should):
    """How two rows (window_end, computed_at, features) differ; either may be None, 'has' a text."""
    if not isinstance(has, tuple) or should is None:
        return 'has %s; should be %s' % (show_row(has), show_row(should))
    parts = ['%s %s, should be %s' % (name, show_time(one), show_time(other))
             for name, one, other in zip(['window_end', 'computed_at'], has, should) if one != other]
    parts += ['%s %s, should be %s' % (name, show_row(one), show_row(other))
              for name, one, other in zip(FEATURES, has[2], should[2]) if one != other]
    return 'has ' + '; '.join(parts)


def last_rows(db, stream):
    """The newest history row of each user: {user: (window_end, computed_at, features)}."""
    db.execute('SELECT DISTINCT ON (user_id) user_id, (extract(epoch FROM window_end) * 1000000)::bigint, '
               '(extract(epoch FROM computed_at) * 1000000)::bigint, %s FROM %s ORDER BY user_id, window_end DESC, revision DESC' %
               (', '.join(stream.features), stream.history))
    return {row[0]: (row[1], row[2], freeze(row[3:])) for row in db.fetchall()}


def expiries(db, schema, stream):
    """When the newest event of each user that may be online leaves its window, by the clock."""
    db.execute('SELECT user_id, (extract(epoch FROM max(event_time)) * 1000000)::bigint FROM %s.event GROUP BY 1' % schema)
    return {user: next_multiple(t + stream.window, stream.slide) + stream.watermark_delay for user, t in db.fetchall()}


def redis_differences(db, schema, stream, redis):
    """All that is wrong with Redis now, as texts; how many keys there are."""
    wrong = []
    found = redis.hashes()                      # first: what is there must be in the history by now
    rows = last_rows(db, stream)
    expiry = expiries(db, schema, stream)
    now = time.time() * SECOND
    expired = 0
    for user, (window_end, computed_at, values) in rows.items():
        fields = found.pop(online_key(user), None)
        if values[1] == 0:
            if fields is not None:
                wrong.append('%r: the row of %s is empty, but there is %s' %
                             (user, show_time(window_end), show_row(fields)))
            continue
        if fields is None:
            if now < expiry[user] - 100000:
                wrong.append('%r: no key, but a row of %s that expires at %s' %
                             (user, show_time(window_end), show_time(expiry[user])))
            expired += 1
            continue
        has = online_row(fields, stream)
        if isinstance(has, tuple):
            has = has[0], has[1], freeze(has[2])
        if has != (window_end, computed_at, values):
            wrong.append('%r: %s' % (user, show_difference(has, (window_end, computed_at, values))))
    wrong += ['%r is the key of no user in the history' % key for key in found]
    return wrong, '%d users, %d of them expired' % (len(rows), expired)


def view_differences(db, schema, stream, redis):
    """All that is wrong with SELECT of the view."""
    db.execute('SELECT user_id, (extract(epoch FROM window_end) * 1000000)::bigint, '
               '(extract(epoch FROM computed_at) * 1000000)::bigint, %s FROM %s' %
               (', '.join(stream.features), stream.view))
    wrong = []
    found = {}
    for row in db.fetchall():
        if row[0] in found:
            wrong.append('%r: two rows' % row[0])
        found[row[0]] = row[1], row[2], freeze(row[3:])
    rows = {user: row for user, row in last_rows(db, stream).items() if row[2][1] > 0}
    for user in rows.keys() | found.keys():
        if rows.get(user) != found.get(user):
            wrong.append('%r: %s' % (user, show_difference(found.get(user), rows.get(user))))
    return wrong, '%d rows in force' % len(found)


def check_converged(name, differences, db, schema, stream, redis, patience):
    """Looks until nothing differs, for a few seconds: the engine goes on meanwhile."""
    check = Check(name)
    deadline = time.monotonic() + patience
    while True:
        try:
            wrong, summary = differences(db, schema, stream, redis)
        except psycopg2.errors.ObjectNotInPrerequisiteState as error:
            wrong, summary = [str(error).strip()], 'not available'
        if not wrong or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for text in wrong:
        check.differ(text)
    check.close(summary)


#
# All of it
#

def wait_until_consumed(db, stream, ends, seconds, frontier):
    """Waits until every partition is durable up to its end, and windows have ended up to 'frontier'."""
    deadline = time.monotonic() + seconds
    while True:
        db.execute('SELECT partition, next_offset FROM feature_stream.partition_position WHERE stream = %s', [stream.oid])
        positions = dict(db.fetchall())
        db.execute('SELECT extract(epoch FROM frontier) FROM feature_stream.stream_state WHERE stream = %s', [stream.oid])
        reached = db.fetchone()[0]
        if all(positions.get(partition, -1) >= end for partition, end in ends.items()) and \
           reached is not None and reached >= frontier:
            return
        if time.monotonic() > deadline:
            print('       not there after %g s: durable %s of %s, frontier %s' % (seconds, positions, ends, reached))
            return
        time.sleep(0.1)


def parse_arguments():
    parser = argparse.ArgumentParser(description='checks what feature_stream made of a topic')
    parser.add_argument('--bootstrap', required=True)
    parser.add_argument('--topic', required=True)
    parser.add_argument('--dsn', required=True)
    parser.add_argument('--stream', default='clicks')
    parser.add_argument('--view', default='session_features')
    parser.add_argument('--redis-host', default='127.0.0.1')
    parser.add_argument('--redis-port', type=int)
    parser.add_argument('--wait', type=float, default=0, help='seconds to wait until all is consumed')
    parser.add_argument('--frontier', type=float, default=0, help='and until the frontier is there (epoch seconds)')
    parser.add_argument('--patience', type=float, default=15, help='seconds for the online store to converge')
    parser.add_argument('--keep', action='store_true', help="keep the oracle's tables")
    return parser.parse_args()


def run(args, connection, schema):
    db = connection.cursor()
    db.execute("SET TimeZone = 'UTC'; SET max_parallel_workers_per_gather = 0; SET work_mem = '128MB'; SET jit = off")
    stream = Stream(db, args)
    records, ends = read_topic(args)
    connection.commit()
    connection.autocommit = True
    wait_until_consumed(db, stream, ends, args.wait, args.frontier)
    connection.autocommit = False
    db.execute('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    recorded = Recorded(db, stream)
    if recorded.frontier is None:
        die('the stream has no frontier yet')
    events = check_events(records, ends, recorded, stream)
    db.execute('CREATE SCHEMA %s' % schema)
    check_history(db, schema, stream, recorded, events)
    connection.commit()
    connection.autocommit = True
    if args.redis_port:
        check_converged('redis', redis_differences, db, schema, stream,
                        Redis(args.redis_host, args.redis_port), args.patience)
    check_converged('view', view_differences, db, schema, stream, None, args.patience)


def main():
    args = parse_arguments()
    schema = 'oracle_%d' % os.getpid()
    try:
        connection = psycopg2.connect(args.dsn)
        run(args, connection, schema)
        connection.autocommit = True
        if not args.keep:
            connection.cursor().execute("SET client_min_messages = 'warning'; DROP SCHEMA IF EXISTS %s CASCADE" % schema)
    except (psycopg2.Error, confluent_kafka.KafkaException, OSError) as error:
        die(str(error).strip())
    sys.exit(1 if Check.failed else 0)


if __name__ == '__main__':
    main()
