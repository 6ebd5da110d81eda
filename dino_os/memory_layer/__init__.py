"""Memory: values under keys, found again by their words, durable and the same for every process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from dino_os import inside
from dino_os.errors import Denied, InvalidInput, MemoryLayerError
from dino_os.face import Face
from dino_os.memory_layer.result import MemoryResult

__all__ = ["MemoryLayer", "MemoryLayerError", "MemoryResult", "VectorMemoryLayer"]


_Keys: TypeAlias = list[str]  # where `list` is the method
_Many: TypeAlias = list[dict[str, Any]]
_Results: TypeAlias = list[MemoryResult]


class MemoryLayer(Face):
    """
    The workspace's memory, `memory/memory.db`, or that in a file of one's own.

    Each change is durable when its method returns, and in the journal by the hash of its value.
    Inside a sandbox the workspace's memory is reached through the broker; a file named by *db_path*
    is then opened by the skill itself, where its sandbox lets it.

    A *namespace* has keys of its own; the default one is empty text.

    Args:
        db_path: Another file; its journal lies beside it.
    """

    _part = "memory"

    def __init__(self, db_path: str | os.PathLike[str] | None = None) -> None:
        self._file = None if db_path is None else _resolved(db_path)

    # --- changes -----------------------------------------------------------------------------

    def add(
        self,
        key: str,
        value: Any,
        embed: bool = True,  # noqa: FBT001, FBT002
        *,
        namespace: str = "",
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        ttl: float | None = None,
        importance: float = 0.0,
        vector: Iterable[float] | None = None,
    ) -> None:
        """
        Keep *value* under *key*, instead of what was there; it is durable when this returns.

        Args:
            key: Text of at most 1,024 bytes.
            value: Any JSON value of at most 64 MiB.
            embed: Whether search by meaning, where there is one, may use it.  Its words are found
                either way.
            metadata: What searches can be narrowed by.
            tags: Texts to find it under.
            ttl: Seconds after which it is not there any more, nor as an earlier version.
            importance: 0 to 1, for searches that heed it.
            vector: Its embedding, where it comes with one.

        Raises:
            InvalidInput: Something of it is none of these.
            MemoryLayerError: The store cannot be opened or written.
        """
        more = _given(
            namespace=namespace,
            metadata=metadata if metadata is None else dict(metadata),
            tags=_texts(tags),
            ttl=ttl,
            importance=importance or None,
            vector=None if vector is None else _numbers(vector),
        )
        self._call("add", key=key, value=value, embed=embed, **more)

    def add_many(self, items: Iterable[Mapping[str, Any]]) -> int:
        """
        Add all of *items*, mappings with the arguments of `add`, or none; how many.

        Raises:
            InvalidInput: One is none; it says which.
        """
        return int(self._call("add_many", items=[_plain(item) for item in items]))

    def delete(self, key: str, *, namespace: str = "") -> bool:
        """
        Take *key* out; whether it was there.  What it was can still be asked for.

        `forget` erases it.
        """
        return bool(self._call("delete", key=key, **_given(namespace=namespace)))

    def tag(
        self,
        key: str,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        *,
        namespace: str = "",
    ) -> _Keys:
        """
        Add and remove tags of *key*; those it has then.

        Raises:
            NotFound: There is no such key.
        """
        more = _given(add=_texts(add), remove=_texts(remove), namespace=namespace)
        return [*self._call("tag", key=key, **more)]

    def clear(self) -> int:
        """Take every entry out, of all namespaces; how many that was."""
        return int(self._call("clear"))

    def forget(
        self,
        *,
        key: str | None = None,
        namespace: str | None = None,
        tag: str | None = None,
        query: str | None = None,
        older_than_s: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> int:
        """
        Erase what all that is given holds for, from every file of the memory, for good.

        Values, earlier versions, words and vectors are overwritten; the journal says how many keys
        it was, and keeps the names and hashes it had before.  Backups and exports are the user's.

        Args:
            query: It has all these words.
            older_than_s: It was last written so long ago.
            where: What its metadata must say, as in `search`.

        Returns:
            How many keys that was.

        Raises:
            InvalidInput: Nothing is given.
        """
        asked = {
            "key": key,
            "namespace": namespace,
            "tag": tag,
            "query": query,
            "older_than_s": older_than_s,
            "where": where if where is None else dict(where),
        }
        # What is empty is said as well: it narrows nothing, and is refused.
        told = {name: value for name, value in asked.items() if value is not None}
        return int(self._call("forget", **told))

    # --- queries -----------------------------------------------------------------------------

    def get(
        self, key: str, at: float | datetime | str | None = None, *, namespace: str = ""
    ) -> Any:
        """
        The value under *key*, or None.

        Args:
            at: As it was then: seconds since the epoch, a time, or one as ISO text.
        """
        then = at.isoformat() if isinstance(at, datetime) else at
        return self._call("get", key=key, **_given(at=then, namespace=namespace))

    def versions(self, key: str, *, namespace: str = "") -> _Many:
        """What *key* is and was, newest first; `fate` says how each earlier one ended."""
        return [*self._call("versions", key=key, **_given(namespace=namespace))]

    def list(
        self,
        *,
        namespace: str = "",
        prefix: str = "",
        tags: Iterable[str] = (),
        limit: int | None = None,
    ) -> _Keys:
        """The keys, in order: those that begin with *prefix* and have all *tags*."""
        more = _given(namespace=namespace, prefix=prefix, tags=_texts(tags), limit=limit)
        return [*self._call("list", **more)]

    def namespaces(self) -> _Keys:
        """The namespaces that have entries, in order."""
        return [*self._call("namespaces")]

    def search(
        self,
        query: str,
        top_k: int = 5,
        *,
        namespace: str | None = None,
        mode: str = "auto",
        where: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        half_life_s: float | None = None,
        importance: float = 0.0,
        min_score: float = 0.0,
        vector: Iterable[float] | None = None,
        explain: bool = False,
    ) -> _Results:
        """
        The entries that answer *query* best, by their words and, where there are vectors, meaning.

        Args:
            query: Words, "phrases", beginnings* and -words that must not be there.
            namespace: Only there; None is everywhere.
            mode: text, meaning, hybrid; auto is hybrid where there are vectors.
            where: What the metadata must say: `{"field": value}`, `{"field": {"$gte": 3}}`.
            tags: All of which an entry must have.
            half_life_s: The age at which an entry counts half.
            importance: How much the entry's own importance counts, 0 to 1.
            min_score: None below that.
            vector: The query's embedding, where the caller has it.
            explain: Whether each result says what its score is made of.
        """
        more = _given(
            namespace=namespace,
            mode=None if mode == "auto" else mode,
            where=where if where is None else dict(where),
            tags=_texts(tags),
            half_life_s=half_life_s,
            importance=importance or None,
            min_score=min_score or None,
            vector=None if vector is None else _numbers(vector),
            explain=explain,
        )
        if namespace is not None:
            more["namespace"] = namespace
        found = self._call("search", query=query, top_k=top_k, **more)
        return [MemoryResult.of(one) for one in found]

    def get_all(self, *, namespace: str = "") -> dict[str, Any]:
        """Every value by its key."""
        return dict(self._call("get_all", **_given(namespace=namespace)))

    # --- the whole of it ---------------------------------------------------------------------

    def backup(self, path: str | os.PathLike[str]) -> None:
        """
        Write all of it to one file that needs no other, replacing an older backup there.

        Raises:
            InvalidInput: Something else is there, or no folder.
        """
        self._call("backup", path=_text(path))

    def restore(self, path: str | os.PathLike[str]) -> int:
        """
        Replace all of it by what is in a backup, whole or not at all; how many entries those are.

        Raises:
            MemoryLayerError: It is no backup, or not sound; nothing was changed.
        """
        return int(self._call("restore", path=_text(path)))

    def export(self, path: str | os.PathLike[str] | None = None, **more: Any) -> int:
        """
        Write each entry as a line of JSON to the file at *path*, or to standard output; how many.

        Args:
            more: `namespace`, only that; `versions`, whether those too.
        """
        return int(self._call("export", path=None if path is None else _text(path), **more))

    def import_(self, path: str | os.PathLike[str] | None = None) -> int:
        """
        Add what is in lines that `export` wrote, instead of what is under their keys; how many.

        Raises:
            InvalidInput: A line is none; it says which, and what of the file was kept.
        """
        return int(self._call("import_", path=None if path is None else _text(path)))

    def check(self, *, repair: bool = False) -> dict[str, Any]:
        """Whether the file and its indexes are sound: ok, faults; *repair* makes indexes anew."""
        return dict(self._call("check", repair=repair))

    def stats(self) -> dict[str, Any]:
        """How much there is of what."""
        return dict(self._call("stats"))

    def reindex(self, model: str | None = None) -> dict[str, Any]:
        """Embed what has no vector; everything, where *model* or the configured one is another."""
        return dict(self._call("reindex", model=model))

    def _call(self, method: str, /, **arguments: Any) -> Any:
        if self._file and inside.connection():
            return getattr(self._local(), method)(**arguments)
        return super()._call(method, **arguments)

    def _local(self) -> Any:
        if self._file is None:
            return super()._local()
        from dino_os.workspace import memory_at  # noqa: PLC0415  a face costs nothing to import

        return memory_at(self._file)


class VectorMemoryLayer(MemoryLayer):
    """
    A memory that is searched by meaning, with the embedding model of that name.

    It has a file of its own, `memory/memory-MODEL.db`, so that models do not mix.  The first call
    makes the model, and says where there is none of that name or it is not installed.

    A sandboxed skill names *db_path*, in a folder that it may write; the model runs in its sandbox.

    Args:
        embedding_model: As `memory.embedder` in config.yaml has it: words, minilm, ollama:NAME.
        db_path: Another file.
    """

    def __init__(
        self, embedding_model: str = "words", db_path: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(db_path)
        if not isinstance(embedding_model, str) or not embedding_model.strip():
            raise InvalidInput(f"a model has a name, found {embedding_model!r:.80}")
        self._model = embedding_model

    def search(self, query: str, top_k: int = 5, **more: Any) -> _Results:
        """As `MemoryLayer.search`, by meaning unless told."""
        return super().search(query, top_k, **{"mode": "meaning", **more})

    def _call(self, method: str, /, **arguments: Any) -> Any:
        return getattr(self._local(), method)(**arguments)

    def _local(self) -> Any:
        from dino_os.workspace import memory_at  # noqa: PLC0415  a face costs nothing to import

        if self._file is None:
            if inside.connection():
                raise Denied(
                    "a sandboxed skill's VectorMemoryLayer needs a file of its own: name db_path, "
                    "in a folder that the skill may write"
                )
            plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in self._model)
            self._file = self._workspace().memory / f"memory-{plain}.db"
        store = memory_at(self._file, embedder=self._model)
        store.embedder()  # before anything is written for a model that is not there
        return store


def _resolved(db_path: str | os.PathLike[str]) -> Path:
    text = _text(db_path)
    if text.startswith(":") or not text or "\0" in text:
        raise InvalidInput(
            f"{text!r} names no file to keep memory in",
            hint="it is always durable; for a while, name one in a temporary folder",
        )
    return Path(text).resolve()


def _text(path: str | os.PathLike[str]) -> str:
    found = os.fspath(path)
    if not isinstance(found, str):
        raise InvalidInput(f"a path must be text, found {found!r}")
    return found


def _given(**arguments: Any) -> dict[str, Any]:
    """Those that say something."""
    return {
        name: value
        for name, value in arguments.items()
        if not (value is None or value is False or (isinstance(value, str | list) and not value))
    }


def _texts(tags: Iterable[str]) -> Any:
    return tags if isinstance(tags, str | bytes) else [*tags]


def _numbers(vector: Iterable[float]) -> Any:
    """A list of what may be an array."""
    found = getattr(vector, "tolist", None)
    return found() if found else vector if isinstance(vector, str) else [*vector]


def _plain(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    told = dict(item)
    if told.get("vector") is not None:
        told["vector"] = _numbers(told["vector"])
    if "tags" in told:
        told["tags"] = _texts(told["tags"])
    return told
