# SPDX-License-Identifier: Apache-2.0
"""Many records at once, in files and never as a list: what is sent, and what each partition must then hold."""
import base64
import contextlib
import random
import subprocess
import sys

from sluice import HERE, Failed, check, expect, java_partitions

KEYS = 5000
TIMESTAMP_MS = 1_600_000_000_000
# Gives a file's lines on, so many a second.
PACED = """
import sys, time
begin, rate = time.monotonic(), int(sys.argv[2])
with open(sys.argv[1], "rb") as lines:
    for number, line in enumerate(lines):
        sys.stdout.buffer.write(line)
        if number % 1000 == 0:
            sys.stdout.flush()
            time.sleep(max(0, begin + number / rate - time.monotonic()))
"""


def _base64(data):
    return b'"%s"' % base64.b64encode(data)


def _hex(data):
    return b"null" if data is None else data.hex().encode() or b"-"


def _headers(dice):
    """None to three headers, twice: as kcat's JSON and as the Java reader prints them."""
    pairs = [(b"h%d" % n, dice.choice([b"%d" % dice.randrange(1000), b"", None])) for n in range(dice.randrange(4))]
    said = b",".join(b'"%s",%s' % (name, b"null" if value is None else b'"%s"' % value) for name, value in pairs)
    seen = b",".join(b"%s=%s" % (_hex(name), _hex(value)) for name, value in pairs)
    return b"[" + said + b"]", seen or b"-"


class Bulk:
    """`count` keyed records with headers and timestamps, the same ones in each run.

    `input` is for `sluice produce -J`. `expected` has a file a partition (Java's choice for the key): its records in
    the order of sending, which is the order of each key too, as Reader.java prints them, but for the topic.
    """

    def __init__(self, place, class_path, count, partitions):
        self.count, self.place = count, place
        folder = place.new("bulk")
        self.input = folder / "input"
        self.expected = [folder / f"partition-{n}" for n in range(partitions)]
        dice = random.Random(count)
        keys = list({b""} | {dice.randbytes(dice.randrange(2, 40)) for _ in range(KEYS)})
        keys.sort()
        chosen = java_partitions(class_path, keys, partitions)
        self._write([(_base64(key), _hex(key), chosen[key]) for key in keys], [_headers(dice) for _ in range(97)],
                    [dice.randbytes(30) + b" the same again" * (n % 8) for n in range(89)])

    def _write(self, keys, headers, fillers):
        offsets = [0] * len(self.expected)
        with contextlib.ExitStack() as files:
            said = files.enter_context(open(self.input, "wb"))
            seen = [files.enter_context(open(path, "wb")) for path in self.expected]
            for n in range(self.count):
                key_said, key_seen, partition = keys[n * 7919 % len(keys)]
                header_said, header_seen = headers[n % len(headers)]
                value = b"%d:%s" % (n, fillers[n % len(fillers)])
                stamp = TIMESTAMP_MS + n * 10 + n % 7 * 100
                said.write(b'{"key_base64":%s,"payload_base64":%s,"ts":%d,"headers":%s}\n'
                           % (key_said, _base64(value), stamp, header_said))
                seen[partition].write(b"%d %d %d %s %s %s\n" % (partition, offsets[partition], stamp, key_seen,
                                                                _hex(value), header_seen))
                offsets[partition] += 1

    def feed(self, agent, topic, rate=None):
        """A `sluice produce` of it all, `rate` a second, that is still running; finish it with Agent.outcome."""
        if rate is None:
            with open(self.input, "rb") as source:
                return agent.feed(topic, "-J", stdin=source)
        paced = self.place.spawn([sys.executable, "-c", PACED, self.input, str(rate)], stdout=subprocess.PIPE)
        with paced.stdout:
            return agent.feed(topic, "-J", stdin=paced.stdout)

    def expect_in(self, kafka, *topics):
        """Each topic holds exactly this, by the Java consumer: line against line while it reads."""
        command = ["java", "-XX:+UseSerialGC", "-cp", kafka.class_path, HERE / "java/Reader.java", kafka.bootstrap, *topics]
        with open(self.input.with_name("errors"), "w+b") as errors:
            reader = self.place.spawn(command, stdout=subprocess.PIPE, stderr=errors, bufsize=1 << 20)
            for topic in topics:
                for partition in self.expected:
                    self._expect_lines(topic, partition, reader.stdout)
            rest = reader.stdout.readline()
            errors.seek(0)
            expect(f"the reader's end, {errors.read()[-1000:]!r}", (b"", 0), (rest, reader.wait()))

    @staticmethod
    def _expect_lines(topic, path, seen):
        prefix = topic.encode() + b" "
        with open(path, "rb") as lines:
            for number, line in enumerate(lines):
                found = seen.readline()
                if found != prefix + line:
                    raise Failed(f"{topic}, record {number} of {path.name}: expected {line!r}, got {found!r}")
            check(f"{path.name} of {topic} has records", lines.tell() > 0)
