#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `sluice verify` calls clean what is clean and finds what was lost, doubled or left undecided, on real streams.

Method: stamped streams through an agent into devbroker, which loses and doubles for real, and into one real Kafka.
"""
import json
import re
import subprocess
import sys
import time

from sluice import SLUICE, Agent, Devbroker, Kafka, Place, all_persisted, check, expect, read_kcat, run, until

VERIFY_S = 60


def verify(agent, journals, topic, *options):
    """Exit status and verdict."""
    done = subprocess.run([SLUICE, "verify", "-s", agent.socket, "-t", topic, "--journal", journals, "--json", *options],
                          capture_output=True, text=True, check=False, timeout=VERIFY_S)
    check(f"verify's words: {done.stderr}", done.stdout.startswith("{"))
    return done.returncode, json.loads(done.stdout)


def bench(place, agent, journals, topic, *options):
    return place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", topic, "--key-bytes", 16, "--keys", 500, "--journal",
                        journals, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def defects(verdict):
    """How often each thing was found that must not be."""
    return {name: one["count"] for name, one in verdict["defects"].items() if one["count"]}


def clean(place):
    """bench with several threads, sense and produce --stamp: all there, once, in order."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "load:6", "-t", "lines:3", "-t", "sensed:3")
    agent = Agent(place, broker.bootstrap).start()
    expect("bench", 0, bench(place, agent, journals, "load", "-n", 300_000, "--threads", 3).wait(60))
    code, verdict = verify(agent, journals, "load")
    expect(f"load: {verdict}", 0, code)
    expect("records by kcat", 300_000, len(read_kcat(broker.bootstrap, "load")))
    all_persisted(agent.produce("lines", b"".join(b"%d\n" % n for n in range(5000)), "--stamp", "--journal", journals), 5000)
    expect("lines", 0, verify(agent, journals, "lines")[0])
    sense = place.spawn([SLUICE, "sense", "-s", agent.socket, "-t", "sensed", "--hz", 50, "-d", "1s", "--journal", journals],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    expect("sense", 0, sense.wait(30))
    expect("sensed", 0, verify(agent, journals, "sensed")[0])
    agent.stop()


def lost(place):
    """A broker that forgot everything: each record that its sender saw persisted is lost."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "gone:2")
    agent = Agent(place, broker.bootstrap).start()
    expect("bench", 0, bench(place, agent, journals, "gone", "-n", 20_000).wait(60))
    broker.stop()
    broker.start()
    until("the broker is back", lambda: agent.status()["cluster"]["state"] == "ready")
    code, verdict = verify(agent, journals, "gone")
    expect(f"gone: {verdict}", (1, {"lost": 20_000}), (code, defects(verdict)))
    agent.stop()


def doubled(place):
    """acks=1 and answers that are lost: what is sent again stands there twice, and is found."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "twice:2", "--fault", "close-after-append:0.2", "--seed", "3")
    agent = Agent(place, broker.bootstrap, {"acks": 1, "batch.size": "2KiB"}).start()
    expect("bench", 0, bench(place, agent, journals, "twice", "-n", 20_000).wait(60))
    rows = read_kcat(broker.bootstrap, "twice")
    code, verdict = verify(agent, journals, "twice")
    check("something is doubled", len(rows) > 20_000)
    expect(f"twice: {verdict}", (1, len(rows) - 20_000), (code, defects(verdict).get("doubled")))
    expect("lost", None, defects(verdict).get("lost"))
    agent.stop()
    return f"{len(rows) - 20_000} of {len(rows)}"


def sender_killed(place):
    """A sender that dies in the middle of a record leaves a journal that is true: all it committed is there."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "tail:4")
    agent = Agent(place, broker.bootstrap).start()
    sender = bench(place, agent, journals, "tail", "-d", "60s", "-r", 100_000)
    until("the stream runs", lambda: agent.ledger()["persisted"] > 50_000)
    sender.kill()
    sender.wait()
    until("what it left is delivered", lambda: agent.ledger()["queued"] == 0)
    time.sleep(0.3)
    code, verdict = verify(agent, journals, "tail")
    expect(f"tail: {verdict}", 0, code)
    code, verdict = verify(agent, place.new("empty"), "tail")
    expect(f"without its journal: {verdict}", 2, code)
    agent.stop()


def real_kafka(place):
    """The same on real Kafka: codecs, many fetches, a topic that holds other records too."""
    kafka = Kafka(place, brokers=1, settings=["auto.create.topics.enable=false"])
    told = []
    for codec in ("none", "zstd", "lz4", "snappy", "gzip"):
        topic, journals = kafka.topic(f"real-{codec}", 4, replication=1), place.new("journals")
        agent = Agent(place, kafka.bootstrap, {"compression.type": codec}).start()
        expect("bench", 0, bench(place, agent, journals, topic, "-n", 100_000).wait(60))
        all_persisted(agent.produce(topic, b"no stamp\n"), 1)
        code, verdict = verify(agent, journals, topic)
        expect(f"{codec}: {verdict}", 0, code)
        text = subprocess.run([SLUICE, "verify", "-s", agent.socket, "-t", topic, "--journal", journals],
                              capture_output=True, text=True, check=False, timeout=VERIFY_S)
        told.append(f"{codec} {re.search(r'([0-9]+) a second', text.stdout + text.stderr).group(1)}/s")
        agent.stop()
    return ", ".join(told)


def main():
    with Place() as place:
        return run([clean, lost, doubled, sender_killed, real_kafka], place)


if __name__ == "__main__":
    sys.exit(main())
