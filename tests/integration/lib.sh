# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the integration tests share. Source it first; it makes $work, which is removed at the end together with
# every cluster that was started through `kafka`.
set -euo pipefail

top="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
work="$(mktemp -d)"
export SLUICE_KAFKA_DIR="$work/kafka"

kafka() {
	"$top/tools/kafka" "$@"
}

say() {
	printf '%s\n' "$*" >&2
}

# A test that cannot run says why, loudly: 77 is Meson's "skipped".
skip() {
	say "SKIPPED: $*"
	exit 77
}

fail() {
	say "FAILED: $*"
	exit 1
}

expect() {
	[[ "$2" == "$3" ]] || fail "$1: expected '$2', got '$3'"
}

# A zombie, which only waits for its parent to look, is not alive.
alive() {
	[[ -e "/proc/$1/stat" ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# A base port with ten free ports behind it, so that tests of two work trees do not meet.
free_port() {
	python3 - <<-'EOF'
	import random, socket
	def free(port):
	    with socket.socket() as probe:
	        try:
	            probe.bind(("127.0.0.1", port))
	        except OSError:
	            return False
	    return True
	print(next(base for base in (random.randrange(15000, 30000, 10) for _ in range(1000))
	           if all(free(base + n) for n in range(1, 11))))
	EOF
}

kafka_needed() {
	"$top/tools/setup" --with kafka || skip "Apache Kafka cannot be installed here"
}

java_program() {
	local program="$1"
	shift
	java -XX:+UseSerialGC -cp "$(kafka class-path)" "$top/tests/integration/java/$program.java" "$@"
}

cleanup() {
	local status=$?
	if ((status != 0 && status != 77)); then
		tail -n 20 "$work"/kafka/broker-*/server.log 2>/dev/null >&2 || true
	fi
	kafka destroy || true
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
