"""Where the gates' keys are: the vault in a workspace, what is installed, else a file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dino_os.nav import VaultKeys, for_workspace
from dino_os.security_gateway.model import VaultLocked
from dino_os.workspace import Workspace
from engines.nav_mesh import FileKeys, KeysBroken, NavigationMesh
from engines.nav_mesh.keys import GROUP, installed_keys


@pytest.fixture
def owned(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    return home


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str, name: str = "x") -> None:
    """A package that says where the keys are, on the path as an installed one."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nvault = {value}\n")
    monkeypatch.syspath_prepend(str(folder))


OURS = "dino_os.nav.keys:for_workspace"


def test_a_bare_nav_mesh_takes_the_workspaces_vault(
    owned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is installed: the engine knows no vault.  The workspace's own gates then agree."""
    install(tmp_path / "site", monkeypatch, OURS)
    nav = NavigationMesh()
    assert nav.journal.path == owned / "memory" / "gate_log.jsonl"  # type: ignore[union-attr]
    token = nav.issue_token("info", "ada")
    assert nav.navigate("info", token, "ada")[0]
    workspace = Workspace(owned)
    assert workspace.security.list_keys() == ["gate/info"]
    assert not (owned / "memory" / "gate_log.keys").exists()
    other = workspace.nav
    assert other.issuer == workspace.origin()
    assert other.decide("info", token, "ada").allowed
    assert other.pseudonym("ada") == nav.pseudonym("ada")
    other.issue_token("info", "ada")
    assert len(other.keys) == 1


def test_where_nothing_is_installed_a_file_beside_the_log_holds_them(
    owned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    nav = NavigationMesh()
    assert nav.navigate("info", nav.issue_token("info", "ada"), "ada")[0]
    file = owned / "memory" / "gate_log.keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # And whoever comes with the vault goes on with a key of its own; what is out stays good.
    token = nav.issue_token("info", "ada")
    vault = Workspace(owned).nav
    assert vault.decide("info", vault.issue_token("info", "ada"), "ada").allowed
    assert vault.decide("info", token, "ada").allowed


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (("no_such_module:x",), "cannot be loaded"),
        ((OURS, "tests.elsewhere:keys"), "several packages"),
    ],
)
def test_what_is_installed_wrongly_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: tuple[str, ...], problem: str
) -> None:
    from importlib import metadata

    points = [metadata.EntryPoint("vault", value, GROUP) for value in values]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)
    with pytest.raises(KeysBroken, match=problem):
        installed_keys(tmp_path)


def test_the_same_package_listed_twice_is_one(owned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    points = [metadata.EntryPoint("vault", OURS, GROUP)] * 2
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)
    assert isinstance(installed_keys(owned / "memory"), VaultKeys)
    assert isinstance(for_workspace(owned / "memory"), VaultKeys)


def test_the_package_says_where_its_keys_are() -> None:
    """The entry that installing Dino makes."""
    import tomllib

    from tests.conftest import REPOSITORY

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert [*project["entry-points"][GROUP].values()] == [OURS]


def test_a_key_that_is_none_is_said(owned: Path) -> None:
    workspace = Workspace(owned)
    workspace.security.set_key("gate/info", "hello")
    with pytest.raises(KeysBroken, match="none of a gate's"):
        workspace.gate_keys.load("info")


@pytest.mark.parametrize("content", ["{}", "[]", "x", '{"pseudonyms": "00"}', '{"pseudonyms": 7}'])
def test_a_file_of_keys_that_is_none_is_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "gate_log.keys"
    file.write_text(content)
    with pytest.raises(KeysBroken, match="not the gates' keys"):
        FileKeys(file).pseudonyms()
    assert file.read_text() == content


def test_keys_of_a_file_are_kept(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "gates.keys")
    assert keys.load("info") is None
    keys.save("info", b"i" * 32)
    keys.save("myth", b"m" * 32)
    again = FileKeys(tmp_path / "gates.keys")
    assert (again.load("info"), again.load("myth")) == (b"i" * 32, b"m" * 32)
    assert again.pseudonyms() == keys.pseudonyms()


def test_a_rehearsal_issues_nothing(owned: Path) -> None:
    """Neither journal nor vault are there afterwards."""
    nav = Workspace(owned, rehearsal=True).nav
    with pytest.raises(Exception, match="recorded"):
        nav.issue_token("info", "ada")
    assert not (owned / "memory" / "vault").exists()


def test_who_decides_needs_no_passphrase_who_issues_does(
    owned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests come by night too, when nobody is there to open the vault."""
    first = Workspace(owned)
    token = first.nav.issue_token("info", "ada")
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE_NEW", "open sesame")
    assert first.security.relock("passphrase") == "passphrase"
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE_NEW")
    locked = Workspace(owned).nav
    assert locked.decide("info", token, "ada").allowed
    with pytest.raises(VaultLocked):
        locked.issue_token("info", "ada")
    with pytest.raises(VaultLocked):
        locked.rotate("info")
    assert locked.decide("info", token, "ada").allowed
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE", "open sesame")
    assert Workspace(owned).nav.attenuate(token)


def test_as_many_processes_as_there_are_may_issue(owned: Path) -> None:
    """The key is Dino's own: recorded each time, and not limited as a skill is."""
    (owned / "config.yaml").write_text("security: {rate_limit: {burst: 1}}\n")
    for _ in range(4):
        Workspace(owned).nav.issue_token("info", "ada")
    record = (owned / "memory" / "security_log.jsonl").read_text()
    assert record.count('"key_accessed"') == 3
