"""Where the keys of this user's workspaces lie: outside all of them."""

from __future__ import annotations

import os
from pathlib import Path


def keys_folder() -> Path:
    """`$XDG_CONFIG_HOME/dino/keys`, else `~/.config/dino/keys`; it need not be there."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "dino", "keys")
