# SPDX-License-Identifier: Apache-2.0
"""The command line of tools/kafka."""
import argparse
import json
import os
import pathlib
import sys
import time

import jars
import wire
from cluster import BROKERS_MAX, PORT_DEFAULT, Cluster, ClusterError, folder_default

DESCRIPTION = """\
Real Apache Kafka on this machine: KRaft, 1 to 5 brokers that are controllers too, the current release from
Maven Central, kept in ${XDG_CACHE_HOME:-$HOME/.cache}/sluice/kafka-VERSION. Broker N listens on P+N and its
controller on P+5+N, so clusters whose --port differ by ten or more live side by side."""

EXAMPLES = """\
examples:
  tools/kafka start                                  one broker on 127.0.0.1:19091; prints the bootstrap list
  tools/kafka start --brokers 3 --set min.insync.replicas=2
  tools/kafka topic create orders 12 3 --set retention.ms=60000
  tools/kafka kill 2 && tools/kafka restart 2        kill -9, then up again on the same data
  tools/kafka pause 1; sleep 5; tools/kafka resume 1
  tools/kafka start --set broker.session.timeout.ms=3000   a dead broker is noticed after 3 s, not 9
  tools/kafka start --dir build/second --port 19190  another cluster beside the first
  tools/kafka --dir build/second destroy
  tools/kafka run org.apache.kafka.tools.TopicCommand --describe --bootstrap-server localhost:19091

environment:
  SLUICE_KAFKA_DIR      the cluster's folder when --dir is not given (default ~/.local/state/sluice/kafka)
  SLUICE_KAFKA_VERSION  another release of Kafka, KRaft only (default 4.3.1)
  SLUICE_KAFKA_JVM      further options for the brokers' JVM

exit status: 0 done, 1 it failed, 2 wrong usage, 3 there is no such cluster"""


def setting(text):
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected property=value, not {text!r}")
    return key, value


def broker_count(text):
    if not text.isdigit() or not 1 <= int(text) <= BROKERS_MAX:
        raise argparse.ArgumentTypeError(f"expected 1 to {BROKERS_MAX}, not {text!r}")
    return int(text)


def port_number(text):
    if not text.isdigit() or not 1 <= int(text) <= 65535 - 2 * BROKERS_MAX:
        raise argparse.ArgumentTypeError(f"expected a port up to {65535 - 2 * BROKERS_MAX}, not {text!r}")
    return int(text)


def talk(text):
    print(text, file=sys.stderr)


def existing(options):
    cluster = Cluster.load(options.dir)
    if cluster is None:
        talk(f"tools/kafka: no cluster in {options.dir}; begin with tools/kafka start")
        sys.exit(3)
    return cluster


def cluster_for_start(options):
    cluster = Cluster.load(options.dir)
    if cluster is None:
        return Cluster(options.dir, {
            "brokers": options.brokers or 1, "port": options.port or PORT_DEFAULT, "host": options.host or "127.0.0.1",
            "cluster_id": Cluster.new_id(), "settings": dict(options.set)})
    for key in ("brokers", "port", "host"):
        wanted = getattr(options, key)
        if wanted is not None and wanted != getattr(cluster, key):
            raise ClusterError(f"the cluster in {options.dir} has {key} {getattr(cluster, key)}, not {wanted}; "
                               "destroy it first or choose another --dir")
    cluster.settings.update(options.set)
    return cluster


def do_start(options):
    begin = time.monotonic()
    cluster = cluster_for_start(options)
    with cluster.locked():
        cluster.start(cluster.all())
    talk(f"Kafka {jars.VERSION}: {cluster.brokers} broker(s) in {cluster.folder}, "
         f"serving after {time.monotonic() - begin:.1f} s")
    print(cluster.bootstrap())


def do_kill(options):
    cluster = existing(options)
    with cluster.locked():
        cluster.broker(options.id).kill()


def do_stop(options):
    cluster = existing(options)
    with cluster.locked():
        if not cluster.broker(options.id).stop():
            talk(f"tools/kafka: broker {options.id} did not end by itself and was killed")


def do_restart(options):
    cluster = existing(options)
    with cluster.locked():
        broker = cluster.broker(options.id)
        broker.stop()
        cluster.start([broker])


def do_pause(options):
    if not existing(options).pause(options.id):
        raise ClusterError(f"broker {options.id} does not run")


def do_resume(options):
    if not existing(options).resume(options.id):
        raise ClusterError(f"broker {options.id} does not run")


def do_status(options):
    cluster = existing(options)
    rows = [{"id": broker.number, "state": broker.state(), "pid": broker.pid(), "address": broker.endpoint(),
             "log": str(broker.log_file)} for broker in cluster.all()]
    if options.json:
        print(json.dumps({"dir": str(cluster.folder), "bootstrap": cluster.bootstrap(), "brokers": rows}, indent=2))
    else:
        for row in rows:
            print(f"{row['id']}  {row['state']:8}{row['address']:22}pid {row['pid'] or '-'}")
    return 0 if all(row["state"] == "running" for row in rows) else 1


def do_destroy(options):
    cluster = Cluster.load(options.dir)
    if cluster is not None:
        with cluster.locked():
            cluster.destroy()


