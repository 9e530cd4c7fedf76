"""What all runs of the checklist share."""

from __future__ import annotations

import sys

# httpcore looks for sniffio anew for every lock that it makes. It is not installed; known to be missing it costs
# nothing, which is a fifth of what these many thousand requests take.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
