"""Making a report: the lines, their proofs, the page, and one signature over all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dino_os.audit_report.collecting import About, collect, events_of
from dino_os.audit_report.page import JournalShown, page
from dino_os.audit_report.summing_up import sums, timeline
from dino_os.auditing import AskPassphrase, Auditing
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace
from engines.audit import Part, Signed, write_bundle
from engines.errors import JournalBroken
from engines.journal import Event, OnProgress
from engines.merkle import ProofInvalid, leaf_hash

Graph = Callable[[About, Mapping[str, Sequence[Event]]], bytes | None]
"""
Makes the graph of provenance as PROV-JSON: given what the report is about, and the events that it
discloses, by journal.  None where there is nothing to be said.
"""
GRAPH, PAGE, README = "provenance.json", "summary.html", "README.txt"
_HOW_TO = """\
Audit report: {about}
of the workspace {origin}

summary.html        for people: what happened, and what the proofs show and do not
journals/           the lines, byte for byte (.jsonl) or only their hashes (.leaves); the hashes of
                    the Merkle tree that lead from them (.hashes) to the signed root (.note)
manifest.json       the SHA-256 of every file here but manifest.note, which signs it
keys.txt            who signed.  Do not trust it: get the key from its owner by another way (by
                    telephone, from a printed page); `audit key show` prints it there.

To verify, offline and without a workspace:

    audit report verify FILE --key KEY

docs/audit.md and docs/journal.md of Dino say how to verify without Dino.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """
    A report.

    Attributes:
        content: The file's bytes.
        lines: How many lines it has of each journal.
        withheld: The journals of which it has hashes only.
    """

    about: About
    content: bytes
    lines: Mapping[str, int]
    withheld: tuple[str, ...]


def make_report(
    workspace: Workspace,
    about: About,
    *,
    withheld: Sequence[str] = (),
    ask: AskPassphrase | None = None,
    graph: Graph | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Report:
    """
    The report about *about*.

    The same journals, checkpoints and key give the same bytes.  Journals whose last checkpoint does
    not cover what belongs here, or is by another key, are signed first.

    Args:
        withheld: Journals of which the report has hashes only.
        ask: Asks for what opens the signing key.
        graph: Makes the graph of provenance.
        on_progress: Told of bytes that were read, then of lines that were proven.

    Raises:
        NotFound: Nothing is about it; no such journal; or there is no key to sign with.
        InvalidInput: There is too much; or all of it is to be withheld.
        WrongPassphrase: The key is sealed.
        JournalBroken: A line does not stand, or is not what was signed.
    """
    auditing = Auditing(workspace, ask)
    auditing.journals(withheld)
    signer = auditing.signer()
    lines = collect(auditing.journals(()), about, on_progress)
    kept_back = tuple(journal for journal in lines if journal in withheld)
    # That of the checkpoints first: to sign another adds a line to them.
    names = sorted(lines, key=lambda name: (name != "checkpoints", name))
    signed = {name: auditing.covering(name, max(lines[name]), signer) for name in names}
    parts = [
        _part(auditing, signed[journal], found, on_progress, withheld=journal in kept_back)
        for journal, found in lines.items()
    ]
    keys = [*auditing.log.keys, *auditing.log.witnesses]
    beside = {README: _HOW_TO.format(about=_one_line(about), origin=workspace.origin()).encode()}
    disclosed = events_of({name: lines[name] for name in lines if name not in kept_back})
    rows = [row for row in timeline(disclosed) if about.holds(row[1])]
    if not rows:
        raise InvalidInput("nothing would be left to read", hint="withhold fewer journals")
    made = graph(about, disclosed) if graph else None
    if made is not None:
        beside[GRAPH] = made
    beside[PAGE] = page(
        str(about),
        {"Workspace": workspace.config.settings.system.name, "Origin": workspace.origin()},
        sums(rows),
        rows,
        [_shown(signed[part.journal], part) for part in parts],
        keys=map(str, keys),
        has_graph=made is not None,
    )
    content = write_bundle(
        parts,
        origin=workspace.origin(),
        about=about.as_dict(),
        keys=keys,
        beside=beside,
        signer=signer,
    )
    counts = {journal: len(found) for journal, found in lines.items()}
    return Report(about, content, counts, kept_back)


def _part(
    auditing: Auditing,
    signed: Signed,
    found: Mapping[int, tuple[bytes, Event]],
    on_progress: OnProgress,
    *,
    withheld: bool,
) -> Part:
    leaves = {seq: leaf_hash(line) for seq, (line, _) in found.items()}
    try:
        hashes = auditing.path_hashes(signed, leaves, on_progress)
    except ProofInvalid:
        raise JournalBroken(
            f"{signed.journal}: forked: its lines are not those that were signed",
            hint="`audit verify` says more",
        ) from None
    shown = leaves if withheld else {seq: line for seq, (line, _) in found.items()}
    return Part(signed.journal, signed.text, shown, hashes, withheld)


def _shown(signed: Signed, part: Part) -> JournalShown:
    signers = dict.fromkeys(signature.name for signature in signed.note.signatures)
    size = signed.checkpoint.size
    return JournalShown(part.journal, len(part.lines), size, list(signers), part.withheld)


def _one_line(about: About) -> str:
    return " ".join(str(about).split())
