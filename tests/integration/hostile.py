#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile applications beside an honest one, on one agent.

Goal: whatever they do, the honest one loses nothing, is never poisoned and does not wait; the agent holds afterwards
what it held before, and says why it refused what it refused.
Method: an honest `sluice bench` at a steady rate; beside it, again and again in shuffled order, every scenario of
hostile/, each of which checks the agent's answer itself.
"""
import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

from processes import Rig, fail, until

RATE = 5000
LATENCY_P99_MS_MAX = 250
RSS_GROWTH_BYTES_MAX = 4 << 20
REFUSALS = {"malformed message", "not allowed", "over a limit", "unfit segment", "unknown segment",
            "no version in common"}
POISONINGS = {"position", "type", "length", "sequence", "topic", "tail", "pad", "partition", "reports"}
LOG_EVENTS = ["client_refused", "client_timed_out", "ring_poisoned", "not_attached_again", "topic_not_bound"]
SETS = ["handshake.timeout.ms=500", "segments.max=64", "segment.rings.max=32", "rings.max=512", "linger.ms=5",
        "quota.uid.bytes=256MiB", "rings.bytes.total=256MiB", "report.slots.max=65536", "arena.bytes=32MiB"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("sluiced", "sluice", "devbroker", "hostile"):
        parser.add_argument(name)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SL_TEST_SECONDS") or 20))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one scenario")
    return parser.parse_args()


class Play:
    """Runs scenarios two at a time, and remembers how often each was run."""

    def __init__(self, rig, program, names, seed):
        self.rig, self.program, self.names = rig, program, names
        self.random = random.Random(seed)
        self.queue, self.running, self.counts = [], {}, collections.Counter()

    def next(self):
        if not self.queue:
            self.queue = list(self.names)
            self.random.shuffle(self.queue)
        return self.queue.pop()

    def reap(self):
        for name, process in list(self.running.items()):
            if process.alive():
                continue
            del self.running[name]
            self.rig.processes.remove(process)
            self.counts[name] += 1
            if process.child.returncode != 0:
                fail(f"scenario {name}: exit {process.child.returncode}: {process.text().strip()}")

    def turn(self, width):
        self.reap()
        while len(self.running) < width:
            name = self.next()
            if name in self.running:
                break
            # These take all that the agent gives, so that another scenario would rightly be refused.
            alone = {"segment_too_many", "connections_held"}
            if self.running and (name in alone or alone & set(self.running)):
                self.queue.append(name)
                break
            self.running[name] = self.rig.start(f"hostile-{name}", self.program, self.rig.socket, name)

    def drain(self):
        while self.running:
            self.reap()
            time.sleep(0.02)


def quiet(rig):
    """Waits until only the honest application is attached; then what the agent holds."""
    def alone():
        status = rig.status()
        return len(status["applications"]) <= 1 and status["budgets"]["clients"] <= 2
    until("the hostile applications are gone", 20, alone)
    return rig.descriptors(), rig.rss_beside_arena_bytes()


def check_reasons(rig, counts):
    status = rig.status()
    refusals = {row["code"]: row for row in status["refusals"]}
    log = rig.agent_process.err.read_text()
    missing = (REFUSALS - set(refusals)) if os.geteuid() == 0 else REFUSALS - set(refusals) - {"not allowed"}
    if missing:
        fail(f"status knows no refusal of: {sorted(missing)}")
    empty = [code for code, row in refusals.items() if not row["last_reason"]]
    if empty:
        fail(f"refused without a reason: {empty}")
    if POISONINGS - set(status["poisonings"]):
        fail(f"status knows no poisoning by: {sorted(POISONINGS - set(status['poisonings']))}")
    if not status["budgets"]["clients_timed_out"]:
        fail("status knows of no client that timed out")
    for event in LOG_EVENTS:
        lines = [line for line in log.splitlines() if f" {event} " in line]
        if not lines:
            fail(f"the log has no {event}")
        if event != "client_timed_out" and not all("reason=" in line for line in lines):
            fail(f"the log has {event} without a reason")
    print("refusals: " + ", ".join(f"{code} {row['count']}" for code, row in sorted(refusals.items())))
    print("poisonings: " + ", ".join(f"{name} {count}" for name, count in sorted(status["poisonings"].items())))
    print(f"scenarios: {sum(counts.values())} runs of {len(counts)}")


def check_honest(rig, bench, path):
    code = until("the honest one ends", 60, lambda: not bench.alive() and [bench.child.returncode])[0]
    if code != 0:
        fail(f"the honest application ended with {code}: {bench.text()}")
    result = json.loads(path.read_text())
    if result["persisted"] != result["records"] or result["failed"] or result["unknown"]:
        fail(f"the honest application lost something: {result}")
    latency = result["latency_us"]
    print(f"honest: {result['records']} records, latency ms " +
          ", ".join(f"{name} {value / 1000:.1f}" for name, value in latency.items()))
    if latency["p99"] > LATENCY_P99_MS_MAX * 1000:
        fail(f"the honest application waited: p99 {latency['p99'] / 1000:.0f} ms")
    if result["records"] < RATE * result["seconds"] * 0.9:
        fail(f"the honest application got slower: {result['records'] / result['seconds']:.0f} a second")
    return result["records"]


def check_broker(rig, records):
    rig.broker_process.stop()
    lines = [line for line in rig.broker_process.out.read_text().splitlines() if line.startswith("topic name=")]
    fields = {row["name"]: row for row in (dict(word.split("=") for word in line.split()[1:]) for line in lines)}
    if int(fields["honest"]["records"]) != records:
        fail(f"the broker has {fields['honest']['records']} honest records of {records}")
    for name, row in fields.items():
        if int(row["refused"]):
            fail(f"the broker refused batches of {name}: {row}")
    print(f"broker: {fields['hostile']['records']} records of topic hostile, none refused")


def main():
    options = parse()
    names = subprocess.run([options.hostile, "--list"], capture_output=True, text=True, check=True).stdout.split()
    if options.only:
        names = [options.only]
    with Rig(options.sluiced, options.sluice, options.devbroker) as rig:
        bootstrap = rig.broker("-t", "honest:4", "-t", "hostile:4")
        rig.agent(f"bootstrap.servers={bootstrap}", *SETS)
        path = rig.folder / "honest.json"
        os.environ["SLUICE_JOURNALS"] = str(rig.folder / "journals")  # of the honest sender
        bench = rig.sluice("honest", "bench", "-t", "honest", "-d", f"{int(options.seconds) + 3600}s", "-r", str(RATE),
                           "-b", "100", "--key-bytes", "16", "--json", str(path))
        until("the honest one is attached", 10, lambda: rig.status()["applications"])
        play = Play(rig, options.hostile, names, options.seed)
        begin = time.monotonic()
        before = None
        while time.monotonic() - begin < options.seconds or not before:
            play.turn(2)
            if not before and len(play.counts) == len(names):
                # Each has run once: what memory the agent touches once and keeps, it has touched.
                play.drain()
                before = quiet(rig)
            if not rig.agent_process.alive() or not bench.alive():
                fail("the agent or the honest application has ended")
            time.sleep(0.02)
        play.drain()
        after = quiet(rig)
        print(f"agent: descriptors {before[0]} -> {after[0]}, RSS beside the arena {before[1] >> 10} -> {after[1] >> 10} KiB, "
              f"in all {rig.rss_bytes() >> 10} KiB")
        if after[0] > before[0]:
            fail("the agent holds more descriptors than before")
        if after[1] > before[1] + RSS_GROWTH_BYTES_MAX:
            fail("the agent's memory has grown")
        if rig.status()["applications"][0]["rings"][0]["state"] != "open":
            fail("the honest application's ring was poisoned")
        bench.child.send_signal(signal.SIGINT)
        records = check_honest(rig, bench, path)
        if not options.only:
            check_reasons(rig, play.counts)
        code = rig.agent_process.stop()
        if code != 0:
            fail(f"the agent ended with {code}")
        check_broker(rig, records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
