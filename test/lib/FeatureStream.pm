
# What TAP tests of feature_stream share: a server with the extension, and the
# real peers beside it.
#
#   use FeatureStream;
#   my $node = new_node('main');
#   my $kafka = new_kafka();  my $redis = new_redis();  my $registry = new_registry();  my $hole = new_black_hole();
#   my $session = new_session($node, 'postgres');
#
# Everything is cleaned up at the end of the test, also when it dies.

package FeatureStream;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

use FeatureStream::Apicurio;
use FeatureStream::BlackHole;
use FeatureStream::Faults;
use FeatureStream::Kafka;
use FeatureStream::ObjectStore;
use FeatureStream::Process qw(wait_until);
use FeatureStream::Redis;
use FeatureStream::Registry;
use FeatureStream::Session;

our @EXPORT = (@FeatureStream::Faults::EXPORT, qw(
  new_node new_kafka new_redis new_registry new_apicurio new_black_hole new_object_store new_session wait_until
  ingest_pid wait_for_state wait_for_read wait_for_frontier wait_for_offsets
  wait_for_online redis_rows
  query_is query_becomes seconds_of rows_differ random_from
  create_example_servers create_stream create_example create_session_view create_wide_view create_summed_view generate oracle_agrees verifies
  avro_long avro_bytes
));

my $scratch;
my @nodes;

# One directory for all peers of a test, gone after it.
sub scratch
{
	$scratch //= PostgreSQL::Test::Utils::tempdir('peers');
	return $scratch;
}

sub new_kafka { return FeatureStream::Kafka->new(scratch(), @_); }
sub new_redis { return FeatureStream::Redis->new(scratch(), @_); }
sub new_registry { return FeatureStream::Registry->new(scratch(), @_); }
sub new_apicurio { return FeatureStream::Apicurio->new(scratch()); }
sub new_object_store { return FeatureStream::ObjectStore->new(scratch(), @_); }
sub new_black_hole { return FeatureStream::BlackHole->new(@_); }
sub new_session { return FeatureStream::Session->new(@_); }

