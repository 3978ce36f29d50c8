# SPDX-License-Identifier: Apache-2.0
"""Real processes for the integration tests: a broker, an agent, what status and the kernel say of them."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def fail(text):
    print(f"FAILED: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def until(what, seconds, probe):
    """probe()'s first true value; fails when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            fail(f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Process:
    """A child whose output goes to files, ended with the test."""

    def __init__(self, folder, name, command):
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.name = name
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=err)
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def text(self):
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def stop(self, sign=signal.SIGTERM, seconds=40):
        if self.alive():
            self.child.send_signal(sign)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                return -signal.SIGKILL
        return self.child.returncode


class Rig:
    """A folder of its own, a devbroker and a sluiced in it; use with `with`."""

    def __init__(self, sluiced, sluice, devbroker):
        self.programs = {"sluiced": sluiced, "sluice": sluice, "devbroker": devbroker}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sl-rig-"))
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_rest):
        for process in reversed(self.processes):
            if kind and process.name in ("agent", "broker"):
                print(f"---- {process.name}\n" + "\n".join(process.text().splitlines()[-25:]), file=sys.stderr)
            process.stop(seconds=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *command):
        process = Process(self.folder, name, [self.programs.get(command[0], command[0]), *command[1:]])
        self.processes.append(process)
        return process

    def broker(self, *options):
        self.broker_process = self.start("broker", "devbroker", "-l", "127.0.0.1:0", *options)

        def ready():
            lines = self.broker_process.out.read_text().splitlines()
            return next((line.split("=")[1] for line in lines if line.startswith("ready bootstrap=")), None)
        return until("devbroker is ready", 10, ready)

    def agent(self, *sets):
        self.socket = self.folder / "run" / "agent.sock"
        words = [word for setting in (f"runtime.dir={self.folder}/run", *sets) for word in ("--set", setting)]
        (self.folder / "run").mkdir(mode=0o755, exist_ok=True)
        os.chmod(self.folder, 0o755)  # other users may come as far as the socket
        self.agent_process = self.start("agent", "sluiced", *words)
        until("the agent is ready", 10, lambda: "ready socket=" in self.agent_process.err.read_text())
        return words

    def sluice(self, name, *arguments):
        return self.start(name, "sluice", arguments[0], "-s", self.socket, *arguments[1:])

    def status(self):
        """status --json; asked again while the agent has no place for a question."""
        def ask():
            done = subprocess.run([self.programs["sluice"], "status", "-s", self.socket, "--json"],
                                  capture_output=True, check=False)
            return json.loads(done.stdout) if done.returncode == 0 else None
        return until("status answers", 20, ask)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.agent_process.pid}/fd"))

    def rss_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.agent_process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def rss_beside_arena_bytes(self):
        """RSS of everything but the arena, whose pages are touched one by one and stay."""
        total, counted = 0, True
        for line in pathlib.Path(f"/proc/{self.agent_process.pid}/smaps").read_text().splitlines():
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                counted = "/arena-" not in line
            elif words[0] == "Rss:" and counted:
                total += int(words[1]) << 10
        return total

    def cpu_s(self):
        """CPU time of the agent's threads, in ns steps where the kernel has schedstat."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.agent_process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def switches(self):
        """How often each thread of the agent went to sleep, by name."""
        found = {}
        for task in pathlib.Path(f"/proc/{self.agent_process.pid}/task").iterdir():
            lines = (task / "status").read_text().splitlines()
            count = next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
            found[(task / "comm").read_text().strip()] = count
        return found
