"""Right answers to the exercises of notebook 04, written in other ways than its solutions."""

import torch
import torch.nn.functional as F
from torch import nn
from wrong_answers import full_face as wrong

from gazecourse.models.full_face import Weigh

# --- spatial weights ----------------------------------------------------------------------------


class PlainGradient(wrong._Layers):
    pass


class NormalizedGradient(wrong._Layers):
    def forward(self, u):
        return Weigh.apply(u, self.weights(u))


class SequenceOfTheLayers(wrong._Layers):
    def __init__(self, channels):
        super().__init__(channels)
        self.chain = nn.Sequential(self.conv1, nn.ReLU(), self.conv2, nn.ReLU(), self.conv3, nn.ReLU())

    def weights(self, u):
        return self.chain(u)


class ReluModulesInPlace(nn.Module):
    def __init__(self, channels=256):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=(1, 1), stride=1, padding=0)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=(1, 1))
        self.conv3 = nn.Conv2d(channels, 1, kernel_size=(1, 1))
        self.relu = nn.ReLU(inplace=True)
        for layer in (self.conv1, self.conv2, self.conv3):
            nn.init.zeros_(layer.weight)

    def weights(self, u):
        x = self.relu(self.conv1(u))
        x = self.relu(self.conv2(x))
        return self.relu(self.conv3(x))

    def forward(self, u):
        return torch.mul(u, self.weights(u))


class LoopOverLayersAndMaps(wrong._Layers):
    def weights(self, u):
        for layer in (self.conv1, self.conv2, self.conv3):
            u = F.relu(layer(u))
        return u

    def forward(self, u):
        w = self.weights(u)[:, 0]
        return torch.stack([w * u[:, channel] for channel in range(u.shape[1])], dim=1)


class Einsum(wrong._Layers):
    def weights(self, u):
        for layer in (self.conv1, self.conv2, self.conv3):
            mixed = torch.einsum("oi,bihw->bohw", layer.weight[:, :, 0, 0], u) + layer.bias.view(1, -1, 1, 1)
            u = mixed.clamp(min=0)
        return u

    def forward(self, u):
        return torch.einsum("bkhw,bnhw->bnhw", self.weights(u), u)


class WeightsInsideForward(wrong._Layers):
    def forward(self, u):
        w = F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(u))))))
        return u.clone().mul_(w.expand_as(u))


# --- initial values -----------------------------------------------------------------------------


def in_place_on_data(module):
    module.conv1.weight.data.normal_(0, 0.01)
    module.conv2.weight.data.normal_(0, 0.01)
    module.conv3.weight.data.normal_(0, 0.001)
    module.conv1.bias.data.fill_(0.1)
    module.conv2.bias.data.fill_(0.1)
    module.conv3.bias.data.fill_(1.0)
    return module


@torch.no_grad()
def copies_random_numbers(module):
    for layer in (module.conv1, module.conv2, module.conv3):
        last = layer is module.conv3
        layer.weight.copy_((0.001 if last else 0.01) * torch.randn(layer.weight.shape))
        layer.bias.copy_(torch.full_like(layer.bias, 1.0 if last else 0.1))


def new_parameters(module):
    for name, layer in module.named_children():
        deviation, bias = (0.001, 1.0) if name == "conv3" else (0.01, 0.1)
        layer.weight = nn.Parameter(torch.normal(0.0, deviation, layer.weight.shape))
        layer.bias = nn.Parameter(torch.ones_like(layer.bias) * bias)


def truncated_far_out(module):
    for layer, deviation, bias in ((module.conv1, 0.01, 0.1), (module.conv2, 0.01, 0.1), (module.conv3, 0.001, 1)):
        nn.init.trunc_normal_(layer.weight, std=deviation)
        nn.init.constant_(layer.bias, bias)


def by_number_of_outputs(module):
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            one = layer.out_channels == 1
            nn.init.normal_(layer.weight, 0.0, 0.001 if one else 0.01)
            nn.init.constant_(layer.bias, 1 if one else 0.1)


# --- the normalized gradient --------------------------------------------------------------------


def sum_over_n(u, w, gradient):
    return gradient * w, torch.sum(gradient * u, 1, True) / u.size(1)


def in_double_precision(u, w, gradient):
    return w.double() * gradient, (u.double() * gradient).mean(1, keepdim=True)


