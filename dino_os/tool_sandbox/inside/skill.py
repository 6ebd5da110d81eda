"""A skill's function, called: what runs is the text the parent read and hashed, never the file."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import CoroutineType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:  # see keeper.py
    from collections.abc import Mapping, Sequence
    from typing import Any


def call(job: Mapping[str, Any]) -> Any:
    """What the skill's function returns for its parameters."""
    sources = Sources(job["sources"])
    sys.meta_path.insert(0, sources)
    file: str = job["file"]
    module = sources.load(file)
    result = getattr(module, job["name"])(**job["params"])
    if isinstance(result, CoroutineType):
        import asyncio  # noqa: PLC0415  half of a start, and few need it

        return asyncio.run(result)
    return result


class Sources:
    """
    The skill's file and those beside it that it imports, by `NAME` or `FOLDER.NAME`.

    Args:
        files: Path → text.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._modules: dict[str, str | None] = {}
        for path in files:
            stem, folder = _stem(path), os.path.basename(os.path.dirname(path))
            self._modules |= {stem: path, folder: None, f"{folder}.{stem}": path}

    def load(self, file: str) -> ModuleType:
        """The module of *file*, which other files can import by its name as well."""
        spec = ModuleSpec(_stem(file), self, origin=file)  # type: ignore[arg-type]
        module = ModuleType(spec.name)
        module.__spec__, module.__loader__ = spec, spec.loader
        if spec.name not in sys.stdlib_module_names:
            sys.modules.setdefault(spec.name, module)  # Dino's own stays what it is
        self._exec_file(module, file)
        return module

    # --- finder and loader, as importlib.abc describes them --------------------------------------

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname not in self._modules or fullname in sys.stdlib_module_names:
            return None
        file = self._modules[fullname]
        if file is None:
            return ModuleSpec(fullname, None, is_package=True)
        return ModuleSpec(fullname, self, origin=file)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        del spec
        return None

    def get_source(self, fullname: str) -> str | None:
        file = self._modules.get(fullname)
        return self._files[file] if file else None

    def exec_module(self, module: ModuleType) -> None:
        self._exec_file(module, str(self._modules[module.__name__]))

    def _exec_file(self, module: ModuleType, file: str) -> None:
        module.__file__ = file
        code = compile(self._files[file], file, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  this is what it is for


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
