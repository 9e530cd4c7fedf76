"""Who calls, and what became of a change: whoami, mutationStatus."""

from __future__ import annotations

from starlette.responses import Response

from local.coda.call import Call, Query, operation
from local.coda.references import PICTURE, workspace_reference
from local.coda.wire import ApiError, answer


class WhoamiQuery(Query):
    include_user_org: str | None = None


async def whoami(call: Call[WhoamiQuery]) -> Response:
    workspace = next(one for one in call.world.workspaces.values() if call.user.email in one.members)
    content = {
        "name": call.user.name,
        "loginId": call.user.email,
        "type": "user",
        "pictureLink": PICTURE,
        "scoped": call.token.scoped,
        "tokenName": call.token.name,
        "href": f"{call.api}/whoami",
        "workspace": workspace_reference(workspace),
    }
    if call.query.include_user_org == "true":
        content["organizationId"] = workspace.organization_id
    return answer(content)


async def mutation_status(call: Call[Query]) -> Response:
    mutation = call.world.mutations.get(call.path["request"])
    now = call.world.now()
    if mutation is None or now < mutation.accepted + call.world.settings.status_404_seconds:
        raise ApiError(404, "No request was found with the given id, or it has expired.")
    if mutation.due > now:
        return answer({"completed": False})
    return answer({"completed": True} | ({"warning": mutation.warning} if mutation.warning else {}))


ROUTES = [
    operation("GET", "/whoami", whoami, query=WhoamiQuery),
    operation("GET", "/mutationStatus/{request}", mutation_status),
]
