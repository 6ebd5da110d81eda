"""A rate limit admits no more than it says, over processes, restarts and clocks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import SecurityError
from dino_os.security_gateway.limits import RateLimiter, since_boot
from tests.conftest import REPOSITORY, environment

LIMITED = Path(__file__).parent / "programs" / "limited.py"
SECOND = 10**9
HOUR = 3600 * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = 100 * HOUR

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter(
    path: Path, clock: Clock, *, per_minute: int = 60, burst: int = 3, boot: str = "1"
) -> RateLimiter:
    return RateLimiter(path / "limits", per_minute=per_minute, burst=burst, clock=clock, boot=boot)


def taken(limits: RateLimiter, times: int, name: str = "a") -> int:
    return sum(limits.take(name).allowed for _ in range(times))


def test_a_burst_then_the_steady_rate(tmp_path: Path, clock: Clock) -> None:
    limits = limiter(tmp_path, clock)
    found = [limits.take("a") for _ in range(4)]
    assert [(a.allowed, a.remaining) for a in found] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
    ]
    assert found[3].retry_after_s == 1.0
    clock.now += SECOND - 1
    assert not limits.take("a").allowed
    clock.now += 1
    assert taken(limits, 5) == 1
    clock.now += HOUR
    assert taken(limits, 9) == 3
    assert taken(limits, 9, "another") == 3


@given(
    gaps=st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=60),
    per_minute=st.integers(1, 600),
    burst=st.integers(1, 8),
)
def test_it_is_the_token_bucket_of_the_books(
    tmp_path: Path, gaps: list[int], per_minute: int, burst: int
) -> None:
    """Each decision is the bucket's, and no window admits more than burst + W / T."""
    clock = Clock()
    (tmp_path / "limits").unlink(missing_ok=True)
    limits = limiter(tmp_path, clock, per_minute=per_minute, burst=burst)
    every = 60 * SECOND // per_minute
    tokens, last, admitted = Fraction(burst), clock.now, []
    for gap in gaps:
        clock.now += gap
        tokens = min(tokens + Fraction(clock.now - last, every), Fraction(burst))
        last = clock.now
        allowed = limits.take("a").allowed
        assert allowed == (tokens >= 1)
        tokens -= allowed
        admitted += [clock.now] * allowed
    for i, begin in enumerate(admitted):
        for j in range(i, len(admitted)):
            assert j - i + 1 <= burst + (admitted[j] - begin) // every


def test_a_new_process_goes_on_where_the_last_one_was(tmp_path: Path, clock: Clock) -> None:
    assert taken(limiter(tmp_path, clock), 2) == 2
    assert taken(limiter(tmp_path, clock), 9) == 1


def test_after_a_start_of_the_machine_buckets_begin_empty(tmp_path: Path, clock: Clock) -> None:
    """Its clock begins at nothing; what was used up before is not given again at once."""
    assert taken(limiter(tmp_path, clock), 9) == 3
    clock.now = 5 * SECOND
    limits = limiter(tmp_path, clock, boot="2")
    assert taken(limits, 9) == taken(limits, 9, "never asked for before") == 0
    clock.now += SECOND
    assert taken(limits, 9) == 1
    clock.now += HOUR
    assert taken(limits, 9, "b") == 3


@pytest.mark.parametrize("leap", [-HOUR, HOUR])
def test_setting_the_clock_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leap: int
) -> None:
    """The limit asks for the time since the machine was started."""
    limits = RateLimiter(tmp_path / "limits", per_minute=1, burst=3)
    assert taken(limits, 2) == 2
    real_time, real_monotonic = time.time_ns, time.time
    monkeypatch.setattr(time, "time_ns", lambda: real_time() + leap)
    monkeypatch.setattr(time, "time", lambda: real_monotonic() + leap / SECOND)
    assert taken(limits, 9) == 1
    again = RateLimiter(tmp_path / "limits", per_minute=1, burst=3)
    assert taken(again, 9) == 0


