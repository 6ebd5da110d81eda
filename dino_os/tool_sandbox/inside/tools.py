"""The sandbox's own tools, as they run inside: they use nothing that a skill could not."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:  # see keeper.py
    from collections.abc import Callable
    from typing import Any

_MOST_READ = 1 << 26


def python(code: str) -> Any:
    """Run *code*; the value of its last expression where that is JSON, else None."""
    import ast  # noqa: PLC0415

    names: dict[str, Any] = {"__name__": "__main__"}
    tree = ast.parse(code, "<code>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<code>", "exec"), names)  # noqa: S102  this is what it is for
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), "<code>", "eval"), names)  # noqa: S307
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return value


def file(path: str, content: str | None = None, mode: str = "r") -> Any:
    """Read *path* (mode r), or write (w) or append (a) *content* to it."""
    if mode == "r":
        with open(path, encoding="utf-8") as opened:
            return opened.read(_MOST_READ)
    with open(path, mode, encoding="utf-8") as opened:
        return opened.write(content or "")


def http(
    url: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    """Ask *url*, through the proxy that the environment names; status, headers and body."""
    import contextlib  # noqa: PLC0415
    import io  # noqa: PLC0415
    from urllib import error, request  # noqa: PLC0415

    data = body.encode() if body is not None else None
    asked = request.Request(url, data=data, headers=headers or {}, method=method)  # noqa: S310
    with contextlib.ExitStack() as stack:
        try:
            answer: Any = stack.enter_context(request.urlopen(asked))  # noqa: S310
        except error.HTTPError as refused:
            answer = stack.enter_context(refused)
        text = io.TextIOWrapper(io.BytesIO(answer.read(_MOST_READ)), "utf-8", "replace").read()
        return {"status": answer.status, "headers": dict(answer.headers), "body": text}


TOOLS: dict[str, Callable[..., Any]] = {"python": python, "file": file, "http": http}
"""By kind of job; a process that forked adds the functions that were registered in it."""
