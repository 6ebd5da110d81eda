"""
Who may do what.  Nothing is allowed that was not granted, save to the user, who holds the vault.

A permission is the name of a scope (all that is in it), of one thing in a scope, `tool:NAME` or
`key:NAME`; the last two may end in `*`.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from dino_os.errors import InvalidInput
from dino_os.security_gateway.model import USER
from engines.checks import did_you_mean

SCOPES = {
    "read": ("memory_get", "file_read", "bus_read", "schedule_read"),
    "write": ("memory_add", "file_write", "bus_publish", "provenance_tap"),
    "execute": ("tool_sandbox", "api_call"),
    "admin": ("key_management", "config_write", "schedule_write"),
}
_SCOPE_OF = {name: scope for scope, names in SCOPES.items() for name in names}
_NETWORK_TOOL = "http"
_named = re.compile(r"(tool|key):([\w.@:/+-]*)(\*?)").fullmatch
_entity = re.compile(r"[\w@.:/-]{1,128}").fullmatch


def checked_permission(permission: str) -> str:
    """
    *permission*, if there is such a one.

    Raises:
        InvalidInput: There is none.
    """
    found = _named(permission) if isinstance(permission, str) else None
    if permission in SCOPES or permission in _SCOPE_OF or (found and (found[2] or found[3])):
        return permission
    known = [*SCOPES, *_SCOPE_OF]
    raise InvalidInput(
        f"no permission named {permission!r}{did_you_mean(permission, known)}",
        hint=f"there are {', '.join(known)}, tool:NAME and key:NAME",
    )


def checked_entity(entity: str) -> str:
    """
    *entity*, if it can be the name of one who asks.

    Raises:
        InvalidInput: It cannot.
    """
    if isinstance(entity, str) and _entity(entity):
        return entity
    raise InvalidInput(
        f"not a name of an entity: {entity!r:.80}", hint='letters, digits and "@ . : / _ -"'
    )


def in_scope(scope: str, name: str) -> bool:
    return name in SCOPES.get(scope, ())


def may(entity: str, held: Collection[str], name: str) -> bool:
    """Whether one who *held* permissions may do what *name* stands for."""
    return entity == USER or name in held or _SCOPE_OF.get(name) in held


def may_use_key(entity: str, held: Collection[str], key: str) -> bool:
    return may(entity, held, "key_management") or _is_named(held, "key", key)


def may_run(entity: str, held: Collection[str], tool: str) -> bool:
    """Whether *entity* may use *tool*; what a scope names is a tool of that name too."""
    if tool in _SCOPE_OF:
        return may(entity, held, tool)
    right = "api_call" if tool == _NETWORK_TOOL else "tool_sandbox"
    return may(entity, held, right) or _is_named(held, "tool", tool)


def _is_named(held: Collection[str], kind: str, name: str) -> bool:
    for permission in held:
        found = _named(permission)
        if found and found[1] == kind:
            begin, wild = found[2], found[3]
            if name == begin or (wild and name.startswith(begin)):
                return True
    return False
