
# The measurements of test/bench/windows, which sets it all up by test/bench/ingest.

use strict;
use warnings;

use Bench;
use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my ($events, $users) = (@ARGV, (2_000_000, 10_000)[ @ARGV .. 1 ]);
my $partitions = 4;
my $rounds = $ENV{FS_ROUNDS} || 3;

# Two families of native forms: those that add up keep a record a slide, those that do not keep events.
my %queries = (
	'counts' => 'count(*) AS clicks, count(category) AS known, min(clicked_at) AS first, max(clicked_at) AS latest',
	'lists' => 'count(*) AS clicks, array_agg(item_id) AS items, count(DISTINCT item_id) AS distinct_items, '
	  . 'mode() WITHIN GROUP (ORDER BY category) AS top');

# [ what, minutes of event time in the topic, windows, history ]
my $ten = '{' . join(',', map { $_ * 3 . ' min' } 1 .. 10) . '}';
my @cases = (
	[ '1 window of 30 slides', 45, '{30 min}' ],
	[ '3 windows, the longest of 30 slides', 45, '{5 min, 10 min, 30 min}' ],
	[ '10 windows, the longest of 30 slides', 45, $ten ],
	[ '1 window of 30 slides', 2000, '{30 min}' ],
	[ '1 window of 1,440 slides', 2000, '{24 hours}' ]);

my $kafka = new_kafka();
my $node = new_bench();

# Reads all of the topic with one feature view; CPU seconds, rows fired, bytes of shared memory.
sub drain
{
	my ($topic, $features, $windows, $history) = @_;

	create_clicks($topic);
	value(qq(
		SELECT feature_stream.create_feature_view('v', 'SELECT user_id, $features FROM clicks GROUP BY user_id',
			windows => '$windows', slide => '1 min', history => '$history')));
	await_read($events, 1);
	my $cpu = cpu_of(value('SELECT pid FROM feature_stream.stat_stream'));
	my ($rows, $memory) = split /\|/, value('SELECT v.row_count, s.memory_bytes FROM feature_stream.stat_feature_view v, feature_stream.stat_stream s');
	value("SELECT feature_stream.drop_feature_view('v', drop_history => true); DROP FOREIGN TABLE clicks");
	return ($cpu, $rows, $memory);
}

$node->safe_psql('postgres', sprintf("CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s')", $kafka->brokers));
for my $minutes (45, 2000)
{
	produce($kafka, "t$minutes", $events, $users, $minutes * 60, $partitions);
}
note(sprintf "%d events, %d users, %d partitions, medians of %d rounds, load %s\n", $events, $users, $partitions, $rounds,
  load());
for my $name (sort keys %queries)
{
	my (%cpu, %rows, %memory, %row_cpu);

	# All cases in turn, so that what else the machine does meets them alike.
	for my $round (1 .. $rounds)
	{
		for my $i (0 .. $#cases)
		{
			my (undef, $minutes, $windows) = @{ $cases[$i] };
			my ($cpu, $rows, $memory) = drain("t$minutes", $queries{$name}, $windows, 'none');
			my ($with) = drain("t$minutes", $queries{$name}, $windows, 'all');

			push @{ $cpu{$i} }, $cpu * 1e9 / $events;
			push @{ $row_cpu{$i} }, ($with - $cpu) * 1e6 / $rows;
			($rows{$i}, $memory{$i}) = ($rows, $memory);
		}
	}
	for my $i (0 .. $#cases)
	{
		note(sprintf('%-8s %-38s over %4d minutes: %4.0f ns an event, %.1f us a history row of %d, %.0f MB',
				$name, $cases[$i][0], $cases[$i][1], median(@{ $cpu{$i} }), median(@{ $row_cpu{$i} }), $rows{$i}, $memory{$i} / 1e6));
	}
}
ok(1, 'measured');
done_testing();
