
# Whether partial aggregates are stored is decided by what a view's events are like, by the default of
# feature_stream.partial_log_ratio: few events a record, and recovery reads the events; many, and it reads records.
# Over changes of that, and restarts between them, results stay what PostgreSQL's executor makes of the events.
#
# FS_SEED replays the data.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);
my $users = 400;
my $minutes = 30;    # of a phase: 12,000 records, of which 10,000 decide
my $minute = 0;
my $inserted = 0;

note("seed $seed (FS_SEED=$seed replays it)");

my $node = new_node('partial_switch', 'feature_stream.memory' => '64MB', 'feature_stream.partial_log_ratio' => undef);

$node->safe_psql('postgres', q(
	CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id int NOT NULL, price numeric, at timestamptz NOT NULL)
		SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
			slice '1 min', watermark_delay '1 min', max_future '1 day', idle_after '30 days', start 'earliest', log_retention '7 days');
	SELECT feature_stream.create_feature_view('spending', 'SELECT user_id, count(*) AS n, sum(price) AS total, max(price) AS most
		FROM clicks GROUP BY user_id', '{2 min, 5 min}', '1 min', history => 'thinned', history_interval => '3 min')));
query_is($node, q(SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('spending') WHERE feature IS NOT NULL), 'partials',
	'a view keeps partial aggregates alone');
query_is($node, 'SHOW feature_stream.partial_log_ratio', 4, 'by default they are stored where they stand for four events');

# So many clicks of each user in each of some minutes, some of them late; waits until all are read, and windows fired.
sub send_some
{
	my ($each, $more) = @_;

	$node->safe_psql('postgres', sprintf(q(
		SELECT setseed(%s);
		INSERT INTO outbox (value)
		SELECT json_build_object('user_id', u, 'price', round((random() * 30)::numeric, 2), 'at', timestamptz '2024-01-15 00:00:00+00'
			+ interval '1 min' * m + CASE WHEN random() < 0.02 THEN - random() * interval '4 min' ELSE random() * interval '59 s' END)
		  FROM generate_series(%d, %d) m, generate_series(1, %d) u, generate_series(1, %d) e ORDER BY m),
		$random->(), $minute, $minute + $more - 1, $users, $each));
	$minute += $more;
	$inserted += $more * $users * $each;
	wait_for_read($node, 'clicks', $inserted);
	$node->safe_psql('postgres', "SELECT feature_stream.checkpoint_stream('clicks')");
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres', "SELECT timestamptz '2024-01-15 00:00:00+00' + interval '1 min' * ($minute - 2)"));
	return;
}

# A phase: what decides, and then as much as a window has, so that all of it is stored if it has been decided so.
sub send_clicks
{
	my ($each) = @_;

	send_some($each, $minutes);
	send_some($each, 8);
	return;
}

my $recoveries = 0;

# Tests whether records are stored, that a recovery reads what is said, and that nothing comes of it but what should.
sub is_stored
{
	my ($stored, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	query_is($node, q(SELECT partial_from IS NOT NULL, partial_upto = frontier FROM feature_stream.view_state, feature_stream.stream_state),
		$stored ? 't|t' : 'f|', "$name: records are " . ($stored ? 'stored' : 'not stored'));
	$node->stop('immediate');
	$node->start;
	wait_for_state($node, 'clicks', 'running');
	wait_for_read($node, 'clicks', $inserted);
	my @found = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /is recovered from (\d+) stored partial aggregates/g;
	is(scalar(@found), $recoveries += $stored ? 1 : 0, $stored ? 'recovery reads them' : 'recovery reads events alone');
	cmp_ok($found[-1], '>=', 5 * $users, 'as many as the windows have') if $stored;
	verifies($node, 'spending', 'and all of it verifies');
	return;
}

send_clicks(1);
query_is($node, 'SELECT count(*) FROM feature_stream.partial_log', 0, 'none was ever stored');
is_stored(0, 'one event a record');
send_clicks(7);
is_stored(1, 'seven');
send_clicks(1);
is_stored(0, 'one again');
send_clicks(7);
is_stored(1, 'seven again');

# --- By the setting.  What is stored meanwhile is the part of the windows behind the change, until that is all of them.
sub set_ratio
{
	my ($ratio, $stored) = @_;

	set_and_reload($node, 'feature_stream.partial_log_ratio', $ratio);
	send_clicks(3);
	is_stored($stored, "ratio $ratio, three events a record");
	return;
}
set_ratio(0, 0);
set_ratio(2.5, 1);
set_ratio(10, 0);
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC|are corrupted/,
	'nothing crashed but what was killed');

done_testing();
