"""Where a server listens: settings that need nothing else, so that `health` costs next to nothing beside the server."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stytch_mcp.protect.origins import is_address

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


def _listen_address(value: str) -> str:
    if value != "localhost" and not is_address(value):
        raise ValueError("is not an IP address, for example 127.0.0.1 or 0.0.0.0")
    return value


class Listening(BaseSettings):
    """An empty variable counts as not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    host: Annotated[str, AfterValidator(_listen_address)] = Field(
        "127.0.0.1", description="The address to listen on. In a container: 0.0.0.0."
    )
    port: int = Field(8000, ge=1, le=65535, description="The port to listen on.")
    drain_seconds: int = Field(
        0, ge=0, le=60, description="How long to serve on after SIGTERM, with /ready at 503, so that proxies learn."
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Another port, on HOST, for /metrics; never one that people can reach."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        """Octets of the environment that are not UTF-8 come as surrogates (PEP 383), which no message could show."""
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("is not UTF-8 text")
        return value

    @property
    def local_address(self) -> tuple[str, int]:
        """Where this machine reaches the server."""
        return LOOPBACK.get(self.host, self.host), self.port
