
# A process that a test starts beside PostgreSQL: Redis, a broker.
#
# Every process is killed when the test ends, also when it dies, and by the
# kernel when the test itself is killed.

package FeatureStream::Process;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Time::HiRes ();

our @EXPORT_OK = qw(free_port wait_until);

my %running;
my %taken;

# A signal ends the test like an error, so that everything is cleaned up.
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { die "ended by a signal\n" };

# A port of 127.0.0.1 that nobody listens on, below those that the kernel gives
# to clients: it is still free when a killed server is started again.
sub free_port
{
	for (1 .. 1000)
	{
		my $port = 10000 + int(rand(22000));
		next if $taken{$port};
		my $socket = IO::Socket::INET->new(
			LocalAddr => '127.0.0.1',
			LocalPort => $port,
			Listen    => 1,
			Proto     => 'tcp') or next;
		close($socket);
		$taken{$port} = 1;
		return $port;
	}
	die "no free port";
}

# Calls the condition until it is true; dies when it never is.  FS_PATIENCE says how
# many times slower than usual everything may be.
sub wait_until
{
	my ($what, $condition, $seconds) = @_;
	my $end = Time::HiRes::time() + ($seconds // 180) * ($ENV{FS_PATIENCE} || 1);

	until ($condition->())
	{
		die "timed out waiting for $what" if Time::HiRes::time() > $end;
		Time::HiRes::sleep(0.02);
	}
	return 1;
}

# new(name =>, log => file, command => [...], ready => sub): starts it and waits until it is ready.
sub new
{
	my ($class, %args) = @_;
	my $self = bless {%args}, $class;

	$self->start;
	return $self;
}

sub pid { return $_[0]{pid}; }

sub start
{
	my ($self) = @_;
	die "$self->{name} runs already" if $self->{pid};

	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>>', $self->{log}) or POSIX::_exit(126);
		open(STDERR, '>&', \*STDOUT);
		setpgrp(0, 0);
		exec('setpriv', '--pdeathsig', 'KILL', @{ $self->{command} }) or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	$running{$pid} = $self;
	return if !$self->{ready};
	eval {
		wait_until(
			"$self->{name} to be ready",
			sub {
				die "$self->{name} ended while starting" if !$self->is_alive;
				$self->{ready}->();
			});
		1;
	} or die $@ . $self->log_tail;
	return;
}

sub is_alive
{
	my ($self) = @_;

	return 0 if !$self->{pid};
	return 1 if waitpid($self->{pid}, POSIX::WNOHANG()) == 0;
	$self->_forget;
	return 0;
}

sub _forget
{
	my ($self) = @_;

	delete $running{ $self->{pid} };
	$self->{pid} = undef;
	return;
}

# Kills it as a power cut would.
sub kill9
{
	my ($self) = @_;

	return if !$self->is_alive;
	kill 'KILL', $self->{pid};
	waitpid($self->{pid}, 0);
	$self->_forget;
	return;
}

# Asks it to end; kills it when it does not.
sub stop
{
	my ($self) = @_;

	return if !$self->is_alive;
	kill 'TERM', $self->{pid};
	eval { wait_until("$self->{name} to stop", sub { !$self->is_alive }); 1 } or $self->kill9;
	return;
}

# Stops it in its tracks: connections stay, nothing is answered.
sub freeze { kill 'STOP', $_[0]{pid}; return; }
sub thaw { kill 'CONT', $_[0]{pid}; return; }

sub restart
{
	my ($self) = @_;

	$self->stop;
	$self->start;
	return;
}

sub log_tail
{
	my ($self) = @_;

	open(my $fh, '<', $self->{log}) or return '';
	my @lines = <$fh>;
	splice(@lines, 0, @lines - 30) if @lines > 30;
	return join('', "--- $self->{log}\n", @lines);
}

END
{
	my $status = $?;

	for my $process (values %running)
	{
		kill 'CONT', $process->{pid};
		$process->kill9;
	}
	$? = $status;
}

1;
