# SPDX-License-Identifier: Apache-2.0
"""What happens to brokers. Each fault ends when the cluster is whole again, but for copies that still catch up."""
import json
import time

from sluice import Failed, until

BROKERS = (1, 2, 3)
SESSION_S = 3  # broker.session.timeout.ms of these clusters
PARTITIONS_MAX = 24
IN_SYNC_S = 60


class Brokers:
    def __init__(self, run):
        self.run, self.kafka = run, run.kafka
        self.down = set()

    def faults(self):
        return {"kill": self.kill, "kill_controller": self.kill_controller, "kill_two": self.kill_two,
                "pause": self.pause, "rolling": self.rolling, "elect": self.elect, "grow": self.grow,
                "remake": self.remake}

    def topics(self):
        return json.loads(self.kafka.call("topics", "--json"))

    def whole(self):
        """Waits until each copy of the topics of this run is in sync."""
        names = {topic.name for topic in self.run.topics}

        def in_sync():
            return all(len(item["isr"]) == len(item["replicas"]) for topic in self.topics() if topic["name"] in names
                       for item in topic["partitions"])
        until("all copies are in sync", in_sync, seconds=IN_SYNC_S, step=0.3)

    def _fall(self, number, dice):
        self.down.add(number)
        self.kafka.call("kill", number)
        self.run.count("broker_kills")
        time.sleep(dice.uniform(0, SESSION_S + 2))

    def _rise(self, number):
        self.kafka.call("restart", number)
        self.down.discard(number)

    def _rest(self, dice):
        """Mostly the next fault meets copies in sync, sometimes not."""
        if dice.random() < 0.7:
            self.whole()

    def kill(self, dice):
        number = dice.choice(BROKERS)
        self._fall(number, dice)
        self._rise(number)
        self._rest(dice)

    def kill_controller(self, dice):
        number = int(self.kafka.call("controller"))
        if number not in BROKERS:
            raise Failed(f"broker {number} is the controller")
        self._fall(number, dice)
        self.run.count("controller_kills")
        self._rise(number)
        self._rest(dice)

    def kill_two(self, dice):
        """Neither a quorum nor enough copies: nothing is written until one is back."""
        first, second = dice.sample(BROKERS, 2)
        self._fall(first, dice)
        self._fall(second, dice)
        self.kafka.call("start")  # together: one alone would wait for a quorum for ever
        self.down.clear()
        self.whole()

    def pause(self, dice):
        """Stands still for longer than its session, is deposed, and wakes up unaware."""
        number = dice.choice(BROKERS)
        self.down.add(number)
        self.kafka.call("pause", number)
        time.sleep(SESSION_S + dice.uniform(0.5, 4))
        self.kafka.call("resume", number)
        self.down.discard(number)
        self.run.count("broker_pauses")
        self._rest(dice)

    def rolling(self, dice):
        for number in dice.sample(BROKERS, len(BROKERS)):
            self.whole()
            self._rise(number)
        self.run.count("rolling_restarts")
        self.whole()

    def elect(self, _dice):
        self.run.count("elections", int(self.kafka.call("elect")))

    def grow(self, dice):
        """A topic gets more partitions: keys move, and what was sent before stays in order where it is."""
        topic = dice.choice(self.run.topics)
        count = self.kafka.partition_count(topic.name) + dice.randrange(1, 3)
        if count <= PARTITIONS_MAX:
            self.kafka.call("topic", "grow", topic.name, count)
            self.run.count("partitions_added", 1)

    def remake(self, dice):
        """A topic is deleted and, at once or after a while, made again with as many partitions or others."""
        topic = next(topic for topic in self.run.topics if topic.remade)
        self.kafka.call("topic", "delete", topic.name)
        time.sleep(dice.choice((0, 0.2, 2, 7)))

        def made():
            try:
                self.kafka.topic(topic.name, dice.choice((topic.partitions, topic.partitions // 2, topic.partitions + 3)))
            except Failed as failure:
                if "exists already" not in str(failure) and "delet" not in str(failure):
                    raise
                return False
            return True
        until("the topic is made again", made, step=0.2)
        self.run.count("topics_remade")

    def all_up(self):
        for number in sorted(self.down):
            state = next(one for one in json.loads(self.kafka.call("status", "--json"))["brokers"] if one["id"] == number)
            if state["state"] == "paused":
                self.kafka.call("resume", number)
        self.kafka.call("start")
        self.down.clear()
        self.whole()
