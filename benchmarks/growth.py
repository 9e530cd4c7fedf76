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
from load import Load, as_bytes, connected
from peers import ERAS, serving
from processes import TOOL, Server, issuing, kind
from turns import Contender, compare

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
            contenders = {}
            for count, server in servers.items():
                opened = stack.enter_context(connected([server], CONNECTIONS if what != LIST else 1))
                request = _list(server.host, token) if what == LIST else _call(server.host, what, token)
                contenders[count] = Contender([server], Load(opened, repeat(request)))
            for count, values in compare(contenders, few if what == LIST else effort).items():
                rows[count][what] = values["processor"]
        for count, server in servers.items():
            rows[count]["memory"] = round(server.memory()[0], 1)
    return list(rows.values())


def _tokens(issuer: Server, effort: Effort) -> list[dict[str, Any]]:
    """Calls with tokens in a circle, after each of a great many was used."""
    pem = issuer.get("/bench/key")
    rows, contenders = [], {}
    with ExitStack() as stack:
        for count in effort.tokens:
            server = stack.enter_context(serving("generated", issuer))
            (first,) = issuer.get("/bench/tokens/1")
            server.call(calls.MODERN, first)
            row: dict[str, Any] = {"tokens": count, "idle": round(server.memory()[0], 1)}
            latest = _use(server, issuer.url, pem, count)
            row["filled"] = round(server.memory()[0], 1)
            requests = cycle([_call(server.host, calls.MODERN, token) for token in latest])
            opened = stack.enter_context(connected([server], CONNECTIONS))
            contenders[count] = Contender([server], Load(opened, requests))
            rows.append(row)
        for row, values in zip(rows, compare(contenders, effort).values(), strict=True):
            row.update(values)
        for row, each in zip(rows, contenders.values(), strict=True):
            row["loaded"] = round(each.servers[0].memory()[0], 1)
    return rows


def _use(server: Server, domain: str, pem: str, count: int) -> list[str]:
    """Has the server judge so many tokens, each once, by the cheapest request there is. The latest are returned."""
    latest: deque[str] = deque(maxlen=CIRCLE)
    with connected([server], CONNECTIONS) as opened:
        for tokens in _minted(domain, pem, count):
            requests = (as_bytes("GET", server.host, {"Authorization": f"Bearer {token}"}) for token in tokens)
            Load(opened, requests, status=405).burst(len(tokens))
            latest.extend(tokens)
    return list(latest)


def _minted(domain: str, pem: str, count: int) -> Iterator[list[str]]:
    """Batches of tokens; some more are being signed while one is used."""
    with ProcessPoolExecutor(MINTERS) as pool:
        ahead: deque[Future[list[str]]] = deque()
        for start in range(0, count, BATCH):
            ahead.append(pool.submit(mint, domain, pem, range(start, min(start + BATCH, count))))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


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
        contenders = {}
        for count in effort.replicas:
            opened = stack.enter_context(connected(servers[:count], CONNECTIONS_OF_ALL))
            contenders[count] = Contender(servers[:count], Load(opened, repeat(request)))
        found = compare(contenders, effort)
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
