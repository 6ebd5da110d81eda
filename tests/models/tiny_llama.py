"""
A llama of 30,000 random weights behind llama.cpp's own server: real loading, and no sense at all.

    python -m tests.models.tiny_llama FOLDER     # writes FOLDER/tiny.gguf, serves it, says where
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

_WIDTH, _INNER, _HEADS = 32, 64, 2
CONTEXT_TOKENS = 1024
_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def write(path: Path) -> None:
    """Write the model: one layer, whose words are the bytes."""
    of = np.random.default_rng(1)
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581"]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2]
    kinds += [*[gguf.TokenType.BYTE] * 256, gguf.TokenType.NORMAL]
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_context_length(CONTEXT_TOKENS)
    file.add_embedding_length(_WIDTH)
    file.add_block_count(1)
    file.add_feed_forward_length(_INNER)
    file.add_head_count(_HEADS)
    file.add_head_count_kv(_HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(_WIDTH // _HEADS)
    file.add_vocab_size(len(words))
    file.add_tokenizer_model("llama")
    file.add_token_list(words)
    file.add_token_scores([0.0] * len(words))
    file.add_token_types(kinds)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_unk_token_id(0)
    file.add_chat_template(_TEMPLATE)
    shapes = {"token_embd": (len(words), _WIDTH), "output": (len(words), _WIDTH)}
    shapes |= {f"blk.0.attn_{name}": (_WIDTH, _WIDTH) for name in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{name}": (_INNER, _WIDTH) for name in ("gate", "up")}
    shapes |= {"blk.0.ffn_down": (_WIDTH, _INNER)}
    for name, shape in shapes.items():
        file.add_tensor(f"{name}.weight", (of.standard_normal(shape) * 0.3).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        file.add_tensor(f"{name}.weight", np.ones(_WIDTH, np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def serve(path: Path) -> xllamacpp.Server:
    """Load the model and serve it on this machine; `listening_address` says where."""
    how = xllamacpp.CommonParams()
    how.model.path, how.model_alias = str(path), {"tiny"}
    how.hostnames, how.port, how.offline = ["127.0.0.1"], 0, True
    how.n_ctx, how.n_parallel, how.fit_params, how.warmup = CONTEXT_TOKENS, 1, False, False
    how.cpuparams.n_threads = 1
    return xllamacpp.Server(how)


if __name__ == "__main__":
    model = Path(sys.argv[1]) / "tiny.gguf"
    write(model)
    server = serve(model)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    signal.pause()
