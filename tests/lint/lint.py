#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that a compiler does not know.

usage: tests/lint/lint.py [--root DIR] [RULE...]      (no rule: all of them)

Prints `path:line: what is wrong` and exits 1 when something is. Each rule is a function of a Tree.
"""
import argparse
import ast
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

BASE, WIRE, SHM, CLIENT = "dataplane/base", "dataplane/wire", "dataplane/shm", "dataplane/client"
BATCH, TRANSPORT, WORKER = "dataplane/batch", "dataplane/transport", "dataplane/worker"
DEVBROKER = "tools/devbroker"
DATAPLANE = {BASE, WIRE, SHM, CLIENT, BATCH, TRANSPORT, WORKER}

# Which rooms the files of a room may reach into, besides their own. Rooms that are not named may include anything.
MAY_INCLUDE = {
    "config": set(),
    BASE: set(),
    WIRE: {BASE},
    SHM: {BASE},
    CLIENT: {SHM, BASE},
    BATCH: {WIRE, SHM, BASE},
    TRANSPORT: {BASE},
    WORKER: {BATCH, TRANSPORT, SHM, WIRE, BASE},
    "agent": DATAPLANE | {"config"},
    DEVBROKER: {WIRE, BASE},
}
ANYTHING = {"tools", "tests"}

TOP_LEVEL = {"meson.build", "agent", "dataplane", "config", "tests", "tools", "README.md", "LICENSE", "CONTRIBUTING.md"}
FILE_LINES_MAX, FUNCTION_LINES_MAX = 800, 100
CODE = {".c", ".h", ".py", ".sh", ".java", ".go", ".xml"}
TEXT = CODE | {".md", ".yaml", ".yml", ".build", ".properties", ".service", ""}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
PATH = re.compile(r"(?<![\w.$}~*-])/(home|root|Users|work)/[\w.]")
# build/tools/sluice is no path of the tree, and so is nothing behind a slash.
MENTION = re.compile(r"(?<![\w./$*-])(?:agent|config|dataplane|tests|tools)/[\w./-]*")
ISSUE = re.compile(r"\b(?:issue|pull request)s? [0-9]+\b|\bGH-[0-9]+\b"
                   r"|(?:^|[\s(\[,]|(?<![{\w])[A-Za-z][\w./-]{2,})#[0-9]{1,6}(?![\w-]|\s*;)", re.IGNORECASE)


class Tree:
    """The files of a work tree: what git knows or would add, or, without git, everything but build folders."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.paths = sorted(path for path in self._list() if (self.root / path).is_file())
        self._texts = {}

    def _list(self):
        if (self.root / ".git").exists():
            done = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                  cwd=self.root, capture_output=True, check=True)
            return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
        found = set()
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith("build") and name != "__pycache__"]
            found |= {os.path.relpath(os.path.join(folder, name), self.root) for name in files}
        return found

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def lines(self, path):
        return enumerate(self.text(path).splitlines(), 1)

    def with_suffix(self, *suffixes):
        return [path for path in self.paths if pathlib.PurePath(path).suffix in suffixes]

    def includes(self, path):
        """(line, included path), for every #include with quotes."""
        return [(line, match.group(1)) for line, text in self.lines(path) if (match := INCLUDE.match(text))]


def room(path):
    """The folder whose rules a file follows."""
    if path.startswith("dataplane/"):
        return "/".join(path.split("/")[:2])
    if path.startswith(DEVBROKER + "/") or path == DEVBROKER + ".c":
        return DEVBROKER
    return path.split("/")[0]


def _include_wrong(tree, path, target):
    here, there = room(path), room(target)
    if target not in tree.paths:
        return f'"{target}" is not a file seen from the top of the tree'
    if here not in MAY_INCLUDE:
        if here not in ANYTHING:
            return f"{here} is in no rule: add it to MAY_INCLUDE"
        return None
    if here != there and there not in MAY_INCLUDE[here]:
        return f'{here} must not include {there} ("{target}")'
    return None


def rule_includes(tree):
    """Includes follow the direction of dependencies."""
    for path in tree.with_suffix(".c", ".h"):
        for line, target in tree.includes(path):
            wrong = _include_wrong(tree, path, target)
            if wrong:
                yield path, line, wrong


def rule_cycles(tree):
    """No file includes itself, by whatever way round."""
    done, walking = set(), []

    def walk(path):
        if path in walking:
            yield path, 1, "include cycle: " + " -> ".join(walking[walking.index(path):] + [path])
            return
        if path in done or path not in tree.paths:
            return
        walking.append(path)
        for _line, target in tree.includes(path):
            yield from walk(target)
        walking.pop()
        done.add(path)

    for path in tree.with_suffix(".c", ".h"):
        yield from walk(path)


def _is_code(tree, path):
    pure = pathlib.PurePath(path)
    return pure.suffix in CODE or pure.name == "meson.build" or \
        (pure.suffix == "" and not pure.name.startswith(".") and tree.text(path).startswith("#!"))


