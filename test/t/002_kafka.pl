
# A stream from a real broker, and its online store in a real Redis: the example
# of the documentation, and what a topic can do to a stream.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka(later => 1);
my $redis = new_redis();
my $node = new_node('kafka');
my $now = 1705322400;    # 2024-01-15 12:40:00+00

sub set_clock { $node->safe_psql('postgres', "SELECT feature_stream.set_test_clock(to_timestamp($_[0]))"); return; }
set_clock($now);

# A feature view over a stream of clicks that counts.
sub create_counts
{
	my ($stream) = @_;

	$node->safe_psql('postgres', qq(
		SELECT feature_stream.create_feature_view('${stream}_counts',
			'SELECT user_id, count(*) AS n FROM $stream GROUP BY user_id', windows => '{1 hour}', slide => '1 min')));
	return;
}

sub click
{
	my ($user, $item, $category, $time) = @_;

	return sprintf('{"user_id": "%s", "item_id": "%s",%s "timestamp": %s}', $user, $item,
		defined $category ? qq( "category": "$category",) : '', $time);
}

# --- Brokers that do not answer, a topic that is not there.
create_example_servers($node, $kafka, $redis);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR CURRENT_USER SERVER redis');
create_stream($node, 'clicks', 'click-events', idle_after => '1 min', start => 'earliest');
create_session_view($node, online => 'redis', online_key => 'user:{user_id}:session_features', online_ttl => '2 hours');
wait_for_state($node, 'clicks', 'disconnected');
query_becomes($node, "SELECT last_error ~* 'refused|broker' AND last_error ~ '@{[ $kafka->port ]}|broker' FROM feature_stream.stat_stream", 't',
	'brokers that do not answer: the stream says so');
$kafka->start;
query_becomes($node, q(SELECT state, last_error ~ 'topic "click-events" does not exist' FROM feature_stream.stat_stream), 'running|t',
	'a topic that is not there: the stream says so');
my $pid = ingest_pid($node, 'clicks');

# --- The example.
$kafka->create_topic('click-events', 4);
my @events;
for my $i (0 .. 399)
{
	my $user = 'u' . ($i % 17);
	push @events,
	  { partition => ($i % 17) % 4, key => $user, headers => { source => 'web', n => $i },
		value => click($user, 'i' . ($i * 7 % 31), $i % 3 ? 'c' . ($i % 5) : undef, $now - 2395 + 5 * $i) };
}
my @known = ([ 'i1', 'shoes' ], [ 'i2', undef ], [ 'i1', 'hats' ], [ 'i3', 'shoes' ]);
push @events, { partition => 2, key => 'known', value => click('known', @{ $known[$_] }, $now - 600 + $_ * 10.125) } for 0 .. 3;
push @events, { partition => 3, key => 'n', value => sprintf('{"user_id": "null", "item_id": "i1", "category": null, "timestamp": %s}', $now - 400) };
push @events, { partition => 3, key => 'x', value => click('a b/{ü}', 'i1', 'c', $now - 500) };
push @events, { partition => 1, key => "\x{01}bad", headers => { h => "v\xff" }, value => '{"user_id": 7}', timestamp => 1705320000123 };
push @events, { partition => 1, key => 'u1', value => undef };
push @events, { partition => $_, value => click("tick$_", 'tick', 'tick', $now - 0.5) } for 0 .. 3;
$kafka->produce_records('click-events', \@events);
wait_for_read($node, 'clicks', scalar @events);
wait_for_frontier($node, 'clicks', '2024-01-15 12:39:00+00');
is(ingest_pid($node, 'clicks'), $pid, 'the worker went on when broker and topic appeared');

is($node->safe_psql('postgres', q(
	SELECT items_clicked_30m, item_count_30m, distinct_items_30m, distinct_categories_30m, top_category_30m
	  FROM session_features WHERE user_id = 'known')), '{i1,i2,i1,i3}|4|3|3|shoes', 'SELECT gives the features');
my $key = 'user:known:session_features';
wait_until('the row in Redis', sub { $redis->call('EXISTS', $key) });
my $row = $redis->hash($key);
is(join(' ', sort keys %$row),
	'computed_at distinct_categories_30m distinct_items_30m item_count_30m items_clicked_30m top_category_30m window_end',
	'fields in Redis');
