"""Where a workspace is found, and what `dino init` makes and leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dino_os.units import seconds, size_bytes
from dino_os.workspace import Workspace
from engines.errors import InvalidInput
from tests.conftest import Dino
from tests.desk import contents


def home(dino: Dino, cwd: Path, *args: str, **env: str) -> str:
    found: str = dino(*args, "status", "--json", cwd=cwd, env=env).json["workspace"]
    return found


def test_the_nearest_folder_up_with_settings_is_the_workspace(dino: Dino, workspace: Path) -> None:
    deep = workspace / "a" / "b"
    deep.mkdir(parents=True)
    assert home(dino, deep) == str(workspace)
    (workspace / "a" / "config.yaml").touch()
    assert home(dino, deep) == str(workspace / "a")


def test_the_variable_comes_before_the_folders_and_the_option_before_both(
    dino: Dino, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other, third = tmp_path_factory.mktemp("other"), tmp_path_factory.mktemp("third")
    assert home(dino, workspace, DINO_HOME=str(other)) == str(other)
    assert home(dino, workspace, "--home", str(third), DINO_HOME=str(other)) == str(third)


def test_a_folder_without_settings_is_a_workspace_of_defaults(
    dino: Dino, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare = tmp_path_factory.mktemp("bare")
    assert home(dino, bare) == str(bare)
    assert list(bare.iterdir()) == []  # looking leaves no trace


def test_a_workspace_that_is_not_there_is_an_error(dino: Dino, tmp_path: Path) -> None:
    refused = dino("--home", tmp_path / "none", "status", code=2).err
    assert f"{tmp_path / 'none'}: no such folder" in refused
    assert "dino init" in refused


def test_init_makes_a_workspace_that_works(dino: Dino, tmp_path: Path) -> None:
    made = dino("init", tmp_path / "new", "--json").json["made"]
    assert {Path(path).name for path in made} >= {"config.yaml", "hello.py"}
    assert dino("run", "hello", "--name", "Bo", cwd=tmp_path / "new").out.startswith("Hello, Bo")


def test_init_keeps_what_is_there(dino: Dino, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    (folder / "skills").mkdir(parents=True)
    (folder / "config.yaml").write_text("system: {name: mine}\n")
    (folder / "skills" / "hello.py").write_text("# mine\n")
    dino("init", folder)
    assert (folder / "config.yaml").read_text() == "system: {name: mine}\n"
    assert (folder / "skills" / "hello.py").read_text() == "# mine\n"
    before = contents(folder)
    assert "nothing was changed" in dino("init", folder).out
    assert contents(folder) == before


def test_init_where_a_file_stands_is_refused(dino: Dino, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    dino("init", tmp_path / "taken", code=None)
    assert (tmp_path / "taken").read_text() == "x"


def test_journals_say_which_workspace_they_belong_to(dino: Dino, workspace: Path) -> None:
    """The same in all of them, and another one in another workspace."""
    dino("state", "register", "calm")
    dino("run", "nothing", code=2)
    dino("zone", "add", "Mole", "--box", "0", "0", "1", "1", code=None)
    origins = {
        json.loads(file.read_text().splitlines()[0])["origin"]["workspace"]
        for file in (workspace / "memory").glob("*.jsonl")
    }
    assert origins == {(workspace / "memory" / "workspace-id").read_text().strip()}
    assert all(len(origin) == 32 for origin in origins)


def test_an_engine_is_made_once(workspace: Path) -> None:
    found = Workspace(workspace)
    assert found.zones is found.zones
    assert found.orchestrator().zone_registry is found.zones


@pytest.mark.parametrize(
    ("text", "value"),
    [("250ms", 0.25), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), (1.5, 1.5), ("7", 7)],
)
def test_times_are_read_as_people_write_them(text: str | float, value: float) -> None:
    assert seconds(text, "t") == value


@pytest.mark.parametrize(
    ("text", "value"), [("512MB", 512 * 10**6), ("1GiB", 2**30), ("10 kb", 10_000), (4096, 4096)]
)
def test_sizes_are_read_as_people_write_them(text: str | int, value: int) -> None:
    assert size_bytes(text, "s") == value


@pytest.mark.parametrize(
    "text", ["", "soon", "5x", "-5s", "0", "1.2.3s", True, "nan", "٣s", 10**400]
)
def test_what_is_no_amount_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput, match="expected a time"):
        seconds(text, "t")  # type: ignore[arg-type]
