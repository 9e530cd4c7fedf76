"""The short form of `make fuzz`: every way in, the same hostile inputs each time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.subject import Subject
from tests.fuzz.subjects import ALL

EXAMPLES = 60


@pytest.mark.parametrize("subject", ALL, ids=lambda subject: subject.name)
def test_no_input_breaks_a_promise(subject: Subject) -> None:
    with subject.opened() as judge:
        for seed in subject.seeds:
            judge(seed)

        @given(subject.strategy)
        @settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=EXAMPLES,
            suppress_health_check=list(HealthCheck),
        )
        def promises_hold(octets: bytes) -> None:
            judge(octets)

        promises_hold()
