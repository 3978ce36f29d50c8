#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what the agent takes of the machine stays within what it says: CPU while nothing is sent, and
memory for each record that waits.

Method: one sluiced and one devbroker for each case; CPU and memory as the kernel counts them, never as the agent does.
limits.py [NAME…] runs the cases so named.
"""
import os
import pathlib
import subprocess
import sys
import time

from sluice import SECONDS, SLUICE, SLUICED, Agent, Devbroker, Place, check, expect, run, until

IDLE_APPLICATIONS = 100
IDLE_CPU_SHARE_MAX = 0.001  # a clock tick is 10 ms: of 10 s, one tick may be counted, and one more is its neighbour's
CHUNK_BYTES = 16 << 10
VALUE_BYTES = 100
KEY_BYTES = 16
# Of a record's own encoding: length 2, attributes 1, timestamp and offset deltas 1 or 2 each, lengths of key and value
# 1 and 2, header count 1. The least of it is taken off, so that what is left is no smaller than it is.
ENCODING_BYTES = 9
OVERHEAD_BYTES_MAX = 16  # of the arena, beyond the encoded record; keyed records need 8 for their origin


def cpu_ticks(pid):
    """utime + stime of all threads; the name before them may hold anything but a ')' that is not its last."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def idle(place):
    """A hundred applications that are connected and send nothing."""
    seconds = SECONDS or 10
    broker = Devbroker(place, "-t", "idle:4")
    agent = Agent(place, broker.bootstrap, {"quota.uid.bytes": "2GiB", "rings.bytes.total": "2GiB"}).start()
    for _ in range(IDLE_APPLICATIONS):
        agent.feed("idle")
    until("all are connected", lambda: sum(
        one["state"] == "live" for one in agent.status()["applications"]) == IDLE_APPLICATIONS, step=0.2)
    time.sleep(1)  # what connecting costs is not the question
    begin, ticks = time.monotonic(), cpu_ticks(agent.child.pid)
    time.sleep(seconds)
    ticks = cpu_ticks(agent.child.pid) - ticks
    share = ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)
    expect("applications that stayed", IDLE_APPLICATIONS, agent.status()["budgets"]["clients"] - 1)
    check("CPU of an idle agent", ticks <= 2 or share <= IDLE_CPU_SHARE_MAX, f"is {share:.4%} of a core, {ticks} ticks")
    return f"{share:.4%} of a core ({ticks} ticks in {seconds} s)"


def queued_bytes(place, key_bytes):
    """Bytes of the arena for each queued record, beyond those of the record as Kafka has it."""
    broker = Devbroker(place, "-t", "overhead:4")
    agent = Agent(place, broker.bootstrap, {"arena.bytes": "64MiB", "arena.chunk.bytes": CHUNK_BYTES,
                                            "linger.ms": 1000, "delivery.timeout.ms": 600000}).start()
    agent.produce("overhead", b"once\n")
    broker.kill()
    count = 300_000
    place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", "overhead", "-n", count, "-b", VALUE_BYTES, "--no-stamp", "--key-bytes",
                 key_bytes], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("all records wait", lambda: agent.ledger()["queued"] == count, step=0.2)
    queued, used = 0, 0
    for worker in agent.status()["workers"]:
        queued += worker["queued"]
        used += (worker["arena"]["chunks"] - worker["arena"]["chunks_free"]) * CHUNK_BYTES
    expect("queued at the worker", count, queued)
    return used / queued - key_bytes - VALUE_BYTES - ENCODING_BYTES


def overhead(place):
    """Memory for each record of 100 bytes that waits for a broker that is gone."""
    plain = queued_bytes(place, 0)
    place.end_all()
    keyed = queued_bytes(place, KEY_BYTES)
    check("bytes beside an unkeyed record", -1 < plain <= OVERHEAD_BYTES_MAX, f"are {plain:.1f}")
    check("bytes beside a keyed record", 0 < keyed <= OVERHEAD_BYTES_MAX, f"are {keyed:.1f}")
    return (f"{plain:.1f} bytes beside an unkeyed record, {keyed:.1f} beside a keyed one"
            f" ({plain + ENCODING_BYTES:.1f} and {keyed + ENCODING_BYTES:.1f} beside key and value)")


def resident_peak(pid):
    """Bytes that were resident at most, memory shared with applications included."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) << 10


def promised(agent):
    """The last line of --dump-config."""
    text = subprocess.run([SLUICED, "-c", agent.file, "--dump-config"], capture_output=True, text=True, check=True).stdout
    words = text.splitlines()[-1].split()
    expect("the sum's line", ["#", "in", "all", "bytes"], words[:3] + words[4:])
    return int(words[3])


def filled(place, workers, **settings):
    """Everything full at once: arenas, the rings of eight applications and their reports, while no broker is there."""
    applications, count = 8, 400_000
    broker = Devbroker(place, "-t", "full:12")
    agent = Agent(place, broker.bootstrap, {
        "workers": workers, "arena.bytes": "32MiB", "rings.bytes.total": "24MiB", "quota.uid.bytes": "24MiB",
        "linger.ms": 1, "delivery.timeout.ms": 600000, **settings}).start()
    agent.produce("full", b"once\n")
    broker.stop()
    senders = [place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", "full", "-n", count, "--key-bytes", 16,
                           "--no-stamp"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for _ in range(applications)]
    until("the arenas are full", lambda: all(one["arena_full"] > 0 for one in agent.status()["workers"]),
          step=0.2)
    time.sleep(1)  # the rings fill behind them
    broker.start()
    expect("senders that ended well", [0] * applications, [sender.wait(60) for sender in senders])
    peak, total = resident_peak(agent.child.pid), promised(agent)
    agent.stop()
    check(f"resident with {len(workers)} workers", peak <= total, f"{peak >> 20} MiB, {total >> 20} MiB were promised")
    return f"{peak / 2**20:.0f} of {total / 2**20:.0f} MiB with {len(workers)} worker(s)"


def memory(place):
    """The kernel's count of the agent's memory stays within what --dump-config adds up."""
    told = [filled(place, [{"core": "any"}], **{"compression.type": "lz4"})]
    place.end_all()
    told.append(filled(place, [{"core": "any"}] * 2))
    return ", ".join(told)


def main():
    with Place() as place:
        return run([idle, overhead, memory], place)


if __name__ == "__main__":
    sys.exit(main())
