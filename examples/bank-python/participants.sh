#!/bin/sh
# Starts two banks and a notifier, each with a database and a secret of its own; Ctrl-C ends all three.
set -eu
cd "$(dirname "$0")"
mkdir -p data
umask 077
start() { # name, port, program
    [ -s "data/$1.token" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > "data/$1.token"
    python3 -B "$3" --port "$2" --database "data/$1.db" --credential-file "data/$1.token" &
    running="${running:-} $!"
}
trap 'kill $running' EXIT
trap exit INT TERM
start bank-a 7001 bank.py
start bank-b 7002 bank.py
start notifier 7003 notifier.py
wait
