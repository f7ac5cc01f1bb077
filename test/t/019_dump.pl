# A database is dumped and restored with its streams and their histories: the
# restored stream begins where its option start says, and adds to the history
# what it does not have.  Rows that came along stay as they are.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $node = new_node('dump');
my $sent = 0;

# Sends a click every ten seconds of event time, of three users in turn, and waits until their window ends are fired.
sub send_clicks
{
	my ($database, $n) = @_;

	my $from = $sent + 1;
	$sent += $n;
	$node->safe_psql($database, qq(
		INSERT INTO outbox (id, value)
		SELECT i, format('{"user_id": "u%s", "item": %s, "at": %s}', i % 3, i, extract(epoch FROM timestamptz '2024-01-15 12:00:00+00' + i * interval '10 s'))
		  FROM generate_series($from, $sent) i));
	fired($database);
	return;
}

# All is fired that the clicks sent so far let be fired: their times less the delay of half a minute.
sub fired
{
	my ($database) = @_;

	query_becomes($node, "SELECT frontier >= date_trunc('minute', timestamptz '2024-01-15 11:59:30+00' + $sent * interval '10 s')
		FROM feature_stream.stat_stream", 't', "$sent clicks are fired in $database", $database);
	return;
}

# The history as PostgreSQL's executor has it over all clicks up to a window end.
sub oracle
{
	my ($until) = @_;

	return qq(
		WITH e AS (SELECT value::json->>'user_id' AS u, to_timestamp((value::json->>'at')::float8) AS at FROM outbox),
			w AS (SELECT DISTINCT u, date_trunc('minute', at) + k * interval '1 min' AS w FROM e, (VALUES (1), (11)) v (k))
		SELECT u, w, (SELECT count(*) FROM e WHERE e.u = w.u AND at >= w - interval '10 min' AND at < w)
		  FROM w WHERE w <= '$until');
}

$node->safe_psql('postgres', q(
	SELECT feature_stream.set_test_clock('2024-01-15 13:00:00+00');
	CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item int, at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 h', start 'earliest');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min');
	SELECT feature_stream.create_feature_view('none', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min', history => 'none')));
send_clicks('postgres', 90);
$node->safe_psql('postgres', q(SELECT feature_stream.alter_feature_view('counts',
	'SELECT user_id, count(*) AS n, max(item) AS newest FROM clicks GROUP BY user_id')));
send_clicks('postgres', 30);

query_becomes($node, q(SELECT bool_and((n_10m = 0) = (newest_10m IS NULL)) FROM counts_history), 't', 'the new feature is filled in');

# A dump between two transactions of one firing has a part of its rows; and one row is marked.
my $newest = $node->safe_psql('postgres', 'SELECT max(window_end) FROM counts_history');
is($node->safe_psql('postgres', q(
	DELETE FROM counts_history WHERE user_id = 'u1' AND window_end = (SELECT max(window_end) FROM counts_history);
	UPDATE counts_history SET n_10m = -1 WHERE user_id = 'u2' AND window_end = '2024-01-15 12:05:00+00' RETURNING 'marked')), 'marked', 'a row is marked');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');

fired('restored');
is($node->safe_psql('restored', q(SELECT state, last_error FROM feature_stream.stat_stream)), 'running|', 'the restored stream runs');
send_clicks('restored', 60);
my $until = $node->safe_psql('restored', 'SELECT max(window_end) FROM counts_history');
cmp_ok($until, 'gt', $newest, 'and fires what comes now');
is($node->safe_psql('restored', q(UPDATE counts_history SET n_10m = 10 WHERE n_10m = -1 RETURNING user_id, window_end)),
	'u2|2024-01-15 12:05:00+00', 'the row that came along is as it was');
is($node->safe_psql('restored', "SELECT * FROM (SELECT user_id, window_end, n_10m FROM counts_history EXCEPT ALL (" . oracle($until) . ")) x
	UNION ALL SELECT * FROM ((" . oracle($until) . ") EXCEPT ALL SELECT user_id, window_end, n_10m FROM counts_history) x"),
	'', 'each row is there once, those that the dump lacked too');
is($node->safe_psql('restored', 'SELECT count(*) FROM feature_stream.verify_feature_view(\'counts\')'), '0', 'which verification finds, too');
done_testing();
