
# Whatever a producer can get wrong, between records that are right: each bad
# record is a dead letter with its reason and a sentence, each neighbour counts,
# and the worker does not even notice.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('bad_input', 'feature_stream.memory' => '64MB');
my $now = 1705322400;    # 2024-01-15 12:40:00+00

# A record with one field more than a good one has, or another value for one that it has.
sub record
{
	my (%fields) = @_;
	my %all = (user => '"u"', at => $now, %fields);

	return '{' . join(', ', map { qq("$_": $all{$_}) } grep { defined $all{$_} } sort keys %all) . '}';
}

my $large = record(item => '"' . 'x' x 10_000_000 . '"');
my @bad = (
	# No JSON object.
	[ undef, 'tombstone', qr/no value/ ],
	[ '', 'malformed', qr/empty/ ],
	[ ' ', 'malformed', qr/empty|byte/ ],
	[ 'user=u', 'malformed', qr/byte 0/ ],
	[ substr(record(), 0, -1), 'malformed', qr/byte \d+/ ],
	[ record() . '}', 'malformed', qr/byte \d+/ ],
	[ record() . "\n" . record(), 'malformed', qr/byte \d+/ ],
	[ '[' . record() . ']', 'malformed', qr/expected an object at byte 0/ ],
	[ 'null', 'malformed', qr/expected an object at byte 0/ ],
	[ "\x00\x01\x02\x03", 'malformed', qr/byte 0/ ],
	[ record(item => "\"a\xff\xfeb\""), 'malformed', qr/UTF-8/ ],
	[ record(other => "\"\xc0\xaf\""), 'malformed', qr/UTF-8/ ],
	[ record(item => "\"\xed\xa0\x80\""), 'malformed', qr/UTF-8/ ],
	[ record(other => '[' x 100 . ']' x 100), 'malformed', qr/nested deeper than 64 levels at byte/ ],
	[ '{"a":' x 200000, 'malformed', qr/nested deeper than 64 levels at byte/ ],
	[ record(amount => 'NaN'), 'malformed', qr/byte \d+/ ],
	[ record(amount => '01'), 'malformed', qr/byte \d+/ ],
	[ record(amount => '+1'), 'malformed', qr/byte \d+/ ],
	[ record(item => "'a'"), 'malformed', qr/byte \d+/ ],
	[ $large, 'malformed', qr/value has 100000\d\d bytes, more than max_record_bytes/ ],

	# Values that their columns cannot hold.
	[ record(item => '"a\u0000b"'), 'bad_value', qr/field "item".*\\u0000/ ],
	[ record(item => '"\ud800"'), 'bad_value', qr/field "item"/ ],
	[ record(item => '7'), 'bad_value', qr/field "item" .*7/ ],
	[ record(item => '{"a": 1}'), 'bad_value', qr/field "item"/ ],
	[ record(small => '32768'), 'bad_value', qr/field "small" has value 32768, out of range for smallint/ ],
	[ record(amount => '2147483648'), 'bad_value', qr/field "amount" has value 2147483648, out of range for integer/ ],
	[ record(amount => '-2147483649'), 'bad_value', qr/field "amount" has value -2147483649, out of range for integer/ ],
	[ record(big => '9223372036854775808'), 'bad_value', qr/field "big" has value 9223372036854775808, out of range for bigint/ ],
	[ record(score => '1e400'), 'bad_value', qr/field "score" has value 1e400, out of range for double precision/ ],
	[ record(price => '1e200000'), 'bad_value', qr/field "price" has value 1e200000/ ],
	[ record(amount => '1.5'), 'bad_value', qr/field "amount" .*1\.5/ ],
	[ record(amount => '"many"'), 'bad_value', qr/field "amount" .*many/ ],
	[ record(amount => 'true'), 'bad_value', qr/field "amount" .*true/ ],
	[ record(amount => '[1]'), 'bad_value', qr/field "amount"/ ],
	[ record(flag => '"yes please"'), 'bad_value', qr/field "flag" .*yes please/ ],
	[ record(tag => '"no uuid"'), 'bad_value', qr/field "tag" .*no uuid/ ],
	[ record(day => '"2024-02-30"'), 'bad_value', qr/field "day" .*2024-02-30/ ],
	[ record(at => '"yesterday"'), 'bad_value', qr/field "at" .*yesterday/ ],
	[ record(at => '-1'), 'bad_value', qr/field "at" has event time 1969-12-31 23:59:59.*before 1970/ ],
	[ record(at => '1e18'), 'bad_value', qr/field "at" has value 1e18, out of range for timestamptz/ ],
	[ record(at => '"NaN"'), 'bad_value', qr/field "at"/ ],
	[ record(user => '"' . 'k' x 9000 . '"'), 'bad_value', qr/field "user" makes the key of feature view .* longer than/ ],

	# Values that the stream does not want.
	[ record(at => undef), 'missing_field', qr/field "at" is missing/ ],
	[ record(user => undef), 'missing_field', qr/field "user" is missing/ ],
	[ record(user => 'null'), 'missing_field', qr/field "user" is null/ ],
	[ record(user => '""'), 'check_violation', qr/user = ""/ ],
	[ record(amount => '1001'), 'check_violation', qr/amount = "1001"/ ],
	# PostgreSQL quotes the whole of it; three bytes a character.
	[ record(code => '"' . "\xe2\x82\xac" x 200_000 . '"'), 'check_violation',
	  qr/^check constraint "strict_code_check" raised an error: invalid input syntax for type integer: "(?:\xe2\x82\xac){600,}\.\.\.$/ ],

	# Times that cannot be counted.
	[ record(at => $now + 3600), 'future', qr/field "at" has event time 2024-01-15 13:40:00/ ],
	[ record(at => $now - 86400), 'late', qr/event time 2024-01-14 12:40:00.* too far behind the watermark 2024-01-15 12:39:30/ ]);

# A good record before and behind each bad one.
my @records = ({ partition => 0, value => record() });
push @records, { partition => 0, key => 'key of a bad one', value => $_->[0] }, { partition => 0, value => record() } for @bad;

$kafka->create_topic('bad', 1, 'max.message.bytes' => 20000000);
$node->safe_psql('postgres', sprintf(q(
	SELECT feature_stream.set_test_clock(to_timestamp(%d));
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s')), $now, $kafka->brokers));
for my $stream ([ 'strict', '' ], [ 'lenient', ", max_record_bytes '16MB'" ])
{
	my ($name, $options) = @$stream;

	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE $name (
			user_id text OPTIONS (field 'user') NOT NULL CHECK (user_id <> ''), item text, small smallint,
			amount int CHECK (amount <= 1000), big bigint, score float8, price numeric, flag boolean, tag uuid,
			day date, code text CHECK (code::int > 0), at timestamptz OPTIONS (unit 's') NOT NULL
		) SERVER kafka OPTIONS (topic 'bad', event_time 'at', slice '1 min', watermark_delay '30 s', start 'earliest'$options);
		SELECT feature_stream.create_feature_view('${name}_counts', 'SELECT user_id, count(*) AS n, count(item) AS items
			FROM $name GROUP BY user_id', windows => '{1 hour}', slide => '1 min')));
}
my %pid = map { $_ => ingest_pid($node, $_) } qw(strict lenient);
$kafka->produce_records('bad', \@records);
wait_for_read($node, $_, scalar @records) for qw(strict lenient);

# --- What came of each.
my %letter = map { my @fields = split /\|/, $_, 3; ($fields[0] => \@fields) } split /\n/, $node->safe_psql('postgres', q(
	SELECT "offset", reason, replace(message, E'\n', ' ') FROM feature_stream.dead_letter WHERE stream = 'strict'::regclass));
for my $i (0 .. $#bad)
{
	my ($value, $reason, $message) = @{ $bad[$i] };
	my (undef, $got_reason, $got_message) = @{ $letter{ 1 + 2 * $i } // [ undef, 'none', '' ] };
	my $what = defined $value ? length($value) > 60 ? substr($value, 0, 60) . '...' : $value : 'no value';

	$what =~ s/[^ -~]/?/g;
	$what =~ s/#/?/g;
	ok($got_reason eq $reason && $got_message =~ $message, "$reason: $what") or diag("$got_reason: $got_message");
}
query_is($node, q(SELECT count(*), count(DISTINCT "offset"), bool_and("offset" % 2 = 1 AND convert_from(key, 'UTF8') = 'key of a bad one')
	FROM feature_stream.dead_letter WHERE stream = 'strict'::regclass), @bad . '|' . @bad . '|t', 'one dead letter for each bad record');
query_is($node, q(SELECT count(*) FROM feature_stream.dead_letter WHERE message !~ '^\S.*\S$' OR length(message) > 1000), 0,
	'sentences of a decent size');
query_is($node, q(SELECT payload_size, length(payload) FROM feature_stream.dead_letter
	WHERE stream = 'strict'::regclass AND payload_size > 2000000), length($large) . '|1048576', 'too large a payload is cut');
for my $i (grep { defined $bad[$_][0] && length($bad[$_][0]) < 1000 } 0 .. $#bad)
{
	my $payload = $node->safe_psql('postgres', sprintf(q(SELECT encode(payload, 'hex') FROM feature_stream.dead_letter
		WHERE stream = 'strict'::regclass AND "offset" = %d), 1 + 2 * $i));
	next if $payload eq unpack('H*', $bad[$i][0]);
	fail("payload of offset " . (1 + 2 * $i));
}

# --- What came of the others.
query_is($node, q(SELECT read_count, accepted_count, dead_letter_count FROM feature_stream.stat_partition WHERE stream = 'strict'::regclass),
	join('|', scalar @records, @bad + 1, scalar @bad), 'neighbours count');
query_is($node, q(SELECT counted_count FROM feature_stream.stat_feature_view WHERE stream = 'strict'::regclass), @bad + 1, 'in the view too');
query_is($node, q(SELECT accepted_count, dead_letter_count FROM feature_stream.stat_partition WHERE stream = 'lenient'::regclass),
	join('|', @bad + 2, @bad - 1), 'a large record counts where it is allowed');
query_is($node, q(SELECT max(length(event->>'item')) FROM feature_stream.read_event_log('lenient')), 10_000_000, 'whole');
$node->safe_psql('postgres', sprintf('SELECT feature_stream.set_test_clock(to_timestamp(%d))', $now + 600));
wait_for_frontier($node, $_, '2024-01-15 12:41:00+00') for qw(strict lenient);
query_is($node, "SELECT n_1h, items_1h FROM $_->[0]_counts WHERE user_id = 'u'", $_->[1], "features of $_->[0]")
  for [ 'strict', (@bad + 1) . '|0' ], [ 'lenient', (@bad + 2) . '|1' ];
is(ingest_pid($node, $_), $pid{$_}, "the worker of $_ is the same") for qw(strict lenient);

# --- Headers count, too: of large ones the beginning is kept, and what is pending makes a checkpoint due, as events do.
sub set_interval
{
	my ($command, $interval) = @_;

	$node->safe_psql('postgres', $_) for "ALTER SYSTEM $command", 'SELECT pg_reload_conf()';
	$node->poll_query_until('postgres', "SELECT current_setting('feature_stream.checkpoint_interval') = '$interval'")
	  or die 'the setting is not read';
	return;
}

my $stored = q(SELECT %s FROM feature_stream.dead_letter WHERE stream = 'headers'::regclass);
$kafka->create_topic('headers', 1, 'max.message.bytes' => 20_000_000);
$kafka->produce_records('headers', [
	{ partition => 0, value => 'x', headers => { a => 'first', b => 'x' x 2_000_000, c => 'last' } },
	{ partition => 0, value => 'x', headers => { a => "\x01" x 20_000, b => 'shorter than as JSON' } },
	map { { partition => 0, value => 'x', headers => { a => "\x01" x 10_900 } } } 1 .. 1300 ]);
set_interval("SET feature_stream.checkpoint_interval = '1h'", '1h');
$node->safe_psql('postgres', q(
	CREATE FOREIGN TABLE headers (user_id text NOT NULL, at timestamptz NOT NULL)
		SERVER kafka OPTIONS (topic 'headers', event_time 'at', start 'earliest', idle_after '1 day');
	SELECT feature_stream.create_feature_view('headers_counts', 'SELECT user_id, count(*) AS n FROM headers GROUP BY user_id',
		windows => '{1 hour}', slide => '1 min')));
ok($node->poll_query_until('postgres', sprintf($stored, 'count(*) > 0')), 'they do not wait for the checkpoint_interval');
set_interval('RESET feature_stream.checkpoint_interval', '200ms');
$node->safe_psql('postgres', "SELECT feature_stream.checkpoint_stream('headers')");
wait_for_read($node, 'headers', 1302);
query_is($node, sprintf($stored, 'headers') . ' AND "offset" < 2 ORDER BY "offset"',
	'[{"key": "a", "value": "first"}, {"key": "c", "value": "last"}, {"omitted_bytes": 2000001, "omitted_headers": 1}]' . "\n" .
	'[{"key": "b", "value": "shorter than as JSON"}, {"omitted_bytes": 20001, "omitted_headers": 1}]',
	'headers beyond 64 kB are left out, and that is said');
query_is($node, sprintf($stored, 'count(*) BETWEEN 1000 AND 1100') . ' AND length(headers::text) < 66000', 't',
	'of a minute 64 MB are stored, headers included');
query_is($node, 'SELECT sum(dead_letter_count) + (' . sprintf($stored, 'count(*)') .
	") FROM feature_stream.dead_letter_overflow WHERE stream = 'headers'::regclass", 1302, 'and the others counted');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC|ERROR/, 'and the log knows of no error');

done_testing();
