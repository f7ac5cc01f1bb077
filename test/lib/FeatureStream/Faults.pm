
# Servers that die when a test wants them to, and how they are asked meanwhile.

package FeatureStream::Faults;

use strict;
use warnings;

use Exporter 'import';
use FeatureStream::Process qw(wait_until);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  try_psql answer_of crash_count make_checkpoint crash_at_point fail_at_point psql_before_crash
  kill_backend_process wait_for_server hold_clock set_and_reload set_fault end_crashes
);

# What psql says: its status, output and errors.  Where the server is down it may end before it is fed.
sub try_psql
{
	my ($node, $statements, $database) = @_;
	my @said = eval { $node->psql($database // 'postgres', $statements) };

	return @said if !$@;
	die $@ if $@ !~ /Broken pipe/;
	return (2, '', $@);
}

# One answer of a server that may be down: undef then.
sub answer_of
{
	my ($node, $query) = @_;
	my ($rc, $out) = try_psql($node, $query);

	return $rc == 0 && $out ne '' ? $out : undef;
}

# How often a process was killed, by the server's log.
sub crash_count
{
	my ($node) = @_;
	my @found = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /terminated by signal 9/g;

	return scalar @found;
}

# Asks the worker of stream "clicks" for a checkpoint, as an idle stream has none; false when there was none in some seconds.
sub make_checkpoint
{
	my ($node, $seconds) = @_;

	return defined answer_of($node, "SET statement_timeout = '${seconds}s'; SELECT true FROM feature_stream.checkpoint_stream('clicks')");
}

# The server dies when a checkpoint comes to a point for the nth time, perhaps over and over, until it is told not
# to.  What is done $meanwhile is done once it is bound to die.
sub crash_at_point
{
	my ($node, $point, $nth, $meanwhile) = @_;
	my $before = crash_count($node);

	set_fault($node, "$point:crash:$nth");
	$meanwhile->() if $meanwhile;
	wait_until("a crash at $point", sub { make_checkpoint($node, 10); return crash_count($node) > $before });
	set_fault($node, '');
	# A worker that has not heard of it yet may die once more, but none that comes to an end of a checkpoint.
	wait_until('a checkpoint', sub { make_checkpoint($node, 10) });
	return;
}

# Checkpoints end with an error at a point, until one did; what is done $meanwhile is done once they are bound to.
sub fail_at_point
{
	my ($node, $point, $meanwhile) = @_;

	set_fault($node, "$point:error:1");
	$meanwhile->() if $meanwhile;
	wait_until("an error at $point", sub {
		make_checkpoint($node, 1);
		return (answer_of($node, 'SELECT last_error FROM feature_stream.stat_stream') // '') =~ /$point/;
	});
	set_fault($node, '');
	return;
}

# Kills a process of a server, and waits until the server has restarted all of them.
sub kill_backend_process
{
	my ($node, $pid) = @_;

	kill('KILL', $pid) or return 0;
	wait_until("process $pid to be gone", sub { !kill(0, $pid) });
	wait_for_server($node);
	return 1;
}

sub wait_for_server
{
	my ($node) = @_;

	wait_until('the server to come back', sub { answer_of($node, 'SELECT true') });
	return;
}

# Does what brings the server down a moment later, perhaps before its session hears that it is done.
sub psql_before_crash
{
	my ($node, $statement) = @_;
	my ($rc, undef, $err) = try_psql($node, $statement);

	die $err if $rc != 0 && $err !~ /server closed the connection|terminating connection|could not receive data/;
	return;
}

# Sets a parameter of a server, which may be dying over and over.  Whatever starts from here on has it, and all
# others were told.
sub set_and_reload
{
	my ($node, $name, $value) = @_;

	$node->append_conf('postgresql.conf', "$name = '$value'");
	$node->reload;
	wait_until("$name to be set", sub { (answer_of($node, "SELECT 'is ' || current_setting('$name')") // '') eq "is $value" });
	return;
}

# Sets the fault that processes meet; '' for none.
sub set_fault
{
	my ($node, $fault) = @_;

	set_and_reload($node, 'feature_stream.fault', $fault);
	return;
}

# Sets the test clock, of this server and of one that starts again after a crash.
sub hold_clock
{
	my ($node, $time) = @_;

	my $seconds = $node->safe_psql('postgres', "SELECT extract(epoch FROM $time) FROM feature_stream.set_test_clock($time)");
	$node->append_conf('postgresql.conf', "feature_stream.first_clock = $seconds");
	$node->reload;
	return;
}

# Ends a fault that kills: a process that has not heard of it yet would bring the server down once more, so none is left.
sub end_crashes
{
	my ($node) = @_;

	set_fault($node, '');
	$node->stop('immediate');
	$node->start;
	return;
}

1;
