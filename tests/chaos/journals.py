# SPDX-License-Identifier: Apache-2.0
"""The senders' journals (tools/sluice/journal.h), read by code that is not that of `sluice verify`."""
import collections
import struct

MAGIC, VERSION = b"SLUICEJ\n", 1
RUNNING, ENDED, ENDED_OPEN = range(3)
_HEAD = struct.Struct("<8sI")
_PID, _TOPIC, _CLAIMED, _PERSISTED, _END = 48, 120, 384, 464, 520  # places in struct journal_file

Journal = collections.namedtuple("Journal", "topic pid claimed committed persisted failed unknown dropped end")


def read(path):
    with open(path, "rb") as file:
        data = file.read(4096)
    if len(data) < 4096 or _HEAD.unpack_from(data) != (MAGIC, VERSION):
        return None  # its sender is only making it
    pid, = struct.unpack_from("<Q", data, _PID)
    topic = data[_TOPIC:_TOPIC + 256].split(b"\0")[0].decode()
    claimed, committed = struct.unpack_from("<QQ", data, _CLAIMED)
    persisted, failed, unknown, dropped = struct.unpack_from("<4Q", data, _PERSISTED)
    end, = struct.unpack_from("<Q", data, _END)
    return Journal(topic, pid, claimed, committed, persisted, failed, unknown, dropped, end)


def read_all(folder):
    found = (read(path) for path in sorted(folder.glob("*.journal")))
    return [journal for journal in found if journal]


def total(journals):
    """Sums by name, without what cannot be summed."""
    journals = list(journals)
    names = ("claimed", "committed", "persisted", "failed", "unknown", "dropped")
    return {name: sum(getattr(journal, name) for journal in journals) for name in names}
