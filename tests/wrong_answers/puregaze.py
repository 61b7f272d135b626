"""Plausible wrong answers to the exercises of notebook 06, and what is said to some of them."""

import torch
import torch.nn.functional as F

# --- the adversarial loss -----------------------------------------------------------------------


def squared_error(reconstruction, image):
    return F.mse_loss(reconstruction, image)


def negative_squared_error(reconstruction, image):
    return -F.mse_loss(reconstruction, image)


def not_squared(reconstruction, image):
    return (1 - (image - reconstruction)).mean()


def absolute(reconstruction, image):
    return (1 - (image - reconstruction).abs()).mean()


def squared_afterwards(reconstruction, image):
    return (1 - (image - reconstruction)).square().mean()


def mean_before_square(reconstruction, image):
    return 1 - (image - reconstruction).mean() ** 2


def summed(reconstruction, image):
    return (1 - (image - reconstruction) ** 2).sum()


def one_number_an_image(reconstruction, image):
    return (1 - (image - reconstruction) ** 2).mean((1, 2, 3))


def every_pixel(reconstruction, image):
    return 1 - (image - reconstruction) ** 2


def a_number(reconstruction, image):
    return (1 - (image - reconstruction) ** 2).mean().item()


def detached(reconstruction, image):
    return (1 - (image - reconstruction.detach()) ** 2).mean()


def nothing_returned(reconstruction, image):
    (1 - (image - reconstruction) ** 2).mean()


def subtracts_in_place(reconstruction, image):
    return (1 - image.sub_(reconstruction) ** 2).mean()


# --- the truncated loss -------------------------------------------------------------------------


def _t(reconstruction, image):
    return 1 - (image - reconstruction) ** 2


def compares_the_squared_error(reconstruction, image, attention, k):
    squared = (image - reconstruction) ** 2
    return (attention[:, None] * (1 - squared) * (squared >= k)).mean()


def squared_error_below_k(reconstruction, image, attention, k):
    squared = (image - reconstruction) ** 2
    return (attention[:, None] * (1 - squared) * (squared <= k)).mean()


def keeps_the_squared_error(reconstruction, image, attention, k):
    squared = (image - reconstruction) ** 2
    return (attention[:, None] * squared * (1 - squared >= k)).mean()


def strictly_above(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention[:, None] * t * (t > k)).mean()


def other_direction(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention[:, None] * t * (t <= k)).mean()


def mean_of_kept(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    kept = t >= k
    return (attention[:, None] * t * kept).sum() / kept.sum()


def mean_of_selected(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention[:, None] * t)[t >= k].mean()


def weighted_mean(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention[:, None] * t * (t >= k)).sum() / attention[:, None].expand_as(t).sum()


def multiplied_first(reconstruction, image, attention, k):
    t = attention[:, None] * _t(reconstruction, image)
    return (t * (t >= k)).mean()


def clamped(reconstruction, image, attention, k):
    return (attention[:, None] * _t(reconstruction, image).clamp(min=k)).mean()


def k_subtracted(reconstruction, image, attention, k):
    return (attention[:, None] * torch.relu(_t(reconstruction, image) - k)).mean()


def wrong_axis(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention * t * (t >= k)).mean()


def axis_at_the_end(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention.unsqueeze(-1) * t * (t >= k)).mean()


def mask_on_the_mean(reconstruction, image, attention, k):
    loss = (attention[:, None] * _t(reconstruction, image)).mean()
    return loss * (loss >= k)


def mask_on_the_mean_of_t(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention[:, None] * t).mean() * (t.mean() >= k)


def colors_averaged(reconstruction, image, attention, k):
    t = _t(reconstruction, image).mean(1)
    return (attention * t * (t >= k)).mean()


def attention_forgotten(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (t * (t >= k)).mean()


def counts_pixels(reconstruction, image, attention, k):
    return (attention[:, None] * (_t(reconstruction, image) >= k)).mean()


def without_truncation(reconstruction, image, attention, k):
    return (attention[:, None] * _t(reconstruction, image)).mean()


def always_three_quarters(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    return (attention[:, None] * t * (t >= 0.75)).mean()


def gradient_everywhere(reconstruction, image, attention, k):
    t = _t(reconstruction, image)
    weighted = attention[:, None] * t
    return weighted.mean() - (weighted * (t < k)).mean().detach()


# --- attention to the eyes ----------------------------------------------------------------------


def _bumps(centers, size, sigma, half=0.5, exponent=lambda d, s: -d / (2 * s**2)):
    """[B, 2, size, size]"""
    middles = torch.arange(size) + half
    x, y = centers[:, :, 0, None, None], centers[:, :, 1, None, None]
    return torch.exp(exponent((middles - x) ** 2 + (middles[:, None] - y) ** 2, sigma))


def _divided(attention):
    return attention / attention.amax((1, 2), keepdim=True)


def swapped(centers, size, sigma):
    return _divided(_bumps(centers.flip(-1), size, sigma).sum(1))


def distance_not_squared(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, exponent=lambda d, s: -d.sqrt() / (2 * s**2)).sum(1))


def two_forgotten(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, exponent=lambda d, s: -d / s**2).sum(1))


def sigma_not_squared(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, exponent=lambda d, s: -d / (2 * s)).sum(1))


