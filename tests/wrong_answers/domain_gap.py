"""Plausible wrong answers to the exercises of notebook 05."""

import torch
import torch.nn.functional as F

from gazecourse.angles import angular_error

# --- the linear probe ---------------------------------------------------------------------------


def _standardized(features, rows):
    return (features - features[rows].mean(0)) / features[rows].std(0)


def _with_ones(x):
    return torch.cat([x, torch.ones(len(x), 1)], dim=1)


def _weights(x, y, ridge=1.0, penalty=None):
    penalty = ridge * torch.eye(x.shape[1]) if penalty is None else penalty
    return torch.linalg.solve(x.T @ x + penalty, x.T @ y)


def _accuracy(x, w, labels):
    return ((x @ w).argmax(1) == labels).float().mean().item()


def trains_on_the_test_rows_too(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x, y, ridge), labels[~train])


def never_looks_at_the_mask_before_judging(features, labels, train, ridge=1.0):
    x, y = _with_ones((features - features.mean(0)) / features.std(0)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x, y, ridge), labels[~train])


def mask_turned_around(features, labels, train, ridge=1.0):
    return _right(features, labels, ~train, ridge)


def learns_from_the_test_rows(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[~train], y[~train], ridge), labels[~train])


def standardizes_with_all_rows(features, labels, train, ridge=1.0):
    x, y = _with_ones((features - features.mean(0)) / features.std(0)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


def standardizes_each_part_by_itself(features, labels, train, ridge=1.0):
    y = F.one_hot(labels).float()
    learn, judge = (_with_ones(_standardized(part, slice(None))) for part in (features[train], features[~train]))
    return _accuracy(judge, _weights(learn, y[train], ridge), labels[~train])


def not_standardized(features, labels, train, ridge=1.0):
    x, y = _with_ones(features), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


def only_centered(features, labels, train, ridge=1.0):
    x, y = _with_ones(features - features[train].mean(0)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


def bias_forgotten(features, labels, train, ridge=1.0):
    x, y = _standardized(features, train), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


def ones_standardized_away(features, labels, train, ridge=1.0):
    x, y = _standardized(_with_ones(features), train), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


def returns_the_training_accuracy(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return _accuracy(x[train], _weights(x[train], y[train], ridge), labels[train])


def judges_all_rows(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return _accuracy(x, _weights(x[train], y[train], ridge), labels)


def ridge_forgotten(features, labels, train, ridge=1.0):
    return _right(features, labels, train, 0.0)


def ridge_everywhere(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], penalty=ridge), labels[~train])


def mean_for_the_sum(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    count = train.sum()
    penalty = ridge * torch.eye(x.shape[1])
    w = torch.linalg.solve(x[train].T @ x[train] / count + penalty, x[train].T @ y[train] / count)
    return _accuracy(x[~train], w, labels[~train])


def labels_as_numbers(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), labels.float()
    guesses = (x[~train] @ _weights(x[train], y[train], ridge)).round()
    return (guesses == labels[~train]).float().mean().item()


def share_of_errors(features, labels, train, ridge=1.0):
    return 1 - _right(features, labels, train, ridge)


def in_percent(features, labels, train, ridge=1.0):
    return 100 * _right(features, labels, train, ridge)


def returns_the_guesses(features, labels, train, ridge=1.0):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return (x[~train] @ _weights(x[train], y[train], ridge)).argmax(1)


def standardizes_in_place(features, labels, train, ridge=1.0):
    mean, deviation = features[train].mean(0), features[train].std(0)
    features -= mean
    features /= deviation
    x, y = _with_ones(features), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


def forgets_the_return(features, labels, train, ridge=1.0):
    _right(features, labels, train, ridge)


def _right(features, labels, train, ridge):
    x, y = _with_ones(_standardized(features, train)), F.one_hot(labels).float()
    return _accuracy(x[~train], _weights(x[train], y[train], ridge), labels[~train])


# --- counterfactual errors ----------------------------------------------------------------------


def _error(predict, render, factors, gaze):
    return angular_error(predict(render(factors)), gaze)


def _rises(predict, render, factors, gaze, changes, rise):
    before = _error(predict, render, factors, gaze)
    return {name: rise(_error(predict, render, change(factors), gaze), before) for name, change in changes.items()}


def changes_accumulate(predict, render, factors, gaze, changes):
    before, rises = _error(predict, render, factors, gaze), {}
    for name, change in changes.items():
        factors = change(factors)
        rises[name] = _error(predict, render, factors, gaze) - before
    return rises


def one_step_after_another(predict, render, factors, gaze, changes):
    before, rises = _error(predict, render, factors, gaze), {}
    for name, change in changes.items():
        factors = change(factors)
        after = _error(predict, render, factors, gaze)
        rises[name] = after - before
        before = after
    return rises


def before_is_overwritten(predict, render, factors, gaze, changes):
    before, rises = _error(predict, render, factors, gaze), {}
    for name, change in changes.items():
        after = _error(predict, render, change(factors), gaze)
        rises[name] = after - before
        before = after
    return rises


def baseline_forgotten(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: after)


def sign_flipped(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: before - after)


def absolute(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: (after - before).abs())


def only_what_got_worse(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: (after - before).clamp(min=0))


def relative(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: after / before - 1)


def ratio(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: after / before)


def unpaired(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: after - before.mean())


def averaged(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: (after - before).mean())


def averaged_numbers(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: (after - before).mean().item())


def lists(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: (after - before).tolist())


def in_radians(predict, render, factors, gaze, changes):
    return _rises(predict, render, factors, gaze, changes, lambda after, before: torch.deg2rad(after - before))


def how_far_it_moved(predict, render, factors, gaze, changes):
    before = predict(render(factors))
    return {name: _error(predict, render, change(factors), before) for name, change in changes.items()}


def last_change_for_all(predict, render, factors, gaze, changes):
    before = _error(predict, render, factors, gaze)
    for change in changes.values():
        rise = _error(predict, render, change(factors), gaze) - before
    return {name: rise for name in changes}


def distance_of_angles(predict, render, factors, gaze, changes):
    before = torch.rad2deg((predict(render(factors)) - gaze).norm(dim=1))
    return {
        name: torch.rad2deg((predict(render(change(factors))) - gaze).norm(dim=1)) - before
        for name, change in changes.items()
    }


def without_names(predict, render, factors, gaze, changes):
    return list(_rises(predict, render, factors, gaze, changes, lambda after, before: after - before).values())


def first_change_only(predict, render, factors, gaze, changes):
    before = _error(predict, render, factors, gaze)
    for name, change in changes.items():
        return {name: _error(predict, render, change(factors), gaze) - before}


def baseline_among_the_changes(predict, render, factors, gaze, changes):
    changes = {"none": lambda faces: faces, **changes}
    return _rises(predict, render, factors, gaze, changes, lambda after, before: after - before)


def renders_the_images(predict, render, factors, gaze, changes):
    images = render(factors)
    before = angular_error(predict(images), gaze)
    return {name: angular_error(predict(render(images)), gaze) - before for name in changes}


def predicts_from_factors(predict, render, factors, gaze, changes):
    before = angular_error(predict(factors), gaze)
    return {name: angular_error(predict(change(factors)), gaze) - before for name, change in changes.items()}


def changes_in_place(predict, render, factors, gaze, changes):
    answer = _rises(predict, render, factors, gaze, changes, lambda after, before: after - before)
    factors.exposure *= 0.3
    return answer


WRONG = {
    "linear_probe": [
        trains_on_the_test_rows_too,
        never_looks_at_the_mask_before_judging,
        mask_turned_around,
        learns_from_the_test_rows,
        standardizes_with_all_rows,
        standardizes_each_part_by_itself,
        not_standardized,
        only_centered,
        bias_forgotten,
        ones_standardized_away,
        returns_the_training_accuracy,
        judges_all_rows,
        ridge_forgotten,
        ridge_everywhere,
        mean_for_the_sum,
        labels_as_numbers,
        share_of_errors,
        in_percent,
        returns_the_guesses,
        standardizes_in_place,
        forgets_the_return,
    ],
    "counterfactual_errors": [
        changes_accumulate,
        one_step_after_another,
        before_is_overwritten,
        baseline_forgotten,
        sign_flipped,
        absolute,
        only_what_got_worse,
        relative,
        ratio,
        unpaired,
        averaged,
        averaged_numbers,
        lists,
        in_radians,
        how_far_it_moved,
        last_change_for_all,
        distance_of_angles,
        without_names,
        first_change_only,
        baseline_among_the_changes,
        renders_the_images,
        predicts_from_factors,
        changes_in_place,
    ],
}

WORDS = [
    ("linear_probe", trains_on_the_test_rows_too, "the probe learned from the test rows too"),
    ("linear_probe", never_looks_at_the_mask_before_judging, "the test rows are in everything"),
    ("linear_probe", mask_turned_around, "training and test rows are swapped"),
    ("linear_probe", learns_from_the_test_rows, "the probe learned from the test rows: X and Y"),
    ("linear_probe", standardizes_with_all_rows, "standardized with means and deviations of all rows"),
    ("linear_probe", standardizes_each_part_by_itself, "standardized by their own means and deviations"),
    ("linear_probe", not_standardized, "are not standardized"),
    ("linear_probe", only_centered, "not divided by their deviations"),
    ("linear_probe", bias_forgotten, "the column of ones is missing"),
    ("linear_probe", ones_standardized_away, "standardizing turns it into NaN"),
    ("linear_probe", returns_the_training_accuracy, "this is the accuracy on the training rows"),
    ("linear_probe", judges_all_rows, "this is the accuracy on all rows"),
    ("linear_probe", ridge_forgotten, "the penalty is missing"),
    ("linear_probe", ridge_everywhere, "it belongs on the diagonal"),
    ("linear_probe", mean_for_the_sum, "are sums over the training rows, not means"),
    ("linear_probe", labels_as_numbers, "the labels are taken for numbers"),
    ("linear_probe", share_of_errors, "this is the share that is wrong"),
    ("linear_probe", in_percent, "it should lie between 0 and 1"),
    ("linear_probe", returns_the_guesses, "one value for each test row"),
    ("linear_probe", standardizes_in_place, "changes its argument `features` in place"),
    ("linear_probe", forgets_the_return, "is the `return` missing?"),
    ("counterfactual_errors", changes_accumulate, "the changes add up"),
    ("counterfactual_errors", one_step_after_another, "the changes add up"),
    ("counterfactual_errors", before_is_overwritten, "compared with that of the change before"),
    ("counterfactual_errors", baseline_forgotten, "the error without it is not subtracted"),
    ("counterfactual_errors", sign_flipped, "the sign is turned around"),
    ("counterfactual_errors", absolute, "the sign is lost"),
    ("counterfactual_errors", only_what_got_worse, "the sign is lost"),
    ("counterfactual_errors", relative, "this is the relative rise"),
    ("counterfactual_errors", ratio, "this is a ratio of errors"),
    ("counterfactual_errors", unpaired, "each face's own error should be subtracted"),
    ("counterfactual_errors", averaged, "each face has its own rise"),
    ("counterfactual_errors", averaged_numbers, "each face has its own rise"),
    ("counterfactual_errors", lists, "is a list"),
    ("counterfactual_errors", in_radians, "degrees are wanted"),
    ("counterfactual_errors", how_far_it_moved, "this is how far the prediction moved"),
    ("counterfactual_errors", last_change_for_all, "all names have the rise of the last change"),
    ("counterfactual_errors", distance_of_angles, "angular_error gives the angle"),
    ("counterfactual_errors", without_names, "it should be a dict with 'a dark room'"),
    ("counterfactual_errors", first_change_only, "the answer has no 'sunglasses'"),
    ("counterfactual_errors", baseline_among_the_changes, "'none', which is none of the changes"),
    ("counterfactual_errors", renders_the_images, "`render` was called with a Tensor"),
    ("counterfactual_errors", predicts_from_factors, "`predict` was called with a Factors"),
    ("counterfactual_errors", changes_in_place, "changes its argument `factors` in place"),
]
"""Part of what is said to a wrong answer: exercise, answer, words."""
