# The measurements of test/bench/lake, which sets it all up by test/bench/ingest: a history written by SQL is exported
# from its beginning, and then small pieces of it, one by one.

use strict;
use warnings;

use Bench;
use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my ($rows, $entities) = (@ARGV, (1_000_000, 10_000)[ @ARGV .. 1 ]);
my $commits = 20;
my $lake = PostgreSQL::Test::Utils::tempdir('lake');
chmod 0755, $lake;
my $node = new_bench('feature_stream.lake_directory' => $lake);

# Rows of the example, as they are fired: all entities, window end by window end.
sub add_rows
{
	my ($first, $n) = @_;

	value(qq(
		INSERT INTO session_features_history (user_id, items_clicked_30m, item_count_30m, distinct_items_30m, distinct_categories_30m, top_category_30m,
			window_end, computed_at, available_at, complete)
		SELECT 'u' || i % $entities, (SELECT array_agg('i' || abs(hashint8(i * 31 + k)) % 500) FROM generate_series(1, 10) k), 10 + abs(hashint8(i)) % 5, 1 + abs(hashint8(i + 1)) % 10, 1 + abs(hashint8(i + 2)) % 5, 'c' || abs(hashint8(i + 3)) % 20,
		       e, e + interval '30 s', e + interval '31 s', true
		  FROM (SELECT i, '2024-01-15 00:00+00'::timestamptz + i / $entities * interval '1 min' AS e FROM generate_series($first, $first + $n - 1) i) s));
	return;
}

# The kind of memory of a process that is its own, in MB; the most that was seen.
my $most = 0;

sub look
{
	my ($pid) = @_;
	my ($anonymous) = eval { slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m };

	$most = $anonymous / 1024 if defined $anonymous && $anonymous / 1024 > $most;
	return;
}

sub await_export
{
	my ($pid) = @_;

	until (value("SELECT pending_rows = 0 AND commit_count > 0 FROM feature_stream.stat_offline") eq 't')
	{
		my $error = value("SELECT last_error FROM feature_stream.stat_offline");
		die $error if $error ne '';
		look($pid) if defined $pid;
		Time::HiRes::usleep(20000);
	}
	return;
}

value(qq(
	CREATE TABLE outbox (n bigint PRIMARY KEY, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE SERVER lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file://$lake/warehouse');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item_id text, category text, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'clicked_at', slice '1 min')));
create_session_features('backfill => false');
value(q(SELECT format('CREATE TABLE history_%s PARTITION OF session_features_history FOR VALUES FROM (%L) TO (%L)', to_char(d, 'YYYYMMDD'), d, d + interval '1 day')
	FROM generate_series('2024-01-15 00:00+00'::timestamptz, '2024-01-31 00:00+00', '1 day') d \gexec));
add_rows(0, $rows);
value('ANALYZE session_features_history');
note(sprintf "%d rows of %d entities, %s, load %s\n", $rows, $entities, value("SELECT pg_size_pretty(sum(pg_table_size(inhrelid))) FROM pg_inherits WHERE inhparent = 'session_features_history'::regclass"), load());

my $begin = Time::HiRes::time();
value("SELECT feature_stream.alter_feature_view('session_features', offline => 'lake', offline_table => 'features.sessions', offline_interval => '1 s')");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'feature_stream lake worker'") or die 'there is no worker';
my $pid = value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'feature_stream lake worker'");
await_export($pid);
my $cpu = cpu_of($pid);
my ($bytes, $files) = split /\|/, value('SELECT byte_count, file_count FROM feature_stream.stat_offline');
note(sprintf "all of it: %.1f s, %.2f s of the worker's CPU, %.0f rows a second of CPU, %.2f bytes a row, %d files, at most %.0f MB of its own memory\n",
	Time::HiRes::time() - $begin, $cpu, $rows / $cpu, $bytes / $rows, $files, $most);

# Small commits, one after the other: from committed rows of the history, which are due at once, to the pointer's move.
# The worker looks every 500 ms whether there is something to do.
my @took;

$cpu = cpu_of($pid);
for my $i (1 .. $commits)
{
	add_rows($rows + $i * $entities, 1000);
	value("INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
		SELECT 'session_features'::regclass, computed_at, min(window_end), max(window_end), count(*) FROM session_features_history
		 WHERE window_end = (SELECT max(window_end) FROM session_features_history) GROUP BY computed_at;
		UPDATE feature_stream.lake_export SET next_export_time = '-infinity'");
	$begin = Time::HiRes::time();
	await_export($pid);
	push @took, 1000 * (Time::HiRes::time() - $begin);
}
@took = sort { $a <=> $b } @took;
note(sprintf "%d commits of 1,000 rows: %.0f ms (median), %.0f ms (longest) from rows to the moved pointer, %.0f ms of CPU each\n", $commits, median(@took), $took[-1],
	1000 * (cpu_of($pid) - $cpu) / $commits);
is(value('SELECT row_count FROM feature_stream.stat_offline'), $rows + $commits * 1000, 'all rows are in the lake');
done_testing();
