
# Dead letters come back with corrections, exactly once: while clicks stream in,
# those that are bad are repaired and asked back, for windows that have fired and
# for those that have not, and the workers and the server are killed at random
# moments, at the points of a checkpoint and at those of a correction.
#
# FS_KILLS and FS_EVENTS make it longer, FS_SEED replays the order of the kills.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::DeadLetters;
use Test::More;
use Time::HiRes ();

my $events = $ENV{FS_EVENTS} || 10000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);
my $crashes = 0;	# before the kill at hand

note("seed $seed (FS_SEED=$seed replays the order)");

my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_node('corrections', 'feature_stream.memory' => '128MB');
create_example_servers($node, $kafka, $redis);

# Repairs what is bad and was not asked back yet, with an event of the last 40 minutes, and asks everything back that is
# not there: as of one snapshot, or what comes in between is asked back as it is.  The server may be down.
sub repair
{
	return answer_of($node, q(
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		UPDATE feature_stream.dead_letter d
		   SET payload = convert_to(json_build_object('user_id', CASE "offset" % 3 WHEN 0 THEN 'u' ELSE 'r' END || "offset" % 20,
		           'item_id', 'fixed' || "offset", 'timestamp', floor(extract(epoch FROM received_at)) - "offset" * 7919 % 2400)::text, 'UTF8')
		 WHERE stream = 'clicks'::regclass AND reason NOT IN ('late', 'future')
		   AND NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome o
		                    WHERE (o.stream, o.partition, o."offset") = (d.stream, d.partition, d."offset"));
		SELECT feature_stream.replay_dead_letters('clicks', corrections => true);
		COMMIT));
}

