"""Hostile inputs: JSON, header lines, query strings and settings that are almost right."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

NASTY = (
    "",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\r\nset-cookie: a=b",
    "\x1b[2J",
    "\u202e",
    "\N{ARABIC-INDIC DIGIT THREE}",
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}",
    "\N{KELVIN SIGN}",
    "\N{FULLWIDTH FULL STOP}",
    "__proto__",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "%",
    "%s%n",
    "a" * 300,
    "9" * 5000,
    "//evil.example",
    "https://[::1",
    "https://evil.example:99999/",
    "http://127.0.0.1:1/",
    "javascript:alert(1)",
    "-1",
    "1e999",
    "../../etc/passwd",
)
TEXT = st.sampled_from(NASTY) | st.text(max_size=20)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -0.0, 2**53, 2**63, -(2**63) - 1, 10**400, -(10**4200), 1e308, 1_800_000_000])
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DEEP = st.tuples(st.sampled_from([("[", "]"), ('{"a":', "}")]), st.sampled_from([50, 500, 990, 5000, 100_000])).map(
    lambda drawn: (drawn[0][0] * drawn[1] + "1" + drawn[0][1] * drawn[1]).encode()
)


def dumped(value: Any) -> bytes:
    """The JSON of a value, whatever is in it."""
    return json.dumps(value).encode()


@st.composite
def like(draw: st.DrawFn, good: dict[str, Any], others: tuple[str, ...] = ()) -> dict[str, Any]:
    """A good object, a few members of which are missing, wrong, or of somebody else's."""
    changed = dict(good)
    for name in draw(st.lists(st.sampled_from([*good, *others]), max_size=3)):
        inner = good.get(name)
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            changed[name] = draw(like(inner))
        elif draw(st.integers(0, 4)) == 0:
            changed.pop(name, None)
        else:
            changed[name] = draw(JSON)
    return changed


@st.composite
def torn(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Octets that are cut, doubled, overwritten or none of these."""
    octets = draw(whole)
    how = draw(st.sampled_from(["whole", "whole", "whole", "cut", "insert", "double", "encode"]))
    at = draw(st.integers(0, max(0, len(octets) - 1)))
    if how == "cut":
        return octets[:at]
    if how == "insert":
        return octets[:at] + draw(st.binary(min_size=1, max_size=6)) + octets[at + draw(st.integers(0, 3)) :]
    if how == "double":
        return octets + octets[at:]
    if how == "encode":
        encoding = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-8-sig"]))
        return octets.decode("utf-8", "replace").encode(encoding)
    return octets


def json_like(good: dict[str, Any], others: tuple[str, ...] = ()) -> st.SearchStrategy[bytes]:
    """JSON that is almost a good object."""
    return torn(like(good, others).map(dumped) | like(good, others).map(dumped) | JSON.map(dumped) | DEEP)


def octets(text: str) -> bytes:
    """Text as a client that does not care would send it."""
    return text.encode("utf-8", "surrogatepass")


OCTETS = st.binary(max_size=24) | TEXT.map(octets)


def quoted(parameters: st.SearchStrategy[list[tuple[bytes, bytes]]]) -> st.SearchStrategy[bytes]:
    """A query string or a form; escapes are right, wrong or missing."""

    @st.composite
    def drawn(draw: st.DrawFn) -> bytes:
        how = draw(st.sampled_from(["quoted", "quoted", "quoted", "raw"]))
        pairs = draw(parameters)
        if how == "raw":
            return b"&".join(name + b"=" + value for name, value in pairs)
        return "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in pairs).encode()

    return torn(drawn())


@st.composite
def pairs_like(draw: st.DrawFn, good: dict[bytes, bytes], others: tuple[bytes, ...] = ()) -> list[tuple[bytes, bytes]]:
    """The pairs of a good form or header set, some of them missing, wrong, doubled or new."""
    pairs = list(good.items())
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from([*good, *others])) if draw(st.integers(0, 5)) else draw(OCTETS)
        value = draw(st.sampled_from([*good.values(), b""]) | OCTETS)
        how = draw(st.sampled_from(["replace", "add", "drop"]))
        if how != "add":
            pairs = [pair for pair in pairs if pair[0] != name]
        if how != "drop":
            pairs.insert(draw(st.integers(0, len(pairs))), (name, value))
    return pairs


def lines(pairs: list[tuple[bytes, bytes]], separator: bytes) -> bytes:
    """One pair per line: no value can have a line break in it."""
    return b"\n".join(separator.join(part.replace(b"\n", b"") for part in pair) for pair in pairs)
