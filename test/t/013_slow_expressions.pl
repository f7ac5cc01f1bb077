
# Expressions of users that do not end: an event is a dead letter, a feature is NULL, and the
# stream goes on. Who cancels or stops a worker meanwhile is obeyed.

use strict;
use warnings;

use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $users = 20;
my $sent = 0;
my $node = new_node('slow', 'feature_stream.expression_timeout' => '200ms');

$node->safe_psql('postgres', q(
	SELECT feature_stream.set_test_clock('2024-01-15 12:00:10+00');
	CREATE TABLE outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '10 min', start 'earliest', log_retention '1 day');
	CREATE FUNCTION patience(who text, n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF who LIKE 'loops%' THEN LOOP END LOOP; END IF;
		IF who LIKE 'sleeps%' THEN PERFORM pg_sleep(3600); END IF;
		IF who LIKE 'tough%' THEN
			FOR i IN 1 .. 5 LOOP
				BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN END;
			END LOOP;
		END IF;
		RETURN n * 2;
	END $$));

sub create_view
{
	my ($name, $where) = @_;

	$node->safe_psql('postgres', qq(SELECT feature_stream.create_feature_view('$name', \$\$
		SELECT user_id, count(*) AS n, patience(user_id, count(*)) AS twice, max(at) AS latest
		  FROM clicks WHERE $where GROUP BY user_id \$\$, windows => '{1 min, 5 min}', slide => '1 min')));
	return;
}

# Events of users at so many seconds past noon, when the clock says so.
sub send_events
{
	my ($second, @who) = @_;

	$node->safe_psql('postgres', sprintf(q(
		SELECT feature_stream.set_test_clock('2024-01-15 12:00:10+00'::timestamptz + %d * interval '1 s');
		INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', who, 'at', '2024-01-15 12:00:00+00'::timestamptz + %d * interval '1 s')
		  FROM unnest('{%s}'::text[]) who), $second, $second, join(',', @who)));
	$sent += @who;
	return;
}

my @good = map { "u$_" } 1 .. $users;

# --- Features: NULL in the row of whom it takes too long, for each window; everything else is right.
create_view('features', q(user_id NOT LIKE '%-event'));
send_events(30, @good, 'loops', 'sleeps');
send_events(30, @good);
send_events(95, 'u1');		# the watermark is 12:01:05
wait_for_read($node, 'clicks', $sent);
wait_for_frontier($node, 'clicks', '2024-01-15 12:01:00+00');
my $rows = q(SELECT user_id, n_1m, twice_1m, n_5m, twice_5m FROM %s WHERE window_end = '2024-01-15 12:01:00+00' ORDER BY user_id COLLATE "C");
my $expected = join("\n", "loops|1||1|", "sleeps|1||1|", map { "$_|2|4|2|4" } sort @good);
query_is($node, sprintf($rows, 'features_history'), $expected, 'features that take too long are NULL, all others right');
ok($node->poll_query_until('postgres', q(SELECT feature_error_count = 4 AND feature_error LIKE 'expression takes longer than feature_stream.expression_timeout (200 ms)%'
	FROM feature_stream.stat_feature_view WHERE view = 'features'::regclass)), 'they are counted, and the message says why');

# --- Events: those that take too long are dead letters of the view, others count.
create_view('events', q(patience(split_part(user_id, '-', 1), 1) = 2));
send_events(100, @good, 'loops-event', 'sleeps-event', 'tough-event');
send_events(160, 'u1');
wait_for_read($node, 'clicks', $sent);
wait_for_frontier($node, 'clicks', '2024-01-15 12:02:00+00');
query_is($node, q(SELECT convert_from(payload, 'UTF8')::jsonb->>'user_id', message FROM feature_stream.dead_letter
		WHERE reason = 'expression_error' AND message LIKE 'feature view "events"%' AND message LIKE '%expression_timeout (200 ms)%'
		  AND convert_from(payload, 'UTF8') LIKE '%-event%' ORDER BY 1),
	join("\n", map { qq($_-event|feature view "events": expression takes longer than feature_stream.expression_timeout (200 ms)) } qw(loops sleeps)),
	'events that take too long are dead letters');
query_is($node, q(SELECT count(*), sum(n_1m), sum(twice_1m) FROM events_history WHERE window_end = '2024-01-15 12:02:00+00'),
	($users + 1) . '|' . ($users + 2) . '|' . 2 * ($users + 2), 'all others count, also one whose function does not let itself be cancelled');
query_is($node, q(SELECT state FROM feature_stream.stat_stream), 'running', 'and the stream runs');

