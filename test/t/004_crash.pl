
# Exactly once: while clicks stream in, processes of all kinds are killed at
# random moments, and crashes are injected at the points of a checkpoint; then the
# oracle must find what it finds without.
#
# FS_KILLS and FS_EVENTS make it longer, FS_SEED replays the order of the kills.

use strict;
use warnings;

use FeatureStream;
use IPC::Run ();
use Test::More;
use Time::HiRes ();

my $kills = $ENV{FS_KILLS} || 8;
my $events = $ENV{FS_EVENTS} || 20000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);
my @points = qw(checkpoint-begin checkpoint-before-commit checkpoint-after-commit);

note("seed $seed (FS_SEED=$seed replays the order)");

my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_node('crash', 'feature_stream.memory' => '128MB');
create_example_servers($node, $kafka, $redis);

# The process of a kind, as soon as there is one.
sub pid_of
{
	my ($condition) = @_;
	my $pid;

	wait_until("a process where $condition",
		sub { $pid = answer_of($node, "SELECT min(pid) FROM pg_stat_activity WHERE $condition AND pid <> pg_backend_pid()") });
	return $pid;
}

sub kill_backend
{
	my $psql = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SELECT pg_sleep(600) /* victim */" ],
		'<', \undef, '>', \my $out, '2>', \my $err);
	my $pid;

	wait_until('a backend to kill', sub {
		$pid = answer_of($node, "SELECT pid FROM pg_stat_activity WHERE query LIKE '%/* victim */' AND pid <> pg_backend_pid()");
		return defined $pid || !$psql->pumpable;
	});
	kill_backend_process($node, $pid) if defined $pid;
	$psql->finish;
	return;
}

my %actions = (
	'the ingest worker' => sub { kill_backend_process($node, pid_of("backend_type = 'feature_stream ingest worker'")) },
	'the launcher' => sub { kill_backend_process($node, pid_of("backend_type = 'feature_stream launcher'")) },
	'a backend' => \&kill_backend,
	'Redis' => sub { $redis->kill9; Time::HiRes::sleep($random->()); $redis->start },
	'the broker' => sub { $kafka->kill9; $kafka->start },
	'the server (immediate shutdown)' => sub { $node->stop('immediate'); $node->start },
	map { my $point = $_; ($point => sub { crash_at_point($node, $point, 1 + int($random->() * 4)) }) } @points);

# What is online is durable: every row in Redis is a row of the history.
sub online_is_durable
{
	my @rows;

	return 1 if !$redis->is_alive;
	for my $key ($redis->keys('user:*'))
	{
		my $row = $redis->hash($key);
		push @rows, "($row->{window_end}, $row->{computed_at}, $row->{item_count_30m})" if %$row;
	}
	return 1 if !@rows;
	wait_for_server($node);
	return $node->safe_psql('postgres', sprintf(q(
		SELECT count(*) FROM (VALUES %s) v (window_end, computed_at, n)
		 WHERE NOT EXISTS (SELECT FROM session_features_history h
		                    WHERE h.window_end = to_timestamp(v.window_end) AND h.item_count_30m = v.n
		                      AND abs(extract(epoch FROM h.computed_at) - v.computed_at) < 0.000001)), join(',', @rows))) == 0;
}

# --- Each kind of kill, then random ones, then the points of a checkpoint, in random order.
my @kinds = grep { !/^checkpoint/ } sort keys %actions;
my @order = (@points, map { $_ <= $#kinds ? $kinds[$_] : $kinds[ $random->() * @kinds ] } 0 .. $kills - 1);
for my $i (reverse 1 .. $#order)
{
	my $j = int($random->() * ($i + 1));
	@order[ $i, $j ] = @order[ $j, $i ];
}

my $end = sprintf('%.3f', Time::HiRes::time());
my $clicks = generate($kafka, '--topic', 'clicks', '--create', '--events', $events, '--seed', $seed, '--end-time', $end,
	'--span-minutes', 120, '--rate', $events / (4 * @order));
create_example($node, 'clicks', slice => '1 min');
create_wide_view($node, '{1 min, 10 min, 30 min}', '1 min', '3 min');
create_summed_view($node, '{3 min, 30 min}', '1 min');
wait_until('the first windows', sub { answer_of($node, 'SELECT frontier FROM feature_stream.stat_stream WHERE frontier IS NOT NULL') });
for my $action (@order)
{
	Time::HiRes::sleep(2 * $random->());
	note(sprintf('kills %s, %s events read', $action, answer_of($node, 'SELECT read_count FROM feature_stream.stat_stream') // 'unknown'));
	$actions{$action}->();
	ok(online_is_durable(), "what is online after killing $action is in the history");
}
$clicks->finish or die 'generate.py failed';
wait_for_server($node);

oracle_agrees($node, $kafka, $redis, 'clicks', $end - 60, "the oracle agrees after " . @order . " kills (seed $seed)");
verifies($node, 'wide_features', 'the view of ten features and three windows beside it verifies');
verifies($node, 'summed_features', 'and so does one that keeps partial aggregates');
query_becomes($node, 'SELECT sum(read_count), sum(accepted_count) + sum(dead_letter_count) FROM feature_stream.stat_partition',
	"$events|$events", 'accepted + dead letters = produced');
note(crash_count($node) . ' crashes in all');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/,
	'nothing crashed but what was killed');

done_testing();
