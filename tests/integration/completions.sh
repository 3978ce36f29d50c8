#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what the completion offers is what the programs take, no more and no less.
# Usage: completions.sh SLUICE SLUICED DEVBROKER
set -euo pipefail

sluice="$1" sluiced="$2" devbroker="$3"
# shellcheck source=tools/completions/sluice
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/completions/sluice"

fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

# offered FUNCTION WORD...: what is offered for the last word, sorted.
offered() {
	local complete="$1"
	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	"$complete"
	printf '%s\n' "${COMPREPLY[@]}" | sort
}

# The long options at the beginning of lines of a --help.
documented() {
	"$@" --help | sed -nE 's/^ +(-[A-Za-z], )?(--[a-z-]+).*/\2/p' | sort -u
}

# compare WHAT OFFERED DOCUMENTED: --help itself need not be documented.
compare() {
	diff <(grep -vx -e --help <<<"$2") <(grep -vx -e --help <<<"$3") >&2 || fail "$1: offered and documented differ"
}

commands="$("$sluice" --help | sed -nE 's/^  ([a-z]+) .*/\1/p' | sort)"
compare commands "$(offered _sluice sluice '' | grep -v '^--')" "$commands"
for command in $commands; do
	compare "$command" "$(offered _sluice sluice "$command" --)" "$(documented "$sluice" "$command")"
done
compare sluiced "$(offered _sluiced sluiced --)" "$(documented "$sluiced")"
compare devbroker "$(offered _devbroker devbroker --)" "$(documented "$devbroker")"

# Each program and command shows examples of itself.
for command in $commands; do
	"$sluice" "$command" --help | grep -q "^  .*sluice $command" || fail "sluice $command --help has no example"
done
"$sluiced" --help | grep -q '^  sluiced -c' || fail "sluiced --help has no example"
"$devbroker" --help | grep -q '^  devbroker -t' || fail "devbroker --help has no example"
