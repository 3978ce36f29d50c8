# SPDX-License-Identifier: Apache-2.0
"""What the tests of the whole agent share: real processes, started and ended by pid in a folder of their own.

The oracle is one rule: an application that writes through one ring to a topic must find in each partition exactly its
own records of that partition, in its own order. That one comparison sees loss, duplicates and disorder at once.
"""
import collections
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("SL_BUILD", TOP / "build"))
SLUICED, SLUICE, DEVBROKER = BUILD / "agent/sluiced", BUILD / "tools/sluice", BUILD / "tools/devbroker"
# The figures that CI cannot wait for: one million records where 200 000 show the same.
FULL = os.environ.get("SL_TEST_FULL", "") not in ("", "0")
SECONDS = int(os.environ.get("SL_TEST_SECONDS", "0"))
SKIPPED = 77
WAIT_S = 30

Record = collections.namedtuple("Record", "partition offset timestamp key value headers")
Batch = collections.namedtuple("Batch", "codec producer_id records")
Outcome = collections.namedtuple("Outcome", "code persisted failed unknown said")


class Failed(Exception):
    """What was expected, and what was seen."""


def expect(what, expected, seen):
    if expected != seen:
        raise Failed(f"{what}: expected {expected!r}, got {seen!r}")


def check(what, truth, detail=""):
    if not truth:
        raise Failed(f"{what} {detail}".rstrip())


def say(text):
    print(text, file=sys.stderr, flush=True)


def until(what, ready, seconds=WAIT_S, step=0.02):
    """The first true answer of `ready`; a test never waits for ever."""
    end = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"{what}: not after {seconds} s")
        time.sleep(step)


