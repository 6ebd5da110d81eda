"""Options are made from the signature, and what is given is checked before anything runs."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.arguments import bind, from_text
from dino_os.errors import InvalidInput
from dino_os.skill_index import read_skills
from tests.conftest import Dino
from tests.skills.conftest import Write

ECHO = '''
from pathlib import Path
from typing import Literal

@skill
def echo(
    text: str, count: int = 1, share: float = 0.5, loud: bool = False, path: Path = "p",
    tone: Literal["low", "high", 3] = "low", tags: list[str] = [], marks: list[int] = [],
    facts: dict = {}, maybe: int | None = None, anything=None,
):
    """
    Give back what came.

    Args:
        text: What to say.
        tone: How to say it.
    """
    return dict(locals())
'''
BY_NAME = "\n@skill\ndef own(params: str, timeout: int = 3): return [params, timeout]\n"


def back(dino: Dino, *args: object) -> Any:
    return dino("run", "echo", *args, "--json").json["result"]


def test_every_type_arrives_as_what_it_is(dino: Dino, write: Write) -> None:
    write(ECHO)
    found = back(
        dino, "--text", "a b", "--count", "7", "--share", "0.25", "--loud", "--path", "x/y",
        "--tone", "3", "--tags", "u", "--tags", "v,w", "--marks", "[1, 2]", "--marks", "3",
        "--facts", '{"a": [1]}', "--maybe", "-4", "--anything", "[true]",
    )  # fmt: skip
    assert found == {
        "text": "a b",
        "count": 7,
        "share": 0.25,
        "loud": True,
        "path": "x/y",
        "tone": 3,
        "tags": ["u", "v,w"],
        "marks": [1, 2, 3],
        "facts": {"a": [1]},
        "maybe": -4,
        "anything": [True],
    }


def test_params_take_everything_as_json(dino: Dino, write: Write) -> None:
    write(ECHO)
    found = back(dino, "--params", '{"text": "x", "maybe": null, "tone": "high"}', "--no-loud")
    assert (found["text"], found["maybe"], found["tone"], found["loud"]) == (
        "x",
        None,
        "high",
        False,
    )


def test_parameters_named_like_our_own_options_come_through_params(
    dino: Dino, write: Write
) -> None:
    write(BY_NAME)
    outcome = dino("run", "own", "--params", '{"params": "p", "timeout": 9}')
    assert json.loads(outcome.out) == ["p", 9]
    assert "Only through --params: params, timeout" in dino("run", "own", "--help").out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "needs --text"),
        (["--text", "x", "--count", "many"], "--count: expected int, found 'many'"),
        (["--text", "x", "--count", "1.5"], "--count: expected int"),
        (["--text", "x", "--share", "nan"], "--share: must be a finite number"),
        (["--text", "x", "--tone", "loud"], "'loud' is none of low, high, 3"),
        (["--text", "x", "--marks", "one"], "--marks: expected list[int]"),
        (["--text", "x", "--facts", "[1]"], "--facts: expected dict"),
        (["--params", "{"], "--params: not JSON"),
        (["--params", "[1]"], "expected a JSON object"),
        (["--params", '{"txt": "x"}'], "no parameter 'txt' (did you mean 'text'?)"),
        (["--params", '{"text": 5}'], "--text: expected str, found 5"),
        (["--params", '{"text": "x", "count": true}'], "--count: expected int, found True"),
        (["--params", '{"text": "x", "count": null}'], "--count: expected int"),
        (["--params", '{"text": "x"}', "--text", "y"], "name it once"),
        (["--text", "x", "--colour", "red"], "No such option"),
        (["--text", "x", "--timeout", "never"], "--timeout: expected a time"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    dino: Dino, write: Write, workspace: Path, args: list[str], message: str
) -> None:
    write(ECHO)
    assert message in dino("run", "echo", *args, code=2).err
    assert not (workspace / "memory" / "runs.jsonl").exists()


def test_help_tells_options_types_choices_and_what_they_mean(dino: Dino, write: Write) -> None:
    write(ECHO)
    text = dino("run", "echo", "--help").out
    for part in (
        "Give back what came.",
        "--text TEXT",
        "What to say.  [required]",
        "--count INT",
        "[default: 1]",
        "--loud / --no-loud",
        "One of low, high, 3.",
        "May be given several times.",
        "dino run echo --text …",
    ):
        assert part in text
    assert "asks for nothing" in text


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("skills") / "echo.py"
    file.write_text("from dino_os import skill\n" + ECHO)
    return read_skills(file, "test")[0]


@given(value=st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_survives_being_text(echo: Any, value: Any) -> None:
    name = {str: "text", int: "count", float: "share"}[type(value)]
    parameter = next(p for p in echo.parameters if p.name == name)
    given_text = value if isinstance(value, str) else repr(value)
    bound = bind(echo, {"text": "", name: from_text(parameter, given_text)})
    assert bound[name] == value
    assert type(bound[name]) is type(value)


@given(
    given=st.dictionaries(
        st.sampled_from(["text", "count", "share", "loud", "tags", "facts", "other"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    )
)
def test_whatever_is_accepted_has_the_types_that_were_asked_for(
    echo: Any, given: dict[str, Any]
) -> None:
    """Everything else is refused in a sentence."""
    bound = {}
    with contextlib.suppress(InvalidInput):
        bound = bind(echo, given)
    types = {"text": str, "count": int, "share": float, "loud": bool, "tags": list, "facts": dict}
    assert all(type(bound[name]) is types[name] for name in bound)


@settings(max_examples=8)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_reaches_the_skill_as_it_was_typed(dino: Dino, write: Write, text: str) -> None:
    """Spaces, dashes, quotes, line ends and every script."""
    write(ECHO)
    assert back(dino, f"--text={text}")["text"] == text
