"""
The summary of a report as one page of HTML: no script, nothing from outside, everything escaped.

What journals hold was written by anybody.  It gets onto the page as text alone: markup is escaped,
what could reorder or hide text is shown as a replacement character, and the page's policy lets a
browser load and run nothing but the style that stands in it, by its hash.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any

from dino_os.audit_report.summing_up import Row, Sums, payload, when

MOST_ROWS = 1_000
_LONGEST = 600
# Controls, and what changes the direction of text or cannot be seen.
_unsayable = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-"
    "\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--line:#767676;--band:#f1f1f1;
--mark:#7a1f00}
@media (prefers-color-scheme:dark){
:root{--ink:#e8e8e8;--paper:#161616;--line:#8c8c8c;--band:#242424;--mark:#ffb59a}}
body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:75rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}
.wide{overflow-x:auto}.wide:focus{outline:2px solid var(--line)}
table{border-collapse:collapse;width:100%}caption{text-align:left;padding:.3rem 0}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
thead th,tbody tr:nth-child(even){background:var(--band)}
code,pre{font:.9em/1.4 ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
.warn{border-left:.3rem solid var(--mark);padding-left:.8rem}
@media print{body{max-width:none}}
"""
_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class JournalShown:
    """What the page says of one journal."""

    journal: str
    lines: int
    size: int
    signed_by: Sequence[str]
    withheld: bool


def page(
    title: str,
    workspace: Mapping[str, str],
    sums: Sums,
    rows: Sequence[Row],
    journals: Sequence[JournalShown],
    *,
    keys: Iterable[str],
    has_graph: bool,
) -> bytes:
    """
    The page.

    Args:
        title: What the report is about.
        workspace: What is to be known of it, by name.
        rows: By time; those of withheld journals are not among them.
        keys: Verifier keys, as texts.
    """
    body = [
        f"<h1>Audit report: {_text(title)}</h1>",
        _overview(workspace, sums),
        _what_happened(sums, rows),
        _what_it_shows(journals),
        _what_it_discloses(journals, has_graph=has_graph),
        _how_to_check(list(keys)),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Audit report: {_text(title)}</title>",
            f"<style>{_STYLE}</style></head>",
            "<body><main>",
            *body,
            "</main></body></html>\n",
        ]
    ).encode()


def _overview(workspace: Mapping[str, str], sums: Sums) -> str:
    who = (f"{name} ({count:,} lines)" for name, count in sums.who.items())
    facts = {
        **workspace,
        "From": when(sums.first),
        "To": when(sums.last),
        "By whom, through which door": ", ".join(who),
        **{f"Cost: {what}": much for what, much in sums.cost.items()},
    }
    cells = (f"<dt>{_text(name)}</dt><dd>{_text(fact)}</dd>" for name, fact in facts.items())
    return f"<section><h2>At a glance</h2><dl>{''.join(cells)}</dl></section>"


def _what_happened(sums: Sums, rows: Sequence[Row]) -> str:
    counts = _table(
        "Events, and how they ended",
        ("event", "how many"),
        ((_text(kind), f"{count:,}") for kind, count in sums.happened.items()),
    )
    left_out = len(rows) - MOST_ROWS
    more = f" The first {MOST_ROWS:,}; {left_out:,} more are in journals/." if left_out > 0 else ""
    lines = _table(
        f"Lines by time (UTC, by the writers' clocks).{more}",
        ("when", "line", "event", "by", "what it says"),
        (_line(journal, event) for journal, event in rows[:MOST_ROWS]),
    )
    return f"<section><h2>What happened</h2>{counts}{lines}</section>"


def _line(journal: str, event: Mapping[str, Any]) -> tuple[str, ...]:
    stamp = _text(when(event["timestamp"]))
    said = json.dumps(payload(event), ensure_ascii=False, separators=(", ", ": "))
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]} … ({len(said):,} characters; all of it is in journals/)"
    return (
        f'<time datetime="{stamp}">{stamp}</time>',
        f"{_text(journal)}:{event['seq']}",
        _text(event["event_type"]),
        _text(event.get("by", "")),
        f"<code>{_text(said)}</code>",
    )


def _what_it_shows(journals: Sequence[JournalShown]) -> str:
    rows = (
        (
            _text(shown.journal),
            f"{shown.lines:,}" + (" (hashes only)" if shown.withheld else ""),
            f"{shown.size:,}",
            _text(", ".join(shown.signed_by)),
        )
        for shown in journals
    )
    table = _table("Journals", ("journal", "lines here", "lines signed", "signed by"), rows)
    return f"""<section><h2>What the proofs show, and what they do not</h2>{table}
<p>Each line here is byte for byte the one that stood at its number in its journal when the
signer signed it, and so is each hash of a line that is withheld: it leads through a Merkle tree
(RFC 6962) to a root under an Ed25519 signature.</p>
<div class="warn"><p>Not shown by anything in this file:</p><ul>
<li>whose it is, unless you check it with a key that you got from its owner;</li>
<li>that no other line belongs to it: none can be added unseen, but one can be left out;</li>
<li>that what the lines say is so: they are what was recorded, at the time of the writer's
clock;</li>
<li>that the signer showed nobody another history, where no witness countersigned;</li>
<li>this page and the graph: they are signed, but only the maker's reading of the lines.</li>
</ul></div></section>"""


def _what_it_discloses(journals: Sequence[JournalShown], *, has_graph: bool) -> str:
    shown = ", ".join(f"{j.lines:,} lines of {j.journal}" for j in journals if not j.withheld)
    withheld = ", ".join(f"{j.lines:,} lines of {j.journal}" for j in journals if j.withheld)
    graph = ", and the graph of what led to what" if has_graph else ""
    return f"""<section><h2>What this file discloses</h2>
<p>The whole content of {_text(shown or "no line")}{graph}, to whoever has it: nothing on a line can
be blotted out without breaking its proof. Withheld, by hash only: {_text(withheld or "none")}. A
hash tells nobody a line, but confirms a line that somebody has or guesses; the proofs have hashes
of neighbouring lines too.</p></section>"""


def _how_to_check(keys: Sequence[str]) -> str:
    listed = "\n".join(keys)
    return f"""<section><h2>How to check it</h2>
<p>Get the signer's key from its owner by another way than this file came: by telephone, from a
printed page, from whom you both trust. The owner prints it with <code>audit key show</code>. It
must be one of these:</p><pre tabindex="0">{_text(listed)}</pre>
<p>Then, without a network and without a workspace:</p>
<pre>audit report verify FILE --key KEY</pre>
<p>docs/audit.md of Dino describes the file, so that a verifier can be written without
Dino.</p></section>"""


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are markup already."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = ("".join(f'<td dir="auto">{cell}</td>' for cell in row) for row in rows)
    body = "\n".join(f"<tr>{cells}</tr>" for cells in lines)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{_text(caption)}"><table>'
        f"<caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _text(found: object) -> str:
    return escape(_unsayable.sub("\ufffd", str(found)))
