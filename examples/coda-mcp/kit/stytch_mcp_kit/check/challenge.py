"""What `WWW-Authenticate` says (RFC 9110 section 11.6.1, RFC 6750 section 3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
"""RFC 6749 section 3.3."""
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
# RFC 9110 section 5.6.1: what stands between commas that are in no quotes; quotes may be left open.
ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*(?:"|\\?$)|[^",])+')
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass
class Challenge:
    """One challenge. `flaws`: what a strict parser would not read."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)

    @property
    def scopes(self) -> list[str]:
        return self.parameters.get("scope", "").split()


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """All challenges of all header lines, in order."""
    challenges: list[Challenge] = []
    for value in values:
        for element in filter(None, map(str.strip, ELEMENT.findall(value))):
            head, _, rest = element.partition(" ")
            is_scheme = "=" not in head
            if is_scheme:
                challenges.append(Challenge(head.lower()))
            parameter = rest.strip() if is_scheme else element
            if parameter and challenges:
                read_parameter(challenges[-1], parameter)
    return challenges


def read_parameter(challenge: Challenge, element: str) -> None:
    name, equals, value = (part.strip() for part in element.partition("="))
    name = name.lower()
    if not equals or not TOKEN.fullmatch(name):
        challenge.flaws.append("something that is no parameter")
        return
    if name in challenge.parameters:
        challenge.flaws.append(f"{name} twice")
    if QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    elif not TOKEN.fullmatch(value):
        challenge.flaws.append(f"{name} without quotes")
        value = value.strip('"')
    challenge.parameters[name] = value


def bearer(challenges: Sequence[Challenge]) -> Challenge | None:
    """The first Bearer challenge."""
    return next((challenge for challenge in challenges if challenge.scheme == "bearer"), None)
