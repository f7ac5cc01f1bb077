
# Any query: random feature views over random events, each row of history
# compared with PostgreSQL's executor over the events of its windows.  Each
# view is made twice: with native aggregates and with all of them replayed.
#
# FS_SEEDS=170 is the long mode: about 2,000 views.

use strict;
use warnings;

use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $seeds = $ENV{FS_SEEDS} || 9;
my $first = $ENV{FS_SEED} || 1;
my $views = 12;
my $node = new_node('random', 'feature_stream.memory' => '64MB');
my $command = "/usr/bin/python3 $ENV{FS_ROOT}/lib/random_views.py --views $views --events 700 --both --own";

for my $seed ($first .. $first + $seeds - 1)
{
	my $database = "random_$seed";

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my $dsn = $node->connstr($database) =~ s/'//gr;
	my $out = `$command --seed $seed --dsn '$dsn' 2>&1`;
	my $ok = () = $out =~ /^ok/mg;

	is($ok, $views, "seed $seed: history and view equal the executor's rows") or diag($out);
	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
}
unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
