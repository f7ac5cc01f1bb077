
# Subjects from a schema registry and to one: what becomes of them, what the
# registry has against it, and that nobody is held up while it thinks.

use strict;
use warnings;

use FeatureStream;
use JSON::PP ();
use Test::More;
use Time::HiRes ();

my $registry = new_registry(user => 'streams:s3cret');
my $node = new_node('transfer');
my $json = JSON::PP->new->canonical;

# A record with these fields, which are strings.
sub record { my ($name, @fields) = @_; return $json->encode({ type => 'record', name => $name, fields => [ map { { name => $_, type => 'string' } } @fields ] }); }

# Version $version of a subject is schema $id.
sub add_version
{
	my ($subject, $version, $id, $schema, %more) = @_;

	$registry->add("/subjects/$subject/versions/$version?deleted=true", subject => $subject, version => $version, id => $id, schema => $schema, %more);
	return;
}

# Which versions a subject has.
sub set_versions
{
	my ($subject, $level, @versions) = @_;

	$registry->answer("/subjects/$subject/versions", 200, \@versions);
	$registry->add("/config/$subject?defaultToGlobal=true", compatibilityLevel => $level);
	return;
}

# What a command has to say.
sub says
{
	my ($sql, $like, $name) = @_;
	my (undef, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	like($stderr, $like, $name);
	unlike($stderr, qr/s3cret/, 'without a secret');
	return;
}

# What it is asked meanwhile.
sub asked
{
	my ($sql) = @_;
	my $before = $registry->requests;

	$node->safe_psql('postgres', $sql);
	my @requests = $registry->requests;
	return join(' ', map { $_->[1] } @requests[ $before .. $#requests ]);
}

$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'localhost:1', registry '%s/', registry_timeout '1 s');
	CREATE USER MAPPING FOR postgres SERVER kafka OPTIONS (registry_username 'streams', registry_password 's3cret');
	CREATE SERVER bare FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'localhost:1');
	CREATE ROLE definer; CREATE ROLE stranger;
	SELECT feature_stream.grant_access('definer'), feature_stream.grant_access('stranger')), $registry->url));

# --- Importing: versions with their numbers, and with what they refer to.
my $user = record('shop.User', 'id');
my $visit = '{"type": "record", "name": "shop.Visit", "fields": [{"name": "visitor", "type": "shop.User"}]}';
set_versions('clicks-value', 'FULL', 1, 3);
add_version('clicks-value', 1, 11, record('Click', 'a'));
add_version('clicks-value', 3, 13, $json->encode({ %{ $json->decode(record('Click', 'a')) }, doc => 'said otherwise' }));
set_versions('visits-value', 'NONE', 1);
add_version('visits-value', 1, 21, $visit, references => [ { name => 'shop.User', subject => 'us/er', version => 2 } ]);
add_version('us%2Fer', 2, 20, $user);
says(q(CALL feature_stream.import_schemas('kafka', 'clicks-value', 'visits-value')),
	qr/subject "clicks-value": 2 versions imported, 0 known, compatibility FULL.*subject "visits-value": 1 version imported, 0 known, compatibility NONE/s, 'two subjects');
query_is($node, 'SELECT subject, compatibility, owner FROM feature_stream.schema_subject ORDER BY 1', "clicks-value|FULL|postgres\nvisits-value|NONE|postgres", 'subjects are the caller\'s');
query_is($node, q(SELECT subject, version, registered_by, array_length(referenced, 1), refers_to FROM feature_stream.schema_version ORDER BY 1, 2),
	"clicks-value|1|postgres||\nclicks-value|3|postgres||\nvisits-value|1|postgres|1|" . '[{"name": "shop.User", "subject": "us/er", "version": 2}]', 'versions have the numbers of the registry');
