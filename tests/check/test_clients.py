"""What is known about clients: in one file, with its date, and what follows from it at a server."""

from __future__ import annotations

import json
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest

from stytch_mcp_kit import check
from stytch_mcp_kit.check.areas import CHECKS
from stytch_mcp_kit.check.clients import Verdict, judge, load

FACTS = load()
SERVER = {
    "client_id_metadata_document_supported": True,
    "registration_endpoint": "https://login.example.com/register",
    "token_endpoint_auth_methods_supported": ["none"],
}


def verdict(client: str, server: dict[str, Any] | None = SERVER, local: bool = False, **ids: list[str]) -> Verdict:
    by_id = {each.id: each for each in CHECKS}
    failed, unknown = ([by_id[name] for name in ids.get(key, [])] for key in ("failed", "unknown"))
    return judge(FACTS.profiles[client], server, failed, unknown, local)


def test_facts_have_a_date_and_grow_old() -> None:
    checked_on = FACTS.checked_on
    assert FACTS.valid_days == 120
    assert FACTS.warning(checked_on + timedelta(days=120)) is None
    warning = FACTS.warning(checked_on + timedelta(days=121))
    assert warning is not None
    assert "121 days ago" in warning
    assert str(checked_on) in warning


def test_facts_stand_in_one_place_only() -> None:
    """No redirect URI, address range or document URL of a client is in the code."""
    values = json.loads(files(check).joinpath("clients.json").read_text(encoding="utf-8"))
    assert date.fromisoformat(values["checked_on"])
    facts = {
        text
        for profile in values["clients"].values()
        for name in ("redirect_uris", "redirect_uris_without_iss", "client_id_metadata", "addresses", "user_agents")
        for text in profile.get(name, [])
    }
    assert len(facts) > 15
    for module in files(check).joinpath("areas").iterdir():
        if module.name.endswith(".py"):
            source = module.read_text(encoding="utf-8")
            assert not [fact for fact in facts if fact in source], module.name


def test_every_client_that_a_check_names_is_known() -> None:
    named = {name for each in CHECKS for name in each.clients}
    assert named - set(FACTS.profiles) == {"inspector"}


@pytest.mark.parametrize(
    ("client", "changes", "way"),
    [
        ("chatgpt", {}, "cimd"),
        ("claude", {}, "cimd"),
        ("claude", {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}, "dcr"),
        ("chatgpt", {"client_id_metadata_document_supported": False}, "dcr"),
        ("cursor", {}, "dcr"),
        ("cursor", {"registration_endpoint": None}, "by hand"),
        ("vscode", {"registration_endpoint": None}, "cimd"),
        ("vscode", {"registration_endpoint": None, "client_id_metadata_document_supported": None}, None),
    ],
)
def test_the_way_a_client_registers(client: str, changes: dict[str, Any], way: str | None) -> None:
    found = verdict(client, {**SERVER, **changes})
    assert found.registration == way
    assert found.accepts is (way is not None)


def test_chatgpt_returns_to_one_place_only_where_iss_is_sent() -> None:
    assert verdict("chatgpt").redirect_uris == ("https://chatgpt.com/connector/oauth/{callback_id}",)
    stable = verdict("chatgpt", {**SERVER, "authorization_response_iss_parameter_supported": True})
    assert stable.redirect_uris == ("https://chatgpt.com/connector_platform_oauth_redirect",)


def test_what_breaks_a_client_is_named() -> None:
    found = verdict("claude", failed=["CH-06", "PR-06", "CH-02"])
    assert found.accepts is False
    assert found.decides == ("PR-06", "CH-02")
    assert found.because == "resource is the URL that people enter, everywhere"


def test_what_concerns_others_does_not_count() -> None:
    assert verdict("cursor", failed=["TR-07", "AS-19"]).accepts is True
    assert verdict("claude", failed=["TR-07"]).accepts is False
    assert verdict("cursor", failed=["AS-22"]).accepts is True, "a MAY stops nobody"


def test_what_is_not_known_is_said() -> None:
    cursor = verdict("cursor", unknown=["RG-06"])
    assert (cursor.accepts, cursor.because) == (None, "needs --register")
    assert verdict("claude", unknown=["RG-06"]).accepts is True
    assert verdict("claude", local=True).accepts is None
    assert verdict("claude-code", local=True).accepts is True
    assert verdict("vscode", server=None).accepts is None
