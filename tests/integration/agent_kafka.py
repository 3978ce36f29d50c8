#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what applications hand over arrives in real Kafka, once, in order and where Java would have put it.

Method: one cluster of three brokers for all cases; each has its own agent and topic and reads back everything by a
client that is not ours. SL_TEST_FULL=1 runs the full counts.  agent_kafka.py [NAME…] runs the cases so named.
"""
import base64
import json
import random
import subprocess
import sys
import time

from bulk import Bulk
from sluice import (FULL, SECONDS, SLUICE, Agent, Kafka, Place, Stream, all_persisted, check,
                    expect, java_partitions, keyed, lines, log_batches, order_per_key, read_java, read_kcat, run,
                    same_by_partition, until)

PARTITIONS = 12


def partition_tool(place, kafka):
    """`sluice partition` gives what the Java client gives, for any bytes."""
    dice = random.Random(12)
    keys = [b""] + [dice.randbytes(dice.randrange(1, 40)) for _ in range(9999)]
    keys = list(dict.fromkeys(keys))
    for count in (12, 1000003):
        want = java_partitions(kafka.class_path, keys, count)
        done = subprocess.run([SLUICE, "partition", "-n", str(count), "--hex"], capture_output=True, check=True,
                              input="".join(key.hex() + "\n" for key in keys).encode())
        expect(f"partitions of {count}", [want[key] for key in keys], [int(word) for word in done.stdout.split()])
    return f"{len(keys)} keys"


def keyed_records(place, kafka):
    """Many keyed records over all brokers: in Java's partition, in order, each once."""
    count = 1_000_000 if FULL else 200_000
    topic = kafka.topic("keyed", PARTITIONS)
    agent = Agent(place, kafka.bootstrap).start()
    records = keyed(count, 5000)
    begin = time.monotonic()
    agent.produce_all(topic, records)
    seconds = time.monotonic() - begin
    ledger = agent.ledger()
    expect("ledger", (count, count, 0), (ledger["in"], ledger["persisted"], ledger["queued"]))
    check("batches to each broker", len({kafka.leader(topic, n) for n in range(PARTITIONS)}) == 3)
    agent.stop()
    partition_of = java_partitions(kafka.class_path, sorted({key for key, _ in records}), PARTITIONS)
    same_by_partition(records, partition_of, read_kcat(kafka.bootstrap, topic))
    return f"{count} records in {seconds:.2f} s"


def shaped(count, seed):
    """Records of every shape: (key, value, headers, timestamp), keys binary, empty and absent, values too."""
    dice = random.Random(seed)
    rows = []
    for n in range(count):
        key = None if n % 7 == 0 else b"" if n % 11 == 0 else dice.randbytes(1 + n % 9)
        value = None if n % 13 == 0 else b"" if n % 17 == 0 else b"%d-" % n + dice.randbytes(n % 50) + b"same " * (n % 40)
        headers = [(f"h{i}", [f"{n}".encode(), b"", None][i % 3]) for i in range(n % 4)]
        rows.append((key, value, headers, 1_600_000_000_000 + n * 1000))
    return rows


def envelopes(rows):
    """kcat's JSON form; bytes as base 64."""
    def text(data):
        return None if data is None else base64.b64encode(data).decode()
    return "".join(json.dumps({
        "key_base64": text(key), "payload_base64": text(value), "ts": stamp,
        "headers": [part if part is None or isinstance(part, str) else part.decode()
                    for pair in headers for part in pair]}) + "\n" for key, value, headers, stamp in rows).encode()


def shapes_expect(topic, sent, seen):
    """Each record once with all that it had, and in each partition in the order of sending."""
    place = {(key, value, stamp): n for n, (key, value, _, stamp) in enumerate(sent)}
    full = {n: (key, value, [(name.encode(), part) for name, part in headers], stamp)
            for n, (key, value, headers, stamp) in enumerate(sent)}
    last, found = {}, set()
    for row in seen:
        n = place.get((row.key, row.value, row.timestamp))
        check(f"{topic}: a record that was never sent", n is not None, repr(row))
        expect(f"{topic}: record {n}", full[n], (row.key, row.value, row.headers, row.timestamp))
        check(f"{topic}: record {n} is there twice", n not in found)
        check(f"{topic}: record {n} after {last.get(row.partition)}", n > last.get(row.partition, -1))
        found.add(n)
        last[row.partition] = n
    expect(f"{topic}: records", len(sent), len(found))


CODECS = {"none": {}, "gzip": {"compression.gzip.level": 9}, "snappy": {}, "lz4": {"compression.lz4.level": 3},
          "zstd": {"compression.zstd.level": 7}}
