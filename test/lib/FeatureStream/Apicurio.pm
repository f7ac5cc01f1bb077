
# A real schema registry: Apicurio, with Confluent's interface.  What it holds
# outlives a restart.

package FeatureStream::Apicurio;

use strict;
use warnings;

use parent 'FeatureStream::Process';
use Cwd ();
use FeatureStream::Kafka;
use FeatureStream::Process qw(free_port);
use File::Basename ();
use File::Path ();
use IPC::Run ();

my $client = Cwd::abs_path(File::Basename::dirname(__FILE__)) . '/registry_client.py';

# new(directory)
sub new
{
	my ($class, $dir) = @_;
	my $port = free_port();
	my ($jar) = glob(File::Basename::dirname($ENV{FS_JARS}) . '/apicurio-*/apicurio-registry-app-*-runner.jar')
	  or die 'no registry: test/setup fetches it';

	$dir .= '/apicurio';
	File::Path::make_path($dir);
	my $self = bless {
		name => 'Apicurio',
		port => $port,
		dir => $dir,
		log => "$dir/server.log",
		command => [ 'env', 'QUARKUS_HTTP_HOST=127.0.0.1', "QUARKUS_HTTP_PORT=$port", "REGISTRY_DATASOURCE_URL=jdbc:h2:file:$dir/store",
			'java', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', "-Djava.io.tmpdir=$dir", '-jar', $jar ],
	}, $class;
	$self->{ready} = sub { $self->_client('', 'ready') };
	$self->start;
	return $self;
}

sub url { return "http://127.0.0.1:$_[0]{port}/apis/ccompat/v7"; }

# Runs a command of registry_client.py; false when it fails.
sub _client
{
	my ($self, $input, @words) = @_;

	local $ENV{PYTHONPATH} = $ENV{FS_PYTHON_LIBRARY};
	return IPC::Run::run([ $FeatureStream::Kafka::python, $client, $self->url, @words ], '<', \$input, '>', \$self->{out}, '2>', \$self->{err});
}

# serialize(subject, schema, [reference ...], record ...): records (JSON) as the client's own serializer writes
# them; a reference is name=subject.
sub serialize
{
	my ($self, $subject, $schema, $references, @records) = @_;

	$self->_client(join('', map { "$_\n" } @records), 'serialize', $subject, $schema, @$references) or die $self->{err};
	return map { pack('H*', $_) } split /\n/, $self->{out};
}

# deserialize(record ...): the same back, each as JSON.
sub deserialize
{
	my ($self, @records) = @_;

	$self->_client(join('', map { unpack('H*', $_) . "\n" } @records), 'deserialize') or die $self->{err};
	return split /\n/, $self->{out};
}

1;
