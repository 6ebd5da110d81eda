"""A report shows its lines to who has nothing else, and says where anything about it is wrong."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import re
import shutil
import warnings
import zipfile
from collections import deque
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prov.model import ProvDocument, ProvElement, ProvRelation

from dino_os.audit_report import About, make_report
from dino_os.audit_report.graph import graph_of
from dino_os.auditing import Auditing
from dino_os.errors import InvalidInput, NotFound
from dino_os.retention import rotate
from dino_os.workspace import Workspace
from engines.audit import (
    BundleFound,
    Checkpoint,
    NotAnArchive,
    Note,
    Part,
    Proof,
    SignerKey,
    WrongPassphrase,
    check_bundle,
    write_bundle,
)
from engines.audit.archive import Member, _parts, pack, unpack
from engines.audit.bundle import FORMAT, manifest_text, read_hashes
from engines.journal import Journal, RecordedJournal
from engines.merkle import Inclusion, ProofInvalid, audit_path, leaf_hash, node_hash
from tests.audit.desk_of_orders import (
    CANARY,
    HOSTILE,
    OTHER_RUN,
    RUN,
    as_it_was_signed,
    files,
    furnish,
    key_of,
    with_file,
)
from tests.audit.office import inside_door, prune
from tests.interop.hands import body_of, seal

PERIOD = About("period", since=0.0)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def order(desk: Path) -> bytes:
    return make_report(Workspace(desk), About("order", "o1")).content


@pytest.fixture
def own(tmp_path: Path, desk: Path) -> Path:
    """A copy of the desk, to be changed."""
    return shutil.copytree(desk, tmp_path / "own")


def shown(report: bytes, root: Path) -> dict[str, list[int]]:
    """Journal → numbers of its lines, but for the first and the signers'; it must verify."""
    found = check_bundle(report, [key_of(root)])
    assert found.ok, found.faults
    return {
        name: numbers
        for name, events in found.events.items()
        if name != "checkpoints" and (numbers := [e["seq"] for e in events if e["seq"]])
    }


def told(found: BundleFound) -> list[tuple[str, str, int]]:
    return [(fault.kind, fault.file, fault.line) for fault in found.faults]


# --- what belongs to it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (
            About("run", RUN),
            {
                "runs": [1, 3],
                "engine_state": [1, 3],
                "orders": [4],
                "security_log": [1],
                "memory_log": [1, 3],
                "bus": [2],
            },
        ),
        (
            About("run", OTHER_RUN),
            {
                "runs": [2, 4],
                "engine_state": [4],
                "security_log": [2],
                "cycles": [1],
            },
        ),
        (
            About("order", "o1"),
            {
                "orders": [1, 2, 3, 4],
                "engine_state": [1, 3],
                "runs": [1, 3],
                "sandbox_payments": [1],
                "security_log": [1],
                "bus": [2],
            },
        ),
        (
            About("cycle", "1"),
            {
                "cycles": [1, 3],
                "zones": [1, 3],
                "engine_state": [4],
                "runs": [2, 4],
                "cycle_runs": [1, 2],
            },
        ),
        (
            About("run", "c0ffee"),
            {"cycle_runs": [1, 2], "cycles": [1, 3], "zones": [1, 3], "engine_state": [4]},
        ),
    ],
    ids=str,
)
def test_a_report_has_what_is_about_it_and_one_step_more(
    desk: Path, about: About, expected: dict[str, list[int]]
) -> None:
    """And of the same journals nothing else: a lease of two tasks leads from none to the other."""
    assert shown(make_report(Workspace(desk), about).content, desk) == expected


def stamped(root: Path, *times: float) -> None:
    """A journal `notes` whose lines behind the first have these times."""
    clock = iter([0.0, *times])
    journal = Journal(root / "memory" / "notes.jsonl", clock=lambda: next(clock))
    for _ in times:
        journal.append("noted")
    journal.close()


