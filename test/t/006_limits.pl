
# Limits: windows that do not fit into feature_stream.memory.  The stream waits,
# says how much would do, and with that much goes on where it stopped.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Outbox;
use Test::More;

my $events = 60000;
my $node = new_node('limits', 'feature_stream.memory' => '16MB');
my $waits = q(SELECT state = 'memory_exhausted' FROM feature_stream.stat_stream WHERE stream = 'wide'::regclass);

# Restarts the server with that much memory, in bytes.
sub restart_with
{
	my ($bytes) = @_;

	$node->append_conf('postgresql.conf', sprintf("feature_stream.memory = '%dMB'", ($bytes + 1048575) / 1048576));
	$node->restart;
	return;
}

# The size that a waiting stream asks for.
sub needed
{
	my ($stream) = @_;

	return $node->safe_psql('postgres',
		"SELECT memory_needed_bytes FROM feature_stream.stat_stream WHERE stream = '$stream'::regclass");
}

# Everybody sends one event with a text of its own, in the hour before 13:00.
hold_clock($node, "timestamptz '2024-01-15 13:00:00+00'");
$node->safe_psql('postgres', qq(
	CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE wide (user_id text NOT NULL, item text NOT NULL, at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value',
			event_time 'at', slice '1 min', watermark_delay '30 s', start 'earliest');
	SELECT feature_stream.create_feature_view('items', 'SELECT user_id, count(*) AS n, max(item) AS item FROM wide GROUP BY user_id',
		windows => '{2 hours}', slide => '1 min');
	SELECT feature_stream.create_feature_view('odd_items', \$\$SELECT user_id, min(item) AS item FROM wide
			WHERE right(user_id, 1) IN ('1', '3', '5', '7', '9') GROUP BY user_id\$\$, windows => '{2 hours}', slide => '1 min');
	INSERT INTO outbox (id, value)
	SELECT i, format('{"user_id": "u%s", "item": "%s", "at": %s}', i, repeat(md5(i::text), 6), 1705320000 + i * 3600.0 / $events)
	  FROM generate_series(1, $events) i));

# --- While it reads.
ok($node->poll_query_until('postgres', $waits), 'a stream whose windows do not fit waits');
my $pid = $node->safe_psql('postgres', 'SELECT pid FROM feature_stream.stat_stream');
my $needed = needed('wide');
cmp_ok($needed, '>', 16 * 1048576, 'stat_stream shows the size that would do');
like($node->safe_psql('postgres', 'SELECT last_error FROM feature_stream.stat_stream'),
	qr/^"?feature_stream\.memory"? is too small for its windows/, 'and why it waits');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/stream public\.wide waits: .*\n.*HINT:.*feature_stream\.memory/,
	'the log says what to do');
$node->safe_psql('postgres', "SELECT feature_stream.checkpoint_stream('wide')");
my ($read, $logged) = split /\|/, $node->safe_psql('postgres', q(
	SELECT sum(read_count), (SELECT sum(event_count) FROM feature_stream.event_log) FROM feature_stream.partition_position));
cmp_ok($read, '<', $events, 'it does not read on');
is($logged, $read, 'what was read is durable');
query_becomes($node, 'SELECT count(*) = (SELECT count(DISTINCT user_id) FROM items_history WHERE n_2h = 1) FROM items WHERE n_2h = 1', 't',
	'and what was fired is served');
query_is($node, 'SELECT state, pid FROM feature_stream.stat_stream', "memory_exhausted|$pid", 'by the same worker all the time');

# --- Before it has read anything: all of the memory is another stream's.
$node->safe_psql('postgres', q(
	CREATE TABLE other_outbox (LIKE outbox INCLUDING ALL);
	INSERT INTO other_outbox (id, value) VALUES (1, '{"user_id": "u1", "at": 1705320000}');
	CREATE FOREIGN TABLE other (user_id text NOT NULL, at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER tables OPTIONS ("table" 'other_outbox', order_by 'id', xid 'xid', value 'value', event_time 'at', start 'earliest');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM other GROUP BY user_id',
		windows => '{1 hour}', slide => '1 min')));
wait_for_state($node, 'other', 'memory_exhausted');
cmp_ok(needed('other'), '>', 16 * 1048576, 'a stream that finds no room at all says how much more would do');
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('wide')");
wait_for_read($node, 'other', 1);
wait_for_state($node, 'other', 'running');
pass('and goes on by itself when the other stream has given it back');
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('wide')");
ok($node->poll_query_until('postgres', $waits), 'which waits again');

restart_with($needed);
wait_for_read($node, 'wide', $events);
wait_for_frontier($node, 'wide', '2024-01-15 12:59:00+00');
my $totals = "SELECT count(*), sum(n_2h), count(DISTINCT item_2h) FROM items";
my $at_the_end = $node->safe_psql('postgres', q(
	SELECT count(*), count(*), count(*) FROM outbox WHERE (value::json->>'at')::numeric < extract(epoch FROM timestamptz '2024-01-15 12:59:00+00')));
