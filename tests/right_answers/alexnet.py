"""Right answers to the exercises of notebook 03, written in other ways than its solutions."""

import copy
import math

import numpy as np
import torch
from torch import nn
from wrong_answers import alexnet as wrong

from gazecourse.models import layers


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
