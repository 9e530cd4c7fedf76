"""Which schemas of tools a client can use."""

from __future__ import annotations

from typing import Any

import pytest

from stytch_mcp_kit.check.areas.tools import schema_flaw

DEEP: dict[str, Any] = {"type": "object"}
for _ in range(10_000):
    DEEP = {"type": "object", "properties": {"inner": DEEP}}


@pytest.mark.parametrize(
    ("schema", "flaw"),
    [
        ({"type": "object"}, None),
        ({"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"}, None),
        # Of another dialect only the type is known to matter.
        ({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#", "properties": 5}, None),
        ({"type": "string"}, "is not of type object"),
        (None, "is not of type object"),
        ({"type": "object", "properties": 5}, "is invalid: "),
        (DEEP, "is nested too deep"),
    ],
    ids=["plain", "named dialect", "another dialect", "string", "none", "invalid", "deep"],
)
def test_a_schema_that_no_client_could_use_has_a_flaw(schema: object, flaw: str | None) -> None:
    found = schema_flaw(schema)
    assert found == flaw if flaw is None or found is None else found.startswith(flaw)
