"""The fake issuer of the generated tests over HTTP: python issuer.py, listening on $PORT.

`/bench/tokens/N` mints tokens, and `/bench/key` is the key for those who need a great many. `/bench/fault/NAME` makes
it answer as `faults.py` says, until another name is asked.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import fake_issuer
import faults
import httpx
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping


def create_app(issuer: fake_issuer.FakeIssuer, domain: str) -> Starlette:
    """Everything that the fake issuer answers, at `domain`."""

    async def tokens(request: Request) -> Response:
        count = request.path_params["count"]
        changes: Mapping[str, str] = request.query_params
        headers = {"kid": changes["kid"]} if "kid" in changes else None
        return JSONResponse([issuer.token(iss=domain, jti=str(each), headers=headers) for each in range(count)])

    async def key(_: Request) -> Response:
        pem = issuer.keys[fake_issuer.KEY_ID].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return JSONResponse(pem.decode())

    async def fault(request: Request) -> Response:
        faults.apply(issuer, request.path_params["name"])
        return Response()

    async def answer(request: Request) -> Response:
        found = await issuer.client.request(request.method, fake_issuer.DOMAIN + request.url.path)
        return Response(found.content, found.status_code, dict(found.headers))

    return Starlette(
        routes=[
            Route("/bench/tokens/{count:int}", tokens),
            Route("/bench/key", key),
            Route("/bench/fault/{name}", fault),
            Route("/{path:path}", answer),
        ]
    )


def main(port: int) -> None:
    """Serves until SIGTERM."""
    issuer = fake_issuer.FakeIssuer()
    issuer.now = fake_issuer.Clock(time.time())
    domain = f"http://127.0.0.1:{port}"
    issuer.answers["/.well-known/oauth-authorization-server"] = partial(_metadata, issuer.metadata(), domain)
    uvicorn.run(create_app(issuer, domain), port=port, access_log=False, log_level="warning")


def _metadata(document: dict[str, object], domain: str, _: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={**document, "issuer": domain, "jwks_uri": f"{domain}/.well-known/jwks.json"})


if __name__ == "__main__":
    main(int(os.environ["PORT"]))