# new_node(name, setting => value ...): a server with the extension in database postgres.  undef: the setting's default.
sub new_node
{
	my ($name, %settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my %all = (
		'shared_preload_libraries' => 'feature_stream',
		'restart_after_crash' => 'on',
		'max_worker_processes' => 16,
		'fsync' => 'off',
		'TimeZone' => 'UTC',
		'log_statement' => 'none',
		'feature_stream.memory' => '32MB',
		'feature_stream.checkpoint_interval' => '200ms',
		'feature_stream.worker_restart_delay' => '100ms',
		'feature_stream.partial_log_ratio' => 1,
		%settings);

	$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', join('', map { "$_ = '$all{$_}'\n" } grep { defined $all{$_} } sort keys %all));
	push @nodes, $node;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION feature_stream');
	return $node;
}

# The pid of a stream's ingest worker; waits for one other than $but.
sub ingest_pid
{
	my ($node, $stream, $but) = @_;
	my $pid;

	$but //= 0;
	wait_until(
		"an ingest worker of $stream",
		sub {
			$pid = answer_of($node, "SELECT pid FROM feature_stream.stat_stream WHERE stream = '$stream'::regclass AND state = 'running'");
			return defined $pid && $pid != $but;
		});
	return $pid;
}

sub wait_for_state
{
	my ($node, $stream, $state) = @_;

	$node->poll_query_until('postgres',
		"SELECT state = '$state' FROM feature_stream.stat_stream WHERE stream = '$stream'::regclass")
	  or die "stream $stream is not $state: "
	  . $node->safe_psql('postgres', "SELECT state, last_error FROM feature_stream.stat_stream WHERE stream = '$stream'::regclass");
	return;
}

# Waits until that many records of a stream were read, are durable, and its statistics know them.
sub wait_for_read
{
	my ($node, $stream, $count) = @_;

	$node->poll_query_until('postgres', qq(
		SELECT bool_and(n = $count) FROM (
			SELECT sum(read_count) FROM feature_stream.partition_position WHERE stream = '$stream'::regclass
			UNION ALL SELECT sum(read_count) FROM feature_stream.stat_partition WHERE stream = '$stream'::regclass) r (n)))
	  or die "stream $stream: "
	  . $node->safe_psql('postgres', "SELECT * FROM feature_stream.stat_partition WHERE stream = '$stream'::regclass");
	return;
}

# Waits until the windows that end at or before a time are fired and durable, and the worker that runs shows their rows.
sub wait_for_frontier
{
	my ($node, $stream, $time) = @_;

	$node->poll_query_until('postgres', qq(
		SELECT d.frontier >= '$time' AND d.fire_window_end IS NULL AND s.state = 'running' AND s.durable_frontier >= '$time'
		  FROM feature_stream.stream_state d JOIN feature_stream.stat_get_stream() s ON s.stream = d.stream
		 WHERE d.stream = '$stream'::regclass))
	  or die "stream $stream: "
	  . $node->safe_psql('postgres', "SELECT * FROM feature_stream.stat_stream WHERE stream = '$stream'::regclass");
	return;
}

# Waits until everything before these offsets is durable: {partition => next offset}.
sub wait_for_offsets
{
	my ($node, $stream, $offsets) = @_;
	my $values = join(',', map { "($_,$offsets->{$_}::bigint)" } sort keys %$offsets);

	$node->poll_query_until('postgres', qq(
		SELECT count(*) = count(p.partition) FROM (VALUES $values) v (partition, next)
		       LEFT JOIN feature_stream.partition_position p
		       ON p.stream = '$stream'::regclass AND p.partition = v.partition AND p.next_offset >= v.next))
	  or die "stream $stream: "
	  . $node->safe_psql('postgres', "SELECT * FROM feature_stream.stat_partition WHERE stream = '$stream'::regclass");
	return;
}

# Tests that a query gives these rows (psql -At).
sub query_is
{
	my ($node, $query, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->safe_psql('postgres', $query), $expected, $name);
}

# Tests that a query comes to give these rows: for what another process says or does a while after the test knows that
# it must.  Until then it may fail, as SELECT does from a feature view whose worker recovers.
sub query_becomes
{
	my ($node, $query, $expected, $name, $database) = @_;
	my $rows;

	eval { wait_until($name, sub {
		my ($rc, $out, $err) = try_psql($node, $query, $database);
		$rows = $rc == 0 ? $out : $err;
		return $rc == 0 && $out eq $expected;
	}) };
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($rows, $expected, $name);
}

# Rows that only one of two queries gives, a few of them; empty when they are equal.
sub rows_differ
{
	my ($node, $got, $expected) = @_;

	return $node->safe_psql('postgres', qq(
		WITH got AS ($got), expected AS ($expected)
		(SELECT 'unexpected', x::text FROM (TABLE got EXCEPT ALL TABLE expected) x LIMIT 10)
		UNION ALL
		(SELECT 'missing', x::text FROM (TABLE expected EXCEPT ALL TABLE got) x LIMIT 10)));
}

# How many seconds the code takes.
sub seconds_of
{
	my ($code) = @_;
	my $start = Time::HiRes::time();

	$code->();
	return Time::HiRes::time() - $start;
}

# A generator of random numbers of its own, so that a seed replays a test:
# random_from(seed) returns a sub that gives a number from 0 below 1.
sub random_from
{
	my ($state) = @_;

	$state = ($state * 2654435761 + 12345) % 4294967296;
	return sub {
		$state ^= ($state << 13) & 0xffffffff;
		$state ^= $state >> 17;
		$state ^= ($state << 5) & 0xffffffff;
		return $state / 4294967296;
	};
}

# The servers "kafka" and "redis" of the documentation's example.
sub create_example_servers
{
	my ($node, $kafka, $redis) = @_;

	$node->safe_psql('postgres', sprintf(q(
		CREATE SERVER kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '%s');
		CREATE SERVER redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '%s')),
		$kafka->brokers, $redis->port));
	return;
}

