"""Which hosts a skill may reach: what was declared, and no other by any spelling."""

from __future__ import annotations

import re
import socket
import string
from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dino_os.errors import Denied, InvalidInput
from dino_os.tool_sandbox.egress.hosts import Allowed, Rule, canonical, kind_of, literal, printable

DECLARED = ("api.weather.gov", "*.wild.example", "127.0.0.1:8080", "[::1]:8080", "late.gov:8443")
ALLOWED = Allowed(map(Rule.parse, DECLARED))


def allows(host: str, port: int, allowed: Allowed = ALLOWED) -> str | None:
    try:
        return allowed.check(host, port)
    except Denied:
        return None


# --- what can be declared --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "ports", "subdomains"),
    [
        ("api.weather.gov", "api.weather.gov", {80, 443}, False),
        ("API.Weather.GOV.", "api.weather.gov", {80, 443}, False),
        ("api.weather.gov:8443", "api.weather.gov", {8443}, False),
        ("*.weather.gov", "weather.gov", {80, 443}, True),
        ("*.weather.gov:8443", "weather.gov", {8443}, True),
        ("127.0.0.1:8080", "127.0.0.1", {8080}, False),
        ("[::1]:8080", "::1", {8080}, False),
        ("[0:0::0:1]", "::1", {80, 443}, False),
        ("nas", "nas", {80, 443}, False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", {80, 443}, False),
    ],
)
def test_a_declared_host_is_read(text: str, host: str, ports: set[int], subdomains: bool) -> None:
    assert Rule.parse(text) == Rule(host, frozenset(ports), subdomains)


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "*.", "*.com", "*.*.gov", "a.*.gov", "*weather.gov", "w*.gov", "*.1.2.3.4", "*.[::1]",
        "https://api.weather.gov", "api.weather.gov/", "api.weather.gov/path", "//api.weather.gov",
        "user@api.weather.gov", "user:word@api.weather.gov:80", " api.weather.gov", "api.weather.gov ",
        "api weather.gov", "api.weather.gov\n", "api.weather.gov\x00.evil.com", "a..gov", ".gov", "a.gov..",
        "-a.gov", "a-.gov", "a" * 64 + ".gov", ".".join(["a" * 60] * 5), "bücher.example", "\uff41pi.weather.gov",
        "api。weather。gov", "api.weather.gov:", "api.weather.gov:0", "api.weather.gov:65536", "a.gov:080",
        "a.gov:+80", "a.gov:8_0", "a.gov:\uff18\uff10", "a.gov:http", "a.gov:80:80", "::1", "::1:8080", "[::1", "[::1]8080",
        "[::1]:", "[127.0.0.1]:80", "[fe80::1%eth0]:80", "[v1.x]:80", "127.1:80", "127.0.1:80", "2130706433",
        "0x7f.0.0.1:80", "0177.0.0.1:80", "127.0.0.01:80", "0x7f000001", "1.2.3.4.5", "256.1.1.1", "a.gov.1", "a.0x1",
        "a,b", "a;b", "a\\b", "a%2eb.gov", "a?b", "a#b", "(a)",
    ],
)  # fmt: skip
def test_what_is_no_host_cannot_be_declared(text: str) -> None:
    """The error says what would do, in one line."""
    with pytest.raises(InvalidInput, match="not a host to reach: ") as error:
        Rule.parse(text)
    assert error.value.hint
    assert "api.weather.gov:8443" in error.value.hint
    assert str(error.value).isprintable()


def test_without_rules_nothing_is_allowed() -> None:
    """An empty list is no list of all."""
    nothing = Allowed([])
    assert [
        host for host in ("api.weather.gov", "127.0.0.1", "::1") if allows(host, 80, nothing)
    ] == []


@pytest.mark.parametrize("rules", [None, "api.weather.gov", ["api.weather.gov"], [None]])
def test_only_rules_are_rules(rules: object) -> None:
    with pytest.raises(TypeError):
        Allowed(rules)  # type: ignore[arg-type]


