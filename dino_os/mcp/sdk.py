"""The protocol's own library: whether it is there (it is an extra), and what it raises."""

from __future__ import annotations

from importlib.util import find_spec

from dino_os.errors import DinoError


class SdkMissing(DinoError):
    """What speaks the protocol is not installed."""

    exit_code = 4


def check_sdk() -> None:
    """
    Find out before anything is begun.

    Raises:
        SdkMissing: It is not there.
    """
    if find_spec("mcp") is None:
        raise SdkMissing("the MCP library is not installed", hint="pip install 'dino-os[mcp]'")


def innermost(error: BaseException) -> BaseException:
    """What one of the library's tasks raised, without the groups that it comes in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
