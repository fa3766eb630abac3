"""The venue contract: numbered cases that every adapter passes against a venue.

Run it on an adapter of your own, in a test file of its package (pytest is needed only here)::

    from mmcore.testing import VenueContract

    class TestMyVenue(VenueContract):
        venue = "myvenue"           # the entry point's name
        symbol = "BTCUSDT"

        def open(self):             # only where the exchange in the box does not speak its format
            return my_simulated_venue(self.venue, self.symbol)

``open`` gives an asynchronous context manager of a :class:`~mmcore.counterpart.Counterpart`: the
venue seen from its own side.  Cases that need what it cannot do are skipped.  All of them take a
minute; ``pytest.register_assert_rewrite("mmcore.testing")`` in a conftest.py makes failures explain
themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any

import pytest

from .counterpart import BoxCounterpart, Counterpart
from .errors import MmcoreError, VenueError
from .events import ASK, BID, Kind, RejectCode, TimeInForce
from .gateway import Gateway, Keys, Prepared, Setup
from .instrument import QUANTA_PER_ONE
from .trial import RECOVERY_S, Trial
from .venue import decoder
from .wiring import CAPABILITIES, Capability
from .witness import Sent, Witness

LOST = "0123456789abcdef" * 2
STALE_S = 40.0  # until a silent stream is noticed

Case = Callable[[Any, Trial], Coroutine[Any, Any, None]]


def case(play: Case) -> Callable[[Any, Trial], None]:
    """A case as a plain test: run on the trial's loop, bounded in time."""

    def run(self: Any, trial: Trial) -> None:
        try:
            trial.run(play(self, trial))
        except NotImplementedError:
            pytest.skip("the venue's counterpart cannot do this")

    run.__name__, run.__qualname__ = play.__name__, play.__qualname__
    run.__doc__, run.__module__ = play.__doc__, play.__module__
    return run


