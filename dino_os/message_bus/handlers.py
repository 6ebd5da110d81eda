"""What is called with a message: any function of it alone, or of it and its delivery."""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any, get_args

from dino_os.errors import InvalidInput, MessageBusError
from dino_os.message_bus.delivery import Delivery
from dino_os.message_bus.failure import error_text
from dino_os.message_bus.wanted import can_convert, looked_up, wanted_by

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
        wanted: What its first parameter is annotated with; None where it takes any message.
        takes_delivery: Whether it wants to know of more than the message.

    Args:
        clean: What may be shown of an error's text.
        strict: Hold messages also against a type that only names what JSON has, as `dict` does.

    Raises:
        InvalidInput: It is no function, or an async one.
    """

    def __init__(
        self, callback: Callback, clean: Callable[[str], str] = str, *, strict: bool = True
    ) -> None:
        if not callable(callback):
            raise InvalidInput(f"a callback must be a function, found {callback!r}")
        if inspect.iscoroutinefunction(callback):
            raise InvalidInput(f"the callback {_name(callback)} is async; nobody would await it")
        self.callback = callback
        self._clean = clean
        self.name = _name(callback)
        parameters = _parameters(callback)
        self.wanted = wanted_by(callback, parameters[0]) if parameters else None
        self._strict = strict
        self.takes_delivery = len(parameters) > 1 and _is_delivery(callback, parameters[1])
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
        value = self._value(message, declared)
        if self._by_name:
            return self.callback(value, delivery=delivery)
        if self.takes_delivery:
            return self.callback(value, delivery)
        return self.callback(value)

    def _value(self, message: Any, declared: Any) -> Any:
        if self.wanted is None:
            return message if declared is None else converted(message, declared)
        if self.wanted.is_bare and not self._strict and declared is None:
            return message
        return converted(message, self.wanted.type)

    def report(self, channel: str, error: BaseException) -> None:
        """Say on standard error that it raised, once for each kind of error."""
        # One that fails a thousand times is not worth a thousand lines.
        if type(error) in self._reported:
            return
        self._reported.add(type(error))
        # One line, and none that a terminal would obey.
        shown = ascii(self._clean(error_text(error))[:300])[1:-1]
        with contextlib.suppress(OSError, ValueError):  # standard error may be closed
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
    if not can_convert(wanted):
        raise InvalidInput(f"no type that messages can be held against: {wanted!r}")


def _name(callback: Callback) -> str:
    return str(getattr(callback, "__qualname__", None) or repr(callback))


def _parameters(callback: Callback) -> list[inspect.Parameter]:
    try:
        found = inspect.signature(callback, follow_wrapped=False)
    except (TypeError, ValueError):  # some that are built in do not tell
        return []
    return list(found.parameters.values())


def _is_delivery(callback: Callback, second: inspect.Parameter) -> bool:
    """Whether it is for that, and no option of somebody else's that has the same name."""
    if second.name != _DELIVERY:
        return False
    if second.default is second.empty:
        return True
    if isinstance(second.annotation, str):  # perhaps of what only the type checker imports
        return bool(re.search(r"\bDelivery\b", second.annotation))
    found = looked_up(callback, second.annotation)
    return Delivery in (found, *get_args(found))
