# SPDX-License-Identifier: Apache-2.0
"""What the records are sent to, and how many of them arrived there."""
import json
import re

import machine

PARTITIONS = 3


class Devbroker:
    """A fresh devbroker for each run: nothing of one producer's is left for the next."""
    name = "devbroker"

    def __init__(self, top, folder, core):
        self.program, self.folder, self.core, self.service = top / "build/tools/devbroker", folder, core, None

    def begin(self, topic):
        self.service = machine.Service([self.program, "-l", "127.0.0.1:0", "-t", f"{topic}:{PARTITIONS}", "--trust",
                                        "--discard", "--quiet"], self.core, self.folder / "devbroker.log")
        self.topic = topic
        return self.service.ready.partition("bootstrap=")[2]

    def pids(self):
        return [self.service.process.pid]

    def end(self):
        """Stops it; returns what it counted."""
        self.service.stop()
        for line in self.service.lines():
            counts = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
            if line.startswith("topic ") and counts["name"] == self.topic:
                return {key: int(counts[key]) for key in ("records", "bytes", "batches", "duplicates", "refused")}
        raise machine.Failed("devbroker printed no statistics")

    def close(self):
        pass


class Kafka:
    """One real Kafka for all runs, with a topic for each."""
    name = "Kafka"

    def __init__(self, top, folder, core):
        self.tool, self.dir = top / "tools/kafka", folder / "kafka"
        self.command("destroy", check=False)
        self.bootstrap = self.command("start", "--port", 19490, core=core).split()[-1]

    def command(self, *words, core=None, check=True):
        try:
            return machine.run([self.tool, "--dir", self.dir, *words], core, 300)[0]
        except machine.Failed:
            if check:
                raise
            return ""

    def begin(self, topic):
        self.topic = topic
        self.command("topic", "create", topic, PARTITIONS)
        return self.bootstrap

    def pids(self):
        return [int(file.read_text().split()[0]) for file in self.dir.glob("**/pid")]

    def end(self):
        asked = [word for index in range(PARTITIONS) for word in ("-t", f"{self.topic}:{index}:-1")]
        told = machine.run(["kcat", "-Q", "-b", self.bootstrap, *asked], None, 30)[0]
        ends = re.findall(r"\[\d+\] offset (\d+)", told)
        if len(ends) != PARTITIONS:
            raise machine.Failed(f"kcat told no end offsets: {json.dumps(told)}")
        self.command("topic", "delete", self.topic)
        return {"records": sum(int(end) for end in ends)}

    def close(self):
        self.command("destroy", check=False)