def unsqueezed(u, w, gradient):
    return [w.expand_as(u) * gradient, torch.mean(u * gradient, dim=1).unsqueeze(1)]


def with_einsum(u, w, gradient):
    mean = torch.einsum("bnhw,bnhw->bhw", u, gradient)[:, None] / u.shape[1]
    return torch.einsum("bihw,bnhw->bnhw", w, gradient), mean


def with_loops(u, w, gradient):
    gradient_of_u, gradient_of_w = torch.zeros_like(u), torch.zeros_like(w)
    for channel in range(u.shape[1]):
        gradient_of_u[:, channel] = w[:, 0] * gradient[:, channel]
        gradient_of_w[:, 0] += u[:, channel] * gradient[:, channel] / u.shape[1]
    return gradient_of_u, gradient_of_w


def by_autograd(u, w, gradient):
    u, w = u.clone().requires_grad_(), w.clone().requires_grad_()
    for_u, for_w = torch.autograd.grad(w * u, (u, w), gradient)
    return for_u, for_w / u.shape[1]


# --- region importance --------------------------------------------------------------------------


def as_a_list_of_rows(error, images, mask, stride):
    height, width = images.shape[2:]
    before = error(images)
    rows = []
    for top in range(0, height - mask + 1, stride):
        row = []
        for left in range(0, width - mask + 1, stride):
            masked = images.clone()
            masked[..., top : top + mask, left : left + mask] = 0.5
            row.append(error(masked) - before)
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=1)


def with_numbers_of_positions(error, images, mask, stride):
    count, _, height, width = images.shape
    rows, columns = (height - mask) // stride + 1, (width - mask) // stride + 1
    maps = torch.empty(count, rows, columns)
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        y, x = row * stride, column * stride
        masked = images.clone()
        masked[:, :, y : y + mask, x : x + mask].fill_(0.5)
        maps[:, row, column] = error(masked) - error(images)
    return maps


def with_where(error, images, mask, stride):
    height, width = images.shape[2:]
    y, x = torch.arange(height).view(-1, 1), torch.arange(width)
    tops, lefts = range(0, height - mask + 1, stride), range(0, width - mask + 1, stride)
    values = []
    for top in tops:
        for left in lefts:
            inside = (y >= top) & (y < top + mask) & (x >= left) & (x < left + mask)
            values.append(error(torch.where(inside, 0.5, images)))
    return torch.stack(values, dim=1).reshape(len(images), len(tops), len(lefts)) - error(images).view(-1, 1, 1)


def painted_and_put_back(error, images, mask, stride):
    before = error(images)
    rows = []
    for top in range(0, images.shape[2] - mask + 1, stride):
        row = []
        for left in range(0, images.shape[3] - mask + 1, stride):
            square = (slice(None), slice(None), slice(top, top + mask), slice(left, left + mask))
            kept = images[square].clone()
            images[square] = 0.5
            row.append(error(images) - before)
            images[square] = kept
        rows.append(torch.stack(row))
    return torch.stack(rows).permute(2, 0, 1)


def columns_first_and_transposed(error, images, mask, stride):
    height, width = images.shape[2:]
    before, maps = error(images).double(), []
    for left in range(0, width - mask + 1, stride):
        for top in range(0, height - mask + 1, stride):
            masked = images.detach().clone()
            masked[:, :, top : top + mask, left : left + mask] = torch.tensor(0.5)
            maps.append(error(masked).double() - before)
    columns = len(range(0, width - mask + 1, stride))
    return torch.stack(maps, 1).view(len(images), columns, -1).transpose(1, 2)


RIGHT = {
    "SpatialWeights": [
        PlainGradient,
        NormalizedGradient,
        SequenceOfTheLayers,
        ReluModulesInPlace,
        LoopOverLayersAndMaps,
        Einsum,
        WeightsInsideForward,
    ],
    "initialize": [
        in_place_on_data,
        copies_random_numbers,
        new_parameters,
        truncated_far_out,
        by_number_of_outputs,
    ],
    "weigh_backward": [sum_over_n, in_double_precision, unsqueezed, with_einsum, with_loops, by_autograd],
    "region_importance": [
        as_a_list_of_rows,
        with_numbers_of_positions,
        with_where,
        painted_and_put_back,
        columns_first_and_transposed,
    ],
}
