#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: neither a lying, old or absent broker nor the agent's own end harms a record or brings the agent down.

Method: devbroker injects what a real broker does not do at will; the log it keeps is read back by kcat.
agent_faults.py [NAME…] runs the cases so named.
"""
import re
import signal
import subprocess
import sys
import time

from sluice import (SECONDS, SLUICED, Agent, Devbroker, Failed, Place, Stream, all_persisted, check, expect, keyed, lines,
                    order_per_key, read_kcat, run, until)

QUICK = {"request.timeout.ms": 1000, "delivery.timeout.ms": 60000, "linger.ms": 2, "batch.size": "4KiB"}


FAULTS = ("garbage:0.02", "close:0.03", "close-after-append:0.03", "stall:700:1500", "error:7:0.1", "error:6:0.1",
          "error:20:0.1", "error:3:0.1", "error:56:0.1", "delay:50:0.2", "throttle:20", "leader-move:50")
COUNTERS = ("bad_frames", "disconnects", "batches_sent", "batches_resent")


def through_fault(place, fault):
    """A stream of many small batches through one fault: each record once, in order. Returns the agent's counters."""
    broker = Devbroker(place, "-n", "2", "-t", "t:6", "--seed", "7", "--fault", fault)
    agent = Agent(place, broker.bootstrap, QUICK).start()
    stream = Stream(agent, "t", rate=10000)
    stream.pause_until_more(10000 * max(1, SECONDS // 10))
    done = stream.finish()
    all_persisted(done, len(stream.sent))
    counters = {name: agent.counter(name) for name in COUNTERS}
    agent.alive()
    agent.stop()
    order_per_key(read_kcat(broker.bootstrap, "t", tries=20), stream.sent)
    broker.kill()
    return counters


def lying_broker(place):
    """A broker that answers rubbish, hangs up, hangs up after it has stored, stands still, refuses at random."""
    said = []
    for fault in FAULTS:
        try:
            counters = through_fault(place, fault)
            check("bad frames are counted", counters["bad_frames"] > 0 or "garbage" not in fault, str(counters))
            check("lost connections are counted", counters["disconnects"] > 0 or "close" not in fault, str(counters))
            check("batches are resent", counters["batches_resent"] > 0 or "error" not in fault, str(counters))
        except Failed as failure:
            raise Failed(f"{fault}: {failure}") from failure
        said.append(f"{fault} resent {counters['batches_resent']} of {counters['batches_sent']}")
    return ", ".join(said)


def old_brokers(place):
    """The API versions of releases from 2.1 on."""
    for release in ("2.1", "2.4", "2.8", "3.7", "4.0"):
        broker = Devbroker(place, "-t", "t:6", "--fault", f"versions:{release}")
        for codec in ("none", "zstd"):
            try:
                agent = Agent(place, broker.bootstrap, {"compression.type": codec}).start()
                agent.produce_all("t", keyed(10000, 100, f"{codec}-"))
                agent.stop()
            except Failed as failure:
                raise Failed(f"release {release}, {codec}: {failure}") from failure
        rows = read_kcat(broker.bootstrap, "t")
        order_per_key(rows, keyed(10000, 100, "none-") + keyed(10000, 100, "zstd-"))
        broker.kill()


FEATURES = ("single_issuer", "defer_taskrun", "coop_taskrun", "submit_all", "buffer_ring", "recv_multishot", "ring_fd",
            "send_zc")


def kernel_features(place):
    """Without each feature of io_uring, and without all of them, records go through and status tells."""
    broker = Devbroker(place, "-t", "t:6")
    expected, missing = [], []
    for number, off in enumerate([[name] for name in FEATURES] + [list(FEATURES)]):
        agent = Agent(place, broker.bootstrap, {"io_uring.disable": off}).start()
        records = keyed(20000, 100, f"{number}-")
        agent.produce_all("t", records)
        expected += records
        shown = agent.status()["workers"][0]["transport_features"]
        missing += [name for name in off if shown.get(name) is not False]
        agent.stop()
    expect("features that are shown in use although off", [], missing)
    order_per_key(read_kcat(broker.bootstrap, "t"), expected)


def no_broker(place):
    """Applications come before the broker; it leaves, and comes back, and they need not know."""
    broker = Devbroker(place, "-t", "t:6")
    broker.kill()
    agent = Agent(place, broker.address, {"delivery.timeout.ms": 60000}).start()
    records = keyed(50000, 100)
    child = agent.feed("t", "-K", "\\t")
    child.stdin.write(lines(records))
    child.stdin.close()
    time.sleep(1)
    check("waits for a broker", child.poll() is None)
    expect("nothing is settled", (0, 0, 0), tuple(agent.ledger()[name] for name in ("persisted", "failed", "unknown")))
    broker.start()
    all_persisted(agent.outcome(child, 20), len(records))
    order_per_key(read_kcat(broker.bootstrap, "t"), records)
    broker.child.send_signal(signal.SIGSTOP)
    agent.feed("t", "-K", "\\t")
    broker.kill()
    time.sleep(0.5)
    broker.start()  # with nothing in its logs, as a broker on a new disk
    again = keyed(5000, 100, "again-")
    agent.produce_all("t", again, seconds=20)
    agent.stop()
    order_per_key(read_kcat(broker.bootstrap, "t"), again)


# ---- the end of the agent ----

def drains(place):
    """TERM sends what was committed, linger or not, and ends with 0."""
    broker = Devbroker(place, "-t", "t:6")
    agent = Agent(place, broker.bootstrap, {"linger.ms": 20000, "batch.size": "1MiB"}).start()
    child = agent.feed("t", "-K", "\\t")
    records = keyed(50000, 100)
    child.stdin.write(lines(records))
    child.stdin.flush()
    until("everything is taken", lambda: agent.ledger()["in"] == len(records))
    begin = time.monotonic()
    agent.stop()
    check("the end was quick", time.monotonic() - begin < 5, f"{time.monotonic() - begin:.1f} s")
    check("the ledger is closed", re.search(r"ledger in=50000 persisted=50000 failed=0 unknown=0 dropped=0 queued=0",
                                            agent.said()), agent.said()[-300:])
    order_per_key(read_kcat(broker.bootstrap, "t"), records)


def cannot_drain(place):
    """Without a broker the end comes after shutdown.timeout.ms, or at a second TERM, with 75 and the ledger."""
    for timeout, second in ((700, False), (60000, True)):
        broker = Devbroker(place, "-t", "t:6")
        agent = Agent(place, broker.bootstrap, {"shutdown.timeout.ms": timeout}).start()
        agent.produce_all("t", keyed(100, 10))
        broker.kill()
        child = agent.feed("t", "-K", "\\t")
        child.stdin.write(lines(keyed(1000, 10)))
        child.stdin.flush()
        until("records are queued", lambda: agent.ledger()["queued"] == 1000)
        begin = time.monotonic()
        agent.signal(signal.SIGTERM)
        if second:
            time.sleep(0.5)
            check("it still drains", agent.child.poll() is None)
            agent.signal(signal.SIGTERM)
        expect("exit code", 75, agent.wait(10))
        seconds = time.monotonic() - begin
        check("the time of the end", 0.4 < seconds < 4, f"{seconds:.1f} s")
        check("the ledger line", re.search(r"ledger in=1100 persisted=100 failed=0 unknown=0 dropped=0 queued=1000",
                                           agent.said()), agent.said()[-300:])
        place.end_all()


def second_agent(place):
    """A runtime folder has one agent; the second leaves the first alone."""
    broker = Devbroker(place, "-t", "t:6")
    agent = Agent(place, broker.bootstrap).start()
    other = Agent(place, broker.bootstrap, {"runtime.dir": agent.settings["runtime.dir"]})
    other.launch()
    expect("exit code of the second", 1, other.wait(10))
    check("its reason", "start_failed" in other.said().splitlines()[-1], other.said())
    agent.produce_all("t", keyed(1000, 10))
    agent.stop()


def agent_returns(place):
    """The agent dies under a living application: what was reported stays, the rest is unknown, what comes later goes."""
    broker = Devbroker(place, "-t", "t:6")
    agent = Agent(place, broker.bootstrap).start()
    stream = Stream(agent, "t", rate=2000)
    until("the first outcomes", lambda: agent.ledger()["persisted"] > 1000)
    agent.signal(signal.SIGKILL)
    agent.wait()
    time.sleep(0.5)
    agent.start()
    until("the application is back", lambda: agent.ledger()["persisted"] > 1000)
    done = stream.finish()
    check(f"outcomes: {done.said}", done.failed == 0 and done.code in (0, 2))
    expect("each record has an outcome", len(stream.sent), done.persisted + done.unknown)
    agent.stop()
    stored = [row.value for row in read_kcat(broker.bootstrap, "t")]
    expect("records stored twice", len(stored), len(set(stored)))
    lost = [value for _, value in stream.sent if value not in set(stored)]
    check("no more are lost than are unknown", len(lost) <= done.unknown, f"{len(lost)} of {done.unknown}: {lost[:3]}")
    return f"{done.persisted} persisted, {done.unknown} unknown, {len(lost)} not stored"


# ---- configuration ----

def sluiced(*words, **more):
    return subprocess.run([SLUICED, *map(str, words)], capture_output=True, text=True, check=False, timeout=20, **more)


def configuration(place):
    """Wrong settings are all told, with their place and a hint, and nothing starts; a dump loads again."""
    folder = place.new("config")
    wrong = folder / "wrong.yaml"
    wrong.write_text(f"bootstrap.servers: localhost:1\nruntime.dir: {folder}/run\nlinger.mss: 5\nbatch.size: soon\n"
                     "security.protocol: SSL\nacks: 1\nenable.idempotence: true\n")
    for option in ((), ("--check-config",)):
        done = sluiced("-c", wrong, *option)
        expect("exit code", 78, done.returncode)
        for words in ((f"{wrong}:3", "linger.mss", "linger.ms"), (f"{wrong}:4", "batch.size"),
                      (f"{wrong}:5", "security.protocol"), ("enable.idempotence", "acks")):
            check("a line names all of " + ", ".join(words),
                  any(all(word in line for word in words) for line in done.stderr.splitlines()), done.stderr)
    check("nothing was started", not (folder / "run").exists())
    good = folder / "good.yaml"
    good.write_text(f"bootstrap.servers: [localhost:1]\nruntime.dir: {folder}/run\nqueue.buffering.max.ms: 7\n"
                    "topics:\n  \"a*\": {acks: 1, compression.type: zstd}\nallow:\n  \"*\": [\"public.*\"]\n")
    expect("--check-config of a good file", 0, sluiced("-c", good, "--check-config").returncode)
    dump = sluiced("-c", good, "--dump-config")
    expect("--dump-config", 0, dump.returncode)
    check("the canonical name", re.search(r"^linger\.ms: 7", dump.stdout, re.M), dump.stdout[:500])
    again = folder / "again.yaml"
    again.write_text(dump.stdout)
    once_more = sluiced("-c", again, "--dump-config")
    expect("the dump loads: " + once_more.stderr, 0, once_more.returncode)
    expect("the dump of the dump", dump.stdout, once_more.stdout)
    check("nothing was started", not (folder / "run").exists())


CASES = [configuration, second_agent, drains, cannot_drain, no_broker, agent_returns, old_brokers, kernel_features,
         lying_broker]


def main():
    with Place() as place:
        return run(CASES, place)


if __name__ == "__main__":
    sys.exit(main())
