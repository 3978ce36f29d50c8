# SPDX-License-Identifier: Apache-2.0
"""What a run is made of: topics, applications, and which faults come how often."""
import dataclasses

RATE = 6000  # records a second of all applications together: three brokers share the machine with us


@dataclasses.dataclass(frozen=True)
class Topic:
    name: str
    partitions: int = 12
    rule: dict = dataclasses.field(default_factory=dict)  # its overrides of the agent's settings
    may: frozenset = frozenset()  # defects that what its acks promise does not exclude
    remade: bool = False
    flat_out: bool = False

    @property
    def silent(self):
        """Nobody says what becomes of its records."""
        return self.rule.get("acks") == "0"


@dataclasses.dataclass(frozen=True)
class Scenario:
    about: str
    topics: tuple
    applications: int = 4
    forkers: int = 0
    agents: dict = dataclasses.field(default_factory=dict)  # fault → weight
    brokers: dict = dataclasses.field(default_factory=dict)
    applications_faults: dict = dataclasses.field(default_factory=dict)
    agents_every_s: float = 1.2
    brokers_every_s: float = 12
    applications_every_s: float = 2.5
    unknown: bool = False  # faults of this kind may leave a sender without an answer though acks is all


TWO = (Topic("load", 12), Topic("side", 3))
AGENTS = {"kill": 10, "stop": 1, "upgrade": 1, "kill_with_application": 2}
BROKERS = {"kill": 6, "kill_controller": 2, "kill_two": 1, "pause": 2, "rolling": 1, "elect": 2, "grow": 1}
APPLICATIONS = {"kill": 4, "pause": 2, "leave": 1}

LEVELS = (
    Topic("acks-all", 6),
    # Two copies where an answer was lost; never out of order: one batch in flight a partition. What ends unknown and is
    # absent looks lost where its sender was killed before it heard of it; so with acks=0, where all ends unknown.
    Topic("acks-all-plain", 6, {"enable.idempotence": False}, frozenset({"doubled", "lost"})),
    # Besides: a leader that falls takes along what it alone had.
    Topic("acks-1", 6, {"acks": "1"}, frozenset({"doubled", "lost"})),
    # Never twice. Order holds while connections live, and here they do not.
    Topic("acks-0", 6, {"acks": "0"}, frozenset({"reordered", "reordered_in_key", "lost"})),
)

SCENARIOS = {
    "mixed": Scenario("everything at once, acks=all", TWO, forkers=1, agents=AGENTS, brokers=BROKERS,
                      applications_faults=APPLICATIONS, agents_every_s=3, unknown=True),
    "agents": Scenario("the agent is killed, stopped, upgraded under load", TWO, agents=AGENTS),
    "brokers": Scenario("brokers are killed, paused, restarted, leaders move", TWO, brokers=BROKERS, unknown=True),
    "applications": Scenario("applications are killed, a third of them while no agent lives", TWO, forkers=1,
                             agents={"kill_with_application": 1}, agents_every_s=5, applications_faults=APPLICATIONS),
    "flat-out": Scenario("as fast as it goes, agent and brokers killed", (Topic("flat", 6, flat_out=True),),
                         applications=1, agents={"kill": 1}, brokers={"kill": 1}, brokers_every_s=15, agents_every_s=4,
                         unknown=True),
    "levels": Scenario("what each of acks 0, 1, all promises, and no more", LEVELS, agents=AGENTS, agents_every_s=6,
                       brokers={"kill": 3, "pause": 1, "elect": 1}, applications_faults={"kill": 1}, unknown=True,
                       applications_every_s=5),
    "remade": Scenario("a topic is deleted and made again; another one does not notice",
                       (Topic("steady", 6), Topic("remade", 6, may=frozenset({"lost", "reordered", "reordered_in_key"}),
                                                  remade=True)),
                       brokers={"remake": 1}, brokers_every_s=10, unknown=True),
}