@pytest.mark.parametrize("leap", [-99 * HOUR, -HOUR, -SECOND])
def test_a_clock_that_goes_back_under_us_admits_no_more_and_not_never(
    tmp_path: Path, clock: Clock, leap: int
) -> None:
    """As in a virtual machine that is restored."""
    limits = limiter(tmp_path, clock)
    assert taken(limits, 9) == 3
    clock.now += leap
    assert taken(limits, 9) == 0
    clock.now += 4 * SECOND
    assert 1 <= taken(limits, 9) <= 3


def test_eight_processes_share_one_limit(tmp_path: Path) -> None:
    """All together are never admitted more often than one would be."""
    per_minute, burst = 6000, 20
    every = 60 * SECOND // per_minute
    command = [sys.executable, str(LIMITED), str(tmp_path / "limits"), str(per_minute), str(burst)]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(PYTHONPATH=str(REPOSITORY)),
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in processes]
    lines = [line.split() for text in said for line in text.splitlines()]
    assert [process.returncode for process in processes] == [0] * 8
    admitted = sorted((int(before), int(after)) for before, after in lines)
    assert len(admitted) > burst
    # Each was decided between its two times; the widest window is taken for each pair.
    ends = sorted(after for _, after in admitted)
    for first in range(0, len(admitted), 7):
        for last in range(first, len(admitted), 7):
            within = ends[last] - admitted[first][0]
            inside = sum(
                admitted[first][0] <= before and after <= ends[last] for before, after in admitted
            )
            assert inside <= burst + within // every


def test_a_child_does_not_share_its_parents_lock(tmp_path: Path, clock: Clock) -> None:
    limits = limiter(tmp_path, clock)
    assert taken(limits, 1) == 1
    limits._pid = -1  # as it is behind a fork
    table = limits._table
    assert taken(limits, 9) == 2
    assert limits._table is not table
    assert limits._pid == os.getpid()


def test_many_names_find_room_for_those_that_count(tmp_path: Path, clock: Clock) -> None:
    """The buckets that are full again make room; where there is none, nothing is admitted."""
    limits = limiter(tmp_path, clock, burst=1, per_minute=1)
    for n in range(20_000):
        clock.now += SECOND
        assert limits.take(f"name {n}").allowed
        if n % 60 == 0:
            assert not limits.take(f"name {n}").allowed
    admitted = sum(limits.take(f"at once {n}").allowed for n in range(6000))
    assert 3000 < admitted <= 4096


@pytest.mark.parametrize(
    "content", [b"x", b"dinoGCRA", b"x" * 131_136, b"dinoGCRA" + bytes(99)], ids=range(4)
)
def test_a_table_that_is_none_admits_nothing(tmp_path: Path, clock: Clock, content: bytes) -> None:
    (tmp_path / "limits").write_bytes(content)
    with pytest.raises(SecurityError, match="nothing is admitted"):
        limiter(tmp_path, clock).take("a")


def test_a_table_that_is_a_link_or_folder_admits_nothing(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "limits").symlink_to("elsewhere")
    with pytest.raises(SecurityError, match="nothing is admitted"):
        limiter(tmp_path, clock).take("a")
    (tmp_path / "limits").unlink()
    (tmp_path / "limits").mkdir()
    with pytest.raises(SecurityError, match="nothing is admitted"):
        limiter(tmp_path, clock).take("a")


def test_garbage_in_a_bucket_ends_within_its_depth(tmp_path: Path, clock: Clock) -> None:
    """Whatever time stands there, no more than the burst is admitted and not for ever none."""
    limits = limiter(tmp_path, clock)
    limits.take("a")
    table = limits._table
    assert table is not None
    for garbage in (b"\xff" * 8, b"\x7f" * 8, bytes(8)):
        for slot in range(64, len(table), 32):
            if table[slot : slot + 16] != bytes(16):
                table[slot + 16 : slot + 24] = garbage
        assert taken(limits, 9) <= 3
        clock.now += HOUR
        assert taken(limits, 9) == 3


def test_the_clock_counts_sleep_too() -> None:
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(since_boot() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < SECOND
    assert since_boot() <= since_boot()
