
# Dead letters of Avro come back: those whose schema was not there, when it is, named before the datum or in a header; those
# that wait for the registry hold up nobody else; each counts once although the worker dies meanwhile.  However large
# repairs have made them, the worker's memory stays bounded.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::DeadLetters;
use JSON::PP ();
use Test::More;

my $kafka = new_kafka();
my $registry = new_registry();
my $node = new_node('replay_avro');
my $base = 1705322400;    # 2024-01-15 12:40:00+00
my $guid = '0123456789abcdef0123456789abcdef';
my $guid_path = '/schemas/guids/01234567-89ab-cdef-0123-456789abcdef';
my $many = 2400;          # more than two batches
my $read = 0;
my $schema = JSON::PP->new->canonical->encode({ type => 'record', name => 'Click', fields => [
	(map { { name => $_, type => 'string' } } qw(user_id item_id)),
	{ name => 'timestamp', type => { type => 'long', logicalType => 'timestamp-millis' } } ] });

# A click's datum, so many seconds after the base; and records, [value, headers], that name a schema in either way.
sub click { my ($user, $item, $seconds) = @_; return avro_bytes($user) . avro_bytes($item) . avro_long(($base + $seconds) * 1000); }
sub framed { my ($id, $datum) = @_; return [ pack('CN', 0, $id) . $datum ]; }
sub by_header { my ($id, $datum) = @_; return [ $datum, { __value_schema_id => pack('CN', 0, $id) } ]; }
sub by_guid { my ($datum) = @_; return [ $datum, { __value_schema_id => pack('CH*', 1, $guid) } ]; }