CODEC_NUMBERS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
MANY = 20  # what does not become smaller, as a batch of one or two records, goes uncompressed under any codec


def rules_of(name):
    """A topic for each codec and each acks, with its overrides."""
    rules = {f"{name}-{codec}": {"compression.type": codec, **level} for codec, level in CODECS.items()}
    return rules | {f"{name}-acks-{acks}": {"acks": acks, "compression.type": "lz4"} for acks in ("0", "1", "all")}


def outcome_expect(topic, rule, done, count):
    if rule.get("acks") == "0":  # nobody says what became of them
        expect(f"{topic}: {done.said}", (2, 0, 0, count), done[:4])
    else:
        all_persisted(done, count)


def log_expect(kafka, topic, rule):
    """What the brokers keep has the codec and the producer that the rule asked for."""
    batches = log_batches(kafka, topic)
    check(f"{topic}: batches of many records", any(one.records >= MANY for one in batches))
    expect(f"{topic}: codec", {CODEC_NUMBERS[rule.get("compression.type", "none")]},
           {one.codec for one in batches if one.records >= MANY})
    idempotent = rule.get("acks", "all") == "all"
    check(f"{topic}: producer ids", all((one.producer_id >= 0) == idempotent for one in batches))


def codecs_and_acks(place, kafka):
    """Every codec and every acks, as overrides in one agent: all shapes of records arrive as they were."""
    rules = rules_of("shape")
    agent = Agent(place, kafka.bootstrap, {"topics": rules}).start()
    rows = shaped(3000, 2)
    for topic, rule in rules.items():
        kafka.topic(topic, 3)
        outcome_expect(topic, rule, agent.produce(topic, envelopes(rows), "-J"), len(rows))
    ledger = agent.ledger()
    expect("ledger", (len(rows) * len(rules), len(rows), 0), (ledger["in"], ledger["unknown"], ledger["queued"]))
    agent.stop()
    found = read_java(kafka.class_path, kafka.bootstrap, *rules)
    for topic, rule in rules.items():
        shapes_expect(topic, rows, found[topic])
        log_expect(kafka, topic, rule)


def codecs_and_acks_in_bulk(place, kafka):
    """Every codec and every acks with many keyed records: in Java's partition, in order, identical, each once."""
    count = 1_000_000 if FULL else 5000
    rules = rules_of("bulk")
    bulk = Bulk(place, kafka.class_path, count, PARTITIONS)
    agent = Agent(place, kafka.bootstrap, {"topics": rules}).start()
    told = []
    for topic, rule in rules.items():
        kafka.topic(topic, PARTITIONS)
        begin = time.monotonic()
        outcome_expect(topic, rule, agent.outcome(bulk.feed(agent, topic)), count)
        told.append(f"{topic} {time.monotonic() - begin:.1f} s")
    agent.stop()
    begin = time.monotonic()
    bulk.expect_in(kafka, *rules)
    told.append(f"read back {time.monotonic() - begin:.1f} s")
    for topic, rule in rules.items():
        log_expect(kafka, topic, rule)
    return f"{count} records each: " + ", ".join(told)


def mirror(place, kafka):
    """`kcat -C -J | sluice produce -J` copies a topic, byte for byte."""
    kafka.topic("origin", 1)
    kafka.topic("copy", 1)
    def fill(data, *options):
        subprocess.run(["kcat", "-P", "-b", kafka.bootstrap, "-t", "origin", "-K", "\\t", *options], input=data, check=True)
    fill(b"key\tvalue\n\tempty key\nno key\nempty value\t\n", "-H", "plain=x", "-H", "empty=", "-H", "null")
    fill(b"null value\t\n\tnull key\n", "-Z")
    odd = bytes(byte for byte in range(1, 256) if byte not in b"\n\t")
    fill(odd[:130] + b"\t" + odd + b"\n\xc3\xa9\xf0\x9f\x98\x80\t\"quoted\" \\ \\u0000 \xe2\x82\xac\n")
    fill(b"".join(b"bulk-%d\t%d\n" % (n, n) for n in range(2000)))
    agent = Agent(place, kafka.bootstrap).start()
    with subprocess.Popen(["kcat", "-C", "-J", "-e", "-q", "-b", kafka.bootstrap, "-t", "origin"],
                          stdout=subprocess.PIPE) as source:
        done = agent.outcome(agent.feed("copy", "-J", stdin=source.stdout))
    all_persisted(done, 2008)
    agent.stop()
    rows = read_java(kafka.class_path, kafka.bootstrap, "origin", "copy")
    shapes = [[(row.timestamp, row.key, row.value, row.headers) for row in rows[topic]] for topic in ("origin", "copy")]
    for origin, copy in zip(*shapes):
        expect("a copied record", origin, copy)
    expect("records copied", len(shapes[0]), len(shapes[1]))


