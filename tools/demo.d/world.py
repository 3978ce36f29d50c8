# SPDX-License-Identifier: Apache-2.0
"""The processes of a demo: a broker, an agent, and the commands that are run against them. What is started here is
ended here, by its pid."""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
START_S, COMMAND_S, END_S = 30, 180, 40


class DemoError(Exception):
    """Something that the demo needs did not work."""


class World:
    """Use it with `with`: the end of the block ends every process and removes the folder."""

    def __init__(self, build, say):
        self.build, self.say = pathlib.Path(build), say
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="sluice-demo-"))
        os.environ["SLUICE_JOURNALS"] = str(self.work / "journals")  # of stamped senders
        self.children = []
        self.kafka_dir = None
        self.bootstrap = self.agent = None
        self.socket = self.work / "run" / "agent.sock"

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        # A second Ctrl-C must not leave half of it standing.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in reversed(self.children):
            self._end(child)
        if self.kafka_dir:
            self._kafka("destroy", check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    def path(self, program):
        path = self.build / program
        if not path.exists():
            raise DemoError(f"{path} is missing: run tools/build")
        return str(path)

    # ---- processes ----

    def _spawn(self, name, command, **streams):
        # A session of its own: Ctrl-C reaches this process only, which then ends the others in order.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **streams)
        child.name = name
        self.children.append(child)
        return child

    def _end(self, child):
        """Its exit status; kills it when it does not end by itself."""
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return child.returncode

    def _wait(self, child, log, sign):
        """The line of the log that begins with sign."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith(sign):
                    return line
            if child.poll() is not None:
                raise DemoError(f"{child.name} ended with status {child.returncode}:\n{self.tail(log)}")
            time.sleep(0.02)
        raise DemoError(f"{child.name} is not ready after {START_S} s:\n{self.tail(log)}")

    @staticmethod
    def tail(log):
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])

    def run(self, name, command, stdout=None):
        """Runs a command to its end, within COMMAND_S; DemoError when it does not end well."""
        log = self.work / f"{name}.err"
        with open(log, "wb") as errors:
            child = self._spawn(name, command, stdout=stdout or subprocess.DEVNULL, stderr=errors)
            try:
                child.wait(COMMAND_S)
            except subprocess.TimeoutExpired:
                raise DemoError(f"{name} takes more than {COMMAND_S} s") from None
        if child.returncode != 0:
            raise DemoError(f"{name} ended with status {child.returncode}:\n{self.tail(log)}")
        return log.read_text(errors="replace")

    # ---- brokers ----

    def devbroker_start(self, topics):
        log, errors = self.work / "devbroker.out", self.work / "devbroker.err"
        command = [self.path("tools/devbroker"), "-l", "127.0.0.1:0", "-n", "3"]
        for topic, partitions in topics.items():
            command += ["-t", f"{topic}:{partitions}"]
        with open(log, "wb") as out, open(errors, "wb") as err:
            child = self._spawn("devbroker", command, stdout=out, stderr=err)
        self.bootstrap = self._wait(child, log, "ready bootstrap=").partition("=")[2]

    def _kafka(self, *arguments, check=True):
        done = subprocess.run([str(TOP / "tools/kafka"), "--dir", str(self.kafka_dir), *arguments], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
        if check and done.returncode != 0:
            raise DemoError(f"tools/kafka {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout.strip()

    def kafka_start(self, topics):
        self.kafka_dir = self.work / "kafka"
        self.bootstrap = self._kafka("start", "--brokers", "3", "--port", str(free_port()))
        for topic, partitions in topics.items():
            self._kafka("topic", "create", topic, str(partitions), "3")

    # ---- the agent ----

    def agent_start(self):
        log = self.work / "sluiced.err"
        with open(log, "wb") as errors:
            self.agent = self._spawn("sluiced", [
                self.path("agent/sluiced"), "--set", f"bootstrap.servers={self.bootstrap}",
                "--set", f"runtime.dir={self.work / 'run'}"], stdout=subprocess.DEVNULL, stderr=errors)
        self._wait(self.agent, log, "ready socket=")

    def agent_end(self):
        """Ends the agent as an operator would, and returns its exit status and the ledger of its log."""
        status = self._end(self.agent)
        lines = (self.work / "sluiced.err").read_text(errors="replace").splitlines()
        ledgers = [line for line in lines if " ledger " in line]
        return status, ledgers[-1].split(" ledger ", 1)[1] if ledgers else "no ledger"

    def status(self):
        done = subprocess.run([self.path("tools/sluice"), "status", "--json", "-s", str(self.socket)], check=False,
                              capture_output=True, text=True, timeout=START_S)
        if done.returncode != 0:
            raise DemoError(f"sluice status: {done.stderr}")
        return json.loads(done.stdout)

    def sluice(self, name, command, *arguments):
        return self.run(name, [self.path("tools/sluice"), command, "-s", str(self.socket), *arguments])

    def read_back(self, topic, line_format):
        """Everything in a topic, as kcat prints it."""
        path = self.work / f"{topic}.back"
        with open(path, "wb") as out:
            self.run(f"kcat-{topic}", ["kcat", "-C", "-q", "-e", "-o", "beginning", "-b", self.bootstrap, "-t", topic,
                                       "-f", line_format], stdout=out)
        return path.read_bytes()


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    """A base with ten free ports behind it."""
    for _ in range(1000):
        base = random.randrange(15000, 30000, 10)
        if all(_is_free(base + n) for n in range(1, 11)):
            return base
    raise DemoError("no free ports")


def environment_check():
    if not shutil.which("kcat"):
        raise DemoError("kcat is missing: run tools/setup")
    if os.environ.get("SLUICE_SOCKET"):
        del os.environ["SLUICE_SOCKET"]
