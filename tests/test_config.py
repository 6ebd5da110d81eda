"""Settings: where each value comes from, and what a mistake is told as."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from dino_os.config import Config
from dino_os.errors import ConfigError
from tests.conftest import Dino

COMMENTED = """\
# the duty desk
system:
  name: desk   # shown in status

planning:
  horizon: 7  # events
"""


def config(workspace: Path, text: str, **environ: str) -> Config:
    (workspace / "config.yaml").write_text(text)
    return Config(workspace / "config.yaml", environ=environ)


def test_a_variable_comes_before_the_file_and_the_file_before_the_default(workspace: Path) -> None:
    settings = config(workspace, COMMENTED, DINO_PLANNING__HORIZON="9", DINO_SYSTEM__NAME="'12'")
    assert settings.get("planning.horizon") == 9
    assert settings.get("system.name") == "12"
    assert settings.get("planning.alert_threshold") == 0.55
    assert settings.source_of("planning", "horizon") == "$DINO_PLANNING__HORIZON"
    assert config(workspace, COMMENTED).source_of("planning", "horizon") == "config.yaml:6"
    assert settings.source_of("planning", "alert_threshold") == "default"


def test_an_option_comes_before_all(dino: Dino, workspace: Path) -> None:
    from tests.desk import write_desk

    write_desk(workspace)
    env = {"DINO_PLANNING__MIN_SKILL_MATCH": "1"}
    half = ["plan-cycle", "scenario.yaml", "--dry-run", "--json", "--min-skill-match", "0"]
    assert dino(*half, env=env).json["counts"]["assigned"] == 2


def test_everything_has_a_default(tmp_path: Path) -> None:
    """With no file at all, and with an empty one."""
    for text in (None, "", "# nothing\n", "planning:\n"):
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
        settings = Config(tmp_path / "config.yaml", environ={})
        assert all(settings.get(".".join(path)) is not None for path in settings.paths())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("planning:\n  horizont: 5\n", "config.yaml:2: $.planning.horizont: no such setting (did you mean 'horizon'?)"),
        ("plan:\n  horizon: 5\n", "config.yaml:1: $.plan: no such setting (did you mean 'planning'?)"),
        ("planning:\n  horizon: -1\n", "config.yaml:2: $.planning.horizon: expected int >= 0, found -1"),
        ("planning:\n  horizon: many\n", "config.yaml:2: $.planning.horizon: expected int, found 'many'"),
        ("planning:\n  alert_threshold: .nan\n", "config.yaml:2: $.planning.alert_threshold: must be a finite"),
        ("system:\n  name: ''\n", "config.yaml:2: $.system.name: expected str of length >= 1"),
        ("planning: 5\n", "config.yaml:1: $.planning: expected settings, found 5"),
        ("- a\n", "expected sections, found ['a']"),
        ("planning: {horizon: 1\n", "not YAML"),
        ("planning:\n  horizon: 1\n  horizon: 2\n", "config.yaml:3: the key 'horizon' stands twice"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_file_line_and_path(
    dino: Dino, workspace: Path, text: str, told: str
) -> None:
    (workspace / "config.yaml").write_text(text)
    assert told in dino("config", "show", code=2).err


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("DINO_PLANNING__HORIZONT", "5", "did you mean 'DINO_PLANNING__HORIZON'"),
        ("DINO_PLANNING__HORIZON", "-1", "$DINO_PLANNING__HORIZON: $.planning.horizon: expected int"),
        ("DINO_PLANNING__HORIZON", "[1", "$DINO_PLANNING__HORIZON"),
        ("DINO_LLM__PROVIDERS", "[{name: 5}]", "$DINO_LLM__PROVIDERS: $.llm.providers[0]"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(dino: Dino, name: str, value: str, told: str) -> None:
    assert told in dino("config", "show", env={name: value}, code=2).err


def test_setting_keeps_comments_and_the_rest(dino: Dino, workspace: Path) -> None:
    file = workspace / "config.yaml"
    file.write_text(COMMENTED)
    dino("config", "set", "planning.horizon", "8")
    assert file.read_text() == COMMENTED.replace("horizon: 7", "horizon: 8")
    dino("config", "set", "planning.alert_threshold", "0.6")
    assert dino("config", "get", "planning.alert_threshold").out == "0.6\n"
    assert "# the duty desk" in file.read_text()
    dino("config", "set", "sandbox.timeout_s", "5")
    assert dino("config", "get", "sandbox", "--json").json["value"]["timeout_s"] == 5.0


def _set(file: Path, path: str, start: Barrier) -> None:
    settings = Config(file, environ={})
    start.wait()
    settings.set(path, 3)


def test_of_what_several_set_at_once_nothing_is_lost(workspace: Path) -> None:
    file = workspace / "config.yaml"
    paths = ["planning.horizon", "personas.most", "agent.max_steps", "llm.retries"]
    context = multiprocessing.get_context("fork")
    start = context.Barrier(len(paths))
    each = [context.Process(target=_set, args=(file, path, start)) for path in paths]
    for process in each:
        process.start()
    for process in each:
        process.join()
    settings = Config(file, environ={})
    assert [settings.get(path) for path in paths] == [3] * len(paths)


def test_setting_makes_the_file_where_there_is_none(dino: Dino, workspace: Path) -> None:
    (workspace / "config.yaml").unlink()
    dino("config", "set", "system.name", "desk", env={"DINO_HOME": str(workspace)})
    assert (workspace / "config.yaml").read_text() == "system:\n  name: desk\n"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("planning.horizon", "-1"),
        ("planning.horizon", "many"),
        ("planning.horizont", "5"),
        ("planning", "5"),
        ("nothing.at_all", "5"),
        ("planning.horizon", "[1"),
        ("planning.horizon", ".inf"),
    ],
)
def test_what_does_not_fit_is_not_set(dino: Dino, workspace: Path, path: str, value: str) -> None:
    """The file stays as it was, byte for byte."""
    file = workspace / "config.yaml"
    file.write_text(COMMENTED)
    dino("config", "set", path, value, code=2)
    assert file.read_text() == COMMENTED


def test_a_variable_that_stays_in_force_is_pointed_out(dino: Dino) -> None:
    env = {"DINO_PLANNING__HORIZON": "3"}
    said = dino("config", "set", "planning.horizon", "8", env=env).out
    assert "$DINO_PLANNING__HORIZON is set and stays in force" in said


def test_all_settings_are_shown_with_their_source(dino: Dino, workspace: Path) -> None:
    (workspace / "config.yaml").write_text(COMMENTED)
    shown = {s["path"]: s for s in dino("config", "show", "--json").json["settings"]}
    assert shown["planning.horizon"] == {
        "path": "planning.horizon",
        "value": 7,
        "source": "config.yaml:6",
    }
    assert "planning.horizon" in dino("config").out
    assert dino("config", "path").out == f"{workspace / 'config.yaml'}\n"


def test_an_unknown_setting_is_guessed(workspace: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'horizon'"):
        config(workspace, "").get("planning.horizn")
