"""Coda's REST API v1: its settings and its client.

Every request to Coda uses Coda's credential, from `credentials.py`. The token of the MCP client never gets here: the
MCP specification forbids passing it on ("Token Passthrough"), and tools do not even see it.
"""

from .client import Upstream
from .errors import CodaError
from .settings import UpstreamSettings
from .timing import Timing

__all__ = ["CodaError", "Timing", "Upstream", "UpstreamSettings"]
