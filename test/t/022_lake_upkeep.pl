# Upkeep of tables in a lake: many small commits become few files and manifests, of the same rows, while others read;
# and what only expired snapshots need is deleted.
#
# FS_COMMITS says how many commits.

use strict;
use warnings;

use File::Find ();
use FeatureStream;
use FeatureStream::Lake;
use FeatureStream::Outbox;
use PostgreSQL::Test::Utils;
use Test::More;

my $commits = $ENV{FS_COMMITS} || 60;

my ($node, $lake) = new_lake_node('upkeep');

create_lake($node, "file://$lake/warehouse");
create_outbox_stream($node, 'user_id text NOT NULL, item text, price float8, on_day date, big bool');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('sessions', '
		SELECT user_id, count(*) AS n, array_agg(item) AS items, sum(price) AS spent, bool_or(big) AS big, max(on_day) AS day
		  FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min', offline => 'lake',
		offline_table => 'features.sessions', offline_interval => '1 s');
	CREATE TABLE sessions_history_all PARTITION OF sessions_history FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
	-- What the history's writer does: rows and their chunk in one transaction.  Each says that it has so many rows that it
	-- becomes a commit of its own.
	CREATE PROCEDURE write(first int, last int, back interval) LANGUAGE plpgsql AS $$
	BEGIN
		FOR c IN first .. last LOOP
			INSERT INTO sessions_history (user_id, n_10m, items_10m, spent_10m, big_10m, day_10m, window_end, computed_at, available_at, complete, backfilled)
			SELECT 'ü' || (c * 7919) % 100003 || '-' || i, i, CASE WHEN i % 5 > 0 THEN array_fill('it' || NULLIF(i % 4, 2), ARRAY[i % 4]) END, NULLIF(random(), 0) * i,
			       NULLIF(i % 3, 0) = 1, NULLIF('2024-01-01'::date + i, '2024-01-03'), '2024-01-30 00:00+00'::timestamptz - back + c * interval '1 min' * (i % 2),
			       '2024-01-31 00:00+00'::timestamptz + c * interval '1 ms', '2024-01-31', true, false
			  FROM generate_series(1, 7) i;
			INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
			VALUES ('sessions'::regclass, '2024-01-31 00:00+00'::timestamptz + c * interval '1 ms', '2024-01-29', '2024-01-31', 600000);
			COMMIT;
		END LOOP;
	END $$;
	));

my $sent = 0;

# That many more commits, of rows of one day or of so long before.
sub commit_more
{
	my ($n, $back) = @_;

	$back //= '0';
	psql_before_crash($node, "CALL write($sent + 1, $sent + $n, '$back')");
	$sent += $n;
	return;
}

