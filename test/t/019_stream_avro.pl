
# INSERT and COPY into streams of Avro: what is inserted is what is read, by us, by
# the stream's worker and by another reader of Avro; and what the schema does not
# hold is an error that says so.

use strict;
use warnings;

use FeatureStream;
use Cwd ();
use IPC::Run ();
use JSON::PP ();
use Test::More;

my $kafka = new_kafka();
my $registry = new_registry(user => 'streams:s3cret');
my $node = new_node('stream_avro');
my $json = JSON::PP->new->canonical;
my $reader = Cwd::abs_path('lib/avro_read.py');

# The records of a topic as fastavro reads them, sorted.
sub read_by_fastavro
{
	my ($topic, $schema, $header) = @_;
	my $in = join('', map { unpack('H*', $_->{value}) . "\n" } $kafka->records($topic));
	my ($out, $err) = ('', '');
	local $ENV{PYTHONPATH} = $ENV{FS_PYTHON_LIBRARY} // '';
	local $ENV{PYTHONIOENCODING} = 'utf-8';

	IPC::Run::run([ '/usr/bin/python3', $reader, $schema, $header ], '<', \$in, '>', \$out, '2>', \$err) or die $err;
	return join("\n", sort split /\n/, $out);
}

# SQLSTATE, message, detail and hint of a refusal, on one line.
sub refusal
{
	my (undef, undef, $text) = $node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]");

	unlike($text, qr/s3cret/, 'no secret in a message');
	$text =~ s/^psql:<stdin>:\d+: //mg;
	$text =~ s/\n(?:LOCATION|CONTEXT).*//s;
	return $text =~ s/\s*\n/ /gr;
}

$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s');
	CREATE SERVER named FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%1$s', registry '%s', registry_timeout '5 s');
	CREATE USER MAPPING FOR postgres SERVER named OPTIONS (registry_username 'streams', registry_password 's3cret')),
	$kafka->brokers, $registry->url));

# --- By the stream's own schema: every type that a column can be of.
my $schema = $json->encode({ type => 'record', name => 'shop.Order', fields => [
	{ name => 'version', type => 'int', default => 7 },
	{ name => 'user', type => { type => 'record', name => 'User', fields => [
		{ name => 'id', type => 'string' },
		{ name => 'address', type => [ 'null', { type => 'record', name => 'Address', fields => [
			{ name => 'city', type => [ 'null', 'string' ] }, { name => 'country', type => 'string', default => 'IN' } ] } ] } ] } },
	{ name => 'price', type => [ 'null', { type => 'bytes', logicalType => 'decimal', precision => 40, scale => 2 } ], default => undef },
	{ name => 'fee', type => { type => 'fixed', name => 'Fee', size => 4, logicalType => 'decimal', precision => 9, scale => 3 } },
	{ name => 'amount', type => 'double' }, { name => 'small', type => 'float' }, { name => 'n', type => [ 'long', 'null' ] },
	{ name => 'few', type => 'int' }, { name => 'good', type => 'boolean' },
	{ name => 'kind', type => [ 'null', { type => 'enum', name => 'Kind', symbols => [ 'web', 'app' ] }, 'string' ] },
	{ name => 'tags', type => { type => 'array', items => [ 'null', 'string' ] } },
	{ name => 'days', type => [ 'null', { type => 'array', items => { type => 'int', logicalType => 'date' } } ] },
	{ name => 'unread', type => [ 'string', 'null' ] },
	{ name => 'doc', type => [ 'null', { type => 'map', values => [ 'null', 'double', 'string', { type => 'array', items => 'long' }, 'Address' ] } ] },
	{ name => 'id', type => { type => 'string', logicalType => 'uuid' } },
	{ name => 'other', type => { type => 'fixed', name => 'Sixteen', size => 16 } },
	{ name => 'day', type => { type => 'int', logicalType => 'date' } },
	{ name => 'opens', type => { type => 'int', logicalType => 'time-millis' } },
	{ name => 'raw', type => 'bytes' },
	{ name => 'at', type => { type => 'long', logicalType => 'timestamp-micros' } },
	{ name => 'seen', type => { type => 'long', logicalType => 'timestamp-millis' } },
	{ name => 'counted', type => 'long' },
	{ name => 'told', type => [ 'null', 'string' ] } ] });
