#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: an agent whose arena is full of batches that were never sent is ready again at once, and sends at once.

Method: no broker is there, and applications write until the arena is full. The agent is killed with -9 and started
again several times; READY=1 tells when it serves. Then the broker comes back: how long after a connection is made do the
first batches arrive, and does all of it arrive?

  resume_full.py [--mib N] [--starts N]   (1024 with SL_TEST_FULL, else 256)
"""
import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

from sluice import SLUICE, Agent, Devbroker, Place, check, expect, say, until

TOPIC, PARTITIONS, RECORD_BYTES = "full", 12, 1000
READY_MS_MAX, FIRST_BYTES_MS_MAX = 100, 50
READY_BY_S = 20


def cpu_ns(pid):
    """Of all threads so far."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


class TimedAgent(Agent):
    """Told of READY=1 by a socket, as systemd is."""

    def start_timed(self):
        """Milliseconds from the start of the process to READY=1: of the clock, and of the processor."""
        path = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(path)
            told.settimeout(READY_BY_S)
            self.configure()
            with open(self.log, "ab") as log:
                self.log_begin = log.tell()
                begin = time.monotonic()
                self.child = self.place.spawn([self.program, "-c", self.file], stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=log, env={**os.environ, "NOTIFY_SOCKET": path})
                while b"READY=1" not in told.recv(4096):
                    pass
                ready_ms, cpu_ms = (time.monotonic() - begin) * 1000, cpu_ns(self.child.pid) / 1e6
        os.unlink(path)
        return ready_ms, cpu_ms


def fill(agent, mib):
    """Writes until nothing is taken any more. Returns the application, which waits for room."""
    child = agent.place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", TOPIC, "-b", str(RECORD_BYTES), "-n",
                               str(mib * 1100), "--key-bytes", "8"], stdout=subprocess.DEVNULL)
    until("the arena is full", lambda: agent.counter("arena_full") > 0, seconds=60)
    return child


def first_batch_ms(agent):
    """From the connection to the first answer of a Produce request, by the worker's counters."""
    begin = None
    for _ in range(20000):
        worker = agent.status()["workers"][0]
        if begin is None and worker["connects"] > 1:
            begin = time.monotonic()
        if worker["persisted"] > 0:
            return (time.monotonic() - (begin or time.monotonic())) * 1000
        time.sleep(0.0005)
    return float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024 if os.environ.get("SL_TEST_FULL") else 256)
    parser.add_argument("--starts", type=int, default=7)
    options = parser.parse_args()
    with Place() as place:
        broker = Devbroker(place, "-t", f"{TOPIC}:{PARTITIONS}", "--discard")
        agent = TimedAgent(place, broker.bootstrap, {"arena.bytes": options.mib << 20, "delivery.timeout.ms": 600000})
        agent.start()
        expect("the first record", 1, agent.produce(TOPIC, b"first\n").persisted)  # metadata is needed once
        broker.kill()
        child = fill(agent, options.mib)
        clock, cpu = [], []
        for _ in range(options.starts):
            time.sleep(0.5)
            agent.child.kill()
            agent.child.wait()
            ready_ms, cpu_ms = agent.start_timed()
            clock.append(ready_ms)
            cpu.append(cpu_ms)
        say(f"ready after {statistics.median(clock):.0f} ms ({min(clock):.0f} to {max(clock):.0f}), "
            f"{statistics.median(cpu):.0f} of the processor ({min(cpu):.0f} to {max(cpu):.0f})")
        queued = agent.ledger()["queued"]
        broker.start()
        first = first_batch_ms(agent)
        expect("exit code of the application", 0, child.wait(120))
        say(f"{options.mib} MiB, {queued} records queued; first batch answered {first:.0f} ms after its connection")
        agent.stop()
        # The processor's time: what else the machine does meanwhile is not ours.
        check(f"ready within {READY_MS_MAX} ms", statistics.median(cpu) <= READY_MS_MAX, f"{cpu}")
        check(f"first answer within {FIRST_BYTES_MS_MAX} ms", first <= FIRST_BYTES_MS_MAX, f"{first:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