def test_private_hosts_are_names_without_ports() -> None:
    with pytest.raises(TypeError):
        Allowed([], private_hosts="nas.lan")
    with pytest.raises(InvalidInput, match="without a port"):
        Allowed([], private_hosts=["nas.lan:8080"])


# --- who is let through ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("api.weather.gov", 443, "api.weather.gov"),
        ("api.weather.gov", 80, "api.weather.gov"),
        ("API.WEATHER.GOV", 443, "api.weather.gov"),
        ("api.weather.gov.", 443, "api.weather.gov"),
        ("late.gov", 8443, "late.gov"),
        ("a.wild.example", 443, "a.wild.example"),
        ("a.b.c.wild.example", 80, "a.b.c.wild.example"),
        ("127.0.0.1", 8080, "127.0.0.1"),
        ("::1", 8080, "::1"),
        ("0:0:0::1", 8080, "::1"),
        # The addresses they are: refused, or compared as such.
        ("::ffff:127.0.0.1", 8080, "127.0.0.1"),
        ("::FFFF:7f00:1", 8080, "127.0.0.1"),
    ],
)
def test_what_was_declared_is_let_through(host: str, port: int, name: str) -> None:
    """Under its one spelling, whichever was asked for."""
    assert ALLOWED.check(host, port) == name


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("api.weather.gov", 8443), ("api.weather.gov", 22), ("late.gov", 443), ("127.0.0.1", 80), ("::1", 443),
        ("weather.gov", 443), ("x.api.weather.gov", 443), ("evilapi.weather.gov", 443), ("api.weather.gov.evil.com", 443),
        ("wild.example", 443), ("evilwild.example", 443), (".wild.example", 443), ("a..wild.example", 443), ("*.wild.example", 443),
        ("a.wild.example.evil.com", 443), ("wild.example.a", 443), ("api-weather.gov", 443), ("api.weather.gov..", 443),
        ("evil.com\x00.wild.example", 443), ("evil.com\x00api.weather.gov", 443), ("api.weather.gov\x00", 443),
        ("api.weather.gov\r\nHost: evil.com", 443), ("api.weather.gov ", 443), ("\tapi.weather.gov", 443),
        ("evil.com#.wild.example", 443), ("evil.com/.wild.example", 443), ("evil.com?.wild.example", 443),
        ("evil.com\\.wild.example", 443), ("evil.com%00.wild.example", 443), ("user@a.wild.example", 443),
        ("\uff41pi.weather.gov", 443), ("api。weather。gov", 443), ("ap\u0131.weather.gov", 443), ("\u0430pi.weather.gov", 443),
        ("127.1", 8080), ("127.0.1", 8080), ("0x7f.0.0.1", 8080), ("0x7F000001", 8080), ("0177.0.0.1", 8080),
        ("2130706433", 8080), ("017700000001", 8080), ("127.0.0.01", 8080), ("127.00.0.1", 8080), ("127.0.0.1:8080", 8080),
        ("0.0.0.0", 8080), ("0", 8080), ("127.0.0.2", 8080), ("[::1]", 8080), ("::", 8080), ("::1%lo", 8080), ("::127.0.0.1", 8080),
        ("64:ff9b::127.0.0.1", 8080), ("2002:7f00:1::", 8080), ("::ffff:0:127.0.0.1", 8080), ("localhost", 8080), ("", 443),
    ],
)  # fmt: skip
def test_nothing_else_is(host: str, port: int) -> None:
    with pytest.raises(Denied) as refusal:
        ALLOWED.check(host, port)
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("host", "port", "entry"),
    [
        ("api.noaa.gov", 443, "'api.noaa.gov'"),
        ("API.noaa.gov.", 80, "'api.noaa.gov'"),
        ("api.noaa.gov", 8443, "'api.noaa.gov:8443'"),
        ("::2", 8080, "'[::2]:8080'"),
        ("10.0.0.1", 443, "'10.0.0.1'"),
    ],
)
def test_a_refusal_says_which_entry_is_missing(host: str, port: int, entry: str) -> None:
    """And with that entry it would have been let through."""
    with pytest.raises(Denied) as refusal:
        ALLOWED.check(host, port)
    assert refusal.value.hint is not None
    assert entry in refusal.value.hint
    assert allows(host, port, Allowed([Rule.parse(entry.strip("'"))]))


