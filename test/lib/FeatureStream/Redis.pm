
# A real Redis on a free port, without persistence: killed, it has lost everything.

package FeatureStream::Redis;

use strict;
use warnings;

use parent 'FeatureStream::Process';
use FeatureStream::Process qw(free_port);
use IO::Socket::INET;

# new(directory): starts it.
sub new
{
	my ($class, $dir) = @_;
	my $port = free_port();

	my $self = bless {
		name => 'Redis',
		port => $port,
		log => "$dir/redis.log",
		command => [
			'redis-server', '--port', $port, '--bind', '127.0.0.1', '--save', '',
			'--appendonly', 'no', '--dir', $dir, '--daemonize', 'no' ],
	}, $class;
	$self->{ready} = sub { eval { $self->call('PING') eq 'PONG' } };
	$self->start;
	return $self;
}

sub port { return $_[0]{port}; }

# Sends one command and returns its answer: a string, an array of them, undef for nil.  Dies on an error.
sub call
{
	my ($self, @words) = @_;
	my $socket = IO::Socket::INET->new(
		PeerAddr => '127.0.0.1',
		PeerPort => $self->{port},
		Timeout  => 10) or die "no Redis: $!";

	binmode($socket);
	$socket->print(
		sprintf("*%d\r\n", scalar @words), map { sprintf("\$%d\r\n%s\r\n", length($_), $_) } @words);
	$socket->flush;
	my $answer = _read_answer($socket);
	close($socket);
	return $answer;
}

sub _read_answer
{
	my ($socket) = @_;
	my $line = <$socket> // die "Redis closed the connection";
	$line =~ s/\r\n\z//;
	my ($kind, $rest) = (substr($line, 0, 1), substr($line, 1));

	die "Redis: $rest" if $kind eq '-';
	return $rest if $kind eq '+' || $kind eq ':';
	return undef if $rest < 0;
	return [ map { _read_answer($socket) } 1 .. $rest ] if $kind eq '*';

	my $text = '';
	while (length($text) < $rest + 2)
	{
		read($socket, $text, $rest + 2 - length($text), length($text)) or die "Redis closed the connection";
	}
	return substr($text, 0, $rest);
}

# The fields of a hash: {} when there is none.
sub hash
{
	my ($self, $key) = @_;

	return { @{ $self->call('HGETALL', $key) } };
}

# All keys that match a pattern, sorted.
sub keys
{
	my ($self, $pattern) = @_;

	return sort @{ $self->call('KEYS', $pattern // '*') };
}

1;