$kafka->create_topic('orders', 2);
$node->safe_psql('postgres', qq(
	CREATE FOREIGN TABLE orders (
		user_id text OPTIONS (field 'user.id') NOT NULL CHECK (user_id <> 'nobody'), city text OPTIONS (field 'user.address.city'), price numeric CHECK (price > 0),
		fee numeric, amount double precision, small real, n bigint, few smallint, good boolean, kind text, tags text[], days date[], doc jsonb,
		id uuid, other uuid, day date, opens text, raw text, at timestamptz NOT NULL, seen timestamptz, counted timestamptz OPTIONS (unit 's'), told timestamptz)
		SERVER kafka OPTIONS (topic 'orders', format 'avro', schema '$schema', event_time 'at', start 'earliest', key 'user_id', idle_after '1 s', watermark_delay '1 s');
	SELECT feature_stream.create_feature_view('spent', 'SELECT user_id, sum(price) AS price, count(*) AS n, max(city) AS city FROM orders GROUP BY user_id', '{1 h}', '1 min')));
my $columns = 'user_id, city, price, fee, amount, small, n, few, good, kind, tags, days, doc, id, other, day, opens, raw, at, seen, counted, told';
$node->safe_psql('postgres', q(CREATE TABLE rows AS SELECT 'u' || i % 5 AS user_id, CASE WHEN i % 3 = 0 THEN E'Pun\u00e9 "' || i END AS city,
	CASE WHEN i % 7 > 0 THEN (i * 12345678901234567890.25)::numeric(40,2) END AS price, (100.000 - i)::numeric(9,3) AS fee, i / 3.0::float8 AS amount, (i / 7.0)::real AS small,
	CASE WHEN i % 3 = 0 THEN 9007199254740993 - i END AS n, (i - 300)::smallint AS few, i % 2 = 0 AS good,
	(ARRAY['web', 'app', 'neither', NULL])[1 + i % 4] AS kind, ARRAY[NULL, 'a,b', ''] AS tags,
	(ARRAY['{}', NULL, '{1969-12-31,2024-02-29}'])[1 + i % 3]::date[] AS days, CASE WHEN i % 2 = 0 THEN jsonb_build_object('n', null, 'd', 0.5, 's', 'x', 'l', '[1, -2]'::jsonb,
	'a', '{"city": null, "country": "DE"}'::jsonb) END AS doc, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid AS id, md5(i::text)::uuid AS other,
	'2024-02-29'::date - i * 100 AS day, '12:34:56.' || (100 + i) AS opens, E'r\u00e9' || i AS raw, date_trunc('milliseconds', now()) - (800 - i) * interval '0.25 s' AS at,
	'1969-12-31 23:59:59.999+00'::timestamptz - i * interval '1 ms' AS seen, '2024-03-01 12:34:56+02'::timestamptz AS counted, '2024-03-01 12:34:56.789012+02'::timestamptz AS told
	FROM generate_series(1, 800) i));
