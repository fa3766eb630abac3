"""Bybit's account: what is checked and set before trading, and the truth over REST."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mmcore.errors import VenueError
from mmcore.gateway import AccountState, VenueFault
from mmcore.instrument import QUANTA_PER_ONE, Instrument, from_bybit, with_fees

from ._bybit_rest import Rest
from ._bybit_words import OrderNews, balances, order_news
from ._decode import Terms

SECOND = 1_000_000_000
CLOCK_WARN_NS = SECOND // 2
BPS = 10_000
ONE_WAY = 0
PAGE = 50


@dataclass(frozen=True, slots=True)
class Reading:
    """Open orders of our symbols in full, beside the state that is made of them."""

    news: tuple[OrderNews, ...]
    asked_ns: int


class Account:
    """Questions about one account in one category."""

    def __init__(self, venue: str, category: str, symbols: Sequence[str], rest: Rest) -> None:
        self.venue = venue
        self.category = category
        self.symbols = tuple(symbols)
        self.rest = rest
        self.notices: list[str] = []

    @property
    def linear(self) -> bool:
        return self.category == "linear"

    # --- before trading ---------------------------------------------------------------------------

    async def clock(self) -> int:
        """Measure the venue's clock; ns ahead of ours."""
        offset = await self.rest.measure_clock()
        if abs(offset) > CLOCK_WARN_NS:
            ahead = "behind" if offset > 0 else "ahead of"
            self.notices.append(
                f"this machine's clock is {abs(offset) / SECOND:.1f} s {ahead} Bybit's; mmcore "
                "allows for it, but set it by NTP"
            )
        return offset

    async def instruments(self) -> list[Instrument]:
        """The instruments, by what the venue says of them today."""
        return [await self._instrument(symbol) for symbol in self.symbols]

    async def _instrument(self, symbol: str) -> Instrument:
        try:
            answer = await self.rest.ask(
                self.rest.http.get_instruments_info,
                pool="http",
                category=self.category,
                symbol=symbol,
            )
            entries = answer["result"]["list"]
        except VenueFault as fault:
            if fault.code not in {10001, 170121}:
                raise
            entries = []
        if not entries:
            raise VenueError(
                f"there is no instrument {symbol!r}",
                where=self.venue,
                done="nothing was started",
                todo="write the symbol as Bybit does, such as BTCUSDT",
            )
        status = entries[0].get("status", "Trading")
        if status != "Trading":
            raise VenueError(
                f"{symbol} is not open for trading (status {status})",
                where=self.venue,
                done="nothing was started",
            )
        return from_bybit(self.venue, {"list": entries})[symbol]

    async def fees(self, item: Instrument) -> Instrument:
        """The instrument with the account's own fee rates."""
        answer = await self.rest.ask(
            self.rest.http.get_fee_rates, pool="fees", category=self.category, symbol=item.symbol
        )
        for row in answer["result"]["list"]:
            if row.get("symbol", item.symbol) == item.symbol:
                return with_fees(
                    item,
                    float(Decimal(row["makerFeeRate"]) * BPS),
                    float(Decimal(row["takerFeeRate"]) * BPS),
                )
        return item

    async def permissions(self) -> None:
        """Refuse a key that cannot trade here; warn of one that can do too much."""
        answer = await self.rest.ask(self.rest.http.get_api_key_information)
        key: Mapping[str, Any] = answer["result"]
        granted = key.get("permissions") or {}
        group, needed = ("ContractTrade", "Order") if self.linear else ("Spot", "SpotTrade")
        if key.get("readOnly") == 1 or needed not in (granted.get(group) or ()):
            which = "is read-only" if key.get("readOnly") == 1 else f"lacks {group}/{needed}"
            raise VenueError(
                f"the key {which}",
                where=self.venue,
                done="nothing was started",
                todo="give the key trading permission on Bybit's API page, or make a new one",
            )
        if key.get("uta") == 0 and not key.get("unified"):
            raise VenueError(
                "the account is not a Unified Trading Account",
                where=self.venue,
                done="nothing was started",
                todo="upgrade it on Bybit's account page",
            )
        if "Withdraw" in (granted.get("Wallet") or ()):
            self.notices.append(
                "the Bybit key may withdraw money; trading does not need that: use a key without it"
            )

    async def modes(self, leverage: Sequence[int | None]) -> None:
        """One-way positions, and the leverage asked for; "already so" is success."""
        info = (await self.rest.ask(self.rest.http.get_account_info))["result"]
        if info.get("marginMode") == "ISOLATED_MARGIN":
            self.notices.append(
                "the Bybit account is in isolated margin mode; limits here reckon with cross margin"
            )
        for symbol in self.symbols:
            await self._one_way(symbol)
        for symbol, wanted in zip(self.symbols, leverage, strict=False):
            if wanted is None:
                continue
            await self.rest.ask(
                self.rest.http.set_leverage,
                pool="setup",
                already=True,
                category=self.category,
                symbol=symbol,
                buyLeverage=str(wanted),
                sellLeverage=str(wanted),
            )

    async def _one_way(self, symbol: str) -> None:
        try:
            await self.rest.ask(
                self.rest.http.switch_position_mode,
                pool="setup",
                already=True,
                category=self.category,
                symbol=symbol,
                mode=ONE_WAY,
            )
        except VenueFault as fault:
            if await self._is_one_way(symbol):
                return  # an open position keeps Bybit from even confirming it
            raise VenueError(
                f"{symbol} cannot be switched to one-way positions (code {fault.code}: "
                f"{fault.what})",
                where=self.venue,
                done="nothing was started",
                todo="close its positions and orders, or switch hedge mode off on Bybit's page",
            ) from fault

    async def _is_one_way(self, symbol: str) -> bool:
        answer = await self.rest.ask(
            self.rest.http.get_positions, category=self.category, symbol=symbol
        )
        rows = answer["result"]["list"]
        return bool(rows) and all(row["positionIdx"] == 0 for row in rows)

    # --- the truth --------------------------------------------------------------------------------

    async def reading(self, terms: Mapping[str, Terms], clock_ns: int) -> Reading:
        """Every open order of our symbols, others' too."""
        rows: list[Mapping[str, Any]] = []
        for scope in self._scopes(terms):
            rows += await self.rest.pages(
                self.rest.http.get_open_orders,
                category=self.category,
                openOnly=0,
                limit=PAGE,
                **scope,
            )
        news = [order_news(row, terms[row["symbol"]]) for row in rows if row["symbol"] in terms]
        return Reading(tuple(one for one in news if one.how is None), clock_ns)

    def _scopes(self, terms: Mapping[str, Terms]) -> list[dict[str, str]]:
        if not self.linear:
            return [{}]
        return [{"settleCoin": coin} for coin in sorted({t.item.settle for t in terms.values()})]

    async def quiet_since(self, venue_ms: int) -> bool:
        """Whether nothing was executed since; where it was, the state is read again."""
        answer = await self.rest.ask(
            self.rest.http.get_executions, category=self.category, startTime=venue_ms, limit=1
        )
        return not answer["result"]["list"]

    async def state(self, terms: Mapping[str, Terms], reading: Reading, ids: Any) -> AccountState:
        """Positions and balances, with the orders of a reading."""
        wallet, *lists = await asyncio.gather(
            self.rest.ask(self.rest.http.get_wallet_balance, accountType="UNIFIED"),
            *(
                self.rest.pages(self.rest.http.get_positions, category=self.category, **scope)
                for scope in (self._scopes(terms) if self.linear else ())
            ),
        )
        accounts = wallet["result"]["list"]
        held = balances(accounts[0]["coin"] if accounts else ())
        positions = {each.number: 0 for each in terms.values()}
        if self.linear:
            for row in (row for rows in lists for row in rows):
                if row["symbol"] in terms and row.get("side"):
                    place = terms[row["symbol"]]
                    units = place.qty(row["size"])
                    positions[place.number] += units if row["side"] == "Buy" else -units
        else:
            for place in terms.values():
                total = held[place.item.base].total if place.item.base in held else 0
                positions[place.number] = total * place.item.qty_per_one // QUANTA_PER_ONE
        return AccountState(
            orders=tuple(one.state(ids) for one in reading.news),
            positions=positions,
            balances=held,
        )


__all__ = ["Account", "Reading"]
