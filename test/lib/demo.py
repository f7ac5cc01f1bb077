"""The demo's clicks and its screen; test/demo starts and ends it.

demo.py topic ...   makes the topic
demo.py run ...     produces clicks and shows what becomes of them

Two processes: the feeder produces, the other looks.  What it shows comes from
where a user would look: the stat views, the dead letters and the feature view
through one psql, the online row through HGETALL.
"""
import argparse
import collections
import json
import multiprocessing
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time

TOPIC = "click-events"
PARTITIONS = 4
USERS = 10_000
PAST = 40 * 60          # seconds of event time produced at once
PAST_RATE = 200         # events a second of that time, at most
WATERMARK_DELAY = 30    # as in the stream's definition
SLIDE = 60
SHOWN_USER = "u42"
WATCHED = [f"u{i}" for i in range(1, 65)]
FIELDS = ["items_clicked_30m", "item_count_30m", "distinct_items_30m",
          "distinct_categories_30m", "top_category_30m", "window_end", "computed_at"]


# ---- Clicks ----

CATEGORIES = ["shoes", "shirts", "jackets", "hats", "socks", "bags", "watches", "scarves"]
BAD_KINDS = 7
BAD_SHARE = 0.005


class Clicks:
    """A seeded stream of clicks: a few busy users, favourite categories, a little disorder."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.bad_next = 0

    def good(self, now):
        """A click as it comes from a browser, up to three seconds after it happened."""
        r = self.random.random
        user = int(USERS * r() ** 1.3)
        kind = user % 8 if r() < 0.6 else int(r() * 8)
        item = kind + 8 * int(60 * r() ** 2)
        category = "" if r() < 0.05 else f'"category": "{CATEGORIES[kind]}", '
        return f"u{user}", (f'{{"user_id": "u{user}", "item_id": "i{item}", '
                            f'{category}"timestamp": {now - 3 * r():.3f}}}')

    def bad(self, now):
        """Something that must not count: each kind in turn."""
        kind = self.bad_next % BAD_KINDS
        self.bad_next += 1
        user, event = self.good(now)
        if kind == 0:
            return user, event[:-9]
        if kind == 1:
            return user, '{"user_id": "%s", "timestamp": %.3f}' % (user, now)
        if kind == 2:
            return None, '{"user_id": "", "item_id": "i1", "timestamp": %.3f}' % now
        if kind == 3:
            return user, '{"user_id": "%s", "item_id": "i1", "timestamp": "yesterday"}' % user
        if kind == 4:
            return user, '{"user_id": "%s", "item_id": "i1", "timestamp": %.3f}' % (user, now + 7200)
        if kind == 5:
            return user, '{"user_id": "%s", "item_id": "i1", "timestamp": %.3f}' % (user, now - 14400)
        return user, None


class Feeder:
    """The producing process: the past, then live until told to stop."""

    def __init__(self, options):
        self.options = options
        self.past_total = PAST * min(PAST_RATE, options.rate)
        self.produced = multiprocessing.Value("q", 0, lock=False)
        self.bad = multiprocessing.Value("q", 0, lock=False)
        self.live = multiprocessing.Value("b", 0, lock=False)
        self.failed = multiprocessing.Value("q", 0, lock=False)
        self.stop = multiprocessing.Value("b", 0, lock=False)
        self.process = multiprocessing.Process(target=self.work, daemon=True)

    def start(self):
        self.process.start()

    def finish(self):
        """Stops producing; true when the broker has acknowledged every event."""
        self.stop.value = 1
        self.process.join(30)
        return self.process.exitcode == 0 and self.failed.value == 0

    def work(self):
        from confluent_kafka import Producer
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.parent = os.getppid()
        self.producer = Producer({
            "bootstrap.servers": self.options.brokers, "enable.idempotence": True, "linger.ms": 20,
            "compression.type": "lz4", "queue.buffering.max.messages": 200_000,
            "delivery.report.only.error": True, "on_delivery": self.report, "log_level": 3})
        self.clicks = Clicks(42)
        self.produce_past()
        self.produce_live()
        while self.producer.flush(1) > 0 and os.getppid() == self.parent:
            pass

    def report(self, error, message):
        self.failed.value += 1

    def stopped(self):
        return self.stop.value or os.getppid() != self.parent

    def send(self, now):
        # No bad events among the very first: what is late is known only behind a watermark.
        if self.produced.value > 2000 and self.clicks.random.random() < BAD_SHARE:
            key, value = self.clicks.bad(now)
            self.bad.value += 1
        else:
            key, value = self.clicks.good(now)
        while True:
            try:
                self.producer.produce(TOPIC, value, key)
                break
            except BufferError:
                self.producer.poll(0.05)
        self.produced.value += 1

    def produce_past(self):
        """Event time runs from 40 minutes ago to now, whenever now is."""
        begin = time.time() - PAST
        sent = 0
        while sent < self.past_total and not self.stopped():
            now = begin + (time.time() - begin) * sent / self.past_total
            step = (time.time() - begin) / self.past_total
            for _ in range(min(500, self.past_total - sent)):
                self.send(now)
                now += step
                sent += 1
            self.producer.poll(0)

    def produce_live(self):
        self.live.value = 1
        begin = time.monotonic()
        sent = 0
        while not self.stopped():
            due = int((time.monotonic() - begin) * self.options.rate)
            if due - sent > 2 * self.options.rate:      # this machine cannot keep up: no debt
                begin += (due - sent) / self.options.rate
                continue
            now = time.time()
            for _ in range(min(due - sent, 1000)):
                self.send(now)
                sent += 1
            self.producer.poll(0.01)


def make_topic(options):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": options.brokers})
    topic = NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)
    for done in admin.create_topics([topic], operation_timeout=30).values():
        done.result()


# ---- Looking: PostgreSQL through one psql, Redis through one socket ----

STATISTICS = """
SELECT json_build_object(
  'stream', (SELECT row_to_json(s) FROM (
      SELECT state, extract(epoch FROM watermark) AS watermark, extract(epoch FROM frontier) AS frontier,
             lag_events, read_count, accepted_count, dead_letter_count, partially_late_count, memory_bytes,
             checkpoint_count, extract(epoch FROM last_checkpoint_time) AS checkpoint_time,
             last_checkpoint_duration AS checkpoint_duration, last_checkpoint_bytes AS checkpoint_bytes, last_error
        FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass) s),
  'view', (SELECT row_to_json(v) FROM (
      SELECT entities, row_count FROM feature_stream.stat_feature_view
       WHERE view = 'session_features'::regclass) v),
  'online', (SELECT row_to_json(o) FROM (
      SELECT connected, queued, written_count, last_error FROM feature_stream.stat_online
       WHERE view = 'session_features'::regclass) o));
