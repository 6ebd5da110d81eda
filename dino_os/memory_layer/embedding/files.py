"""
The files of models that came with installed packages: found without importing those, read once.

Nothing here ever downloads.  A pinned file that is not the one that is pinned is refused: these
bytes decide what is found, and their publishers are not known to us.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.embedding.model import EmbedderMissing

_guard = threading.Lock()
_loaded: dict[object, Any] = {}


def once(key: object, load: Callable[[], Any]) -> Any:
    """What *load* makes, the same in all of this process; several threads wait for one."""
    with _guard:
        if key not in _loaded:
            _loaded[key] = load()
        return _loaded[key]


def folder_of(package: str) -> Path | None:
    """Where an installed package lies, which is not imported; None where there is none."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


def modules(names: Sequence[str], embedder: str, hint: str) -> list[ModuleType]:
    """
    Import *names*.

    Raises:
        EmbedderMissing: One of them is not installed; *hint* says how it gets there.
    """
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        lacks = error.name or str(error)
        why = f"the embedder {embedder} needs the package {lacks}, which is not installed"
        raise EmbedderMissing(why, hint=hint) from None


def read(path: Path, sha256: str | None = None, *, hint: str) -> bytes:
    """
    The bytes of a model's file.

    Args:
        sha256: What it must be.

    Raises:
        EmbedderMissing: It is not there, or cannot be read.
        MemoryLayerError: It is another one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EmbedderMissing(f"{path}: {error.strerror or error}", hint=hint) from None
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256:
        raise MemoryLayerError(
            f"{path}: not the file that this embedder knows: SHA-256 {found[:16]}…, "
            f"expected {sha256[:16]}…",
            hint=hint,
        )
    return data