def sigma_forgotten(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, exponent=lambda d, s: -d).sum(1))


def brackets_forgotten(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, exponent=lambda d, s: -d / 2 * s**2).sum(1))


def half_pixel_forgotten(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, half=0).sum(1))


def minus_forgotten(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma, exponent=lambda d, s: d / (2 * s**2)).sum(1))


def divided_by_the_largest_of_the_batch(centers, size, sigma):
    attention = _bumps(centers, size, sigma).sum(1)
    return attention / attention.max()


def divided_along_the_batch(centers, size, sigma):
    attention = _bumps(centers, size, sigma).sum(1)
    return attention / attention.amax(0)


def larger_of_the_two(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma).amax(1))


def not_divided(centers, size, sigma):
    return _bumps(centers, size, sigma).sum(1)


def divided_by_two(centers, size, sigma):
    return _bumps(centers, size, sigma).sum(1) / 2


def divided_by_the_sum(centers, size, sigma):
    attention = _bumps(centers, size, sigma).sum(1)
    return attention / attention.sum((1, 2), keepdim=True)


def each_divided(centers, size, sigma):
    bumps = _bumps(centers, size, sigma)
    return (bumps / bumps.amax((2, 3), keepdim=True)).sum(1)


def cut_off_at_one(centers, size, sigma):
    return _bumps(centers, size, sigma).sum(1).clamp(max=1)


def multiplied(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma).prod(1))


def one_eye(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma)[:, 0])


def not_added(centers, size, sigma):
    bumps = _bumps(centers, size, sigma)
    return bumps / bumps.amax((2, 3), keepdim=True)


def images_added(centers, size, sigma):
    return _divided(_bumps(centers, size, sigma).sum(0))


def shifts_the_centers(centers, size, sigma):
    centers -= 0.5
    return _divided(_bumps(centers, size, sigma, half=0).sum(1))


# --- who gets which gradient --------------------------------------------------------------------


def plain_backward(gaze_side, decoder, losses):
    losses["loss"].backward(retain_graph=True)
    losses["reconstruction"].backward()


def sum_of_both(gaze_side, decoder, losses):
    (losses["loss"] + losses["reconstruction"]).backward()


