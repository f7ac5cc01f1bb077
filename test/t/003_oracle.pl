
# The whole way, judged by an oracle that shares no code with the engine: seeded
# clicks with everything that can be wrong with them go through a real broker,
# and history, dead letters, counters, Redis and SELECT have to be what the
# oracle finds by itself.
#
# FS_SEEDS=20 FS_EVENTS=100000 is the long mode.

use strict;
use warnings;

use FeatureStream;
use Test::More;
use Time::HiRes ();

my $seeds = $ENV{FS_SEEDS} || 2;
my $events = $ENV{FS_EVENTS} || 20000;
my $first = $ENV{FS_SEED} || 1;

my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_node('oracle', 'feature_stream.memory' => '256MB');

create_example_servers($node, $kafka, $redis);
for my $seed ($first .. $first + $seeds - 1)
{
	my $topic = "clicks-$seed";
	my $end = sprintf('%.3f', Time::HiRes::time());

	# Every other plan is so thin that windows empty all the time.
	my @plan = ('--topic', $topic, '--events', $events, '--seed', $seed, '--end-time', $end,
		'--span-minutes', $seed % 2 ? 75 : 600);
	my $part = int($events * 0.6);

	# A part is there before the stream is, the rest comes while it reads, slowly enough for partitions to fall idle.
	generate($kafka, @plan, '--create', '--to-event', $part)->finish or die 'generate.py failed';
	my $rest = generate($kafka, @plan, '--from-event', $part, '--rate', $events / 12);
	create_example($node, $topic);
	$rest->finish or die 'generate.py failed';

	oracle_agrees($node, $kafka, $redis, $topic, $end - 60, "seed $seed: $events events");
	verifies($node, 'session_features', "seed $seed: verifies");
	query_is($node, qq(SELECT sum(read_count), sum(accepted_count) + sum(dead_letter_count) FROM feature_stream.stat_partition),
		"$events|$events", "seed $seed: accepted + dead letters = produced");
	$node->safe_psql('postgres', q(
		SELECT feature_stream.drop_feature_view('session_features', drop_history => true);
		DROP FOREIGN TABLE clicks));
	$redis->call('FLUSHALL');
}
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
