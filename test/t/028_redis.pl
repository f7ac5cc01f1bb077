
# What can happen to a real Redis beside a running stream: it is emptied, forgets
# scripts, has keys of others, is full, or does not know us.  The stream goes
# on, stat_online says what is the matter, and the store converges after.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $redis = new_redis();
my $node = new_node('redis', 'feature_stream.sink_timeout' => '500ms');

$node->safe_psql('postgres', sprintf(q(
	CREATE TABLE outbox (
		n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE SERVER redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'clicked_at',
			slice '1 s', watermark_delay '0 s', idle_after '100 ms', start 'earliest');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{1 h}', slide => '1 s', online => 'redis');
	), $redis->port));

my %clicks;

# One more click of a user; its row is in the history when this returns, whatever Redis does.
sub click
{
	my ($user) = @_;

	$clicks{$user}++;
	$node->safe_psql('postgres', "INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', '$user', 'clicked_at', clock_timestamp())");
	$node->poll_query_until('postgres', "SELECT max(n_1h) = $clicks{$user} FROM counts_history WHERE user_id = '$user'")
	  or die "no row of $user";
	return;
}

# Does Redis come to have the row of each of these users?
sub converges
{
	my ($when, @users) = @_;
	my $right = eval { wait_until('Redis', sub {
		!grep { ((eval { $redis->hash("counts:$_") } // {})->{n_1h} // 0) != $clicks{$_} } @users }) };

	ok($right, $when) or diag(join(' ', $redis->keys));
	return;
}

# stat_online comes to say that a store is away, or that it is there, and why.
sub store_is
{
	my ($connected, $error, $what) = @_;

	query_becomes($node, "SELECT connected, last_error ~ '$error' FROM feature_stream.stat_online WHERE view = 'counts'::regclass",
		"$connected|t", $what);
	return;
}

click('a');
converges('a row is online', 'a');

# --- The fence: it expires some time after its writer, and is looked at in silence as well as under load.
my ($fence) = $redis->keys('feature_stream:fence:*');
my $month = 30 * 86400 * 1000;
cmp_ok($redis->call('PTTL', $fence), '>', $month - 600_000, 'the fence lasts for a month');
cmp_ok($redis->call('PTTL', $fence), '<=', $month, 'and no longer');
$redis->call('PEXPIRE', $fence, 600_000);
wait_until('the fence to be claimed', sub { $redis->call('PTTL', $fence) > 600_000 });
pass('a writer that has nothing to write keeps it');
$redis->call('PEXPIRE', $fence, 600_000);
wait_until('the fence to be claimed', sub { click('busy'); $redis->call('PTTL', $fence) > 600_000 });
pass('and so does one that is never silent');

# --- Emptied, by the same run: found by the next row, and by the heartbeat without one.
$redis->call('FLUSHALL');
click('a');
converges('after FLUSHALL all rows are there again', qw(a busy));
store_is('t', 'has lost its data', 'stat_online says that data was lost');
$redis->call('FLUSHALL');
converges('without a new row, too', qw(a busy));

# --- Its scripts are gone.
$redis->call('SCRIPT', 'FLUSH');
click('a');
converges('after SCRIPT FLUSH rows arrive', 'a');
store_is('t', 'has lost its scripts', 'stat_online says that scripts were lost');

# --- A key of another type is in the way of one row, and of no other.
$redis->call('SET', 'counts:b', 'of somebody else');
click('b');
click('c');
converges('a key of another type does not hold up others', qw(a c));
query_becomes($node, "SELECT connected, error_count > 0, last_error ~ 'refused a row.*WRONGTYPE' FROM feature_stream.stat_online", 't|t|t',
	'stat_online says that a row was refused');
is($redis->call('GET', 'counts:b'), 'of somebody else', 'which is left alone');
$redis->call('DEL', 'counts:b');
click('b');
converges('the row is there once the way is free', 'b');

# --- Full: rows are refused, and come when there is room again.
$redis->call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
$redis->call('CONFIG', 'SET', 'maxmemory', '1');
click('a');
click('d');
store_is('f', 'OOM', 'stat_online says that Redis is full');
is($redis->hash('counts:a')->{n_1h}, $clicks{a} - 1, 'and the old row is there');
$redis->call('CONFIG', 'SET', 'maxmemory', '0');
converges('rows arrive when there is room again', qw(a b c d));

# --- A user with a password: a wrong one, the right one, another one.
$redis->call('ACL', 'SETUSER', 'writer', 'on', '>first', '~*', '&*', '+@all');
$node->safe_psql('postgres', "CREATE USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (username 'writer', password 'wrong-word')");
store_is('f', 'refused AUTH: WRONGPASS', 'stat_online says that the password is wrong');
click('e');
query_is($node, "SELECT count(*) FROM feature_stream.stat_online WHERE last_error ~ 'wrong-word'", 0, 'without telling it');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER redis OPTIONS (SET password 'first')");
converges('with the right one the store is brought up to date', qw(a b c d e));
ok(scalar(grep { /user=writer/ } split /\n/, $redis->call('CLIENT', 'LIST')), 'as that user');

# --- What a user may not do.
$redis->call('ACL', 'SETUSER', 'writer', 'resetkeys', '~counts:*', '~feature_stream:*');
click('f');
converges('a user of these keys alone will do', 'f');
$redis->call('ACL', 'SETUSER', 'writer', '-hset');
click('f');
query_becomes($node, "SELECT last_error ~ 'user executing the script|NOPERM' FROM feature_stream.stat_online", 't', 'a command that is not allowed is told');
$redis->call('ACL', 'SETUSER', 'writer', '+hset');
click('g');
converges('and the store converges when it is', qw(a f g));

query_is($node, "SELECT state FROM feature_stream.stat_stream", 'running', 'the stream never stopped');
verifies($node, 'counts', 'the view verifies');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
