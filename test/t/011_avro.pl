
# Plain Avro through a real broker: the features are those of the same events as
# JSON, whatever blocks, branches and fields stand between, and what is no Avro
# is a dead letter between neighbours that count.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('avro');
my $now = 1705322400;    # 2024-01-15 12:40:00+00

# A click as Avro: fields that no column reads stand between those that are read.
sub avro_click
{
	my (%click) = @_;
	my $labels = join('', map { avro_bytes($_) } @{ $click{labels} });

	return avro_bytes($click{user}) . avro_long(1) . avro_bytes('Mozilla') .
	  ($click{plain_block} ? avro_long(scalar @{ $click{labels} }) : avro_long(-scalar @{ $click{labels} }) . avro_long(length $labels)) . $labels .
	  avro_long(0) . avro_bytes($click{item}) . pack('d<', $click{amount}) .
	  (defined $click{category} ? avro_long(1) . avro_bytes($click{category}) : avro_long(0)) . avro_long($click{time} * 1000);
}

sub json_click
{
	my (%click) = @_;

	return sprintf('{"user": {"id": "%s"}, "user_id": "%s", "item_id": "%s", "labels": [%s], "amount": %s, "category": %s, "timestamp": %s}',
		$click{user}, $click{user}, $click{item}, join(', ', map { qq("$_") } @{ $click{labels} }), $click{amount},
		defined $click{category} ? qq("$click{category}") : 'null', $click{time});
}

my $schema = '{"type": "record", "name": "shop.Click", "fields": [
	{"name": "user", "type": {"type": "record", "name": "User", "fields": [
		{"name": "id", "type": "string"}, {"name": "agent", "type": ["null", "string"]}]}},
	{"name": "labels", "type": {"type": "array", "items": "string"}}, {"name": "item_id", "type": "string"}, {"name": "amount", "type": "double"},
	{"name": "category", "type": ["null", "string"]}, {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}';