@pytest.mark.parametrize(
    ("since", "until", "numbers"),
    [
        (20, 40, [1, 2, 3, 4]),
        (20.5, 40, [2, 3, 4]),
        (None, 30, [0, 1, 2, 3]),
        (40, None, [3, 4, 5]),
        (None, None, [0, 1, 2, 3, 4, 5]),
        (50, 51, [4, 5]),
    ],
)
def test_a_period_has_every_line_of_its_time_and_shows_it(
    own: Path, since: float | None, until: float | None, numbers: list[int]
) -> None:
    """By the lines before and behind them, if there are any."""
    stamped(own, 10, 20, 30, 40, 50)
    report = make_report(Workspace(own), About("period", since=since, until=until)).content
    found = check_bundle(report, [key_of(own)])
    assert found.ok, found.faults
    seqs = [event["seq"] for event in found.events["notes"]]
    assert [seq for seq in seqs if seq or 0 in numbers] == numbers
    complete = {part.journal: part.complete for part in found.parts}
    assert complete.pop("checkpoints") in {True, None}
    assert set(complete.values()) == {True}
    assert "no line of that time is missing" in "".join(found.unproven)


@pytest.mark.parametrize("gone", [1, 2, 3, 4])
def test_a_period_that_leaves_out_a_line_is_not_called_complete(own: Path, gone: int) -> None:
    """Nor is it faulty: what is there is proven."""
    stamped(own, 10, 20, 30, 40, 50)
    report = make_report(Workspace(own), About("period", since=20, until=40)).content
    name = "journals/notes.jsonl"
    lines = [
        line
        for line in files(report)[name].splitlines(keepends=True)
        if b'"seq":%d,' % gone not in line
    ]
    manifest = json.loads(files(report)["manifest.json"])
    manifest["journals"]["notes"]["lines"] -= 1
    changed = {name: b"".join(lines), "manifest.json": manifest_text(manifest)}
    changed = as_it_was_signed(report, changed, Auditing(Workspace(own)).signer())
    found = check_bundle(changed, [key_of(own)])
    assert found.ok, found.faults
    assert {part.journal: part.complete for part in found.parts}["notes"] is False
    assert "that a line is there, not that none is missing" in "".join(found.unproven)


@pytest.mark.parametrize("about", [About("run", "no"), About("order", ""), About("cycle", "9")])
def test_what_nothing_is_about_is_said_with_a_hint(desk: Path, about: About) -> None:
    with pytest.raises(NotFound, match=f"no line is about {about}") as caught:
        make_report(Workspace(desk), about)
    assert caught.value.hint
    assert caught.value.exit_code == 2


# --- what it is ----------------------------------------------------------------------------------


def test_the_same_gives_the_same_bytes(own: Path, order: bytes) -> None:
    """Also a year later, in another folder, after other journals went on."""
    Workspace(own).own_journal("bus").append("message_published", {"message": 1})
    assert make_report(Workspace(own), About("order", "o1")).content == order


def test_the_lines_are_those_of_the_journals_and_prove_alone(desk: Path, order: bytes) -> None:
    """Each with a proof of the standard form, put together from the hashes that all share."""
    found = files(order)
    for name in ("orders", "runs"):
        lines = found[f"journals/{name}.jsonl"].splitlines()
        hashes = dict(read_hashes(found[f"journals/{name}.hashes"]))
        note = found[f"journals/{name}.note"].decode()
        for line in lines:
            seq = json.loads(line)["seq"]
            assert line == RecordedJournal(desk / "memory" / f"{name}.jsonl").line(seq)
            size = int(note.split("\n")[1])
            steps = [base64.b64encode(hashes[span]).decode() for span in audit_path(seq, size)]
            made = f"extra {base64.b64encode(line).decode()}\nindex {seq}\n"
            text = "\n".join([f"c2sp.org/tlog-proof@v1\n{made}".rstrip(), *steps, "", note])
            assert Proof.parse(text).check([key_of(desk)])[0].size == size


def test_a_report_carries_no_private_key(desk: Path, order: bytes) -> None:
    private = json.loads((desk / "w.key").read_text())["private"].encode()
    assert private not in order
    assert base64.b64decode(private) not in order


def test_who_has_no_key_of_its_own_gets_no_more_than_unanchored(desk: Path, order: bytes) -> None:
    found = check_bundle(order)
    assert (found.ok, found.anchored) == (True, False)
    assert "unanchored" in found.verdict
    assert "whose it is (unanchored)" in found.unproven[0]
    assert not any("unanchored" in text for text in check_bundle(order, [key_of(desk)]).unproven)
    assert any("countersigned" in text for text in found.unproven)


