"""A long text, kept small: compressed in memory, and read in windows."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

PIECE = 65_536
BLOCK_ENDS = ("\n\n", "</table>", "</ul>", "</ol>", "</p>", "</h1>", "</h2>", "</h3>", "</div>", "\n", ">", " ")


@dataclass(frozen=True)
class Window:
    """A part of a text; `next_start` is None at its end. Positions are in characters."""

    text: str
    start: int
    total: int
    next_start: int | None


class LongText:
    """Takes UTF-8 in pieces. 20 MB of prose take about 5 MB; no window takes more than itself."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(level=1)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._compressed = bytearray()
        self.characters = 0
        self.bytes = 0

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes."""
        return len(self._compressed)

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        self.characters += len(self._decoder.decode(piece))
        self.bytes += len(piece)
        self._compressed += self._compressor.compress(piece)

    def close(self) -> None:
        """There are no more."""
        self.characters += len(self._decoder.decode(b"", final=True))
        self._compressed += self._compressor.flush()

    def window(self, start: int, most: int) -> Window:
        """At most so many characters from there, ending where a block ends if one ends in the second half."""
        found: list[str] = []
        position = 0
        for piece in self._pieces():
            begin, end = max(start - position, 0), start + most - position
            if end <= 0:
                break
            found.append(piece[begin:end])
            position += len(piece)
        text = "".join(found)
        if start + len(text) < self.characters:
            text = text[: block_end(text)]
        following = start + len(text)
        return Window(text, start, self.characters, following if following < self.characters else None)

    def whole(self) -> str:
        """All of it: only for what is known to be short."""
        return "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        decompressor = zlib.decompressobj()
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        waiting = memoryview(self._compressed)
        for offset in range(0, len(waiting), PIECE):
            content = decompressor.decompress(waiting[offset : offset + PIECE], PIECE)
            while content:
                yield decoder.decode(content)
                content = decompressor.decompress(decompressor.unconsumed_tail, PIECE)
        yield decoder.decode(decompressor.flush(), final=True)


def block_end(text: str) -> int:
    """Where to cut a text that goes on."""
    for mark in BLOCK_ENDS:
        place = text.rfind(mark, len(text) // 2)
        if place >= 0:
            return place + len(mark)
    return len(text)
