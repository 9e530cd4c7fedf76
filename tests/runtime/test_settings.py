"""Settings: what is accepted, and one report of all that is not; origins, which clients compare byte by byte."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, SecretStr, model_validator

from stytch_mcp.protect.origins import PublicUrl, is_loopback, origin
from stytch_mcp.protect.policy import AccessRules
from stytch_mcp.report import in_order
from stytch_mcp.settings import Problem, Settings, SettingsError, load, missing
from tests.fake_issuer import DOMAIN, PROJECT_ID, SECRET

SHA256 = hashlib.sha256(b"mcp_1").hexdigest()

GOOD = {
    "PUBLIC_URL": "https://notes.example.com",
    "STYTCH_PROJECT_ID": PROJECT_ID,
    "STYTCH_SECRET": SECRET,
    "STYTCH_DOMAIN": DOMAIN,
    "SIGNIN_SECRET": "s" * 32,
    "ALLOWED_EMAIL_DOMAINS": "example.com",
}


class OwnSettings(Settings):
    """As the owner of a server would add to them."""

    api_url: Annotated[str, AfterValidator(origin)] = Field(description="The origin of the API.")
    api_token: SecretStr | None = Field(None, description="The credential for it.")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.api_token is None:
            yield missing(type(self), "api_token")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OwnSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def given_as(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def problems(kind: type[Settings] = Settings, env_file: Path | None = None) -> dict[str, str]:
    """Name and sentence of all that is wrong."""
    try:
        load(kind, env_file)
    except SettingsError as error:
        return {problem.name: problem.sentence for problem in error.problems}
    return {}


def test_the_least_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **GOOD)
    settings = load(Settings)
    assert settings.mcp_url == "https://notes.example.com/mcp"
    assert settings.url == PublicUrl("https://notes.example.com")
    assert (settings.host, settings.port, settings.log_format) == ("127.0.0.1", 8000, "json")
    assert (settings.auth_issuers, settings.scope_mode, settings.required_scopes) == (("stytch",), "simple", ())
    assert settings.rules == AccessRules(domains=frozenset({"example.com"}))
    assert list(settings.warnings()) == []


def test_nothing_set_at_all() -> None:
    assert list(problems()) == ["PUBLIC_URL", "STYTCH_PROJECT_ID", "STYTCH_DOMAIN"]


REPORT = """\
notes-mcp cannot start: 7 settings need attention.

  PUBLIC_URL          "https://notes.example.com/" ends with "/", and clients compare it byte by byte: \
https://notes.example.com
  ALLOWED_EMAILS      "ada" has 'ada', which is not an e-mail address
  STYTCH_PROJECT_ID   "12345" is not a project ID: project-live-... or project-test-..., from the Stytch dashboard
  STYTCH_SECRET       is not set. The project's secret, for the sign-in page and to look up e-mail addresses.
  STYTCH_DOMAIN       is not set. The project's own domain, the issuer: https://<name>.customers.stytch.com
  API_TOKEN           is not set. The credential for it.
  PORT                "http" is not accepted: input should be a valid integer, unable to parse string as an integer.