def test_an_auditor_with_another_key_is_not_satisfied(order: bytes, desk: Path) -> None:
    for name, kind in (("dino.local/other", "unsigned"), (key_of(desk).name, "wrong key")):
        found = check_bundle(order, [SignerKey.new(name).verifier])
        assert {fault.kind for fault in found.faults} == {kind}
        assert {fault.file for fault in found.faults} >= {"manifest.note", "journals/orders.note"}
        assert found.as_dict()["anchored"] is False


def test_a_witness_who_countersigned_is_named_and_is_enough(own: Path) -> None:
    """What it signed is anchored by its key, with none of the owner's."""
    witness = SignerKey.new("site-b")
    auditing = Auditing(Workspace(own))
    auditing.log.trust_witness(witness.cosigner)
    for signed in auditing.checkpoint():
        cosigned = witness.cosign(signed.note.text, 1_800_000_000)
        auditing.accept(signed.journal, cosigned.line())
    report = make_report(Workspace(own), About("run", "c0ffee")).content
    for keys in ([], [key_of(own)], [witness.cosigner]):
        found = check_bundle(report, keys)
        assert found.ok, found.faults
        assert {part.witnesses for part in found.parts} == {("site-b",)}
        believed = witness.cosigner in keys  # what the report says of a witness proves nothing
        assert any("countersigned" in text for text in found.unproven) != believed
        assert {part.witnessed for part in found.parts} == {believed}
        assert found.anchored == bool(keys)
        alone = any("the key that was given is a witness's" in text for text in found.unproven)
        assert alone == (keys == [witness.cosigner])


def test_after_a_rotation_of_the_key_the_new_one_is_enough(own: Path, order: bytes) -> None:
    """And what was signed before stays good by the old one."""
    old = key_of(own)
    new = Auditing(Workspace(own)).rotate_key(None)
    later = make_report(Workspace(own), About("order", "o1")).content
    assert check_bundle(later, [new]).ok
    assert {kind for kind, _, _ in told(check_bundle(later, [old]))} == {"wrong key"}
    assert check_bundle(order, [old]).ok
    assert b'"endorsement":"dino.local/' in files(later)["journals/checkpoints.jsonl"]


def test_a_sealed_key_is_opened_once(own: Path) -> None:
    Auditing(Workspace(own)).key_file.unlink()
    Auditing(Workspace(own)).new_key("swordfish")
    asked: list[Path] = []

    def ask(file: Path) -> str:
        asked.append(file)
        return "swordfish"

    made = make_report(Workspace(own), About("order", "o1"), ask=ask).content
    assert check_bundle(made, [key_of(own)]).ok
    assert len(asked) == 1
    with pytest.raises(WrongPassphrase):
        make_report(Workspace(own), About("order", "o1"), ask=lambda _: None)


def test_withheld_journals_are_proven_and_not_shown(desk: Path, order: bytes) -> None:
    about = About("order", "o1")
    made = make_report(Workspace(desk), about, withheld=["engine_state", "zones"])
    assert CANARY.encode() in order
    assert CANARY.encode() not in made.content
    assert made.withheld == ("engine_state",)
    found = check_bundle(made.content, [key_of(desk)])
    assert found.ok, found.faults
    assert "the 3 lines of engine_state: only their hashes" in "".join(found.unproven)
    line = RecordedJournal(desk / "memory" / "engine_state.jsonl").line(1)
    leaf = base64.b64encode(leaf_hash(line)).decode()
    assert f"1 {leaf}\n".encode() in files(made.content)["journals/engine_state.leaves"]
    with pytest.raises(InvalidInput, match="nothing would be left"):
        make_report(Workspace(desk), about, withheld=[*found.manifest["journals"]])
    then = RecordedJournal(desk / "memory" / "bus.jsonl").tail(1)[0]["timestamp"]
    moment = About("period", since=then - 1e-6, until=then + 2e-6)
    with pytest.raises(InvalidInput, match="nothing would be left"):
        make_report(Workspace(desk), moment, withheld=["bus"])
    with pytest.raises(NotFound, match="no journal named 'order'"):
        make_report(Workspace(desk), about, withheld=["order"])


