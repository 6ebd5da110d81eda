"""
Which hosts a skill may reach: what it declared, against every spelling somebody may ask with.

Owns the rules, the one spelling of a host, and what kind of address an address is.  Pure: nothing
is looked up or dialled here.  A host is canonicalised once; that form is what is compared, looked
up and recorded, so that no two parsers can see two hosts.

    api.weather.gov          that host, on ports 443 and 80
    api.weather.gov:8443     that host, on that port
    *.weather.gov            every host below it, not itself
    127.0.0.1:8080           an address; so also [::1]:8080
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from dino_os.errors import Denied, InvalidInput

Address = IPv4Address | IPv6Address

DEFAULT_PORTS = frozenset({80, 443})
_MAX_NAME = 253  # RFC 1035, as text without the final dot
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_MAX_PORT = 65535
# A name whose last label is one of these is what resolvers take for an address in an old spelling:
# 127.1, 0x7f.0.0.1, 0177.0.0.1, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_WOULD_DO = (
    "write a host, as in 'api.weather.gov', 'api.weather.gov:8443', '*.weather.gov', "
    "'127.0.0.1:8080' or '[::1]:8080'"
)

# The special-purpose registries of IANA, and where clouds answer questions about the machine.
# `ipaddress` has a list of its own, which differs between the versions of Python that Dino runs on.
_KINDS: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), kind)
    for kind, networks in {
        "metadata": "100.100.100.200 168.63.129.16 fd00:ec2::/32 fd20:ce::254 fd00:c1::a9fe:a9fe "
        "fd00:42::42",
        "unspecified": "0.0.0.0/8 ::",
        "loopback": "127.0.0.0/8 ::1",
        "link-local": "169.254.0.0/16 fe80::/10",
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 198.18.0.0/15 fc00::/7",
        "multicast": "224.0.0.0/4 ff00::/8",
        "reserved": "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.51.100.0/24 203.0.113.0/24 "
        "240.0.0.0/4 2001::/23 2001:db8::/32 3fff::/20",
    }.items()
    for network in networks.split()
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# What a name of the operator's own network may stand for.  The rest is nobody's host, or is a
# door to the machine itself, and must be asked for by its address.
_INTRANET = frozenset({"private", "loopback"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of a skill's `reaches`."""

    host: str  # canonical
    ports: frozenset[int] = DEFAULT_PORTS
    subdomains: bool = False  # every host below *host*, and not itself

    @classmethod
    def parse(cls, text: str) -> Rule:
        """
        The rule that *text* declares.

        Raises:
            InvalidInput: It is none.
        """
        try:
            host, port = split_authority(text)
            name = canonical(host.removeprefix("*."))
        except InvalidInput as error:
            raise InvalidInput(f"not a host to reach: {error}", hint=_WOULD_DO) from None
        subdomains = host.startswith("*.")
        if subdomains and (literal(name) or "." not in name):
            raise InvalidInput(
                f"not a host to reach: '{printable(text)}' leaves out whose subdomains are meant",
                hint=_WOULD_DO,
            )
        return cls(name, frozenset({port}) if port else DEFAULT_PORTS, subdomains)

    def names(self, host: str) -> bool:
        """Whether it is about *host*, which is canonical."""
        return host.endswith(f".{self.host}") if self.subdomains else host == self.host


