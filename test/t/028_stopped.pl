
# Partitions that have stopped, and starts that were not found, when the worker starts anew: nothing is
# forgotten, and only resume_stream() lets them be tried again.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('stopped', 'feature_stream.memory' => '16MB');
my $now = 1705322400;    # 2024-01-15 12:40:00+00
my $views = 0;
$node->safe_psql('postgres', "SELECT feature_stream.set_test_clock(to_timestamp($now))");
$node->safe_psql('postgres', qq(CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '@{[ $kafka->brokers ]}')));

# A feature view of a stream; the stream's worker starts anew for it.
sub create_view
{
	my ($stream) = @_;
	my $view = "${stream}_" . ++$views;

	$node->safe_psql('postgres', qq(
		SELECT feature_stream.create_feature_view('$view',
			'SELECT user_id, count(*) AS n FROM $stream GROUP BY user_id', windows => '{1 hour}', slide => '1 min')));
	return $view;
}

sub produce
{
	my ($topic, $count, @partitions) = @_;

	$kafka->produce($topic, $_, [ map { sprintf('{"user_id": "u%d", "item_id": "i", "timestamp": %s}', $_ % 3, $now) } 1 .. $count ])
	  for @partitions;
	return;
}

# A stream over a topic of these partitions, of which ten records each are read.
sub create_read
{
	my ($stream, $partitions) = @_;

	$kafka->create_topic($stream, $partitions);
	produce($stream, 10, 0 .. $partitions - 1);
	create_stream($node, $stream, $stream, idle_after => '1 min', start => 'earliest');
	create_view($stream);
	wait_for_read($node, $stream, 10 * $partitions);
	return;
}

# Has the worker start anew, as any change of the definition does, crashes, or a failure.
sub restart_worker
{
	my ($stream) = @_;
	my $pid = ingest_pid($node, $stream);

	create_view($stream);
	ingest_pid($node, $stream, $pid);
	return;
}

sub pause { $node->safe_psql('postgres', "SELECT feature_stream.pause_stream('$_[0]')"); wait_for_state($node, $_[0], 'paused'); return; }
sub resume { $node->safe_psql('postgres', "SELECT feature_stream.resume_stream('$_[0]')"); return; }

# Tests that some partitions come to be stopped for a reason, with nothing read beyond ten records each, and that others are read.
sub stopped_are
{
	my ($stream, $partitions, $reason, $name) = @_;

	query_becomes($node, qq(SELECT string_agg(partition::text, ' ' ORDER BY partition) FILTER (WHERE state = 'stopped' AND error ~ '$reason'),
		       max(read_count) FILTER (WHERE state = 'stopped')
		  FROM feature_stream.stat_partition WHERE stream = '$stream'::regclass AND state IS NOT NULL), "$partitions|10", $name);
	return;
}

sub drop { $node->safe_psql('postgres', "DROP FOREIGN TABLE $_[0] CASCADE"); return; }

# --- A start that is not there is looked for again, as the option has it then.
$kafka->create_topic('starts', 2);
produce('starts', 3, 0, 1);
create_stream($node, 'starts', 'starts', idle_after => '1 min', start => 'offsets 0:99');
create_view('starts');
wait_for_offsets($node, 'starts', { 1 => 3 });
my $nowhere = q(SELECT state, error ~ '"start" names offset 99', pending_offset, read_count FROM feature_stream.stat_partition
	WHERE partition = 0);
query_becomes($node, $nowhere, 'stopped|t||0', 'a start that is not there stops the partition');
pause('starts');
resume('starts');
query_becomes($node, $nowhere, 'stopped|t||0', 'and does so after a pause');
restart_worker('starts');
query_becomes($node, $nowhere, 'stopped|t||0', 'and in another worker: it is not read from its beginning');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE starts OPTIONS (SET start 'offsets 0:2')");
wait_for_offsets($node, 'starts', { 0 => 3 });
query_is($node, q(SELECT string_agg(start_offset || ' ' || read_count, ', ' ORDER BY partition) FROM feature_stream.partition_position),
	'2 1, 0 3', 'a start that is corrected is where it begins');
$kafka->add_partitions('starts', 3);
produce('starts', 3, 2);
wait_for_offsets($node, 'starts', { 2 => 3 });
query_is($node, 'SELECT start_offset FROM feature_stream.partition_position WHERE partition = 2', 0, 'one that is added begins at its beginning');
drop('starts');

