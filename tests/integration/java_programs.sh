#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the Java programs, which judge other tests, are right themselves.
# Method: the partitioner against murmur2 values published in Kafka's own unit test; the reader against what kcat wrote.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
kafka_needed

# murmur2("21") is -973932308, of "foobar" -790332482, of "a-little-bit-long-string" -985981536; the sign bit is dropped.
hex_of() {
	printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}
partitions="$(for key in 21 foobar a-little-bit-long-string; do hex_of "$key"; echo; done |
	java_program Partition 1000003 | tr '\n' ' ')"
expect "partitions" "$((1173551340 % 1000003)) $((1357151166 % 1000003)) $((1161502112 % 1000003)) " "$partitions"

bootstrap="$(kafka start --port "$(free_port)")"
kafka topic create read 2
printf 'k:v\n' | kcat -P -b "$bootstrap" -t read -p 0 -K : -H h=x -H e=
printf 'null:\n' | kcat -P -b "$bootstrap" -t read -p 0 -K : -Z
printf 'v2\n' | kcat -P -b "$bootstrap" -t read -p 1
expected="read 0 0 T 6b 76 68=78,65=-
read 0 1 T 6e756c6c null -
read 1 0 T null 7632 -"
lines="$(java_program Reader "$bootstrap" read)"
expect "records" "$expected" "$(sed -E 's/^([^ ]+ [0-9]+ [0-9]+) [0-9]{13} /\1 T /' <<<"$lines")"

digest="$(java_program Reader --digest "$bootstrap" read | sed -n 2p)"
sum="$(sed -n 3p <<<"$lines" | sha256sum | cut -d' ' -f1)"
expect "digest" "read 1 1 0 0 $sum" "$digest"
if java_program Reader "$bootstrap" absent >/dev/null 2>&1; then
	fail "the reader read a topic that does not exist"
fi
say "partitioner and reader agree with what is known"
