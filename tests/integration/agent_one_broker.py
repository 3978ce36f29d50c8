#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a real cluster of one broker may be late, and may die and return, without harm to what applications write.

Method: agent and application come first, then the broker, then the topic; kill -9 in the middle of the stream.
"""
import sys
import time

from sluice import (Agent, Kafka, Place, Stream, all_persisted, check, expect, free_port, java_partitions, read_kcat, run,
                    same_by_partition, until)


def late_and_killed(place):
    port = free_port()
    agent = Agent(place, f"127.0.0.1:{port + 1}", {"topic.unknown.grace.ms": 60000, "request.timeout.ms": 3000}).start()
    stream = Stream(agent, "one", rate=3000)
    time.sleep(1)
    expect("nothing is settled", 0, agent.ledger()["persisted"])
    kafka = Kafka(place, brokers=1, settings=["auto.create.topics.enable=false"], port=port)
    kafka.topic("one", 4, replication=1)
    until("the late broker is found", lambda: agent.ledger()["persisted"] > 3000)
    kafka.call("kill", 1)
    before = len(stream.sent)
    kafka.call("restart", 1)
    until("the broker that returned is found", lambda: agent.ledger()["persisted"] > before)
    check("the stream went on meanwhile", len(stream.sent) > before)
    all_persisted(stream.finish(), len(stream.sent))
    agent.stop()
    partition_of = java_partitions(kafka.class_path, sorted({key for key, _ in stream.sent}), 4)
    same_by_partition(stream.sent, partition_of, read_kcat(kafka.bootstrap, "one"))
    return f"{len(stream.sent)} records"


def main():
    with Place() as place:
        return run([late_and_killed], place)


if __name__ == "__main__":
    sys.exit(main())
