"""Journals and memory as resources: bounded, in pages, redacted, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from dino_os.errors import InvalidInput
from dino_os.mcp import resources
from dino_os.workspace import Workspace
from tests.mcp.conftest import asking

CANARY = "canary-7f3e9d2c1b0a"


def page(site: Workspace, uri: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.read(site, uri))
    return found


@pytest.fixture
def kept(site: Workspace) -> Workspace:
    """A journal of 250 lines, and memories."""
    site.own_journal("notes").append_many([("noted", {"n": n}) for n in range(249)])
    for n in range(3):
        site.memory_store.add(f"key{n}", {"n": n})
    site.memory_store.add("a b/c", "there", namespace="desk/7")
    return site


def test_a_client_reads_what_is_listed(kept: Workspace) -> None:
    """And finds the rest by what it read."""

    async def read_all(client: Any) -> list[dict[str, Any]]:
        listed = (await client.list_resources()).resources
        pages = [await client.read_resource(resource.uri) for resource in listed]
        return [json.loads(read.contents[0].text) for read in pages]

    journals, memory, *rest = asking(kept, read_all)
    assert {"name": "notes", "lines": 250, "uri": "dino://journal/notes"} in journals["journals"]
    assert memory["keys"] == ["key0", "key1", "key2"]
    assert memory["namespaces"] == ["", "desk/7"]
    assert "notes" in [one["journal"] for one in rest]

    async def listed(client: Any) -> list[str]:
        templates = (await client.list_resource_templates()).resource_templates
        return [template.uri_template for template in templates]

    assert "dino://journal/{name}{?from}" in asking(kept, listed)
    with pytest.raises(MCPError):
        asking(kept, lambda client: client.list_resources(), with_resources=False)


def test_a_journal_is_read_in_pages(kept: Workspace) -> None:
    """Its end first; from a number on, each page names the next."""
    last = page(kept, "dino://journal/notes")
    assert [event["seq"] for event in last["events"]] == [*range(150, 250)]
    assert last["next"] is None
    uri, seen = "dino://journal/notes?from=0", []
    while uri:
        found = page(kept, uri)
        seen += [event["seq"] for event in found["events"]]
        uri = found["next"]
    assert seen == [*range(250)]
    assert page(kept, "dino://journal/notes?from=999999")["events"] == []


def test_what_is_long_is_left_out_and_said(
    kept: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page has an end, whatever the lines are."""
    monkeypatch.setattr(resources, "_MOST_BYTES", 2_000)
    kept.own_journal("notes").append("noted", {"text": "x" * 3_000})
    first = page(kept, "dino://journal/notes?from=0")
    assert 0 < len(first["events"]) < 20
    (long,) = page(kept, "dino://journal/notes?from=250")["events"]
    assert long["left_out_bytes"] > 3_000
    assert "text" not in long
    kept.memory_store.add("long", "x" * 3_000)
    with pytest.raises(InvalidInput, match="more than"):
        page(kept, "dino://memory/entry?key=long")


def test_memory_is_read_by_namespace_and_key(
    kept: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages too."""
    assert page(kept, "dino://memory/entry?key=key1")["value"] == {"n": 1}
    assert page(kept, "dino://memory/entry?namespace=desk/7&key=a%20b%2Fc")["value"] == "there"
    monkeypatch.setattr(resources, "_KEYS", 2)
    first = page(kept, "dino://memory")
    assert first["keys"] == ["key0", "key1"]
    assert page(kept, first["next"])["keys"] == ["key2"]


def test_secrets_do_not_leave(kept: Workspace) -> None:
    """Those of the vault in any spelling, and what has the form of one."""
    kept.security.set_key("weather", CANARY)
    kept.own_journal("notes").append(
        "noted", {"text": f"Bearer {CANARY}", "hex": CANARY.encode().hex()}
    )
    token = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    kept.memory_store.add("mail", f"token {token}")
    text = resources.read(kept, "dino://journal/notes")
    assert CANARY not in text
    assert CANARY.encode().hex() not in text
    assert token not in resources.read(kept, "dino://memory/entry?key=mail")


def test_no_address_leads_anywhere_else(kept: Workspace) -> None:
    """A name is one of those there are, or none."""
    for uri in [
        "dino://journal/../vault/vault",
        "dino://journal/..%2Fvault%2Fvault",
        "dino://journal/%2e%2e/config",
        "dino://journal/..%252fvault%252fvault",
        "dino://journal/%6eotes",
        "dino://journal/\uff4eotes",
        "dino://journal//etc/passwd",
        "dino://journal/notes.000001",
        "dino://journal/notes/",
        "dino://journal/notes%00",
        "dino://journal/",
        "dino://journal/notes?from=-1",
        "dino://journal/notes?from=1e9",
        "dino://journal/notes?from=٣",
        "dino://journal/notes?from=1&from=2",
        "dino://journal/notes?path=/etc/passwd",
        "dino://journal/notes#x",
        "dino://user@journal/notes",
        "dino://memory/entry",
        "dino://memory/entry?key=../../config.yaml",
        "dino://memory/entry/key0",
        "dino://vault",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "journals",
        "dino://[",
        "dino://journal/" + "a" * 5_000,
        "",
    ]:
        with pytest.raises(InvalidInput):
            resources.read(kept, uri)
