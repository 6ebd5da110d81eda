"""
Settings: typed, with a default for everything, and where each value came from.

Precedence: option > `DINO_SECTION__NAME` variable > `config.yaml` > default.  Options are the
commands' own; the rest is here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from dino_os.config.settings import Settings
from dino_os.errors import ConfigError, InvalidInput
from dino_os.typed_files import Document, Step, convert, read_text, show_path
from engines.checks import did_you_mean

_VARIABLE = "DINO_"

SettingPath = tuple[str, ...]
"""Section and name of a setting, with what lies between them."""


class Config:
    """
    The settings in the file at *path*, which need not exist.

    Raises:
        ConfigError: A setting is unknown or does not fit.
    """

    def __init__(
        self, path: str | Path = "config.yaml", *, environ: Mapping[str, str] | None = None
    ) -> None:
        self.path = Path(path)
        self._environ = os.environ if environ is None else environ
        self.reload()

    def reload(self) -> None:
        """Read the file and the variables again."""
        self._document = self._read(read_text(self.path) if self.path.exists() else "")
        data = self._document.data
        self._variables = self._read_variables()
        merged = deepcopy(data)
        for path, (_, value) in self._variables.items():
            _put(merged, path, value)
        self.settings = convert(merged, Settings, self.error_at)

    def get(self, path: str) -> Any:
        """
        The value at *path* ("planning.horizon"), or a whole section as a mapping.

        Raises:
            ConfigError: There is no such setting.
        """
        value: Any = self.settings
        for step in path.split("."):
            names = value.__struct_fields__ if isinstance(value, Struct) else ()
            if step not in names:
                known = names or [".".join(p) for p in self.paths()]
                raise ConfigError(
                    f"no setting {path!r}{did_you_mean(step if names else path, known)}",
                    hint="`dino config show` lists all settings",
                )
            value = getattr(value, step)
        return msgspec.to_builtins(value)

    def set(self, path: str, value: Any) -> None:
        """
        Write *value* at *path* into the file, keeping its comments, and reload.

        Raises:
            ConfigError: There is no such setting, or the value does not fit; the file stays as it
                was.
        """
        from io import StringIO  # noqa: PLC0415  needed for this one verb, as is the next

        from ruamel.yaml import YAML  # noqa: PLC0415

        from engines.durable import replace_file  # noqa: PLC0415

        steps = tuple(path.split("."))
        self.get(path)
        if steps not in self.paths():
            raise ConfigError(f"{path!r} is a section; set one of its settings")
        editor = YAML()
        editor.preserve_quotes = True
        try:
            with _alone_in(self.path.parent):
                text = read_text(self.path) if self.path.exists() else ""
                tree = editor.load(text) or {}
                _put(tree, steps, value)
                draft = StringIO()
                editor.dump(tree, draft)
                document = self._read(draft.getvalue())
                convert(document.data, Settings, _as_config_error(document))
                replace_file(self.path, draft.getvalue().encode())
        except OSError as error:
            raise InvalidInput(f"{self.path}: cannot be written: {error.strerror}") from None
        self.reload()

    @staticmethod
    def paths() -> list[SettingPath]:
        """Every setting there is, as (section, name), or longer where a section has parts."""
        return list(_settings())

    def source_of(self, *path: str) -> str:
        """Where the value in force came from."""
        if variable := self._variables.get(path):
            return f"${variable[0]}"
        value = self._document.data
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return "default"
            value = value[step]
        return f"{self.path.name}:{self._document.line_of(path)}"

    def _read(self, text: str) -> Document:
        try:
            document = Document(text, str(self.path))
        except InvalidInput as error:
            raise ConfigError(error.message, hint=error.hint) from None
        document.data = {} if document.data is None else document.data
        if not isinstance(document.data, dict):
            raise ConfigError(f"{self.path}: expected sections, found {document.data!r}")
        for section, values in document.data.items():
            if values is None:
                document.data[section] = {}
            elif not isinstance(values, dict):
                raise _as_config_error(document)((section,), f"expected settings, found {values!r}")
        return document

    def _read_variables(self) -> dict[SettingPath, tuple[str, Any]]:
        found = {}
        for variable, text in self._environ.items():
            path = tuple(variable.removeprefix(_VARIABLE).lower().split("__"))
            if variable.startswith(_VARIABLE) and len(path) > 1:
                if path not in self.paths():
                    known = [f"{_VARIABLE}{'__'.join(p)}".upper() for p in self.paths()]
                    raise ConfigError(
                        f"${variable}: no such setting{did_you_mean(variable, known)}"
                    )
                found[path] = (variable, Document(text, f"${variable}").data)
        return found

    def error_at(self, path: tuple[Step, ...], what: str) -> ConfigError:
        """What is wrong with the setting at *path*, which is told with its place."""
        for whole, (variable, _) in self._variables.items():
            if tuple(map(str, path))[: len(whole)] == whole:
                return ConfigError(f"${variable}: {show_path(path)}: {what}")
        return _as_config_error(self._document)(path, what)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold *folder*: whoever changes a file of it starts from what the one before wrote."""
    import fcntl  # noqa: PLC0415  where a setting is changed

    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


@cache
def _settings() -> tuple[SettingPath, ...]:
    """Those of the class, which never change: to ask it for its types takes milliseconds."""
    return tuple(_leaves(Settings))


def _leaves(form: type[Struct], above: SettingPath = ()) -> Iterator[SettingPath]:
    for field in msgspec.structs.fields(form):
        path = (*above, field.name)
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _leaves(field.type, path)
        else:
            yield path


def _put(tree: dict[str, Any], path: SettingPath, value: Any) -> None:
    """Set the *value* at *path*, with the sections above it where there are none."""
    *above, name = path
    for step in above:
        if not isinstance(tree.get(step), dict):
            tree[step] = {}
        tree = tree[step]
    tree[name] = value


def _as_config_error(document: Document) -> Callable[[tuple[Step, ...], str], ConfigError]:
    def error(path: tuple[Step, ...], what: str) -> ConfigError:
        return ConfigError(
            document.error(path, what).message, hint="`dino config show` lists all settings"
        )

    return error
