# A copy of a database whose feature view is exported to a lake leaves the lake alone until it is told that the original
# does: neither of the two would know which files the other one needs.

use strict;
use warnings;

use File::Find ();
use FeatureStream;
use FeatureStream::Lake;
use FeatureStream::Outbox;
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

my $refusal = qr/^this database is a copy of the one that writes table "features\.sessions": see take_over_lake\(\)$/;
my ($node, $lake) = new_lake_node('copy');

create_lake($node, "file://$lake/warehouse");
create_outbox_stream($node, 'user_id text NOT NULL');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('sessions', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min', offline => 'lake', offline_table => 'features.sessions', offline_interval => '1 s');
	CREATE TABLE sessions_history_all PARTITION OF sessions_history FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')));

my $commits = 0;

sub write_rows
{
	my ($database) = @_;

	$commits++;
	$node->safe_psql($database, history_chunk($commits));
	return;
}

# What a database says, of its export or otherwise; empty when it cannot just now.
sub said
{
	my ($database, $query) = @_;
	my ($rc, $out) = try_psql($node, $query =~ /^SELECT/ ? $query : "SELECT $query FROM feature_stream.stat_offline", $database);

	return $rc == 0 ? $out : '';
}

sub is_exported
{
	my ($database, $rows) = @_;

	wait_until("$rows rows of $database", sub { said($database, "pending_rows = 0 AND row_count = $rows AND last_error IS NULL") eq 't' });
	return;
}

# All files of the lake, by their paths there.
sub files
{
	my @found;

	File::Find::find(sub { push @found, substr($File::Find::name, length("$lake/")) if -f }, $lake);
	@found = sort @found;
	return @found;
}

# The copy's export is tried again, and whatever the worker does before.
sub try_again
{
	my $before = said('copy', 'failure_count');

	$node->safe_psql('copy', "UPDATE feature_stream.lake_export SET next_export_time = '-infinity'");
	wait_until('another attempt', sub { (said('copy', 'failure_count') || 0) > $before });
	return;
}

# Has upkeep asked for in the copy; what became of it.
sub ask
{
	my ($function) = @_;
	my $request = $node->safe_psql('copy', "SELECT feature_stream.$function");

	wait_until($function, sub { said('copy', "SELECT state FROM feature_stream.stat_lake_upkeep WHERE request = $request") =~ /^(done|failed)$/ });
	return said('copy', "SELECT error FROM feature_stream.stat_lake_upkeep WHERE request = $request AND state = 'failed'");
}

write_rows('postgres');
is_exported('postgres', 5);
write_rows('postgres');
is_exported('postgres', 10);

# A file whose name is written down, as one that is about to become part of the table.
my ($table) = glob("$lake/warehouse/features/sessions-????????");
my $named = "$table/data/0a1b2c3d-0000-4000-8000-000000000001.parquet";

append_to_file($named, 'x');
$node->safe_psql('postgres', qq(INSERT INTO feature_stream.lake_file (location, view, server, "user", delete_after, is_named, writer)
	SELECT 'file://$named', e.view, s.oid, c.relowner, 'infinity', true, e.writer
	  FROM feature_stream.lake_export e, pg_foreign_server s, pg_class c WHERE s.srvname = 'lake' AND c.oid = e.view));
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');

# --- The original goes on; its files are some days old, so that any search for orphans would find what the copy does not know.
write_rows('postgres');
is_exported('postgres', 15);
pass('the original goes on');
my @files = files();
utime(time() - 4 * 86400, time() - 4 * 86400, map { "$lake/$_" } @files) == @files or die "utime: $!";

# --- The copy does nothing, and says so.
$node->safe_psql('copy', q(
	UPDATE feature_stream.lake_file SET delete_after = '-infinity';
	UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity', next_orphan_time = '-infinity', upkeep_failure_count = 1));
wait_until('the export to be refused', sub { said('copy', 'last_error') =~ $refusal });
pass('the export is refused, even before there is anything to be exported');
wait_until('upkeep to be refused', sub { said('copy', 'last_upkeep_error') =~ $refusal });
pass('and so is upkeep');
write_rows('copy');
try_again() for 1 .. 2;
like(ask("remove_orphan_files('sessions')"), $refusal, 'the search for orphans');
like(ask("expire_snapshots('sessions', keep => 1)"), $refusal, 'and what else is asked for');
is_deeply([ files() ], \@files, 'nothing is deleted or added');
is(said('copy', 'pending_rows'), '5', 'rows wait');

# --- Once the original is out of it the copy takes over, whatever it is called.
$node->safe_psql('postgres', "SELECT feature_stream.alter_feature_view('sessions', reset => '{offline}')");
$node->safe_psql('copy', "SELECT feature_stream.take_over_lake('sessions')");
is_exported('copy', 15);
wait_until('the sweep', sub { !-e $named });
pass('files that are to be deleted are');
like(run_python("$FindBin::Bin/../lib/lake.py", 'compare', $node->connstr('copy'), 'lake', 'features.sessions', 'sessions_history'),
	qr/^lake=15 history=15 missing=0 extra=0 /, 'the lake has what the copy has');
$node->safe_psql('copy', "UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity', upkeep_failure_count = 1");
wait_until('upkeep', sub { said('copy', 'last_upkeep_error IS NULL') eq 't' });
pass('upkeep goes on');
my $metadata = slurp_file(said('copy', "SELECT feature_stream.iceberg_metadata_location('sessions')") =~ s,^file://,,r);
my $writer = said('copy', "SELECT system_identifier || ':' || oid || ':' || timeline_id FROM pg_control_system(), pg_control_checkpoint(), pg_database WHERE datname = 'copy'");
like($metadata, qr/"feature_stream\.writer":"$writer"/, 'the table says who writes it');
$node->safe_psql('template1', 'ALTER DATABASE copy RENAME TO renamed');
write_rows('renamed');
is_exported('renamed', 20);
pass('a database that has another name is the same');

done_testing();
