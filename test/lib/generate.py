#!/usr/bin/python3
"""generate.py: clicks for tests, as a seeded plan, produced to a Kafka topic.

Usage: generate.py --bootstrap HOST:PORT --topic NAME [--create]
                   [--partitions 6] [--events 100000] [--seed 1]
                   [--span-minutes 75] [--end-time EPOCH] [--rate EVENTS_PER_S]
                   [--from-event N] [--to-event N] [--compression CODEC]
       generate.py --dump ...        prints the plan, produces nothing

The plan depends on --events, --partitions, --seed, --span-minutes and
--end-time alone: event number N is the same record in the same partition
whenever and in however many parts it is produced.  So a test may produce
events 0 to 40,000, kill something, and go on with --from-event 40000, giving
the same --end-time.

What is in it: event times that run from end-time - span to end-time, out of
order by up to 30 s, often equal; events a few minutes and an hour late; absent,
null and empty categories; one producer whose clock is 45 s fast; users from
rare to very frequent, some with odd names; bad events of every reason; odd but
good JSON.  Users are spread over the partitions.  The last partition is never
written (with 3 or more); the one before it (with 4 or more) falls silent at
40 % and wakes up for the last 3 %.
"""

import argparse
import json
import random
import sys
import time

DISORDER = 30.0                 # seconds
FAST_CLOCK = 45.0               # seconds
SILENT_FROM, SILENT_UPTO = 0.40, 0.97
CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

ODD_USERS = ['a b', 'a:b', '100%', 'a/b', '{user_id}', 'ünï·cødé', '日本', '😀',
             'tab\tand\nline', '"quoted"', "O'Neill", 'back\\slash', '*', '%41',
             'x' * 300]
ODD_ITEMS = ['', 'NULL', 'null', 'a,b', '{a}', '"q"', 'back\\slash', 'é', '😀',
             'line\nbreak', '\u007f', ' ', 'i' * 500]
CATEGORIES = ['shoes', 'Shoes', 'books', 'toys', 'garden', 'été', 'zoo', 'NULL']


def seconds(rng, t):
    """Event time as a producer writes it: mostly with milliseconds."""
    form = rng.random()
    if form < 0.93:
        return '%.3f' % t
    if form < 0.95:
        return '%d' % t
    if form < 0.97:
        return '%.6f' % t
    if form < 0.98:
        return '%.3f%s' % (t, '999999')         # finer digits are cut
    if form < 0.99:
        return '%.3fe3' % (t / 1000)
    return '%d.0E-3' % (t * 1000)


