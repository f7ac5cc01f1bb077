
# What the benchmarks have in common: a server, events in Kafka, the example stream, figures.

package Bench;

use strict;
use warnings;

use Exporter 'import';
use FeatureStream;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_bench value median cpu_of load produce create_clicks create_session_features await_read);

my $node;

# A server set up as one of a user's would be, with more settings.
sub new_bench
{
	my (%settings) = @_;

	$node = new_node('bench',
		'fsync' => 'on', 'huge_pages' => 'try', 'max_wal_size' => '8GB',
		'feature_stream.memory' => '2GB', 'feature_stream.checkpoint_interval' => '30s', %settings);
	return $node;
}

sub value { return $node->safe_psql('postgres', $_[0]); }
sub median { my @s = sort { $a <=> $b } @_; return $s[ @s / 2 ]; }
sub load { return (split ' ', slurp_file('/proc/loadavg'))[0]; }

# CPU seconds of a process, all its threads.
sub cpu_of
{
	my ($pid) = @_;
	my @f = split ' ', (slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr);
	return ($f[11] + $f[12]) / 100;
}

# Makes a topic with that many events of so many users, over a span of event time in seconds.
sub produce
{
	my ($kafka, $topic, $events, $users, $span, $partitions) = @_;

	$kafka->create_topic($topic, $partitions);
	system($ENV{FS_LOAD}, 'produce', $kafka->brokers, $topic, $events, $users, $span, $partitions) == 0 or die 'producing failed';
	return;
}

# The example stream over a topic.
sub create_clicks
{
	my ($topic) = @_;

	value(qq(
		CREATE FOREIGN TABLE clicks (
			user_id    text        NOT NULL CHECK (user_id <> ''),
			item_id    text        NOT NULL,
			category   text        DEFAULT 'unknown',
			clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
		) SERVER kafka OPTIONS (topic '$topic', format 'json', event_time 'clicked_at', start 'earliest')));
	return;
}

# The example feature view of it.
sub create_session_features
{
	my ($options) = @_;

	value(qq(
		SELECT feature_stream.create_feature_view('session_features', \$\$
			SELECT user_id, array_agg(item_id) AS items_clicked, count(*) AS item_count,
			       count(DISTINCT item_id) AS distinct_items, count(DISTINCT category) AS distinct_categories,
			       mode() WITHIN GROUP (ORDER BY category) AS top_category
			  FROM clicks GROUP BY user_id \$\$, windows => '{30 min}', slide => '1 min', $options)));
	return;
}

# Waits until that many events have been read, and, if asked, what is due has fired.
sub await_read
{
	my ($events, $fired) = @_;

	$node->poll_query_until('postgres', "SELECT sum(read_count) = $events FROM feature_stream.stat_partition")
	  or die 'the stream was not read';
	return if !$fired;
	$node->poll_query_until('postgres', "SELECT durable_frontier > watermark - interval '1 min' FROM feature_stream.stat_stream")
	  or die 'windows did not fire';
	value("SELECT feature_stream.checkpoint_stream('clicks')");
	return;
}

1;
