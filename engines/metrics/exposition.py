"""
The Prometheus text exposition format, version 0.0.4.

No time stamps: node_exporter's textfile collector refuses them.

Source: prometheus.io, "Exposition formats", text-based format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from engines.metrics.families import Family, Labels, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SUFFIXES = {"counter": {""}, "gauge": {""}, "histogram": {"_bucket", "_sum", "_count"}}
_name = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*").fullmatch
_label_name = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*").fullmatch


def render(families: Iterable[Family]) -> str:
    """
    The families as text.

    Raises:
        ValueError: A name is not one, a series or a family stands there twice, a counter's name
            does not end in `_total`: whoever reads it would refuse it all.
    """
    seen: set[str] = set()
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        _check(family, seen)
        seen.add(family.name)
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += _lines(family)
    return "".join(f"{line}\n" for line in lines)


def _check(family: Family, seen: set[str]) -> None:
    if not _name(family.name) or family.kind not in _SUFFIXES:
        raise ValueError(f"not a metric family: {family.name!r} ({family.kind})")
    if family.name in seen:
        raise ValueError(f"there are two families named {family.name}")
    if (family.kind == "counter") != family.name.endswith("_total"):
        raise ValueError(f"counters, and they alone, end in _total: {family.name}")


def _lines(family: Family) -> Iterator[str]:
    seen: set[str] = set()
    for sample in family.samples:
        series = _series(family, sample)
        if series in seen:
            raise ValueError(f"there are two series {series}")
        seen.add(series)
        yield f"{series} {number(sample.value)}"


def _series(family: Family, sample: Sample) -> str:
    if sample.suffix not in _SUFFIXES[family.kind]:
        raise ValueError(f"a {family.kind} has no {sample.suffix}: {family.name}")
    return f"{family.name}{sample.suffix}{_labels(sample.labels)}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    for name in labels:
        if not _label_name(name):
            raise ValueError(f"not a label's name: {name!r}")
    # In one order, so that the same series is the same text.
    pairs = [f'{name}="{_escaped(value, quote=True)}"' for name, value in sorted(labels.items())]
    return "{" + ",".join(pairs) + "}"


def number(value: float) -> str:
    """*value* as the format spells it."""
    if isinstance(value, int):
        return str(int(value))
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quote else text
