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
create_outbox_stream($node, 'user_id text NOT NULL, price float8, item text');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('sessions', 'SELECT user_id, count(*) AS n, sum(price) AS spent, max(item) AS item FROM clicks GROUP BY user_id',
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
	my ($pattern, $name, $view) = @_;
	my $error = '';

	$view //= 'sessions';
	wait_until($name, sub { ($error = answer_of($node, "SELECT last_error FROM feature_stream.stat_offline WHERE view = '$view'::regclass") // '') =~ $pattern });
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
	my ($key, $secret, $more) = @_;

	$more //= '';

	$node->safe_psql('postgres', qq(DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER lake;
		CREATE USER MAPPING FOR CURRENT_USER SERVER lake OPTIONS (access_key_id '$key', secret_access_key '$secret'$more)));
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

use_keys('lakekey', 'lakesecret', ", session_token 'laketoken'");
go_on();
fails_with(qr/^could not get "s3:.*": the object store answers 400 InvalidToken$/, 'a session token is sent, which this store knows none of');
use_keys('lakekey', 'lakesecret');
is_whole('without it all goes on');

$store->break_next('get:slow');
go_on();
fails_with(qr/^could not get "s3:.*": the object store does not answer in time$/, 'an answer that comes too slowly is told');
is_whole('and asked for again');

$store->{proxy}->stop;
go_on();
fails_with(qr/^could not (put|get) "s3:.*": the object store cannot be asked/, 'a store that is away is told');
$store->{proxy}->start;
is_whole('and that it is back is noticed');

# --- Long objects are put part by part: each is tried again, and what does not become an object is aborted.
my $long = 0;

# Rows whose file has more than one part, since they can hardly be compressed: what the history's writer does.
sub write_long
{
	$long++;
	psql_before_crash($node, qq(BEGIN;
		INSERT INTO sessions_history (user_id, n_10m, item_10m, window_end, computed_at, available_at, complete, backfilled)
		SELECT 'long$long-' || i, i, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 256 + 0 * i)), '2024-01-15 22:01+00',
		       '2024-01-15 23:00+00'::timestamptz + $long * interval '1 ms', '2024-01-15 23:00+00', true, false FROM generate_series(1, 2500) i;
		INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
		VALUES ('sessions'::regclass, '2024-01-15 23:00+00'::timestamptz + $long * interval '1 ms', '2024-01-15 22:01+00', '2024-01-15 22:01+00', 600000);
		COMMIT));
	return;
}

# No part is left of uploads that came to nothing.
sub has_no_uploads
{
	my ($name) = @_;

	wait_until('uploads to end', sub { $store->uploads == 0 });
	return pass($name);
}

$store->break_next(qw(begin:lost part:503 part:cut part:500 part:lost complete:503 complete:200 complete:lost complete:cut));
write_long();
is_whole('a long object is put part by part, whatever becomes of requests');
is($store->orders, 0, 'which were broken');
has_no_uploads('no upload is left, not even the one that nobody was told of');
$store->break_next(map { 'complete:200' } 1 .. 6);
write_long();
fails_with(qr/^could not complete the upload of "s3:.*": the object store answers 200 InternalError$/, 'an error in an answer of 200 is one');
is_whole('it is put again');
has_no_uploads('and what failed was aborted');
for my $point (qw(lake_initiated lake_part lake_completed))
{
	my $before = crash_count($node);

	set_fault($node, "$point:crash:1");
	write_long();
	wait_until("a crash at $point", sub { answer_of($node, 'SELECT 1'); crash_count($node) > $before });
	end_crashes($node);
	is_whole("an upload that dies at $point is done again");
	has_no_uploads('and the one that died was aborted');
}

# --- Upkeep speaks to the store, too.
$node->safe_psql('postgres', "SELECT feature_stream.compact_lake('sessions'), feature_stream.merge_manifests('sessions'),
	feature_stream.expire_snapshots('sessions', older_than => '0', keep => 1)");
wait_until('upkeep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.stat_lake_upkeep WHERE state = 'waiting'") // 1) eq '0' });
query_is($node, "SELECT string_agg(action || ' ' || state || ' ' || (file_count > 1), ',' ORDER BY action) FROM feature_stream.stat_lake_upkeep",
	'compact_lake done true,expire_snapshots done true,merge_manifests done true', 'files and manifests become few, and old snapshots go');
is_whole('and the rows stay');

# --- A request that is cancelled while the store keeps it waiting ends what it was for, and nothing else.
my $worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'feature_stream lake worker'";
my $pid = $node->safe_psql('postgres', $worker);

$node->safe_psql('postgres', "ALTER SERVER lake OPTIONS (SET request_timeout '10 min'); UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity'");
go_on();
is_whole('one more export');
$node->safe_psql('postgres', "SELECT feature_stream.expire_snapshots('sessions', older_than => '0', keep => 1)");
wait_until('upkeep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.stat_lake_upkeep WHERE state = 'waiting'") // 1) eq '0' });
query_is($node, 'SELECT count(*) > 0 FROM feature_stream.lake_file WHERE is_unread', 't', 'there are lists to be read');
$store->break_next(qw(get:pass get:hang));
$node->safe_psql('postgres', "UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity', upkeep_failure_count = 1");
wait_until('a list that is waited for', sub { $store->orders == 0 });
is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', 'the worker is cancelled');
wait_until('upkeep to fail', sub { (answer_of($node, 'SELECT last_upkeep_error FROM feature_stream.stat_offline') // '') =~ /^canceling statement/ });
pass('which is told');
query_is($node, 'SELECT count(*) > 0 FROM feature_stream.lake_file WHERE is_unread', 't', 'the lists are still to be read');
go_on();
is_whole('and the worker goes on');
$node->safe_psql('postgres', "UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity'");
wait_until('upkeep', sub { (answer_of($node, "SELECT upkeep_failure_count = 0 AND last_upkeep_error IS NULL FROM feature_stream.stat_offline") // '') eq 't' });
query_is($node, $worker, $pid, 'it is the same worker');
$node->safe_psql('postgres', "ALTER SERVER lake OPTIONS (SET request_timeout '2 s')");

# --- What nothing leads to is found by listing the store, some at a time: objects, and an upload whose name was forgotten.
my ($table) = $node->safe_psql('postgres', "SELECT feature_stream.iceberg_metadata_location('sessions')") =~ m,^s3://(.*)/metadata/,;
my @objects = map { sprintf("$store->{data}/$table/data/0a1b2c3d-0000-4000-8000-%012d.parquet", $_) } 1 .. 1100;
my $before = crash_count($node);

# Some days old, as the store has it.
sub age
{
	my (@paths) = @_;

	utime(time() - 4 * 86400, time() - 4 * 86400, @paths) == @paths or die "utime: $!";
	return;
}

$store->break_next(map { 'uploads:500' } 1 .. 30);
set_fault($node, 'lake_part:crash:1');
write_long();
wait_until('a crash', sub { answer_of($node, 'SELECT 1'); crash_count($node) > $before });
end_crashes($node);
wait_until('a file that is put off', sub { (answer_of($node, 'SELECT count(*) FROM feature_stream.lake_file WHERE failure_count > 0') // 0) ne '0' });
$node->safe_psql('postgres', 'DELETE FROM feature_stream.lake_file WHERE failure_count > 0');
$store->break_next();
is_whole('an upload is forgotten');
is($store->uploads, 1, 'and left behind');
# What expired snapshots needed is entered before, or it would be found, too.
$node->safe_psql('postgres', "UPDATE feature_stream.lake_export SET next_upkeep_time = '-infinity', upkeep_failure_count = 1");
wait_until('upkeep', sub { (answer_of($node, "SELECT upkeep_failure_count = 0 AND next_upkeep_time > now() FROM feature_stream.lake_export") // '') eq 't' });
query_is($node, 'SELECT count(*) FROM feature_stream.lake_file WHERE is_unread', '0', 'all lists of expired snapshots are read');
append_to_file($_, 'x') foreach @objects;
age(glob("$store->{data}/$table/data/*.parquet $store->{data}/$table/metadata/*.* $store->{data}/features/.sgwtmp/multipart/*/*/"));
$store->break_next(qw(list:503 list:cut uploads:500));
my $request = $node->safe_psql('postgres', "SELECT feature_stream.remove_orphan_files('sessions')");
wait_until('the request', sub { (answer_of($node, "SELECT state FROM feature_stream.stat_lake_upkeep WHERE request = $request") // 'waiting') ne 'waiting' });
query_is($node, "SELECT what, count(*) FROM feature_stream.stat_lake_upkeep_file WHERE request = $request GROUP BY what ORDER BY what", "orphan|1100\nupload|1",
	'what nothing leads to is found');
is($store->orders, 0, 'whatever becomes of requests');
is($store->uploads, 0, 'the upload is aborted');
$node->safe_psql('postgres', "UPDATE feature_stream.lake_file SET delete_after = '-infinity' WHERE NOT is_unread");
wait_until('the sweep', sub { (answer_of($node, "SELECT count(*) FROM feature_stream.lake_file WHERE NOT is_unread") // 1) eq '0' }, 600);
is(scalar(grep { -e } @objects), 0, 'and the objects are deleted');
is_whole('but none that the table needs');

# --- A bucket that is not there.
my $endpoint = $store->endpoint;

$node->safe_psql('postgres', qq(
	CREATE SERVER nowhere FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 's3://nowhere/lake', endpoint '$endpoint');
	CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere OPTIONS (access_key_id 'lakekey', secret_access_key 'lakesecret');
	SELECT feature_stream.create_feature_view('lost', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', windows => '{10 min}', slide => '1 min',
		offline => 'nowhere', offline_table => 'features.lost')));
fails_with(qr/^could not put "s3:.*": the object store answers 404 NoSuchBucket$/, 'a bucket that is not there is told', 'lost');

my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
my $tables = $node->safe_psql('postgres', 'TABLE feature_stream.lake_export; TABLE feature_stream.stat_offline; TABLE feature_stream.lake_file');
unlike($log =~ s/^.*(STATEMENT|statement):.*$//mgr, qr/lakesecret|wrongsecret|laketoken/, 'no secret is in the log');
unlike($tables, qr/lakesecret|wrongsecret|laketoken/, 'nor in a table');

done_testing();
