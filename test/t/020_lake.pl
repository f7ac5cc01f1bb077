# A history that is exported to a lake: readers that share no code with us find
# every row of it there, once, whoever is killed at any moment.
#
# FS_KILLS says how many processes are killed at random, FS_SEED replays which.

use strict;
use warnings;

use File::Find ();
use FindBin;
use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $kills = $ENV{FS_KILLS} || 10;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);

note("seed $seed (FS_SEED=$seed replays the order)");
$ENV{PYTHONPATH} = $ENV{FS_PYTHON_LIBRARY} || '';

my $lake = PostgreSQL::Test::Utils::tempdir('lake');
chmod 0755, $lake;
my $node = new_node('lake', 'feature_stream.lake_directory' => $lake);
my $minute = 0;

$node->safe_psql('postgres', qq(
	CREATE TABLE outbox (
		n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), at timestamptz, v jsonb,
		PRIMARY KEY (x, n));
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE SERVER lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file://$lake/warehouse');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item text, price float8, n int, on_day date, tag jsonb, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'at', event_time 'clicked_at',
			slice '1 min', watermark_delay '30 s', idle_after '1 h', start 'earliest', log_retention '1 day');
	-- Clicks of some minutes from one on, counted from 2024-01-15 22:00.
	CREATE PROCEDURE send(first int, minutes int, events int) LANGUAGE sql AS \$\$
		INSERT INTO outbox (at, v)
		SELECT at + interval '1 s', jsonb_build_object('user_id', 'u' || (random() * 40)::int, 'item', CASE WHEN i % 7 > 0 THEN 'ïtem ' || (i % 9) END,
		       'price', (random() * 1000)::int / 8.0, 'n', i, 'on_day', at::date, 'tag', jsonb_build_object('k', i % 3), 'clicked_at', at)
		  FROM (SELECT i, '2024-01-15 22:00:00+00'::timestamptz + (first + minutes * (i / events::float8)) * interval '1 min' AS at
		          FROM generate_series(0, events - 1) i) s \$\$;
	));

