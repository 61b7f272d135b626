"""Right answers to the exercises of notebook 06, written in other ways than its solutions."""

import math

import torch
import torch.nn.functional as F

# --- the adversarial loss -----------------------------------------------------------------------


def one_minus_the_squared_error(reconstruction, image):
    return 1 - F.mse_loss(reconstruction, image)


def mean_of_means(reconstruction, image):
    return torch.stack([(1 - (a - b) ** 2).mean() for a, b in zip(image, reconstruction, strict=True)]).mean()


def binomial(reconstruction, image):
    t = 1 - image**2 + 2 * image * reconstruction - reconstruction**2
    return t.sum() / t.numel()


def third_binomial(reconstruction, image):
    difference = torch.sub(reconstruction, image)
    return ((1 - difference) * (1 + difference)).mean(dim=(0, 1, 2, 3))


# --- the truncated loss -------------------------------------------------------------------------


def with_where(reconstruction, image, attention, k):
    t = 1 - (image - reconstruction) ** 2
    return (attention[:, None] * torch.where(t >= k, t, torch.zeros_like(t))).mean()


def by_the_squared_error(reconstruction, image, attention, k):
    squared = (reconstruction - image).pow(2)
    return ((1 - squared) * (squared <= 1 - k).float() * attention.unsqueeze(1)).mean()


def masked_fill(reconstruction, image, attention, k):
    t = 1 - (image - reconstruction).square()
    return t.masked_fill(t < k, 0.0).mul(attention.view(len(image), 1, *image.shape[2:])).mean()


def image_by_image(reconstruction, image, attention, k):
    total = 0.0
    for drawn, face, weight in zip(reconstruction, image, attention, strict=True):
        t = 1 - (face - drawn) ** 2
        total = total + (weight * t)[(t >= k)].sum()
    return total / image.numel()


def einsum(reconstruction, image, attention, k):
    t = 1 - (image - reconstruction) ** 2
    kept = t * torch.ge(t, k).detach()
    return torch.einsum("bhw,bchw->", attention, kept) / kept.numel()


def colors_last(reconstruction, image, attention, k):
    t = 1 - (image - reconstruction).permute(0, 2, 3, 1) ** 2
    return (attention[..., None] * t * (t >= k)).mean()


# --- attention to the eyes ----------------------------------------------------------------------


def with_meshgrid(centers, size, sigma):
    middles = torch.arange(size, dtype=torch.float32) + 0.5
    x, y = torch.meshgrid(middles, middles, indexing="xy")
    places = torch.stack([x, y], dim=-1)
    squared = (places - centers[:, :, None, None]).square().sum(-1)
    bumps = (-squared / (2 * sigma**2)).exp().sum(1)
    return bumps / bumps.flatten(1).max(1).values.view(-1, 1, 1)


def with_loops(centers, size, sigma):
    maps = torch.zeros(len(centers), size, size)
    for image, eyes in enumerate(centers.tolist()):
        for row in range(size):
            for column in range(size):
                for x, y in eyes:
                    squared = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2
                    maps[image, row, column] += math.exp(-squared / (2 * sigma**2))
        maps[image] /= maps[image].max()
    return maps


def product_of_two_profiles(centers, size, sigma):
    middles = torch.linspace(0.5, size - 0.5, size)
    profile = torch.exp(-0.5 * ((middles - centers[..., None]) / sigma) ** 2)  # [B, 2, 2, size]
    bumps = torch.einsum("bew,beh->bhw", profile[:, :, 0], profile[:, :, 1])
    return bumps / bumps.amax(dim=(-2, -1), keepdim=True)


def normal_densities(centers, size, sigma):
    middles = torch.arange(size).float() + 0.5
    columns, rows = middles.view(1, 1, 1, -1), middles.view(1, 1, -1, 1)
    squared = (columns - centers[:, :, :1, None]) ** 2 + (rows - centers[:, :, 1:, None]) ** 2
    mixture = 0.5 * (torch.exp(-squared / (2 * sigma**2)) / (2 * torch.pi * sigma**2)).sum(dim=1)
    return torch.stack([values / values.max() for values in mixture])


# --- who gets which gradient --------------------------------------------------------------------


def decoder_first(gaze_side, decoder, losses):
    losses["reconstruction"].backward(inputs=decoder, retain_graph=True)
    losses["loss"].backward(inputs=gaze_side)


def by_hand(gaze_side, decoder, losses):
    for_gaze_side = torch.autograd.grad(losses["loss"], gaze_side, retain_graph=True)
    for_decoder = torch.autograd.grad(losses["reconstruction"], decoder)
    for parameter, gradient in zip(gaze_side + decoder, for_gaze_side + for_decoder, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def frozen_and_thawed(gaze_side, decoder, losses):
    for parameter in decoder:
        parameter.requires_grad_(False)
    losses["loss"].backward(retain_graph=True)
    for parameter in decoder:
        parameter.requires_grad_(True)
    for parameter in gaze_side:
        parameter.requires_grad_(False)
    losses["reconstruction"].backward()
    for parameter in gaze_side:
        parameter.requires_grad_(True)


def put_back(gaze_side, decoder, losses):
    kept = [None if p.grad is None else p.grad.clone() for p in decoder]
    losses["loss"].backward(retain_graph=True)
    for parameter, gradient in zip(decoder, kept, strict=True):
        parameter.grad = gradient
    torch.autograd.backward([losses["reconstruction"]], inputs=decoder)


RIGHT = {
    "adversarial_loss": [one_minus_the_squared_error, mean_of_means, binomial, third_binomial],
    "truncated_loss": [with_where, by_the_squared_error, masked_fill, image_by_image, einsum, colors_last],
    "eye_attention": [with_meshgrid, with_loops, product_of_two_profiles, normal_densities],
    "self_adversarial_backward": [decoder_first, by_hand, frozen_and_thawed, put_back],
}
