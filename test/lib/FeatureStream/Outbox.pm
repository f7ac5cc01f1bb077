
# A table of events, and streams over it.

package FeatureStream::Outbox;

use strict;
use warnings;

use Exporter 'import';
use FeatureStream::Faults;
use FeatureStream::Process qw(wait_until);

our @EXPORT = qw(create_outbox create_outbox_stream wait_for_fired);

# The table "outbox", whose rows are events: v as JSON, which arrived at; and the server "here" for streams over it.
sub create_outbox
{
	my ($node) = @_;

	$node->safe_psql('postgres', q(
		CREATE TABLE outbox (
			n bigint GENERATED ALWAYS AS IDENTITY NOT NULL, x xid8 NOT NULL DEFAULT pg_current_xact_id(), at timestamptz, v jsonb,
			PRIMARY KEY (x, n));
		CREATE SERVER here FOREIGN DATA WRAPPER feature_stream_table));
	return;
}

# The stream "clicks" over it, with these columns before its event time, and whatever further options.
sub create_outbox_stream
{
	my ($node, $columns, %options) = @_;
	my %all = (slice => '1 min', watermark_delay => '30 s', idle_after => '1 h', start => 'earliest', log_retention => '1 day', %options);
	my $options = join '', map { ", $_ '$all{$_}'" } sort keys %all;

	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE clicks ($columns, clicked_at timestamptz NOT NULL)
			SERVER here OPTIONS ("table" 'outbox', order_by 'n', xid 'x', value 'v', arrival 'at', event_time 'clicked_at'$options)));
	return;
}

# Waits until the windows of all streams are fired that end at or before a time; the server may be dying.
sub wait_for_fired
{
	my ($node, $time) = @_;

	wait_until('the windows to be fired', sub {
		(answer_of($node, "SELECT bool_and(frontier >= $time AND fire_window_end IS NULL) FROM feature_stream.stream_state") // '') eq 't' });
	return;
}

1;
