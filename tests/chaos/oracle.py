# SPDX-License-Identifier: Apache-2.0
"""What a topic holds after a run, by `sluice verify` and by a count of kcat against the journals."""
import json
import subprocess

import journals
from sluice import SLUICE, Failed

VERIFY_S, COUNT_S = 600, 600
CLEAN, VIOLATED = 0, 1


def kcat_count(bootstrap, topic):
    """Records in a topic by a consumer that is not ours, which checks each CRC."""
    command = ["kcat", "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-X", "check.crcs=true", "-f", "%p\\n"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        count = sum(piece.count(b"\n") for piece in iter(lambda: reader.stdout.read(1 << 20), b""))
        if reader.wait(COUNT_S) != 0:
            raise Failed(f"kcat -C {topic} ended with {reader.returncode}")
    return count


def verify(bootstrap, folder, topic):
    command = [SLUICE, "verify", "-b", bootstrap, "-t", topic, "--journal", folder, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=VERIFY_S)
    if not done.stdout.startswith("{"):
        raise Failed(f"sluice verify -t {topic}: {done.returncode} {done.stderr[-500:]}")
    return done.returncode, json.loads(done.stdout)


def _count_wrong(topic, count, sent):
    """Bounds from the journals alone. What was in hand when its sender was killed, or is unknown, may be there or not."""
    least = sent["committed"] - sent["failed"] - sent["unknown"] - sent["dropped"]
    most = sent["claimed"] - sent["failed"] - sent["dropped"]
    if count < least and "lost" not in topic.may:
        return f"kcat finds {count} records in {topic.name}, of at least {least}"
    if count > most and "doubled" not in topic.may:
        return f"kcat finds {count} records in {topic.name}, of at most {most}"
    return None


def judge(bootstrap, folder, topic):
    """(what was found, as for a summary; what is wrong, as sentences)."""
    code, verdict = verify(bootstrap, folder, topic.name)
    count = kcat_count(bootstrap, topic.name)
    sent = journals.total(one for one in journals.read_all(folder) if one.topic == topic.name)
    defects = {name: one["count"] for name, one in verdict["defects"].items() if one["count"]}
    wrong = [f"verify, {topic.name}: {number} {name}, first {verdict['defects'][name]}"
             for name, number in defects.items() if name not in topic.may]
    if code not in (CLEAN, VIOLATED):
        wrong.append(f"verify, {topic.name}: undecided {verdict['undecided']}")
    if count != verdict["records"]:
        wrong.append(f"kcat finds {count} records in {topic.name}, verify {verdict['records']}")
    wrong.append(_count_wrong(topic, count, sent))
    if topic.silent and sent["persisted"]:
        wrong.append(f"{sent['persisted']} records of {topic.name} are persisted, which nobody has said")
    found = {"verify": verdict["verdict"], "kcat": count, **sent, "unknown_present": verdict["unknown"]["present"],
             "unknown_absent": verdict["unknown"]["absent"], "defects": defects}
    return found, [sentence for sentence in wrong if sentence]