# ---- brokers that fall ----

def under_fault(place, kafka, topic, fault, **settings):
    """A steady stream through a fault: everything persisted, once, in order, in its partition."""
    kafka.topic(topic, PARTITIONS, "min.insync.replicas=2")
    agent = Agent(place, kafka.bootstrap, {"request.timeout.ms": 3000, **settings}).start()
    stream = Stream(agent, topic, rate=8000)
    until("the first outcomes", lambda: agent.ledger()["persisted"] > 1000)
    fault(stream)
    time.sleep(1 + SECONDS / 4)
    done = stream.finish()
    all_persisted(done, len(stream.sent))
    resent = agent.counter("batches_resent")
    agent.stop()
    partition_of = java_partitions(kafka.class_path, sorted({key for key, _ in stream.sent}), PARTITIONS)
    same_by_partition(stream.sent, partition_of, read_kcat(kafka.bootstrap, topic))
    return f"{len(stream.sent)} records, {resent} batches resent"


def leader_killed(place, kafka):
    """kill -9 of a leader in the middle of a stream, later its return."""
    def fault(stream):
        victim = kafka.leader("killed", 0)
        kafka.call("kill", victim)
        stream.pause_until_more(8000)
        kafka.call("restart", victim)
    return under_fault(place, kafka, "killed", fault)


