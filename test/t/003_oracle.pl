
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

# Pauses the stream when all that is in force is online: rows may be on their way.
sub pause_at_rest
{
	wait_until('a moment of rest', sub {
		$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
		wait_for_state($node, 'clicks', 'paused');
		return 1 if $node->safe_psql('postgres', q(SELECT count(*) FROM feature_stream.verify_feature_view('session_features'))) == 0;
		$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
		wait_for_state($node, 'clicks', 'running');
		return 0;
	});
	return;
}

# Verifying finds what was damaged in Redis and in the history, while nothing else writes there.
sub damages_are_found
{
	pause_at_rest();
	my ($changed, $gone) = grep { /^user:\w+:/ && $redis->call('PTTL', $_) > 120_000 } $redis->keys('user:*');
	my %user = map { $_ => /^user:(.*):session_features$/ } $changed, $gone;
	my $count = $redis->call('HGET', $changed, 'item_count_30m');

	$redis->call('HSET', $changed, 'item_count_30m', $count + 1);
	$redis->call('DEL', $gone);
	my $row = $node->safe_psql('postgres', qq(
		UPDATE session_features_history SET items_clicked_30m[1] = 'x' WHERE (tableoid, ctid) = (
			SELECT tableoid, ctid FROM session_features_history WHERE item_count_30m > 0 AND user_id = '$user{$gone}' ORDER BY window_end LIMIT 1)
		RETURNING window_end));
	query_is($node, q(SELECT source, entity->>'user_id', window_end = ') . (split /\n/, $row)[0] . q(', feature, problem,
			CASE WHEN source = 'online' THEN expected || '/' || found END
			FROM feature_stream.verify_feature_view('session_features') ORDER BY 1, 2),
		join("\n", "history|$user{$gone}|t|items_clicked_30m|value differs|",
			sort { (split /\|/, $a)[1] cmp (split /\|/, $b)[1] }
			  "online|$user{$changed}|f|item_count_30m|value differs|$count/" . ($count + 1), "online|$user{$gone}|f||missing row|"),
		'verifying finds each damage and nothing else');
	$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
	return;
}

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
	create_wide_view($node, '{1 min, 10 min, 30 min}', '1 min', '5 min');
	create_summed_view($node, '{2 min, 30 min}', '1 min');
	$rest->finish or die 'generate.py failed';

	oracle_agrees($node, $kafka, $redis, $topic, $end - 60, "seed $seed: $events events");
	verifies($node, 'session_features', "seed $seed: verifies");
	verifies($node, 'wide_features', "seed $seed: a view of ten features and three windows beside it verifies");
	verifies($node, 'summed_features', "seed $seed: and so does one that keeps partial aggregates");
	query_becomes($node, qq(SELECT sum(read_count), sum(accepted_count) + sum(dead_letter_count) FROM feature_stream.stat_partition),
		"$events|$events", "seed $seed: accepted + dead letters = produced");
	damages_are_found() if $seed == $first;
	$node->safe_psql('postgres', q(
		SELECT feature_stream.drop_feature_view('session_features', drop_history => true);
		SELECT feature_stream.drop_feature_view('wide_features', drop_history => true);
		SELECT feature_stream.drop_feature_view('summed_features', drop_history => true);
		DROP FOREIGN TABLE clicks));
	$redis->call('FLUSHALL');
}
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
