"""The plot of results.json: calls per second as bars, SVG without anything from elsewhere."""

from __future__ import annotations

import statistics
from typing import Any, Final
from xml.sax.saxutils import escape

from report import CONNECTIONS, NAMES

LEFT, BAR, GAP, WIDTH, SCALE = 280, 14, 46, 790, 430
# Its own ground, so that it can be read whatever the page around it looks like.
STYLE: Final = """
.ground { fill: #ffffff } text { fill: #1f2430; font: 13px system-ui, sans-serif }
.first { fill: #3f51b5 } .second { fill: #d9822b }
@media (prefers-color-scheme: dark) {
.ground { fill: #1e2129 } text { fill: #e2e4e9 } .first { fill: #8c9eff } .second { fill: #f0a860 } }
"""


def svg(found: dict[str, Any]) -> str:
    """Bars for each server and era, at CONNECTIONS connections."""
    rows = [row for row in found["calls"] if row["connections"] == CONNECTIONS]
    speeds = {(row["server"], row["era"]): statistics.median(row["per_second"]) for row in rows}
    eras = list(dict.fromkeys(row["era"] for row in rows))
    most = max(speeds.values())
    height = 50 + GAP * len(NAMES)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>Calls per second with {CONNECTIONS} connections</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
    ]
    for place, era in enumerate(eras):
        x, kind = LEFT + 150 * place, ("first", "second")[place]
        parts.append(f'<rect class="{kind}" x="{x}" y="14" width="{BAR}" height="{BAR}"/>')
        parts.append(f'<text x="{x + 20}" y="26">{era}</text>')
    for line, (server, name) in enumerate(NAMES.items()):
        top = 44 + GAP * line
        parts.append(f'<text x="{LEFT - 10}" y="{top + 19}" text-anchor="end">{escape(name)}</text>')
        for place, era in enumerate(eras):
            speed, y = speeds[server, era], top + place * (BAR + 2)
            width = speed / most * SCALE
            kind = ("first", "second")[place]
            parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}"/>')
            parts.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 12}">{speed:.0f}/s</text>')
    return "\n".join([*parts, "</svg>", ""])
