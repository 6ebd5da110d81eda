"""
YAML and JSON files with a known form, read strictly.

Whatever is wrong is told with its file, line and path, what was found and what is expected:

    zones.yaml:12: $.zones[1].capacity: expected int >= 0, found -3

Owns reading and checking; what the values mean is the caller's.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from dino_os.errors import InvalidInput
from engines.checks import did_you_mean

T = TypeVar("T")
Step = str | int

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C where PyYAML was built with it
_path_in_message = re.compile(
    r"^(?P<what>.*?)(?: - at (?:`key` in )?`(?P<path>\$.*)`)?$", re.DOTALL
)
_unknown_field = re.compile(r"Object contains unknown field `(.+)`")
_signed_in = re.compile(r"//.*@", re.DOTALL)
"""Who signs in at an address, and with what: never shown."""
_KINDS = ("Expected", "Object", "Invalid")
"""How what msgspec itself finds begins."""
_DEEPEST = 10_000
"""How deep what is nested may be read: libyaml overflows the stack at three times that."""
_REPEATED = 20
"""So many times longer than its text may what a text says be."""
_step = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")


class Document:
    """
    A YAML or JSON text that was read, and where in it each value stands.

    Raises:
        InvalidInput: Not YAML (JSON), a key that stands twice, or a number that is not finite.
    """

    def __init__(self, text: str, name: str, *, is_json: bool = False) -> None:
        self.name = name
        self.data: Any = None
        self._root: yaml.Node | None = None
        if is_json:
            self._read_json(text)
        else:
            self._read_yaml(text)
        try:
            self._check(most=_REPEATED * (len(text) + 1))
        except RecursionError:
            raise InvalidInput(f"{name}: nested too deeply") from None

    def _check(self, *, most: int) -> None:
        if self._root is not None:
            if _holds_itself(self._root, set(), set()):
                raise InvalidInput(f"{self.name}: not YAML that can be read: an alias holds itself")
            self._refuse_twins(self._root, set())
        for number, (path, value) in enumerate(_leaves(self.data, ())):
            if number > most:
                raise InvalidInput(f"{self.name}: its aliases make it too large")
            if isinstance(value, float) and not math.isfinite(value):
                raise self.error(path, f"must be a finite number, found {value}")

    def _read_yaml(self, text: str) -> None:
        loader = _Loader(text)
        try:
            _refuse_depth(text, self.name)
            self._root = loader.get_single_node()
            self.data = loader.construct_document(self._root) if self._root else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}" if mark else ""
            raise InvalidInput(f"{self.name}{line}: not YAML: {error.problem}") from None
        except InvalidInput:
            raise
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            raise InvalidInput(f"{self.name}: not YAML: {error}") from None
        finally:
            loader.dispose()

    def _read_json(self, text: str) -> None:
        try:
            self.data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"{self.name}:{error.lineno}: not JSON: {error.msg}") from None
        except RecursionError:
            raise InvalidInput(f"{self.name}: not JSON: nested too deeply") from None
        # Only for the lines; what JSON escapes in its own way has none.
        with contextlib.suppress(yaml.YAMLError):
            self._root = yaml.compose(text, Loader=_Loader)

    def convert(self, form: type[T]) -> T:
        """
        The document as *form* (a msgspec type).

        Raises:
            InvalidInput: It does not fit.
        """
        return convert(self.data, form, self.error)

    def error(self, path: tuple[Step, ...], what: str) -> InvalidInput:
        """The error for the value at *path*."""
        line = self.line_of(path)
        where = f"{self.name}:{line}" if line else self.name
        return InvalidInput(f"{where}: {show_path(path)}: {what}")

    def line_of(self, path: tuple[Step, ...]) -> int | None:
        """The line of the value at *path*, or of the nearest thing around it."""
        node, line = self._root, None
        for step in path:
            if node is None:
                break
            found = _child(node, step)
            if found is None:
                break
            node, line = found
        if line is None and self._root is not None:
            line = self._root.start_mark.line + 1
        return line

    def _refuse_twins(self, node: yaml.Node, known: set[int]) -> None:
        if id(node) in known:  # what an alias stands for
            return
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    line = key.start_mark.line + 1
                    raise InvalidInput(f"{self.name}:{line}: the key {name!r} stands twice")
                seen.add(name)
                self._refuse_twins(value, known)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._refuse_twins(item, known)


def _refuse_depth(text: str, name: str) -> None:
    # Each level takes a bracket, or a column of a line that all those around it take too.
    widest = max(map(len, text.splitlines()), default=0)
    if max(widest, text.count("[") + text.count("{")) <= _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise InvalidInput(f"{name}: nested too deeply")


def read_text(path: Path) -> str:
    """
    The UTF-8 text of a file, without a byte order mark.

    Raises:
        InvalidInput: It is not there, cannot be read, or is not UTF-8 (with the line).
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{path}:{line}: not UTF-8 (byte {data[error.start]:#04x})",
            hint=f"convert it first: iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
        ) from None


def read_bytes(path: Path) -> bytes:
    """
    The bytes of a file.

    Raises:
        InvalidInput: It is not there or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file") from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None


def load(path: Path, form: type[T]) -> tuple[T, Document]:
    """Read the YAML (or JSON) file at *path* as *form*; see `Document` for what is refused."""
    document = Document(read_text(path), str(path), is_json=path.suffix == ".json")
    if document.data is None:
        raise InvalidInput(f"{path}: the file is empty")
    return document.convert(form), document


def convert(data: Any, form: type[T], error: Any, *, strict: bool = True) -> T:
    """*data* as *form*; *error(path, what)* makes the exception where it does not fit."""
    try:
        return msgspec.convert(data, form, strict=strict)
    except msgspec.ValidationError as problem:
        match = _path_in_message.match(str(problem))
        what, path = (match["what"], _steps(match["path"] or "$")) if match else (str(problem), ())
        raise error(*_explain(what, path, data, form)) from None


def show_path(path: tuple[Step, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _explain(
    what: str, path: tuple[Step, ...], data: Any, form: Any
) -> tuple[tuple[Step, ...], str]:
    if match := _unknown_field.match(what):
        name = match[1]
        return (*path, name), f"no such setting{did_you_mean(name, _field_names(form, path))}"
    text = what[0].lower() + what[1:].replace("`", "")
    text = re.sub(r", got .*$", "", text)
    found = _value_at(data, path)
    if isinstance(found, dict) and not what.startswith(_KINDS):
        return path, what  # the form's own word about several values
    return path, f"{text}, found {_signed_in.sub('//…@', repr(found))}"


def _field_names(form: Any, path: tuple[Step, ...]) -> list[str]:
    """Names of the fields of the struct at *path* in *form*, as far as the types tell."""
    for step in path:
        form = _struct_within(form)
        if form is None:
            return []
        if isinstance(step, str):
            types = {field.name: field.type for field in msgspec.structs.fields(form)}
            form = types.get(step)
    form = _struct_within(form)
    return [field.name for field in msgspec.structs.fields(form)] if form else []


def _struct_within(form: Any) -> Any:
    if isinstance(form, type) and issubclass(form, msgspec.Struct):
        return form
    for argument in getattr(form, "__args__", ()):
        if found := _struct_within(argument):
            return found
    return None


def _steps(path: str) -> tuple[Step, ...]:
    return tuple(
        match[1] or int(match[2]) for match in _step.finditer(path) if match[1] or match[2]
    )


def _value_at(data: Any, path: tuple[Step, ...]) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _child(node: yaml.Node, step: Step) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    return None


def _holds_itself(node: yaml.Node, around: set[int], done: set[int]) -> bool:
    if id(node) in around or id(node) in done or isinstance(node, yaml.ScalarNode):
        return id(node) in around
    inner = node.value
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    around.add(id(node))
    if any(_holds_itself(part, around, done) for part in inner):
        return True
    around.discard(id(node))
    done.add(id(node))
    return False


def _leaves(value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value
