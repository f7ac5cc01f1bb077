# What exports make of rows that lie there in no order of the table's partitions, and of a table that others partition
# otherwise meanwhile.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Lake;
use FeatureStream::Outbox;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $lake) = new_lake_node('lake_partitions');

create_lake($node, "file://$lake/warehouse", compression_level => 19);
create_outbox_stream($node, 'user_id text NOT NULL, item text, amount numeric');

# A history that others have written: of 40 users a row an hour, user by user, some with a long text that is stored
# elsewhere; and of 3000 users one.  Its partition is not analyzed.
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('sessions', '
		SELECT user_id, count(*) AS n, array_agg(item) AS items, max(item) AS note, sum(amount)::numeric(12,2) AS paid
		  FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min');
	CREATE TABLE sessions_history_all PARTITION OF sessions_history FOR VALUES FROM ('2024-01-01') TO ('2024-02-01') PARTITION BY RANGE (window_end);
	CREATE TABLE sessions_history_first PARTITION OF sessions_history_all FOR VALUES FROM ('2024-01-01') TO ('2024-01-20') WITH (autovacuum_enabled = off);
	CREATE TABLE sessions_history_last PARTITION OF sessions_history_all FOR VALUES FROM ('2024-01-20') TO ('2024-02-01') WITH (autovacuum_enabled = off);
	CREATE FUNCTION sentence(seed int, n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
		SELECT string_agg('word' || abs(hashint4(seed * 1000 + k)) % 2000, ' ' ORDER BY k) FROM generate_series(1, n) k $$;
	INSERT INTO sessions_history (user_id, n_10m, items_10m, note_10m, paid_10m, window_end, computed_at, available_at, complete, backfilled)
	SELECT 'ü' || u, h, ARRAY['it' || h, NULL], CASE WHEN u < 5 THEN (SELECT string_agg(md5(u || ' ' || h || ' ' || k), '') FROM generate_series(1, 150) k) END,
	       CASE WHEN u % 3 = 0 THEN 'NaN' ELSE u * 1.25 END, '2024-01-15 00:01+00'::timestamptz + h * interval '1 hour', '2024-01-16', '2024-01-16', true, true
	  FROM generate_series(0, 39) u, generate_series(0, 23) h ORDER BY u, h;
	INSERT INTO sessions_history (user_id, n_10m, items_10m, note_10m, paid_10m, window_end, computed_at, available_at, complete, backfilled)
	SELECT 'v' || u, u, NULL, sentence(u, 3), u, '2024-01-25', '2024-01-26', '2024-01-26', true, true FROM generate_series(1, 3000) u ORDER BY u;
	));
query_is($node, q(SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE relname = 'sessions_history_first'), 't', 'some texts are stored elsewhere');

my $exports = 0;

# Has the history exported to a table of its own, from its beginning; with what else is to be done in the same transaction.
sub export_to
{
	my ($table, $options, $more) = @_;

	$node->safe_psql('postgres', q(SELECT feature_stream.alter_feature_view('sessions', reset => '{offline}'))) if $exports++;
	$node->safe_psql('postgres', qq(
		BEGIN;
		SELECT feature_stream.alter_feature_view('sessions', offline => 'lake', offline_table => 'features.$table', offline_interval => '1 s' $options);
		UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity';
		$more;
		COMMIT));
	return;
}

sub is_whole
{
	my ($table, $name) = @_;

	wait_for_export($node, 'sessions');
	my $said = lake_py($node, 'compare', "features.$table", 'sessions_history');
	note($said);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($said, qr/^lake=(\d+) history=\1 missing=0 extra=0 duckdb=true/, $name);
}

# --- A partition gets one file in a commit, however rows of others lie between its own.
my $nans = q((SELECT count(*) FROM sessions_history WHERE paid_10m = 'NaN'));
export_to('hourly', q(, offline_partition_by => '{hour(window_end)}'), "UPDATE feature_stream.lake_export SET next_export_time = 'infinity'");
query_is($node, q(SELECT rows_total > n / 2 AND rows_total < 2 * n FROM feature_stream.stat_progress_export, (SELECT count(*) AS n FROM sessions_history) h),
	't', 'how many rows there are is estimated where nobody has analyzed them');
