
# The measurements of test/bench/formats, which sets it all up: CPU of the ingest worker per event, for the same clicks in
# JSON, in Avro by the stream's schema, and in Avro by the schemas that records name; clean, a tenth bad, all bad.

use strict;
use warnings;

use Bench;
use FeatureStream;
use Test::More;

my $events = shift @ARGV || 2_000_000;
my $rounds = $ENV{FS_ROUNDS} || 3;
my @bad = (0, 10, 100);		# percent
my $end = time;
my $span = 1800;
my $schema = '{"type": "record", "name": "Click", "fields": [{"name": "user_id", "type": "string"}, {"name": "item_id", "type": "string"},'
  . ' {"name": "category", "type": "string"}, {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}';
my $registry = new_registry();
my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_bench();

# Per format: its server, the unit of its time, and its options.
my %formats = (
	json => [ 'kafka', ", unit 's'", "format 'json'" ],
	avro => [ 'kafka', '', "format 'avro', schema '$schema'" ],
	wire => [ 'registered', '', "format 'avro'" ]);

# Reads all of a topic; gives nanoseconds of CPU an event, and how many were dead letters.
sub drain
{
	my ($format, $bad) = @_;
	my ($server, $unit, $options) = @{ $formats{$format} };

	value(qq(
		CREATE FOREIGN TABLE clicks (
			user_id    text        NOT NULL CHECK (user_id <> ''),
			item_id    text        NOT NULL,
			category   text        DEFAULT 'unknown',
			clicked_at timestamptz OPTIONS (field 'timestamp'$unit) NOT NULL
		) SERVER $server OPTIONS (topic '$format-$bad', event_time 'clicked_at', start 'earliest', $options)));
	create_session_features("history => 'none'");
	await_read($events, 0);
	value("SELECT feature_stream.checkpoint_stream('clicks')");
	my $ns = cpu_of(value('SELECT pid FROM feature_stream.stat_stream')) * 1e9 / $events;
	my $dead = value('SELECT sum(dead_letter_count) FROM feature_stream.partition_position');

	die "$dead dead letters of $format-$bad" if $dead != $events * $bad / 100;
	value("SELECT feature_stream.drop_feature_view('session_features', drop_history => true); DROP FOREIGN TABLE clicks");
	return $ns;
}

create_example_servers($node, $kafka, $redis);
$registry->add('/schemas/ids/1', schema => $schema);
value(sprintf("CREATE SERVER registered FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s', registry '%s')", $kafka->brokers, $registry->url));
for my $format (sort keys %formats)
{
	for my $bad (@bad)
	{
		$kafka->create_topic("$format-$bad", 4);
		system($ENV{FS_LOAD}, 'produce', $kafka->brokers, "$format-$bad", $events, 10000, $span, 4, $format, $bad, $end) == 0 or die 'producing failed';
	}
}
note(sprintf('%d events, %d rounds, load %s', $events, $rounds, load()));
my %ns;
for my $round (1 .. $rounds)
{
	for my $bad (@bad)
	{
		push @{ $ns{$_}{$bad} }, drain($_, $bad) for sort keys %formats;
	}
}
for my $bad (@bad)
{
	my $json = median(@{ $ns{json}{$bad} });

	for my $format (sort keys %formats)
	{
		my $ns = median(@{ $ns{$format}{$bad} });

		note(sprintf('%-4s %3d %% bad: %5.0f ns of CPU an event, %.2f million events a second of CPU; speed of JSON x %.2f, of clean x %.2f',
			$format, $bad, $ns, 1000 / $ns, $json / $ns, median(@{ $ns{$format}{0} }) / $ns));
	}
}
note(sprintf('load %s at the end', load()));
ok(1, 'measured');
done_testing();