class Plan:
    """The records of one seed, one after the other."""

    def __init__(self, args):
        self.args = args
        self.rng = random.Random('feature_stream %d' % args.seed)
        self.nusers = max(20, args.events // 60)
        self.written = args.partitions - (1 if args.partitions >= 3 else 0)
        self.sleeper = args.partitions - 2 if args.partitions >= 4 else -1
        self.last_time = args.end_time
        self.odd = odd_events(self)

    def user(self):
        """Skewed: few users have most of the events, most have a few."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.02:
            return rng.choice(ODD_USERS)
        if kind < 0.10:
            return 'u%d' % rng.randrange(3)
        return 'u%d' % int(self.nusers * rng.random() ** 2)

    def item(self):
        if self.rng.random() < 0.01:
            return self.rng.choice(ODD_ITEMS)
        return 'i%d' % int(200 * self.rng.random() ** 2)

    def fields(self, t):
        """An event's fields as JSON texts, in the usual order."""
        rng = self.rng
        fields = {'user_id': json.dumps(self.user(), ensure_ascii=rng.random() < 0.5),
                  'item_id': json.dumps(self.item(), ensure_ascii=rng.random() < 0.5)}
        kind = rng.random()
        if kind < 0.80:
            fields['category'] = json.dumps(rng.choice(CATEGORIES), ensure_ascii=False)
        elif kind < 0.88:
            fields['category'] = 'null'
        elif kind < 0.89:
            fields['category'] = '""'
        fields['timestamp'] = seconds(rng, t)
        return fields

    def event_time(self, now, partition):
        """When the event of a record sent at 'now' happened, by its producer's clock."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.10:
            return self.last_time               # equal to another one
        if kind < 0.60:
            t = now
        elif kind < 0.975:
            t = now - rng.random() * DISORDER
        elif kind < 0.995:
            t = now - rng.uniform(60, 25 * 60)  # misses some windows
        else:
            t = now - rng.uniform(45, 75) * 60  # misses all
        if partition == 1 and rng.random() < 0.3:
            t += FAST_CLOCK
        self.last_time = t = round(t, 3)
        return t

    def partition(self, progress):
        while True:
            partition = self.rng.randrange(self.written)
            if partition != self.sleeper or not SILENT_FROM <= progress < SILENT_UPTO:
                return partition

    def __iter__(self):
        """Yields (partition, key, value), args.events of them."""
        args = self.args
        rng = self.rng
        span = args.span_minutes * 60.0
        start = args.end_time - span
        self.last_time = round(start, 3)
        begun = set()           # a partition's first event is never late, however old: retention would drop it from the log
        for n in range(args.events):
            progress = n / args.events
            partition = self.partition(progress)
            t = self.event_time(start + span * progress, partition)
            if rng.random() < 0.02 and partition in begun:
                key, value = rng.choice(self.odd)(t)
            else:
                key, value = b'', to_json(self.fields(t))
            begun.add(partition)
            if key == b'':
                key = rng.choice([None, b'', b'k%d' % rng.randrange(100), b'\x00\xff'])
            yield partition, key, value


def to_json(fields, comma=', ', colon=': '):
    return ('{' + comma.join('"%s"%s%s' % (name, colon, text)
                             for name, text in fields.items()) + '}').encode('utf-8')


def odd_events(plan):
    """Functions from an event time to (key, value) of an event that is bad or looks it.

    A key of b'' is one that does not matter.
    """
    rng = plan.rng
    makers = []

    def add(function, weight=1):
        makers.extend([lambda t: (b'', function(t))] * weight)

    def with_field(name, text, weight=1):
        def make(t):
            fields = plan.fields(t)
            fields[name] = text(t) if callable(text) else text
            return to_json(fields)
        add(make, weight)

    def without(name):
        def make(t):
            fields = plan.fields(t)
            fields.pop(name, None)
            return to_json(fields)
        add(make)

    def bytes_of(function):
        add(lambda t: function(to_json(plan.fields(t))))

    # tombstone
    add(lambda t: None, 5)

    # malformed
    for text in [b'', b' ', b'not json', b'null', b'17', b'"text"', b'[]', b'[{}]', b'{', b'{}{}',
                 b'\x00', b'{"user_id" "u1"}', b"{'user_id': 'u1'}", b'{"user_id": "u1",}',
                 b'{,}', b'{"a": 01}', b'{"a": +1}', b'{"a": .5}', b'{"a": 1.}', b'{"a": 1e}',
                 b'{"a": 0x1}', b'{"a": nul}', b'{"a": "\\x41"}', b'{"a": "\\u12"}',
                 b'{"a": "tab\there"}', b'{"a": "open}', b'{a: 1}', b'{"a": [1, 2}', b'{"a": [,]}',
                 b'{"a": tru']:
        add(lambda t, text=text: text)
    bytes_of(lambda value: value[:rng.randrange(len(value))])
    bytes_of(lambda value: value[:-1])
    bytes_of(lambda value: value + b'}')
    bytes_of(lambda value: value + b' x')
    bytes_of(lambda value: b'\xef\xbb\xbf' + value)
    bytes_of(lambda value: b'[' + value + b']')
    bytes_of(lambda value: value.decode('utf-8').encode('utf-16'))
    for junk in [b'\xff', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe2\x82', b'\x80']:
        bytes_of(lambda value, junk=junk: value[:13] + junk + value[13:])
        bytes_of(lambda value, junk=junk: value[:-1] + b', "extra": "' + junk + b'"}')
    for text in ['NaN', 'Infinity', '-Infinity', '-', 'nan']:
        with_field('timestamp', text)
    for depth in [64, 65, 1000, 20000]:
        with_field('extra', '[' * depth + ']' * depth)
        with_field('extra', '{"a":' * depth + '1' + '}' * depth)

    # missing_field
    for name in ['user_id', 'item_id', 'timestamp']:
        without(name)
        with_field(name, 'null')
    add(lambda t: b'{}')
    add(lambda t: b' { } ')
    with_field('user_id', '"u1", "user_id": null')

    # check_violation
    with_field('user_id', '""', 3)
    with_field('user_id', '"u1", "user_id": ""')

    # bad_value
    for name in ['user_id', 'item_id', 'category']:
        for text in ['5', 'true', 'false', '[]', '{}', '["a"]', r'"a\u0000b"', r'"\u0000"', r'"\ud800"',
                     r'"\udc00\ud800"', r'"\ud800a"']:
            with_field(name, text)
    for text in ['true', '"1700000000"', '"2023-11-14T22:13:20Z"', '[]', '{}', '1e18', '-1e18', '1e400',
                 '-1', '-0.0000001', '-1e-30', '-1700000000', '99999999999999999999', '9' * 5000, '1e99999999999999999999',
                 '9223372036854775807', '9223372036.854775807e9']:
        with_field('timestamp', text)
    with_field('timestamp', lambda t: '%d' % (t * 1000))        # milliseconds by mistake
    with_field('user_id', '"%s"' % ('k' * 20000))

    # future, and late for everything
    for ahead in [120, 3600, 86400 * 365]:
        with_field('timestamp', lambda t, ahead=ahead: '%.3f' % (plan.args.end_time + ahead + 600))
    for text in ['0', '-0', '-0.0', '0.0000001', '1e-400', '0e99999', '1700000000', '1e-99999999999999999999']:
        with_field('timestamp', text)

    # good, though it may not look it
    for depth in [1, 62, 63]:
        with_field('extra', '[' * depth + ']' * depth)
        with_field('extra', '{"a":' * depth + '1' + '}' * depth)
    for text in [r'"a\u0000b"', r'"\ud800"', '1e999999999', '9' * 5000, '-0.0e-0', '"user_id"', 'null',
                 r'{"user_id": "inner", "timestamp": 5}', r'["\"}", "\\", "]"]', '"%s"' % ('p' * 200000)]:
        with_field('extra', text)
    with_field('user_id', '5, "user_id": "u1"')
    with_field('user_id', 'null, "user_id": "u2"')
    with_field('category', '7, "category": null')
    with_field('timestamp', lambda t: '"no", "timestamp": %.3f' % t)
    with_field('timestamp', lambda t: '%.3f000000000000000000000001' % t)
    with_field('timestamp', lambda t: '0.%de10' % (t * 1000000 // 1))
    add(lambda t: to_json({r'user\u005fid': '"u1"', r'\u0069tem_id': r'"\u0069\/7"', 'timestamp': '%.3f' % t}))
    add(lambda t: to_json({'timestamp': '%.3f' % t, 'category': r'"\u0065\ud83d\ude00"', 'item_id': '"i7"',
                           'user_id': '"u2"'}))
    add(lambda t: b'\r\n\t ' + to_json(plan.fields(t), '\n,\t', ' : ') + b' \n', 2)
    add(lambda t: to_json(plan.fields(t), ',', ':'), 2)
    return makers


def connect(args):
    from confluent_kafka import Producer
    return Producer({'bootstrap.servers': args.bootstrap, 'enable.idempotence': True,
                     'linger.ms': 5, 'queue.buffering.max.messages': 200000,
                     'message.timeout.ms': 600000, 'reconnect.backoff.max.ms': 500,
                     'compression.codec': args.compression or CODECS[args.seed % len(CODECS)]})


def create_topic(args):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({'bootstrap.servers': args.bootstrap})
    topic = NewTopic(args.topic, num_partitions=args.partitions, replication_factor=1)
    for future in admin.create_topics([topic], operation_timeout=60).values():
        future.result()


def produce(args, plan):
    """Produces the part of the plan that was asked for; returns how many."""
    producer = connect(args)
    failed = []
    done = 0

    def delivered(error, message):
        if error is not None:
            failed.append(error)

    began = time.monotonic()
    for n, (partition, key, value) in enumerate(plan):
        if n < args.from_event:
            continue
        if n >= args.to_event:
            break
        while True:
            try:
                producer.produce(args.topic, value, key, partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        done += 1
        if done % 500 == 0:
            producer.poll(0)
        if args.rate > 0 and done % max(1, int(args.rate / 50)) == 0:
            ahead = began + done / args.rate - time.monotonic()
            if ahead > 0:
                producer.poll(0)
                time.sleep(ahead)
    if producer.flush(600) > 0 or failed:
        sys.exit('generate.py: could not produce everything: %s' % (failed[:1] or 'timed out'))
    return done


def parse_arguments():
    parser = argparse.ArgumentParser(description='produces seeded clicks to a Kafka topic')
    parser.add_argument('--bootstrap')
    parser.add_argument('--topic')
    parser.add_argument('--create', action='store_true', help='create the topic first')
    parser.add_argument('--dump', action='store_true', help='print the plan instead')
    parser.add_argument('--partitions', type=int, default=6)
    parser.add_argument('--events', type=int, default=100000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--span-minutes', type=float, default=75)
    parser.add_argument('--end-time', type=float, help='epoch seconds at which the plan ends; default: now')
    parser.add_argument('--rate', type=float, default=0, help='events a second; 0: as fast as they go')
    parser.add_argument('--from-event', type=int, default=0)
    parser.add_argument('--to-event', type=int)
    parser.add_argument('--compression', choices=CODECS, help='default: by seed')
    args = parser.parse_args()
    if args.end_time is None:
        args.end_time = time.time()
    if args.to_event is None:
        args.to_event = args.events
    if not args.dump and not (args.bootstrap and args.topic):
        parser.error('--bootstrap and --topic are needed')
    return args


def main():
    args = parse_arguments()
    plan = Plan(args)
    if args.dump:
        for n, (partition, key, value) in enumerate(plan):
            if args.from_event <= n < args.to_event:
                print(n, partition, key, value)
        return
    if args.create:
        create_topic(args)
    done = produce(args, plan)
    print('produced %d events to %s (seed %d, end time %.3f)' % (done, args.topic, args.seed, args.end_time))


if __name__ == '__main__':
    main()
