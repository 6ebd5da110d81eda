"""
The mark `@skill`.

A mark is only a mark: the function stays what it was, and its tests call it directly.  What the
mark asks for is read from the file's syntax tree (`dino_os.skill_index`), never by running it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # every skill imports this, in a process of its own
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

MARK = "__dino_skill__"


if TYPE_CHECKING:

    @overload
    def skill(function: F, /) -> F: ...
    @overload
    def skill(
        *,
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        reaches: Sequence[str] = (),
        keys: Sequence[str] = (),
        programs: bool = False,
        timeout: str | float | None = None,
        memory: str | int | None = None,
        needs: dict[str, int] | None = None,
        retries: int = 0,
        idempotent: bool = False,
        on: str | Sequence[str] = (),
    ) -> Callable[[F], F]: ...


def skill(
    function: F | None = None,
    /,
    *,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    reaches: Sequence[str] = (),
    keys: Sequence[str] = (),
    programs: bool = False,
    timeout: str | float | None = None,
    memory: str | int | None = None,
    needs: dict[str, int] | None = None,
    retries: int = 0,
    idempotent: bool = False,
    on: str | Sequence[str] = (),
) -> F | Callable[[F], F]:
    """
    Mark a function as a skill and return it unchanged.

    Write the options as literals: they are read without running the file.

    Args:
        function: Given when the mark is used bare.
        reads: Files and folders it reads, relative to the workspace.
        writes: Files and folders it writes.
        reaches: Hosts it talks to.
        keys: Names of the secrets it uses.
        programs: Whether it starts other programs; they run in the same sandbox.
        timeout: Longest run, for example "30s", "5m", or seconds.
        memory: Most memory, for example "512MB", or bytes.
        needs: Resource pool → amount.
        retries: How often a failed run may be tried again.
        idempotent: Whether running it twice does no harm.
        on: Subjects of the message bus; it runs for each message on one, which it gets as its first
            argument.
    """
    asked = {
        "reads": tuple(reads),
        "writes": tuple(writes),
        "reaches": tuple(reaches),
        "keys": tuple(keys),
        "programs": programs,
        "timeout": timeout,
        "memory": memory,
        "needs": dict(needs or {}),
        "retries": retries,
        "idempotent": idempotent,
        "on": (on,) if isinstance(on, str) else tuple(on),
    }

    def mark(marked: F) -> F:
        setattr(marked, MARK, asked)
        return marked

    return mark(function) if function is not None else mark
