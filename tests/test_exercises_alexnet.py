"""The checks of notebook 03 accept every right answer, however it is written, and say what is wrong with others."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from wrong_answers import alexnet as wrong
from wrong_answers.alexnet import WRONG

from gazecourse.exercises import alexnet as exercises
from gazecourse.exercises.alexnet import check
from gazecourse.exercises.registry import STEPS
from gazecourse.models import AlexNet, layers

# --- right answers ------------------------------------------------------------------------------


def floor_of_a_quotient(size, kernel, stride=1, padding=0):
    return math.floor((size + 2 * padding - kernel) / stride + 1)


def truncated(size, kernel, stride=1, padding=0):
    return int((size + 2 * padding - kernel) / stride) + 1


def counting_positions(size, kernel, stride=1, padding=0):
    return len(range(-padding, size + padding - kernel + 1, stride))


def walking(size, kernel, stride=1, padding=0):
    count, left = 0, 0
    while left + kernel <= size + 2 * padding:
        count, left = count + 1, left + stride
    return count


def asking_pytorch(size, kernel, stride=1, padding=0):
    return nn.functional.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel), None, stride, padding).shape[-1]


def numpys_whole_number(size, kernel, stride=1, padding=0):
    return np.int64(size + 2 * padding - kernel) // stride + 1


def weights_then_biases(in_channels, out_channels, kernel, groups=1):
    return kernel * kernel * in_channels * out_channels // groups + out_channels


def filter_by_filter(in_channels, out_channels, kernel, groups=1):
    return sum(kernel**2 * (in_channels // groups) + 1 for _ in range(out_channels))


def group_by_group(in_channels, out_channels, kernel, groups=1):
    each_in, each_out = in_channels // groups, out_channels // groups
    return groups * (each_in * each_out * kernel**2 + each_out)


def counting_a_layer(in_channels, out_channels, kernel, groups=1):
    layer = nn.Conv2d(in_channels, out_channels, kernel, groups=groups)
    return sum(parameter.numel() for parameter in layer.parameters())


def from_output_to_input(layers):
    extent = 1
    for kernel, stride in reversed(layers):
        extent = (extent - 1) * stride + kernel
    return extent


def recursively(layers):
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (recursively(rest) - 1) * stride + kernel


def sum_of_products(layers):
    strides = [stride for _, stride in layers]
    return 1 + sum((kernel - 1) * math.prod(strides[:index]) for index, (kernel, _) in enumerate(layers))


def by_its_gradient(layers):
    size = from_output_to_input(layers) + 5
    given = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    value = given
    for kernel, stride in layers:
        value = nn.functional.conv1d(value, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    value[0, 0, 0].backward()
    seen = given.grad.flatten().nonzero()
    return int(seen.max() - seen.min()) + 1


def in_place(network):
    network.classifier[6] = wrong._small(network.classifier[6].in_features)
    return network


def in_a_copy(network):
    network = copy.deepcopy(network)
    layer = nn.Linear(network.classifier[-1].weight.shape[1], 2)
    with torch.no_grad():
        layer.weight.normal_(0, 0.01)
        layer.bias.zero_()
    network.classifier[-1] = layer
    return network


def a_new_sequence_of_the_same_layers(network):
    *kept, last = network.classifier
    network.classifier = nn.Sequential(*kept, wrong._small(last.in_features))
    return network


def a_nested_sequence(network):
    network.classifier = nn.Sequential(network.classifier[:-1], wrong._small(network.classifier[-1].in_features))
    return network


def popped_and_appended(network):
    hidden = network.classifier.pop(-1).in_features
    network.classifier.append(wrong._small(hidden))
    return network


def shrunk_by_a_factor(network):
    layer = nn.Linear(network.classifier[-1].in_features, 2)
    layer.weight.data *= 0.1
    layer.bias.data.fill_(0)
    network.classifier[-1] = layer
    return network


def all_zero(network):
    layer = nn.Linear(network.classifier[-1].in_features, 2)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    network.classifier[-1] = layer
    return network


def the_old_layer_filled_anew(network):
    last = network.classifier[-1]
    last.out_features = 2
    last.weight = nn.Parameter(0.01 * torch.randn(2, last.in_features))
    last.bias = nn.Parameter(torch.zeros(2))
    return network.train().requires_grad_()


RIGHT = {
    "conv_output_size": [
        layers.conv_output_size,
        floor_of_a_quotient,
        truncated,
        counting_positions,
        walking,
        asking_pytorch,
        numpys_whole_number,
    ],
    "conv_parameters": [
        layers.conv_parameters,
        weights_then_biases,
        filter_by_filter,
        group_by_group,
        counting_a_layer,
    ],
    "receptive_field": [
        layers.receptive_field,
        from_output_to_input,
        recursively,
        sum_of_products,
        by_its_gradient,
    ],
    "gaze_regressor": [
        in_place,
        in_a_copy,
        a_new_sequence_of_the_same_layers,
        a_nested_sequence,
        popped_and_appended,
        shrunk_by_a_factor,
        all_zero,
        the_old_layer_filled_anew,
    ],
}


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in RIGHT.items() for answer in answers])
def test_check_accepts_right_answers_written_in_other_ways(name, answer):
    verdict = check.exercises[name].judge(answer)
    assert verdict.state == "passed", verdict.message


@pytest.mark.parametrize("name", list(check.exercises))
@pytest.mark.parametrize("seed", range(3))
def test_check_accepts_the_library_version_whatever_the_random_numbers(name, seed):
    torch.manual_seed(seed)
    check.exercises[name].examine(check.exercises[name].reference)


# --- wrong answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in WRONG.items() for answer in answers])
def test_check_rejects_wrong_answers_in_words(name, answer):
    verdict = check.exercises[name].judge(answer)
    assert verdict.state == "wrong"
    assert "the check cannot use" not in verdict.message


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        (
            "conv_output_size",
            wrong.first_position_forgotten,
            "conv_output_size(7, 3) is 4; it should be 5. Is the very",
        ),
        ("conv_output_size", wrong.ceil_for_floor, "conv_output_size(8, 3, stride=2) is 4; it should be 3. Round down"),
        ("conv_output_size", wrong.rounded_to_the_nearest, "Round down, not to the nearest"),
        ("conv_output_size", wrong.padding_on_one_side, "on both sides"),
        ("conv_output_size", wrong.without_padding, "Is the padding used?"),
        ("conv_output_size", wrong.without_stride, "Is the stride used?"),
        ("conv_output_size", wrong.true_division, "is 5.0, a float; it should be the whole number 5"),
        ("conv_output_size", wrong.prints_instead, "is the `return` missing?"),
        ("conv_parameters", wrong.bias_forgotten, "Each filter has a bias"),
        ("conv_parameters", wrong.bias_divided_by_groups, "biases are not divided"),
        ("conv_parameters", wrong.groups_multiplied, "divide by them"),
        ("conv_parameters", wrong.groups_ignored, "channels of its own group"),
        ("conv_parameters", wrong.true_division_of_channels, "// divides whole numbers"),
        ("receptive_field", wrong.strides_one_layer_too_early, "receptive_field([(3, 2)]) is 5; it should be 3"),
        ("receptive_field", wrong.product_of_kernels, "Kernels do not multiply"),
        ("receptive_field", wrong.strides_added, "strides multiply"),
        ("receptive_field", wrong.backwards_without_reversing, "from the input to the output"),
        ("receptive_field", wrong.empties_the_list, "changes the list"),
        ("gaze_regressor", wrong.softmax_at_the_end, "a softmax"),
        ("gaze_regressor", wrong.relu_at_the_end, "a ReLU"),
        ("gaze_regressor", wrong.whole_classifier_made_anew, "classifier.1.weight has other values"),
        ("gaze_regressor", wrong.appended_behind_the_classes, "behind the one with the 1000 classes"),
        ("gaze_regressor", wrong.hard_coded_inputs, "takes 4096 inputs"),
        ("gaze_regressor", wrong.frozen_convolutions, "features.0.weight does not learn"),
        ("gaze_regressor", wrong.pytorchs_own_start, "deviation 0.04"),
        ("gaze_regressor", wrong.mean_for_deviation, "write std=0.01"),
        ("gaze_regressor", wrong.bias_not_zero, "should start at zero"),
        ("gaze_regressor", wrong.returns_nothing, "is the `return` missing?"),
    ],
)
def test_wrong_answer_gets_the_message_that_helps(name, answer, words):
    assert words in check.exercises[name].judge(answer).message


# --- the library's versions ---------------------------------------------------------------------


def test_reference_of_parameters_is_the_library():
    for arguments in ((3, 96, 11, 1), (96, 256, 5, 2), (8, 8, 3, 8)):
        assert exercises._conv_parameters(*arguments) == layers.conv_parameters(*arguments)


def test_reference_of_receptive_field_is_the_library():
    stack = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    for count in range(len(stack) + 1):
        assert exercises._receptive_field(stack[:count]) == layers.receptive_field(stack[:count])


def test_regressor_starts_near_zero_and_keeps_what_was_learned():
    torch.manual_seed(0)
    trained = AlexNet(1000, size=64, width=0.05, stride=2).eval()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    network = exercises._gaze_regressor(trained)
    gaze = network(torch.rand(8, 3, 64, 64))
    assert gaze.shape == (8, 2)
    assert gaze.abs().max() < 0.5
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if not name.startswith("classifier.6"))


@pytest.mark.parametrize("name", list(RIGHT))
def test_every_exercise_states_its_difficulty_and_minutes_and_has_hints(name):
    exercise = check.exercises[name]
    assert exercise.badge.startswith(STEPS[exercise.difficulty - 1])
    assert len(exercise.hints) >= 3
    assert len(WRONG[name]) >= 4
