"""Selectors mean here what they mean to servers."""

from __future__ import annotations

from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.replication import matcher

DOC = {
    "n": 5,
    "f": 2.5,
    "t": "text",
    "b": True,
    "z": None,
    "l": [1, 2, {"k": "v"}],
    "o": {"a": {"b": [3]}, "d.t": 1},
}
YES: list[Any] = [
    *({}, {"n": 5}, {"n": 5, "t": "text"}, {"n": {"$gt": 4, "$lte": 5}}, {"n": {"$ne": 4}}),
    *({"n": {"$in": [1, 5]}}, {"n": {"$nin": [1]}}, {"n": {"$mod": [2, 1]}}, {"f": {"$lt": 3}}),
    *({"t": {"$regex": "^te"}}, {"t": {"$gt": 99}}, {"b": {"$gt": None}}, {"z": {"$type": "null"}}),
    *(
        {"z": {"$exists": True}},
        {"q": {"$exists": False}},
        {"l": {"$size": 3}},
        {"l": {"$all": [2, 1]}},
    ),
    *(
        {"l": {"$elemMatch": {"k": "v"}}},
        {"l": {"$elemMatch": {"$gt": 1}}},
        {"l.0": 1},
        {"l.2.k": "v"},
    ),
    *(
        {"o.a.b": [3]},
        {"o": {"a": {"b": {"$size": 1}}}},
        {"o.d\\.t": 1},
        {"l": {"$allMatch": {"$gt": 0}}},
    ),
    *({"$or": [{"n": 1}, {"t": "text"}]}, {"$and": [{"n": 5}, {"b": True}]}, {"$nor": [{"n": 1}]}),
    *(
        {"$not": {"n": 1}},
        {"n": {"$not": {"$gt": 5}}},
        {"n": {"$type": "number"}},
        {"l": {"$in": [2]}},
    ),
    *(
        {"o.a": {"b": [3]}},
        {"b": {"$type": "boolean"}},
        {"n": {"$gte": 5.0}},
        {"o": {"$type": "object"}},
    ),
]
NO: list[Any] = [
    *(
        {"n": "5"},
        {"n": 4},
        {"b": 1},
        {"n": {"$gt": 5}},
        {"q": 1},
        {"q": {"$ne": 1}},
        {"q": {"$gt": None}},
    ),
    *({"q": {"$nin": [1]}}, {"t": {"$regex": "^x"}}, {"n": {"$regex": "5"}}, {"l": {"$size": 2}}),
    *(
        {"l": {"$all": [9]}},
        {"n": {"$mod": [2, 0]}},
        {"b": {"$type": "number"}},
        {"l.9": 1},
        {"l.x": 1},
    ),
    *({"$or": []}, {"$nor": [{"n": 5}]}, {"$not": {"n": 5}}, {"z": {"$exists": False}}, {"o": {}}),
    *({"t": {"$lt": 1}}, {"l": {"$elemMatch": {"k": "w"}}}, {"n": {"$allMatch": {"$gt": 1}}}),
]
WRONG: list[Any] = [
    *(
        [],
        {"$none": 1},
        {"a": {"$none": 1}},
        {"$or": 1},
        {"a": {"$in": 1}},
        {"a": {"$mod": [0, 1]}},
    ),
    *({"a": {"$mod": 1}}, {"a": {"$regex": "("}}, {"a": {"$type": "text"}}, {"a": {"$all": 1}}),
]


@pytest.mark.parametrize("selector", YES, ids=str)
def test_what_it_chooses(selector: Any) -> None:
    assert matcher(selector)(DOC)


@pytest.mark.parametrize("selector", NO, ids=str)
def test_what_it_does_not(selector: Any) -> None:
    assert not matcher(selector)(DOC)


@pytest.mark.parametrize("selector", WRONG, ids=str)
def test_what_is_none(selector: Any) -> None:
    with pytest.raises(InvalidInput):
        matcher(selector)