def decoder_gets_both(gaze_side, decoder, losses):
    losses["loss"].backward(retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


def gaze_side_gets_both(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward()


def graph_freed(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side)
    losses["reconstruction"].backward(inputs=decoder)


def all_cleared_between(gaze_side, decoder, losses):
    losses["loss"].backward(retain_graph=True)
    for parameter in gaze_side + decoder:
        parameter.grad = None
    losses["reconstruction"].backward(inputs=decoder)


def decoder_cleared_between(gaze_side, decoder, losses):
    losses["loss"].backward(retain_graph=True)
    for parameter in decoder:
        parameter.grad = None
    losses["reconstruction"].backward(inputs=decoder)


def cleared_first(gaze_side, decoder, losses):
    for parameter in gaze_side + decoder:
        parameter.grad = None
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


def overwritten(gaze_side, decoder, losses):
    for side, name in ((gaze_side, "loss"), (decoder, "reconstruction")):
        for parameter, gradient in zip(side, torch.autograd.grad(losses[name], side, retain_graph=True), strict=True):
            parameter.grad = gradient


def only_the_first_time(gaze_side, decoder, losses):
    for side, name in ((gaze_side, "loss"), (decoder, "reconstruction")):
        for parameter, gradient in zip(side, torch.autograd.grad(losses[name], side, retain_graph=True), strict=True):
            if parameter.grad is None:
                parameter.grad = gradient


def added_to_none(gaze_side, decoder, losses):
    for parameter, gradient in zip(
        gaze_side, torch.autograd.grad(losses["loss"], gaze_side, retain_graph=True), strict=True
    ):
        parameter.grad += gradient


def adversarial_never_arrives(gaze_side, decoder, losses):
    losses["gaze"].backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


def without_weights(gaze_side, decoder, losses):
    (losses["gaze"] + losses["adversarial"]).backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


def reconstruction_detached(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].detach().backward(inputs=decoder)


def sides_swapped(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=decoder, retain_graph=True)
    losses["reconstruction"].backward(inputs=gaze_side)


def sign_flipped(gaze_side, decoder, losses):
    (-losses["loss"]).backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


def gradient_reversal(gaze_side, decoder, losses):
    (losses["loss"] - losses["reconstruction"]).backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)


def decoder_draws_badly(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    (-losses["reconstruction"]).backward(inputs=decoder)


def left_frozen(gaze_side, decoder, losses):
    for parameter in decoder:
        parameter.requires_grad_(False)
    losses["loss"].backward(retain_graph=True)


def steps_by_itself(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    losses["reconstruction"].backward(inputs=decoder)
    with torch.no_grad():
        for parameter in gaze_side + decoder:
            parameter -= 1e-4 * parameter.grad


def decoder_forgotten(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side)


def decoder_gets_the_total(gaze_side, decoder, losses):
    losses["loss"].backward(inputs=gaze_side, retain_graph=True)
    (losses["reconstruction"] + losses["adversarial"]).backward(inputs=decoder)


WRONG = {
    "adversarial_loss": [
        squared_error,
        negative_squared_error,
        not_squared,
        absolute,
        squared_afterwards,
        mean_before_square,
        summed,
        one_number_an_image,
        every_pixel,
        a_number,
        detached,
        nothing_returned,
        subtracts_in_place,
    ],
    "truncated_loss": [
        compares_the_squared_error,
        squared_error_below_k,
        keeps_the_squared_error,
        strictly_above,
        other_direction,
        mean_of_kept,
        mean_of_selected,
        weighted_mean,
        multiplied_first,
        clamped,
        k_subtracted,
        wrong_axis,
        axis_at_the_end,
        mask_on_the_mean,
        mask_on_the_mean_of_t,
        colors_averaged,
        attention_forgotten,
        counts_pixels,
        without_truncation,
        always_three_quarters,
        gradient_everywhere,
    ],
    "eye_attention": [
        swapped,
        distance_not_squared,
        two_forgotten,
        sigma_not_squared,
        sigma_forgotten,
        brackets_forgotten,
        half_pixel_forgotten,
        minus_forgotten,
        divided_by_the_largest_of_the_batch,
        divided_along_the_batch,
        larger_of_the_two,
        not_divided,
        divided_by_two,
        divided_by_the_sum,
        each_divided,
        cut_off_at_one,
        multiplied,
        one_eye,
        not_added,
        images_added,
        shifts_the_centers,
    ],
    "self_adversarial_backward": [
        plain_backward,
        sum_of_both,
        decoder_gets_both,
        gaze_side_gets_both,
        graph_freed,
        all_cleared_between,
        decoder_cleared_between,
        cleared_first,
        overwritten,
        only_the_first_time,
        added_to_none,
        adversarial_never_arrives,
        without_weights,
        reconstruction_detached,
        sides_swapped,
        sign_flipped,
        gradient_reversal,
        decoder_draws_badly,
        left_frozen,
        steps_by_itself,
        decoder_forgotten,
        decoder_gets_the_total,
    ],
}

WORDS = [
    ("adversarial_loss", squared_error, "the squared error, which the decoder minimizes"),
    ("adversarial_loss", negative_squared_error, "The gradient is right, but t = 1 − (I − Î)² is 1, not 0"),
    ("adversarial_loss", not_squared, "The difference is not squared"),
    ("adversarial_loss", absolute, "1 − |I − Î|"),
    ("adversarial_loss", squared_afterwards, "square the difference first"),
    ("adversarial_loss", mean_before_square, "errors must not cancel"),
    ("adversarial_loss", summed, "the sum over all pixels"),
    ("adversarial_loss", one_number_an_image, "has shape [2]; it should be a single number"),
    ("adversarial_loss", a_number, "is a float; it should be a torch tensor"),
    ("adversarial_loss", detached, "no gradient reaches `reconstruction`"),
    ("adversarial_loss", nothing_returned, "is the `return` missing?"),
    ("adversarial_loss", subtracts_in_place, "changes its argument `image` in place"),
    ("truncated_loss", compares_the_squared_error, "The squared error is compared with k"),
    ("truncated_loss", squared_error_below_k, "t ≥ k means an error of 1 − k or less"),
    ("truncated_loss", keeps_the_squared_error, "The pixels are right, but t"),
    ("truncated_loss", strictly_above, "1[t ≥ k] is >=, not >"),
    ("truncated_loss", other_direction, "The wrong pixels are kept"),
    ("truncated_loss", mean_of_kept, "divided by the number of kept pixels"),
    ("truncated_loss", mean_of_selected, "divided by the number of kept pixels"),
    ("truncated_loss", weighted_mean, "divided by the sum of the attention"),
    ("truncated_loss", multiplied_first, "compare t alone, then multiply"),
    ("truncated_loss", clamped, "clamp lifts every t below k to k"),
    ("truncated_loss", k_subtracted, "k is subtracted from t"),
    ("truncated_loss", wrong_axis, "with the three colors instead of the three images"),
    ("truncated_loss", axis_at_the_end, "return (attention.unsqueeze(-1) * t * (t >= k)).mean()"),
    ("truncated_loss", mask_on_the_mean, "Is 1[t ≥ k] asked of the mean?"),
    ("truncated_loss", mask_on_the_mean_of_t, "asked of every pixel and color, not of their mean"),
    ("truncated_loss", colors_averaged, "averaged over the colors before it is compared"),
    ("truncated_loss", attention_forgotten, "The attention M is missing"),
    ("truncated_loss", counts_pixels, "each should count with its t"),
    ("truncated_loss", always_three_quarters, "0.75 is written into your code"),
    ("truncated_loss", gradient_everywhere, "the loss is right, but the gradient"),
    ("eye_attention", swapped, "x and y are swapped"),
    ("eye_attention", distance_not_squared, "the distance is not squared"),
    ("eye_attention", two_forgotten, "the 2 of 2σ² is missing"),
    ("eye_attention", sigma_not_squared, "σ is not squared"),
    ("eye_attention", sigma_forgotten, "the division by 2σ² is missing"),
    ("eye_attention", brackets_forgotten, "put brackets around 2σ²"),
    ("eye_attention", half_pixel_forgotten, "the middle of the first pixel is at 0.5, not at 0"),
    ("eye_attention", minus_forgotten, "the minus in the exponent is missing"),
    ("eye_attention", divided_by_the_largest_of_the_batch, "each image has its own"),
    ("eye_attention", divided_along_the_batch, "the largest value runs over the batch"),
    ("eye_attention", larger_of_the_two, "the larger of the two bumps; add them"),
    ("eye_attention", not_divided, "the largest value of each image should be 1"),
    ("eye_attention", divided_by_the_sum, "divided by its sum"),
    ("eye_attention", each_divided, "add the bumps, then divide once"),
    ("eye_attention", cut_off_at_one, "values above 1 are cut off"),
    ("eye_attention", multiplied, "the bumps are multiplied"),
    ("eye_attention", one_eye, "the bump on the first eye alone"),
    ("eye_attention", not_added, "it should be [2, 9, 9]. Add the bumps of both eyes."),
    ("eye_attention", images_added, "the images are added, not the eyes"),
    ("eye_attention", shifts_the_centers, "changes its argument `centers` in place"),
    ("self_adversarial_backward", plain_backward, "3 ∇L_gaze + 2 ∇L_adv + ∇L_rec; it should be 3 ∇L_gaze + 2 ∇L_adv"),
    ("self_adversarial_backward", decoder_gets_both, "goes into the decoder, too: inputs=gaze_side"),
    ("self_adversarial_backward", gaze_side_gets_both, "The reconstruction loss is the decoder's alone"),
    ("self_adversarial_backward", graph_freed, "give the first retain_graph=True"),
    ("self_adversarial_backward", all_cleared_between, "no gradient reaches the backbone"),
    ("self_adversarial_backward", decoder_cleared_between, "what the decoder's .grad held before is gone"),
    ("self_adversarial_backward", cleared_first, "train() accumulates the gradients of micro-batches"),
    ("self_adversarial_backward", overwritten, "what the backbone's .grad held before is gone"),
    ("self_adversarial_backward", only_the_first_time, "on a second call no gradient is added"),
    ("self_adversarial_backward", added_to_none, "`parameter.grad += gradient`, raised TypeError"),
    ("self_adversarial_backward", adversarial_never_arrives, "The adversarial loss never reaches it"),
    ("self_adversarial_backward", without_weights, "has the weights w₁ and w₂ in it"),
    ("self_adversarial_backward", reconstruction_detached, "does not require grad"),
    ("self_adversarial_backward", sides_swapped, "The two losses are swapped"),
    ("self_adversarial_backward", sign_flipped, "is -3 ∇L_gaze - 2 ∇L_adv; it should be 3 ∇L_gaze + 2 ∇L_adv"),
    ("self_adversarial_backward", gradient_reversal, "works against the decoder already"),
    ("self_adversarial_backward", decoder_draws_badly, "the decoder wants to draw well"),
    ("self_adversarial_backward", left_frozen, "left with requires_grad = False"),
    ("self_adversarial_backward", steps_by_itself, "The optimizers take the step"),
    ("self_adversarial_backward", decoder_forgotten, "no gradient reaches the decoder"),
    ("self_adversarial_backward", decoder_gets_the_total, "The adversarial loss is the gaze side's alone"),
]
