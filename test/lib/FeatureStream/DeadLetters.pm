
# Dead letters of the stream "clicks" that are repaired and asked back while the server dies, over and over.

package FeatureStream::DeadLetters;

use strict;
use warnings;

use Exporter 'import';
use FeatureStream;
use FeatureStream::Faults;
use FeatureStream::Process qw(wait_until);
use Test::More;

our @EXPORT = qw(repair_dead_letters wait_for_outcomes each_is_in_the_log counters_agree kills_of order_of wait_for_dead_letters);

# Repairs what is bad and was not asked back yet, by SQL expressions for its user and item, with an event of the last 40
# minutes; and asks everything back that is not there: as of one snapshot, or what comes in between is asked back as it
# is.  How many were; undef when the server is down.
sub repair_dead_letters
{
	my ($node, $user, $item, $arguments) = @_;

	return answer_of($node, qq(
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		UPDATE feature_stream.dead_letter d
		   SET payload = convert_to(json_build_object('user_id', $user, 'item_id', $item, 'timestamp',
		           floor(extract(epoch FROM received_at)) - "offset" * 7919 % 2400)::text, 'UTF8')
		 WHERE stream = 'clicks'::regclass AND reason NOT IN ('late', 'future')
		   AND NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome o
		                    WHERE (o.stream, o.partition, o."offset") = (d.stream, d.partition, d."offset"));
		SELECT feature_stream.replay_dead_letters('clicks'$arguments);
		COMMIT));
}

# Waits until there are windows and dead letters.  Before anything has fired an event of 1970 would count, and its part of
# the log would be dropped at once.
sub wait_for_dead_letters
{
	my ($node) = @_;

	wait_until('the first windows and dead letters', sub {
		answer_of($node, 'SELECT 1 FROM feature_stream.stream_state WHERE frontier IS NOT NULL
			AND (SELECT count(*) > 20 FROM feature_stream.dead_letter)') });
	return;
}

# Waits until there is no outcome of a condition.
sub wait_for_outcomes
{
	my ($node, $condition) = @_;

	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome WHERE $condition)")
	  or die 'requests are left';
	return;
}

# Tests that events of a condition are in the log as often as dead letters came back that were repaired.
sub each_is_in_the_log
{
	my ($node, $condition, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return query_is($node, qq(
		SELECT count(*), count(DISTINCT (l.partition, l."offset")) FROM feature_stream.read_event_log('clicks') l WHERE $condition),
		$node->safe_psql('postgres', q(
			SELECT count(*), count(*) FROM feature_stream.dead_letter d
			       JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)
			 WHERE o.outcome = 'replayed' AND d.reason NOT IN ('late', 'future'))), $name);
}

# Tests what partitions and so many views have counted, after so many events.
sub counters_agree
{
	my ($node, $events, $views) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	query_is($node, 'SELECT sum(read_count), sum(accepted_count) + sum(dead_letter_count) FROM feature_stream.partition_position',
		"$events|$events", 'accepted + dead letters = produced');
	query_is($node, q(
		SELECT count(*), bool_and(p.dead_letter_count = (
		           SELECT count(*) FROM feature_stream.dead_letter d
		                  LEFT JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)
		            WHERE d.partition = p.partition AND d.reason <> 'expression_error' AND o.outcome IS DISTINCT FROM 'replayed'))
		  FROM feature_stream.partition_position p),
		'6|t', 'what came back is no dead letter any more, in each partition');
	return query_is($node, q(
		SELECT count(*), bool_and(v.counted_count + v.filtered_count + v.late_count + v.expression_error_count = p.accepted)
		  FROM feature_stream.view_state v, (SELECT sum(accepted_count) AS accepted FROM feature_stream.partition_position) p),
		"$views|t", 'each view counted, filtered or refused what was accepted');
}

# What may be killed, {name => code}: the worker, the server, and processes at the points of a checkpoint.
sub kills_of
{
	my ($node, $random) = @_;

	return (
		'the ingest worker' => sub {
			my $pid = answer_of($node, "SELECT pid FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass");
			kill_backend_process($node, $pid) if defined $pid;
		},
		'the server (immediate shutdown)' => sub { $node->stop('immediate'); $node->start },
		map { my $point = $_; ($point => sub { crash_at_point($node, $point, 1 + int($random->() * 3)) }) }
		  qw(checkpoint-begin checkpoint-before-commit checkpoint-after-commit));
}

# So many of these kinds, each at least once where they are enough.
sub order_of
{
	my ($random, $n, @kinds) = @_;

	return map { $_ <= $#kinds ? $kinds[$_] : $kinds[ $random->() * @kinds ] } 0 .. $n - 1;
}

1;
