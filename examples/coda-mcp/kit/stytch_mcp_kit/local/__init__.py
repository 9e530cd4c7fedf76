"""A stand-in for Stytch's HTTP surface on this machine: Connected Apps, users, sessions, log-in.

The real `stytch` SDK talks to it, real MCP clients register and log in with it, and a resource server
fetches its keys. What Stytch never has is under `/_test/` (see `controls`).
"""

from stytch_mcp_kit.local.app import create_app
from stytch_mcp_kit.local.config import Config, Seed, Settings

__all__ = ["Config", "Seed", "Settings", "create_app"]
