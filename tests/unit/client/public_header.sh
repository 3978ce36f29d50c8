#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goal: sluice.h alone is enough in strict C11 and in C++, and the library exports nothing but its own names.
set -eu
header=$1
library=$2
strict="-pedantic -Wall -Wextra -Wconversion -Werror -fsyntax-only"
program='#include "'$header'"
int main(void) { struct sluice_options o = SLUICE_OPTIONS_INIT; struct sluice_ring_options r = SLUICE_RING_OPTIONS_INIT;
return (int)(o.ring_count + r.report_mode); }'
echo "$program" | ${CC:-cc} -std=c11 $strict -x c -
if command -v g++ >/dev/null; then
	echo "$program" | g++ -std=c++11 $strict -x c++ -
fi
foreign=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -Ev '^(sluice_|SLUICE_)' || true)
if [ -n "$foreign" ]; then
	echo "exported beside sluice_*: $foreign"
	exit 1
fi
test "$(nm -D --defined-only "$library" | grep -c ' T sluice_')" -ge 20