# --- Rows that are computed after the fact.
create_view('late', q(user_id NOT LIKE '%-event'));
wait_until('the history', sub { $node->safe_psql('postgres', "SELECT state FROM feature_stream.stat_progress_backfill WHERE view = 'late'::regclass") eq 'done' });
query_is($node, sprintf($rows, 'late_history'), $expected, 'backfilled rows are the same');

# --- Again and again: it is passed over, so that many entities take no longer than a few.
$node->safe_psql('postgres', q(SELECT feature_stream.drop_feature_view('events', drop_history => true)));
create_view('many', 'true');
send_events(200, @good, map { "loops$_" } 1 .. 1000);
send_events(275, 'u1');	# the watermark is 12:04:05
wait_for_read($node, 'clicks', $sent);
wait_for_frontier($node, 'clicks', '2024-01-15 12:04:00+00');
query_is($node, q(SELECT count(*), count(n_1m), count(twice_1m) FROM many_history WHERE window_end = '2024-01-15 12:04:00+00' AND user_id LIKE 'loops%'),
	'1000|1000|0', 'a thousand rows that would take too long');
ok($node->poll_query_until('postgres', q(SELECT feature_error_count >= 2000 AND feature_error LIKE 'expression is passed over%'
	FROM feature_stream.stat_feature_view WHERE view = 'many'::regclass)), 'are counted');

# --- Others end a session's wait by what ends any query.
my ($rc, $out, $err) = $node->psql('postgres', q(SET statement_timeout = '500ms';
	SELECT * FROM feature_stream.preview_feature_view('SELECT user_id, patience(user_id, count(*)) AS p FROM clicks WHERE user_id = ''loops'' GROUP BY user_id',
		windows => '{5 min}', slide => '1 min')));
like($err, qr/canceling statement due to statement timeout/, 'statement_timeout ends a preview');

# --- States in the place of events, whose making takes too long: it is given up like a feature.  A sequence tells how often it began.
$node->safe_psql('postgres', q(
	CREATE SEQUENCE tries;
	CREATE FUNCTION add_slowly(n bigint, who text) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
	BEGIN
		IF who LIKE 'idles%' THEN
			PERFORM nextval('public.tries');
			PERFORM pg_sleep(3600);
		END IF;
		RETURN n + 1;
	END $$;
	CREATE AGGREGATE slowly(text) (SFUNC = add_slowly, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, PARALLEL = SAFE);
	CREATE TABLE idle_outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE FOREIGN TABLE idlers (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'idle_outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	SELECT feature_stream.create_feature_view('condensed', 'SELECT user_id, slowly(user_id) AS n FROM idlers GROUP BY user_id',
		windows => '{1 hour}', slide => '1 min', history => 'none')));
query_is($node, q(SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('condensed') WHERE feature IS NOT NULL), 'partials', 'a view that keeps states');
$node->safe_psql('postgres', q(
	INSERT INTO idle_outbox (v) SELECT jsonb_build_object('user_id', 'idles' || i % 100, 'at', '2024-01-15 12:01:10+00') FROM generate_series(1, 500) i;
	INSERT INTO idle_outbox (v) VALUES ('{"user_id": "clock", "at": "2024-01-15 12:02:40+00"}')));
wait_for_read($node, 'idlers', 501);
wait_for_frontier($node, 'idlers', '2024-01-15 12:02:00+00');
my $tries = $node->safe_psql('postgres', 'SELECT last_value FROM tries WHERE is_called');
cmp_ok($tries, '>', 0, 'states are tried');
cmp_ok($tries, '<', 50, 'but not for each of 100 entities');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE idlers CASCADE');

# --- SQLSTATEs of a server in need, which any function may raise: an error of the expression like all others.
my @codes = qw(53100 53200 53400 57014 57P01);
my @raising = ((map { "code-$_" } @codes), (map { "code-57014-$_" } 1 .. 8));
$node->safe_psql('postgres', q(
	CREATE FUNCTION boom(what text, n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF what LIKE 'code-%' THEN RAISE 'boom' USING ERRCODE = split_part(what, '-', 2); END IF;
		RETURN n;
	END $$;
	CREATE TABLE boom_outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE FOREIGN TABLE booms (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'boom_outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	SELECT feature_stream.create_feature_view('boom_view', $$
		SELECT user_id, count(*) AS n, boom(user_id, count(*)) AS same FROM booms
		 WHERE boom(split_part(user_id, '@', 2), 1) = 1 GROUP BY user_id $$, windows => '{1 min}', slide => '1 min')));
my $redis = new_redis();
$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	SELECT feature_stream.create_feature_view('boom_online', 'SELECT user_id, count(*) AS n, boom(user_id, count(*)) AS same FROM booms GROUP BY user_id',
		windows => '{1 hour}', slide => '1 min', online => 'redis', history => 'none')), $redis->port));
