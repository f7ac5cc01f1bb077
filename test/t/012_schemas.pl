
# Schemas of subjects: registered by two sessions at once, and dumped and restored.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $node = new_node('schemas');
my $schema = sub { return qq({"type": "record", "name": "R", "fields": [$_[0]]}) };
my $one = $schema->('{"name": "a", "type": "int"}');
my $two = $schema->('{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 0}');
my $three = $schema->('{"name": "a", "type": "int"}, {"name": "c", "type": "int", "default": 0}');
my $bad = $schema->('{"name": "a", "type": "int"}, {"name": "c", "type": "string"}');

sub register
{
	my ($text) = @_;

	return qq(SELECT feature_stream.register_schema('s', '$text'));
}

# --- A session that registers waits for another one of the same subject, and is judged by what that one left.
my $first = new_session($node, 'postgres');
my $second = new_session($node, 'postgres');
my $waits = q(SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%register_schema%');

$node->safe_psql('postgres', register($one));
$first->run('BEGIN');
is($first->run(register($two)), '2', 'the first session has version 2');
$second->send(register($three));
ok($node->poll_query_until('postgres', $waits), 'the second session waits');
$first->run('COMMIT');
is($second->finish(), '3', 'and has version 3');
$first->run('BEGIN');
is($first->run(register($two)), '2', 'a version that is there');
$second->send(register($three));
ok($node->poll_query_until('postgres', $waits), 'the second session waits again');
$first->run('ROLLBACK');
is($second->finish(), '3', 'for its own version');
$first->close();
$second->close();

# --- A dump has them.
$node->safe_psql('postgres', q(
	CREATE ROLE registrar;
	SELECT feature_stream.grant_access('registrar');
	SET ROLE registrar;
	SELECT feature_stream.register_schema('t', '"int"', 'FULL_TRANSITIVE')));
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
my $all = q(SELECT * FROM feature_stream.schema_subject JOIN feature_stream.schema_version USING (subject) ORDER BY subject, version);
is($node->safe_psql('restored', $all), $node->safe_psql('postgres', $all), 'what is restored is what was dumped');
is($node->safe_psql('restored', 'SELECT count(*) FROM feature_stream.schema_version'), '4', 'all of it');
my ($status, undef, $stderr) =
	$node->psql('restored', q(SET ROLE registrar; SELECT feature_stream.register_schema('t', '"long"')));
like($stderr, qr/reader v1 has int, which does not take long of the new writer/, 'it is its owner\'s, and judged as before');
is($node->safe_psql('restored', q(SELECT rule FROM feature_stream.check_schema('t', '"long"'))), 'TYPE_MISMATCH', 'the restored version judges');

$node->stop;
done_testing();