def keeper_pid(path):
    """Whose process listens on a keeper's socket; 0: nobody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return 0
        return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def keeper_end(path):
    """An agent that was killed leaves its keeper, which holds what the applications had."""
    pid = keeper_pid(path)
    if pid:
        os.kill(pid, signal.SIGTERM)
        until("the keeper has ended", lambda: keeper_pid(path) == 0, seconds=5)


class Place:
    """A folder and the processes begun in it; leaving it ends them all, those that hang with SIGKILL. With `keep` the
    folder stays, and what the brokers have in it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sl-"))
        self.children, self.count = [], 0
        self.kafka, self.keep = None, False
        os.environ["SLUICE_JOURNALS"] = str(self.folder / "journals")  # of stamped senders; not the user's folder

    def __enter__(self):
        # A failure between start and end must not leave brokers behind when the test is ended from outside.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_):
        self.end_all()
        if self.kafka and self.keep:
            for number in range(1, self.kafka.brokers + 1):
                self.kafka.call("kill", number)
        elif self.kafka:
            self.kafka.destroy()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def end_all(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
                child.wait()
        self.children = []
        for path in self.folder.glob("*/run/private/keeper*.sock"):
            keeper_end(path)

    def new(self, name):
        self.count += 1
        path = self.folder / f"{self.count}-{name}"
        path.mkdir()
        return path

    def spawn(self, command, **streams):
        child = subprocess.Popen([str(word) for word in command], **streams)
        self.children.append(child)
        return child


class Agent:
    """One sluiced. `settings` is a mapping of the configuration's keys; nested ones and lists are written as JSON,
    which is YAML."""

    def __init__(self, place, bootstrap, settings=None, folder=None):
        self.place, self.child = place, None
        self.program = SLUICED
        self.folder = folder or place.new("agent")
        self.settings = {"bootstrap.servers": bootstrap, "runtime.dir": str(self.folder / "run"),
                         "retry.backoff.ms": 20, "reconnect.backoff.max.ms": 200, **(settings or {})}
        self.file, self.log = self.folder / "sluiced.yaml", self.folder / "log"
        self.socket = self.folder / "run" / "agent.sock"

    def configure(self, **changes):
        self.settings.update({key.replace("_", "."): value for key, value in changes.items()})
        self.file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in self.settings.items()),
                             encoding="utf-8")

    def launch(self, *options):
        """Starts it without a wait. The log of an earlier start stays."""
        self.configure()
        with open(self.log, "ab") as log:
            self.log_begin = log.tell()
            self.child = self.place.spawn([self.program, "-c", self.file, *options], stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, env={**os.environ, "NOTIFY_SOCKET": ""})

    def start(self, *options):
        self.launch(*options)

        def ready():
            if self.child.poll() is not None:
                raise Failed(f"sluiced ended with {self.child.returncode}: {self.said()[-2000:]}")
            return re.search(r"^ready socket=\S+ workers=\d+$", self.said(), re.M)
        until("sluiced is ready", ready)
        return self

    def said(self):
        """The log since the last start."""
        with open(self.log, "rb") as log:
            log.seek(self.log_begin)
            return log.read().decode(errors="replace")

    def status(self):
        done = subprocess.run([SLUICE, "status", "--json", "-s", self.socket], capture_output=True, check=False,
                              timeout=WAIT_S)
        if done.returncode != 0:
            raise Failed(f"sluice status: {done.returncode} {done.stderr.decode()}; agent {self.child.poll()}: "
                         f"{self.said()[-1500:]}")
        status = json.loads(done.stdout)
        ledger = status["ledger"]
        expect("the ledger's law", ledger["in"],
               sum(ledger[name] for name in ("persisted", "failed", "unknown", "dropped", "queued")))
        return status

    def ledger(self):
        return self.status()["ledger"]

    def counter(self, name):
        return sum(worker[name] for worker in self.status()["workers"])

    def signal_hup(self):
        """A reload that must succeed."""
        before = self.said().count("reloaded ")
        self.signal(signal.SIGHUP)
        until("reload", lambda: self.said().count("reloaded ") > before, seconds=5)

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=WAIT_S):
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"sluiced lives {seconds} s after it was asked to end: {self.said()[-1500:]}") from late

    def stop(self, code=0):
        self.signal(signal.SIGTERM)
        expect("exit code of sluiced", code, self.wait(40))

    def alive(self):
        if self.child.poll() is not None:
            raise Failed(f"sluiced died with {self.child.returncode}: {self.said()[-2000:]}")

    # ---- applications ----

    def feed(self, topic, *options, stdin=subprocess.PIPE):
        """A `sluice produce` that is still running; finish it with `outcome`."""
        said = tempfile.TemporaryFile(dir=self.folder)
        child = self.place.spawn([SLUICE, "produce", "-s", self.socket, "-t", topic, *options], stdin=stdin,
                                 stdout=said, stderr=said)
        child.said = said
        return child

    def outcome(self, child, seconds=120):
        if child.stdin and not child.stdin.closed:
            try:
                child.stdin.close()
            except BrokenPipeError as early:
                child.said.seek(0)
                raise Failed(f"sluice produce ended early with {child.wait(seconds)}: "
                             f"{child.said.read().decode(errors='replace')[-1500:]}") from early
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"sluice produce hangs: {self.ledger()} {self.said()[-1500:]}") from late
        child.said.seek(0)
        text = child.said.read().decode(errors="replace")
        found = re.search(r"^(\d+) persisted, (\d+) failed, (\d+) unknown$", text, re.M)
        counts = [int(count) for count in found.groups()] if found else [-1] * 3
        return Outcome(child.returncode, *counts, text)

    def produce(self, topic, data, *options, seconds=120):
        path = self.folder / "input"
        path.write_bytes(data)
        with open(path, "rb") as source:
            child = self.feed(topic, *options, stdin=source)
        return self.outcome(child, seconds)

    def produce_all(self, topic, records, *options, seconds=120):
        """Keyed records as lines, each of which must be persisted."""
        done = self.produce(topic, lines(records), "-K", "\\t", *options, seconds=seconds)
        all_persisted(done, len(records))
        return done


