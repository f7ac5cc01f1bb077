
# A stream that reads an ordinary table, from end to end: what is counted, what
# is not and why, and that crashes change nothing.  Every row of history is
# compared with plain SQL over the events, which decides itself what was late.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $node = new_node('table');

# Time is the test's, also after a crash: events of 2024, and nothing is idle before we say so.
hold_clock($node, "timestamptz '2024-01-15 12:00:00+00'");
$node->safe_psql('postgres', q(
	-- What was sent, and what a stream reads of it.
	CREATE TABLE truth (
		id bigint PRIMARY KEY, arrived timestamptz, t timestamptz, user_id text, shop int, item_id text,
		category text, has_category boolean, price numeric, qty int, score float8);
	CREATE TABLE outbox (
		id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz,
		key text, value text, PRIMARY KEY (xid, id));

	CREATE FUNCTION payload(e truth) RETURNS text LANGUAGE sql AS $$
		SELECT format('{"user_id": %s, "shop": %s, "item_id": %s,%s "price": %s, "qty": %s, "score": %s, "timestamp": %s}',
			to_json(e.user_id), e.shop, to_json(e.item_id),
			CASE WHEN e.has_category THEN format(' "category": %s,', coalesce(to_json(e.category)::text, 'null')) END,
			coalesce(e.price::text, 'null'), e.qty, e.score, extract(epoch FROM e.t)) $$;

	-- Events number 'first' to 'last', one every two seconds: disorder up to 25 s, equal times, some partially and
	-- some fully late, one producer 45 s fast, a few from far ahead, and garbage in between.
	CREATE FUNCTION send(first int, last int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO truth
		SELECT i, arrived,
		       date_trunc('milliseconds', arrived - CASE
		           WHEN i % 97 = 0 THEN interval '1 s' * (60 + 20 * (r[1] * 60))
		           WHEN i % 191 = 0 THEN interval '3 hours'
		           WHEN i % 11 = 0 THEN interval '-45 s'
		           WHEN i % 173 = 0 THEN interval '-5 min'
		           WHEN i % 5 = 0 THEN interval '2 s'
		           ELSE interval '25 s' * r[2] END),
		       'u' || floor(9 * r[3] * r[3]), floor(3 * r[4]), 'i' || floor(30 * r[5]),
		       CASE WHEN i % 13 <> 0 THEN 'c' || floor(4 * r[6]) END, i % 7 <> 0,
		       CASE WHEN i % 17 <> 0 THEN round((100 * r[7])::numeric, 2) END, floor(9 * r[8]), r[9] * 1000 - 500
		  FROM (SELECT i, timestamptz '2024-01-15 12:00:00+00' + i * interval '2 s' AS arrived,
		               ARRAY(SELECT (hashint8extended(i::bigint, k) & 1048575) / 1048576.0::float8
		                       FROM generate_series(1, 9) k) AS r
		          FROM generate_series(first, last) i) s;
		INSERT INTO outbox (id, arrived, value)
		SELECT id, arrived, payload(truth) FROM truth WHERE id BETWEEN first AND last
		UNION ALL SELECT id + 1000000, arrived, '{"user_id": broken' FROM truth WHERE id BETWEEN first AND last AND id % 61 = 0
		ORDER BY arrived, id $$;

	CREATE SERVER tables FOREIGN DATA WRAPPER feature_stream_table;
	CREATE FOREIGN TABLE clicks (
		user_id    text        NOT NULL CHECK (user_id <> ''),
		shop       int         NOT NULL,
		item_id    text        NOT NULL,
		category   text        DEFAULT 'unknown',
		price      numeric,
		qty        int,
		score      float8,
		clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
	) SERVER tables OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived',
		format 'json', event_time 'clicked_at', slice '1 min', watermark_delay '30 s', max_future '60 s',
		idle_after '1 min', dead_letter_retention '30000 days', start 'earliest');
));

