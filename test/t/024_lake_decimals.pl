# Features of type numeric(p, s) are decimals in a lake, and those without such a modifier strings: readers that share no
# code with us find every value of the history there.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Lake;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $lake) = new_lake_node('lake_decimals');
my $minute = 0;

create_lake($node, "file://$lake/warehouse");
$node->safe_psql('postgres', qq(
	CREATE FOREIGN TABLE payments (user_id text NOT NULL, amount numeric, paid_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'at', event_time 'paid_at',
			slice '1 min', watermark_delay '30 s', idle_after '1 h', start 'earliest', log_retention '1 day');
	CREATE DOMAIN share AS numeric(4,3);
	));

# Payments of some minutes, read and fired.
sub go_on
{
	my ($minutes, $payments) = @_;

	$node->safe_psql('postgres', qq(
		INSERT INTO outbox (at, v)
		SELECT at + interval '1 s', jsonb_build_object('user_id', 'u' || i % 13, 'amount', CASE WHEN i % 4 > 0 THEN (i * 7919 % 100000 - 50000) / 8.0 END, 'paid_at', at)
		  FROM (SELECT i, '2024-01-15 22:00:00+00'::timestamptz + ($minute + $minutes * (i / $payments.0)) * interval '1 min' AS at
		          FROM generate_series(0, $payments - 1) i) s));
	$minute += $minutes;
	wait_until('payments that are read', sub {
		(answer_of($node, 'SELECT (SELECT sum(read_count) FROM feature_stream.stat_partition) = (SELECT count(*) FROM outbox)') // '') eq 't' });
	hold_clock($node, "(timestamptz '2024-01-15 22:00:40+00' + $minute * interval '1 min')");
	wait_for_frontier($node, 'payments', $node->safe_psql('postgres', "SELECT timestamptz '2024-01-15 21:59+00' + $minute * interval '1 min'"));
	return;
}

# Waits until all of the view's history is exported, and has it compared.
sub is_whole
{
	my ($view, $name) = @_;

	wait_until("the export of $view", sub {
		(answer_of($node, "SELECT pending_rows = 0 AND commit_count > 0 AND last_error IS NULL FROM feature_stream.stat_offline WHERE view = '$view'::regclass") // '') eq 't' });
	my $said = lake_py($node, 'compare', "features.$view", "${view}_history");
	note($said);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($said, qr/^lake=(\d+) history=\1 missing=0 extra=0 duckdb=true/, $name);
	return $said =~ /files=(\d+)/ ? $1 : die $said;
}

sub create_view
{
	my ($name, $features, $options) = @_;

	return qq(SELECT feature_stream.create_feature_view('$name', \$\$ SELECT user_id, $features FROM payments GROUP BY user_id \$\$,
		windows => '{10 min}', slide => '1 min', offline => 'lake', offline_table => 'features.$name', offline_interval => '1 s' $options);
		UPDATE feature_stream.lake_export SET next_upkeep_time = 'infinity' WHERE view = '$name'::regclass;);
}

# --- Which features are decimals; the history has their types, too.
$node->safe_psql('postgres', create_view('sums', q(count(*) AS n,
		CASE WHEN count(*) % 5 = 0 THEN 'NaN'::numeric(12,2) ELSE sum(amount)::numeric(12,2) END AS paid,
		(sum(amount) / 3)::numeric(38,20) AS third, array_agg(CASE WHEN amount % 3 = 0 THEN 'NaN' ELSE amount END)::numeric(9,1)[] AS amounts,
		(count(amount) / count(*)::numeric)::share AS known, count(*)::numeric(9) AS whole,
		sum(amount) AS exact, array_agg(amount) AS all_of_them, max(amount)::numeric(50,10) AS wide, (count(*) * 0.00001)::numeric(3,5) AS tiny, max(amount)::numeric(9,-1) AS tens),
	q(, offline_partition_by => '{"truncate(1000000, paid_10m)", "bucket(2, third_10m)"}')));
query_is($node, q(SELECT string_agg(c.relkind::text || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY c.relkind) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE c.relname IN ('sums', 'sums_live', 'sums_history') AND a.attname = 'paid_10m'), 'f numeric(12,2), f numeric(12,2), p numeric(12,2)', 'relations have the type');
go_on(20, 600);
my $files = is_whole('sums', 'the lake has the history, NULL where a decimal is NaN');
is(lake_py($node, 'types', 'features.sums', '-'), "user_id=string n_10m=long paid_10m=decimal(12,2) third_10m=decimal(38,20) amounts_10m=list<decimal(9,1)> "
	. "known_10m=decimal(4,3) whole_10m=decimal(9,0) exact_10m=string all_of_them_10m=list<string> wide_10m=string tiny_10m=string tens_10m=string "
	. "window_end=timestamptz computed_at=timestamptz available_at=timestamptz complete=boolean backfilled=boolean revision=int\n", 'as decimals where there is one');
cmp_ok($files, '>', 2, 'in several partitions');
my $nans = q(SELECT sum((paid_10m = 'NaN')::int + (SELECT count(*) FROM unnest(amounts_10m) a WHERE a = 'NaN')) FROM sums_history);
cmp_ok($node->safe_psql('postgres', $nans), '>', 10, 'there are values that are NaN');
query_is($node, "SELECT nan_count = ($nans) FROM feature_stream.stat_offline", 't', 'which are counted');

# --- A client gives a decimal more digits: what comes is of that type, what is there is read as it, by compaction, too.
lake_py($node, 'widen', 'features.sums', 'paid_10m', '30=2');
go_on(10, 300);
$files = is_whole('sums', 'the lake goes on with more digits');
like(lake_py($node, 'types', 'features.sums', '-'), qr/ paid_10m=decimal\(30,2\) /, 'that the table has');
for (1 .. 20)
{
	my $request = $node->safe_psql('postgres', "SELECT feature_stream.compact_lake('sums')");
	wait_until('compaction', sub { (answer_of($node, "SELECT state FROM feature_stream.stat_lake_upkeep WHERE request = $request") // '') eq 'done' });
	last if $node->safe_psql('postgres', "SELECT file_count FROM feature_stream.stat_lake_upkeep WHERE request = $request") == 0;
}
cmp_ok(is_whole('sums', 'small files become larger ones of the same decimals'), '<', $files, 'that are fewer');
query_is($node, "SELECT nan_count = ($nans) FROM feature_stream.stat_offline", 't', 'counts are of all exports');

# --- What a table has as strings it goes on having so, whatever the history's column has become.
$node->safe_psql('postgres', 'BEGIN; ' . create_view('older', 'sum(amount)::numeric(12,2) AS paid, count(*) AS n', '')
	. 'DROP FUNCTION older_as_of; ALTER TABLE older_history ALTER paid_10m TYPE numeric; COMMIT');
go_on(10, 300);
wait_until('a backfill', sub { (answer_of($node, "SELECT state FROM feature_stream.stat_progress_backfill WHERE view = 'older'::regclass") // '') eq 'done' });
is_whole('older', 'a history without modifiers');
like(lake_py($node, 'types', 'features.older', '-'), qr/ paid_10m=string /, 'has strings in the lake');
$node->safe_psql('postgres', 'ALTER TABLE older_history ALTER paid_10m TYPE numeric(12,2)');
go_on(10, 300);
is_whole('older', 'and goes on having them when it gets one');
like(lake_py($node, 'types', 'features.older', '-'), qr/ paid_10m=string /, 'in the same column');
my (undef, undef, $err) = try_psql($node, 'ALTER TABLE older_history ALTER paid_10m TYPE numeric(12,1)');
like($err, qr/cannot change the columns of .*older_history/, 'values are stored as computed: another scale is refused');

# --- A table of decimals does not take what may be anything; partitions have to have room.
$node->safe_psql('postgres', 'DROP FUNCTION sums_as_of; ALTER TABLE sums_history ALTER whole_10m TYPE numeric');
go_on(5, 100);
query_becomes($node, "SELECT last_error FROM feature_stream.stat_offline WHERE view = 'sums'::regclass",
	'column "whole_10m" of the table in the lake is of another type than the history\'s', 'a column without digits is refused');
$node->safe_psql('postgres', 'ALTER TABLE sums_history ALTER whole_10m TYPE numeric(9)');
is_whole('sums', 'and all goes on when it has them again');
(undef, undef, $err) = try_psql($node, create_view('small', 'count(*)::numeric(2) AS n', q(, offline_partition_by => '{"truncate(70, n_10m)"}')));
like($err, qr/column "n_10m" cannot be partitioned like that/, 'two digits cannot be truncated to 70');

done_testing();
