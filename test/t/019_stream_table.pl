
# A stream as a table: SELECT reads its topic through a worker of the scan's own,
# as much of it as is wanted, to where it ended; INSERT and COPY append to it when
# their transaction commits, and only then; and whatever happens to broker,
# worker or session, nothing hangs and no worker is left.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('stream_table', 'max_worker_processes' => 11);
my $hole = new_black_hole();

# --- What a topic may hold: keys, headers, what is bad, transactions that end it with markers.
$kafka->create_topic('clicks', 3, 'message.timestamp.type' => 'CreateTime');
sub click { my ($user, $n) = @_; return sprintf('{"user": {"id": "%s"}, "n": %d, "at": "2030-01-01 00:00:%02d+00"}', $user, $n, $n); }
my $old = 1_700_000_000_000;
$kafka->produce_records('clicks', [
	(map { { partition => 0, value => click('a', $_), key => "k$_", timestamp => $old + 1000 * $_ } } 0 .. 9),
	{ partition => 1, value => click('b', 10), headers => { trace => 'abc' }, timestamp => $old },
	{ partition => 1, value => 'not JSON', timestamp => $old },
	{ partition => 1, value => click('', 11), timestamp => $old },
	{ partition => 1, timestamp => $old },
	{ partition => 1, value => click('b', 12), key => "\xff", timestamp => $old } ]);
$kafka->produce_records('clicks', [ { partition => 2, value => click('c', 20), timestamp => $old } ], 'transaction' => 'commit');
$kafka->produce_records('clicks', [ map { { partition => $_, value => click('no', 30), timestamp => $old } } 0 .. 2 ], 'transaction' => 'abort');

