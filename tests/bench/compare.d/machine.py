# SPDX-License-Identifier: Apache-2.0
"""Processes and the CPU they use, and the CPU that others use meanwhile."""
import os
import pathlib
import platform
import resource
import signal
import subprocess
import time

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A run that cannot be counted, with its reason."""


def placed(core):
    """What a child does before it becomes its program: it stays on that core."""
    return None if core is None else lambda: os.sched_setaffinity(0, {core})


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(words, core, limit_s, environment=None):
    """Runs a program to its end; returns what it printed and the CPU seconds it used from its start."""
    before_s = children_cpu_s()
    try:
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=limit_s, preexec_fn=placed(core), env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{words[0]} did not end within {limit_s} s") from late
    if done.returncode != 0:
        raise Failed(f"{words[0]} exited {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout, children_cpu_s() - before_s


class Service:
    """A program that runs beside; ready once a line that begins with `ready` comes."""

    def __init__(self, words, core, log, limit_s=20):
        self.log = pathlib.Path(log)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, preexec_fn=placed(core))
        self.ready = self._wait_ready(words[0], limit_s)

    def _wait_ready(self, name, limit_s):
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s and self.process.poll() is None:
            for line in self.lines():
                if line.startswith("ready "):
                    return line
            time.sleep(0.02)
        self.stop()
        raise Failed(f"{name} did not get ready: {' | '.join(self.lines()[-3:])}")

    def lines(self):
        return self.log.read_text(errors="replace").splitlines()

    def stop(self, limit_s=35):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def process_cpu_s(pid):
    """User and system time of all threads of a process, those that ended too."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def threads_cpu_s(pid):
    """The same of the living threads, to the nanosecond."""
    total_ns = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns * 1e-9


def _machine_busy_s():
    user, nice, system, _, _, irq, softirq, steal = (
        int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_S


class OutsideLoad:
    """How much of one core anything but the named processes and our own children used; stolen time counts."""

    def __init__(self):
        self.start_s, self.busy_s, self.own_s = time.monotonic(), _machine_busy_s(), self._own_s()
        self.services = {}

    @staticmethod
    def _own_s():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime + children_cpu_s()

    def watch(self, pid):
        self.services[pid] = process_cpu_s(pid)

    def share(self):
        """To be asked while the watched still run, for their time moves to ours when they are waited for."""
        ours_s = self._own_s() - self.own_s
        ours_s += sum(process_cpu_s(pid) - before_s for pid, before_s in self.services.items())
        used_s = _machine_busy_s() - self.busy_s - ours_s
        return max(0.0, used_s / (time.monotonic() - self.start_s))


def describe():
    cpu = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
