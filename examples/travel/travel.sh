#!/bin/sh
# Starts five services, each with a database of its own, and the gateway; Ctrl-C ends all of it.
set -eu
cd "$(dirname "$0")"
mkdir -p data
umask 077
start() { # name, port, program and its options
    name=$1 port=$2
    shift 2
    [ -s "data/$name.token" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > "data/$name.token"
    python3 -B "$@" --port "$port" --database "data/$name.db" --credential-file "data/$name.token" &
    running="${running:-} $!"
}
trap 'kill $running' EXIT
trap exit INT TERM
start flights 7301 reservations.py --thing seats --offers LX-8 LX-14
start hotels 7302 reservations.py --thing rooms --offers Grand Harbour
start cars 7303 rentals.py
start payments 7304 payments.py
start letters 7305 letters.py
"${UNANIMO:-unanimo}" run gateway.yaml &
running="$running $!"
wait
