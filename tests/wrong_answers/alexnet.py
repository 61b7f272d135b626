"""Plausible wrong answers to the exercises of notebook 03."""

import copy
import math

import torch
from torch import nn

# --- output size --------------------------------------------------------------------------------


def first_position_forgotten(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride


def one_added_before_dividing(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel + 1) // stride


def ceil_for_floor(size, kernel, stride=1, padding=0):
    return math.ceil((size + 2 * padding - kernel) / stride) + 1


def rounded_to_the_nearest(size, kernel, stride=1, padding=0):
    return round((size + 2 * padding - kernel) / stride + 1)


def padding_on_one_side(size, kernel, stride=1, padding=0):
    return (size + padding - kernel) // stride + 1


def without_padding(size, kernel, stride=1, padding=0):
    return (size - kernel) // stride + 1


def without_stride(size, kernel, stride=1, padding=0):
    return size + 2 * padding - kernel + 1


def true_division(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) / stride + 1


def floor_of_numpy_kind(size, kernel, stride=1, padding=0):
    return torch.floor(torch.tensor((size + 2 * padding - kernel) / stride + 1))


def kernel_taken_off_last(size, kernel, stride=1, padding=0):
    return (size + 2 * padding) // stride - kernel + 1


def prints_instead(size, kernel, stride=1, padding=0):
    (size + 2 * padding - kernel) // stride + 1


# --- parameters ---------------------------------------------------------------------------------


def bias_forgotten(in_channels, out_channels, kernel, groups=1):
    return out_channels * (in_channels // groups) * kernel**2


def one_bias_for_all(in_channels, out_channels, kernel, groups=1):
    return out_channels * (in_channels // groups) * kernel**2 + 1


def bias_divided_by_groups(in_channels, out_channels, kernel, groups=1):
    return out_channels * (in_channels // groups) * kernel**2 + out_channels // groups


def all_divided_by_groups(in_channels, out_channels, kernel, groups=1):
    return (out_channels * in_channels * kernel**2 + out_channels) // groups


def groups_multiplied(in_channels, out_channels, kernel, groups=1):
    return out_channels * in_channels * groups * kernel**2 + out_channels


def groups_ignored(in_channels, out_channels, kernel, groups=1):
    return out_channels * in_channels * kernel**2 + out_channels


def one_group_only(in_channels, out_channels, kernel, groups=1):
    return (out_channels // groups) * (in_channels // groups) * kernel**2 + out_channels


def kernel_not_squared(in_channels, out_channels, kernel, groups=1):
    return out_channels * (in_channels // groups) * kernel + out_channels


def bias_per_input(in_channels, out_channels, kernel, groups=1):
    return out_channels * (in_channels // groups) * kernel**2 + in_channels


def true_division_of_channels(in_channels, out_channels, kernel, groups=1):
    return out_channels * (in_channels / groups) * kernel**2 + out_channels


# --- receptive field ----------------------------------------------------------------------------


def strides_one_layer_too_early(layers):
    extent = jump = 1
    for kernel, stride in layers:
        jump *= stride
        extent += (kernel - 1) * jump
    return extent


def product_of_kernels(layers):
    return math.prod(kernel for kernel, _ in layers)


def sum_of_kernels(layers):
    return sum(kernel for kernel, _ in layers)


def strides_ignored(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def whole_kernels(layers):
    extent, jump = 1, 1
    for kernel, stride in layers:
        extent += kernel * jump
        jump *= stride
    return extent


def from_zero(layers):
    extent, jump = 0, 1
    for kernel, stride in layers:
        extent += (kernel - 1) * jump
        jump *= stride
    return extent


def strides_added(layers):
    extent = jump = 1
    for kernel, stride in layers:
        extent += (kernel - 1) * jump
        jump += stride
    return extent


def only_the_last_stride(layers):
    extent, before = 1, 1
    for kernel, stride in layers:
        extent += (kernel - 1) * before
        before = stride
    return extent


def from_the_wrong_end(layers):
    extent = jump = 1
    for kernel, stride in reversed(layers):
        extent += (kernel - 1) * jump
        jump *= stride
    return extent


def backwards_without_reversing(layers):
    extent = 1
    for kernel, stride in layers:
        extent = (extent - 1) * stride + kernel
    return extent


def empties_the_list(layers):
    extent = 1
    while layers:
        kernel, stride = layers.pop()
        extent = (extent - 1) * stride + kernel
    return extent


# --- from classes to gaze -----------------------------------------------------------------------


def _small(inputs, outputs=2):
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def softmax_at_the_end(network):
    network.classifier[-1] = nn.Sequential(_small(network.classifier[-1].in_features), nn.Softmax(dim=1))
    return network


def relu_at_the_end(network):
    network.classifier[-1] = _small(network.classifier[-1].in_features)
    network.classifier.append(nn.ReLU(inplace=True))
    return network


def tanh_at_the_end(network):
    network.classifier[-1] = _small(network.classifier[-1].in_features)
    network.classifier.append(nn.Tanh())
    return network


def whole_classifier_by_one_layer(network):
    network.classifier = _small(network.classifier[1].in_features)
    return network


def whole_classifier_made_anew(network):
    inputs, hidden = network.classifier[1].in_features, network.classifier[-1].in_features
    network.classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(),
        _small(hidden),
    )  # fmt: skip
    return network


def appended_behind_the_classes(network):
    network.classifier.append(_small(1000))
    return network


def hard_coded_inputs(network):
    network.classifier[-1] = _small(4096)
    return network


def frozen_before_the_last_layer(network):
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    network.classifier[-1] = _small(network.classifier[-1].in_features)
    return network


def frozen_convolutions(network):
    network.features.requires_grad_(False)
    network.classifier[-1] = _small(network.classifier[-1].in_features)
    return network


def pytorchs_own_start(network):
    network.classifier[-1] = nn.Linear(network.classifier[-1].in_features, 2)
    return network


def bias_not_zero(network):
    network.classifier[-1] = nn.Linear(network.classifier[-1].in_features, 2)
    nn.init.normal_(network.classifier[-1].weight, std=0.01)
    return network


def all_weights_alike(network):
    layer = _small(network.classifier[-1].in_features)
    nn.init.constant_(layer.weight, 0.01)
    network.classifier[-1] = layer
    return network


def all_weights_positive(network):
    layer = _small(network.classifier[-1].in_features)
    nn.init.normal_(layer.weight, mean=0.01, std=0.001)
    network.classifier[-1] = layer
    return network


def pitch_copied_to_yaw(network):
    layer = _small(network.classifier[-1].in_features)
    layer.weight.data[1] = layer.weight.data[0]
    network.classifier[-1] = layer
    return network


def mean_for_deviation(network):
    layer = _small(network.classifier[-1].in_features)
    nn.init.normal_(layer.weight, 0.01)
    network.classifier[-1] = layer
    return network


def one_output(network):
    network.classifier[-1] = _small(network.classifier[-1].in_features, 1)
    return network


def three_outputs(network):
    network.classifier[-1] = _small(network.classifier[-1].in_features, 3)
    return network


def only_the_number_changed(network):
    network.classifier[-1].out_features = 2
    return network


def two_of_the_classes(network):
    last = network.classifier[-1]
    last.weight = nn.Parameter(last.weight[:2].detach().clone())
    last.bias = nn.Parameter(torch.zeros(2))
    return network


def all_layers_made_small(network):
    network.classifier[-1] = nn.Linear(network.classifier[-1].in_features, 2)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
    return network


def a_new_network(network):
    network = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.reset_parameters()
    network.classifier[-1] = _small(network.classifier[-1].in_features)
    return network


def last_activation_lost(network):
    network.classifier = nn.Sequential(*network.classifier[:-2], _small(network.classifier[-1].in_features))
    return network


def dropout_lost(network):
    hidden = network.classifier[-1].in_features
    kept = [layer for layer in network.classifier[:-1] if not isinstance(layer, nn.Dropout)]
    network.classifier = nn.Sequential(*kept, _small(hidden))
    return network


def returns_nothing(network):
    network.classifier[-1] = _small(network.classifier[-1].in_features)


def returns_the_layer(network):
    network.classifier[-1] = _small(network.classifier[-1].in_features)
    return network.classifier[-1]


def made_beside_the_network(network):
    network.gaze = _small(network.classifier[-1].in_features)
    return network


def without_bias(network):
    layer = nn.Linear(network.classifier[-1].in_features, 2, bias=False)
    nn.init.normal_(layer.weight, std=0.01)
    network.classifier[-1] = layer
    return network


WRONG = {
    "conv_output_size": [
        first_position_forgotten,
        one_added_before_dividing,
        ceil_for_floor,
        rounded_to_the_nearest,
        padding_on_one_side,
        without_padding,
        without_stride,
        true_division,
        floor_of_numpy_kind,
        kernel_taken_off_last,
        prints_instead,
    ],
    "conv_parameters": [
        bias_forgotten,
        one_bias_for_all,
        bias_divided_by_groups,
        all_divided_by_groups,
        groups_multiplied,
        groups_ignored,
        one_group_only,
        kernel_not_squared,
        bias_per_input,
        true_division_of_channels,
    ],
    "receptive_field": [
        strides_one_layer_too_early,
        product_of_kernels,
        sum_of_kernels,
        strides_ignored,
        whole_kernels,
        from_zero,
        strides_added,
        only_the_last_stride,
        from_the_wrong_end,
        backwards_without_reversing,
        empties_the_list,
    ],
    "gaze_regressor": [
        softmax_at_the_end,
        relu_at_the_end,
        tanh_at_the_end,
        whole_classifier_by_one_layer,
        whole_classifier_made_anew,
        appended_behind_the_classes,
        hard_coded_inputs,
        frozen_before_the_last_layer,
        frozen_convolutions,
        pytorchs_own_start,
        bias_not_zero,
        all_weights_alike,
        all_weights_positive,
        pitch_copied_to_yaw,
        mean_for_deviation,
        one_output,
        three_outputs,
        only_the_number_changed,
        two_of_the_classes,
        all_layers_made_small,
        a_new_network,
        last_activation_lost,
        dropout_lost,
        returns_nothing,
        returns_the_layer,
        made_beside_the_network,
        without_bias,
    ],
}

WORDS = [
    (
        "conv_output_size",
        first_position_forgotten,
        "conv_output_size(7, 3) is 4; it should be 5. Is the very",
    ),
    ("conv_output_size", ceil_for_floor, "conv_output_size(8, 3, stride=2) is 4; it should be 3. Round down"),
    ("conv_output_size", rounded_to_the_nearest, "Round down, not to the nearest"),
    ("conv_output_size", padding_on_one_side, "on both sides"),
    ("conv_output_size", without_padding, "Is the padding used?"),
    ("conv_output_size", without_stride, "Is the stride used?"),
    ("conv_output_size", true_division, "is 5.0, a float; it should be the whole number 5"),
    ("conv_output_size", prints_instead, "is the `return` missing?"),
    ("conv_parameters", bias_forgotten, "Each filter has a bias"),
    ("conv_parameters", bias_divided_by_groups, "biases are not divided"),
    ("conv_parameters", groups_multiplied, "divide by them"),
    ("conv_parameters", groups_ignored, "channels of its own group"),
    ("conv_parameters", true_division_of_channels, "// divides whole numbers"),
    ("receptive_field", strides_one_layer_too_early, "receptive_field([(3, 2)]) is 5; it should be 3"),
    ("receptive_field", product_of_kernels, "Kernels do not multiply"),
    ("receptive_field", strides_added, "strides multiply"),
    ("receptive_field", backwards_without_reversing, "from the input to the output"),
    ("receptive_field", empties_the_list, "changes the list"),
    ("gaze_regressor", softmax_at_the_end, "a softmax"),
    ("gaze_regressor", relu_at_the_end, "a ReLU"),
    ("gaze_regressor", whole_classifier_made_anew, "classifier.1.weight has other values"),
    ("gaze_regressor", appended_behind_the_classes, "behind the one with the 1000 classes"),
    ("gaze_regressor", hard_coded_inputs, "takes 4096 inputs"),
    ("gaze_regressor", frozen_convolutions, "features.0.weight does not learn"),
    ("gaze_regressor", pytorchs_own_start, "deviation 0.04"),
    ("gaze_regressor", mean_for_deviation, "write std=0.01"),
    ("gaze_regressor", bias_not_zero, "should start at zero"),
    ("gaze_regressor", all_weights_alike, "have mean 0.01; it should be 0"),
    ("gaze_regressor", pitch_copied_to_yaw, "pitch and yaw have the same weights"),
    ("gaze_regressor", returns_nothing, "is the `return` missing?"),
]
"""Part of what is said to a wrong answer: exercise, answer, words."""