ok($node->poll_query_until('postgres', q(SELECT connected FROM feature_stream.stat_online WHERE view = 'boom_online'::regclass)), 'a view with a store and no history');
$node->safe_psql('postgres', sprintf(q(
	INSERT INTO boom_outbox (v) SELECT jsonb_build_object('user_id', who, 'at', '2024-01-15 12:01:10+00') FROM unnest('{%s}'::text[]) who;
	INSERT INTO boom_outbox (v) VALUES ('{"user_id": "clock", "at": "2024-01-15 12:02:40+00"}')),
	join(',', 'good', @raising, map { "event\@code-$_" } @codes)));
wait_for_read($node, 'booms', 2 + @raising + @codes);
wait_for_frontier($node, 'booms', '2024-01-15 12:02:00+00');
query_is($node, q(SELECT user_id = 'good', count(*), sum(n_1m), count(same_1m) FROM boom_view_history GROUP BY 1 ORDER BY 1),
	'f|' . @raising . '|' . @raising . "|0\nt|1|1|1", 'whatever SQLSTATE a feature raises, it is NULL');
ok($node->poll_query_until('postgres', sprintf(q(SELECT feature_error_count = %d AND feature_error = 'boom'
	FROM feature_stream.stat_feature_view WHERE view = 'boom_view'::regclass), scalar @raising)), 'they are counted, and none is taken for a slow one');
ok($node->poll_query_until('postgres', sprintf(q(SELECT feature_error_count = %d AND feature_error = 'boom'
	FROM feature_stream.stat_feature_view WHERE view = 'boom_online'::regclass), scalar @raising)), 'also those that no history has, by the store');
query_is($node, q(SELECT convert_from(payload, 'UTF8')::jsonb->>'user_id', message FROM feature_stream.dead_letter
		WHERE reason = 'expression_error' AND message LIKE 'feature view "boom_view"%' ORDER BY convert_from(payload, 'UTF8') COLLATE "C"),
	join("\n", map { qq(event\@code-$_|feature view "boom_view": boom) } @codes), 'whatever SQLSTATE an event raises, it is a dead letter');
unlike(slurp_file($node->logfile), qr/ERROR:\s+boom/, 'and no worker ends for it');
$node->safe_psql('postgres', q(SELECT feature_stream.pause_stream('booms')));
ok($node->poll_query_until('postgres', sprintf(q(SELECT s.state = 'paused' AND v.feature_error_count = %d AND v.feature_error = 'boom'
	FROM feature_stream.stat_stream s JOIN feature_stream.stat_feature_view v USING (stream) WHERE v.view = 'boom_view'::regclass), scalar @raising)),
	'the count is there without a worker');
$node->safe_psql('postgres', q(SELECT feature_stream.resume_stream('booms')));
wait_for_frontier($node, 'booms', '2024-01-15 12:02:00+00');
query_is($node, q(SELECT feature_error_count, feature_error FROM feature_stream.stat_feature_view WHERE view = 'boom_view'::regclass),
	@raising . '|boom', 'and goes on with the next one');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE booms CASCADE');