query_is($node, $totals, $at_the_end, 'with the size it asked for nothing is missing');
query_is($node, "SELECT sum(event_count) FROM feature_stream.event_log WHERE stream = 'wide'::regclass", $events, 'and nothing is there twice');
query_is($node, q(SELECT string_agg(counted_count || '+' || filtered_count, ' ' ORDER BY view::text) FROM feature_stream.stat_feature_view
		WHERE view <> 'counts'::regclass),
	sprintf('%d+0 %d+%d', $events, $events / 2, $events / 2), 'nor counted twice');

# --- While it recovers.
restart_with(16 * 1048576);
ok($node->poll_query_until('postgres', $waits), 'a stream that cannot rebuild its windows waits');
cmp_ok(needed('wide'), '>', 16 * 1048576, 'and shows the size that would do');
query_becomes($node, q(SELECT memory_bytes, (SELECT state FROM feature_stream.stat_stream WHERE stream = 'other'::regclass)
		FROM feature_stream.stat_stream WHERE stream = 'wide'::regclass), '0|running', 'it leaves to others what it has no use for');
my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM items WHERE user_id = 'u1'");
like($err, qr/55000.*cannot be read now.*memory_exhausted.*HINT:.*feature_stream\.memory/s, 'SELECT says so, instead of showing no rows');

restart_with($needed);
wait_for_read($node, 'other', 1);
wait_for_frontier($node, 'wide', '2024-01-15 12:59:00+00');
query_is($node, $totals, $at_the_end, 'with enough memory both go on');
query_becomes($node, 'SELECT sum(read_count), sum(accepted_count) FROM feature_stream.stat_partition',
	($events + 1) . '|' . ($events + 1), 'and nothing was lost');

# --- Two that do not fit beside each other: one waits until it has the memory of the other.
restart_with(2 * $needed);
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE twin (user_id text NOT NULL, item text NOT NULL, at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value',
			event_time 'at', slice '1 min', watermark_delay '30 s', start 'earliest');
	SELECT feature_stream.create_feature_view('twin_items', 'SELECT user_id, count(*) AS n, max(item) AS item FROM twin GROUP BY user_id',
		windows => '{2 hours}', slide => '1 min');
	SELECT feature_stream.create_feature_view('twin_odd_items', $$SELECT user_id, min(item) AS item FROM twin
			WHERE right(user_id, 1) IN ('1', '3', '5', '7', '9') GROUP BY user_id$$, windows => '{2 hours}', slide => '1 min')));
wait_for_read($node, $_, $events) for qw(wide twin);
wait_for_frontier($node, $_, '2024-01-15 12:59:00+00') for qw(wide twin);
restart_with(1.5 * $node->safe_psql('postgres', 'SELECT max(memory_bytes) FROM feature_stream.stat_stream'));
query_becomes($node, q(SELECT string_agg(state, ', ' ORDER BY state) FROM feature_stream.stat_stream WHERE stream <> 'other'::regclass),
	'memory_exhausted, running', 'of two streams that fit alone one runs');
my ($runs, $other) = split /\n/, $node->safe_psql('postgres', q(SELECT stream FROM feature_stream.stat_stream
	WHERE stream <> 'other'::regclass ORDER BY state <> 'running'));
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('$runs')");
query_becomes($node, "SELECT state FROM feature_stream.stat_stream WHERE stream = '$other'::regclass", 'running',
	'the other does when that is paused');
query_is($node, $other eq 'wide' ? $totals : $totals =~ s/FROM items/FROM twin_items/r, $at_the_end, 'with all that it had');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');
$node->stop;

# --- A batch that does not fit, though each of its windows does: what fires makes room.
$node = new_node('batch', 'feature_stream.memory' => '16MB');
hold_clock($node, "timestamptz '2024-01-15 14:00:00+00'");
create_outbox($node);
create_outbox_stream($node, 'user_id text NOT NULL, note text NOT NULL', late_events => 'strict');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('notes', 'SELECT user_id, count(*) AS n, array_agg(repeat(note, 100)) AS notes FROM clicks GROUP BY user_id',
		windows => '{4 min}', slide => '1 min');
	INSERT INTO outbox (v) SELECT jsonb_build_object('user_id', 'u' || i % 3, 'note', repeat(md5(i::text), 32),
			'clicked_at', timestamptz '2024-01-15 12:00:05+00' + i * interval '10 s')
	  FROM generate_series(1, 300) i));
wait_for_read($node, 'clicks', 300);
wait_for_frontier($node, 'clicks', '2024-01-15 12:49:00+00');
verifies($node, 'notes', 'a batch that is larger than memory is counted as if it came event by event');
query_is($node, 'SELECT sum(n_4m) FROM notes_history WHERE window_end <= \'2024-01-15 12:49:00+00\'', 1136, 'each event in all of its windows');

done_testing();