All settings: notes-mcp serve --help"""


def test_the_report_word_for_word(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(
        monkeypatch,
        PUBLIC_URL="https://notes.example.com/",
        PORT="http",
        ALLOWED_EMAILS="ada",
        STYTCH_PROJECT_ID="12345",
        API_URL="https://api.example.com",
    )
    with pytest.raises(SettingsError) as caught:
        load(OwnSettings)
    assert caught.value.report("notes-mcp") == REPORT


def test_the_report_counts_one_as_one() -> None:
    report = SettingsError([Problem("PORT", "is wrong.")]).report("notes-mcp")
    assert report.splitlines()[0] == "notes-mcp cannot start: 1 setting needs attention."


BAD = {
    "PUBLIC_URL": ("http://notes.example.com", "is not https"),
    "PORT": ("70000", "less than or equal to 65535"),
    "LOG_FORMAT": ("xml", "'json' or 'text'"),
    "MAX_BODY_BYTES": ("17", "greater than or equal to 1024"),
    "ALLOWED_ORIGINS": ("https://ok.example,https://x.example/a", "has more than scheme, host and port"),
    "SERVE_AS_METADATA": ("perhaps", "valid boolean"),
    "AUTH_ISSUERS": ("stytch,okta", "'stytch', 'workos' or 'oidc'"),
    "SCOPE_MODE": ("complex", "'simple' or 'custom'"),
    "REQUIRED_SCOPES": ('notes:read,"x"', "which is not a scope name"),
    "ALLOWED_EMAILS": ("ada@example.com,@example.com", "which is not an e-mail address"),
    "ALLOWED_EMAIL_DOMAINS": ("*.example.com", "Give the domain alone"),
    "BEARER_TOKENS": ("ci|password-1|a", "64 hex digits"),
    "STYTCH_PROJECT_ID": ("project-live-1", "is not a project ID"),
    "STYTCH_DOMAIN": (f"{DOMAIN}/", 'ends with "/"'),
    "OIDC_ISSUER": ("https://idp.example.org/a?b=c", "which no issuer has"),
    "OIDC_AUDIENCE": ("two words", "is blank or has spaces"),
    "WORKOS_DOMAIN": ("calm-river-12.authkit.app", "Give the scheme: https://calm-river-12.authkit.app"),
    "WORKOS_AUDIENCE": ("a b", "is blank or has spaces"),
    "WORKOS_DEFAULT_SCOPES": ('"x"', "which is not a scope name"),
    "CF_ACCESS_TEAM_DOMAIN": ("http://acme.cloudflareaccess.com", "is not https"),
    "CF_ACCESS_AUD": ("4714c135", "is not an AUD tag"),
    "CF_ACCESS_SCOPES": ("notes:read notes:write", "which is not a scope name"),
}


def test_everything_wrong_is_reported_together_with_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{name: value for name, (value, _) in BAD.items()}, API_URL="nowhere")
    found = problems(OwnSettings)
    order = [name.upper() for name in in_order(OwnSettings)]
    assert list(found) == sorted([*BAD, "STYTCH_SECRET", "API_URL", "API_TOKEN"], key=order.index)
    for name, (value, accepted) in BAD.items():
        assert accepted in found[name]
        if name not in ("BEARER_TOKENS", "AUTH_ISSUERS"):
            assert f'"{value}" ' in found[name]
    assert '"okta" ' in found["AUTH_ISSUERS"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "8000.5", "valid integer"),
        ("MAX_BODY_BYTES", "99999999999", "less than or equal to 67108864"),
        ("AUTH_ISSUERS", ",", "at least 1 item"),
        ("AUTH_ISSUERS", "Stytch", "'stytch', 'workos' or 'oidc'"),
        ("ALLOWED_ORIGINS", "*", "is not an origin"),
        ("ALLOWED_ORIGINS", "null", "is not an origin"),
        ("REQUIRED_SCOPES", "notes:read notes:write", "which is not a scope name"),
        ("ALLOWED_EMAILS", "ada@", "which is not an e-mail address"),
        ("ALLOWED_EMAIL_DOMAINS", "ada@example.com", "Give the domain alone"),
        ("ALLOWED_EMAIL_DOMAINS", ".example.com", "Give the domain alone"),
        ("ALLOWED_EMAIL_DOMAINS", "https://example.com", "Give the domain alone"),
        ("STYTCH_PROJECT_ID", PROJECT_ID.upper(), "is not a project ID"),
        ("STYTCH_PROJECT_ID", f"{PROJECT_ID}0", "is not a project ID"),
        ("STYTCH_DOMAIN", "quiet-lake-1234.customers.stytch.com", "Give the scheme"),
        ("STYTCH_DOMAIN", f"{DOMAIN}/v1", "has more than scheme"),
        ("OIDC_ISSUER", "http://idp.example.org/a", "is not https"),
        ("OIDC_ISSUER", "https://idp.example.org/a#b", "which no issuer has"),
        ("OIDC_ISSUER", "https://idp.example.org/a\n", "which no issuer has"),
        ("OIDC_ISSUER", "idp", "Give the scheme"),
        ("AUTH_ISSUERS", "stytch,cloudflare_access", "'stytch', 'workos' or 'oidc'"),
        ("AUTH_MODE", "access", "'oauth' or 'cloudflare-access'"),
        ("STYTCH_AUDIENCE", "\t", "is blank or has spaces"),
        ("WORKOS_DOMAIN", "https://calm-river-12.authkit.app/", "ends with"),
        ("CF_ACCESS_AUD", "g" * 64, "is not an AUD tag"),
        ("BEARER_TOKENS", f"ci|{SHA256}|a,nonsense", "name|sha256|scopes"),
    ],
)
def test_one_wrong_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    given_as(monkeypatch, **{**GOOD, name: value})
    found = problems()
    assert list(found) == [name]
    assert words in found[name]


@pytest.mark.parametrize("name", ["PUBLIC_URL", "PORT", "ALLOWED_EMAILS", "SIGNIN_SECRET", "SCOPE_MODE"])
def test_octets_that_are_no_text_are_reported_like_anything_else(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    given_as(monkeypatch, **{**GOOD, name: os.fsdecode(b"https://a.example\xff"), "LOG_FORMAT": "xml"})
    with pytest.raises(SettingsError) as caught:
        load(Settings)
    assert {problem.name for problem in caught.value.problems} == {name, "LOG_FORMAT"}
    assert "is not UTF-8 text" in caught.value.report("notes-mcp")
    caught.value.report("notes-mcp").encode()


def test_a_long_value_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "STYTCH_PROJECT_ID": "a b " * 5000})
    assert len(problems()["STYTCH_PROJECT_ID"]) < 250


@pytest.mark.parametrize(
    "entry", ["{0}", "ci|{0}|a", "{0}|ci|a", "{0}|{0}|{0}", "a|{0},b|{0}|x"], ids=lambda entry: entry.format("T")
)
def test_no_secret_is_ever_in_the_report(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    secret = "recognisable-value"
    given_as(monkeypatch, **{name: value for name, (value, _) in BAD.items()}, API_URL="nowhere")
    given_as(monkeypatch, STYTCH_SECRET=secret, API_TOKEN=secret, BEARER_TOKENS=entry.format(secret))
    with pytest.raises(SettingsError) as caught:
        load(OwnSettings)
    assert "BEARER_TOKENS" in caught.value.report("notes-mcp")
    everything = caught.value.report("notes-mcp") + str(caught.value) + repr(caught.value.problems)
    assert secret not in everything
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["PUBLIC_URL", "STYTCH_DOMAIN", "OIDC_ISSUER", "ALLOWED_ORIGINS", "API_URL"])
@pytest.mark.parametrize("password", ["word", "wo/rd", "1/word", "wo rd", "wo@rd", "wo#rd", "WORD"])
@pytest.mark.parametrize("end", ["", "/", "/path", "?query"])
def test_no_password_of_a_url_is_in_the_report(
    monkeypatch: pytest.MonkeyPatch, name: str, password: str, end: str
) -> None:
    given_as(monkeypatch, **{**GOOD, name: f"https://somebody:{password}@notes.example.com{end}", "PORT": "http"})
    with pytest.raises(SettingsError) as caught:
        load(OwnSettings)
    report = caught.value.report("notes-mcp").lower()
    assert not [part for part in ("word", "wo/", "rd@", "somebody") if part in report]


class Whole(OwnSettings):
    """With a rule about all settings together, as pydantic has them."""

    @model_validator(mode="after")
    def apart(self) -> Whole:
        if self.api_url == self.public_url:
            raise ValueError("API_URL and PUBLIC_URL are the same.")
        return self


@pytest.mark.parametrize(("port", "names"), [("8000", {"Settings"}), ("http", {"PORT", "Settings"})])
def test_a_validator_of_the_whole_model_joins_the_report(
    monkeypatch: pytest.MonkeyPatch, port: str, names: set[str]
) -> None:
    given_as(monkeypatch, **GOOD, API_URL=GOOD["PUBLIC_URL"], API_TOKEN="t", PORT=port)
    found = problems(Whole)
    assert set(found) == names
    assert found["Settings"] == "API_URL and PUBLIC_URL are the same."


def test_a_file_that_cannot_be_read_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given_as(monkeypatch, **GOOD)

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # As for anybody but root.

    env_file = tmp_path / ".env"
    env_file.write_text("PORT=1\n")
    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(SettingsError) as caught:
        load(Settings, env_file)
    assert caught.value.problems == [Problem(str(env_file), "cannot be read: Permission denied.")]


def test_no_secret_is_in_the_settings_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **GOOD)
    settings = load(Settings)
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


def test_an_owners_required_setting_joins_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, PUBLIC_URL="https://notes.example.com")
    found = problems(OwnSettings)
    of_stytch = ["STYTCH_PROJECT_ID", "STYTCH_SECRET", "STYTCH_DOMAIN"]
    assert list(found) == ["ALLOWED_EMAILS", *of_stytch, "SIGNIN_SECRET", "API_URL", "API_TOKEN"]
    assert found["API_URL"] == "is not set. The origin of the API."


# What is right by itself and wrong together.


@pytest.mark.parametrize("absent", ["STYTCH_PROJECT_ID", "STYTCH_DOMAIN", "STYTCH_SECRET", "SIGNIN_SECRET"])
def test_what_the_stytch_issuer_needs(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    given_as(monkeypatch, **{name: value for name, value in GOOD.items() if name != absent})
    assert list(problems()) == [absent]
    assert problems()[absent].startswith("is not set. ")


@pytest.mark.parametrize("rule", [{"ALLOWED_USERS": "*"}, {"ALLOWED_ORGANIZATIONS": "organization-live-1"}])
def test_on_loopback_the_secret_is_only_needed_for_addresses(
    monkeypatch: pytest.MonkeyPatch, rule: dict[str, str]
) -> None:
    absent = ("STYTCH_SECRET", "ALLOWED_EMAIL_DOMAINS")
    given_as(monkeypatch, **{name: value for name, value in GOOD.items() if name not in absent}, **rule)
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:8000")
    assert problems() == {}


def test_the_oidc_issuer_needs_its_name_and_nothing_of_stytch(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, PUBLIC_URL="https://notes.example.com", AUTH_ISSUERS="oidc", ALLOWED_EMAILS="a@example.com")
    assert list(problems()) == ["OIDC_ISSUER"]
    given_as(monkeypatch, OIDC_ISSUER="https://idp.example.org/tenant/")
    assert problems() == {}
    assert load(Settings).oidc_issuer == "https://idp.example.org/tenant/"


WORKOS = {"WORKOS_DOMAIN": "https://calm-river-12.authkit.app"}
BY_NAME = {"ALLOWED_EMAIL_DOMAINS": "", "ALLOWED_USERS": "user-live-1", "ALLOWED_ORGANIZATIONS": "organization-live-1"}
ACCESS = {"CF_ACCESS_TEAM_DOMAIN": "https://acme.cloudflareaccess.com", "CF_ACCESS_AUD": "a" * 64}
PUBLIC = {"PUBLIC_URL": "https://notes.example.com", "ALLOWED_EMAILS": "a@example.com"}


def test_workos_needs_its_domain_and_beside_stytch_all_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **PUBLIC, AUTH_ISSUERS="workos,stytch")
    stytch = ["STYTCH_PROJECT_ID", "STYTCH_SECRET", "STYTCH_DOMAIN", "SIGNIN_SECRET"]
    assert list(problems()) == [*stytch, "WORKOS_DOMAIN"]
    given_as(monkeypatch, **GOOD, **WORKOS)
    assert problems() == {}
    assert load(Settings).accepted_issuers == ("workos", "stytch")
    given_as(monkeypatch, WORKOS_DOMAIN=DOMAIN)
    assert list(problems()) == ["WORKOS_DOMAIN"]


def test_no_issuer_goes_by_two_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loose rules of oidc would take what the strict ones refuse."""
    given_as(monkeypatch, **PUBLIC, **WORKOS, AUTH_ISSUERS="workos,oidc", OIDC_ISSUER=WORKOS["WORKOS_DOMAIN"])
    assert problems() == {"OIDC_ISSUER": "is WORKOS_DOMAIN, whose tokens need the stricter rules of workos alone."}


