import pytest
import torch

from impasto.errors import DivergedError, UsageError
from impasto.paper import Level, ObjectiveValues, coarse_to_fine, noise, optimize
from impasto.paper.descent import begin, level_sizes, shared_iterations


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
@pytest.mark.parametrize("iterations", [1, 2, 17])
def test_an_iteration_is_an_evaluation(bowl, method, iterations):
    numbers = []
    result = optimize(
        bowl,
        noise(4, 5),
        method=method,
        iterations=iterations,
        on_iteration=lambda state: numbers.append(state.iteration),
    )
    assert len(bowl.seen) == len(result.curve) == iterations
    assert numbers == list(range(1, iterations + 1))


def test_evaluations_of_the_line_search_count():
    """The first step is far too long for so steep a bowl, and is cut."""

    class Steep:
        count = 0

        def gradient(self, image):
            self.count += 1
            away = image - 0.5
            total = away.abs().pow(0.5).sum().item()
            return ObjectiveValues(total, total, 0, 0), torch.sign(away)

    steep = Steep()
    result = optimize(steep, torch.full((1, 3, 1, 1), 0.5 + 1e-4), iterations=6)
    totals = [evaluation.values.total for evaluation in result.curve]
    assert steep.count == len(totals) == 6
    assert totals[1] > totals[0]


def test_the_first_iteration_is_the_start_and_the_best_is_returned(bowl):
    start = noise(4, 5)
    result = optimize(bowl, start, method="adam", iterations=30)
    totals = [evaluation.values.total for evaluation in result.curve]
    assert totals[0] == bowl.gradient(start)[0].total
    assert result.total == min(totals)
    assert bowl.gradient(result.image)[0].total == result.total
    assert {evaluation.size_px for evaluation in result.curve} == {5}


def test_a_start_out_of_range_is_clipped(bowl):
    optimize(bowl, 3 * noise(4, 5) - 1, iterations=1)
    assert (bowl.seen[0].min(), bowl.seen[0].max()) == (0, 1)


def test_it_ends_as_soon_as_it_is_low_enough(bowl):
    whole = [e.values.total for e in optimize(bowl, noise(4, 5), iterations=20).curve]
    level = whole[7]
    result = optimize(bowl, noise(4, 5), iterations=20, until=level)
    assert [e.values.total for e in result.curve] == whole[:8]
    assert len(optimize(bowl, noise(4, 5), iterations=20, until=-1.0).curve) == 20


def test_a_state_goes_on(bowl):
    kept = []
    expected = optimize(bowl, noise(4, 5), iterations=12)
    optimize(bowl, noise(4, 5), iterations=5, on_iteration=kept.append)
    result = optimize(bowl, noise(4, 5, seed=9), iterations=12, state=kept[-1])
    assert result.curve == expected.curve
    assert torch.equal(result.image, expected.image)


def test_what_on_iteration_raises_ends_it(bowl):
    def stop(state):
        if state.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize(bowl, noise(4, 5), on_iteration=stop)
    assert len(bowl.seen) == 3


def test_an_objective_that_is_not_finite_is_told(make_bowl):
    bowl = make_bowl(torch.full((1, 3, 4, 5), float("nan")))
    with pytest.raises(DivergedError, match="the objective is nan at iteration 1"):
        optimize(bowl, noise(4, 5))
    with pytest.raises(UsageError, match="the iterations must be at least 1, not 0"):
        optimize(bowl, noise(4, 5), iterations=0)


def test_noise_is_white_and_seeded():
    found = noise(40, 50, seed=3)
    assert found.shape == (1, 3, 40, 50)
    assert found.dtype == torch.float32
    assert 0 <= found.min() < 0.01
    assert 0.99 < found.max() < 1
    assert found.mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(found, noise(40, 50, seed=3))
    assert not torch.equal(found, noise(40, 50, seed=4))
    state = torch.random.get_rng_state()
    noise(4, 4)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_sizes_and_shares():
    assert level_sizes(511) == [511]
    assert level_sizes(512) == [256, 512]
    assert level_sizes(1500) == [375, 750, 1500]
    assert level_sizes(100, coarsest_px=20) == [25, 50, 100]
    assert shared_iterations(500, 3) == [166, 166, 168]
    assert shared_iterations(7, 1) == [7]
    with pytest.raises(UsageError, match="at least 3, one for each size, not 2"):
        shared_iterations(2, 3)


@pytest.fixture
def levels(make_bowl):
    """Bowls of 4x6 and of 8x12 pixels, and what was evaluated there."""
    bowls = [make_bowl(torch.full((1, 3, h, w), c)) for h, w, c in ((4, 6, 0.25), (8, 12, 0.75))]
    made = []

    def objective(number):
        made.append(number)
        return bowls[number]

    sizes = [(4, 6, 5), (8, 12, 7)]
    return (
        bowls,
        made,
        [
            Level(h, w, n, lambda number=number: objective(number))
            for number, (h, w, n) in enumerate(sizes)
        ],
    )


def test_each_size_begins_with_the_enlarged_result_of_the_one_before(levels):
    bowls, made, sizes = levels
    result = coarse_to_fine(sizes, noise(4, 6))
    assert [len(bowl.seen) for bowl in bowls] == [5, 7]
    assert [evaluation.size_px for evaluation in result.curve] == [6] * 5 + [12] * 7
    assert made == [0, 1]
    assert result.image.shape == (1, 3, 8, 12)
    # The first size has come to an even 0.25, and so begins the second.
    assert torch.allclose(bowls[1].seen[0], torch.tensor(0.25), atol=0.05)
    assert torch.allclose(result.image, torch.tensor(0.75), atol=0.01)
    assert result.total == min(evaluation.values.total for evaluation in result.curve[5:])


@pytest.mark.parametrize("stopped", [2, 5, 6, 12])
def test_coarse_to_fine_goes_on(levels, stopped):
    bowls, _, sizes = levels
    expected = coarse_to_fine(sizes, noise(4, 6))
    kept = []

    def stop(state):
        if state.iteration == stopped:
            kept.append(state)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coarse_to_fine(sizes, noise(4, 6), on_iteration=stop)
    result = coarse_to_fine(sizes, noise(4, 6, seed=5), state=kept[0])
    assert result.curve == expected.curve
    assert torch.equal(result.image, expected.image)
    assert sum(len(bowl.seen) for bowl in bowls) == 24


def test_no_size_is_refused():
    with pytest.raises(UsageError, match="at least one size"):
        coarse_to_fine([], noise(4, 4))


def test_a_state_begins_with_its_start():
    start = noise(4, 4)
    state = begin(start, "lbfgs")
    assert (state.iteration, state.level) == (0, 0)
    assert torch.equal(state.image, start)
    with pytest.raises(UsageError, match="method"):
        begin(start, "newton")
