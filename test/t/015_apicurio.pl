
# A real schema registry and a real serializer: producers evolve their schema
# while events flow, and so does the stream in the middle of it; the registry is away for a while; and features are right.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $registry = new_apicurio();
my $node = new_node('apicurio');
my $now = 1705322400;    # 2024-01-15 12:40:00+00
my $time = '{"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}';
my $read = 0;

# The producers' schema, as it changes.
my @schemas = (undef,
	qq({"type": "record", "name": "shop.Click", "fields": [{"name": "user_id", "type": "string"}, {"name": "item", "type": "string"}, $time]}),
	qq({"type": "record", "name": "shop.Click", "fields": [{"name": "user_id", "type": "string"}, {"name": "item", "type": "string"},
		{"name": "device", "type": ["null", "string"], "default": null}, $time]}),
	qq({"type": "record", "name": "shop.Click", "fields": [{"name": "user_id", "type": "string"}, {"name": "device", "type": ["null", "string"], "default": null}, $time]}),
	qq({"type": "record", "name": "shop.Click", "fields": [{"name": "who", "aliases": ["user_id"], "type": "string"}, $time,
		{"name": "device", "type": ["null", "string"], "default": null}, {"name": "price", "type": "double", "default": 0.5}]}));

sub click
{
	my ($version, $user, $device) = @_;

	return sprintf('{"user_id": "%s", "item": "i", "timestamp": %d}', $user, $now * 1000) if $version == 1;
	return sprintf('{"user_id": "%s", "item": "i", "device": "%s", "timestamp": %d}', $user, $device, $now * 1000) if $version == 2;
	return sprintf('{"user_id": "%s", "device": "%s", "timestamp": %d}', $user, $device, $now * 1000) if $version == 3;
	return sprintf('{"who": "%s", "device": "%s", "timestamp": %d, "price": 1.5}', $user, $device, $now * 1000);
}

# Clicks of a version as the serializer writes them, to be produced.
sub serialize
{
	my ($version, @clicks) = @_;
	my $n = 0;

	return map { { partition => $n++ % 2, value => $_ } }
	  $registry->serialize('clicks-value', $schemas[$version], [], map { click($version, @$_) } @clicks);
}

sub produce
{
	my (@records) = @_;

	$kafka->produce_records('clicks', \@records);
	$read += @records;
	return;
}

$kafka->create_topic('clicks', 2);
$node->safe_psql('postgres', sprintf(q(
	SELECT feature_stream.set_test_clock(to_timestamp(%d));
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s', registry '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item text DEFAULT 'no item', clicked_at timestamptz OPTIONS (field 'timestamp') NOT NULL)
	SERVER kafka OPTIONS (topic 'clicks', event_time 'clicked_at', idle_after '1 day', start 'earliest', format 'avro', reader_schema '
		{"type": "record", "name": "Click", "fields": [{"name": "user_id", "aliases": ["who"], "type": "string"}, {"name": "item", "type": ["null", "string"], "default": null},
			{"name": "device", "type": ["string", "null"], "default": "none"}, %s]}');
	SELECT feature_stream.create_feature_view('click_features', 'SELECT user_id, count(*) AS n, count(item) AS items FROM clicks GROUP BY user_id', windows => '{30 min}', slide => '1 min')), $now, $kafka->brokers, $registry->url, $time));
my $pid = ingest_pid($node, 'clicks');
for my $version (1 .. 4)
{
	produce(map { serialize($_, map { my $i = $_; [ 'u' . $i % 7, 'd' . $i % 3 ] } 1 .. 20) } 1 .. $version);
	if ($version == 2)
	{
		is(ingest_pid($node, 'clicks'), $pid, 'no restart for a new version');
		# what they write now becomes a column, with some of it read and some not; one transaction is one restart
		$node->safe_psql('postgres', q(
			BEGIN;
			ALTER FOREIGN TABLE clicks ADD COLUMN device text DEFAULT 'unknown';
			SELECT feature_stream.create_feature_view('device_features', 'SELECT user_id, count(DISTINCT device) AS devices, array_agg(device) AS list
				FROM clicks GROUP BY user_id', windows => '{30 min}', slide => '1 min');
			COMMIT));
		$pid = ingest_pid($node, 'clicks', $pid);
	}
	wait_for_read($node, 'clicks', $read);
}
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'a field more, a column more, a field dropped, a field renamed: no dead letters');
is(ingest_pid($node, 'clicks'), $pid, 'no restart');
query_is($node, q(SELECT count(*), count(event ->> 'item'), count(DISTINCT event ->> 'user_id')
	FROM feature_stream.read_event_log('clicks')), '200|140|7', 'each version is read by its own schema');