def test_behind_access_its_own_settings_are_needed_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **PUBLIC, AUTH_MODE="cloudflare-access", SCOPE_MODE="custom", AUTH_ISSUERS="workos,stytch")
    assert list(problems()) == ["CF_ACCESS_TEAM_DOMAIN", "CF_ACCESS_AUD", "CF_ACCESS_SCOPES"]
    given_as(monkeypatch, **ACCESS, CF_ACCESS_SCOPES="notes:read")
    assert problems() == {}
    assert load(Settings).accepted_issuers == ("cloudflare_access",)


def test_in_simple_mode_access_needs_no_scopes_unless_every_request_does(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **PUBLIC, **ACCESS, AUTH_MODE="cloudflare-access")
    assert problems() == {}
    given_as(monkeypatch, REQUIRED_SCOPES="notes:read")
    assert list(problems()) == ["CF_ACCESS_SCOPES"]


def test_a_service_token_is_somebody_who_is_allowed_behind_access_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "ALLOWED_EMAIL_DOMAINS": ""}, **ACCESS, CF_ACCESS_SERVICE_TOKENS="a1.access")
    assert list(problems()) == ["ALLOWED_EMAILS"]
    given_as(monkeypatch, AUTH_MODE="cloudflare-access")
    assert problems() == {}
    assert load(Settings).rules == AccessRules(users=frozenset({"a1.access"}))