def rule_spdx(tree):
    """Each source file names its licence within its first five lines."""
    for path in tree.paths:
        if _is_code(tree, path) and "SPDX-License-Identifier: Apache-2.0" not in "\n".join(
                tree.text(path).splitlines()[:5]):
            yield path, 1, "no SPDX-License-Identifier line"


def _python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


def _brace_functions(text):
    """C and shell as this tree formats them: a function's last line is a brace in column 0."""
    start = None
    for line, content in enumerate(text.splitlines(), 1):
        if content == "{" or re.match(r"^\w[\w-]*\(\) \{$", content):
            start = line
        elif content == "}" and start:
            yield start, line - start + 1
            start = None


def _functions(path, text):
    if path.endswith(".py") or text.startswith("#!/usr/bin/env python3"):
        return _python_functions(text)
    if path.endswith((".c", ".h", ".sh")) or re.match(r"#!.*\b(ba)?sh\b", text):
        return _brace_functions(text)
    return ()


def rule_size(tree):
    """No file and no function longer than a person reads."""
    for path in tree.paths:
        if not _is_code(tree, path):
            continue
        count = len(tree.text(path).splitlines())
        if count > FILE_LINES_MAX:
            yield path, count, f"{count} lines in a file, at most {FILE_LINES_MAX}"
        for line, length in _functions(path, tree.text(path)):
            if length > FUNCTION_LINES_MAX:
                yield path, line, f"{length} lines in a function, at most {FUNCTION_LINES_MAX}"


def _pkg_cflags(package):
    done = subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else None


def _header_wrong(tree, path, flags):
    command = [os.environ.get("CC", "gcc"), "-fsyntax-only", "-x", "c", "-std=gnu11", "-D_GNU_SOURCE",
               '-DSL_VERSION="0"', f"-I{tree.root}", *flags, str(tree.root / path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    return None if done.returncode == 0 else (errors or [done.stderr.strip() or "compiler failed"])[0]


def rule_headers(tree):
    """Each header compiles by itself."""
    dpdk = _pkg_cflags("libdpdk")
    paths = []
    for path in tree.with_suffix(".h"):
        if "/dpdk/" in path and dpdk is None:
            print(f"lint: {path} not compiled: DPDK's headers are missing (tools/setup --with dpdk)", file=sys.stderr)
        else:
            paths.append(path)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda path: _header_wrong(tree, path, dpdk or [] if "/dpdk/" in path else []), paths)
        for path, wrong in zip(paths, results):
            if wrong:
                yield path, 1, f"does not compile by itself: {wrong}"


def rule_top(tree):
    """The top of the repository holds what it is meant to hold, and no more."""
    have = {path.split("/")[0] for path in tree.paths}
    have = {name for name in have if not name.startswith(".")}
    for name in sorted(have - TOP_LEVEL):
        yield name, 1, "does not belong at the top of the repository"
    for name in sorted(TOP_LEVEL - have):
        yield name, 1, "is missing at the top of the repository"


def rule_paths(tree):
    """No path of somebody's machine. Names made by mktemp and its kin may begin with the usual folder."""
    for path in tree.paths:
        if pathlib.PurePath(path).suffix not in TEXT or path.startswith("tests/lint/"):
            continue
        for line, text in tree.lines(path):
            if PATH.search(text) and "mktemp" not in text and "XXXXXX" not in text:
                yield path, line, f"a machine's own path: {PATH.search(text).group(0)}..."


def rule_issues(tree):
    """No numbers of issues: a reason is told in words, where it is needed."""
    for path in tree.paths:
        if pathlib.PurePath(path).suffix not in TEXT or path.startswith("tests/lint/") or path == "LICENSE":
            continue
        for line, text in tree.lines(path):
            if match := ISSUE.search(text):
                yield path, line, f"the number of an issue: {match.group(0).strip()}"


def rule_mentions(tree):
    """Files and folders that the guides name are there."""
    folders = {str(parent) for path in tree.paths for parent in pathlib.PurePath(path).parents}
    for guide in ("README.md", "CONTRIBUTING.md", "agent/ARCHITECTURE.md"):
        if guide not in tree.paths:
            continue
        for line, text in tree.lines(guide):
            for match in MENTION.finditer(text):
                name = match.group(0).rstrip("./")
                if name not in tree.paths and name not in folders:
                    yield guide, line, f"{name} is not there"


RULES = {name[len("rule_"):]: function for name, function in list(globals().items()) if name.startswith("rule_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("rules", nargs="*", metavar="RULE", help=", ".join(RULES))
    options = parser.parse_args()
    unknown = set(options.rules) - set(RULES)
    if unknown:
        parser.error(f"unknown rule: {', '.join(unknown)}")
    tree = Tree(options.root)
    count = 0
    for name in options.rules or RULES:
        for path, line, wrong in RULES[name](tree):
            print(f"{path}:{line}: {wrong} [{name}]")
            count += 1
    if not tree.paths:
        print("lint: found no file at all")
    return 1 if count or not tree.paths else 0


if __name__ == "__main__":
    sys.exit(main())