class Stream:
    """An application that writes keyed records at a steady rate, in a thread, until `finish`."""

    def __init__(self, agent, topic, rate, keys=300):
        self.agent, self.rate = agent, rate
        self.sent, self.over = [], threading.Event()
        self.keys, self.seen = keys, [0] * keys
        self.child = agent.feed(topic, "-K", "\\t")
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _slice(self, count):
        rows = []
        for n in range(len(self.sent), len(self.sent) + count):
            which = n * 7919 % self.keys
            rows.append((b"key-%d" % which, b"%d.%d" % (n, self.seen[which])))
            self.seen[which] += 1
        return rows

    def _write(self):
        begin = time.monotonic()
        while not self.over.is_set():
            due = int((time.monotonic() - begin) * self.rate) - len(self.sent)
            if due > 0:
                rows = self._slice(min(due, self.rate))
                try:
                    self.child.stdin.write(lines(rows))
                    self.child.stdin.flush()
                except (BrokenPipeError, ValueError):
                    return
                self.sent += rows
            time.sleep(0.01)

    def pause_until_more(self, count):
        """Returns once so many more records were written."""
        goal = len(self.sent) + count
        until(f"{count} more records are written", lambda: len(self.sent) >= goal)

    def finish(self, seconds=60):
        self.over.set()
        self.thread.join(seconds)
        if self.thread.is_alive():
            raise Failed(f"the application is stuck in writing: {self.agent.ledger()}")
        return self.agent.outcome(self.child, seconds)


def all_persisted(done, count):
    expect(f"outcome of {count} records ({done.said[-300:]})", (0, count, 0, 0), done[:4])