is_deeply([ @$row{qw(items_clicked_30m item_count_30m distinct_items_30m distinct_categories_30m top_category_30m)} ],
	[ '["i1", "i2", "i1", "i3"]', 4, 3, 3, 'shoes' ], 'values in Redis');
is($row->{window_end}, $node->safe_psql('postgres',
	"SELECT extract(epoch FROM window_end)::bigint FROM session_features WHERE user_id = 'known'"), 'window_end as seconds');
is($redis->call('TYPE', $key), 'hash', 'a hash');
wait_until('the row with a null', sub { $redis->call('EXISTS', 'user:null:session_features') });
is(join(' ', sort keys %{ $redis->hash('user:null:session_features') }),
	'computed_at distinct_categories_30m distinct_items_30m item_count_30m items_clicked_30m window_end',
	'a feature that is null has no field');

# The newest event, of 12:30:30.375, leaves its window at 13:01, and the watermark is there 30 s later.
my $ttl = $redis->call('PTTL', $key);
cmp_ok($ttl, '<=', 1290000, 'it expires when its newest event leaves the window');
cmp_ok($ttl, '>', 1290000 - 120000, 'and not before');

# Every row online is the row that SELECT gives, and the other way round.
sub online_rows
{
	my %rows;
	for my $online ($redis->keys('user:*:session_features'))
	{
		my $fields = $redis->hash($online);
		$rows{$online} = join '|', grep { defined } map { $fields->{$_} } sort keys %$fields if %$fields;
	}
	return \%rows;
}

sub selected_rows
{
	my %rows = map { split /\t/, $_, 2 } split /\n/, $node->safe_psql('postgres', q(
		SELECT format(E'user:%s:session_features\t', replace(replace(replace(replace(replace(replace(user_id,
		           ' ', '%20'), '/', '%2F'), '{', '%7B'), '}', '%7D'), 'ü', '%C3%BC'), ':', '%3A'))
		    || concat_ws('|', trim_scale(extract(epoch FROM computed_at)), distinct_categories_30m, distinct_items_30m,
		                 item_count_30m, to_jsonb(items_clicked_30m), top_category_30m,
		                 trim_scale(extract(epoch FROM window_end)))
		  FROM session_features WHERE item_count_30m > 0));
	return \%rows;
}

sub online_is_right
{
	my ($when) = @_;
	my ($online, $selected);

	eval { wait_until('Redis', sub {
		($online, $selected) = (online_rows(), selected_rows());
		return join("\n", map { "$_ $online->{$_}" } sort keys %$online) eq join("\n", map { "$_ $selected->{$_}" } sort keys %$selected);
	}) };
	is_deeply($online, $selected, "SELECT equals Redis $when") or diag(explain($online, $selected));
	return;
}
online_is_right('at first');
ok($redis->call('EXISTS', 'user:a%20b%2F%7B%C3%BC%7D:session_features'), 'values in keys are escaped');

is($node->safe_psql('postgres', sprintf(q(
	SELECT count(*), count(*) FILTER (WHERE item_count_30m = (
		SELECT count(*) FROM generate_series(0, 399) i
		 WHERE user_id = 'u' || i %% 17 AND %1$s - 2395 + 5 * i >= %2$s - 1800 AND %1$s - 2395 + 5 * i < %2$s))
	  FROM session_features_history WHERE window_end = '2024-01-15 12:39:00+00' AND user_id ~ '^u'), $now, $now - 60)),
	'12|12', 'history at one window end');

my $letter = $node->safe_psql('postgres', q(
	SELECT reason, topic, partition, "offset" >= 0, encode(key, 'hex'), convert_from(payload, 'UTF8'),
	       extract(epoch FROM record_time), headers FROM feature_stream.dead_letter WHERE reason <> 'tombstone'));
is($letter, 'bad_value|click-events|1|t|01626164|{"user_id": 7}|1705320000.123000|[{"key": "h", "value_base64": "dv8="}]',
	'a dead letter has key, payload, headers, place and time');
query_is($node, q(SELECT reason, payload IS NULL, convert_from(key, 'UTF8') FROM feature_stream.dead_letter WHERE reason = 'tombstone'),
	'tombstone|t|u1', 'and so has a tombstone');
