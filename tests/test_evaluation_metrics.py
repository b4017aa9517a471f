"""Are the figures what they are called? Compared with slow references and with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation import metrics
from evaluation.bootstrap import interval, intervals
from evaluation.calibrate import fit_calibration, platt
from evaluation.curves import (
    best_llrs,
    probabilities,
    reliability,
    risk_coverage,
    tippett,
)
from evaluation.metrics import METRICS, measure, measure_with_intervals, metrics_for

RANKING = metrics_for(calibrated=False)


def ranking(labels: np.ndarray, values: np.ndarray) -> dict[str, float]:
    return measure(RANKING, labels, values)


@pytest.fixture
def scored():
    """Labels and log-odds of 400 files whose log-odds are honest."""
    rng = np.random.default_rng(1)
    log_odds = rng.normal(0, 2, 400)
    labels = (rng.random(400) < probabilities(log_odds)).astype(int)
    return labels, log_odds


def test_auc_is_the_share_of_pairs_in_the_right_order(scored):
    labels, values = scored
    fake, real = values[labels == 1][:, None], values[labels == 0][None]
    assert ranking(labels, values)["auc"] == pytest.approx((fake > real).mean(), abs=1e-9)


def test_operating_points_are_those_of_a_slow_search(scored):
    labels, values = scored
    result = ranking(labels, values)
    rates = [
        ((values >= t)[labels == 0].mean(), (values >= t)[labels == 1].mean())
        for t in [*values, np.inf]
    ]
    assert result["fpr_at_90_tpr"] == pytest.approx(min(f for f, t in rates if t >= 0.9))
    assert result["tpr_at_5_fpr"] == pytest.approx(max(t for f, t in rates if f <= 0.05))
    nearest = min(rates, key=lambda r: abs(r[0] - (1 - r[1])))
    assert result["eer"] == pytest.approx(sum((nearest[0], 1 - nearest[1])) / 2, abs=0.01)


def test_figures_agree_with_scikit_learn_even_with_ties(scored):
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    labels, values = scored[0], np.round(scored[1])
    result = measure(METRICS, labels, values)
    assert result["auc"] == pytest.approx(roc_auc_score(labels, values))
    assert result["ap"] == pytest.approx(average_precision_score(labels, values))
    assert result["log_loss"] == pytest.approx(log_loss(labels, probabilities(values)))


def test_perfect_and_inverted_scores_have_known_figures():
    labels = np.array([0, 0, 1, 1])
    right = ranking(labels, np.array([-2.0, -1.0, 1.0, 2.0]))
    assert (right["auc"], right["eer"], right["fpr_at_90_tpr"], right["tpr_at_5_fpr"]) == (
        1,
        0,
        0,
        1,
    )
    wrong = ranking(labels, np.array([2.0, 1.0, -1.0, -2.0]))
    assert (wrong["auc"], wrong["eer"]) == (0, 1)
    assert metrics.equal_error_rate(labels, np.zeros(4)) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["ece", "log_loss", "brier", "cllr"])
def test_honest_log_odds_cost_less_than_exaggerated_ones(scored, name):
    labels, values = scored
    honest, exaggerated = (measure(METRICS, labels, k * values)[name] for k in (1, 4))
    assert exaggerated > honest + 0.03
    assert measure(METRICS, labels, values)["ece"] < 0.08


def test_many_reals_do_not_make_honest_likelihood_ratios_look_wrong():
    rng = np.random.default_rng(1)
    labels = (rng.random(6000) < 0.1).astype(int)
    values = rng.normal(np.where(labels == 1, 1.0, -1.0), np.sqrt(2.0))  # exact log ratios
    result = measure(METRICS, labels, values)
    assert result["ece_equal_odds"] < 0.03 and result["ece"] > 0.1


def test_reliability_bins_have_equal_mass_and_hold_every_file(scored):
    labels, values = scored
    _, _, count = reliability(labels, probabilities(values))
    assert count.sum() == len(labels) and len(count) == 15 and count.max() - count.min() <= 1


def test_answering_only_the_surest_files_is_less_risky(scored):
    coverage, risk = risk_coverage(*scored)
    assert coverage[-1] == 1 and np.all(np.diff(coverage) > 0)
    assert risk[len(risk) // 4] < risk[-1]


def test_the_cost_of_likelihood_ratios_has_its_textbook_values():
    """Brümmer and du Preez, 2006: no evidence costs one bit, right and sure answers nothing."""
    labels = np.array([0, 0, 0, 1])
    assert metrics.cllr(labels, np.zeros(4)) == pytest.approx(1.0)
    assert metrics.cllr(labels, np.array([-30.0, -30, -30, 30])) == pytest.approx(0, abs=1e-9)
    odds = np.log(3.0)  # by hand: fakes log2(1 + 1/3), reals log2(1 + 1/3)
    assert metrics.cllr(labels, odds * (2 * labels - 1)) == pytest.approx(np.log2(4 / 3))


def test_cost_of_likelihood_ratios_is_that_of_a_loop_over_files(scored):
    labels, values = scored
    costs = {0: [], 1: []}
    for label, value in zip(labels, values, strict=True):
        costs[label].append(np.log2(1 + np.exp(-value if label else value)))
    slow = (np.mean(costs[0]) + np.mean(costs[1])) / 2
    assert metrics.cllr(labels, values) == pytest.approx(slow)


def slow_best_chances(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Pool adjacent violators as Ayer et al. wrote it: merge neighbors until they rise."""
    weight = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    blocks = []  # [weight of fakes, weight of all, scores]
    for value in np.unique(scores):
        subset = scores == value
        blocks.append([weight[subset & (labels == 1)].sum(), weight[subset].sum(), {value}])
        while len(blocks) > 1 and (
            blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1] - 1e-12
        ):
            fakes, total, values = blocks.pop()
            blocks[-1][0] += fakes
            blocks[-1][1] += total
            blocks[-1][2] |= values
    chance = {value: b[0] / b[1] for b in blocks for value in b[2]}
    return np.array([chance[value] for value in scores])


