"""The synthetic market against the ranges of recorded ones, and a fake that must fail."""

import importlib.util
import sys
from dataclasses import replace

import pytest

from mmcore.instrument import known
from mmcore.meter import SMALL_TICK, measure
from mmcore.recording import record
from mmcore.synthetic import BUSY, Market, SyntheticSource


@pytest.fixture(scope="module")
def acceptance(root):
    spec = importlib.util.spec_from_file_location("acceptance", root / "bench" / "acceptance.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their own module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def missed(verdicts):
    return [f"{each.fact.words}: {each.ours:.4g}" for each in verdicts if not each.holds]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["busy", "busy_eth", "block", "quiet"])
def test_every_preset_lies_within_the_accepted_ranges(acceptance, preset):
    verdicts = acceptance.judge(preset)
    assert acceptance.passes(verdicts), missed(verdicts)


def test_one_seed_of_the_busy_market_misses_little(acceptance):
    verdicts = acceptance.judge("busy", 1)
    assert len(missed([each for each in verdicts if each.fact.must])) <= 2, missed(verdicts)


def test_a_fake_is_told_from_a_market(acceptance):
    """A small-step walk with unrelated queues and independent takers fails, and fails widely."""
    fake = replace(
        BUSY,
        band=1.0,
        lean=0.0,
        jump_rate=0.0,
        heat_add=0.0,
        impact=0.0,
        push=0.0,
        taker_rate=10.0,
        weights=(0.0, 0.0, 0.0, 0.0),
        copy=0.0,
        sign_lean=0.0,
        big_chance=0.0,
        sweep_chance=0.0,
        chase_chance=0.0,
        burst=0.0,
        queue_lean=0.0,
        keep=0.6,
    )
    market = Market(known("synthetic", "BTCUSDT"), fake)
    facts = measure(record(SyntheticSource([market], seconds=120.0, seed=1)), SMALL_TICK)
    outside = [
        fact.name
        for fact in acceptance.FACTS
        if not fact.small[1][0] <= facts[fact.name] <= fact.small[1][1]
    ]
    assert len(outside) >= 15
