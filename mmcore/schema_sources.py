"""Keys of where a run's data come from, where its orders go, and what is kept of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from .keys import Key


class MarketConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where market data come from."""

    source: Annotated[
        Literal["synthetic", "tape", "venue"],
        Key("choice", "runs without network, keys or files; venue: its public data, see [live]"),
    ] = "synthetic"
    preset: Annotated[
        Literal["busy", "busy_eth", "block", "quiet"],
        Key("choice", "a small-tick perpetual; block: book images; quiet: large-tick spot"),
    ] = "busy"
    regime: Annotated[
        Literal["none", "ranging", "volatile", "trend", "quiet", "flash"],
        Key("choice", "what the synthetic market is going through; none: the preset as it is"),
    ] = "none"
    seed: Annotated[
        int, Key("number", "the same seed gives the same market", least=0, most=2**63 - 1)
    ] = 1
    files: Annotated[
        tuple[str, ...],
        Key(
            "paths",
            "captures to replay, in order; relative to the configuration file",
            example='["capture.gz"]',
        ),
    ] = ()
    speed: Annotated[
        float, Key("market seconds a second", "0: as fast as possible", least=0, most=1e6)
    ] = 0.0


class SyntheticConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instrument of a synthetic market."""

    preset: Annotated[
        Literal["busy", "busy_eth", "block", "quiet"] | None,
        Key("choice", "as market.preset, for this instrument", auto="market.preset"),
    ] = None
    start_price: Annotated[
        float | None,
        Key(
            "quote",
            "the preset is scaled to it",
            above=0,
            most=1e9,
            auto="the asset's usual, or the preset's",
        ),
    ] = None


Environment = Literal["loopback", "testnet", "mainnet"]


class LiveConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The venue's servers: for mode = "live", and for its public data on paper."""

    environment: Annotated[
        Environment | None,
        Key(
            "choice",
            "loopback: the exchange in the box, started by the run",
            auto='mainnet for public data on paper; needed with mode = "live"',
        ),
    ] = None
    box: Annotated[
        str | None,
        Key(
            "host:port",
            "a box that runs already; its keys as for a test-net",
            auto="one of its own",
        ),
    ] = None
    faults: Annotated[
        str | None,
        Key(
            "path",
            "what goes wrong in the box, and when; relative to the configuration file",
            auto="nothing goes wrong",
        ),
    ] = None
    stream: Annotated[
        Literal["own", "client"], Key("choice", "client: the sockets of the vendor's library")
    ] = "own"
    order_entry: Annotated[
        Literal["socket", "rest"], Key("choice", "the faster one, where the venue has it")
    ] = "socket"
    keys_file: Annotated[
        str | None,
        Key(
            "path",
            "for you alone (chmod 600); relative to the configuration file",
            auto="environment variables",
        ),
    ] = None
    audit_seconds: Annotated[
        float,
        Key("s", "between two comparisons with the venue's own account", least=1, most=3600),
    ] = 30.0
    book_late_ms_max: Annotated[
        float | None,
        Key(
            "ms",
            "depth that comes later is not quoted on",
            least=50,
            most=60_000,
            auto="1000; Hyperliquid 2500",
        ),
    ] = None
    dead_man_seconds: Annotated[
        float,
        Key(
            "s",
            "of silence, 10 at least, after which the venue cancels all orders there; 0: never",
            least=0,
            most=300,
        ),
    ] = 30.0


class RunConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to run, and what to keep."""

    seconds: Annotated[
        float,
        Key("market seconds", "0: to the end of the tape, or until Ctrl-C", least=0, most=1e8),
    ] = 0.0
    directory: Annotated[
        str, Key("path", "every run gets a folder of its own in it; relative to where you stand")
    ] = "runs"
    event_log: Annotated[bool, Key("yes or no", "what the run saw can be replayed exactly")] = True
    journal: Annotated[bool, Key("yes or no", "requests and fills survive whatever happens")] = True
