"""Detectors of others, run by an interpreter that has them: `redaction_peers.py PEER FILE`."""

# ruff: noqa: PLC0415  each is there or not

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path


def detect_secrets(stack: ExitStack) -> Callable[[str], object]:
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    stack.enter_context(default_settings())
    return lambda line: list(scan_line(line))


def presidio(stack: ExitStack) -> Callable[[str], object]:
    """By patterns only, as no model is needed for what we compare."""
    del stack
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

        def load(self) -> None:
            """Nothing is fetched."""

    # Its own list of domains, not one from the network.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    engine = AnalyzerEngine(nlp_engine=Blank(), registry=registry, supported_languages=["en"])
    return lambda line: engine.analyze(text=line, language="en")


PEERS = {"detect-secrets": detect_secrets, "presidio": presidio}


def main() -> None:
    with ExitStack() as stack:
        look = PEERS[sys.argv[1]](stack)
        lines = Path(sys.argv[2]).read_text().splitlines()
        look(lines[0])
        began = time.process_time()
        hits = sum(bool(look(line)) for line in lines)
        print(json.dumps({"seconds": time.process_time() - began, "lines_hit": hits}))


if __name__ == "__main__":
    main()
