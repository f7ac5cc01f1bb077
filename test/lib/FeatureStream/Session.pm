
# A session that stays open beside the test: one psql, fed statement by statement.

package FeatureStream::Session;

use strict;
use warnings;

use FeatureStream::Process qw(wait_until);
use IPC::Run ();

# new(node, database): connects.
sub new
{
	my ($class, $node, $database) = @_;
	my $self = bless { in => '', out => '', err => '', number => 0 }, $class;

	$self->{psql} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-f', '-', '-d', $node->connstr($database) ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
	$self->{pid} = $self->run('SELECT pg_backend_pid()');
	return $self;
}

# Process id of its backend.
sub pid { return $_[0]{pid}; }

# Errors that were reported so far.
sub errors { return $_[0]{err}; }

# Sends statements and does not wait for what comes of them: finish() does.
sub send
{
	my ($self, $statements) = @_;

	$self->{number}++;
	$self->{in} .= "$statements;\n\\echo end of $self->{number}\n";
	$self->{psql}->pump_nb;
	return;
}

# Waits for what was sent last; returns its output.
sub finish
{
	my ($self) = @_;
	my $end = qr/^end of $self->{number}\n/m;

	wait_until('a session', sub { $self->{psql}->pump_nb; return $self->{out} =~ $end });
	$self->{out} =~ s/\A(.*?)^end of $self->{number}\n//ms;
	my $answer = $1;
	chomp($answer);
	return $answer;
}

# Runs statements to their end; returns their output.
sub run
{
	my ($self, $statements) = @_;

	$self->send($statements);
	return $self->finish;
}

sub close
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	$self->{psql}->finish;
	return;
}

1;
