#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: tools/kafka runs a real broker that keeps its records over kill -9, and leaves nothing behind.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
kafka_needed

port="$(free_port)"
bootstrap="$(kafka start --port "$port" --set broker.session.timeout.ms=3000)"
expect "bootstrap list" "127.0.0.1:$((port + 1))" "$bootstrap"
expect "start of a running cluster" "$bootstrap" "$(kafka start)"
kafka topic create smoke 3
expect "partitions" 3 "$(kafka topics | grep -c '^smoke ')"
if kafka topic create smoke 3 2>/dev/null; then
	fail "a topic was created twice"
fi

seq 1 1000 | sed 's/.*/key&:value&/' | kcat -P -b "$bootstrap" -t smoke -K : -X acks=all
read_back() {
	kcat -C -q -e -b "$bootstrap" -t smoke -f '%k:%s\n' | sort
}
expected="$(seq 1 1000 | sed 's/.*/key&:value&/' | sort)"
[[ "$(read_back)" == "$expected" ]] || fail "the records read back differ"

pid="$(kafka status --json | jq '.brokers[0].pid')"
kafka kill 1
if alive "$pid"; then
	fail "broker $pid lives after kill"
fi
if kafka status >/dev/null; then
	fail "status calls a dead cluster running"
fi
kafka restart 1
[[ "$(read_back)" == "$expected" ]] || fail "the records differ after kill -9"

kafka pause 1
expect "paused" paused "$(kafka status --json | jq -r '.brokers[0].state')"
kafka resume 1
expect "resumed" running "$(kafka status --json | jq -r '.brokers[0].state')"

expect "controller" 1 "$(kafka controller)"
expect "leaders moved" 0 "$(kafka elect)"
kafka topic grow smoke 5
expect "partitions" 5 "$(kafka topics | grep -c '^smoke ')"
if kafka topic grow smoke 4 2>/dev/null; then
	fail "a topic lost partitions"
fi
kafka topic delete smoke

pid="$(kafka status --json | jq '.brokers[0].pid')"
kafka destroy
kafka destroy
if alive "$pid" || [[ -e "$SLUICE_KAFKA_DIR" ]]; then
	fail "destroy left something behind"
fi
say "one broker: produced, killed, restarted, read back, destroyed"
