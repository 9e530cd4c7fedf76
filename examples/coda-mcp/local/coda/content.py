"""From HTML or Markdown to what a page consists of.

Measured on Coda: an HTML table becomes a native table with the names of its header row; a Markdown table becomes one
too, but its header is taken for a row and the columns are Column 1, Column 2, ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt

from local.coda.model import Element, Span, new_id

WARNING = "Initial page HTML was invalid."
MARKS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "s": "strike",
    "del": "strike",
    "u": "underline",
    "code": "code",
}
HEADINGS = {"h1": "h1", "h2": "h2", "h3": "h3", "h4": "h3", "h5": "h3", "h6": "h3"}
LINES = {"p": "paragraph", "div": "paragraph", "pre": "code", "summary": "collapsibleList", **HEADINGS}
LISTS = {"ul": "bulletedList", "ol": "numberedList"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
END_IS_OPTIONAL = {"p", "li", "td", "th", "tr", "thead", "tbody", "tfoot", "html", "body", "head"}
DROPPED = {"script", "style", "title"}
BOXES = {"[ ] ": False, "[x] ": True, "[X] ": True}


@dataclass
class Grid:
    """A table in the content: it becomes a native one."""

    header: list[str]
    rows: list[list[str]]


@dataclass
class Content:
    """What was understood; `warning` when not all was right."""

    parts: list[Element | Grid] = field(default_factory=list)
    warning: str | None = None


def parse(content: str, markup: str) -> Content:
    """`markup`: html or markdown."""
    reader = Reader()
    if markup == "markdown":
        markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
        reader.feed(markdown.render(content))
    else:
        reader.feed(content)
    reader.close()
    if markup == "markdown":
        return Content([_without_header(part) if isinstance(part, Grid) else part for part in reader.parts])
    return Content(reader.parts, None if reader.valid else WARNING)


def _without_header(grid: Grid) -> Grid:
    rows = [grid.header, *grid.rows] if grid.header else grid.rows
    return Grid([], rows)


class Reader(HTMLParser):
    """Collects lines, images and tables. `valid` becomes False when tags do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[Element | Grid] = []
        self.valid = True
        self._open: list[str] = []
        self._links: list[str | None] = []
        self._spans: list[Span] = []
        self._grid: Grid | None = None
        self._cells: list[str] = []
        self._row_is_header = False
        self._checked: bool | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "br":
            self._line(keep_empty=True)
        elif tag == "img" and attributes.get("src"):
            self._line()
            self.parts.append(Element(new_id("cl-"), "image", ref=attributes["src"] or ""))
        elif tag == "input" and attributes.get("type") == "checkbox":
            self._checked = "checked" in attributes
        if tag in VOID:
            return
        if tag in LINES or tag in LISTS or tag in {"li", "blockquote", "table", "details"}:
            self._line()
        if tag == "table":
            self._grid = Grid([], [])
        elif tag == "tr":
            self._cells = []
        elif tag in ("td", "th"):
            self._spans = []
        elif tag == "a":
            self._links.append(attributes.get("href"))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if tag not in self._open:
            self.valid = False
            return
        while self._open[-1] != tag:
            self.valid = self.valid and self._open[-1] in END_IS_OPTIONAL
            self._end(self._open[-1])
        self._end(tag)

    def _end(self, tag: str) -> None:
        if tag in LINES or tag == "li":
            self._line(keep_empty=tag not in ("div", "li", "pre"))
        elif tag == "blockquote":
            self._line()
        elif tag in ("td", "th"):
            self._cells.append("".join(span.text for span in self._spans).strip())
            self._spans = []
        elif tag == "tr" and self._grid is not None:
            if self._row_is_header and not self._grid.header and not self._grid.rows:
                self._grid.header = self._cells
            else:
                self._grid.rows.append(self._cells)
            self._row_is_header = False
        elif tag == "table" and self._grid is not None:
            self.parts.append(self._grid)
            self._grid = None
        elif tag == "a":
            self._links.pop()
        if tag == "th":
            self._row_is_header = True
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if DROPPED & set(self._open):
            return
        if "pre" in self._open:
            first, *others = data.split("\n")
            self._add(first)
            for line in others:
                self._line(keep_empty=True)
                self._add(line)
            return
        text = " ".join(data.split())
        if not text:
            if self._spans:
                self._add(" ")
            return
        before = " " if data[0].isspace() and self._spans else ""
        after = " " if data[-1].isspace() else ""
        self._add(f"{before}{text}{after}")

    def _add(self, text: str) -> None:
        if text:
            marks = frozenset(MARKS[tag] for tag in self._open if tag in MARKS and "pre" not in self._open)
            self._spans.append(Span(text, marks, self._links[-1] if self._links else None))

    def _line(self, keep_empty: bool = False) -> None:
        """What has come since the last line is one. Without any text only if `keep_empty`."""
        if self._grid is not None:
            self._add(" ")
            return
        spans, self._spans = _stripped(self._spans), []
        if not spans and not (keep_empty and self._ended_with_nothing()):
            return
        style = self._style()
        checked = self._checked
        if checked is None and style == "bulletedList" and spans:
            checked = next((done for box, done in BOXES.items() if spans[0].text.startswith(box)), None)
            if checked is not None:
                spans[0].text = spans[0].text[4:]
        self._checked = None
        element = Element(new_id("cl-"), style=style, spans=spans, level=self._level())
        if checked is not None:
            element.style, element.checked = "checkboxList", checked
        self.parts.append(element)

    def _ended_with_nothing(self) -> bool:
        """An empty paragraph is a line; the end of one that has just been closed by a list in it is not."""
        return not {"li", "blockquote"} & set(self._open)

    def _style(self) -> str:
        for tag in reversed(self._open):
            if tag == "li":
                return next((LISTS[one] for one in reversed(self._open) if one in LISTS), "bulletedList")
            if tag == "blockquote":
                return "blockQuote"
            if tag in LINES and not (tag == "p" and {"li", "blockquote"} & set(self._open)):
                return LINES[tag]
        return "paragraph"

    def _level(self) -> int:
        return max(0, sum(tag in LISTS for tag in self._open) - 1)

    def close(self) -> None:
        super().close()
        self.valid = self.valid and all(tag in END_IS_OPTIONAL for tag in self._open)
        while self._open:
            self._end(self._open[-1])
        self._line()


def _stripped(spans: list[Span]) -> list[Span]:
    """Without blanks at either end."""
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1].text = spans[-1].text.rstrip()
    return spans
