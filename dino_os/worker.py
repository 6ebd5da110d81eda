"""
The process in which a skill runs.

Started by `dino_os.runner` with nothing of the parent's but a request on standard input and one
descriptor for the reply.  It imports the skill's file, calls the function and writes one JSON
object:

    {"ok": true, "result": …}
    {"ok": false, "error": {"type": …, "message": …, "where": "file.py:12", "trace": […]}}

Everything the skill does, importing included, happens here.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import os
import resource
import sys
import traceback
from importlib import util
from pathlib import Path
from types import CodeType
from typing import Any


def main() -> None:
    reply_fd = int(sys.argv[1])
    request = json.load(sys.stdin)
    # The skill's input is empty, not the request's rest.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    file = Path(request["file"])
    try:
        reply = {"ok": True, "result": _run(request, file)}
        text = json.dumps(reply, ensure_ascii=False, allow_nan=False)
        data = text.encode()
    except BaseException as error:  # noqa: BLE001  whatever ends a skill is its outcome
        data = json.dumps({"ok": False, "error": _describe(error, file)}).encode()
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(reply_fd, "wb") as channel:
        channel.write(data)


def _run(request: dict[str, Any], file: Path) -> Any:
    if limit := request.get("memory_bytes"):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.path[:0] = [str(file.parent)]
    sys.path.append(request["workspace"])
    spec = util.spec_from_file_location(file.stem, file)
    if spec is None:
        raise ImportError(f"{file} cannot be imported")
    module = util.module_from_spec(spec)
    sys.modules[file.stem] = module
    exec(_code(file, request["sha256"]), module.__dict__)  # noqa: S102  this is what it is for
    result = getattr(module, request["name"])(**request["params"])
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _code(file: Path, sha256: str) -> CodeType:
    """The file's code, never a compiled copy: what runs is what the record names by its hash."""
    source = file.read_bytes()
    if hashlib.sha256(source).hexdigest() != sha256:
        raise ImportError(f"{file.name} was changed in this very moment; run it again")
    return compile(source, file, "exec", dont_inherit=True)


def _describe(error: BaseException, file: Path) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) == file]
    message = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    first = next((i for i, frame in enumerate(frames) if Path(frame.filename) == file), 0)
    return {
        "type": type(error).__name__,
        "message": message,
        "where": f"{file.name}:{own[-1].lineno}" if own else file.name,
        "trace": traceback.format_list(frames[first:])
        + traceback.format_exception_only(type(error), error),
    }


if __name__ == "__main__":
    try:
        import dino_os  # noqa: F401  where it is installed the skill finds it like anybody else
    except ImportError:
        sys.path.append(str(Path(__file__).resolve().parent.parent))
    main()