# A fault that was set before requests were made: waits for the crash, if they led to a correction.
sub await_correction
{
	my ($point) = @_;

	wait_until("a crash at $point", sub { crash_count($node) > $crashes
		|| (answer_of($node, "SELECT count(*) FROM feature_stream.dead_letter_outcome
			WHERE outcome = 'requested' OR outcome = 'replayed' AND corrected_at IS NULL") // 1) eq '0' });
	end_crashes($node);
	return;
}

my %actions = (
	'the ingest worker' => sub {
		my $pid = answer_of($node, "SELECT pid FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass");
		kill_backend_process($node, $pid) if defined $pid;
	},
	'the backfill worker' => sub {
		my $pid = answer_of($node, "SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'feature_stream backfill worker'");
		kill_backend_process($node, $pid) if $pid;
	},
	'the server (immediate shutdown)' => sub { $node->stop('immediate'); $node->start },
	(map { my $point = $_; ($point => sub { crash_at_point($node, $point, 1 + int($random->() * 3)) }) }
	  qw(checkpoint-begin checkpoint-before-commit checkpoint-after-commit)),
	(map { my $point = $_; ($point => sub { await_correction($point) }) }
	  qw(correction-before-commit correction-after-commit)));
my @kinds = sort keys %actions;
my $kills = $ENV{FS_KILLS} || @kinds;
my @order = map { $_ <= $#kinds ? $kinds[$_] : $kinds[ $random->() * @kinds ] } 0 .. $kills - 1;

my $end = sprintf('%.3f', Time::HiRes::time());
my $clicks = generate($kafka, '--topic', 'clicks', '--create', '--events', $events, '--seed', $seed, '--end-time', $end,
	'--span-minutes', 90, '--rate', $events / (4 * @order));
create_example($node, 'clicks', slice => '1 min');
create_wide_view($node, '{1 min, 10 min, 30 min}', '1 min', '3 min');
# Partial aggregates of slides, which are stored as soon as they are closed: a correction changes them.
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('totals',
	'SELECT user_id, count(*) AS n, max(item_id) AS last FROM clicks GROUP BY user_id', windows => '{30 min}', slide => '1 min')));
wait_until('the first windows and dead letters', sub {
	answer_of($node, 'SELECT 1 FROM feature_stream.stream_state WHERE frontier IS NOT NULL
		AND (SELECT count(*) > 20 FROM feature_stream.dead_letter)') });
for my $i (0 .. $#order)
{
	my $requested;

	$crashes = crash_count($node);
	set_fault($node, "$order[$i]:crash:1") if $order[$i] =~ /^correction-/;
	$requested = repair();
	Time::HiRes::sleep($random->() / 4);
	note(sprintf('kills %s, %s events read, %s asked back', $order[$i],
		answer_of($node, 'SELECT read_count FROM feature_stream.stat_stream') // 'unknown', $requested // 'none'));
	$actions{ $order[$i] }->();
	wait_for_server($node);
	$node->safe_psql('postgres', "CREATE TABLE kept_$i AS TABLE session_features_history");
	Time::HiRes::sleep($random->());
}
$clicks->finish or die 'generate.py failed';
end_crashes($node);
wait_for_read($node, 'clicks', $events);
ok(defined repair(), 'the last ones are asked back');
$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome
	WHERE outcome = 'requested' OR outcome = 'replayed' AND corrected_at IS NULL)")
  or die 'requests are left';

note($node->safe_psql('postgres', 'SELECT outcome, reason, count(*), sum(corrected_rows) FROM feature_stream.dead_letter_outcome GROUP BY 1, 2 ORDER BY 1, 2'));
query_is($node, q(
	SELECT count(*) > 50, sum(corrected_rows) > 300,
	       bool_and(o.outcome = 'replayed' OR d.reason = 'late' AND o.message ~ 'too old for corrections' OR d.reason = 'future' AND o.reason = 'future')
	  FROM feature_stream.dead_letter d JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)),
	't|t|t', 'all came back, or are older than the log');
query_is($node, q(
	SELECT count(*), count(DISTINCT (l.partition, l."offset")) FROM feature_stream.read_event_log('clicks') l
	 WHERE l.event->>'item_id' = 'fixed' || l."offset" AND l.late_bound IS NULL),
	$node->safe_psql('postgres', q(
		SELECT count(*), count(*) FROM feature_stream.dead_letter d
		       JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)
		 WHERE o.outcome = 'replayed' AND d.reason NOT IN ('late', 'future'))),
	'each is in the log once, in time');
oracle_agrees($node, $kafka, $redis, 'clicks', $end - 60, "the oracle agrees after " . @order . " kills (seed $seed)");
verifies($node, 'wide_features', 'the view of ten features and three windows beside it verifies');
verifies($node, 'totals', 'and so does one of partial aggregates');
is($node->safe_psql('postgres', q(SELECT bool_and(keeps = 'partials') FROM feature_stream.explain_feature_view('totals'))), 't', 'which it keeps');
for ([ session_features => 'user_id' ], [ wide_features => 'who' ])
{
	my ($view, $entity) = @$_;

	query_is($node, qq(
		SELECT count(*) > 100, bool_and(n = most - least + 1 AND n = times AND least <= 1)
		  FROM (SELECT $entity, window_end, count(*) AS n, count(DISTINCT computed_at) AS times,
		               max(revision) AS most, min(revision) AS least
		          FROM ${view}_history GROUP BY 1, 2 HAVING max(revision) > 0) r), 't|t',
		"revisions of $view follow one another, each of a correction of its own");
	query_is($node, qq(
		SELECT count(*) FROM ${view}_history h WHERE revision > 0 AND NOT EXISTS (
		       SELECT FROM feature_stream.correction c WHERE c.view = '$view'::regclass AND c.state = 'done' AND c.known_at = h.computed_at
		          AND h.window_end > c.event_time AND h.window_end <= c.upto)), 0, "those of $view are known by it");
}
query_is($node, join(' UNION ALL ', map { "(TABLE kept_$_ EXCEPT TABLE session_features_history)" } 0 .. $#order), '',
	'rows that were there are there still, as they were');
query_is($node, q(
	SELECT count(*) > 100, bool_and(a.revision < h.revision AND a.available_at < h.available_at) FROM session_features_history h,
	       session_features_as_of(h.user_id, h.window_end, h.available_at - interval '1 us') a
	 WHERE h.revision > 0 AND a.window_end = h.window_end), 't|t', 'before a correction the row is known as it was');
query_is($node, q(
	SELECT count(*) > 100, bool_and(a = h) FROM session_features_history h,
	       session_features_as_of(h.user_id, h.window_end, h.available_at) a WHERE h.revision > 0), 't|t', 'from then on as it is');
my $rows = $node->safe_psql('postgres', 'SELECT count(*) FROM session_features_history WHERE revision > 0');
ok(defined repair(), 'all are asked back again');
$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome WHERE outcome = 'requested')")
  or die 'requests are left';
query_is($node, 'SELECT count(*) FROM session_features_history WHERE revision > 0', $rows, 'which corrects nothing');
counters_agree($node, $events, 3);
note(crash_count($node) . ' crashes in all');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC|has changed meanwhile/,
	'nothing crashed but what was killed');

done_testing();
