"""What an input costs: objects that stay behind it, and time as inputs grow."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence

from tests.fuzz.subject import Judge, Subject

ROUNDS = 2
BEST_OF = 3
# Four times as long may take this many times as long: twice a straight line, half of a square.
STEEPEST = 8.0
# Below it a noisy machine decides.
COUNTS_FROM_SECONDS = 0.02


def blocks() -> int:
    """Memory blocks that are in use, once what is garbage is gone."""
    gc.collect()
    return sys.getallocatedblocks()


def left_behind(judge: Judge, inputs: Sequence[bytes]) -> float:
    """Memory blocks that each input leaves behind, once caches are warm."""

    def give() -> int:
        for _ in range(ROUNDS):
            for octets in inputs:
                judge(octets)
        return blocks()

    before = give()
    return (give() - before) / (ROUNDS * len(inputs))


def slowest(subject: Subject, judge: Judge) -> tuple[float, float]:
    """Of the inputs that are as large as can be: the most seconds, and how time grows from a quarter of them.

    The gentler of the two doublings counts, twice: the garbage collector makes a step somewhere, a square has steps
    everywhere.
    """
    seconds, factor = 0.0, 0.0
    for grown in subject.growing:
        small, middle, large = (_seconds(judge, grown(subject.largest // part)) for part in (4, 2, 1))
        seconds = max(seconds, large)
        if large > COUNTS_FROM_SECONDS:
            factor = max(factor, min(middle / small, large / middle) ** 2)
    return seconds, factor


def _seconds(judge: Judge, octets: bytes) -> float:
    taken = []
    for _ in range(BEST_OF):
        began = time.process_time()
        judge(octets)
        taken.append(time.process_time() - began)
    return min(taken)