$node->safe_psql('postgres', sprintf(q(
	SELECT feature_stream.set_test_clock(to_timestamp(%d));
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s')), $now, $kafka->brokers));
for my $stream ([ 'json_clicks', 'user_id', "OPTIONS (field 'timestamp', unit 's')", "format 'json'" ],
	[ 'avro_clicks', 'user.id', "OPTIONS (field 'timestamp')", "format 'avro', schema '$schema'" ])
{
	my ($name, $user, $time, $format) = @$stream;

	$kafka->create_topic($name, 2);
	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE $name (
			user_id text OPTIONS (field '$user') NOT NULL, item_id text NOT NULL CHECK (item_id <> ''), labels jsonb, amount float8,
			category text, device text DEFAULT 'unknown', clicked_at timestamptz $time NOT NULL
		) SERVER kafka OPTIONS (topic '$name', event_time 'clicked_at', slice '1 min', watermark_delay '30 s', idle_after '1 day',
			start 'earliest', $format);
		SELECT feature_stream.create_feature_view('${name}_features', 'SELECT user_id, count(*) AS n, count(category) AS categories,
				array_agg(item_id) AS items, sum(amount) AS amount, max(labels ->> 0) AS label, min(device) AS device
			FROM $name GROUP BY user_id', windows => '{5 min, 30 min}', slide => '1 min')));
}

# --- The same events, and what is no Avro between them.
my %records;
for my $i (0 .. 1999)
{
	my %click = (
		user => 'u' . ($i * 7 % 41), item => "\xc3\xbc" . ($i % 97), amount => ($i % 13) / 8, labels => [ map { "l$_" } 1 .. $i % 4 + 1 ],
		category => $i % 3 ? 'c' . $i % 5 : undef, plain_block => $i % 2, time => $now - 2000 + $i * 0.875);

	push @{ $records{json_clicks} }, { partition => $i % 2, value => json_click(%click) };
	push @{ $records{avro_clicks} }, { partition => $i % 2, value => avro_click(%click) };
}
my $good = avro_click(user => 'x', item => 'i', amount => 1, labels => ['l'], time => $now);
my @bad = ([ substr($good, 0, -1), 'malformed', qr/value runs beyond the end at byte/ ], [ $good . 'x', 'malformed', qr/expected nothing after the record at byte/ ],
	[ "\x00\x00\x00\x00\x01" . $good, 'malformed', qr/at byte/ ], [ '{"user_id": "u"}', 'malformed', qr/at byte/ ], [ '', 'malformed', qr/at byte 0/ ],
	[ undef, 'tombstone', qr/no value/ ], [ "\xff" x 40, 'malformed', qr/at byte/ ],
	[ avro_click(user => "u\xff", item => 'i', amount => 1, labels => ['l'], time => $now), 'malformed', qr/invalid UTF-8 at byte/ ],
	[ avro_click(user => "u\x00", item => 'i', amount => 1, labels => ['l'], time => $now), 'bad_value', qr/field "user\.id" has a character U\+0000/ ],
	[ avro_click(user => 'u', item => 'i', amount => 'nan', labels => ['l'], time => $now), 'bad_value', qr/field "amount" has value NaN/ ],
	[ avro_click(user => 'u', item => '', amount => 1, labels => ['l'], time => $now), 'check_violation', qr/item_id = ""/ ],
	[ avro_click(user => 'u', item => 'i', amount => 1, labels => ['l'], time => $now + 3600), 'future', qr/field "timestamp" has event time/ ]);
push @{ $records{avro_clicks} }, map { { partition => 0, value => $_->[0] } } @bad;
for my $name (qw(json_clicks avro_clicks))
{
	push @{ $records{$name} }, map { { partition => $_, value => ($name =~ /json/ ? \&json_click : \&avro_click)->(user => 'tick', item => 'i', amount => 0, labels => ['t'], time => $now) } } 0, 1;
	$kafka->produce_records($name, $records{$name});
	wait_for_read($node, $name, scalar @{ $records{$name} });
	wait_for_frontier($node, $name, '2024-01-15 12:39:00+00');
}

# --- Features and history are the same.
for my $table ('features', 'features_history')
{
	my $columns = join(', ', map { my $w = $_; map { "${_}_$w" } qw(n categories items amount label device) } qw(5m 30m));
	my $key = "user_id, window_end, $columns";

	query_is($node, "SELECT count(*) FROM (SELECT $key FROM json_clicks_$table EXCEPT SELECT $key FROM avro_clicks_$table) d", 0, "$table of JSON are those of Avro");
	query_is($node, "SELECT count(*) FROM (SELECT $key FROM avro_clicks_$table EXCEPT SELECT $key FROM json_clicks_$table) d", 0, "$table of Avro are those of JSON");
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM avro_clicks_$table WHERE n_30m > 1 AND items_30m[1] LIKE 'ü%' AND device_30m = 'unknown'"), '>', 30, "$table are there");
}
query_is($node, q(SELECT count(*) FROM feature_stream.verify_feature_view('avro_clicks_features') WHERE problem IS NOT NULL), 0, 'and what the executor says');

# --- Dead letters.
my @letters = map { [ split /\|/, $_, 2 ] } split /\n/, $node->safe_psql('postgres', q(SELECT reason, message FROM feature_stream.dead_letter ORDER BY "offset"));
is(scalar @letters, scalar @bad, 'one dead letter for each record that is not right, none for JSON');
for my $i (0 .. $#bad)
{
	my ($reason, $message) = @{ $letters[$i] // [ 'none', '' ] };

	ok($reason eq $bad[$i][1] && $message =~ $bad[$i][2], "$bad[$i][1]: record $i") or diag("$reason: $message");
}
query_is($node, q(SELECT sum(read_count), sum(accepted_count) FROM feature_stream.stat_partition WHERE stream = 'avro_clicks'::regclass),
	(2002 + @bad) . '|2002', 'neighbours count');

# --- A schema with a field more, while events flow: read by its name, and by its default in what was read before.
my $pid = ingest_pid($node, 'avro_clicks');
(my $wider = $schema) =~ s/\]\}$/, {"name": "device", "type": "string"}]}/;
$node->safe_psql('postgres', "ALTER FOREIGN TABLE avro_clicks OPTIONS (SET schema '$wider')");
ingest_pid($node, 'avro_clicks', $pid);
$kafka->produce_records('avro_clicks',
	[ map { { partition => $_, value => avro_click(user => 'new', item => 'i', amount => 1, labels => ['l'], time => $now) . avro_bytes('phone') } } 0, 1 ]);
wait_for_read($node, 'avro_clicks', 2002 + @bad + 2);
query_is($node, q(SELECT string_agg(DISTINCT event ->> 'device', ' ' ORDER BY event ->> 'device'), count(*) FILTER (WHERE event ->> 'device' = 'phone')
	FROM feature_stream.read_event_log('avro_clicks')), 'phone unknown|2', 'a wider schema takes effect');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC|ERROR/, 'and the log knows of no error');

done_testing();