class Bench:
    """`sluice bench`, which counts the outcome of each record by itself."""

    def __init__(self, agent, topic, *options):
        self.result = agent.folder / f"{topic}.json"
        self.child = agent.place.spawn([SLUICE, "bench", "-s", agent.socket, "-t", topic, "--json", self.result,
                                        *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def running(self):
        return self.child.poll() is None

    def finish(self, seconds=120):
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed("sluice bench hangs") from late
        return code, json.loads(self.result.read_text())


class Devbroker:
    def __init__(self, place, *options):
        self.place, self.options = place, options
        self.folder = place.new("devbroker")
        self.address = "127.0.0.1:0"
        self.start()

    def start(self, *options):
        """Again on the address that it had, with nothing in its logs."""
        out = self.folder / "out"
        with open(out, "wb") as stdout, open(self.folder / "log", "wb") as log:
            self.child = self.place.spawn([DEVBROKER, "-q", "-l", self.address, *self.options, *options],
                                          stdout=stdout, stderr=log)
        found = until("devbroker is ready", lambda: re.search(r"^ready bootstrap=(\S+)", out.read_text()))
        self.bootstrap = found.group(1)
        self.address = self.bootstrap.split(",")[0]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(WAIT_S)
        return (self.folder / "out").read_text()

    def kill(self):
        self.child.kill()
        self.child.wait()


class Kafka:
    """Three brokers of the real thing through tools/kafka."""

    def __init__(self, place, brokers=3, settings=(), port=None):
        self.place, self.brokers = place, brokers
        self.folder = place.folder / "kafka"
        if subprocess.run([TOP / "tools/setup", "--with", "kafka"], stdin=subprocess.DEVNULL, check=False).returncode:
            say("SKIPPED: Apache Kafka cannot be installed here")
            sys.exit(SKIPPED)
        place.kafka = self
        words = [word for setting in settings for word in ("--set", setting)]
        self.bootstrap = self.call("start", "--brokers", brokers, "--port", port or free_port(), *words).strip()
        self.class_path = self.call("class-path").strip()

    def call(self, *words):
        done = subprocess.run([str(word) for word in (TOP / "tools/kafka", "--dir", self.folder, *words)],
                              capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or done.returncode == 1 and words[0] != "status":
            raise Failed(f"tools/kafka {words}: {done.stderr}")
        return done.stdout

    def topic(self, name, partitions, *settings, replication=3):
        words = [word for setting in settings for word in ("--set", setting)]
        self.call("topic", "create", name, partitions, replication, *words)
        return name

    def leader(self, topic, partition=0):
        topics = json.loads(self.call("topics", "--json"))
        return next(item["leader"] for one in topics if one["name"] == topic
                    for item in one["partitions"] if item["partition"] == partition)

    def partition_count(self, topic):
        return sum(len(one["partitions"]) for one in json.loads(self.call("topics", "--json")) if one["name"] == topic)

    def destroy(self):
        self.call("destroy")


def free_port():
    done = subprocess.run(["bash", "-c", f"source {HERE}/lib.sh; trap - EXIT; rm -rf $work; free_port"],
                          capture_output=True, text=True, check=True)
    return int(done.stdout)


def java(class_path, program, *words, data=b""):
    command = ["java", "-XX:+UseSerialGC", "-cp", class_path, HERE / "java" / f"{program}.java", *words]
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{program}: {done.stderr.decode()[-1000:]}")
    return done.stdout


def java_partitions(class_path, keys, count):
    """What the Java producer would choose for each of the (distinct) keys."""
    said = java(class_path, "Partition", count, data="".join(key.hex() + "\n" for key in keys).encode())
    return dict(zip(keys, (int(line) for line in said.split()), strict=True))


# ---- records ----

def keyed(count, keys, seed=""):
    """(key, value) pairs; the value says which record of all and of its key it is."""
    seen = [0] * keys
    rows = []
    for n in range(count):
        which = n * 7919 % keys
        rows.append((b"key-%d" % which, b"%s%d.%d" % (seed.encode(), n, seen[which])))
        seen[which] += 1
    return rows


def lines(records):
    return b"".join(b"%s\t%s\n" % row for row in records)


def _unescape(text):
    return None if text == "null" else b"" if text == "-" else bytes.fromhex(text)


def read_java(class_path, bootstrap, *topics):
    """topic → everything in it by the Java consumer, headers and timestamps exact."""
    found = {topic: [] for topic in topics}
    for line in java(class_path, "Reader", bootstrap, *topics).decode().splitlines():
        topic, partition, offset, timestamp, key, value, headers = line.split(" ")
        pairs = [] if headers == "-" else [item.split("=") for item in headers.split(",")]
        found[topic].append(Record(int(partition), int(offset), int(timestamp), _unescape(key), _unescape(value),
                                   [(_unescape(name), _unescape(content)) for name, content in pairs]))
    return found


_HEAD = re.compile(rb"(\d+) (\d+) (-?\d+) (-?\d+) (-?\d+)\n")


def read_kcat(bootstrap, topic, tries=1):
    """Everything in a topic by kcat (librdkafka), which checks each CRC; lengths come first, so any byte may follow.

    Through a broker that lies to readers too it takes several tries until kcat has an answer to each question.
    """
    command = ["kcat", "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-X", "check.crcs=true",
               "-X", "socket.timeout.ms=5000", "-X", "fetch.wait.max.ms=10", "-f", "%p %o %T %K %S\\n%k%s\\n"]
    why = ""
    for _ in range(tries):
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=60 if tries == 1 else 4)
        except subprocess.TimeoutExpired:
            why = "it hangs"
            continue
        if done.returncode == 0:
            break
        why = done.stderr.decode()
    else:
        raise Failed(f"kcat -C {topic}: {why}")
    data, at, rows = done.stdout, 0, []
    while at < len(data):
        head = _HEAD.match(data, at)
        if not head:
            raise Failed(f"kcat's output at {at}: {data[at:at + 80]!r}")
        partition, offset, timestamp, key_bytes, value_bytes = (int(number) for number in head.groups())
        middle = head.end() + max(key_bytes, 0)
        end = middle + max(value_bytes, 0)
        rows.append(Record(partition, offset, timestamp, None if key_bytes < 0 else data[head.end():middle],
                           None if value_bytes < 0 else data[middle:end], []))
        at = end + 1
    return rows


def log_batches(kafka, topic):
    """The heads of the batches in a topic's segments, as the first replicas keep them on disk."""
    found = []
    for number in range(kafka.partition_count(topic)):
        folder = next(kafka.folder.glob(f"broker-*/data/{topic}-{number}"))
        for segment in sorted(folder.glob("*.log")):
            data, at = segment.read_bytes(), 0
            while at + 61 <= len(data) and data[at + 16] == 2:
                size, attributes = struct.unpack_from(">8xi9xh", data, at)[:2]
                producer_id, = struct.unpack_from(">q", data, at + 43)
                count, = struct.unpack_from(">i", data, at + 57)
                found.append(Batch(attributes & 7, producer_id, count))
                at += 12 + size
    return found


def by_partition(rows):
    """partition → [(key, value)…] in the order of offsets."""
    found = collections.defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.partition, row.offset)):
        found[row.partition].append((row.key, row.value))
    return dict(found)