$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s');
	CREATE SERVER hole FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:%d');
	CREATE FOREIGN TABLE clicks (
		part int OPTIONS (field '$partition'),
		user_id text OPTIONS (field 'user.id') NOT NULL CHECK (user_id <> ''),
		n int, price numeric DEFAULT 1.5, tags text[],
		off bigint OPTIONS (field '$offset'), stamp timestamptz OPTIONS (field '$timestamp'),
		msg_key text OPTIONS (field '$key'), headers jsonb OPTIONS (field '$headers'),
		at timestamptz NOT NULL)
		SERVER kafka OPTIONS (topic 'clicks', event_time 'at', start 'latest');
	CREATE FOREIGN TABLE nowhere (user_id text, at timestamptz NOT NULL)
		SERVER hole OPTIONS (topic 'clicks', event_time 'at');
	CREATE ROLE reader;
	SELECT feature_stream.create_feature_view('v', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min')), $kafka->brokers, $hole->port));

# Processes that speak to Kafka for a session.
sub topic_workers
{
	my @pids;

	foreach my $line (split /\n/, `ps -o pid=,args= --ppid $node->{_pid}`)
	{
		push @pids, $1 if $line =~ /^\s*(\d+) .*feature_stream topic /;
	}
	return @pids;
}
sub no_workers_left { my ($what) = @_; wait_until("no worker after $what", sub { return !topic_workers() }); pass("no worker is left after $what"); return; }

# --- All of it.
my ($rc, $out, $err) = $node->psql('postgres', q(
	SELECT part, off, user_id, n, price, tags, stamp = to_timestamp(1700000000 + CASE part WHEN 0 THEN n ELSE 0 END), msg_key, headers FROM clicks ORDER BY part, off));
is($out, join("\n", (map { "0|$_|a|$_|1.5||t|k$_|" } 0 .. 9), '1|0|b|10|1.5||t||[{"key": "trace", "value": "abc"}]', '2|0|c|20|1.5||t||'),
	'a SELECT has all that meets the contract and was committed');
like($err, qr/^psql:<stdin>:\d+: NOTICE:  skipped 4 records of stream public\.clicks that do not meet its contract$/m, 'and says what it has left out');
like($err, qr/DETAIL:  The first: partition 1, offset 1, malformed: /, 'with an example');
query_is($node, 'SELECT user_id, count(*) FROM v_definition GROUP BY user_id ORDER BY 1', "a|1\nb|1\nc|1", 'the query of a feature view runs over the topic');
no_workers_left('reading all');

# --- Conditions that narrow what is read.
sub received
{
	my ($where) = @_;
	my $plan = $node->safe_psql('postgres', "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT FROM clicks WHERE $where");

	return join ' ', $plan =~ /actual rows=(\d+).*Records Received: (\d+)/s;
}
is(received('true'), '12 16', 'without a condition all records are received');
is(received('part = 0'), '10 10', 'a partition');
is(received('part IN (2, 1) AND part < 2::bigint'), '1 5', 'some partitions');
is(received('part = 7'), '0 0', 'one that there is not');
is(received('part = 0 AND off BETWEEN 3 AND 5'), '3 3', 'offsets');
is(received('5 <= off AND off < 7'), '2 2', 'offsets of all partitions');
is(received('off > 9223372036854775806'), '0 0', 'offsets that there are not');
is(received("stamp >= to_timestamp(1700000007)"), '3 3', 'times');
is(received("stamp < to_timestamp(1700000007) AND part = 0"), '7 10', 'an upper bound of times is looked at afterwards');
is(received('n = 3'), '1 16', 'so is everything else');
is(received("stamp > 'infinity' OR off IS NULL"), '0 16', 'what cannot be taken apart narrows nothing');
is(received("part = (SELECT NULL::int)"), '0 0', 'nothing equals null');
like($node->safe_psql('postgres', 'EXPLAIN (COSTS OFF) SELECT FROM clicks WHERE part = 1 AND n > 2'), qr/Topic Range: \(part = 1\)$/m, 'EXPLAIN shows what narrows');
query_is($node, 'PREPARE p (int, bigint) AS SELECT n FROM clicks WHERE part = $1 AND off >= $2; SET plan_cache_mode = force_generic_plan; EXECUTE p (0, 9); EXECUTE p (2, 0)',
	"9\n20", 'parameters do');
query_is($node, q(SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
	SELECT g, count(*), sum(n) FROM generate_series(1, 2) g LEFT JOIN LATERAL (SELECT * FROM clicks WHERE part = g OFFSET 0) c ON true GROUP BY 1 ORDER BY 1),
	"1|1|10\n2|1|20", 'a rescan reads with its own parameters');

# --- Whose right it is; and what such columns are not for.
is(($node->psql('postgres', 'SET ROLE reader; SELECT FROM clicks LIMIT 1'))[0], 3, 'not everybody may read');
query_is($node, 'GRANT SELECT ON clicks TO reader; SET ROLE reader; SELECT n FROM clicks WHERE part = 2', '20', 'who has the right may');
sub refusal { return ($node->psql('postgres', $_[0]))[2]; }
like(refusal("SELECT feature_stream.create_feature_view('w', 'SELECT user_id, max(off) AS o FROM clicks GROUP BY user_id', '{10 min}', '1 min')"),
	qr/column "off" in an argument of an aggregate.*no part of its payload/s, 'a feature view does not have them');
like(refusal(q(ALTER FOREIGN TABLE clicks ADD CHECK (off > 0))), qr/must not use column "off"/, 'nor has a CHECK');
like(refusal(q(ALTER FOREIGN TABLE clicks ADD COLUMN x text OPTIONS (field '$offset'))), qr/cannot show field "\$offset".*Declare it as bigint/s, 'they have their types');
like(refusal(q(ALTER FOREIGN TABLE clicks ADD COLUMN x bigint OPTIONS (field '$offset') DEFAULT 1)), qr/cannot have NOT NULL, DEFAULT/, 'and nothing else');
query_is($node, q(ALTER FOREIGN TABLE clicks ADD COLUMN raw bytea OPTIONS (field '$key'); ALTER FOREIGN TABLE clicks DROP COLUMN msg_key;
	SELECT raw FROM clicks WHERE part = 1 AND off = 4), '\xff', 'a key may be any bytes');

ingest_pid($node, 'clicks');
query_is($node, "SELECT count(*) FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass AND last_error IS NOT NULL", '0', 'and the stream goes on');

# --- Avro.
$kafka->create_topic('avro', 1);
$kafka->produce_records('avro', [ { partition => 0, value => avro_bytes('a') . avro_long(1_700_000_000_000) }, { partition => 0, value => 'x' } ]);
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE avro (user_id text, at timestamptz OPTIONS (unit 'ms') NOT NULL, off bigint OPTIONS (field '$offset')) SERVER kafka OPTIONS (topic 'avro', event_time 'at', format 'avro',
	schema '{"type": "record", "name": "r", "fields": [{"name": "user_id", "type": "string"}, {"name": "at", "type": "long"}]}')));
