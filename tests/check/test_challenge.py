"""Challenges as servers write them, and what a strict parser would not read in them."""

from __future__ import annotations

import pytest

from stytch_mcp_kit.check.challenge import bearer, parse_challenges


def test_several_challenges_of_several_lines_are_told_apart() -> None:
    basic, named, other = parse_challenges(['Basic realm="a, b", Bearer scope="notes:read notes:write"', "Negotiate"])
    assert (basic.scheme, basic.parameters, basic.flaws) == ("basic", {"realm": "a, b"}, [])
    assert (named.scheme, named.scopes, named.flaws) == ("bearer", ["notes:read", "notes:write"], [])
    assert (other.scheme, other.parameters, other.flaws) == ("negotiate", {}, [])
    assert bearer([basic, named, other]) is named
    assert bearer([basic, other]) is None


def test_an_escaped_character_in_quotes_is_that_character() -> None:
    (challenge,) = parse_challenges([r'Bearer error_description="say \"no\""'])
    assert challenge.parameters == {"error_description": 'say "no"'}
    assert challenge.flaws == []


@pytest.mark.parametrize(
    ("value", "flaws"),
    [
        ("Bearer error=invalid_token, error=invalid_token", ["error twice"]),
        ("Bearer scope=notes/read", ["scope without quotes"]),
        ('Bearer sco pe="notes:read"', ["something that is no parameter"]),
        ("Bearer only-a-word", ["something that is no parameter"]),
        ('Bearer scope="left open, and on', ["scope without quotes"]),
        ('Bearer scope="ends in \\', ["scope without quotes"]),
        (' , Bearer scope="notes:read" ,, ', []),
        ("realm=before-any-scheme", None),
        ("", None),
    ],
)
def test_what_cannot_be_read_is_a_flaw(value: str, flaws: list[str] | None) -> None:
    assert [challenge.flaws for challenge in parse_challenges([value])] == ([] if flaws is None else [flaws])
