# SPDX-License-Identifier: Apache-2.0
"""The command line of tests/bench/compare, and the order of its runs."""
import argparse
import json
import os
import pathlib
import sys
import tempfile

import brokers
import machine
import producers
import report

TOP = pathlib.Path(__file__).resolve().parents[3]
PEERS = {"librdkafka": producers.librdkafka, "franz": producers.franz}

DESCRIPTION = """\
Measures Sluice, librdkafka and franz-go in one interleaved run: the same broker, the same records, the same
core, acks=all, idempotence, linger 5 ms, no compression, 3 partitions, one outcome for each record. CPU is
user and system time of the whole process (Sluice: of the application and of the agent), from the end of a
flushed warm-up to the end of the final flush. Each peer runs in every variant that was found to be its best
somewhere, and its cheapest counts. A run counts only when the broker got exactly the records that were sent."""

EPILOG = """\
What Sluice is built from is build/ (tools/build); the peers need tools/setup --with bench and are built into
${XDG_CACHE_HOME:-~/.cache}/sluice/bench. By default all of a producer is on core 0 and the broker on core 1.

examples:
  tests/bench/compare
  tests/bench/compare --rounds 5 --key 16 --json compare.json
  tests/bench/compare --worker-core both         also with the agent's worker on the broker's core
  tests/bench/compare --kafka --unpinned         a real Kafka, everything where the kernel puts it
  tests/bench/compare --records 100000 --warmup 10000 --rounds 1 --peers none      a look whether it works

exit status: 0 figures were had for all, 1 a producer had no valid run, 2 wrong usage"""


class Load:
    """One run: one producer's variant, one shape of records, one topic of its own."""

    def __init__(self, key_bytes, topic):
        self.key_bytes, self.topic = key_bytes, topic
        self.outside, self.outside_share = machine.OutsideLoad(), None


def number(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, not {text!r}")
    return int(text)


def peer_names(text):
    names = [] if text == "none" else text.split(",")
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"expected none, or some of {','.join(PEERS)}, not {name!r}")
    return names


def options_read():
    parser = argparse.ArgumentParser(prog="tests/bench/compare", description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=number, default=3, help="how often each is run (3)")
    parser.add_argument("--records", type=number, default=3000000, help="measured in a run (3000000)")
    parser.add_argument("--warmup", type=int, default=1000000, help="before those, flushed (1000000)")
    parser.add_argument("--value-bytes", type=number, default=100)
    parser.add_argument("--key", choices=["16", "none", "both"], default="both", help="bytes of a key (both)")
    parser.add_argument("--keys", type=number, default=65536, help="distinct keys, cycled (65536)")
    parser.add_argument("--peers", type=peer_names, default=list(PEERS), metavar="LIST",
                        help="none, or of librdkafka,franz (both)")
    parser.add_argument("--no-sluice", action="store_true", help="only the peers")
    parser.add_argument("--sluice-set", action="append", default=[], metavar="KEY=VALUE", help="of the agent")
    parser.add_argument("--worker-core", choices=["0", "1", "both"], default="0", help="where the agent runs (0)")
    parser.add_argument("--kafka", action="store_true", help="a real Kafka instead of devbroker")
    parser.add_argument("--unpinned", action="store_true", help="let the kernel choose the cores")
    parser.add_argument("--disturbed", type=float, default=0.10, metavar="SHARE",
                        help="of a core used by others, above which a run is not counted (0.10)")
    parser.add_argument("--json", metavar="FILE", help="every run and the medians")
    options = parser.parse_args()
    options.core, options.broker_core = (None, None) if options.unpinned else (0, 1)
    if not options.unpinned and os.cpu_count() < 2:
        parser.error("one core is too little; see --unpinned")
    if options.no_sluice and not options.peers:
        parser.error("nothing to measure")
    return options


def contestants(options, cache, folder):
    """Variants by shape of records, in the order in which a round runs them."""
    shapes = {"keyed": [], "unkeyed": []}
    if not options.no_sluice:
        cores = [None] if options.unpinned else [0, 1] if options.worker_core == "both" else [int(options.worker_core)]
        for core in cores:
            for found in shapes.values():
                found.append(producers.Sluice(TOP, folder, core, options.sluice_set))
    for name in options.peers:
        built = PEERS[name](cache, TOP)
        for shape, found in shapes.items():
            found.extend(built[shape])
    wanted = {"16": ["keyed"], "none": ["unkeyed"], "both": ["keyed", "unkeyed"]}[options.key]
    return {shape: shapes[shape] for shape in wanted}


def run_once(producer, load, broker, options):
    bootstrap = broker.begin(load.topic)
    try:
        load.outside = machine.OutsideLoad()
        for pid in broker.pids():
            load.outside.watch(pid)
        figures = producer.measure(load, bootstrap, options)
        share = load.outside.share() if load.outside_share is None else load.outside_share
    finally:
        counted = broker.end()
    sent = options.warmup + options.records
    if counted["records"] != sent or counted.get("refused"):
        raise machine.Failed(f"the broker counted {counted} for {sent} records sent")
    return {**figures, "total": figures["application"] + figures["agent"], "outside": share,
            "disturbed": share > options.disturbed, "broker": counted}


def run_all(shapes, broker, options):
    runs = []
    for turn in range(options.rounds):
        for shape, found in shapes.items():
            for producer in found:
                row = {"round": turn + 1, "shape": shape, "producer": producer.name, "variant": producer.variant}
                try:
                    load = Load(16 if shape == "keyed" else 0, f"compare-{len(runs)}")
                    row.update(run_once(producer, load, broker, options))
                except machine.Failed as why:
                    row["invalid"] = str(why)
                runs.append(row)
                print(report.run_line(row), file=sys.stderr, flush=True)
    return runs


def main():
    options = options_read()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sluice/bench"
    cache.mkdir(parents=True, exist_ok=True)
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="sluice-compare-") as name:
        folder = pathlib.Path(name)
        shapes = contestants(options, cache, folder)
        broker = (brokers.Kafka if options.kafka else brokers.Devbroker)(TOP, folder, options.broker_core)
        try:
            runs = run_all(shapes, broker, options)
        finally:
            broker.close()
    about.update(broker=broker.name, pinned=not options.unpinned, records=options.records, warmup=options.warmup,
                 value_bytes=options.value_bytes, rounds=options.rounds)
    medians = report.medians(runs)
    print(report.markdown(about, medians, runs))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"about": about, "medians": medians, "runs": runs}, indent=1))
    return 1 if any(row["runs"] == 0 for row in medians) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except machine.Failed as failure:
        print(f"tests/bench/compare: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
