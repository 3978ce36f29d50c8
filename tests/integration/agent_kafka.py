#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: what applications hand over arrives in real Kafka, once, in order and where Java would have put it.

Method: one cluster of three brokers for all cases; each has its own agent and topic and reads back everything by a
client that is not ours. SL_TEST_FULL=1 runs the full counts.  agent_kafka.py [NAME…] runs the cases so named.
"""
import collections
import random
import subprocess
import sys
import time

from sluice import (FULL, SLUICE, Agent, Kafka, Place, all_persisted, check, expect, java_partitions, keyed, lines,
                    read_java, read_kcat, run, same_by_partition, say, until)

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


CASES = [partition_tool, keyed_records]


def main():
    with Place() as place:
        kafka = Kafka(place, settings=["broker.session.timeout.ms=3000", "auto.create.topics.enable=false",
                                       "log.message.timestamp.type=CreateTime"])
        return run(CASES, place, kafka)


if __name__ == "__main__":
    sys.exit(main())
