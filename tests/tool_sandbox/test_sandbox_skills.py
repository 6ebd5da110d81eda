"""Skills in the sandbox: what they import, where they failed, and that the text that was read runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dino_os.errors import InvalidInput
from dino_os.plugins import Plugins
from dino_os.skill_sources import read_sources
from dino_os.workspace import Workspace
from tests.conftest import Dino


@pytest.fixture
def skills(workspace: Path) -> Path:
    return workspace / "skills"


def write(file: Path, code: str) -> None:
    file.write_text(f"from dino_os import skill\n{code}")


@pytest.mark.parametrize(
    "line",
    [
        "import helper",
        "from skills import helper",
        "import skills.helper as helper",
        "def later(): pass\n    import helper",
    ],
    ids=["by its name", "from the folder", "by its whole name", "late"],
)
def test_a_skill_imports_what_lies_beside_it(dino: Dino, skills: Path, line: str) -> None:
    (skills / "helper.py").write_text("import second\nWORD = second.WORD\n")
    (skills / "second.py").write_text("WORD = 'found'\n")
    *top, last = line.splitlines()
    own = f"{top[0]}\n" if top else f"{last}\n"
    inner = f"{last}\n    " if top else ""
    write(
        skills / "mine.py",
        f"{own}@skill\ndef mine():\n    {inner.strip() or 'pass'}\n    return helper.WORD\n",
    )
    assert dino("run", "mine").out == "found\n"


def test_names_come_from_a_file_beside_it(dino: Dino, skills: Path) -> None:
    (skills / "helper.py").write_text("def word(): return __file__.rpartition('/')[2]\n")
    write(
        skills / "mine.py",
        "from helper import word\nfrom skills.helper import word as same\n@skill\ndef mine(): return [word(), same()]\n",
    )
    assert dino("run", "mine", "--json").json["result"] == ["helper.py", "helper.py"]


def test_two_files_may_import_each_other(dino: Dino, skills: Path) -> None:
    (skills / "helper.py").write_text("import mine\ndef word(): return mine.WORD\n")
    write(
        skills / "mine.py",
        "import helper\nWORD = 'round'\n@skill\ndef mine(): return helper.word()\n",
    )
    assert dino("run", "mine").out == "round\n"


def test_a_file_beside_it_is_no_way_to_another_name_of_the_library(
    dino: Dino, skills: Path
) -> None:
    """A file called json.py does not become the json of everybody."""
    (skills / "json.py").write_text("raise SystemError('mine')\n")
    write(skills / "mine.py", "import json\n@skill\ndef mine(): return json.dumps([1])\n")
    assert dino("run", "mine").out == "[1]\n"


def test_a_traceback_shows_the_source_of_every_file(dino: Dino, skills: Path) -> None:
    """Though the sandbox sees none of these files."""
    (skills / "helper.py").write_text("def fail(n):\n    return 1 / n  # the divisor\n")
    write(
        skills / "mine.py", "import helper\n@skill\ndef mine(): return helper.fail(0)  # the call\n"
    )
    shown = dino("run", "mine", "--trace", code=1).err
    assert "# the call" in shown
    assert "# the divisor" in shown
    assert "mine.py:4: ZeroDivisionError" in shown


def test_what_is_beside_a_skill_is_not_to_be_read(dino: Dino, skills: Path) -> None:
    (skills / "other.txt").write_text("secret")
    write(
        skills / "mine.py",
        "import os\n@skill\ndef mine(): return os.path.exists('skills/other.txt') and open('skills/other.txt').read()\n",
    )
    outcome = dino("run", "mine", "--json", code=None)
    assert "secret" not in outcome.out


def test_what_was_listed_is_what_runs_or_nothing(workspace: Path, skills: Path) -> None:
    write(skills / "mine.py", "@skill\ndef mine(): return 'first'\n")
    own = Workspace(workspace)
    listed = own.plugins.skills().find("mine")
    write(skills / "mine.py", "@skill\ndef mine(): return 'second'\n")
    with pytest.raises(InvalidInput, match="changed in this very moment"):
        own.runner.run(listed, {})
    assert own.runner.run(Plugins(skills).skills().find("mine"), {}).result == "second"


def test_what_was_read_is_what_runs(
    workspace: Path, skills: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is swapped after it was read and hashed changes nothing."""
    write(skills / "mine.py", "import helper\n@skill\ndef mine(): return helper.WORD\n")
    (skills / "helper.py").write_text("WORD = 'as read'\n")
    own = Workspace(workspace)
    skill = own.plugins.skills().find("mine")
    make = own.runner._sandbox

    def swapping() -> object:
        (skills / "helper.py").write_text("WORD = 'swapped'\n")
        return make()

    monkeypatch.setattr(own.runner, "_sandbox", swapping)
    run = own.runner.run(skill, {})
    assert run.result == "as read"


