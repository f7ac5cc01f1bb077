
# A schema registry that does as the test tells it; see registry.py.

package FeatureStream::Registry;

use strict;
use warnings;

use parent 'FeatureStream::Process';
use Cwd ();
use FeatureStream::Process qw(free_port);
use File::Basename ();
use File::Path ();
use IO::Socket::INET;
use JSON::PP ();

my $server = Cwd::abs_path(File::Basename::dirname(__FILE__)) . '/registry.py';
my $json = JSON::PP->new->utf8->canonical;

# new(directory, user => 'name:password')
sub new
{
	my ($class, $dir, %args) = @_;
	my $port = free_port();

	$dir .= '/registry';
	File::Path::make_path($dir);
	my $self = bless {
		name => 'registry',
		port => $port,
		dir => $dir,
		log => "$dir/server.log",
		control => { mode => 'ok', user => $args{user}, answers => {} },
		command => [ '/usr/bin/python3', $server, $port, $dir ],
		ready => sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp') },
	}, $class;
	$self->_tell;
	$self->start;
	return $self;
}

# By name, so that names are resolved.
sub url { return "http://localhost:$_[0]{port}"; }

sub _tell
{
	my ($self) = @_;
	my $file = "$self->{dir}/control.json";

	open(my $fh, '>', "$file.new") or die $!;
	print $fh $json->encode($self->{control});
	close($fh) or die $!;
	rename("$file.new", $file) or die $!;
	return;
}

# How it answers from now on.
sub set_mode
{
	my ($self, $mode) = @_;

	$self->{control}{mode} = $mode;
	$self->_tell;
	return;
}

# add(path, content ...): what it answers with.
sub add
{
	my ($self, $path, %content) = @_;

	$self->{control}{answers}{$path} = [ 200, $json->encode(\%content) ];
	$self->_tell;
	return;
}

# The requests so far, each [time, path, user].
sub requests
{
	my ($self) = @_;

	open(my $fh, '<', "$self->{dir}/requests") or return;
	return map { chomp; [ split /\t/, $_, -1 ] } <$fh>;
}

1;