"""
ROW = f"""
SELECT json_build_object('items_clicked_30m', items_clicked_30m, 'item_count_30m', item_count_30m,
    'distinct_items_30m', distinct_items_30m, 'distinct_categories_30m', distinct_categories_30m,
    'top_category_30m', top_category_30m, 'window_end', extract(epoch FROM window_end),
    'computed_at', extract(epoch FROM computed_at))
  FROM session_features WHERE user_id = '{SHOWN_USER}';
"""
DEAD_LETTERS = """
SELECT jsonb_agg(d) FROM (
    SELECT reason, count(*) AS count, max(message) AS message FROM feature_stream.dead_letter
     WHERE stream = 'clicks'::regclass GROUP BY reason ORDER BY reason) d;
"""


class Sql:
    """One psql, fed through a pipe.  A statement that fails gives nothing, and its error is kept."""

    def __init__(self, directory):
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-h", directory, "-p", "5432", "-U", "postgres", "demo"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def ask(self, statement):
        """One JSON value, or None; raises OSError when the server is gone."""
        self.psql.stdin.write(statement + "\n\\echo .\n")
        self.psql.stdin.flush()
        value = None
        for line in self.psql.stdout:
            line = line.rstrip("\n")
            if line == ".":
                return value
            if line[:1] in ("{", "["):
                value = json.loads(line)
        raise OSError("PostgreSQL has gone away")

    def close(self):
        self.psql.terminate()
        self.psql.wait()


class Redis:
    """As much of a Redis client as HGETALL and HGET take."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.input = self.socket.makefile("rb")

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def receive(self):
        line = self.input.readline()
        if not line:
            raise OSError("Redis has gone away")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.input.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        if kind == b"*":
            return [self.receive() for _ in range(int(rest))]
        return rest.decode()

    def row(self, user):
        self.send("HGETALL", f"user:{user}:session_features")
        flat = self.receive()
        return dict(zip(flat[::2], flat[1::2])) or None

    def newest(self):
        """(window_end, computed_at) of the newest row among the watched users, or None."""
        for user in WATCHED:
            self.send("HMGET", f"user:{user}:session_features", "window_end", "computed_at")
        rows = [self.receive() for _ in WATCHED]
        return max(((float(w), float(c)) for w, c in rows if w and c), default=None)

    def close(self):
        self.socket.close()


