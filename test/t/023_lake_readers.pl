# What the README says about reading a lake, done as it says: its own lines are run, by PyIceberg, Polars and DuckDB;
# and by Spark where its jars are there ("bash test/run spark").

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Lake;
use FeatureStream::Outbox;
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $lake) = new_lake_node('lake_readers', 'listen_addresses' => '127.0.0.1');
my $address = '127.0.0.1:' . $node->port . '/postgres';
my ($offline) = slurp_file("$ENV{FS_ROOT}/README.md") =~ /^### Offline\n(.*?)^##? /ms or die 'the README has no section "Offline"';

# The i-th block of a language there, made for this server.
sub recipe
{
	my ($language, $i) = @_;
	my @blocks = $offline =~ /^```$language\n(.*?)^```$/msg;
	my $block = $blocks[$i] // die "the README has no block $i of $language";

	$block =~ s/localhost:5432\/db/$address/g;
	return $block;
}

create_lake($node, "file://$lake/warehouse");
create_outbox_stream($node, 'user_id text NOT NULL, item text, price float8, small real, n int, yes bool, on_day date, uid uuid, amount numeric, tag jsonb');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('session_features', $$
		SELECT user_id, count(*) AS item_count, array_agg(item) AS items_clicked, array_agg(n) AS numbers, sum(price) AS spent, max(price) AS most,
		       max(small) AS small, max(n) AS n, bool_or(yes) AS yes, max(on_day) AS on_day, (array_agg(uid))[1] AS uid, sum(amount) AS amount,
		       (array_agg(decode(lpad(to_hex(n), 4, '0'), 'hex')))[1] AS raw, min(item) AS least, (array_agg(tag))[1] AS tag, max(clicked_at) AS seen
		  FROM clicks GROUP BY user_id $$, windows => '{30 min}', slide => '1 min',
		offline => 'lake', offline_table => 'features.session_features', offline_interval => '1 s')));

my $minute = 0;

# Events of some minutes, fired and exported: a snapshot.
sub go_on
{
	my ($minutes) = @_;

	$node->safe_psql('postgres', qq(
		INSERT INTO outbox (at, v)
		SELECT at + interval '1 s', jsonb_build_object('user_id', CASE i % 11 WHEN 0 THEN 'ü' ELSE 'u' || i % 11 END, 'item', CASE WHEN i % 7 > 0 THEN 'ïtem ' || (i % 9) END,
		       'price', CASE WHEN i % 5 > 0 THEN i / 8.0 - 10 END, 'small', -i / 4.0, 'n', i, 'yes', i % 3 = 0, 'on_day', at::date, 'uid', md5((i % 4)::text)::uuid,
		       'amount', (i - 50) * 0.01, 'tag', jsonb_build_object('k', i % 3), 'clicked_at', at)
		  FROM (SELECT i, '2024-01-15 22:00:00+00'::timestamptz + ($minute + $minutes * i / 600.0) * interval '1 min' AS at FROM generate_series(0, 599) i) s));
	$minute += $minutes;
	hold_clock($node, "(timestamptz '2024-01-15 22:00:40+00' + $minute * interval '1 min')");
	wait_for_fired($node, "timestamptz '2024-01-15 21:59+00' + $minute * interval '1 min'");
	wait_for_export($node, 'session_features');
	return $node->safe_psql('postgres', 'SELECT count(*) FROM session_features_history');
}

my @counts = (go_on(20), go_on(40));
my $rows = $counts[-1];

my ($role) = grep { /CREATE ROLE reader/ } $offline =~ /^```sql\n(.*?)^```$/msg;
$node->safe_psql('postgres', $role);
$node->safe_psql('postgres', "SELECT feature_stream.grant_access('reader'); GRANT SELECT ON session_features TO reader");

# --- PyIceberg
my $pyiceberg = recipe('python', 0);
my $late = $node->safe_psql('postgres', "SELECT count(*) FROM session_features_history WHERE window_end >= '2024-01-15 22:30+00'");
cmp_ok($late, '>', 0, 'there are rows before and after half past ten');
cmp_ok($late, '<', $rows, 'some of each');
is(run_python('-c', "$pyiceberg\nprint(rows.num_rows, before.num_rows)"), "$late $counts[0]\n", 'PyIceberg reads the table as the README says, and travels in time');

# --- Polars
my $many = $node->safe_psql('postgres', 'SELECT count(*), sum(item_count_30m) FROM session_features_history WHERE item_count_30m > 3');
is(run_python('-c', "$pyiceberg\n" . recipe('python', 1) . "\nprint(len(rows), rows['item_count_30m'].sum(), sep='|')"), "$many\n", 'so does Polars');

# --- DuckDB, with its extensions from where they are: INSTALL asks a server of DuckDB's
my $duckdb = recipe('python', 2);
$duckdb =~ s/^duckdb\.sql\("INSTALL iceberg; LOAD iceberg"\)$/training_set.load_extensions(duckdb)/m or die 'no INSTALL in the recipe';
my $set = $node->safe_psql('postgres', q(
	SELECT count(*), sum(f.item_count_30m), max(f.window_end) FROM (SELECT user_id, max(available_at) AS at FROM session_features_history GROUP BY 1) l
	  LEFT JOIN LATERAL session_features_as_of(l.user_id, l.at) f ON true));
is(run_python('-c', <<"EOT"), "$set\n", 'and so does DuckDB, for the training set that PostgreSQL makes');
import sys
sys.path.insert(0, '$FindBin::Bin/../lib')
import training_set
$duckdb
names = [c[0] for c in duckdb.sql('DESCRIBE SELECT * FROM labels l, features f').fetchall()]
print(len(rows), sum(r[names.index('item_count_30m')] for r in rows), max(r[names.index('window_end')] for r in rows).strftime('%Y-%m-%d %H:%M:%S+00'), sep='|')
EOT

# --- Spark
SKIP:
{
	skip 'Spark is for nights: bash test/run spark', 3 unless $ENV{FS_SPARK_JARS};
	my $copy = PostgreSQL::Test::Utils::tempdir('spark') . '/copy';
	my %properties = ('spark.ui.enabled' => 'false', 'spark.sql.session.timeZone' => 'UTC', 'spark.driver.bindAddress' => '127.0.0.1', 'spark.driver.host' => '127.0.0.1',
		'spark.sql.parquet.outputTimestampType' => 'TIMESTAMP_MICROS', 'spark.sql.shuffle.partitions' => 1,
		'spark.sql.codegen.factoryMode' => 'NO_CODEGEN',
		map { split(' ', $_, 2) } grep { !/^spark\.jars\.packages / } split("\n", recipe('properties', 0)));
	my @opens = map { ('--add-opens', "java.base/$_=ALL-UNNAMED") }
		qw(java.lang java.lang.invoke java.io java.net java.nio java.util java.util.concurrent java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar);
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'java', '-Xmx1g', @opens, '-cp', "$ENV{FS_SPARK_JARS}/*", "$FindBin::Bin/../lib/LakeSpark.java", 'lake.features.session_features', $copy,
			map { "$_=$properties{$_}" } sort keys %properties ], '>', \$out, '2>', \$err) or die "Spark: $err";
	note($out);
	is(join(' ', $out =~ /^snapshot (\d+)$/mg), "@counts", 'Spark travels in time');
	like($out, qr/^filters (\d+) of \1$/m, 'finds with filters what it finds without');
	is(run_python("$FindBin::Bin/../lib/lake.py", 'files', $node->connstr('postgres'), '-', $copy, 'session_features_history'),
		"files=$rows history=$rows missing=0 extra=0\n", 'and has each row of the history, in all columns');
}

done_testing();
