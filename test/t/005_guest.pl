
# A good guest: whatever its peers do, the server stops, databases and
# definitions are dropped, and nothing is left behind; an outage of the online
# store delays online rows alone.

use strict;
use warnings;

use FeatureStream;
use Test::More;
use Time::HiRes ();

my $node = new_node('guest');
my $kafka = new_kafka();
my $redis = new_redis();
my $hole = new_black_hole();

# The example over whatever peers there are, in a database of its own.
sub create_guest
{
	my ($database, $kafka_port, $redis_port, $topic) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, qq(
		CREATE EXTENSION feature_stream;
		CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:$kafka_port');
		CREATE SERVER redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '$redis_port');
		CREATE FOREIGN TABLE clicks (
			user_id text NOT NULL,
			item_id text,
			category text,
			clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
		) SERVER kafka OPTIONS (topic '$topic', event_time 'clicked_at', idle_after '1 s', watermark_delay '1 s', slice '1 s', start 'earliest');
		SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
			windows => '{10 min}', slide => '1 s', online => 'redis', online_key => 'count:{user_id}')));
	return;
}

sub wait_for_guest
{
	my ($database, $state) = @_;

	$node->poll_query_until($database, "SELECT state = '$state' AND pid IS NOT NULL FROM feature_stream.stat_stream")
	  or die $node->safe_psql($database, 'SELECT * FROM feature_stream.stat_stream');
	return;
}

# Processes of the extension at work for a database.
sub workers_of
{
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^feature_stream' AND datname = '$_[0]'");
}

# Tests that the code takes less than five seconds.
sub takes_five_seconds_at_most
{
	my ($what, $code) = @_;
	my $seconds = seconds_of($code);

	cmp_ok($seconds, '<', 5, "$what takes five seconds at most");
	note(sprintf('%s: %.2f s', $what, $seconds));
	return;
}

# --- Peers that swallow everything.
create_guest('swallowed', $hole->port, $hole->port, 'clicks');
wait_for_guest('swallowed', 'disconnected');
my $pid = $node->safe_psql('swallowed', 'SELECT pid FROM feature_stream.stat_stream');
takes_five_seconds_at_most('pg_terminate_backend of a worker whose broker is a black hole',
	sub { $node->safe_psql('swallowed', "SELECT pg_terminate_backend($pid, 10000)") });
wait_for_guest('swallowed', 'disconnected');
takes_five_seconds_at_most('DROP DATABASE with black holes for peers', sub { $node->safe_psql('postgres', 'DROP DATABASE swallowed') });
is(workers_of('swallowed'), 0, 'no worker is left');

create_guest('swallowed', $hole->port, $hole->port, 'clicks');
wait_for_guest('swallowed', 'disconnected');
takes_five_seconds_at_most('fast shutdown with black holes for peers', sub { $node->stop('fast') });
$node->start;
wait_for_guest('swallowed', 'disconnected');
takes_five_seconds_at_most('DROP FOREIGN TABLE', sub { $node->safe_psql('swallowed', 'DROP FOREIGN TABLE clicks CASCADE') });
query_becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'feature_stream ingest worker'), 0, 'and no ingest worker is left');
$node->safe_psql('postgres', 'DROP DATABASE swallowed');

create_guest('swallowed', $hole->port, $hole->port, 'clicks');
wait_for_guest('swallowed', 'disconnected');
takes_five_seconds_at_most('DROP EXTENSION CASCADE', sub { $node->safe_psql('swallowed', 'DROP EXTENSION feature_stream CASCADE') });
ok($node->poll_query_until('postgres',
	q(SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type ~ '^feature_stream' AND datname = 'swallowed'))),
	'no worker is left');
is($node->safe_psql('swallowed', q(
	SELECT (SELECT count(*) FROM pg_class WHERE relname ~ '^(clicks|counts$|counts_definition|event_log)'),
	       (SELECT count(*) FROM pg_foreign_data_wrapper), (SELECT count(*) FROM pg_event_trigger),
	       (SELECT count(*) FROM pg_namespace WHERE nspname = 'feature_stream'))), '0|0|0|0', 'no object of it is left');
$node->safe_psql('postgres', 'DROP DATABASE swallowed');

