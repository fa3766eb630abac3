"""What a configuration can say of the simulated venue, and that the venue then does it."""

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest

from mmcore._venue import FEE_KINDS, PARITY, PARITY_WHOLE, RULES
from mmcore.check import check
from mmcore.config import loads
from mmcore.errors import ConfigError
from mmcore.events import BID, REQUEST, Flag, Kind, RequestKind, TimeInForce
from mmcore.keys import fields
from mmcore.listing import instrument_of
from mmcore.paper import PaperDesk
from mmcore.schema import FeesConfig, Rule
from mmcore.wiring import rules_of, venue_of

from .test_venue import Market

USDM = '[[instrument]]\nvenue = "binance-usdm"\nsymbol = "BTCUSDT"\nspec.min_notional = 0\n'
COINM = '[[instrument]]\nvenue = "binance-coinm"\nsymbol = "BTCUSD_PERP"\n'
TIERS = """[instrument.fees]
traded = 20_000_000
tiers = [
  { volume = 0, maker = 2, taker = 5 },
  { volume = 15_000_000, maker = 1.6, taker = 4 },
  { volume = 1e9, maker = -0.5, taker = 3 },
]
"""


def market_of(text: str) -> Market:
    config = loads(text)
    market = Market()
    market.venue = venue_of(config, 0, instrument_of(config.instruments[0]))
    market.depth([(999, 1000), (998, 800)], [(1001, 1000), (1002, 800)], Flag.SNAPSHOT)
    return market


def taker_fee(market: Market, qty: int) -> int:
    """What buying so many units at tick 1001 costs, quanta."""
    row = np.zeros(1, REQUEST)
    row["kind"], row["side"], row["tick"], row["qty"] = RequestKind.PLACE, BID, 1001, qty
    row["tif"], row["slot"] = TimeInForce.IOC, 7
    answers = market.venue.request(row, market.now)
    return int(answers["aux"][answers["kind"] == Kind.FILL].sum())


def told(text: str) -> str:
    return check(loads(text)).text()


# ---- rules


def test_every_switch_has_its_name_in_the_configuration() -> None:
    names = set(get_args(Rule))
    # funding has a key of its own, and whole messages are all that the engine ever sees
    assert names == {*RULES, "parity", "parity_whole", "parity_fifo"} - {
        "no_funding",
        "levels_apart",
    }
    (kind,) = [field.kind for field in fields(FeesConfig) if field.name == "kind"]
    assert get_args(kind) == FEE_KINDS


@pytest.mark.parametrize(
    ("keys", "bits"),
    [
        ("", 0),
        ("funding = false", RULES["no_funding"]),
        ('rules = ["whole_through"]', RULES["whole_through"]),
        ('rules = ["half_lot", "no_partial"]', RULES["half_lot"] | RULES["no_partial"]),
        ('rules = ["parity"]', PARITY),
        ('rules = ["parity_whole", "no_filters"]', PARITY_WHOLE),
    ],
)
def test_rules_by_name_are_the_bits_of_the_venue(keys: str, bits: int) -> None:
    assert rules_of(loads(f"[simulation]\n{keys}\n{USDM}").simulation) == bits


def test_a_rule_reaches_the_venue() -> None:
    through = market_of('[simulation]\nrules = ["whole_through"]\n' + USDM)
    careful = market_of(USDM)
    for market, filled in ((through, 900), (careful, 100)):
        assert market.place(1, BID, 999, 900)[0][0] == "ack"
        assert market.sell(998, 100) == [("made", 1, 999, filled)]


def test_the_limits_reach_the_venue() -> None:
    market = market_of("[simulation]\norder_rate = 2\nbatch_max = 1\n" + USDM)
    answers = [market.place(i, BID, 990, 100, ts_ns=5)[0][0] for i in range(2)]
    assert answers == ["ack", "reject limit"]
    answers = [market.place(i, BID, 990, 100)[0][0] for i in (1, 2)]
    assert answers == ["ack", "reject rate"]


# ---- fees


