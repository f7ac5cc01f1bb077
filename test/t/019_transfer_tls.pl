
# import_schemas and publish_schema over TLS: to a registry whose certificate an
# authority has signed that the user mapping names, and to no other; and whatever it
# is that is refused, no secret goes out, into a message or into the log.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my %secrets = (user => 'streams:s3cret', tls => 'authority');
my $registry = new_registry(%secrets);
my $stranger = new_registry(%secrets);
my $misnamed = new_registry(%secrets, host => 'registry.example');
my $node = new_node('transfer_tls');
my $record = '{"type": "record", "name": "Click", "fields": [{"name": "user_id", "type": "string"}]}';

foreach my $one ($registry, $stranger, $misnamed)
{
	$one->answer('/subjects/clicks-value/versions', 200, [ 1 ]);
	$one->add('/config/clicks-value?defaultToGlobal=true', compatibilityLevel => 'FULL');
	$one->add('/subjects/clicks-value/versions/1?deleted=true', subject => 'clicks-value', version => 1, id => 11, schema => $record);
	$one->add('POST /subjects/own/versions', id => 12);
}

# What a call has to say.
sub says
{
	my ($call, $like, $name) = @_;
	my (undef, undef, $text) = $node->psql('postgres', "\\set VERBOSITY verbose\nCALL feature_stream.$call");

	like($text, $like, $name);
	unlike($text, qr/s3cret|BEGIN CERTIFICATE/, 'without a secret');
	return;
}

# Both procedures are refused, in the same words, by a registry that is not even asked.
sub is_refused
{
	my ($one, $why, $name) = @_;
	my $before = () = $one->requests;

	says(q(import_schemas('kafka', 'clicks-value')), qr/ERROR:  08006: could not list the versions of subject "clicks-value".*DETAIL:  The registry of server "kafka" cannot be asked: $why/s, "import: $name");
	says(q(publish_schema('kafka', 'own')), qr/ERROR:  08006: could not publish version 1 of subject "own".*DETAIL:  The registry of server "kafka" cannot be asked: $why/s, "publish: $name");
	is(scalar(() = $one->requests), $before, 'and is told nothing');
	return;
}
sub ask { my ($one) = @_; $node->safe_psql('postgres', sprintf(q(ALTER SERVER kafka OPTIONS (SET registry '%s')), $one->url)); return; }
sub trust { my ($verb, $pem) = @_; $node->safe_psql('postgres', "ALTER USER MAPPING FOR postgres SERVER kafka OPTIONS ($verb registry_ca_pem '$pem')"); return; }

$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'localhost:1', registry '%s', registry_timeout '30 s');
	CREATE USER MAPPING FOR postgres SERVER kafka OPTIONS (registry_username 'streams', registry_password 's3cret');
	SELECT feature_stream.register_schema('own', '"int"')), $registry->url));

my $untrusted = qr/SSL certificate problem: unable to get local issuer certificate/;
is_refused($registry, $untrusted, 'an authority that the system does not know');
trust('ADD', $stranger->authority);
is_refused($registry, $untrusted, 'one that is not the one that the mapping names');
query_is($node, q(SELECT count(*) FROM feature_stream.schema_registration), '0', 'nothing is noted');

trust('SET', $registry->authority);
says(q(import_schemas('kafka', 'clicks-value')), qr/subject "clicks-value": 1 version imported/, 'the one that it names is believed');
says(q(publish_schema('kafka', 'own')), qr/version 1 of subject "own" is schema 12 of the registry/, 'in both directions');
is(join(' ', map { "$_->[1] $_->[2]" } $registry->requests), join(' ', map { "$_ streams:s3cret" } '/subjects/clicks-value/versions', '/config/clicks-value?defaultToGlobal=true',
	'/subjects/clicks-value/versions/1?deleted=true', 'POST /subjects/own/versions'), 'who asks says who it is');
query_is($node, q(SELECT subject, version, id FROM feature_stream.schema_registration WHERE registry LIKE 'https://%' ORDER BY 1), "clicks-value|1|11\nown|1|12", 'and all of it is noted');

ask($stranger);
is_refused($stranger, $untrusted, 'another registry, by an authority of its own');
trust('SET', $registry->authority . $stranger->authority);
says(q(publish_schema('kafka', 'own')), qr/is schema 12 of the registry/, 'a mapping may name several');
ask($misnamed);
trust('SET', $misnamed->authority);
is_refused($misnamed, qr/SSL: no alternative certificate subject name matches target host name 'localhost'/, 'a certificate of another host');
ask($registry);
is_refused($registry, $untrusted, 'one that was believed before');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ s/^.*STATEMENT: .*(?:\n\t.*)*//mgr, qr/s3cret|TRAP:|PANIC/, 'no secret in the log');

done_testing();