def first_difference(expected, seen):
    for index, (left, right) in enumerate(zip(expected, seen)):
        if left != right:
            return f"at {index}: expected {left}, got {right}"
    return f"{len(expected)} expected, {len(seen)} found"


def difference(expected, seen):
    """A sentence that says what kind of harm was done, for people."""
    want, have = collections.Counter(expected), collections.Counter(seen)
    lost, extra = want - have, have - want
    return (f"lost {sum(lost.values())} {list(lost)[:3]}, extra {sum(extra.values())} {list(extra)[:3]}, "
            f"first difference {first_difference(expected, seen)}")


def same_by_partition(records, partition_of, rows):
    """The oracle: each partition holds exactly the records whose key belongs there, in the order of the application."""
    want = collections.defaultdict(list)
    for key, value in records:
        want[partition_of[key]].append((key, value))
    have = by_partition(rows)
    expect("partitions in use", sorted(want), sorted(have))
    for partition, expected in want.items():
        if have[partition] != expected:
            raise Failed(f"partition {partition}: {difference(expected, have[partition])}")


def order_per_key(rows, records):
    """Where partitions are not known: each record once, and each key's in order, in one partition."""
    keys, places = collections.defaultdict(list), collections.defaultdict(set)
    for row in sorted(rows, key=lambda row: (row.partition, row.offset)):
        keys[row.key].append(row.value)
        places[row.key].add(row.partition)
    want = collections.defaultdict(list)
    for key, value in records:
        want[key].append(value)
    for key, values in want.items():
        if keys.get(key, []) != values:
            raise Failed(f"key {key}: {difference(values, keys.get(key, []))}")
    expect("records in the topic", len(records), len(rows))
    expect("keys in more than one partition", [], [key for key, seen in places.items() if len(seen) > 1])


def broken_core():
    """A crash of the agent must be seen as a signal, quickly, not as minutes of writing a core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(cases, place, *arguments):
    """Runs the cases (those named on the command line, if any) and returns the exit status."""
    broken_core()
    wanted = sys.argv[1:]
    failures = []
    for case in cases:
        name = case.__name__
        if wanted and not any(word in name for word in wanted):
            continue
        begin = time.monotonic()
        try:
            told = case(place, *arguments)
            say(f"ok      {name} {time.monotonic() - begin:.1f} s{': ' + told if told else ''}")
        except (Failed, subprocess.TimeoutExpired, OSError) as failure:
            failures.append(name)
            say(f"FAILED  {name} {time.monotonic() - begin:.1f} s: {failure}")
            for log in sorted(place.folder.glob("*-agent/log"), key=lambda path: path.stat().st_mtime)[-1:]:
                say("        " + "\n        ".join(log.read_text(errors="replace").splitlines()[-12:]))
        finally:
            place.end_all()
    say(f"{len(failures)} failed" + (": " + ", ".join(failures) if failures else ""))
    return 1 if failures else 0