$node->safe_psql('postgres', 'UPDATE feature_stream.lake_export SET next_export_time = now()');
is_whole('hourly', 'rows of hours, user by user');
query_is($node, "SELECT commit_count, file_count, nan_count = $nans FROM feature_stream.stat_offline", '1|25|t', 'are in a file for each hour, and each NaN is counted once');
export_to('buckets', q(, offline_partition_by => '{"bucket(64, user_id)"}'), '');
is_whole('buckets', 'rows of users in buckets');
query_is($node, "SELECT commit_count, file_count, nan_count = $nans FROM feature_stream.stat_offline", '1|64|t', 'are in a file for each bucket');

# --- A client partitions the table otherwise, while an export has files of what it was partitioned by.
my $written = 0;

# What the history's writer does: rows of two days and two users, and their chunk, in one transaction.
sub write_rows
{
	$written++;
	$node->safe_psql('postgres', qq(BEGIN;
		INSERT INTO sessions_history (user_id, n_10m, note_10m, window_end, computed_at, available_at, complete, backfilled)
		SELECT 'w' || i % 2, i, sentence(i, 3), '2024-01-29'::timestamptz + i / 2 * interval '1 day' + $written * interval '1 min', '2024-01-31'::timestamptz + $written * interval '1 ms',
		       '2024-01-31', true, false FROM generate_series(0, 3) i;
		INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
		VALUES ('sessions'::regclass, '2024-01-31'::timestamptz + $written * interval '1 ms', '2024-01-29', '2024-01-31', 4);
		COMMIT));
	return;
}

