"""What a skill sends out, leaves behind or is called runs nothing in the parent."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from engines.journal import Journal
from tests.conftest import Dino


@pytest.fixture
def skill(workspace: Path) -> Path:
    """Where its file is."""
    return workspace / "skills" / "hostile.py"


def ended(workspace: Path) -> list[str]:
    """How the runs on record ended."""
    events = Journal(workspace / "memory" / "runs.jsonl").events()
    return [event["outcome"] for event in events if event["event_type"] == "run_finished"]


def test_a_file_whose_mere_import_is_hostile_runs_only_inside(
    dino: Dino, workspace: Path, skill: Path
) -> None:
    """Listing, helping, granting and completing read it; running it meets the walls."""
    marker = workspace / "was-here"
    skill.write_text(
        dedent(f"""
        import os
        from dino_os import skill
        with open({str(marker)!r}, "w") as file:
            file.write(os.environ["PATH"])
        @skill
        def harmless(): return 1
        """)
    )
    dino("list")
    dino("run", "harmless", "--help")
    dino("grant", "harmless")
    dino("run", "harmless", code=None)
    assert not marker.exists()
    assert ended(workspace) == ["error"]


@pytest.mark.parametrize(
    "result",
    [
        "type('Evil', (), {'__reduce__': lambda self: (os.system, ('touch ' + marker,))})()",
        "{'__class__': 'os.system', 'py/object': 'os.system', '__reduce__': ['touch', marker]}",
        "'!!python/object/apply:os.system [\"touch ' + marker + '\"]'",
        "'cos\\nsystem\\n(S\\'touch ' + marker + '\\'\\ntR.'",
    ],
    ids=["pickle", "names", "yaml", "opcodes"],
)
def test_a_result_is_only_ever_data(dino: Dino, workspace: Path, skill: Path, result: str) -> None:
    marker = workspace / "was-here"
    skill.write_text(
        f"import os\nfrom dino_os import skill\nmarker = {str(marker)!r}\n"
        f"@skill\ndef evil(): return {result}\n"
    )
    for arguments in (("run", "evil"), ("run", "evil", "--json"), ("status",)):
        dino(*arguments, code=None)
    assert not marker.exists()
    assert len(ended(workspace)) == 2


@pytest.mark.parametrize("name", ["json", "socket", "site", "dino_os", "sitecustomize", "click"])
def test_a_skills_file_is_nobody_elses_module(dino: Dino, workspace: Path, name: str) -> None:
    """It may be called like a module of Python's or Dino's own: neither side imports it for that."""
    (workspace / "skills" / f"{name}.py").write_text(
        "import json, socket\nfrom dino_os import skill\n"
        "@skill\ndef named(): return [json.dumps([1]), socket.AF_INET]\n"
    )
    assert json.loads(dino("run", "named").out) == ["[1]", 2]
    assert ended(workspace) == ["ok"]


@pytest.mark.parametrize(
    "name", ["sitecustomize.py", "usercustomize.py", "x.pth", "conftest.py", ".envrc", "click.py"]
)
def test_what_it_leaves_in_a_granted_folder_is_not_run(
    dino: Dino, workspace: Path, skill: Path, name: str
) -> None:
    """By no later command of Dino's, wherever it is started."""
    marker = workspace / "was-here"
    (workspace / "config.yaml").write_text("sandbox: {grants: {leaves: {writes: [out/]}}}\n")
    left = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    skill.write_text(
        "from pathlib import Path\nfrom dino_os import skill\n@skill(writes=['out/'])\n"
        f"def leaves(): Path('out', {name!r}).write_text({left!r})\n"
    )
    dino("run", "leaves")
    assert (workspace / "out" / name).read_text() == left
    dino("list")
    dino("run", "leaves")
    assert not marker.exists()
