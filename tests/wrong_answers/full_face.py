"""Plausible wrong answers to the exercises of notebook 04."""

import copy

import torch
from torch import nn

# --- spatial weights ----------------------------------------------------------------------------


class _Layers(nn.Module):
    """What the wrong answers share; each overrides what it gets wrong."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.conv3 = nn.Conv2d(channels, 1, 1)

    def weights(self, u):
        return torch.relu(self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(u))))))

    def forward(self, u):
        return self.weights(u) * u


class LastReluMissing(_Layers):
    def weights(self, u):
        return self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(u)))))


class InnerRelusMissing(_Layers):
    def weights(self, u):
        return torch.relu(self.conv3(self.conv2(self.conv1(u))))


class SigmoidForRelu(_Layers):
    def weights(self, u):
        return torch.sigmoid(self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(u))))))


class SoftmaxOverPositions(_Layers):
    def weights(self, u):
        w = self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(u)))))
        return w.flatten(1).softmax(1).view_as(w)


class MapForEveryChannel(_Layers):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv3 = nn.Conv2d(channels, channels, 1)


class ThreeByThree(_Layers):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)


class OtherNames(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(),
            nn.Conv2d(channels, 1, 1), nn.ReLU(),
        )  # fmt: skip

    def weights(self, u):
        return self.layers(u)

    def forward(self, u):
        return self.weights(u) * u


class Always256(_Layers):
    def __init__(self, channels):
        super().__init__(256)


class WithoutBias(_Layers):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv3 = nn.Conv2d(channels, 1, 1, bias=False)


class ChannelAxisLost(_Layers):
    def weights(self, u):
        return super().weights(u).squeeze(1)

    def forward(self, u):
        return self.weights(u).unsqueeze(1) * u


class NotBroadcast(_Layers):
    def forward(self, u):
        return self.weights(u).squeeze(1) * u


class MatrixProduct(_Layers):
    def forward(self, u):
        return self.weights(u) @ u


class ReturnsTheMap(_Layers):
    def forward(self, u):
        return self.weights(u)


class AddsTheMap(_Layers):
    def forward(self, u):
        return u + self.weights(u)


class ResidualForm(_Layers):
    def forward(self, u):
        return u + u * self.weights(u)


class SumsTheMaps(_Layers):
    def forward(self, u):
        return (self.weights(u) * u).sum(1, keepdim=True)


class FirstMapForAllImages(_Layers):
    def forward(self, u):
        return self.weights(u)[0] * u


class DetachedMap(_Layers):
    def forward(self, u):
        return self.weights(u).detach() * u


class DetachedInput(_Layers):
    def weights(self, u):
        return super().weights(u.detach())


class InPlace(_Layers):
    def forward(self, u):
        w = self.weights(u)
        u.data.mul_(w)
        return u


class ForwardMissing(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.conv3 = nn.Conv2d(channels, 1, 1)

    weights = _Layers.weights


class WeightsNotWritten(_Layers):
    def weights(self, u):
        raise NotImplementedError


# --- initial values -----------------------------------------------------------------------------


def _fill(module, deviations, biases, draw=None):
    draw = draw or (lambda tensor, deviation: nn.init.normal_(tensor, std=deviation))
    for name, deviation, bias in zip(("conv1", "conv2", "conv3"), deviations, biases, strict=True):
        draw(getattr(module, name).weight, deviation)
        nn.init.constant_(getattr(module, name).bias, bias)


def same_deviation_for_all(module):
    _fill(module, (0.01, 0.01, 0.01), (0.1, 0.1, 1.0))


def taken_for_a_variance(module):
    _fill(module, (0.1, 0.1, 0.001**0.5), (0.1, 0.1, 1.0))


def squared(module):
    _fill(module, (1e-4, 1e-4, 1e-6), (0.1, 0.1, 1.0))


def taken_for_the_mean(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0), nn.init.normal_)


def uniform(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0), lambda t, s: nn.init.uniform_(t, -s, s))


def uniform_of_the_right_deviation(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0), lambda t, s: nn.init.uniform_(t, -s * 3**0.5, s * 3**0.5))


def constant(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0), nn.init.constant_)


def biases_zero(module):
    _fill(module, (0.01, 0.01, 0.001), (0.0, 0.0, 0.0))


def last_bias_like_the_others(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 0.1))


def all_biases_one(module):
    _fill(module, (0.01, 0.01, 0.001), (1.0, 1.0, 1.0))


def layers_swapped(module):
    _fill(module, (0.001, 0.01, 0.01), (1.0, 0.1, 0.1))


def conv2_forgotten(module):
    for layer, deviation, bias in ((module.conv1, 0.01, 0.1), (module.conv3, 0.001, 1.0)):
        nn.init.normal_(layer.weight, std=deviation)
        nn.init.constant_(layer.bias, bias)


def a_twentieth_too_wide(module):
    _fill(module, (0.0105, 0.01, 0.001), (0.1, 0.1, 1.0))


def conv2_copied_from_conv1(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0))
    module.conv2.weight.data.copy_(module.conv1.weight.data)


def in_double_precision(module):
    module.double()
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0))


def fills_a_copy(module):
    module = copy.deepcopy(module)
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0))
    return module


def frozen(module):
    _fill(module, (0.01, 0.01, 0.001), (0.1, 0.1, 1.0))
    module.requires_grad_(False)


def without_underscore(module):
    for layer, deviation in ((module.conv1, 0.01), (module.conv2, 0.01), (module.conv3, 0.001)):
        torch.normal(0.0, deviation, layer.weight.shape)


# --- the normalized gradient --------------------------------------------------------------------


def numpy_arrays(u, w, gradient):
    return (w * gradient).numpy(), (u * gradient).mean(1, keepdim=True).numpy()


def plain_sum(u, w, gradient):
    return w * gradient, (u * gradient).sum(1, keepdim=True)


def axis_lost(u, w, gradient):
    return w * gradient, (u * gradient).mean(1)


def mean_over_everything(u, w, gradient):
    return w * gradient, (u * gradient).mean()


def mean_over_positions(u, w, gradient):
    return w * gradient, (u * gradient).mean((2, 3), keepdim=True)


def mean_over_the_batch(u, w, gradient):
    return w * gradient, (u * gradient).mean(0, keepdim=True)


def not_averaged(u, w, gradient):
    return w * gradient, u * gradient


def always_256(u, w, gradient):
    return w * gradient, (u * gradient).sum(1, keepdim=True) / 256


def divided_by_the_batch(u, w, gradient):
    return w * gradient, (u * gradient).sum(1, keepdim=True) / len(u)


def both_divided(u, w, gradient):
    return w * gradient / u.shape[1], (u * gradient).mean(1, keepdim=True)


def order_swapped(u, w, gradient):
    return (u * gradient).mean(1, keepdim=True), w * gradient


def u_and_w_mixed_up(u, w, gradient):
    return u * gradient, (w * gradient).mean(1, keepdim=True)


def gradient_left_out(u, w, gradient):
    return w * gradient, u.mean(1, keepdim=True)


def product_of_means(u, w, gradient):
    return w * gradient, u.mean(1, keepdim=True) * gradient.mean(1, keepdim=True)


def passed_through(u, w, gradient):
    return gradient, (u * gradient).mean(1, keepdim=True)


def one_gradient(u, w, gradient):
    return w * gradient


def weighted_in_place(u, w, gradient):
    mean = (u * gradient).mean(1, keepdim=True)
    return gradient.mul_(w), mean


# --- region importance --------------------------------------------------------------------------


def _positions(images, mask, stride, more=1):
    height, width = images.shape[-2:]
    return range(0, height - mask + more, stride), range(0, width - mask + more, stride)


def _slide(error, images, mask, stride, *, fill=0.5, more=1, rise=lambda after, before: after - before):
    tops, lefts = _positions(images, mask, stride, more)
    maps, before = torch.zeros(len(images), len(tops), len(lefts)), error(images)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            masked = images.clone()
            masked[:, :, top : top + mask, left : left + mask] = fill
            maps[:, row, column] = rise(error(masked), before)
    return maps


def paints_on_the_images(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, values = error(images), []
    for top in tops:
        for left in lefts:
            images[:, :, top : top + mask, left : left + mask] = 0.5
            values.append(error(images) - before)
    return torch.stack(values, 1).view(len(images), len(tops), len(lefts))


def earlier_masks_kept(error, images, mask, stride):
    return paints_on_the_images(error, images.clone(), mask, stride)


def view_for_a_copy(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, maps = error(images), torch.zeros(len(images), len(tops), len(lefts))
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            masked = images[:]
            masked[:, :, top : top + mask, left : left + mask] = 0.5
            maps[:, row, column] = error(masked) - before
    return maps


def sign_flipped(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: before - after)


def not_subtracted(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: after)


def relative_rise(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: (after - before) / before)


def ratio(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: after / before)


def absolute_rise(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: (after - before).abs())


def clamped_rise(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: (after - before).clamp(min=0))


def mean_error_subtracted(error, images, mask, stride):
    return _slide(error, images, mask, stride, rise=lambda after, before: after - before.mean())


def averaged_over_images(error, images, mask, stride):
    return _slide(error, images, mask, stride).mean(0)


def last_position_missing(error, images, mask, stride):
    return _slide(error, images, mask, stride, more=0)


def over_the_edge(error, images, mask, stride):
    return _slide(error, images, mask, stride, more=mask)


def black_mask(error, images, mask, stride):
    return _slide(error, images, mask, stride, fill=0.0)


def mean_color_mask(error, images, mask, stride):
    return _slide(error, images, mask, stride, fill=images.mean((2, 3), keepdim=True))


def rows_and_columns_swapped(error, images, mask, stride):
    return _slide(error, images, mask, stride).transpose(1, 2)


def columns_in_the_outer_loop(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, values = error(images), []
    for left in lefts:
        for top in tops:
            masked = images.clone()
            masked[:, :, top : top + mask, left : left + mask] = 0.5
            values.append(error(masked) - before)
    return torch.stack(values, 1).view(len(images), len(tops), len(lefts))


def centered_mask(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, maps = error(images), torch.zeros(len(images), len(tops), len(lefts))
    half = mask // 2
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            masked = images.clone()
            masked[:, :, max(top - half, 0) : top + half, max(left - half, 0) : left + half] = 0.5
            maps[:, row, column] = error(masked) - before
    return maps


def steps_of_the_mask(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, maps = error(images), torch.zeros(len(images), len(tops), len(lefts))
    for row in range(len(tops)):
        for column in range(len(lefts)):
            masked = images.clone()
            masked[:, :, row * mask : (row + 1) * mask, column * mask : (column + 1) * mask] = 0.5
            maps[:, row, column] = error(masked) - before
    return maps


def index_for_pixel(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, maps = error(images), torch.zeros(len(images), len(tops), len(lefts))
    for row in range(len(tops)):
        for column in range(len(lefts)):
            masked = images.clone()
            masked[:, :, row : row + mask, column : column + mask] = 0.5
            maps[:, row, column] = error(masked) - before
    return maps


def one_color_only(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    before, maps = error(images), torch.zeros(len(images), len(tops), len(lefts))
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            masked = images.clone()
            masked[:, 0, top : top + mask, left : left + mask] = 0.5
            maps[:, row, column] = error(masked) - before
    return maps


def image_by_image(error, images, mask, stride):
    return torch.cat([_slide(error, image[None], mask, stride) for image in images])


def all_positions_at_once(error, images, mask, stride):
    tops, lefts = _positions(images, mask, stride)
    masked = images.repeat(len(tops) * len(lefts), 1, 1, 1)
    return error(masked).view(len(tops), len(lefts), len(images)).permute(2, 0, 1) - error(images).view(-1, 1, 1)


def never_masked(error, images, mask, stride):
    return _slide(error, images, 0, stride)[:, : len(_positions(images, mask, stride)[0])][
        ..., : len(_positions(images, mask, stride)[1])
    ]


def a_list(error, images, mask, stride):
    return _slide(error, images, mask, stride).tolist()


WRONG = {
    "SpatialWeights": [
        LastReluMissing,
        InnerRelusMissing,
        SigmoidForRelu,
        SoftmaxOverPositions,
        MapForEveryChannel,
        ThreeByThree,
        OtherNames,
        Always256,
        WithoutBias,
        ChannelAxisLost,
        NotBroadcast,
        MatrixProduct,
        ReturnsTheMap,
        AddsTheMap,
        ResidualForm,
        SumsTheMaps,
        FirstMapForAllImages,
        DetachedMap,
        DetachedInput,
        InPlace,
        ForwardMissing,
        WeightsNotWritten,
    ],
    "initialize": [
        a_twentieth_too_wide,
        conv2_copied_from_conv1,
        in_double_precision,
        same_deviation_for_all,
        taken_for_a_variance,
        squared,
        taken_for_the_mean,
        uniform,
        uniform_of_the_right_deviation,
        constant,
        biases_zero,
        last_bias_like_the_others,
        all_biases_one,
        layers_swapped,
        conv2_forgotten,
        fills_a_copy,
        frozen,
        without_underscore,
    ],
    "weigh_backward": [
        numpy_arrays,
        plain_sum,
        axis_lost,
        mean_over_everything,
        mean_over_positions,
        mean_over_the_batch,
        not_averaged,
        always_256,
        divided_by_the_batch,
        both_divided,
        order_swapped,
        u_and_w_mixed_up,
        gradient_left_out,
        product_of_means,
        passed_through,
        one_gradient,
        weighted_in_place,
    ],
    "region_importance": [
        paints_on_the_images,
        earlier_masks_kept,
        view_for_a_copy,
        sign_flipped,
        not_subtracted,
        relative_rise,
        ratio,
        absolute_rise,
        clamped_rise,
        mean_error_subtracted,
        averaged_over_images,
        last_position_missing,
        over_the_edge,
        black_mask,
        mean_color_mask,
        rows_and_columns_swapped,
        columns_in_the_outer_loop,
        centered_mask,
        steps_of_the_mask,
        index_for_pixel,
        one_color_only,
        image_by_image,
        all_positions_at_once,
        never_masked,
        a_list,
    ],
}

WORDS = [
    ("SpatialWeights", LastReluMissing, "the ReLU after conv3 is missing"),
    ("SpatialWeights", InnerRelusMissing, "the ReLUs after conv1 and conv2 are missing"),
    ("SpatialWeights", SigmoidForRelu, "a sigmoid follows conv3"),
    ("SpatialWeights", MapForEveryChannel, "it should be [1, 4, 1, 1]: one map from 4"),
    ("SpatialWeights", OtherNames, "there is no self.conv1"),
    ("SpatialWeights", ChannelAxisLost, "lost its channel axis"),
    ("SpatialWeights", NotBroadcast, "return self.weights(u).squeeze(1) * u"),
    ("SpatialWeights", MatrixProduct, "matrix product"),
    ("SpatialWeights", ReturnsTheMap, "forward returns W"),
    ("SpatialWeights", FirstMapForAllImages, "the first image's W"),
    ("SpatialWeights", DetachedMap, "no gradient reaches conv1.weight"),
    ("SpatialWeights", DetachedInput, "the part that comes through W"),
    ("SpatialWeights", InPlace, "changes its argument `u` in place"),
    ("SpatialWeights", WeightsNotWritten, "`weights` is still to be written"),
    ("SpatialWeights", ForwardMissing, "`forward` is still to be written"),
    ("initialize", same_deviation_for_all, "conv3's weights have deviation 0.01; the paper has 0.001"),
    ("initialize", taken_for_a_variance, "the root of 0.01"),
    ("initialize", squared, "the square of 0.01"),
    ("initialize", taken_for_the_mean, "write std=0.01"),
    ("initialize", uniform_of_the_right_deviation, "look uniform"),
    ("initialize", biases_zero, "conv1's bias is 0; the paper has 0.1"),
    ("initialize", a_twentieth_too_wide, "conv1's weights have deviation 0.0105; the paper has 0.01"),
    ("initialize", conv2_copied_from_conv1, "conv1 and conv2 have the same weights"),
    ("initialize", in_double_precision, "should stay torch.float32"),
    ("initialize", conv2_forgotten, "conv2.weight still has its old values"),
    (
        "weigh_backward",
        plain_sum,
        "is N = 4 times too large: the paper divides by the number of feature maps",
    ),
    ("weigh_backward", numpy_arrays, "the gradient of U is a numpy array; it should be a torch tensor"),
    ("weigh_backward", axis_lost, "has no channel axis"),
    ("weigh_backward", order_swapped, "wrong order"),
    ("weigh_backward", always_256, "divided by 256"),
    ("weigh_backward", both_divided, "the gradient of U is N = 4 times too small"),
    ("weigh_backward", weighted_in_place, "changes its argument `gradient` in place"),
    ("region_importance", paints_on_the_images, "changes its argument `images` in place"),
    ("region_importance", earlier_masks_kept, "masks of earlier positions are still there"),
    ("region_importance", sign_flipped, "the sign is turned around"),
    ("region_importance", not_subtracted, "is not subtracted"),
    ("region_importance", relative_rise, "relative rise"),
    ("region_importance", absolute_rise, "the sign is lost"),
    ("region_importance", last_position_missing, "A position is missing at the end"),
    ("region_importance", over_the_edge, "the whole mask lies in the image"),
    ("region_importance", black_mask, "the mask has the value 0; gray is 0.5"),
    ("region_importance", rows_and_columns_swapped, "Rows and columns are swapped"),
    ("region_importance", columns_in_the_outer_loop, "rows and columns are mixed up"),
    ("region_importance", index_for_pixel, "top left corner at row 0, column 1"),
    ("region_importance", image_by_image, "`error` was called with one image"),
]
"""Part of what is said to a wrong answer: exercise, answer, words."""
