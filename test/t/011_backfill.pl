# The history of a feature view that comes to a running stream is filled once
# and completely, whoever is killed meanwhile, and is that of a view that was
# there from the start.  So is that of one that was paused, and its online store.
#
# FS_EVENTS makes it longer, FS_SEED replays the order of the kills.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::ClickHistory;
use Test::More;
use Time::HiRes ();

my $events = $ENV{FS_EVENTS} || 20000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);

note("seed $seed (FS_SEED=$seed replays the order)");

# With so little work_mem whatever sorts and stores events does so on disk.
my $node = new_node('backfill', 'feature_stream.memory' => '64MB', 'work_mem' => '64kB');
my $redis = new_redis();

$node->safe_psql('postgres', sprintf(q(
	CREATE TABLE outbox (
		n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), at timestamptz, v jsonb,
		PRIMARY KEY (x, n));
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

	psql_before_crash($node, qq(SELECT feature_stream.create_feature_view('$name', '
		SELECT user_id, count(*) AS n, array_agg(item) AS items, sum(price) AS spent, count(DISTINCT item) AS kinds
		  FROM clicks GROUP BY user_id', windows => '{10 min, 30 min}', slide => '1 min' $more)));
	return;
}

# Moves the clock to so many seconds after midnight; back, too, so that keys outlive the test: Redis has a clock of its own.
sub go_on
{
	my ($second) = @_;

	hold_clock($node, "(timestamptz '2024-01-15 00:00:10+00' + $second * interval '1 s')");
	return;
}

# Columns that do not say when a row was computed.
my $columns = 'user_id, n_10m, items_10m, spent_10m, kinds_10m, n_30m, items_30m, spent_30m, kinds_30m, window_end, complete';

go_on(6 * 3600);
create_view('before', ", online => 'redis'");
$node->safe_psql('postgres', "CALL send(0, 6 * 3600, $events)");
wait_for_read($node, 'clicks', $events + 1);
wait_for_frontier($node, 'clicks', '2024-01-15 05:59:00+00');

# --- A backfill that dies at each point of a step, and of any process's death, while the stream goes on.
my @kills = (
	(map { my $point = $_; sub {
		my $before = crash_count($node);
		set_fault($node, "$point:crash:2");
		wait_until("a crash at $point", sub { crash_count($node) > $before
			|| (answer_of($node, "SELECT count(*) FROM feature_stream.stat_progress_backfill WHERE state <> 'done'") // 1) eq '0' });
		end_crashes($node);
	} } qw(backfill-before-commit backfill-after-commit)),
	sub {
		my $pid = answer_of($node, "SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'feature_stream backfill worker'");
		kill_backend_process($node, $pid) if defined $pid;
	},
	sub { $node->stop('immediate'); $node->start; go_on(7 * 3600) },
	sub { kill_backend_process($node, ingest_pid($node, 'clicks')) });
for my $i (reverse 1 .. $#kills)
{
	my $j = int($random->() * ($i + 1));
	@kills[ $i, $j ] = @kills[ $j, $i ];
}

my $crashes = crash_count($node);
set_fault($node, 'backfill-before-commit:crash:3');	# the first one cannot be missed
create_view('after', '');
wait_until('a crash of the backfill worker', sub { crash_count($node) > $crashes });
end_crashes($node);
go_on(7 * 3600);
$node->safe_psql('postgres', "CALL send(6 * 3600, 7 * 3600, ($events / 6)::int)");
for my $kill (@kills)
{
	$kill->();
	wait_for_server($node);
}
go_on(7 * 3600);
wait_for_filled($node, 'after');
wait_for_frontier($node, 'clicks', '2024-01-15 06:59:00+00');
note(crash_count($node) . ' crashes');
cmp_ok(crash_count($node), '>', $crashes, 'processes were killed');
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
wait_until('the state of a view', sub { answer_of($node, "SELECT 1 FROM feature_stream.backfill WHERE view = 'online'::regclass") });
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
wait_for_filled($node, 'online');
go_on(6 * 3600);
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
is(rows_differ($node, "SELECT $columns FROM online_history", "SELECT $columns FROM before_history"), '', 'a paused stream is backfilled, too');
note($node->safe_psql('postgres', "SELECT format('%s rows in %s', row_count, finished_at - started_at)
	FROM feature_stream.stat_progress_backfill WHERE view = 'online'::regclass"));
wait_for_online($node, $redis, 'online');
verifies($node, 'online', 'and verifies, its online store included');

# --- A pause: the online store stays as it is, whoever dies, and then has what is in force.
create_view('kept', ", online => 'redis', on_empty => 'set'");
wait_for_filled($node, 'kept');
wait_for_online($node, $redis, $_) for qw(online kept);
$node->safe_psql('postgres', "SELECT feature_stream.pause_feature_view('online'), feature_stream.pause_feature_view('kept')");
wait_until('the pause', sub { (answer_of($node, 'SELECT count(*) FROM feature_stream.view_state WHERE paused') // 0) eq '2' });
my %paused = map { %{ redis_rows($redis, $_) } } qw(online kept);
$node->safe_psql('postgres', "CALL send(7 * 3600, 8 * 3600, ($events / 10)::int)");
go_on(8 * 3600);
kill_backend_process($node, ingest_pid($node, 'clicks'));
go_on(8 * 3600);
wait_for_frontier($node, 'clicks', '2024-01-15 07:59:00+00');
query_is($node, "SELECT count(*), max(window_end) <= '2024-01-15 06:59:00+00' FROM online_history HAVING count(*) > 0",
	$node->safe_psql('postgres', "SELECT count(*), true FROM before_history WHERE window_end <= '2024-01-15 06:59:00+00'"), 'a paused view fires no more');
is_deeply({ map { %{ redis_rows($redis, $_) } } qw(online kept) }, \%paused, 'and its online store stays as it is');
$crashes = crash_count($node);
$redis->freeze;		# nothing is sent before all is filled, and by another worker
set_fault($node, 'backfill-before-commit:crash:1');
psql_before_crash($node, "SELECT feature_stream.resume_feature_view('online'), feature_stream.resume_feature_view('kept')");
wait_until('a crash of the backfill worker', sub { crash_count($node) > $crashes });
end_crashes($node);
go_on(7 * 3600);
for my $view (qw(online kept))
{
	wait_until("the resumption of $view", sub {
		(answer_of($node, "SELECT count(*) FROM feature_stream.stat_progress_backfill WHERE view = '$view'::regclass AND reason = 'pause' AND state = 'done'") // 0) eq '1' });
}
kill_backend_process($node, ingest_pid($node, 'clicks'));
$redis->thaw;
my $emptied_rows = q(SELECT string_agg(format('kept:%s %s/%s', user_id, extract(epoch FROM window_end)::bigint, n_30m), ' ' ORDER BY format('kept:%s', user_id) COLLATE "C")
	FROM (SELECT DISTINCT ON (user_id) * FROM kept_history ORDER BY user_id, window_end DESC) h WHERE n_30m = 0 AND window_end > '2024-01-15 06:59:00+00');
sub emptied_online
{
	my $rows = redis_rows($redis, 'kept');

	return join(' ', map { "$_ $rows->{$_}" } sort grep { $rows->{$_} =~ m{^(\d+)/0$} && $1 > 1705301940 } keys %$rows);
}
eval { wait_until('the empty rows online', sub { emptied_online() eq (answer_of($node, $emptied_rows) // '') }) };
for my $view (qw(online kept))
{
	is(rows_differ($node, "SELECT $columns FROM ${view}_history", "SELECT $columns FROM before_history"), '', "the history of $view is that of a view that was not paused");
	wait_for_online($node, $redis, $view);
	pass("the online store of $view has what is in force");
	verifies($node, $view, "$view verifies");
}
my $kept = redis_rows($redis, 'kept');
is(scalar(grep { /^kept:/ && !exists $kept->{$_} } keys %paused), 0, 'on_empty set: no key is gone');
is(emptied_online(), $node->safe_psql('postgres', $emptied_rows), 'and some have the empty row of the last window end');
isnt(emptied_online(), '', 'of which there are some');

# --- Features are added and dropped, whoever dies: history and online store are those of a view that had them from the start.
sub alter
{
	my ($features) = @_;

	psql_before_crash($node, "SELECT feature_stream.alter_feature_view('few', 'SELECT user_id, $features FROM clicks GROUP BY user_id')");
	return;
}
sub is_altered
{
	my ($times) = @_;

	wait_until("alteration $times", sub { (answer_of($node, "SELECT count(*) FROM feature_stream.stat_progress_backfill
		WHERE view = 'few'::regclass AND reason = 'alteration' AND state = 'done'") // 0) eq $times });
	return;
}
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('few', 'SELECT user_id, count(*) AS n, min(price) AS least
	FROM clicks GROUP BY user_id', windows => '{10 min, 30 min}', slide => '1 min', online => 'redis')));
wait_for_filled($node, 'few');
wait_for_online($node, $redis, 'few');
is(scalar(grep { exists $redis->hash($_)->{items_30m} } $redis->keys('few:*')), 0, 'a view with few features');
$crashes = crash_count($node);
set_fault($node, 'backfill-before-commit:crash:2');
alter('array_agg(item) AS items, count(*) AS n');
wait_until('a crash of the backfill worker', sub { crash_count($node) > $crashes });
end_crashes($node);
go_on(9 * 3600);
$node->safe_psql('postgres', "CALL send(8 * 3600, 9 * 3600, ($events / 10)::int)");
is_altered(1);
wait_for_read($node, 'clicks', $node->safe_psql('postgres', 'SELECT count(*) FROM outbox'));
wait_for_frontier($node, 'clicks', '2024-01-15 08:59:00+00');
crash_at_point($node, 'checkpoint-before-commit', 1, sub { alter('sum(price) AS spent, array_agg(item) AS items, count(*) AS n') });
go_on(9 * 3600);
alter('sum(price) AS spent, count(DISTINCT item) AS kinds, array_agg(item) AS items, count(*) AS n');
go_on(8 * 3600);
kill_backend_process($node, ingest_pid($node, 'clicks'));
wait_for_frontier($node, 'clicks', '2024-01-15 08:59:00+00');
is_altered(3);
is(rows_differ($node, "SELECT $columns FROM few_history", "SELECT $columns FROM before_history"), '',
	"the history of a view that got its features later is that of one that had them (seed $seed)");
is(rows_differ($node, 'SELECT user_id, n_30m, items_30m, kinds_10m, spent_10m, window_end FROM few',
	'SELECT user_id, n_30m, items_30m, kinds_10m, spent_10m, window_end FROM before'), '', 'its rows in force are the same');
query_is($node, 'SELECT count(*) > 0 FROM few_history WHERE least_30m IS NOT NULL', 't', 'the history keeps a dropped feature');
wait_for_online($node, $redis, 'few');
my @few = map { $redis->hash($_) } $redis->keys('few:*');
is(scalar(grep { exists $_->{items_30m} && exists $_->{kinds_30m} && !exists $_->{least_30m} } @few), scalar(@few),
	'the online store has the new fields, and the dropped ones no more');
verifies($node, 'few', 'and it verifies');

# --- A command that needs the database for itself ends the worker.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q(CREATE EXTENSION feature_stream));
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('DROP DATABASE goes on');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/,
	'nothing crashed but what was killed');

done_testing();
