"""Arguments that many tools have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

DocId = Annotated[str, Field(description="Doc ID")]
PageRef = Annotated[str, Field(description="Page ID or name")]
TableRef = Annotated[str, Field(description="Table or view ID or name")]
ColumnRef = Annotated[str, Field(description="Column ID or name")]
RowRef = Annotated[str, Field(description="Row ID (i-...) or display value")]
Limit = Annotated[int, Field(ge=1, le=500, description="Most items")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]
Full = Annotated[bool, Field(description="Add all of Coda's fields as details")]
Wait = Annotated[bool, Field(description="false: do not wait until it is applied")]
Content = Annotated[str, Field(min_length=1, description="HTML or Markdown; tables keep their header in HTML only")]
Format = Annotated[Literal["html", "markdown"], Field(description="Of the content")]
ValueFormat = Annotated[Literal["simple", "simpleWithArrays", "rich"], Field(description="rich: with links and IDs")]
FolderId = Annotated[str, Field(description="fl-...")]
WorkspaceId = Annotated[str, Field(description="ws-..., see coda_whoami")]
Title = Annotated[str, Field(description="Its new name", min_length=1, max_length=500)]
Subtitle = Annotated[str | None, Field(description="Line below the name")]
VisibleOnly = Annotated[bool | None, Field(description="Without hidden ones")]
Scalar = str | int | float | bool
Cell = Scalar | list[Scalar] | None
Cells = Annotated[dict[str, Cell], Field(min_length=1, description="Value by column ID or name")]
