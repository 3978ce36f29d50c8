# SPDX-License-Identifier: Apache-2.0
"""One run of a scenario: applications, lanes of faults beside each other, an end in good order, the verdict."""
import collections
import random
import subprocess
import threading
import time

import journals
import oracle
import schedule
from agents import Agents
from applications import Applications
from brokers import Brokers
from sluice import Failed, say

STUCK_S = 90  # the longest that a topic may go without a persisted record; elections and restarts take some of it
LATE_FACTOR, LATE_S = 4, 120  # a run whose faults do not get done in this much time has failed

SETTINGS = {
    "request.timeout.ms": 3000,
    # Nothing ends because a machine with two cores is slow: what is not delivered shows as a topic that is stuck.
    "delivery.timeout.ms": 280000, "shutdown.timeout.ms": 15000, "topic.unknown.grace.ms": 20000,
}


class Run:
    def __init__(self, place, kafka, scenario, options):
        self.place, self.kafka, self.scenario, self.options = place, kafka, scenario, options
        self.topics = scenario.topics
        self.journals = place.new("journals")
        self.counts, self.wrong = collections.Counter(), []
        self.lock, self.over = threading.Lock(), threading.Event()
        for topic in self.topics:
            kafka.topic(topic.name, topic.partitions)
        self.brokers = Brokers(self)
        self.agents = Agents(self, SETTINGS | {"topics": {one.name: one.rule for one in self.topics if one.rule}})
        self.applications = Applications(self)

    @property
    def agent(self):
        return self.agents.agent

    def count(self, name, by=1):
        with self.lock:
            self.counts[name] += by

    def violated(self, sentence):
        with self.lock:
            self.wrong.append(sentence)
        say(f"VIOLATION {sentence}")
        self.over.set()

    def ends_well(self, topic_name, code):
        """0: all persisted. 2: some unknown, where acks or the faults allow it."""
        topic = next(topic for topic in self.topics if topic.name == topic_name)
        plain = bool(topic.rule)
        if topic.silent:
            return code == 2
        return code == 0 or (code == 2 and (plain or self.scenario.unknown)) or (code == 1 and topic.remade)

    # ---- lanes ----

    def _lane(self, faults, doers):
        begin = time.monotonic()
        for fault in faults:
            if self.over.wait(max(0, begin + fault.at_s - time.monotonic())):
                return
            try:
                doers[fault.name](random.Random(fault.draw))
            except (Failed, OSError, subprocess.SubprocessError) as failure:
                self.violated(f"{fault.name} at {fault.at_s:.1f} s: {failure}")
                return

    def _plans(self):
        scenario, options, seconds = self.scenario, self.options, self.options.minutes * 60
        return (
            (self.agents, schedule.lane(options.seed, "agents", seconds, scenario.agents_every_s, scenario.agents,
                                        options.agent_kills)),
            (self.brokers, schedule.lane(options.seed, "brokers", seconds, scenario.brokers_every_s, scenario.brokers,
                                         options.broker_kills)),
            (self.applications, schedule.lane(options.seed, "applications", seconds, scenario.applications_every_s,
                                              scenario.applications_faults, options.app_kills)))

    def _watch(self, lanes):
        """Until every lane is through: applications that end are replaced, topics that stand still are told."""
        begin = time.monotonic()
        settled, since = {}, {}
        while any(lane.is_alive() for lane in lanes) or time.monotonic() - begin < self.options.minutes * 60:
            if self.over.wait(0.5):
                return
            self.applications.tend()
            found, now = journals.read_all(self.journals), time.monotonic()
            for topic in self.topics:
                sums = journals.total(one for one in found if one.topic == topic.name)
                sums = sums["persisted"] + sums["unknown"] + sums["failed"]
                if settled.get(topic.name) != sums:
                    settled[topic.name], since[topic.name] = sums, now
                elif now - since[topic.name] > STUCK_S:
                    raise Failed(f"{topic.name} has had no outcome for {STUCK_S} s: {self.agent.ledger()}")
            if now - begin > self.options.minutes * 60 * LATE_FACTOR + LATE_S:
                raise Failed(f"the faults are not through after {now - begin:.0f} s")

    def _begin(self):
        rate = int(self.options.rate / self.scenario.applications)
        for number in range(self.scenario.applications):
            topic = self.topics[number % len(self.topics)]
            self.applications.start(topic.name, 0 if topic.flat_out else rate)
        for _ in range(self.scenario.forkers):
            self.applications.start(self.topics[0].name, rate, forks=True)

    def _go(self):
        self._begin()
        lanes = [threading.Thread(target=self._lane, args=(faults, doer.faults()), daemon=True)
                 for doer, faults in self._plans()]
        for lane in lanes:
            lane.start()
        try:
            self._watch(lanes)
        except (Failed, OSError, subprocess.SubprocessError) as failure:
            self.violated(str(failure))
        self.over.set()
        for lane in lanes:
            lane.join(180)

    # ---- the end ----

    def _end(self):
        try:
            self.brokers.all_up()
            self.agent.alive()
            self.applications.finish()
            self.agents.drained()
        except (Failed, OSError, subprocess.SubprocessError) as failure:
            self.violated(str(failure))

    def _judge(self):
        found = {}
        for topic in self.topics:
            found[topic.name], wrong = oracle.judge(self.kafka.bootstrap, self.journals, topic)
            for sentence in wrong:
                self.violated(sentence)
            if not self.scenario.unknown and not topic.rule and found[topic.name]["unknown"]:
                self.violated(f"{found[topic.name]['unknown']} records of {topic.name} are unknown")
        for left in self.agents.left_behind():
            self.violated(f"the agent left: {left}")
        return found

    def go(self):
        """The summary: what was done, what was found, what is wrong."""
        begin = time.monotonic()
        self._go()
        seconds = time.monotonic() - begin
        self._end()
        found = self._judge()
        return {"seconds": round(seconds, 1), "records": sum(one["kcat"] for one in found.values()),
                **dict(sorted(self.counts.items())), "topics": found, "wrong": self.wrong}