def test_a_graph_that_is_handed_in_is_signed_with_the_rest(desk: Path) -> None:
    """It is made of what the report discloses."""
    asked = []

    def graph(about: About, events: object) -> bytes:
        asked.append((about, events))
        return b'{"entity":{}}'

    about = About("order", "o1")
    made = make_report(Workspace(desk), about, withheld=["runs"], graph=graph).content
    assert files(made)["provenance.json"] == b'{"entity":{}}'
    assert asked[0][0] == about
    assert "runs" not in asked[0][1]
    changed = with_file(made, "provenance.json", b'{"entity":[]}')
    assert told(check_bundle(changed)) == [("edited", "provenance.json", 0)]


def test_the_graph_says_what_the_disclosed_lines_say(desk: Path) -> None:
    """In a document that the reference implementation reads, the same each time."""
    workspace, about = Workspace(desk), About("order", "o1")
    made = make_report(workspace, about, graph=graph_of).content
    assert make_report(workspace, about, graph=graph_of).content == made
    told = files(made)["provenance.json"]
    document = ProvDocument.deserialize(content=told.decode())
    names = {str(record.identifier) for record in document.get_records(ProvElement)}
    assert {"order:o1", f"run:{RUN}", "task:order%3Ao1%3Afulfil", "skill:pack@ab"} <= names
    assert len([*document.get_records(ProvRelation)]) > 5
    assert not {f"run:{OTHER_RUN}", "order:o2"} & names
    withheld = make_report(workspace, about, graph=graph_of, withheld=["runs", "bus"]).content
    assert b"skill:pack" not in files(withheld)["provenance.json"]
    assert CANARY.encode() not in told


# --- segments, and many lines --------------------------------------------------------------------


@pytest.mark.parametrize("pruned", [False, True])
def test_sealed_packed_and_pruned_files_make_no_difference(root: Path, pruned: bool) -> None:
    """Of what was pruned there is nothing; what is left proves as before."""
    (root / "config.yaml").write_text(
        (root / "config.yaml").read_text().replace("compress: false", "compress: true")
    )
    if pruned:
        prune(root)
    Workspace(root).zones.record_event("Mole", kind="enter")
    rotate(Workspace(root), ["zones"])
    assert list((root / "memory").glob("zones.*.jsonl.zst"))
    there = (
        [
            line
            for b in RecordedJournal(root / "memory" / "zones.jsonl").blocks()
            for line in b.lines
        ]
        if not pruned
        else []
    )
    report = make_report(Workspace(root), PERIOD).content
    numbers = shown(report, root)["zones"]
    length = RecordedJournal(root / "memory" / "zones.jsonl").length()
    assert numbers == list(range(numbers[0], length))
    assert (numbers[0] > 1) == pruned
    if not pruned:
        assert files(report)["journals/zones.jsonl"].splitlines() == there
    assert Workspace(root).zones.verify_hash_chain()


def test_a_lost_index_is_made_anew(own: Path, order: bytes) -> None:
    for tree in (own / "memory").glob("*.tree"):
        shutil.rmtree(tree)
    assert make_report(Workspace(own), About("order", "o1")).content == order


def test_a_large_period_tells_how_far_it_is(tmp_path: Path) -> None:
    furnish(tmp_path)
    lines = [("noted", {"n": n, "order_id": "o9" if n % 200 == 0 else None}) for n in range(1200)]
    Workspace(tmp_path).own_journal("notes").append_many(lines)
    steps: list[int] = []
    report = make_report(Workspace(tmp_path), PERIOD, on_progress=steps.append).content
    assert sum(steps) > 1200
    steps.clear()
    found = check_bundle(report, [key_of(tmp_path)], steps.append)
    assert found.ok
    assert sum(steps) > 1200
    # Each hash is there once, and neighbours share most.
    assert files(report)["journals/notes.hashes"].count(b"\n") < 2500
    page = files(report)["summary.html"].decode()
    assert page.count("<tr>") < 1100
    assert "more are in journals/" in page
    few = make_report(Workspace(tmp_path), About("order", "o9")).content
    assert len(shown(few, tmp_path)["notes"]) == 6


# --- what is wrong with it -----------------------------------------------------------------------