ok($node->poll_query_until('postgres', q(
		SELECT bool_and(read_count = accepted_count + dead_letter_count AND lag_events = 0 AND durable_offset = end_offset
		                AND state = 'reading') FROM feature_stream.stat_partition)),
	'everything read is accounted for, and nothing is left to read');

# --- Time goes on: windows empty, and their keys go.
$now += 1800;
set_clock($now);
$kafka->produce('click-events', $_, [ click("tick$_", 'tick', 'tick', $now - 0.5) ]) for 0 .. 3;
wait_for_frontier($node, 'clicks', '2024-01-15 13:09:00+00');
online_is_right('when windows emptied');
is($redis->call('EXISTS', $key), 0, 'the key of a user without events is gone');
query_is($node, "SELECT count(*) FROM session_features WHERE user_id = 'known'", 0, 'and so is the row');
query_is($node, q(SELECT item_count_30m, items_clicked_30m IS NULL FROM session_features_history WHERE user_id = 'known'
	ORDER BY window_end DESC LIMIT 1), '0|t', 'after the empty row');

# --- The broker goes away and comes back; a partition is added.
$kafka->kill9;
wait_for_state($node, 'clicks', 'disconnected');
$kafka->start;
$kafka->add_partitions('click-events', 5);
$now += 60;
set_clock($now);
$kafka->produce('click-events', $_, [ map { click("late$_", "i$_", 'c', $now - 10 + $_ / 10) } 0 .. 9 ]) for 0 .. 4;
wait_for_offsets($node, 'clicks', { 4 => 10 });
wait_for_read($node, 'clicks', @events + 4 + 50);
query_is($node, "SELECT start_offset, accepted_count FROM feature_stream.partition_position WHERE partition = 4", '0|10',
	'a partition that was added is read from its beginning');
query_becomes($node, 'SELECT sum(read_count) - sum(dead_letter_count) - sum(accepted_count) FROM feature_stream.stat_partition', 0,
	'nothing was lost or doubled when the broker was killed');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE clicks CASCADE');

# --- Codecs, and the broker's own time.
$kafka->create_topic('codecs', 1, 'message.timestamp.type' => 'LogAppendTime');
for my $codec (qw(none gzip snappy lz4 zstd))
{
	$kafka->produce('codecs', 0, [ map { click("codec $codec", 'i' x 100, 'c', $now + $_ / 1000) } 1 .. 200 ], '-z', $codec);
}
create_stream($node, 'codec_clicks', 'codecs', idle_after => '1 min', start => 'earliest');
create_counts('codec_clicks');
wait_for_read($node, 'codec_clicks', 1000);
query_is($node, q(SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM feature_stream.read_event_log('codec_clicks')
	GROUP BY event->>'user_id') c), '200 200 200 200 200', 'records of all codecs are read');
query_is($node, q(SELECT bool_and(abs(extract(epoch FROM clock_timestamp() - arrival)) < 600)
	FROM feature_stream.read_event_log('codec_clicks')), 't', 'LogAppendTime is the arrival clock');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE codec_clicks CASCADE');

# --- Where a stream starts.
$kafka->create_topic('starts', 2);
$kafka->produce_records('starts', [ map { my $p = $_; map {
	{ partition => $p, timestamp => 1000 * ($now - 600 + 60 * $_), value => click("p$p", "i$_", 'c', $now) } } 0 .. 9 } 0, 1 ]);
my %starts = (
	from_latest => 'latest',
	from_earliest => 'earliest',
	from_time => $node->safe_psql('postgres', "SET TimeZone = 'UTC'; SELECT to_timestamp($now - 600 + 60 * 4 - 30)"),
	from_offsets => 'offsets 0:7,1:3',
	from_nowhere => 'offsets 0:99');
for my $name (sort keys %starts)
{
	create_stream($node, $name, 'starts', idle_after => '1 min', start => $starts{$name});
	create_counts($name);
}
my $resolved = q(SELECT count(*) = 9 FROM feature_stream.partition_position);
$node->poll_query_until('postgres', $resolved) or die 'not all streams begin';
query_becomes($node, q(SELECT count(*) FROM feature_stream.stat_partition WHERE state = 'stopped'), 1, 'one partition is stopped');
$kafka->produce('starts', 0, [ click('last', 'i', 'c', $now) ]);
my %expected = (from_latest => '10 10|1', from_earliest => '0 0|21', from_time => '4 4|13', from_offsets => '7 3|11');
for my $name (sort keys %expected)
{
	wait_for_offsets($node, $name, { 0 => 11, 1 => 10 });
	query_is($node, qq(SELECT string_agg(start_offset::text, ' ' ORDER BY partition), sum(read_count)
		FROM feature_stream.partition_position WHERE stream = '$name'::regclass), $expected{$name}, "$starts{$name}");
}
like($node->safe_psql('postgres', q(SELECT error FROM feature_stream.stat_partition WHERE stream = 'from_nowhere'::regclass AND partition = 0)),
	qr/"start" names offset 99 of topic "starts" partition 0, which begins at 0 and ends at 1\d/,
	'a start that is not there stops the partition');
