# SPDX-License-Identifier: Apache-2.0
"""One broker: its folder, its properties, its process.

A process is known by pid and start time together, so that a pid that the kernel gave to somebody else since
is never signalled.
"""
import os
import pathlib
import signal
import subprocess
import time

import jars

STOP_S_MAX = 30
JVM_OPTIONS = ["-Xmx512m", "-XX:+UseSerialGC"]


def _start_time(pid):
    """The process's start in clock ticks since boot, and its state letter; None when there is none."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return fields[19], fields[0]


def _thread_count(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


class Broker:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.folder = cluster.folder / f"broker-{number}"
        self.pid_file = self.folder / "pid"
        self.log_file = self.folder / "server.log"

    @property
    def address(self):
        return self.cluster.host, self.cluster.port + self.number

    @property
    def controller_port(self):
        return self.cluster.controller_port(self.number)

    def endpoint(self):
        return f"{self.address[0]}:{self.address[1]}"

    def pid(self):
        """The pid of the living process, or None. A zombie is dead once its other threads, which may hold ports
        and locks a moment longer, have ended too."""
        try:
            pid, started = self.pid_file.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return None
        now = _start_time(pid)
        if not now or now[0] != started or (now[1] in "ZX" and _thread_count(pid) <= 1):
            return None
        return int(pid)

    def state(self):
        pid = self.pid()
        if pid is None:
            return "dead"
        return "paused" if _start_time(pid)[1] in "Tt" else "running"

    def properties(self):
        cluster = self.cluster
        copies = min(3, cluster.brokers)
        host, port = self.address
        rows = {
            "process.roles": "broker,controller",
            "node.id": self.number,
            "controller.quorum.voters": cluster.voters(),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{host}:{port}",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "num.network.threads": 2,
            "num.io.threads": 2,
            "num.partitions": 3,
            "default.replication.factor": copies,
            "min.insync.replicas": 1,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 5,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 5,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "controlled.shutdown.enable": "true",
        }
        rows.update(cluster.settings)
        return "".join(f"{key}={value}\n" for key, value in rows.items())

    def prepare(self, checkpoint):
        """Formats the data folder: what StorageTool would write, without a JVM for each broker."""
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        (self.folder / "server.properties").write_text(self.properties(), encoding="utf-8")
        meta = data / "meta.properties"
        if not meta.exists():
            (data / "bootstrap.checkpoint").write_bytes(checkpoint)
            meta.write_text(f"version=1\ncluster.id={self.cluster.cluster_id}\nnode.id={self.number}\n"
                            f"directory.id={self.cluster.new_id()}\n", encoding="ascii")

    def launch(self):
        command = [jars.java(), *JVM_OPTIONS, *os.environ.get("SLUICE_KAFKA_JVM", "").split(),
                   f"-Dlog4j2.configurationFile={jars.HERE / 'log4j2.properties'}",
                   "-cp", jars.class_path(), "kafka.Kafka", str(self.folder / "server.properties")]
        with open(self.log_file, "ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     cwd=self.folder, start_new_session=True)
        started = _start_time(child.pid)
        if started is None:
            raise OSError(f"broker {self.number} ended at once: see {self.log_file}")
        self.pid_file.write_text(f"{child.pid} {started[0]}\n", encoding="ascii")

    def signal(self, number):
        pid = self.pid()
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait_gone(self, seconds):
        end = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        self.pid_file.unlink(missing_ok=True)
        return True

    def kill(self):
        self.signal(signal.SIGKILL)
        if not self.wait_gone(20):
            raise OSError(f"broker {self.number} survived SIGKILL")

    def stop(self):
        """Asks for a clean end. Returns False when it had to be killed: without a quorum a broker waits for ever."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self.wait_gone(STOP_S_MAX):
            return True
        self.kill()
        return False

    def log_tail(self, lines=15):
        try:
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