# --- Replayed events that are more than the temporary files may hold: an error of the row, and the next rows are right.
$node->safe_psql('postgres', q(
	CREATE TABLE spill_outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE FOREIGN TABLE spills (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'spill_outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	SET feature_stream.force_replay = on;
	SELECT feature_stream.create_feature_view('spilled', 'SELECT user_id, count(*) AS n, max(at) AS latest FROM spills GROUP BY user_id',
		windows => '{1 min}', slide => '1 min');
	INSERT INTO spill_outbox (v) SELECT jsonb_build_object('user_id', CASE WHEN i > 20 THEN 'many' ELSE 'u' || i END, 'at', '2024-01-15 12:01:10+00')
	  FROM generate_series(1, 10020) i));
wait_for_read($node, 'spills', 10020);
set_and_reload($node, 'work_mem', '64kB');
set_and_reload($node, 'temp_file_limit', '64kB');
$node->safe_psql('postgres', q(INSERT INTO spill_outbox (v) VALUES ('{"user_id": "clock", "at": "2024-01-15 12:02:40+00"}')));
wait_for_frontier($node, 'spills', '2024-01-15 12:02:00+00');
query_is($node, q(SELECT user_id = 'many', count(*), count(latest_1m), sum(n_1m) FROM spilled_history GROUP BY 1 ORDER BY 1),
	"f|20|20|20\nt|1|0|", 'features of too many events are NULL, and those of others are right');
ok($node->poll_query_until('postgres', q(SELECT feature_error_count = 2 AND feature_error LIKE 'temporary file size exceeds temp_file_limit%'
	FROM feature_stream.stat_feature_view WHERE view = 'spilled'::regclass)), 'which is counted');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE spills CASCADE');
set_and_reload($node, 'temp_file_limit', '-1');
set_and_reload($node, 'work_mem', '4MB');

# --- Functions that catch every cancellation: their view is paused, with the reason, and taken from the log when they are repaired.
$node->safe_psql('postgres', q(
	CREATE FUNCTION stubborn(who text, n bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		WHILE who LIKE 'stubborn%' LOOP
			BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN END;
		END LOOP;
		RETURN n;
	END $$;
	CREATE TABLE stub_outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE FOREIGN TABLE stubs (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'stub_outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	SELECT feature_stream.create_feature_view('plain', 'SELECT user_id, count(*) AS n FROM stubs GROUP BY user_id', windows => '{1 min}', slide => '1 min');
	SELECT feature_stream.create_feature_view('stub_rows', 'SELECT user_id, stubborn(user_id, count(*)) AS n FROM stubs GROUP BY user_id',
		windows => '{1 min}', slide => '1 min')));
my $stub_count = 0;

# An event of each user in the minute before that time, and one that lets it fire.
sub send_stubs
{
	my ($minute, @who) = @_;

	$node->safe_psql('postgres', sprintf(q(
		INSERT INTO stub_outbox (v) SELECT jsonb_build_object('user_id', who, 'at', '%1$s'::timestamptz - interval '50 s') FROM unnest('{%2$s}'::text[]) who;
		INSERT INTO stub_outbox (v) VALUES (jsonb_build_object('user_id', 'clock', 'at', '%1$s'::timestamptz + interval '40 s'))),
		"2024-01-15 $minute:00+00", join(',', @who)));
	$stub_count += @who + 1;
	wait_for_read($node, 'stubs', $stub_count);
	wait_for_frontier($node, 'stubs', "2024-01-15 $minute:00+00");
	return;
}

sub stub_history
{
	my ($view, $minute) = @_;

	return "SELECT user_id, n_1m FROM ${view}_history WHERE window_end = '2024-01-15 $minute:00+00' AND n_1m > 0 ORDER BY user_id COLLATE \"C\"";
}

my $stub_state = q(SELECT view, state, pause_reason LIKE '%did not let itself be cancelled' FROM feature_stream.stat_feature_view
	WHERE stream = 'stubs'::regclass ORDER BY view::text);
send_stubs('12:02', 'stubborn', 'u1');
query_is($node, $stub_state, "plain|active|\nstub_rows|paused|t", 'a view whose feature does not let itself be cancelled is paused');
query_is($node, stub_history('plain', '12:02'), "stubborn|1\nu1|1", 'and another one goes on');
query_is($node, stub_history('stub_rows', '12:02'), '', 'nothing is made up meanwhile');
my ($stub_rc, $stub_out, $stub_err) = $node->psql('postgres', 'SELECT * FROM stub_rows');
like($stub_err, qr/feature view "stub_rows" is paused/, 'who reads it is told');
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('stub_events', $$
	SELECT user_id, count(*) AS n FROM stubs WHERE stubborn(split_part(user_id, '@', 2), 1) = 1 GROUP BY user_id $$, windows => '{1 min}', slide => '1 min')));
$node->poll_query_until('postgres', q(SELECT entities IS NOT NULL FROM feature_stream.stat_feature_view WHERE view = 'stub_events'::regclass));
send_stubs('12:04', 'event\@stubborn', 'u1', 'u2');
query_is($node, $stub_state, "plain|active|\nstub_events|paused|t\nstub_rows|paused|t", 'so is one whose WHERE does not');
query_is($node, stub_history('plain', '12:04'), "event\@stubborn|1\nu1|1\nu2|1", 'and another one counts the event');

# In a CHECK it is the stream itself that cannot work.
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE checks (user_id text NOT NULL CHECK (stubborn(user_id, 1) = 1), at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'stub_outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	SELECT feature_stream.create_feature_view('checked', 'SELECT user_id, count(*) AS n FROM checks GROUP BY user_id', windows => '{1 min}', slide => '1 min')));
ok($node->poll_query_until('postgres', q(SELECT state = 'failed' AND last_error LIKE '%did not let itself be cancelled'
	FROM feature_stream.stat_stream WHERE stream = 'checks'::regclass)), 'a CHECK that does not let itself be cancelled is a broken definition');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE checks CASCADE');
$node->safe_psql('postgres', q(
	CREATE OR REPLACE FUNCTION stubborn(who text, n bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT n';
	SELECT feature_stream.resume_feature_view('stub_rows');
	SELECT feature_stream.resume_feature_view('stub_events')));
wait_until('the history of resumed views', sub {
	$node->safe_psql('postgres', q(SELECT bool_and(state = 'done') AND count(DISTINCT view) FILTER (WHERE reason = 'pause') = 2
		FROM feature_stream.stat_progress_backfill WHERE view IN ('stub_rows'::regclass, 'stub_events'::regclass))) eq 't';
});
query_is($node, $stub_state, "plain|active|\nstub_events|active|\nstub_rows|active|", 'they are resumed');
query_is($node, stub_history('stub_rows', '12:02'), "stubborn|1\nu1|1", 'and have the rows that were not computed');
query_is($node, stub_history($_, '12:04'), "event\@stubborn|1\nu1|1\nu2|1", "of events that were not evaluated, too: $_") for qw(stub_rows stub_events);
$node->safe_psql('postgres', 'DROP FOREIGN TABLE stubs CASCADE');

# --- Native aggregates, which raise nothing, over many events: bounded as well.
$node->safe_psql('postgres', q(
	CREATE TABLE bulk_outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb, PRIMARY KEY (x, n));
	CREATE FOREIGN TABLE bulk (user_id text NOT NULL, amount numeric, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'bulk_outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	SELECT feature_stream.create_feature_view('bulk_view', $$
		SELECT user_id, count(*) AS n, percentile_disc(0.5) WITHIN GROUP (ORDER BY amount) AS middle FROM bulk GROUP BY user_id $$,
		windows => '{1 min}', slide => '1 min');
	INSERT INTO bulk_outbox (v) SELECT jsonb_build_object('user_id', 'u1', 'amount', hashint4(i) / 1000.0, 'at', '2024-01-15 12:01:10+00') FROM generate_series(1, 100000) i));
query_is($node, q(SELECT feature, keeps, strategy FROM feature_stream.explain_feature_view('bulk_view') WHERE feature IS NOT NULL ORDER BY 1),
	"middle|events|native\nn|events|native", 'aggregates that nothing is raised by');
wait_for_read($node, 'bulk', 100000);
set_and_reload($node, 'feature_stream.expression_timeout', '10ms');	# of which sorting takes many
$node->safe_psql('postgres', q(INSERT INTO bulk_outbox (v) VALUES ('{"user_id": "clock", "at": "2024-01-15 12:02:40+00"}')));
wait_for_frontier($node, 'bulk', '2024-01-15 12:02:00+00');
query_is($node, 'SELECT user_id, n_1m, middle_1m IS NULL FROM bulk_view_history', 'u1|100000|t', 'what takes too long is NULL, the rest is there');
ok($node->poll_query_until('postgres', q(SELECT feature_error_count = 1 AND feature_error LIKE 'expression takes longer than%'
	FROM feature_stream.stat_feature_view WHERE view = 'bulk_view'::regclass)), 'and it is counted');
set_and_reload($node, 'feature_stream.expression_timeout', '200ms');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE bulk CASCADE');

# --- A worker that is in the middle of it: cancelling it is no error of the expression, stopping it is not put off.
for my $view (qw(features late many)) { $node->safe_psql('postgres', "SELECT feature_stream.drop_feature_view('$view', drop_history => true)"); }
set_and_reload($node, 'feature_stream.expression_timeout', '1h');
create_view('last', q(user_id NOT LIKE 'loops%'));
send_events(400, 'sleeps', 'u1');
sub sleeping_worker
{
	my ($but) = @_;
	my $pid;

	wait_until('a worker that sleeps', sub {
		$pid = $node->safe_psql('postgres', qq(SELECT pid FROM pg_stat_activity WHERE backend_type = 'feature_stream ingest worker'
			AND wait_event = 'PgSleep' AND pid <> $but));
		return $pid ne '';
	});
	return $pid;
}
my $pid = sleeping_worker(0);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
my $next = sleeping_worker($pid);
query_is($node, q(SELECT last_error FROM feature_stream.stat_stream), 'canceling statement due to user request', 'a cancelled worker ends');
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter WHERE message LIKE '%user request%'), '0', 'and blames no expression');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($next)");
sleeping_worker($next);
pass('a terminated worker ends');
$node->stop('fast');
pass('a fast shutdown waits for no expression');
unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
