"""
Memories to search: what the standard library says of itself, read at run time.

One memory is one public function, class or method: its dotted name, and its docstring.  Which those
are differs a little between Python's versions; what the queries ask for is in all of them.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MODULES = """
abc argparse ast asyncio atexit base64 bisect bz2 calendar codecs collections colorsys
configparser contextlib copy csv datetime decimal difflib dis email.utils enum faulthandler
filecmp fileinput fnmatch fractions functools gc getpass gettext glob graphlib gzip hashlib
heapq hmac html http.client http.server importlib inspect io ipaddress itertools json
keyword linecache locale logging lzma math mimetypes netrc numbers operator os os.path
pathlib pickle pkgutil platform plistlib pprint queue random re reprlib runpy sched secrets
selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl stat statistics
string struct subprocess sys sysconfig tarfile tempfile textwrap threading time timeit
tokenize traceback tracemalloc types typing unicodedata unittest unittest.mock urllib.parse
urllib.request urllib.robotparser uuid venv warnings wave weakref webbrowser
xml.etree.ElementTree xml.sax.saxutils zipapp zipfile zlib
"""
_WITH_METHODS = """
str list dict set float int collections.Counter collections.OrderedDict collections.deque
configparser.RawConfigParser datetime.date datetime.datetime difflib.SequenceMatcher
fractions.Fraction pathlib.PurePath pathlib.Path queue.Queue socket.socket
sqlite3.Connection sqlite3.Cursor statistics.NormalDist subprocess.Popen tarfile.TarFile
threading.Condition threading.Event threading.Thread unittest.TestCase weakref.finalize
zipfile.ZipFile
"""
_LONGEST = 2_000


def memories() -> dict[str, str]:
    """The docstring of each name; of several names with one docstring, the first."""
    found: dict[str, str] = {}
    for name, item in _named():
        text = _docstring(item)
        if text and text not in found:
            found[text] = name
    return {name: text for text, name in found.items()}


def _named() -> Iterator[tuple[str, Any]]:
    for name in dir(builtins):
        if not name.startswith("_"):
            yield name, getattr(builtins, name)
    for module in _MODULES.split():
        yield from _public(importlib.import_module(module), module)
    for name in _WITH_METHODS.split():
        home, _, kind = name.rpartition(".")
        yield from _public(getattr(importlib.import_module(home or "builtins"), kind), name)


def _public(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in getattr(owner, "__all__", None) or dir(owner):
        item = getattr(owner, name, None)
        home = getattr(item, "__module__", None) or prefix  # a module may hold what it imported
        own = hasattr(owner, "__all__") or home.split(".")[0].lstrip("_") in prefix
        if own and callable(item) and not name.startswith("_"):
            yield f"{prefix}.{name}", item


def _docstring(item: Any) -> str:
    text = inspect.getdoc(item)
    return text[:_LONGEST] if isinstance(text, str) else ""


def questions() -> list[tuple[str, str, dict[str, int]]]:
    """Of queries.txt: kind, query, and how much each name counts that answers it."""
    lines = Path(__file__).with_name("queries.txt").read_text(encoding="utf-8").splitlines()
    return [_question(line) for line in lines if line and not line.startswith("#")]


def _question(line: str) -> tuple[str, str, dict[str, int]]:
    kind, query, answers = line.split(" | ")
    pairs = (answer.partition("=") for answer in answers.split(", "))
    return kind, query, {name: int(grade or 2) for name, _, grade in pairs}
