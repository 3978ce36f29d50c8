# SPDX-License-Identifier: Apache-2.0
"""Applications that stamp what they send, and how they fall."""
import pathlib
import signal
import subprocess
import threading
import time

import journals
from sluice import BUILD, SLUICE, Failed

FORKER = BUILD / "tests/chaos/forker"
EXIT_NO_AGENT = 3
KEYS, KEY_BYTES, VALUE_BYTES = 500, 16, 100
FLAT_OUT_RECORDS = 400_000  # of one life that knows no rate
END_S = 240  # what bench itself allows for the last outcomes is more


class Application:
    """One process that sends until it is asked to end: `sluice bench`, or the one that forks all the while."""

    def __init__(self, run, topic, rate, seed, forks=False):
        self.topic, self.rate, self.forks = topic, rate, forks
        self.said = open(run.place.folder / f"application-{seed}.err", "wb")  # closed in `reap`
        if forks:
            command = [FORKER, run.agent.socket, topic, run.journals, rate, seed]
        else:
            amount = ("-d", "24h", "-r", rate) if rate else ("-n", FLAT_OUT_RECORDS)
            command = [SLUICE, "bench", "-s", run.agent.socket, "-t", topic, "-b", VALUE_BYTES, "--key-bytes", KEY_BYTES,
                       "--keys", KEYS, "--threads", 2, "--seed", seed, "--journal", run.journals, *amount]
        self.child = run.place.spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.said)

    def reap(self, seconds=END_S):
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"application {self.child.pid} on {self.topic} has no end after {seconds} s") from late
        self.said.close()
        return code

    def words(self):
        return pathlib.Path(self.said.name).read_text(errors="replace")[-500:]


class Applications:
    """Those that are there now. Each that is killed is followed by another one on its topic."""

    def __init__(self, run):
        self.run, self.lock = run, threading.RLock()
        self.living, self.paused, self.number = [], set(), 0

    def faults(self):
        return {"kill": self.kill, "pause": self.pause, "leave": self.leave}

    def start(self, topic, rate, forks=False):
        with self.lock:
            self.number += 1
            self.living.append(Application(self.run, topic, rate, self.number, forks))

    def _claimed(self, pid):
        return sum(one.claimed for one in journals.read_all(self.run.journals) if one.pid == pid)

    def _never_admitted(self, one, code):
        """No agent answered when it opened: it has sent nothing."""
        if code != EXIT_NO_AGENT or self._claimed(one.child.pid) > 0:
            return False
        self.run.count("not_admitted")
        return True

    def tend(self):
        """An application ends by itself when it has sent all it had; one that was never admitted tries again."""
        with self.lock:
            for one in [one for one in self.living if one.child.poll() is not None]:
                code = one.reap()
                self.living.remove(one)
                if self._never_admitted(one, code):
                    pass
                elif one.rate or not self.run.ends_well(one.topic, code):
                    raise Failed(f"an application on {one.topic} ended by itself with {code}: {one.words()}")
                else:
                    self.run.count("rounds")
                self.start(one.topic, one.rate, one.forks)

    def _pick(self, dice):
        with self.lock:
            free = [one for one in self.living if one not in self.paused and one.child.poll() is None]
            return dice.choice(free) if free else None

    def kill(self, dice, agent_is_dead=False):
        """kill -9; another one takes its place at once, or, while no agent lives, waits at the socket."""
        with self.lock:
            one = self._pick(dice)
            if one is None:
                return
            self.living.remove(one)
            one.child.kill()
            one.reap()
            self.run.count("app_kills")
            if agent_is_dead:
                self.run.count("app_kills_without_agent")
            self.start(one.topic, one.rate, one.forks)

    def pause(self, dice):
        """Stands still for a moment, shorter than what an agent waits for one that comes back."""
        with self.lock:
            one = self._pick(dice)
            if one is None:
                return
            self.paused.add(one)
            one.child.send_signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.3, 3))
        with self.lock:
            one.child.send_signal(signal.SIGCONT)
            self.paused.discard(one)
            self.run.count("app_pauses")

    def leave(self, dice):
        """Ends in good order, with all its outcomes; another one comes."""
        one = self._pick(dice)
        if one is None:
            return
        with self.lock:
            if one not in self.living:
                return
            self.living.remove(one)
            one.child.send_signal(signal.SIGINT)
            self.start(one.topic, one.rate, one.forks)
        code = one.reap()
        if not self._never_admitted(one, code) and not self.run.ends_well(one.topic, code):
            raise Failed(f"an application on {one.topic} left with {code}: {one.words()}")
        self.run.count("app_ends")

    def finish(self):
        """All of them end in good order; raises when one cannot."""
        with self.lock:
            for one in self.living:
                one.child.send_signal(signal.SIGCONT)
                one.child.send_signal(signal.SIGINT)
            begin = time.monotonic()
            for one in self.living:
                code = one.reap(max(1, END_S - (time.monotonic() - begin)))
                if not self._never_admitted(one, code) and not self.run.ends_well(one.topic, code):
                    raise Failed(f"an application on {one.topic} ended with {code}: {one.words()}")
            self.living = []
