#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: `sluice verify` calls clean what is clean and finds what was lost, doubled or left undecided, on real streams.

Method: stamped streams through an agent into devbroker, which loses and doubles for real, and into one real Kafka;
and topics made anew from their own records with one of them changed.
"""
import json
import re
import subprocess
import sys
import time

from sluice import SLUICE, Agent, Devbroker, Kafka, Place, all_persisted, check, expect, read_kcat, run, until

VERIFY_S = 60
LIED = 5000


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


def lie(place, kind):
    """One batch of many, acknowledged, and not treated as was said."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "lied:1", "--fault", f"lie:{kind}:0.2:1", "--seed", 5)
    agent = Agent(place, broker.bootstrap, {"batch.size": 4096}).start()
    expect("bench", 0, bench(place, agent, journals, "lied", "-n", LIED, "--keys", 4).wait(60))
    code, verdict = verify(agent, journals, "lied")
    agent.stop()
    expect(f"after {kind}: {verdict}", (1, 0), (code, sum(verdict["undecided"].values())))
    return verdict


def lying_broker(place):
    """A broker that acknowledges a batch and loses, doubles or swaps it."""
    verdict = lie(place, "lose")
    expect("of a lost batch", {"lost": LIED - verdict["records"]}, defects(verdict))
    place_of = verdict["defects"]["lost"]
    check("the loss has a place", place_of["count"] > 0 and place_of["topic"] == "lied" and place_of["offset"] >= 0)
    verdict = lie(place, "double")
    expect("of a doubled batch", {"doubled": verdict["records"] - LIED}, defects(verdict))
    verdict = lie(place, "swap")
    expect("of a swapped batch", ({"reordered", "reordered_in_key"}, LIED), (set(defects(verdict)), verdict["records"]))


def envelope(record):
    """kcat's JSON of it; strings are bytes as they are."""
    def text(data):
        return "".join(f"\\u{c:04x}" if c < 32 or c in (34, 92) else chr(c) for c in data).encode("latin-1")
    headers = b",".join(b'"%s","%s"' % (text(name), text(value)) for name, value in record["headers"])
    return b'{"headers":[%s],"key":"%s","payload":"%s"}\n' % (headers, text(record["key"]), text(record["value"]))


def whole_topic(bootstrap, topic):
    """Everything by kcat, headers too, as bytes; lengths come first."""
    done = subprocess.run(["kcat", "-C", "-q", "-e", "-J", "-b", bootstrap, "-t", topic], capture_output=True, check=True,
                          timeout=60)
    rows = []
    for line in done.stdout.split(b"\n"):
        if not line:
            continue
        row = json.loads(line.decode("latin-1"), strict=False)
        names, values = row["headers"][::2], row["headers"][1::2]
        rows.append({"partition": row["partition"], "key": row["key"].encode("latin-1"),
                     "value": row["payload"].encode("latin-1"),
                     "headers": [(name.encode("latin-1"), value.encode("latin-1"))
                                 for name, value in zip(names, values, strict=True)]})
    return rows


def again(place, journals, rows):
    """The topic of that name in a new cluster, with these records: what verify says of it with the old journal."""
    broker = Devbroker(place, "-t", "copied:2")
    agent = Agent(place, broker.bootstrap).start()
    for partition in (0, 1):
        data = b"".join(envelope(row) for row in rows if row["partition"] == partition)
        expect("outcome of the copy", 0, agent.produce("copied", data, "-J", "-p", partition).code)
    code, verdict = verify(agent, journals, "copied")
    agent.stop()
    broker.stop()
    return code, defects(verdict), verdict


def rewritten(place):
    """The topic made anew from its own records: one missing, twice, damaged, or in another's place."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "copied:2")
    agent = Agent(place, broker.bootstrap).start()
    all_persisted(agent.produce("copied", b"".join(b"k%d:value %d\n" % (n % 5, n) for n in range(1000)), "-K", ":",
                                "--stamp", "--journal", journals), 1000)
    rows = whole_topic(broker.bootstrap, "copied")
    agent.stop()
    broker.stop()
    at, row = 400, rows[400]
    others = sum(one["partition"] != row["partition"] for one in rows[:at])
    expect("a true copy", (0, {}), again(place, journals, rows)[:2])
    expect("one missing", (1, {"lost": 1}), again(place, journals, rows[:at] + rows[at + 1:])[:2])
    expect("one twice", (1, {"doubled": 1}), again(place, journals, rows[:at] + [row] + rows[at:])[:2])
    bad = {**row, "value": b"V" + row["value"][1:]}
    code, found, verdict = again(place, journals, rows[:at] + [bad] + rows[at + 1:])
    expect("one value damaged", (1, {"corrupted": 1}), (code, found))
    expect("its place", at - others, verdict["defects"]["corrupted"]["offset"])
    bad = {**row, "key": row["key"] + row["value"][:1], "value": row["value"][1:]}
    expect("a byte moved from value to key", (1, {"corrupted": 1}),
           again(place, journals, rows[:at] + [bad] + rows[at + 1:])[:2])
    later = next(n for n in range(1, len(rows)) if (rows[n]["partition"], rows[n]["key"]) ==
                 (rows[0]["partition"], rows[0]["key"]))
    swapped = [rows[later], *rows[1:later], rows[0], *rows[later + 1:]]
    code, found, _ = again(place, journals, swapped)
    expect("two of one key swapped", (1, {"reordered", "reordered_in_key"}), (code, set(found)))


def running(place):
    """While a sender runs nothing is called lost; once it has ended everything is there."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "running:2")
    agent = Agent(place, broker.bootstrap).start()
    child = bench(place, agent, journals, "running", "-d", "3s", "-r", 50_000)
    until("the stream runs", lambda: agent.ledger()["persisted"] > 1000)
    looks = 0
    while child.poll() is None:
        code, verdict = verify(agent, journals, "running")
        check("nothing is wrong while it runs", code != 1, str(defects(verdict)))
        looks += 1
    expect("at the end", 0, verify(agent, journals, "running")[0])
    agent.stop()
    return f"{looks} looks at a running sender"


def failed(place):
    """Failed records stand in the journal and are not missed."""
    journals = place.new("journals")
    broker = Devbroker(place, "-t", "failed:2", "--fault", "error:17:0.3:3", "--seed", 3)
    agent = Agent(place, broker.bootstrap, {"batch.size": 4096}).start()
    done = agent.produce("failed", b"".join(b"line %d\n" % n for n in range(20_000)), "--journal", journals)
    check("some failed", done.failed > 0 and done.persisted > 0 and done.unknown == 0, str(done))
    code, verdict = verify(agent, journals, "failed")
    expect(f"failed: {verdict}", (0, done.persisted, done.failed), (code, verdict["records"], verdict["failed"]))
    agent.stop()
    return f"{done.failed} failed records"


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
        return run([clean, lost, doubled, lying_broker, rewritten, running, failed, sender_killed, real_kafka], place)


if __name__ == "__main__":
    sys.exit(main())
