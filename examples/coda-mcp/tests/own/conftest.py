"""Fixtures of the owner's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.own.rig import Rig, served


@pytest.fixture(scope="session")
def everything() -> Iterator[Rig]:
    """The server with all toolsets."""
    with served() as rig:
        yield rig


@pytest.fixture
def rig(everything: Rig) -> Rig:
    """The same, with Coda as new."""
    everything.reset()
    return everything