# --- and where the name leads ----------------------------------------------------------------

KINDS = {
    "public": "8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 11.0.0.1 2606:4700::1111 64:ff9b::808:808 2002:808:808::1 ::ffff:8.8.8.8",
    "loopback": "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::",
    "private": "10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 198.18.0.1 fc00::1 fdff::1 ::ffff:10.0.0.1 "
    "64:ff9b::10.0.0.1 2002:c0a8:101::",
    "link-local": "169.254.169.254 169.254.0.1 fe80::1 febf::1 ::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::",
    "metadata": "fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42 100.100.100.200 168.63.129.16 "
    "::ffff:100.100.100.200",
    "multicast": "224.0.0.1 239.255.255.255 ff02::1 ::ffff:224.0.0.1",
    "unspecified": "0.0.0.0 0.1.2.3 :: ::ffff:0.0.0.0",
    "reserved": "240.0.0.1 255.255.255.255 192.0.0.192 192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 2001::1 ::7f00:1 "
    "::ffff:0:127.0.0.1 64:ff9b:1::7f00:1 fec0::1 100::1 5f00::1 3fff::1 4000::1",
}  # fmt: skip
ADDRESSES = [(address, kind) for kind, texts in KINDS.items() for address in texts.split()]


@pytest.mark.parametrize(("text", "kind"), ADDRESSES)
def test_the_kind_of_an_address_is_what_its_number_says(text: str, kind: str) -> None:
    """Also of one inside another: mapped, 6to4 and NAT64 lead to the address that they wrap."""
    address = literal(text)
    assert address is not None
    assert kind_of(address) == kind
    assert kind_of(ip_address(text)) == kind


@pytest.mark.parametrize(("text", "kind"), ADDRESSES)
def test_a_name_leads_to_public_addresses_only(text: str, kind: str) -> None:
    """Private and loopback ones are for the operator to allow; the others for nobody."""
    rules = [Rule.parse("host.example")]
    for private_hosts, good in (
        ([], {"public"}),
        (["host.example"], {"public", "private", "loopback"}),
    ):
        allowed = Allowed(rules, private_hosts)
        if kind in good:
            assert allowed.dialable("host.example", [text]) == [literal(text)]
        else:
            with pytest.raises(Denied, match=f"a {kind} address"):
                allowed.dialable("host.example", [text])


def test_only_the_good_ones_of_several_addresses_are_dialled() -> None:
    found = [
        "127.0.0.1",
        "8.8.8.8",
        "169.254.169.254",
        "fe80::1%lo",
        "not an address",
        "2606:4700::1",
    ]
    good = ALLOWED.dialable("api.weather.gov", found)
    assert [str(address) for address in good] == ["8.8.8.8", "2606:4700::1"]


def test_a_name_without_addresses_is_refused() -> None:
    with pytest.raises(Denied, match="no address"):
        ALLOWED.dialable("api.weather.gov", [])


def test_an_address_that_a_rule_names_is_dialled_whatever_it_is() -> None:
    """Also the one where clouds answer questions about the machine: somebody wrote it down."""
    allowed = Allowed([Rule.parse("169.254.169.254:80")])
    host = allowed.check("169.254.169.254", 80)
    assert [str(address) for address in allowed.dialable(host, [])] == ["169.254.169.254"]


def test_the_operators_wildcard_is_about_names_below() -> None:
    allowed = Allowed(
        [Rule.parse("nas.corp.example:8080"), Rule.parse("corp.example")], ["*.corp.example"]
    )
    assert allowed.dialable("nas.corp.example", ["10.0.0.1"])
    with pytest.raises(Denied, match="a private address"):
        allowed.dialable("corp.example", ["10.0.0.1"])


