"""Objects as other objects and lists refer to them, and their addresses in the browser."""

from __future__ import annotations

import re
from typing import Any

from local.coda.model import Doc, Folder, Page, Row, Table, User, Workspace

BROWSER = "https://coda.io"
PICTURE = "https://cdn.coda.io/avatars/default_avatar.png"
PAGE_SUFFIX = 5


def doc_link(doc: Doc) -> str:
    return f"{BROWSER}/d/_d{doc.doc_id}"


def page_link(doc: Doc, page: Page) -> str:
    return f"{doc_link(doc)}/{_slug(page.name)}_su{page.page_id[-PAGE_SUFFIX:]}"


def table_link(doc: Doc, table: Table) -> str:
    return f"{doc_link(doc)}#{_slug(table.name)}_t{table.table_id.partition('-')[2]}"


def row_link(doc: Doc, table: Table, row: Row) -> str:
    return f"{table_link(doc, table)}/_ru{row.row_id}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w]+", "-", name, flags=re.ASCII).strip("-")


def doc_url(api: str, doc: Doc) -> str:
    return f"{api}/docs/{doc.doc_id}"


def table_url(api: str, doc: Doc, table: Table) -> str:
    return f"{doc_url(api, doc)}/tables/{table.table_id}"


def doc_reference(api: str, doc_id: str) -> dict[str, Any]:
    return {
        "id": doc_id,
        "type": "doc",
        "href": f"{api}/docs/{doc_id}",
        "browserLink": f"{BROWSER}/d/_d{doc_id}",
    }


def page_reference(api: str, doc: Doc, page: Page) -> dict[str, Any]:
    return {
        "id": page.page_id,
        "type": "page",
        "href": f"{doc_url(api, doc)}/pages/{page.page_id}",
        "browserLink": page_link(doc, page),
        "name": page.name,
    }


def parent(api: str, doc: Doc, page_id: str) -> dict[str, Any]:
    """The page a thing is on; nothing if the thing is on none."""
    return {"parent": page_reference(api, doc, doc.pages[page_id])} if page_id in doc.pages else {}


def table_reference(api: str, doc: Doc, table: Table) -> dict[str, Any]:
    return {
        "id": table.table_id,
        "type": "table",
        "tableType": "view" if table.base else "table",
        "href": table_url(api, doc, table),
        "browserLink": table_link(doc, table),
        "name": table.name,
        **parent(api, doc, table.page_id),
    }


def column_reference(api: str, doc: Doc, table: Table, column_id: str) -> dict[str, Any]:
    return {"id": column_id, "type": "column", "href": f"{table_url(api, doc, table)}/columns/{column_id}"}


def workspace_reference(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": workspace.workspace_id,
        "type": "workspace",
        "organizationId": workspace.organization_id,
        "browserLink": f"{BROWSER}/docs?workspaceId={workspace.workspace_id}",
        "name": workspace.name,
    }


def folder_reference(folder: Folder) -> dict[str, Any]:
    return {
        "id": folder.folder_id,
        "type": "folder",
        "browserLink": f"{BROWSER}/docs?folderId={folder.folder_id}",
        "name": folder.name,
    }


def icon(name: str | None) -> dict[str, Any]:
    """The field `icon`, where there is one."""
    if name is None:
        return {}
    link = f"https://cdn.coda.io/icons/png/color/{name}-32.png"
    return {"icon": {"name": name, "type": "image/png", "browserLink": link}}


def person(user: User) -> dict[str, Any]:
    """A person as JSON-LD."""
    return {"@context": "http://schema.org/", "@type": "Person", "name": user.name, "email": user.email}


def user_summary(user: User) -> dict[str, Any]:
    return {"name": user.name, "loginId": user.email, "type": "user", "pictureLink": PICTURE}
