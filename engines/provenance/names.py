"""
Identifiers as qualified names of PROV, and back: `order:7/é` ⇄ `order:7/%C3%A9`.

What stands before the first colon is the prefix, where it can be one; what no local part may hold
is percent-encoded (RFC 3986), so that the same text stands in PROV-JSON and in PROV-N.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

PROV = "http://www.w3.org/ns/prov#"
XSD = "http://www.w3.org/2001/XMLSchema"
DEFAULT = "default"
_OWN = "urn:dino:"
OURS = "dino"
"""The prefix of attributes that have none of their own."""
_SAFE = "/@~&+*?#$!_-."  # of PROV-N's PN_CHARS_OTHERS and PN_CHARS, and what quote() keeps anyway
_prefix = re.compile(r"[A-Za-z][A-Za-z0-9_-]*").fullmatch


def qualified(id_: str) -> str:
    """The qualified name of an identifier."""
    prefix, local = split(id_)
    return f"{prefix}:{_encoded(local)}" if prefix else _encoded(local)


def identifier(name: str) -> str:
    """The identifier of a qualified name: what `qualified` was given."""
    prefix, colon, local = name.partition(":")
    return f"{prefix}:{unquote(local)}" if colon else unquote(prefix)


def split(id_: str) -> tuple[str, str]:
    """The prefix ("" where there is none) and the local part."""
    prefix, colon, local = id_.partition(":")
    if colon and local and _prefix(prefix) and prefix != DEFAULT:
        return prefix, local
    return "", id_


def prefixes(ids: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Prefix → namespace of all that *ids* use; what nobody named is Dino's own."""
    used = {split(id_)[0] for id_ in ids} - {"prov", "xsd"}
    found = {name or DEFAULT: f"{_OWN}{name or 'node'}:" for name in used}
    return {name: known.get(name, uri) for name, uri in sorted(found.items())}


def attribute(name: str) -> str:
    """The qualified name of an attribute."""
    return qualified(name) if split(name)[0] else f"{OURS}:{_encoded(name)}"


def own_attribute(name: str) -> str:
    """What `attribute` was given."""
    prefix, _, local = name.partition(":")
    return unquote(local) if prefix == OURS and ":" not in unquote(local) else identifier(name)


def _encoded(local: str) -> str:
    found = quote(local, safe=_SAFE)
    # A local part neither begins with these nor ends in a dot.
    if found[0] in "-.":
        found = f"%{ord(found[0]):02X}{found[1:]}"
    return f"{found[:-1]}%2E" if found.endswith(".") else found