def test_switching_is_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **GOOD, **ACCESS)
    for mode in ("oauth", "cloudflare-access", "oauth"):
        given_as(monkeypatch, AUTH_MODE=mode)
        assert problems() == {}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"CF_ACCESS_AUD": "a" * 64}, "belong together"),
        ({"AUTH_ISSUERS": "workos", **WORKOS}, "set WORKOS_API_KEY"),
        ({"AUTH_ISSUERS": "workos", **WORKOS, "WORKOS_API_KEY": "sk_1", "SCOPE_MODE": "custom"}, "WORKOS_DEFAULT"),
        ({"AUTH_ISSUERS": "workos", **WORKOS, "WORKOS_API_KEY": "sk_1"}, None),
        (ACCESS, None),
        ({**ACCESS, "AUTH_MODE": "cloudflare-access"}, None),
        ({**ACCESS, "AUTH_MODE": "cloudflare-access", **BY_NAME}, "nobody goes by a name of Stytch"),
        ({**ACCESS, "AUTH_MODE": "cloudflare-access", **BY_NAME, "CF_ACCESS_SERVICE_TOKENS": "a1.access"}, None),
        ({**ACCESS, **BY_NAME}, None),
    ],
    ids=str,
)
def test_what_is_often_not_meant_so(monkeypatch: pytest.MonkeyPatch, more: dict[str, str], words: str | None) -> None:
    given_as(monkeypatch, **{**GOOD, **more})
    found = list(load(Settings).warnings())
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


