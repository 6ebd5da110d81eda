"""What is called with a message: any function of it alone, or of it and its delivery."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any

from dino_os.errors import InvalidInput, MessageBusError
from dino_os.message_bus.delivery import Delivery

Callback = Callable[..., object]

_DELIVERY = "delivery"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class DoesNotFit(MessageBusError):
    """A message is not of the type that its subscriber asks for."""

    final = True


class Handler:
    """
    *callback*, ready to be called.

    Attributes:
        type: What its first parameter is annotated with; None where it takes any message.
        takes_delivery: Whether it wants to know of more than the message.

    Raises:
        InvalidInput: It is no function, or an async one, or its annotation cannot be looked up.
    """

    def __init__(self, callback: Callback) -> None:
        if not callable(callback):
            raise InvalidInput(f"a callback must be a function, found {callback!r}")
        if inspect.iscoroutinefunction(callback):
            raise InvalidInput(f"the callback {_name(callback)} is async; nobody would await it")
        self.callback = callback
        self.name = _name(callback)
        parameters = _parameters(callback)
        self.type = _type(callback, parameters[0]) if parameters else None
        self.takes_delivery = len(parameters) > 1 and parameters[1].name == _DELIVERY
        self._by_name = self.takes_delivery and parameters[1].kind not in _POSITIONAL
        self._reported: set[type] = set()

    def __call__(self, message: Any, delivery: Delivery | None, declared: Any = None) -> object:
        """
        Call it with *message*, which is its own from now on; what it returns.

        Args:
            delivery: None where it does not take one.
            declared: The type of the channel's messages, where the callback names none.

        Raises:
            DoesNotFit: The message is not what it takes; it was not called.
        """
        wanted = declared if self.type is None else self.type
        value = message if wanted is None else converted(message, wanted)
        if self._by_name:
            return self.callback(value, delivery=delivery)
        if self.takes_delivery:
            return self.callback(value, delivery)
        return self.callback(value)

    def report(self, channel: str, error: BaseException) -> None:
        """Say on standard error that it raised, once for each kind of error."""
        # One that fails a thousand times is not worth a thousand lines.
        if type(error) in self._reported:
            return
        self._reported.add(type(error))
        from traceback import format_exception_only  # noqa: PLC0415  only where something failed

        # One line, and none that a terminal would obey.
        shown = ascii(" ".join(format_exception_only(error)[-1].split())[:300])[1:-1]
        print(  # noqa: T201  whoever published did nothing wrong and is told nothing
            f"dino: {self.name}, subscribed to {channel!r}, raised {shown}", file=sys.stderr
        )


def converted(message: Any, wanted: Any) -> Any:
    """
    The JSON value *message* as a *wanted*: a dataclass, TypedDict, Struct, `list[int]`…

    Raises:
        DoesNotFit: It is none.
    """
    import msgspec  # noqa: PLC0415  for typed messages alone

    try:
        return msgspec.convert(message, wanted)
    except msgspec.ValidationError as error:
        raise DoesNotFit(f"the message does not fit: {error}") from None


def check_type(wanted: Any) -> None:
    """
    Refuse what no message can be converted to.

    Raises:
        InvalidInput: As said.
    """
    import msgspec  # noqa: PLC0415  as above

    try:
        msgspec.json.Decoder(wanted)
    except (TypeError, NameError) as error:
        raise InvalidInput(f"no type that messages can be held against: {error}") from None


def _name(callback: Callback) -> str:
    return str(getattr(callback, "__qualname__", None) or repr(callback))


def _parameters(callback: Callback) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(callback).parameters.values())
    except (TypeError, ValueError):  # some that are built in do not tell
        return []


def _type(callback: Callback, first: inspect.Parameter) -> Any:
    if first.annotation in (first.empty, Any, object, "Any", "object"):
        return None
    try:
        wanted = typing.get_type_hints(_function(callback)).get(first.name)
    except Exception as error:  # noqa: BLE001  whatever stands there is evaluated
        raise InvalidInput(
            f"the callback {_name(callback)}: its annotation {first.annotation!r} "
            f"cannot be looked up: {error}",
            hint="messages are held against it, so it must be there when the program runs",
        ) from None
    if wanted in (None, Any, object) or first.kind is first.VAR_POSITIONAL:
        return None
    check_type(wanted)
    return wanted


def _function(callback: Callback) -> Any:
    """Where the annotations of *callback* stand."""
    if isinstance(callback, functools.partial):
        return _function(callback.func)
    plain = inspect.isroutine(callback) or inspect.isclass(callback)
    return callback if plain else type(callback).__call__
