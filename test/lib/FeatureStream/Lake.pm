
# A lake of feature views, and clients that read it and share no code with us.

package FeatureStream::Lake;

use strict;
use warnings;

use Exporter 'import';
use FeatureStream;
use FeatureStream::Outbox;
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_lake_node create_lake run_python lake_py start_lake_py history_chunk wait_for_export);

# A server whose lakes are below a directory of its own; the server and the directory.
sub new_lake_node
{
	my ($name, %settings) = @_;
	my $lake = PostgreSQL::Test::Utils::tempdir('lake');

	chmod 0755, $lake;
	return (new_node($name, 'feature_stream.lake_directory' => $lake, %settings), $lake);
}

# The server "lake" for a warehouse, with whatever further options, beside an outbox.
sub create_lake
{
	my ($node, $warehouse, %options) = @_;
	my $options = join '', map { ", $_ '$options{$_}'" } sort keys %options;

	create_outbox($node);
	$node->safe_psql('postgres', "CREATE SERVER lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse '$warehouse'$options)");
	return;
}

# What a program of Python's says, which has the clients' libraries.
sub run_python
{
	my (@arguments) = @_;
	my ($out, $err) = ('', '');

	local $ENV{PYTHONPATH} = $ENV{FS_PYTHON_LIBRARY} || '';
	IPC::Run::run([ '/usr/bin/python3', @arguments ], '>', \$out, '2>', \$err) or die "@arguments\n$err";
	return $out;
}

# What lake.py says to a command about a table; at its top are those that there are.
sub lake_py
{
	my ($node, $command, $table, @arguments) = @_;

	return run_python("$FindBin::Bin/../lib/lake.py", $command, $node->connstr('postgres'), 'lake', $table, @arguments);
}

# Starts that beside the test, with places for what it says and for errors; finish() of what is returned waits for it.
sub start_lake_py
{
	my ($node, $out, $err, $command, $table, @arguments) = @_;

	local $ENV{PYTHONPATH} = $ENV{FS_PYTHON_LIBRARY} || '';
	return IPC::Run::start([ '/usr/bin/python3', "$FindBin::Bin/../lib/lake.py", $command, $node->connstr('postgres'), 'lake', $table, @arguments ],
		'>', $out, '2>', $err);
}

# SQL of what the history's writer does for the view "sessions": five rows and their chunk in one transaction, the n-th.
sub history_chunk
{
	my ($n) = @_;

	return qq(BEGIN;
		INSERT INTO sessions_history (user_id, n_10m, window_end, computed_at, available_at, complete, backfilled)
		SELECT 'u$n-' || i, i, '2024-01-30', '2024-01-31'::timestamptz + $n * interval '1 ms', '2024-01-31', true, false
		  FROM generate_series(1, 5) i;
		INSERT INTO feature_stream.lake_chunk (view, computed_at, first_window_end, last_window_end, row_count)
		VALUES ('sessions'::regclass, '2024-01-31'::timestamptz + $n * interval '1 ms', '2024-01-30', '2024-01-30', 5);
		COMMIT);
}

# Waits until all rows are exported that a view has; the server may be dying.
sub wait_for_export
{
	my ($node, $view) = @_;

	wait_until("the export of $view", sub {
		(answer_of($node, "SELECT pending_rows = 0 AND commit_count > 0 AND last_error IS NULL FROM feature_stream.stat_offline
			WHERE view = '$view'::regclass") // '') eq 't' });
	return;
}

1;
