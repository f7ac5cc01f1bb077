
# The measurements of test/bench/recovery, which sets it all up by test/bench/ingest.

use strict;
use warnings;

use Bench;
use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my ($events, $users, $hours) = (@ARGV, (10_000_000, 100_000, 24)[ @ARGV .. 2 ]);
my $partitions = 4;
my $sums = 'count(*) AS clicks, count(category) AS known, min(clicked_at) AS first, max(clicked_at) AS latest';

# What is kept, by which query, and from how many events a record on it is stored.
my @cases = (
	[ 'events', 'count(*) AS clicks, array_agg(item_id) AS items', 0 ],
	[ 'partials', $sums, 0 ],
	[ 'stored', $sums, 1 ]);

my $kafka = new_kafka();
my $node = new_bench();

# Seconds until the stream's worker has recovered and reads again, counted from when the server takes connections.
sub recover
{
	my $begin;

	$node->stop('immediate');
	$node->start;
	$begin = time;
	until (value("SELECT state = 'running' FROM feature_stream.stat_stream") eq 't')
	{
		die 'recovery does not end' if time - $begin > 3600;
		usleep(50_000);
	}
	return time - $begin;
}

$node->safe_psql('postgres', sprintf("CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s')", $kafka->brokers));
produce($kafka, 'clicks', $events, $users, $hours * 3600, $partitions);
note(sprintf "%d events of %d users over %d hours, %d partitions, load %s\n", $events, $users, $hours, $partitions, load());
for my $case (@cases)
{
	my ($name, $query, $ratio) = @$case;

	$node->safe_psql('postgres', "ALTER SYSTEM SET feature_stream.partial_log_ratio = $ratio");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	create_clicks('clicks');
	value(qq(
		SELECT feature_stream.create_feature_view('v', 'SELECT user_id, $query FROM clicks GROUP BY user_id',
			windows => '{$hours hours}', slide => '1 min', history => 'none')));
	await_read($events, 1);
	my ($memory, $log) = split /\|/, value(q(
		SELECT memory_bytes, (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE (relname LIKE 'event_log%' OR relname LIKE 'partial_log%') AND relkind = 'r')
		  FROM feature_stream.stat_stream));
	my @seconds = map { recover() } 1 .. 3;
	my $seconds = median(@seconds);
	note(sprintf '%-8s recovered in %.1f s (%s): %.0f events a second; %.0f MB of shared memory, %.0f MB of log, %.1f bytes of it an event',
		$name, $seconds, join(', ', map { sprintf '%.1f', $_ } @seconds), $events / $seconds, $memory / 1e6, $log / 1e6, $log / $events);
	value("SELECT feature_stream.drop_feature_view('v', drop_history => true); DROP FOREIGN TABLE clicks");
}
ok(1, "measured");
done_testing();
