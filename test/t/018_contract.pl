
# Columns are added while events flow and the ingest worker is killed before,
# during and after: each takes effect at offsets that are recorded, and events, features and
# histories are what they are by these offsets, however often they are read again.

use strict;
use warnings;

use FeatureStream;
use Test::More;
use Time::HiRes ();

my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);
my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_node('contract');
my $start = int(time) - 3600;    # the first event's time; the last one's is before now
my $sent = 0;

note("seed $seed (FS_SEED=$seed replays the delays)");
$kafka->create_topic('clicks', 3);
create_example_servers($node, $kafka, $redis);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL)
	SERVER kafka OPTIONS (topic 'clicks', event_time 'clicked_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '7 days');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min', online => 'redis', online_key => 'n:{user_id}')));

# Produces clicks of a stretch of event time; all have every field there will ever be.
sub send_clicks
{
	my ($n) = @_;
	my @values = map { [] } 0 .. 2;

	for (1 .. $n)
	{
		push @{ $values[ $sent % 3 ] }, sprintf('{"user_id": "u%d", "timestamp": %d, "c1": "n%d", "c2": "n%d", "c3": "n%d"}',
			$sent % 11, $start + $sent, $sent % 5, $sent % 7, $sent % 3);
		$sent++;
	}
	$kafka->produce('clicks', $_, $values[$_]) for 0 .. 2;
	return;
}

sub kill_worker
{
	Time::HiRes::sleep(0.3 * $random->());
	return kill_backend_process($node, ingest_pid($node, 'clicks'));
}

my %kills = (
	1 => [ \&kill_worker, sub { } ],
	2 => [ sub { }, \&kill_worker ],
	3 => [ sub { crash_at_point($node, 'checkpoint-before-commit', 1) }, sub { crash_at_point($node, 'checkpoint-after-commit', 1); end_crashes($node) } ]);
send_clicks(300);
for my $i (1 .. 3)
{
	my ($before, $after) = @{ $kills{$i} };

	send_clicks(200);
	$before->();
	send_clicks(100);
	$node->safe_psql('postgres', "ALTER FOREIGN TABLE clicks ADD COLUMN c$i text DEFAULT 'old$i'");
	send_clicks(100);
	$after->();
	send_clicks(100);
	$node->safe_psql('postgres', sprintf(q(
		SELECT feature_stream.create_feature_view('by_c%d', 'SELECT user_id, count(DISTINCT c%d) AS kinds, array_agg(c%d) AS list, max(c1) AS top FROM clicks GROUP BY user_id',
			windows => '{10 min}', slide => '1 min')), $i, $i, $i));
	query_becomes($node, q(SELECT count(*) FROM feature_stream.stream_contract WHERE stream = 'clicks'::regclass AND offsets IS NULL), 0,
		"the contract with c$i is in force");
}
send_clicks(300);
wait_for_read($node, 'clicks', $sent);

# A column's first version; what it says of an event, and what the event has.
my $events = q(
	WITH added AS (SELECT c, min(version) AS version FROM feature_stream.stream_contract, jsonb_array_elements(columns) x, LATERAL (SELECT x ->> 'name') n (c)
	                WHERE stream = 'clicks'::regclass AND c ~ '^c\d$' GROUP BY c),
	     vector AS (SELECT c, p.key::int AS partition, p.value::bigint AS first FROM added
	                JOIN feature_stream.stream_contract s USING (version), jsonb_each_text(s.offsets) p WHERE s.stream = 'clicks'::regclass),
	     found AS (SELECT c, e.partition, e."offset", e."offset" < first AS is_old, e.event ->> c AS value
	                 FROM feature_stream.read_event_log('clicks') e JOIN vector v USING (partition)));
query_is($node, "$events SELECT c, is_old, count(*) > 0, bool_and(is_old = (value = 'old' || right(c, 1))), bool_and(is_old OR value ~ '^n')
	FROM found GROUP BY c, is_old ORDER BY c, is_old", join("\n", map { ("c$_|f|t|t|t", "c$_|t|t|t|t") } 1 .. 3),
	'each column has its DEFAULT below the recorded offsets, and its field from there on');
query_is($node, "$events SELECT c, count(*) FROM found GROUP BY c ORDER BY c", join("\n", map { "c$_|$sent" } 1 .. 3), 'of every event once');

# What is computed from that agrees, whoever computes it.
$node->poll_query_until('postgres', q(SELECT NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending') AND frontier >= to_timestamp(%d)
	FROM feature_stream.stream_state) =~ s/%d/$start + $sent - 120/er) or die 'windows do not fire';
wait_for_frontier($node, 'clicks', $node->safe_psql('postgres', 'SELECT frontier FROM feature_stream.stream_state'));
verifies($node, $_, "$_ verifies, in its history and in memory") for qw(counts by_c1 by_c2 by_c3);
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'no dead letters');
query_becomes($node, 'SELECT sum(read_count), sum(accepted_count) FROM feature_stream.stat_partition', "$sent|$sent", 'every record counts once');
my $before = $node->safe_psql('postgres', q(SELECT * FROM feature_stream.read_event_log('clicks') ORDER BY partition, "offset"));
kill_backend_process($node, ingest_pid($node, 'clicks'));
ingest_pid($node, 'clicks');
is($node->safe_psql('postgres', q(SELECT * FROM feature_stream.read_event_log('clicks') ORDER BY partition, "offset")), $before, 'and nothing is decided again');

# A column that no feature uses goes while events flow; another DEFAULT changes nothing that was read.
send_clicks(100);
my $pid = ingest_pid($node, 'clicks');
$node->safe_psql('postgres', q(BEGIN; SELECT feature_stream.drop_feature_view('by_c3', drop_history => true);
	ALTER FOREIGN TABLE clicks DROP COLUMN c3; ALTER FOREIGN TABLE clicks ALTER COLUMN c2 SET DEFAULT 'newer'; COMMIT));
ingest_pid($node, 'clicks', $pid);
like(($node->psql('postgres', 'ALTER FOREIGN TABLE clicks DROP COLUMN c2'))[2], qr/by_c2 \(kinds, list\)/, 'one that features use does not, by their names');
send_clicks(100);
wait_for_read($node, 'clicks', $sent);
verifies($node, $_, "$_ still verifies") for qw(counts by_c1 by_c2);
query_is($node, q(SELECT count(*), count(*) FILTER (WHERE event ? 'c3'), count(*) FILTER (WHERE event ->> 'c2' = 'newer') FROM feature_stream.read_event_log('clicks')),
	"$sent|0|0", 'the log has what it had, without the column');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/, 'nothing crashed but what was killed');

done_testing();
