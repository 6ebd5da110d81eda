"""Installed packages join through entry points; one that fails harms nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Dino, Outcome
from tests.desk import write_desk

Install = Callable[..., None]
Run = Callable[..., Outcome]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where packages are installed for this test."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture
def install(site: Path) -> Install:
    """Lay a package down as an installer does: its module and what names its entry point."""

    def install(name: str, code: str) -> None:
        (site / f"{name}.py").write_text(
            f"from dino_os.hookspecs import hookimpl\nfrom pathlib import Path\n{dedent(code)}"
        )
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dino]\n{name} = {name}\n")

    return install


@pytest.fixture
def run(dino: Dino, site: Path) -> Run:
    """`dino …` with those packages, which other tests leave out."""

    def run(*args: object, env: dict[str, str] | None = None, **options: Any) -> Outcome:
        paths = f"{REPOSITORY}:{site}"
        return dino(
            *args, env={"PYTHONPATH": paths, "DINO_NO_PLUGINS": "", **(env or {})}, **options
        )

    return run


def quarantined(run: Run) -> dict[str, str]:
    return {q["name"]: q["error"] for q in run("list", "--json").json["quarantined"]}


def test_a_plugin_brings_skills(install: Install, run: Run, site: Path) -> None:
    (site / "their_skills").mkdir()
    (site / "their_skills" / "tide.py").write_text(
        "from dino_os import skill\n@skill\ndef tide(): return 4.2\n"
    )
    install(
        "coast",
        """
        @hookimpl
        def dino_skill_paths():
            return [Path(__file__).parent / "their_skills"]
        """,
    )
    (found,) = run("list", "--json").json["skills"]
    assert (found["name"], found["source"]) == ("tide", "coast")
    assert run("run", "tide").out == "4.2\n"
    assert run("list", "--json", env={"DINO_NO_PLUGINS": "1"}).json["skills"] == []


def test_a_plugin_brings_commands(install: Install, run: Run) -> None:
    install(
        "coast",
        """
        import click
        @click.command("tide", short_help="The tide now.")
        def tide():
            click.echo("rising")
        @hookimpl
        def dino_commands():
            return [tide]
        """,
    )
    assert run("tide").out == "rising\n"
    assert "The tide now." in run("--help").out
    assert "no command 'tide'" in run("tide", env={"DINO_NO_PLUGINS": "1"}, code=2).err


def test_a_plugin_brings_signal_sources(install: Install, run: Run, workspace: Path) -> None:
    install(
        "coast",
        """
        def read(path):
            yield 1, {"id": "T-1", "place": "Mole", "net": "North", "kind": "fire", "hours": "2",
                      "seen": "2027-01-15T10:00:00Z", "lon": "0.5", "lat": "0.5"}
        @hookimpl
        def dino_signal_sources():
            return {".tide": read}
        """,
    )
    write_desk(workspace)
    (workspace / "calls.tide").write_text("anything")
    signals = ["--signals", "calls.tide", "--map", "map.yaml"]
    report = run("plan-cycle", "scenario.yaml", *signals, "--json").json
    assert [task["identifier"] for task in report["tasks"]] == ["T-1"]


def test_a_plugin_brings_tools(
    install: Install, site: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino_os.plugins import Plugins

    install("gauges", "@hookimpl\ndef dino_tools():\n    return {'level': lambda: 7}\n")
    monkeypatch.syspath_prepend(str(site))
    assert Plugins(workspace / "skills").tools()["level"]() == 7


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("def f(:", "SyntaxError"),
        ("@hookimpl\ndef dino_skill_paths():\n    raise OSError('gone')", "OSError: gone"),
        ("@hookimpl\ndef dino_skill_paths():\n    return 7", "TypeError"),
        ("@hookimpl\ndef dino_skill_paths(surprise):\n    return []", "PluginValidationError"),
    ],
)
def test_a_broken_plugin_is_quarantined_and_harms_no_other(
    install: Install, run: Run, workspace: Path, code: str, told: str
) -> None:
    install("broken", code)
    install("coast", "@hookimpl\ndef dino_skill_paths():\n    return []\n")
    (workspace / "skills" / "mine.py").write_text(
        "from dino_os import skill\n@skill\ndef mine(): return 1\n"
    )
    assert quarantined(run).keys() == {"plugin broken"}
    assert told in quarantined(run)["plugin broken"]
    assert told in run("list").out
    assert run("run", "mine").out == "1\n"
    assert run("status", "--json").code == 0


def test_a_command_whose_name_is_taken_does_not_replace_ours(install: Install, run: Run) -> None:
    install(
        "coast",
        """
        import click
        @click.command("version")
        def version():
            click.echo("forged")
        @hookimpl
        def dino_commands():
            return [version]
        """,
    )
    assert "forged" not in run("version").out


def test_a_skill_of_a_plugin_and_one_of_ours_under_one_name_is_a_conflict(
    install: Install, run: Run, site: Path, workspace: Path
) -> None:
    (site / "theirs.py").write_text("from dino_os import skill\n@skill\ndef tide(): return 1\n")
    install(
        "coast",
        "@hookimpl\ndef dino_skill_paths():\n    return [Path(__file__).with_name('theirs.py')]\n",
    )
    ours = workspace / "skills" / "ours.py"
    ours.write_text("from dino_os import skill\n@skill\ndef tide(): return 2\n")
    refused = run("run", "tide", code=2).err
    assert f"{ours}:3" in refused
    assert f"{site / 'theirs.py'}:3" in refused


def test_help_imports_no_plugin_where_none_is_installed(run: Run) -> None:
    assert json.loads(run("list", "--json").out)["quarantined"] == []
