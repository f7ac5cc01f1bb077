
# The measurements of test/bench/storm, which sets it all up: CPU of the ingest worker per event when all are fine, and
# when all are bad, for each reason, beyond the budget of dead letters.

use strict;
use warnings;

use FeatureStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = shift @ARGV || 1_000_000;
my $rounds = $ENV{FS_ROUNDS} || 3;
my $avro = '{"type": "record", "name": "Click", "fields": [{"name": "user_id", "type": "string"}, {"name": "item_id", "type": "string"},'
  . ' {"name": "category", "type": "string"}, {"name": "timestamp", "type": "double"}]}';
my $category = q{text DEFAULT 'unknown'};

# Expressions that raise an error for all events ($from is 1: 'u17'), or for none (2: '17').
sub check_of { return "text DEFAULT 'unknown' CHECK (substr(user_id, $_[0])::int >= 0)"; }
sub where_of { return "WHERE substr(user_id, $_[0])::int >= 0"; }

my %cases = (
	'clean' => [$category, ''],
	'malformed' => [$category, qq(, format 'avro', schema '$avro')],
	'missing_field' => ["$category, device text NOT NULL", ''],
	'bad_value' => ['int', ''],
	'check_violation' => ["$category CHECK (left(category, 1) = 'x')", ''],
	'CHECK that raises' => [check_of(1), ''],
	'expression_error' => [$category, '', where_of(1)]);
# What raises costs something where all is well, too: the same expressions over events that are fine.
my %fine = ('CHECK that raises' => [check_of(2), ''], 'expression_error' => [$category, '', where_of(2)]);
my $kafka = new_kafka();
my $redis = new_redis();
my $node = new_node('storm', 'fsync' => 'on', 'max_wal_size' => '8GB', 'feature_stream.memory' => '2GB',
	'feature_stream.checkpoint_interval' => '30s');

sub value { return $node->safe_psql('postgres', $_[0]); }

# CPU seconds of a process, all its threads.
sub cpu_of
{
	my ($pid) = @_;
	my @f = split ' ', (slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr);
	return ($f[11] + $f[12]) / 100;
}

# Reads all of a topic; gives nanoseconds an event, rows stored, and dead letters by reason.
sub drain
{
	my ($topic, $category, $options, $where) = @_;

	$where //= '';

	value(qq(
		CREATE FOREIGN TABLE clicks (
			user_id    text        NOT NULL CHECK (user_id <> ''),
			item_id    text        NOT NULL,
			category   $category,
			clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
		) SERVER kafka OPTIONS (topic '$topic', event_time 'clicked_at', start 'earliest'$options);
		SELECT feature_stream.create_feature_view('session_features', 'SELECT user_id, array_agg(item_id) AS items_clicked, count(*) AS n
			FROM clicks @{[ $where =~ s/'/''/gr ]} GROUP BY user_id', windows => '{30 min}', slide => '1 min', history => 'none')));
	$node->poll_query_until('postgres', "SELECT sum(read_count) = $events FROM feature_stream.stat_partition") or die 'the stream was not read';
	value("SELECT feature_stream.checkpoint_stream('clicks')");
	my $ns = cpu_of(value('SELECT pid FROM feature_stream.stat_stream')) * 1e9 / $events;
	my $stored = value('SELECT count(*) FROM feature_stream.dead_letter');
	my $reasons = value(q(SELECT coalesce(string_agg(reason || ' ' || n, ', '), 'none') FROM (
		SELECT reason, sum(dead_letter_count) FROM feature_stream.dead_letter_summary GROUP BY 1) r (reason, n)));

	value("SELECT feature_stream.drop_feature_view('session_features', drop_history => true); DROP FOREIGN TABLE clicks");
	return ($ns, $stored, $reasons);
}

create_example_servers($node, $kafka, $redis);
$kafka->create_topic('storm', 4);
system($ENV{FS_LOAD}, 'produce', $kafka->brokers, 'storm', $events, 10000, 1800, 4) == 0 or die 'producing failed';
note(sprintf '%d events, load %s', $events, (split ' ', slurp_file('/proc/loadavg'))[0]);
for my $round (1 .. $rounds)
{
	my ($clean) = drain('storm', @{ $cases{clean} });

	for my $case (sort grep { $_ ne 'clean' } keys %cases)
	{
		my ($fine) = $fine{$case} ? drain('storm', @{ $fine{$case} }) : ($clean);
		my ($ns, $stored, $reasons) = drain('storm', @{ $cases{$case} });

		note(sprintf('%-24s %5.0f ns an event, fine ones %5.0f: ratio of speed %.2f (%.2f of the stream without it); %d rows stored; %s',
			$case, $ns, $fine, $fine / $ns, $clean / $ns, $stored, $reasons));
	}
}
ok(1, 'measured');
done_testing();
