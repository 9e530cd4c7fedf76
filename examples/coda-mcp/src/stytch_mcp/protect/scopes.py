"""Scopes: what they are called, what they imply, which of them an operation needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SECURITY_SCHEMES = "securitySchemes"
# RFC 6749 section 3.3: scope-token.
SCOPE_NAME = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True)
class Scope:
    """One OAuth scope (RFC 6749 section 3.3) of this server.

    `description` is what a person reads on the consent page, `changes` whether it lets change things; `implies` are the
    scopes that this one includes.
    """

    name: str
    description: str
    implies: tuple[Scope, ...] = ()
    changes: bool = False


def needs(*scopes: Scope) -> dict[str, Any]:
    """The `meta=` of a tool that needs these scopes, in the form that clients read (`securitySchemes`)."""
    return {SECURITY_SCHEMES: [{"type": "oauth2", "scopes": [scope.name for scope in scopes]}]}


def needed(meta: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The scope names that `needs()` wrote into a tool's meta; none when the tool declares none."""
    schemes = (meta or {}).get(SECURITY_SCHEMES, [])
    return tuple(name for scheme in schemes for name in scheme.get("scopes", ()))


class ScopeTable:
    """The hierarchy of a server's scopes. Names that it does not know stand for themselves."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._order = {scope.name: position for position, scope in enumerate(scopes)}
        self._included = {scope.name: frozenset(_names(scope)) for scope in scopes}

    def expand(self, names: Iterable[str]) -> frozenset[str]:
        """These scopes and all that they imply."""
        return frozenset().union(*(self._included.get(name, {name}) for name in names))

    def sort(self, names: Iterable[str]) -> tuple[str, ...]:
        """In the order of the table, unknown names last: challenges stay the same from request to request."""
        return tuple(sorted(set(names), key=lambda name: (self._order.get(name, len(self._order)), name)))


def _names(scope: Scope) -> set[str]:
    return {scope.name}.union(*(_names(implied) for implied in scope.implies))


class ScopePolicy:
    """Which scopes a JSON-RPC message needs, and whether a principal has them.

    `required` is asked of every request. What tools need is known when the server has started; with `per_tool=False`
    (SCOPE_MODE=simple) it counts for nothing. Clients are told to ask for `basic`: the required scopes, or, with none
    of those or where they cannot be had by asking (`askable=False`), what is given here.
    """

    def __init__(
        self,
        table: ScopeTable,
        *,
        required: Sequence[str],
        basic: Sequence[str],
        per_tool: bool,
        askable: bool = True,
    ) -> None:
        self.table = table
        self.required = table.sort(required)
        self.basic = (self.required if askable else ()) or tuple(basic)
        self.per_tool = per_tool
        self._of_any_tool = table.sort(table.expand(self.required))
        self._of_tool: Mapping[str, tuple[str, ...]] = {}

    def protect(self, tools: Mapping[str, Sequence[str]]) -> None:
        """Learn which scopes the tools declare: tool name -> scopes."""
        if self.per_tool:
            expand, sort = self.table.expand, self.table.sort
            self._of_tool = {name: sort(expand((*self.required, *own))) for name, own in tools.items()}

    def of_tool(self, name: str) -> tuple[str, ...]:
        """All scopes that calling this tool takes, those that its own imply included.

        MCP 2026-07-28, authorization, "Runtime Insufficient Scope Errors": one challenge names them all.
        """
        return self._of_tool.get(name, self._of_any_tool)

    def of_message(self, method: object, params: object) -> tuple[str, ...]:
        """All scopes that a JSON-RPC request takes. Every method but `tools/call` takes the required ones."""
        name = params.get("name") if isinstance(params, Mapping) else None
        return self.of_tool(name) if method == "tools/call" and isinstance(name, str) else self.required

    def lacking(self, granted: Iterable[str], scopes: Iterable[str]) -> tuple[str, ...]:
        """Those of the scopes that the granted ones do not cover."""
        covered = self.table.expand(granted)
        return tuple(scope for scope in scopes if scope not in covered)

    def allows(self, granted: frozenset[str], scopes: Iterable[str]) -> bool:
        """Whether the granted scopes cover these, hierarchy included."""
        return granted.issuperset(scopes) or self.table.expand(granted).issuperset(scopes)