def leader_killed_in_bulk(place, kafka):
    """kill -9 of a leader when half of many records are written, its return before the end: none lost, none twice."""
    count = 1_000_000 if FULL else 100_000
    kafka.topic("bulk-killed", PARTITIONS, "min.insync.replicas=2")
    bulk = Bulk(place, kafka.class_path, count, PARTITIONS)
    agent = Agent(place, kafka.bootstrap, {"request.timeout.ms": 3000}).start()
    begin = time.monotonic()
    producer = bulk.feed(agent, "bulk-killed", rate=count // 10)
    until("half are written", lambda: agent.ledger()["persisted"] >= count // 2, 60)
    victim = kafka.leader("bulk-killed", 0)
    kafka.call("kill", victim)
    killed_at = agent.ledger()["persisted"]
    check("the kill fell into the middle", killed_at < count * 9 // 10, f"{killed_at} of {count} were written")
    kafka.call("restart", victim)
    all_persisted(agent.outcome(producer, 120), count)
    seconds = time.monotonic() - begin
    resent = agent.counter("batches_resent")
    agent.stop()
    bulk.expect_in(kafka, "bulk-killed")
    return f"{count} records in {seconds:.1f} s, leader {victim} killed after {killed_at}, {resent} batches resent"


def leader_paused(place, kafka):
    """A leader that stands still for five seconds, is deposed meanwhile and wakes up unaware."""
    def fault(_):
        victim = kafka.leader("paused", 0)
        kafka.call("pause", victim)
        time.sleep(5)
        kafka.call("resume", victim)
    return under_fault(place, kafka, "paused", fault)


def rolling_restart(place, kafka):
    """Each broker in turn leaves cleanly and comes back."""
    def fault(_):
        for number in (1, 2, 3):
            kafka.call("restart", number)
    return under_fault(place, kafka, "rolling", fault)


# ---- errors that have a name ----

def unknown_topic(place, kafka):
    """A topic that nobody has fails by name after the grace; another goes on meanwhile, one made meanwhile heals."""
    kafka.topic("known", 3)
    agent = Agent(place, kafka.bootstrap, {"topic.unknown.grace.ms": 2000}).start()
    begin = time.monotonic()
    absent = agent.feed("absent", "-K", "\\t")
    absent.stdin.write(lines(keyed(500, 10)))
    absent.stdin.close()
    agent.produce_all("known", keyed(5000, 50))
    check("the known topic waited for the unknown one", absent.poll() is None and time.monotonic() - begin < 2,
          f"{time.monotonic() - begin:.1f} s")
    done = agent.outcome(absent)
    expect(done.said, (1, 0, 500, 0), done[:4])
    check("the error's name", "UNKNOWN_TOPIC_OR_PARTITION" in done.said, done.said)
    seconds = time.monotonic() - begin
    check("the grace of 2 s", 1.9 <= seconds < 6, f"{seconds:.1f} s")
    agent.configure(**{"topic.unknown.grace.ms": 20000})
    agent.signal_hup()
    late = agent.feed("late", "-K", "\\t")
    late.stdin.write(lines(keyed(500, 10)))
    late.stdin.close()
    time.sleep(0.5)
    kafka.topic("late", 2)
    all_persisted(agent.outcome(late, 15), 500)
    agent.stop()
    order_per_key(read_kcat(kafka.bootstrap, "late"), keyed(500, 10))


def too_large(place, kafka):
    """A record over a limit of ours or the broker's fails alone, by name; a batch over the broker's is cut."""
    kafka.topic("large", 1)
    kafka.topic("tight", 1, "max.message.bytes=4000")
    agent = Agent(place, kafka.bootstrap, {"topics": {"large": {"max.request.size": "64KiB"}}}).start()
    for size in (2_000_000, 70_000):
        done = agent.produce("large", b"before\n" + b"x" * size + b"\nafter\n")
        expect(f"{size} bytes: {done.said[-300:]}", (1, 2, 1, 0), done[:4])
        check("the error's name", "MESSAGE_TOO_LARGE" in done.said, done.said)
    done = agent.produce("tight", b"x" * 6000 + b"\n")
    expect(done.said, (1, 0, 1, 0), done[:4])
    check("the error's name", "MESSAGE_TOO_LARGE" in done.said, done.said)
    all_persisted(agent.produce("tight", b"before\n"), 1)
    many = keyed(3000, 30)
    all_persisted(agent.produce("tight", lines(many), "-K", "\\t"), len(many))
    cut = agent.counter("batches_cut")
    check("batches were cut", cut > 0)
    all_persisted(agent.produce("tight", b"after\n"), 1)
    agent.stop()
    expect("what arrived in large", [b"before", b"after"] * 2, [row.value for row in read_kcat(kafka.bootstrap, "large")])
    tight = [(row.key, row.value) for row in read_kcat(kafka.bootstrap, "tight")]
    expect("records of tight", [b"before", *(value for _, value in many), b"after"], [value for _, value in tight])
    return f"{len(many)} records in batches that did not fit, {cut} cuts"


def poison(place, kafka):
    """Records that the broker refuses fail alone; those that stand in the same batch are written, in order."""
    count = 4000
    kafka.topic("compacted", 1, "cleanup.policy=compact")
    agent = Agent(place, kafka.bootstrap, {"linger.ms": 50}).start()
    rows = [(None if n % 10 == 3 else b"k%d" % (n % 50), b"value-%d" % n) for n in range(count)]
    text = b"".join(value + b"\n" if key is None else key + b"\t" + value + b"\n" for key, value in rows)
    done = agent.produce("compacted", text, "-K", "\\t")
    good = [row for row in rows if row[0] is not None]
    expect(done.said[-300:], (1, len(good), count - len(good), 0), done[:4])
    check("the error's name", "INVALID_RECORD" in done.said, done.said[-300:])
    cut = agent.counter("batches_cut")
    agent.stop()
    expect("records", good, [(row.key, row.value) for row in read_kcat(kafka.bootstrap, "compacted")])
    return f"{len(good)} written, {count - len(good)} refused, {cut} cuts"


def reload_under_traffic(place, kafka):
    """HUP changes linger, batch size and codec in the middle of a stream, and a bad file changes nothing."""
    kafka.topic("reloaded", 3)
    agent = Agent(place, kafka.bootstrap, {"linger.ms": 1, "compression.type": "none"}).start()
    stream = Stream(agent, "reloaded", rate=8000)
    for codec, linger, size in (("zstd", 50, 16384), ("lz4", 0, 262144), ("none", 5, 4096)):
        stream.pause_until_more(4000)
        agent.configure(compression_type=codec, linger_ms=linger, batch_size=size)
        agent.signal_hup()
    agent.configure(linger_ms="soon")
    agent.signal(1)
    until("the bad file is refused", lambda: "reload_refused" in agent.said())
    agent.configure(linger_ms=5)
    stream.pause_until_more(4000)
    all_persisted(stream.finish(), len(stream.sent))
    agent.stop()
    partition_of = java_partitions(kafka.class_path, sorted({key for key, _ in stream.sent}), 3)
    same_by_partition(stream.sent, partition_of, read_kcat(kafka.bootstrap, "reloaded"))
    expect("codecs in the log", {0, 3, 4}, {one.codec for one in log_batches(kafka, "reloaded")})


CASES = [partition_tool, keyed_records, codecs_and_acks, codecs_and_acks_in_bulk, mirror, unknown_topic, too_large,
         poison, reload_under_traffic, leader_paused, leader_killed, leader_killed_in_bulk, rolling_restart]


def main():
    with Place() as place:
        # Retention goes by the records' own timestamps, and those of the tests are of 2020.
        kafka = Kafka(place, settings=["broker.session.timeout.ms=3000", "auto.create.topics.enable=false",
                                       "log.retention.ms=-1"])
        return run(CASES, place, kafka)


if __name__ == "__main__":
    sys.exit(main())
