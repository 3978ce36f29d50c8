# SPDX-License-Identifier: Apache-2.0
"""The jars of Apache Kafka, resolved by Maven once and kept in the cache.

Run as a program it fetches them when they are missing and prints nothing.
"""
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

VERSION = os.environ.get("SLUICE_KAFKA_VERSION", "4.3.1")
HERE = pathlib.Path(__file__).resolve().parent
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


class JarsError(Exception):
    """Says why the jars cannot be had."""


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "sluice"


def kafka_dir():
    return cache_dir() / f"kafka-{VERSION}"


def libs_dir():
    return kafka_dir() / "libs"


def class_path():
    return f"{libs_dir()}/*"


def java():
    home = os.environ.get("JAVA_HOME")
    return os.path.join(home, "bin", "java") if home else "java"


def present():
    return libs_dir().is_dir() and shutil.which(java()) is not None


def _maven_copy(target):
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), f"-Dkafka.version={VERSION}", COPY_GOAL,
               "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise JarsError("mvn is missing: run tools/setup --with kafka") from missing
    if done.returncode != 0:
        raise JarsError(f"Maven could not fetch Kafka {VERSION}:\n" + done.stdout[-2000:] + done.stderr[-1000:])


def fetch():
    """Fills libs_dir() unless it is there. The rename makes it appear whole or not at all."""
    if libs_dir().is_dir():
        return
    kafka_dir().mkdir(parents=True, exist_ok=True)
    with open(kafka_dir() / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if libs_dir().is_dir():
            return
        print(f"tools/setup: fetching Apache Kafka {VERSION} into {kafka_dir()}", file=sys.stderr)
        part = tempfile.mkdtemp(prefix="libs.", dir=kafka_dir())
        try:
            _maven_copy(part)
            os.rename(part, libs_dir())
        finally:
            shutil.rmtree(part, ignore_errors=True)


if __name__ == "__main__":
    try:
        fetch()
    except JarsError as error:
        sys.exit(f"tools/kafka: {error}")