def test_every_byte_counts() -> None:
    """Of a small report, each byte in turn, with each bit somewhere."""
    signer = SignerKey.new("w")
    line = seal(
        b'{"seq":0,"event_type":"journal_created","timestamp":1,"parent_hash":null,"journal":"j"}'
    )
    text = Checkpoint("w/j", 1, leaf_hash(line)).text
    note = str(Note(text, (signer.sign(text),)))
    report = write_bundle(
        [Part("j", note, {0: line}, {})],
        origin="w",
        about={"kind": "run", "id": "1"},
        keys=[signer.verifier],
        beside={},
        signer=signer,
    )
    assert check_bundle(report, [signer.verifier]).ok
    for place, bit in zip(range(len(report)), itertools.cycle(range(8)), strict=False):
        changed = bytearray(report)
        changed[place] ^= 1 << bit
        with contextlib.suppress(NotAnArchive):
            assert not all(member.is_whole for member in unpack(bytes(changed))), place
        if place % 13 == 0:  # as for the archive alone, so for the whole
            assert not check_bundle(bytes(changed), [signer.verifier]).ok, place
    for size in range(0, len(report), 13):
        assert not check_bundle(report[:size]).ok


def test_each_fault_is_named_by_file_and_line(desk: Path, order: bytes) -> None:
    """Also where whoever changed it made the manifest fit: they have the key, and no other past."""
    signer = Auditing(Workspace(desk)).signer()
    was = files(order)
    orders, runs = "journals/orders.jsonl", "journals/runs.jsonl"
    lines = was[orders].splitlines(keepends=True)
    swapped = b"".join([lines[0], lines[2], lines[1], *lines[3:]])
    edited = was[orders].replace(b'"amount":1250', b'"amount":9250', 1)
    hashes = was["journals/orders.hashes"].splitlines(keepends=True)
    table: list[tuple[dict[str, bytes], tuple[str, str, int]]] = [
        ({orders: edited}, ("edited", orders, 2)),
        ({orders: was[orders].replace(b'{"seq":1,', b'{"seq": 1,')}, ("malformed", orders, 2)),
        ({orders: swapped}, ("reordered", orders, 3)),
        ({orders: b"".join(lines[:-1])}, ("missing", orders, 0)),
        ({orders: was[orders][:-1]}, ("torn", orders, len(lines))),
        ({orders: was[runs]}, ("foreign", orders, 1)),
        ({"journals/orders.hashes": b"".join(hashes[1:])}, ("missing", orders, 2)),
        ({"journals/orders.hashes": b"0 1 x\n"}, ("malformed", "journals/orders.hashes", 1)),
        (
            {"journals/orders.note": was["journals/runs.note"]},
            ("foreign", "journals/orders.note", 0),
        ),
        ({"journals/orders.note": b"x"}, ("malformed", "journals/orders.note", 0)),
        ({"keys.txt": b"x\n"}, ("malformed", "keys.txt", 1)),
    ]
    for changed, fault in table:
        found = check_bundle(as_it_was_signed(order, changed, signer), [key_of(desk)])
        assert fault in told(found), (fault, told(found))
        # And where they could not make the manifest fit, that too.
        (name,) = changed
        plain = told(check_bundle(with_file(order, name, changed[name]), [key_of(desk)]))
        assert ("edited", name, 0) in plain
    for name in ("manifest.json", orders, "summary.html", "journals/runs.hashes"):
        found = check_bundle(with_file(order, name, None))
        assert name in {fault.file for fault in found.faults}
    more = check_bundle(with_file(order, "more.txt", b""))
    assert told(more) == [("foreign", "more.txt", 0)]


def test_a_line_that_was_never_signed_is_a_forgery(desk: Path, order: bytes) -> None:
    """However well it is made: its hash fits, and the manifest."""
    name = "journals/orders.jsonl"
    lines = files(order)[name].splitlines()
    last = seal(body_of(lines[-1]).replace(b"o1", b"o8"))
    changed = {name: b"".join(line + b"\n" for line in [*lines[:-1], last])}
    report = as_it_was_signed(order, changed, Auditing(Workspace(desk)).signer())
    assert told(check_bundle(report, [key_of(desk)])) == [("forked", name, len(lines))]


