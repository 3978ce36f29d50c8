#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goal: each lint rule fails on a tree that breaks it, and only that rule.

Method: a small good tree in a temporary folder, spoilt in one way a case.
"""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import lint  # noqa: E402

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
GOOD = {
    "meson.build": "# SPDX-License-Identifier: Apache-2.0\nproject('x', 'c')\n",
    "README.md": "A tree.\n",
    "LICENSE": "Apache\n",
    "CONTRIBUTING.md": "Colour #336; is a colour, C has #define, printf has %#04x.\n",
    ".gitignore": "/build/\n",
    "config/schema.h": SPDX + "#include <stdint.h>\nint sl_schema(uint32_t x);\n",
    "dataplane/base/error.h": SPDX + "struct sl_error { int code; };\n",
    "dataplane/wire/produce.h": SPDX + '#include "dataplane/base/error.h"\nint sl_p(struct sl_error *e);\n',
    "dataplane/client/client.c": SPDX + '#include "dataplane/base/error.h"\nint x(void);\nint x(void)\n{\n\treturn 0;\n}\n',
    "dataplane/worker/worker.h": SPDX + '#include "dataplane/wire/produce.h"\n',
    "agent/main.c": SPDX + '#include "config/schema.h"\n#include "dataplane/worker/worker.h"\n',
    "tools/devbroker/main.c": SPDX + '#include "dataplane/wire/produce.h"\n',
    "tests/unit/test.c": SPDX + '#include "agent/main.c"\nconst char *t = "/tmp/sluice-XXXXXX";\n',
    "tools/run": "#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\ndir=\"$(mktemp -d /tmp/sluice.XXXX)\"\n",
}


def findings(changes):
    """{rule: [wrong path]} for the good tree with the changes; None removes a file."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in {**GOOD, **changes}.items():
            if text is not None:
                target = pathlib.Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
        tree = lint.Tree(folder)
        found = {name: [path for path, _line, _wrong in rule(tree)] for name, rule in lint.RULES.items()}
    return {name: paths for name, paths in found.items() if paths}


def including(path):
    return SPDX + f'#include "{path}"\n'


class LintCase(unittest.TestCase):
    def test_good_tree_passes(self):
        self.assertEqual(findings({}), {})

    def test_forbidden_includes(self):
        for path, target in (("dataplane/base/a.c", "dataplane/wire/produce.h"),
                             ("dataplane/wire/a.c", "config/schema.h"),
                             ("dataplane/worker/a.c", "config/schema.h"),
                             ("dataplane/client/a.c", "dataplane/wire/produce.h"),
                             ("dataplane/transport/uring/a.c", "dataplane/wire/produce.h"),
                             ("dataplane/batch/a.c", "dataplane/worker/worker.h"),
                             ("dataplane/worker/a.c", "agent/main.c"),
                             ("config/a.c", "dataplane/base/error.h"),
                             ("agent/a.c", "tools/devbroker/main.c"),
                             ("tools/devbroker/a.c", "config/schema.h"),
                             ("elsewhere/a.c", "config/schema.h")):
            with self.subTest(path=path, target=target):
                self.assertEqual(findings({path: including(target)}).get("includes"), [path])

    def test_include_not_from_the_top(self):
        self.assertEqual(findings({"dataplane/wire/a.c": including("produce.h")}), {"includes": ["dataplane/wire/a.c"]})

    def test_cycle(self):
        found = findings({"dataplane/wire/a.h": including("dataplane/wire/b.h"),
                          "dataplane/wire/b.h": "#pragma once\n" + including("dataplane/wire/a.h")})
        self.assertIn("cycles", found)

    def test_no_licence_line(self):
        for path in ("config/a.c", "tests/a.py", "agent/meson.build"):
            self.assertEqual(findings({path: "\n"}), {"spdx": [path]})
        self.assertEqual(findings({"tools/bad": "#!/bin/sh\n"}), {"spdx": ["tools/bad"]})

    def test_long_file(self):
        self.assertEqual(findings({"config/a.c": SPDX + "\n" * 799}), {})
        self.assertEqual(findings({"config/a.c": SPDX + "\n" * 800}), {"size": ["config/a.c"]})

    def test_long_function(self):
        shapes = {"config/a.c": SPDX + "int f(void);\nint f(void)\n{\n%s}\n",
                  "tests/a.sh": "# SPDX-License-Identifier: Apache-2.0\nf() {\n%s}\n"}
        for path, shape in shapes.items():
            self.assertEqual(findings({path: shape % ("\t;\n" * 98)}), {})
            self.assertEqual(findings({path: shape % ("\t;\n" * 99)}), {"size": [path]})
        python = "# SPDX-License-Identifier: Apache-2.0\ndef f():\n" + "    pass\n" * 100
        self.assertEqual(findings({"tests/a.py": python}), {"size": ["tests/a.py"]})

    def test_header_that_needs_another(self):
        self.assertEqual(findings({"config/a.h": SPDX + "uint32_t f(void);\n"}), {"headers": ["config/a.h"]})

    def test_top_of_the_tree(self):
        self.assertEqual(findings({"notes.txt": "x\n"}), {"top": ["notes.txt"]})
        self.assertEqual(findings({"README.md": None}), {"top": ["README.md"]})
        self.assertEqual(findings({".editorconfig": "x\n"}), {})

    def test_path_of_a_machine(self):
        for text in ("see /home/me/x\n", 'open("/root/x")\n', "in /home/x\n"):
            self.assertEqual(findings({"README.md": text}), {"paths": ["README.md"]})
        for text in ("~/code/x\n", "$HOME/home/x\n", "docs/home/x\n"):
            self.assertEqual(findings({"README.md": text}), {})

    def test_number_of_an_issue(self):
        for text in ("see #12\n", "(#7)\n", "Fixes #12\n", "librdkafka#2677\n", "librdkafka #2677\n", "issue 4\n"):
            with self.subTest(text=text):
                self.assertEqual(findings({"README.md": text}), {"issues": ["README.md"]})
        for text in ("# 1. Title\n", "color: #333;\n", "fixed 24 bytes\n", "[x](#4-kafka)\n", "${x#1} $((16#12))\n"):
            with self.subTest(text=text):
                self.assertEqual(findings({"README.md": text}), {})

    def test_mention_of_a_file(self):
        for text in ("see `agent/gone.c`\n", "config/none/\n", "[x](tools/gone)\n"):
            self.assertEqual(findings({"README.md": text}), {"mentions": ["README.md"]})
        for text in ("`agent/main.c`, tools/run.\n", "build/agent/sluiced\n", "config/\n"):
            self.assertEqual(findings({"README.md": text}), {})


if __name__ == "__main__":
    unittest.main()
