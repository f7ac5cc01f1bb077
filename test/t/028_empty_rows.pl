
# on_empty 'set': the empty row of an entity stands in the online store for its
# time, also when that was away, or the server crashed, as the last event left.

use strict;
use warnings;

use FeatureStream;
use Test::More;
use Time::HiRes ();

my $redis = new_redis();
my $node = new_node('empty', 'feature_stream.sink_timeout' => '500ms');

$node->safe_psql('postgres', sprintf(q(
	CREATE TABLE outbox (
		n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE SERVER redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'clicked_at',
			slice '1 s', watermark_delay '0 s', idle_after '100 ms', start 'earliest');
	SELECT feature_stream.create_feature_view('kept', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{3 s}', slide => '1 s', online => 'redis', on_empty => 'set', online_ttl => '10 min');
	), $redis->port));

sub click
{
	my ($user) = @_;

	$node->safe_psql('postgres', "INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', '$user', 'clicked_at', clock_timestamp())");
	return;
}

# Two clicks of a user, in two slices; when this returns their empty row is in the history, and nothing of them in memory.
sub come_and_go
{
	my ($user) = @_;
	my $newest = "SELECT n_3s FROM kept_history WHERE user_id = '%s' ORDER BY window_end DESC LIMIT 1";

	click($user);
	$node->poll_query_until('postgres', sprintf("SELECT n_3s = 1 FROM ($newest) h", $user)) or die "no row of $user";
	click($user);
	$node->poll_query_until('postgres', sprintf("SELECT n_3s = 0 FROM ($newest) h", $user)) or die "$user stays";
	return;
}

# Waits until all entities have left memory.
sub wait_for_pruning
{
	$node->poll_query_until('postgres', "SELECT entities = 0 FROM feature_stream.stat_feature_view WHERE view = 'kept'::regclass")
	  or die 'entities stay';
	return;
}

# Does Redis come to have the newest rows of the history of these users, which are empty?
sub has_empty_rows
{
	my ($when, @users) = @_;
	my %expected = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q(
		SELECT user_id, '0 ' || extract(epoch FROM max(window_end))::bigint FROM kept_history GROUP BY user_id));
	my $right = eval { wait_until('Redis', sub {
		!grep { my $row = eval { $redis->hash("kept:$_") } // {};
				join(' ', map { $_ // '' } @$row{qw(n_3s window_end)}) ne $expected{$_} } @users }, 60) };

	ok($right, $when) or diag(explain([ \%expected, map { ($_, $redis->hash($_)) } $redis->keys('kept:*') ]));
	return;
}

sub store_is
{
	my ($connected) = @_;

	$node->poll_query_until('postgres', 'SELECT connected FROM feature_stream.stat_online', $connected) or die "store is not $connected";
	return;
}

come_and_go('a');
has_empty_rows('an empty row is set', 'a');

# --- Redis hangs while the last event leaves.
$redis->freeze;
click('x');
store_is('f');
come_and_go($_) for qw(b c);
wait_for_pruning();
$redis->thaw;
has_empty_rows('rows that emptied while Redis hung are set', qw(a b c));
my $life = $redis->call('PTTL', 'kept:a');
cmp_ok($life, '<=', 600_000, 'an empty row lives as long as it is to');

# --- The server crashes between the commit and the publication.
$redis->freeze;
click('x');
store_is('f');
come_and_go('d');
$node->stop('immediate');
$redis->thaw;
$node->start;
has_empty_rows('rows that emptied before a crash are set', qw(a b c d));
cmp_ok($redis->call('PTTL', 'kept:a'), '<=', $life, 'and those that were there live no longer for it');

# --- Redis comes back without anything.
wait_for_pruning();
$redis->kill9;
store_is('f');
come_and_go('e');
wait_for_pruning();
$redis->start;
has_empty_rows('a Redis that has lost everything gets all empty rows again', qw(a b c d e));
cmp_ok($redis->call('PTTL', 'kept:a'), '<=', $life, 'for the time that is left');

# --- Without any connection the server is started, and emptied users come back meanwhile.
$redis->freeze;
$node->stop('fast');
$node->start;
$node->poll_query_until('postgres', q(SELECT state = 'running' FROM feature_stream.stat_stream)) or die 'no worker';
come_and_go('a');
$redis->thaw;
has_empty_rows('the newest row of each stands', qw(a b c d e));
cmp_ok($redis->call('PTTL', 'kept:a'), '>', $redis->call('PTTL', 'kept:b'), 'one that is newer lives longer');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal 1[^5]|PANIC/, 'nothing crashed by itself');

done_testing();
