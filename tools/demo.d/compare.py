# SPDX-License-Identifier: Apache-2.0
"""What was sent against what was read back. Knows nothing of agents and brokers: bytes in, findings out."""
import collections
import hashlib
import re

# kcat's -f: sizes before contents, so that any bytes may stand in a key or value.
KCAT_FORMAT = "%p %o %K %S %k%s\n"
KCAT_FORMAT_NO_VALUE = "%p %o %K %S %k\n"

Record = collections.namedtuple("Record", "partition offset key value value_bytes")
HEAD = re.compile(rb"(\d+) (\d+) (-?\d+) (-?\d+) ")


class Malformed(Exception):
    """What kcat wrote is not in the format that was asked for."""


def read_back(data, values=True):
    """The records in kcat's output. A null key or value is None."""
    records, at = [], 0
    while at < len(data):
        head = HEAD.match(data, at)
        if not head:
            raise Malformed(f"no record at byte {at}: {data[at:at + 40]!r}")
        partition, offset, key_bytes, value_bytes = (int(part) for part in head.groups())
        key_at = head.end()
        value_at = key_at + max(key_bytes, 0)
        end = value_at + (max(value_bytes, 0) if values else 0)
        if data[end:end + 1] != b"\n":
            raise Malformed(f"the record at byte {at} does not end where its sizes say")
        records.append(Record(partition, offset, data[key_at:value_at] if key_bytes >= 0 else None,
                              data[value_at:end] if values and value_bytes >= 0 else None, value_bytes))
        at = end + 1
    return records


def sent_lines(data):
    """(key, value) of each `key TAB value` line. Only a newline ends a line: values may hold a carriage return."""
    return [tuple(line.split(b"\t", 1)) for line in data.removesuffix(b"\n").split(b"\n")] if data else []


def by_key(pairs):
    """key -> its values, in order."""
    found = collections.defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def digest(pairs):
    """Of keys and their values in order, whatever the order between keys."""
    total = hashlib.sha256()
    for key, values in sorted(by_key(pairs).items()):
        total.update(b"%d:%s%d;" % (len(key), key, len(values)))
        for value in values:
            total.update(b"%d:%s" % (len(value), value))
    return total.hexdigest()


def wrong_offsets(records):
    """A fresh topic's partitions hold 0, 1, 2, ... without a gap."""
    counts = collections.Counter(record.partition for record in records)
    lasts = collections.defaultdict(lambda: -1)
    for record in records:
        lasts[record.partition] = max(lasts[record.partition], record.offset)
    return [f"partition {partition}: {count} records, but its last offset is {lasts[partition]}"
            for partition, count in sorted(counts.items()) if lasts[partition] != count - 1]


def wrong_partitions(records):
    """Each key lives in one partition."""
    homes = collections.defaultdict(set)
    for record in records:
        homes[record.key].add(record.partition)
    return [f"key {key!r} is in partitions {sorted(where)}" for key, where in homes.items() if len(where) > 1]


def exact(sent, records):
    """Findings, at best none: every record once, each key in one partition, each key's values in the order sent."""
    wrong = wrong_offsets(records) + wrong_partitions(records)
    records = sorted(records, key=lambda record: (record.partition, record.offset))
    want, have = by_key(sent), by_key((record.key, record.value) for record in records)
    for key in want.keys() | have.keys():
        if want.get(key) == have.get(key):
            continue
        lost = collections.Counter(want.get(key, ())) - collections.Counter(have.get(key, ()))
        more = collections.Counter(have.get(key, ())) - collections.Counter(want.get(key, ()))
        what = f"{lost.total()} lost, {more.total()} too many" if lost or more else "in another order"
        wrong.append(f"key {key!r}: {len(want.get(key, ()))} sent, {len(have.get(key, ()))} read back, {what}")
    return wrong


def sizes(count, key_bytes, value_bytes, records):
    """Findings for a stream of which only number and sizes are known."""
    wrong = wrong_offsets(records) + wrong_partitions(records)
    if len(records) != count:
        wrong.append(f"{count} sent, {len(records)} read back")
    odd = sum(len(record.key or b"") != key_bytes or record.value_bytes != value_bytes for record in records)
    if odd:
        wrong.append(f"{odd} records are not of {key_bytes} + {value_bytes} bytes")
    return wrong


def spread(records):
    """[(partition, records, different keys)]"""
    counts, keys = collections.Counter(), collections.defaultdict(set)
    for record in records:
        counts[record.partition] += 1
        keys[record.partition].add(record.key)
    return [(partition, counts[partition], len(keys[partition])) for partition in sorted(counts)]
