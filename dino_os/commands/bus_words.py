"""What `dino bus` reads and shows of messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dino_os.errors import InvalidInput


def read_json(text: str | bytes, what: str) -> Any:
    """
    The JSON value that *text* is.

    Raises:
        InvalidInput: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = text if isinstance(text, str) else text.decode(errors="replace")
        raise InvalidInput(
            f"{what} is not JSON: {error}; found {shown.strip():.60}",
            hint="a text stands in quotes: '\"like this\"'",
        ) from None


def as_text(value: Any) -> str:
    """A message on one line."""
    return json.dumps(value, ensure_ascii=False)


def message_line(message: Mapping[str, Any]) -> str:
    """When it was said, where, and what."""
    return f"{message['published']}  {message['channel']}  {as_text(message['message'])}"
