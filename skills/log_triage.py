"""What a log says: its lines by template, the gravest first, bursts, and what came before them."""

import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dino_os import skill
from skills.in_words import of_log
from skills.second_opinion import second_opinion
from skills.text_file import DAMAGED, open_text

_LONGEST = 4_000  # characters of a line that are looked at
_MOST_GROUPS = 5_000
_MOST_ALIKE = 100  # groups that a line is compared with
_MOST_TEXT, _MOST_TOKENS = 1_000, 64  # characters and words of a line that make its template
_MOST_KNOWN = 20_000  # masked lines whose group is known at once
_MOST_SPANS = 256  # of a group, in which its lines are counted
_ALIKE = 0.6
_APART_S = 60.0  # bursts closer to each other are one
_LEAD_S, _LEAD_LINES = 300.0, 200
_MOST_SECONDS = 1e11  # since the epoch, in the year 5138
_LEVELS = ("debug", "info", "warning", "error", "critical")
_RANK = {level: rank for rank, level in enumerate(_LEVELS)}

_level = re.compile(
    r"(?<![\w./-])(?:(?P<critical>fatal|crit(?:ical)?|emerg(?:ency)?|alert|panic)|(?P<error>err(?:or)?|severe)"
    r"|(?P<warning>warn(?:ing)?)|(?P<info>info|notice)|(?P<debug>debug|trace|verbose))(?![\w./-])",
    re.IGNORECASE,
)
_trouble = re.compile(
    r"fail(?:ed|ure|ing)?\b|exception|traceback|refused|denied|time[d ]?-?out|unreachable|corrupt"
    r"|out of memory|\boom\b|killed|segfault|no space|unable to|cannot\b",
    re.IGNORECASE,
)
_change = re.compile(
    r"(?:re)?start|stopp|deploy|upgrad|install|config|reload|mount|full\b|limit|memory|killed"
    r"|refused|expire|renew|migrat|switch|failover|rotat|disk|certificate",
    re.IGNORECASE,
)
_status = re.compile(r'" (?P<status>[1-5]\d\d) ')
_masks = (
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r'"[^"]*"|\'[^\']*\''), "<text>"),
    (re.compile(r"(?<![\w.])/[\w.@%+~-]+(?:/[\w.@%+~-]*)*"), "<path>"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}\.[\w.]{1,64}"), "<mail>"),
    (re.compile(r"(?<![A-Za-z])[-+]?\d+(?:[.,:]\d+)*"), "<n>"),
)
_digit = re.compile(r"\d")
_iso = re.compile(
    r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)\d*\s?(Z|[+-]\d\d:?\d\d)?\]?"
)
_syslog = re.compile(r"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d")
_web = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")
_epoch = re.compile(r"\[?(1\d{9})(?:\.\d+)?\]?\s")


@dataclass
class _Times:
    """How many lines when, in spans that grow so that there are never many."""

    width_s: float = 1.0
    counts: Counter[int] = field(default_factory=Counter)

    def add(self, at: float) -> None:
        self.counts[math.floor(at / self.width_s)] += 1
        while len(self.counts) > _MOST_SPANS:
            self.width_s *= 2
            wider: Counter[int] = Counter()
            for span, lines in self.counts.items():
                wider[span // 2] += lines
            self.counts = wider

    def bursts(self, whole_s: float) -> list[tuple[float, float, int]]:
        """From, to and lines, where there are far more than usual."""
        spans = max(whole_s / self.width_s, 1.0)
        usual = sum(self.counts.values()) / spans
        most = max(5.0, usual + 6 * math.sqrt(usual))
        near = max(2, math.ceil(_APART_S / self.width_s))
        found: list[list[int]] = []
        for span in sorted(span for span, lines in self.counts.items() if lines >= most):
            if found and span <= found[-1][1] + near:
                found[-1][1] = span
            else:
                found.append([span, span])
        return [
            (a * self.width_s, (z + 1) * self.width_s, sum(self.counts[n] for n in range(a, z + 1)))
            for a, z in found
            if spans > z + 1 - a
        ]


@dataclass
class _Group:
    """Lines of one template."""

    tokens: list[str]
    first_line: int
    example: str
    severity: str
    count: int = 0
    first: float | None = None
    last: float | None = None
    times: _Times = field(default_factory=_Times)

    def add(self, at: float | None) -> None:
        self.count += 1
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)
            self.times.add(at)

    @property
    def template(self) -> str:
        return " ".join(self.tokens)