sub is_exported
{
	wait_until("$sent commits", sub {
		(answer_of($node, "SELECT pending_rows = 0 AND row_count = 7 * $sent AND last_error IS NULL FROM feature_stream.stat_offline") // '') eq 't' });
	return;
}

# What a client of its own says of the table.
sub ask_client
{
	my ($command, @arguments) = @_;
	my $out = lake_py($node, $command, 'features.sessions', @arguments);

	note($out);
	return $out;
}

sub is_whole
{
	my ($name, $more) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like(ask_client('compare', 'sessions_history'), qr/^lake=(\d+) history=\1 missing=0 extra=0 duckdb=true $more/, $name);
}

# Has upkeep done that a function asks for; what it was about.
sub ask
{
	my ($function) = @_;
	return await_request($function, $node->safe_psql('postgres', "SELECT feature_stream.$function"));
}

# Waits until that is done which was asked for; what it was about.
sub await_request
{
	my ($function, $request) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 2;
	wait_until($function, sub { (answer_of($node, "SELECT state FROM feature_stream.stat_lake_upkeep WHERE request = $request") // 'waiting') ne 'waiting' });
	query_is($node, "SELECT state, error FROM feature_stream.stat_lake_upkeep WHERE request = $request", 'done|', $function);
	return $node->safe_psql('postgres', "SELECT what || ' ' || count(*) FROM feature_stream.stat_lake_upkeep_file WHERE request = $request GROUP BY what ORDER BY what");
}

# Has upkeep done that is due, and none before the next time.
sub keep_up
{
	psql_before_crash($node, "UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity', upkeep_failure_count = 1");
	wait_until('upkeep', sub { (answer_of($node, "SELECT upkeep_failure_count = 0 AND next_upkeep_time > now() FROM feature_stream.lake_export") // '') eq 't' });
	psql_before_crash($node, "UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity'");
	return;
}

# Files below the lake whose names are like that.
sub files
{
	my ($like) = @_;
	my @found;

	File::Find::find(sub { push @found, $File::Find::name if -f && /$like/ }, $lake);
	return scalar(@found);
}

# All files that are to be deleted some day are, now.
sub sweep
{
	psql_before_crash($node, "UPDATE feature_stream.lake_file SET delete_after = '-infinity' WHERE NOT is_unread");
	wait_until('the sweep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.lake_file WHERE NOT is_unread") // 1) eq '0' });
	return;
}

my $few = 10;

psql_before_crash($node, "UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity'");
commit_more($few);
is_exported();
is_whole("$few commits", "files=$few snapshots=$few manifests=$few");

# --- Manifests are merged; a dry run only says so.
is(ask("merge_manifests('sessions', dry_run => true)"), "merged manifest $few", 'what would be merged');
is_whole('is not', "files=$few snapshots=$few manifests=$few");
is(ask("merge_manifests('sessions')"), "merged manifest $few", 'what is merged');
is_whole('is one manifest', "files=$few snapshots=" . ($few + 1) . ' manifests=1');
is(ask("merge_manifests('sessions')"), '', 'one manifest is merged with no other');
commit_more(1);
is_exported();
is_whole('appends go on', 'files=' . ($few + 1) . ' snapshots=' . ($few + 2) . ' manifests=2');
ask_client('change', 'tagged', 'commit.manifest.min-count-to-merge=5');
commit_more(3);
is_exported();
keep_up();
is_whole('upkeep merges when there are enough', 'files=' . ($few + 4) . ' snapshots=' . ($few + 6) . ' manifests=1');

# --- Snapshots expire, and what only they need goes.
my $snapshots = $few + 6;
is(ask("expire_snapshots('sessions', older_than => '0', keep => 2, dry_run => true)"),
	"file $few\nmanifest list " . ($snapshots - 3), 'what would go: all but two snapshots and one with a name');
like(ask_client('compare', 'sessions_history'), qr/ snapshots=$snapshots /, 'does not');
is(ask("expire_snapshots('sessions', older_than => '0', keep => 2)"),
	"file $few\nmanifest list " . ($snapshots - 3), 'what goes');
is_whole('the rows stay', 'files=' . ($few + 4) . ' snapshots=3 manifests=1');
my $gone = $node->safe_psql('postgres', "SELECT substr(location, 8) FROM feature_stream.stat_lake_upkeep_file WHERE what = 'file' ORDER BY request DESC LIMIT 1");
rename($gone, "$gone.away") or die "$gone: $!";
keep_up();
query_is($node, 'SELECT count(*) FROM feature_stream.lake_file WHERE is_unread', '1', 'a manifest that cannot be read holds up its list alone');
rename("$gone.away", $gone) or die "$gone: $!";
keep_up();
query_is($node, 'SELECT count(*) FROM feature_stream.lake_file WHERE is_unread', '0', 'lists are read before they go');
query_is($node, "SELECT bool_and(delete_after > now() + '23 hours') FROM feature_stream.lake_file WHERE delete_after > now()", 't', 'not for a day');
sweep();
is(files('snap-.*\.avro$'), 3, 'lists of expired snapshots are deleted');
like(ask_client('travel'), qr/^snapshots=3 unreadable=0$/m, 'each snapshot that is left can be read');

# --- Small files become larger ones, while others read; snapshots expire; and all of that may die anywhere.
sub crash_in_upkeep
{
	my ($point) = @_;
	my $before = crash_count($node);

	commit_more(2);
	is_exported();
	set_fault($node, "$point:crash:1");
	psql_before_crash($node, "SELECT feature_stream.merge_manifests('sessions'), feature_stream.compact_lake('sessions'),
		feature_stream.expire_snapshots('sessions', older_than => '0', keep => 3)");
	wait_until("a crash at $point", sub { answer_of($node, 'SELECT 1'); crash_count($node) > $before });
	end_crashes($node);
	is_exported();
	wait_until('the requests', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.stat_lake_upkeep WHERE state = 'waiting'") // 1) eq '0' });
	return is_whole("upkeep that dies at $point", '');
}

my $watched = "$lake/watched";
my ($said, $failed) = ('', '');

append_to_file($watched, '');
my $watcher = start_lake_py($node, \$said, \$failed, 'watch', 'features.sessions', $watched);
commit_more($commits);
is_exported();
like(ask("compact_lake('sessions', dry_run => true)"), qr/^small file \d+$/, 'what would become one file');
like(ask("compact_lake('sessions')"), qr/^small file \d+$/, 'what becomes one file');
is_whole('all rows are in one file a partition', 'files=1 ');
like(ask_client('sorted', 'user_id'), qr/^sorted=1 unsorted=0$/m, 'which is sorted');
commit_more(20);
is_exported();
keep_up();
is_whole('upkeep makes one file of many', 'files=1 ');
query_is($node, 'SELECT small_file_count, snapshot_count > 10, last_upkeep_error FROM feature_stream.stat_offline', '1|t|', 'what upkeep saw last');
unlink($watched);
$watcher->finish;
is($failed, '', 'a reader meanwhile never failed');
like($said, qr/^reads=[1-9]/, 'and there was one');
crash_in_upkeep($_) foreach qw(lake_compacted lake_named lake_data lake_manifest lake_rewrite lake_list lake_metadata lake_swapped lake_committed);

# --- Others commit all the time.
my ($said_of_commits, $why) = ('', '');
my $other = start_lake_py($node, \$said_of_commits, \$why, 'contend', 'features.sessions', 20);
for (1 .. 5)
{
	commit_more(2);
	is_exported();
	ask("compact_lake('sessions')");
	ask("merge_manifests('sessions')");
}
$other->finish;
is("$said_of_commits$why", "commits=20\n", 'others can commit meanwhile');
is_whole('and nothing is lost', 'files=1 ');

# --- Another client's files come between a compaction's beginning and its commit.
commit_more(2);
is_exported();
my $holder = new_session($node, 'postgres');
my ($appended, $complaint) = ('', '');
sub wait_for_waiting
{
	my ($n) = @_;

	wait_until("$n that wait to move the pointer", sub {
		(answer_of($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") // 0) eq $n });
	return;
}
$holder->run('BEGIN; SELECT FROM feature_stream_catalog.iceberg_tables FOR UPDATE');
my $client = start_lake_py($node, \$appended, \$complaint, 'append', 'features.sessions', 'other');
wait_for_waiting(1);
my $request = $node->safe_psql('postgres', "SELECT feature_stream.compact_lake('sessions')");
wait_for_waiting(2);
$holder->run('COMMIT');
$holder->close;
$client->finish;
is("$appended$complaint", "appended\n", 'a client whose commit comes first');
await_request('compaction behind it', $request);
like(ask_client('compare', 'sessions_history'), qr/ missing=0 extra=1 duckdb=true files=2 /, 'the files of both are there');
ask_client('remove', 'other');
is_whole('and the others can go', 'files=1 ');

# --- Each partition has a file of its own.
commit_more(2);
commit_more(3, '1 day');
is_exported();
ask("compact_lake('sessions')");
is_whole('rows of two days are in two files', 'files=2 ');
like(ask_client('sorted', 'user_id'), qr/^sorted=2 unsorted=0$/m, 'which are sorted');

# --- Nothing dangles, nothing is left behind.
ask("compact_lake('sessions')");
ask("expire_snapshots('sessions', older_than => '0', keep => 1)");
keep_up();
sweep();
like(ask_client('travel'), qr/ unreadable=0$/m, 'no snapshot needs what was deleted');
my ($reachable) = ask_client('reachable') =~ /^reachable=(\d+)$/m;
is(files('\.(parquet|avro)$'), $reachable, 'no file is left that no snapshot needs');

# --- A file whose pages somebody has spoilt stays as it is; the others become one.
sub data_files { my @found; File::Find::find(sub { push @found, $File::Find::name if -f && /\.parquet$/ }, $lake); return @found; }
my %before = map { $_ => 1 } data_files();
commit_more(1);
is_exported();
foreach my $new (grep { !$before{$_} } data_files())
{
	open(my $file, '+<:raw', $new) or die "$new: $!";
	seek($file, 50, 0);
	print $file "\xff" x 20;
	close($file);
}
commit_more(2);
is_exported();
is(ask("compact_lake('sessions')"), 'small file 3', 'a file that cannot be read holds up nothing');
is(ask("compact_lake('sessions')"), '', 'nor is it tried again and again');

done_testing();