query_is($node, q(SELECT bool_and((e.event ->> 'device' = 'unknown') = (e."offset" < (c.offsets ->> e.partition::text)::bigint)),
		count(*) FILTER (WHERE e."offset" >= (c.offsets ->> e.partition::text)::bigint AND e.event ->> 'device' = 'none') >= 40,
		count(*) FILTER (WHERE e.event ->> 'device' ~ '^d') >= 100
	FROM feature_stream.read_event_log('clicks') e, feature_stream.stream_contract c WHERE c.stream = 'clicks'::regclass AND c.version = 2), 't|t|t',
	'the new column has its DEFAULT below the offsets that are recorded, and what was written from there on');
query_is($node, 'SELECT count(*) FROM feature_stream.registry_schema', 4, 'the registry was asked for each schema once');

# --- The registry is gone: those known go on, also after a restart; a new one waits.
my @known = map { serialize($_, [ 'known', "d$_" ]) } 1 .. 4;
$schemas[2] =~ s/\]\}$/, {"name": "place", "type": "int", "default": 0}]}/;
my @new = serialize(2, map { [ 'new', "d$_" ] } 1 .. 10);
$registry->stop;    # it may lose its newest schemas when it is killed
$node->restart;
produce(@known);
wait_for_read($node, 'clicks', $read);
pass('known schemas are read without the registry, after a restart too');
produce(@new);
$node->poll_query_until('postgres', q(SELECT count(*) = 2 FROM feature_stream.stat_partition WHERE state = 'parked' AND error LIKE '%cannot be asked%'))
  or die $node->safe_psql('postgres', 'SELECT * FROM feature_stream.stat_partition');
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'a new one waits');
$registry->start;
wait_for_read($node, 'clicks', $read);
query_is($node, q(SELECT count(*) FROM feature_stream.read_event_log('clicks') WHERE event ->> 'user_id' = 'new'), 10, 'and is read when the registry is back');

# --- A schema that refers to another one.
$registry->serialize('user', '{"type": "record", "name": "shop.User", "fields": [{"name": "id", "type": "string"}]}', [], '{"id": "ann"}');
$kafka->create_topic('visits', 1);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE visits (user_id text OPTIONS (field 'visitor.id') NOT NULL, at timestamptz OPTIONS (field 'timestamp') NOT NULL)
	SERVER kafka OPTIONS (topic 'visits', event_time 'at', idle_after '1 day', start 'earliest', format 'avro');
	SELECT feature_stream.create_feature_view('visit_features', 'SELECT user_id, count(*) AS n FROM visits GROUP BY user_id', windows => '{30 min}', slide => '1 min')));
$kafka->produce_records('visits', [ map { { partition => 0, value => $_ } } $registry->serialize('visits-value',
	qq({"type": "record", "name": "shop.Visit", "fields": [{"name": "visitor", "type": "shop.User"}, $time]}), ['shop.User=user'],
	sprintf('{"visitor": {"id": "ann"}, "timestamp": %d}', $now * 1000)) ]);
wait_for_read($node, 'visits', 1);
query_is($node, q(SELECT event ->> 'user_id' FROM feature_stream.read_event_log('visits')), 'ann', 'a schema is read with those that it refers to');

# --- The registry says itself what it does not know.
$kafka->produce_records('visits', [ map { { partition => 0, value => $_ . 'x' } } pack('CN', 0, 4711), pack('CN', 0, 2147483647), pack('CN', 0, 4294967295),
	pack('CH*', 1, '0123456789abcdef' x 2) ]);
