"""What it takes to judge a token."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Final

import uvloop
from fake_issuer import DOMAIN, PROJECT_ID, FakeIssuer
from figures import Figure, figure
from stytch_mcp.protect import issuers
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.verifier import Verifier

ROUNDS: Final = 15
REMEMBERED: Final = 2000
NEW: Final = 100


def figures() -> Iterator[Figure]:
    """Per round the median of many."""
    remembered, new = uvloop.run(_measure())
    yield figure("a remembered token", remembered, " us", at_most=15)
    yield figure("a new token", new, " us", at_most=200)


async def _measure() -> tuple[list[float], list[float]]:
    issuer = FakeIssuer()
    accepted = issuers.stytch(DOMAIN, PROJECT_ID)
    keys = Keys(accepted, IssuerMetadata(accepted, issuer.client), issuer.client)
    verifier = Verifier([(accepted, keys)], now=issuer.now)
    known = issuer.token()
    await verifier.verify(known)
    remembered, new = [], []
    for round_ in range(ROUNDS):
        remembered.append(await _typical(verifier, [known] * REMEMBERED))
        new.append(await _typical(verifier, [issuer.token(jti=f"{round_} {number}") for number in range(NEW)]))
        await asyncio.sleep(0)
    return remembered, new


async def _typical(verifier: Verifier, tokens: Sequence[str]) -> float:
    microseconds = []
    for token in tokens:
        started = time.perf_counter()
        await verifier.verify(token)
        microseconds.append((time.perf_counter() - started) * 1e6)
    return statistics.median(microseconds)
