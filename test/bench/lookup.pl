
# The measurements of test/bench/lookup, which sets it all up by test/bench/ingest.

use strict;
use warnings;

use Bench;
use FeatureStream;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my ($rate, $seconds, $users) = (@ARGV, (50_000, 70, 100_000)[ @ARGV .. 2 ]);
my $partitions = 4;
my $filled = 3_000_000;		# events of the 30 minutes before

my $kafka = new_kafka();
my $node = new_bench();

# Percentiles of the latencies, in microseconds, that pgbench logged.
sub percentiles
{
	my @all = sort { $a <=> $b } map { (split)[2] } map { split /\n/, slurp_file($_) } glob("$_[0].*");

	return (scalar(@all), map { $all[ $_ * $#all ] } 0.5, 0.9, 0.99, 0.999, 1);
}

# Looks up random users for some seconds through a prepared statement: one after the other, or so many a second.
sub measure
{
	my ($what, $table, $time, @at) = @_;
	my $script = PostgreSQL::Test::Utils::tempdir() . '/lookup.sql';
	my $log = PostgreSQL::Test::Utils::tempdir() . '/log';
	my $before = value('SELECT read_count FROM feature_stream.stat_stream');
	my ($out, $err);

	append_to_file($script, "\\set u random(0, $users - 1)\nSELECT * FROM $table WHERE user_id = 'u' || :u;\n");
	IPC::Run::run([ 'pgbench', '-n', '-M', 'prepared', '-c', 1, '-T', $time, @at, '-l', "--log-prefix=$log", '-f', $script,
			'-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>', \$err) or die $err;
	my $read = value('SELECT read_count FROM feature_stream.stat_stream') - $before;
	my ($n, @p) = percentiles($log);

	note(sprintf('%-65s p50 %.3f, p90 %.3f, p99 %.3f, p99.9 %.3f, max %.1f ms; %d look-ups a second, %d events a second read, load %s',
			$what, (map { $_ / 1000 } @p), $n / $time, $read / $time, load()));
	return;
}

produce($kafka, 'clicks', $filled, $users, 1800, $partitions);
$node->safe_psql('postgres', sprintf("CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s')", $kafka->brokers));
create_clicks('clicks');
create_session_features("history => 'none'");
await_read($filled);
note(sprintf('%d users, %.0f events in a window', $users, value('SELECT avg(item_count_30m) FROM session_features_live')));
# The floor: a table of the same rows.
value('CREATE TABLE plain_features AS SELECT * FROM session_features; ALTER TABLE plain_features ADD PRIMARY KEY (user_id)');
value('VACUUM (FREEZE, ANALYZE) plain_features');
measure('nothing flows, a plain table', 'plain_features', 5);
measure('nothing flows, the view', 'session_features', 5);
my $flow = IPC::Run::start([ $ENV{FS_LOAD}, 'flow', $kafka->brokers, 'clicks', $rate, $seconds, $users, $partitions ],
	'>', '/dev/null', '2>', '/dev/null');
$node->poll_query_until('postgres', "SELECT sum(read_count) > $filled + 5 * $rate FROM feature_stream.stat_partition") or die 'nothing flows';
my $time = int(($seconds - 10) / 6);
for my $rated ([], [ '-R', 1000 ])
{
	my $way = "$rate events a second" . (@$rated ? ", 1000 look-ups a second" : '');

	measure("$way, a plain table", 'plain_features', $time, @$rated);
	measure("$way, the view", 'session_features', $time, @$rated);
	measure("$way, <view>_live", 'session_features_live', $time, @$rated);
}
$flow->finish or die 'producing failed';
note(sprintf('longest pause of ingestion %.1f ms', value('SELECT longest_pause FROM feature_stream.stat_stream')));
ok(1, 'measured');
done_testing();