create_session_view($node, windows => '{10 min, 30 min}');
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('shop_features', $$
		SELECT shop, user_id, count(*) AS n, count(price) AS priced, sum(price) AS total, avg(price) AS mean,
		       min(price) AS low, max(price) AS high, sum(score) AS score_sum, avg(score) AS score_mean,
		       max(item_id) AS last_item, sum(qty) AS pieces, min(clicked_at) AS since
		  FROM clicks WHERE category IN ('c1', 'c2', 'unknown') AND qty > 2 GROUP BY user_id, shop $$,
		windows => '{10 min}', slide => '5 min', history_retention => '2 days')));

# Entities and features that are expressions, aggregates that are replayed, and rows that raise errors.
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('any_features', $$
		SELECT upper(user_id) AS who, shop * 2 AS shop, count(*) FILTER (WHERE qty > 3) AS many,
		       sum(price) / count(price) AS mean, count(*) || upper(user_id) AS tag, 1 / (count(*) - 1) AS odd,
		       string_agg(item_id, ',') AS items, string_agg(DISTINCT category, '' ORDER BY category) AS categories,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY score) AS median, array_agg(100 / (qty + 1)) AS shares
		  FROM clicks WHERE category <> 'c0' GROUP BY upper(user_id), shop * 2 $$,
		windows => '{10 min, 15 min}', slide => '5 min')));