def test_production_with_nobody_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "ALLOWED_EMAIL_DOMAINS": ""})
    found = problems()
    assert list(found) == ["ALLOWED_EMAILS"]
    assert found["ALLOWED_EMAILS"].startswith("nobody is allowed: set ALLOWED_EMAILS")


def test_a_bearer_token_does_not_make_up_for_nobody_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "ALLOWED_EMAIL_DOMAINS": "", "BEARER_TOKENS": f"ci|{SHA256}|a"})
    assert list(problems()) == ["ALLOWED_EMAILS"]


def test_on_loopback_it_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "ALLOWED_EMAIL_DOMAINS": "", "PUBLIC_URL": "http://127.0.0.1:8000"})
    assert list(load(Settings).warnings()) == ["no ALLOWED_* setting: everyone who logs in will be refused."]


@pytest.mark.parametrize(
    ("url", "kind", "warned"),
    [
        ("https://notes.example.com", "test", True),
        ("https://notes.example.com", "live", False),
        ("http://127.0.0.1:8000", "test", False),
    ],
)
def test_a_test_project_in_production_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, url: str, kind: str, warned: bool
) -> None:
    given_as(monkeypatch, **{**GOOD, "PUBLIC_URL": url, "STYTCH_PROJECT_ID": PROJECT_ID.replace("live", kind)})
    assert ["test project" in warning for warning in load(Settings).warnings()] == [True] * warned


