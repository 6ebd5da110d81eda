"""What somebody wants kept, checked: taken as it is, or refused with what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from dino_os.errors import InvalidInput
from dino_os.json_value import to_text
from dino_os.memory_layer.stored import VALUE_LIMIT, check_key, check_namespace
from engines import checks

Clean: TypeAlias = Callable[[Any], Any]
"""A JSON value without what may not be kept; the very same where there is nothing of it."""

_METADATA_LIMIT = 2**20
_TAGS, _TAG_LIMIT = 1_000, 256
_LONGEST_TTL_S = 1e11  # some three thousand years
_MOST_DIMENSIONS = 65_536
_NAMES = {
    *("key", "value", "embed", "namespace", "metadata", "tags", "ttl", "importance", "vector"),
}


class Item(NamedTuple):
    """
    An entry to be written.

    Attributes:
        value: As JSON.
        metadata: As JSON, or None.
        vector: float32, of length 1, as the file has it.
        ttl: Seconds from when it is written.
        created, updated, expires: Of one that was written before, elsewhere.
    """

    key: str
    value: str
    body: Any
    embed: bool
    namespace: str
    metadata: str | None
    tags: tuple[str, ...]
    ttl: float | None
    importance: float
    vector: bytes | None
    created: float | None = None
    updated: float | None = None
    expires: float | None = None


def item_of(
    key: str,
    value: Any,
    embed: bool = True,  # noqa: FBT001, FBT002  as the face has it
    *,
    namespace: str = "",
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    ttl: float | None = None,
    importance: float = 0.0,
    vector: Iterable[float] | None = None,
) -> Item:
    """
    What is to be kept, checked.

    Raises:
        InvalidInput: Something of it cannot be kept.
    """
    check_key(key)
    check_namespace(namespace)
    return Item(
        key=key,
        value=to_text(value, f"the value of {key!r}", VALUE_LIMIT),
        body=value,
        embed=bool(embed),
        namespace=namespace,
        metadata=_metadata_text(metadata, key),
        tags=checked_tags(tags),
        ttl=None if ttl is None else _checked_ttl(ttl),
        importance=_checked_importance(importance),
        vector=None if vector is None else packed(vector),
    )


def cleaned(item: Item, clean: Clean) -> Item:
    """
    *item* with no more in it than may be kept.

    Raises:
        InvalidInput: What may not be kept is in its names: they are not changed.
    """
    names = [item.key, item.namespace, *item.tags]
    metadata = json.loads(item.metadata) if item.metadata else None
    given = [names, item.body, metadata]
    kept = clean(given)
    if kept is given:
        return item
    if kept[0] != names:
        raise _not_kept()
    body = kept[1]
    return item._replace(
        value=to_text(body, f"the value of {item.key!r}", VALUE_LIMIT),
        body=body,
        metadata=_metadata_text(kept[2], item.key),
    )


def check_names(names: Iterable[str], clean: Clean | None) -> None:
    """
    Refuse names with something in them that may not be kept.

    Raises:
        InvalidInput: One is such.
    """
    found = [*names]
    if clean and found and clean(found) != found:
        raise _not_kept()


def _not_kept() -> InvalidInput:
    return InvalidInput(
        "a key, namespace or tag holds the value of a secret",
        hint="name it otherwise; in values and metadata it would be blotted out (memory.redact)",
    )


def item_from(given: object, what: str, clean: Callable[[Item], Item] | None = None) -> Item:
    """
    As `item_of`, from a mapping with those names, and *clean* of what comes of it.

    Raises:
        InvalidInput: It is none, with *what* in front.
    """
    if not isinstance(given, Mapping) or "key" not in given or "value" not in given:
        raise InvalidInput(f"{what}: expected a mapping with key and value")
    unknown = [name for name in given if name not in _NAMES]
    if unknown:
        found = checks.did_you_mean(str(unknown[0]), _NAMES)
        raise InvalidInput(f"{what}: unknown name {unknown[0]!r}{found}")
    try:
        item = item_of(**given)
        return clean(item) if clean else item
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}", hint=error.hint) from None


def _metadata_text(metadata: Mapping[str, Any] | None, key: str) -> str | None:
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise InvalidInput(f"the metadata of {key!r} must be a mapping, found {metadata!r}"[:200])
    text = to_text(dict(metadata), f"the metadata of {key!r}", _METADATA_LIMIT)
    return None if text == "{}" else text


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """
    Different tags, in order.

    Raises:
        InvalidInput: One is no text, blank or too long, or there are too many.
    """
    if isinstance(tags, str | bytes | Mapping) or not isinstance(tags, Iterable):
        raise InvalidInput(f"tags must be a list of texts, found {tags!r}"[:200])
    found = sorted({_checked_tag(tag) for tag in tags})
    if len(found) > _TAGS:
        raise InvalidInput(f"an entry has at most {_TAGS:,} tags, found {len(found):,}")
    return tuple(found)


def _checked_tag(tag: object) -> str:
    if not isinstance(tag, str) or not tag.strip():
        raise InvalidInput(f"a tag must be text, and not blank, found {tag!r}"[:200])
    check_key(tag, "tag")
    if len(tag.encode()) > _TAG_LIMIT:
        raise InvalidInput(f"the tag {tag[:40]!r}… is larger than {_TAG_LIMIT} bytes")
    return tag


def _checked_ttl(ttl: Any) -> float:
    seconds = checks.finite(ttl, "ttl")
    if not 0 < seconds <= _LONGEST_TTL_S:
        raise InvalidInput(f"ttl must be seconds above 0, found {ttl!r}")
    return seconds


def _checked_importance(importance: Any) -> float:
    found = checks.at_least(importance, 0, "importance")
    if found > 1:
        raise InvalidInput(f"importance is between 0 and 1, found {importance!r}")
    return found


def packed(vector: Iterable[float]) -> bytes:
    """
    A vector as the file has it: float32, little-endian, of length 1; zeros stay zeros.

    Raises:
        InvalidInput: It is none.
    """
    import numpy as np  # noqa: PLC0415  where an entry comes with a vector

    if isinstance(vector, str | bytes | Mapping):
        raise InvalidInput("a vector must be a list of numbers")
    try:
        numbers = np.asarray(vector if hasattr(vector, "__len__") else [*vector])
    except (TypeError, ValueError):
        raise InvalidInput("a vector must be a list of numbers") from None
    if numbers.ndim != 1 or not 0 < len(numbers) <= _MOST_DIMENSIONS:
        raise InvalidInput(
            f"a vector is a list of 1 to {_MOST_DIMENSIONS:,} numbers, found {numbers.shape}"
        )
    if numbers.dtype.kind not in "fiu":
        raise InvalidInput("a vector must be a list of numbers")
    exact = numbers.astype(np.float64)
    largest = float(np.abs(exact).max())
    if not math.isfinite(largest):
        raise InvalidInput("the numbers of a vector must be finite")
    if largest:
        exact /= largest  # so that no square of one is too large or too small
        exact /= math.sqrt(float(exact @ exact))
    return exact.astype("<f4").tobytes()


_FIRST_S, _LAST_S = -62_135_510_400.0, 253_402_214_400.0  # the years 1 to 9999, but for a day


def moment(at: object) -> float:
    """
    Seconds since the epoch, a time, or a time as text, in seconds since the epoch.

    Raises:
        InvalidInput: It is none of these.
    """
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            raise InvalidInput(
                f"not a time: {at!r}"[:200], hint="as 2026-11-01T12:00, UTC unless it says more"
            ) from None
    if isinstance(at, datetime):
        return checks.utc(at).timestamp()
    found = checks.finite(at, "a time")
    if not is_shown(found):
        raise InvalidInput(f"not a time: {at!r}"[:200], hint="the years 1 to 9999 have times")
    return found


def is_shown(at: float) -> bool:
    """Whether it is a time, seconds since the epoch, that can be written as one."""
    return _FIRST_S <= at < _LAST_S


def tags_text(tags: Iterable[str]) -> str:
    return json.dumps([*tags], ensure_ascii=False, separators=(",", ":"))
