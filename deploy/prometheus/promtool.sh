#!/bin/sh
# Run promtool, the checker of Prometheus: the one of this machine, or the one of Debian's package, which is fetched once and not installed.
#
#   promtool.sh ARGUMENT...           as promtool
#   promtool.sh --resolve             only fetch it
#
# Exits with 69 if there is none and none can be fetched: no promtool, and no apt-get.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
kept=$here/bin/promtool
unavailable=69

fail() {
    echo "promtool.sh: $1" >&2
    exit "${2:-1}"
}

if command -v promtool >/dev/null; then
    promtool=promtool
else
    promtool=$kept
    if [ ! -x "$kept" ]; then
        command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "no promtool found, and no apt-get to fetch it with" $unavailable
        echo "promtool.sh: fetching promtool" >&2
        fresh=$(mktemp -d)
        trap 'rm -rf "$fresh"' EXIT
        chmod 755 "$fresh"
        cd "$fresh"
        apt-get download -qq prometheus >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq prometheus; } >&2 || fail "the package prometheus cannot be fetched"
        dpkg-deb --extract prometheus_*.deb .
        mkdir -p "$here/bin"
        mv usr/bin/promtool "$kept.$$" && mv "$kept.$$" "$kept" # at once and complete, so that two may do it
    fi
fi
[ "${1:-}" = --resolve ] && exit 0
"$promtool" "$@"
