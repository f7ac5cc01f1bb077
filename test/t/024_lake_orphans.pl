# Files in a lake that nobody's metadata leads to: those of processes that died, whose names were forgotten, are found
# and deleted; what a table needs, what is young and what others have named never is.

use strict;
use warnings;

use File::Basename ();
use File::Copy ();
use File::Find ();
use FeatureStream;
use FeatureStream::Lake;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $lake) = new_lake_node('orphans', 'restart_after_crash' => 'off');

create_lake($node, "file://$lake/warehouse");
$node->safe_psql('postgres', qq(
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'at', event_time 'clicked_at',
			slice '1 min', watermark_delay '30 s', idle_after '1 h', start 'earliest');
	SELECT feature_stream.create_feature_view('sessions', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min', offline => 'lake', offline_table => 'features.sessions', offline_interval => '1 s',
		offline_partition_by => '{day(window_end), "bucket(2, user_id)"}');
	CREATE TABLE sessions_history_all PARTITION OF sessions_history FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
	UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity';
	));

my $commits = 0;

sub write_rows
{
	$commits++;
	psql_before_crash($node, history_chunk($commits));
	return;
}

sub is_exported
{
	wait_until("$commits commits", sub {
		(answer_of($node, "SELECT pending_rows = 0 AND row_count = 5 * $commits AND last_error IS NULL FROM feature_stream.stat_offline") // '') eq 't' });
	return;
}

# Does something with the table by a client of its own.
sub ask_client
{
	my ($command, @arguments) = @_;
	my $out = lake_py($node, $command, 'features.sessions', @arguments);

	note($out);
	return $out;
}

# Files below a directory, by their paths there.
sub files
{
	my ($directory) = @_;
	my @found;

	File::Find::find(sub { push @found, substr($File::Find::name, length("$directory/")) if -f }, $directory);
	@found = sort @found;
	return @found;
}

# Makes files of the lake some days old.
sub age
{
	my ($days, @paths) = @_;

	utime(time() - 86400 * $days, time() - 86400 * $days, map { "$lake/warehouse/$_" } @paths) == @paths or die "utime: $!";
	return;
}

# Has the table's upkeep asked for; the files it was about.
sub ask
{
	my ($arguments) = @_;
	my $request = $node->safe_psql('postgres', "SELECT feature_stream.remove_orphan_files('sessions' $arguments)");

	wait_until('the request', sub { (answer_of($node, "SELECT state FROM feature_stream.stat_lake_upkeep WHERE request = $request") // 'waiting') ne 'waiting' });
	query_is($node, "SELECT state, error FROM feature_stream.stat_lake_upkeep WHERE request = $request", 'done|', "the request $arguments");
	my $said = $node->safe_psql('postgres', "SELECT what || ' ' || location FROM feature_stream.stat_lake_upkeep_file WHERE request = $request");
	return join("\n", sort map { s,^(orphan) file://$lake/warehouse/,$1 ,r } split /\n/, $said);
}

# All files that are to be deleted some day are, now.
sub sweep
{
	$node->safe_psql('postgres', "UPDATE feature_stream.lake_file SET delete_after = '-infinity' WHERE NOT is_unread");
	wait_until('the sweep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.lake_file WHERE NOT is_unread") // 1) eq '0' });
	return;
}

# An export dies at a point; the files that it leaves behind, as they were then, are forgotten and some days old.
my %orphans;

sub die_at
{
	my ($point) = @_;
	my $before = crash_count($node);
	my $copy = PostgreSQL::Test::Utils::tempdir('copy');
	my %now;

	set_fault($node, "$point:crash:1");
	write_rows();
	wait_until("a crash at $point", sub { crash_count($node) > $before });
	$node->stop('immediate', fail_ok => 1);
	system('cp', '-rp', "$lake/warehouse", $copy) == 0 or die;
	$node->append_conf('postgresql.conf', "feature_stream.fault = ''");
	$node->start;
	is_exported();
	wait_until('the sweep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.lake_file WHERE delete_after <= now()") // 1) eq '0' });
	@now{files("$lake/warehouse")} = ();
	my @left = grep { !exists $now{$_} && !/\.tmp$/ } files("$copy/warehouse");
	for my $path (@left)
	{
		system('mkdir', '-p', File::Basename::dirname("$lake/warehouse/$path")) == 0 or die;
		File::Copy::copy("$copy/warehouse/$path", "$lake/warehouse/$path") or die;
		$orphans{$path} = 1;
	}
	return scalar @left;
}

write_rows();
is_exported();
cmp_ok(die_at('lake_data'), '>=', 1, 'a data file is left behind');
cmp_ok(die_at('lake_metadata'), '>=', 4, 'and data, manifest, list and metadata');
$node->append_conf('postgresql.conf', "restart_after_crash = 'on'");
$node->reload;

# --- What the table needs stays, as old as it may be; so does what is young, or named by others, or elsewhere.
my ($table) = glob("$lake/warehouse/features/sessions-????????");
my $base = substr($table, length("$lake/warehouse/"));
my $uuid = '0a1b2c3d-0000-4000-8000-00000000000';
my @young = ("$base/data/${uuid}1.parquet", "$base/metadata/${uuid}1-m0.avro");
my @foreign = ("$base/data/00000-0-${uuid}2.parquet", "$base/metadata/${uuid}2.parquet", "$base/data/${uuid}2-m0.avro",
	"$base/${uuid}2.parquet", "$base/more/data/${uuid}2.parquet", "$base/metadata/deep/${uuid}2-m0.avro", "features/data/${uuid}2.parquet");
my @temporary = ("$base/data/${uuid}3.parquet.tmp", "$base/metadata/00099-${uuid}3.metadata.json.tmp");

system('mkdir', '-p', map { "$lake/warehouse/$_" } "$base/more/data", "$base/metadata/deep", 'features/data') == 0 or die;
append_to_file("$lake/warehouse/$_", 'x') foreach (@young, @foreign, @temporary);
symlink("$lake/warehouse/$base/more", "$lake/warehouse/$base/data/link") or die;
age(4, files("$lake/warehouse"));
age(2, @young);
my @all = files("$lake/warehouse");
my $expected = join("\n", sort map { "orphan $_" } keys %orphans, @temporary);

is(ask(', dry_run => true'), $expected, 'what would go is what was left behind');
is_deeply([ files("$lake/warehouse") ], \@all, 'and does not');
query_is($node, 'SELECT count(*) FROM feature_stream.lake_file', '0', 'nor will it');
like(ask(", '1 day', dry_run => true"), qr/\Q$young[0]/, 'what is younger would, if one asks for that');
is(ask(", '5 days'"), '', 'what is older is not there');
is(ask(''), $expected, 'what goes');
is_deeply([ files("$lake/warehouse") ], \@all, 'not before a day is over');
query_is($node, "SELECT bool_and(delete_after > now() + '23 hours') FROM feature_stream.lake_file", 't', 'later it will');
is(ask(''), '', 'it is found once');
sweep();
my %gone = map { $_ => 1 } keys %orphans, @temporary;
is_deeply([ files("$lake/warehouse") ], [ grep { !$gone{$_} } @all ], 'and is deleted, and nothing else');
like(ask_client('compare', 'sessions_history'), qr/^lake=(\d+) history=\1 missing=0 extra=0 /, 'the table is whole');
like(ask_client('travel'), qr/^snapshots=3 unreadable=0$/m, 'as is each of its snapshots');

# --- Upkeep looks for such files by itself.
append_to_file("$lake/warehouse/$_", 'x') foreach (@temporary);
age(4, @temporary);
$node->safe_psql('postgres', "UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity', next_orphan_time = '-infinity'");
wait_until('upkeep', sub { (answer_of($node, "SELECT next_orphan_time > now() + '23 hours' AND orphan_position IS NULL FROM feature_stream.lake_export") // '') eq 't' });
query_is($node, "SELECT string_agg(location, ' ' ORDER BY location) FROM feature_stream.lake_file",
	join(' ', sort map { "file://$lake/warehouse/$_" } @temporary), 'upkeep finds what is some days old');

# --- Where nothing may be deleted, nothing is; where older metadata is kept, it stays.
sweep();
append_to_file("$lake/warehouse/$_", 'x') foreach (@temporary);
age(4, @temporary);
ask_client('change', 'kept', 'write.metadata.delete-after-commit.enabled=false');
is(ask(', dry_run => true'), "orphan $temporary[0]", 'metadata stays where the table keeps it');
ask_client('change', 'forbidden', 'gc.enabled=false');
my $request = $node->safe_psql('postgres', "SELECT feature_stream.remove_orphan_files('sessions')");
wait_until('the request', sub { (answer_of($node, "SELECT state FROM feature_stream.stat_lake_upkeep WHERE request = $request") // 'waiting') ne 'waiting' });
query_is($node, "SELECT state, error FROM feature_stream.stat_lake_upkeep WHERE request = $request", 'failed|files of table "features.sessions" must not be deleted',
	'a table that forbids it is left alone');

done_testing();
