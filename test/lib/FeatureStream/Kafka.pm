
# A real Kafka broker (KRaft, one node) on free ports.  Its log outlives stop,
# kill and restart.

package FeatureStream::Kafka;

use strict;
use warnings;

use parent 'FeatureStream::Process';
use Cwd ();
use FeatureStream::Process qw(free_port wait_until);
use File::Basename ();
use File::Path ();
use IPC::Run ();

my $admin = Cwd::abs_path(File::Basename::dirname(__FILE__)) . '/kafka_admin.py';

# The package python3-confluent-kafka belongs to the system's own Python.
our $python = $ENV{FS_PYTHON} || '/usr/bin/python3';

my @java = ('java', '-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1');

# new(directory, property => value ...): formats a log directory and starts the
# broker; with 'later' => 1 the test starts it.
sub new
{
	my ($class, $dir, %properties) = @_;
	my $later = delete $properties{later};
	my $jars = $ENV{FS_JARS} or die "FS_JARS is not set";
	my $port = free_port();

	$dir .= '/kafka';
	File::Path::make_path($dir);
	my $self = bless {
		name => 'Kafka',
		port => $port,
		dir => $dir,
		log => "$dir/server.log",
		command => [ @java, '-cp', "$jars/*", 'kafka.Kafka', "$dir/server.properties" ],
		ready => sub { _answers($port) },
	}, $class;
	$self->_write_properties(%properties);
	my $out = '';
	IPC::Run::run(
		[ @java, '-cp', "$jars/*", 'kafka.tools.StorageTool', 'format',
		  '-t', 'ZmVhdHVyZV9zdHJlYW0wMQ', '-c', "$dir/server.properties" ],
		'<', \undef, '>&', \$out) or die "cannot format the log directory: $out";
	$self->start if !$later;
	return $self;
}

sub _write_properties
{
	my ($self, %properties) = @_;
	my $controller = free_port();
	my %all = (
		'process.roles' => 'broker,controller',
		'node.id' => 1,
		'controller.quorum.voters' => "1\@localhost:$controller",
		'listeners' => "PLAINTEXT://127.0.0.1:$self->{port},CONTROLLER://127.0.0.1:$controller",
		'advertised.listeners' => "PLAINTEXT://127.0.0.1:$self->{port}",
		'controller.listener.names' => 'CONTROLLER',
		'listener.security.protocol.map' => 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
		'log.dirs' => "$self->{dir}/data",
		'offsets.topic.replication.factor' => 1,
		'offsets.topic.num.partitions' => 1,
		'transaction.state.log.replication.factor' => 1,
		'transaction.state.log.min.isr' => 1,
		'transaction.state.log.num.partitions' => 1,
		'group.initial.rebalance.delay.ms' => 0,
		'auto.create.topics.enable' => 'false',
		'log.retention.ms' => -1,		# records may have any timestamps
		%properties);

	open(my $fh, '>', "$self->{dir}/server.properties") or die $!;
	print $fh map { "$_=$all{$_}\n" } sort keys %all;
	close($fh);
	return;
}

sub _answers
{
	my ($port) = @_;

	return IPC::Run::run([ 'kcat', '-L', '-m', 1, '-b', "127.0.0.1:$port" ], '<', \undef, '>&', \my $out);
}

sub port { return $_[0]{port}; }
sub brokers { return "127.0.0.1:$_[0]{port}"; }

# Runs a command of kafka_admin.py; its input is a string.
sub admin
{
	my ($self, $input, @words) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $python, $admin, $self->brokers, @words ], '<', \$input, '>', \$out, '2>', \$err)
	  or die "kafka_admin.py @words: $err";
	return $out;
}

# create_topic(name, partitions, config => value ...)
sub create_topic
{
	my ($self, $topic, $partitions, %config) = @_;

	$self->admin('', 'create', $topic, $partitions, map { "$_=$config{$_}" } sort keys %config);
	return;
}

sub add_partitions
{
	my ($self, $topic, $total) = @_;

	$self->admin('', 'grow', $topic, $total);
	return;
}

sub delete_topic
{
	my ($self, $topic) = @_;

	$self->admin('', 'delete', $topic);
	return;
}

# Runs a tool of the broker's jars.
sub java
{
	my ($self, $class, @words) = @_;
	my $out = '';

	IPC::Run::run([ @java, '-cp', "$ENV{FS_JARS}/*", $class, @words ], '<', \undef, '>&', \$out)
	  or die "$class: $out";
	return $out;
}

# Has the broker remove everything before an offset, as retention would.
sub delete_records
{
	my ($self, $topic, $partition, $offset) = @_;
	my $file = "$self->{dir}/delete.json";

	open(my $fh, '>', $file) or die $!;
	print $fh qq({"partitions": [{"topic": "$topic", "partition": $partition, "offset": $offset}], "version": 1});
	close($fh);
	my $out = $self->java('org.apache.kafka.tools.DeleteRecordsCommand',
		'--bootstrap-server', $self->brokers, '--offset-json-file', $file);
	die $out if $out !~ /low_watermark: $offset/;
	return;
}

# produce(topic, partition, [values], option ...): one record a value, through
# kcat; further options are its own ("-z", "gzip").
sub produce
{
	my ($self, $topic, $partition, $values, @options) = @_;
	my ($in, $out) = (join('', map { "$_\n" } @$values), '');

	IPC::Run::run(
		[ 'kcat', '-P', '-q', '-b', $self->brokers, '-t', $topic, '-p', $partition, '-X', 'acks=all', @options ],
		'<', \$in, '>&', \$out) or die "kcat: $out";
	return;
}

# produce_records(topic, [{partition, value, key, headers, timestamp} ...]):
# exact records; a value of undef is a tombstone.  All but undef are hex-coded
# on the way.  With 'transaction' => 'commit' or 'abort' they are one.
sub produce_records
{
	my ($self, $topic, $records, %args) = @_;
	my $in = '';

	for my $record (@$records)
	{
		$in .= join("\t",
			$record->{partition},
			defined $record->{timestamp} ? $record->{timestamp} : '-',
			defined $record->{key} ? 'x' . unpack('H*', $record->{key}) : '-',
			defined $record->{value} ? 'x' . unpack('H*', $record->{value}) : '-',
			join(',', map { "$_=" . unpack('H*', $record->{headers}{$_}) } sort keys %{ $record->{headers} // {} }))
		  . "\n";
	}
	$self->admin($in, 'produce', $topic, $args{transaction} // 'none', $args{codec} // 'none');
	return;
}

# All records of a topic, as produce_records takes them.
sub records
{
	my ($self, $topic) = @_;
	my $decode = sub { $_[0] eq '-' ? undef : pack('H*', substr($_[0], 1)) };
	my @records;

	for my $line (split /\n/, $self->admin('', 'consume', $topic))
	{
		my ($partition, $timestamp, $key, $value, $headers) = split /\t/, $line, -1;
		my %headers = map { my ($name, $content) = split /=/, $_, 2; ($name => $decode->($content)) } split /,/, $headers;

		push @records, { partition => $partition, timestamp => $timestamp, key => $decode->($key), value => $decode->($value),
			headers => \%headers };
	}
	return @records;
}

1;
