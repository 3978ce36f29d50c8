# SPDX-License-Identifier: Apache-2.0
"""What will go wrong, and when: a function of the seed alone.

A lane is what is done one after the other; lanes run beside each other. Each fault carries a number of its own, from which
it draws its choices, so that one that comes late chooses the same.
"""
import collections
import random

Fault = collections.namedtuple("Fault", "at_s name draw")
OTHERS_SHARE = 0.1  # of what goes on beside the kills that were asked for


def _weighted(dice, weights, count):
    names = sorted(weights)
    return dice.choices(names, [weights[name] for name in names], k=count) if names else []


def lane(seed, name, seconds, every_s, weights, kills=None):
    """Faults by weight, one in `every_s` on average; with `kills` so many of "kill", and a few of the others."""
    dice = random.Random(f"{seed}/{name}")
    if kills is None:
        names = _weighted(dice, weights, max(1, int(seconds / every_s)))
    else:
        others = {key: value for key, value in weights.items() if key != "kill"}
        names = ["kill"] * kills + _weighted(dice, others, int(kills * OTHERS_SHARE))
        dice.shuffle(names)
    gap_s, at_s, faults = seconds / (len(names) + 1), 0.0, []
    for one in names:
        at_s += gap_s * dice.uniform(0.4, 1.6)
        faults.append(Fault(at_s, one, dice.getrandbits(32)))
    return faults