$node->safe_psql('postgres', "SET TimeZone = 'Asia/Kolkata'; SET extra_float_digits = -5; SET DateStyle = 'German'; SET lc_numeric = 'C'; INSERT INTO orders ($columns) SELECT $columns FROM rows");
is(rows_differ($node, "SELECT $columns FROM orders", "SELECT $columns FROM rows"), '', 'what was inserted is what is read');
my $read = read_by_fastavro('orders', $schema, 0);
is(scalar(split(/\n/, $read)), 800, 'another reader reads them all');
$node->safe_psql('postgres', 'CREATE TABLE got (r jsonb)');
$node->safe_psql('postgres', "COPY got FROM stdin;\n" . join("\n", map { s/\\/\\\\/gr } split /\n/, $read) . "\n\\.\n");
is(rows_differ($node, q(SELECT r FROM got), q(SELECT jsonb_build_object(
	'version', 7, 'user', jsonb_build_object('id', user_id, 'address', CASE WHEN city IS NOT NULL THEN jsonb_build_object('city', city, 'country', 'IN') END),
	'price', price::text, 'fee', fee::text, 'amount', amount, 'small', small::float8, 'n', n, 'few', few, 'good', good, 'kind', kind, 'tags', tags, 'unread', null,
	'days', days, 'doc', doc, 'id', id, 'other', replace(other::text, '-', ''), 'day', day, 'opens', opens || '000', 'raw', encode(convert_to(raw, 'UTF8'), 'hex'),
	'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || CASE WHEN extract(microseconds FROM at)::int % 1000000 > 0 THEN to_char(at, '.US') ELSE '' END || '+00:00',
	'seen', to_char(seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || CASE WHEN extract(microseconds FROM seen)::int % 1000000 > 0 THEN to_char(seen, '.US') ELSE '' END || '+00:00',
	'counted', extract(epoch FROM counted)::bigint, 'told', '2024-03-01T10:34:56.789012Z') FROM rows)), '', 'and finds in them what was inserted');
query_becomes($node, 'SELECT sum(n_1h) FROM spent_live', '800', 'the features have it');
query_is($node, 'SELECT sum(price_1h) = (SELECT sum(price) FROM rows) FROM spent_live', 't', 'exactly');
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter WHERE stream = 'orders'::regclass), '0', 'nothing of it is a dead letter');
query_is($node, 'SELECT count(*) FROM feature_stream.verify_feature_view($$spent$$) WHERE problem IS NOT NULL', '0', 'and they are right');

# --- COPY; what a column's unit does not hold is cut; rolled back is not sent.
$node->safe_psql('postgres', "COPY orders (user_id, fee, amount, small, few, good, tags, id, other, day, opens, raw, at, seen, counted) FROM stdin;\n" .
	"c1\t1\t2\t3\t4\tt\t{}\t6ba7b810-9dad-11d1-80b4-00c04fd430c8\t6ba7b810-9dad-11d1-80b4-00c04fd430c8\t2024-01-01\t10:00\t\t2024-01-01 00:00:00.123456+00\t1969-12-31 23:59:59.9999+00\t1969-12-31 23:59:59.5+00\n\\.\n");
query_is($node, q(SELECT opens, extract(epoch FROM at), extract(epoch FROM seen), extract(epoch FROM counted) FROM orders WHERE user_id = 'c1'),
	'10:00:00.000|1704067200.123456|-0.001000|-1.000000', 'COPY appends; times are cut to the unit of the schema, toward the past');