def test_the_hash_is_of_all_that_runs(workspace: Path, skills: Path) -> None:
    write(skills / "mine.py", "import helper\n@skill\ndef mine(): return 1\n")
    skill = Plugins(skills).skills().find("mine")
    alone = read_sources(skill).sha256
    assert alone == skill.sha256
    (skills / "helper.py").write_text("A = 1\n")
    (skills / "unrelated.py").write_text("B = 1\n")
    both = read_sources(skill)
    assert [Path(path).name for path in both.texts] == ["mine.py", "helper.py"]
    (skills / "helper.py").write_text("A = 2\n")
    assert len({alone, both.sha256, read_sources(skill).sha256}) == 3
    (skills / "unrelated.py").write_text("B = 2\n")
    (skills / "helper.py").write_text("A = 1\n")
    assert read_sources(skill).sha256 == both.sha256


def test_a_file_beside_it_that_cannot_be_read_stops_it(dino: Dino, skills: Path) -> None:
    write(skills / "mine.py", "import helper\n@skill\ndef mine(): return 1\n")
    (skills / "helper.py").write_bytes(b"\xff\xfe broken (")
    assert "helper.py" in dino("run", "mine", code=2).err


HARD_NAMES = [
    "with space",
    "line\nfeed",
    "é\u202eü",
    "-leading",
    "--bind",
    "a'b\"c$(id)`",
    "tab\there",
]


@pytest.mark.parametrize("name", HARD_NAMES, ids=ascii)
def test_a_workspace_may_be_called_anything(tmp_path: Path, dino: Dino, name: str) -> None:
    """What it reads and writes has such names as well."""
    root = tmp_path / name
    for folder in ("skills", f"data/{name}"):
        (root / folder).mkdir(parents=True)
    (root / "data" / name / name).write_text("inside")
    grants = f'{{read_it: {{reads: ["data/{_yaml(name)}"], writes: ["out {_yaml(name)}/"]}}}}'
    (root / "config.yaml").write_text(f"sandbox: {{grants: {grants}}}\n", encoding="utf-8")
    write(
        root / "skills" / "mine.py",
        f"""
@skill(reads=[{f"data/{name}"!r}], writes=[{f"out {name}/"!r}])
def read_it():
    name = {name!r}
    with open(f"out {{name}}/{{name}}", "x") as file:
        file.write(open(f"data/{{name}}/{{name}}").read())
    return "done"
""",
    )
    assert dino("run", "read_it", cwd=root).out == "done\n"
    assert (root / f"out {name}" / name).read_text() == "inside"


def _yaml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def test_a_workspace_may_lie_behind_a_link(tmp_path: Path, workspace: Path, dino: Dino) -> None:
    write(workspace / "skills" / "mine.py", "import os\n@skill\ndef mine(): return os.getcwd()\n")
    aside = tmp_path / "aside"
    aside.symlink_to(workspace)
    assert (
        dino("run", "mine", env={"DINO_HOME": str(aside)}).out == f"{os.path.realpath(workspace)}\n"
    )