@pytest.mark.parametrize("rounded", [False, True])
def test_the_best_calibration_is_that_of_slow_pooling(scored, rounded):
    labels, values = scored
    values = np.round(values) if rounded else values
    fast = probabilities(best_llrs(labels, values))
    assert fast == pytest.approx(slow_best_chances(labels, values), abs=1e-9)


def test_the_least_cost_depends_on_the_ranking_alone(scored):
    labels, values = scored
    least = metrics.cllr_min(labels, values)
    assert metrics.cllr_min(labels, 5 * values**3 - 7) == pytest.approx(least)
    assert least < metrics.cllr(labels, values)
    assert metrics.cllr_min(labels, labels.astype(float)) == pytest.approx(0)
    assert metrics.cllr_min(labels, -labels.astype(float)) == pytest.approx(1)


def test_a_tippett_plot_shows_shares_at_or_above_each_ratio(scored):
    labels, values = scored
    at, fakes, reals = tippett(labels, values)
    for point in (0, 100, 399):
        reached = values >= at[point] * np.log(10) - 1e-9
        assert fakes[point] == pytest.approx(reached[labels == 1].mean())
        assert reals[point] == pytest.approx(reached[labels == 0].mean())


def auc_interval(labels, values, groups):
    return interval(lambda rows: metrics.auc(labels[rows], values[rows]), groups, 200)


def test_intervals_over_groups_are_wider_when_groups_repeat_one_file(scored):
    labels, values = scored[0][:60], scored[1][:60]
    alone = auc_interval(labels, values, [str(i) for i in range(60)])
    repeated = np.repeat(labels, 4), np.repeat(values, 4)
    grouped = auc_interval(*repeated, [str(i // 4) for i in range(240)])
    naive = auc_interval(*repeated, [str(i) for i in range(240)])
    assert grouped[1] - grouped[0] == pytest.approx(alone[1] - alone[0], abs=0.03)
    assert naive[1] - naive[0] < 0.7 * (grouped[1] - grouped[0])


def test_intervals_are_the_percentiles_of_a_slow_bootstrap():
    values, groups = np.arange(12.0), np.repeat(["a", "b", "c"], 4)
    generator, means = np.random.default_rng(0), []
    for _ in range(300):
        drawn = [("abc")[k] for k in generator.integers(0, 3, 3)]
        means.append(np.mean([v for name in drawn for v in values[groups == name]]))
    low, high = interval(lambda rows: values[rows].mean(), groups, 300)
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_draws_that_allow_no_figure_are_left_out():
    assert intervals(lambda rows: {"a": float("nan")}, ["x", "y"]) == {}
    assert intervals(lambda rows: {}, ["x", "y"]) == {}
    assert interval(lambda rows: 1.0, ["x", "x"]) is None


def test_one_class_gives_no_figures_instead_of_wrong_ones():
    result = measure_with_intervals(RANKING, np.zeros(5, int), np.arange(5.0), list("abcde"))
    assert result == {} and np.isnan(metrics.auc(np.zeros(5, int), np.arange(5.0)))


def test_one_group_gives_a_value_without_an_interval():
    labels, values = np.array([0, 1]), np.array([0.0, 1.0])
    result = measure_with_intervals(RANKING, labels, values, ["a", "a"])
    assert result["auc"] == {"value": 1.0, "low": None, "high": None}


def test_every_metric_knows_its_better_direction(scored):
    labels, _ = scored
    best = 40.0 * (2 * labels - 1)
    for metric in METRICS:
        if metric.name == "ece_equal_odds":  # sure and right at every prior
            assert metric.function(labels, best) == pytest.approx(0, abs=1e-9)
        better, worse = metric.function(labels, best), metric.function(labels, -best)
        assert (better > worse) == metric.higher_is_better, metric.name


def test_platt_finds_the_line_that_made_the_labels():
    rng = np.random.default_rng(2)
    raws = rng.normal(3, 2, 6000)
    labels = (rng.random(6000) < probabilities(1.5 * (raws - 3))).astype(int)
    scale, offset = platt(labels, raws)
    assert scale == pytest.approx(1.5, rel=0.1) and offset == pytest.approx(-4.5, rel=0.1)


def test_platt_stays_finite_on_separated_scores_and_ignores_the_class_balance():
    labels = np.array([0] * 10 + [1] * 10)
    scale, offset = platt(labels, np.r_[np.linspace(-3, -1, 10), np.linspace(1, 3, 10)])
    assert 0 < scale < 20 and abs(offset) < 0.1
    rng = np.random.default_rng(3)
    raws = np.r_[rng.normal(-1, 1, 2000), rng.normal(1, 1, 200)]
    line = fit_calibration(np.repeat([0, 1], [2000, 200]), raws, "test")
    assert line.offset == pytest.approx(0, abs=0.3)
    assert (line.n_real, line.n_fake, line.fitted_on) == (2000, 200, "test")
