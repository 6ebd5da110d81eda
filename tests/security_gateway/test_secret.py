"""A `Secret` shows itself nowhere."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import StringIO
from pprint import pformat
from typing import Any

import msgspec
import orjson
import pytest
from rich.pretty import pretty_repr

from dino_os.secret import Secret, mask
from tests.security_gateway.conftest import CANARY, leaks

SECRET = Secret(CANARY)


@dataclass
class Account:
    name: str
    key: Secret


def log_of(secret: Secret) -> str:
    stream = StringIO()
    logger = logging.getLogger("test-secret")
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    logger.error("%s %r {}", secret, secret)
    logger.removeHandler(handler)
    return stream.getvalue()


def trace_of(secret: Secret) -> str:
    try:
        raise ValueError(secret, f"{secret}")  # noqa: TRY301
    except ValueError as error:
        made = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(made.format())


SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda s: f"{s:>40} {s!r} {s!s} {s!a}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031
    "join": lambda s: " ".join(map(str, [s])),
    "container": lambda s: repr([{"a": (s,)}]),
    "pretty": lambda s: pformat({"a": s}) + pretty_repr({"a": s}),
    "json": lambda s: json.dumps({"a": s}, default=str),
    "orjson": lambda s: orjson.dumps({"a": s}, default=str).decode(),
    "dataclass": lambda s: repr(Account("a", s)) + str(asdict(Account("a", s))),
    "copies": lambda s: repr((copy.copy(s), copy.deepcopy([s]))),
    "log": log_of,
    "traceback": trace_of,
    "attributes": lambda s: str([getattr(s, name, "") for name in ("__dict__", "__doc__")]),
}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_whatever_shows_it_shows_a_mask(show: Callable[[Secret], str]) -> None:
    shown = show(SECRET)
    assert not leaks(shown.encode())


REFUSING: dict[str, Callable[[Any], Any]] = {
    "json": json.dumps,
    "orjson": orjson.dumps,
    "msgspec": msgspec.json.encode,
    "builtins": msgspec.to_builtins,
    "pickle": pickle.dumps,
    "old pickle": lambda s: pickle.dumps(s, 0),
    "state": lambda s: s.__getstate__(),
    "hash": hash,
    "bytes": bytes,
    "len": len,
    "list": list,
    "join": "".join,
}


@pytest.mark.parametrize("take", REFUSING.values(), ids=REFUSING)
def test_what_would_carry_it_off_is_refused(take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        take(SECRET if take is not REFUSING["join"] else [SECRET])
    assert not leaks(repr(caught.value).encode())


def test_it_is_revealed_when_asked() -> None:
    assert SECRET.reveal() == CANARY
    assert Secret(CANARY) == SECRET
    assert SECRET == CANARY
    assert Secret("another") != SECRET
    assert SECRET != 5
    assert SECRET
    assert not Secret("")
    assert copy.deepcopy(SECRET) is SECRET


def test_it_does_not_change() -> None:
    secret = Secret("one")
    with pytest.raises(AttributeError):
        secret._value = "two"
    with pytest.raises(AttributeError):
        del secret._value
    assert secret.reveal() == "one"
    with pytest.raises(TypeError) as caught:
        Secret(CANARY.encode())  # type: ignore[arg-type]
    assert not leaks(str(caught.value).encode())


def test_a_mask_spares_only_what_is_long() -> None:
    assert mask("x" * 19) == mask("") == "••••••••"
    assert mask("x" * 16 + "last") == "••••••••last"
    assert Secret("x" * 16 + "last").masked() == "••••••••last"