@pytest.mark.parametrize(
    ("text", "fee"),
    [
        (USDM, Fraction("100.1") * Fraction("0.3") * Fraction("0.0005")),
        (USDM + "[instrument.fees]\ntaker = 0.25", Fraction("30.03") * Fraction("0.000025")),
        (USDM + "[instrument.fees]\ntaker = -1.5", -Fraction("30.03") * Fraction("0.00015")),
        (USDM + TIERS, Fraction("30.03") * Fraction("0.0004")),
        (
            USDM + '[instrument.fees]\nkind = "qty"\nmaker = 0\ntaker = 0.07',
            Fraction("0.3") * Fraction("0.07"),
        ),
        (USDM + '[instrument.fees]\nkind = "flat"\nmaker = 0\ntaker = 0.35', Fraction("0.35")),
        (COINM + '[instrument.fees]\nkind = "qty"\nmaker = 0\ntaker = 1e-7', Fraction("3e-5")),
    ],
)
def test_fees_are_counted_to_the_last_unit(text: str, fee: Fraction) -> None:
    assert taker_fee(market_of(text), 300) == round(fee * 10**8)


def test_the_instrument_has_the_fees_that_hold_at_the_start() -> None:
    (item,) = loads(USDM + TIERS).instruments
    instrument = instrument_of(item)
    assert (instrument.maker_fee_bps, instrument.taker_fee_bps) == (1.6, 4.0)
    (item,) = loads(USDM + "[instrument.fees]\nmaker = 0.5").instruments
    instrument = instrument_of(item)
    assert (instrument.maker_fee_bps, instrument.taker_fee_bps) == (0.5, 5.0)


def test_a_fee_that_cannot_be_counted_exactly_is_told_in_one_sentence() -> None:
    config = loads(USDM + "[instrument.fees]\ntaker = 1.2345678901234567", "c.toml")
    with pytest.raises(ConfigError) as caught:
        venue_of(config, 0, instrument_of(config.instruments[0]))
    assert "c.toml: binance-usdm:BTCUSDT" in str(caught.value)
    assert "with fewer digits" in str(caught.value)


def test_a_run_pays_by_the_table() -> None:
    # the same orders and fills, whatever they cost: only the money differs
    run = '[market]\nseed = 5\n[[instrument]]\nsymbol = "BTCUSDT"\ngrid.minimum_spread = 1\n'
    flat = '[instrument.fees]\nkind = "flat"\nmaker = 0.25\ntaker = 0.25\n'
    runs = []
    for text in (run, run + flat):
        desk = PaperDesk(loads(text), "test", 20.0)
        while desk.advance(1 << 20, 0):
            desk.drain()
        runs.append(desk.snapshot(1.0, 1.0, 0.0).traders[0])
        desk.close()
    default, paid = runs
    assert default.n_fills == paid.n_fills > 0
    assert default.gross == paid.gross
    assert paid.fees == 25_000_000 * paid.n_fills


# ---- check says so


def test_check_tells_of_the_simulated_venue() -> None:
    text = told(
        '[simulation]\nqueue_model = "power2"\nqueue_exponent = 1.5\nrules = ["no_partial"]\n'
        "entry_latency_ms = 3\ncancel_extra_ms = 2\njitter_ms = 1\n" + USDM + TIERS
    )
    assert (
        "simulated venue: 3 ms to it (cancels 2 more), 5 ms back, jitter 1 ms; queue power2 1.5, "
        "rules no_partial; fees maker 1.6, taker 4 bps, tier 2 of 3 after 20,000,000 USDT in 30 "
        "days" in text
    )
    assert "break-even spread 3.2 bps (two maker fees of 1.6)" in text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            USDM + 'grid.leverage = 20\n[instrument.fees]\nkind = "qty"\nmaker = 6\ntaker = 6',
            "fees maker 6, taker 6 USDT per 1.0",
        ),
        (
            USDM + 'grid.leverage = 20\n[instrument.fees]\nkind = "flat"\nmaker = 0.1\ntaker = 1',
            "two maker fees of the smallest order",
        ),
        (
            COINM + 'grid.leverage = 20\n[instrument.fees]\nkind = "flat"\nmaker = 1e-7\ntaker = 1',
            "fees maker 1e-07, taker 1 BTC a fill",
        ),
    ],
)
def test_check_counts_fees_of_every_kind(text: str, part: str) -> None:
    assert part in told(text)


def test_check_says_when_the_venue_would_refuse() -> None:
    text = told("[simulation]\norder_rate = 5\nbatch_max = 4\n" + USDM)
    assert "refuses more than order_rate 5 orders/s; rate_limit 10 with 5 in one request" in text
    assert "batch_size = 4 keeps within it, now 5" in text
    assert "refuses" not in told("[simulation]\norder_rate = 50\nbatch_max = 5\n" + USDM)
