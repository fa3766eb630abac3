"""The meter gives on recorded tapes what was measured on them independently."""

import pytest

from mmcore.meter import LARGE_TICK, SMALL_TICK, measure
from mmcore.recording import record
from mmcore.tape import TapeSource

# name of the fact: value measured by another program, tolerance as a share of it.  Wide where the
# sample of a few minutes depends on where a grid of seconds starts.
USDM_BTC = {
    "spread_one": (0.991, 0.001),
    "reclose_ms": (1.0, 0.01),
    "vol_1s": (1.27, 0.10),
    "still_1s": (0.466, 0.05),
    "kurtosis_1s": (23.8, 0.15),
    "moves_per_s": (1.25, 0.01),
    "move_rms": (73.1 * 0.0162, 0.01),
    "move_steps": (4.71, 0.01),
    "moves_traded": (0.935, 0.01),
    "move_continues": (0.706, 0.01),
    "takers_per_s": (15.8, 0.01),
    "prints_per_taker": (3.92, 0.01),
    "fano_short": (23.5, 0.10),
    "sign_acf_1": (0.199, 0.01),
    "sign_acf_10": (0.119, 0.02),
    "taker_moves_touch": (0.177, 0.02),
    "taker_eats_queue": (0.151, 0.01),
    "size_q95_q50": (1474 / 30, 0.01),
    "size_hill": (1.05, 0.01),
    "touch_q95_q50": (9788 / 3124, 0.01),
    "levels_per_message": (34.0, 0.01),
    "adds_cancels": (46 / 38.8, 0.05),
    "executions": (0.152, 0.15),
    "i1_extreme": (0.246, 0.01),
    "i1_r2_1s": (0.0418, 0.10),
    "up_given_high": (0.722, 0.01),
    "up_given_low": (0.239, 0.08),
    "ofi_r2_1s": (0.395, 0.10),
    "volume_r2_1s": (0.392, 0.10),
    "response_1s": (0.267, 0.01),
    "fill_decay": (0.4625, 0.20),
    "markout_100ms": (-0.89, 0.01),
    "markout_1s": (-1.02, 0.01),
    "fill_share": (0.641, 0.01),
}
SPOT_NEXO = {
    "spread_one": (0.785, 0.001),
    "reclose_ms": (0.972, 0.01),
    "vol_1s": (1.29, 0.02),
    "still_1s": (0.977, 0.001),
    "kurtosis_1s": (932.0, 0.02),
    "moves_per_s": (0.0206, 0.01),
    "move_steps": (2.51, 0.01),
    "takers_per_s": (0.0692, 0.01),
    "fano_short": (4.16, 0.02),
    "sign_acf_1": (0.216, 0.01),
    "taker_moves_touch": (0.221, 0.05),
    "size_q95_q50": (36_920 / 3560, 0.01),
    "touch_q95_q50": (211_800 / 20_050, 0.01),
    "levels_per_message": (1.0, 0.01),
    "i1_extreme": (0.367, 0.01),
    "i1_acf_1s": (0.96, 0.01),
    "i1_r2_1s": (0.00394, 0.06),
    "i1_r2_5s": (0.0151, 0.02),
    "ofi_r2_1s": (0.16, 0.02),
    "volume_r2_1s": (0.296, 0.02),
    "markout_1s": (-1.66, 0.02),
    "fill_share": (0.264, 0.01),
}


def agree(facts, measured):
    return {
        name: (round(facts[name], 5), value)
        for name, (value, share) in measured.items()
        if abs(facts[name] - value) > abs(value) * share + 5e-4
    }


@pytest.mark.parametrize(
    ("files", "scale", "measured"),
    [
        (["usdm/BTCUSDT/btcusdt_20240808.gz"], SMALL_TICK, USDM_BTC),
        (
            ["spot/NEXOUSDT/nexousdt_20240723.dat.gz", "spot/NEXOUSDT/nexousdt_20240724.dat.gz"],
            LARGE_TICK,
            SPOT_NEXO,
        ),
    ],
    ids=["small tick", "large tick"],
)
def test_the_meter_agrees_with_an_independent_measurement(shared_data, files, scale, measured):
    source = TapeSource([shared_data / "binance" / name for name in files])
    assert agree(measure(record(source), scale), measured) == {}