# A stream of the example's clicks over a topic, with whatever further options.
sub create_stream
{
	my ($node, $name, $topic, %options) = @_;
	my %all = (slice => '1 min', watermark_delay => '30 s', max_future => '60 s', %options);
	my $options = join '', map { ", $_ '$all{$_}'" } sort keys %all;

	$node->safe_psql('postgres', qq(
		CREATE FOREIGN TABLE $name (
			user_id    text        NOT NULL CHECK (user_id <> ''),
			item_id    text        NOT NULL,
			category   text        DEFAULT 'unknown',
			clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
		) SERVER kafka OPTIONS (topic '$topic', format 'json', event_time 'clicked_at'$options)));
	return;
}

# The stream "clicks" and the feature view "session_features" of the example over
# a topic, with whatever further options of the stream; what the oracle knows.
sub create_example
{
	my ($node, $topic, %options) = @_;

	create_stream($node, 'clicks', $topic, start => 'earliest', idle_after => '1 s', log_retention => '7 days', %options);
	create_session_view($node, online => 'redis', online_key => 'user:{user_id}:session_features', online_ttl => '2 hours');
	return;
}

# The feature view "session_features" of the example over the stream "clicks",
# with whatever further arguments of create_feature_view.
sub create_session_view
{
	my ($node, %arguments) = @_;
	my %all = (windows => '{30 min}', slide => '1 min', %arguments);
	my $arguments = join ', ', map { "$_ => '$all{$_}'" } sort keys %all;

	$node->safe_psql('postgres', qq(
		SELECT feature_stream.create_feature_view('session_features', \$\$
			SELECT user_id,
			       array_agg(item_id)                      AS items_clicked,
			       count(*)                                AS item_count,
			       count(DISTINCT item_id)                 AS distinct_items,
			       count(DISTINCT category)                AS distinct_categories,
			       mode() WITHIN GROUP (ORDER BY category) AS top_category
			  FROM clicks GROUP BY user_id \$\$, $arguments)));
	return;
}

# Another feature view over the example's stream, "wide_features": ten features of every strategy over three
# windows.  Its longest window and its slide have to be those of the example: what is too late for all views
# depends on them.
sub create_wide_view
{
	my ($node, $windows, $slide, $history_interval, $database) = @_;

	$node->safe_psql($database // 'postgres', qq(
		SELECT feature_stream.create_feature_view('wide_features', \$\$
			SELECT upper(user_id) AS who,
			       count(*)                                                            AS n,
			       count(category) FILTER (WHERE item_id LIKE '%1')                    AS ones,
			       sum(length(item_id))                                                AS letters,
			       avg(length(category)) FILTER (WHERE category <> 'toys')             AS mean,
			       min(item_id)                                                        AS least,
			       max(clicked_at)                                                     AS newest,
			       string_agg(left(item_id, 3), ',' ORDER BY clicked_at DESC, item_id) AS trail,
			       percentile_cont(0.5) WITHIN GROUP (ORDER BY length(item_id))        AS middle,
			       count(DISTINCT category) FILTER (WHERE length(item_id) > 2)         AS kinds,
			       upper(user_id) || ':' || count(*) / (count(DISTINCT item_id) - 1)   AS label
			  FROM clicks WHERE category IS DISTINCT FROM 'books' GROUP BY upper(user_id) \$\$,
			windows => '$windows', slide => '$slide', history_interval => '$history_interval')));
	return;
}

# Another one, "summed_features", which keeps partial aggregates of slides instead of events; the same holds.
sub create_summed_view
{
	my ($node, $windows, $slide) = @_;

	$node->safe_psql('postgres', qq(
		SELECT feature_stream.create_feature_view('summed_features', \$\$
			SELECT user_id,
			       count(*)                                                   AS n,
			       sum(length(item_id)) AS total, stddev(length(item_id)) AS spread,
			       avg(length(item_id) / 7::numeric(1))                       AS mean,
			       var_pop((length(category) - 9) / 2.50) FILTER (WHERE item_id LIKE '%1') AS wide,
			       min(item_id) AS least, max(category) AS most, max(clicked_at) AS newest,
			       max(length(item_id) / 2::float8) AS half, min((length(category) % 3)::numeric) AS rest,
			       bool_or(category = 'toys') AS toys, bit_xor(length(item_id)) AS parity
			  FROM clicks GROUP BY user_id \$\$,
			windows => '$windows', slide => '$slide')));
	query_is($node, "SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('summed_features') WHERE feature IS NOT NULL",
		'partials', 'a view keeps partial aggregates alone');
	return;
}