query_is($node, 'SELECT user_id, extract(epoch FROM at), off FROM avro', 'a|1700000000.000000|0', 'Avro is read');
$node->safe_psql('postgres', q(INSERT INTO avro VALUES ('b', '2024-01-01 00:00:00.5+00')));
query_is($node, 'SELECT user_id, extract(epoch FROM at), off FROM avro WHERE off > 0', 'b|1704067200.500000|2', 'and written: 019_stream_avro has more of that');

# --- A LIMIT ends it early.
$kafka->create_topic('many', 1);
$kafka->produce('many', 0, [ map { click('m', $_ % 60) . ' ' x 200 } 1 .. 50_000 ]);
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE many (user_id text OPTIONS (field 'user.id'), off bigint OPTIONS (field '$offset'), at timestamptz NOT NULL)
	SERVER kafka OPTIONS (topic 'many', event_time 'at')));
query_is($node, 'SELECT count(*), count(DISTINCT off) FROM many', '50000|50000', 'a larger topic is read to its end');
my $plan = $node->safe_psql('postgres', 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT FROM many LIMIT 3');
ok($plan =~ /Records Received: (\d+)/ && $1 < 5_000, 'a LIMIT stops early') or diag($plan);
no_workers_left('a LIMIT');

# --- What raises is left out in a parallel plan, too, where no subtransaction can begin.
$kafka->create_topic('raising', 1);
$kafka->produce('raising', 0, [ map { qq({"n": $_, "at": "2030-01-01 00:00:00+00"}) } 0 .. 3 ]);
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE raising (n int CHECK (6 / n > 1), at timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'raising', event_time 'at');
	CREATE TABLE large AS SELECT i % 5 AS n FROM generate_series(1, 20000) i; ANALYZE large));
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_nestloop = off;';
like($node->safe_psql('postgres', "$parallel EXPLAIN SELECT count(*) FROM large JOIN raising USING (n)"), qr/Gather/, 'a parallel plan');
($rc, $out, $err) = $node->psql('postgres', "$parallel SELECT count(*) FROM large JOIN raising USING (n)");
is("$rc $out", '0 12000', 'is run') or diag($err);
like($err, qr/skipped 1 record of stream public\.raising.*division by zero/s, 'and says what it has left out');

# --- Cancelled at once, also when nobody answers; and not for ever.
my $session = new_session($node, 'postgres');
my $took = seconds_of(sub { $session->run("SET statement_timeout = '1s'; SELECT count(*) FROM nowhere; RESET statement_timeout") });
like($session->errors, qr/canceling statement due to statement timeout/, 'statement_timeout ends it');
ok($took < 10, 'at once') or diag($took);
$session->send('SELECT count(*) FROM nowhere');
wait_until('a worker', sub { return topic_workers() });
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
$session->finish;
like($session->errors, qr/canceling statement due to user request/, 'so does a cancel');
no_workers_left('cancels');
like(refusal('SELECT count(*) FROM nowhere'), qr/ERROR:  the brokers of stream public\.nowhere do not answer.*HINT:  Check the option "brokers"/s, 'nobody is waited for too long');