# Where settings come from, and how lists are written.


def test_the_environment_goes_before_the_file_and_empty_is_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    lines = [*(f"{name}={value}" for name, value in GOOD.items()), "PORT=9000", "HOST=0.0.0.0", "UNRELATED=1"]
    env_file.write_text("\n".join(lines))
    given_as(monkeypatch, HOST="127.0.0.2", PORT="", OIDC_ISSUER="")
    settings = load(Settings, env_file)
    assert (settings.host, settings.port, settings.oidc_issuer) == ("127.0.0.2", 9000, None)


def test_what_is_wrong_in_the_file_is_reported_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PUBLIC_URL=notes.example.com\nSTYTCH_DOMAIN=\n")
    given_as(monkeypatch, PORT="http")
    assert list(problems(env_file=env_file)) == ["PUBLIC_URL", "STYTCH_PROJECT_ID", "STYTCH_DOMAIN", "PORT"]


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    lists: dict[str, str] = {
        "ALLOWED_USERS": " user-1 ,, user-2,",
        "ALLOWED_EMAILS": "Ada@Example.com, grace@example.net",
        "ALLOWED_EMAIL_DOMAINS": "EXAMPLE.com,example.net",
        "ALLOWED_ORGANIZATIONS": "organization-1",
        "REQUIRED_SCOPES": "notes:read,notes:write",
        "ALLOWED_ORIGINS": "https://a.example,http://localhost:6274",
        "AUTH_ISSUERS": "oidc, stytch",
        "OIDC_ISSUER": "https://idp.example.org",
        "BEARER_TOKENS": f"ci|{SHA256}|a b|2027-12-31, me|{'b' * 64}|",
    }
    given_as(monkeypatch, **{**GOOD, **lists})
    settings = load(Settings)
    assert settings.rules == AccessRules(
        users=frozenset({"user-1", "user-2"}),
        organizations=frozenset({"organization-1"}),
        emails=frozenset({"ada@example.com", "grace@example.net"}),
        domains=frozenset({"example.com", "example.net"}),
    )
    assert settings.required_scopes == ("notes:read", "notes:write")
    assert settings.allowed_origins == ("https://a.example", "http://localhost:6274")
    assert settings.auth_issuers == ("oidc", "stytch")
    assert [token.name for token in settings.bearer_tokens] == ["ci", "me"]


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


# Origins.