query_is($node, q(SELECT start_offset FROM feature_stream.partition_position WHERE stream = 'from_nowhere'::regclass AND partition = 1), 0,
	'partitions that are not listed start at their beginning');
$node->safe_psql('postgres', "DROP FOREIGN TABLE $_ CASCADE") for sort keys %starts;

# --- What transactions took back is not read.
$kafka->create_topic('transactions', 1);
create_stream($node, 'committed', 'transactions', idle_after => '1 min', start => 'earliest');
create_counts('committed');
my $batch = sub { my ($user, $n) = @_; [ map { { partition => 0, value => click($user, "i$_", 'c', $now) } } 1 .. $n ] };
$kafka->produce_records('transactions', $batch->('good', 5), transaction => 'commit');
$kafka->produce_records('transactions', $batch->('aborted', 7), transaction => 'abort');
$kafka->produce_records('transactions', $batch->('good', 6), transaction => 'commit');
$kafka->produce_records('transactions', $batch->('plain', 3));
$kafka->produce_records('transactions', $batch->('aborted', 2), transaction => 'abort');
wait_for_read($node, 'committed', 14);
query_is($node, q(SELECT string_agg(u || n, ' ' ORDER BY u) FROM (SELECT event->>'user_id' AS u, count(*) AS n
	FROM feature_stream.read_event_log('committed') GROUP BY 1) c), 'good11 plain3', 'only what was committed counts');
query_becomes($node, 'SELECT end_offset, pending_offset, lag_events FROM feature_stream.stat_partition', '27|27|0',
	'and the position moves behind what was taken back');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE committed CASCADE');

# --- Retention that removed what was to be read next; a topic that vanishes.
$kafka->create_topic('retention', 2);
create_stream($node, 'retained', 'retention', idle_after => '1 min', start => 'earliest');
create_counts('retained');
$kafka->produce('retention', $_, [ map { click("p$_", "i$_", 'c', $now) } 1 .. 10 ]) for 0, 1;
wait_for_read($node, 'retained', 20);
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('retained')");
wait_for_state($node, 'retained', 'paused');
$kafka->produce('retention', $_, [ map { click("p$_", "i$_", 'c', $now) } 1 .. 10 ]) for 0, 1;
$kafka->delete_records('retention', 0, 15);
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('retained')");
wait_for_offsets($node, 'retained', { 1 => 20 });
query_becomes($node, 'SELECT state FROM feature_stream.stat_partition WHERE partition = 0', 'stopped', 'a partition stops');
like($node->safe_psql('postgres', 'SELECT error FROM feature_stream.stat_partition WHERE partition = 0'),
	qr/retention removed offsets 10 to 14 of topic "retention" partition 0: next to read is 10, the broker begins at 15/,
	'lost retention stops the partition');
query_is($node, 'SELECT next_offset, read_count FROM feature_stream.partition_position WHERE partition = 0', '10|10',
	'where it stands');
query_becomes($node, 'SELECT state, read_count FROM feature_stream.stat_partition WHERE partition = 1', 'reading|20', 'and no other');
query_becomes($node, "SELECT last_error ~ 'retention removed' FROM feature_stream.stat_stream", 't', 'the stream says so');

$kafka->delete_topic('retention');
query_becomes($node, 'SELECT state FROM feature_stream.stat_partition WHERE partition = 1', 'stopped', 'a partition stops');
like($node->safe_psql('postgres', 'SELECT error FROM feature_stream.stat_partition WHERE partition = 1'),
	qr/topic "retention" was deleted/, 'a topic that vanished stops the stream');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE retained CASCADE');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal/, 'nothing crashed');

done_testing();
