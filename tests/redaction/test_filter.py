"""`dino provenance redact`, its policy, and detectors of plug-ins."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

import pytest

from dino_os.config.provenance import Redaction
from dino_os.errors import InvalidInput
from dino_os.provenance.detectors import Guarded
from dino_os.provenance.policy import policy_of
from dino_os.provenance.redacting import WorkspaceRedactor
from dino_os.workspace import Workspace
from engines.redaction import Action, Hit, Pseudonyms, Redactor, blocks, found_in, redacted
from tests.conftest import Dino

KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "A1b2" * 16 + "\n-----END RSA PRIVATE KEY-----\n"
LOG = f'hi jo@example.com\n{{"password": "hunter2", "n": 1}}\nplain \xe9\n{KEY}end'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "in.log"
    path.write_bytes(LOG.encode())
    return path


def test_a_file_is_redacted_explained_and_counted(dino: Dino, log: Path) -> None:
    """Text stays text, JSON stays JSON, bytes that are no text stay; no value is ever told."""
    out = dino("provenance", "redact", log).out
    assert out.startswith("hi <email:")
    assert json.loads(out.splitlines()[1])["n"] == 1
    assert out.splitlines()[2] == "plain \xe9"
    assert out.splitlines()[3].startswith("<private_key:")
    told = dino("provenance", "redact", log, "--explain").out
    assert [line.split()[:2] for line in told.splitlines()] == [
        ["1:4", "email"],
        ["2:15", "password"],
        ["4:1", "private_key"],
    ]
    for secret in ("jo@", "hunter2", "A1b2"):
        assert secret not in out + told
    (line, *_) = dino("provenance", "redact", log, "--explain", "--json").out.splitlines()
    assert json.loads(line)["why"] == "an address with a domain"
    kinds = dino("provenance", "redact", "--kinds", "--json").json["kinds"]
    assert {"kind": "email", "group": "personal"} in kinds


def test_a_stream_is_held_in_pieces_of_bounded_size() -> None:
    """A line without an end is cut between words; a key that never ends is let go of."""
    one = Redactor(pseudonyms=Pseudonyms(b"k" * 32))
    words = b"word and word and " * 70_000 + b"jo@example.com"
    found = list(blocks(io.BytesIO(words)))
    assert max(len(block.text) for block in found) <= (1 << 20) + (1 << 14)
    assert "".join(block.text for block in found).encode() == words
    assert "@" not in redacted(one, found[-1], "export")
    endless = b"-----BEGIN PRIVATE KEY-----\n" + b"QUJD\n" * 100_000
    assert max(len(block.text) for block in blocks(io.BytesIO(endless))) < 1 << 18
    assert redacted(one, next(blocks(io.BytesIO(b"\xff a@b.com"))), "x").startswith("\udcff <email")
    (hit,) = found_in(one, next(blocks(io.BytesIO(b"a\tjo@example.com\n"))))
    assert (hit.line, hit.hit.start) == (1, 2)


def test_the_workspace_s_policy_holds(workspace: Path) -> None:
    """By its settings, or by the file that they name; pseudonyms are the workspace's own."""
    (workspace / "rules.yaml").write_text(
        "kinds: {network: keep}\ndestinations: {export: {default: mask}}\n"
    )
    (workspace / "config.yaml").write_text("provenance:\n  redaction:\n    file: rules.yaml\n")
    own = WorkspaceRedactor(Workspace(workspace))
    assert own.redact("at 10.1.2.3 by jo@example.com").startswith("at 10.1.2.3 by <email:")
    assert own.redact("jo@example.com", destination="export") == "<email>"
    assert own.redact_json({"x": "jo@example.com"}, destination="export") == {"x": "<email>"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kinds: {emial: keep}", "no kind 'emial' (did you mean 'email'?)"),
        ("default: shred", "rules.yaml:1: $.default: "),
        ("colour: red", "no such setting"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(InvalidInput) as error:
        policy_of(Redaction(file="rules.yaml"), tmp_path)
    assert says in str(error.value)


def test_kinds_of_plug_ins_can_be_named(tmp_path: Path) -> None:
    policy = policy_of(Redaction(kinds={"badge": "drop"}), tmp_path, {"badge"})
    assert policy.of_kind("badge") is Action.DROP


class Badges:
    """Finds `B-12345`, and fails where told."""

    name, kinds = "badges", ("badge",)

    def __init__(self, *hits: Hit, error: Exception | None = None) -> None:
        self.hits, self.error = hits, error

    def find(self, text: str) -> Iterable[Hit]:
        if self.error:
            raise self.error
        at = text.find("B-12345")
        return self.hits or ([Hit("badge", at, at + 7, "badges", 1.0, "ours")] if at >= 0 else [])


@pytest.mark.parametrize(
    "broken",
    [
        Badges(error=RuntimeError("no")),
        Badges(Hit("badge", 3, 99, "x", 1.0, "")),
        Badges(Hit("Bad Kind", 0, 1, "x", 1.0, "")),
        Badges(Hit("badge", 0, 1, "x", 7.0, "")),
    ],
)
def test_a_detector_that_fails_is_quarantined_and_the_others_go_on(broken: Badges) -> None:
    told: list[str] = []
    both = [
        Guarded("broken", broken, lambda name, _: told.append(name)),
        Guarded("good", Badges(), lambda *_: told.append("?")),
    ]
    one = Redactor(detectors=both)
    assert one.redact("badge B-12345 of jo@example.com") == "badge <badge> of <email>"
    assert one.redact("badge B-12345 again") == "badge <badge> again"
    assert told == ["broken"]


def test_a_plug_in_brings_a_detector(
    dino: Dino, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Found through its entry point; its kinds are listed."""
    site = tmp_path_factory.mktemp("site")
    (site / "acme.py").write_text(
        dedent("""
        import re
        from dino_os.hookspecs import hookimpl
        from engines.redaction import Hit

        class Staff:
            name, kinds = "staff", ("acme_staff",)

            def find(self, text):
                return [Hit("acme_staff", *m.span(), "acme", 1.0, "ours") for m in re.finditer("plain", text)]

        @hookimpl
        def dino_detectors():
            return {"staff": Staff()}
        """)
    )
    info = site / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dino]\nacme = acme\n")
    paths = ":".join([str(site), *(path for path in sys.path if path)])
    env = {"PYTHONPATH": paths, "DINO_NO_PLUGINS": ""}
    assert "<acme_staff:" in dino("provenance", "redact", log, env=env).out