# Produces records, to one partition and the other in turn, and waits until they are read.
sub produce
{
	my (@records) = @_;

	$kafka->produce_records('clicks', [ map { { partition => $_ % 2, value => $records[$_][0], headers => $records[$_][1] } } 0 .. $#records ]);
	$read += @records;
	wait_for_read($node, 'clicks', $read);
	return;
}

# How often the registry was asked for a path.
sub asked { my ($path) = @_; return scalar grep { $_->[1] eq $path } $registry->requests; }

# Asks dead letters back; how many there were.
sub replay { my ($arguments) = @_; return $node->safe_psql('postgres', "SELECT feature_stream.replay_dead_letters('clicks'$arguments)"); }

# What became of dead letters, by the item that their payload speaks of.
my $outcomes = q(
	SELECT split_part(feature_stream.print_payload(d.payload, 200), '#', 2) AS item, coalesce(o.outcome, 'none'), count(*)
	  FROM feature_stream.dead_letter d LEFT JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)
	 GROUP BY 1, 2 ORDER BY 1, 2);

$kafka->create_topic('clicks', 2);
$registry->add('/schemas/ids/1', schema => $schema);
hold_clock($node, "to_timestamp($base + 330)");
$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s', registry '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item_id text NOT NULL CHECK (item_id <> '#check#'),
		clicked_at timestamptz OPTIONS (field 'timestamp') NOT NULL
	) SERVER kafka OPTIONS (topic 'clicks', event_time 'clicked_at', watermark_delay '30 s', idle_after '1 day', start 'earliest',
		format 'avro', max_record_bytes '8MB', dead_letter_retention '30000 days');
	SELECT feature_stream.create_feature_view('click_features', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{30 min}', slide => '1 min')), $kafka->brokers, $registry->url));

# --- Dead letters of several kinds, and windows that have fired up to 12:44.
produce(
	(map { framed(1, click("good$_", 'x', 0)) } 1 .. 4),
	(map { $_ % 3 ? framed(9, click("n$_", '#nine#', 200)) : by_header(9, click("n$_", '#nine#', 200)) } 1 .. $many),
	(map { $_ % 3 ? framed(10, click("t$_", '#ten#', 200)) : by_header(10, click("t$_", '#ten#', 200)) } 1 .. 6),
	(map { by_guid(click("g$_", '#guid#', 200)) } 1 .. 6),
	(map { by_header(1, substr(click("m$_", '#cut#', 200), 0, -1)) } 1 .. 4),
	(map { by_header(1, click("checked$_", '#check#', 0)) } 1 .. 2),
	(map { framed(1, click("clock$_", 'x', 300)) } 1 .. 2));
wait_for_frontier($node, 'clicks', '2024-01-15 12:44:00+00');
query_is($node, 'SELECT reason, count(*) FROM feature_stream.dead_letter GROUP BY 1 ORDER BY 1',
	"check_violation|2\nmalformed|4\nunknown_schema|" . ($many + 12), 'they are dead letters');
query_is($node, q(SELECT status, reason ~ '^check_violation: ' FROM feature_stream.explain_feature('click_features', 'n_30m', '{"user_id": "checked1"}')),
	'refused|t', 'explain_feature() reads a dead letter by the schema that its header names');

# --- As bad as they were: the registry is asked again, once for all of a schema.
my @before = map { asked($_) } '/schemas/ids/9', $guid_path;
is(replay(''), $many + 18, 'all are asked back');
wait_for_outcomes($node, "outcome = 'requested'");
query_is($node, $outcomes, "check|still_bad|2\ncut|still_bad|4\nguid|still_bad|6\nnine|still_bad|$many\nten|still_bad|6", 'they are as bad as they were');
query_is($node, q(SELECT DISTINCT message FROM feature_stream.dead_letter_outcome WHERE reason = 'unknown_schema' ORDER BY 1), join("\n",
	map { "the registry does not know schema $_" } '01234567-89ab-cdef-0123-456789abcdef', 10, 9), 'and say so');
is_deeply([ map { asked($_) } '/schemas/ids/9', $guid_path ], [ map { $_ + 1 } @before ], 'the registry was asked again, once');

# --- Without the registry they wait, with corrections or without, and nobody else does.
$registry->kill9;
$node->safe_psql('postgres', sprintf(q(UPDATE feature_stream.dead_letter SET payload = payload || '\x%02x' WHERE reason = 'malformed'),
	ord(substr(click('', '', 200), -1))));
is(replay(', partition => 0') + replay(', partition => 1, corrections => true'), $many + 18, 'all are asked back once more');
query_becomes($node, $outcomes, "check|still_bad|2\ncut|replayed|4\nguid|requested|6\nnine|requested|$many\nten|requested|6",
	'those of unknown schemas wait for the registry, the others come back');
query_becomes($node, q(SELECT last_error ~ '^the registry cannot be asked' FROM feature_stream.stat_stream), 't', 'stat_stream says what is the matter');
kill_backend_process($node, ingest_pid($node, 'clicks'));
produce(map { framed(1, click("more$_", 'x', 300)) } 1 .. 4);
query_is($node, $outcomes, "check|still_bad|2\ncut|replayed|4\nguid|requested|6\nnine|requested|$many\nten|requested|6",
	'they still do after a crash, and new records are read');
$node->safe_psql('postgres', q(INSERT INTO feature_stream.registry_schema (registry, id, schema)
	SELECT registry, '10', schema FROM feature_stream.registry_schema WHERE id = '1'));
query_becomes($node, $outcomes, "check|still_bad|2\ncut|replayed|4\nguid|requested|6\nnine|requested|$many\nten|replayed|6",
	'those whose schema has come into the database come back without it');

# --- The registry is there again, and has the others; the worker dies before each second batch is durable.
my $crashes = crash_count($node);
set_fault($node, 'checkpoint-before-commit:crash:2');
$registry->add($_, schema => $schema) for '/schemas/ids/9', $guid_path;
$registry->start;
wait_until('the worker to die between two batches', sub { crash_count($node) > $crashes });
end_crashes($node);
wait_for_outcomes($node, "outcome = 'requested' OR outcome = 'replayed' AND corrections AND corrected_at IS NULL");
query_is($node, $outcomes, "check|still_bad|2\ncut|replayed|4\nguid|replayed|6\nnine|replayed|$many\nten|replayed|6", 'all are back');
query_is($node, q(SELECT count(*), count(DISTINCT (partition, "offset")), count(DISTINCT event ->> 'user_id') FROM feature_stream.read_event_log('clicks')),
	join('|', ($many + 26) x 3), 'each is in the log once');
query_is($node, 'SELECT sum(read_count), sum(accepted_count), sum(dead_letter_count) FROM feature_stream.partition_position',
	join('|', $read, $read - 2, 2), 'and counted once');
hold_clock($node, "to_timestamp($base + 900)");
produce(map { framed(1, click("late$_", 'x', 870)) } 1 .. 2);
wait_for_frontier($node, 'clicks', '2024-01-15 12:54:00+00');
verifies($node, 'click_features', 'features are right');

# --- Repaired to something large, and to something larger than a record may be.
sub peak_mb
{
	my ($status) = PostgreSQL::Test::Utils::slurp_file('/proc/' . ingest_pid($node, 'clicks') . '/status') =~ /^VmHWM:\s+(\d+) kB/m;

	return $status / 1024;
}
produce(map { framed(1, click("large$_", '#check#', 870)) } 1 .. 25);
$node->safe_psql('postgres', q(UPDATE feature_stream.dead_letter
	SET payload = convert_to(repeat('x', CASE WHEN row_number = 1 THEN 150000000 ELSE 7900000 END), 'UTF8')
	FROM (SELECT partition, "offset", row_number() OVER w FROM feature_stream.dead_letter
		WINDOW w AS (ORDER BY recorded_at DESC, partition, "offset") ORDER BY row_number LIMIT 25) l
	WHERE (dead_letter.partition, dead_letter."offset") = (l.partition, l."offset")));
my $peak = peak_mb();
is(replay(''), 27, 'large ones are asked back');
wait_for_outcomes($node, "outcome = 'requested'");
query_is($node, q(SELECT o.reason, o.message, count(*) FROM feature_stream.dead_letter d
	JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at) WHERE length(d.payload) > 1000000 GROUP BY 1, 2 ORDER BY 2),
	"malformed|the record does not begin with the number of a schema (a byte 0 or 1 before it)|24\n" .
	'malformed|value has 150000000 bytes, more than max_record_bytes (8388608)|1', 'and refused, with the reason');
cmp_ok(peak_mb() - $peak, '<', 100, 'the worker reads few of them at a time, and none that is too large');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/, 'nothing crashed but what was killed');

done_testing();