# The events that count, with the bound that each was judged by and its default applied.
my $counted = q(
	judged AS (
		SELECT *, CASE WHEN has_category THEN category ELSE 'unknown' END AS cat,
		       max(least(t, arrived)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
		           - interval '30 s' AS bound
		  FROM truth WHERE t <= arrived + interval '60 s' AND id <= (SELECT max(id) FROM truth)),
	frontier AS (SELECT frontier FROM feature_stream.stream_state WHERE stream = 'clicks'::regclass));

sub ends_after { return "date_bin('$_[1]', $_[0], '1970-01-01 00:00:00+00') + interval '$_[1]'"; }

# The first window end (of a slide) that counts an event.
sub enters
{
	my ($slide) = @_;

	return "CASE WHEN " . ends_after('t', $slide) . " <= bound THEN " . ends_after('bound', $slide)
	  . " ELSE " . ends_after('t', $slide) . " END";
}

sub expected_session_history
{
	my $window = sub {
		return "t < w AND w <= t + interval '$_[0] min' AND w >= enter";
	};
	my $features = join ', ', map {
		my $in = $window->($_);
		"array_agg(item_id ORDER BY t, id) FILTER (WHERE $in), count(*) FILTER (WHERE $in), "
		  . "count(DISTINCT item_id) FILTER (WHERE $in), count(DISTINCT cat) FILTER (WHERE $in), "
		  . "mode() WITHIN GROUP (ORDER BY cat) FILTER (WHERE $in)"
	} 10, 30;

	my ($enter, $leave) = (enters('1 min'), ends_after("(t + m * interval '1 min')", '1 min'));

	return <<"SQL";
		WITH $counted,
		events AS (SELECT *, $enter AS enter FROM judged),
		ends AS (SELECT DISTINCT user_id, w
		           FROM events, unnest(ARRAY[10, 30]) m, unnest(ARRAY[enter, $leave]) w
		          WHERE enter <= t + m * interval '1 min' AND w <= (TABLE frontier))
		SELECT user_id, w, $features FROM ends JOIN events USING (user_id) GROUP BY user_id, w
SQL
}

my $session_features = join ', ', map { ("items_clicked_$_", "item_count_$_", "distinct_items_$_", "distinct_categories_$_",
		"top_category_$_") } '10m', '30m';
my $session_history = "SELECT user_id, window_end, $session_features FROM session_features_history";

sub expected_shop_history
{
	my ($enter, $leave) = (enters('5 min'), ends_after("(t + interval '10 min')", '5 min'));
	my $in = "t < w AND w <= t + interval '10 min' AND w >= enter";

	return <<"SQL";
		WITH $counted,
		events AS (SELECT *, $enter AS enter FROM judged WHERE cat IN ('c1', 'c2', 'unknown') AND qty > 2),
		ends AS (SELECT DISTINCT user_id, shop, w
		           FROM events, unnest(ARRAY[enter, $leave]) w
		          WHERE enter <= t + interval '10 min' AND w <= (TABLE frontier))
		SELECT shop, user_id, w, count(*) FILTER (WHERE $in), count(price) FILTER (WHERE $in),
		       sum(price) FILTER (WHERE $in), avg(price) FILTER (WHERE $in), min(price) FILTER (WHERE $in),
		       max(price) FILTER (WHERE $in), sum(score ORDER BY t, id) FILTER (WHERE $in),
		       avg(score ORDER BY t, id) FILTER (WHERE $in), max(item_id) FILTER (WHERE $in),
		       sum(qty) FILTER (WHERE $in), min(t) FILTER (WHERE $in)
		  FROM ends JOIN events USING (user_id, shop) GROUP BY shop, user_id, w
SQL
}

my $shop_history = q(
	SELECT shop, user_id, window_end, n_10m, priced_10m, total_10m, mean_10m, low_10m, high_10m, score_sum_10m,
	       score_mean_10m, last_item_10m, pieces_10m, since_10m FROM shop_features_history);

sub sent { return $node->safe_psql('postgres', 'SELECT count(*) FROM outbox'); }

# Everything that was sent has been read, and fired as far as it goes.
sub wait_until_settled
{
	wait_for_read($node, 'clicks', sent());
	wait_for_frontier($node, 'clicks', $node->safe_psql('postgres',
		"SELECT date_trunc('minute', watermark) FROM feature_stream.partition_position WHERE stream = 'clicks'::regclass"));
	return;
}

# The rows that SELECT from the views should give: the newest of each key, unless its windows are empty.
my $in_force = qq(
	SELECT * FROM (
		SELECT DISTINCT ON (user_id) user_id, $session_features, window_end, computed_at
		  FROM session_features_history ORDER BY user_id, window_end DESC) r
	 WHERE item_count_30m > 0);
my $shop_in_force = q(
	SELECT * FROM (
		SELECT DISTINCT ON (user_id, shop) shop, user_id, n_10m, total_10m, score_sum_10m, last_item_10m, window_end, computed_at
		  FROM shop_features_history ORDER BY user_id, shop, window_end DESC) r
	 WHERE n_10m > 0);

# What is committed is published a moment later: true once they are equal.
sub becomes_equal
{
	my ($got, $expected) = @_;
	my $difference;

	# A worker that is just recovering has no rows to show: an error.
	eval { wait_until('equal rows', sub {
		$difference = eval { rows_differ($node, $got, $expected) } // $@;
		return $difference eq '';
	}) };
	return $difference;
}

sub histories_are_right
{
	my ($when) = @_;

	is(rows_differ($node, $session_history, expected_session_history()), '', "history of the five features $when");
	is(rows_differ($node, $shop_history, expected_shop_history()), '', "history with WHERE and two keys $when");
	is(becomes_equal('SELECT * FROM session_features', $in_force), '', "rows in force $when");
	is(becomes_equal('SELECT shop, user_id, n_10m, total_10m, score_sum_10m, last_item_10m, window_end, computed_at FROM shop_features',
			$shop_in_force), '', "rows in force with WHERE and two keys $when");
	verifies($node, $_, "$_ verifies $when") for qw(session_features shop_features any_features);
	return;
}

# --- A first stretch.
$node->safe_psql('postgres', "SELECT send($_ * 100 + 1, $_ * 100 + 100)") for 0 .. 4;
wait_until_settled();
histories_are_right('at first');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM session_features_history'), '>', 100, 'there are rows');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM shop_features_history WHERE n_10m = 0'), '>', 0,
	'there are empty rows');
cmp_ok($node->safe_psql('postgres', 'SELECT partially_late_count FROM feature_stream.stat_stream'), '>', 0,
	'there are partially late events');
