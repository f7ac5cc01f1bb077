# The history of a feature view that comes to a running stream is filled once
# and completely, whoever is killed meanwhile, and is that of a view that was
# there from the start.  So is that of one that was paused, and its online store.
#
# FS_EVENTS makes it longer, FS_SEED replays the order of the kills.

use strict;
use warnings;

use FeatureStream;
use Test::More;
use Time::HiRes ();

my $events = $ENV{FS_EVENTS} || 20000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);

note("seed $seed (FS_SEED=$seed replays the order)");

my $node = new_node('backfill', 'feature_stream.memory' => '64MB');
my $redis = new_redis();

$node->safe_psql('postgres', sprintf(q(
	CREATE TABLE outbox (
		n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), at timestamptz, v jsonb);
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE SERVER redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item text, price float8, clicked_at timestamptz NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'at', event_time 'clicked_at',
			slice '1 min', watermark_delay '30 s', idle_after '1 h', start 'earliest', log_retention '1 day');
	CREATE SEQUENCE sent;
	-- Clicks in some disorder, from so many seconds after midnight on.
	CREATE PROCEDURE send(first int, last int, events int) LANGUAGE sql AS $$
		INSERT INTO outbox (at, v)
		SELECT at + interval '1 s', jsonb_build_object('user_id', 'u' || (random() * random() * 300)::int, 'item', 'i' || (random() * 20)::int,
		       'price', (random() * 1000)::int / 8.0, 'clicked_at', at - random() ^ 6 * interval '15 min')
		  FROM (SELECT '2024-01-15 00:00:00+00'::timestamptz + (first + (last - first) * (i / events::float8)) * interval '1 s' AS at
		          FROM generate_series(0, events) i) s $$;
	), $redis->port));

