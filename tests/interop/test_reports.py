"""Real reports, read by the stranger who knows the documents alone; and both refuse the same."""

from __future__ import annotations

import base64
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import verifier

from dino_os.audit_report import About, make_report
from dino_os.workspace import Workspace
from engines.audit import Proof, SignerKey, check_bundle
from engines.journal import RecordedJournal
from tests.audit.desk_of_orders import (
    CANARY,
    as_it_was_signed,
    files,
    furnish,
    key_of,
    with_file,
)
from tests.interop.conftest import HERE, refused

ORDER = About("order", "o1")
ORDERS = "journals/orders.jsonl"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def report(desk: Path) -> Path:
    file = desk / "order.zip"
    made = make_report(Workspace(desk), ORDER, withheld=["engine_state"])
    file.write_bytes(made.content)
    return file


def test_the_stranger_reads_what_dino_wrote(desk: Path, report: Path) -> None:
    """The same lines of the same journals, and of those withheld as many hashes."""
    key = key_of(desk)
    found = verifier.verify_report(report, [str(key)])
    dino = check_bundle(report.read_bytes(), [key])
    assert found.about == dino.manifest["about"] == ORDER.as_dict()
    assert {name: [*lines] for name, lines in found.lines.items()} == {
        name: [event["seq"] for event in events] for name, events in dino.events.items()
    }
    assert len(found.lines["orders"]) == 5
    assert found.withheld == {"engine_state": [0, 1, 3]}
    assert not any(CANARY.encode() in line for of in found.lines.values() for line in of.values())
    assert {p.journal: p.size for p in dino.parts} == {
        name: said.size for name, said in found.checkpoints.items()
    }


def test_a_line_of_a_report_is_a_proof_of_the_standard_form(desk: Path, report: Path) -> None:
    key = key_of(desk)
    for seq in verifier.verify_report(report, [str(key)]).lines["orders"]:
        proof = verifier.tlog_proof(report, "orders", seq)
        assert verifier.check_proof(proof, [str(key)]) == Proof.parse(proof).line
        assert Proof.parse(proof).check([key])[0].origin.endswith("/orders")


@pytest.mark.parametrize("of", ["all", "early", "late", "withheld"])
def test_both_say_alike_of_which_journals_a_period_has_all(
    desk: Path, tmp_path: Path, of: str
) -> None:
    """Of a journal that goes on; what is withheld says nothing of times."""
    times = [
        RecordedJournal(desk / "memory" / "orders.jsonl").tail(6)[n]["timestamp"] for n in (2, 4)
    ]
    since, until = {"early": (None, times[0]), "late": (times[1], None)}.get(of, (None, None))
    withheld = ["orders"] if of == "withheld" else []
    about = About("period", since=since, until=until)
    file = tmp_path / "period.zip"
    file.write_bytes(make_report(Workspace(desk), about, withheld=withheld).content)
    dino = {p.journal: p.complete for p in check_bundle(file.read_bytes(), [key_of(desk)]).parts}
    found = verifier.verify_report(file, [str(key_of(desk))])
    assert {name: bool(complete) for name, complete in dino.items()} == {
        **dict.fromkeys(found.withheld, False),
        **found.complete,
    }
    assert dino["orders"] is (of != "withheld")


def test_both_refuse_the_same(desk: Path, report: Path, tmp_path: Path) -> None:
    """Of the same kind, wherever the document leaves no choice which comes first."""
    from dino_os.auditing import Auditing

    key, whole = key_of(desk), report.read_bytes()
    signer = Auditing(Workspace(desk)).signer()
    was = files(whole)
    stranger = str(SignerKey.new("dino.local/other").verifier)
    namesake = str(SignerKey.new(key.name).verifier)
    leaf = base64.b64encode(bytes(32))
    first = was["journals/orders.hashes"].split(b"\n")[0]
    lines = was[ORDERS].splitlines(keepends=True)
    resigned = {
        "edited": {ORDERS: was[ORDERS].replace(b'"amount":1250', b'"amount":1251', 1)},
        "malformed": {ORDERS: was[ORDERS].replace(b'"seq":2', b'"seq": 2')},
        "forked": {
            "journals/orders.hashes": was["journals/orders.hashes"].replace(first, first[:4] + leaf)
        },
        "foreign": {"journals/orders.note": was["journals/runs.note"]},
        "missing": {ORDERS: b"".join(lines[:-1])},
    }
    cases = [
        ("unsigned", whole, stranger),
        ("wrong key", whole, namesake),
        ("edited", with_file(whole, ORDERS, was[ORDERS].replace(b'"amount":1250', b'"amount":1251')), str(key)),
        ("edited", with_file(whole, "summary.html", b""), str(key)),
        ("edited", with_file(whole, "manifest.json", was["manifest.json"].replace(b"o1", b"o2")), str(key)),
        ("missing", with_file(whole, "journals/runs.note", None), str(key)),
        ("foreign", with_file(whole, "more.txt", b""), str(key)),
        ("malformed", whole[: len(whole) // 2], str(key)),
        *((kind, as_it_was_signed(whole, changed, signer), str(key)) for kind, changed in resigned.items()),
    ]  # fmt: skip
    from engines.audit import VerifierKey

    for kind, content, trusted in cases:
        file = tmp_path / "changed.zip"
        file.write_bytes(content)
        dino = check_bundle(content, [VerifierKey.parse(trusted)])
        assert kind in {fault.kind for fault in dino.faults}, kind
        assert refused(verifier.verify_report, file, [trusted]) == kind


def test_the_stranger_refuses_archives_that_could_harm(tmp_path: Path) -> None:
    file = tmp_path / "bad.zip"
    for name, kind in (("../up", zipfile.ZIP_STORED), ("a", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(file, "w", kind) as archive:
            archive.writestr(name, bytes(1000))
        assert refused(verifier.verify_report, file, []) == "malformed"


def test_the_program_says_by_its_exit_code(desk: Path, report: Path) -> None:
    def run(*keys: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, str(HERE / "verifier.py"), "--report", str(report), *keys]
        return subprocess.run(program, capture_output=True, text=True, check=False)

    sound, none = run(str(key_of(desk))), run()
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "orders: 5 of" in sound.stdout
    assert (none.returncode, none.stderr) == (1, "")
    assert "unsigned" in none.stdout
