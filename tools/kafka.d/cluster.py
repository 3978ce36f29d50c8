# SPDX-License-Identifier: Apache-2.0
"""A cluster: a folder with cluster.json and one folder a broker."""
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import jars
import wire
from broker import Broker

BROKERS_MAX = 5
SERVE_S_MAX = 120
PORT_DEFAULT = 19090


class ClusterError(Exception):
    """Says what a person has to know."""


def folder_default():
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return pathlib.Path(os.environ.get("SLUICE_KAFKA_DIR") or pathlib.Path(base) / "sluice" / "kafka")


class Cluster:
    def __init__(self, folder, description):
        self.folder = folder
        self.brokers = description["brokers"]
        self.port = description["port"]
        self.host = description["host"]
        self.cluster_id = description["cluster_id"]
        self.settings = description["settings"]

    @classmethod
    def load(cls, folder):
        try:
            return cls(folder, json.loads((folder / "cluster.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    @staticmethod
    def new_id():
        """Kafka's Uuid: 16 bytes in URL-safe base 64. It refuses one that begins with a dash."""
        while True:
            text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            if not text.startswith("-"):
                return text

    def save(self):
        description = {key: getattr(self, key) for key in ("brokers", "port", "host", "cluster_id", "settings")}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "cluster.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    @contextlib.contextmanager
    def locked(self):
        """Two commands on one cluster wait for each other."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def broker(self, number):
        if not 1 <= number <= self.brokers:
            raise ClusterError(f"there is no broker {number}: the cluster in {self.folder} has 1 to {self.brokers}")
        return Broker(self, number)

    def all(self):
        return [Broker(self, number) for number in range(1, self.brokers + 1)]

    def running(self):
        return [broker for broker in self.all() if broker.state() == "running"]

    def controller_port(self, number):
        """Above every broker port, so a cluster takes P+1 to P+10 and clusters ten ports apart never meet."""
        return self.port + BROKERS_MAX + number

    def voters(self):
        return ",".join(f"{n}@{self.host}:{self.controller_port(n)}" for n in range(1, self.brokers + 1))

    def bootstrap(self):
        return ",".join(broker.endpoint() for broker in self.all())

    def ports_check(self, brokers):
        for broker in brokers:
            for port in (broker.address[1], broker.controller_port):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        probe.bind((self.host, port))
                    except OSError as error:
                        raise ClusterError(f"broker {broker.number} needs {self.host}:{port}, which cannot be had: "
                                           f"{error.strerror}; choose another --port") from error

    def start(self, brokers):
        """Starts the named brokers, those that live already left alone, and waits until all of them serve."""
        dead = [broker for broker in brokers if broker.pid() is None]
        self.ports_check(dead)
        self.save()
        for broker in dead:
            broker.prepare(bootstrap_checkpoint())
            broker.launch()
        self.wait_serving(brokers)

    def wait_serving(self, brokers):
        """A broker serves when it answers and knows every broker that runs; a listening port alone means little."""
        want = {broker.number for broker in self.running()}
        end = time.monotonic() + SERVE_S_MAX
        for broker in brokers:
            while not self._serves(broker, want):
                if broker.pid() is None:
                    raise ClusterError(f"broker {broker.number} ended; {broker.log_file} ends with\n{broker.log_tail()}")
                if time.monotonic() > end:
                    raise ClusterError(f"broker {broker.number} does not serve after {SERVE_S_MAX} s "
                                       f"(brokers running: {sorted(want)}); {broker.log_file} ends with\n"
                                       f"{broker.log_tail()}")
                time.sleep(0.05)

    @staticmethod
    def _serves(broker, want):
        try:
            return want <= set(wire.metadata(broker.address, topics=[])["brokers"])
        except (OSError, ValueError):
            return False

    def ask_anyone(self, question):
        """Puts the question to the running brokers in turn until one answers."""
        last = None
        for broker in self.running():
            try:
                return question(broker.address)
            except OSError as error:
                last = error
        raise ClusterError(f"no running broker answers: {last}" if last else "no broker runs")

    def wait_topic(self, name, partitions):
        """Until every running broker gives each partition a leader, so that the next produce finds one."""
        end = time.monotonic() + 30
        for broker in self.running():
            while not self._topic_led(broker, name, partitions):
                if time.monotonic() > end:
                    raise ClusterError(f"topic {name}: broker {broker.number} sees no leader for each partition")
                time.sleep(0.02)

    @staticmethod
    def _topic_led(broker, name, partitions):
        try:
            topic = wire.metadata(broker.address, topics=[name])["topics"][0]
        except OSError:
            return False
        led = [item for item in topic["partitions"] if item["leader"] >= 0]
        return topic["error"] == 0 and len(led) == partitions

    def destroy(self):
        for broker in self.all():
            broker.kill()
        shutil.rmtree(self.folder)

    def pause(self, number):
        return self.broker(number).signal(signal.SIGSTOP)

    def resume(self, number):
        return self.broker(number).signal(signal.SIGCONT)


def bootstrap_checkpoint():
    """The first metadata of a cluster (its feature levels), as Kafka's own StorageTool writes it.

    It names no cluster and no node, so that one run of the tool serves all clusters of this version.
    """
    kept = jars.kafka_dir() / "bootstrap.checkpoint"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=jars.kafka_dir()) as work:
            _storage_format(pathlib.Path(work))
            os.replace(pathlib.Path(work) / "data" / "bootstrap.checkpoint", kept)
    return kept.read_bytes()


def _storage_format(work):
    properties = work / "server.properties"
    properties.write_text("process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n"
                          "controller.listener.names=CONTROLLER\n"
                          "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n"
                          f"log.dirs={work / 'data'}\n", encoding="utf-8")
    done = subprocess.run([jars.java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars.class_path(),
                           "kafka.tools.StorageTool", "format", "-t", Cluster.new_id(), "-c", str(properties)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError("kafka.tools.StorageTool failed:\n" + done.stdout[-1000:] + done.stderr[-1000:])
