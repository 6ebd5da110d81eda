"""The nav mesh in a workspace: its keys in the vault, its rules from the settings."""

from dino_os.nav.keys import VaultKeys, for_workspace
from dino_os.nav.rules import rules_of

__all__ = ["VaultKeys", "for_workspace", "rules_of"]
