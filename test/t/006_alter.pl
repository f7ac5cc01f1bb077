
# Options of a feature view change while its stream runs: where rows go online,
# how long keys live, how long the history is kept.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $node = new_node('alter');
my @redis = (new_redis(), new_redis());

$node->safe_psql('postgres', sprintf(q(
	CREATE TABLE outbox (
		n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE SERVER one FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	CREATE SERVER two FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'clicked_at',
			slice '1 s', watermark_delay '0 s', idle_after '100 ms', start 'earliest');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{1 h}', slide => '1 s');
	), map { $_->port } @redis));

my $sent = 0;
my $history = 'counts_history';

# Sends one click, and waits for its row in the history.
sub click
{
	my ($user) = @_;

	$sent++;
	$node->safe_psql('postgres', "INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', '$user', 'clicked_at', clock_timestamp())");
	$node->poll_query_until('postgres', "SELECT max(n_1h) = (SELECT count(*) FROM outbox WHERE v->>'user_id' = '$user')
		FROM $history WHERE user_id = '$user'") or die "no row of $user";
	return;
}

sub alter
{
	my ($arguments) = @_;

	$node->safe_psql('postgres', "SELECT feature_stream.alter_feature_view('counts', $arguments)");
	return;
}

# Waits for the number of clicks under a key.
sub becomes
{
	my ($redis, $key, $n) = @_;

	wait_until("$key with $n", sub { ($redis->hash($key)->{n_1h} // '') eq $n });
	return;
}

click('a');
is(join(' ', $redis[0]->keys), '', 'no online store yet');
alter("online => 'one'");
becomes($redis[0], 'counts:a', 1);
pass('an online store is filled with the rows in force');
click('a');
becomes($redis[0], 'counts:a', 2);
cmp_ok($redis[0]->call('PTTL', 'counts:a'), '>', 3_000_000, 'keys live as long as the window');

alter("online_ttl => '10 min'");
wait_until('a shorter life', sub { $redis[0]->call('PTTL', 'counts:a') <= 600_000 });
pass('keys that are there get the new time to live');
alter("reset => '{online_ttl}'");
wait_until('a longer life', sub { $redis[0]->call('PTTL', 'counts:a') > 600_000 });

alter("online_key => 'clicks/{user_id}'");
becomes($redis[0], 'clicks/a', 2);
click('a');
becomes($redis[0], 'clicks/a', 3);
is($redis[0]->hash('counts:a')->{n_1h}, 2, 'the old key is left to expire');
cmp_ok($redis[0]->call('PTTL', 'counts:a'), '>', 0, 'which it will');

alter("online => 'two'");
becomes($redis[1], 'clicks/a', 3);
click('b');
becomes($redis[1], 'clicks/b', 1);
is($redis[0]->call('EXISTS', 'clicks/b'), 0, 'the old store gets nothing any more');

alter("reset => '{online}'");
$node->poll_query_until('postgres', q(
	SELECT state = 'running' AND NOT EXISTS (SELECT FROM feature_stream.stat_get_online() WHERE connected)
	  FROM feature_stream.stat_stream)) or die 'the worker keeps its connection';
click('b');
click('c');
is($redis[1]->call('EXISTS', 'clicks/c'), 0, 'without an online store nothing is written');
is($redis[1]->hash('clicks/b')->{n_1h}, 1, 'nor updated');
query_is($node, 'SELECT count(*) FROM feature_stream.stat_online', 0, 'and stat_online says so');

# The history keeps what it has until it is told not to.
$node->safe_psql('postgres', q(
	CREATE TABLE counts_old PARTITION OF counts_history FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')));
alter("history_retention => '1 day'");
$node->poll_query_until('postgres', "SELECT to_regclass('counts_old') IS NULL") or die 'an old partition stays';
pass('retention drops what is too old');

# Another owner writes the history on, under another name.
$node->safe_psql('postgres', q(
	CREATE ROLE heir;
	GRANT SELECT ON clicks TO heir;
	GRANT CREATE, USAGE ON SCHEMA public TO heir;
	ALTER FOREIGN TABLE counts RENAME TO tallies;
	ALTER FOREIGN TABLE tallies OWNER TO heir));
$history = 'tallies_history';
click('c');
click('d');
query_becomes($node, q(SELECT max(n_1h) FROM tallies WHERE user_id = 'd'), 1, 'a view of a new name and owner goes on');

query_is($node, q(SELECT count(*), sum(n) FROM (SELECT max(n_1h) AS n FROM tallies_history GROUP BY user_id) h), "4|$sent",
	'every event counts once throughout');

done_testing();
