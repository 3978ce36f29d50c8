#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the status tells every record's outcome where it belongs, and a crash leaves what led to it.

Method: sums of each status while streams run through faults; at rest, against what the applications were told and what
the log holds, read back by kcat. agent_ledger.py [NAME…] runs the cases so named.
"""
import collections
import ctypes
import pathlib
import re
import signal
import subprocess
import sys
import time

from sluice import (SLUICE, Agent, Devbroker, Place, Stream, all_persisted, check, expect, keyed, lines, order_per_key,
                    read_kcat, run, until)

QUICK = {"request.timeout.ms": 1000, "delivery.timeout.ms": 60000, "linger.ms": 2, "batch.size": "4KiB"}
OUTCOMES = ("persisted", "failed", "unknown")
SYS_TGKILL = {"x86_64": 234, "aarch64": 131}


def summed(rows, names=OUTCOMES + ("queued",)):
    return {name: sum(row[name] for row in rows) for name in names}


def sums_hold(status):
    """The equations that agent/ledger.h promises of each status."""
    ledger, rest = status["ledger"], status["ledger_rest"]
    check("all workers answered", ledger["exact"])
    total = summed([ledger])
    for row in [ledger, *status["topics"], *status["partitions"], *status["applications"],
                *status["cluster"]["brokers"], *(rest[name] for name in rest if name != "unknown_acks_none")]:
        expect(f"the law in {row}", row["in"], sum(row[name] for name in OUTCOMES + ("dropped", "queued")))
    expect("topics", total, summed([*status["topics"], rest["no_topic"]]))
    for topic in status["topics"]:
        rows = summed([row for row in status["partitions"] if row["topic"] == topic["name"]])
        rows["failed"] += topic["rejected"]
        expect(f"partitions of {topic['name']}", summed([topic]), rows)
    expect("brokers", total, summed([*status["cluster"]["brokers"], rest["no_broker"]]))
    told = summed([*status["applications"], rest["applications_gone"]])
    expect("applications", (ledger["in"], ledger["dropped"]),
           tuple(sum(row[name] for row in [*status["applications"], rest["applications_gone"]])
                 for name in ("in", "dropped")))
    for name in OUTCOMES:
        expect(f"applications, {name}", total[name], told[name] + rest["not_told"][name])
    check("nothing is negative", all(value >= 0 for row in status["applications"] + [rest["applications_gone"]]
                                     for value in summed([row]).values()))


def sums(place):
    """Each status adds up while streams run through faults; at the end each row is what the log and the senders say."""
    broker = Devbroker(place, "-n", "3", "-t", "left:6", "-t", "right:3", "--seed", "5", "--fault", "leader-move:150",
                       "--fault", "error:7:0.1", "--fault", "close-after-append:0.02")
    agent = Agent(place, broker.bootstrap, {**QUICK, "workers": [{"core": "any"}] * 2}).start()
    streams = [Stream(agent, "left", rate=8000), Stream(agent, "right", rate=4000)]
    gone = keyed(2000, 50, "gone-")
    agent.produce_all("left", gone)
    refused = agent.produce("right", b"one\ntwo\n", "-p", "77")
    expect("there is no such partition", (0, 2, 0), refused[1:4])
    looks = 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        sums_hold(agent.status())
        looks += 1
    for stream in streams:
        stream.over.set()
        stream.thread.join()
    until("all is settled", lambda: agent.ledger()["queued"] == 0)
    until("all is told", lambda: agent.status()["ledger_rest"]["not_told"]["in"] == 0)
    status = agent.status()
    sums_hold(status)
    sent = {"left": len(streams[0].sent) + len(gone), "right": len(streams[1].sent)}
    for topic in status["topics"]:
        extra = 2 if topic["name"] == "right" else 0
        expect(f"topic {topic['name']}", (sent[topic["name"]], extra, 0, extra),
               (topic["persisted"], topic["failed"], topic["unknown"], topic["rejected"]))
        stored = collections.Counter(row.partition for row in read_kcat(broker.bootstrap, topic["name"], tries=20))
        expect(f"partitions of {topic['name']}", dict(stored),
               {row["partition"]: row["persisted"] for row in status["partitions"] if row["topic"] == topic["name"]})
    expect("living applications", sorted(len(stream.sent) for stream in streams),
           sorted(row["persisted"] for row in status["applications"]))
    expect("those that are gone", (len(gone), 2),
           (status["ledger_rest"]["applications_gone"]["persisted"], status["ledger_rest"]["applications_gone"]["failed"]))
    events = " ".join(row["event"] for row in status["events"]["list"])
    for name in ("leader_moved", "batch_refused", "partition_trouble", "partition_mended", "broker_disconnected",
                 "broker_connected"):
        check(f"{name} is recorded", name in events)
    times = [row["time_ms"] for row in status["events"]["list"]]
    expect("events in order", sorted(times), times)
    for stream in streams:
        all_persisted(stream.finish(), len(stream.sent))
    agent.stop()
    return f"{looks} looks, {sum(sent.values())} records, {status['events']['count']} events"


def unknown_listed(place):
    """Batches that end unknown are listed with numbers that account for each record the application is told of."""
    broker = Devbroker(place, "-t", "doubt:3", "--fault", "error:20:1")
    agent = Agent(place, broker.bootstrap, {**QUICK, "delivery.timeout.ms": 2000}).start()
    done = agent.produce("doubt", lines(keyed(3000, 40)), "-K", "\\t", "--timeout", "60s")
    check("some are unknown", done.unknown > 0 and done.persisted == 0, str(done))
    status = agent.status()
    sums_hold(status)
    batches = status["unknown_batches"]
    expect("the ledger says what the application was told", (done.failed, done.unknown),
           (status["ledger"]["failed"], status["ledger"]["unknown"]))
    expect("none is pushed out", (len(batches["list"]), 0), (batches["count"], batches["pushed_out"]))
    expect("records of the list", done.unknown, sum(row["records"] for row in batches["list"]))
    producer = status["workers"][0]["producer_id"]
    for row in batches["list"]:
        expect(f"{row}", ("doubt", producer, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", row["records"]),
               (row["topic"], row["producer_id"], row["cause"], row["last_sequence"] - row["base_sequence"] + 1))
    text = subprocess.run([SLUICE, "status", "-s", agent.socket], capture_output=True, text=True, check=True).stdout
    check("people see them", "unknown_batches" in text and f"producer_id={producer}" in text, text[-1500:])
    text = subprocess.run([SLUICE, "status", "--events", "-s", agent.socket], capture_output=True, text=True,
                          check=True).stdout
    check("and what happened", re.search(r" worker-0 batch_unknown topic=doubt partition=\d code=20 ", text), text[-1500:])
    agent.stop()
    return f"{len(batches['list'])} batches, {done.unknown} records"


def worker_thread(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("worker-"):
            return int(task.name)
    return pid


def tgkill(pid, thread, number):
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    ctypes.CDLL(None).syscall(SYS_TGKILL[machine], pid, thread, number)


def crash_leaves_events(place):
    """A worker's SIGSEGV and the control thread's SIGABRT under load: the dump tells, and the next agent loses nothing."""
    broker = Devbroker(place, "-t", "crash:4", "--fault", "error:7:0.05")
    agent = Agent(place, broker.bootstrap, QUICK).start()
    stream = Stream(agent, "crash", rate=5000)
    private = agent.folder / "run/private"
    told = []
    for number, thread_of in ((signal.SIGSEGV, worker_thread), (signal.SIGABRT, lambda pid: pid)):
        stream.pause_until_more(3000)
        pid = agent.child.pid
        tgkill(pid, thread_of(pid), number)
        expect("how it ended", -number, agent.wait())
        check("the log names the dump", f"error crashed signal={int(number)} " in agent.said(), agent.said()[-500:])
        dump = (private / "crash.txt").read_text()
        expect("mode of the dump", 0o600, (private / "crash.txt").stat().st_mode & 0o777)
        check("its head", dump.startswith(f"error crashed signal={int(number)} "), dump[:200])
        check("the ledger", re.search(r"^ledger worker=0 in=[1-9]\d* persisted=[1-9]", dump, re.M), dump[:500])
        stamp = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
        for words in ("control info application_opened ", "worker-0 batch_refused topic=crash partition=",
                      "control warning partition_trouble topic=crash"):
            # An application that comes back is not opened again in each life.
            if "opened" in words and told:
                continue
            check(f"{words}", re.search(stamp + words, dump, re.M), dump[-1500:])
        year = time.gmtime().tm_year
        check("times are of now", f"\n{year}-" in dump)
        told.append(len(dump.splitlines()))
        agent.start()
    check("the one before is kept", (private / "crash.1.txt").read_text().startswith("error crashed signal=11 "))
    done = stream.finish()
    all_persisted(done, len(stream.sent))
    sums_hold(agent.status())
    agent.stop()
    order_per_key(read_kcat(broker.bootstrap, "crash"), stream.sent)
    return f"{told} lines"


def main():
    with Place() as place:
        return run([sums, unknown_listed, crash_leaves_events], place)


if __name__ == "__main__":
    sys.exit(main())