my %row = (user_id => q('x'), fee => 1, amount => 2, small => 3, few => 4, good => 'true', tags => q('{}'), id => q('6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
	other => q('6ba7b810-9dad-11d1-80b4-00c04fd430c8'), day => q('2024-01-01'), opens => q('10:00'), raw => q(''), at => 'now()', seen => 'now()', counted => 'now()');
sub insert { my %r = (%row, @_); my @names = sort keys %r; return 'INSERT INTO orders (' . join(', ', @names) . ') VALUES (' . join(', ', @r{@names}) . ')'; }
$node->safe_psql('postgres', 'BEGIN; ' . insert() . '; ROLLBACK');

# --- What the schema does not hold is an error, and nothing is sent.
sub is_refused { my ($what, $like, %with) = @_; like(refusal(insert(%with)), qr/^ERROR:  $like/, $what); return; }
is_refused('a decimal of too many places', q(22023: cannot write a record of stream public\.orders by its schema DETAIL:  Column "price": field "price" is bytes [(]decimal[)], which does not hold 0[.]001), price => '0.001');
is_refused('a decimal of too many digits', q(22023: .*does not hold), fee => '999999.999', price => '1e38');
is_refused('NULL where the schema has none', q(23502: .*Column "amount": field "amount" is double, which is never null), amount => 'NULL');
is_refused('NOT NULL of the stream', q(23502: .*field "user\.id"), user_id => 'NULL');
is_refused('a CHECK', q(23514: .*check constraint "orders_price_check" is violated), price => '-1');
is_refused('a number that no float is', q(22023: .*"amount" is double, which does not hold nan), amount => q('NaN'));
is_refused('no time of day', q(22023: .*"opens" is int [(]time-millis[)], which does not hold 25:00), opens => q('25:00'));
is_refused('infinity', q(22023: .*"at" is long [(]timestamp-micros[)], which does not hold the value), at => q('infinity'));
is_refused('arrays of arrays', q(22023: column "tags"), tags => q('{{a},{b}}'));
is_refused('JSON that is no such map', q(22023: .*"doc" has map, which does not hold this array), doc => q('[1]'));
is_refused('JSON with what a record has not', q(22023: .*Column "doc"), doc => q('{"a": {"city": null, "town": "x"}}'));
query_is($node, q(SELECT count(*) FROM orders WHERE user_id = 'x'), '0', 'none of it is sent');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE unfilled (a text OPTIONS (field 'r.a'), at timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'orders', format 'avro', event_time 'at',
		schema '{"type": "record", "name": "R", "fields": [{"name": "r", "type": {"type": "record", "name": "S", "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]}},
			{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}');
	CREATE FOREIGN TABLE parts (r jsonb, a text OPTIONS (field 'r.a'), at timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'orders', format 'avro', event_time 'at',
		schema '{"type": "record", "name": "R", "fields": [{"name": "r", "type": {"type": "record", "name": "S", "fields": [{"name": "a", "type": "string"}]}},
			{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}')));
like(refusal(q(INSERT INTO unfilled VALUES ('a', now()))), qr/55000: .*DETAIL:  What is wrong: field "r\.b" has no value, no default, and is never null\. HINT:  Declare a column/, 'a field that nothing fills');
like(refusal(q(INSERT INTO parts VALUES ('{"a": "x"}', 'x', now()))), qr/42804: .*field "r" is read by several columns, or in parts/, 'columns that overlap');

# --- By the newest schema that the registry is known to have, whose number stands before the record.
$kafka->create_topic('named', 1);
$node->safe_psql('postgres', q(CREATE FOREIGN TABLE named (user_id text NOT NULL, n bigint, device text DEFAULT 'web', at timestamptz NOT NULL, off bigint OPTIONS (field '$offset'))
	SERVER named OPTIONS (topic 'named', format 'avro', event_time 'at', start 'earliest', idle_after '1 s')));
sub named { return $json->encode({ type => 'record', name => 'Named', fields => [ { name => 'user_id', type => 'string' }, { name => 'n', type => [ 'null', 'long' ], default => undef }, @_,
	{ name => 'at', type => { type => 'long', logicalType => 'timestamp-millis' } } ] }); }
my $unknown = qr/^ERROR:  55000: cannot write to stream public\.named DETAIL:  No version of subject "named-value" is known to be a schema of its registry\. HINT:  CALL feature_stream\.import_schemas\('named', 'named-value'\) .*publish_schema\('named', 'named-value'\)/;
like(refusal(q(INSERT INTO named VALUES ('a', 1, 'web', now()))), $unknown, 'a subject that nobody knows');
$node->safe_psql('postgres', sprintf(q(SELECT feature_stream.register_schema('named-value', '%s')), named()));
like(refusal(q(INSERT INTO named VALUES ('a', 1, 'web', now()))), $unknown, 'or that is not published');
$registry->add('POST /subjects/named-value/versions', id => 70_001);
$node->safe_psql('postgres', q(CALL feature_stream.publish_schema('named', 'named-value')));
$node->safe_psql('postgres', q(INSERT INTO named SELECT 'u' || i, nullif(i, 2), 'web', '2024-01-01 00:00:00.5+00' FROM generate_series(1, 3) i));
query_is($node, 'SELECT user_id, n, device, extract(epoch FROM at) FROM named ORDER BY off', "u1|1|web|1704067200.500000\nu2||web|1704067200.500000\nu3|3|web|1704067200.500000", 'one that is published is what is written');
is(join(' ', map { unpack('H10', $_->{value}) } $kafka->records('named')), '0000011171 ' x 2 . '0000011171', 'with its number before the record');
is(read_by_fastavro('named', named(), 5), join("\n", map { sprintf '{"at": "2024-01-01 00:00:00.500000+00:00", "n": %s, "user_id": "u%d"}', $_ == 2 ? 'null' : $_, $_ } 1, 3, 2), 'another reader reads them');
like(refusal(q(INSERT INTO named VALUES ('a', 1, 'app', now()))), qr/^ERROR:  0A000: cannot insert this value into column "device" of stream public\.named DETAIL:  The schema that records are written with has no field "device"\./, 'a column that the schema has not keeps its default');
$node->safe_psql('postgres', sprintf(q(SELECT feature_stream.register_schema('named-value', '%s')), named({ name => 'device', type => 'string', default => 'tv' })));
like(refusal(q(INSERT INTO named VALUES ('a', 1, 'app', now()))), qr/^ERROR:  0A000:/, 'until a version that has it is published');
$registry->add('POST /subjects/named-value/versions', id => 70_002);
$node->safe_psql('postgres', q(CALL feature_stream.publish_schema('named', 'named-value'); INSERT INTO named VALUES ('u4', 4, 'app', '2024-01-01 00:00:01+00')));
query_is($node, q(SELECT user_id, device FROM named WHERE off >= 3), 'u4|app', 'then that is written');
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('devices', 'SELECT user_id, count(*) AS n, max(device) AS device FROM named GROUP BY user_id', '{1 h}', '1 min')));
query_becomes($node, q(SELECT sum(read_count), sum(dead_letter_count) FROM feature_stream.partition_position WHERE stream = 'named'::regclass), '4|0', 'and the worker reads all of it, asking no registry');
is(scalar(grep { $_->[1] =~ m{/schemas/ids} } $registry->requests), 0, 'which has not been asked');

# --- By way of a reader's schema: other names, other types.
$node->safe_psql('postgres', sprintf(q(CREATE FOREIGN TABLE resolved (who text, n double precision, gone text DEFAULT 'nothing', at timestamptz NOT NULL, off bigint OPTIONS (field '$offset')) SERVER named OPTIONS (topic 'named', format 'avro',
	event_time 'at', start 'earliest', reader_schema '%s')), $json->encode({ type => 'record', name => 'Named', fields => [ { name => 'who', type => 'string', aliases => [ 'user_id' ] }, { name => 'n', type => [ 'null', 'double' ], default => undef },
	{ name => 'gone', type => 'string', default => 'nothing' }, { name => 'at', type => { type => 'long', logicalType => 'timestamp-millis' } } ] })));
$node->safe_psql('postgres', q(INSERT INTO resolved (who, n, at) VALUES ('u5', 5, '2024-01-01 00:00:02+00')));
query_is($node, q(SELECT user_id, n, device FROM named WHERE off >= 4), 'u5|5|tv', 'fields by their aliases, and defaults for those that no column reads');
like(refusal(q(INSERT INTO resolved (who, n, at) VALUES ('u6', 5.5, now()))), qr/^ERROR:  22023: .*Column "n": .*does not hold 5\.5/, 'what the written type does not hold');
like(refusal(q(INSERT INTO resolved (who, gone, at) VALUES ('u6', 'something', now()))), qr/^ERROR:  0A000: .*column "gone"/, 'what only the reader has');
query_is($node, q(SELECT count(*) FROM named), '5', 'none of it is sent');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC|s3cret(?!'\))/, 'no process failed, and the log has no secret');

done_testing();