def test_what_somebody_else_made_holds_only_for_who_has_no_key(tmp_path: Path, desk: Path) -> None:
    """A whole history, made up and signed in the same name."""
    furnish(tmp_path)
    shutil.rmtree(tmp_path / "memory")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "workspace-id").write_bytes(
        (desk / "memory" / "workspace-id").read_bytes()
    )
    Workspace(tmp_path).own_journal("orders").append("order_created", {"order_id": "o1"})
    forged = make_report(Workspace(tmp_path), About("order", "o1")).content
    assert check_bundle(forged).manifest["origin"] == Workspace(desk).origin()
    assert check_bundle(forged).ok
    assert "unanchored" in check_bundle(forged).verdict
    assert {kind for kind, _, _ in told(check_bundle(forged, [key_of(desk)]))} >= {"unsigned"}


@given(st.data())
@settings(max_examples=15)
def test_each_leaf_is_proven_whatever_was_proven_before(data: st.DataObject) -> None:
    """In any order; a false leaf is not, and a false hash shows wherever it is needed first."""
    size = data.draw(st.integers(1, 40))
    leaves = [leaf_hash(b"%d" % n) for n in range(size)]
    spans = {span for n in range(size) for span in audit_path(n, size)}
    hashes = {span: fold_all(leaves[slice(*span)]) for span in spans}
    order = data.draw(st.permutations(range(size)))
    checking = Inclusion(size, fold_all(leaves))
    for index in order:
        checking.check(leaves[index], index, hashes)
        with pytest.raises(ProofInvalid):
            checking.check(leaf_hash(b"x"), index, hashes)
    if spans:
        hashes[data.draw(st.sampled_from(sorted(spans)))] = bytes(32)
        checking = Inclusion(size, fold_all(leaves))
        with pytest.raises(ProofInvalid):
            deque(checking.check(leaves[index], index, hashes) for index in order)


