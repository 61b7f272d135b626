"""Metrics against values computed by hand or by another road, and intervals against their promise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazecourse.metrics import (
    auc,
    bootstrap_ci,
    bootstrap_difference,
    cumulative_errors,
    failure_rate,
    gaze_error,
    gaze_error_by_person,
    nme,
    student_ci,
)

YAWS = np.radians([0.0, 10.0, 20.0, 60.0])
PRED = np.stack([np.zeros(4), YAWS], -1)
TARGET = np.zeros((4, 2))
PERSON = np.array([7, 7, 7, 3])


def test_gaze_error_is_the_mean_angle_in_degrees():
    assert gaze_error(PRED, TARGET) == pytest.approx(22.5)
    assert gaze_error(torch.from_numpy(PRED).float(), torch.zeros(4, 2)) == pytest.approx(22.5, abs=1e-4)


def test_gaze_error_takes_either_form_of_direction():
    frontal = np.tile([0.0, 0.0, -600.0], (4, 1))
    assert gaze_error(PRED, frontal) == pytest.approx(22.5)


def test_gaze_error_by_person_averages_within_each_person():
    assert gaze_error_by_person(PRED, TARGET, PERSON) == pytest.approx({3: 60.0, 7: 10.0})
    tensors = (torch.from_numpy(PRED), torch.from_numpy(TARGET), torch.from_numpy(PERSON))
    assert list(gaze_error_by_person(*tensors)) == [3, 7]


@pytest.mark.parametrize(("scheme", "right", "left"), [(68, 36, 45), (98, 60, 72), (29, 8, 9)])
def test_nme_is_normalized_by_the_outer_eye_corners(scheme, right, left):
    target = np.zeros((2, scheme, 2))
    target[:, right], target[:, left] = (10.0, 20.0), (40.0, 60.0)  # a 3-4-5 triangle: 50 pixels apart
    pred = target + np.array([3.0, 4.0])  # every landmark is 5 pixels off
    np.testing.assert_allclose(nme(pred, target, scheme), [0.1, 0.1])
    pred[1] = target[1]
    pred[1, 0] += (0.0, 34.0)  # one landmark is 34 pixels off
    np.testing.assert_allclose(nme(torch.from_numpy(pred), torch.from_numpy(target), scheme), [0.1, 34 / scheme / 50])


def test_nme_divides_by_the_true_not_the_predicted_inter_ocular_distance():
    target = np.zeros((68, 2))
    target[45] = (100.0, 0.0)
    assert nme(2 * target, target, 68) == pytest.approx(100 / 68 / 100)


def test_nme_by_the_box_divides_by_the_root_of_its_area():
    target = np.zeros((68, 2))
    target[36], target[45], target[8] = (10.0, 0.0), (40.0, 0.0), (30.0, 30.0)  # a box of 40 × 30 with the zeros
    pred = target + np.array([0.0, 3.0])
    assert nme(pred, target, 68, "box") == pytest.approx(3 / np.sqrt(40 * 30))
    assert nme(pred, target, 68) == pytest.approx(3 / 30)
    assert nme(2 * target, target, 68, "box") == pytest.approx(nme(4 * target, 2 * target, 68, "box"))


def test_nme_refuses_boxes_without_an_area_and_unknown_normalizers():
    line = np.zeros((68, 2))
    line[:, 0] = np.arange(68)
    with pytest.raises(ValueError, match="bounding box has an area; in one, all points are on a line"):
        nme(line, line, 68, "box")
    with pytest.raises(ValueError, match="normalizer must be one of 'inter-ocular', 'box'; got 'pupils'"):
        nme(line, line, 68, "pupils")


def test_nme_refuses_coinciding_eye_corners_and_wrong_schemes():
    with pytest.raises(ValueError, match="target must have distinct outer eye corners"):
        nme(np.zeros((1, 68, 2)), np.zeros((1, 68, 2)), 68)
    with pytest.raises(ValueError, match="scheme must be one of 29, 68, 98; got 5"):
        nme(np.zeros((1, 5, 2)), np.zeros((1, 5, 2)), 5)
    with pytest.raises(ValueError, match=r"pred must have shape \[..., 98, 2\]"):
        nme(np.zeros((1, 68, 2)), np.zeros((1, 68, 2)), 98)
    with pytest.raises(ValueError, match="pred and target must have the same shape"):
        nme(np.zeros((2, 68, 2)), np.zeros((1, 68, 2)), 68)


def test_failure_rate_counts_errors_above_the_threshold_only():
    assert failure_rate(np.array([0.05, 0.1, 0.11, 0.3])) == 0.5
    assert failure_rate(np.array([0.05, 0.1, 0.11, 0.3]), threshold=0.2) == 0.25


def test_auc_of_hand_computed_curves():
    assert auc(np.zeros(3)) == 1
    assert auc(np.full(3, 0.2)) == 0
    assert auc(np.array([0.05])) == pytest.approx(0.5)
    assert auc(np.array([0.02, 0.06, 0.5])) == pytest.approx((0.8 + 0.4 + 0) / 3)


def test_cumulative_errors_count_faces_up_to_each_limit():
    assert cumulative_errors(np.array([0.02, 0.05, 0.3]), [0.1, 0.01, 0.05, 1.0]) == [2 / 3, 0.0, 2 / 3, 1.0]
    with pytest.raises(ValueError, match="errors must hold at least one value"):
        cumulative_errors(np.zeros(0), [0.1])


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=30), st.floats(0.01, 0.2))
def test_auc_is_the_area_under_the_staircase(errors, limit):
    steps = np.unique([0.0, limit, *(e for e in errors if e < limit)])
    heights = np.array([np.mean(np.array(errors) <= start) for start in steps[:-1]])
    assert auc(np.array(errors), limit) == pytest.approx(heights @ np.diff(steps) / limit)


def test_bootstrap_gives_the_mean_and_the_same_interval_for_the_same_seed():
    values = np.random.default_rng(0).exponential(size=200)
    interval = bootstrap_ci(values, seed=4)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high
    assert interval == bootstrap_ci(torch.from_numpy(values), seed=4)
    assert interval != bootstrap_ci(values, seed=5)


def test_bootstrap_interval_has_the_width_of_the_central_limit():
    values = np.random.default_rng(1).normal(size=400)
    interval = bootstrap_ci(values, resamples=4000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)
    narrow = bootstrap_ci(values, resamples=4000, level=0.5)
    assert narrow.high - narrow.low == pytest.approx(2 * 0.674 * values.std() / 20, rel=0.06)


def test_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    hits = 0
    for seed in range(200):
        interval = bootstrap_ci(generator.normal(size=50), resamples=300, seed=seed)
        hits += interval.low <= 0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.98


def test_clusters_are_drawn_whole():
    """Twenty images of each person that only repeat one another are worth one image a person."""
    generator = np.random.default_rng(3)
    person_means = generator.normal(size=30)
    repeated, person = np.repeat(person_means, 20), np.repeat(np.arange(30), 20)
    clustered = bootstrap_ci(repeated, clusters=person, resamples=4000)
    one_each = bootstrap_ci(person_means, resamples=4000)
    naive = bootstrap_ci(repeated, resamples=4000)
    assert clustered.high - clustered.low == pytest.approx(one_each.high - one_each.low, rel=0.05)
    assert clustered.high - clustered.low > 3 * (naive.high - naive.low)


def test_clusters_of_unequal_size_keep_the_mean_of_all_values():
    values, clusters = np.array([1.0, 1.0, 1.0, 5.0]), np.array([0, 0, 0, 1])
    interval = bootstrap_ci(values, clusters=clusters)
    assert interval == (2.0, 1.0, 5.0), "draws are {0,0}, {0,1} and {1,1} with means 1, 2 and 5"


def test_paired_difference_sees_what_separate_intervals_hide():
    generator = np.random.default_rng(4)
    difficulty = generator.exponential(5.0, size=300)
    a, b = difficulty + 0.3 + 0.1 * generator.normal(size=300), difficulty
    first, second, paired = bootstrap_ci(a), bootstrap_ci(b), bootstrap_difference(a, b)
    assert first.low < second.high, "their own intervals overlap"
    assert paired.low > 0
    assert paired.mean == pytest.approx(0.3, abs=0.03)
    assert bootstrap_difference(b, a).high < 0


def test_paired_difference_draws_people_whole_too():
    person = np.repeat(np.arange(10), 30)
    gain = np.random.default_rng(6).normal(size=10)[person]
    by_person = bootstrap_difference(gain, np.zeros(300), clusters=person)
    by_image = bootstrap_difference(gain, np.zeros(300))
    assert by_person.high - by_person.low > 3 * (by_image.high - by_image.low)


def test_interval_prints_as_a_table_would_show_it():
    assert str(bootstrap_ci(np.full(5, 2.0))) == "2.00 [2.00, 2.00]"


def test_students_interval_of_a_few_runs_is_the_textbooks():
    interval = student_ci(np.array([7.1, 7.4, 6.8, 7.0, 7.2]))
    half = 2.776445 * np.std([7.1, 7.4, 6.8, 7.0, 7.2], ddof=1) / 5**0.5
    assert tuple(interval) == pytest.approx((7.1, 7.1 - half, 7.1 + half), abs=1e-5)


def test_students_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = sum(low <= 0 <= high for _, low, high in (student_ci(generator.normal(size=5)) for _ in range(1000)))
    assert 930 <= hits <= 970, "a bootstrap of five values covers it less than 90 times in 100"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: student_ci(np.ones(1)), ValueError, "two runs or more"),
        (lambda: student_ci(np.ones(3), level=95), ValueError, "level must lie between 0 and 1"),
        (lambda: gaze_error(np.zeros((0, 2)), np.zeros((0, 2))), ValueError, "above 0"),
        (lambda: gaze_error(np.zeros((3, 2)), np.zeros((2, 2))), ValueError, "pred and target"),
        (lambda: gaze_error(np.zeros(2), np.zeros(2)), ValueError, "pred must have shape"),
        (lambda: gaze_error_by_person(PRED, TARGET, PERSON[:2]), ValueError, "person must have shape"),
        (lambda: gaze_error_by_person(PRED, TARGET, PERSON.astype(float)), TypeError, "person must be integers"),
        (lambda: failure_rate(np.array([-0.1])), ValueError, r"errors must lie in \[0, inf\]"),
        (lambda: failure_rate(np.array([])), ValueError, "errors must hold at least one value"),
        (lambda: auc(np.array([np.nan])), ValueError, "errors must be finite"),
        (lambda: auc(np.array([0.1]), limit=0), ValueError, "limit must be"),
        (lambda: bootstrap_ci([1.0, 2.0]), TypeError, "values must be a tensor or array"),
        (lambda: bootstrap_ci(np.ones(3), level=95), ValueError, "level must lie between 0 and 1"),
        (lambda: bootstrap_ci(np.ones(3), resamples=0), ValueError, "resamples must be"),
        (lambda: bootstrap_ci(np.ones(3), clusters=np.zeros(3)), TypeError, "clusters must be integers"),
        (lambda: bootstrap_difference(np.ones(3), np.ones(2)), ValueError, "paired"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
