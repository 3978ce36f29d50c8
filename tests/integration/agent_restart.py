#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the death of the agent loses nothing, doubles nothing, and each record is reported once.

Method: applications write without a pause while the agent is killed with SIGKILL at random moments and started again;
some of its successors are killed while they start. What the applications counted and what kcat reads back must be the
records that were sent, each once, in their order.

  agent_restart.py [--kills N] [--kafka] [--seed N] [CASE...]
"""
import argparse
import json
import random
import subprocess
import sys
import time

import sluice
from sluice import (SLUICE, Agent, Devbroker, Failed, Kafka, Place, Stream, all_persisted, check, expect, order_per_key,
                    read_kcat, until)

PARTITIONS = 6


class Killer:
    """Kills the agent at random moments of its life, and starts it again."""

    def __init__(self, agent, seed):
        self.agent, self.dice = agent, random.Random(seed)
        self.kills = self.early = 0

    def once(self):
        time.sleep(self.dice.choice((0.05, 0.2, 0.5)) * self.dice.random() + 0.02)
        self.agent.alive()
        self.agent.child.kill()
        self.agent.child.wait()
        self.kills += 1
        if self.dice.random() < 0.15:  # in its start, its load or soon after it
            self.agent.launch()
            time.sleep(self.dice.random() * 0.06)
            self.agent.child.kill()
            self.agent.child.wait()
            self.kills += 1
            self.early += 1
        self.agent.start()

    def told(self):
        return f"{self.kills} kills, {self.early} of them in a start"


class Bench:
    """`sluice bench`, which counts the outcome of each record by itself."""

    def __init__(self, agent, topic, *options):
        self.result = agent.folder / f"{topic}.json"
        self.child = agent.place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", topic, "--json", self.result,
                                        *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def running(self):
        return self.child.poll() is None

    def finish(self, seconds=120):
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed("sluice bench hangs") from late
        return code, json.loads(self.result.read_text())


def progress(agent):
    """Three deaths without any are a crash loop, whose arena is put aside."""
    until("the agent gets on", lambda: agent.ledger()["persisted"] > 0 or agent.ledger()["queued"] == 0)


def steady(place, cluster, options):
    """Keyed records at a steady rate: each key's in order, in one partition."""
    topic = cluster.new_topic("steady")
    agent = Agent(place, cluster.bootstrap).start()
    stream = Stream(agent, topic, rate=options.rate)
    killer = Killer(agent, options.seed)
    while killer.kills < options.kills:
        killer.once()
        progress(agent)
    done = stream.finish(120)
    all_persisted(done, len(stream.sent))
    agent.stop()
    order_per_key(read_kcat(cluster.bootstrap, topic), stream.sent)
    check("no arena was put aside", not list(agent.folder.glob("run/private/*.bad")) and
          not list(agent.folder.glob("run/private/*.suspect")))
    return f"{len(stream.sent)} records, {killer.told()}"


def flat_out(place, cluster, options):
    """As fast as it goes, from two rings, in rounds: every round's own count is all persisted, and so many are appended."""
    topic = cluster.new_topic("flat")
    agent = Agent(place, cluster.bootstrap).start()
    killer = Killer(agent, options.seed + 1)
    total = rounds = 0
    while killer.kills < options.kills:
        bench = Bench(agent, topic, "-d", "3s", "-b", "100", "--key-bytes", "8", "--threads", "2")
        while bench.running() and killer.kills < options.kills:
            killer.once()
            progress(agent)
        code, result = bench.finish()
        expect("outcome of bench", (0, result["records"], 0, 0),
               (code, result["persisted"], result["failed"], result["unknown"]))
        total += result["records"]
        rounds += 1
    agent.stop()
    expect("records that were appended", total, cluster.count(topic))
    return f"{total} records in {rounds} rounds, {killer.told()}"


CASES = [steady, flat_out]


class DevCluster:
    def __init__(self, place):
        self.place, self.number = place, 0
        self.topics = {}
        self.broker = Devbroker(place, "-t", f"steady:{PARTITIONS}", "-t", f"flat:{PARTITIONS}")
        self.bootstrap = self.broker.bootstrap

    def new_topic(self, name):
        return name

    def count(self, topic):
        return appended(self.bootstrap, topic)


class KafkaCluster:
    def __init__(self, place):
        self.kafka = Kafka(place, brokers=1, settings=["auto.create.topics.enable=false"])
        self.bootstrap = self.kafka.bootstrap

    def new_topic(self, name):
        return self.kafka.topic(name, PARTITIONS, replication=1)

    def count(self, topic):
        return appended(self.bootstrap, topic)


def appended(bootstrap, topic):
    """Records that were ever appended, by kcat: devbroker keeps no more of them than fit into its memory."""
    ends = [word for partition in range(PARTITIONS) for word in ("-t", f"{topic}:{partition}:-1")]
    done = subprocess.run(["kcat", "-Q", "-b", bootstrap, *ends], capture_output=True, check=True, timeout=60)
    return sum(int(line.split()[-1]) for line in done.stdout.decode().splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of the agent, in each case")
    parser.add_argument("--rate", type=int, default=20000, help="records a second of the steady case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kafka", action="store_true", help="a real broker in place of devbroker")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    sys.argv[1:] = options.cases
    with Place() as place:
        cluster = KafkaCluster(place) if options.kafka else DevCluster(place)
        place_children, place.children = place.children, []
        try:
            return sluice.run(CASES, place, cluster, options)
        finally:
            place.children += place_children


if __name__ == "__main__":
    sys.exit(main())
