
# The history of a feature view of clicks, and what it has to be: plain SQL over a table of all that was sent,
#
#   event (n int, o bigint, user_id text, item text, at timestamptz, …)
#
# where n and o are a record's partition and place in it.

package FeatureStream::ClickHistory;

use strict;
use warnings;

use Exporter 'import';
use FeatureStream::Faults;
use FeatureStream::Process qw(wait_until);

our @EXPORT = qw(create_click_view click_history expected_click_history wait_for_filled);

# Makes such a view on stream "clicks"; $more: further arguments.  The server may be dying.
sub create_click_view
{
	my ($node, $name, $more) = @_;

	psql_before_crash($node, qq(SELECT feature_stream.create_feature_view('$name', '
		SELECT user_id, count(*) AS n, array_agg(item_id) AS items, count(DISTINCT item_id) AS kinds
		  FROM clicks GROUP BY user_id', windows => '{10 min, 30 min}', slide => '1 min' $more)));
	return;
}

# A query for the history of such a view.
sub click_history
{
	my ($view) = @_;

	return "SELECT user_id, n_10m, items_10m, kinds_10m, n_30m, items_30m, kinds_30m, window_end FROM ${view}_history";
}

# A query for what it has to be over the events of a condition, up to the window ends fired: a row for each user and
# window end at which an event enters or leaves a window.
sub expected_click_history
{
	my ($where) = @_;
	my $window = sub {
		my ($w, $suffix) = @_;
		my $held = "FILTER (WHERE e.at >= d.w - interval '$w')";
		return "count(e.at) $held AS n_$suffix, array_agg(e.item ORDER BY e.at, e.n, e.o) $held AS items_$suffix,"
			. " count(DISTINCT e.item) $held AS kinds_$suffix";
	};

	return qq(
		SELECT d.user_id, @{[ $window->('10 min', '10m') ]}, @{[ $window->('30 min', '30m') ]}, d.w AS window_end
		  FROM (SELECT DISTINCT user_id, date_trunc('minute', at + x) + interval '1 min' AS w
		          FROM event, unnest('{0, 10 min, 30 min}'::interval[]) x WHERE $where) d
		       LEFT JOIN (SELECT * FROM event WHERE $where) e
		       ON e.user_id = d.user_id AND e.at < d.w AND e.at >= d.w - interval '30 min'
		 WHERE d.w <= (SELECT frontier FROM feature_stream.stream_state WHERE stream = 'clicks'::regclass)
		 GROUP BY d.user_id, d.w);
}

# Waits until a view that came to a running stream has all of its history; the server may be dying.
sub wait_for_filled
{
	my ($node, $view) = @_;

	wait_until("a history of $view", sub {
		(answer_of($node, "SELECT state FROM feature_stream.stat_progress_backfill WHERE view = '$view'::regclass") // '') eq 'done' });
	return;
}

1;
