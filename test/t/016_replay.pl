
# Dead letters come back, exactly once: while clicks stream in, those that are bad
# are repaired and asked back, over and over, and the worker and the server are
# killed at random moments and at the points of a checkpoint.
#
# FS_KILLS and FS_EVENTS make it longer, FS_SEED replays the order of the kills.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::DeadLetters;
use Test::More;
use Time::HiRes ();

my $kills = $ENV{FS_KILLS} || 6;
my $events = $ENV{FS_EVENTS} || 10000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);

note("seed $seed (FS_SEED=$seed replays the order)");

my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_node('replay', 'feature_stream.memory' => '128MB');
create_example_servers($node, $kafka, $redis);

# Repairs what is bad, and asks it back; the server may be down.
sub repair
{
	return repair_dead_letters($node, q('r' || "offset" % 20), q('i' || "offset"), '');
}

my %actions = kills_of($node, $random);
my @kinds = sort keys %actions;
my @order = order_of($random, $kills, @kinds);

my $end = sprintf('%.3f', Time::HiRes::time());
my $clicks = generate($kafka, '--topic', 'clicks', '--create', '--events', $events, '--seed', $seed, '--end-time', $end,
	'--span-minutes', 90, '--rate', $events / (4 * @order));
create_example($node, 'clicks', slice => '1 min');
create_wide_view($node, '{1 min, 10 min, 30 min}', '1 min', '3 min');
wait_for_dead_letters($node);
for my $action (@order)
{
	my $requested = repair();

	Time::HiRes::sleep($random->() / 4);
	note(sprintf('kills %s, %s events read, %s asked back', $action,
		answer_of($node, 'SELECT read_count FROM feature_stream.stat_stream') // 'unknown', $requested // 'none'));
	$actions{$action}->();
	Time::HiRes::sleep($random->());
}
$clicks->finish or die 'generate.py failed';
end_crashes($node);
wait_for_read($node, 'clicks', $events);
ok(defined repair(), 'the last ones are asked back');
wait_for_outcomes($node, "outcome = 'requested'");

note($node->safe_psql('postgres', 'SELECT outcome, reason, count(*) FROM feature_stream.dead_letter_outcome GROUP BY 1, 2 ORDER BY 1, 2'));
query_is($node, q(
	SELECT count(*) > 50, bool_and(o.outcome IN ('replayed', 'too_late') OR d.reason = 'future' AND o.reason = 'future')
	  FROM feature_stream.dead_letter d JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)),
	't|t', 'all came back, or were too late');
each_is_in_the_log($node, q(l.event->>'user_id' LIKE 'r%' AND l.event->>'item_id' = 'i' || l."offset"), 'each is in the log once');
oracle_agrees($node, $kafka, $redis, 'clicks', $end - 60, "the oracle agrees after " . @order . " kills (seed $seed)");
verifies($node, 'wide_features', 'the view of ten features and three windows beside it verifies');
counters_agree($node, $events, 2);

# --- Who listens hears of too many dead letters.
my $session = new_session($node, 'postgres');
my $heard = '';
$session->run('LISTEN feature_stream');
$node->safe_psql('postgres', q(
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE TABLE outbox (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text);
	CREATE FOREIGN TABLE limited (user_id text NOT NULL, at timestamptz NOT NULL) SERVER tables OPTIONS ("table" 'outbox',
		order_by 'id', xid 'xid', value 'value', event_time 'at', start 'earliest', dead_letter_limit '1 % over 1 s');
	SELECT feature_stream.create_feature_view('limits', 'SELECT user_id, count(*) AS n FROM limited GROUP BY user_id', '{5 min}', '1 min');
	INSERT INTO outbox SELECT i, pg_current_xact_id(), 'bad' FROM generate_series(1, 10) i));
wait_until('a notification', sub { $heard .= $session->run('SELECT 1') . "\n"; return $heard =~ /ended/ });
like($heard, qr/"feature_stream" with payload "\{"stream": "public.limited", "event": "dead_letter_limit", "message": "10 of 10 records are dead letters, more than 1 %"\}".*"event": "dead_letter_limit_ended"/s,
	'who listens hears of too many dead letters, and of the end');

# --- A stream that is paused for them says so until it is resumed, whatever restarts meanwhile.
my $pid = ingest_pid($node, 'limited');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE limited OPTIONS (ADD on_limit 'pause')));
ingest_pid($node, 'limited', $pid);
# What is read in a worker's first turn is not judged: after two checkpoints there was another one.
$node->safe_psql('postgres', q(SELECT feature_stream.checkpoint_stream('limited') FROM generate_series(1, 2);
	INSERT INTO outbox SELECT i, pg_current_xact_id(), 'bad' FROM generate_series(11, 20) i));
my $limited = q(SELECT state, alert FROM feature_stream.stat_stream WHERE stream = 'limited'::regclass);
query_becomes($node, "$limited AND pid IS NULL", 'paused|10 of 10 records are dead letters, more than 1 %', 'a stream is paused for too many dead letters');
wait_until('another notification', sub { $heard .= $session->run('SELECT 1') . "\n"; return $heard =~ /paused/ });
like($heard, qr/"\{"stream": "public.limited", "event": "paused", "message": "10 of 10 records are dead letters, more than 1 %"\}"/, 'who listens hears of that, too');
$node->restart;
query_is($node, $limited, 'paused|10 of 10 records are dead letters, more than 1 %', 'and says why after a restart');
$node->safe_psql('postgres', q(SELECT feature_stream.pause_stream('limited')));
query_is($node, $limited, 'paused|10 of 10 records are dead letters, more than 1 %', 'also when a user pauses it besides');
$node->safe_psql('postgres', q(SELECT feature_stream.resume_stream('limited')));
query_becomes($node, $limited, 'running|', 'until it is resumed');
note(crash_count($node) . ' crashes in all');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC|has changed meanwhile/,
	'nothing crashed but what was killed');

done_testing();