class Look:
    """What is known at one instant."""

    def __init__(self):
        self.now = time.time()
        self.stream = {}
        self.view = {}
        self.online = {}
        self.letters = []
        self.from_sql = None
        self.from_redis = None
        self.newest = None


class Watcher:
    """Looks, and remembers what a rate and the first feature need."""

    def __init__(self, options):
        self.sql = Sql(options.socket)
        self.redis = Redis(options.redis_port)
        self.begun = time.time()
        self.reads = collections.deque(maxlen=4)
        self.first_feature = None
        self.letters = []
        self.letters_checkpoint = None

    def look(self):
        look = Look()
        statistics = self.sql.ask(STATISTICS) or {}
        look.stream = statistics.get("stream") or {}
        look.view = statistics.get("view") or {}
        look.online = statistics.get("online") or {}
        look.from_sql = self.sql.ask(ROW)
        look.from_redis = self.redis.row(SHOWN_USER)
        look.newest = self.redis.newest()
        look.letters = self.look_at_letters(look.stream.get("checkpoint_count"))
        look.now = time.time()
        if look.newest and self.first_feature is None:
            self.first_feature = look.now
        self.reads.append((look.now, look.stream.get("read_count") or 0))
        return look

    def look_at_letters(self, checkpoint):
        """Dead letters come with checkpoints: nothing new between two."""
        if checkpoint != self.letters_checkpoint:
            self.letters = self.sql.ask(DEAD_LETTERS) or []
            self.letters_checkpoint = checkpoint
        return self.letters

    def rate(self):
        (t0, n0), (t1, n1) = self.reads[0], self.reads[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0

    def close(self):
        self.sql.close()
        self.redis.close()


# ---- Words ----

def count(n):
    return "-" if n is None else f"{n:,}"


def size(n):
    if n is None:
        return "-"
    for unit in ("B", "kB", "MB"):
        if n < 10_000:
            return f"{n:.0f} {unit}"
        n /= 1024
    return f"{n:.1f} GB"


def clock(seconds, digits=0):
    if seconds is None:
        return "-"
    text = time.strftime("%H:%M:%S", time.localtime(seconds))
    return text + f"{seconds % 1:.3f}"[1:] if digits else text


def ago(seconds):
    if seconds is None:
        return "-"
    return f"{max(seconds, 0):.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def due(look):
    """The newest window end that the watermark has passed."""
    watermark = look.stream.get("watermark")
    return None if watermark is None else watermark // SLIDE * SLIDE


def as_values(row, from_redis):
    """A row's values as comparable Python values, by field."""
    if row is None:
        return {}
    values = {}
    for field in FIELDS:
        value = row.get(field)
        if from_redis and value is not None:
            if field == "items_clicked_30m":
                value = json.loads(value)
            elif field != "top_category_30m":
                value = float(value)
        values[field] = value
    return values


def shown(field, value):
    if value is None:
        return "-"
    if field == "items_clicked_30m":
        return " ".join(value)
    if field in ("window_end", "computed_at"):
        return clock(value, digits=field == "computed_at")
    return str(value) if isinstance(value, str) else f"{value:,.0f}"


def cut(text, width):
    return text if len(text) <= width else text[:width - 1] + "…"


# ---- The screen ----

class Screen:
    """80 by 24, drawn over itself once a second; the terminal is as before afterwards."""

    DIM, BOLD, GREEN, YELLOW, RED, CYAN, PLAIN = (
        "\033[2m", "\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[36m", "\033[0m")

    def __init__(self, options):
        self.options = options
        self.width = 78
        sys.stdout.write("\033[?1049h\033[?25l\033[?7l\033[2J")

    def close(self):
        sys.stdout.write("\033[?7h\033[?25h\033[?1049l")
        sys.stdout.flush()

    def paint(self, color, text):
        return f"{color}{text}{self.PLAIN}"

    def draw(self, watcher, feeder, look):
        columns, rows = shutil.get_terminal_size((80, 24))
        self.width = max(60, min(columns, 120)) - 2
        lines = self.header(watcher, feeder, look)
        lines += self.figures(watcher, look)
        lines += [""] + self.rows(look)
        lines += [""] + self.letters(look, 1 if rows < 25 else 2)
        lines += [""] + self.guide()
        body = "".join(f"\r\n {line}\033[K" for line in lines[:rows])[2:]
        sys.stdout.write("\033[?2026h\033[H" + body + "\033[J\033[?2026l")
        sys.stdout.flush()

    def header(self, watcher, feeder, look):
        state = look.stream.get("state", "starting")
        color = {"running": self.GREEN, "failed": self.RED}.get(state, self.YELLOW)
        done = 100 * feeder.produced.value // feeder.past_total
        phase = "live" if feeder.live.value else f"past {done} %"
        left = "feature_stream"
        right = f"● {state}  {phase}  {ago_clock(look.now - watcher.begun)}"
        middle = "   clicks → session_features"
        gap = max(1, self.width - len(left) - len(middle) - len(right))
        return [self.paint(self.BOLD, left) + middle + " " * gap + self.paint(color, right),
                self.paint(self.DIM, "─" * self.width)]

    def figure(self, name, value, *notes):
        return (self.paint(self.DIM, f"{name:<12}") + self.paint(self.BOLD, f"{value:<16}") +
                cut("   ".join(notes), self.width - 28))

    def figures(self, watcher, look):
        s, now = look.stream, look.now
        watermark = s.get("watermark")
        lag = s.get("lag_events")
        error = s.get("last_error") or look.online.get("last_error")
        lines = [
            self.figure("events", f"{watcher.rate():,.0f} /s", f"accepted {count(s.get('accepted_count'))}",
                        f"dead letters {count(s.get('dead_letter_count'))}"),
            self.figure("lag", "-" if lag is None else f"{lag:,} events", "in Kafka and not read yet"),
            self.figure("watermark", clock(watermark), *(
                [] if watermark is None else
                [f"{ago(now - watermark)} behind now, {WATERMARK_DELAY} s of them by definition"])),
            self.figure("freshness", *self.freshness(look)),
            self.figure("checkpoint", f"#{count(s.get('checkpoint_count'))}", *(
                [] if s.get("checkpoint_time") is None else
                [f"{ago(now - s['checkpoint_time'])} ago, took {s['checkpoint_duration'] or 0:.0f} ms, "
                 f"{size(s['checkpoint_bytes'])}"])),
            self.figure("state", size(s.get("memory_bytes")), f"{count(look.view.get('entities'))} users",
                        f"{count(look.view.get('row_count'))} rows",
                        f"{count(look.online.get('written_count'))} to Redis")]
        if error:
            lines.append(self.paint(self.RED, cut(error, self.width)))
        return lines

    def freshness(self, look):
        if not look.newest:
            return ["-", "no row in Redis yet"]
        behind = due(look) is not None and look.newest[0] < due(look)
        note = f"{clock(due(look))} is due" if behind else f"next due {clock(look.newest[0] + SLIDE + WATERMARK_DELAY)}"
        return [f"{ago(look.now - look.newest[0])}", f"Redis has {clock(look.newest[0])}", note]

    def rows(self, look):
        redis, sql = as_values(look.from_redis, True), as_values(look.from_sql, False)
        name, rest = 25, self.width - 25 - 3
        left = rest // 2
        # Between a firing and its way to Redis the two speak for different window ends.
        comparable = bool(redis) and redis.get("window_end") == sql.get("window_end")
        lines = [self.paint(self.DIM, f"{'user ' + SHOWN_USER:<{name}}{'Redis HGETALL':<{left}}   SQL SELECT")]
        for field in FIELDS:
            a, b = redis.get(field), sql.get(field)
            mark = "  " if not comparable else "= " if a == b else "≠ "
            color = self.GREEN if mark == "= " else self.YELLOW
            lines.append(f"{field:<{name}}{cut(shown(field, a), left):<{left}} " + self.paint(color, mark) +
                         cut(shown(field, b), rest - left))
        return lines

    def letters(self, look, room):
        """Counts on two lines, one sentence in turn on as many as there is room for."""
        sample = look.letters[int(look.now / 4) % len(look.letters)] if look.letters else None
        counts = textwrap.wrap("  ".join(f"{d['reason']}\xa0{d['count']:,}" for d in look.letters), self.width - 14)
        sentence = textwrap.wrap(f"{sample['reason']}: {sample['message']}", self.width) if sample else []
        if len(sentence) > room:
            sentence[room - 1:] = [cut(" ".join(sentence[room - 1:]), self.width)]
        counts = (counts + ["", ""])[:2]
        return [self.paint(self.DIM, "dead letters  ") + counts[0], " " * 14 + counts[1]] + [
            self.paint(self.CYAN, line) for line in (sentence + [""] * room)[:room]]

    def guide(self):
        return [self.paint(self.DIM, cut(line, self.width)) for line in (
            sql_command(self.options),
            f"{redis_command(self.options)}   Ctrl-C removes it all")]


def ago_clock(seconds):
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def sql_command(options):
    return f"psql -h {options.socket} -p 5432 -U postgres demo"


def redis_command(options):
    return f"redis-cli -p {options.redis_port} HGETALL user:{SHOWN_USER}:session_features"


class Lines:
    """Without a terminal: one line a second."""

    def __init__(self, options):
        print("look around:")
        print("  " + sql_command(options))
        print("  " + redis_command(options), flush=True)

    def close(self):
        pass

    def draw(self, watcher, feeder, look):
        s = look.stream
        watermark = s.get("watermark")
        print(f"{ago_clock(look.now - watcher.begun)}  {'live' if feeder.live.value else 'past'}  {s.get('state', '-')}"
              f"  {watcher.rate():,.0f}/s  lag {count(s.get('lag_events'))}"
              f"  watermark {'-' if watermark is None else '-' + ago(look.now - watermark)}"
              f"  fresh {ago(look.now - look.newest[0]) if look.newest else '-'}"
              f"  accepted {count(s.get('accepted_count'))}  dead {count(s.get('dead_letter_count'))}"
              f"  checkpoint #{count(s.get('checkpoint_count'))}"
              + (f"  error: {s['last_error']}" if s.get("last_error") else ""), flush=True)


# ---- The run ----

class Interrupt:
    """Remembers that we were asked to end, and wakes whoever waits; asked again, it insists."""

    def __init__(self):
        self.when = None
        self.output, self.input = os.pipe()
        signal.signal(signal.SIGINT, self.note)
        signal.signal(signal.SIGTERM, self.note)

    def note(self, number, frame):
        if self.when is None:
            self.when = time.monotonic()
            os.write(self.input, b".")
        elif time.monotonic() - self.when > 1:      # test/demo passes a Ctrl-C on: the same one twice
            raise OSError("interrupted")

    def wait(self, seconds):
        select.select([self.output], [], [], max(seconds, 0))


def watch(options, interrupt, watcher, feeder, display):
    """Looks once a second until the time is over or somebody asks us to end."""
    turn = 0
    while interrupt.when is None:
        look = watcher.look()
        display.draw(watcher, feeder, look)
        turn = max(turn, int(look.now - watcher.begun)) + 1
        if options.seconds and look.now - watcher.begun >= options.seconds:
            return
        interrupt.wait(watcher.begun + turn - time.time())


# Windows that are due have fired, and their rows are where they are served from.
SETTLED = """SELECT json_build_object('settled', s.durable_frontier > s.watermark - interval '2 min'
    AND NOT EXISTS (SELECT FROM feature_stream.stat_online o WHERE o.queued > 0 OR NOT o.connected))
  FROM feature_stream.stat_stream s;"""


def settle(watcher, feeder):
    """Waits, a minute at most, until all that was produced is read, its windows have fired and its dead letters are written."""
    deadline = time.time() + 60
    while time.time() < deadline:
        look = watcher.look()
        if ((look.stream.get("read_count") or 0) >= feeder.produced.value
                and (watcher.sql.ask(SETTLED) or {}).get("settled")):
            break
        time.sleep(0.2)
    watcher.sql.ask("SELECT feature_stream.checkpoint_stream('clicks');")
    watcher.letters_checkpoint = None
    return watcher.look()


def told(name, text):
    for line in textwrap.wrap(text, 60, break_on_hyphens=False):
        print(f"  {name:<17}{line}")
        name = ""


def summarize(options, watcher, feeder, look, acknowledged):
    """The last words.  True when features came and every event is accounted for."""
    s = look.stream
    accepted, dead = s.get("accepted_count") or 0, s.get("dead_letter_count") or 0
    whole = acknowledged and accepted + dead == feeder.produced.value and dead == feeder.bad.value
    letters = sum(d["count"] for d in look.letters)
    redis, sql = as_values(look.from_redis, True), as_values(look.from_sql, False)
    same = bool(redis) and redis == sql
    print("summary")
    if watcher.first_feature:
        print(f"  first feature    {watcher.first_feature - options.started:.1f} s after installation, "
              f"{watcher.first_feature - watcher.begun:.1f} s after the first click")
    else:
        print("  first feature    none came")
    print(f"  produced         {feeder.produced.value:,}, {feeder.bad.value:,} of them bad")
    print(f"  accepted + dead  {accepted:,} + {dead:,} = {accepted + dead:,}: "
          f"{'every event is accounted for' if whole and letters == dead else f'DIFFERS, {letters:,} dead letters'}")
    if look.newest and look.newest[0] > watcher.begun:
        print(f"  freshness        newest row computed {look.newest[1] - look.newest[0]:.1f} s after its window ended "
              f"({WATERMARK_DELAY} s wait)")
    told("dead letters", ", ".join(f"{d['reason']}\xa0{d['count']:,}" for d in look.letters) or "none")
    for d in look.letters[:3]:
        told("", f"{d['reason']}: {d['message']}")
    if s.get("last_error"):
        told("last error", s["last_error"])
    print(f"  user {SHOWN_USER}         {'Redis and SQL agree' if same else 'Redis and SQL DIFFER'}")
    for field in FIELDS:
        print(f"    {field:<25}{cut(shown(field, redis.get(field)), 50)}")
    sys.stdout.flush()
    return bool(watcher.first_feature) and whole and letters == dead and same


def run(options):
    """0 when all is well, 1 when not, 130 when it was ended before there was anything to see."""
    feeder = Feeder(options)
    watcher = Watcher(options)
    feeder.start()
    interrupt = Interrupt()
    display = (Screen if sys.stdout.isatty() else Lines)(options)
    try:
        watch(options, interrupt, watcher, feeder, display)
    finally:
        display.close()
    print("ending: the last events are on their way", flush=True)
    acknowledged = feeder.finish()
    well = summarize(options, watcher, feeder, settle(watcher, feeder), acknowledged)
    watcher.close()
    if interrupt.when is not None and not watcher.first_feature:
        return 130
    return 0 if well else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["topic", "run"])
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--redis-port", type=int)
    parser.add_argument("--socket", help="directory of the server's socket")
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--started", type=float, default=time.time())
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    if options.what == "topic":
        make_topic(options)
        return 0
    try:
        return run(options)
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
