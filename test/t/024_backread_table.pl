# A feature view that comes to a running stream over a table reads from the table
# what is older than the stream's log: its history is what PostgreSQL's executor
# makes of all rows, whoever dies meanwhile, and no other view changes.
#
# FS_EVENTS makes it longer, FS_SEED replays the events.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::ClickHistory;
use Test::More;

my $events = $ENV{FS_EVENTS} || 10000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));

note("seed $seed (FS_SEED=$seed replays the events)");

# Small batches make many steps.
my $node = new_node('backread_table', 'feature_stream.memory' => '64MB', 'feature_stream.poll_batch_size' => 20);

$node->safe_psql('postgres', q(
	CREATE TABLE outbox (n bigint GENERATED ALWAYS AS IDENTITY, x xid8 NOT NULL DEFAULT pg_current_xact_id(),
		arrived timestamptz NOT NULL, v text, PRIMARY KEY (x, n));
	CREATE TABLE event (n int, o bigint PRIMARY KEY, xact xid8, user_id text, item text, at timestamptz);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	-- Clicks of a stretch of seconds after midnight with so much disorder, and, if asked for, some rows that are none.
	CREATE PROCEDURE send(first float8, last float8, events int, disorder int, with_bad bool, seed float8) LANGUAGE sql AS $$
		SELECT setseed(seed);
		WITH click AS (
			SELECT i, sent, 'u' || (random() * random() * 60)::int AS user_id, 'i' || (random() * 20)::int AS item_id,
			       sent - random() ^ 3 * disorder * interval '1 s' AS clicked_at, with_bad AND i % 1000 = 500 AS is_bad
			  FROM (SELECT i, timestamptz '2024-01-15 00:00:00+00' + (first + (last - first) * i / events) * interval '1 s' AS sent
			          FROM generate_series(0, events - 1) i) s),
		sent AS (
			INSERT INTO outbox (arrived, v)
			SELECT sent, CASE WHEN is_bad THEN ('{"{",null,"{\"user_id\": \"x\"}"}'::text[])[1 + i / 1000 % 3]
			       ELSE json_build_object('user_id', user_id, 'item_id', item_id, 'clicked_at', clicked_at)::text END
			  FROM click ORDER BY i RETURNING n, x, v)
		INSERT INTO event SELECT 0, n, x, v::json ->> 'user_id', v::json ->> 'item_id', (v::json ->> 'clicked_at')::timestamptz
		  FROM sent WHERE v LIKE '%item_id%' $$));

my $second = 0;

# Moves the clock to so many seconds after midnight.
sub set_clock
{
	($second) = @_;
	hold_clock($node, "(timestamptz '2024-01-15 00:00:00+00' + $second * interval '1 s')");
	return;
}

sub send_clicks
{
	my ($first, $last, $count, $disorder, $with_bad, $session) = @_;
	my $call = sprintf('CALL send(%s, %s, %d, %d, %s, %s)', $first, $last, $count, $disorder, $with_bad ? 'true' : 'false',
		($seed * 7919 + $last) % 1000003 / 1000003);

	return $session->run($call) if $session;
	set_clock($last);
	return $node->safe_psql('postgres', $call);
}

