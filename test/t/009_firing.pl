
# A window end of more rows than one checkpoint takes: the server dies after each
# checkpoint, and what is fired is fired once.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $entities = 120000;
my $node = new_node('firing', 'feature_stream.memory' => '64MB');

# Sets the clock, which a crash sets back to noon, to so many minutes past it, and asks; undef while the server is down.
sub ask_at
{
	my ($minutes, $query) = @_;
	my $answer = answer_of($node,
		"SELECT feature_stream.set_test_clock(timestamptz '2024-01-15 12:00:00+00' + interval '$minutes min'); $query");

	return defined $answer ? (split /\n/, $answer)[-1] : undef;
}

hold_clock($node, "timestamptz '2024-01-15 12:00:00+00'");
$node->safe_psql('postgres', qq(
	CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text, PRIMARY KEY (xid, id));
	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id int NOT NULL, at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
			slice '1 min', watermark_delay '30 s', idle_after '1 min', start 'earliest');
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{5 min}', slide => '1 min');
	INSERT INTO outbox (id, value) SELECT i, format('{"user_id": %s, "at": 1705320000}', i) FROM generate_series(1, $entities) i));
wait_for_read($node, 'clicks', $entities);
# The stream is idle a minute after the worker has found its end: before its second checkpoint from here, so at noon.
for (1, 2) { make_checkpoint($node, 60) or die 'no checkpoint' }

set_fault($node, 'checkpoint-after-commit:crash:1');
wait_until('a crash at each checkpoint', sub {
	my $fired = ask_at(4, q(SELECT frontier >= '2024-01-15 12:01:00+00' FROM feature_stream.stream_state)) // '';
	return $fired eq 't' && crash_count($node) >= 3;
});
end_crashes($node);
wait_until('the server', sub { defined ask_at(4, 'SELECT true') });
cmp_ok(crash_count($node), '>=', 3, 'each part of the window end was cut off by a crash');
query_is($node, q(SELECT count(*) FROM feature_stream.firing WHERE window_end = '2024-01-15 12:01:00+00'), 3, 'it took several checkpoints');
query_is($node, q(SELECT count(*), count(DISTINCT user_id), sum(n_5m) FROM counts_history
		WHERE window_end = '2024-01-15 12:01:00+00'), "$entities|$entities|$entities", 'each row was fired once');
# Time goes on: the worker finds its end at some time or other.
my $minutes = 9;
wait_until('the end', sub {
	(ask_at($minutes++, q(SELECT frontier >= '2024-01-15 12:07:00+00' AND fire_window_end IS NULL FROM feature_stream.stream_state)) // '') eq 't';
});
query_is($node, 'SELECT window_end, count(*), sum(n_5m) FROM counts_history GROUP BY 1 ORDER BY 1',
	"2024-01-15 12:01:00+00|$entities|$entities\n2024-01-15 12:06:00+00|$entities|0", 'and the empty rows once');
# Statistics follow a little later.
ok($node->poll_query_until('postgres', 'SELECT row_count = ' . 2 * $entities . ' FROM feature_stream.stat_feature_view'),
	'which the counters know');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)|PANIC/, 'nothing crashed but what was killed');

done_testing();