def fold_all(leaves: list[bytes]) -> bytes:
    """RFC 6962's root, as its text has it."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(fold_all(leaves[:middle]), fold_all(leaves[middle:]))


# --- hostile archives ----------------------------------------------------------------------------


def zipped(*entries: tuple[str, bytes], packed: bool = False, **more: Any) -> bytes:
    """As another program writes it."""
    made = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", kind) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = kind
            for member, value in more.items():
                setattr(entry, member, value)
            archive.writestr(entry, data)
    return made.getvalue()


GOOD = pack({"a.txt": b"a", "b.txt": b"bb"})


def spelled(*entries: tuple[str, bytes]) -> bytes:
    """As Dino spells archives, with names that it would not write."""
    return b"".join(_parts([Member(name, data, crc32(data)) for name, data in entries]))


LIST = GOOD.rindex(b"PK\x01\x02")
HOSTILE_ARCHIVES = {
    "nothing": (b"", "byte 0"),
    "no archive": (b"hello" * 100, "byte 0"),
    "another's": (zipped(("a.txt", b"a")), "not as an archive of Dino's"),
    "up": (spelled(("../a.txt", b"a")), "not a name"),
    "below, then up": (spelled(("journals/../../a", b"a")), "not a name"),
    "absolute": (spelled(("/etc/passwd", b"a")), "not a name"),
    "a drive": (spelled(("C:a.txt", b"a")), "not a name"),
    "backslash": (spelled(("journals\\..\\a", b"a")), "not a name"),
    "hidden": (spelled((".bashrc", b"a")), "not a name"),
    "deep": (spelled(("a/b/c", b"a")), "not a name"),
    "folder": (spelled(("journals/", b"")), "not a name"),
    "no name": (spelled(("", b"a")), "not a name"),
    "long name": (spelled(("a" * 300, b"a")), "not a name"),
    "NUL": (spelled(("a\0b", b"a")), "not a name"),
    "not ASCII": (GOOD.replace(b"a.txt", b"\xe4.txt"), "not a name"),
    "twice": (spelled(("a", b"a"), ("a", b"b")), "stands twice"),
    "out of order": (spelled(("b", b"a"), ("a", b"b")), "out of order"),
    "many": (spelled(*((f"{n:05}", b"") for n in range(1200))), "more than 1000"),
    "another name in the list": (
        GOOD[:LIST] + GOOD[LIST:].replace(b"b.txt", b"c.txt"),
        "not as an archive",
    ),
    "bomb": (zipped(("a", bytes(10**7)), packed=True), "byte 0"),
    "link": (zipped(("a", b"/"), external_attr=0o120777 << 16, create_system=3), "byte 0"),
    "huge": (GOOD.replace(b"\2\0\0\0\2\0\0\0", b"\0\0\0\x80" * 2), "longer than"),
    "before it": (b"#!/bin/sh\n" + GOOD, "byte 0"),
    "behind it": (GOOD + b"x", "something follows"),
    "two in one": (GOOD + GOOD, "something follows"),
    "comment": (GOOD[:-2] + b"\x01\x00x", "not as an archive"),
    "cut": (GOOD[:-1], "not as an archive"),
    "cut early": (GOOD[:20], "cut off"),
    "ZIP64": (zipped(("a", b"a"), extra=b"\x01\x00\x10\x00" + bytes(16)), "byte"),
}


@pytest.mark.parametrize(("archive", "why"), HOSTILE_ARCHIVES.values(), ids=list(HOSTILE_ARCHIVES))
def test_a_hostile_archive_is_refused_whole(archive: bytes, why: str) -> None:
    """And is a fault like others, whatever it is."""
    with pytest.raises(NotAnArchive, match=why):
        unpack(archive)
    assert told(check_bundle(archive)) == [("malformed", "", 0)]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", ".", "", "a\\b", "A/b", "x" * 300])
def test_no_such_name_is_packed(name: str) -> None:
    with pytest.raises(InvalidInput):
        pack({name: b""})


def test_what_is_packed_is_a_plain_archive_to_others() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.txt": b"a",
            "b.txt": b"bb",
        }
    assert [(m.name, m.data) for m in unpack(GOOD)] == [("a.txt", b"a"), ("b.txt", b"bb")]


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format": "dino-audit-report/2"}',
        b'{"format":"dino-audit-report/1","about":{},"files":{},"journals":{},"origin":"x"}',
        b"\xff",
        b'{"n": ' + b"9" * 10_000 + b"}",
        manifest_text({"format": FORMAT, "origin": 1, "about": {}, "journals": {}, "files": {}}),
        manifest_text(
            {"format": FORMAT, "origin": "", "about": {}, "journals": {"j": {}}, "files": {}}
        ),
    ],
    ids=range(10),
)
def test_a_hostile_manifest_is_a_fault(manifest: bytes) -> None:
    assert told(check_bundle(pack({"manifest.json": manifest}))) == [
        ("malformed", "manifest.json", 0)
    ]


def test_a_report_without_a_line_shows_nothing() -> None:
    """However well it is signed."""
    signer = SignerKey.new("w")
    empty = write_bundle([], origin="w", about={"kind": "run"}, keys=[], beside={}, signer=signer)
    assert told(check_bundle(empty, [signer.verifier])) == [("missing", "manifest.json", 0)]


def test_a_manifest_of_nothing_is_faulty_in_each_of_its_places() -> None:
    said = {"journals": {"../x": {"lines": 1, "withheld": False}}, "files": {"gone": "00"}}
    manifest = manifest_text({"format": FORMAT, "origin": "w", "about": {}, **said})
    found = told(check_bundle(pack({"manifest.json": manifest})))
    assert found == [
        ("missing", "gone", 0),
        ("malformed", "manifest.note", 0),
        ("missing", "journals/..%2Fx.jsonl", 0),
    ]


@given(data=st.data())
@settings(max_examples=18)
def test_whatever_is_in_a_file_of_it_is_judged(
    data: st.DataObject, order: bytes, desk: Path
) -> None:
    """By who has the key, and could put in what they like: it is a fault, or no line is another."""
    was = files(order)
    name = data.draw(st.sampled_from(sorted(was.keys() - {"manifest.json", "manifest.note"})))
    place = data.draw(st.integers(0, len(was[name])))
    gone = data.draw(st.integers(0, 80))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b"9" * 30, b"\xff", b"\n\n"]))
    changed = was[name][:place] + put + was[name][place + gone :]
    signer = Auditing(Workspace(desk)).signer()
    found = check_bundle(as_it_was_signed(order, {name: changed}, signer), [key_of(desk)])
    assert found.as_dict()["verdict"]
    if found.ok and changed != was[name]:
        assert name in {"README.txt", "summary.html", "keys.txt"}


# --- the page ------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a browser would see: elements with their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_text_whatever_the_journals_say(order: bytes) -> None:
    """No element, attribute or address comes from a line or a name."""
    page = files(order)["summary.html"].decode()
    seen = Seen()
    seen.feed(page)
    tags = {tag for tag, _ in seen.elements}
    assert tags <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "section",
        "h1",
        "h2",
        "h3",
        "p",
        "dl",
        "dt",
        "dd",
        "ul",
        "li",
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "time",
        "code",
        "pre",
    }
    names = {name for _, attributes in seen.elements for name in attributes}
    assert names <= {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "tabindex",
        "role",
        "aria-label",
        "class",
        "scope",
        "dir",
        "datetime",
    }
    values = [value for _, attributes in seen.elements for value in attributes.values()]
    assert not [value for value in values if value and "://" in value]
    assert not re.search(r"url\(|@import|//", page.partition("<style>")[2].partition("</style>")[0])
    said = HOSTILE.translate({0x202E: "\ufffd"}).replace('"', '\\"').replace("\x07", "\\u0007")
    assert said in seen.text
    assert "\u202e" not in page
    assert "north <pier>" in seen.text
    for fact in ("Audit report: order o1", "paid (EUR)", "12.50 EUR", "1.500 s in 1"):
        assert fact in seen.text


def test_the_page_lets_a_browser_run_nothing(order: bytes) -> None:
    """Its policy names the one style by hash; what it needs is there in light and in dark."""
    page = files(order)["summary.html"].decode()
    seen = Seen()
    seen.feed(page)
    metas = [attributes for tag, attributes in seen.elements if tag == "meta"]
    (policy,) = (m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "prefers-color-scheme:dark" in style
    assert ("html", {"lang": "en"}) in seen.elements
    headings = [tag for tag, _ in seen.elements if tag in {"h1", "h2"}]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    tables = page.count("<table>")
    assert tables == page.count("<caption>") == page.count('role="region"')
    assert all(a.get("scope") == "col" for tag, a in seen.elements if tag == "th")


# --- the command line ----------------------------------------------------------------------------


def test_the_commands_make_and_verify(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = inside_door(own, capsys, monkeypatch)
    made = audit("report", "--order", "o1", "--json").json
    assert made["file"] == "audit-report-order-o1.zip"
    assert made["lines"]["orders"] == 5
    (own / "w.vkey").write_text(f"{key_of(own)}\n")
    out = audit("report", "verify", made["file"], "--key", "w.vkey").out
    assert out.startswith("ok      audit-report-order-o1.zip: order o1\n")
    assert "not shown by it:" in out
    report = Path(made["file"]).read_bytes()
    name = "journals/orders.jsonl"
    edited = with_file(
        report, name, files(report)[name].replace(b'"amount":1250', b'"amount":9250', 1)
    )
    Path("edited.zip").write_bytes(edited)
    out = audit("report", "verify", "edited.zip", code=1).out
    assert f"edited: edited.zip/{name}:2" in out
    found = audit("report", "verify", "edited.zip", "--json", code=1).json
    assert {"kind": "edited", "file": name, "line": 2} in [
        {key: fault[key] for key in ("kind", "file", "line")} for fault in found["faults"]
    ]
    for asked, hint in (
        (["--run", "nope"], "audit log runs"),
        ([], "--run ID"),
        (["--run", RUN, "--since", "2h"], "--run ID"),
        (["--order", "o1", "--hashes-only", "orders?"], "there are"),
        (["verify", "gone.zip"], "no such file"),
        (["--order", "o1", "--out", "no/folder/x.zip"], "cannot be written"),
    ):
        assert hint in audit("report", *asked, code=2).err
    assert audit("report", "--since", "1h", "--out", "all.zip", "--json").json["withheld"] == []
    assert audit("report", "verify", "all.zip", "--json").json["anchored"] is False


def test_without_a_key_the_hint_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Workspace(tmp_path).own_journal("orders").append("order_created", {"order_id": "o1"})
    audit = inside_door(tmp_path, capsys, monkeypatch)
    assert "audit key new" in audit("report", "--order", "o1", code=2).err
    assert not list(tmp_path.glob("*.zip"))
