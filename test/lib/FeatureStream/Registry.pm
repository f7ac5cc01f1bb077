
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
use IPC::Run ();
use JSON::PP ();

my $server = Cwd::abs_path(File::Basename::dirname(__FILE__)) . '/registry.py';
my $json = JSON::PP->new->utf8->canonical;

# new(directory, user => 'name:password', tls => 1): with a certificate of its own for "localhost";
# tls => 'authority', host => name: with one that an authority of its own has signed.
sub new
{
	my ($class, $dir, %args) = @_;
	my $port = free_port();

	$dir .= "/registry-$port";
	File::Path::make_path($dir);
	_certify($dir, $args{tls} eq 'authority', $args{host} // 'localhost') if $args{tls};
	my $self = bless {
		name => 'registry',
		port => $port,
		dir => $dir,
		scheme => $args{tls} ? 'https' : 'http',
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
sub url { return "$_[0]{scheme}://localhost:$_[0]{port}"; }

# Runs openssl.
sub _openssl
{
	my $out = '';

	IPC::Run::run([ 'openssl', @_ ], '<', \undef, '>&', \$out) or die "openssl: $out";
	return;
}

# Makes a key and a certificate, that is signed by nobody else or by an authority made for it.
sub _certify
{
	my ($dir, $has_authority, $host) = @_;
	my @new = (qw(-newkey rsa:2048 -nodes));
	my @signed = (qw(-x509 -days 2));

	if ($has_authority)
	{
		_openssl('req', @new, '-x509', '-days', 2, '-subj', '/CN=authority of ' . File::Basename::basename($dir), '-keyout', "$dir/authority.key", '-out', "$dir/authority.pem");
		@signed = ();
	}
	_openssl('req', @new, @signed, '-subj', "/CN=$host", '-addext', "subjectAltName=DNS:$host", '-keyout', "$dir/key.pem", '-out', "$dir/certificate.pem");
	_openssl('x509', '-req', '-in', "$dir/certificate.pem", '-CA', "$dir/authority.pem", '-CAkey', "$dir/authority.key", '-set_serial', 1, '-days', 2,
		'-copy_extensions', 'copy', '-out', "$dir/signed.pem") if $has_authority;
	rename("$dir/signed.pem", "$dir/certificate.pem") or die $! if $has_authority;
	IPC::Run::run([ 'cat', "$dir/key.pem", "$dir/certificate.pem" ], '>', "$dir/tls.pem") or die $!;
	return;
}

sub _slurp
{
	my ($file) = @_;

	open(my $fh, '<', $file) or die $!;
	local $/;
	return <$fh>;
}

# Its certificate, or that of its authority, in PEM.
sub certificate { return _slurp("$_[0]{dir}/certificate.pem"); }
sub authority { return _slurp("$_[0]{dir}/authority.pem"); }

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

	return $self->answer($path, 200, \%content);
}

# answer(path, status, content, n): the same with any status and content, with n bytes in the place of %FILL%; paths as in registry.py.
sub answer
{
	my ($self, $path, $status, $content, $n) = @_;

	$self->{control}{answers}{$path} = [ $status, $json->encode($content), $n // 0 ];
	$self->_tell;
	return;
}

# The requests so far, each [time, path, user, body as JSON].
sub requests
{
	my ($self) = @_;

	open(my $fh, '<', "$self->{dir}/requests") or return;
	return map { chomp; [ split /\t/, $_, -1 ] } <$fh>;
}

1;
