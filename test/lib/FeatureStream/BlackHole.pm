
# An address that swallows everything: the kernel drops connection requests
# because the backlog of a listening socket is full, so that peers see neither
# an answer nor a refusal, as behind a firewall.

package FeatureStream::BlackHole;

use strict;
use warnings;

use FeatureStream::Process qw(free_port);
use IO::Socket::INET;
use Socket;

sub new
{
	my ($class) = @_;
	my $self = bless { port => free_port(), fillers => [] }, $class;

	$self->{listener} = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $self->{port},
		Listen    => 1,
		Proto     => 'tcp') or die "cannot listen: $!";
	$self->_fill;
	return $self;
}

sub port { return $_[0]{port}; }

# Connects without ever being accepted until connecting hangs.
sub _fill
{
	my ($self) = @_;

	for (1 .. 100)
	{
		my $socket = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0) or die "socket: $!";
		connect($socket, pack_sockaddr_in($self->{port}, inet_aton('127.0.0.1')));
		push @{ $self->{fillers} }, $socket;

		my $ready = '';
		vec($ready, fileno($socket), 1) = 1;
		return if select(undef, $ready, undef, 0.3) == 0;
	}
	die "the backlog does not fill";
}

1;
