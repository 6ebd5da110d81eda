"""Files with a known form: what is wrong is told with line and path, nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.typed_files import Document, load, read_text
from engines.errors import InvalidInput


class Item(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    more: dict[str, int] = {}


class Form(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Item]


def refused(text: str, tmp_path: Path, name: str = "f.yaml") -> str:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InvalidInput) as error:
        load(file, Form)
    return error.value.message.removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("items:\n- name: a\n- name: b\n  size: -3\n", "f.yaml:4: $.items[1].size: expected int >= 0, found -3"),
        ("items:\n- name: a\n  siz: 1\n", "f.yaml:3: $.items[0].siz: no such setting (did you mean 'size'?)"),
        ("items:\n- size: 1\n", "f.yaml:2: $.items[0]: object missing required field name"),
        ("items:\n- name: [x]\n", "f.yaml:2: $.items[0].name: expected str, found ['x']"),
        ("items: {a: 1}\n", "f.yaml:1: $.items: expected array, found {'a': 1}"),
        ("items:\n- name: a\n  size: .nan\n", "f.yaml:3: $.items[0].size: must be a finite number"),
        ("items:\n- name: a\n  more: {x: .inf}\n", "f.yaml:3: $.items[0].more.x: must be a finite number"),
        ("items:\n- name: a\n  name: b\n", "f.yaml:3: the key 'name' stands twice"),
        ("items:\n\t- name: a\n", "f.yaml:2: not YAML"),
        ("items: [\n", "not YAML"),
        ("items: !!python/object:os.system {}\n", "f.yaml:1: not YAML"),
        ("? [1, 2]\n: 3\n", "not YAML"),
        ("items:\n- name: a\n  more: {1: 2}\n", "f.yaml:3: $.items[0].more: expected str"),
        ("a: &a [1]\nb: *c\n", "f.yaml:2: not YAML"),
        ("", "f.yaml: the file is empty"),
        ("# only a comment\n", "f.yaml: the file is empty"),
        ("items:\n- name: 99999999999999999999999999x\n  size: 1e400\n", "f.yaml:3"),
        ("--- 1\n--- 2\n", "not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"items": [\n{"name": "a", "size": -1}]}', "f.json:2: $.items[0].size: expected int >= 0"),
        ('{"items": [\n{"name": }]}', "f.json:2: not JSON"),
        ("{'items': []}", "f.json:1: not JSON"),
        ('{"items": [], "items": []}', "stands twice"),
        ('{"items": [{"name": "a", "size": NaN}]}', "must be a finite number"),
    ],
)  # fmt: skip
def test_a_mistake_in_json_is_named(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(text, tmp_path, "f.json")


def test_json_is_read_as_json(tmp_path: Path) -> None:
    """Characters beyond 16 bits are escaped by halves, and 5e-1 is a number."""
    file = tmp_path / "f.json"
    file.write_text(r'{"items": [{"name": "\ud83d\ude92", "size": 1e0, "more": {"1": 2}}]}')
    with pytest.raises(InvalidInput, match="size: expected int"):
        load(file, Form)
    file.write_text(r'{"items": [{"name": "\ud83d\ude92", "more": {"1": 2}}]}')
    assert load(file, Form)[0].items[0].name == "🚒"


def test_bytes_that_are_no_utf8_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"items:\n- name: caf\xe9\n")
    with pytest.raises(InvalidInput, match=r"f\.yaml:2: not UTF-8 \(byte 0xe9\)") as error:
        read_text(file)
    assert "iconv" in (error.value.hint or "")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfitems: []\n")
    assert load(file, Form)[0].items == []


@pytest.mark.parametrize("name", ["none.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"no such file|cannot be read"):
        load(tmp_path / name, Form)


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    for name, text in (("f.yaml", "[" * 5000), ("f.json", "[" * 100_000 + "]" * 100_000)):
        assert "not " in refused(text, tmp_path, name)
    # The larger ones would overflow the stack of what is written in C.
    for deep in ("[" * 2000 + "]" * 2000, "[" * 40_000, "\n" + "- " * 40_000):
        assert refused(f"items: {deep}", tmp_path) == "f.yaml: nested too deeply"


def test_aliases_that_hold_themselves_or_grow_without_end_are_refused(tmp_path: Path) -> None:
    """A name for what stands twice is read, as ever."""
    assert "an alias holds itself" in refused("a: &a [*a]\n", tmp_path)
    lines = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1]\n"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 8)}]\n" for n in range(1, 30)]
    assert "aliases make it too large" in refused("".join(lines), tmp_path)
    (tmp_path / "twice.yaml").write_text("items:\n- &one {name: a}\n- *one\n")
    form, _ = load(tmp_path / "twice.yaml", Form)
    assert [item.name for item in form.items] == ["a", "a"]


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=VALUES)
def test_json_text_means_the_same_read_as_yaml_or_json(value: Any) -> None:
    text = msgspec.json.encode(value).decode()
    assert Document(text, "f.json", is_json=True).data == value
