
# Stored partial aggregates: while clicks come in, many of them late, the worker and the server are killed at
# random moments.  Recovery puts stored records in the place of their events, and what comes of it has to be
# what a replayed view over a stream of the same table has, row for row.
#
# FS_KILLS and FS_EVENTS make it longer, FS_SEED replays the data and the order of the kills.

use strict;
use warnings;

use FeatureStream;
use Test::More;
use Time::HiRes ();

my $kills = $ENV{FS_KILLS} || 8;
my $events = $ENV{FS_EVENTS} || 16000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);
my $chunks = 2 * $kills;
my $shops = 25;
my $minutes = 300;
my $inserted = 0;
my $columns = join ', ', qw(shop window_end), map { ("${_}_2m", "${_}_1h") }
	qw(n total mean spread least most low high sum_big dev_big items prices scores top first parity many);
my $aggregates = q(
	SELECT shop, count(*) AS n, sum(price) AS total, avg(price) AS mean, var_pop(price) AS spread,
	       min(price) AS least, max(price) AS most, min(score) AS low, max(score) AS high,
	       sum(big) AS sum_big, stddev(big) AS dev_big, count(DISTINCT item) AS items, count(DISTINCT price) AS prices,
	       count(DISTINCT score) AS scores, mode() WITHIN GROUP (ORDER BY item) AS top, min(item) AS first,
	       bit_xor(qty) AS parity, bool_or(qty > 98) AS many);

note("seed $seed (FS_SEED=$seed replays it)");

my $node = new_node('partial_log', 'feature_stream.memory' => '128MB');

# Both streams read the same table, so they judge the same events late.
sub create_clicks
{
	my ($stream, $view, $replay) = @_;

	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE $stream (shop text NOT NULL, item text, price numeric, score float8, qty int, big bigint, at timestamptz NOT NULL)
			SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
				slice '1 min', watermark_delay '1 min', max_future '1 day', idle_after '30 days', start 'earliest', log_retention '7 days');
		SET feature_stream.force_replay = $replay;
		SELECT feature_stream.create_feature_view('$view', '$aggregates FROM $stream GROUP BY shop', '{2 min, 1 hour}', '1 min')));
	return;
}

# Clicks $from + 1 .. $to: four in five in time, the others up to 70 minutes behind; now and then minutes without any.
sub insert_clicks
{
	my ($from, $to) = @_;

	wait_until('the server takes clicks', sub { defined answer_of($node, sprintf(q(
		SELECT setseed(%s);
		INSERT INTO outbox (id, value)
		SELECT i, replace(jsonb_strip_nulls(jsonb_build_object('shop', 's' || (%d * r.a * r.a)::int,
			       'item', CASE WHEN r.b < 0.95 THEN 'i' || (20 * r.b)::int END,
			       'price', CASE WHEN r.c < 0.02 THEN 123456789012345678901234567890.5 WHEN r.c < 0.97 THEN round((3 * r.c)::numeric, (4 * r.b)::int) END,
			       'qty', (100 * r.d)::int, 'big', CASE WHEN r.a < 0.01 THEN 9223372036854775807 ELSE (1e6 * r.c)::bigint END,
			       'at', timestamptz '2024-01-15 00:00:00+00' + %d * interval '1 min' * (i - i %% %d) / %d
			             - CASE WHEN r.e < 0.8 THEN r.b * interval '59 s' ELSE r.b * r.c * interval '70 min' END)
			       || jsonb_build_object('score', CASE WHEN r.d < 0.4 THEN 0 ELSE round((5 * r.a)::numeric, 1) END))::text,
			       '"score": 0}', CASE WHEN r.b < 0.5 THEN '"score": -0.0}' ELSE '"score": 0}' END)
			  FROM generate_series(%d, %d) i, LATERAL (SELECT random(), random(), random(), random(), random() WHERE i = i) r (a, b, c, d, e)
			 WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.id = i);
		SELECT true),
		$random->(), $shops, $minutes, int($events / 250), $events, $from + 1, $to)) });
	$inserted = $to;
	return;
}

