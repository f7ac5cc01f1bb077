
# Rows of a table stream that are not what a topic's records are: numbered below zero, or far longer.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Outbox;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('table_rows');
my $counted = 'SELECT count(*), count(DISTINCT user_id), sum(n_10m) FROM %s_history WHERE window_end = %s';

hold_clock($node, "timestamptz '2024-01-15 12:20:00+00'");
$node->safe_psql('postgres', 'CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table');

# A table and the stream over it, which counts the events of each user in ten minutes.
sub create_counts
{
	my ($name, $type) = @_;

	$node->safe_psql('postgres', qq(
		CREATE TABLE ${name}_rows (n bigint NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v $type, PRIMARY KEY (x, n));
		CREATE FOREIGN TABLE $name (user_id text NOT NULL, clicked_at timestamptz NOT NULL) SERVER here OPTIONS ("table" '${name}_rows',
			order_by 'n', xid 'x', value 'v', event_time 'clicked_at', slice '1 min', watermark_delay '30 s', idle_after '1 h', start 'earliest');
		SELECT feature_stream.create_feature_view('${name}_counts', 'SELECT user_id, count(*) AS n FROM $name GROUP BY user_id',
			windows => '{10 min}', slide => '1 min')));
	return;
}

# An event as JSON, and a value of that type of it.
sub event
{
	my ($user, $at, $note) = @_;

	return sprintf(q(format('{"user_id": "%%s", "clicked_at": "2024-01-15 %s+00", "note": "%%s"}', %s, %s)), $at, $user, $note // q(''));
}
sub value_of { return $_[0] eq 'bytea' ? "convert_to($_[1], 'UTF8')" : "($_[1])::$_[0]"; }

# --- Numbers below zero: a server that ends in the middle of a transaction's rows goes on behind the last one it has read.
my $rows = 5000;
set_and_reload($node, 'feature_stream.poll_batch_size' => 1);
create_counts('below', 'text');
$node->safe_psql('postgres', sprintf('INSERT INTO below_rows (n, v) SELECT i, %s FROM generate_series(-%d, -1) i', event("'u' || -i", '12:00:30'), $rows));
ok($node->poll_query_until('postgres', q(SELECT read_count > 0 FROM feature_stream.partition_position WHERE stream = 'below'::regclass)),
	'rows that are numbered below zero are read');
$node->stop('immediate');
$node->start;
wait_for_read($node, 'below', $rows);
query_is($node, q(SELECT next_offset FROM feature_stream.partition_position WHERE stream = 'below'::regclass), '-1', 'the position is that of the last one');
$node->safe_psql('postgres', sprintf('INSERT INTO below_rows (n, v) SELECT 0, %s', event("'last'", '12:10:30')));
wait_for_read($node, 'below', $rows + 1);
wait_for_frontier($node, 'below', '2024-01-15 12:10:00+00');
query_is($node, sprintf($counted, 'below_counts', q('2024-01-15 12:01:00+00')), "$rows|$rows|$rows", 'and each row counts once');
set_and_reload($node, 'feature_stream.poll_batch_size' => 1000);

# --- Long rows: a batch has some megabytes of them, though it might have a thousand.
for my $type (qw(text bytea json jsonb))
{
	my $name = "long_$type";
	my $cut = q(SELECT payload_size, length(payload), reason, message FROM feature_stream.dead_letter WHERE stream = '%s'::regclass ORDER BY "offset");

	create_counts($name, $type);
	$node->safe_psql('postgres', sprintf('INSERT INTO %s_rows (n, v) SELECT i, %s FROM generate_series(1, 300) i',
			$name, value_of($type, event("'u' || i", '12:00:30', "repeat('x', 1000000)"))));
	wait_for_read($node, $name, 300);
	my ($peak) = slurp_file('/proc/' . ingest_pid($node, $name) . '/status') =~ /^VmHWM:\s+(\d+) kB/m;
	cmp_ok($peak, '<', 160 * 1024, "300 values of 1 MB in $type do not fill the worker's memory");

	# No longer than they may be, longer, none.
	my $spare = 1048576 - length(q({"user_id": "v", "clicked_at": "2024-01-15 12:11:00+00", "note": ""}));
	$node->safe_psql('postgres', join(';', map { sprintf("INSERT INTO ${name}_rows (n, v) VALUES (%d, %s)", $_->[0],
					value_of($type, event("'v'", '12:11:00', "repeat('x', $_->[1])"))) }
			[ 301, $spare ], [ 302, $spare + 1 ], [ 303, 20000000 ]));
	$node->safe_psql('postgres', "INSERT INTO ${name}_rows (n) VALUES (304)");
	wait_for_read($node, $name, 304);
	query_is($node, sprintf($cut, $name), join("\n", (map { "$_|1048576|malformed|value has $_ bytes, more than max_record_bytes (1048576)" }
				1048577, 20000000 + 1048576 - $spare), '||tombstone|the record has no value'), "longer ones in $type are dead letters, with their first bytes");
	my $stored = $type eq 'bytea' ? 'v' : "convert_to(v::text, 'UTF8')";
	query_is($node, qq(SELECT bool_and(payload = substr($stored, 1, 1048576)) FROM feature_stream.dead_letter JOIN ${name}_rows ON n = "offset"
			WHERE stream = '$name'::regclass AND v IS NOT NULL), 't', 'of themselves');
	wait_for_frontier($node, $name, '2024-01-15 12:10:00+00');
	query_is($node, sprintf($counted, "${name}_counts", q('2024-01-15 12:01:00+00')), '300|300|300', 'and all others count');
}

unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
