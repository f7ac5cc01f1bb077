# A feature view that comes to a running stream reads from the topic what is
# older than the stream's log: its history is what PostgreSQL's executor makes of
# all events, whoever dies meanwhile, and no other view changes.
#
# FS_EVENTS makes it longer, FS_SEED replays the events.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::ClickHistory;
use Test::More;

my $events = $ENV{FS_EVENTS} || 12000;
my $seed = $ENV{FS_SEED} || int(1 + rand(1000000));
my $random = random_from($seed);
my $midnight = 1705276800;    # 2024-01-15 00:00:00+00
my $partitions = 3;

note("seed $seed (FS_SEED=$seed replays the events)");

my $kafka = new_kafka();
# Small batches make many steps.
my $node = new_node('backread', 'feature_stream.memory' => '64MB', 'feature_stream.poll_batch_size' => 20);

# Records are of a time that is long past: the broker is to keep them all the same.
$kafka->create_topic('clicks', $partitions, 'retention.ms' => -1);
my $redis = new_redis();
create_example_servers($node, $kafka, $redis);
# What was produced: event time in microseconds after midnight.
$node->safe_psql('postgres', q(CREATE TABLE event (n int, o bigint, user_id text, item text, at timestamptz, PRIMARY KEY (n, o))));

my $second = 0;

# Moves the clock to so many seconds after midnight.
sub set_clock
{
	($second) = @_;
	hold_clock($node, "to_timestamp($midnight + $second)");
	return;
}

my @next = (0) x $partitions;    # offsets
my $bad = 0;

# Produces clicks of a stretch of seconds after midnight with so much disorder, and some records that are none.
sub produce
{
	my ($first, $last, $count, $disorder, $with_bad) = @_;
	my @records;
	my $rows = '';

	set_clock($last);

	for my $i (0 .. $count - 1)
	{
		my $n = int($random->() * $partitions);
		my $sent = $first + ($last - $first) * $i / $count;
		my $at = sprintf('%.6f', $midnight + $sent - $random->()**3 * $disorder);
		my ($user, $item) = ('u' . int($random->() * $random->() * 60), 'i' . int($random->() * 20));
		my $value = qq({"user_id": "$user", "item_id": "$item", "timestamp": $at});

		if ($with_bad && $i % 1000 == 500)
		{
			$value = ('{', qq({"user_id": "", "item_id": "i", "timestamp": $at}), undef, '{"user_id": "x"}')[ $bad++ % 4 ];
		}
		else
		{
			$rows .= "$n\t$next[$n]\t$user\t$item\t$at\n";
		}
		push @records, { partition => $n, value => $value, timestamp => int(1000 * ($midnight + $sent)) };
		$next[$n]++;
	}
	$kafka->produce_records('clicks', \@records);
	$node->safe_psql('postgres', "CREATE TEMP TABLE t (n int, o bigint, u text, i text, at numeric);\n"
		. "INSERT INTO t SELECT * FROM (VALUES " . join(', ', map { my @f = split /\t/; "($f[0], $f[1]::bigint, '$f[2]', '$f[3]', $f[4])" } split /\n/, $rows)
		. ") v;\nINSERT INTO event SELECT n, o, u, i, 'epoch'::timestamptz + at * interval '1 s' FROM t");
	return;
}

# Brings the watermark of every partition to 30 s before that second, and waits until windows have fired up to there.
sub tick
{
	my ($to) = @_;
	my @records = map { { partition => $_, value => sprintf('{"user_id": "tick", "item_id": "t%d", "timestamp": %d.%06d}', $_, $midnight + $to - 1, $_) } } 0 .. $partitions - 1;

	set_clock($to);
	$kafka->produce_records('clicks', \@records);
	$node->safe_psql('postgres', join(';', map { sprintf("INSERT INTO event VALUES (%d, %d, 'tick', 't%d', to_timestamp(%d) + interval '%d us')", $_, $next[$_]++, $_, $midnight + $to - 1, $_) } 0 .. $partitions - 1));
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres', "SELECT to_timestamp($midnight + $to - 60)"));
	return;
}

sub create_view
{
	my ($name, $more) = @_;

	create_click_view($node, $name, $more);
	return;
}

