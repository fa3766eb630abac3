"""Who signed an action: hashes as Hyperliquid makes them, nonces as it keeps them.

Needs the ``hyperliquid`` extra, which brings the Ethereum hash and curve, and msgpack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgpack
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

SOURCES = ("b", "a")  # of an L1 action: test-net clients say "b", main-net clients "a"
NONCES_KEPT = 100
MS_PER_DAY = 86_400_000
NONCE_PAST_MS, NONCE_AHEAD_MS = 2 * MS_PER_DAY, MS_PER_DAY
WORD = 32

# EIP-712 type of each action that a person signs in a wallet, and its fields.
USER_SIGNED: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "approveAgent": (
        "ApproveAgent",
        (("address", "agentAddress"), ("string", "agentName"), ("uint64", "nonce")),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (("string", "maxFeeRate"), ("address", "builder"), ("uint64", "nonce")),
    ),
}


class BadNonce(ValueError):
    """A nonce outside the window, or used before; the text is the venue's."""


class Nonces:
    """The highest nonces of one signer.

    A new one must be unused, above the smallest kept once the window is full, and not farther than
    two days behind or one day ahead of the venue's clock.
    """

    def __init__(self) -> None:
        self._kept: set[int] = set()

    def take(self, nonce: int, now_ms: int) -> None:
        """Use up a nonce.  Raises BadNonce."""
        if not now_ms - NONCE_PAST_MS < nonce < now_ms + NONCE_AHEAD_MS:
            raise BadNonce(f"Invalid nonce: {nonce} is too far from the current time {now_ms}")
        if nonce in self._kept:
            raise BadNonce(f"Invalid nonce: duplicate nonce {nonce}")
        if len(self._kept) >= NONCES_KEPT:
            lowest = min(self._kept)
            if nonce < lowest:
                raise BadNonce(f"Invalid nonce: {nonce} is below the lowest kept {lowest}")
            self._kept.remove(lowest)
        self._kept.add(nonce)


def address_of(private_key: str) -> str:
    """Lower-case address of a private key of 64 hex digits, "0x" in front or not."""
    secret = bytes.fromhex(private_key.removeprefix("0x"))
    return PrivateKey(secret).public_key.to_address()


def action_hash(
    action: object, nonce: int, vault: str | None = None, expires_after: int | None = None
) -> bytes:
    """Hash of an L1 action; the order of its keys matters.

    Raises OverflowError, TypeError or ValueError for what msgpack or the venue's integers cannot
    hold.
    """
    packed: bytes = msgpack.packb(action)
    packed += nonce.to_bytes(8, "big")
    packed += b"\x00" if vault is None else b"\x01" + _address(vault)
    if expires_after is not None:
        packed += b"\x00" + expires_after.to_bytes(8, "big")
    return bytes(keccak(packed))


def l1_signers(connection_id: bytes, signature: Mapping[str, Any]) -> list[str]:
    """Whom an L1 action may come from: lower-case address for each source, in their order."""
    domain = _domain("Exchange", 1337)
    kind = keccak(b"Agent(string source,bytes32 connectionId)")
    signers = []
    for source in SOURCES:
        struct = keccak(kind + keccak(source.encode()) + connection_id)
        signers.append(_signer(keccak(b"\x19\x01" + domain + struct), signature))
    return signers


def user_signer(action: Mapping[str, Any], signature: Mapping[str, Any]) -> str:
    """Lower-case address of whoever signed an action of :data:`USER_SIGNED`.

    Raises KeyError, TypeError, ValueError or OverflowError where fields are missing or wrong.
    """
    name, fields = USER_SIGNED[action["type"]]
    fields = (("string", "hyperliquidChain"), *fields)
    said = ",".join(f"{kind} {field}" for kind, field in fields)
    kind_hash = keccak(f"HyperliquidTransaction:{name}({said})".encode())
    words = [_word(kind, action.get(field)) for kind, field in fields]
    domain = _domain("HyperliquidSignTransaction", int(action["signatureChainId"], 16))
    digest = keccak(b"\x19\x01" + domain + keccak(kind_hash + b"".join(words)))
    return _signer(digest, signature)


@lru_cache(maxsize=64)
def _domain(name: str, chain: int) -> bytes:
    said = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    parts: Sequence[bytes] = (
        keccak(said.encode()),
        keccak(name.encode()),
        keccak(b"1"),
        chain.to_bytes(WORD, "big"),
        bytes(WORD),
    )
    return bytes(keccak(b"".join(parts)))


def _word(kind: str, value: Any) -> bytes:
    if kind == "string":
        return bytes(keccak(("" if value is None else str(value)).encode()))
    if kind == "address":
        return _address(value).rjust(WORD, b"\x00")
    return int(value).to_bytes(WORD, "big")


def _address(text: str) -> bytes:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError(f"address {text!r} has {len(raw)} bytes, expected 20")
    return raw


def _signer(digest: bytes, signature: Mapping[str, Any]) -> str:
    """Raises ValueError for a signature that no key can have made."""
    r, s = (_scalar(signature[part]) for part in "rs")
    v = signature["v"]
    if v not in {27, 28}:
        raise ValueError(f"signature's v {v!r} is neither 27 nor 28")
    try:
        made = Signature(vrs=(v - 27, r, s))
        return made.recover_public_key_from_msg_hash(digest).to_address()
    except (BadSignature, ValidationError) as error:
        raise ValueError(f"signature: {error}") from None


def _scalar(value: Any) -> int:
    return value if isinstance(value, int) else int(value, 16)


__all__ = [
    "BadNonce",
    "Nonces",
    "action_hash",
    "address_of",
    "l1_signers",
    "user_signer",
]
