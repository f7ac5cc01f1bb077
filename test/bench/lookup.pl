
# The measurements of test/bench/lookup, which sets it all up by test/bench/ingest.

use strict;
use warnings;

use FeatureStream;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my ($rate, $seconds, $users) = (@ARGV, (50_000, 70, 100_000)[ @ARGV .. 2 ]);
my $partitions = 4;
my $filled = 3_000_000;		# events of the 30 minutes before

my $kafka = new_kafka();
my $node = new_node('bench',
	'fsync' => 'on', 'huge_pages' => 'try', 'max_wal_size' => '8GB',
	'feature_stream.memory' => '2GB', 'feature_stream.checkpoint_interval' => '30s');

sub value { return $node->safe_psql('postgres', $_[0]); }
sub load { return (split ' ', slurp_file('/proc/loadavg'))[0]; }

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

$kafka->create_topic('clicks', $partitions);
system($ENV{FS_LOAD}, 'produce', $kafka->brokers, 'clicks', $filled, $users, 1800, $partitions) == 0 or die 'producing failed';
$node->safe_psql('postgres', sprintf("CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s')", $kafka->brokers));
value(q(
	CREATE FOREIGN TABLE clicks (
		user_id    text        NOT NULL CHECK (user_id <> ''),
		item_id    text        NOT NULL,
		category   text        DEFAULT 'unknown',
		clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
	) SERVER kafka OPTIONS (topic 'clicks', format 'json', event_time 'clicked_at', start 'earliest');
	SELECT feature_stream.create_feature_view('session_features', $$
		SELECT user_id, array_agg(item_id) AS items_clicked, count(*) AS item_count,
		       count(DISTINCT item_id) AS distinct_items, count(DISTINCT category) AS distinct_categories,
		       mode() WITHIN GROUP (ORDER BY category) AS top_category
		  FROM clicks GROUP BY user_id $$, windows => '{30 min}', slide => '1 min', history => 'none')));
$node->poll_query_until('postgres', "SELECT sum(read_count) = $filled FROM feature_stream.stat_partition") or die 'the stream was not read';
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
