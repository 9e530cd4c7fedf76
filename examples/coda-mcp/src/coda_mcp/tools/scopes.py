"""What people can allow an application to do here. The first scope is what every request needs.

With SCOPE_MODE=custom these must exist in Stytch under the same names.
"""

from __future__ import annotations

from stytch_mcp import Scope

from ..constants import SCOPE_PREFIX

READ = Scope(f"{SCOPE_PREFIX}:read", "Search and read docs")
WRITE = Scope(f"{SCOPE_PREFIX}:write", "Create, change and delete docs, pages and rows", implies=(READ,))
ADMIN = Scope(f"{SCOPE_PREFIX}:admin", "See and change sharing, publishing, folders and workspaces", implies=(WRITE,))

SCOPES = (READ, WRITE, ADMIN)
