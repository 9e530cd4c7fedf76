"""What is fuzzed and how it is judged: every input is octets, as they would come from outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hypothesis import strategies as st

Judge = Callable[[bytes], None]


class Flaw(AssertionError):
    """Something that no input may bring about. The words name the promise that is broken."""


@dataclass(frozen=True)
class Subject:
    """One way in.

    `opened` makes what judges an input: it returns, or raises whatever is wrong. `strategy` draws inputs for
    Hypothesis; `seeds` are where the coverage-guided fuzzer starts. `growing` makes inputs of about n octets that are
    as bad as they can be; `largest` is the most that any limit in front of the code lets through, in octets. `inputs`
    is how many a full run gives, in thousands.
    """

    name: str
    opened: Callable[[], AbstractContextManager[Judge]]
    strategy: st.SearchStrategy[bytes]
    seeds: tuple[bytes, ...]
    growing: tuple[Callable[[int], bytes], ...] = ()
    largest: int = 16 * 1024
    inputs: int = 10


def check(holds: object, promise: str) -> None:
    """Raises Flaw unless the promise holds."""
    if not holds:
        raise Flaw(promise)


def repeated(unit: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    """An input of about n octets: the same again and again."""
    return lambda size: before + unit * (size // len(unit)) + after


def nested(opening: bytes, closing: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    """An input of about n octets: the same within the same."""

    def made(size: int) -> bytes:
        depth = size // (len(opening) + len(closing))
        return before + opening * depth + closing * depth + after

    return made
