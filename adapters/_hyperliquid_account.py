"""What Hyperliquid tells of one account over HTTP: orders, fills, and requests left."""

from __future__ import annotations

from typing import Any

from mmcore.errors import VenueError
from mmcore.venue import DecodeError

from ._hyperliquid_rest import Rest
from ._hyperliquid_words import Coins, OrderNews

PAGE, PAGES_MAX = 500, 20  # fills of one answer, at the least; answers of one reading


class Account:
    """Questions about one address.

    address: of the account, not of an API wallet.  coins: what is traded here.  is_reading_quota:
    whether that question is on its way.
    """

    def __init__(self, rest: Rest, address: str, coins: Coins) -> None:
        self.rest, self.address, self.coins = rest, address, coins
        self.is_reading_quota = False

    async def order(self, oid: int | str) -> OrderNews | None:
        """An order by number or cloid, None where the venue knows none.  Raises VenueError."""
        answer = await self.rest.info("orderStatus", urgent=True, user=self.address, oid=oid)
        try:
            return self.coins.status(answer)
        except DecodeError as error:
            raise VenueError(f"orderStatus: {error}", where=self.rest.venue) from None

    async def open_orders(self, *, urgent: bool = False) -> list[OrderNews]:
        """Every open order of the coins traded here.  Raises VenueError.

        urgent: what is kept back for cancels may be spent on it.
        """
        answer = await self.rest.info("frontendOpenOrders", urgent=urgent, user=self.address)
        if not isinstance(answer, list):
            raise VenueError("frontendOpenOrders is not a list", where=self.rest.venue)
        try:
            found = [self.coins.order(row) for row in answer]
        except DecodeError as error:
            raise VenueError(f"frontendOpenOrders: {error}", where=self.rest.venue) from None
        return [news for news in found if news is not None]

    async def fills(self, begin_ms: int) -> list[Any]:
        """Fills from a time on, page by page, whichever end the venue begins with."""
        rows: list[Any] = []
        end_ms: int | None = None
        for _ in range(PAGES_MAX):
            page = await self.rest.info(
                "userFillsByTime", urgent=True, user=self.address, startTime=max(begin_ms, 0),
                endTime=end_ms, aggregateByTime=False,
            )  # fmt: skip
            if not isinstance(page, list):
                raise VenueError("userFillsByTime is not a list", where=self.rest.venue)
            rows += page
            if len(page) < PAGE:
                break
            first, last = page[0]["time"], page[-1]["time"]
            if first <= last:
                begin_ms, moved = last, last > begin_ms
            else:
                end_ms, moved = last, last != end_ms
            if not moved:
                break
        return rows

    async def read_quota(self) -> None:
        """Ask how many requests the account has left."""
        self.is_reading_quota = True
        try:
            answer = await self.rest.info("userRateLimit", user=self.address)
        finally:
            self.is_reading_quota = False
        if isinstance(answer, dict):
            self.rest.quota.report(answer)


__all__ = ["Account"]
