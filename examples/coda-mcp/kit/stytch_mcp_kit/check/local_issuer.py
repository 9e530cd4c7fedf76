"""The test controls of a local Stytch (`dev`): tokens made to order, right and wrong."""

import json
from dataclasses import dataclass
from typing import Any

from stytch_mcp_kit.check.registry import NotReached
from stytch_mcp_kit.check.walk import Walk
from stytch_mcp_kit.check.web import parse


@dataclass
class LocalIssuer:
    """See the table in `stytch_mcp_kit/local/controls.py`."""

    walk: Walk
    issuer: str

    @property
    def page(self) -> str:
        """Where nobody is asked."""
        return f"{self.issuer}/_test/authorize"

    async def answers(self) -> bool:
        """Whether there are test controls at all. A hosted issuer is never asked for them."""
        answer = await self.walk.web.ask("GET", f"{self.issuer}/_test/settings")
        values, _ = parse(answer.body)
        return answer.status == 200 and isinstance(values, dict) and "aud_resources" in values

    async def mint(self, **wishes: Any) -> str:
        """A token of any kind. Raises NotReached with the control's words."""
        answer = await self.walk.web.ask(
            "POST",
            f"{self.issuer}/_test/mint",
            headers={"content-type": "application/json"},
            content=json.dumps(wishes).encode(),
        )
        values, _ = parse(answer.body)
        token = values.get("token") if isinstance(values, dict) else None
        if not isinstance(token, str):
            raise NotReached(f"the local issuer makes no such token ({answer.says})")
        self.walk.keep_secret(token)
        return token