_TEXT = re.ASCII | re.IGNORECASE


# --- laws ------------------------------------------------------------------------------------


def model(host: str, port: int) -> str | None:  # noqa: PLR0911  a case each
    """What `check` must answer, said another way: by expressions, and by the C library."""
    if re.fullmatch(r"api\.weather\.gov\.?", host, _TEXT) and port in {80, 443}:
        return "api.weather.gov"
    if re.fullmatch(r"late\.gov\.?", host, _TEXT) and port == 8443:
        return "late.gov"
    label = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
    below = re.fullmatch(rf"((?:{label}\.)+wild\.example)\.?", host, _TEXT)
    if below and port in {80, 443} and len(below[1]) <= 253:
        return below[1].lower()
    if port == 8080 and host in {"127.0.0.1", "127.0.0.1."}:
        return "127.0.0.1"
    if port == 8080 and ":" in host and host.isascii() and "\0" not in host:
        try:
            number = int.from_bytes(socket.inet_pton(socket.AF_INET6, host), "big")
        except OSError:
            return None
        return {1: "::1", 0xFFFF7F000001: "127.0.0.1"}.get(number)
    return None


def numeric(parts: list[int], bases: list[int]) -> str:
    """127.0.0.1 as old resolvers read it: in fewer parts, in any base."""
    written = [
        {8: f"0{part:o}", 10: f"{part}", 16: f"0x{part:x}"}[base]
        for part, base in zip(parts, bases, strict=False)
    ]
    return ".".join(written)


bases = st.lists(st.sampled_from([8, 10, 16]), min_size=4, max_size=4)
labels = st.text(string.ascii_letters + string.digits + "-_", min_size=0, max_size=64)
known = st.sampled_from(
    ["api.weather.gov", "late.gov", "a.wild.example", "wild.example", "127.0.0.1", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "::ffff:7f00:1"]
)  # fmt: skip
numbers = st.builds(
    numeric, st.sampled_from([[127, 0, 0, 1], [127, 0, 1], [127, 1], [2130706433]]), bases
)
below = st.builds(lambda more, base: ".".join([*more, base]), st.lists(labels, max_size=5), known)
strange = st.sampled_from(list("\x00\t\n\r /\\@#?%:[]*.-_aA0é。\uff41\u212a\u017f"))


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A host that may be one of those, bent here and there."""
    host = draw(st.one_of(known, numbers, below))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(host)))
        bend = draw(st.sampled_from(["case", "dot", "insert", "drop", "replace", "none"]))
        if bend == "case":
            host = host[:at] + host[at:].swapcase()
        elif bend == "dot":
            host += "."
        elif bend == "insert":
            host = host[:at] + draw(strange) + host[at:]
        elif bend == "drop":
            host = host[:at] + host[at + 1 :]
        elif bend == "replace":
            host = host[:at] + draw(strange) + host[at + 1 :]
    return host


ports = st.sampled_from([80, 443, 8080, 8443, 1])


@settings(max_examples=150)
@given(spellings() | st.text(max_size=300), ports)
@example("127.0.0.1.", 8080)
@example("\u212aELVIN.wild.example", 443)
@example(".".join(["a" * 63] * 3) + ".wild.example", 443)
def test_check_accepts_exactly_what_a_simple_model_accepts(host: str, port: int) -> None:
    assert allows(host, port) == model(host, port)


@given(spellings() | st.text(max_size=300))
def test_the_one_spelling_has_one_spelling(text: str) -> None:
    """What is canonical stays as it is, and a rule of it names it."""
    try:
        host = canonical(text)
    except InvalidInput:
        return
    assert canonical(host) == host
    assert re.fullmatch(r"[a-z0-9_.:-]{1,253}", host, re.ASCII)
    rule = Rule.parse(f"[{host}]:80" if ":" in host else f"{host}:80")
    assert rule.host == host


@given(st.text(max_size=2000))
def test_a_text_for_the_record_is_one_short_line(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 253
    assert shown.isascii()
    assert not shown or shown.isprintable()
