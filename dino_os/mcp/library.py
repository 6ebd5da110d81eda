"""What the skills of servers import, once for a keeper that runs many of them."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # an extra; whoever needs it is told
    import mcp.client.stdio
    import mcp.client.streamable_http  # noqa: F401

    import dino_os.mcp.inside  # noqa: F401
