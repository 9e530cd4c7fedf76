"""What tools answer. Names are Coda's in snake case; what is not there is left out."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.alias_generators import to_camel

from ..upstream.http import Json
from ..upstream.mutations import Outcome, Status


class Result(BaseModel):
    """Read from Coda's names, written with ours, without what is None."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=to_camel), populate_by_name=True, extra="ignore"
    )

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class Thing(Result):
    """Something that Coda has an object for. `read` takes that object."""

    id: str
    name: str = ""

    @classmethod
    def read(cls, item: Json, **more: Any) -> Self:
        """From what the API says; a name that is missing is empty."""
        return cls.model_validate({**item, **more})


class Detailed(Thing):
    """With all that the API says, if that was asked for."""

    details: dict[str, Any] | None = None

    @classmethod
    def read(cls, item: Json, full: bool = False, **more: Any) -> Self:
        return (
            super()
            .read({key: value for key, value in item.items() if key != "details"}, **more)
            .model_copy(update={"details": item if full else None})
        )


class Doc(Detailed):
    browser_link: str | None = None
    owner: str | None = None
    workspace_id: str | None = None
    folder_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Page(Detailed):
    browser_link: str | None = None
    subtitle: str | None = None
    content_type: str | None = None
    parent_id: str | None = None
    is_hidden: bool | None = None
    updated_at: str | None = None

    @classmethod
    def read(cls, item: Json, full: bool = False, **more: Any) -> Self:
        return super().read(item, full, parent_id=id_of(item.get("parent")), **more)


class Table(Detailed):
    browser_link: str | None = None
    table_type: str | None = None
    page_id: str | None = None
    parent_table_id: str | None = None
    display_column_id: str | None = None
    row_count: int | None = None
    updated_at: str | None = None

    @classmethod
    def read(cls, item: Json, full: bool = False, **more: Any) -> Self:
        references = {
            "page_id": id_of(item.get("parent")),
            "parent_table_id": id_of(item.get("parentTable")),
            "display_column_id": id_of(item.get("displayColumn")),
        }
        return super().read(item, full, **references, **more)


class Column(Detailed):
    type: str | None = Field(default=None, description="text, number, select, lookup, button...")
    is_array: bool | None = None
    display: bool | None = None
    calculated: bool | None = None
    formula: str | None = None
    options: list[str] | None = Field(default=None, description="Of a select column")
    table_id: str | None = Field(default=None, description="Of a lookup column: whose rows it holds")

    @classmethod
    def read(cls, item: Json, full: bool = False, **more: Any) -> Self:
        form = item.get("format") or {}
        options = [str(option.get("name", "")) for option in form.get("options") or []]
        known = {
            "type": form.get("type"),
            "is_array": form.get("isArray"),
            "options": options or None,
            "table_id": id_of(form.get("table")),
        }
        return super().read(item, full, **known, **more)


class Row(Thing):
    index: int | None = None
    browser_link: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    values: dict[str, Any] = Field(default_factory=dict, description="By column name")


class Named(Thing):
    """A formula or a control; the value only when it was asked for alone."""

    parent_id: str | None = None
    control_type: str | None = None
    value: Any = None

    @classmethod
    def read(cls, item: Json, **more: Any) -> Self:
        return super().read(item, parent_id=id_of(item.get("parent")), **more)


class Listing(Result):
    """A part of a list."""

    next_cursor: str | None = Field(default=None, description="Give it as cursor to go on")
    has_more: bool = False


class Docs(Listing):
    items: list[Doc]


class Pages(Listing):
    items: list[Page]


class Tables(Listing):
    items: list[Table]


class Columns(Listing):
    items: list[Column]


class Rows(Listing):
    items: list[Row]


class NamedThings(Listing):
    items: list[Named]


class Change(Result):
    """What became of a change: applied, or accepted and pending. Coda never reports that one failed."""

    status: Status
    request_id: str | None = Field(default=None, description="For coda_get_mutation_status")
    id: str | None = None
    warning: str | None = None
    message: str | None = None


class RowOutcome(Result):
    """Where some of the rows stand, counted from 0 in the order they were given in."""

    first: int
    last: int
    status: Literal["applied", "pending", "applied_with_warning", "not_sent", "unknown"]
    warning: str | None = None
    error: dict[str, Any] | None = Field(default=None, description="Why they were not sent")


class RowChange(Result):
    """A change of several rows, which may take several requests to Coda."""

    status: Literal["applied", "pending", "applied_with_warning", "partly"]
    request_ids: list[str] | None = Field(default=None, description="For coda_get_mutation_status")
    added_row_ids: list[str] | None = None
    row_ids: list[str] | None = None
    warning: str | None = None
    message: str | None = None
    rows: list[RowOutcome] | None = Field(default=None, description="If not all ended alike")


def id_of(reference: Any) -> str | None:
    """The ID in one of Coda's references."""
    return str(reference["id"]) if isinstance(reference, dict) and "id" in reference else None


def more(answer: Json) -> dict[str, Any]:
    """The end of a listing: only a missing token says that there is no more."""
    token = answer.get("nextPageToken")
    return {"next_cursor": token, "has_more": token is not None}


def change(answer: Json, outcome: Outcome, **fields: Any) -> Change:
    """The result of one change."""
    known = {"id": answer.get("id"), "warning": outcome.warning, **fields}
    return Change(status=outcome.status, request_id=answer.get("requestId"), **known)
