
# The measurements of test/bench/ingest, which sets it all up.

use strict;
use warnings;

use Bench;
use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = shift @ARGV || 4_000_000;
my @users = @ARGV ? @ARGV : (10_000, 100_000, 1_000_000);
my $partitions = 4;
my $span = 40 * 60;		# seconds of event time: windows of 30 minutes are full for the last 10
my $floor_runs = 3;

my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_bench();

sub say_row { note(sprintf("%-58s %s", @_)); return; }

# CPU nanoseconds an event of the bare consumer, a few runs.
sub floor_of
{
	my ($topic) = @_;
	my @ns;

	for (1 .. $floor_runs)
	{
		my (undef, undef, $cpu) = split ' ', `$ENV{FS_LOAD} consume @{[$kafka->brokers]} $topic $events $partitions`;
		push @ns, $cpu * 1e9 / $events;
	}
	return @ns;
}

# Creates the example over a topic; returns the worker's pid once it has read all of it.
sub drain
{
	my ($topic, $options) = @_;

	create_clicks($topic);
	create_session_features($options);
	await_read($events, 1);
	return value('SELECT pid FROM feature_stream.stat_stream');
}

sub drop_all
{
	value("SELECT feature_stream.drop_feature_view('session_features', drop_history => true); DROP FOREIGN TABLE clicks");
	return;
}

sub measure_speed
{
	my ($topic, $users) = @_;
	my @before = floor_of($topic);
	my $lsn = value('SELECT pg_current_wal_insert_lsn()');
	my $pid = drain($topic, "history => 'none'");
	my $ns = cpu_of($pid) * 1e9 / $events;
	my $wal = value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn') / $events");
	my $floor = median(@before, floor_of($topic));
	my $live = value('SELECT sum(item_count_30m) FROM session_features');
	my ($memory, $longest) = split /\|/, value('SELECT memory_bytes, longest_pause FROM feature_stream.stat_stream');

	say_row("$users users: CPU per event, worker / bare librdkafka", sprintf('%.0f / %.0f ns, ratio of speed %.2f', $ns, $floor, $floor / $ns));
	say_row("$users users: events a second of CPU", sprintf('%.2f million', 1000 / $ns));
	say_row("$users users: arena, live events, bytes per event", sprintf('%.1f MB, %d, %.1f', $memory / 1e6, $live, $memory / $live));
	say_row("$users users: WAL per event of the log", sprintf('%.1f bytes', $wal));
	say_row("$users users: longest pause of ingestion", sprintf('%.1f ms', $longest));
	drop_all();
	return;
}

# History of every window end, and then Redis: all rows in force are put when it is connected first.
sub measure_rows
{
	my ($topic, $users) = @_;
	my $lsn = value('SELECT pg_current_wal_insert_lsn()');
	my $pid = drain($topic, "history => 'all', online => 'redis'");
	my $cpu = cpu_of($pid);
	my ($rows, $bytes) = split /\|/, value(q(SELECT count(*), sum(pg_column_size(h)) FROM session_features_history h));
	my $wal = value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn')");
	my $largest = value('SELECT max(n) FROM (SELECT sum(row_count) n FROM feature_stream.firing GROUP BY window_end) f');
	my $longest = value('SELECT longest_pause FROM feature_stream.stat_stream');

	say_row("$users users: history rows, bytes a row", sprintf('%d, %.0f', $rows, $bytes / $rows));
	say_row("$users users: CPU per history row (all work of the run)", sprintf('%.1f us, WAL %.0f bytes', $cpu * 1e6 / $rows, $wal / $rows));
	say_row("$users users: largest firing, longest pause of ingestion", sprintf('%d rows, %.1f ms', $largest, $longest));

	# A Redis that lost its data gets every row in force again.
	$node->poll_query_until('postgres', 'SELECT queued = 0 AND connected FROM feature_stream.stat_online');
	$redis->kill9;
	$redis->start;
	my $keys = value('SELECT count(*) FROM session_features');
	my $seconds = seconds_of(sub { wait_until('all rows in Redis', sub { $redis->call('DBSIZE') > $keys }, 120) });
	say_row("$users users: rows a second into an empty Redis", sprintf('%.0f (%d rows, reconnection included)', $keys / $seconds, $keys));
	drop_all();
	return;
}

create_example_servers($node, $kafka, $redis);
note(sprintf "%d events, %d partitions, %d minutes of event time, %s huge pages, load %s\n", $events, $partitions, $span / 60,
  (value('SHOW huge_pages') eq 'try' && slurp_file('/proc/meminfo') =~ /HugePages_Rsvd:\s+[1-9]|HugePages_Free:\s+(\d+)/ ? 'with' : 'without'),
  load());
for my $users (@users)
{
	my $topic = "bench-$users";

	produce($kafka, $topic, $events, $users, $span, $partitions);
	measure_speed($topic, $users);
	measure_rows($topic, $users) if $users >= 100_000 && $users < 1_000_000;
}
ok(1, 'measured');
done_testing();
