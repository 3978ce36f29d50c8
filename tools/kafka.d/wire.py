# SPDX-License-Identifier: Apache-2.0
"""Just enough of Kafka's protocol to ask a broker whether it serves, to create, widen and delete topics, and to move leaders.

Kafka's own command line tools start a JVM for each question, which costs more than the question.
Versions are the lowest that Kafka 4 still accepts: but for the quorum's they have no tagged fields.
"""
import socket
import struct

API_METADATA, API_CREATE_TOPICS, API_DELETE_TOPICS = 3, 19, 20
API_CREATE_PARTITIONS, API_ELECT_LEADERS, API_DESCRIBE_QUORUM = 37, 43, 55
METADATA_VERSION, CREATE_TOPICS_VERSION, DELETE_TOPICS_VERSION = 1, 2, 1
CREATE_PARTITIONS_VERSION, ELECT_LEADERS_VERSION, DESCRIBE_QUORUM_VERSION = 0, 0, 0
RESPONSE_BYTES_MAX = 64 << 20
ERROR_TOPIC_EXISTS = 36
ERROR_ELECTIONS = {0, 80, 84}  # done, the preferred one is not in sync, it leads already
ERROR_NAMES = {3: "unknown topic", 5: "no leader", 7: "timed out", 17: "invalid topic name",
               36: "exists already", 37: "invalid partition count", 38: "invalid replication factor",
               40: "invalid config", 42: "invalid request", 44: "policy violation",
               60: "a reassignment goes on"}


class BrokerError(Exception):
    """The broker answered with an error code."""

    def __init__(self, what, code):
        super().__init__(f"{what}: {ERROR_NAMES.get(code, 'error')} ({code})")
        self.code = code


class Reader:
    """Walks a response."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        value = struct.unpack_from(">" + fmt, self.data, self.at)[0]
        self.at += struct.calcsize(">" + fmt)
        return value

    def text(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, item):
        return [item() for _ in range(max(0, self.take("i")))]


def _text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def _exactly(sock, count):
    data = bytearray()
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the broker closed the connection")
        data += part
    return bytes(data)


def _ask(address, api, version, body, timeout_s, tagged=False):
    """One request on a connection of its own. Raises OSError when the broker cannot be asked."""
    head = struct.pack(">hhi", api, version, 1) + _text("tools-kafka") + (b"\0" if tagged else b"")
    with socket.create_connection(address, timeout=timeout_s) as sock:
        sock.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        length = struct.unpack(">i", _exactly(sock, 4))[0]
        if not 4 <= length <= RESPONSE_BYTES_MAX:
            raise ConnectionError(f"a response of {length} bytes")
        return Reader(_exactly(sock, length)[5 if tagged else 4:])


def _topic(reader):
    code, name, internal = reader.take("h"), reader.text(), reader.take("b")

    def partition():
        return {"error": reader.take("h"), "partition": reader.take("i"), "leader": reader.take("i"),
                "replicas": reader.array(lambda: reader.take("i")), "isr": reader.array(lambda: reader.take("i"))}
    partitions = sorted(reader.array(partition), key=lambda item: item["partition"])
    return {"error": code, "name": name, "internal": bool(internal), "partitions": partitions}


def metadata(address, topics=None, timeout_s=2.0):
    """What the broker knows: {"brokers": {id: "host:port"}, "controller": id, "topics": [...]}. None is every topic."""
    body = struct.pack(">i", -1) if topics is None else struct.pack(">i", len(topics)) + b"".join(map(_text, topics))
    reader = _ask(address, API_METADATA, METADATA_VERSION, body, timeout_s)

    def broker():
        number, host, port, _rack = reader.take("i"), reader.text(), reader.take("i"), reader.text()
        return number, f"{host}:{port}"
    brokers = dict(reader.array(broker))
    controller = reader.take("i")
    return {"brokers": brokers, "controller": controller, "topics": reader.array(lambda: _topic(reader))}


def topic_create(address, name, partitions, replication, configs, timeout_s=15.0):
    body = struct.pack(">i", 1) + _text(name) + struct.pack(">ihi", partitions, replication, 0)
    body += struct.pack(">i", len(configs)) + b"".join(_text(key) + _text(value) for key, value in configs)
    body += struct.pack(">ib", int(timeout_s * 1000), 0)
    reader = _ask(address, API_CREATE_TOPICS, CREATE_TOPICS_VERSION, body, timeout_s + 1)
    reader.take("i")
    for topic, code, message in reader.array(lambda: (reader.text(), reader.take("h"), reader.text())):
        if code != 0:
            raise BrokerError(f"topic {topic}" + (f": {message}" if message else ""), code)


def topic_delete(address, name, timeout_s=15.0):
    body = struct.pack(">i", 1) + _text(name) + struct.pack(">i", int(timeout_s * 1000))
    reader = _ask(address, API_DELETE_TOPICS, DELETE_TOPICS_VERSION, body, timeout_s + 1)
    reader.take("i")
    for topic, code in reader.array(lambda: (reader.text(), reader.take("h"))):
        if code != 0:
            raise BrokerError(f"topic {topic}", code)


def partitions_grow(address, name, partitions, timeout_s=15.0):
    """The topic has so many partitions from now on; Kafka refuses fewer than it has."""
    body = struct.pack(">i", 1) + _text(name) + struct.pack(">ii", partitions, -1)
    body += struct.pack(">ib", int(timeout_s * 1000), 0)
    reader = _ask(address, API_CREATE_PARTITIONS, CREATE_PARTITIONS_VERSION, body, timeout_s + 1)
    reader.take("i")
    for topic, code, message in reader.array(lambda: (reader.text(), reader.take("h"), reader.text())):
        if code != 0:
            raise BrokerError(f"topic {topic}" + (f": {message}" if message else ""), code)


def leaders_elect(address, timeout_s=15.0):
    """Each partition is led by its first replica again, where that is in sync. Returns how many moved."""
    reader = _ask(address, API_ELECT_LEADERS, ELECT_LEADERS_VERSION, struct.pack(">ii", -1, int(timeout_s * 1000)),
                  timeout_s + 1)
    reader.take("i")

    def partition():
        return reader.take("i"), reader.take("h"), reader.text()
    moved = 0
    for topic, results in reader.array(lambda: (reader.text(), reader.array(partition))):
        for number, code, _message in results:
            if code not in ERROR_ELECTIONS:
                raise BrokerError(f"election of {topic}-{number}", code)
            moved += code == 0
    return moved


def quorum_leader(address, timeout_s=2.0):
    """Number of the active controller; -1: none is elected. Metadata cannot be asked: it names any living broker."""
    name = b"__cluster_metadata"
    body = struct.pack(">BB", 2, len(name) + 1) + name + struct.pack(">BiBBB", 2, 0, 0, 0, 0)
    reader = _ask(address, API_DESCRIBE_QUORUM, DESCRIBE_QUORUM_VERSION, body, timeout_s, tagged=True)
    code = reader.take("h")
    if code == 0:
        reader.at += 1 + 1 + len(name) + 1 + 4  # one topic, its name, one partition, its number
        code, leader = reader.take("h"), reader.take("i")
    if code != 0:
        raise BrokerError("the quorum", code)
    return leader
