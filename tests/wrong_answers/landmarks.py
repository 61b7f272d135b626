"""Plausible wrong answers to the exercises of notebook 09, and what is said to some of them."""

import math

import torch

# --- wing ---------------------------------------------------------------------------------------


def join(omega, epsilon):
    return omega - omega * math.log(1 + omega / epsilon)


def signed(residual, omega, epsilon):
    return torch.where(residual < omega, omega * torch.log(1 + residual / epsilon), residual - join(omega, epsilon))


def without_c(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x)


def c_added(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x + join(omega, epsilon))


def c_is_omega(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - omega)


def c_without_omega(residual, omega, epsilon):
    x = residual.abs()
    c = -omega * math.log(1 + omega / epsilon)
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - c)


def factor_forgotten(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, torch.log(1 + x / epsilon), x - join(omega, epsilon))


def one_forgotten(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(x / epsilon), x - join(omega, epsilon))


def base_two(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log2(1 + x / epsilon), x - join(omega, epsilon))


def epsilon_forgotten(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(1 + x), x - join(omega, epsilon))


def epsilon_outside(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(1 + x) / epsilon, x - join(omega, epsilon))


def pieces_swapped(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x > omega, omega * torch.log(1 + x / epsilon), x - join(omega, epsilon))


def split_at_epsilon(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < epsilon, omega * torch.log(1 + x / epsilon), x - join(omega, epsilon))


def logarithm_everywhere(residual, omega, epsilon):
    return omega * torch.log(1 + residual.abs() / epsilon)


def averaged(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - join(omega, epsilon)).mean()


def constants_written_in(residual, omega, epsilon):
    x = residual.abs()
    return torch.where(x < 10, 10 * torch.log(1 + x / 2), x - join(10, 2))


def root_of_the_square(residual, omega, epsilon):
    x = residual.square().sqrt()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - join(omega, epsilon))


def detached(residual, omega, epsilon):
    x = residual.detach().abs()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - join(omega, epsilon))


def with_if(residual, omega, epsilon):
    x = residual.abs()
    if x < omega:
        return omega * torch.log(1 + x / epsilon)
    return x - join(omega, epsilon)


def in_place(residual, omega, epsilon):
    x = residual.abs_()
    return torch.where(x < omega, omega * torch.log(1 + x / epsilon), x - join(omega, epsilon))


def nothing_returned(residual, omega, epsilon):
    residual.abs()


# --- soft wing ----------------------------------------------------------------------------------


def offset(omega1, omega2, epsilon):
    return omega1 - omega2 * math.log(1 + omega1 / epsilon)


def soft_signed(residual, omega1, omega2, epsilon):
    outer = omega2 * torch.log(1 + residual / epsilon) + offset(omega1, omega2, epsilon)
    return torch.where(residual < omega1, residual, outer)


def without_b(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon))


def b_subtracted(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) - offset(omega1, omega2, epsilon))


def b_at_omega2(residual, omega1, omega2, epsilon):
    x = residual.abs()
    b = omega1 - omega2 * math.log(1 + omega2 / epsilon)
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) + b)


def b_of_wing(residual, omega1, omega2, epsilon):
    x = residual.abs()
    b = omega1 - omega1 * math.log(1 + omega1 / epsilon)
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) + b)


def joins_at_zero(residual, omega1, omega2, epsilon):
    x = residual.abs()
    b = -omega2 * math.log(1 + omega1 / epsilon)
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) + b)


def omega1_everywhere(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, x, omega1 * torch.log(1 + x / epsilon) + offset(omega1, omega1, epsilon))


def limit_omega2(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega2, x, omega2 * torch.log(1 + x / epsilon) + offset(omega2, omega2, epsilon))


def soft_one_forgotten(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, x, omega2 * torch.log(x / epsilon) + offset(omega1, omega2, epsilon))


def soft_logarithm_everywhere(residual, omega1, omega2, epsilon):
    return omega2 * torch.log(1 + residual.abs() / epsilon) + offset(omega1, omega2, epsilon)


def soft_swapped(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, omega2 * torch.log(1 + x / epsilon) + offset(omega1, omega2, epsilon), x)


def plain_wing(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, omega1 * torch.log(1 + x / epsilon), x - join(omega1, epsilon))


def soft_summed(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) + offset(omega1, omega2, epsilon)).sum()


def soft_constants_written_in(residual, omega1, omega2, epsilon):
    x = residual.abs()
    return torch.where(x < 2, x, 20 * torch.log(1 + x / 0.5) + offset(2, 20, 0.5))


def soft_root(residual, omega1, omega2, epsilon):
    x = residual.pow(2).sqrt()
    return torch.where(x < omega1, x, omega2 * torch.log(1 + x / epsilon) + offset(omega1, omega2, epsilon))


# --- who learns label noise? --------------------------------------------------------------------


def lengths_compared(pred, clean, noisy):
    return (pred - clean).norm() / (noisy - clean).norm()


def squares_compared(pred, clean, noisy):
    return ((pred - clean) ** 2).sum() / ((noisy - clean) ** 2).sum()


def cosine(pred, clean, noisy):
    return torch.cosine_similarity((pred - clean).flatten(), (noisy - clean).flatten(), dim=0)


def divided_by_the_error(pred, clean, noisy):
    error, noise = pred - clean, noisy - clean
    return (error * noise).sum() / (error**2).sum()