query_is($node, 'SELECT subject, version, id FROM feature_stream.schema_registration ORDER BY id', "clicks-value|1|11\nclicks-value|3|13\nvisits-value|1|21", 'and their schemas its numbers');
query_is($node, 'SELECT id, schema_type, referenced FROM feature_stream.registry_schema ORDER BY id', "11|AVRO|{}\n13|AVRO|{}\n21|AVRO|" . '{"' . ($user =~ s/"/\\"/gr) . '"}', 'which records may name at once');
query_is($node, q(SELECT count(*) FROM feature_stream.check_schema('visits-value', '{"type": "record", "name": "shop.Visit", "fields": []}')), 0, 'a schema is judged by one that refers to others');
query_is($node, sprintf(q(SELECT feature_stream.register_schema('clicks-value', '%s')), record('Click', 'a')), 3, 'what two versions have, the newer one has');

# --- Streams of them, also where a schema refers to others.
my $timed = '{"type": "record", "name": "shop.Timed", "fields": [{"name": "visitor", "type": ["null", "shop.User"], "default": null}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}';
set_versions('timed-value', 'NONE', 1);
add_version('timed-value', 1, 22, $timed, references => [ { name => 'shop.User', subject => 'us/er', version => 2 } ]);
$node->safe_psql('postgres', q(CALL feature_stream.import_schemas('kafka', 'timed-value'); IMPORT FOREIGN SCHEMA "timed-value" FROM SERVER kafka INTO public));
query_is($node, q(SELECT attname, format_type(atttypid, -1), attnotnull, attfdwoptions FROM pg_attribute WHERE attrelid = 'timed'::regclass AND attnum > 0 ORDER BY attnum),
	"visitor_id|text|f|{field=visitor.id}\nat|timestamp with time zone|t|", 'a stream has the fields of what its schema refers to');
says(q(IMPORT FOREIGN SCHEMA "timed-value" FROM SERVER bare INTO public), qr/0A000: .*refers to others, so its records need a registry/, 'which needs a registry');

is(asked(q(CALL feature_stream.import_schemas('kafka', 'clicks-value'))), '/subjects/clicks-value/versions /config/clicks-value?defaultToGlobal=true', 'what is here is not asked for again');
set_versions('clicks-value', 'BACKWARD_TRANSITIVE', 1, 3, 4);
add_version('clicks-value', 4, 14, record('Click', 'a', 'b'));
says(q(CALL feature_stream.import_schemas('kafka', 'clicks-value')), qr/1 version imported, 2 known, compatibility BACKWARD_TRANSITIVE/, 'what is new is');

# --- What is refused, and leaves nothing behind.
my $before = $node->safe_psql('postgres', 'SELECT * FROM feature_stream.schema_subject s JOIN feature_stream.schema_version USING (subject) ORDER BY 1, version');
says(q(BEGIN; CALL feature_stream.import_schemas('kafka', 'clicks-value')), qr/25001: .*within a transaction/, 'not within a transaction');
says(q(DO $$ BEGIN BEGIN CALL feature_stream.import_schemas('kafka', 'clicks-value'); EXCEPTION WHEN division_by_zero THEN NULL; END; END $$), qr/ERROR: .*transaction/, 'nor where errors are caught');
says(q(CALL feature_stream.import_schemas('bare', 'x')), qr/55000: .*server "bare" has no schema registry/, 'a server without a registry');
says(q(CALL feature_stream.import_schemas('nothing', 'x')), qr/42704: .*server "nothing" does not exist/, 'no server');
says(q(CALL feature_stream.import_schemas('kafka', NULL)), qr/22004/, 'no subject');
$registry->answer('/subjects/nothing/versions', 404, { error_code => 40401, message => 'Subject not found' });
says(q(CALL feature_stream.import_schemas('kafka', 'clicks-value', 'nothing')), qr/42704: could not list the versions of subject "nothing".*server "kafka" does not know it. It says: Subject not found/s, 'a subject that is not there');
set_versions('proto', 'FULL', 1);
add_version('proto', 1, 31, 'syntax', schemaType => 'PROTOBUF');
says(q(CALL feature_stream.import_schemas('kafka', 'proto')), qr/0A000: .*version 1 of subject "proto" is of type PROTOBUF/, 'another format');
set_versions('broken', 'FULL', 1);
add_version('broken', 1, 32, '{"type": "nothing"}');
says(q(CALL feature_stream.import_schemas('kafka', 'broken')), qr/22023: .*version 1 of subject "broken" in the registry is not an Avro schema/, 'no schema');
set_versions('dangling', 'FULL', 1);
add_version('dangling', 1, 33, $visit, references => [ { name => 'x', subject => 'gone', version => 7 } ]);
$registry->answer('/subjects/gone/versions/7?deleted=true', 404, { error_code => 40401, message => 'x' });
says(q(CALL feature_stream.import_schemas('kafka', 'dangling')), qr/42704: .*the schema refers to version 7 of subject "gone", which the registry does not know/s, 'a reference to nothing');
set_versions('large', 'FULL', 1);
add_version('large', 1, 35, '"string"', references => [ map { { name => "n$_", subject => "s$_", version => 1 } } 1 .. 257 ]);
says(q(CALL feature_stream.import_schemas('kafka', 'large')), qr/54000: could not read version 1 of subject "large".*the schema refers to too many others/s, 'too many references');
$node->safe_psql('postgres', q(SET ROLE definer; SELECT feature_stream.register_schema('own', '"int"')));
set_versions('own', 'FULL', 1);
add_version('own', 1, 34, '"long"');
says(q(CALL feature_stream.import_schemas('kafka', 'own')), qr/55000: .*version 1 of subject "own" is not the schema that the registry has/, 'another schema of the same number');
my %complaints = (error => 'answers with status 500 \(error code 50001\). It says: no storage', slow => 'does not answer in time', huge => 'answers at too great a length',
	redirect => 'sends us elsewhere', malformed => 'answers without versions|answers with what is no JSON', lost => 'answers with status 404 \(error code 404\)');
