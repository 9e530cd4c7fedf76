"""Fixtures of all tests."""

from __future__ import annotations

import pytest

from tests.fake_issuer import FakeIssuer

pytest_plugins = ["tests.servers"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def issuer() -> FakeIssuer:
    """An authorization server in this process, whose tokens and answers a test can bend."""
    return FakeIssuer()
