
# A feature view is dropped while its stream's worker recovers: the recovery ends there and then, since the worker
# would begin it again with the definitions that there are; and nothing fails.

use strict;
use warnings;

use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $minutes = 30;
my $node = new_node('recovery', 'feature_stream.expression_timeout' => '0');
my $gate = $node->data_dir . '/gate';

# The view 'gated' is held up at each event for as long as there is a file.
$node->safe_psql('postgres', q(
	SELECT feature_stream.set_test_clock('2024-01-15 13:00:00+00');
	CREATE TABLE outbox (n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'at',
			slice '1 min', watermark_delay '0 s', idle_after '1 day', start 'earliest', log_retention '1 day');
	CREATE FUNCTION passes(who text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		WHILE (pg_stat_file('gate', true)).size IS NOT NULL LOOP
			PERFORM pg_sleep(0.02);
		END LOOP;
		RETURN true;
	END $$;
	SELECT feature_stream.create_feature_view('gated', 'SELECT user_id, array_agg(at) AS times, count(*) AS n FROM clicks WHERE passes(user_id) GROUP BY user_id',
		windows => '{1 hour}', slide => '1 min');
	SELECT feature_stream.create_feature_view('other', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', windows => '{1 hour}', slide => '1 min')));
$node->safe_psql('postgres', sprintf(q(INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', 'u' || i %% 3,
	'at', '2024-01-15 12:00:00+00'::timestamptz + i * interval '10 s') FROM generate_series(1, 6 * %d) i), $minutes));
wait_for_read($node, 'clicks', 6 * $minutes);
wait_for_frontier($node, 'clicks', '2024-01-15 12:30:00+00');
my $rows = $node->safe_psql('postgres', 'SELECT user_id, window_end, n_1h FROM gated ORDER BY user_id');
like($rows, qr/^u0\|.*\|59\nu1\|.*\|60\nu2\|.*\|60$/, 'rows before it');

# Does what makes the worker begin anew, and waits until the next one is in the middle of its recovery.
sub begin_recovery
{
	my ($sql) = @_;
	my $pid = ingest_pid($node, 'clicks');

	append_to_file($gate, '');
	$node->safe_psql('postgres', $sql // "SELECT pg_terminate_backend($pid)");
	wait_until('a worker that recovers', sub { (answer_of($node, qq(SELECT count(*) FROM pg_stat_activity a JOIN feature_stream.stat_stream s USING (pid)
		WHERE s.stream = 'clicks'::regclass AND s.state = 'recovering' AND a.wait_event = 'PgSleep' AND a.pid <> $pid)) // '') eq '1' });
	return;
}

# How many recoveries have ended early by now; there may be some of the first moments, when views were made one after the other.
sub count_ended
{
	my @found = slurp_file($node->logfile) =~ /recovery of stream public\.clicks ends before its time/g;

	return scalar @found;
}

# It has noted the pause for good by then: the drop does not wait for it.
begin_recovery("SELECT feature_stream.pause_feature_view('other')");
my $before = count_ended();
$node->safe_psql('postgres', "SET statement_timeout = '2min'; SELECT feature_stream.drop_feature_view('other')");
unlink $gate or die "could not remove $gate: $!";
wait_for_state($node, 'clicks', 'running');
query_becomes($node, 'SELECT user_id, window_end, n_1h FROM gated ORDER BY user_id', $rows, 'the same rows after it');
is(count_ended() - $before, 1, 'the recovery has ended when the view was dropped');
unlike(slurp_file($node->logfile), qr/ERROR:/, 'and nothing has failed');

# Left alone it goes to its end.
begin_recovery();
unlink $gate or die "could not remove $gate: $!";
wait_for_state($node, 'clicks', 'running');
query_becomes($node, 'SELECT user_id, window_end, n_1h FROM gated ORDER BY user_id', $rows, 'the same rows after another one');
is(count_ended() - $before, 1, 'which was left alone');

done_testing();
