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
Format = Literal["html", "markdown"]
ValueFormat = Literal["simple", "simpleWithArrays", "rich"]
Scalar = str | int | float | bool
Cell = Scalar | list[Scalar] | None
Cells = Annotated[dict[str, Cell], Field(min_length=1, description="Value by column ID or name")]
