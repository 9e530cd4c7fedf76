"""What people can allow an application to do here, in the words of the consent page.

The first scope is what every request needs.
With SCOPE_MODE=custom these must exist in Stytch under the same names.
"""

from __future__ import annotations

from stytch_mcp import Scope

from ..constants import SCOPE_PREFIX

READ = Scope(f"{SCOPE_PREFIX}:read", "Search and read")
WRITE = Scope(f"{SCOPE_PREFIX}:write", "Add and change", implies=(READ,), changes=True)

SCOPES = (READ, WRITE)
