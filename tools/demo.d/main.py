# SPDX-License-Identifier: Apache-2.0
"""The demo itself: three streams through the agent, everything read back and compared; see tools/demo --help."""
import argparse
import dataclasses
import json
import os
import pathlib
import signal
import sys
import time

import compare
from world import TOP, DemoError, World, environment_check

COUNTERS, LINES, BENCH = "demo.counters", "demo.lines", "demo.bench"
PARTITIONS = 6
BENCH_S, BENCH_RATE, BENCH_KEY_BYTES, BENCH_KEYS, BENCH_VALUE_BYTES = 3, 50_000, 16, 1000, 100
FINDINGS_SHOWN = 5
COLOR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@dataclasses.dataclass
class Stream:
    """One stream: what was sent, how it went, and what the comparison found."""
    topic: str
    what: str
    how: str
    seconds: float
    sent: int
    cpu_ns: int
    persisted: int
    facts: list = dataclasses.field(default_factory=list)
    spread: list = dataclasses.field(default_factory=list)
    wrong: list = dataclasses.field(default_factory=list)


def say(text):
    print(f"tools/demo: {text}", file=sys.stderr, flush=True)


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOR else text


def measured(world, run):
    """Runs it and returns (seconds, the agent's CPU ns, records persisted) of that time."""
    before, begin = world.status(), time.monotonic()
    run()
    seconds, after = time.monotonic() - begin, world.status()
    return (seconds, after["process"]["cpu_ns"] - before["process"]["cpu_ns"],
            after["ledger"]["persisted"] - before["ledger"]["persisted"])


def counters(world, options):
    say(f"sending this host's counters for {options.seconds:g} s")
    copy = world.work / "counters.sent"
    talk = []
    seconds, cpu_ns, persisted = measured(world, lambda: talk.append(world.sluice(
        "sense", "sense", "-t", COUNTERS, "--hz", str(options.hz), "-d", f"{options.seconds}s", "--copy", str(copy))))
    sent = compare.sent_lines(copy.read_bytes())
    stream = Stream(COUNTERS, "this host's own counters, from `sluice sense`", "record by record, in order per key",
                    seconds, len(sent), cpu_ns, persisted, [talk[0].splitlines()[0]])
    records = compare.read_back(world.read_back(COUNTERS, compare.KCAT_FORMAT))
    stream.wrong = compare.exact(sent, records)
    stream.spread = compare.spread(records)
    stream.facts.append(f"sha256 of what was sent {compare.digest(sent)[:16]}..., read back "
                        f"{compare.digest((record.key, record.value) for record in records)[:16]}...")
    return stream


def source_lines():
    """This tree's own sources, a record a line: the file's name is the key."""
    suffixes = {".c", ".h", ".py", ".md", ".sh"}
    paths = sorted(path for folder in ("agent", "config", "dataplane", "tools", "tests")
                   for path in (TOP / folder).rglob("*") if path.suffix in suffixes and path.is_file())
    for path in paths:
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            yield os.fsencode(path.relative_to(TOP)), b"%d %s" % (number, line)


def lines(world):
    say("sending this tree's sources line by line")
    sent, path = list(source_lines()), world.work / "lines.sent"
    path.write_bytes(b"".join(key + b"\t" + value + b"\n" for key, value in sent))
    seconds, cpu_ns, persisted = measured(world, lambda: world.sluice(
        "produce", "produce", "-t", LINES, "-K", "\\t", "-l", "--timeout", "60s", str(path)))
    stream = Stream(LINES, "this tree's sources, a line a record, from `sluice produce -K`",
                    "record by record, in order per key", seconds, len(sent), cpu_ns, persisted)
    records = compare.read_back(world.read_back(LINES, compare.KCAT_FORMAT))
    stream.wrong = compare.exact(sent, records)
    stream.spread = compare.spread(records)
    return stream


