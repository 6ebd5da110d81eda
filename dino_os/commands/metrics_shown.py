"""How metrics are shown to people."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], top: float) -> str:
    """*values* from 0 to *top* as a line of bars; a blank where there is none."""
    highest = len(_BARS) - 1
    bars = [" " if v is None else _BARS[round(highest * min(v / top, 1.0))] for v in values]
    return "".join(bars).rstrip()


def number(value: float | None) -> str:
    return "no data" if value is None else f"{value:,.6g}"
