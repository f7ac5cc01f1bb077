
# Dead letters are also sent to a topic of their own: each at least once, with
# the bytes it had, also when the broker, the worker or the server goes away in
# between; and what the broker will never take is said.

use strict;
use warnings;

use FeatureStream;
use Test::More;

my $kafka = new_kafka();
my $node = new_node('dead_letter_topic');

$kafka->create_topic('clicks', 2, 'max.message.bytes' => 4_000_000);
$node->safe_psql('postgres', sprintf(q(
	CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s');
	CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item_id text, category text,
		clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL)
		SERVER kafka OPTIONS (topic 'clicks', event_time 'clicked_at', start 'earliest', max_record_bytes '4MB');
	SELECT feature_stream.create_feature_view('v', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id',
		windows => '{10 min}', slide => '1 min')), $kafka->brokers));

# --- What makes no sense is refused.
sub refusal { return ($node->psql('postgres', "ALTER FOREIGN TABLE clicks OPTIONS ($_[0])"))[2]; }
like(refusal("ADD dead_letter_topic 'clicks'"), qr/cannot send its dead letters to the topic that it reads/, 'not the topic itself');
like(refusal("ADD dead_letter_topic 'letters', ADD dead_letter_payload 'false'"),
	qr/does not keep the bytes that its "dead_letter_topic" is to get/, 'not without the bytes');

sub sent { return $kafka->records('letters'); }

# The places of dead letters: partition/offset.
sub places
{
	return join(' ', sort map { "$_->{headers}{'feature_stream.partition'}/$_->{headers}{'feature_stream.offset'}" } @_);
}
sub stored
{
	return $node->safe_psql('postgres',
		q(SELECT coalesce(string_agg(p, ' ' ORDER BY p COLLATE "C"), '') FROM (SELECT DISTINCT partition || '/' || "offset" AS p FROM feature_stream.dead_letter) d));
}
sub unique { my %seen; return grep { !$seen{"$_->{headers}{'feature_stream.partition'}/$_->{headers}{'feature_stream.offset'}"}++ } @_; }
sub await_all_sent
{
	my ($count) = @_;

	$node->poll_query_until('postgres', "SELECT count(*) = $count FROM feature_stream.dead_letter") or die 'dead letters are missing';
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM feature_stream.dead_letter_unsent WHERE error IS NULL')
	  or die 'dead letters are not sent';
	return;
}

# --- Sent as they were, once the topic is there.
my $now = time();
my $good = sprintf('{"user_id": "u", "item_id": "i", "timestamp": %d}', $now);
my $pid = ingest_pid($node, 'clicks');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE clicks OPTIONS (ADD dead_letter_topic 'letters')");
ingest_pid($node, 'clicks', $pid);
$kafka->produce_records('clicks', [
	{ partition => 0, value => $good },
	{ partition => 0, key => 'k1', value => "not \xff JSON", headers => { trace => 'abc', raw => "\x00\xfe" } },
	{ partition => 1 } ]);
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM feature_stream.dead_letter_unsent WHERE error IS NULL')
  or die 'they do not wait';
$node->poll_query_until('postgres', "SELECT last_error ~ 'nknown topic' FROM feature_stream.stat_stream") or die 'nothing is said';
pass('without the topic they wait, and the state says why');
# They are repaired meanwhile, more than once and to anything; the topic is told what came.
my $original = q(SELECT reason, convert_from(original_key, 'UTF8'), original_payload, original_headers, repaired_at IS NOT NULL FROM feature_stream.dead_letter ORDER BY reason);
$node->safe_psql('postgres', q(
	UPDATE feature_stream.dead_letter SET headers = '{"key": "x"}' WHERE reason = 'tombstone';
	UPDATE feature_stream.dead_letter SET key = NULL WHERE reason = 'malformed';
	UPDATE feature_stream.dead_letter SET payload = 'repaired', headers = headers || '[1, "key", {"key": "added", "value_base64": "!"}, {"value": "nameless"}]'));