@pytest.mark.parametrize(
    "text",
    [
        "https://notes.example.com",
        "https://notes.example.com:8443",
        "https://xn--bcher-kva.example",
        "https://a",
        "https://192.0.2.7",
        "https://[2001:db8::1]:8443",
        "http://localhost:8000",
        "http://127.0.0.1",
        "http://127.9.9.9:80000"[:-1],
        "http://[::1]:8000",
    ],
)
def test_an_origin(text: str) -> None:
    assert origin(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not an origin"),
        ("notes.example.com", "Give the scheme: https://notes.example.com"),
        ("https://notes.example.com/", 'ends with "/", and clients compare it byte by byte: https://notes.example.com'),
        ("https://notes.example.com/mcp", "has more than scheme, host and port: https://notes.example.com"),
        ("https://notes.example.com?", "has more than"),
        ("https://notes.example.com#", "has more than"),
        ("https://notes.example.com?a=b", "has more than"),
        ("https://user:word@notes.example.com", "has more than scheme, host and port: https://notes.example.com"),
        ("https://@notes.example.com", "has more than"),
        ("https://Notes.example.com", "has capital letters, and clients compare it byte by byte: https://notes"),
        ("HTTPS://notes.example.com", "has capital letters"),
        ("https://ban\u212a.example", "has capital letters"),
        ("http://notes.example.com", "is not https"),
        ("http://localhost.example.com", "is not https"),
        ("http://192.168.0.1", "is not https"),
        ("ftp://localhost", "is not https"),
        ("https://notes.example.com:443", "spells out the default port: https://notes.example.com"),
        ("http://localhost:80", "spells out the default port"),
        ("https://notes.example.com:", "has no valid host name"),
        ("https://notes.example.com:x", "is not a URL"),
        ("https://notes.example.com:65536", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://", "ends with"),
        ("https://:8443", "has no valid host name"),
        ("https://-a.example", "has no valid host name"),
        ("https://a_b.example", "has no valid host name"),
        ("https://a..example", "has no valid host name"),
        ("https://bücher.example", "has no valid host name"),
        ("https://*.example.com", "has no valid host name"),
        (f"https://{'a' * 64}.example", "has no valid host name"),
        ("https://notes.example.com\n", "has spaces or control characters"),
        (" https://notes.example.com", "has spaces or control characters"),
        ("https://notes.exa\tmple.com", "has spaces or control characters"),
        ("https://notes.example.com\x7f", "has no valid host name"),
    ],
)
def test_what_is_no_origin_and_the_way_out(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        origin(text)


@hypothesis_settings(derandomize=True, deadline=None, database=None, max_examples=500)
@given(
    st.text()
    | st.builds("{}://{}".format, st.sampled_from(["https", "http"]), st.text())
    | st.from_regex(r"\Ahttps?://[a-z0-9.:@/\[\]?#%\\ \n-]{1,20}\Z")
)
def test_any_text_is_an_origin_or_a_value_error(text: str) -> None:
    try:
        accepted = origin(text)
    except ValueError:
        return
    assert accepted == text
    assert re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+(%[^\]\s]+)?\])(:[0-9]{1,5})?", text)
    assert PublicUrl(text).is_host([text.partition("://")[2]])


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("localhost.", False), ("", False)],
)
def test_what_this_machine_is_called(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("public", "hosts", "same"),
    [
        ("https://notes.example.com", ["notes.example.com"], True),
        ("https://notes.example.com", ["NOTES.example.com"], True),
        ("https://notes.example.com", ["notes.example.com:443"], True),
        ("https://notes.example.com", ["notes.example.com:80"], False),
        ("https://notes.example.com", ["notes.example.com."], False),
        ("https://notes.example.com", ["notes.example.com", "notes.example.com"], False),
        ("https://notes.example.com", [], False),
        ("https://notes.example.com", [""], False),
        ("https://notes.example.com", ["x.notes.example.com"], False),
        ("https://notes.example.com:8443", ["notes.example.com:8443"], True),
        ("https://notes.example.com:8443", ["notes.example.com"], False),
        ("http://127.0.0.1:8000", ["127.0.0.1:8000"], True),
        ("http://127.0.0.1", ["127.0.0.1:80"], True),
        ("http://127.0.0.1:8000", ["localhost:8000"], False),
    ],
)
def test_which_host_headers_name_the_public_url(public: str, hosts: list[str], same: bool) -> None:
    assert PublicUrl(public).is_host(hosts) is same


