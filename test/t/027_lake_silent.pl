# A store that takes requests and never answers: it is told, does not hold up the lakes of others, and nobody waits for
# it who ends a worker, an export, a database or the server.

use strict;
use warnings;

use Errno;
use FeatureStream;
use FeatureStream::Lake;
use FeatureStream::Outbox;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 128, Proto => 'tcp', Blocking => 0) or die "cannot listen: $!";
my $port = $listener->sockport;
my @connections;

# How often the store was asked: each request that is not answered in time takes its connection with it.
sub asked
{
	while (my $connection = $listener->accept)
	{
		$connection->blocking(0);
		push @connections, $connection;
	}
	return scalar @connections;
}

# Does somebody wait for it now?
sub is_awaited
{
	asked();
	for my $connection (@connections)
	{
		my $got;

		do { $got = sysread($connection, my $request, 65536) } while ($got);
		return 1 if !defined $got && $!{EAGAIN};
	}
	return 0;
}

my ($node, $lake) = new_lake_node('silent');
my $silent = "SELECT last_error FROM feature_stream.stat_offline WHERE server = 'silent' AND last_error IS NOT NULL LIMIT 1";
my $worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'feature_stream lake worker'";

create_lake($node, "file://$lake/warehouse");
create_outbox_stream($node, 'user_id text NOT NULL');
$node->safe_psql('postgres', qq(
	CREATE SERVER silent FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 's3://bucket/lake', request_timeout '3 s',
		endpoint 'http://127.0.0.1:$port');
	CREATE USER MAPPING FOR CURRENT_USER SERVER silent OPTIONS (access_key_id 'key', secret_access_key 'hidden');
	SELECT feature_stream.create_feature_view(name, 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min',
		offline => server, offline_table => 'features.' || name, offline_interval => '1 s')
	  FROM (VALUES ('first', 'silent'), ('second', 'silent'), ('sessions', 'lake')) v (name, server);
	CREATE TABLE sessions_history_all PARTITION OF sessions_history FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')));

# --- It is told, and the store is not asked again at once.
my $error = '';

wait_until('an error', sub { ($error = answer_of($node, $silent) // '') ne '' });
like($error, qr/^could not put "s3:.*": the object store does not answer in time$/, 'that a store does not answer is told');
cmp_ok(asked(), '<', 6, 'it is asked once and then left alone');

# --- Others are exported meanwhile.
my $before = asked();

for my $i (1 .. 5)
{
	$node->safe_psql('postgres', qq(BEGIN;
		INSERT INTO sessions_history (user_id, n_10m, window_end, computed_at, available_at, complete, backfilled)
		VALUES ('u$i', $i, '2024-01-30', '2024-01-31'::timestamptz + $i * interval '1 ms', '2024-01-31', true, false);
		INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
		VALUES ('sessions'::regclass, '2024-01-31'::timestamptz + $i * interval '1 ms', '2024-01-30', '2024-01-30', 1);
		COMMIT));
	wait_until("export $i", sub { (answer_of($node, "SELECT pending_rows = 0 AND row_count = $i FROM feature_stream.stat_offline WHERE view = 'sessions'::regclass") // '') eq 't' });
}
my $more = asked() - $before;
note("asked $more times");
cmp_ok($more, '<', 10, 'exports of another lake are not held up by it');

# --- Nobody waits for a request that is under way.
sub restart_worker
{
	my $pid = $node->safe_psql('postgres', $worker);

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until('the worker to end', sub { (answer_of($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") // 1) eq '0' }, 60);
	return;
}

$node->safe_psql('postgres', q(ALTER SERVER silent OPTIONS (SET request_timeout '10 min');
	UPDATE feature_stream.lake_export SET next_export_time = '-infinity' WHERE table_uuid IS NULL));
restart_worker();
wait_until('a request', sub { is_awaited() });
restart_worker();
pass('a worker that waits ends when it is told to');
wait_until('a request', sub { is_awaited() });
$node->safe_psql('postgres', "SET statement_timeout = '60 s'; SELECT feature_stream.drop_feature_view('first'), feature_stream.drop_feature_view('second')");
ok(is_awaited(), 'feature views are dropped while it waits');
$node->stop('fast');
pass('the server stops');
$node->start;
# Names of files that may have been made are still to be swept.
wait_until('a request', sub { is_awaited() });
$node->safe_psql('template1', 'DROP DATABASE postgres');
pass('the database is dropped');
unlike(slurp_file($node->logfile) =~ s/^.*(STATEMENT|statement):.*$//mgr, qr/hidden/, 'no secret is in the log');

done_testing();