# --- A topic is deleted, made again under its name, and filled beyond our offset.
create_read('deleted', 2);
$kafka->delete_topic('deleted');
stopped_are('deleted', '0 1', 'topic "deleted" was deleted', 'a topic that is deleted stops its partitions');
query_becomes($node, 'SELECT count(*) FILTER (WHERE stopped IS NOT NULL) FROM feature_stream.partition_position', 2, 'which is durable');
$kafka->create_topic('deleted', 2);
produce('deleted', 20, 0, 1);
restart_worker('deleted');
query_becomes($node, 'SELECT string_agg(end_offset::text, $$ $$) FROM feature_stream.stat_partition', '20 20', 'another worker sees the new topic');
stopped_are('deleted', '0 1', 'topic "deleted" was deleted', 'and reads nothing of it');
$node->restart;
ingest_pid($node, 'deleted');
stopped_are('deleted', '0 1', 'topic "deleted" was deleted', 'nor after a restart of the server');
query_becomes($node, q(SELECT state, last_error ~ 'was deleted' FROM feature_stream.stat_stream), 'running|t', 'the stream says why');
pause('deleted');
query_is($node, q(SELECT bool_and(error ~ 'was deleted') FROM feature_stream.stat_partition), 't', 'so it does while it is paused');
resume('deleted');
wait_for_read($node, 'deleted', 40);
query_becomes($node, q(SELECT string_agg(state || coalesce(error, ''), ' ') FROM feature_stream.stat_partition), 'reading reading',
	'who resumes it wants it to be read on where it stopped');
query_is($node, 'SELECT count(stopped) FROM feature_stream.partition_position', 0, 'and it is not stopped any more');

# --- It is gone while no worker looks.
pause('deleted');
$kafka->delete_topic('deleted');
resume('deleted');
query_becomes($node, q(SELECT string_agg(state || ' ' || error, ' ') FROM feature_stream.stat_partition),
	'stopped topic "deleted" was deleted stopped topic "deleted" was deleted', 'a topic that was deleted meanwhile stops its partitions');
drop('deleted');

# --- It has fewer partitions when a worker looks again.
create_read('shrunk', 3);
pause('shrunk');
$kafka->delete_topic('shrunk');
wait_until('the deletion', sub { eval { $kafka->create_topic('shrunk', 2); 1 } });
produce('shrunk', 20, 0, 1);
resume('shrunk');
stopped_are('shrunk', '0 1 2', 'it had 3 partitions and has 2 now', 'a topic that shrank meanwhile stops its partitions');
query_becomes($node, q(SELECT last_error ~ 'it had 3 partitions' FROM feature_stream.stat_stream), 't', 'the stream says why');
drop('shrunk');

# --- The addresses lead to another cluster when a worker looks again.
create_read('moved', 2);
query_becomes($node, q(SELECT cluster <> '' FROM feature_stream.stream_state), 't', 'the cluster is known');
pause('moved');
# Counted here already, resuming clears nothing.
$node->safe_psql('postgres', q(UPDATE feature_stream.stream_state SET cluster = 'elsewhere', resumed_count = resumed_count + 1));
produce('moved', 10, 0, 1);
resume('moved');
stopped_are('moved', '0 1', 'the brokers belong to cluster ".+" now and belonged to cluster "elsewhere" before', 'another cluster stops the partitions');
restart_worker('moved');
stopped_are('moved', '0 1', 'belonged to cluster "elsewhere" before', 'in the next worker, too');
query_is($node, 'SELECT cluster FROM feature_stream.stream_state', 'elsewhere', 'the positions are of the one before');
resume('moved');
wait_for_read($node, 'moved', 40);
query_is($node, q(SELECT cluster <> 'elsewhere' FROM feature_stream.stream_state), 't', 'who resumes it says that it is the same topic');
drop('moved');

# --- One that has stopped holds the watermark, until memory is full.
create_read('crammed', 2);
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('items',
	'SELECT user_id, max(item_id) AS item FROM crammed GROUP BY user_id', windows => '{1 hour}', slide => '1 min')));
pause('crammed');
produce('crammed', 10, 0);
$kafka->delete_records('crammed', 0, 15);
resume('crammed');
stopped_are('crammed', '0', 'retention removed offsets 10 to 14', 'lost retention stops a partition');
$kafka->produce('crammed', 1, [ map { sprintf('{"user_id": "x%d", "item_id": "%s", "timestamp": %s}', $_, $_ x 40, $now) } 1 .. 100000 ]);
wait_for_state($node, 'crammed', 'memory_exhausted');
query_becomes($node, 'SELECT last_error FROM feature_stream.stat_stream',
	'feature_stream.memory is full, since partition 0 has stopped and holds the watermark', 'memory that is full for it says so');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile),
	qr/stream public\.crammed waits: .*partition 0 has stopped.*\n.*DETAIL:.*retention removed.*\n.*HINT:.*"on_stopped"/, 'the log says what to do');
drop('crammed');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
