
# Readers hold up nobody: a transaction that has verified, explained, previewed and read keeps all of its locks and its
# snapshot, while the stream reads, fires, checkpoints and makes partitions, gets another view, and its worker starts again.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Outbox;
use Test::More;

my $node = new_node('readers');
my $sent = 0;

create_outbox($node);
create_outbox_stream($node, 'user_id text NOT NULL, item text NOT NULL', log_retention => '7 days');
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n, array_agg(item) AS items
	FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min')));

# Ten minutes of clicks from a time on, one a second, and a dead letter; all is fired but for the last minute or so.
sub send_clicks
{
	my ($from) = @_;

	$node->safe_psql('postgres', qq(
		INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', 'u' || i % 5, 'item', 'i' || i, 'clicked_at', '$from+00'::timestamptz + i * interval '1 s')
		  FROM generate_series(0, 599) i;
		INSERT INTO outbox (v) VALUES ('{"user_id": "nobody"}')));
	$sent += 601;
	wait_for_read($node, 'clicks', $sent);
	wait_for_fired($node, "'$from+00'::timestamptz + interval '9 min'");
	return;
}

send_clicks('2024-01-15 12:00:00');
my %reads = (
	verify => q(SELECT count(*) = 0 FROM feature_stream.verify_feature_view('counts') WHERE problem IS NOT NULL),
	explain => q(SELECT count(*) > 0 FROM feature_stream.explain_feature('counts', 'n_10m', '{"user_id": "u1"}')),
	preview => q(SELECT count(*) > 0 FROM feature_stream.preview_feature_view('SELECT user_id, sum(length(item)) AS n FROM clicks GROUP BY user_id', '{5 min}', '1 min')),
	history => q(SELECT count(*) > 0 FROM counts_history),
	'as of' => q(SELECT count(*) = 1 FROM counts_as_of('u1', '2024-01-15 12:05:00+00', 'infinity')),
	view => q(SELECT count(*) = 5 FROM counts),
	live => q(SELECT count(*) = 5 FROM counts_live),
	log => q(SELECT count(*) = 600 FROM feature_stream.read_event_log('clicks')),
	'dead letters' => q(SELECT count(*) = 1 FROM feature_stream.dead_letter),
	statistics => q(SELECT count(*) = 1 FROM feature_stream.stat_stream JOIN feature_stream.stat_partition USING (stream) JOIN feature_stream.stat_feature_view USING (stream)));
my $reader = new_session($node, 'postgres');
$reader->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
for my $what (sort keys %reads)
{
	is($reader->run($reads{$what}), 't', "a transaction reads: $what");
}
unlike($reader->errors, qr/ERROR/, 'without an error');

# --- It stays open.
my $partitions = q(SELECT count(*) FROM pg_inherits WHERE inhparent = 'counts_history'::regclass);
my $before = $node->safe_psql('postgres', $partitions);
my $pid = ingest_pid($node, 'clicks');
send_clicks('2024-01-15 12:10:00');
# Days on: partitions of the history that were not made ahead.
send_clicks('2024-02-03 12:00:00');
query_becomes($node, "$partitions HAVING count(*) > $before", $node->safe_psql('postgres', $partitions), 'partitions are made');
is($node->safe_psql('postgres', q(SELECT feature_stream.checkpoint_stream('clicks'))), '', 'a checkpoint is made');
is(ingest_pid($node, 'clicks'), $pid, 'by the same worker');
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('others', 'SELECT item, count(*) AS n FROM clicks GROUP BY item',
	windows => '{5 min}', slide => '1 min')));
send_clicks('2024-02-03 12:10:00');
$pid = ingest_pid($node, 'clicks');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
isnt(ingest_pid($node, 'clicks', $pid), $pid, 'another worker recovers');
send_clicks('2024-02-03 12:20:00');
is($reader->run($reads{log}), 't', 'the reader has what it had');
unlike($reader->errors, qr/ERROR/, 'and no error');
$reader->run('COMMIT');
verifies($node, $_, "$_ verifies") for qw(counts others);
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter), 5, 'no event is missing');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