is($node->safe_psql('postgres', q(
	SELECT string_agg(reason, ' ' ORDER BY reason) FROM (SELECT DISTINCT reason FROM feature_stream.dead_letter) d)),
	'future late malformed', 'there are dead letters');
query_is($node, q(SELECT read_count = accepted_count + dead_letter_count, dead_letter_count =
		(SELECT count(*) FROM feature_stream.dead_letter) FROM feature_stream.stat_partition), 't|t',
	'events read = accepted + dead letters');

# --- The same query as a preview, over the log.
is(rows_differ($node, "SELECT user_id, window_end, jsonb_build_object('mean_10m', mean_10m, 'score_sum_10m', score_sum_10m,
			'last_item_10m', last_item_10m, 'since_10m', since_10m) FROM shop_features_history WHERE shop = 1",
		"SELECT entity->>'user_id', window_end, features::jsonb FROM feature_stream.preview_feature_view(\$\$
			SELECT user_id, shop, avg(price) AS mean, sum(score) AS score_sum, max(item_id) AS last_item, min(clicked_at) AS since
			  FROM clicks WHERE category IN ('c1', 'c2', 'unknown') AND qty > 2 GROUP BY shop, user_id \$\$,
			'{10 min}', '5 min', since => '-infinity') WHERE (entity->'shop')::int = 1"), '', 'a preview gives the rows of the history');

# --- What users look up.
my $by_key = $node->safe_psql('postgres', q(
	EXPLAIN SELECT * FROM session_features WHERE user_id = 'u2'));
like($by_key, qr/Key Lookup/, 'EXPLAIN shows the look-up by key');
unlike($node->safe_psql('postgres', 'EXPLAIN SELECT * FROM session_features'), qr/Key Lookup/, 'and none without a key');
is(rows_differ($node, "SELECT * FROM session_features WHERE user_id = 'u2'",
		"SELECT * FROM ($in_force) r WHERE user_id = 'u2'"), '', 'by key');
is(rows_differ($node, "SELECT * FROM session_features WHERE user_id = ANY ('{u1,u3,nobody}')",
		"SELECT * FROM ($in_force) r WHERE user_id IN ('u1', 'u3')"), '', 'by several keys');
is(rows_differ($node, "SELECT f.* FROM (VALUES ('u0'), ('u4'), ('nobody')) v (u) JOIN session_features f ON f.user_id = v.u",
		"SELECT * FROM ($in_force) r WHERE user_id IN ('u0', 'u4')"), '', 'by a join');
is(rows_differ($node, q(SELECT user_id, shop, n_10m FROM shop_features WHERE user_id = 'u1' AND shop = 2),
		q(SELECT user_id, shop, n_10m FROM shop_features_history WHERE user_id = 'u1' AND shop = 2
		  ORDER BY window_end DESC LIMIT 1)), '', 'by two keys');
query_is($node, "SELECT count(*) FROM session_features WHERE user_id = 'nobody'", 0, 'an unknown key has no row');

# --- As of a time: now it is the row in force, at each window end the row of that end, between two the earlier one.
is(rows_differ($node, "SELECT f.user_id, f.items_clicked_30m, f.window_end, f.computed_at
		FROM session_features s, LATERAL session_features_as_of(s.user_id, 'infinity') f",
		'SELECT user_id, items_clicked_30m, window_end, computed_at FROM session_features'), '', 'as of now');
for my $later ('0 s', '59.999999 s')
{
	is(rows_differ($node, "SELECT f.* FROM shop_features_history h
			LEFT JOIN LATERAL shop_features_as_of(h.shop, h.user_id, h.window_end + interval '$later', 'infinity') f ON true",
			'TABLE shop_features_history'), '', "as of $later after each window end");
}

# --- Crashes.
my $pid = ingest_pid($node, 'clicks');
$node->safe_psql('postgres', 'SELECT send(501, 700)');
kill_backend_process($node, $pid);
$node->safe_psql('postgres', 'SELECT send(701, 900)');
wait_until_settled();
histories_are_right('after kill -9 of the ingest worker');
isnt(ingest_pid($node, 'clicks', $pid), $pid, 'by another worker');