sub is_history
{
	my ($view, $where, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres', "SELECT to_timestamp($midnight + $second - 60)"));
	return is(rows_differ($node, click_history($view), expected_click_history($where)), '', $name);
}

# Waits until a view's history is there.
sub is_filled
{
	my ($view) = @_;

	wait_for_filled($node, $view);
	ingest_pid($node, 'clicks');
	return;
}

# --- Events, then a stream that begins behind them, and a view that is there from then on.
produce(0, 6 * 3600, $events, 1800, 1);
create_stream($node, 'clicks', 'clicks', start => 'latest', idle_after => '1 day', log_retention => '1 hour',
	dead_letter_retention => '30000 days');
create_view('plain', '');
$node->poll_query_until('postgres', "SELECT count(*) = $partitions FROM feature_stream.partition_position") or die 'no positions';
my @start = @next;
my $live = join(' OR ', map { "n = $_ AND o >= $start[$_]" } 0 .. $partitions - 1);
produce(6 * 3600, 6.3 * 3600, $events / 20, 20, 0);
tick(6.3 * 3600);
is_history('plain', $live, 'a view that begins with the stream has the events from there on');

# --- Read back, by workers that die at each point of a step, while the stream goes on.
my $crashes = crash_count($node);
set_fault($node, 'backread-before-commit:crash:2');
create_view('filled', ", backfill_from => 'earliest', online => 'redis'");
wait_until('a crash before a step is committed', sub { crash_count($node) > $crashes });
set_fault($node, 'backread-after-commit:crash:2');
$crashes = crash_count($node);
wait_until('a crash after a step was committed', sub {
	crash_count($node) > $crashes || (answer_of($node, q(SELECT state FROM feature_stream.backread)) // 'reading') ne 'reading' });
end_crashes($node);
produce(6.3 * 3600, 6.4 * 3600, $events / 50, 20, 0);
tick(6.4 * 3600);
is_filled('filled');
tick(6.5 * 3600);
note($node->safe_psql('postgres', q(SELECT * FROM feature_stream.stat_progress_backfill)));
cmp_ok(crash_count($node), '>=', 2, 'processes were killed');
is_history('filled', 'true', "its history is what the executor makes of all events (seed $seed)");
# Redis has a clock of its own: what a worker writes when ours is set back outlives the test.
set_clock(5 * 3600);
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
wait_for_state($node, 'clicks', 'paused');
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
wait_for_online($node, $redis, 'filled');
verifies($node, 'filled', 'it verifies, its online store included');
set_clock(6.5 * 3600);
query_is($node, q(SELECT bool_and(complete), max(window_end) FILTER (WHERE backfilled) < min(window_end) FILTER (WHERE NOT backfilled),
	min(window_end) < '2024-01-15 00:00:00+00' FROM filled_history), 't|t|t', 'complete, and joined to the live flow at one window end');
query_is($node, "SELECT reason, state, offsets_total, offsets_done, lost_count, refused_count, refused_example ~ '^partition \\d, offset \\d+, [a-z_]+: '
	FROM feature_stream.stat_progress_backfill", join('|', 'creation', 'done', ($start[0] + $start[1] + $start[2]) x 2, 0, $bad, 't'),
	'every offset up to the stream\'s own start was read, and what is no event is counted');
query_is($node, 'SELECT count(*) FROM feature_stream.dead_letter', 0, 'but is no dead letter of the stream');
is_history('plain', $live, 'the other view has what it had');
verifies($node, 'plain', 'and verifies');

# --- Retention: what was read goes when nobody needs it any more.
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM feature_stream.backread_log'), '>', 0, 'events that were read');
tick(10 * 3600);
$node->poll_query_until('postgres', q(SELECT NOT EXISTS (SELECT FROM feature_stream.backread_log)
	AND (SELECT min(slice) > '2024-01-15 07:00:00+00' FROM feature_stream.event_log))) or die 'the log is not dropped';
pass('are dropped as the log is');
is_history('filled', 'true', 'and the history stays');

# --- The log does not reach back to the stream's beginning any more; brokers that do not answer.
produce(10 * 3600, 10.2 * 3600, $events / 50, 20, 0);
tick(10.2 * 3600);
$kafka->kill9;
create_view('again', ", backfill_from => 'earliest'");
$node->poll_query_until('postgres', q(SELECT state = 'failed' AND error <> '' FROM feature_stream.stat_progress_backfill WHERE view = 'again'::regclass))
	or die 'no error';
pass('brokers that do not answer: the progress says so');
wait_until('the view to say what it waits for', sub {
	($node->psql('postgres', 'SELECT * FROM again'))[2] =~ /"again" cannot be read now.*backfill_from.*stat_progress_backfill/s });
pass('and the view what it waits for');
query_is($node, q(SELECT string_agg(format('%s %s', view, state), ' ' ORDER BY view::text) FROM feature_stream.stat_feature_view), 'again reading filled active plain active',
	'the others go on');
$kafka->start;
is_filled('again');
query_is($node, "SELECT cut > '2024-01-15 07:00:00+00', error FROM feature_stream.backread WHERE view = 'again'::regclass", 't|', 'the log had lost some');
is_history('again', 'true', 'its history is whole all the same');
verifies($node, 'again', 'and verifies');

# --- From a time on.
my $from = 4 * 3600;
create_view('since', ", backfill_from => '2024-01-15 04:00:00+00'");
is_filled('since');
my $since = $node->safe_psql('postgres', q(SELECT string_agg(format('n = %s AND o >= %s', partition, start_offset), ' OR ')
	FROM feature_stream.backread_position WHERE view = 'since'::regclass));
# Records were sent evenly.
cmp_ok(abs($node->safe_psql('postgres', "SELECT count(*) FROM event WHERE o < (SELECT start_offset FROM feature_stream.backread_position b
	WHERE b.view = 'since'::regclass AND b.partition = n)") + $bad * 2 / 3 - $events * 4 / 6), '<=', 5, 'it begins with the first record of that time');
is_history('since', $since, 'from a time on');
query_is($node, q(SELECT min(window_end) FILTER (WHERE complete) BETWEEN '2024-01-15 04:00:00+00' AND '2024-01-15 04:32:00+00',
	bool_or(NOT complete) FROM since_history), 't|t', 'windows that begin before it are not complete');
verifies($node, 'since', 'it verifies');

# --- Offsets that the topic has lost, before it is read and while it is.
$kafka->delete_records('clicks', 0, 100);
set_fault($node, 'backread-before-commit:error:2');
# No step is committed meanwhile, and no process does a second one.
my $holder = new_session($node, 'postgres');
$holder->run('SELECT pg_advisory_lock(1)');
$node->safe_psql('postgres', q(
	CREATE FUNCTION wait_for_holder() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN new; END';
	CREATE TRIGGER wait_for_holder BEFORE UPDATE ON feature_stream.backread_position FOR EACH ROW EXECUTE FUNCTION wait_for_holder()));
create_view('late', ", backfill_from => 'earliest'");
wait_until('a reading', sub { (answer_of($node, "SELECT state FROM feature_stream.backread WHERE view = 'late'::regclass") // '') eq 'reading' });
$kafka->delete_records('clicks', 0, $next[0] - 10);
$holder->close;
# A first step that was quick has read what was lost since, and the reading is done.
wait_until('the loss', sub { (answer_of($node, q(SELECT lost_count > 0 OR state = 'done' FROM feature_stream.stat_progress_backfill WHERE view = 'late'::regclass)) // 'f') eq 't' });
set_fault($node, '');
is_filled('late');
$node->safe_psql('postgres', 'DROP FUNCTION wait_for_holder CASCADE');
my ($lost, $begun) = split /\|/, $node->safe_psql('postgres', "SELECT lost_count, start_offset FROM feature_stream.stat_progress_backfill p, feature_stream.backread_position b
	WHERE p.view = 'late'::regclass AND b.view = p.view AND b.partition = 0");
# Where the topic began when the reading did: before the loss, or after it.
ok($begun == 100 || $begun == $next[0] - 10, 'earliest is where the topic begins');
note("$lost offsets were lost, it began at $begun");
my $gap = $next[0] - 10 - $lost;
my $cut = $node->safe_psql('postgres', "SELECT cut FROM feature_stream.backread WHERE view = 'late'::regclass");
is_history('late', "(n <> 0 OR o >= $begun AND (o < $gap OR o >= $next[0] - 10) OR o >= $start[0] AND at >= '$cut')",
	'what goes while it is read is counted, and is what is missing, unless the log has it');

# --- The first view of a stream, whose topic is quiet.
$kafka->create_topic('quiet', 1, 'retention.ms' => -1);
$kafka->produce_records('quiet', [ map { { partition => 0, timestamp => 1000 * ($midnight + $_ * 60),
	value => sprintf('{"user_id": "u", "item_id": "i%d", "timestamp": %d}', $_, $midnight + $_ * 60) } } 0 .. 9 ]);
create_stream($node, 'still', 'quiet', start => 'latest', idle_after => '1 day');
$node->safe_psql('postgres', q(SELECT feature_stream.create_feature_view('still_counts', 'SELECT user_id, count(*) AS n FROM still GROUP BY user_id',
	windows => '{10 min}', slide => '1 min', backfill_from => 'earliest')));
$node->poll_query_until('postgres', q(SELECT state = 'waiting' AND offsets_done = 10 AND offsets_total = 10
	FROM feature_stream.stat_progress_backfill WHERE view = 'still_counts'::regclass)) or die 'the topic is not read';
pass('a quiet topic is read');
$kafka->produce_records('quiet', [ { partition => 0, value => sprintf('{"user_id": "v", "item_id": "i", "timestamp": %d}', $midnight + 900) } ]);
is_filled('still_counts');
query_is($node, q(SELECT count(*), min(window_end), bool_and(complete) FROM still_counts_history WHERE window_end <= '2024-01-15 00:14:00+00'),
	'14|2024-01-15 00:01:00+00|t', 'and the view begins when the stream has fired');

# --- A view that is dropped while it is read for.
$kafka->kill9;
create_view('gone', ", backfill_from => 'earliest'");
$node->poll_query_until('postgres', q(SELECT state = 'failed' FROM feature_stream.stat_progress_backfill WHERE view = 'gone'::regclass)) or die 'no error';
$node->safe_psql('postgres', "SELECT feature_stream.drop_feature_view('gone', drop_history => true)");
$node->poll_query_until('postgres', q(SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'feature_stream backfill worker')))
	or die 'the worker does not end';
query_is($node, q(SELECT count(*) FROM feature_stream.backread r WHERE NOT EXISTS (SELECT FROM feature_stream.feature_view v WHERE v.view = r.view)), 0,
	'nothing is left of it, and the worker ends');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/,
	'nothing crashed but what was killed');

done_testing();
