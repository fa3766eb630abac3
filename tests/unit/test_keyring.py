"""Keys come from the environment or a private file; what is wrong is said without showing them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmcore.errors import ConfigError
from mmcore.keyring import keys_of

KEY, SECRET = "k" * 60 + "1234", "s" * 60 + "5678"
ADDRESS, PRIVATE = "0x" + "ab" * 20, "0x" + "cd" * 32
ENVIRON = {"MMCORE_BINANCE_KEY": KEY, "MMCORE_BINANCE_SECRET": SECRET}


def private(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def refused(venue: str, environ: dict[str, str], file: str | None = None) -> str:
    with pytest.raises(ConfigError) as info:
        keys_of(venue, environ, file)
    text = str(info.value)
    for secret in environ.values():
        assert len(secret) < 8 or secret not in text
    return text


def test_keys_from_the_environment_serve_every_product_of_a_venue() -> None:
    for venue in ("binance-usdm", "binance-spot"):
        keys = keys_of(venue, ENVIRON)
        assert (keys.key, keys.secret) == (KEY, SECRET)
        assert KEY not in repr(keys) and SECRET not in repr(keys)


def test_a_product_may_have_keys_of_its_own() -> None:
    own = {"MMCORE_BINANCE_SPOT_KEY": "a" * 63 + "1", "MMCORE_BINANCE_SPOT_SECRET": "b" * 63 + "1"}
    assert keys_of("binance-spot", ENVIRON | own).key.startswith("aaa")
    assert keys_of("binance-usdm", ENVIRON | own).key == KEY


def test_hyperliquid_has_an_address_and_a_private_key() -> None:
    environ = {
        "MMCORE_HYPERLIQUID_ADDRESS": ADDRESS,
        "MMCORE_HYPERLIQUID_PRIVATE_KEY": PRIVATE,
    }
    assert keys_of("hyperliquid", environ).secret == PRIVATE
    assert "40 hex digits" in refused(
        "hyperliquid", environ | {"MMCORE_HYPERLIQUID_ADDRESS": PRIVATE}
    )


def test_a_missing_variable_is_named_with_every_way_to_supply_it() -> None:
    text = refused("bybit-linear", {})
    for way in ("MMCORE_BYBIT_KEY", "MMCORE_BYBIT_SECRET", "[bybit]", "keys_file", "chmod 600"):
        assert way in text
    assert "\n" not in text


def test_a_slip_in_the_name_is_seen() -> None:
    text = refused("binance-usdm", {"MMCORE_BINANCE_KEY": KEY, "MMCORE_BINANCE_SECERT": SECRET})
    assert "MMCORE_BINANCE_SECRET is not set, but MMCORE_BINANCE_SECERT is" in text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is empty"),
        (f'"{SECRET}"', "blanks or quotes"),
        (f" {SECRET}\n", "blanks or quotes"),
        (SECRET[:-1], "it has 63"),
        ("your-secret-here", "64 letters and digits"),
        (KEY, "copied twice"),
    ],
)
def test_a_mistyped_value_is_refused_without_being_shown(value: str, said: str) -> None:
    assert said in refused("binance-spot", ENVIRON | {"MMCORE_BINANCE_SECRET": value})


def test_a_private_file_serves_as_well(tmp_path: Path) -> None:
    file = private(tmp_path / "keys.toml", f'[binance]\nkey = "{KEY}"\nsecret = "{SECRET}"\n')
    assert keys_of("binance-usdm", {}, file).secret == SECRET
    assert "key in [binance] is empty" in refused(
        "binance-usdm", {}, private(tmp_path / "k.toml", '[binance]\nkey = ""\n')
    )


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[binance]\nkey = "{KEY}"\nsecret = "{SECRET}"\n')
    file.chmod(0o644)
    text = refused("binance-usdm", {}, str(file))
    assert "mode 0644" in text and f"chmod 600 {file}" in text


def test_a_damaged_file_is_not_repeated(tmp_path: Path) -> None:
    file = private(tmp_path / "keys.toml", f"[binance]\nkey = {KEY}\n")
    text = refused("binance-usdm", {}, file)
    assert "line 2" in text and KEY not in text
    assert "cannot be read" in refused("binance-usdm", {}, str(tmp_path / "none.toml"))
