# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of every build in turn and adds up what Meson's logs say."""
import argparse
import fnmatch
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUDGET_S = 720
OUTPUT_LINES_MAX = 60
APART = {"chaos", "fuzz", "integration"}
GOOD, SKIPPED = {"OK", "EXPECTEDFAIL"}, {"SKIP"}

DESCRIPTION = "Sets Sluice up, builds it and runs its tests, first the quick ones."
EPILOG = """\
what runs, in this order:
  release   every test of the release build but the three last, the lint among them
  asan      suite 'unit' with address and undefined-behaviour sanitizers
  tsan      suite 'tsan' with the thread sanitizer
  fuzz      suite 'fuzz', built by clang with sanitizers, for a few seconds each
  system    suite 'integration' of the release build, one at a time: real agents, real Kafka
  chaos     suite 'chaos' of the release build, one at a time: brokers, agents and applications fall, by seed

A PATTERN selects tests by name, as a shell pattern or as a part of the name; suites are selected as suite:NAME.
A test that cannot run here is skipped, with its reason. The last line is `N passed, N failed[, N skipped]`;
the exit status is 0 only when at least one test ran and none failed. Logs: BUILD/meson-logs/testlog-*.txt.

examples:
  tools/test
  tools/test --quick                 the release build only, without fuzz and integration
  tools/test 'kafka_*' suite:lint
  tools/test --seconds 60 suite:fuzz"""


class Phase:
    """One build and the suite of it that is run; without a suite, all but those that run apart."""

    def __init__(self, name, variant, suite, serial=False, environment=None, wrapper=None):
        self.name, self.variant, self.suite, self.serial = name, variant, suite, serial
        self.environment, self.wrapper = environment or {}, wrapper or []

    def wants(self, suites):
        return self.suite in suites if self.suite else not suites & APART

    def suite_options(self):
        if self.suite:
            return ["--suite", self.suite]
        return [word for suite in sorted(APART) for word in ("--no-suite", suite)]

    @property
    def folder(self):
        return TOP / (f"build-{self.variant}" if self.variant else "build")


def phases(quick):
    rows = [Phase("release", "", None)]
    if quick:
        return rows
    # The thread sanitizer of this age cannot place its shadow when the kernel randomises mappings over 28 bits.
    unrandomised = ["setarch", platform.machine(), "-R"] if shutil.which("setarch") else []
    return rows + [
        Phase("asan", "asan", "unit", environment={
            "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}),
        Phase("tsan", "tsan", "tsan", wrapper=unrandomised,
              environment={"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}),
        Phase("fuzz", "fuzz", "fuzz",
              environment={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}),
        Phase("system", "", "integration", serial=True),
        Phase("chaos", "", "chaos", serial=True),
    ]


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def fail(self, what, detail):
        self.failed += 1
        self.notes.append(f"FAILED   {what}")
        print(f"\n---- {what}\n{detail}\n----", flush=True)

    def skip(self, what, reason):
        self.skipped += 1
        self.notes.append(f"SKIPPED  {what}: {reason}")

    def closing_line(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def selected(test, patterns):
    suites = {suite.split(":")[-1] for suite in test["suite"]}

    def hits(pattern):
        if pattern.startswith("suite:"):
            return pattern[len("suite:"):] in suites
        return pattern in test["name"] or fnmatch.fnmatch(test["name"], pattern)
    return not patterns or any(hits(pattern) for pattern in patterns)


def build(phase, *options):
    variant = [f"--{phase.variant}"] if phase.variant else []
    return subprocess.run([TOP / "tools/build", *variant, *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def phase_tests(phase, patterns):
    """Names of the tests to run, each as Meson wants it on its command line."""
    listing = subprocess.run(["meson", "introspect", "--tests", phase.folder], capture_output=True, check=True)
    return sorted(test["name"] for test in json.loads(listing.stdout)
                  if phase.wants({suite.split(":")[-1] for suite in test["suite"]}) and selected(test, patterns))


def tail(text, lines=OUTPUT_LINES_MAX):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def skip_reason(entry):
    said = (entry.get("stderr", "") + "\n" + entry.get("stdout", "")).strip().splitlines()
    marked = [line for line in said if "SKIP" in line.upper()]
    return (marked or said or ["it gave no reason"])[0].strip()


def count(phase, entries, expected, totals):
    for entry in entries:
        name = f"{phase.name}: {entry['name']}"
        if entry["result"] in GOOD:
            totals.passed += 1
        elif entry["result"] in SKIPPED:
            totals.skip(name, skip_reason(entry))
        else:
            said = tail(entry.get("stdout", "") + "\n" + entry.get("stderr", ""))
            totals.fail(f"{name} ({entry['result'].lower()}, {entry['duration']:.1f} s)",
                        f"{said}\nagain: tools/test {entry['name']}")
    # A test that Meson does not report (it was interrupted, its program is missing) has not passed.
    if len(entries) < expected:
        totals.fail(f"{phase.name}: {expected - len(entries)} tests left no result", "see " + str(phase.folder))


def log_entries(path):
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    entries = [json.loads(line) for line in lines if line.strip()]
    for entry in entries:
        entry["name"] = entry["name"].split(" / ")[-1]
    return entries


def run_tests(phase, names, totals, seconds):
    log_base = f"testlog-{phase.name}"
    log = phase.folder / "meson-logs" / f"{log_base}.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", str(phase.folder), "--no-rebuild", "--logbase", log_base]
    command = phase.wrapper + command + phase.suite_options() + sorted(set(names))
    command += ["--num-processes", "1"] if phase.serial else []
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **phase.environment}
    if seconds is not None:
        environment["SL_TEST_SECONDS"] = str(seconds)
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    entries = log_entries(log)
    count(phase, entries, len(names), totals)
    bad = [entry for entry in entries if entry["result"] not in GOOD | SKIPPED]
    if done.returncode != 0 and not bad and len(entries) >= len(names):
        totals.fail(f"{phase.name}: meson test ended with {done.returncode}", tail(done.stdout))


def run_phase(phase, patterns, totals, seconds):
    begin = time.monotonic()
    done = build(phase, "--configure-only")
    if done.returncode != 0:
        totals.fail(f"{phase.name}: configure", tail(done.stdout))
        return
    names = phase_tests(phase, patterns)
    if not names:
        return
    print(f"{phase.name}: {len(names)} tests ", end="", flush=True)
    done = build(phase)
    if done.returncode != 0:
        totals.fail(f"{phase.name}: build", tail(done.stdout))
        return
    built = time.monotonic()
    run_tests(phase, names, totals, seconds)
    print(f"(built in {built - begin:.0f} s, run in {time.monotonic() - built:.0f} s)", flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="tools/test", description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", "-q", action="store_true", help="the release build only, no fuzz, integration, chaos")
    parser.add_argument("--seconds", "-s", type=int, metavar="N", help="how long each of the long tests lasts")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="only tests whose names match one of these")
    return parser.parse_args()


def main():
    options = parse()
    begin = time.monotonic()
    totals = Totals()
    for phase in phases(options.quick):
        run_phase(phase, options.patterns, totals, options.seconds)
    elapsed = time.monotonic() - begin
    if totals.passed + totals.failed + totals.skipped == 0:
        totals.fail("no test matches", " ".join(options.patterns))
    for note in totals.notes:
        print(note)
    late = f", over the budget of {BUDGET_S} s" if elapsed > BUDGET_S and options.seconds is None else ""
    print(f"{elapsed:.0f} s{late}")
    print(totals.closing_line(), flush=True)
    return 0 if totals.failed == 0 and totals.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