# --- INSERT and COPY: what is committed is in the topic, in the order of the rows, and becomes features.
$kafka->create_topic('orders', 3, 'max.message.bytes' => 500_000);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE orders (
		user_id text OPTIONS (field 'user.id') NOT NULL CHECK (user_id <> 'nobody'), device text OPTIONS (field 'user.device'),
		price numeric CHECK (price > 0), amount double precision, small real, n bigint, good boolean, tags text[], days date[], doc jsonb, id uuid, day date,
		kind text DEFAULT 'web', at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL, seen timestamptz OPTIONS (unit 'ms'), times timestamptz[],
		part int OPTIONS (field '$partition'), off bigint OPTIONS (field '$offset'), msg_key text OPTIONS (field '$key'))
		SERVER kafka OPTIONS (topic 'orders', event_time 'at', start 'earliest', key 'user_id', idle_after '1 s', watermark_delay '1 s');
	SELECT feature_stream.create_feature_view('spent', 'SELECT user_id, sum(price) AS price, count(*) AS n FROM orders GROUP BY user_id', '{1 h}', '1 min')));
my $columns = 'user_id, device, price, amount, small, n, good, tags, days, doc, id, day, kind, at, seen, times';
my $rows = q(SELECT 'u' || i % 5 AS user_id, CASE WHEN i % 2 = 0 THEN E'd"\\\\\n' || chr(233) || i END AS device, i + 0.10 AS price, i / 3.0::float8 AS amount, (i / 7.0)::real AS small,
	CASE WHEN i % 3 = 0 THEN 9007199254740993 - i END AS n, i % 2 = 0 AS good, ARRAY[NULL, 'a,b', ''] AS tags, '{}'::date[] AS days, '{"a": [1, {"b": null}]}'::jsonb AS doc,
	'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid AS id, '2024-02-29'::date AS day, CASE WHEN i % 4 > 0 THEN 'app' END AS kind,
	date_trunc('second', now()) - (1000 - i) * interval '0.25 s' AS at, '2024-03-01 12:34:56.789012+02'::timestamptz AS seen, ARRAY['2024-03-01 12:34:56.5+00'::timestamptz] AS times
	FROM generate_series(1, 1000) i);
$node->safe_psql('postgres', "CREATE TABLE rows AS $rows; SET TimeZone = 'Asia/Kolkata'; SET extra_float_digits = -5; SET DateStyle = 'German'; INSERT INTO orders ($columns) SELECT $columns FROM rows");
is(rows_differ($node, "SELECT $columns FROM orders", "SELECT $columns FROM rows"), '', 'what was inserted is what is read');
query_is($node, 'SELECT count(*), count(DISTINCT part) > 1, bool_and(msg_key = user_id) FROM orders', '1000|t|t', 'with the key that the option says');
query_is($node, 'SELECT count(*) FROM (SELECT at - lag(at) OVER (PARTITION BY part ORDER BY off) AS d FROM orders) o WHERE d < interval \'0\'', '0', 'in the order of the rows');
query_becomes($node, 'SELECT sum(n_1h), sum(price_1h) FROM spent_live', '1000|500600.00', 'and the features have it');
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter WHERE stream = 'orders'::regclass), '0', 'nothing of it is a dead letter');
$node->safe_psql('postgres', "COPY orders (user_id, price, at, msg_key) FROM stdin;\nc1\t1\t2024-01-01 00:00:00.5+00\tk1\nc2\t\\N\t2024-01-01 00:00:00+00\t\\N\n\\.\n");
query_is($node, q(SELECT user_id, price, kind, extract(epoch FROM at), msg_key FROM orders WHERE user_id LIKE 'c_' ORDER BY 1), "c1|1|web|1704067200.500000|k1\nc2||web|1704067200.000000|c2",
	'COPY appends; a column that shows the key gives it');
query_is($node, q(INSERT INTO orders (user_id, at) VALUES ('r1', now()) RETURNING user_id, kind), 'r1|web', 'RETURNING gives the row');

