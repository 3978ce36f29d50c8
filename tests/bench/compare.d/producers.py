# SPDX-License-Identifier: Apache-2.0
"""The producers that are compared: how each is built, tuned and run."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import machine

LIMIT_S = 300
PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
C_OPTIONS = ["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra"]
LIBRDKAFKA = {"acks": "all", "enable.idempotence": "true", "linger.ms": 5, "compression.codec": "none",
              "partitioner": "murmur2_random", "queue.buffering.max.kbytes": 2000000, "batch.size": 1000000}


def _stamp(paths):
    whole = hashlib.sha256()
    for path in paths:
        whole.update(pathlib.Path(path).read_bytes())
    return whole.hexdigest()[:16]


def _build(words, folder, program, cwd=None):
    """The program gets its name last, so that a build that was cut off is done again."""
    part = folder / (program.name + ".part")
    done = subprocess.run([*words, "-o", part], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise machine.Failed(f"building {program.name}: {done.stderr.strip()[-600:]}")
    part.rename(program)


class Peer:
    """A producer in one process, which measures itself between its warm-up and its end."""

    def __init__(self, name, variant, words, environment=None):
        self.name, self.variant, self.words, self.environment = name, variant, words, environment

    def measure(self, load, bootstrap, plan):
        words = [*self.words, "--bootstrap", bootstrap, "--topic", load.topic, "--warmup", plan.warmup, "--records",
                 plan.records, "--value-bytes", plan.value_bytes, "--key-bytes", load.key_bytes, "--keys", plan.keys]
        told = json.loads(machine.run(words, plan.core, LIMIT_S, self.environment)[0])
        if told["failed"] or told["ok"] != plan.warmup + plan.records:
            raise machine.Failed(f"{told['ok']} callbacks of success and {told['failed']} of failure")
        return {"application": told["cpu_ns"] / plan.records, "agent": 0.0, "version": told["version"],
                "records_per_s": plan.records / told["wall_ns"] * 1e9}


def librdkafka(cache, top):
    found = sorted((cache.parent / "bench-venv").glob("lib/python3*/site-packages/confluent_kafka.libs/librdkafka-*.so.1"))
    if not found:
        raise machine.Failed("no librdkafka; run tools/setup --with bench")
    library = found[0]
    sources = [PEERS / "rdkafka.c", PEERS / "rdkafka_abi.h"]
    program = cache / f"rdkafka-{_stamp([*sources, library])}"
    if not program.exists():
        _build(["cc", *C_OPTIONS, "-I", top, sources[0], library, f"-Wl,-rpath,{library.parent}"], cache, program)

    def variant(text, settings, *words):
        pairs = [word for pair in {**LIBRDKAFKA, **settings}.items() for word in ("--set", f"{pair[0]}={pair[1]}")]
        return Peer("librdkafka", text, [program, *pairs, *words])

    shallow = {"batch.num.messages": 10000, "queue.buffering.max.messages": 30000}
    shallowest = {"batch.num.messages": 2000, "queue.buffering.max.messages": 10000}
    return {"keyed": [variant("queue 30000", shallow), variant("queue 10000", shallowest)],
            "unkeyed": [variant("queue 30000", shallow), variant("queue 10000", shallowest),
                        variant("produce_batch without copy", shallow, "--batch", 1000)]}


def franz(cache, _top):
    """Variants: a Record allocated at a time, or 64 with one allocation."""
    go = next((place for place in (cache.parent / "bin/go", "/usr/local/go/bin/go") if os.access(place, os.X_OK)),
              shutil.which("go"))
    if not go:
        raise machine.Failed("no Go; run tools/setup --with bench")
    folder = PEERS / "franz"
    program = cache / f"franz-{_stamp(folder / name for name in ('main.go', 'go.mod', 'go.sum'))}"
    if not program.exists():
        _build([go, "build", "-mod=readonly", "-buildvcs=false"], cache, program, folder)
    tuned = [program, "--buffered", 100000, "--batch-bytes", 1000000, "--linger", "5ms"]
    both = [Peer("franz-go", "a record an allocation", tuned, {"GOGC": "400"}),
            Peer("franz-go", "64 records an allocation", [*tuned, "--slab", 64], {"GOGC": "400"})]
    return {"keyed": both, "unkeyed": both}


class Sluice:
    """An application and the agent, started anew for each run."""
    name = "Sluice"

    def __init__(self, top, folder, worker_core, settings):
        self.top, self.folder, self.worker_core, self.settings = top, folder, worker_core, settings
        self.variant = "worker anywhere" if worker_core is None else f"worker on core {worker_core}"

    def configuration(self, bootstrap):
        # JSON is YAML too.
        worker = {"core": "any" if self.worker_core is None else self.worker_core}
        return {"bootstrap.servers": bootstrap, "runtime.dir": str(self.folder / "run"), "linger.ms": 5,
                "acks": "all", "compression.type": "none", "workers": [worker]}

    def measure(self, load, bootstrap, plan):
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        (self.folder / "run").mkdir()
        file = self.folder / "agent.yaml"
        file.write_text(json.dumps(self.configuration(bootstrap), indent=1))
        extra = [word for setting in self.settings for word in ("--set", setting)]
        agent = machine.Service([self.top / "build/agent/sluiced", "-c", file, *extra], self.worker_core,
                                self.folder / "agent.log")
        try:
            load.outside.watch(agent.process.pid)
            self.bench(load, plan, plan.warmup)
            before_s = machine.threads_cpu_s(agent.process.pid)
            told, whole_s = self.bench(load, plan, plan.records)
            outside_s = machine.threads_cpu_s(agent.process.pid) - before_s
            load.outside_share = load.outside.share()
        finally:
            agent.stop()
        cpu = told["cpu_ns_per_record"]
        return {"application": cpu["application"], "agent": cpu["agent"], "records_per_s": told["records_per_s"],
                "version": "sluice", "from_outside": {"application": whole_s * 1e9 / plan.records,
                                                      "agent": outside_s * 1e9 / plan.records}}

    def bench(self, load, plan, count):
        if not count:
            return None, 0.0
        file = self.folder / "bench.json"
        words = [self.top / "build/tools/sluice", "bench", "-s", self.folder / "run/agent.sock", "-t", load.topic,
                 "-n", count, "-b", plan.value_bytes, "--threads", 1, "--no-stamp", "--json", file]
        if load.key_bytes:
            words += ["--key-bytes", load.key_bytes, "--keys", plan.keys]
        whole_s = machine.run(words, plan.core, LIMIT_S)[1]
        told = json.loads(file.read_text())
        if told["persisted"] != count or told["failed"] or told["unknown"]:
            raise machine.Failed(f"{told['persisted']} of {count} persisted, {told['failed']} failed, "
                                 f"{told['unknown']} unknown")
        return told, whole_s
