"""What each client will do here: how it registers, where it wants people sent back to, whether it will accept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import Any, Final

from stytch_mcp_kit.check.registry import Check, Level, Needs, Severity

BY_HAND: Final = "by hand"
OPTIONS: Final = {Needs.REGISTER: "--register", Needs.TOKEN: "--token", Needs.LOGIN: "--login", Needs.ISSUER: "--full"}


@dataclass(frozen=True)
class Profile:
    """One client as its vendor describes it, or as it was seen. `unconfirmed`: what is only reported."""

    name: str
    title: str
    registration: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    redirect_uris_without_iss: tuple[str, ...]
    client_id_metadata: tuple[str, ...]
    needs_public_clients_for_cimd: bool
    user_agents: tuple[str, ...]
    addresses: tuple[str, ...]
    hosted: bool
    unconfirmed: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """All profiles, and when somebody last compared them with the vendors' pages."""

    checked_on: date
    valid_days: int
    profiles: dict[str, Profile]

    def warning(self, today: date) -> str | None:
        """What to say when they are old."""
        age = today - self.checked_on
        if age <= timedelta(days=self.valid_days):
            return None
        return (
            f"What is said here about clients was last checked {age.days} days ago ({self.checked_on}). Vendors change"
            " such things without notice: update the kit, or compare clients.json with their pages."
        )


def load(text: str | None = None) -> Facts:
    """The facts of `clients.json`, the one place where they stand."""
    values = json.loads(text or files(__package__).joinpath("clients.json").read_text(encoding="utf-8"))
    return Facts(
        date.fromisoformat(values["checked_on"]),
        values["valid_days"],
        {name: _profile(name, profile) for name, profile in values["clients"].items()},
    )


def _profile(name: str, values: dict[str, Any]) -> Profile:
    given: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
    return Profile(name=name, redirect_uris_without_iss=given.pop("redirect_uris_without_iss", ()), **given)


@dataclass(frozen=True)
class Verdict:
    """What a client will do at this server. `accepts` None: not known; `because` says why, or why not."""

    profile: Profile
    registration: str | None
    redirect_uris: tuple[str, ...]
    accepts: bool | None
    because: str
    decides: tuple[str, ...] = ()
    """The ids of the checks that decide."""


def judge(
    profile: Profile,
    server: dict[str, Any] | None,
    failed: Sequence[Check],
    open_checks: Sequence[Check],
    local: bool,
) -> Verdict:
    """`server`: the authorization server metadata; `failed`: checks that fail; `open_checks`: not run or reached."""
    way = registration(profile, server)
    redirects = profile.redirect_uris
    if server is not None and server.get("authorization_response_iss_parameter_supported") is not True:
        redirects = profile.redirect_uris_without_iss or redirects
    blocking = [check for check in failed if check.severity is Severity.BLOCKS and check.level is not Level.MAY]
    breaking = [check for check in blocking if check.concerns(profile.name)]
    if breaking:
        ids = tuple(check.id for check in breaking)
        return Verdict(profile, way, redirects, False, breaking[0].title, ids)
    if server is not None and way is None:
        return Verdict(profile, way, redirects, False, "there is no way to register that it knows")
    if profile.hosted and local:
        because = "it cannot reach this machine; published as it is, it would connect"
        return Verdict(profile, way, redirects, None, because)
    for check in open_checks:
        if check.clients and check.concerns(profile.name) and check.severity is Severity.BLOCKS:
            if way != "dcr" and check.needs is Needs.REGISTER:
                continue
            if check.needs is Needs.REGISTER:
                return Verdict(profile, way, redirects, None, f"needs {OPTIONS[check.needs]}", (check.id,))
    if server is None:
        return Verdict(profile, way, redirects, None, "the authorization server was not reached")
    return Verdict(profile, way, redirects, True, "nothing that was looked at stands in its way")


def registration(profile: Profile, server: dict[str, Any] | None) -> str | None:
    """The way it would take, in its own order of preference."""
    if server is None:
        return None
    methods = server.get("token_endpoint_auth_methods_supported")
    public = isinstance(methods, list) and "none" in methods
    offered = {
        "cimd": server.get("client_id_metadata_document_supported") is True
        and (public or not profile.needs_public_clients_for_cimd),
        "dcr": isinstance(server.get("registration_endpoint"), str),
        BY_HAND: True,
    }
    return next((way for way in profile.registration if offered[way]), None)
