#!/bin/sh
# Start one Apache Kafka broker in the foreground, on loopback, without Docker.
#
#   kafka.sh [--port 9092] [--controller-port 9093] [--data DIR] [--set KEY=VALUE]...
#   kafka.sh --resolve        only fetch the jars
#
# Needs Java 17 or newer, and Maven when the jars are not there yet; exits with 69 if one of them is missing.
# KAFKA_JVM_OPTIONS replaces the options of the JVM. The data folder is formatted when it is new, and kept.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
port=9092
controller_port=9093
data=$here/data
overrides=
only_resolve=
usage=2
unavailable=69

fail() {
    echo "kafka.sh: $1" >&2
    exit "${2:-1}"
}

port_of() {
    case $2 in
        '' | *[!0-9]*) fail "$1 takes a port, not '$2'" $usage ;;
    esac
    echo "$2"
}

while [ $# -gt 0 ]; do
    case $1 in
        --resolve) only_resolve=yes && shift && continue ;;
        --port | --controller-port | --data | --set) [ $# -ge 2 ] || fail "$1 needs a value" $usage ;;
        *) fail "unknown option $1 (there are --port, --controller-port, --data, --set, --resolve)" $usage ;;
    esac
    case $1,$2 in
        --port,*) port=$(port_of "$1" "$2") ;;
        --controller-port,*) controller_port=$(port_of "$1" "$2") ;;
        --data,) fail "--data needs a folder" $usage ;;
        --data,*) data=$2 ;;
        --set,?*=*) overrides="$overrides$2
" ;;
        *) fail "--set takes KEY=VALUE, not '$2'" $usage ;;
    esac
    shift 2
done

command -v java >/dev/null || fail "no Java found; version 17 or newer is needed" $unavailable
java_version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
[ "${java_version:-0}" -ge 17 ] || fail "Java ${java_version:-of an unknown version} found; version 17 or newer is needed" $unavailable

# The folder is named after the pom, so that a changed pom fetches again; it appears at once and complete, so that two may do it.
jars=$here/lib/$(cksum <"$here/pom.xml" | cut -d ' ' -f 1)
if [ ! -d "$jars" ]; then
    command -v mvn >/dev/null || fail "no Maven found; it is needed once, to fetch the jars of Kafka" $unavailable
    echo "kafka.sh: fetching the jars of Kafka" >&2
    mkdir -p "$here/lib"
    fresh=$jars.$$
    mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$fresh" -DincludeScope=runtime >&2 ||
        { rm -rf "$fresh"; fail "Maven could not fetch the jars of Kafka"; }
    [ -d "$jars" ] || mv "$fresh" "$jars"
    rm -rf "$fresh" "${jars:?}/${fresh##*/}"
fi
[ -z "$only_resolve" ] || exit 0

mkdir -p "$data" || fail "the data folder $data cannot be made"
data=$(cd "$data" && pwd)
case $data in
    *[,\\]*) fail "the data folder $data has a comma or a backslash in its name, which Kafka takes for something else" $usage ;;
esac
if [ "$port" = "$controller_port" ]; then fail "--port and --controller-port must differ" $usage; fi

# Kafka notices that two brokers share a folder only after both have written to it; then the first one neither works nor ends.
if [ -f "$data/pid" ] && ps -ww -o args= -p "$(cat "$data/pid")" 2>/dev/null | grep -qF "kafka.Kafka $data/"; then
    fail "process $(cat "$data/pid") runs a broker on the data folder $data"
fi
echo $$ >"$data/pid"

write_settings() { # LOG-FOLDER
    sed -e "s/@PORT@/$port/g" -e "s/@CONTROLLER_PORT@/$controller_port/g" "$here/server.properties"
    printf '\n# From the command line.\nlog.dirs=%s\n%s' "$1" "$overrides"
}

set -f # the options of the JVM are words, and lib/* is for Java to expand
set -- ${KAFKA_JVM_OPTIONS:--Xms256m -Xmx1g} -cp "$jars/*" "-Dlog4j2.configurationFile=$here/log4j2.properties"

# Formatted under another name, so that what was interrupted is not taken for a broker's data.
if [ ! -d "$data/log" ]; then
    rm -rf "$data/unformatted"
    write_settings "$data/unformatted" >"$data/server.properties"
    cluster_id=$(dd if=/dev/urandom bs=16 count=1 2>/dev/null | base64 | tr '+/' 'ab' | tr -d '=')
    said=$(java "$@" kafka.tools.StorageTool format --standalone --cluster-id "$cluster_id" --config "$data/server.properties" 2>&1) ||
        fail "the data folder $data could not be formatted: $said"
    mv "$data/unformatted" "$data/log"
fi
write_settings "$data/log" >"$data/server.properties"

# exec: a signal to this script's process must reach the broker, which ends cleanly on TERM and INT.
exec java "$@" kafka.Kafka "$data/server.properties"
