import math

import pytest
import torch
from torch import nn

from impasto.training.schedule import (
    FINAL_RATE,
    bfloat16_is_faster,
    learning_rate_factor,
    phases,
    planned_steps,
    seconds_per_step,
)


def curve(steps, name="cosine"):
    return [learning_rate_factor(step, name, steps) for step in range(steps)]


def test_the_constant_schedule_is_constant():
    assert curve(50, "constant") == [1.0] * 50
    assert learning_rate_factor(10**6, "constant", 50) == 1.0


def test_the_rate_rises_over_the_first_two_percent():
    rates = curve(1000)
    for step in range(20):
        assert rates[step] == pytest.approx((step + 1) / 20, rel=5e-3)
    assert max(rates) <= 1
    assert rates.index(max(rates)) in (19, 20)


def test_the_rate_then_falls_along_a_cosine_to_its_floor():
    rates = curve(1000)
    after = rates[20:]
    assert after == sorted(after, reverse=True)
    assert rates[500] == pytest.approx((1 + FINAL_RATE) / 2)
    assert rates[-1] == pytest.approx(FINAL_RATE, rel=1e-3)
    assert rates[250] == pytest.approx(
        FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi / 4)) / 2
    )


def test_wsd_stays_at_the_top_until_the_last_fifth():
    rates = curve(1000, "wsd")
    assert rates[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert set(rates[20:801]) == {1.0}
    assert rates[900] == pytest.approx((1 + FINAL_RATE) / 2)
    assert rates[800:] == sorted(rates[800:], reverse=True)
    assert rates[-1] == pytest.approx(FINAL_RATE, rel=0.01)


@pytest.mark.parametrize("name", ["cosine", "wsd"])
def test_an_extension_stays_at_the_floor(name):
    for step in (1000, 1001, 5000):
        assert learning_rate_factor(step, name, 1000) == pytest.approx(FINAL_RATE)


@pytest.mark.parametrize("name", ["cosine", "wsd"])
@pytest.mark.parametrize("steps", [1, 2, 7, 60, 40_000])
def test_rates_are_positive_and_never_above_one(steps, name):
    rates = [learning_rate_factor(s, name, steps) for s in range(0, steps, max(1, steps // 99))]
    assert all(0 < rate <= 1 for rate in rates)


def test_planned_steps_leave_time_for_the_rest():
    assert planned_steps(100.0, 1.0) == 86
    assert planned_steps(1200.0, 0.5) == 2064
    assert planned_steps(1.0, 60.0) == 1


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((1.0,), [(0, math.inf)]),
        ((0.8, 0.2), [(0, 8), (8, math.inf)]),
        ((0.5, 0.25, 0.25), [(0, 5), (5, 8), (8, math.inf)]),
    ],
)
def test_parts_of_a_run_follow_each_other(shares, expected):
    assert phases(shares, 10) == expected


def test_timing_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    calls = []

    def loss(trial):
        calls.append(trial)
        return trial(torch.rand(2, 3, 8, 8)).square().mean()

    seconds = seconds_per_step(network, loss, torch.device("cpu"))
    assert 0 < seconds < 5
    assert len(calls) >= 2
    assert network not in calls
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.grad is None for p in network.parameters())


def test_the_precision_is_chosen_without_a_trace():
    state = torch.get_rng_state()
    assert bfloat16_is_faster(torch.device("cpu")) in (True, False)
    assert torch.equal(torch.get_rng_state(), state)
