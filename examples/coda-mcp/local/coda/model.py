"""What Coda consists of, as plain data."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Access = Literal["readonly", "write", "comment"]
Role = Literal["Admin", "DocMaker", "Editor"]


def new_id(prefix: str, length: int = 10) -> str:
    """An id of Coda's shape: `canvas-jBZGx4yN81`."""
    return prefix + secrets.token_urlsafe(length)[:length]


@dataclass
class User:
    email: str
    name: str
    number: int


@dataclass
class Group:
    group_id: str
    name: str
    emails: set[str]


@dataclass
class Token:
    """`operations`: r for GET, w for the rest. With `doc` (and `table`) it reaches nothing else."""

    value: str
    name: str
    email: str
    operations: str = "rw"
    doc: str | None = None
    table: str | None = None

    @property
    def scoped(self) -> bool:
        return self.operations != "rw" or self.doc is not None


@dataclass
class Member:
    email: str
    role: Role
    registered_at: float
    role_changed_at: float | None = None


@dataclass
class Workspace:
    workspace_id: str
    name: str
    organization_id: str
    members: dict[str, Member]
    enterprise: bool = False
    go_links: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Folder:
    folder_id: str
    name: str
    workspace_id: str
    created_at: float
    description: str = ""
    color: str = "DARK_BLUE"
    starred: bool = False


@dataclass
class Span:
    """A piece of text in one style."""

    text: str
    marks: frozenset[str] = frozenset()
    """Of: bold, italic, strike, underline, code."""
    href: str | None = None


@dataclass
class Element:
    """What a page consists of: a line of text, or a thing that is shown between lines."""

    element_id: str
    kind: Literal["line", "table", "formula", "control", "image"] = "line"
    style: str = "paragraph"
    spans: list[Span] = field(default_factory=list)
    level: int = 0
    checked: bool = False
    ref: str = ""
    """The id of the table, formula or control; the address of the image."""

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


@dataclass
class Page:
    page_id: str
    name: str
    created_at: float
    updated_at: float
    author: str
    subtitle: str = ""
    icon: str | None = None
    image_url: str | None = None
    parent_id: str | None = None
    content_type: Literal["canvas", "embed", "syncPage", "table"] = "canvas"
    hidden: bool = False
    elements: list[Element] = field(default_factory=list)


@dataclass
class Row:
    row_id: str
    created_at: float
    updated_at: float
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Column:
    """`compute` makes it a calculated column, `press` is what its button does."""

    column_id: str
    name: str
    type: str = "text"
    is_array: bool = False
    format: dict[str, Any] = field(default_factory=dict)
    lookup: str | None = None
    """The table whose rows are its values."""
    formula: str | None = None
    default: str | None = None
    compute: Callable[[Doc, Row], Any] | None = None
    press: Callable[[Doc, Row, float], None] | None = None


@dataclass
class Table:
    """A base table, or a view of one when `base` is set: then rows and columns are the base's."""

    table_id: str
    name: str
    page_id: str
    created_at: float
    updated_at: float
    columns: dict[str, Column] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    display: str = ""
    base: str | None = None
    only: tuple[str, Any] | None = None
    """A view's filter: a column and the value that its rows have there."""
    hidden: set[str] = field(default_factory=set)
    sort: str | None = None
    layout: str = "default"


@dataclass
class Formula:
    formula_id: str
    name: str
    page_id: str
    compute: Callable[[Doc], Any]


@dataclass
class Control:
    control_id: str
    name: str
    page_id: str
    type: str
    value: Any


@dataclass
class Automation:
    rule_id: str
    name: str
    run: Callable[[Doc, dict[str, Any], float], None]
    enabled: bool = True


@dataclass
class Permission:
    permission_id: str
    access: Access
    principal: dict[str, Any]


@dataclass
class AclSettings:
    editors_change_permissions: bool = True
    copying: bool = True
    viewers_request_editing: bool = True


@dataclass
class Published:
    at: float
    slug: str
    discoverable: bool
    mode: str
    categories: list[str]


@dataclass
class Domain:
    name: str
    added_at: float
    verified_at: float | None = None


@dataclass
class Doc:
    doc_id: str
    name: str
    owner: str
    workspace_id: str
    folder_id: str
    created_at: float
    updated_at: float
    icon: str | None = None
    source: str | None = None
    starred: bool = False
    in_gallery: bool = False
    visible_from: float = 0
    deleted: bool = False
    published: Published | None = None
    acl: AclSettings = field(default_factory=AclSettings)
    permissions: dict[str, Permission] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    formulas: dict[str, Formula] = field(default_factory=dict)
    controls: dict[str, Control] = field(default_factory=dict)
    automations: dict[str, Automation] = field(default_factory=dict)
    gone_pages: set[str] = field(default_factory=set)

    def base_of(self, table: Table) -> Table:
        return self.tables[table.base] if table.base else table
