#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program in README.md compiles without a warning, runs, and its record arrives."""
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tools" / "demo.d"))
from world import World  # noqa: E402  the path above comes first


def main():
    build = pathlib.Path(sys.argv[1])
    program = re.search(r"```c\n(.*?)```", (TOP / "README.md").read_text(encoding="utf-8"), re.DOTALL).group(1)
    with World(build, print) as world:
        world.devbroker_start({"greetings": 3})
        world.agent_start()
        source, binary, library = world.work / "app.c", world.work / "app", build / "dataplane/client"
        source.write_text(program, encoding="utf-8")
        subprocess.run([os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-Werror", str(source),
                        f"-I{TOP}/dataplane/client", f"-L{library}", "-lsluice", f"-Wl,-rpath,{library}",
                        "-o", str(binary)], check=True)
        done = subprocess.run([str(binary)], check=True, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "SLUICE_SOCKET": str(world.socket)})
        back = world.read_back("greetings", "%k: %s\n")
    assert done.stdout == "1 sent, 0 failed, 0 unknown\n", done.stdout
    assert back == b"user-1: hello\n", back


if __name__ == "__main__":
    main()