sub wait_for_waiting
{
	my ($n) = @_;

	wait_until("$n that wait to move the pointer", sub {
		(answer_of($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") // 0) eq $n });
	return;
}

# The client's commit comes between the making of the export's files and its commit.
sub repartition_meanwhile
{
	my ($partitions, $name, @fields) = @_;
	my $holder = new_session($node, 'postgres');
	my ($said, $failed) = ('', '');

	$holder->run('BEGIN; SELECT FROM feature_stream_catalog.iceberg_tables FOR UPDATE');
	my $client = start_lake_py($node, \$said, \$failed, 'repartition', 'features.daily', '-', @fields);
	wait_for_waiting(1);
	write_rows();
	wait_for_waiting(2);
	$holder->run('COMMIT');
	$holder->close;
	$client->finish;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$said$failed", "repartitioned\n", $name);
	is_whole('daily', 'the export behind that is whole');
	return is(lake_py($node, 'summary', 'features.daily', 'changed-partition-count'), "$partitions\n", 'and counts the partitions that its files have');
}

export_to('daily', '', '');
is_whole('daily', 'rows of days');
repartition_meanwhile(2, 'a client has it partitioned by more', qw(user_id=add note_10m=add));
write_rows();
is_whole('daily', 'exports go on by that');
repartition_meanwhile(4, 'a client has it partitioned no more', qw(user_id=remove note_10m=remove window_end_day=remove));
write_rows();
is_whole('daily', 'exports go on without');
is(lake_py($node, 'summary', 'features.daily', 'changed-partition-count'), "1\n", 'as one partition');
query_is($node, 'SELECT failure_count FROM feature_stream.stat_offline', '0', 'none of them has failed');

# --- A history that is large is exported part by part.
export_to('parts', '', "UPDATE feature_stream.lake_export SET next_export_time = 'infinity'");
query_is($node, 'SELECT state, rows_done, rows_total > 0, chunks_done, chunks_total > 0 FROM feature_stream.stat_progress_export', 'waiting|0|t|0|t', 'before it begins');
query_is($node, q(SELECT lag_seconds > 0 AND lag_seconds <= extract(epoch FROM clock_timestamp() - started_at) + 60
	FROM feature_stream.stat_offline, feature_stream.lake_export), 't', 'the lake lags behind since the export began');
$node->safe_psql('postgres', "UPDATE feature_stream.lake_chunk SET entered_at = entered_at - interval '1 hour' WHERE first_window_end = '2024-01-01'");
write_rows();
query_is($node, 'SELECT lag_seconds BETWEEN 3600 AND 7200 FROM feature_stream.stat_offline', 't', 'for as long as it lacks the oldest row');
$node->safe_psql('postgres', 'ANALYZE sessions_history');
export_to('analyzed', '', "UPDATE feature_stream.lake_export SET next_export_time = 'infinity'");
query_is($node, q(SELECT rows_total = (SELECT count(*) FROM sessions_history) FROM feature_stream.stat_progress_export), 't', 'rows are as many as were analyzed');

# As if there were two million rows: the first commit has half of the time that the partition spans, up to 2024-01-16 12:00.
# The second one waits for a lock.
$node->safe_psql('postgres', "UPDATE feature_stream.lake_chunk SET row_count = 2000000 WHERE first_window_end = '2024-01-01'");
my $holder = new_session($node, 'postgres');
$holder->run('BEGIN; LOCK TABLE sessions_history_last IN ACCESS EXCLUSIVE MODE');
$node->safe_psql('postgres', 'UPDATE feature_stream.lake_export SET next_export_time = now()');
query_becomes($node, q(SELECT state, rows_done, rows_total BETWEEN 1000960 AND 1001000, chunks_done, next_window_end BETWEEN '2024-01-16 11:00' AND '2024-01-16 13:00'
	FROM feature_stream.stat_progress_export), 'running|960|t|0|t', 'half of the first partition is exported');
$holder->run('COMMIT');
$holder->close;
is_whole('analyzed', 'then the rest is, too');
query_is($node, 'SELECT count(*) FROM feature_stream.stat_progress_export', '0', 'and there is nothing left to be told of');
query_is($node, 'SELECT commit_count, lag_seconds FROM feature_stream.stat_offline', '2|0', 'in two commits, and the lake lags behind no more');

# --- Files are compressed as the table says, which says at first what the server does.
sub bytes_of_sentences
{
	$written++;
	my $before = $node->safe_psql('postgres', 'SELECT byte_count FROM feature_stream.stat_offline');
	$node->safe_psql('postgres', qq(BEGIN;
		INSERT INTO sessions_history (user_id, n_10m, note_10m, window_end, computed_at, available_at, complete, backfilled)
		SELECT 's' || i, i, sentence(i, 40), '2024-01-30'::timestamptz + $written * interval '1 min', '2024-01-31'::timestamptz + $written * interval '1 ms', '2024-01-31', true, false
		  FROM generate_series(1, 2000) i;
		INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
		VALUES ('sessions'::regclass, '2024-01-31'::timestamptz + $written * interval '1 ms', '2024-01-30', '2024-01-31', 2000);
		COMMIT));
	wait_for_export($node, 'sessions');
	return $node->safe_psql('postgres', "SELECT byte_count - $before FROM feature_stream.stat_offline");
}

my ($metadata) = $node->safe_psql('postgres', "SELECT feature_stream.iceberg_metadata_location('sessions')") =~ m,^file://(.*),;
like(slurp_file($metadata), qr/"write\.parquet\.compression-level"\s*:\s*"19"/, 'the table has the level that the server gives');
my $small = bytes_of_sentences();
lake_py($node, 'change', 'features.analyzed', 'fast', 'write.parquet.compression-level=1');
my $large = bytes_of_sentences();
lake_py($node, 'change', 'features.analyzed', 'slow', 'write.parquet.compression-level=19');
cmp_ok($large, '>', 1.03 * $small, "files are larger ($large bytes, not $small) while a client has it otherwise");
cmp_ok(bytes_of_sentences(), '<', 1.01 * $small, 'and as small as before after that');
is_whole('analyzed', 'readers need not know');

unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
