#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's comparison must find what it is there to find: a demo that cannot fail shows nothing."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "demo.d"))
sys.dont_write_bytecode = True
import compare  # noqa: E402  the path above comes first

SENT = [(b"a", b"1"), (b"b", b"x\ty"), (b"a", b"2"), (b"a", b"2"), (b"b", b"")]


def records(*rows):
    return [compare.Record(partition, offset, key, value, len(value)) for partition, offset, key, value in rows]


GOOD = ((0, 0, b"a", b"1"), (1, 0, b"b", b"x\ty"), (0, 1, b"a", b"2"), (0, 2, b"a", b"2"), (1, 1, b"b", b""))


class Exact(unittest.TestCase):
    def wrong(self, *rows):
        found = compare.exact(SENT, records(*rows))
        self.assertTrue(found)
        return " ".join(found)

    def test_same(self):
        self.assertEqual([], compare.exact(SENT, records(*GOOD)))
        self.assertEqual([], compare.exact(SENT, records(*reversed(GOOD))))  # kcat mixes partitions

    def test_lost(self):
        self.assertIn("1 lost", self.wrong(*GOOD[:3], GOOD[4]))

    def test_all_lost(self):
        self.assertIn("3 lost", self.wrong())

    def test_twice(self):
        self.assertIn("1 too many", self.wrong(*GOOD, (0, 3, b"a", b"2")))

    def test_never_sent(self):
        self.assertIn("1 too many", self.wrong(*GOOD, (2, 0, b"c", b"?")))

    def test_changed(self):
        self.assertIn("1 lost, 1 too many", self.wrong((0, 0, b"a", b"7"), *GOOD[1:]))

    def test_another_order(self):
        self.assertIn("another order", self.wrong((0, 1, b"a", b"1"), (0, 0, b"a", b"2"), *GOOD[1:2], *GOOD[3:]))

    def test_key_in_two_partitions(self):
        self.assertIn("partitions [0, 1]", self.wrong(*GOOD[:3], (1, 2, b"a", b"2"), GOOD[4]))

    def test_gap(self):
        self.assertIn("last offset is 3", self.wrong(*GOOD[:3], (0, 3, b"a", b"2"), GOOD[4]))


class Rest(unittest.TestCase):
    def test_sizes(self):
        good = [compare.Record(0, n, b"kk", None, 5) for n in range(3)]
        self.assertEqual([], compare.sizes(3, 2, 5, good))
        self.assertTrue(compare.sizes(4, 2, 5, good))
        self.assertTrue(compare.sizes(3, 2, 6, good))
        self.assertTrue(compare.sizes(3, 1, 5, good))

    def test_digest(self):
        self.assertEqual(compare.digest(SENT), compare.digest([SENT[1], SENT[0], *SENT[2:]]))
        self.assertNotEqual(compare.digest(SENT), compare.digest([SENT[2], *SENT[:2], *SENT[3:]]))
        self.assertNotEqual(compare.digest([(b"a", b"12")]), compare.digest([(b"a1", b"2")]))

    def test_read_back(self):
        data = b"0 0 1 1 a1\n1 7 -1 3 \n 1\n2 0 0 -1 \n"
        self.assertEqual([(0, 0, b"a", b"1", 1), (1, 7, None, b"\n 1", 3), (2, 0, b"", None, -1)],
                         [tuple(record) for record in compare.read_back(data)])
        for bad in (b"0 0 1 1 a1", b"0 0 1 2 a1\n", b"% ERROR\n"):
            with self.assertRaises(compare.Malformed):
                compare.read_back(bad)

    def test_sent_lines(self):
        self.assertEqual([(b"k", b"a\tb\r"), (b"k", b"")], compare.sent_lines(b"k\ta\tb\r\nk\t\n"))
        self.assertEqual([], compare.sent_lines(b""))


if __name__ == "__main__":
    unittest.main()