# What a transaction or a part of it takes back is never sent.
sub written { return $node->safe_psql('postgres', "SELECT coalesce(string_agg(user_id, ' ' ORDER BY user_id COLLATE \"C\"), '') FROM orders WHERE user_id LIKE '$_[0]%'"); }
sub put { my ($user) = @_; return "INSERT INTO orders (user_id, at) VALUES ('$user', now());"; }
$node->safe_psql('postgres', 'BEGIN;' . put('x1') . 'ROLLBACK');
$node->psql('postgres', 'BEGIN;' . put('x2') . 'SELECT 1/0; COMMIT');
$node->safe_psql('postgres', 'BEGIN;' . put('x3') . 'SAVEPOINT a;' . put('x4') . 'SAVEPOINT b;' . put('x5') . 'RELEASE b;' . put('x6') . 'ROLLBACK TO a;' . put('x7') .
	'SAVEPOINT c;' . put('x8') . 'RELEASE c; SAVEPOINT d;' . put('x9') . 'ROLLBACK TO d; RELEASE a; COMMIT');
$node->safe_psql('postgres', q(DO $$ BEGIN BEGIN INSERT INTO orders (user_id, at) SELECT 'xa' || i, now() FROM generate_series(1, 3000) i; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN
	INSERT INTO orders (user_id, at) VALUES ('xb', now()); END; END $$));
is(written('x'), 'x3 x7 x8 xb', 'what is rolled back is not sent');
like(refusal('BEGIN;' . put('y') . q(PREPARE TRANSACTION 'y')), qr/cannot prepare a transaction that has inserted into a stream/, 'nothing is prepared');

# A transaction that must not commit, and will be tried again, has sent nothing.
$node->safe_psql('postgres', 'CREATE TABLE duty AS SELECT i, true AS is_on FROM generate_series(1, 2) i');
sub go_off { my ($i) = @_; return "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM duty WHERE is_on; UPDATE duty SET is_on = false WHERE i = $i;" . put("s$i"); }
$session->run(go_off(1));
$node->safe_psql('postgres', go_off(2) . 'COMMIT');
$session->run('COMMIT');
like($session->errors, qr/could not serialize access due to read\/write dependencies/, 'a transaction that is not serializable fails');
is(written('s'), 's2', 'before any of its records is sent');

# What would be a dead letter is an error, as in a table.
sub state_of { my (undef, undef, $text) = $node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]"); return $text =~ /ERROR:  (\w+): (.*)/ ? "$1 $2" : $text; }
is(state_of(q(INSERT INTO orders (at) VALUES (now()))), '23502 new row of stream public.orders does not meet its contract: field "user.id" is missing', 'NOT NULL');
like(state_of(q(INSERT INTO orders (user_id, at, price) VALUES ('y', now(), -1))), qr/^23514 .*check constraint "orders_price_check" is violated/, 'CHECK');
like(state_of(q(INSERT INTO orders (user_id, at) VALUES ('y', 'infinity'))), qr/^22023 column "at" has a value that a record cannot have: infinity/, 'what JSON does not have');
like(state_of(q(INSERT INTO orders (user_id, at, tags) VALUES ('y', now(), '{{a},{b}}'))), qr/^22023 column "tags"/, 'arrays of arrays');
like(state_of(q(INSERT INTO orders (user_id, at, part) VALUES ('y', now(), 0))), qr/^0A000 cannot insert a value into column "part"/, 'a place');
like(state_of(q(UPDATE orders SET price = 1)), qr/^0A000 cannot change records/, 'records stay what they are');
like(state_of(put('y') =~ s/;/ ON CONFLICT DO NOTHING/r), qr/^0A000 INSERT with ON CONFLICT/, 'ON CONFLICT');
like(state_of(q(ALTER FOREIGN TABLE orders OPTIONS (SET key 'nothing'))), qr/^42703 key column "nothing"/, 'a key that is no column');
is(written('y'), '', 'and none of it is sent');
is(($node->psql('postgres', 'SET ROLE reader; ' . put('z')))[0], 3, 'not everybody may write');

# One that the broker does not take is an error, and one that nobody takes, in time.
like(state_of(q(INSERT INTO orders (user_id, at, device) VALUES ('y', now(), repeat('x', 600000)))), qr/could not write to the topic of stream public\.orders: the broker refuses a record/,
	'a record that is too large');
