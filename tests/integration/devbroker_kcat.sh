#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What kcat (librdkafka) produces to devbroker in every codec, with and without idempotence and through faults, it
# must read back: each record once, with its key and header. Exit 77: no kcat here.
set -u
command -v kcat >/dev/null || exit 77
broker=$1
dir=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT

fail() {
	echo "FAIL: $*" >&2
	cat "$dir/log" >&2
	exit 1
}

start() {
	: >"$dir/out"
	"$broker" -l 127.0.0.1:0 "$@" >"$dir/out" 2>"$dir/log" &
	pid=$!
	for _ in $(seq 100); do
		bootstrap=$(sed -n 's/^ready bootstrap=//p' "$dir/out")
		[ -n "$bootstrap" ] && return
		sleep 0.05
	done
	fail "not ready"
}

stop() {
	kill "$pid"
	wait "$pid" || fail "exit status $?"
	pid=
}

# produce TAG COUNT [kcat options]: keyed records with a header.
produce() {
	local tag=$1 count=$2
	shift 2
	seq "$count" | sed "s/.*/key-&:$tag-&/" >"$dir/in"
	timeout 60 kcat -P -b "$bootstrap" -t logs -K: -H source=test "$@" <"$dir/in" 2>"$dir/kcat" ||
		fail "kcat -P $*: $(cat "$dir/kcat")"
	sed 's/:/|/; s/$/|source=test/' "$dir/in" >>"$dir/expected"
}

compare() {
	timeout 60 kcat -C -b "$bootstrap" -t logs -e -q -f '%k|%s|%h\n' 2>"$dir/kcat" | sort >"$dir/got"
	sort "$dir/expected" | cmp - "$dir/got" || fail "$1: read back differs"
	rm -f "$dir/expected"
}

start -n 2 -t logs:3
for codec in none gzip snappy lz4 zstd; do
	for idempotence in false true; do
		produce "$codec-$idempotence" 1000 -z "$codec" -X enable.idempotence=$idempotence
	done
done
compare "plain"
stop
grep -q '^topic name=logs partitions=3 records=10000 .*refused=0$' "$dir/out" || fail "statistics: $(cat "$dir/out")"

for release in 2.1 2.4 2.8 3.7 4.0; do
	start -t logs:3 --fault versions:$release
	produce "release-$release" 500 -X enable.idempotence=true
	compare "release $release"
	stop
done

# Refusals, delays and moving leaders: an idempotent producer still writes each once. Closed connections are not
# for kcat, which gives up when both brokers are away at once.
for fault in error:7:0.3 error:6:0.3 delay:5:0.5 throttle:5 leader-move:20; do
	start -n 2 -t logs:3 --seed 1 --fault $fault
	produce "$fault" 3000 -X enable.idempotence=true -X batch.num.messages=50 -X retry.backoff.ms=10 \
		-X reconnect.backoff.ms=10 -X reconnect.backoff.max.ms=50 -X topic.metadata.refresh.fast.interval.ms=20
	compare "$fault"
	stop
done

# Bytes that are no request end the connection and nothing else.
start -t logs:3
head -c 100000 /dev/urandom | timeout 5 bash -c "cat >/dev/tcp/${bootstrap%:*}/${bootstrap#*:}" 2>/dev/null
produce "after-garbage" 10
compare "after garbage"
stop