def measured_from_the_label(pred, clean, noisy):
    return ((pred - noisy) * (noisy - clean)).sum() / ((noisy - clean) ** 2).sum()


def faces_averaged(pred, clean, noisy):
    error, noise = pred - clean, noisy - clean
    return ((error * noise).sum((1, 2)) / (noise**2).sum((1, 2))).mean()


def quotients_averaged(pred, clean, noisy):
    return ((pred - clean) / (noisy - clean)).mean()


def one_for_each_face(pred, clean, noisy):
    error, noise = pred - clean, noisy - clean
    return (error * noise).sum((1, 2)) / (noise**2).sum((1, 2))


def turned_around(pred, clean, noisy):
    noise = clean - noisy
    return ((pred - clean) * noise).sum() / (noise**2).sum()


def mean_distance_to_the_labels(pred, clean, noisy):
    return 1 - (pred - noisy).norm(dim=-1).mean() / (noisy - clean).norm(dim=-1).mean()


WRONG = {
    "wing": [
        signed,
        without_c,
        c_added,
        c_is_omega,
        c_without_omega,
        factor_forgotten,
        one_forgotten,
        base_two,
        epsilon_forgotten,
        epsilon_outside,
        pieces_swapped,
        split_at_epsilon,
        logarithm_everywhere,
        averaged,
        constants_written_in,
        root_of_the_square,
        detached,
        with_if,
        in_place,
        nothing_returned,
    ],
    "soft_wing": [
        soft_signed,
        without_b,
        b_subtracted,
        b_at_omega2,
        b_of_wing,
        joins_at_zero,
        omega1_everywhere,
        limit_omega2,
        soft_one_forgotten,
        soft_logarithm_everywhere,
        soft_swapped,
        plain_wing,
        soft_summed,
        soft_constants_written_in,
        soft_root,
    ],
    "noise_learned": [
        lengths_compared,
        squares_compared,
        cosine,
        divided_by_the_error,
        measured_from_the_label,
        faces_averaged,
        quotients_averaged,
        one_for_each_face,
        turned_around,
        mean_distance_to_the_labels,
    ],
}

WORDS = [
    ("noise_learned", lengths_compared, "this compares the lengths"),
    ("noise_learned", squares_compared, "this compares the squared lengths"),
    ("noise_learned", cosine, "the share also says how far the prediction goes"),
    ("noise_learned", divided_by_the_error, "divide by the noise's square"),
    ("noise_learned", measured_from_the_label, "the error begins at the truth, too"),
    ("noise_learned", faces_averaged, "sum over all faces before dividing"),
    ("noise_learned", turned_around, "the sign is turned around"),
    ("wing", signed, "the residuals have signs"),
    ("wing", without_c, "the pieces do not meet at ω: C is missing"),
    ("wing", c_added, "the sign of C is turned around"),
    ("wing", c_is_omega, "C is not ω alone"),
    ("wing", c_without_omega, "C is not −ω ln(1 + ω/ε) alone"),
    ("wing", factor_forgotten, "is to be multiplied by ω"),
    ("wing", one_forgotten, "the 1 in ln(1 + |x|/ε) is missing"),
    ("wing", base_two, "the logarithm to base 2"),
    ("wing", epsilon_forgotten, "|x| is to be divided by ε"),
    ("wing", epsilon_outside, "ε divides |x|, inside the logarithm"),
    ("wing", pieces_swapped, "the pieces are swapped"),
    ("wing", split_at_epsilon, "the pieces meet at ω, not at ε"),
    ("wing", logarithm_everywhere, "this is the logarithm for all residuals"),
    ("wing", averaged, "this is the mean; every residual should have a value of its own"),
    ("wing", constants_written_in, "with constants 4, 0.5: the loss[0, 0] is"),
    ("wing", root_of_the_square, "the gradient of a residual of 0 is nan"),
    ("wing", detached, "no gradient reaches `residual`"),
    ("wing", with_if, "`if x < omega:`, raised RuntimeError"),
    ("wing", in_place, "changes its argument `residual` in place"),
    ("wing", nothing_returned, "is the `return` missing?"),
    ("soft_wing", soft_signed, "the residuals have signs"),
    ("soft_wing", without_b, "the pieces do not meet at ω₁: B is missing"),
    ("soft_wing", b_subtracted, "the sign of B is turned around"),
    ("soft_wing", b_at_omega2, "in B the logarithm is that of 1 + ω₁/ε"),
    ("soft_wing", b_of_wing, "in B the logarithm is multiplied by ω₂"),
    ("soft_wing", joins_at_zero, "B begins with ω₁"),
    ("soft_wing", omega1_everywhere, "is to be multiplied by ω₂, in the loss and in B"),
    ("soft_wing", limit_omega2, "ω₂ stands before the logarithm only"),
    ("soft_wing", soft_one_forgotten, "the 1 in ln(1 + |x|/ε) is missing"),
    ("soft_wing", soft_logarithm_everywhere, "below ω₁ the loss is |x|"),
    ("soft_wing", soft_swapped, "the pieces are swapped"),
    ("soft_wing", plain_wing, "this is wing, with ω = ω₁"),
    ("soft_wing", soft_summed, "this is the sum"),
    ("soft_wing", soft_root, "the gradient of a residual of 0 is nan"),
]
