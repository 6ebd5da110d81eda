"""Skills are known from their source: nothing of theirs is run to list them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os import skill
from tests.conftest import Dino
from tests.skills.conftest import Write


def listed(dino: Dino) -> dict[str, Any]:
    return {found["name"]: found for found in dino("list", "--json").json["skills"]}


def quarantined(dino: Dino) -> dict[str, str]:
    return {q["name"]: q["error"] for q in dino("list", "--json").json["quarantined"]}


def test_a_file_is_listed_without_being_imported(dino: Dino, write: Write, workspace: Path) -> None:
    """Whatever it would do on import it does not do."""
    marker = workspace / "was-imported"
    write(
        f"""
        open({str(marker)!r}, "w").close()
        raise SystemExit(7)

        @skill
        def quiet() -> None:
            "Says nothing."
        """
    )
    assert listed(dino)["quiet"]["summary"] == "Says nothing."
    assert "quiet" in dino("list").out
    dino("run", "quiet", "--help")
    assert not marker.exists()


def test_what_a_signature_and_a_docstring_say_is_shown(dino: Dino, write: Write) -> None:
    write(
        '''
        from pathlib import Path
        from typing import Literal, Optional

        @skill(reads=["data/"], reaches=["api.example"], keys=["k"], timeout="5m", memory="1GiB")
        async def survey(
            path: Path, /, depth: int = 3, *, tone: Literal["dry", "wet"] = "dry",
            tags: list[str] = [], scale: float | None = None, note: "str" = "n",
            extra: Optional[dict] = None, raw: bool = False, odd=object(),
        ) -> dict:
            """
            Survey a coast.

            Longer text.

            Args:
                path: Where the map lies.
                depth (int): How deep.
                tone: How it sounds.

            Returns:
                Much.
            """
        '''
    )
    found = listed(dino)["survey"]
    kinds = {p["name"]: p for p in found["parameters"]}
    assert found["summary"] == "Survey a coast."
    assert (found["timeout_s"], found["memory_bytes"]) == (300.0, 2**30)
    assert found["permissions"] == {"reads": ["data/"], "reaches": ["api.example"], "keys": ["k"]}
    assert [kinds[name]["required"] for name in kinds] == [True, *[False] * 8]
    assert kinds["path"]["help"] == "Where the map lies."
    assert kinds["depth"]["help"] == "How deep."
    assert kinds["depth"]["default"] == 3
    assert kinds["tone"]["choices"] == ["dry", "wet"]
    text = dino("list").out
    assert "read data/; talk to api.example; use the key k" in text
    assert "workspace" in text


@pytest.mark.parametrize(
    "code",
    [
        "from dino_os import skill as s\n@s\ndef f(): ...",
        "from dino_os import skill as s\n@s(timeout='1s')\ndef f(): ...",
        "import dino_os\n@dino_os.skill\ndef f(): ...",
        "import dino_os as d\n@d.skill()\ndef f(): ...",
        "from dino_os.skill import skill\n@skill\ndef f(): ...",
        "import functools\nfrom dino_os import skill\n@skill\n@functools.cache\ndef f(): ...",
    ],
)
def test_the_mark_is_known_under_any_name(dino: Dino, workspace: Path, code: str) -> None:
    (workspace / "skills" / "any.py").write_text(code)
    assert "f" in listed(dino)


@pytest.mark.parametrize(
    "code",
    [
        "def skill(f): return f\n@skill\ndef f(): ...",
        "from other import skill\n@skill\ndef f(): ...",
        "from dino_os import skill\ndef f():\n    @skill\n    def g(): ...",
        "from dino_os import skill\nclass C:\n    @skill\n    def f(self): ...",
        "# skill\n",
    ],
)
def test_what_is_no_skill_is_not_listed(dino: Dino, workspace: Path, code: str) -> None:
    (workspace / "skills" / "none.py").write_text(code)
    assert listed(dino) == {}
    assert quarantined(dino) == {}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("@skill\ndef f(:\n", "bad.py:3: "),
        ("@skill(colour='red')\ndef f(): ...\n", "no option 'colour'"),
        ("@skill(timeout=later())\ndef f(): ...\n", "timeout=…) must be a literal"),
        ("@skill(reads='data/')\ndef f(): ...\n", "reads=…) must be list or tuple"),
        ("@skill(timeout='soon')\ndef f(): ...\n", "expected a time"),
        ("@skill(memory='-1GB')\ndef f(): ...\n", "expected a size"),
        ("@skill\ndef f(): '\0'\n", "null byte"),
        ("@skill(['data/'])\ndef f(): ...\n", "takes its options by name"),
        ("@skill(reads=[7])\ndef f(): ...\n", "must hold texts"),
        ("@skill(needs={[]: 1})\ndef f(): ...\n", "must be a literal"),
        ("@skill(memory=10**40)\ndef f(): ...\n", "must be a literal"),
        (f"@skill(memory={10**40})\ndef f(): ...\n", "expected a size"),
        ("\n@skill(on='a.*b')\ndef f(m): ...\n", "bad.py:4: f: the channel 'a.*b': a wildcard is"),
        (
            "@skill(on=['a', 'b.>.c'])\ndef f(m): ...\n",
            "bad.py:3: f: the channel 'b.>.c': > stands",
        ),
        ("@skill(on='')\ndef f(m): ...\n", "must be text, and not blank"),
        ("@skill(on=7)\ndef f(m): ...\n", "on=…) must be str or list or tuple, found 7"),
        ("@skill(on='a')\ndef f(m, b): ...\n", "no message of the bus brings its parameter 'b'"),
        ("@skill\ndef f(): return " + "-" * 20_000 + "1\n", "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_quarantined_and_harms_no_other(
    dino: Dino, write: Write, code: str, reason: str
) -> None:
    """It is shown with file, line and reason, and the file beside it runs."""
    write(code, "bad.py")
    write("@skill\ndef good(): return 5\n", "good.py")
    assert reason in quarantined(dino)["skill file bad.py"]
    assert "Quarantined" in dino("list").out
    assert dino("run", "good").out == "5\n"
    assert "see `dino list`" in dino("run", "f", code=2).err


def test_bytes_that_are_no_text_and_folders_are_quarantined(dino: Dino, workspace: Path) -> None:
    (workspace / "skills" / "latin.py").write_bytes(b"from dino_os import skill\nE = '\xe9'\n")
    (workspace / "skills" / "folder.py").mkdir()
    assert set(quarantined(dino)) == {"skill file latin.py", "skill file folder.py"}


def test_a_file_that_begins_with_an_underscore_is_its_neighbours_business(
    dino: Dino, write: Write
) -> None:
    write("@skill\ndef hidden(): ...\n", "_shared.py")
    assert listed(dino) == {}


def test_odd_docstrings_and_defaults_are_shown_all_the_same(dino: Dino, write: Write) -> None:
    """Half a surrogate pair, bytes, a set, an annotation that is no Python: none stops the list."""
    write(
        r"""
        @skill
        def odd(a="\ud800", b=b"x", c={1}, d: "a b" = 1, e: None | int = None) -> None:
            "Half a \ud800 pair."
        """
    )
    assert set(listed(dino)) == {"odd"}
    assert dino("run", "odd", "--help").out


def test_two_skills_of_one_name_are_an_error_that_names_both(dino: Dino, write: Write) -> None:
    """Neither runs, both places are told, and others are as before."""
    one = write("@skill\ndef twin(): return 1\n@skill\ndef alone(): return 3\n", "one.py")
    other = write("\n\n@skill\ndef twin(): return 2\n", "two.py")
    places = [f"{one}:3", f"{other}:5"]
    refused = dino("run", "twin", code=2).err
    assert all(place in refused for place in places)
    found = dino("list", "--json").json
    assert found["conflicts"] == {"twin": places}
    assert [s["name"] for s in found["skills"]] == ["alone"]
    assert all(place in dino("list").out for place in places)
    assert dino("run", "alone").out == "3\n"


def test_a_name_that_is_nearly_right_is_guessed(dino: Dino, write: Write) -> None:
    write("@skill\ndef forecast(): ...\n")
    assert "did you mean 'forecast'" in dino("run", "forcast", code=2).err


def test_what_a_skill_hears_is_listed(dino: Dino, write: Write) -> None:
    """Also with what it is told of a message, in whatever order."""
    write(
        """
        @skill(on="orders.*.paid")
        def ship(channel, order: dict, headers, message_id, copies=1): ...
        @skill(on=["a", "b.>", "a"])
        def both(**anything): ...
        @skill(on=("c",))
        def bell(): ...
        @skill
        def deaf(a, b): ...
        """
    )
    found = listed(dino)
    heard = {name: found[name]["on"] for name in found}
    assert heard == {"ship": ["orders.*.paid"], "both": ["a", "b.>"], "bell": ["c"], "deaf": []}
    assert "a, b.>" in dino("list").out


def test_a_marked_function_stays_what_it_was() -> None:
    """Tests and other code call it as if there were no mark."""

    def plain(a: int, b: int = 2) -> int:
        return a + b

    def asked(a: int) -> int:
        return a

    assert skill(plain) is plain
    assert skill(timeout="1s", reads=["x"])(asked) is asked
    assert plain(1) == 3
    assert asked(4) == 4
