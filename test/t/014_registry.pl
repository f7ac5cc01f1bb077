
# Avro whose records name their schemas: producers change theirs while events
# flow; a schema that is not known waits for the registry, whatever that one does,
# and nothing is skipped or asked for twice.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::ClickHistory;
use JSON::PP ();
use Test::More;
use Time::HiRes ();

my $kafka = new_kafka();
my $registry = new_registry(user => 'streams:s3cret');
my $node = new_node('registry');
my $now = 1705322400;    # 2024-01-15 12:40:00+00
my $read = 0;

# A schema of clicks with these fields, each "name" or "name:type"; all but the time are strings.
sub click_schema
{
	my ($name, @fields) = @_;

	return JSON::PP->new->canonical->encode({ type => 'record', name => $name, fields => [
		(map { my ($field, $type) = split /:/; { name => $field, type => $type // 'string' } } @fields),
		{ name => 'timestamp', type => { type => 'long', logicalType => 'timestamp-millis' } } ] });
}

# A click's datum: strings, and the time.
sub click { return join('', map { avro_bytes($_) } @_) . avro_long($now * 1000); }
sub framed { my ($id, $datum) = @_; return pack('CN', 0, $id) . $datum; }

# Adds schema $id to the registry.
sub add_schema { my ($id, $schema, @more) = @_; $registry->add("/schemas/ids/$id", schema => $schema, @more); return; }

# Produces records [partition, value, headers ...] and counts them.
sub produce
{
	my ($topic, @records) = @_;

	$kafka->produce_records($topic, [ map { { partition => $_->[0], value => $_->[1], headers => $_->[2] // {} } } @records ]);
	$read += @records;
	return;
}

# How often the registry was asked for a path.
sub asked { my ($path) = @_; return scalar grep { $_->[1] eq $path } $registry->requests; }

# Waits until the first partition waits for its schema with this complaint.
sub wait_for_parked
{
	my ($like) = @_;

	$node->poll_query_until('postgres', qq(SELECT state = 'parked' AND error LIKE '%$like%'
		FROM feature_stream.stat_partition WHERE stream = 'clicks'::regclass AND partition = 0))
	  or die $node->safe_psql('postgres', 'SELECT * FROM feature_stream.stat_partition');
	return;
}

# Changes the server's options, and waits for a worker that has them.
sub alter_server
{
	my ($options) = @_;
	my $old = ingest_pid($node, 'clicks');

	$node->safe_psql('postgres', "ALTER SERVER kafka OPTIONS ($options)");
	ingest_pid($node, 'clicks', $old);
	return;
}

my $reader = '{"type": "record", "name": "Click", "fields": [{"name": "user_id", "aliases": ["uid"], "type": "string"},
	{"name": "item_id", "type": "string"}, {"name": "category", "type": "string", "default": "none"},
	{"name": "device", "type": "string", "default": "unknown"},
	{"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}';
$kafka->create_topic('clicks', 2);
$node->safe_psql('postgres', sprintf(q(
	SELECT feature_stream.set_test_clock(to_timestamp(%d));
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s', registry '%s/', registry_timeout '60s');
	CREATE USER MAPPING FOR postgres SERVER kafka OPTIONS (registry_username 'streams', registry_password 's3cret');
	CREATE FOREIGN TABLE clicks (
		user_id text NOT NULL CHECK (user_id <> ''), item_id text NOT NULL, category text, device text,
		seen text DEFAULT 'no', clicked_at timestamptz OPTIONS (field 'timestamp') NOT NULL
	) SERVER kafka OPTIONS (topic 'clicks', event_time 'clicked_at', idle_after '1 day', start 'earliest', format 'avro', reader_schema '%s');
	SELECT feature_stream.create_feature_view('click_features', 'SELECT user_id, count(*) AS n, count(DISTINCT device) AS devices
		FROM clicks GROUP BY user_id', windows => '{30 min}', slide => '1 min')),
	$now, $kafka->brokers, $registry->url, $reader));

# --- Producers evolve: a field more, a field dropped, a field renamed.
my $pid = ingest_pid($node, 'clicks');
add_schema(1, click_schema('Click', qw(user_id item_id category)));
produce('clicks', map { [ $_ % 2, framed(1, click("u$_", 'i', 'c1')) ] } 1 .. 20);
wait_for_read($node, 'clicks', $read);
add_schema(2, click_schema('Click', qw(user_id item_id category device)));
add_schema(3, click_schema('Click', qw(device item_id user_id)));
add_schema(4, click_schema('Click', qw(device uid item_id:bytes)));
for my $newest (2 .. 4)
{
	my @of = (undef, sub { click($_[0], 'i', 'c1') }, sub { click($_[0], 'i', 'c2', 'd2') },
		sub { click('d3', 'i', $_[0]) }, sub { click('d4', $_[0], 'i') });

	produce('clicks', map { my $id = 1 + $_ % $newest; [ $_ % 2, framed($id, $of[$id]->("u$_")) ] } 1 .. 24);
	wait_for_read($node, 'clicks', $read);
}
query_is($node, q(SELECT event ->> 'category', event ->> 'device', event ->> 'seen', count(*) FROM feature_stream.read_event_log('clicks')
	GROUP BY 1, 2, 3 ORDER BY 2, 1), "c2|d2|no|26\nnone|d3|no|14\nnone|d4|no|6\nc1|unknown|no|46", 'each schema is read by its own fields');
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'without a dead letter');
is(ingest_pid($node, 'clicks'), $pid, 'without a restart');
is(join(' ', map { asked("/schemas/ids/$_") } 1 .. 4), '1 1 1 1', 'each schema is asked for once');
is(join(' ', do { my %users = map { $_->[2] => 1 } $registry->requests; keys %users }), 'streams:s3cret', 'by the user of the mapping');
query_is($node, q(SELECT string_agg(id || ' ' || schema_type, ', ' ORDER BY id) FROM feature_stream.registry_schema
	WHERE registry = rtrim((SELECT option_value FROM pg_foreign_server, pg_options_to_table(srvoptions) WHERE option_name = 'registry'), '/')),
	'1 AVRO, 2 AVRO, 3 AVRO, 4 AVRO', 'and kept');

# --- Without the registry: a restart changes nothing for schemas that are known; one that is not waits.
$registry->kill9;
$node->restart;
produce('clicks', [ 0, framed(2, click('v', 'i', 'c', 'd')) ], [ 1, framed(4, click('d', 'v', 'i')) ]);
wait_for_read($node, 'clicks', $read);
pass('known schemas need no registry');
produce('clicks', [ 0, framed(3, click('d', 'i', 'before')) ], [ 0, framed(5, click('w', 'i', 'c', 'd')) ], [ 0, framed(1, click('behind', 'i', 'c')) ]);
wait_for_parked('cannot be asked');
my $others = $read - 2;
produce('clicks', map { [ 1, framed(1, click('other', 'i', 'c')) ] } 1 .. 10);
wait_for_read($node, 'clicks', $others + 10);
query_becomes($node, q(SELECT last_error ~ '^the registry cannot be asked' FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass), 't',
	'stat_stream says what is the matter');
ok($node->poll_query_until('postgres', q(SELECT error ~ '^waits for schema 5: the registry cannot be asked' AND pending_offset = end_offset - 2
	FROM feature_stream.stat_partition WHERE stream = 'clicks'::regclass AND partition = 0)), 'so does stat_partition; the other partition goes on');

# --- It is back, but not itself.
my %complaints = (error => 'answers with status 500 (error code 50001)', slow => 'does not answer in time', huge => 'too great a length',
	redirect => 'sends us elsewhere', malformed => 'no JSON object', lost => 'answers with status 404 (error code 404)');
alter_server("SET registry_timeout '500ms'");
my $since = $registry->requests;
my $begun = Time::HiRes::time();
$registry->set_mode('error');
$registry->start;
for my $mode (qw(error slow huge redirect malformed lost))
{
	$registry->set_mode($mode);
	wait_for_parked($complaints{$mode});
	pass("waits: $complaints{$mode}");
}
is(asked('/elsewhere'), 0, 'a redirect is not followed');
# In all: they may be held up on their way.
my $requests = $registry->requests - $since;
cmp_ok($requests - 1, '<=', Time::HiRes::time() - $begun, "at most a request a second ($requests)");
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'no dead letters meanwhile');
add_schema(5, click_schema('Click', qw(user_id item_id category device)));
$registry->set_mode('ok');
wait_for_read($node, 'clicks', $read);
alter_server("SET registry_timeout '60s'");
query_is($node, q(SELECT string_agg(event ->> 'user_id', ' ' ORDER BY "offset") FROM feature_stream.read_event_log('clicks')
	WHERE partition = 0 AND event ->> 'user_id' IN ('before', 'w', 'behind')), 'before w behind', 'nothing was skipped, and the order is kept');

# --- What is no good, between neighbours that are.
add_schema(11, 'syntax = "proto3";', schemaType => 'PROTOBUF');
add_schema(12, '{"type": "record", "name": "Click", "fields": [{"name": "user_id", "type": "nothing"}]}');
add_schema(13, click_schema('Click', qw(user_id item_id:int)));
add_schema(14, click_schema('Click', qw(item_id)));
add_schema(15, '"string"', references => [ { name => 'gone', subject => 'gone', version => 3 } ]);
add_schema(16, '"string"', references => [ map { { name => "n$_", subject => "s$_", version => 1 } } 1 .. 257 ]);
add_schema(17, '"string"', references => [ { name => 'large', subject => 'large', version => 1 } ]);
add_schema(18, qq("s\0tring"));
$registry->answer('/subjects/large/versions/1?deleted=true', 200, { schema => '{"type": "string", "doc": "%FILL%"}' }, 1024 * 1024);
$registry->answer('/schemas/ids/19', 200, { schema => '{"type": "string", "doc": "%FILL%"}' }, 5 * 1024 * 1024);
my $good = click('g', 'i', 'c');
my @bad = ([ framed(99, $good), 'unknown_schema', qr/^the registry does not know schema 99$/ ],
	[ framed(4294967295, $good), 'unknown_schema', qr/^no registry has a schema 4294967295: their numbers end at 2147483647$/ ],
	[ $good, 'malformed', qr/^the record ends within|^the record does not begin with the number of a schema/ ],
	[ '{"user_id": "u"}', 'malformed', qr/^the record does not begin with the number of a schema/ ],
	[ pack('Cn', 0, 1), 'malformed', qr/^the record ends within the number of its schema/ ], [ '', 'malformed', qr/^the record is empty/ ],
	[ framed(1, substr($good, 0, -1)), 'malformed', qr/^read by schema 1: .* at byte/ ],
	[ framed(11, $good), 'unknown_schema', qr/^schema 11 is of type PROTOBUF, not Avro$/ ],
	[ framed(12, $good), 'unknown_schema', qr/^schema 12 cannot be used: .*nothing/ ],
	[ framed(13, avro_bytes('u') . avro_long(7) . avro_long($now * 1000)), 'bad_value', qr/^field "item_id" was written as int, which cannot be read as string$/ ],
	[ framed(14, click('i')), 'missing_field', qr/^field "user_id" is missing$/ ],
	[ framed(15, $good), 'unknown_schema', qr/^schema 15 refers to version 3 of subject "gone", which the registry does not know$/ ],
	[ framed(16, $good), 'unknown_schema', qr/^schema 16 refers to too many others$/ ],
	[ framed(17, $good), 'unknown_schema', qr/^schema 17 is too large: with all that it refers to it has more than 1 MB$/ ],
	[ framed(18, $good), 'unknown_schema', qr/^schema 18 has characters that no text can have$/ ],
	[ framed(19, $good), 'unknown_schema', qr/^schema 19 is too large: the registry answers with more than 4 MB$/ ],
	[ undef, 'tombstone', qr/no value/ ],
	[ $good, 'malformed', qr/^the record has a header "__value_schema_id" that is no schema's number/, { __value_schema_id => 'x' } ]);
produce('clicks', map { ([ 0, $_->[0], $_->[3] ], [ 0, framed(1, click('neighbour', 'i', 'c')) ]) } @bad);
wait_for_read($node, 'clicks', $read);
my @letters = map { [ split /\|/, $_, 2 ] } split /\n/, $node->safe_psql('postgres', q(SELECT reason, message FROM feature_stream.dead_letter ORDER BY "offset"));
is(scalar @letters, scalar @bad, 'one dead letter for each record that is no good');
for my $i (0 .. $#bad)
{
	my ($reason, $message) = @{ $letters[$i] // [ 'none', '' ] };

	ok($reason eq $bad[$i][1] && $message =~ $bad[$i][2], "$bad[$i][1]: record $i") or diag("$reason: $message");
}
is(asked('/schemas/ids/99'), 1, 'what the registry does not know is not asked for again at once');
is(asked('/schemas/ids/4294967295'), 0, 'nor what no registry can know at all');

# --- Numbers in headers, GUIDs, schemas in pieces.
my $guid = '0123456789abcdef0123456789abcdef';
my $guid_text = '01234567-89ab-cdef-0123-456789abcdef';
$registry->add("/schemas/guids/$guid_text", schema => click_schema('Click', qw(user_id item_id)));
add_schema(21, '{"type": "record", "name": "Click", "fields": [{"name": "item_id", "type": "a.Item"}, {"name": "user_id", "type": "b.User"},
	{"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}',
	references => [ { name => 'a.Item', subject => 'items/a b', version => 2 }, { name => 'b.User', subject => 'users', version => 1 } ]);
$registry->add('/subjects/items%2Fa%20b/versions/2?deleted=true', schema => '{"type": "record", "name": "a.Item", "fields": [{"name": "owner", "type": "b.User"}, {"name": "id", "type": "string"}]}',
	references => [ { name => 'b.User', subject => 'users', version => 1 } ]);
$registry->add('/subjects/users/versions/1?deleted=true', schema => '{"type": "record", "name": "b.User", "fields": [{"name": "id", "type": "string"}]}');
$kafka->create_topic('nested', 1);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE nested (user_id text OPTIONS (field 'user_id.id') NOT NULL, item text OPTIONS (field 'item_id.id') DEFAULT 'plain',
		owner text OPTIONS (field 'item_id.owner.id'), flat int OPTIONS (field 'user_id'),
		clicked_at timestamptz OPTIONS (field 'timestamp') NOT NULL)
	SERVER kafka OPTIONS (topic 'nested', event_time 'clicked_at', idle_after '1 day', start 'earliest', format 'avro');
	SELECT feature_stream.create_feature_view('nested_features', 'SELECT user_id, count(*) AS n FROM nested GROUP BY user_id', windows => '{30 min}', slide => '1 min')));
$kafka->produce_records('nested', [ { partition => 0, value => framed(21, click('owner', 'thing', 'user')) } ]);
wait_for_read($node, 'nested', 1);
my ($nested_reason) = $node->safe_psql('postgres', q(SELECT reason || ': ' || message FROM feature_stream.dead_letter WHERE stream = 'nested'::regclass));
like($nested_reason, qr/^bad_value: field "user_id" is /, 'a schema in pieces is put together; a column that it does not go with refuses the record');
my $nested_pid = ingest_pid($node, 'nested');
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE nested DROP COLUMN flat');
ingest_pid($node, 'nested', $nested_pid);
$kafka->produce_records('nested', [ { partition => 0, value => framed(21, click('owner', 'thing', 'user')) } ]);
wait_for_read($node, 'nested', 2);
query_is($node, q(SELECT event ->> 'user_id', event ->> 'item', event ->> 'owner' FROM feature_stream.read_event_log('nested')), 'user|thing|owner', 'without that column it counts');
is(asked('/subjects/users/versions/1?deleted=true'), 1, 'each piece is asked for once');
produce('clicks', [ 0, pack('CH*', 1, $guid) . click('by-guid', 'i') ], [ 1, click('by-header', 'i'), { __value_schema_id => pack('CH*', 1, $guid) } ],
	[ 1, click('by-id', 'i', 'c'), { __value_schema_id => pack('CN', 0, 1) } ]);
wait_for_read($node, 'clicks', $read);
query_is($node, q(SELECT string_agg(event ->> 'user_id', ' ' ORDER BY event ->> 'user_id') FROM feature_stream.read_event_log('clicks') WHERE event ->> 'user_id' LIKE 'by-%'),
	'by-guid by-header by-id', 'GUIDs and headers name schemas, too');

# --- A GUID that a registry has never heard of, and registries that know of no GUIDs at all.
my $bad_count = @bad;

# Waits until all is read, and holds the newest dead letters against what they should say.
sub newest_letters_are
{
	my ($name, @messages) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_for_read($node, 'clicks', $read);
	$bad_count += @messages;
	return query_is($node, sprintf(q(SELECT message FROM (SELECT "offset", message FROM feature_stream.dead_letter WHERE stream = 'clicks'::regclass
		AND reason = 'unknown_schema' AND partition = 0 ORDER BY "offset" DESC LIMIT %d) d ORDER BY "offset"), scalar @messages), join("\n", @messages), $name);
}
produce('clicks', [ 0, pack('CH*', 1, 'a' x 32) . $good ]);
newest_letters_are('a GUID that the registry does not know', 'the registry does not know schema aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa');
is(asked('/schemas/types'), 0, 'by its own words');
$registry->set_mode('lost');
produce('clicks', [ 0, pack('CH*', 1, 'b' x 32) . $good ], [ 0, framed(1, click('neighbour', 'i', 'c')) ]);
wait_for_parked('waits for schema bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb: the registry answers with status 404');
pass('where nothing answers but a 404, a GUID waits');
$registry->set_mode('plain');
newest_letters_are('where there is a registry which has no GUIDs, it does not', 'the registry does not know schema bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb');
produce('clicks', [ 0, framed(98, $good) ], [ 0, framed(2147483648, $good) ]);
newest_letters_are('nor do numbers', 'the registry does not know schema 98', 'no registry has a schema 2147483648: their numbers end at 2147483647');

# --- A storm of junk, each record with a number of its own: neither does it flood the registry, nor does it push out the
# programs of schemas that are used: that of schema 1 has no row any more to be made from.
$registry->set_mode('ok');
$node->safe_psql('postgres', q(CREATE TABLE kept_schema AS SELECT * FROM feature_stream.registry_schema WHERE id = '1';
	DELETE FROM feature_stream.registry_schema WHERE id = '1'));
my @junk = (10000 .. 10559);
produce('clicks', map { ([ 0, framed($_, $good) ], [ 0, framed(1, click('neighbour', 'i', 'c')) ]) } @junk);
newest_letters_are('what it does not know is a dead letter each', map { "the registry does not know schema $_" } @junk);
my @times = sort { $a <=> $b } map { $_->[0] } grep { $_->[1] =~ m{^/schemas/ids/10\d\d\d$} } $registry->requests;
# A hundred at once, then as many a second.
cmp_ok($times[-1] - $times[0], '>=', (@junk - 101) / 100 - 0.1, 'is asked for a hundred times a second at most');
# What it said may be forgotten before the records are read, once, as there are more than are kept.
cmp_ok(scalar(@times), '<=', @junk + 64, 'and for hardly any of them twice');
is(asked('/schemas/ids/1'), 1, 'those that are known stay known');
$node->safe_psql('postgres', q(INSERT INTO feature_stream.registry_schema TABLE kept_schema));

# --- A way out for who cannot wait: the schema's row, with a type that is no Avro.
$registry->set_mode('lost');
produce('clicks', [ 0, framed(97, $good) ], [ 0, framed(1, click('neighbour', 'i', 'c')) ]);
wait_for_parked('waits for schema 97: the registry answers with status 404');
$node->safe_psql('postgres', sprintf(q(INSERT INTO feature_stream.registry_schema (registry, id, schema_type, schema) VALUES ('%s', '97', 'none', '')), $registry->url));
newest_letters_are('a partition is set free by hand', 'schema 97 is of type none, not Avro');
$registry->set_mode('ok');

# --- While it is down, all streams together ask it once a second.
my @twins = map { "twin_$_" } 1 .. 5;
$registry->set_mode('error');
$kafka->create_topic($_, 1) for @twins;
$node->safe_psql('postgres', join('', map { sprintf(q(
	CREATE FOREIGN TABLE %1$s (user_id text NOT NULL, clicked_at timestamptz OPTIONS (field 'timestamp') NOT NULL)
	SERVER kafka OPTIONS (topic '%1$s', event_time 'clicked_at', idle_after '1 day', start 'earliest', format 'avro', max_record_bytes '1kB');
	SELECT feature_stream.create_feature_view('%1$s_features', 'SELECT user_id, count(*) AS n FROM %1$s GROUP BY user_id', windows => '{30 min}', slide => '1 min');), $_) } @twins));
ingest_pid($node, $_) for @twins;
$kafka->produce_records($twins[$_], [ map { { partition => 0, value => $_ } } framed(46, 'x' x 2000), framed(41 + $_, click('t', 'i')) ]) for 0 .. $#twins;
my @tries;
wait_until('the registry to be asked again and again', sub { @tries = sort { $a <=> $b } map { $_->[0] } grep { $_->[1] =~ m{^/schemas/ids/4[1-5]$} } $registry->requests; @tries >= 12 });
note('asked after ' . join(' ', map { sprintf '%.1f', $_ - $tries[0] } @tries));
# Each may have asked before the first of them knew.
cmp_ok($tries[-1] - $tries[0], '>=', @tries - @twins - 1, 'a registry that is down is asked once a second, however many streams wait for it (' . @tries . ' times)');
query_becomes($node, q(SELECT count(*) FROM feature_stream.stat_partition WHERE state = 'parked' AND stream::text LIKE 'twin%'
	AND error ~ ': the registry (answers with status 500|is away, as another stream has found)'), scalar @twins, 'and each says what it waits for');
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter WHERE stream::text LIKE 'twin%' AND message ~ '^value has 2005 bytes, more than max_record_bytes'), scalar @twins,
	'a record that is too long waits for no schema');
add_schema(41 + $_, click_schema('Click', qw(user_id item_id))) for 0 .. $#twins;
$registry->set_mode('ok');
wait_for_read($node, $_, 2) for @twins;
query_is($node, q(SELECT count(*) FROM feature_stream.stat_partition WHERE stream::text LIKE 'twin%' AND state <> 'parked' AND accepted_count = 1), scalar @twins, 'they all go on when it is back');
$node->safe_psql('postgres', "SELECT feature_stream.drop_feature_view('${_}_features', drop_history => true); DROP FOREIGN TABLE $_") for @twins;

# --- What was written before a stream began, read back for a view of it: the schemas that it names are asked for, too.
add_schema($_, click_schema('Click', qw(user_id item_id))) for 31, 32;
$kafka->create_topic('old', 2);
$kafka->produce_records('old', [ map { { partition => $_ % 2, value => framed($_ % 10 == 9 ? 33 : $_ < 20 ? 31 : 32, click('u' . $_ % 3, 'i')) } } 0 .. 39 ]);
$registry->set_mode('error');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE old (user_id text NOT NULL, item_id text NOT NULL, clicked_at timestamptz OPTIONS (field 'timestamp') NOT NULL)
	SERVER kafka OPTIONS (topic 'old', event_time 'clicked_at', idle_after '1 day', start 'latest', format 'avro');
	SELECT feature_stream.create_feature_view('old_features', 'SELECT user_id, count(*) AS n FROM old GROUP BY user_id',
		windows => '{30 min}', slide => '1 min', backfill_from => 'earliest')));
$node->poll_query_until('postgres', q(SELECT state = 'failed' AND error ~ '^partition \d waits for schema 3[13]: the registry answers with status 500'
	FROM feature_stream.stat_progress_backfill WHERE view = 'old_features'::regclass)) or die $node->safe_psql('postgres', 'TABLE feature_stream.stat_progress_backfill');
query_is($node, q(SELECT refused_count FROM feature_stream.stat_progress_backfill WHERE view = 'old_features'::regclass), 0, 'old records wait for their schemas, and the progress says so');
$registry->set_mode('ok');
$node->poll_query_until('postgres', q(SELECT state = 'waiting' FROM feature_stream.stat_progress_backfill WHERE view = 'old_features'::regclass)) or die 'they are not read';
query_is($node, q(SELECT offsets_done, read_count, refused_count, error, refused_example ~ 'unknown_schema: the registry does not know schema 33$'
	FROM feature_stream.stat_progress_backfill WHERE view = 'old_features'::regclass), '40|40|4||t', 'they are read when the registry answers; but for what it does not know');
$node->safe_psql('postgres', sprintf('SELECT feature_stream.set_test_clock(to_timestamp(%d))', $now + 120));
$kafka->produce_records('old', [ map { { partition => $_, value => framed(32, avro_bytes('v') . avro_bytes('i') . avro_long(($now + 100) * 1000)) } } 0, 1 ]);
wait_for_filled($node, 'old_features');
query_is($node, q(SELECT sum(n_30m), bool_and(complete) FROM old_features_history WHERE window_end = '2024-01-15 12:41:00+00'), '36|t', 'and count');

# --- A single event is judged by what is known.
my $hex = unpack('H*', framed(1, $good));
query_is($node, "SELECT verdict FROM feature_stream.test_event('clicks', '\\x$hex') WHERE kind = 'event'", 'accepted', 'test_event() reads a record of a known schema');
$hex = unpack('H*', framed(77, $good));
query_is($node, "SELECT verdict, detail FROM feature_stream.test_event('clicks', '\\x$hex') WHERE kind = 'event'",
	q(unknown_schema|schema 77 is not known here: only the stream's worker asks the registry for it), 'and says when one is not');
is(asked('/schemas/ids/77'), 0, 'without asking the registry');

# --- Where nobody is to be sent; and what cannot be an option.
alter_server("SET registry 'http://169.254.1.1:1'");
produce('clicks', [ 0, framed(1, click('last', 'i', 'c')) ]);
wait_for_parked('link-local address');
pass('a link-local address is not asked');
for my $host (qw([::ffff:169.254.1.1] [::169.254.1.1] [64:ff9b::169.254.1.1] [2002:a9fe:101::1] [fe80::1]))
{
	my ($status, undef, $error) = $node->psql('postgres', "CREATE SERVER local FOREIGN DATA WRAPPER feature_stream_kafka
		OPTIONS (brokers '127.0.0.1:1', registry 'http://$host:1');\nCALL feature_stream.import_schemas('local', 'x')");

	like($error, qr/link-local address/, "nor is $host");
	$node->safe_psql('postgres', 'DROP SERVER local');
}
for my $refused (qw(ftp://h http:// http://u:p@h http://h?x file:///etc), 'http://h x')
{
	my ($status, undef, $error) = $node->psql('postgres', "ALTER SERVER kafka OPTIONS (SET registry '$refused')");

	ok($status != 0 && $error =~ /invalid value for option "registry"/, "registry '$refused' is refused");
}
isnt($node->psql('postgres', q(ALTER SERVER kafka OPTIONS (ADD registry_password 'x'))), 0, 'a password is no option of the server');

# --- Over TLS, to whom the user mapping trusts.
my $secure = new_registry(user => 'streams:s3cret', tls => 1);
$secure->add('/schemas/ids/1', schema => click_schema('Click', qw(user_id item_id category)));
$secure->add('/schemas/ids/8', schema => click_schema('Click', qw(user_id item_id category)));
alter_server(sprintf(q(SET registry '%s', SET registry_timeout '5s'), $secure->url));
produce('clicks', [ 0, framed(8, click('secure', 'i', 'c')) ]);
wait_for_parked('cannot be asked: SSL');
is(scalar(() = $secure->requests), 0, 'a certificate that nobody vouches for is not believed');
$node->safe_psql('postgres', sprintf(q(ALTER USER MAPPING FOR postgres SERVER kafka OPTIONS (ADD registry_ca_pem '%s')), $secure->certificate));
wait_for_read($node, 'clicks', $read);
query_is($node, q(SELECT count(*) FROM feature_stream.read_event_log('clicks') WHERE event ->> 'user_id' IN ('last', 'secure')), 2, 'one that the mapping names is');

# --- A registry that hangs keeps nobody.
$registry->set_mode('slow');
alter_server(sprintf(q(SET registry '%s', SET registry_timeout '60s'), $registry->url));
produce('clicks', [ 0, framed(6, click('x', 'i', 'c')) ]);
add_schema(6, click_schema('Click', qw(user_id item_id category)));
wait_until('the registry to be asked', sub { asked('/schemas/ids/6') > 0 });
cmp_ok(seconds_of(sub { $node->stop('fast') }), '<', 8, 'a fast stop does not wait for it');
$registry->set_mode('ok');
$node->start;
wait_for_read($node, 'clicks', $read);
query_is($node, q(SELECT sum(read_count) = sum(accepted_count) + sum(dead_letter_count), sum(dead_letter_count) FROM feature_stream.partition_position
	WHERE stream = 'clicks'::regclass), "t|$bad_count", 'all that was read is accounted for');
query_is($node, q(SELECT count(*) FROM feature_stream.verify_feature_view('click_features') WHERE problem IS NOT NULL), 0, 'and features are right');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/TRAP:|terminated by signal|PANIC/, 'no process failed');
unlike($log, qr/s3cret(?!'\))/, 'no secret in the log');

done_testing();