sub create_view
{
	my ($name, $more) = @_;

	$node->safe_psql('postgres', qq(SELECT feature_stream.create_feature_view('$name', '
		SELECT user_id, count(*) AS n, array_agg(item) AS items, sum(price) AS spent, avg(n) AS mean, bool_or(n > 5) AS big,
		       max(on_day) AS day, array_agg(n) AS numbers, max(clicked_at) AS seen, min(item) AS least, (array_agg(tag))[1] AS tag
		  FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min' $more)));
	return;
}

# Sends events of the next minutes, and has them fired; the server may die of what follows.
sub go_on
{
	my ($minutes, $events) = @_;
	my $crashes = crash_count($node);

	$node->safe_psql('postgres', "CALL send($minute, $minutes, $events)");
	$minute += $minutes;
	# Or the partition is idle when the clock is moved, and its watermark behind none.
	wait_until('clicks that are read', sub {
		(answer_of($node, 'SELECT (SELECT sum(read_count) FROM feature_stream.stat_partition) = (SELECT count(*) FROM outbox)') // '') eq 't'
		  || crash_count($node) > $crashes });
	move_clock();
	return;
}

# 40 seconds behind the last event, also for workers that start after a crash.
sub move_clock
{
	my $seconds = 1705356040 + 60 * $minute;

	$node->append_conf('postgresql.conf', "feature_stream.first_clock = $seconds");
	$node->reload;
	# A server that has died by now has it when it is back.
	my ($rc, undef, $err) = try_psql($node, "SELECT feature_stream.set_test_clock(to_timestamp($seconds))");
	die $err if $rc != 0 && $err !~ /server closed the connection|terminating connection|could not receive data|connection to server .* failed/;
	return;
}

# Waits until all that was sent has fired, and was exported.
sub is_exported
{
	my ($view) = @_;

	wait_until("the events to be read", sub {
		(answer_of($node, "SELECT sum(read_count) = (SELECT count(*) FROM outbox) FROM feature_stream.partition_position") // '') eq 't' });
	wait_until("the windows to be fired", sub {
		(answer_of($node, "SELECT frontier >= timestamptz '2024-01-15 21:59+00' + $minute * interval '1 min' AND fire_window_end IS NULL
			FROM feature_stream.stream_state") // '') eq 't' });
	wait_until("the export of $view", sub {
		(answer_of($node, "SELECT pending_rows = 0 AND commit_count > 0 AND last_error IS NULL FROM feature_stream.stat_offline WHERE view = '$view'::regclass") // '') eq 't' });
	return;
}

# What the readers say of a view's table.
sub compare
{
	my ($table, $history) = @_;

	return lake_py('compare', $table, $history);
}

# Does something with a table by a client of its own.
sub lake_py
{
	my ($command, $table, @arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ '/usr/bin/python3', "$FindBin::Bin/../lib/lake.py", $command, $node->connstr('postgres'), 'lake', $table, @arguments ],
		'>', \$out, '2>', \$err) or die "lake.py: $err";
	return $out;
}

sub is_whole
{
	my ($table, $history, $name) = @_;
	my $said = compare($table, $history);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	note($said);
	return like($said, qr/^lake=(\d+) history=\1 missing=0 extra=0 duckdb=true/, $name);
}

# The same for what else is said there.
sub is_said
{
	my $said = compare(@_);

	note($said);
	return $said;
}

# Files below the lake.
sub files
{
	my @found;

	File::Find::find(sub { push @found, $File::Find::name if -f }, $lake);
	return @found;
}

create_view('sessions', ", offline => 'lake', offline_table => 'features.sessions', offline_interval => '1 s'");
# Upkeep has a test of its own: here each commit is an export.
$node->safe_psql('postgres', "UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity'");
move_clock();
go_on(30, 2000);
is_exported('sessions');
is_whole('features.sessions', 'sessions_history', 'the lake has the history');
go_on(150, 6000);
is_exported('sessions');
is_whole('features.sessions', 'sessions_history', 'and what came since, of two days');
my $chunks = $node->safe_psql('postgres', q(SELECT 'first=' || min_value || ' last=' || last_value
	FROM pg_sequences WHERE schemaname || '.' || sequencename = pg_get_serial_sequence('feature_stream.lake_chunk', 'id')));
like(lake_py('marks', 'features.sessions'), qr/^appends=\d+ ordered=true $chunks$/, 'snapshots say which chunks of the history they have: all, once, in order');

# --- Dead letters that come back correct rows of both days; corrections are exported, too, and once.
$node->safe_psql('postgres', q(INSERT INTO outbox (at, v)
	SELECT '2024-01-16 01:00:35+00', jsonb_build_object('item', 'bad', 'price', 1, 'n', i, 'clicked_at', '2024-01-15 23:40+00'::timestamptz + i * interval '1 min')
	  FROM generate_series(1, 40) i));
wait_until('dead letters', sub { (answer_of($node, 'SELECT count(*) FROM feature_stream.dead_letter') // 0) eq '40' });
$node->safe_psql('postgres', q(
	UPDATE feature_stream.dead_letter
	   SET payload = convert_to((convert_from(payload, 'UTF8')::jsonb || jsonb_build_object('user_id', 'u' || "offset" % 5))::text, 'UTF8');
	SELECT feature_stream.replay_dead_letters('clicks', corrections => true)));
wait_until('corrections', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.dead_letter_outcome WHERE outcome = 'replayed' AND corrected_at IS NOT NULL") // 0) eq '40' });
query_is($node, q(SELECT count(*) > 100, min(window_end) < '2024-01-16', max(window_end) > '2024-01-16' FROM sessions_history WHERE revision > 0), 't|t|t',
	'rows of both days are corrected');
is_exported('sessions');
is_whole('features.sessions', 'sessions_history', 'the lake has the corrections');


# --- A hint that cannot be written is no failure, and a failure is over once there is nothing left to do.
my $log_end = -s $node->logfile;
set_fault($node, 'lake_hint:error:1');
go_on(4, 400);
wait_until('a hint that fails', sub { slurp_file($node->logfile, $log_end) =~ /fault point "lake_hint"/ });
set_fault($node, '');
query_is($node, "SELECT failure_count, last_error IS NULL FROM feature_stream.stat_offline WHERE view = 'sessions'::regclass", '0|t', 'without its hint a commit has not failed');
is_exported('sessions');
$node->safe_psql('postgres', "UPDATE feature_stream.lake_export SET failure_count = 3, last_error = 'it was away', next_export_time = now()");
wait_until('the failure to be over', sub { (answer_of($node, "SELECT failure_count = 0 AND last_error IS NULL FROM feature_stream.stat_offline WHERE view = 'sessions'::regclass") // '') eq 't' });
pass('a failure is over when nothing is left to be exported');

# --- Names that lead out of the lake are not followed.
my $oid = $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'postgres'");
my ($hint) = grep { /version-hint\.text$/ } files();
my $victim = PostgreSQL::Test::Utils::tempdir('victim') . '/file';
my $hinted = slurp_file($hint);
append_to_file($victim, 'untouched');
symlink($victim, "$hint$_") or die "symlink: $!" foreach ('.tmp', ".$oid.tmp");
go_on(4, 400);
is_exported('sessions');
wait_until('a new hint', sub { slurp_file($hint) ne $hinted });
is(slurp_file($victim), 'untouched', 'no link is followed out of the lake');
unlink("$hint.tmp");

# --- A commit that dies at each of its points.
sub crash_in_export
{
	my ($point, $nth, $meanwhile) = @_;
	my $before = crash_count($node);

	set_fault($node, "$point:crash:$nth");
	$meanwhile->();
	wait_until("a crash at $point", sub { answer_of($node, 'SELECT 1'); crash_count($node) > $before });
	end_crashes($node);
	move_clock();
	return;
}

for my $point (qw(lake_spooled lake_named lake_data lake_manifest lake_list lake_metadata lake_swapped lake_committed))
{
	crash_in_export($point, 1, sub { go_on(4, 400) });
	is_exported('sessions');
	pass("an export that dies at $point is done again");
}
is_whole('features.sessions', 'sessions_history', 'once and all after a crash at each point');

# --- Processes die at any moment, the server with them.
for my $i (1 .. $kills)
{
	go_on(2, 200);
	Time::HiRes::usleep(1000 * int($random->() * 2500));	# any moment is a test
	my $pid = $random->() < 0.8 ? answer_of($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'feature_stream lake worker'") : undef;
	if (defined $pid)
	{
		kill_backend_process($node, $pid);
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	move_clock();
}
is_exported('sessions');
is_whole('features.sessions', 'sessions_history', "once and all after $kills kills (seed $seed)");

# --- What crashes left behind is deleted; no file is there that no table has.
wait_until('the sweep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.lake_file WHERE delete_after <= now()") // 1) eq '0' });
append_to_file("$lake/warehouse/orphan", 'nobody needs it');
mkdir "$lake/warehouse/directory" or die "mkdir: $!";
$node->safe_psql('postgres', qq(INSERT INTO feature_stream.lake_file (view, server, "user", delete_after, location, writer)
	SELECT 0, s.oid, c.relowner, f.at::timestamptz, 'file://$lake/warehouse/' || f.name,
	       (SELECT writer FROM feature_stream.lake_export WHERE view = c.oid) FROM pg_foreign_server s, pg_class c,
	       (VALUES ('-infinity', 'directory'), ('2024-01-01', 'orphan')) f (at, name) WHERE s.srvname = 'lake' AND c.oid = 'sessions'::regclass));
wait_until('a file behind one that cannot be deleted', sub { !-e "$lake/warehouse/orphan" });
query_is($node, "SELECT string_agg(location || ' ' || failure_count || ' ' || (delete_after > now()), ',') FROM feature_stream.lake_file WHERE failure_count > 0",
	"file://$lake/warehouse/directory 1 true", 'a file that cannot be deleted is put off, and holds up no other');
$node->safe_psql('postgres', "DELETE FROM feature_stream.lake_file WHERE failure_count > 0");
my ($known) = compare('features.sessions', 'sessions_history') =~ /files=(\d+)/;
is(scalar(grep { /\.parquet$/ } files()), $known, 'no data file is left that the table does not have');
is(scalar(grep { /\.tmp$/ } files()), 0, 'and no temporary one');
query_is($node, "SELECT feature_stream.iceberg_metadata_location('sessions') LIKE 'file://$lake/warehouse/features/sessions-________/metadata/%.metadata.json'", 't',
	'the metadata is where it is said to be');

# --- Old snapshots go, but not what has a name; their files stay for a day.
lake_py('change', 'features.sessions', 'keep_me', 'history.expire.max-snapshot-age-ms=1', 'history.expire.min-snapshots-to-keep=3', 'write.metadata.previous-versions-max=2');
for (1 .. 4)
{
	go_on(2, 200);
	is_exported('sessions');
}
like(is_said('features.sessions', 'sessions_history'), qr/missing=0 extra=0 duckdb=true files=\d+ snapshots=4 /m, 'three snapshots and one with a name are left');
query_is($node, "SELECT count(*) FILTER (WHERE location LIKE '%/snap-%.avro') > 5, count(*) FILTER (WHERE location LIKE '%.metadata.json') >= 4,
	bool_and(delete_after > now() + '23 hours') FROM feature_stream.lake_file", 't|t|t', 'what only they needed goes a day later');
my $dropped = $node->safe_psql('postgres', "SELECT count(*) FROM feature_stream.lake_file");
lake_py('change', 'features.sessions', 'me_too', 'gc.enabled=false', 'write.metadata.delete-after-commit.enabled=false');
go_on(2, 200);
is_exported('sessions');
like(is_said('features.sessions', 'sessions_history'), qr/ snapshots=5 /m, 'none goes where the table forbids it');
query_is($node, "SELECT count(*) FROM feature_stream.lake_file", $dropped, 'nor does metadata');

# --- Metadata that would soon be too long for being read is refused.
lake_py('change', 'features.sessions', 'long', 'comment=x*17000000');
go_on(2, 200);
wait_until('an error', sub { (answer_of($node, "SELECT last_error FROM feature_stream.stat_offline WHERE view = 'sessions'::regclass") // '') =~ /^metadata of table ".*" is too long$/ });
lake_py('change', 'features.sessions', 'short', 'comment=x');
is_exported('sessions');
is_whole('features.sessions', 'sessions_history', 'and goes on once it is shorter');

# --- A lake that comes later gets all the history there is, while more comes.
create_view('later', '');
go_on(10, 1000);
wait_until('a backfill', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.stat_progress_backfill WHERE state <> 'done'") // 1) eq '0' });
crash_in_export('lake_swapped', 2, sub { psql_before_crash($node, q(SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'; SELECT feature_stream.alter_feature_view('later', offline => 'lake', offline_table => 'features.later',
	offline_interval => '1 s', offline_partition_by => '{"bucket(4, user_id)", hour(window_end)}'))) });
go_on(10, 1000);
is_exported('later');
is_whole('features.later', 'later_history', 'a lake that came later has all the history');
query_is($node, "SELECT count(*) > 0 FROM later_history WHERE backfilled", 't', 'of which some was backfilled');

# --- Columns of added features are computed before their rows are exported, of a view whose owner is not a
# superuser: what the owner put into an index runs as the owner.
$node->safe_psql('postgres', q(
	CREATE ROLE plain;
	SELECT feature_stream.grant_access('plain');
	GRANT USAGE ON FOREIGN SERVER lake TO plain;
	GRANT SELECT ON clicks TO plain;
	GRANT CREATE, USAGE ON SCHEMA public TO plain;
	SET ROLE plain;
	SELECT feature_stream.create_feature_view('owned', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min');
	CREATE FUNCTION spy() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
		RAISE LOG 'spied: % in %', current_user, (SELECT backend_type FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid());
		RETURN true; END $$;
	CREATE INDEX ON owned_history (user_id) WHERE public.spy()));
go_on(10, 1000);
wait_until('rows of the owned view', sub { (answer_of($node, "SELECT count(*) > 0 AND NOT EXISTS (SELECT FROM feature_stream.stat_progress_backfill WHERE state <> 'done')
	FROM owned_history") // '') eq 't' });
$node->safe_psql('postgres', q(
	SET ROLE plain;
	BEGIN;
	SELECT feature_stream.alter_feature_view('owned', 'SELECT user_id, count(*) AS n, sum(price) AS spent FROM clicks GROUP BY user_id');
	SELECT feature_stream.alter_feature_view('owned', offline => 'lake', offline_table => 'features.owned', offline_interval => '1 s');
	COMMIT));
go_on(10, 1000);
is_exported('owned');
is_whole('features.owned', 'owned_history', 'the lake has the columns that were added just before');
query_is($node, "SELECT count(*) FROM owned_history WHERE spent_10m IS NULL AND n_10m > 0", '0', 'which all rows have');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
# A role that is no superuser does not see what kind of process it is in.
like($log, qr/spied: plain in <NULL>/, 'what the owner put into an index runs as the owner');
unlike($log, qr/spied: \S+ in feature_stream/, 'and in no worker as anybody else');
query_is($node, "SET ROLE plain; SELECT feature_stream.iceberg_metadata_location('owned') LIKE '%.metadata.json'", 't', 'who may read the view is told where the metadata is');

# --- Features come and go while their view is exported: files stay as they are, and their rows have no value in
# columns that came later; a column that has the name of one that went is another one.
sub evolve
{
	my ($features, $more) = @_;
	my $from = $node->safe_psql('postgres', 'SELECT max(window_end) FROM evolved_history');

	crash_in_export('lake_evolved', 1, sub {
		psql_before_crash($node, "SELECT feature_stream.alter_feature_view('evolved', 'SELECT user_id, $features FROM clicks GROUP BY user_id' $more)");
		go_on(10, 1000) });
	is_exported('evolved');
	return $from;
}

# The history as the lake should have it: these columns have a value from a window end on.
sub is_evolved
{
	my ($name, %from) = @_;

	$node->safe_psql('postgres', "CREATE VIEW evolved_lake AS SELECT "
		. $node->safe_psql('postgres', "SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute WHERE attrelid = 'evolved_history'::regclass
			AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('" . join("','", keys %from) . "')")
		. join('', map { ", CASE WHEN window_end > '$from{$_}' THEN $_ END AS $_" } keys %from) . ' FROM evolved_history');
	is_whole('features.evolved', 'evolved_lake', $name);
	$node->safe_psql('postgres', 'DROP VIEW evolved_lake');
	return;
}

$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('evolved', 'SELECT user_id, count(*) AS n, max(item) AS top, count(item) AS items
	FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min', offline => 'lake', offline_table => 'features.evolved', offline_interval => '1 s')));
go_on(10, 1000);
wait_until('a backfill', sub { (answer_of($node, "SELECT state FROM feature_stream.stat_progress_backfill WHERE view = 'evolved'::regclass") // '') eq 'done' });
is_exported('evolved');
my %evolved = (spent_10m => evolve('count(*) AS n, sum(price) AS spent, max(item) AS top, array_agg(on_day) AS days', ''));
$evolved{days_10m} = $evolved{spent_10m};
is_evolved('rows of before have no value in columns that came, all others have', %evolved);
query_is($node, "SELECT count(*) > 0, count(items_10m) > 0 FROM evolved_history WHERE spent_10m IS NOT NULL AND window_end <= '$evolved{spent_10m}'",
	't|t', 'the history has: they were filled, and the dropped feature is still there');
$node->safe_psql('postgres', q(SELECT feature_stream.alter_feature_view('evolved', 'SELECT user_id, count(*) AS n, sum(price) AS spent, array_agg(on_day) AS days
	FROM clicks GROUP BY user_id', drop_history => true)));
$evolved{top_10m} = evolve('count(*) AS n, sum(price) AS spent, min(item) AS top', ', drop_history => true');
delete $evolved{days_10m};
is_evolved('nor has it old values under the name of a column that went', %evolved);
is(lake_py('schema', 'features.evolved', '-'), <<'EOT', 'columns have ids of their own');
user_id=1! n_10m=2 top_10m=3 items_10m=4 window_end=5! computed_at=6! available_at=7! complete=8! backfilled=9! revision=10!
user_id=1! n_10m=2 window_end=5! computed_at=6! available_at=7! complete=8! backfilled=9! revision=10! spent_10m=11 top_10m=14
EOT

# --- Retention does not take what is not exported; the end of an export leaves the table.
$node->safe_psql('postgres', q(ALTER TABLE feature_stream_catalog.iceberg_tables RENAME TO away));
go_on(5, 300);
wait_until('an error', sub { (answer_of($node, "SELECT last_error FROM feature_stream.stat_offline WHERE view = 'later'::regclass") // '') =~ /iceberg_tables/ });
query_is($node, "SELECT pending_rows > 0, failure_count > 0 FROM feature_stream.stat_offline WHERE view = 'later'::regclass", 't|t', 'a failure is seen');
my $pending = $node->safe_psql('postgres', "SELECT pending_window_end FROM feature_stream.stat_offline WHERE view = 'later'::regclass");
my $rows = $node->safe_psql('postgres', "SELECT count(*) FROM later_history WHERE window_end >= '$pending'");
$node->safe_psql('postgres', "SELECT feature_stream.alter_feature_view('later', history_retention => '1 day')");
$minute += 3 * 1440;
go_on(2, 100);
wait_until('partitions to be dropped', sub { (answer_of($node, "SELECT min(window_end) >= '2024-01-16' FROM later_history") // '') eq 't' });
query_is($node, "SELECT count(*) >= $rows FROM later_history WHERE window_end >= '$pending'", 't', 'retention leaves what is not exported');
$node->safe_psql('postgres', q(ALTER TABLE feature_stream_catalog.away RENAME TO iceberg_tables));
is_exported('later');
my $said = compare('features.later', 'later_history');
note($said);
like($said, qr/ missing=0 extra=[1-9]\d* duckdb=true/, 'and then all goes on: the lake has what the history has, and what that had');
$node->safe_psql('postgres', q(SELECT feature_stream.alter_feature_view('later', reset => '{offline}'); SELECT feature_stream.drop_feature_view('sessions');
	SELECT feature_stream.drop_feature_view('owned'); SELECT feature_stream.drop_feature_view('evolved')));
query_is($node, "SELECT count(*) FROM feature_stream.lake_export", '0', 'exports end');
query_is($node, "SELECT string_agg(table_name, ' ' ORDER BY table_name) FROM feature_stream_catalog.iceberg_tables", 'evolved later owned sessions', 'their tables stay');

done_testing();
