"""The settings of this server, and that what is said about them is all of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from coda_mcp.upstream import UpstreamSettings
from coda_mcp.upstream.settings import TOOLSETS, Rate
from stytch_mcp.settings import SettingsError, load
from tests.servers import ROOT

GOOD = {
    "PUBLIC_URL": "https://coda.example.com",
    "STYTCH_DOMAIN": "https://quiet-lake-1234.customers.stytch.com",
    "STYTCH_PROJECT_ID": "project-live-11111111-1111-4111-8111-111111111111",
    "STYTCH_SECRET": "secret-live-of-the-tests",
    "SIGNIN_SECRET": "sign-in-secret-of-the-tests-0123456789",
    "ALLOWED_USERS": "*",
    "CODA_API_TOKEN": "a-token",
}


def loaded(monkeypatch: pytest.MonkeyPatch, **changes: str) -> UpstreamSettings:
    for name in UpstreamSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {**GOOD, **changes}.items():
        monkeypatch.setenv(name, value)
    return load(UpstreamSettings)


def test_little_has_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch)
    assert settings.upstream_url == "https://coda.io"
    assert settings.coda_toolsets == ("core",)
    assert settings.coda_read_only is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [("all", TOOLSETS), ("core", ("core",)), ("admin, analytics", ("core", "admin", "analytics"))],
)
def test_toolsets(monkeypatch: pytest.MonkeyPatch, text: str, expected: tuple[str, ...]) -> None:
    assert loaded(monkeypatch, CODA_TOOLSETS=text).coda_toolsets == expected


BAD = {
    "CODA_API_TOKEN": ("", "is not set"),
    "CODA_TOOLSETS": ("packs", "is not accepted"),
    "CODA_READ_ONLY": ("perhaps", "is not accepted"),
    "CODA_DOC_IDS": ("https://coda.io/d/_dAbC", "coda.io/d/Title_dAbCDeFGH"),
    "CODA_RATE_SHARE": ("1.5", "is not accepted"),
    "CODA_LIMIT_READING": ("fast", "100/6.3"),
    "CODA_LIMIT_CONTENT": ("5/0", "requests/seconds"),
    "CODA_CALL_SECONDS": ("1", "is not accepted"),
    "UPSTREAM_URL": ("coda.io", "https://coda.io"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value, words = BAD[name]
    with pytest.raises(SettingsError) as refused:
        loaded(monkeypatch, **{name: value})
    assert name in refused.value.report("coda-mcp")
    assert words in refused.value.report("coda-mcp")


def test_a_token_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a-token" not in repr(loaded(monkeypatch))
    with pytest.raises(SettingsError) as refused:
        loaded(monkeypatch, CODA_API_TOKEN="a\u00e9-token")
    assert "-token" not in refused.value.report("coda-mcp").replace("API token", "")


@pytest.mark.parametrize("text", ["100/6", "3/10.5", "1/86400"])
def test_a_rate_is_written_as_it_is_read(text: str) -> None:
    assert str(Rate.parse(text)) == text


def test_the_example_settings_are_the_settings() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in UpstreamSettings.model_fields)
    for name, value in re.findall(r"^#?(CODA_[A-Z_]*)=(.+)$", example, re.MULTILINE):
        field: Any = UpstreamSettings.model_fields[name.lower()]
        text = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default).lower()
        assert value in (text, text.removesuffix(".0")) or name == "CODA_DOC_IDS", name
