# A lake in an object store that verifies signatures: what goes wrong is said
# without secrets, and in the end the lake has the history, once.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Lake;
use FeatureStream::Outbox;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no object store: test/setup builds one where there is Go' unless defined FeatureStream::ObjectStore::program();

my $store = new_object_store();
my $node = new_node('lake_s3');

create_lake($node, 's3://features/ware/house', endpoint => $store->endpoint, request_timeout => '2 s');
create_outbox_stream($node, 'user_id text NOT NULL, price float8');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('sessions', 'SELECT user_id, count(*) AS n, sum(price) AS spent FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min', offline => 'lake', offline_table => 'features.sessions', offline_interval => '1 s')));

my $minute = 0;

# Events of some minutes, fired.
sub go_on
{
	$node->safe_psql('postgres', qq(
		INSERT INTO outbox (at, v)
		SELECT at + interval '1 s', jsonb_build_object('user_id', 'u' || i % 7, 'price', i / 8.0, 'clicked_at', at)
		  FROM (SELECT i, '2024-01-15 22:00:00+00'::timestamptz + ($minute + 5 * i / 100.0) * interval '1 min' AS at FROM generate_series(0, 99) i) s));
	$minute += 5;
	hold_clock($node, "(timestamptz '2024-01-15 22:00:40+00' + $minute * interval '1 min')");
	wait_for_fired($node, "timestamptz '2024-01-15 21:59+00' + $minute * interval '1 min'");
	return;
}

sub fails_with
{
	my ($pattern, $name) = @_;
	my $error = '';

	wait_until($name, sub { ($error = answer_of($node, 'SELECT last_error FROM feature_stream.stat_offline') // '') =~ $pattern });
	note($error);
	return pass($name);
}

sub is_whole
{
	my ($name) = @_;
	my $out;

	wait_for_export($node, 'sessions');
	$out = lake_py($node, 'compare', 'features.sessions', 'sessions_history', 's3.endpoint=' . $store->endpoint,
		's3.access-key-id=lakekey', 's3.secret-access-key=lakesecret', 's3.region=us-east-1');
	note($out);
	return like($out, qr/^lake=(\d+) history=\1 missing=0 extra=0/, $name);
}

# The owner of the view has a mapping with these keys.
sub use_keys
{
	my ($key, $secret) = @_;

	$node->safe_psql('postgres', qq(DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER lake;
		CREATE USER MAPPING FOR CURRENT_USER SERVER lake OPTIONS (access_key_id '$key', secret_access_key '$secret')));
	return;
}

go_on();
fails_with(qr/^there are no keys for server "lake"/, 'without keys the error says so');
use_keys('lakekey', 'wrongsecret');
fails_with(qr/^could not put "s3:.*": the object store answers 403 SignatureDoesNotMatch$/, 'a wrong secret is told');
use_keys('nobodyskey', 'lakesecret');
fails_with(qr/^could not put "s3:.*": the object store answers 40\d (?!Signature)\w+$/, 'a wrong key is told');
use_keys('lakekey', 'lakesecret');
is_whole('with the right keys the lake has the history');

$store->break_next(qw(503 cut 500 503));
go_on();
is_whole('after refusals and a cut connection, too');
is($store->orders, 0, 'which there were');

$store->break_next(qw(lost lost lost));
go_on();
is_whole('and after answers that were lost');
is($store->orders, 0, 'which there were');

$store->break_next(map { 'cut' } 1 .. 8);
go_on();
is_whole('and after an outage');

$store->{proxy}->stop;
go_on();
fails_with(qr/^could not (put|get) "s3:.*": the object store cannot be asked/, 'a store that is away is told');
$store->{proxy}->start;
is_whole('and that it is back is noticed');

# --- Upkeep speaks to the store, too.
$node->safe_psql('postgres', "SELECT feature_stream.compact_lake('sessions'), feature_stream.merge_manifests('sessions'),
	feature_stream.expire_snapshots('sessions', older_than => '0', keep => 1)");
wait_until('upkeep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.stat_lake_upkeep WHERE state = 'waiting'") // 1) eq '0' });
query_is($node, "SELECT string_agg(action || ' ' || state || ' ' || (file_count > 1), ',' ORDER BY action) FROM feature_stream.stat_lake_upkeep",
	'compact_lake done true,expire_snapshots done true,merge_manifests done true', 'files and manifests become few, and old snapshots go');
is_whole('and the rows stay');

my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
my $tables = $node->safe_psql('postgres', 'TABLE feature_stream.lake_export; TABLE feature_stream.stat_offline; TABLE feature_stream.lake_file');
unlike($log =~ s/^.*(STATEMENT|statement):.*$//mgr, qr/lakesecret|wrongsecret/, 'no secret is in the log');
unlike($tables, qr/lakesecret|wrongsecret/, 'nor in a table');

done_testing();