$node->safe_psql('postgres', 'SELECT send(901, 1100)');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', 'SELECT send(1101, 1300)');
wait_until_settled();
histories_are_right('after an immediate shutdown');

for my $point (qw(checkpoint-begin checkpoint-before-commit checkpoint-after-commit))
{
	my $from = 1301 + 100 * ($point =~ /begin/ ? 0 : $point =~ /before/ ? 1 : 2);
	fail_at_point($node, $point, sub { $node->safe_psql('postgres', "SELECT send($from, $from + 99)") });
	wait_until_settled();
	histories_are_right("after an error at $point");
}

# --- Pause and resume.
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
wait_for_state($node, 'clicks', 'paused');
my $read = $node->safe_psql('postgres', 'SELECT sum(read_count) FROM feature_stream.partition_position');
$node->safe_psql('postgres', 'SELECT send(1601, 1700)');
query_becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'feature_stream ingest worker'), 0,
	'a paused stream has no worker');
query_is($node, 'SELECT sum(read_count) FROM feature_stream.partition_position', $read, 'and reads nothing');
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
wait_until_settled();
histories_are_right('after pause and resume');

# --- A view more over the same stream, and one less.
$node->safe_psql('postgres', q(
	SELECT feature_stream.create_feature_view('counts', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min')));
$node->safe_psql('postgres', 'SELECT send(1701, 1900)');
wait_until_settled();
histories_are_right('beside a new view');
$node->poll_query_until('postgres', "SELECT state = 'done' FROM feature_stream.stat_progress_backfill WHERE view = 'counts'::regclass")
	or die 'the new view is not backfilled';
query_becomes($node, "SELECT entities > 0, complete_from IS NULL FROM feature_stream.stat_feature_view WHERE view = 'counts'::regclass", 't|t',
	'the new view is complete: the log still has every event');
is(rows_differ($node, 'SELECT user_id, window_end, n_10m FROM counts_history',
		'SELECT user_id, window_end, item_count_10m FROM session_features_history JOIN counts_history USING (user_id, window_end)'),
	'', 'and is equal to the other from the first window end on');
query_is($node, 'SELECT min(window_end) = (SELECT min(window_end) FROM session_features_history) FROM counts_history', 't', 'which is the same');
my $before_drop = ingest_pid($node, 'clicks');
$node->safe_psql('postgres', "SELECT feature_stream.drop_feature_view('counts')");
query_is($node, "SELECT to_regclass('counts') IS NULL, to_regclass('counts_definition') IS NULL, count(*) > 0 FROM counts_history",
	't|t|t', 'a dropped view leaves its history');
$node->safe_psql('postgres', 'DROP TABLE counts_history');

# --- Nothing comes any more: windows empty by the clock, for a worker that has found the end before.
ingest_pid($node, 'clicks', $before_drop);
$node->safe_psql('postgres', "SELECT feature_stream.checkpoint_stream('clicks')");
hold_clock($node, "timestamptz '2024-01-15 15:00:00+00'");
wait_for_frontier($node, 'clicks', '2024-01-15 14:58:00+00');
histories_are_right('of an idle stream');
query_is($node, 'SELECT count(*), sum(item_count_30m) FROM session_features', '0|', 'an idle stream empties its windows');
query_is($node, q(SELECT bool_and(idle) FROM feature_stream.stat_partition), 't', 'and says that it is idle');
query_is($node, q(SELECT count(*) FROM (SELECT DISTINCT ON (user_id) * FROM session_features_history
		ORDER BY user_id, window_end DESC) r WHERE item_count_30m <> 0 OR items_clicked_30m IS NOT NULL OR top_category_30m IS NOT NULL),
	0, 'each key ends with the empty row');

# --- It wakes up behind the frontier: late for what was fired meanwhile.
$node->safe_psql('postgres', q(
	INSERT INTO outbox (id, arrived, value)
	SELECT 2000000 + i, '2024-01-15 15:00:05+00', format('{"user_id":"w","shop":1,"item_id":"i%s","timestamp":%s}', i,
		extract(epoch FROM timestamptz '2024-01-15 14:50:00+00' + i * interval '2 min'))
	  FROM generate_series(1, 4) i));
wait_for_read($node, 'clicks', sent());
query_is($node, "SELECT count(*) FROM feature_stream.partition_wakeup WHERE stream = 'clicks'::regclass", 1,
	'an idle partition that wakes up behind the frontier is written down');
hold_clock($node, "timestamptz '2024-01-15 15:10:00+00'");
wait_for_frontier($node, 'clicks', '2024-01-15 15:05:00+00');
query_is($node, q(SELECT to_char(min(window_end), 'HH24:MI'), (array_agg(item_count_30m ORDER BY window_end))[1]
		FROM session_features_history WHERE user_id = 'w'), '14:59|4', 'its events count from there on');

# --- Dead letters: every reason, with what was sent and where.
$node->safe_psql('postgres', q(
	CREATE TABLE bad_outbox (LIKE outbox INCLUDING ALL);
	CREATE FOREIGN TABLE strict_events (
		user_id text NOT NULL CHECK (user_id <> ''),
		amount int CHECK (amount < 1000),
		tag uuid,
		at timestamptz OPTIONS (unit 's') NOT NULL
	) SERVER tables OPTIONS ("table" 'bad_outbox', order_by 'id', xid 'xid', value 'value', key 'key', arrival 'arrived',
		event_time 'at', slice '1 min', watermark_delay '30 s', max_future '60 s', idle_after '1 min', dead_letter_retention '30000 days', start 'earliest');
	SELECT feature_stream.create_feature_view('sums', 'SELECT user_id, sum(amount) AS total FROM strict_events GROUP BY user_id',
		windows => '{5 min}', slide => '1 min');
	INSERT INTO bad_outbox (id, arrived, key, value)
	SELECT n, '2024-01-15 12:10:00+00', 'k' || n, replace(v, '@', '1705320600') FROM (VALUES
		(1, '{"user_id": "a", "amount": 1, "at": @}'),
		(2, '{"user_id": "a", "amount": 1, "at": @'),
		(3, '{"amount": 2, "at": @}'),
		(4, '{"user_id": null, "at": @}'),
		(5, '{"user_id": "", "at": @}'),
		(6, '{"user_id": "a", "amount": 5000, "at": @}'),
		(7, '{"user_id": "a", "amount": "many", "at": @}'),
		(8, '{"user_id": "a", "amount": 99999999999, "at": @}'),
		(9, '{"user_id": "a", "at": 1e18}'),
		(10, '{"user_id": "a", "at": -5}'),
		(11, '{"user_id": "a", "at": 1705320700}'),
		(12, '{"user_id": "a", "at": 1705310000}'),
		(13, NULL),
		(14, ''),
		(15, '{"user_id": "x\u0000y", "at": @}'),
		(16, '{"user_id": "a", "at": NaN}'),
		(17, '[' || repeat('[', 5000) || ']'),
		(18, '{"user_id": "a", "tag": "no uuid", "at": @}'),
		(19, '{"user_id": "a", "user_id": "b", "extra": {"x": [1, null]}, "amount": 7, "at": @.5}')) v (n, v)));
wait_for_read($node, 'strict_events', 19);
query_is($node, q(SELECT string_agg("offset" || ' ' || reason, ', ' ORDER BY "offset") FROM feature_stream.dead_letter
		WHERE stream = 'strict_events'::regclass),
	'2 malformed, 3 missing_field, 4 missing_field, 5 check_violation, 6 check_violation, 7 bad_value, 8 bad_value, '
	  . '9 bad_value, 10 bad_value, 11 future, 12 late, 13 tombstone, 14 malformed, 15 bad_value, 16 malformed, '
	  . '17 malformed, 18 bad_value', 'each reason');
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter d JOIN bad_outbox b ON b.id = d."offset"
		WHERE stream = 'strict_events'::regclass AND payload IS NOT DISTINCT FROM convert_to(b.value, 'UTF8')
		AND d.key = convert_to(b.key, 'UTF8') AND partition = 0 AND received_at = b.arrived), 17,
	'with payload, key, offset and arrival');
for ([ 3, qr/"user_id" is missing/ ], [ 4, qr/"user_id" is null/ ], [ 5, qr/user_id = ""/ ], [ 6, qr/amount = "5000"/ ],
	[ 7, qr/"amount".*many/ ], [ 8, qr/"amount".*99999999999/ ], [ 9, qr/"at"/ ], [ 10, qr/"at".*1969-12-31 23:59:55/ ],
	[ 11, qr/"at".*2024-01-15 12:11:40/ ], [ 12, qr/2024-01-15 09:13:20.*2024-01-15 12:09:30/ ], [ 13, qr/no value/ ],
	[ 18, qr/"tag".*no uuid/ ])
{
	my ($offset, $pattern) = @$_;
	like($node->safe_psql('postgres', qq(SELECT message FROM feature_stream.dead_letter
		WHERE stream = 'strict_events'::regclass AND "offset" = $offset)), $pattern, "message of offset $offset");
}
query_is($node, q(SELECT accepted_count, dead_letter_count FROM feature_stream.stat_partition
		WHERE stream = 'strict_events'::regclass), '2|17', 'neighbours of bad events count');

# --- Retention: days later, after a restart, old partitions are gone, and what was asked to stay is there.
my $parts = q(SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits WHERE inhparent = '%s'::regclass);
like($node->safe_psql('postgres', sprintf($parts, 'shop_features_history')), qr/p20240115/, 'history has a partition of its day');
hold_clock($node, "timestamptz '2024-01-25 12:00:00+00'");
wait_for_frontier($node, 'clicks', '2024-01-25 11:58:00+00');
$node->restart;
$node->poll_query_until('postgres', q(
	SELECT NOT EXISTS (SELECT FROM pg_class WHERE relname LIKE 'shop_features_history_p20240115%'
	                       OR relname LIKE 'event_log_' || 'clicks'::regclass::oid || '_p20240115%'))) or die 'old partitions stay';
unlike($node->safe_psql('postgres', sprintf($parts, 'shop_features_history')), qr/p20240115/, 'retention drops history');
query_is($node, "SELECT count(*) FROM feature_stream.event_log WHERE stream = 'clicks'::regclass", 0, 'and the event log');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM session_features_history'), '>', 100, 'where it was asked for');

# --- Leaving nothing behind.
my $stream = $node->safe_psql('postgres', "SELECT 'clicks'::regclass::oid");
like(($node->psql('postgres', 'DROP FOREIGN TABLE clicks'))[2], qr/depend/, 'a stream with views is not dropped without CASCADE');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE clicks CASCADE');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE strict_events CASCADE');
$node->poll_query_until('postgres', q(
	SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'feature_stream ingest worker'))) or die 'workers stay';
query_becomes($node, qq(
	SELECT (SELECT count(*) FROM feature_stream.stat_stream), (SELECT count(*) FROM feature_stream.stat_partition),
	       (SELECT count(*) FROM feature_stream.stream_state), (SELECT count(*) FROM feature_stream.partition_position),
	       (SELECT count(*) FROM feature_stream.stream_definition),
	       (SELECT count(*) FROM feature_stream.feature_view), (SELECT count(*) FROM feature_stream.event_log),
	       (SELECT count(*) FROM feature_stream.firing), (SELECT count(*) FROM feature_stream.partition_wakeup),
	       (SELECT count(*) FROM pg_class WHERE relname LIKE 'event_log_%')), join('|', (0) x 10),
	'DROP FOREIGN TABLE leaves nothing behind');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal (?!9)/, 'no assertion failed');

done_testing();