class _Groups:
    """
    Templates, found as lines come.

    Source: He, Zhu, Zheng & Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
    ICWS 2017, doi:10.1109/ICWS.2017.13; of its tree the number of tokens and the first of them.
    """

    def __init__(self) -> None:
        self.all: list[_Group] = []
        self._leaves: dict[tuple[str, int, str], list[_Group]] = {}
        self._known: dict[tuple[str, str], _Group] = {}

    def of(self, text: str, line: int, severity: str) -> _Group:
        masked = text[:_MOST_TEXT]
        for pattern, mask in _masks:
            masked = pattern.sub(mask, masked)
        known = self._known.get((severity, masked))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            # What has a digit in it is a name of one thing, not of a kind of them.
            tokens = ["<*>" if _digit.search(token) else token for token in masked.split()]
            if len(tokens) > _MOST_TOKENS or len(text) > _MOST_TEXT:
                tokens = [*tokens[:_MOST_TOKENS], "…"]
            known = self._find(tokens, line, text, severity)
            self._known[severity, masked] = known
        return known

    def _find(self, tokens: list[str], line: int, text: str, severity: str) -> _Group:
        place = severity, len(tokens), "".join(tokens[:1])
        leaf = self._leaves.get(place, [])
        for group in leaf:
            same = sum(map(str.__eq__, group.tokens, tokens))
            if same >= _ALIKE * len(tokens):
                group.tokens = [
                    a if a == b else "<*>" for a, b in zip(group.tokens, tokens, strict=True)
                ]
                return group
        if len(leaf) >= _MOST_ALIKE or len(self.all) >= _MOST_GROUPS:
            return self._rest(severity, line, text)
        group = _Group(tokens, line, text[:300], severity)
        self._leaves[place] = [*leaf, group]
        self.all.append(group)
        return group

    def _rest(self, severity: str, line: int, text: str) -> _Group:
        """What there is no room for, by how grave it is."""
        leaf = self._leaves.setdefault((severity, -1, ""), [])
        if not leaf:
            leaf.append(_Group(["<other lines>"], line, text[:300], severity))
            self.all += leaf
        return leaf[0]


@skill(reads=["logs/"], timeout="10m", memory="512MB", idempotent=True)
def log_triage(path: Path, top: int = 10, model: bool = True) -> dict[str, Any]:
    """
    Triage a log: templates, gravest first, with counts, times, bursts and likely causes.

    The file is read line by line, packed (.gz) or not, however large it is.  Lines that begin with
    a blank belong to the line before them.

    Args:
        path: The log, below logs/.
        top: How many templates to name.
        model: Whether a model, where this skill may ask one, says what to look at first.
    """
    groups = _Groups()
    levels: Counter[str] = Counter()
    lines = continued = 0
    began = ended = None
    damage: list[str] = []
    for number, text in _lines(Path(path), damage):
        lines = number
        if not text.strip() or text[0] in " \t}":
            continued += 1
            continue
        at, severity, said = _read(text)
        levels[severity] += 1
        if at is not None:
            began = at if began is None else min(began, at)
            ended = at if ended is None else max(ended, at)
        groups.of(said, number, severity).add(at)
    whole_s = (ended or 0.0) - (began or 0.0)
    ranked = sorted(groups.all, key=lambda g: (-_RANK[g.severity], -g.count, g.first_line))
    facts: dict[str, Any] = {
        "file": str(path),
        "lines": lines,
        "continued_lines": continued,
        "damaged": damage[0] if damage else None,
        "from": _text_of(began),
        "to": _text_of(ended),
        "severities": {level: levels[level] for level in reversed(_LEVELS) if levels[level]},
        "templates": len(groups.all),
        "groups": [_told(group, whole_s) for group in ranked[: max(top, 0)]],
        "causes": _causes(ranked, whole_s),
    }
    asked = "An operator has this log: what is the likeliest cause, and the next check?"
    advice = second_opinion(asked, facts) if model else {"used": False, "why": "not asked"}
    facts["model"] = advice
    return {"report": of_log(facts), **facts}


def _lines(path: Path, damage: list[str]) -> Iterator[tuple[int, str]]:
    """The lines; why there are no more goes to *damage* where the file does not end there."""
    number = 0
    try:
        with open_text(path, newline="\n") as file:
            while piece := file.readline(_LONGEST):
                number += 1
                yield number, piece.rstrip("\r\n")
                while piece and not piece.endswith("\n"):  # the rest of a line that is too long
                    piece = file.readline(_LONGEST)
    except DAMAGED as error:
        damage.append(f"behind line {number}: {error}")


def _read(text: str) -> tuple[float | None, str, str]:
    """When, how grave, and what a line says."""
    if text.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(text)
            if isinstance(record, dict):
                return _of_record(record)
    at, rest = _time_of(text)
    return at, _severity_of(rest), rest