query_is($node, $original, join("\n", 'malformed|k1|\x' . unpack('H*', "not \xff JSON") . '|[{"key": "raw", "value_base64": "AP4="}, {"key": "trace", "value": "abc"}]|t',
	'tombstone||||t'), 'a repair keeps what came');
$node->safe_psql('postgres', "SELECT feature_stream.pause_stream('clicks')");
wait_for_state($node, 'clicks', 'paused');
$node->safe_psql('postgres', "SELECT feature_stream.resume_stream('clicks')");
$kafka->create_topic('letters', 1, 'max.message.bytes' => 200_000);
await_all_sent(2);
my ($bad, $tombstone) = sort { $a->{headers}{'feature_stream.partition'} <=> $b->{headers}{'feature_stream.partition'} } unique(sent());
is_deeply([ $bad->{key}, $bad->{value} ], [ 'k1', "not \xff JSON" ], 'the bytes are the original ones');
is_deeply([ @{ $bad->{headers} }{ qw(trace raw) } ], [ 'abc', "\x00\xfe" ], 'so are the headers');
is(scalar(grep { !/^feature_stream\./ } map { keys %{ $_->{headers} } } $bad, $tombstone), 2, 'and nothing is sent of the repairs');
is_deeply([ @{ $bad->{headers} }{ map { "feature_stream.$_" } qw(stream topic partition offset reason) } ],
	[ 'public.clicks', 'clicks', 0, 1, 'malformed' ], 'and others say where it was');
is($bad->{headers}{'feature_stream.error'}, $node->safe_psql('postgres', "SELECT message FROM feature_stream.dead_letter WHERE reason = 'malformed'"),
	'and what is wrong with it');
is_deeply([ $tombstone->{key}, $tombstone->{value}, $tombstone->{headers}{'feature_stream.reason'} ], [ undef, undef, 'tombstone' ], 'a tombstone is one');

# --- One that the broker never takes does not hold up the others, which together are larger than it takes at once.
$kafka->produce_records('clicks', [ { partition => 0, value => 'x' x 1_500_000 }, map { { partition => 0, value => $_ x 10_000 } } 'a' .. 'z' ]);
await_all_sent(29);
is($node->safe_psql('postgres', 'SELECT partition, "offset", error FROM feature_stream.dead_letter_unsent'),
	'0|2|Broker: Message size too large', 'a letter that is too large stays, with the reason');
is(scalar(my @all = unique(sent())), 28, 'all others are sent');
$node->safe_psql('postgres', 'DELETE FROM feature_stream.dead_letter WHERE partition = 0 AND "offset" = 2; DELETE FROM feature_stream.dead_letter_unsent');

# --- Nothing is missing when the worker is killed after the broker has it, or the server, or when the broker is away.
sub produce_bad { $kafka->produce_records('clicks', [ map { { partition => $_ % 2, value => "bad $_" } } 1 .. $_[0] ]); }
set_fault($node, 'dead-letter-topic-delivered:crash:1');
produce_bad(10);
wait_until('a crash', sub { crash_count($node) >= 1 });
end_crashes($node);
await_all_sent(38);
is(places(unique(sent())), stored(), 'none is missing after a crash between delivery and the note of it');
ok(sent() > 38, 'those of the crash came twice: at least once is what is promised');

$kafka->stop;
$node->poll_query_until('postgres', "SELECT state = 'disconnected' FROM feature_stream.stat_stream") or die 'still connected';
$kafka->start;
produce_bad(10);
$node->stop('immediate');
$node->start;
await_all_sent(48);
is(places(unique(sent())), stored(), 'nor after the broker was away and the server was killed');

# --- Retention keeps what is not sent; an option that goes takes the rest along.
$kafka->delete_topic('letters');
produce_bad(2);
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM feature_stream.dead_letter_unsent') or die 'they do not wait';
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE clicks OPTIONS (DROP dead_letter_topic)');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM feature_stream.dead_letter_unsent') or die 'they still wait';
pass('without the option nothing waits');

done_testing();
