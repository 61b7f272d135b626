"""Right answers to the exercises of notebook 09, written in other ways than its solutions."""

import math

import torch

# --- wing ---------------------------------------------------------------------------------------


def with_log1p(residual, omega, epsilon):
    x = torch.abs(residual)
    inside = omega * torch.log1p(x / epsilon)
    edge = omega * math.log1p(omega / epsilon)
    return torch.where(x < omega, inside, x - omega + edge)


def masks_added(residual, omega, epsilon):
    x = residual.abs()
    small = (x < omega).float()
    c = omega * (1 - math.log((epsilon + omega) / epsilon))
    return small * omega * ((epsilon + x).log() - math.log(epsilon)) + (1 - small) * (x - c)


def clamped(residual, omega, epsilon):
    x = residual.abs()
    return omega * torch.log(1 + x.clamp(max=omega) / epsilon) + (x - omega).clamp(min=0)


def filled_in(residual, omega, epsilon):
    x = residual.abs()
    large = x > omega
    value = omega * (1 + x / epsilon).log()
    value[large] = x[large] - omega + omega * math.log(1 + omega / epsilon)
    return value


# --- soft wing ----------------------------------------------------------------------------------


def one_logarithm_of_a_quotient(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, x, omega1 + omega2 * torch.log((epsilon + x) / (epsilon + omega1)))


def clamped_soft(residual, omega1, omega2, epsilon):
    x = residual.abs()
    beyond = x.clamp(min=omega1)
    return x.clamp(max=omega1) + omega2 * (torch.log1p(beyond / epsilon) - math.log1p(omega1 / epsilon))


def filled_in_soft(residual, omega1, omega2, epsilon):
    value = residual.abs()
    large = value.detach() >= omega1
    b = omega1 - omega2 * torch.log(torch.tensor(1 + omega1 / epsilon))
    return value.masked_scatter(large, omega2 * torch.log(1 + value[large] / epsilon) + b)


def pieces_added(residual, omega1, omega2, epsilon):
    x = residual.abs()
    small = x.lt(omega1).to(x)
    b = omega1 - omega2 * math.log(1 + omega1 / epsilon)
    return small * x + (1 - small) * (omega2 * torch.log(1 + x / epsilon) + b)


# --- who learns label noise? --------------------------------------------------------------------


def dot_products(pred, clean, noisy):
    error, noise = (pred - clean).flatten(), (noisy - clean).flatten()
    return torch.dot(error, noise) / torch.dot(noise, noise)


def least_squares(pred, clean, noisy):
    error, noise = (pred - clean).reshape(-1, 1), (noisy - clean).reshape(-1, 1)
    return torch.linalg.lstsq(noise, error).solution.item()


def means_of_products(pred, clean, noisy):
    noise = noisy - clean
    return ((pred - clean) * noise).mean() / (noise**2).mean()


RIGHT = {
    "wing": [with_log1p, masks_added, clamped, filled_in],
    "soft_wing": [one_logarithm_of_a_quotient, clamped_soft, filled_in_soft, pieces_added],
    "noise_learned": [dot_products, least_squares, means_of_products],
}
