"""Who signed: agreement with the venue's own client, with recorded requests, and bad signatures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("eth_account", reason="needs the extra `hyperliquid`")

import eth_account
from hyperliquid.utils import signing as vendor

from mmcore.box.hyperliquid_signing import (
    NONCES_KEPT,
    SOURCES,
    USER_SIGNED,
    BadNonce,
    Nonces,
    action_hash,
    address_of,
    l1_signers,
    user_signer,
)

SECRET = "0x" + "11" * 32
VAULT = "0x" + "22" * 20
NOW_MS = 1_795_000_000_000
ORDER = {
    "type": "order",
    "orders": [
        {
            "a": 0, "b": True, "p": "50000", "s": "0.001", "r": False,
            "t": {"limit": {"tif": "Alo"}}, "c": "0x" + "0" * 31 + "1",
        },
    ],
    "grouping": "na",
}  # fmt: skip


@pytest.fixture(scope="module")
def wallet():
    return eth_account.Account.from_key(SECRET)


@pytest.mark.parametrize("mainnet", [True, False])
@pytest.mark.parametrize("vault", [None, VAULT])
@pytest.mark.parametrize("expires", [None, NOW_MS + 1])
def test_an_l1_action_signed_by_the_vendors_client_is_recovered(wallet, mainnet, vault, expires):
    signature = vendor.sign_l1_action(wallet, ORDER, vault, NOW_MS, expires, mainnet)
    received = json.loads(json.dumps(ORDER))
    signers = l1_signers(action_hash(received, NOW_MS, vault, expires), signature)
    assert signers[SOURCES.index("a" if mainnet else "b")] == wallet.address.lower()
    assert signers[0] != signers[1]


def test_another_key_order_is_another_signer(wallet):
    signature = vendor.sign_l1_action(wallet, ORDER, None, NOW_MS, None, False)
    turned = dict(reversed(ORDER.items()))
    assert wallet.address.lower() not in l1_signers(action_hash(turned, NOW_MS), signature)


def test_actions_signed_in_a_wallet_are_recovered(wallet):
    fee = {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": VAULT, "nonce": NOW_MS}
    agent = {"type": "approveAgent", "agentAddress": VAULT, "agentName": "a", "nonce": NOW_MS}
    for action, sign in ((fee, vendor.sign_approve_builder_fee), (agent, vendor.sign_agent)):
        for mainnet in (True, False):
            signature = sign(wallet, action, mainnet)
            assert user_signer(action, signature) == wallet.address.lower()


def test_a_private_key_has_its_address(wallet):
    assert address_of(SECRET) == address_of(SECRET[2:]) == wallet.address.lower()


def test_recorded_requests_of_each_client_come_from_one_signer(shared_data):
    for client in ("hyperliquid_sdk", "ccxt_hyperliquid"):
        lines = (shared_data / "wire" / "client_requests" / f"{client}.jsonl").read_text()
        bodies = [json.loads(line) for line in lines.splitlines()]
        bodies = [json.loads(one["body"]) for one in bodies if one.get("path") == "/exchange"]
        assert len(bodies) >= 7
        signers = []
        for body in bodies:
            action, signature = body["action"], body["signature"]
            if action["type"] in USER_SIGNED:
                signers.append({user_signer(action, signature)})
            else:
                digest = action_hash(action, body["nonce"], body.get("vaultAddress"))
                signers.append(set(l1_signers(digest, signature)))
        assert len(set.intersection(*signers)) == 1, client


def test_a_nonce_serves_once_and_only_near_the_clock():
    nonces = Nonces()
    nonces.take(NOW_MS, NOW_MS)
    nonces.take(NOW_MS - 1, NOW_MS)  # out of order within reason
    with pytest.raises(BadNonce, match=f"Invalid nonce: duplicate nonce {NOW_MS}"):
        nonces.take(NOW_MS, NOW_MS)
    for far in (NOW_MS - 3 * 86_400_000, NOW_MS + 2 * 86_400_000):
        with pytest.raises(BadNonce, match="too far"):
            nonces.take(far, NOW_MS)


def test_a_nonce_below_the_hundred_highest_is_refused():
    nonces = Nonces()
    for i in range(NONCES_KEPT + 5):
        nonces.take(NOW_MS + i, NOW_MS)
    with pytest.raises(BadNonce, match="below the lowest kept"):
        nonces.take(NOW_MS + 4, NOW_MS)


words = st.one_of(st.none(), st.integers(), st.text(max_size=70), st.floats(), st.booleans())


@given(r=words, s=words, v=words)
def test_a_signature_of_anything_is_an_address_or_a_plain_error(r, s, v):
    try:
        signers = l1_signers(bytes(32), {"r": r, "s": s, "v": v})
    except (AttributeError, OverflowError, TypeError, ValueError):
        return
    assert all(len(one) == 42 for one in signers)
