
# What is too large for its place: values for shared memory, rows for a page, arrays for a gigabyte.  It costs the event or
# the feature, and the worker that was there before is there after it.

use strict;
use warnings;

use FeatureStream;
use FeatureStream::Outbox;
use PostgreSQL::Test::Utils;
use Test::More;

my $sent = 0;
my $node = new_node('sizes', 'feature_stream.memory' => '256MB', 'feature_stream.expression_timeout' => '60s');

hold_clock($node, "timestamptz '2024-01-15 12:20:00+00'");
create_outbox($node);
create_outbox_stream($node, 'user_id text NOT NULL, note text, tag text, odd boolean', max_record_bytes => '128MB');

sub create_view
{
	my ($name, $features, $where) = @_;

	$node->safe_psql('postgres', qq(SELECT feature_stream.create_feature_view('$name', \$\$
		SELECT user_id, count(*) AS n, $features FROM clicks WHERE $where GROUP BY user_id \$\$, windows => '{10 min}', slide => '1 min')));
	return;
}

# Events, each with its fields as arguments of jsonb_build_object, of one minute.
sub send_events
{
	my ($minute, @events) = @_;
	my $second = 40;

	$node->safe_psql('postgres', join '', map { sprintf(q(
		INSERT INTO outbox (v) SELECT jsonb_build_object(%s, 'clicked_at', '2024-01-15 12:%02d:%02d+00'::timestamptz);), $_, $minute, $second++) }
		@events);
	$sent += @events;
	wait_for_read($node, 'clicks', $sent);
	return;
}

# The window that ends with that minute is fired.
sub end_minute
{
	my ($minute) = @_;

	send_events($minute + 1, q('user_id', 'tick'));
	wait_for_frontier($node, 'clicks', sprintf('2024-01-15 12:%02d:00+00', $minute + 1));
	return;
}

create_view('longest', 'max(repeat(note, 100)) AS longest', q(user_id = 'u1'));
create_view('longest_of', 'max(repeat(note, 100)) AS longest, array_agg(length(note)) AS lengths', q(user_id = 'u1'));
create_view('bulk', 'array_agg(repeat(note, 100)) AS notes', q(user_id = 'u2'));
create_view('halves', 'array_agg(repeat(note, 100)) FILTER (WHERE odd) AS odd, array_agg(repeat(note, 100)) FILTER (WHERE NOT odd) AS even', q(user_id = 'u2'));
my ($rc, $out, $err) = $node->psql('postgres', q(SELECT feature_stream.create_feature_view('wide',
	(SELECT format('SELECT user_id, count(*) AS n, %s FROM clicks WHERE user_id NOT LIKE ''u_'' GROUP BY user_id', string_agg(format('max(tag) || %s AS f%s', i, i), ', '))
	   FROM generate_series(100, 599) i), windows => '{10 min}', slide => '1 min')));
like($err, qr/WARNING: +rows of feature view "wide" may be too wide for its history/, 'a view whose rows may be too wide is made, with a warning');
query_is($node, q(SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('longest') WHERE feature IS NOT NULL), 'partials', 'a view that keeps partial aggregates');
query_is($node, q(SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('longest_of') WHERE feature IS NOT NULL), 'events', 'and one that keeps events');
my $pid = ingest_pid($node, 'clicks');

# --- Values: 70 MB by an expression, 65 MB in a field.
send_events(0, q('user_id', 'u1', 'note', 'ab'), q('user_id', 'u1', 'note', repeat('x', 700000)),
	q('user_id', 'u1', 'note', repeat('y', 65 * 1024 * 1024)), q('user_id', 'u1', 'note', 'c'));
end_minute(0);
query_is($node, q(SELECT payload_size > 700000, reason, message FROM feature_stream.dead_letter ORDER BY "offset"), join("\n",
		't|expression_error|feature view "longest_of": value has 70000000 bytes, more than can be kept (67108864)',
		't|bad_value|field "note" has 68157440 bytes, more than can be kept (67108864)'),
	'values that are too long are dead letters');
my $rows = q(SELECT n_10m, longest_10m = repeat('c', 100)%s FROM %s WHERE user_id = 'u1' AND window_end = '2024-01-15 12:01:00+00');
query_is($node, sprintf($rows, '', 'longest_history'), '2|t', 'a view that keeps partial aggregates counts the others');
query_is($node, sprintf($rows, ', lengths_10m', 'longest_of_history'), '2|t|{2,1}', 'and so does one that keeps events');
verifies($node, 'longest', 'the batch side says the same of partial aggregates');
verifies($node, 'longest_of', 'and of events');

# --- Rows: 500 values of 24 bytes, which stay in the row; shorter ones fit.
send_events(2, q('user_id', 'long', 'tag', 'abcdefghijklmnopqrst'), q('user_id', 'short', 'tag', 'x'));
end_minute(2);
query_is($node, q(SELECT user_id, n_10m, f100_10m, f599_10m FROM wide_history WHERE window_end = '2024-01-15 12:03:00+00' ORDER BY 1), join("\n",
		'long|||', 'short|1|x100|x599'), 'features of a row that is too wide are NULL in the history, others are not');
query_is($node, q(SELECT n_10m, f100_10m, f599_10m FROM wide WHERE user_id = 'long'), '1|abcdefghijklmnopqrst100|abcdefghijklmnopqrst599',
	'the view has them');
query_becomes($node, q(SELECT feature_error_count, feature_error FROM feature_stream.stat_feature_view WHERE view = 'wide'::regclass),
	'501|features are too much for a row of the history', 'they are counted, and the message says why');

# --- Arrays: one of 18 values of 60 MB, two of 9.
my ($odd, $even) = map { "'user_id', 'u2', 'note', repeat('x', 600000), 'odd', $_" } qw(true false);
send_events(4, ($odd, $even) x 3) for 1 .. 3;	# not all at once, as they are all decoded then
end_minute(4);
query_is($node, q(SELECT n_10m, notes_10m IS NULL FROM bulk_history WHERE window_end = '2024-01-15 12:05:00+00'), '18|t', 'an array that is too long is NULL');
query_is($node, q(SELECT n_10m IS NULL, odd_10m IS NULL, even_10m IS NULL FROM halves_history WHERE window_end = '2024-01-15 12:05:00+00'), 't|t|t',
	'so are the features of a row that is too long');
query_becomes($node, q(SELECT feature_error_count, feature_error FROM feature_stream.stat_feature_view WHERE view IN ('bulk'::regclass, 'halves'::regclass)
		ORDER BY view::text), "1|array size exceeds the maximum allowed\n3|features are too much for a row of the history", 'both are counted');

is(ingest_pid($node, 'clicks'), $pid, 'all of it by one worker');
unlike(slurp_file($node->logfile), qr/TRAP:|terminated by signal|PANIC/, 'nothing crashed');

done_testing();
