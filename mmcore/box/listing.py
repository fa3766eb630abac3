"""What the exchange in the box lists, and for whom: floors, accounts and their market, in one call.

Five products of three venues, each with BTC and ETH; accounts with money on every wallet.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmcore.errors import NoDataError
from mmcore.instrument import QUANTA_PER_ONE, Instrument, known
from mmcore.synthetic import Market, SyntheticSource, together
from mmcore.synthetic import market as synthetic_market
from mmcore.tape import TapeSource

from .accounts import WALLETS, Account, Credentials
from .exchange import Exchange
from .feed import Feed
from .floor import FUNDING_RATE, Floor

SYMBOLS: Mapping[str, tuple[str, ...]] = {
    "binance-usdm": ("BTCUSDT", "ETHUSDT"),
    "binance-spot": ("BTCUSDT", "ETHUSDT"),
    "bybit-linear": ("BTCUSDT", "ETHUSDT"),
    "bybit-spot": ("BTCUSDT", "ETHUSDT"),
    "hyperliquid": ("BTC", "ETH"),
}
VENUES = tuple(SYMBOLS)
HOUR_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Rules:
    """What a product of a venue allows.

    band_percent: how far beyond the mark a limit may be.  orders_max: open orders of an account on
    one floor.  funding_interval_ns: between stamps.
    """

    band_percent: int
    orders_max: int
    funding_interval_ns: int = 8 * HOUR_NS


RULES: Mapping[str, Rules] = {
    "binance-usdm": Rules(5, 200),
    "binance-spot": Rules(20, 200),
    "bybit-linear": Rules(5, 500),
    "bybit-spot": Rules(5, 500),
    "hyperliquid": Rules(80, 1_000, HOUR_NS),
}

USD = 1_000_000 * QUANTA_PER_ONE
COINS = {"BTC": 10 * QUANTA_PER_ONE, "ETH": 200 * QUANTA_PER_ONE}

# wallet -> asset -> quanta of every account at the start
BALANCES: Mapping[str, Mapping[str, int]] = {
    "usdm": {"USDT": USD},
    "spot": {"USDT": USD, **COINS},
    "unified": {"USDT": USD, **COINS},
    "perp": {"USDC": USD},
}

# The synthetic market: presets of the recordings, Hyperliquid matching in blocks.
BUSY: Mapping[str, str] = {"BTC": "busy", "ETH": "busy_eth"}
START_PRICES: Mapping[str, float] = {"BTC": 61_716.7, "ETH": 2_681.39}
WARM_UP_NS = 2 * 10**9  # of market before the exchange opens: every floor has a book by then
BLOCK_STEPS = 50  # time steps made at once: 50 ms of a busy market, half a second of blocks


def open_exchange(
    seed: int,
    *,
    start_ns: int,
    market: str | Sequence[Path | str] = "synthetic",
    preset: str = "busy",
    venues: Sequence[str] = VENUES,
    funding_interval_ns: int = 0,
    funding_rate: int = FUNDING_RATE,
    band_percent: int | None = None,
    accounts_per_venue: int = 2,
    balances: Mapping[str, Mapping[str, int]] = BALANCES,
    random_credentials: bool = False,
    address_of: Callable[[str], str] | None = None,
) -> Exchange:
    """An exchange with floors, accounts and a market.

    seed: of the synthetic market and, unless ``random_credentials``, of the accounts' keys.
    start_ns: when it opens, two seconds into its market.  market: "synthetic", or tapes; floors
    that no tape holds stay synthetic, and a tape that ends leaves its books standing.  preset: of
    the synthetic market; "busy" copies a recording of its own for each coin, and blocks for
    Hyperliquid.  funding_interval_ns: 0 for each venue's own hours; funding_rate: 1e-12 per
    interval.  band_percent: None for each venue's own.  balances: of every account by wallet.
    address_of: the address of a private key; without it addresses stay empty.

    Raises ValueError for a venue or preset that does not exist, DataError for tapes that cannot be
    read or hold none of the instruments.
    """
    for venue in venues:
        if venue not in SYMBOLS:
            raise ValueError(f"venue {venue!r}: expected one of {', '.join(VENUES)}")
    tape = None
    if market != "synthetic":
        tape = TapeSource([market] if isinstance(market, str) else market)
    floors = _floors(
        _items(venues, tape),
        funding_interval_ns=funding_interval_ns,
        funding_rate=funding_rate,
        band_percent=band_percent,
    )
    families = dict.fromkeys(each.venue.partition("-")[0] for each in floors)
    keys_seed = "" if random_credentials else str(seed)
    accounts = [
        _account(
            family, number, floors, balances, _credentials(family, number, keys_seed, address_of)
        )
        for family in families
        for number in range(1, accounts_per_venue + 1)
    ]
    begin_ns = start_ns - WARM_UP_NS
    exchange = Exchange(floors, accounts, start_ns=begin_ns)
    if tape is not None:
        exchange.listen(_taped(floors, tape, begin_ns))
        exchange.advance(start_ns)
    made = [each for each in floors if not each.mark]
    if made:
        exchange.listen(_synthetic(floors, made, preset, seed, begin_ns))
        exchange.advance(start_ns)
    return exchange


def _floors(
    items: Sequence[Instrument],
    *,
    funding_interval_ns: int,
    funding_rate: int,
    band_percent: int | None,
) -> list[Floor]:
    return [
        Floor(
            item,
            index,
            funding_interval_ns=funding_interval_ns or RULES[item.venue].funding_interval_ns,
            funding_rate=funding_rate,
            band_percent=RULES[item.venue].band_percent if band_percent is None else band_percent,
            orders_max=RULES[item.venue].orders_max,
        )
        for index, item in enumerate(items)
    ]


def _account(
    family: str,
    number: int,
    floors: Sequence[Floor],
    balances: Mapping[str, Mapping[str, int]],
    credentials: Credentials,
) -> Account:
    own = [each for each in floors if each.venue.partition("-")[0] == family]
    wallets = dict.fromkeys(WALLETS[each.venue] for each in own)
    return Account(
        f"{family}-{number}",
        family,
        own,
        {each: balances.get(each, {}) for each in wallets},
        credentials,
    )


def _credentials(
    family: str, number: int, seed: str, address_of: Callable[[str], str] | None
) -> Credentials:
    # The same for the same seed, or such as nobody can know where there is none.
    def draw(what: str, n_bytes: int) -> str:
        if not seed:
            return secrets.token_hex(n_bytes)
        text = f"{family}/{what}/{seed}/{number}".encode()
        return hashlib.blake2b(text, digest_size=n_bytes).hexdigest()

    if family == "hyperliquid":
        key = "0x" + draw("private key", 32)
        return Credentials(private_key=key, address=address_of(key) if address_of else "")
    return Credentials(key=draw("key", 32), secret=draw("secret", 32))


def _items(venues: Sequence[str], tape: TapeSource | None) -> list[Instrument]:
    # A tape's rows are in the ticks and units of the tape's own instruments.
    held = {(item.venue, item.symbol): item for item in tape.instruments} if tape else {}
    names = [(venue, symbol) for venue in venues for symbol in SYMBOLS[venue]]
    return [held.get(name) or known(*name) for name in names]


def _taped(floors: Sequence[Floor], tape: TapeSource, start_ns: int) -> Feed:
    held = {(item.venue, item.symbol): n for n, item in enumerate(tape.instruments)}
    played = {held[key]: each for each in floors if (key := (each.venue, each.symbol)) in held}
    if not played:
        names = ", ".join(f"{item.venue} {item.symbol}" for item in tape.instruments)
        raise NoDataError(
            f"the tapes hold none of the box's instruments, only {names}",
            done="the box was not opened",
            todo=f"give tapes of {', '.join(sorted(SYMBOLS))}, or --market synthetic",
        )
    return Feed(tape, played, start_ns)


def _synthetic(
    floors: Sequence[Floor], made: Sequence[Floor], preset: str, seed: int, start_ns: int
) -> Feed:
    # The first floor leads; the first one of another coin follows it, and the others of a coin the
    # first of theirs.  Prices start where a tape stands.
    prices = dict(START_PRICES)
    for floor in reversed(floors):
        if floor.mark:
            prices[floor.instrument.base] = floor.mark / QUANTA_PER_ONE
    markets: list[Market] = []
    first: dict[str, int] = {}
    for floor in made:
        item = floor.instrument
        market = synthetic_market(item, _preset(item, preset), prices[item.base])
        leader = first.setdefault(item.base, len(markets))
        if leader == len(markets):
            leader = 0
        if markets:
            market = replace(together([markets[leader], market])[1], leader=leader)
        markets.append(market)
    source = SyntheticSource(markets, seed=seed, start_ns=start_ns, block_steps=BLOCK_STEPS)
    return Feed(source, dict(enumerate(made)), start_ns)


def _preset(item: Instrument, preset: str) -> str:
    if preset != "busy":
        return preset
    return "block" if item.venue == "hyperliquid" else BUSY[item.base]


__all__ = ["BALANCES", "RULES", "SYMBOLS", "VENUES", "Rules", "open_exchange"]
