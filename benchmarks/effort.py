"""How much is measured where every value is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CALLS_PER_CONNECTION: Final = 8


@dataclass(frozen=True)
class Effort:
    """A round is the median of its turns; a turn is so short that what else the machine does meets all servers."""

    rounds: int
    turns: int
    calls_per_turn: int
    # Turns before anything is timed, and calls before a server is weighed.
    warming: int
    working: int
    connections: tuple[int, ...]
    tools: tuple[int, ...]
    tokens: tuple[int, ...]
    replicas: tuple[int, ...] = (1, 2, 3, 4)

    def calls(self, connections: int) -> int:
        """Of one turn: enough for each connection that it is not begin and end alone."""
        return max(self.calls_per_turn, CALLS_PER_CONNECTION * connections)


FULL: Final = Effort(5, 3, 96, 3, 1500, (1, 16, 64), tools=(1, 100, 1_000), tokens=(1, 10_000, 1_000_000))
# Says whether everything runs, and roughly how it stands.
SHORT: Final = Effort(5, 1, 64, 1, 64, (1, 16, 64), tools=(1, 100, 1_000), tokens=(1, 3_000, 6_000))
