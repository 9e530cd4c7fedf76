"""The answers this server was made with."""

from typing import Final, Literal

NAME: Final = "coda-mcp"
TITLE: Final = "Coda"
DESCRIPTION: Final = "Search, read and write Coda docs: pages, tables, rows, sharing."
SCOPE_PREFIX: Final = "coda"
PUBLIC_URL: Final = "https://coda-mcp.example.com"
UPSTREAM_URL: Final = "https://coda.io"
UPSTREAM_AUTH: Final[Literal["none", "bearer"]] = "bearer"