# How often recovery used stored records by now, and how many records and events the last time.
sub recovered
{
	my @found = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~
	  /stream public.clicks is recovered from (\d+) stored partial aggregates, and (\d+) events of the log/g;

	return @found ? (@found / 2, @found[ -2, -1 ]) : (0, 0, 0);
}

# How often the log says why stored records are not used.
sub count_refused
{
	my ($reason) = @_;
	my @lines = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /DETAIL:  \Q$reason\E/g;

	return scalar @lines;
}

sub restart
{
	$node->stop('immediate');
	$node->start;
	wait_for_server($node);
	wait_for_state($node, $_, 'running') for qw(clicks twin);
	return;
}

sub await_all
{
	my ($count) = @_;

	for my $stream (qw(clicks twin))
	{
		wait_until("$stream has read all", sub { (answer_of($node,
			"SELECT sum(read_count) FROM feature_stream.stat_partition WHERE stream = '$stream'::regclass") // 0) == $count });
		$node->safe_psql('postgres', "SELECT feature_stream.checkpoint_stream('$stream')");
	}
	wait_until('both are at the same window end', sub { (answer_of($node,
		q(SELECT count(DISTINCT frontier) = 1 AND bool_and(fire_window_end IS NULL AND frontier >= watermark - interval '1 min')
		    FROM feature_stream.stream_state)) // '') eq 't' });
	return;
}

# More clicks, when there is a dead letter besides.
sub go_on_after_letter
{
	insert_clicks($inserted, $inserted + 300);
	await_all($inserted + 1);
	return;
}

# More clicks.  Storing begins at one checkpoint, so the next one's are stored.
sub go_on
{
	for (1, 2)
	{
		insert_clicks($inserted, $inserted + 300);
		await_all($inserted);
	}
	return;
}

# Tests that history and rows in force are those of the twin.
sub agrees
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_for_state($node, $_, 'running') for qw(clicks twin);
	is(rows_differ($node, "SELECT $columns FROM partials_history", "SELECT $columns FROM replayed_history"), '', "$name: the history is the twin's");
	query_becomes($node, "SELECT (SELECT count(*) FROM partials), (SELECT count(*) FROM replayed),
			(SELECT count(*) FROM (SELECT $columns FROM partials EXCEPT SELECT $columns FROM replayed) d)",
		join('|', ($node->safe_psql('postgres', 'SELECT count(*) FROM replayed')) x 2, 0), "$name: so are the rows in force");
	return;
}

$node->safe_psql('postgres', q(
	CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
	CREATE INDEX ON outbox (id);
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table));
create_clicks('clicks', 'partials', 'off');
create_clicks('twin', 'replayed', 'on');
# One that keeps events, whose windows are shorter: the log is read for it as far as they reach.
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('trail',
	'SELECT shop, array_agg(item ORDER BY at, qty, item) AS items FROM clicks GROUP BY shop', '{5 min}', '1 min', history => 'none')));
query_is($node, q(SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('partials') WHERE feature IS NOT NULL), 'partials',
	'the view keeps partial aggregates alone');

# --- Kills at random moments, each kind at least once.
my @actions = (
	[ 'the worker' => sub {
		my $pid = answer_of($node, "SELECT pid FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass");
		kill_backend_process($node, $pid) if $pid;
	} ],
	[ 'the server' => sub { $node->stop('immediate'); $node->start } ],
	map { my $point = $_; [ $point => sub { crash_at_point($node, $point, 1 + int($random->() * 3)) } ] }
	  qw(checkpoint-before-commit checkpoint-after-commit));
for my $chunk (1 .. $chunks)
{
	insert_clicks(int($events * ($chunk - 1) / $chunks), int($events * $chunk / $chunks));
	next if $chunk % 2;
	Time::HiRes::sleep(1.5 * $random->());
	my $action = $actions[ $chunk / 2 <= @actions ? $chunk / 2 - 1 : int($random->() * @actions) ];
	note("kills $action->[0]");
	$action->[1]->();
	wait_for_server($node);
}
await_all($inserted);
agrees('after the kills');
my ($used) = recovered();
cmp_ok($used, '>=', $kills / 2, 'recovery used stored records again and again');
query_is($node, q(SELECT count(*) > 0 FROM feature_stream.event_log WHERE stream = 'clicks'::regclass AND late_bound IS NOT NULL), 't',
	'events were late');

# --- A recovery at rest reads little of the log; one without stored records all of it.
restart();
my ($again, $records_at_rest, $read_at_rest) = recovered();
my $whole = $node->safe_psql('postgres', q(SELECT sum(event_count) FROM feature_stream.event_log l JOIN feature_stream.stream_state s USING (stream)
	WHERE stream = 'clicks'::regclass AND slice >= s.frontier - interval '1 hour 1 min'));
cmp_ok($again, '>', $used, 'stored records were used');
cmp_ok($records_at_rest, '>', 0, 'some');
cmp_ok($read_at_rest, '<', $whole / 2, "in the place of most of the $whole events of an hour");
agrees('after a recovery at rest');

# --- What is not whole is not used.
$node->safe_psql('postgres', q(DELETE FROM feature_stream.partial_log WHERE stream = 'clicks'::regclass AND (tableoid, ctid) =
	(SELECT tableoid, ctid FROM feature_stream.partial_log ORDER BY window_end DESC OFFSET 20 LIMIT 1)));
restart();
is(count_refused('Some are missing.'), 1, 'a missing row is noticed');
is(+(recovered())[0], $again, 'the log is read instead');
agrees('without it');
go_on();
restart();
agrees('with records that were stored since');
is(+(recovered())[0], $again + 1, 'which were used');

# --- Another definition has records of its own.
$node->safe_psql('postgres', "SELECT feature_stream.alter_feature_view('partials', '$aggregates, max(qty) AS largest FROM clicks GROUP BY shop')");
wait_until('the new definition', sub { count_refused('They are of another definition.') >= 1 });
go_on();
restart();
agrees('after an alteration');
is(+(recovered())[0], $again + 2, 'whose records are used, too');

# --- Dead letters that come back with corrections count in a record that is stored.  The worker dies before they are in memory.
go_on();
$node->safe_psql('postgres', q(INSERT INTO outbox (id, value) VALUES (1000000, '{"shop": null, "at": "2024-01-15 00:00:00+00"}')));
await_all($inserted + 1);
my $crashes = crash_count($node);
set_fault($node, 'correction-after-commit:crash:1');
$node->safe_psql('postgres', q(
	UPDATE feature_stream.dead_letter d SET payload = convert_to(json_build_object('shop', 's0', 'item', 'i1', 'price', 7, 'score', 1, 'qty', 3, 'big', 5,
	       'at', s.frontier - interval '90 s')::text, 'UTF8')
	  FROM feature_stream.stream_state s WHERE s.stream = d.stream));
answer_of($node, "SELECT feature_stream.replay_dead_letters('clicks', corrections => true)");
wait_until('the crash', sub { crash_count($node) > $crashes });
end_crashes($node);
wait_for_server($node);
$node->safe_psql('postgres', "SELECT feature_stream.replay_dead_letters('twin', corrections => true)");
query_becomes($node, q(SELECT count(DISTINCT stream), bool_and(outcome = 'replayed' AND corrected_at IS NOT NULL), min(corrected_rows) > 0
	FROM feature_stream.dead_letter_outcome), '2|t|t', 'rows are corrected');
agrees('after a correction');
go_on_after_letter();
agrees('after more clicks');
query_is($node, q(SELECT * FROM feature_stream.verify_feature_view('partials')), '', 'all of it verifies');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC|are corrupted/,
	'nothing crashed but what was killed');

done_testing();