$took = seconds_of(sub { $session->run("SET statement_timeout = '1s'; INSERT INTO nowhere VALUES ('a', now()); RESET statement_timeout") });
my $timeouts = () = $session->errors =~ /canceling statement due to statement timeout/g;
ok($timeouts == 2 && $took < 10, 'statement_timeout ends a commit that waits') or diag("$timeouts $took");
like(refusal(q(INSERT INTO nowhere VALUES ('a', now()))), qr/could not write to the topic of stream public\.nowhere: the brokers do not answer/, 'nobody is waited for too long');
no_workers_left('writing');

# What is delivered when the transaction still fails stays: that is said, and nothing hangs.
set_fault($node, 'topic-delivered:error:1');
like(refusal(put('late')), qr/ERROR:  fault point "topic-delivered" was told to fail/, 'a sender that fails at the last moment is an error');
set_fault($node, '');
is(written('late'), 'late', 'of a transaction whose records have gone');

# --- A scan that begins again and again waits for slots of workers that are still ending: hardly one is free.
query_is($node, q(SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
	SELECT count(*), sum(off) FROM generate_series(1, 20) g LEFT JOIN LATERAL (SELECT * FROM many WHERE off = g OFFSET 0) c ON true), '20|210', 'many rescans');

# --- Readers are so many at most: who may only read leaves slots to the streams' workers.
sub hold { my ($cursor) = @_; return "DECLARE $cursor CURSOR FOR SELECT * FROM many; FETCH 1 FROM $cursor;"; }
sub limit_readers
{
	my ($limit) = @_;

	$node->safe_psql('postgres', $_) for "ALTER SYSTEM SET feature_stream.max_topic_readers = $limit", 'SELECT pg_reload_conf()';
	query_becomes($node, 'SHOW feature_stream.max_topic_readers', $limit, "a limit of $limit");
	return;
}
my $read_many = 'SET ROLE reader; SELECT count(*) FROM many';
sub refused_by { return qr/ERROR:  53400: could not start a worker for the topic of stream public\.many\nDETAIL:  There are as many topic readers as "feature_stream\.max_topic_readers" allows, which is $_[0]\./; }
$node->safe_psql('postgres', 'GRANT SELECT ON many TO reader');
limit_readers(1);
$session->run('SET ROLE reader; BEGIN;' . hold('a'));
is(scalar(topic_workers()), 1, 'a cursor has a worker');
like(refusal("\\set VERBOSITY verbose\n$read_many"), refused_by(1), 'there is no second one');
$node->safe_psql('postgres', put('not limited'));
my $waiting = new_session($node, 'postgres');
$waiting->send($read_many);
$session->run('CLOSE a');
is($waiting->finish, '50000', 'until it is closed');
$session->run(hold('a'));
kill 'TERM', topic_workers();
query_becomes($node, 'SELECT count(*) FROM many', '50000', 'or its worker has ended, whatever its cursor does');
$session->run('ROLLBACK; BEGIN;' . hold('a'));
$session->close;
is($waiting->run($read_many), '50000', 'or its session');
is($waiting->errors, '', 'and who waits gets the place');
$waiting->close;
limit_readers(0);
like(refusal("\\set VERBOSITY verbose\n$read_many"), refused_by(0), 'nor is there any where none is allowed');
limit_readers(1);
$session = new_session($node, 'postgres');

# --- A worker that dies takes no session along that hangs.
$session->run('BEGIN; DECLARE c CURSOR FOR SELECT * FROM many; FETCH 1 FROM c');
my ($worker) = topic_workers();
kill 'TERM', $worker;
wait_until('its end', sub { return !kill(0, $worker) });
$session->run('FETCH ALL FROM c; ROLLBACK');
like($session->errors, qr/the worker for the topic of stream public\.many has ended unexpectedly/, 'a worker that was ended is an error');
$session->send('BEGIN; DECLARE c CURSOR FOR SELECT * FROM many; FETCH 1 FROM c; SELECT pg_sleep(1000)');
wait_until('a worker', sub { ($worker) = topic_workers(); return $worker });
ok(kill_backend_process($node, $worker), 'one that was killed restarts the server, as any process does');
query_becomes($node, 'SELECT count(*) FROM many', '50000', 'which then reads again');
no_workers_left('all of this');

done_testing();