# --- Redis goes away: nothing but online rows waits, and they converge.
$kafka->create_topic('clicks', 2);
my $sent = 0;
my $send = sub {
	my ($user, $n) = @_;
	my $now = Time::HiRes::time();
	$kafka->produce('clicks', $_, [ map { sprintf('{"user_id": "%s", "item_id": "i%d", "category": "c%d", "timestamp": %.3f}', $user, $_ % 13, $_ % 5, $now - 1) } 1 .. $n ]) for 0, 1;
	$sent += 2 * $n;
};
my $is_counted = sub {
	my ($user, $n) = @_;

	return $node->poll_query_until('guest', "SELECT n_10m = $n FROM counts_history WHERE user_id = '$user' ORDER BY window_end DESC LIMIT 1");
};
my $is_online = sub {
	my ($user, $n) = @_;

	return eval { wait_until("count:$user in Redis", sub { ((eval { $redis->hash("count:$user") } // {})->{n_10m} // 0) == $n }) };
};
create_guest('guest', $kafka->port, $redis->port, 'clicks');
create_wide_view($node, '{10 s, 1 min, 10 min}', '1 s', '1 s', 'guest');
wait_for_guest('guest', 'running');
$send->('before', 5);
ok($is_counted->('before', 10), 'counted before the outage');
ok($is_online->('before', 10), 'and online');

$redis->kill9;
$send->('during', 7);
ok($is_counted->('during', 14), 'history goes on while Redis is down');
query_becomes($node, "SELECT connected, last_error ~ '@{[ $redis->port ]}' FROM feature_stream.stat_online", 'f|t',
	'which stat_online says, with the reason', 'guest');
$redis->start;
ok($is_online->('during', 14), 'rows of the outage arrive');
ok($is_online->('before', 10), 'and what Redis lost is there again');
ok($node->poll_query_until('guest', 'SELECT connected AND queued = 0 FROM feature_stream.stat_online'), 'and stat_online is content');

$redis->freeze;
$send->('frozen', 3);
ok($is_counted->('frozen', 6), 'history goes on while Redis hangs');
$redis->thaw;
ok($is_online->('frozen', 6), 'and Redis converges');
query_becomes($node, 'SELECT sum(read_count) FROM feature_stream.partition_position', $sent, 'nothing was lost', 'guest');
verifies($node, 'wide_features', 'the view of ten features and three windows beside it verifies', 'guest');

# --- Peers that hang in the middle of it all.
$kafka->freeze;
$redis->freeze;
takes_five_seconds_at_most('fast shutdown while broker and Redis hang', sub { $node->stop('fast') });
$node->start;
wait_for_guest('guest', 'disconnected');
takes_five_seconds_at_most('SELECT of all statistics', sub {
	$node->safe_psql('guest', join(';', map { "SELECT count(*) FROM feature_stream.$_" } qw(stat_stream stat_partition stat_feature_view stat_online)));
});
takes_five_seconds_at_most('pause_stream', sub {
	$node->safe_psql('guest', "SELECT feature_stream.pause_stream('clicks')");
	$node->poll_query_until('guest', q(SELECT state = 'paused' FROM feature_stream.stat_stream));
});
$node->safe_psql('guest', "SELECT feature_stream.resume_stream('clicks')");
wait_for_guest('guest', 'disconnected');
takes_five_seconds_at_most('DROP DATABASE while broker and Redis hang', sub { $node->safe_psql('postgres', 'DROP DATABASE guest') });
is(workers_of('guest'), 0, 'no worker is left');
$kafka->thaw;
$redis->thaw;

# --- The same while it is busy.
create_guest('guest', $kafka->port, $redis->port, 'clicks');
$send->('busy', 20000);
ok($node->poll_query_until('guest', 'SELECT sum(read_count) > 0 FROM feature_stream.stat_partition'), 'busy');
takes_five_seconds_at_most('DROP DATABASE of a busy stream', sub { $node->safe_psql('postgres', 'DROP DATABASE guest') });
is(workers_of('guest'), 0, 'no worker is left');
# --- What a worker wrote of a feature view while that was dropped goes with the next look at the database.
$node->safe_psql('postgres', q(
	INSERT INTO feature_stream.view_state (view) VALUES (4000000000);
	INSERT INTO feature_stream.firing (view, window_end, upto_hash, computed_at, row_count) VALUES (4000000000, now(), 0, now(), 1);
	INSERT INTO feature_stream.backfill (view, until, reason, computed_at, state) VALUES (4000000000, now(), 'creation', now(), 'declined')));
ok($node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM (SELECT view FROM feature_stream.view_state UNION ALL
	SELECT view FROM feature_stream.firing UNION ALL SELECT view FROM feature_stream.backfill) t WHERE view = 4000000000)),
	'rows about feature views that are gone are deleted');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
