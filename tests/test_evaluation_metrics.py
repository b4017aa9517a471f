"""Are the figures what they are called? Compared with slow references and with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.calibrate import fit_calibration, platt
from evaluation.metrics import (
    calibration,
    equal_error_rate,
    intervals,
    probabilities,
    ranking,
    reliability,
    risk_coverage,
    with_intervals,
)


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
    found = ranking(labels, values)
    rates = [
        ((values >= t)[labels == 0].mean(), (values >= t)[labels == 1].mean())
        for t in [*values, np.inf]
    ]
    assert found["fpr_at_90_tpr"] == pytest.approx(min(f for f, t in rates if t >= 0.9))
    assert found["tpr_at_5_fpr"] == pytest.approx(max(t for f, t in rates if f <= 0.05))
    nearest = min(rates, key=lambda r: abs(r[0] - (1 - r[1])))
    assert found["eer"] == pytest.approx(sum((nearest[0], 1 - nearest[1])) / 2, abs=0.01)


def test_figures_agree_with_scikit_learn_even_with_ties(scored):
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    labels, values = scored[0], np.round(scored[1])
    found = ranking(labels, values) | calibration(labels, values)
    assert found["auc"] == pytest.approx(roc_auc_score(labels, values))
    assert found["ap"] == pytest.approx(average_precision_score(labels, values))
    assert found["log_loss"] == pytest.approx(log_loss(labels, probabilities(values)))


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
    assert equal_error_rate(np.array([0, 0.5, 1]), np.array([0, 0.5, 1])) == pytest.approx(0.5)


def test_honest_log_odds_have_a_small_calibration_error_and_doubled_ones_a_larger(scored):
    labels, values = scored
    assert calibration(labels, values)["ece"] < 0.08
    assert calibration(labels, 4 * values)["ece"] > calibration(labels, values)["ece"] + 0.03
    assert calibration(labels, 4 * values)["log_loss"] > calibration(labels, values)["log_loss"]


def test_many_reals_do_not_make_honest_likelihood_ratios_look_wrong():
    rng = np.random.default_rng(1)
    labels = (rng.random(6000) < 0.1).astype(int)
    values = rng.normal(np.where(labels == 1, 1.0, -1.0), np.sqrt(2.0))  # exact log ratios
    found = calibration(labels, values)
    assert found["ece_equal_odds"] < 0.03 and found["ece"] > 0.1


def test_reliability_bins_have_equal_mass_and_hold_every_file(scored):
    labels, values = scored
    _, _, count = reliability(labels, probabilities(values))
    assert count.sum() == len(labels) and len(count) == 15 and count.max() - count.min() <= 1


def test_answering_only_the_surest_files_is_less_risky(scored):
    coverage, risk = risk_coverage(*scored)
    assert coverage[-1] == 1 and np.all(np.diff(coverage) > 0)
    assert risk[len(risk) // 4] < risk[-1]


def test_intervals_over_groups_are_wider_when_groups_repeat_one_file(scored):
    labels, values = scored[0][:60], scored[1][:60]
    alone = intervals(ranking, (labels, values), [str(i) for i in range(60)], 200)["auc"]
    repeated = np.repeat(labels, 4), np.repeat(values, 4)
    grouped = intervals(ranking, repeated, [str(i // 4) for i in range(240)], 200)["auc"]
    naive = intervals(ranking, repeated, [str(i) for i in range(240)], 200)["auc"]
    assert grouped[1] - grouped[0] == pytest.approx(alone[1] - alone[0], abs=0.03)
    assert naive[1] - naive[0] < 0.7 * (grouped[1] - grouped[0])


def test_one_class_gives_no_figures_instead_of_wrong_ones():
    assert with_intervals(ranking, (np.zeros(5, int), np.arange(5.0)), list("abcde")) == {}


def test_one_group_gives_a_value_without_an_interval():
    found = with_intervals(ranking, (np.array([0, 1]), np.array([0.0, 1.0])), ["a", "a"])
    assert found["auc"] == {"value": 1.0, "low": None, "high": None}


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
