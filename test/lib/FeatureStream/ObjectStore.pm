
# A real object store that verifies signatures (versitygw), behind a proxy that
# breaks requests when it is told to.

package FeatureStream::ObjectStore;

use strict;
use warnings;

use parent 'FeatureStream::Process';
use FeatureStream::Process qw(free_port);
use FindBin;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;

# The program, or undef: test/setup builds it where there is Go.
sub program
{
	my @places = ($ENV{FS_VERSITYGW} // (), '/var/cache/feature_stream/go/versitygw');
	my ($found) = grep { -x } @places;

	return $found;
}

sub answers
{
	my ($port) = @_;

	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5);
}

# new(directory): starts it, with the bucket "features".
sub new
{
	my ($class, $dir) = @_;
	my ($port, $proxy) = (free_port(), free_port());
	my $data = "$dir/buckets";

	mkdir($_) for $data, "$data/features", "$dir/side";
	PostgreSQL::Test::Utils::append_to_file("$dir/orders", '');
	my $self = bless {
		name => 'object store',
		port => $port,
		data => $data,
		log => "$dir/store.log",
		command => [ 'env', 'ROOT_ACCESS_KEY=lakekey', 'ROOT_SECRET_KEY=lakesecret', program(), '--port', "127.0.0.1:$port",
			'posix', '--sidecar', "$dir/side", $data ],
		ready => sub { answers($port) },
	}, $class;
	$self->start;
	$self->{proxy} = bless {
		name => 'proxy of the object store',
		port => $proxy,
		orders => "$dir/orders",
		log => "$dir/proxy.log",
		command => [ '/usr/bin/python3', "$FindBin::Bin/../lib/s3_proxy.py", $proxy, $port, "$dir/orders" ],
		ready => sub { answers($proxy) },
	}, $class;
	$self->{proxy}->start;
	return $self;
}

sub endpoint { return "http://127.0.0.1:$_[0]{proxy}{port}"; }

# Breaks the next requests; see s3_proxy.py.
sub break_next
{
	my ($self, @orders) = @_;

	open(my $file, '>', $self->{proxy}{orders}) or die;
	print $file "@orders";
	close($file);
	return;
}

# How many uploads were begun, and neither completed nor aborted.
sub uploads
{
	my ($self) = @_;
	my @found = glob("$self->{data}/features/.sgwtmp/multipart/*/*/");

	return scalar @found;
}

# How many requests are still to be broken.
sub orders
{
	my ($self) = @_;
	my @left = split ' ', PostgreSQL::Test::Utils::slurp_file($self->{proxy}{orders});

	return scalar @left;
}

1;