def _of_record(record: dict[str, Any]) -> tuple[float | None, str, str]:
    low = {str(name).lower(): value for name, value in record.items()}

    def first(*names: str) -> Any:
        return next((low[name] for name in names if low.get(name) is not None), None)

    stamp = first("time", "timestamp", "ts", "@timestamp", "datetime", "date")
    said = first("message", "msg", "event", "error")
    said = said if isinstance(said, str) else json.dumps(record, ensure_ascii=False)
    level = first("level", "severity", "levelname", "lvl")
    at = _epoch_of(stamp) if isinstance(stamp, int | float) else _time_of(f"{stamp} ")[0]
    return at, _severity_of(f"{level} {said}"), said


def _time_of(text: str) -> tuple[float | None, str]:
    """When, as seconds since the epoch (UTC where no zone is said), and the rest of the line."""
    head = text[:80]
    if found := _iso.search(head):
        with contextlib.suppress(ValueError):
            stamp = datetime.fromisoformat(found[1].replace(",", ".") + (found[2] or ""))
            return _seconds(stamp), text[: found.start()] + text[found.end() :].lstrip()
    if found := _web.search(text[:300]):
        with contextlib.suppress(ValueError):
            stamp = datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z")
            return _seconds(stamp), text[: found.start()] + text[found.end() :].lstrip()
    if found := _syslog.match(head):
        with contextlib.suppress(ValueError):
            # No year is said: that of a leap year, so that every day is there.
            stamp = datetime.strptime(f"2000 {found[0]} +0000", "%Y %b %d %H:%M:%S %z")
            return _seconds(stamp), text[found.end() :].lstrip()
    if found := _epoch.match(head):
        return float(found[1]), text[found.end() :].lstrip()
    return None, text


def _seconds(stamp: datetime) -> float | None:
    """Since the epoch; None for the years 1 and 9999, which stand for no time."""
    if stamp.year in {1, 9999}:
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def _epoch_of(stamp: float) -> float | None:
    """Seconds since the epoch, of such or of thousandths, millionths or billionths of them."""
    if not 0 <= stamp < _MOST_SECONDS * 1e9:
        return None
    while stamp >= _MOST_SECONDS:
        stamp /= 1_000
    return float(stamp)


def _severity_of(text: str) -> str:
    if found := _level.search(text[:120]):
        return str(found.lastgroup)
    if found := _status.search(text):
        return {"5": "error", "4": "warning"}.get(found["status"][0], "info")
    return "error" if _trouble.search(text) else "info"


def _causes(ranked: list[_Group], whole_s: float) -> list[dict[str, Any]]:
    """For each of the gravest, what came up shortly before it did."""
    found = []
    for group in [g for g in ranked if _RANK[g.severity] >= _RANK["error"]][:3]:
        bursts = group.times.bursts(whole_s)
        onset = bursts[0][0] if bursts else group.first
        scored = [
            (score, other, why)
            for other in ranked
            if other is not group and (found_why := _lead(other, group, onset)) is not None
            for score, why in [found_why]
        ]
        scored.sort(key=lambda one: (-one[0], one[1].first_line))
        for _, other, why in scored[:3]:
            found.append(
                {
                    "of": group.template,
                    "candidate": other.template,
                    "line": other.first_line,
                    "example": other.example,
                    "why": why,
                }
            )
    return found


def _lead(other: _Group, group: _Group, onset: float | None) -> tuple[float, str] | None:
    """How likely *other*, first seen shortly before *group* set in, and why; None: it was not."""
    if onset is not None and other.first is not None:
        lead = onset - other.first
        if not -other.times.width_s < lead <= _LEAD_S or other.first_line > group.first_line:
            return None
        share, told = max(lead, 0.0) / _LEAD_S, f"first seen {max(lead, 0.0):.0f} s before"
    else:
        lines = group.first_line - other.first_line
        if not 0 < lines <= _LEAD_LINES:
            return None
        share, told = lines / _LEAD_LINES, f"first seen {lines} lines before"
    word = _change.search(other.example)
    score = _RANK[other.severity] + 2.0 * bool(word) - share - 0.5 * math.log10(other.count)
    if score < 1:
        return None
    reasons = [told]
    if _RANK[other.severity] >= _RANK["warning"]:
        reasons.append(other.severity)
    if word:
        reasons.append(f"speaks of {word[0].lower()!r}")
    return score, ", ".join(reasons)


def _told(group: _Group, whole_s: float) -> dict[str, Any]:
    bursts = sorted(group.times.bursts(whole_s), key=lambda burst: -burst[2])[:3]
    return {
        "template": group.template,
        "severity": group.severity,
        "count": group.count,
        "first": _text_of(group.first),
        "last": _text_of(group.last),
        "first_line": group.first_line,
        "example": group.example,
        "bursts": [
            {
                "from": _text_of(begin),
                "to": _text_of(end),
                "lines": lines,
                "per_minute": round(lines / (end - begin) * 60, 1),
            }
            for begin, end, lines in bursts
        ],
        "usual_per_minute": round(group.count / whole_s * 60, 3) if whole_s else None,
    }


def _text_of(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