class Allowed:
    """
    The hosts that one run may reach; without rules, none.

    Args:
        rules: What the skill declared and the operator granted.
        private_hosts: Names of the operator's own network: `nas.lan`, `*.corp.example`.  Only
            these may turn out to be private or loopback addresses.
    """

    def __init__(self, rules: Iterable[Rule], private_hosts: Iterable[str] = ()) -> None:
        if isinstance(private_hosts, str):
            raise TypeError("private_hosts is a list of names")  # and not of their letters
        self.rules = tuple(rules)
        if not all(isinstance(rule, Rule) for rule in self.rules):
            raise TypeError("rules are made by Rule.parse")
        self._private = tuple(_private_host(text) for text in private_hosts)

    def check(self, host: str, port: int) -> str:
        """
        *host* in its one spelling, where it may be reached on *port*.

        Raises:
            Denied: No rule allows it, or it is no host at all.
        """
        try:
            name = canonical(host)
        except InvalidInput as error:
            raise Denied(f"not a host that can be reached: {error}") from None
        if any(rule.names(name) and port in rule.ports for rule in self.rules):
            return name
        raise Denied(
            f"{authority(name, port)} is not among the hosts that this skill reaches",
            hint=f"add {_entry(name, port)!r} to its `reaches`",
        )

    def dialable(self, host: str, found: Iterable[str]) -> list[Address]:
        """
        Those of the addresses *found* for *host* that may be dialled; *host* is from `check`.

        Raises:
            Denied: None of them may.
        """
        if own := literal(host):
            return [own]  # a rule named it
        trusted = any(rule.names(host) for rule in self._private)
        addresses = [address for text in found if (address := literal(text))]
        may_be = {"public", *_INTRANET} if trusted else {"public"}
        good = [address for address in addresses if kind_of(address) in may_be]
        if not good:
            raise _refused(host, addresses)
        return good


def canonical(host: str) -> str:
    """
    The one spelling of *host*: small letters, no final dot; an address in its usual form.

    Raises:
        InvalidInput: It is no host.  Names in other scripts are refused too: what they are in
            ASCII differs between the versions of IDNA, and clients ask in ASCII.
    """
    shown = f"'{printable(host)}'"
    if not all("!" <= character <= "~" for character in host):
        raise InvalidInput(
            f"{shown} has characters that are in no host's name (in other scripts: its xn-- form)"
        )
    if ":" in host:
        address = None if "%" in host else literal(host)
        if address is None:
            raise InvalidInput(f"{shown} is not an address")
        return str(address)
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidInput(f"{shown} is not a host's name")
    if _NUMBER.fullmatch(labels[-1]) and literal(name) is None:
        raise InvalidInput(f"{shown} is not an address in its usual form, as in '192.0.2.1'")
    return name


def literal(host: str) -> Address | None:
    """The address that *host* is, as IPv4 where it is one in IPv6's clothes."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def kind_of(address: Address) -> str:
    """`public`, or what else *address* is; of one that wraps an IPv4 address, what that is."""
    inner = _wrapped(address)
    if inner is not None:
        return kind_of(inner)
    for network, kind in _KINDS:
        if address in network:
            return kind
    return "public" if address.version == 4 or address in _GLOBAL_UNICAST else "reserved"  # noqa: PLR2004


def _wrapped(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def split_authority(text: str) -> tuple[str, int | None]:
    """
    Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`; the host is not canonical yet.

    Raises:
        InvalidInput: The port is none, or it is none of these.
    """
    shown = f"'{printable(text)}'"
    if "@" in text:
        raise InvalidInput("a host is named without a user")  # nor shown: there may be a password
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or ":" not in host or (rest and not rest.startswith(":")):
            raise InvalidInput(f"{shown} is not an address in brackets")
        port = rest[1:] if rest else None
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
    if port is None:
        return host, None
    if not _PORT.fullmatch(port) or int(port) > _MAX_PORT:
        raise InvalidInput(f"{shown} has no port from 1 to {_MAX_PORT} after the host")
    return host, int(port)


def authority(host: str, port: int) -> str:
    """*host* and *port* as one text, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def printable(text: str, most: int = _MAX_NAME) -> str:
    """*text* for a record or a message: one line of ASCII, no longer than *most*."""
    return ascii(text[:most])[1:-1][:most]


def _refused(host: str, addresses: list[Address]) -> Denied:
    if not addresses:
        return Denied(f"{host} has no address")
    kind = kind_of(addresses[0])
    hint = "declare the address itself in `reaches`"
    if kind in _INTRANET:
        hint += f", or have the operator add {host!r} to `private_hosts`"
    return Denied(f"{host} stands for {addresses[0]}, a {kind} address", hint=hint)


def _entry(host: str, port: int) -> str:
    """What to declare in order to reach that."""
    return authority(host, port) if port not in DEFAULT_PORTS or ":" in host else host


def _private_host(text: str) -> Rule:
    rule = Rule.parse(text)
    if rule.ports != DEFAULT_PORTS:
        raise InvalidInput(
            f"a private host is named without a port: '{printable(text)}'",
            hint="its ports are those that skills declare in `reaches`",
        )
    return rule