def bench(world):
    say(f"load test: {BENCH_RATE} records a second for {BENCH_S} s")
    path = world.work / "bench.json"
    seconds, cpu_ns, persisted = measured(world, lambda: world.sluice(
        "bench", "bench", "-t", BENCH, "-d", f"{BENCH_S}s", "-r", str(BENCH_RATE), "-b", str(BENCH_VALUE_BYTES),
        "--key-bytes", str(BENCH_KEY_BYTES), "--keys", str(BENCH_KEYS), "--json", str(path)))
    result = json.loads(path.read_text())
    latency = result["latency_us"]
    stream = Stream(BENCH, "random records at a fixed rate, from `sluice bench`", "by count and size",
                    result["seconds"], result["records"], cpu_ns, persisted)
    stream.facts.append("latency, send to outcome, ms: " + ", ".join(
        f"{name} {latency[name] / 1000:.2f}" for name in ("p50", "p90", "p99", "p999", "max")))
    del seconds  # with the start of the command; the tool's own figure is the truer one
    records = compare.read_back(world.read_back(BENCH, compare.KCAT_FORMAT_NO_VALUE), values=False)
    stream.wrong = compare.sizes(result["records"], BENCH_KEY_BYTES, BENCH_VALUE_BYTES, records)
    stream.spread = compare.spread(records)
    return stream


def show(stream):
    print(f"\n{paint('1', stream.topic)}: {stream.what}")
    print(f"  {stream.sent} records sent in {stream.seconds:.1f} s, {stream.sent / stream.seconds:.0f} a second")
    print(f"  agent CPU {stream.cpu_ns / max(stream.sent, 1):.0f} ns a record at this rate")
    for fact in stream.facts:
        print(f"  {fact}")
    print("  partition   records   keys")
    for partition, records, keys in stream.spread:
        print(f"  {partition:9} {records:9} {keys:6}")
    if stream.sent == 0:
        stream.wrong.append("nothing was sent")
    if stream.persisted != stream.sent:
        stream.wrong.append(f"the agent's ledger says {stream.persisted} persisted")
    if not stream.wrong:
        print(f"  {paint('32', 'matched')} {stream.how}")
    for finding in stream.wrong[:FINDINGS_SHOWN]:
        print(f"  {paint('31', 'WRONG')} {finding}")
    if len(stream.wrong) > FINDINGS_SHOWN:
        print(f"  ... and {len(stream.wrong) - FINDINGS_SHOWN} more")


def end(world, streams):
    """The agent's own count at its end. True when it agrees."""
    status, ledger = world.agent_end()
    total = sum(stream.sent for stream in streams)
    counts = dict(pair.split("=", 1) for pair in ledger.split() if "=" in pair)
    good = status == 0 and counts.get("in") == counts.get("persisted") == str(total)
    print(f"\n{paint('1', 'agent at its end')}: exit status {status}, {ledger}")
    if not good:
        print(f"  {paint('31', 'WRONG')} expected exit status 0, in={total} persisted={total}")
    return good


def demo(options):
    topics = dict.fromkeys((COUNTERS, LINES, BENCH), PARTITIONS)
    with World(options.build, say) as world:
        broker = "three Kafka brokers" if options.kafka else "devbroker, three nodes in one process"
        say(f"starting {broker}")
        (world.kafka_start if options.kafka else world.devbroker_start)(topics)
        say("starting sluiced")
        world.agent_start()
        print(f"{paint('1', 'Sluice')} {world.status()['version']} on {os.uname().nodename}, {os.cpu_count()} CPUs; "
              f"broker: {broker}; read back with kcat")
        streams = []
        for run in (lambda: counters(world, options), lambda: lines(world), lambda: bench(world)):
            streams.append(run())
            show(streams[-1])
            sys.stdout.flush()
        good = end(world, streams)
    good = good and not any(stream.wrong for stream in streams)
    print(f"\n{sum(stream.sent for stream in streams)} records: " +
          (paint("32", "all matched") if good else paint("31", "NOT all matched")))
    return 0 if good else 1


def on_signal(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--hz", type=float, default=60)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        environment_check()
        return demo(options)
    except (DemoError, compare.Malformed, OSError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
