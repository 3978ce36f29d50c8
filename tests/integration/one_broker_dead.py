#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: a broker that is dead harms only those who have to write to it.

Method: three real brokers, topics without replicas, so that the dead one's partitions have no leader until it returns.
Beside each other: an application without keys whose one ring feeds all partitions, an application for each broker, and a
keyed one that has to write to all. One broker is killed -9. The first must keep its whole rate, those of the other two
theirs; the dead broker's application fills its share of the arena and waits. When the broker returns every record is
persisted.
"""
import argparse
import sys
import time

from sluice import FULL, Agent, Bench, Failed, Kafka, Place, check, expect, run, say, until

DEAD = 1


def topics_by_broker(kafka):
    """A topic of one partition led by each broker."""
    found = {}
    for n in range(24):
        name = kafka.topic(f"solo-{n}", 1, replication=1)
        found.setdefault(kafka.leader(name), name)
        if len(found) == kafka.brokers:
            return found
    raise Failed(f"24 topics, and leaders only on {sorted(found)}")


def persisted(agent):
    status = agent.status()
    return time.monotonic(), {topic["name"]: topic["persisted"] for topic in status["topics"]}


def rates(begin, end):
    seconds = end[0] - begin[0]
    return {name: (end[1][name] - begin[1][name]) / seconds for name in end[1]}


def start(agent, solo, options, seconds):
    rate = [] if options.fast else ["-r", options.rate]
    anywhere = [] if options.fast else ["-r", 3 * options.rate]
    apps = {"any": Bench(agent, "any", "-d", f"{seconds}s", "-b", 200, "--reports", "errors", *anywhere)}
    for name in solo.values():
        apps[name] = Bench(agent, name, "-d", f"{seconds}s", "-b", 200, "--reports", "errors", *rate)
    apps["keyed"] = Bench(agent, "keyed", "-d", f"{seconds}s", "-b", 200, "--key-bytes", 16, "-r", options.rate)
    return apps


def caught_up(agent, wanted):
    """Cold brokers take records late; what waited then comes above the rate that was asked for."""
    begin = persisted(agent)
    time.sleep(2)
    seen = rates(begin, persisted(agent))
    return all(0.97 * rate < seen[name] < 1.03 * rate for name, rate in wanted.items())


def compare(before, during, names, least):
    for name in names:
        part = during[name] / before[name]
        say(f"  {name}: {before[name]:.0f} records/s before, {during[name]:.0f} while it was dead: {100 * part:.1f} %")
        check(f"{name} keeps {100 * least:.0f} % of its rate", part >= least, f"{100 * part:.1f} %")


def one_broker_dead(place, options):
    kafka = Kafka(place, brokers=3)
    solo = topics_by_broker(kafka)
    for name in ("any", "keyed"):
        kafka.topic(name, 6, replication=1)
    agent = Agent(place, kafka.bootstrap, {"arena.bytes": options.arena}).start()
    warm = 5
    apps = start(agent, solo, options, warm + 20 + options.before + options.seconds)
    until("all applications have begun", lambda: len(persisted(agent)[1]) == 5 and min(persisted(agent)[1].values()) > 0)
    time.sleep(warm)
    if not options.fast:
        wanted = {"any": 3 * options.rate, **{name: options.rate for name in solo.values()}}
        until("the rates are steady", lambda: caught_up(agent, wanted), seconds=20)
    begin = persisted(agent)
    time.sleep(options.before)
    middle = persisted(agent)
    kafka.call("kill", DEAD)
    killed = persisted(agent)
    time.sleep(options.seconds)
    end = persisted(agent)
    before, during = rates(begin, middle), rates(killed, end)
    say(f"  the dead broker's: {before[solo[DEAD]]:.0f} before, {during[solo[DEAD]]:.0f} while it was dead")
    compare(before, during, ["any", *(name for broker, name in solo.items() if broker != DEAD)], options.least)
    expect("times that a ring found the whole arena taken", 0, agent.counter("arena_full"))
    check("the dead broker's share was full", agent.counter("share_full") > 0)
    kafka.call("restart", DEAD)
    total = 0
    for name, app in apps.items():
        code, result = app.finish(180)
        expect(f"{name}: exit code, failed, unknown", (0, 0, 0), (code, result["failed"], result["unknown"]))
        total += result["persisted"]
    ledger = agent.ledger()
    expect("persisted, by the ledger", total, ledger["persisted"])
    agent.stop()
    return f"{total} records, {options.seconds} s without a broker"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=60 if FULL else 10, help="how long the broker is dead")
    parser.add_argument("--before", type=int, default=20 if FULL else 6, help="how long the rate is measured before")
    parser.add_argument("--rate", type=int, default=4000, help="records a second of each application")
    parser.add_argument("--arena", default="8MiB", help="so small that the dead broker's share fills")
    parser.add_argument("--fast", action="store_true", help="no limit of the rate, but of the keyed application")
    parser.add_argument("--least", type=float, default=0.95, help="part of the rate that has to be kept")
    options = parser.parse_args()
    with Place() as place:
        return run([one_broker_dead], place, options)


if __name__ == "__main__":
    sys.exit(main())
