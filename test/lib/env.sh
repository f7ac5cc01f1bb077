# env.sh: what the test and demo scripts share.  Sourced by bash, never run.
#
# Sets: top (the source tree), jars (directory of the broker's jars),
# pg_bin, pg_pgxs_perl.  Nothing here starts or installs anything.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LC_ALL=C.UTF-8 LANG=C.UTF-8
export PATH=$PATH:/usr/sbin:/sbin

# Says something in one line, or why it ends.
say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The servers run as the account postgres, so the jars lie where it can read them.
cache_directory() {
    if [ -n "${FEATURE_STREAM_CACHE:-}" ]; then
        printf '%s\n' "$FEATURE_STREAM_CACHE"
    elif [ "$(id -u)" = 0 ]; then
        printf '/var/cache/feature_stream\n'
    else
        printf '%s/feature_stream\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
    fi
}
jars=$(cache_directory)/jars-$(sha256sum "$top/pom.xml" | cut -c 1-12)
export FEATURE_STREAM_JARS=$jars

# Where PostgreSQL 15 is; empty before it is installed.
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PG_CONFIG
if [ -x "$PG_CONFIG" ]; then
    pg_bin=$("$PG_CONFIG" --bindir)
    pg_pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")
    pg_test_perl=$(cd "$pg_pgxs/../.." && pwd)/src/test/perl
fi

# Runs a command as the account that servers run as.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

# Makes a scratch directory that this account and postgres may use; prints its path.
make_scratch() {
    local scratch
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/feature_stream.XXXXXX")
    chmod 755 "$scratch"
    printf '%s\n' "$scratch"
}

# Copies the source tree, so that no build output lands in it.
copy_tree() {
    mkdir -p "$1"
    tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$1" -xf -
}
