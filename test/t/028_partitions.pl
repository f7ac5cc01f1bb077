
# Partitions of a topic beside each other: none is read further ahead than max_drift of one that is behind, and one
# that has stopped holds the windows or not, as on_stopped says.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('partitions', 'feature_stream.poll_batch_size' => 10);
my $start = 1705320000;    # 2024-01-15 12:00:00+00

hold_clock($node, "timestamptz '2024-01-15 14:00:00+00'");
$node->safe_psql('postgres', sprintf('CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers %s)', "'" . $kafka->brokers . "'"));

# A stream of clicks that none but its watermark moves on, and its feature view.
sub create_counts
{
	my ($stream, $topic, %options) = @_;

	create_stream($node, $stream, $topic, idle_after => '1 day', start => 'earliest', log_retention => '7 days', %options);
	$node->safe_psql('postgres', qq(
		SELECT feature_stream.create_feature_view('${stream}_counts', 'SELECT user_id, count(*) AS n FROM $stream GROUP BY user_id',
			windows => '{10 min}', slide => '1 min')));
	return;
}

# Clicks of user p<partition>, one each ten seconds, from one minute after the start to another.
sub produce
{
	my ($topic, $partition, $from, $to) = @_;

	$kafka->produce($topic, $partition, [ map { sprintf '{"user_id": "p%d", "item_id": "i", "timestamp": %d}', $partition, $start + 10 * $_ }
		6 * $from .. 6 * $to - 1 ]);
	return;
}

# --- One partition ends at 12:05, without being idle, the other at 13:00: that is read to where it is a minute ahead.
$kafka->create_topic('drift', 2);
produce('drift', 0, 0, 5);
produce('drift', 1, 0, 60);
create_counts('clicks', 'drift');
create_counts('far', 'drift', max_drift => '2 hours');
wait_for_read($node, 'far', 6 * 65);
pass('a stream with a large max_drift reads all');
my $ahead = q(SELECT count(*) FILTER (WHERE partition = 0 AND read_count = 30) = 1 AND max(watermark) - min(watermark) > interval '1 min'
	FROM feature_stream.partition_position WHERE stream = 'clicks'::regclass);
query_becomes($node, $ahead, 't', 'the partition that is ahead gets ahead');
my $read = "SELECT read_count, read_count < 100, watermark <= '2024-01-15 12:08:00+00'
	FROM feature_stream.partition_position WHERE stream = 'clicks'::regclass AND partition = 1";
my $stands = $node->safe_psql('postgres', $read);
like($stands, qr/^\d+\|t\|t$/, 'by max_drift and a batch at most');
for (1 .. 3) { make_checkpoint($node, 60) or die 'no checkpoint' }
query_is($node, $read, $stands, 'and stands there');
query_is($node, q(SELECT state, error FROM feature_stream.stat_partition WHERE stream = 'clicks'::regclass AND partition = 1), 'reading|', 'without being stopped');
produce('drift', 0, 5, 60);
wait_for_read($node, 'clicks', 6 * 120);
pass('when the other one comes after, it goes on');
wait_for_frontier($node, 'clicks', '2024-01-15 12:59:00+00');
query_is($node, q(SELECT sum(accepted_count), sum(partially_late_count), sum(dead_letter_count) FROM feature_stream.partition_position
	WHERE stream = 'clicks'::regclass), (6 * 120) . '|0|0', 'and nothing was late');
verifies($node, 'clicks_counts', 'it verifies');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE clicks CASCADE; DROP FOREIGN TABLE far CASCADE');

# --- A partition stops: the windows wait for it, until they are told not to.
$kafka->create_topic('stops', 2);
produce('stops', $_, 0, 5) for 0, 1;
create_counts('halved', 'stops');
wait_for_read($node, 'halved', 60);
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('halved')");
wait_for_state($node, 'halved', 'paused');
produce('stops', $_, 5, 30) for 0, 1;
$kafka->delete_records('stops', 0, 50);
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('halved')");
wait_for_offsets($node, 'halved', { 1 => 180 });
my $stopped = q(SELECT string_agg(state, ' ' ORDER BY partition) FROM feature_stream.stat_partition);
query_becomes($node, $stopped, 'stopped reading', 'a partition that has lost records stops, the other is read on');
query_becomes($node, 'SELECT held_back_by, frontier FROM feature_stream.stat_stream', '0|2024-01-15 12:04:00+00', 'and the windows wait');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE halved OPTIONS (ADD on_stopped 'exclude')");
wait_for_frontier($node, 'halved', '2024-01-15 12:29:00+00');
query_becomes($node, $stopped, 'stopped reading', "on_stopped 'exclude' leaves it stopped");
query_is($node, q(SELECT next_offset, read_count FROM feature_stream.partition_position WHERE partition = 0), '30|30', 'where it stood');
query_becomes($node, 'SELECT held_back_by, frontier FROM feature_stream.stat_stream', '1|2024-01-15 12:29:00+00', 'and the windows go on without it');
query_is($node, q(SELECT string_agg(user_id || ' ' || n_10m, ', ' ORDER BY window_end, user_id) FROM halved_counts_history
	WHERE window_end IN ('2024-01-15 12:05:00+00', '2024-01-15 12:12:00+00', '2024-01-15 12:15:00+00', '2024-01-15 12:29:00+00')),
	'p0 30, p1 30, p0 18, p1 60, p0 0, p1 60, p1 60', 'with what was read of it');
verifies($node, 'halved_counts', 'it verifies');

# One that is to be read again later has its say again: the setting is taken back.
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE halved OPTIONS (DROP on_stopped)');
produce('stops', 1, 30, 40);
wait_for_offsets($node, 'halved', { 1 => 240 });
query_becomes($node, 'SELECT held_back_by, frontier FROM feature_stream.stat_stream', '0|2024-01-15 12:29:00+00', 'without it they wait again');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