sub create_view
{
	my ($name, $more) = @_;

	$node->safe_psql('postgres', qq(SELECT feature_stream.create_feature_view('$name', '
		SELECT user_id, count(*) AS n, array_agg(item) AS items, sum(price) AS spent, count(DISTINCT item) AS kinds
		  FROM clicks GROUP BY user_id', windows => '{10 min, 30 min}', slide => '1 min' $more)));
	return;
}

# Moves the clock to so many seconds after midnight, and waits until all is read that arrived before and fired.
sub go_on
{
	my ($second) = @_;

	$node->safe_psql('postgres', "SELECT feature_stream.set_test_clock('2024-01-15 00:00:10+00'::timestamptz + $second * interval '1 s')");
	return;
}

# One answer of a server that may be down: undef then.
sub ask
{
	my ($query) = @_;
	my ($rc, $out) = $node->psql('postgres', $query);

	return $rc == 0 && $out ne '' ? $out : undef;
}

# How often a process was killed, by the server's log.
sub crashes
{
	my @found = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /terminated by signal 9/g;

	return scalar @found;
}

# Columns that do not say when a row was computed.
my $columns = 'user_id, n_10m, items_10m, spent_10m, kinds_10m, n_30m, items_30m, spent_30m, kinds_30m, window_end, complete';

sub is_filled
{
	my ($view) = @_;

	wait_until("a history of $view", sub { (ask("SELECT state FROM feature_stream.stat_progress_backfill WHERE view = '$view'::regclass") // '') eq 'done' });
	return;
}

go_on(6 * 3600);
create_view('before', ", online => 'redis'");
$node->safe_psql('postgres', "CALL send(0, 6 * 3600, $events)");
wait_for_read($node, 'clicks', $events + 1);
wait_for_frontier($node, 'clicks', '2024-01-15 05:59:00+00');

# --- A backfill that dies at each point of a step, and of any process's death, while the stream goes on.
my @kills = (
	(map { my $point = $_; sub {
		my $before = crashes();
		set_fault($node, "$point:crash:2");
		wait_until("a crash at $point", sub { ask('SELECT 1'); crashes() > $before
			|| (ask("SELECT count(*) FROM feature_stream.stat_progress_backfill WHERE state <> 'done'") // 1) eq '0' });
		end_crashes($node);
	} } qw(backfill-before-commit backfill-after-commit)),
	sub {
		my $pid = ask("SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'feature_stream backfill worker'");
		kill_backend_process($node, $pid) if defined $pid;
	},
	sub { $node->stop('immediate'); $node->start; go_on(7 * 3600) },
	sub { kill_backend_process($node, ingest_pid($node, 'clicks')) });
for my $i (reverse 1 .. $#kills)
{
	my $j = int($random->() * ($i + 1));
	@kills[ $i, $j ] = @kills[ $j, $i ];
}

my $crashes = crashes();
set_fault($node, 'backfill-before-commit:crash:3');	# the first one cannot be missed
create_view('after', '');
wait_until('a crash of the backfill worker', sub { ask('SELECT 1'); crashes() > $crashes });
end_crashes($node);
go_on(7 * 3600);
$node->safe_psql('postgres', "CALL send(6 * 3600, 7 * 3600, ($events / 6)::int)");
for my $kill (@kills)
{
	$kill->();
	wait_for_server($node);
}
go_on(7 * 3600);
is_filled('after');
wait_for_frontier($node, 'clicks', '2024-01-15 06:59:00+00');
note(crashes() . ' crashes');
cmp_ok(crashes(), '>', $crashes, 'processes were killed');
is(rows_differ($node, "SELECT $columns FROM after_history", "SELECT $columns FROM before_history"), '',
	"the history of a view that came later is that of one that was there (seed $seed)");
query_is($node, q(SELECT backfilled, count(*) > 1000, min(available_at - window_end) = '30 s' AND max(available_at - window_end) = '30 s'
	FROM after_history GROUP BY 1 ORDER BY 1), "f|t|f\nt|t|t", 'its first rows are backfilled');
query_is($node, q(SELECT max(window_end) FILTER (WHERE backfilled) < min(window_end) FILTER (WHERE NOT backfilled)
	FROM after_history), 't', 'and join the live flow at one window end');
verifies($node, 'after', 'it verifies');
is(rows_differ($node, 'SELECT user_id, n_30m, window_end FROM after', 'SELECT user_id, n_30m, window_end FROM before'), '',
	'its rows in force are the same');

# --- A stream without a worker does not keep a backfill from its end; what is online is the row in force.
create_view('online', ", online => 'redis'");
wait_until('the state of a view', sub { ask("SELECT 1 FROM feature_stream.backfill WHERE view = 'online'::regclass") });
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
is_filled('online');
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
is(rows_differ($node, "SELECT $columns FROM online_history", "SELECT $columns FROM before_history"), '', 'a paused stream is backfilled, too');
note($node->safe_psql('postgres', "SELECT format('%s rows in %s', row_count, finished_at - started_at)
	FROM feature_stream.stat_progress_backfill WHERE view = 'online'::regclass"));
ingest_pid($node, 'clicks');
wait_until('the rows in force online', sub {
	my $rows = ask("SELECT count(*) FROM online");
	my @keys = $redis->keys('online:*');
	return defined $rows && $rows > 0 && @keys == $rows;
});
verifies($node, 'online', 'and verifies, its online store included');

# --- A pause: the online store stays as it is, whoever dies, and then has what is in force.
create_view('kept', ", online => 'redis', on_empty => 'set'");
is_filled('kept');
sub online_rows
{
	my ($view) = @_;
	my %rows = map { ($_ => $redis->hash($_)) } $redis->keys("$view:*");

	return map { ($_ => $rows{$_}{window_end} . '/' . ($rows{$_}{n_30m} // '')) } keys %rows;
}
sub in_force
{
	my ($view) = @_;

	return map { /(.*)\|(.*)/ ? ("$view:$1" => $2) : () }
		split /\n/, ask("SELECT user_id, extract(epoch FROM window_end)::bigint || '/' || n_30m FROM $view") // '';
}
sub is_online
{
	my ($view) = @_;

	wait_until("the rows in force of $view online", sub {
		my %rows = online_rows($view);
		my %expected = in_force($view);
		delete @rows{ grep { $rows{$_} =~ m{/0$} } keys %rows };
		return %expected && join(' ', map { "$_ $rows{$_}" } sort keys %rows) eq join(' ', map { "$_ $expected{$_}" } sort keys %expected);
	});
	return;
}
is_online($_) for qw(online kept);
$node->safe_psql('postgres', "SELECT feature_stream.pause_feature_view('online'), feature_stream.pause_feature_view('kept')");
wait_until('the pause', sub { (ask('SELECT count(*) FROM feature_stream.view_state WHERE paused') // 0) eq '2' });
my %paused = (online_rows('online'), online_rows('kept'));
$node->safe_psql('postgres', "CALL send(7 * 3600, 8 * 3600, ($events / 10)::int)");
go_on(8 * 3600);
kill_backend_process($node, ingest_pid($node, 'clicks'));
go_on(8 * 3600);
wait_for_frontier($node, 'clicks', '2024-01-15 07:59:00+00');
query_is($node, "SELECT count(*), max(window_end) <= '2024-01-15 06:59:00+00' FROM online_history HAVING count(*) > 0",
	$node->safe_psql('postgres', "SELECT count(*), true FROM before_history WHERE window_end <= '2024-01-15 06:59:00+00'"), 'a paused view fires no more');
is_deeply({ online_rows('online'), online_rows('kept') }, \%paused, 'and its online store stays as it is');
$crashes = crashes();
set_fault($node, 'backfill-before-commit:crash:1');
$node->safe_psql('postgres', "SELECT feature_stream.resume_feature_view('online'), feature_stream.resume_feature_view('kept')");
wait_until('a crash of the backfill worker', sub { ask('SELECT 1'); crashes() > $crashes });
end_crashes($node);
go_on(8 * 3600);
# The worker that came back may have had the real clock, by which all of this is long past: it begins anew.
ingest_pid($node, 'clicks');
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
wait_for_state($node, 'clicks', 'paused');
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
for my $view (qw(online kept))
{
	wait_until("the resumption of $view", sub {
		(ask("SELECT count(*) FROM feature_stream.stat_progress_backfill WHERE view = '$view'::regclass AND reason = 'pause' AND state = 'done'") // 0) eq '1' });
	is(rows_differ($node, "SELECT $columns FROM ${view}_history", "SELECT $columns FROM before_history"), '', "the history of $view is that of a view that was not paused");
	is_online($view);
	pass("the online store of $view has what is in force");
	verifies($node, $view, "$view verifies");
}
my %emptied = online_rows('kept');
my @left = grep { !exists $emptied{$_} } grep { /^kept:/ } keys %paused;
is(scalar(@left), 0, 'on_empty set: no key is gone');
cmp_ok(scalar(grep { m{/0$} } values %emptied), '>', 0, 'and some have the empty row');
is($node->safe_psql('postgres', q(SELECT string_agg(format('kept:%s %s/%s', user_id, extract(epoch FROM window_end)::bigint, n_30m), ' ' ORDER BY format('kept:%s', user_id) COLLATE "C")
	FROM (SELECT DISTINCT ON (user_id) * FROM kept_history ORDER BY user_id, window_end DESC) h WHERE n_30m = 0 AND window_end > '2024-01-15 06:59:00+00')),
	join(' ', map { "$_ $emptied{$_}" } sort grep { $emptied{$_} =~ m{^(\d+)/0$} && $1 > 1705301940 } keys %emptied), 'of the last window end');

# --- A command that needs the database for itself ends the worker.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q(CREATE EXTENSION feature_stream));
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('DROP DATABASE goes on');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/,
	'nothing crashed but what was killed');

done_testing();