class VenueContract:
    """The cases.  venue: name of the entry point.  symbol: what to trade.

    capability: what order entry can do, of the house's table unless given.  chained: whether book
    messages depend on each other, so that a lost one is a gap.
    """

    venue = ""
    symbol = "BTCUSDT"
    capability: Capability | None = None
    chained = True

    def open(self) -> AbstractAsyncContextManager[Counterpart]:
        """A venue that nobody else trades on; by default the exchange in the box."""
        return BoxCounterpart.open(self.venue, self.symbol)

    def gateway(self, setup: Setup) -> Gateway:
        """A gateway of the adapter."""
        adapter: Any = decoder(setup.venue)
        gateway: Gateway = adapter.gateway(setup)
        return gateway

    @pytest.fixture(scope="class")
    @classmethod
    def trial(cls) -> Iterator[Trial]:
        """The trial that all cases share."""
        with asyncio.Runner() as runner:
            trial = Trial(cls(), runner)
            trial.run(trial.open())
            try:
                yield trial
            finally:
                trial.run(trial.close())

    @pytest.fixture(autouse=True)
    def _clean(self, trial: Trial) -> Iterator[None]:
        yield
        trial.run(trial.clean())

    @property
    def _can(self) -> Capability:
        return self.capability or CAPABILITIES.get(self.venue, Capability(2, 1))

    # -- what is known at the start, and the market

    @case
    async def test_01_the_instrument_is_the_venues(self, trial: Trial) -> None:
        assert trial.prepared.instruments == (trial.venue.item,)

    @case
    async def test_02_the_clock_offset_is_known(self, trial: Trial) -> None:
        assert abs(trial.prepared.clock_offset_ns) < 500_000_000

    @case
    async def test_03_the_book_is_the_venues(self, trial: Trial) -> None:
        await trial.witness.until(trial.same_book, what="the venue's book")

    @case
    async def test_04_the_book_goes_on_without_a_gap(self, trial: Trial) -> None:
        witness = trial.witness
        before, downs = witness.kinds.get(Kind.DEPTH, 0), witness.links_down
        await witness.until(lambda: witness.kinds.get(Kind.DEPTH, 0) > before + 3)
        await asyncio.sleep(0.5)
        assert witness.links_down == downs
        assert witness.healthy

    @case
    async def test_05_prints_and_marks_arrive(self, trial: Trial) -> None:
        wanted = {Kind.TRADE}
        if trial.venue.item.settle == trial.venue.item.quote and trial.prepared.account is not None:
            spot = trial.venue.item.base in trial.prepared.account.balances
            wanted |= set() if spot else {Kind.MARK, Kind.FUNDING}
        await trial.witness.until(lambda: wanted <= set(trial.witness.kinds), within_s=15.0)

    @case
    async def test_06_frames_are_handed_on_as_they_came(self, trial: Trial) -> None:
        assert sum(trial.witness.channels.values()) > 3

    # -- orders

    @case
    async def test_07_an_order_rests(self, trial: Trial) -> None:
        for side in (BID, ASK):
            order = await trial.rest(side)
            (resting,) = [one for one in trial.venue.orders() if one.side == side]
            assert (resting.tick, resting.qty) == (order.tick, order.left)
            assert order.told == [f"ACK {order.left} NONE"]

    @case
    async def test_08_the_client_id_says_which_order_it_is(self, trial: Trial) -> None:
        order = await trial.rest()
        (resting,) = trial.venue.orders()
        assert resting.client_id == trial.client_id(order)
        read = trial.ids.read(resting.client_id)
        assert read == (order.slot, order.generation)

    @case
    async def test_09_a_post_only_order_never_takes(self, trial: Trial) -> None:
        venue, before = trial.venue, trial.venue.position()
        tick = venue.item.spec(0).tick_ceil(venue.top(ASK, 1)[0][0] * 1002 // 1000)
        order = trial.witness.place(BID, tick, venue.size())
        await trial.witness.over(order)
        assert order.end in {Kind.EXPIRED, Kind.REJECT}
        assert order.code is RejectCode.POST_ONLY
        assert venue.position() == before

    @case
    async def test_10_what_breaks_a_filter_is_refused(self, trial: Trial) -> None:
        venue = trial.venue
        tick = venue.item.spec(0).tick_floor(venue.top(BID, 1)[0][0] // 60)
        order = trial.witness.place(BID, tick, venue.size())
        await trial.witness.over(order)
        assert (order.end, order.code) == (Kind.REJECT, RejectCode.FILTER)
        assert venue.orders() == []

    @case
    async def test_11_orders_go_in_batches(self, trial: Trial) -> None:
        venue, spec = trial.venue, trial.venue.item.spec(0)
        ticks = [venue.far_tick(BID)]
        while len(ticks) < 7:
            ticks.append(spec.tick_down(ticks[-1]))
        orders = trial.witness.place_all([(BID, tick, venue.size()) for tick in ticks])
        await trial.witness.live(*orders)
        assert sorted(one.tick for one in venue.orders()) == sorted(ticks)
        trial.witness.cancel(*orders)
        await trial.witness.over(*orders)
        assert {order.end for order in orders} == {Kind.CANCELLED}
        assert venue.orders() == []

    @case
    async def test_12_one_bad_item_does_not_spoil_a_batch(self, trial: Trial) -> None:
        venue = trial.venue
        far, qty = venue.far_tick(BID), venue.size()
        low = venue.item.spec(0).tick_floor(far // 60)
        orders = trial.witness.place_all([(BID, far, qty), (BID, low, qty), (BID, far, 2 * qty)])
        await trial.witness.live(orders[0], orders[2])
        await trial.witness.over(orders[1])
        assert orders[1].end is Kind.REJECT
        assert len(venue.orders()) == 2

    @case
    async def test_13_a_price_is_amended(self, trial: Trial) -> None:
        if self._can.amend < 2:
            pytest.skip("this venue amends no prices")
        order = await trial.rest()
        tick = trial.venue.item.spec(0).tick_down(order.tick)
        trial.witness.amend(order, tick, order.left)
        await trial.witness.live(order)
        assert (order.tick, order.refusals) == (tick, [])
        (resting,) = trial.venue.orders()
        assert (resting.tick, resting.qty) == (tick, order.left)

    @case
    async def test_14_a_size_is_amended(self, trial: Trial) -> None:
        if not self._can.amend:
            pytest.skip("this venue amends nothing")
        order = await trial.rest(times=2)
        left = trial.venue.size(3) if self._can.amend == 2 else trial.venue.size()
        trial.witness.amend(order, order.tick, left)
        await trial.witness.live(order)
        assert (order.left, order.refusals) == (left, [])
        assert [one.qty for one in trial.venue.orders()] == [left]

    @case
    async def test_15_an_amended_total_counts_what_is_filled(self, trial: Trial) -> None:
        if self._can.amend < 2:
            pytest.skip("this venue amends no prices")
        venue, witness = trial.venue, trial.witness
        order = await trial.near(times=4)
        venue.fill(trial.client_id(order), venue.size())
        await witness.until(lambda: order.done >= venue.size() or order.over, what="a fill")
        if order.over:
            pytest.skip("the market took all of it")
        done, left = order.done, venue.size(2)
        witness.amend(order, venue.far_tick(BID), left)
        await witness.live(order)
        (resting,) = venue.orders()
        assert (order.left, order.done) == (left, done)
        # Venues that replace the order begin to count anew; what is left is the same.
        assert (resting.done, resting.qty - resting.done) in {(done, left), (0, left)}

    @case
    async def test_16_an_order_is_cancelled(self, trial: Trial) -> None:
        order = await trial.rest()
        left = order.left
        trial.witness.cancel(order)
        await trial.witness.over(order)
        assert (order.end, order.left) == (Kind.CANCELLED, left)
        assert trial.venue.orders() == []

    @case
    async def test_17_a_cancel_that_comes_too_late_ends_the_order_once(self, trial: Trial) -> None:
        order = await trial.rest()
        trial.venue.cancel(trial.client_id(order))
        trial.witness.cancel(order)
        await trial.witness.over(order)
        await asyncio.sleep(0.2)
        assert order.end is Kind.CANCELLED

    @case
    async def test_18_a_cancel_by_hand_is_told(self, trial: Trial) -> None:
        order = await trial.rest()
        trial.venue.cancel(trial.client_id(order))
        await trial.witness.over(order)
        assert order.end in {Kind.CANCELLED, Kind.EXPIRED}

    # -- fills

    @case
    async def test_19_an_order_that_takes_is_filled(self, trial: Trial) -> None:
        venue, witness = trial.venue, trial.witness
        for side in (BID, ASK):
            best = venue.top(-side, 1)[0][0]
            spec = venue.item.spec(0)
            tick = best * (1000 + 2 * side) // 1000
            tick = spec.tick_ceil(tick) if side > 0 else spec.tick_floor(tick)
            order = witness.place(side, tick, venue.size(), tif=TimeInForce.IOC)
            await witness.over(order)
            assert (order.end, order.done, order.makers) == (Kind.FILL, venue.size(), 0)
            self._check_fees(trial, order)

    @case
    async def test_20_an_order_is_filled_in_parts(self, trial: Trial) -> None:
        venue, witness = trial.venue, trial.witness
        for side in (BID, ASK):
            order = await trial.near(side, times=3)
            asked = order.left + order.done
            venue.fill(trial.client_id(order), venue.size())
            await witness.until(partial(self._has, order, venue.size()), what="a part")
            venue.fill(trial.client_id(order), asked)
            await witness.over(order)
            assert (order.end, order.done) == (Kind.FILL, asked)
            assert order.makers == len(trial.dealt(order)) >= 1
            self._check_fees(trial, order)

    @staticmethod
    def _has(order: Sent, qty: int) -> bool:
        return order.done >= qty

    def _check_fees(self, trial: Trial, order: Sent) -> None:
        """Fees as the venue took them, in quanta of the settle asset or units of the coin."""
        item, dealt = trial.venue.item, trial.dealt(order)
        assert sum(fill.qty for fill in dealt) == order.done
        paid = sum(fill.fee for fill in dealt if fill.asset == item.settle)
        coin = sum(fill.fee for fill in dealt if fill.asset == item.base != item.settle)
        assert order.fees == paid
        assert order.coins == coin * item.qty_per_one // QUANTA_PER_ONE

    @case
    async def test_21_a_cancel_that_loses_the_race_is_a_fill(self, trial: Trial) -> None:
        order = await trial.near()
        asked = order.left + order.done
        trial.venue.fill(trial.client_id(order), asked)
        trial.witness.cancel(order)
        await trial.witness.over(order)
        assert (order.end, order.done) == (Kind.FILL, asked)

    # -- a bad line

    @case
    async def test_22_frames_that_come_twice_count_once(self, trial: Trial) -> None:
        trial.venue.fault("duplicate", "stream:*", seconds=1.0)
        await self._trade(trial)
        await trial.witness.until(trial.same_book, within_s=RECOVERY_S, what="the venue's book")

    @case
    async def test_23_frames_in_another_order_mean_the_same(self, trial: Trial) -> None:
        for word in ("order", "fill", "position", "account"):
            trial.venue.fault("reorder", f"stream:{word}", count=3)
        await self._trade(trial)

    @case
    async def test_24_an_acknowledgement_may_come_after_the_fill(self, trial: Trial) -> None:
        trial.fault_orders("late_ack", ms=300.0)
        await self._trade(trial)

    async def _trade(self, trial: Trial) -> None:
        """One order that is cancelled, one that takes, one that is taken: all told, once each."""
        venue, witness = trial.venue, trial.witness
        first = await trial.rest()
        tick = venue.item.spec(0).tick_ceil(venue.top(ASK, 1)[0][0] * 1002 // 1000)
        second = witness.place(BID, tick, venue.size(), tif=TimeInForce.IOC)
        third = await trial.near(ASK)
        witness.cancel(first)
        venue.fill(trial.client_id(third), venue.size())
        await witness.over(first, second, third, within_s=RECOVERY_S)
        assert [one.end for one in (first, second, third)] == [
            Kind.CANCELLED, Kind.FILL, Kind.FILL,
        ]  # fmt: skip
        assert [one.done for one in (first, second, third)] == [0, venue.size(), venue.size()]

    @case
    async def test_25_a_lost_acknowledgement_is_asked_for(self, trial: Trial) -> None:
        trial.fault_orders("lost_ack")
        order = trial.witness.place(BID, trial.venue.far_tick(BID), trial.venue.size())
        await trial.witness.until(lambda: order.acked, within_s=RECOVERY_S, what="the truth")
        assert [one.client_id for one in trial.venue.orders()] == [trial.client_id(order)]

    @case
    async def test_26_an_unknown_outcome_is_asked_for(self, trial: Trial) -> None:
        trial.fault_orders("unknown_503")
        order = trial.witness.place(BID, trial.venue.far_tick(BID), trial.venue.size())
        await trial.witness.until(lambda: order.acked, within_s=RECOVERY_S, what="the truth")
        assert [one.client_id for one in trial.venue.orders()] == [trial.client_id(order)]

    @case
    async def test_27_a_lost_request_ends_and_is_not_sent_again(self, trial: Trial) -> None:
        trial.fault_orders("drop")
        order = trial.witness.place(BID, trial.venue.far_tick(BID), trial.venue.size())
        await trial.witness.until(
            lambda: order.over or order.acked, within_s=RECOVERY_S, what="the truth"
        )
        await asyncio.sleep(0.3)
        trial.agree()

    @case
    async def test_28_a_rate_limit_is_waited_for(self, trial: Trial) -> None:
        trial.fault_orders("reply", status=429, retry_s=1)
        witness, venue = trial.witness, trial.venue
        order = witness.place(BID, venue.far_tick(BID), venue.size())
        await witness.until(lambda: order.over or order.acked, within_s=RECOVERY_S, what="either")
        venue.calm()
        await trial.recovered()
        trial.agree()

    @case
    async def test_29_what_happened_while_links_were_down_is_not_lost(self, trial: Trial) -> None:
        venue, witness = trial.venue, trial.witness
        order, downs = await trial.near(ASK), witness.links_down
        stays = await trial.rest()
        asked = order.left + order.done
        venue.fault("cut", "socket:*", count=9)
        await witness.until(lambda: witness.links_down > downs, what="LINK_DOWN")
        venue.fill(trial.client_id(order), asked)
        venue.calm()
        await witness.over(order, within_s=RECOVERY_S)
        assert (order.end, order.done) == (Kind.FILL, asked)
        await witness.until(trial.same_book, within_s=RECOVERY_S, what="the venue's book")
        assert not stays.over
        trial.agree()

    @case
    async def test_30_a_gap_in_the_book_is_noticed(self, trial: Trial) -> None:
        witness, spells = trial.witness, trial.witness.spells
        trial.venue.fault("drop", "stream:depth", seconds=0.3)
        if self.chained:
            await witness.until(lambda: witness.spells > spells, within_s=RECOVERY_S)
        await witness.until(trial.same_book, within_s=RECOVERY_S, what="the venue's book")

    @case
    async def test_31_a_stream_that_stands_still_is_noticed(self, trial: Trial) -> None:
        witness, downs = trial.witness, trial.witness.links_down
        trial.venue.fault("half_open", "socket:*", count=9)
        await witness.until(lambda: witness.links_down > downs, within_s=STALE_S)
        trial.venue.calm()
        await witness.until(trial.same_book, within_s=RECOVERY_S, what="the venue's book")
        await trial.recovered()

    @case
    async def test_32_the_venue_goes_away_and_comes_back(self, trial: Trial) -> None:
        order = await trial.rest()
        await trial.venue.restart(0.3)
        await trial.witness.until(trial.same_book, within_s=RECOVERY_S, what="the venue's book")
        trial.agree()
        trial.witness.cancel(order)
        await trial.witness.over(order, within_s=RECOVERY_S)
        assert trial.venue.orders() == []

    # -- the account

    @case
    async def test_33_the_account_is_the_venues(self, trial: Trial) -> None:
        order, venue = await trial.rest(), trial.venue
        state = await trial.gateway.account()
        (open_,) = state.orders
        assert (open_.side, open_.tick, open_.qty, open_.done) == (BID, order.tick, order.left, 0)
        assert open_.own
        assert open_.client_id.removeprefix("0x") == trial.client_id(order)
        assert state.positions[0] == venue.position()
        assert state.balances[venue.item.settle].total == venue.balance(venue.item.settle)

    @case
    async def test_34_orders_made_by_hand_are_left_alone(self, trial: Trial) -> None:
        name = trial.venue.place(ASK, trial.venue.far_tick(ASK), trial.venue.size())
        await trial.rest()
        assert [one.own for one in (await trial.gateway.account()).orders].count(False) == 1
        assert await trial.gateway.cancel_all() == 1
        assert [one.side for one in trial.venue.orders()] == [ASK]
        trial.venue.cancel(name)

    @case
    async def test_35_orders_of_an_earlier_start_are_cancelled(self, trial: Trial) -> None:
        async with trial.another() as (_, _, earlier):
            order = earlier.place(BID, trial.venue.far_tick(BID), trial.venue.size())
            await earlier.live(order)
        assert len(trial.venue.orders()) == 1
        assert await trial.gateway.cancel_all() == 1
        assert trial.venue.orders() == []

    @case
    async def test_36_the_books_agree_to_the_last_unit(self, trial: Trial) -> None:
        venue, ledger, item = trial.venue, trial.witness.ledger, trial.venue.item
        await self._trade(trial)
        if not self._spot(trial):
            await self._flatten(
                trial
            )  # what is realised of a position depends on the order of fills
        coins = venue.balance(item.base) - trial.money[item.base]
        change = venue.balance(item.quote) - trial.money[item.quote]
        if self._spot(trial):
            mine = ledger.position * QUANTA_PER_ONE // item.qty_per_one, ledger.cash - ledger.fees
        else:
            mine = 0, ledger.realised - ledger.fees + ledger.funding
        assert (coins, change) == mine
        assert venue.position() == trial.start + ledger.position

    @staticmethod
    async def _flatten(trial: Trial) -> None:
        venue, item = trial.venue, trial.venue.item
        held = trial.witness.ledger.position
        if not held:
            return
        side = BID if held < 0 else ASK
        tick = venue.top(-side, 1)[0][0] * (1000 + 3 * side) // 1000
        tick = item.spec(0).tick_ceil(tick) if side > 0 else item.spec(0).tick_floor(tick)
        order = trial.witness.place(side, tick, abs(held), tif=TimeInForce.IOC)
        await trial.witness.over(order)
        assert trial.witness.ledger.position == 0

    @staticmethod
    def _spot(trial: Trial) -> bool:
        return bool(trial.venue.balance(trial.venue.item.base)) and "spot" in trial.venue.venue

    # -- what would keep trading from working

    async def _prepare(self, venue: Counterpart, **changed: Any) -> tuple[Prepared | None, str]:
        """What a new gateway finds out, or the sentence with which it refuses."""
        gateway = self.gateway(venue.setup(**changed))
        try:
            return await gateway.prepare(), ""
        except VenueError as error:
            return None, str(error)
        finally:
            await gateway.close()

    async def _refused(self, venue: Counterpart, **changed: Any) -> str:
        """The sentence with which a gateway refuses to prepare; no secret is in it."""
        gateway = self.gateway(venue.setup(**changed))
        try:
            with pytest.raises(VenueError) as caught:
                await gateway.prepare()
        finally:
            await gateway.close()
        setup = venue.setup(**changed)
        assert setup.keys is None or setup.keys.secret not in f"{caught.value}{caught.value!r}"
        assert str(caught.value).strip()
        return str(caught.value)

    @case
    async def test_37_a_wrong_secret_is_refused(self, trial: Trial) -> None:
        keys = trial.venue.setup().keys
        assert keys is not None
        wrong = LOST * (len(keys.secret) // 32)
        secret = f"0x{wrong}" if keys.secret.startswith("0x") else wrong
        await self._refused(trial.venue, keys=Keys(keys.key, secret))

    @case
    async def test_38_an_unknown_key_is_refused(self, trial: Trial) -> None:
        keys = trial.venue.setup().keys
        assert keys is not None
        form = "0x" if keys.key.startswith("0x") else ""
        await self._refused(trial.venue, keys=Keys(form + "1" * 40, form + "7" * 64))

    @case
    async def test_39_an_unknown_symbol_is_refused_by_its_name(self, trial: Trial) -> None:
        assert "NOSUCH" in await self._refused(trial.venue, symbols=("NOSUCH",))

    @case
    async def test_40_a_venue_that_does_not_answer_is_told(self, trial: Trial) -> None:
        await self._refused(trial.venue, base="127.0.0.1:9")

    @case
    async def test_41_a_key_that_may_not_trade_is_refused(self, trial: Trial) -> None:
        async with trial.contract.open() as venue:
            venue.spoil("trade")
            said = await self._refused(venue)
            assert "key" in said
            assert "trad" in said

    @case
    async def test_42_hedge_mode_is_switched_off_or_refused(self, trial: Trial) -> None:
        async with trial.contract.open() as venue:
            venue.spoil("hedge")
            _, said = await self._prepare(venue)
            assert not said or "one-way" in said or "hedge" in said

    @case
    async def test_43_a_wrong_clock_is_allowed_for_or_refused(self, trial: Trial) -> None:
        async with trial.contract.open() as venue:
            venue.jump(-60_000_000_000)
            prepared, said = await self._prepare(venue)
            if prepared is None:
                assert "clock" in said
            else:
                assert abs(prepared.clock_offset_ns + 60_000_000_000) < 1_000_000_000

    # -- the end

    @case
    async def test_44_nothing_is_sent_after_the_end(self, trial: Trial) -> None:
        async with trial.another() as (gateway, _, witness):
            await gateway.close()
            await gateway.close()
            with suppress(MmcoreError):
                witness.place(BID, trial.venue.far_tick(BID), trial.venue.size())
            await asyncio.sleep(0.3)
            assert trial.venue.orders() == []

    @case
    async def test_45_public_data_needs_no_keys(self, trial: Trial) -> None:
        async with trial.another(keys=None, ids=None) as (_, prepared, _):
            assert prepared.account is None

    @case
    async def test_46_no_secret_is_ever_shown(self, trial: Trial) -> None:
        keys = trial.venue.setup().keys
        assert keys is not None
        gateway = trial.gateway
        inside = vars(gateway) if hasattr(gateway, "__dict__") else {}
        told = (trial.prepared, gateway.health(), trial.venue.setup(), trial.witness.notices)
        shown = repr((gateway, inside, keys, *told))
        assert keys.secret not in shown
        assert keys.secret.removeprefix("0x") not in shown


__all__ = ["BoxCounterpart", "Counterpart", "Trial", "VenueContract", "Witness", "case"]
