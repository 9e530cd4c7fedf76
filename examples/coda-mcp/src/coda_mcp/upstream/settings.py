"""The settings of the runtime, and those of this server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from stytch_mcp.protect.origins import origin
from stytch_mcp.settings import Credential, List, Problem, Settings, missing

from ..constants import PUBLIC_URL, UPSTREAM_URL

Toolset = Literal["core", "admin", "workspace", "analytics"]
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)

_RATE = re.compile(r"(?P<count>[1-9][0-9]{0,5})/(?P<seconds>[0-9]{1,5}(\.[0-9]{1,3})?)")
_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Rate:
    """So many requests in so many seconds, written `100/6.3`."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError for what is no rate."""
        if isinstance(value, cls):
            return value
        found = _RATE.fullmatch(str(value))
        if found is None or float(found["seconds"]) == 0:
            raise ValueError("is not a rate: requests/seconds, for example 100/6.3")
        return cls(int(found["count"]), float(found["seconds"]))

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds:g}"


def _toolsets(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = [part.strip() for part in value.split(",") if part.strip()]
    return TOOLSETS if "all" in names else tuple(dict.fromkeys(["core", *names]))


def _doc_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _ID.fullmatch(value):
            raise ValueError(
                f"has {value!r}, which is not a doc ID. In a link it follows _d: coda.io/d/Title_dAbCDeFGH"
            )
    return values


RateSetting = Annotated[Rate, NoDecode, BeforeValidator(Rate.parse)]


class UpstreamSettings(Settings):
    """The settings of the runtime, and those of this server.

    The limits lie 5 % below Coda's published ones: its window and ours do not begin at the same moment.
    """

    public_url: Annotated[str, AfterValidator(origin)] = Field(
        PUBLIC_URL, description="The origin that clients know. The MCP URL is PUBLIC_URL/mcp."
    )
    upstream_url: Annotated[str, AfterValidator(origin)] = Field(
        UPSTREAM_URL, description="The origin of Coda's API: https://coda.io or https://docs.superhuman.com."
    )
    coda_api_token: Credential | None = Field(
        None, description="Coda's API token, from coda.io/account. Everyone who comes in acts with its rights."
    )
    coda_toolsets: Annotated[tuple[Toolset, ...], NoDecode, BeforeValidator(_toolsets)] = Field(
        ("core",), description="Which tools there are, besides core: admin, workspace, analytics; or all."
    )
    coda_read_only: bool = Field(False, description="Offer only tools that change nothing.")
    coda_doc_ids: Annotated[List, AfterValidator(_doc_ids)] = Field(
        (), description="Docs that may be used. If not set: all that the API token reaches."
    )
    coda_rate_share: float = Field(
        1.0, gt=0, le=1, description="This process's part of the limits: 0.5 when two replicas share a token."
    )
    coda_limit_reading: RateSetting = Field(
        Rate(100, 6.3), description="Requests/seconds for reading. Coda publishes 100/6."
    )
    coda_limit_writing: RateSetting = Field(
        Rate(10, 6.3), description="Requests/seconds for writing. Coda publishes 10/6."
    )
    coda_limit_content: RateSetting = Field(
        Rate(3, 10.5), description="Requests/seconds for writing into docs. Coda publishes 5/10 and 3/10."
    )
    coda_limit_listing: RateSetting = Field(
        Rate(4, 6.3), description="Requests/seconds for listing docs. Coda publishes 4/6."
    )
    coda_call_seconds: float = Field(
        55.0, ge=5, le=600, description="How long a tool may take, waiting for limits and for Coda included."
    )
    coda_timeout_seconds: float = Field(30.0, ge=1, le=120, description="How long one request to Coda may take.")
    coda_export_max_bytes: int = Field(
        33_554_432, ge=1_048_576, le=268_435_456, description="The largest page that is read."
    )

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.coda_api_token is None:
            yield missing(type(self), "coda_api_token")