for my $mode (sort keys %complaints)
{
	$registry->set_mode($mode);
	says(q(CALL feature_stream.import_schemas('kafka', 'clicks-value')), qr/08006: .*The registry of server "kafka" (?:$complaints{$mode})/s, "a registry that is $mode");
}
is(scalar(grep { $_->[1] eq '/elsewhere' } $registry->requests), 0, 'a redirect is not followed');

# --- A registry that takes its time holds up nobody.
$registry->set_mode('slow');
$node->safe_psql('postgres', "ALTER SERVER kafka OPTIONS (SET registry_timeout '60 s')");
my $session = new_session($node, 'postgres');
my $pid = $session->pid;
$session->send(q(CALL feature_stream.import_schemas('kafka', 'clicks-value')));
$node->poll_query_until('postgres', "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = $pid") or die 'it does not wait';
query_is($node, "SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype <> 'virtualxid'", 0, 'no lock is held');
query_is($node, "SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = $pid", 't', 'no snapshot either');
my $begun = Time::HiRes::time();
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$session->finish;
cmp_ok(Time::HiRes::time() - $begun, '<', 20, 'a call is cancelled at once');
$registry->set_mode('ok');
is($session->run('SELECT 1'), '1', 'and the session goes on');
like($session->errors, qr/canceling statement due to user request/, 'which was told why');
$session->close;
$node->safe_psql('postgres', "ALTER SERVER kafka OPTIONS (SET registry_timeout '5 s')");
is($node->safe_psql('postgres', 'SELECT * FROM feature_stream.schema_subject s JOIN feature_stream.schema_version USING (subject) WHERE subject <> $$own$$ ORDER BY 1, version'), $before, 'nothing came of all that');

# --- Who may.
says(q(SET ROLE definer; CALL feature_stream.import_schemas('kafka', 'x')), qr/42501: .*foreign server kafka/, 'not without USAGE');
$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER kafka TO definer, stranger');
says(q(SET ROLE definer; CALL feature_stream.import_schemas('kafka', 'clicks-value')), qr/42501: .*must be owner of subject "clicks-value"/, 'not into the subject of another role');
set_versions('theirs', 'FULL', 1);
add_version('theirs', 1, 41, '"int"');
says(q(SET ROLE definer; CALL feature_stream.import_schemas('kafka', 'theirs')), qr/08006: .*status 401 \(error code 40101\). It says: who are you/s, 'by a mapping of its own, if any');
$node->safe_psql('postgres', q(CREATE USER MAPPING FOR definer SERVER kafka OPTIONS (registry_username 'streams', registry_password 's3cret');
	SET ROLE definer; CALL feature_stream.import_schemas('kafka', 'theirs')));