@pytest.mark.parametrize(("url", "production"), [("https://a.example", True), ("http://127.0.0.1", False)])
def test_https_is_production(url: str, production: bool) -> None:
    assert PublicUrl(url).is_production is production


def test_the_sign_in_page_needs_its_secrets_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "STYTCH_SECRET": "", "SIGNIN_SECRET": "", "ALLOWED_EMAIL_DOMAINS": ""})
    monkeypatch.setenv("ALLOWED_USERS", "*")
    assert set(problems()) == {"STYTCH_SECRET", "SIGNIN_SECRET"}
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:8000")
    assert problems() == {}
    monkeypatch.setenv("STYTCH_REVOCATION_SECONDS", "60")
    assert set(problems()) == {"STYTCH_SECRET"}
    monkeypatch.setenv("PUBLIC_URL", "https://notes.example.com")
    for name, value in {"AUTH_ISSUERS": "oidc", "OIDC_ISSUER": "https://id.example.com"}.items():
        monkeypatch.setenv(name, value)
    assert problems() == {}, "without Stytch there is no page"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SIGNIN_SECRET", "short-secret", "has fewer than 32 characters"),
        ("SIGNIN_SECRET", f"{'a' * 32},short-secret", "has fewer than 32 characters"),
        ("SIGNIN_METHODS", "email-code,email-code", "names a way twice"),
        ("SIGNIN_METHODS", "sms", "is not accepted"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy", "'proxy', which is no address and no network"),
        ("TRUSTED_PROXIES", "172.16.0.1/12", "'172.16.0.1/12', which has host bits: is 172.16.0.0/12 meant?"),
        ("TRUSTED_PROXIES", "::1/64", "which has host bits: is ::/64 meant?"),
        ("TRUSTED_PROXIES", "10.0.0.0/33", "which is no address and no network"),
        ("STYTCH_PUBLIC_TOKEN", "secret-live-1", "is not a public token"),
        ("STYTCH_REVOCATION_SECONDS", "0", "greater than or equal to 1"),
    ],
)
def test_wrong_settings_of_the_sign_in_page_are_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    given_as(monkeypatch, **{**GOOD, name: value})
    found = problems()
    assert set(found) == {name}
    assert words in found[name]
    assert "short-secret" not in found[name]


def test_google_and_github_need_the_public_token(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **GOOD, SIGNIN_METHODS="google,email-code")
    assert set(problems()) == {"STYTCH_PUBLIC_TOKEN"}
    monkeypatch.setenv("STYTCH_PUBLIC_TOKEN", "public-token-live-1")
    assert problems() == {}
    assert load(Settings, None).signin_methods == ("google", "email-code")


@pytest.mark.parametrize(
    ("name", "value", "extra"),
    [("METRICS_PORT", "9090", "metrics"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318", "otel")],
)
def test_what_needs_an_extra_says_so_when_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, extra: str
) -> None:
    given_as(monkeypatch, **{**GOOD, name: value})
    assert problems() == {}
    monkeypatch.setattr("stytch_mcp.settings.find_spec", lambda _: None)
    assert problems() == {name: f"needs the extra {extra}: install from requirements-extras.lock."}


def test_the_metrics_are_not_on_the_port_of_the_public(monkeypatch: pytest.MonkeyPatch) -> None:
    given_as(monkeypatch, **{**GOOD, "PORT": "9090", "METRICS_PORT": "9090"})
    assert problems() == {"METRICS_PORT": "is PORT, which the public can reach."}


@pytest.mark.parametrize("value", ["localhost:4318", "grpc://x:4317", "http://", "http:///v1", "http://a b"])
def test_a_collector_is_a_url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    given_as(monkeypatch, **{**GOOD, "OTEL_EXPORTER_OTLP_ENDPOINT": value})
    assert "is not a URL" in problems()["OTEL_EXPORTER_OTLP_ENDPOINT"]