# Runs generate.py; options as it takes them: generate($kafka, '--events', 1000 ...).
# Returns what can be given to IPC::Run's finish(): it goes on beside the test.
sub generate
{
	my ($kafka, @options) = @_;

	return IPC::Run::start(
		[ $FeatureStream::Kafka::python, "$FindBin::Bin/../lib/generate.py", '--bootstrap', $kafka->brokers, @options ],
		'<', \undef, '>>', $PostgreSQL::Test::Utils::test_logfile, '2>>', $PostgreSQL::Test::Utils::test_logfile);
}

# Tests that the oracle agrees with everything the example made of a topic.
sub oracle_agrees
{
	my ($node, $kafka, $redis, $topic, $frontier, $name) = @_;
	my $out = '';
	my $right = IPC::Run::run(
		[ $FeatureStream::Kafka::python, "$FindBin::Bin/../lib/oracle.py", '--bootstrap', $kafka->brokers,
		  '--topic', $topic, '--dsn', $node->connstr('postgres'), '--redis-port', $redis->port,
		  '--wait', 600, '--patience', 120, '--frontier', $frontier ],
		'<', \undef, '>&', \$out);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	note($out);
	return ok($right, $name) || diag($out, $node->safe_psql('postgres', q(
		SELECT * FROM feature_stream.stat_online; SELECT * FROM feature_stream.stat_stream)));
}

# What Redis has under the keys of a feature view of default names: {key => "window end/its feature n_30m"}.
sub redis_rows
{
	my ($redis, $view) = @_;
	my %rows = map { ($_ => $redis->hash($_)) } $redis->keys("$view:*");

	return { map { ($_ => $rows{$_}{window_end} . '/' . ($rows{$_}{n_30m} // '')) } keys %rows };
}

# Waits until the online store of such a feature view has its rows in force, of which there are some, and besides at
# most empty ones.
sub wait_for_online
{
	my ($node, $redis, $view) = @_;

	wait_until("the rows in force of $view online", sub {
		my $answer = answer_of($node, "SELECT format('%s:%s %s/%s', '$view', user_id, extract(epoch FROM window_end)::bigint, n_30m) FROM $view");
		my $rows = redis_rows($redis, $view);

		delete @$rows{ grep { $rows->{$_} =~ m{/0$} } keys %$rows };
		return defined $answer && join("\n", sort map { "$_ $rows->{$_}" } keys %$rows) eq join("\n", sort split /\n/, $answer);
	});
	return;
}

# Tests that a feature view verifies, and that there was something to verify.
sub verifies
{
	my ($node, $view, $name, $database) = @_;
	my ($status, $rows, $notices) = $node->psql($database // 'postgres', "SELECT * FROM feature_stream.verify_feature_view('$view')");

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($status == 0 && $rows eq '' && $notices =~ /NOTICE:  [1-9]\d* rows of history compared/
		  && $notices =~ /NOTICE:  \d+ rows in force compared/ && $notices !~ /not compared/, $name) || diag(substr($rows, 0, 4000), $notices);
}

# Avro, written by hand: what a datum is made of.
sub avro_long
{
	my ($value) = @_;
	my $zigzag = $value < 0 ? -2 * $value - 1 : 2 * $value;
	my $bytes = '';

	for (; $zigzag > 127; $zigzag >>= 7) { $bytes .= chr($zigzag & 127 | 128); }
	return $bytes . chr($zigzag);
}
sub avro_bytes { return avro_long(length $_[0]) . $_[0]; }

# A test that ends badly shows why: what it did last, and what the servers said.
END
{
	my $status = $?;

	if ($status != 0 && defined $PostgreSQL::Test::Utils::test_logfile)
	{
		for my $log ($PostgreSQL::Test::Utils::test_logfile, map { $_->logfile } @nodes)
		{
			open(my $fh, '<', $log) or next;
			my @lines = grep { !/^\s*$/ } <$fh>;
			splice(@lines, 0, @lines - 40) if @lines > 40;
			diag("--- $log\n", map { substr($_, 0, 400) } @lines);
		}
	}
	$? = $status;
}

1;