# Waits until all rows are read, and windows have fired up to a minute before the clock.
sub wait_for_all
{
	wait_until('all rows to be read', sub { (answer_of($node, q(SELECT (p.next_xid, p.next_offset) >= (o.x, o.n)
		FROM feature_stream.partition_position p, (SELECT x, n FROM outbox ORDER BY x DESC, n DESC LIMIT 1) o)) // 'f') eq 't' });
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres', "SELECT timestamptz '2024-01-15 00:00:00+00' + ($second - 60) * interval '1 s'"));
	return;
}

# Brings the watermark to 31 s before that second.
sub tick
{
	my ($to) = @_;

	send_clicks($to - 1, $to, 1, 0, 0);
	wait_for_all();
	return;
}

sub is_history
{
	my ($view, $where, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(rows_differ($node, click_history($view), expected_click_history($where)), '', $name);
}

# --- Rows, the last ones of transactions that wrote in another order than they began; some of a transaction that takes
# long; then a stream that begins behind those before it.
send_clicks(0, 5.8 * 3600, $events, 1800, 1);
my $early = new_session($node, 'postgres');
$early->run('BEGIN; SELECT pg_current_xact_id()');
send_clicks(5.8 * 3600, 5.9 * 3600, $events / 100, 20, 0);
send_clicks(5.8 * 3600, 5.85 * 3600, 50, 20, 0, $early);
$early->run('COMMIT');
$early->close;
my $slow = new_session($node, 'postgres');
$slow->run('BEGIN');
send_clicks(5.9 * 3600 - 20, 5.9 * 3600, 50, 0, 0, $slow);
my $slow_xid = $slow->run('SELECT pg_current_xact_id()');
send_clicks(5.9 * 3600, 6 * 3600, $events / 100, 20, 0);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL CHECK (user_id <> ''), item_id text NOT NULL, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'arrived', event_time 'clicked_at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'latest', log_retention '1 hour', dead_letter_retention '30000 days')));
create_click_view($node, 'plain', '');
$node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM feature_stream.partition_position)) or die 'no position';
$slow->run('COMMIT');
$slow->close;
my $live = "xact >= '$slow_xid'";
send_clicks(6 * 3600, 6.3 * 3600, $events / 20, 20, 0);
tick(6.3 * 3600);
is_history('plain', $live, 'a view that begins with the stream has the rows from there on, those of a slow transaction too');

# --- Read back, by workers that die at each point of a step, while the stream goes on.
my $crashes = crash_count($node);
set_fault($node, 'backread-before-commit:crash:2');
create_click_view($node, 'filled', ", backfill_from => 'earliest'");
wait_until('a crash before a step is committed', sub { crash_count($node) > $crashes });
set_fault($node, 'backread-after-commit:crash:2');
$crashes = crash_count($node);
wait_until('a crash after a step was committed', sub {
	crash_count($node) > $crashes || (answer_of($node, q(SELECT state FROM feature_stream.backread)) // 'reading') ne 'reading' });
end_crashes($node);
send_clicks(6.3 * 3600, 6.4 * 3600, $events / 50, 20, 0);
tick(6.4 * 3600);
wait_for_filled($node, 'filled');
tick(6.5 * 3600);
cmp_ok(crash_count($node), '>=', 2, 'processes were killed');
is_history('filled', 'true', "its history is what the executor makes of all rows (seed $seed)");
verifies($node, 'filled', 'it verifies');
query_is($node, q(SELECT bool_and(complete), max(window_end) FILTER (WHERE backfilled) < min(window_end) FILTER (WHERE NOT backfilled),
	min(window_end) < '2024-01-15 00:00:00+00' FROM filled_history), 't|t|t', 'complete, and joined to the live flow at one window end');
my $older = $node->safe_psql('postgres', "SELECT count(*) FROM outbox WHERE x < '$slow_xid'");
query_is($node, "SELECT reason, state, offsets_total, offsets_done, read_count, lost_count, refused_count, refused_example ~ '^partition 0, offset \\d+, [a-z_]+: '
	FROM feature_stream.stat_progress_backfill", "creation|done|$older|$older|$older|0|" . int(($events + 499) / 1000) . '|t',
	'every row up to the stream\'s own start was read, and what is no event is counted');
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'but is no dead letter of the stream');
is_history('plain', $live, 'the other view has what it had');
verifies($node, 'plain', 'and verifies');

# --- The log does not reach back to the stream's beginning any more, and rows are gone from the table: some of the
# first, and the last, which the log has.
tick(10 * 3600);
send_clicks(10 * 3600, 10.2 * 3600, $events / 50, 20, 0);
tick(10.2 * 3600);
$node->poll_query_until('postgres', q(SELECT NOT EXISTS (SELECT FROM feature_stream.backread_log)
	AND (SELECT min(slice) > '2024-01-15 07:00:00+00' FROM feature_stream.event_log))) or die 'the log is not dropped';
is_history('filled', 'true', 'the history outlives what was read for it');
$node->safe_psql('postgres', "DELETE FROM outbox WHERE n % 5 = 0 AND n < $events / 10 OR n > (SELECT max(n) - 20 FROM outbox)");
set_fault($node, 'backread-before-commit:crash:3');
$crashes = crash_count($node);
create_click_view($node, 'again', ", backfill_from => 'earliest'");
wait_until('a crash while rows are read', sub { crash_count($node) > $crashes });
end_crashes($node);
wait_for_filled($node, 'again');
wait_for_all();
my $kept = sprintf("(o IN (SELECT b.n FROM outbox b) OR at >= '%s')",
	$node->safe_psql('postgres', "SELECT cut FROM feature_stream.backread WHERE view = 'again'::regclass AND cut > '2024-01-15 07:00:00+00'"));
is_history('again', $kept, 'its history has the rows that are left, and those of the log');
verifies($node, 'again', 'and verifies');
query_is($node, "SELECT offsets_done = offsets_total, offsets_total = (SELECT count(*) FROM outbox), lost_count
	FROM feature_stream.stat_progress_backfill WHERE view = 'again'::regclass", 't|t|0', 'all of them were read');

# --- From a time on, which is the arrival column's.
create_click_view($node, 'since', ", backfill_from => '2024-01-15 04:00:00+00'");
wait_for_filled($node, 'since');
wait_for_all();
is_history('since', "$kept AND o > (SELECT max(b.n) FROM outbox b WHERE b.arrived < '2024-01-15 04:00:00+00')", 'from a time on');
query_is($node, q(SELECT min(window_end) FILTER (WHERE complete) BETWEEN '2024-01-15 04:00:00+00' AND '2024-01-15 04:32:00+00',
	bool_or(NOT complete) FROM since_history), 't|t', 'windows that begin before it are not complete');
verifies($node, 'since', 'it verifies');

# --- An error on the way: the progress says so, and it goes on when it can.
set_fault($node, 'backread-before-commit:error:1');
create_click_view($node, 'blocked', ", backfill_from => 'earliest'");
$node->poll_query_until('postgres', q(SELECT state = 'failed' AND error ~ 'backread-before-commit' FROM feature_stream.stat_progress_backfill
	WHERE view = 'blocked'::regclass)) or die 'no error';
pass('an error on the way: the progress says so');
set_fault($node, '');
wait_for_filled($node, 'blocked');
wait_for_all();
is_history('blocked', $kept, 'and it goes on when it can');

# --- A stream that began with the first row, and has all of them in its log: nothing is to be read.
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE whole (user_id text NOT NULL, item_id text NOT NULL, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'arrived', event_time 'clicked_at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '7 days', dead_letter_retention '30000 days');
	SELECT feature_stream.create_feature_view('first', 'SELECT user_id, count(*) AS n FROM whole GROUP BY user_id', '{10 min}', '1 min')));
wait_for_read($node, 'whole', $node->safe_psql('postgres', 'SELECT count(*) FROM outbox'));
wait_for_frontier($node, 'whole', '2024-01-15 10:05:00+00');
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('second', 'SELECT user_id, count(*) AS n FROM whole GROUP BY user_id', '{10 min}', '1 min',
	backfill_from => 'earliest')));
wait_for_filled($node, 'second');
query_is($node, "SELECT offsets_total, offsets_done, read_count FROM feature_stream.stat_progress_backfill WHERE view = 'second'::regclass", '0|0|0',
	'nothing is read where the log has all');
is(rows_differ($node, 'SELECT user_id, n_10m, window_end, complete FROM second_history', 'SELECT user_id, n_10m, window_end, complete FROM first_history'), '',
	'and the history is that of a view that was there');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/,
	'nothing crashed but what was killed');

done_testing();
