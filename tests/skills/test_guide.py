"""The developer guide's skills run as they stand there, inside the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from dino_os.agent.memory import remember
from dino_os.workspace import Workspace
from tests.conftest import Dino

# The guide's own text; what it leaves to the reader (get_price, place_order, …) is in TIDES below.
TRADING = '''
    # skills/trading_agent.py
    from dino_os import skill
    from dino_os.memory_layer import MemoryLayer

    @skill
    def analyze_market(symbol: str, timeframe: str = "1h") -> dict:
        """
        Analyze market conditions for a symbol.

        Args:
            symbol: Trading pair (e.g., BTCUSDT)
            timeframe: Chart timeframe (1h, 4h, 1d)

        Returns:
            Dict with analysis results
        """
        # Access shared memory
        memory = MemoryLayer()
        previous = memory.get(f"analysis_{symbol}")

        # Perform analysis
        result = {
            "symbol": symbol,
            "timeframe": timeframe,
            "signal": "neutral",
            "confidence": 0.5
        }

        # Store for next comparison
        memory.add(f"analysis_{symbol}", result)

        return result
'''
PATTERNS = '''
    from functools import lru_cache

    from dino_os import skill
    from dino_os.memory_layer import MemoryLayer
    from dino_os.message_bus import MessageBus
    from dino_os.security_gateway import SecurityGateway
    from readers_own import *

    @skill
    def analyze_trade(symbol: str) -> dict:
        """Chain multiple analysis steps."""
        # Step 1: Get price data
        price = get_price(symbol)

        # Step 2: Analyze trend
        trend = analyze_trend(price)

        # Step 3: Calculate indicators
        indicators = calculate_indicators(price)

        # Step 4: Generate signal
        signal = combine_signals(trend, indicators)

        return signal

    @skill
    def multi_timeframe_analysis(symbol: str) -> dict:
        """Run analysis across timeframes in parallel."""
        from concurrent.futures import ThreadPoolExecutor

        timeframes = ["15m", "1h", "4h", "1d"]

        with ThreadPoolExecutor() as executor:
            results = list(executor.map(
                lambda tf: analyze_tf(symbol, tf),
                timeframes
            ))

        return {"timeframes": dict(zip(timeframes, results))}

    @skill
    def smart_trading_agent(symbol: str) -> dict:
        """
        Agent that learns from past decisions.
        """
        memory = MemoryLayer()

        # Retrieve similar past situations
        similar = memory.search(f"trade_{symbol}", top_k=10)

        # Learn from wins/losses
        wins = [s for s in similar if s["outcome"] == "win"]
        losses = [s for s in similar if s["outcome"] == "loss"]

        # Adjust strategy based on history
        if len(wins) > len(losses):
            strategy = "aggressive"
        else:
            strategy = "conservative"

        return {"strategy": strategy, "confidence": len(similar) / 10}

    @skill
    def handle_price_request(symbol: str) -> dict:
        def callback(response):
            print(f"Price: {response['price']}")

        bus = MessageBus()
        bus.subscribe(f"price_{symbol}", callback)
        bus.publish("price_request", {"symbol": symbol})

        # Wait for response (simplified)
        return {"status": "requested"}

    @skill
    def execute_trade(signal: dict) -> dict:
        result = place_order(signal)

        # Notify all subscribers
        bus = MessageBus()
        bus.publish("trade_executed", result)

        return result

    @skill
    def rotate_api_key(service: str) -> dict:
        """Rotate API key with zero downtime."""
        security = SecurityGateway()

        # Get current key
        current = security.get_key(service)

        # Generate new key (simulated)
        new_key = generate_new_key()

        # Update in secret manager
        security.set_key(service, new_key)

        # Test new key
        test_result = test_api_connection(service, new_key)

        if test_result["success"]:
            return {"status": "rotated", "key_id": new_key[:8]}
        else:
            # Rollback
            security.set_key(service, current)
            return {"status": "rolled_back", "error": test_result["error"]}

    @skill
    def secure_api_call(api_name: str, data: dict, scope: str) -> dict:
        """Make API call with permission check."""
        security = SecurityGateway()

        # Check permission
        if not security.has_permission(scope, api_name):
            return {"error": "Permission denied"}

        # Execute with key
        api_key = security.get_key(api_name)
        return make_api_call(api_name, api_key, data)

    @lru_cache(maxsize=128)
    def get_cached_price(symbol: str) -> float:
        """Cache price lookups for 60 seconds."""
        return fetch_price(symbol)

    # Use in agents
    @skill
    def get_symbol_price(symbol: str) -> dict:
        price = get_cached_price(symbol)
        return {"symbol": symbol, "price": price}

    @skill
    def batch_analyze(symbols: list) -> dict:
        """Analyze multiple symbols efficiently."""
        # Single API call for all symbols
        data = fetch_all_prices(symbols)

        results = {}
        for symbol in symbols:
            results[symbol] = analyze(data[symbol])

        return results
'''
READERS_OWN = """
    from secrets import token_hex

    def get_price(symbol): return len(symbol)
    def analyze_trend(price): return "up"
    def calculate_indicators(price): return [price]
    def combine_signals(trend, indicators): return {"trend": trend, "of": indicators}
    def analyze_tf(symbol, timeframe): return f"{symbol}/{timeframe}"
    def place_order(signal): return {"placed": signal}
    def generate_new_key(): return token_hex(20)
    def test_api_connection(service, key): return {"success": service != "bad", "error": "refused"}
    def make_api_call(name, key, data): return {"called": name}
    def fetch_price(symbol): return 4.5
    def fetch_all_prices(symbols): return {symbol: 1 for symbol in symbols}
    def analyze(data): return data + 1