query_is($node, q(SELECT owner FROM feature_stream.schema_subject WHERE subject = 'theirs'), 'definer', 'who may, has it');
$node->safe_psql('postgres', "ALTER SERVER bare OPTIONS (ADD registry 'http://169.254.169.254/latest')");
says(q(CALL feature_stream.import_schemas('bare', 'x')), qr/08006: .*has a link-local address, which is not allowed/s, 'no address of the local link');

# --- Publishing.
sub sent { my @requests = $registry->requests; return $json->decode($json->allow_nonref->decode($requests[-1][3])); }
$registry->add('POST /subjects/own/versions', id => 51);
says(q(CALL feature_stream.publish_schema('kafka', 'own')), qr/NOTICE: .*version 1 of subject "own" is schema 51/, 'a superuser may');
says(q(SET ROLE definer; CALL feature_stream.publish_schema('kafka', 'own')), qr/version 1 of subject "own" is schema 51 of the registry/, 'and so may its owner, again');
is_deeply(sent(), { schema => '"int"' }, 'the schema is sent as it was given');
query_is($node, q(SELECT version, r.id, schema FROM feature_stream.schema_registration r JOIN feature_stream.registry_schema s USING (registry)
	WHERE subject = 'own' AND s.id = r.id::text), '1|51|"int"', 'and is known from then on');
says(q(SET ROLE stranger; CALL feature_stream.publish_schema('kafka', 'own')), qr/42501: .*must be owner of subject "own"/, 'others may not');
$node->safe_psql('postgres', q(SELECT feature_stream.register_schema('own', '"int"', 'FULL_TRANSITIVE'); SELECT feature_stream.register_schema('own', '{"type": "int", "logicalType": "date"}')));
$registry->add('PUT /config/own', compatibility => 'FULL_TRANSITIVE');
is(asked(q(CALL feature_stream.publish_schema('kafka', 'own', compatibility => true))), 'PUT /config/own POST /subjects/own/versions', 'the compatibility goes first');
is_deeply(sent(), { schema => '{"type": "int", "logicalType": "date"}' }, 'the newest version is what is published');
is(asked(q(CALL feature_stream.publish_schema('kafka', 'own', 1))), 'POST /subjects/own/versions', 'or the one that is named');
is_deeply(sent(), { schema => '"int"' }, 'which is sent');
$registry->add('POST /subjects/visits-value/versions', id => 21);
$node->safe_psql('postgres', q(CALL feature_stream.publish_schema('kafka', 'visits-value')));
is_deeply(sent(), { schema => $visit, references => [ { name => 'shop.User', subject => 'us/er', version => 2 } ] }, 'with its references');
$registry->answer('POST /subjects/own/versions', 409, { error_code => 409, message => "incompatible: [{errorType:'TYPE_MISMATCH'}]" });
says(q(CALL feature_stream.publish_schema('kafka', 'own')), qr/42P17: could not publish version 2 of subject "own".*answers with status 409 \(error code 409\). It says: incompatible: \[\{errorType:'TYPE_MISMATCH'\}\]/s, 'the registry finds it incompatible');
$registry->answer('POST /subjects/own/versions', 422, { error_code => 42201, message => 'Invalid schema' });
says(q(CALL feature_stream.publish_schema('kafka', 'own')), qr/22023: .*status 422 \(error code 42201\). It says: Invalid schema/s, 'or invalid');
says(q(CALL feature_stream.publish_schema('kafka', 'own', 7)), qr/42704: .*subject "own" has no version 7/, 'no version');
says(q(CALL feature_stream.publish_schema('kafka', 'nothing')), qr/42704: .*subject "nothing" does not exist/, 'no subject');
says(q(BEGIN; CALL feature_stream.publish_schema('kafka', 'own')), qr/25001/, 'not within a transaction');
$registry->kill9;
says(q(CALL feature_stream.publish_schema('kafka', 'own')), qr/08006: .*cannot be asked/s, 'no registry');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/TRAP:|terminated by signal|PANIC/, 'the log knows of no crash');

done_testing();
