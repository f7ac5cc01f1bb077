
# Users' sessions beside a running stream: what they leave half done, and what
# they hold.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $node = new_node('sessions');
my $pid;
my $sent = 0;

# Sends events of a user, at a time of 2024-01-15; waits until they are durable and fired.
sub send_events
{
	my ($time, $n, $user) = @_;

	$user //= 'u';
	$node->safe_psql('postgres', qq(
		SELECT feature_stream.set_test_clock('2024-01-15 $time+00');
		INSERT INTO outbox (id, value)
		SELECT $sent + i, format('{"user_id": "$user", "at": %s}', extract(epoch FROM timestamptz '2024-01-15 $time+00'))
		  FROM generate_series(1, $n) i));
	$sent += $n;
	wait_for_read($node, 'clicks', $sent);
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres',
		"SELECT date_trunc('minute', timestamptz '2024-01-15 $time+00' - interval '30 s')"));
	return;
}

# Nothing comes until a time: windows end by the clock.
sub windows_end_by
{
	my ($time) = @_;

	$node->safe_psql('postgres', "SELECT feature_stream.set_test_clock('2024-01-15 $time+00')");
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres', "SELECT timestamptz '2024-01-15 $time+00' - interval '2 min'"));
	return;
}

$node->safe_psql('postgres', q(
	SELECT feature_stream.set_test_clock('2024-01-15 12:00:00+00');
	CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 min', start 'earliest');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min')));
send_events('12:00:00', 3);
send_events('12:05:00', 3);

# --- A partition of the history whose DETACH CONCURRENTLY was cancelled takes no rows: it is attached again.
my $pending = q(SELECT inhrelid::regclass FROM pg_inherits WHERE inhdetachpending);
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM counts_history');
my $reader = new_session($node, 'postgres');
my $detacher = new_session($node, 'postgres');
cmp_ok($before, '>', 0, 'there is history');
$reader->run('BEGIN; SELECT count(*) FROM counts_history');
$detacher->send('ALTER TABLE counts_history DETACH PARTITION counts_history_p20240115 CONCURRENTLY');
$node->poll_query_until('postgres', "SELECT EXISTS ($pending)") or die 'the detach does not begin';
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $detacher->pid . ')');
$detacher->finish;
like($detacher->errors, qr/canceling statement/, 'a detach was interrupted');
$reader->run('COMMIT');
send_events('12:10:00', 3);
query_is($node, $pending, '', 'the checkpoint that needs the partition has it back');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM counts_history'), '>', $before, 'history goes on');
query_is($node, q(SELECT count(*), count(DISTINCT window_end) = count(*), bool_and(tableoid = 'counts_history_p20240115'::regclass)
	FROM counts_history WHERE window_end <= '2024-01-15 12:04:00+00'), "$before|t|t", 'with all that was there before');

# --- What a transaction that is still open said of the stream holds up no checkpoint: windows go on
# to end.  (What is committed after it began is read when it is over.)
my $pauser = new_session($node, 'postgres');
my %open = (
	'12:13:00' => q(SELECT feature_stream.pause_stream('clicks')),
	'12:15:00' => q(ALTER FOREIGN TABLE clicks OPTIONS (SET idle_after '2 min')),
	'12:17:00' => q(SELECT feature_stream.resume_stream('clicks')));
for my $time (sort keys %open)
{
	$pauser->run("BEGIN; $open{$time}");
	ok(eval { windows_end_by($time); 1 }, "no checkpoint waits for an open transaction: $open{$time}") or diag($@);
	$node->safe_psql('postgres', "SET statement_timeout = '60s'; SELECT feature_stream.checkpoint_stream('clicks')") if $open{$time} =~ /pause/;
	$pauser->run('ROLLBACK');
}
send_events('12:20:00', 3);
query_is($node, 'SELECT state, paused FROM feature_stream.stat_stream', 'running|f', 'what is rolled back does nothing');
$pauser->run("BEGIN; SELECT feature_stream.pause_stream('clicks'); COMMIT");
wait_for_state($node, 'clicks', 'paused');
$pauser->run("SELECT feature_stream.resume_stream('clicks')");
send_events('12:25:00', 3);
is($pauser->errors, '', 'no error on the way');

# --- An online store keeps its views under another name.
my $redis = new_redis();
$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER first_name FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	SELECT feature_stream.create_feature_view('online_counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min', online => 'first_name', online_key => 'n:{user_id}');
	), $redis->port));
send_events('12:30:00', 3);
send_events('12:31:00', 1);
wait_until('the key in Redis', sub { ($redis->hash('n:u')->{n_10m} // 0) == 6 });
$node->safe_psql('postgres', 'ALTER SERVER first_name RENAME TO second_name');
send_events('12:32:00', 1);
send_events('12:33:00', 1);
ok(eval { wait_until('the new value in Redis', sub { ($redis->hash('n:u')->{n_10m} // 0) == 7 }) }, 'a renamed server is written to');
query_becomes($node, 'SELECT server, connected FROM feature_stream.stat_online', 'second_name|t', 'and shown by its name');
like(($node->psql('postgres', 'DROP SERVER second_name'))[2], qr/online_counts depends on server second_name/, 'and not dropped under its views');
$node->safe_psql('postgres', q(
	DELETE FROM pg_depend WHERE refobjid = (SELECT oid FROM pg_foreign_server WHERE srvname = 'second_name') AND objid = 'online_counts'::regclass;
	ALTER SERVER second_name RENAME TO third_name));
query_is($node, 'SELECT server FROM feature_stream.stat_online', 'third_name', 'a view of a restored dump follows too');

# --- Another worker has taken over (so says the epoch): this one commits nothing more.
$pid = ingest_pid($node, 'clicks');
$node->safe_psql('postgres', 'UPDATE feature_stream.stream_state SET epoch = epoch + 1');
send_events('12:35:00', 3);
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/ERROR:  another worker has taken over stream/, 'a worker that was superseded gives up');
isnt(ingest_pid($node, 'clicks'), $pid, 'and another one goes on');
query_is($node, 'SELECT sum(event_count) FROM feature_stream.event_log', $sent, 'with every event once');

# --- The online store has a newer row: it stays.
$redis->call('HSET', 'n:u', 'window_end', 4000000000);
send_events('12:37:00', 1);
send_events("12:$_:00", 1, 'v') for 38 .. 41;
wait_until('rows of another user', sub { ($redis->hash('n:v')->{n_10m} // 0) == 2 });
is($redis->hash('n:u')->{window_end}, 4000000000, 'a row is not replaced by one of an older window end');
$redis->call('DEL', 'n:u');

# --- A newer writer holds the fence (so says the online store): ours writes nothing more there.
send_events('12:42:00', 1);
send_events('12:44:00', 1);
wait_until('the row of 12:43 in Redis', sub { ($redis->hash('n:u')->{window_end} // 0) == 1705322580 });
my @fence = grep { !/^n:/ } $redis->keys;
is(scalar @fence, 1, 'there is a fence');
$redis->call('SET', $fence[0], '9' x 18);
my $online = $redis->hash('n:u');
send_events('12:45:00', 1);
send_events('12:46:00', 1);
ok($node->poll_query_until('postgres', "SELECT last_error ~ '9{18}' FROM feature_stream.stat_online"), 'a writer that is fenced off says so');
is_deeply($redis->hash('n:u'), $online, 'and leaves the rows of the newer one alone');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
