#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a batch of which nobody answered, and which a real broker then refuses, gets its true outcome.

Method: a broker stands still while a batch is sent, and the agent is killed; then either the broker goes on and writes
what lies in its socket, or it is killed too and never sees it. Before the agent comes back the topic's limit is lowered,
so that the batch is refused as too large, which a broker says before it looks for a duplicate. One broker for all cases.
"""
import signal
import sys
import time

from sluice import Agent, Kafka, Place, check, expect, keyed, lines, read_kcat, run, until

COUNT = 40
SETTINGS = {"request.timeout.ms": 5000, "orphan.ttl.ms": 3000, "linger.ms": 50, "compression.type": "none"}


def limit(kafka, topic, size):
    """The largest batch that the topic takes; it holds once the tool has returned and the broker has applied it."""
    kafka.call("run", "kafka.admin.ConfigCommand", "--bootstrap-server", kafka.bootstrap, "--alter", "--entity-type", "topics", "--entity-name", topic,
               "--add-config", f"max.message.bytes={size}")
    time.sleep(1)


def values(kafka, topic):
    return sorted(row.value for row in read_kcat(kafka.bootstrap, topic))


def sent_and_killed(place, kafka, topic):
    """One record is acknowledged; a batch lies in the socket of a broker that stands still; the agent is dead."""
    kafka.topic(topic, 1, replication=1)
    agent = Agent(place, kafka.bootstrap, SETTINGS).start()
    first = keyed(1, 1, "first-")
    records = keyed(COUNT, 1, "x" * 100)
    agent.produce_all(topic, first)
    before = agent.counter("batches_sent")
    kafka.call("pause", 1)
    child = agent.feed(topic, "-K", "\\t")
    child.stdin.write(lines(records))
    child.stdin.flush()
    until("the batch is sent", lambda: agent.counter("batches_sent") > before, seconds=5)
    time.sleep(0.3)
    agent.signal(signal.SIGKILL)
    agent.wait()
    return agent, child, sorted(value for _, value in first + records)


def written_is_proven(place, kafka):
    """The broker has it, and says that it is too large; it is persisted, once, as soon as a resend can prove it."""
    agent, child, all_values = sent_and_killed(place, kafka, "written")
    kafka.call("resume", 1)
    until("the broker has written it", lambda: values(kafka, "written") == all_values, step=0.5)
    limit(kafka, "written", 1000)
    agent.start()
    until("the leader was asked", lambda: "partition_seen" in agent.said())
    time.sleep(2)
    expect("told on the leader's word alone", 0, agent.ledger()["persisted"])
    limit(kafka, "written", 1000000)
    done = agent.outcome(child)
    expect("outcome", (0, COUNT, 0, 0), done[:4])
    agent.stop()
    expect("what lies in the topic", all_values, values(kafka, "written"))


def not_written_is_cut(place, kafka):
    """It never came: after orphan.ttl.ms that is believed, and it goes in pieces that are small enough."""
    agent, child, all_values = sent_and_killed(place, kafka, "unwritten")
    kafka.call("kill", 1)
    kafka.call("restart", 1)
    expect("the first alone is there", 1, len(values(kafka, "unwritten")))
    limit(kafka, "unwritten", 1000)
    begin = time.monotonic()
    agent.start()
    done = agent.outcome(child)
    check("it was believed too early", time.monotonic() - begin > SETTINGS["orphan.ttl.ms"] / 1000)
    expect("outcome", (0, COUNT, 0, 0), done[:4])
    check("the leader was asked", "partition_seen" in agent.said())
    check("it was cut", agent.counter("batches_cut") > 0)
    agent.stop()
    expect("what lies in the topic", all_values, values(kafka, "unwritten"))


def allow(kafka, topic, *operations):
    words = [word for operation in operations for word in ("--operation", operation)]
    kafka.call("run", "org.apache.kafka.tools.AclCommand", "--bootstrap-server", kafka.bootstrap, "--add",
               "--allow-principal", "User:ANONYMOUS", "--topic", topic, *words)
    time.sleep(1)


def unreadable_is_unknown(place, kafka):
    """Without READ nobody can tell: shown before it matters, and then unknown."""
    agent, child, _ = sent_and_killed(place, kafka, "unreadable")
    kafka.call("resume", 1)
    limit(kafka, "unreadable", 1000)
    allow(kafka, "unreadable", "Write", "Describe")
    agent.start()

    def resolution(topic):
        return next((one["resolution"] for one in agent.status()["topics"] if one["name"] == topic), None)
    until("it is shown", lambda: resolution("unreadable") == "unknown-only")
    check("and logged", "way=unknown-only" in agent.said())
    done = agent.outcome(child)
    expect("outcome", (2, 0, 0, COUNT), done[:4])
    check("the leader was asked", "partition_seen" in agent.said())
    kafka.topic("readable", 1, replication=1)
    agent.produce_all("readable", keyed(1, 1))
    until("it is shown", lambda: resolution("readable") == "full")
    agent.stop()


CASES = [written_is_proven, not_written_is_cut, unreadable_is_unknown]


def main():
    with Place() as place:
        kafka = Kafka(place, brokers=1, settings=[
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found=true"])
        return run(CASES, place, kafka)


if __name__ == "__main__":
    sys.exit(main())
