#!/bin/sh
# Start one Schema Registry (Apicurio) in the foreground, on loopback, without Docker.
#
#   registry.sh [--port 8081] [--management-port 9000] [--data DIR]
#   registry.sh --resolve        only fetch it
#
# The address for clients is http://127.0.0.1:PORT/apis/ccompat/v7. It asks of new schemas that they can read what the old ones wrote (BACKWARD).
# Needs Java 21 or newer, from JAVA_HOME, the path or /usr/lib/jvm, and Maven when it was not fetched yet; exits with 69 if one of them is missing.
# The data folder is kept.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
port=8081
management_port=9000
data=$here/data
only_resolve=
usage=2
unavailable=69
oldest_java=21

fail() {
    echo "registry.sh: $1" >&2
    exit "${2:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
        --resolve) only_resolve=yes && shift && continue ;;
        --port | --management-port | --data) [ $# -ge 2 ] || fail "$1 needs a value" $usage ;;
        *) fail "unknown option $1 (there are --port, --management-port, --data, --resolve)" $usage ;;
    esac
    case $1,$2 in
        --data,) fail "--data needs a folder" $usage ;;
        --data,*) data=$2 ;;
        *, | *,*[!0-9]*) fail "$1 takes a port, not '$2'" $usage ;;
        --port,*) port=$2 ;;
        --management-port,*) management_port=$2 ;;
    esac
    shift 2
done

java=
for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} java /usr/lib/jvm/*/bin/java; do
    command -v "$candidate" >/dev/null || continue
    version=$("$candidate" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    if [ "${version:-0}" -ge $oldest_java ]; then
        java=$candidate
        break
    fi
done
[ -n "$java" ] || fail "no Java of version $oldest_java or newer found" $unavailable

# The folder is named after the pom, so that a changed pom fetches again; it appears at once and complete, so that two may do it.
program=$here/lib/$(cksum <"$here/pom.xml" | cut -d ' ' -f 1)
if [ ! -d "$program" ]; then
    command -v mvn >/dev/null || fail "no Maven found; it is needed once, to fetch the registry" $unavailable
    echo "registry.sh: fetching the registry" >&2
    mkdir -p "$here/lib"
    fresh=$program.$$
    mvn -B -q -f "$here/pom.xml" dependency:unpack-dependencies "-DoutputDirectory=$fresh" >&2 ||
        { rm -rf "$fresh"; fail "Maven could not fetch the registry"; }
    [ -d "$program" ] || mv "$fresh" "$program"
    rm -rf "$fresh" "${program:?}/${fresh##*/}"
fi
[ -z "$only_resolve" ] || exit 0

mkdir -p "$data" || fail "the data folder $data cannot be made"
data=$(cd "$data" && pwd)
if [ "$port" = "$management_port" ]; then fail "--port and --management-port must differ" $usage; fi

# Its own default for compatibility is NONE. Both addresses are said: without, the second is that of every interface.
# exec: a signal to this script's process must reach the registry. It looks for its libraries beside its jar.
set -f # the options of the JVM are words
cd "$program"
exec "$java" ${REGISTRY_JVM_OPTIONS:--Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC} \
    -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$port" \
    -Dquarkus.management.host=127.0.0.1 "-Dquarkus.management.port=$management_port" \
    -Dapicurio.rules.global.compatibility=BACKWARD \
    "-Dapicurio.datasource.url=jdbc:h2:file:$data/registry" \
    -Dapicurio.datasource.jdbc.initial-size=2 -Dapicurio.datasource.jdbc.min-size=2 -Dapicurio.datasource.jdbc.max-size=10 \
    -Dquarkus.log.level=WARN '-Dquarkus.log.category."io.apicurio".level=WARN' -Dquarkus.http.access-log.enabled=false \
    -jar quarkus-run.jar
