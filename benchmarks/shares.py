"""A profile, summed by package."""

from __future__ import annotations

import pstats
import re
from collections import defaultdict

_INSTALLED = re.compile(r"/site-packages/(\w+)")
_OWN = re.compile(r"/src/(\w+)/|/(benchmarks)/")
Function = tuple[str, int, str]


def by_package(stats: pstats.Stats, calls: int) -> dict[str, float]:
    """Microseconds for each of so many calls. Functions written in C count where they are called from."""
    seconds: dict[str, float] = defaultdict(float)
    profiled: dict[Function, tuple[int, int, float, float, dict[Function, tuple[int, int, float, float]]]]
    profiled = stats.stats  # type: ignore[attr-defined]
    for function, (_, _, spent, _, callers) in profiled.items():
        if function[0] == "~" and "pydantic_core" not in function[2]:
            for caller, (_, _, there, _) in callers.items():
                seconds[package_of(caller)] += there
        else:
            seconds[package_of(function)] += spent
    return {package: value / calls * 1e6 for package, value in seconds.items()}


def package_of(function: Function) -> str:
    """The package that a function belongs to."""
    file, _, name = function
    if "pydantic_core" in name:
        return "pydantic"
    found = _INSTALLED.search(file) or _OWN.search(file)
    if found is None:
        return "Python"
    return next(each for each in found.groups() if each)