wait_for_read($node, 'visits', 5);
query_is($node, 'SELECT reason, message FROM feature_stream.dead_letter ORDER BY "offset"', 'unknown_schema|the registry does not know schema 4711
unknown_schema|the registry does not know schema 2147483647
unknown_schema|no registry has a schema 4294967295: their numbers end at 2147483647
unknown_schema|the registry does not know schema 01234567-89ab-cdef-0123-456789abcdef', 'a number that is none is a dead letter, and a GUID, which it has no path for');
query_is($node, q(SELECT sum(read_count) = sum(accepted_count) + sum(dead_letter_count), sum(dead_letter_count) FROM feature_stream.partition_position), 't|4', 'all is accounted for');
query_is($node, qq(SELECT count(*) FROM feature_stream.verify_feature_view('$_')), 0, "features of $_ are right") for qw(click_features device_features);
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC|ERROR/, 'and the log knows of no error');

# --- Subjects: what the registry has comes here, and what is here goes there, once.
$node->safe_psql('postgres', q(CALL feature_stream.import_schemas('kafka', 'clicks-value', 'visits-value')));
query_is($node, q(SELECT subject, count(*), max(version), count(refers_to), sum(cardinality(referenced)) FROM feature_stream.schema_version GROUP BY 1 ORDER BY 1),
	"clicks-value|5|5|0|0\nvisits-value|1|1|1|1", 'versions are imported, with what they refer to');
query_is($node, q(SELECT count(*), count(*) FILTER (WHERE k.schema = v.schema) FROM feature_stream.schema_registration r JOIN feature_stream.schema_version v USING (subject, version)
	JOIN feature_stream.registry_schema k ON k.registry = r.registry AND k.id = r.id::text), '6|6', 'they are the schemas that records name');
# What is inserted is written by the newest of them, for any client of the registry; and for the stream.
$node->safe_psql('postgres', sprintf(q(INSERT INTO clicks (user_id, item, device, clicked_at)
	SELECT 'inserted', 'i' || i, 'd' || i, to_timestamp(%d) FROM generate_series(1, 3) i), $now));
$read += 3;
wait_for_read($node, 'clicks', $read);
is(join("\n", grep { /inserted/ } $registry->deserialize(map { $_->{value} } $kafka->records('clicks'))),
	join("\n", map { qq({"device": "d$_", "item": "i$_", "place": 0, "timestamp": "2024-01-15 12:40:00+00:00", "user_id": "inserted"}) } 1 .. 3),
	"what is inserted is what the registry's client reads");
query_is($node, q(SELECT count(*) FROM feature_stream.read_event_log('clicks') WHERE event ->> 'user_id' = 'inserted' AND event ->> 'device' ~ '^d\d$'), 3, 'and what the stream counts');
$node->safe_psql('postgres', q(SELECT feature_stream.register_schema('ours', '{"type": "record", "name": "Ours", "fields": [{"name": "a", "type": "int"}]}', 'FULL')));
$node->safe_psql('postgres', q(CALL feature_stream.publish_schema('kafka', 'ours', compatibility => true))) for 1 .. 2;
query_is($node, q(SELECT count(*), bool_and(id > 0) FROM feature_stream.schema_registration WHERE subject = 'ours'), '1|t', 'a schema is published, twice the same');
$node->safe_psql('postgres', q(CALL feature_stream.publish_schema('kafka', 'visits-value')));
$node->safe_psql('postgres', q(CREATE DATABASE other TEMPLATE template0 ENCODING 'UTF8'));
$node->safe_psql('other', sprintf(q(CREATE EXTENSION feature_stream; CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'localhost:1', registry '%s')), $registry->url));
$node->safe_psql('other', q(CALL feature_stream.import_schemas('kafka', 'ours', 'visits-value')));
is($node->safe_psql('other', q(SELECT subject, compatibility, version FROM feature_stream.schema_subject JOIN feature_stream.schema_version USING (subject) ORDER BY 1)),
	"ours|FULL|1\nvisits-value|" . $node->safe_psql('postgres', q(SELECT compatibility FROM feature_stream.schema_subject WHERE subject = 'visits-value')) . '|1', 'another database has it from there, with its compatibility');
$node->safe_psql('postgres', q(SELECT feature_stream.set_compatibility('ours', 'NONE');
	SELECT feature_stream.register_schema('ours', '{"type": "record", "name": "Ours", "fields": [{"name": "a", "type": "string"}]}')));
my (undef, undef, $stderr) = $node->psql('postgres', q(CALL feature_stream.publish_schema('kafka', 'ours')));
like($stderr, qr/could not publish version 2 of subject "ours".*status 409 .*It says: ./s, 'what the registry finds incompatible it refuses, in its own words');

done_testing();
