
# Every aggregate there is: all of a plain PostgreSQL on the types that streams
# have, each natively where it has such a form and replayed, then aggregates of
# the user's and of an extension from a Debian package.  Each row of history is
# compared with PostgreSQL's executor.

use strict;
use warnings;

use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

# What takes values of types that no column of a stream has: it works on expressions.
my @over_expressions = split(/\n/, <<'LIST');
array_agg(anyarray)
avg(interval)
bit_and(bit)
bit_or(bit)
bit_xor(bit)
max(anyarray)
max(anyenum)
max(character)
max(inet)
max(interval)
max(money)
max(oid)
max(pg_lsn)
max(tid)
max(time with time zone)
max(time without time zone)
max(timestamp without time zone)
max(xid8)
min(anyarray)
min(anyenum)
min(character)
min(inet)
min(interval)
min(money)
min(oid)
min(pg_lsn)
min(tid)
min(time with time zone)
min(time without time zone)
min(timestamp without time zone)
min(xid8)
percentile_cont(double precision,interval)
percentile_cont(double precision[],interval)
range_agg(anymultirange)
range_agg(anyrange)
range_intersect_agg(anymultirange)
range_intersect_agg(anyrange)
string_agg(bytea,bytea)
sum(interval)
sum(money)
xmlagg(xml)
LIST

# What cannot be a feature, as "call  message".
my @cannot = ();

my $node = new_node('aggregates', 'feature_stream.memory' => '64MB');
my $command = "/usr/bin/python3 $ENV{FS_ROOT}/lib/all_aggregates.py";

# Runs the comparison in a database of its own; returns its output.
sub compare
{
	my ($database, $options) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my $dsn = $node->connstr($database) =~ s/'//gr;
	my $out = `$command --dsn '$dsn' $options 2>&1`;

	is($?, 0, "$database: no difference") or diag($out);
	return $out;
}

my $out = compare('plain', '');
my $count = $node->safe_psql('postgres',
	q(SELECT count(*) FROM pg_aggregate JOIN pg_proc p ON p.oid = aggfnoid WHERE pronamespace = 'pg_catalog'::regnamespace));
my $works = () = $out =~ /^works /mg;

is($works, $count, "all $count aggregates of pg_catalog work");
note($out);
is_deeply([ $out =~ /^cannot (.*)/mg ], \@cannot, 'what cannot be a feature is what we know of');
is_deeply([ $out =~ /^works  (.*?)  .*over expressions$/mg ],
	\@over_expressions, 'what works on expressions alone is what we know of');

# Of those that streams have values for, hypothetical-set ones alone are replayed.
is_deeply([ map { /^works  (.*?)  (\d+) calls, (\d+) natively$/ && $2 != $3 ? $1 : () } split(/\n/, $out) ],
	[ map { "$_(\"any\")" } qw(cume_dist dense_rank percent_rank rank) ], 'all others are native');

$out = compare('extra', '--extra');
$works = () = $out =~ /^works /mg;
is($works, 13, "aggregates of the user's and of extension tdigest work");
unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
