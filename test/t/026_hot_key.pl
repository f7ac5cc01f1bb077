
# A key with many events in its window: it is found, scanned and computed like any other, and its memory is given back.
#
# FS_EVENTS says how many: 4300000 are more than fitted once, and take minutes.

use strict;
use warnings;

use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = $ENV{FS_EVENTS} || 300_000;
my $node = new_node('hot', 'feature_stream.memory' => '64MB', 'feature_stream.expression_timeout' => '60s');

hold_clock($node, "timestamptz '2024-01-15 12:59:00+00'");
$node->safe_psql('postgres', qq(
	CREATE UNLOGGED TABLE outbox (n bigint NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), v text, PRIMARY KEY (x, n));
	CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, score real NOT NULL, clicked_at timestamptz OPTIONS (unit 's') NOT NULL)
		SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', event_time 'clicked_at', slice '1 min',
			watermark_delay '30 s', idle_after '1 h', start 'earliest');
	-- A sum of floating point needs the events, in their order.
	SELECT feature_stream.create_feature_view('scores', 'SELECT user_id, count(*) AS n, sum(score) AS total FROM clicks GROUP BY user_id',
		windows => '{1 hour}', slide => '10 min');
	INSERT INTO outbox SELECT i, pg_current_xact_id(), '{"user_id":"hot","score":1,"clicked_at":1705320010}' FROM generate_series(1, $events) i;
	INSERT INTO outbox SELECT $events + i, pg_current_xact_id(), format('{"user_id":"u%s","score":2,"clicked_at":1705322500}', i) FROM generate_series(1, 10) i;
	-- The worker planned its query when there was nothing.
	ANALYZE outbox));
query_is($node, q(SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('scores') WHERE feature IS NOT NULL), 'events', 'a view that keeps events');
wait_for_read($node, 'clicks', $events + 10);
wait_for_frontier($node, 'clicks', '2024-01-15 12:40:00+00');
query_is($node, q(SELECT n_1h, total_1h::int FROM scores_history WHERE user_id = 'hot' AND window_end = '2024-01-15 12:10:00+00'),
	"$events|$events", 'the row of the history');
query_is($node, q(SELECT n_1h, total_1h::int FROM scores WHERE user_id = 'hot'), "$events|$events", 'a look-up finds the key');
query_is($node, q(SELECT count(*), sum(n_1h), sum(total_1h)::int FROM scores_live), join('|', 11, $events + 10, $events + 20), 'a scan has it among the others');

# Decoded it takes 56 bytes an event, of which the worker has none any more.
SKIP:
{
	skip 'too few events to tell', 1 if $events < 4_000_000;
	my $pid = ingest_pid($node, 'clicks');
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	cmp_ok($kilobytes, '<', 150_000, 'the worker has given its memory back');
}

done_testing();
