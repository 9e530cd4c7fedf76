"""Static tokens: how they are written, until when they hold, and that they are compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stytch_mcp.protect import bearer
from stytch_mcp.protect.bearer import BearerToken, BearerTokens, digest
from stytch_mcp.protect.reasons import BEARER_ENDED, Refused
from tests.fake_issuer import Clock

TOKEN = "mcp_0123456789"
SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
LAST_SECOND = datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("entry", "parsed"),
    [
        (f"ci|{SHA256}|notes:read", BearerToken("ci", SHA256, frozenset({"notes:read"}))),
        (f"ci|{SHA256}|", BearerToken("ci", SHA256, frozenset())),
        (f"ci|{SHA256}|a b", BearerToken("ci", SHA256, frozenset({"a", "b"}))),
        (f"ci|{SHA256}|a|2027-12-31", BearerToken("ci", SHA256, frozenset({"a"}), date(2027, 12, 31))),
        (f"ci|{SHA256}|a|", BearerToken("ci", SHA256, frozenset({"a"}))),
        (f" ci | {SHA256.upper()} | a | 2027-12-31 ", BearerToken("ci", SHA256, frozenset({"a"}), date(2027, 12, 31))),
        (f"A.b_c-9|{SHA256}|a", BearerToken("A.b_c-9", SHA256, frozenset({"a"}))),
    ],
)
def test_an_entry_and_back_again(entry: str, parsed: BearerToken) -> None:
    assert BearerToken.parse(entry) == parsed
    assert BearerToken.parse(str(parsed)) == parsed


def test_an_entry_is_written_in_one_way() -> None:
    assert str(BearerToken("ci", SHA256, frozenset({"b", "a"}), date(2027, 1, 2))) == f"ci|{SHA256}|a b|2027-01-02"
    assert str(BearerToken("ci", SHA256, frozenset())) == f"ci|{SHA256}|"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("", "name|sha256|scopes"),
        ("ci", "name|sha256|scopes"),
        (f"ci|{SHA256}", "name|sha256|scopes"),
        (f"ci|{SHA256}|a|2027-12-31|x", "name|sha256|scopes"),
        (f"|{SHA256}|a", "a name has up to 64 letters"),
        (f"-ci|{SHA256}|a", "a name has up to 64 letters"),
        (f"c i|{SHA256}|a", "a name has up to 64 letters"),
        (f"{'c' * 65}|{SHA256}|a", "a name has up to 64 letters"),
        (f"ci|{TOKEN}|a", "64 hex digits, never the token"),
        (f"ci|{SHA256[:-1]}|a", "64 hex digits, never the token"),
        (f"ci|{SHA256[:-1]}g|a", "64 hex digits, never the token"),
        (f"ci|{SHA256}0|a", "64 hex digits, never the token"),
        (f'ci|{SHA256}|a "b"', "ci: '\"b\"' is not a scope"),
        (f"ci|{SHA256}|é", "ci: 'é' is not a scope"),
        (f"ci|{SHA256}|a|tomorrow", "ci: 'tomorrow' is not a date like 2027-12-31"),
        (f"ci|{SHA256}|a|31.12.2027", "is not a date"),
        (f"ci|{SHA256}|a|2027-02-29", "is not a date"),
    ],
)
def test_what_is_no_entry_and_the_words_for_it(entry: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^") as caught:
        BearerToken.parse(entry)
    assert words in str(caught.value)


@pytest.mark.parametrize("entry", [TOKEN, f"ci|{TOKEN}|a", f"{TOKEN}|ci|a", f"{TOKEN}|{TOKEN}|{TOKEN}", f"|{TOKEN}|"])
def test_the_words_never_repeat_what_may_be_the_token(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^") as caught:
        BearerToken.parse(entry)
    assert TOKEN not in str(caught.value)


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(
    st.text()
    | st.lists(st.sampled_from(["ci", "", SHA256, "a b", "2027-12-31", "9999-12-31", "0001-01-01", "é"])).map("|".join)
)
def test_any_text_is_an_entry_or_a_value_error(entry: str) -> None:
    try:
        token = BearerToken.parse(entry)
    except ValueError:
        return
    assert BearerToken.parse(str(token)) == token
    assert token.ends_at is None or token.ends_at > -1e11


# Finding one.


def tokens(now: Clock, *entries: str) -> BearerTokens:
    return BearerTokens([BearerToken.parse(entry) for entry in entries], now)


def entry_of(name: str, token: str, rest: str = "notes:read") -> str:
    return f"{name}|{digest(token)}|{rest}"


def test_a_known_token_is_a_principal_that_cannot_step_up() -> None:
    found = tokens(Clock(), entry_of("other", "x"), entry_of("ci", TOKEN, "a b|2027-12-31")).find(TOKEN)
    assert found is not None
    assert (found.subject, found.client_id, found.issuer) == ("token:ci", "ci", "bearer-token")
    assert found.scopes == {"a", "b"}
    assert found.can_step_up is False
    assert found.expires_at == pytest.approx(LAST_SECOND + 1, abs=0.001)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f" {TOKEN}", SHA256, "é", "\0"])
def test_an_unknown_token_is_for_somebody_else_to_judge(token: str) -> None:
    assert tokens(Clock(), entry_of("ci", TOKEN)).find(token) is None
    assert tokens(Clock()).find(token) is None


@pytest.mark.parametrize("after", [0.0, 0.999])
def test_a_token_holds_through_its_last_second_utc(after: float) -> None:
    assert tokens(Clock(LAST_SECOND + after), entry_of("ci", TOKEN, "a|2027-12-31")).find(TOKEN) is not None


@pytest.mark.parametrize("after", [1.0, 86_400.0])
def test_a_token_is_over_when_the_day_is(after: float) -> None:
    known = tokens(Clock(LAST_SECOND + after), entry_of("ci", TOKEN, "a|2027-12-31"))
    with pytest.raises(Refused) as caught:
        known.find(TOKEN)
    assert (caught.value.reason, caught.value.reason.status) == (BEARER_ENDED, 401)
    assert caught.value.detail == "token 'ci' ended 2027-12-31"
    assert caught.value.issuer == "bearer-token"


def test_the_end_is_judged_each_time() -> None:
    now = Clock(LAST_SECOND)
    known = tokens(now, entry_of("ci", TOKEN, "a|2027-12-31"))
    assert known.find(TOKEN) is not None
    now.forward(1)
    with pytest.raises(Refused):
        known.find(TOKEN)


def test_a_token_without_a_date_has_no_end() -> None:
    found = tokens(Clock(1e11), entry_of("ci", TOKEN)).find(TOKEN)
    assert found is not None
    assert found.expires_at is None


@pytest.mark.parametrize("token", ["first", "second", "third", "none"])
def test_every_entry_is_compared_in_constant_time_whichever_matches(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    compared: list[tuple[str, str]] = []

    class Recording:
        @staticmethod
        def compare_digest(one: str, other: str) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

    known = tokens(Clock(), *(entry_of(name, name) for name in ("first", "second", "third")))
    monkeypatch.setattr(bearer, "hmac", Recording)
    found = known.find(token)
    assert (found.client_id if found else "none") == token
    assert compared == [(digest(name), digest(token)) for name in ("first", "second", "third")]


def test_the_digest_is_the_sha256_of_what_a_client_sends() -> None:
    assert digest(TOKEN) == SHA256


@pytest.mark.parametrize("token", ["", " ", f"{TOKEN} ", f"{TOKEN}\n", "a b", "é", "=", "a=b", '"a"'])
def test_what_no_client_could_send_has_no_digest(token: str) -> None:
    with pytest.raises(ValueError, match="RFC 6750"):
        digest(token)
