#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what the agent takes of the machine stays within what it says: CPU while nothing is sent, and
memory for each record that waits.

Method: one sluiced and one devbroker for each case; CPU and memory as the kernel counts them, never as the agent does.
limits.py [NAME…] runs the cases so named.
"""
import os
import pathlib
import resource
import subprocess
import sys
import time

from sluice import (SECONDS, SLUICE, SLUICED, Agent, Devbroker, Place, all_persisted, check, expect, run,
                    until)

IDLE_APPLICATIONS = 100
IDLE_CPU_SHARE_MAX = 0.001  # a clock tick is 10 ms: of 10 s, one tick may be counted, and one more is its neighbour's
CHUNK_BYTES = 16 << 10
VALUE_BYTES = 100
KEY_BYTES = 16
# Of Kafka's encoding, what is neither key nor value is at least: length 2, attributes 1, timestamp 1, offset 1,
# key's length 1, value's length 2, headers 1.
ENCODING_BYTES_MIN = 9
OVERHEAD_BYTES_MAX = 16  # beside the encoded record
# Beside key and value it is the encoding, at most 11 here; and 8 for the run that each record needs where its key
# changes the partition from record to record.
OVERHEAD_DATA_BYTES_MAX = {0: 11.5, KEY_BYTES: 17.5}


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


def chunks_taken(agent):
    """By the queue, and by nothing: the reserve, which no record may have, counts as taken in both."""
    return sum(worker["arena"]["chunks"] - worker["arena"]["chunks_free"] for worker in agent.status()["workers"])


def queued_bytes(place, key_bytes):
    """Bytes of the arena for each queued record, beyond those of its key and value."""
    broker = Devbroker(place, "-t", "overhead:4")
    agent = Agent(place, broker.bootstrap, {"arena.bytes": "64MiB", "arena.chunk.bytes": CHUNK_BYTES,
                                            "linger.ms": 1000, "delivery.timeout.ms": 600000}).start()
    before = chunks_taken(agent)
    agent.produce("overhead", b"once\n")
    until("the first record is gone", lambda: chunks_taken(agent) == before)
    broker.kill()
    count = 300_000
    place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", "overhead", "-n", count, "-b", VALUE_BYTES, "--no-stamp", "--key-bytes",
                 key_bytes], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("all records wait", lambda: agent.ledger()["queued"] == count, step=0.2)
    expect("queued at the worker", count, agent.counter("queued"))
    used = (chunks_taken(agent) - before) * CHUNK_BYTES
    return used / count - key_bytes - VALUE_BYTES


def overhead(place):
    """Memory for each record of 100 bytes that waits for a broker that is gone."""
    told = []
    for name, key_bytes in (("unkeyed", 0), ("keyed", KEY_BYTES)):
        data = queued_bytes(place, key_bytes)
        encoded = data - ENCODING_BYTES_MIN  # or less, since that is the least it can be
        check(f"bytes beside an encoded record, {name}", 0 < encoded <= OVERHEAD_BYTES_MAX, f"are {encoded:.1f}")
        check(f"bytes beside key and value, {name}", data <= OVERHEAD_DATA_BYTES_MAX[key_bytes], f"are {data:.1f}")
        told.append(f"{name} at most {encoded:.1f} bytes beside the encoded record, {data:.1f} beside key and value")
        place.end_all()
    return "; ".join(told)


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


def out_of_descriptors(place):
    """Applications that wait at the door of an agent without descriptors cost it nothing, and get in later."""
    broker = Devbroker(place, "-t", "door:1")
    agent = Agent(place, broker.bootstrap).start()
    pid = agent.child.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (held, usual[1]))
    waiting = [agent.feed("door") for _ in range(3)]
    until("the agent says so", lambda: "accept_failed" in agent.said())
    ticks = cpu_ticks(pid)
    time.sleep(1)
    ticks = cpu_ticks(pid) - ticks
    check("CPU without descriptors", ticks <= 10, f"is {ticks} ticks in a second")
    expect("lines of the log", 1, agent.said().count("accept_failed"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    for one in waiting:
        one.stdin.write(b"in\n")
        all_persisted(agent.outcome(one), 1)
    return f"{ticks} ticks in a second"


def main():
    with Place() as place:
        return run([idle, overhead, memory, out_of_descriptors], place)


if __name__ == "__main__":
    sys.exit(main())
