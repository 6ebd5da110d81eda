"""The verifier's own Ed25519: RFC 8032's vectors, another implementation's signatures, and forgeries."""

from __future__ import annotations

import ed25519
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

# Section 7.1: public key, message, signature.
VECTORS = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "sha(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}
PUBLIC, MESSAGE, SIGNATURE = (bytes.fromhex(part) for part in VECTORS["3"])


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_the_published_signatures_hold(vector: tuple[str, str, str]) -> None:
    public, message, signature = map(bytes.fromhex, vector)
    assert ed25519.verify(public, message, signature)
    assert not ed25519.verify(public, message + b"x", signature)


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (PUBLIC, b""),
        (PUBLIC, SIGNATURE[:-1]),
        (PUBLIC[:-1], SIGNATURE),
        (PUBLIC, bytes(64)),
        (PUBLIC, b"\xff" * 32 + SIGNATURE[32:]),
        # The same scalar plus the group's order: a second signature made from the first.
        (
            PUBLIC,
            SIGNATURE[:32]
            + (int.from_bytes(SIGNATURE[32:], "little") + ed25519.ORDER).to_bytes(32, "little"),
        ),
        ((2).to_bytes(32, "little"), SIGNATURE),  # not on the curve
        ((ed25519.P + 1).to_bytes(32, "little"), SIGNATURE),  # not the shortest form
        ((1 | 1 << 255).to_bytes(32, "little"), SIGNATURE),  # minus nought
    ],
)
def test_what_is_no_signature_is_refused(public: bytes, signature: bytes) -> None:
    assert not ed25519.verify(public, MESSAGE, signature)


@given(
    seed=st.binary(min_size=32, max_size=32),
    message=st.binary(max_size=1100),
    bit=st.integers(0, 511),
)
@settings(max_examples=20)
def test_signatures_of_another_implementation_hold_and_one_bit_breaks_them(
    seed: bytes, message: bytes, bit: int
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ed25519.verify(public, message, signature)
    broken = bytearray(signature)
    broken[bit // 8] ^= 1 << bit % 8
    assert not ed25519.verify(public, message, bytes(broken))
