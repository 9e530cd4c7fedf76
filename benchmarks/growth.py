"""What a call of the generated server costs with more tools, with more tokens, and in more replicas."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle, repeat
from typing import Any, Final

import calls
import fake_issuer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from effort import Effort
from load import Load, as_bytes
from peers import ERAS, serving
from processes import TOOL, Server, issuing, kind
from turns import compare

CONNECTIONS: Final = 16
LIST: Final = "tools/list"
LISTS_PER_TURN: Final = 8
# A server remembers fewer, so none of these in a circle is remembered.
CIRCLE: Final = 10_000
MINTERS: Final = 2
BATCH: Final = 500
AHEAD: Final = 6
REPLICAS_HOST: Final = "127.0.0.1:9"  # where a proxy would be
CONNECTIONS_OF_ALL: Final = 64


def measure(effort: Effort) -> dict[str, Any]:
    """Every value of every round, in the form in which results.json keeps it."""
    with issuing() as issuer:
        return {
            "tools": _tools(issuer, effort),
            "tokens": _tokens(issuer, effort),
            "replicas": _replicas(issuer, effort),
        }


def _tools(issuer: Server, effort: Effort) -> list[dict[str, Any]]:
    """Calls of `whoami` in both eras, and lists of all tools."""
    (token,) = issuer.get("/bench/tokens/1")
    few = replace(effort, turns=1, calls_per_turn=LISTS_PER_TURN)
    with ExitStack() as stack:
        servers = {count: stack.enter_context(kind("protected", issuer, TOOLS=str(count))) for count in effort.tools}
        rows: dict[int, dict[str, Any]] = {count: {"tools": count} for count in effort.tools}
        for what in (*ERAS, LIST):
            loads = {}
            for count, server in servers.items():
                request = _list(server.host, token) if what == LIST else _call(server.host, what, token)
                load = Load([server], 1 if what == LIST else CONNECTIONS, repeat(request))
                loads[count] = stack.enter_context(load)
            for count, values in compare(loads, few if what == LIST else effort).items():
                rows[count][what] = values["processor"]
        for count, server in servers.items():
            rows[count]["memory"] = round(server.memory()[0], 1)
    return list(rows.values())


def _tokens(issuer: Server, effort: Effort) -> list[dict[str, Any]]:
    """Calls with tokens in a circle, after each of a great many was used."""
    pem = issuer.get("/bench/key")
    rows, loads = [], {}
    with ExitStack() as stack:
        for count in effort.tokens:
            server = stack.enter_context(serving("generated", issuer))
            (first,) = issuer.get("/bench/tokens/1")
            server.call(calls.MODERN, first)
            row: dict[str, Any] = {"tokens": count, "idle": round(server.memory()[0], 1)}
            latest = _use(server, issuer.url, pem, count)
            row["filled"] = round(server.memory()[0], 1)
            requests = cycle([_call(server.host, calls.MODERN, token) for token in latest])
            loads[count] = stack.enter_context(Load([server], CONNECTIONS, requests))
            rows.append(row)
        found = compare(loads, effort)
        for row in rows:
            (server,) = loads[row["tokens"]].servers
            row |= {**found[row["tokens"]], "loaded": round(server.memory()[0], 1)}
    return rows


def _use(server: Server, domain: str, pem: str, count: int) -> list[str]:
    """Has the server judge so many tokens, each once, by the cheapest request there is. The latest are returned."""
    latest: deque[str] = deque(maxlen=CIRCLE)

    def requests() -> Iterator[bytes]:
        for token in _minted(domain, pem, count):
            latest.append(token)
            yield as_bytes("GET", server.host, {"Authorization": f"Bearer {token}"})

    with Load([server], CONNECTIONS, requests(), status=405) as load:
        load.burst(count)
    return list(latest)


def _minted(domain: str, pem: str, count: int) -> Iterator[str]:
    """So many tokens; some more are being signed while one is used."""
    with ProcessPoolExecutor(MINTERS) as pool:
        ahead: deque[Future[list[str]]] = deque()
        for start in range(0, count, BATCH):
            ahead.append(pool.submit(mint, domain, pem, range(start, min(start + BATCH, count))))
            if len(ahead) > AHEAD:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def mint(domain: str, pem: str, numbers: Sequence[int]) -> list[str]:
    """Tokens that differ in their `jti`."""
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey)
    issuer = fake_issuer.FakeIssuer(domain)
    issuer.now = fake_issuer.Clock(time.time())
    return [issuer.token(key=key, jti=f"token {number}") for number in numbers]


def _replicas(issuer: Server, effort: Effort) -> list[dict[str, Any]]:
    """The first of several servers, the first two, ...: each connection is to one of them, in turn."""
    (token,) = issuer.get("/bench/tokens/1")
    request = _call(REPLICAS_HOST, calls.MODERN, token)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving("generated", issuer, PUBLIC_URL=f"http://{REPLICAS_HOST}"))
            for _ in range(max(effort.replicas))
        ]
        loads = {
            count: stack.enter_context(Load(servers[:count], CONNECTIONS_OF_ALL, repeat(request)))
            for count in effort.replicas
        }
        found = compare(loads, effort)
        return [
            {"replicas": count, **values, "memory": round(sum(each.memory()[0] for each in servers[:count]), 1)}
            for count, values in found.items()
        ]


def _call(host: str, era: str, token: str) -> bytes:
    return as_bytes("POST", host, calls.headers(era, TOOL, token), calls.body(era, TOOL))


def _list(host: str, token: str) -> bytes:
    message = calls.message(calls.MODERN, TOOL) | {"method": LIST}
    message["params"] = {"_meta": message["params"]["_meta"]}
    headers = calls.headers(calls.MODERN, TOOL, token) | {"Mcp-Method": LIST}
    del headers["Mcp-Name"]
    return as_bytes("POST", host, headers, json.dumps(message).encode())
