# SPDX-License-Identifier: Apache-2.0
"""What happens to the agent. Each fault ends with an agent that is ready."""
import os
import re
import shutil
import signal
import subprocess
import time

from sluice import SLUICED, Agent, Failed, expect, until

KEPT, DRAINED = 75, 0  # exit codes of an orderly stop
KILL_IN_START = 0.15   # of the kills are followed by one of the successor, in its start or soon after


def another_version(program, number):
    """A build that differs in its version: the same length, so that nothing in the file moves."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    other = re.sub(r"\d$", str(number % 9 + 1), version)
    data = program.read_bytes()
    if version.encode() + b"\0" not in data:
        raise Failed(f"version {version} does not stand in {program}")
    return other, data.replace(version.encode() + b"\0", other.encode() + b"\0")


class Agents:
    """The agent of a run and its successors, all of one folder."""

    def __init__(self, run, settings):
        self.run = run
        self.agent = Agent(run.place, run.kafka.bootstrap, settings)
        self.program = self.agent.folder / "sluiced"
        shutil.copy(SLUICED, self.program)
        self.agent.program = self.program
        self.upgrades = 0
        self.agent.start()

    def faults(self):
        return {"kill": self.kill, "stop": self.stop, "upgrade": self.upgrade,
                "kill_with_application": self.kill_with_application}

    def fall(self):
        self.agent.alive()
        self.agent.child.kill()
        self.agent.child.wait()
        self.run.count("agent_kills")
        if self.run.brokers.down:
            self.run.count("agent_kills_without_broker")

    def kill(self, dice):
        self.fall()
        if dice.random() < KILL_IN_START:
            self.agent.launch()
            time.sleep(dice.random() * 0.06)
            self.fall()
            self.run.count("agent_kills_in_start")
        self.agent.start()

    def kill_with_application(self, dice):
        """An application dies while no agent lives: only the keeper has what it committed."""
        self.fall()
        time.sleep(dice.uniform(0, 0.2))
        self.run.applications.kill(dice, agent_is_dead=True)
        time.sleep(dice.uniform(0, 0.2))
        self.agent.start()

    def leave(self):
        self.agent.alive()
        self.agent.signal(signal.SIGTERM)
        code = self.agent.wait(60)
        if code not in (KEPT, DRAINED):
            raise Failed(f"sluiced was asked to end, and ended with {code}: {self.agent.said()[-1500:]}")
        self.run.count("agent_stops_kept" if code == KEPT else "agent_stops")

    def stop(self, dice):
        self.leave()
        time.sleep(dice.uniform(0, 0.5))
        self.agent.start()

    def upgrade(self, dice):
        """A new binary in the place of the old one, which runs on until it is stopped, or killed."""
        self.upgrades += 1
        version, data = another_version(SLUICED, self.upgrades)
        fresh = self.program.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.chmod(0o755)
        os.replace(fresh, self.program)
        if dice.random() < 0.5:
            self.fall()
        else:
            self.leave()
        self.agent.start()
        expect("the new binary's version", version, subprocess.run(
            [f"/proc/{self.agent.child.pid}/exe", "--version"], capture_output=True, text=True, check=True).stdout.split()[1])
        self.run.count("upgrades")

    def drained(self):
        """Waits until nothing is queued and nobody is attached, then ends it."""
        def empty():
            status = self.agent.status()
            return status["ledger"]["queued"] == 0 and not status["applications"]
        until("the agent has drained", empty, seconds=90, step=0.2)
        self.agent.stop()

    def left_behind(self):
        """Arenas that were put aside, and words of the log that no fault of ours may cause."""
        private = self.agent.folder / "run/private"
        found = [path.name for kind in ("bad", "suspect") for path in private.glob(f"*.{kind}*")]
        log = self.agent.log.read_text(errors="replace")
        return found + re.findall(r"^.*(?:ssertion|poisoned|lost=[1-9]|keeper_lost).*$", log, re.M)[:5]