def do_topic(options):
    cluster = existing(options)
    if options.action == "delete":
        cluster.ask_anyone(lambda address: wire.topic_delete(address, options.name))
        return
    copies = options.replication or min(3, cluster.brokers)
    cluster.ask_anyone(lambda address: wire.topic_create(address, options.name, options.partitions, copies, options.set))
    cluster.wait_topic(options.name, options.partitions)


def do_grow(options):
    cluster = existing(options)
    cluster.ask_anyone(lambda address: wire.partitions_grow(address, options.name, options.partitions))
    cluster.wait_topic(options.name, options.partitions)


def do_elect(options):
    print(existing(options).ask_anyone(wire.leaders_elect))


def do_controller(options):
    print(existing(options).ask_anyone(wire.quorum_leader))


def do_topics(options):
    seen = existing(options).ask_anyone(wire.metadata)
    topics = sorted((topic for topic in seen["topics"] if not topic["internal"]), key=lambda topic: topic["name"])
    if options.json:
        print(json.dumps(topics, indent=2))
        return
    for topic in topics:
        for item in topic["partitions"]:
            print(f"{topic['name']}  {item['partition']}  leader {item['leader']}  replicas "
                  f"{','.join(map(str, item['replicas']))}  isr {','.join(map(str, item['isr']))}")


def do_bootstrap(options):
    print(existing(options).bootstrap())


def do_class_path(_options):
    print(jars.class_path())


def do_run(options):
    os.execvp(jars.java(), [jars.java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars.class_path(),
                            options.main_class, *options.arguments])


def add_start(commands, common):
    start = commands.add_parser("start", parents=[common], help="start a cluster, or what is stopped of it")
    start.add_argument("--brokers", "-n", type=broker_count, metavar="N", help="1 to 5 (default 1)")
    start.add_argument("--port", "-p", type=port_number, metavar="P", help=f"broker N listens on P+N (default {PORT_DEFAULT})")
    start.add_argument("--host", metavar="ADDR", help="address to listen on and to advertise (default 127.0.0.1)")
    start.add_argument("--set", type=setting, action="append", default=[], metavar="PROPERTY=VALUE",
                       help="a broker's property; may be repeated, kept for later starts")
    start.set_defaults(run=do_start)


def add_topics(commands, common):
    topic = commands.add_parser("topic", help="create, widen or delete a topic")
    actions = topic.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", parents=[common], help="create, and wait until each partition has a leader")
    create.add_argument("name")
    create.add_argument("partitions", type=int)
    create.add_argument("replication", type=int, nargs="?", help="default: 3, or as many as there are brokers")
    create.add_argument("--set", type=setting, action="append", default=[], metavar="CONFIG=VALUE")
    create.set_defaults(run=do_topic)
    grow = actions.add_parser("grow", parents=[common], help="add partitions, and wait until each has a leader")
    grow.add_argument("name")
    grow.add_argument("partitions", type=int, help="how many it has then")
    grow.set_defaults(run=do_grow)
    delete = actions.add_parser("delete", parents=[common], help="delete a topic")
    delete.add_argument("name")
    delete.set_defaults(run=do_topic)
    topics = commands.add_parser("topics", parents=[common], help="list partitions, leaders, replicas")
    topics.add_argument("--json", action="store_true")
    topics.set_defaults(run=do_topics)


def add_brokers(commands, common):
    for name, run, what in (("kill", do_kill, "kill -9 a broker"), ("stop", do_stop, "end a broker cleanly"),
                            ("restart", do_restart, "stop a broker if it runs, start it, wait until it serves"),
                            ("pause", do_pause, "SIGSTOP a broker"), ("resume", do_resume, "SIGCONT a broker")):
        command = commands.add_parser(name, parents=[common], help=what)
        command.add_argument("id", type=int, metavar="ID")
        command.set_defaults(run=run)


def parser():
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--dir", "-d", type=pathlib.Path, default=argparse.SUPPRESS, help="the cluster's folder")
    top = argparse.ArgumentParser(prog="tools/kafka", description=DESCRIPTION, epilog=EXAMPLES, parents=[where],
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    add_start(commands, where)
    add_brokers(commands, where)
    status = commands.add_parser("status", parents=[where], help="exit 0 when every broker runs, else 1")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=do_status)
    commands.add_parser("destroy", parents=[where], help="kill every broker, delete the folder").set_defaults(run=do_destroy)
    commands.add_parser("bootstrap", parents=[where], help="print the bootstrap list").set_defaults(run=do_bootstrap)
    add_topics(commands, where)
    commands.add_parser("controller", parents=[where], help="print the number of the active controller"
                        ).set_defaults(run=do_controller)
    commands.add_parser("elect", parents=[where], help="let each partition's first replica lead it; print how many moved"
                        ).set_defaults(run=do_elect)
    commands.add_parser("class-path", help="print Kafka's class path").set_defaults(run=do_class_path)
    run = commands.add_parser("run", help="run a main class of Kafka's own tools")
    run.add_argument("main_class")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    run.set_defaults(run=do_run)
    return top


def main():
    options = parser().parse_args()
    options.dir = getattr(options, "dir", folder_default()).absolute()
    try:
        return options.run(options) or 0
    except (ClusterError, wire.BrokerError, OSError) as error:
        talk(f"tools/kafka: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