"""


@pytest.fixture
def guide(workspace: Path) -> Path:
    for name, text in (
        ("trading_agent", TRADING),
        ("patterns", PATTERNS),
        ("readers_own", READERS_OWN),
    ):
        (workspace / "skills" / f"{name}.py").write_text(dedent(text))
    return workspace


def test_the_trading_agent_remembers(dino: Dino, guide: Path) -> None:
    first = dino("run", "analyze_market", "--symbol", "BTCUSDT", "--json").json["result"]
    assert first["signal"] in ["buy", "sell", "neutral"]
    assert 0 <= first["confidence"] <= 1
    later = dino("run", "analyze_market", "--symbol", "BTCUSDT", "--timeframe", "4h", "--json").json
    assert later["result"]["timeframe"] == "4h"
    code = "from dino_os.memory_layer import MemoryLayer as M; print(M().get('analysis_BTCUSDT'))"
    (guide / "skills" / "look.py").write_text(
        f"from dino_os import skill\n@skill\ndef look():\n    {code}\n"
    )
    assert "'timeframe': '4h'" in dino("run", "look").out


@pytest.mark.parametrize(
    ("name", "params", "result"),
    [
        ("analyze_trade", '{"symbol": "BTC"}', {"trend": "up", "of": [3]}),
        (
            "multi_timeframe_analysis",
            '{"symbol": "B"}',
            {"timeframes": {tf: f"B/{tf}" for tf in ("15m", "1h", "4h", "1d")}},
        ),
        (
            "smart_trading_agent",
            '{"symbol": "B"}',
            {"strategy": "conservative", "confidence": 0},
        ),
        ("handle_price_request", '{"symbol": "B"}', {"status": "requested"}),
        ("execute_trade", '{"signal": {"a": 1}}', {"placed": {"a": 1}}),
        ("get_symbol_price", '{"symbol": "B"}', {"symbol": "B", "price": 4.5}),
        ("batch_analyze", '{"symbols": ["a", "b"]}', {"a": 2, "b": 2}),
        (
            "secure_api_call",
            '{"api_name": "weather", "data": {}, "scope": "execute"}',
            {"error": "Permission denied"},
        ),
    ],
)
def test_the_patterns_do_what_they_say(
    dino: Dino, guide: Path, name: str, params: str, result: dict
) -> None:
    assert dino("run", name, "--params", params, "--json").json["result"] == result


def test_the_memory_augmented_agent_learns_from_outcomes(dino: Dino, guide: Path) -> None:
    """What agents were asked about the same trade lies in the same memory, and harms nothing."""
    (guide / "skills" / "closing.py").write_text(
        dedent("""
        from dino_os import skill
        from dino_os.memory_layer import MemoryLayer

        @skill
        def close_trades(symbol: str, outcomes: list[str]) -> None:
            for number, outcome in enumerate(outcomes):
                MemoryLayer().add(f"trade_{symbol}_{number}", {"outcome": outcome})
        """)
    )
    remember(Workspace(guide), "run-1", prompt="trade_BTC, is it wise?", answer="It may be.")
    past = {"symbol": "BTC", "outcomes": ["win", "loss", "win"]}
    dino("run", "close_trades", "--params", json.dumps(past))
    learnt = dino("run", "smart_trading_agent", "--params", '{"symbol": "BTC"}', "--json").json
    assert learnt["result"] == {"strategy": "aggressive", "confidence": 0.4}


@pytest.mark.parametrize(("service", "status"), [("good", "rotated"), ("bad", "rolled_back")])
def test_a_key_is_rotated_by_who_may(
    dino: Dino, guide: Path, monkeypatch: pytest.MonkeyPatch, service: str, status: str
) -> None:
    """Only after the operator gave the skill that right; a refused key is rolled back."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(guide / "home"))
    env = {"XDG_CONFIG_HOME": str(guide / "home")}
    Workspace(guide).security.set_key(service, "the-first-value")
    refused = dino("run", "rotate_api_key", "--service", service, code=3, env=env)
    assert "may not use key" in refused.err
    dino("grant", "rotate_api_key", "--permission", "key_management", env=env)
    done = dino("run", "rotate_api_key", "--service", service, "--json", env=env).json["result"]
    assert done["status"] == status
    kept = Workspace(guide).security.get_key(service) == "the-first-value"
    assert kept == (status == "rolled_back")
