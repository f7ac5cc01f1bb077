
# The oracle itself, against brute force over tiny inputs.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('oracle');

$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
$node->start;

my $rounds = $ENV{FS_ORACLE_ROUNDS} || 200;
my $script = "$FindBin::Bin/../lib/oracle_selfcheck.py";
my $output = '';
my $right  = IPC::Run::run([ '/usr/bin/python3', $script, '--dsn', $node->connstr('postgres'), '--rounds', $rounds ],
	'<', \undef, '>&', \$output);

ok($right, 'verdicts and rows are those found by brute force') or diag($output);
like($output, qr/^ok +[1-9][0-9]* verdicts$/m, 'it judged');
like($output, qr/^ok +[1-9][0-9]* rows/m, 'it compared rows');
note($output);

$node->stop;
done_testing();
