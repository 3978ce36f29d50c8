#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: the death of the agent loses nothing, doubles nothing, and each record is reported once.

Method: applications write without a pause while the agent is killed with SIGKILL at random moments and started again;
some of its successors are killed while they start. What the applications counted and what kcat reads back must be the
records that were sent, each once, in their order.

  agent_restart.py [--kills N] [--kafka] [--seed N] [CASE...]
"""
import argparse
import random
import signal
import subprocess
import sys
import time

import sluice
from sluice import (Agent, Bench, Devbroker, Failed, Kafka, Place, Stream, all_persisted, check, expect, order_per_key,
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


def steady(place, cluster, options):
    """Keyed records at a steady rate: each key's in order, in one partition."""
    topic = cluster.new_topic("steady")
    agent = Agent(place, cluster.bootstrap).start()
    stream = Stream(agent, topic, rate=options.rate)
    # One whose first handshake is cut short ends: it has nothing yet to come back with.
    until("the application is attached", lambda: agent.ledger()["in"] > 0)
    killer = Killer(agent, options.seed)
    while killer.kills < options.kills:
        killer.once()
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
        code, result = bench.finish()
        expect("outcome of bench", (0, result["records"], 0, 0),
               (code, result["persisted"], result["failed"], result["unknown"]))
        total += result["records"]
        rounds += 1
    agent.stop()
    expect("records that were appended", total, cluster.count(topic))
    return f"{total} records in {rounds} rounds, {killer.told()}"


def lines_of(count):
    return b"".join(b"key-%d\tvalue-%d\n" % (n % 50, n) for n in range(count))


def crash_loop(place, cluster, _options):
    """Three crashes soon after a start: the arena is put aside, and the application is told that it does not know."""
    topic = cluster.new_topic("suspect")
    agent = Agent(place, "127.0.0.1:1").start()  # no broker: all of it stays in the arena
    child = agent.feed(topic, "-K", "\t", "-p", "0")
    child.stdin.write(lines_of(1000))
    child.stdin.close()
    until("it is attached", lambda: "application_opened" in agent.said())
    time.sleep(0.3)
    private = agent.folder / "run/private"
    for number in range(3):
        check("it is not put aside yet", not (private / "arena-0.suspect").exists(), str(number))
        agent.signal(signal.SIGSEGV)
        expect("how it ended", -signal.SIGSEGV, agent.wait())
        agent.start()
    check("it is put aside", (private / "arena-0.suspect").exists())
    agent.signal(signal.SIGKILL)
    agent.wait()
    agent.settings["bootstrap.servers"] = cluster.bootstrap
    agent.start()
    done = agent.outcome(child)
    expect(f"all records have an outcome: {done.said}", 1000, done.persisted + done.failed + done.unknown)
    agent.stop()


def damaged(place, cluster, _options):
    """An arena whose header is damaged is put aside, and the agent starts with a new one. A second one takes another name."""
    agent = Agent(place, cluster.bootstrap).start()
    agent.signal(signal.SIGKILL)
    agent.wait()
    arena = agent.folder / "run/private/arena-0"
    for name in ("arena-0.bad", "arena-0.bad.2"):
        with open(arena, "r+b") as file:
            file.seek(70)
            file.write(b"\xee\xee")
        agent.start()
        check(f"it is put aside as {name}", arena.with_name(name).exists())
        agent.signal(signal.SIGKILL)
        agent.wait()
    check("the first one is still there", arena.with_name("arena-0.bad").exists())


def other_layout(place, cluster, _options):
    """Records of another version's layout end the start with a sentence; an empty arena of it does not."""
    agent = Agent(place, "127.0.0.1:1").start()
    child = agent.feed("other", "-K", "\t")
    child.stdin.write(lines_of(100))
    child.stdin.flush()
    time.sleep(0.2)
    agent.signal(signal.SIGKILL)
    agent.wait()
    arena = agent.folder / "run/private/arena-0"
    with open(arena, "r+b") as file:
        file.seek(16)
        file.write(b"another.")  # layout_hash
        file.seek(256 + 12)
        file.write(b"\1\0\0\0")  # live_count
    agent.launch()
    expect("exit code", 78, agent.wait())
    check("what it says", "run that version with --drain" in agent.said(), agent.said())
    with open(arena, "r+b") as file:
        file.seek(256 + 12)
        file.write(b"\0\0\0\0")
    agent.settings["bootstrap.servers"] = cluster.bootstrap
    agent.start().stop()
    child.kill()


def kept_and_drained(place, cluster, _options):
    """TERM without a broker keeps what is left, 75; --drain sends it, 0, while nobody is admitted."""
    topic = cluster.new_topic("drained")
    agent = Agent(place, "127.0.0.1:1", {"shutdown.timeout.ms": 300, "topic.unknown.grace.ms": 60000}).start()
    agent.settings["bootstrap.servers"] = cluster.bootstrap
    agent.signal(signal.SIGKILL)
    agent.wait()
    agent.start()
    records = [(b"k%d" % (n % 10), b"%d" % n) for n in range(2000)]
    agent.produce_all(topic, records)
    cluster.pause()
    child = agent.feed(topic, "-K", "\t", "--timeout", "60s")
    child.stdin.write(sluice.lines(records))
    child.stdin.flush()
    until("they are in the arena", lambda: agent.ledger()["queued"] == 2000)
    child.kill()
    child.wait()
    agent.stop(75)
    cluster.resume()
    agent.settings["shutdown.timeout.ms"] = 20000
    agent.launch("--drain")
    expect("exit code of --drain", 0, agent.wait(40))
    expect("records that were appended", 4000, cluster.count(topic))
    check("nothing is left", not (agent.folder / "run/private/arena-0").exists())


CASES = [steady, flat_out, crash_loop, damaged, other_layout, kept_and_drained]


class DevCluster:
    def __init__(self, place):
        self.place, self.number = place, 0
        self.topics = {}
        self.broker = Devbroker(place, "-t", f"steady:{PARTITIONS}", "-t", f"flat:{PARTITIONS}",
                                "-t", f"suspect:{PARTITIONS}", "-t", f"drained:{PARTITIONS}")
        self.bootstrap = self.broker.bootstrap

    def new_topic(self, name):
        return name

    def pause(self):
        self.broker.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.broker.child.send_signal(signal.SIGCONT)

    def count(self, topic):
        return appended(self.bootstrap, topic)


class KafkaCluster:
    def __init__(self, place):
        self.kafka = Kafka(place, brokers=1, settings=["auto.create.topics.enable=false"])
        self.bootstrap = self.kafka.bootstrap

    def pause(self):
        self.kafka.call("pause", 1)

    def resume(self):
        self.kafka.call("resume", 1)

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
