"""CLIP's and CLIP-Gaze's losses against hand-computed cases, triple loops and finite differences."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from torch.utils._python_dispatch import TorchDispatchMode

from gazecourse.angles import pitchyaw_to_vector
from gazecourse.losses import (
    ClipGazeWeights,
    bounded_scale,
    clip_gaze_loss,
    contrastive_loss,
    distillation_loss,
    factor_weights,
    gaze_angular,
    identical_captions,
    prompt_loss,
    rank_loss,
    rank_similarity_loss,
    separation_loss,
    unit_features,
)
from gazecourse.losses import vision_language as module


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cosine(a, b):
    return float(a @ b / math.sqrt(a @ a) / math.sqrt(b @ b))


def gradient(loss, leaf):
    return torch.autograd.grad(loss, leaf)[0]


# ---------------------------------------------------------------------- unit features


def test_unit_features_have_length_1_and_the_same_direction():
    features = 5 * normal(4, 3)
    unit = unit_features(features)
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(unit * features.norm(dim=1, keepdim=True), features)
    assert torch.autograd.gradcheck(unit_features, (features.requires_grad_(),))


def test_zero_vector_stays_zero_and_sends_no_gradient():
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    unit = unit_features(features)
    torch.testing.assert_close(unit, torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    grad = gradient(unit.sum(), features)
    assert torch.equal(grad[0], torch.zeros(2))
    assert grad[1].abs().min() > 0


def test_nan_in_features_is_passed_on():
    assert unit_features(torch.tensor([[math.nan, 1.0]])).isnan().all()


# ---------------------------------------------------------------------- contrastive loss


def contrastive_by_loops(images, texts, scale, positives):
    count = len(images)
    logits = [[scale * cosine(u, v) for v in texts] for u in images]
    fair = np.asarray(positives, dtype=float)
    for _ in range(10):
        fair = fair / fair.sum(1, keepdims=True)
        fair = fair / fair.sum(0)
    total = 0.0
    for i in range(count):
        for line, targets in (
            (logits[i], [share / sum(fair[i]) for share in fair[i]]),
            ([logits[j][i] for j in range(count)], [fair[j][i] for j in range(count)]),
        ):
            log_sum = math.log(sum(math.exp(value) for value in line))
            total += sum(target * (log_sum - value) for value, target in zip(line, targets, strict=True))
    return total / (2 * count)


@pytest.mark.parametrize("log_scale", [0.0, 2.0])
def test_contrastive_loss_is_the_formula_written_with_loops(log_scale):
    images, texts = normal(5, 3), normal(5, 3, seed=1)
    own = np.eye(5, dtype=bool)
    expected = contrastive_by_loops(images, texts, math.exp(log_scale), own)
    assert contrastive_loss(images, texts, log_scale).item() == pytest.approx(expected, rel=1e-12)
    true = own | (normal(5, 5, seed=2).numpy() > 0.5)
    assert (true != true.T).any()
    expected = contrastive_by_loops(images, texts, math.exp(log_scale), true)
    loss = contrastive_loss(images, texts, log_scale, positives=torch.from_numpy(true))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_contrastive_loss_of_a_hand_computed_pair():
    images, texts = torch.eye(2).double(), torch.tensor([[2.0, 0.0], [0.0, 3.0]]).double()
    expected = -math.log(math.e**4 / (math.e**4 + 1))
    assert contrastive_loss(images, texts, math.log(4)).item() == pytest.approx(expected)
    wrong = contrastive_loss(images, texts.flip(0), math.log(4)).item()
    assert wrong == pytest.approx(expected + 4)


def test_contrastive_loss_of_features_that_say_nothing_is_ln_of_the_batch():
    same = torch.ones(7, 4)
    assert contrastive_loss(same, same, 3.0).item() == pytest.approx(math.log(7))


def test_contrastive_loss_is_symmetric_and_ignores_length_and_order():
    images, texts = normal(6, 4), normal(6, 4, seed=1)
    loss = contrastive_loss(images, texts, 1.0)
    torch.testing.assert_close(loss, contrastive_loss(texts, images, 1.0))
    torch.testing.assert_close(loss, contrastive_loss(7 * images, 0.2 * texts, 1.0))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(loss, contrastive_loss(images[order], texts[order], 1.0))


def test_gradient_of_the_contrastive_loss_agrees_with_finite_differences():
    images, texts = normal(4, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    log_scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    positives = normal(4, 4, seed=2) > 0.3
    assert torch.autograd.gradcheck(contrastive_loss, (images, texts, log_scale))
    assert torch.autograd.gradcheck(
        lambda u, v, s: contrastive_loss(u, v, s, positives=positives), (images, texts, log_scale)
    )


def test_identical_captions_as_positives_change_neither_the_loss_nor_its_gradient():
    """Twins' features are one and the same, so it does not matter which of them an image is drawn to."""
    same = identical_captions(["a hat", "no hat", "a hat", "a cap"])
    assert same.tolist() == [[i == j or {i, j} == {0, 2} for j in range(4)] for i in range(4)]
    images, words = normal(4, 5).requires_grad_(), normal(3, 5, seed=1).requires_grad_()
    texts = words[[0, 1, 0, 2]]
    hard, soft = contrastive_loss(images, texts, 1.5), contrastive_loss(images, texts, 1.5, positives=same)
    torch.testing.assert_close(hard, soft)
    for one, other in zip(
        torch.autograd.grad(hard, (images, words), retain_graph=True),
        torch.autograd.grad(soft, (images, words)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_true_caption_of_another_image_pushes_it_away_unless_it_is_a_positive():
    """Both images wear a hat, and both captions say so, in other words."""
    images = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64, requires_grad=True)
    texts = torch.tensor([[0.0, 1.0], [1.0, 0.2]], dtype=torch.float64)
    own = torch.eye(2, dtype=torch.bool)
    true = torch.ones(2, 2, dtype=torch.bool)
    turned = torch.tensor([[0.0, 1.0]], dtype=torch.float64)  # the direction in which image 0 can turn
    hard, soft = (
        -(gradient(contrastive_loss(images, texts, 2.0, positives=match), images)[0] @ turned[0])
        for match in (own, true)
    )
    assert hard > soft + 0.5, "with its own caption alone, image 0 turns away from caption 1 faster"


def test_the_only_true_caption_of_an_image_is_kept_for_it():
    """Caption 1 is true of all, but image 1 has no other; so images 0 and 2 are left with their own."""
    images, texts = normal(3, 4), normal(3, 4, seed=1)
    true = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 1, 1]]).bool()
    own = contrastive_loss(images, texts, 1.0)
    torch.testing.assert_close(contrastive_loss(images, texts, 1.0, positives=true), own, atol=0.1, rtol=0)
    torch.testing.assert_close(contrastive_loss(images, texts, 1.0, positives=torch.ones(3, 3) > 0),
                               contrastive_by_chance(images, texts))  # fmt: skip


def contrastive_by_chance(images, texts):
    """The mean over all ways to give three captions to three images."""
    orders = itertools.permutations(range(3))
    return torch.stack([contrastive_loss(images, texts[list(order)], 1.0) for order in orders]).mean()


def test_sharing_captions_is_the_mean_over_the_images_for_which_they_may_have_been_made():
    """Captions say "a hat" or nothing of note; who got which of those that fit is drawn a thousand times."""
    generator = torch.Generator().manual_seed(0)
    hats, count = 4, 16
    images, words = normal(count, 5), normal(2, 5, seed=1)
    says_hat = torch.arange(count) < 2
    texts = words[says_hat.long()]
    true = ~says_hat.unsqueeze(0) | (torch.arange(count) < hats).unsqueeze(1)
    drawn = []
    for _ in range(1000):
        rest = torch.randperm(count, generator=generator)
        with_hat = rest[rest < hats][:2]
        others = rest[(rest.unsqueeze(1) != with_hat).all(1)]
        drawn.append(contrastive_loss(images[torch.cat([with_hat, others])], texts, 1.0))
    shared = contrastive_loss(images, texts, 1.0, positives=true)
    fair = torch.stack(drawn).mean()
    assert shared.item() == pytest.approx(fair.item(), abs=0.02)
    logits = math.e * unit_features(images) @ unit_features(texts).T
    even = true / true.sum(1, keepdim=True).double()
    rows = torch.nn.functional.cross_entropy(logits, even)
    columns = torch.nn.functional.cross_entropy(logits.T, true.T / true.sum(0).unsqueeze(1).double())
    assert abs((rows + columns) / 2 - fair) > 0.04, "an image's true captions are not all as likely its own"


def test_the_diagonal_always_counts_as_positive():
    images, texts = normal(3, 4), normal(3, 4, seed=1)
    none = torch.zeros(3, 3, dtype=torch.bool)
    torch.testing.assert_close(
        contrastive_loss(images, texts, 1.0, positives=none), contrastive_loss(images, texts, 1.0)
    )


def test_scale_is_at_most_100_and_can_come_back():
    log_scale = torch.tensor([0.0, math.log(50), 6.0], requires_grad=True)
    scale = bounded_scale(log_scale)
    torch.testing.assert_close(scale, torch.tensor([1.0, 50.0, 100.0]))
    torch.testing.assert_close(gradient(scale.sum(), log_scale), scale.detach())
    images, texts = normal(3, 4), normal(3, 4, seed=1)
    torch.testing.assert_close(contrastive_loss(images, texts, 9.0), contrastive_loss(images, texts, math.log(100)))


# ---------------------------------------------------------------------- distillation and separation


def test_distillation_loss_of_hand_computed_features():
    features = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0], [-4.0, 0.0]], requires_grad=True)
    clip = torch.tensor([[1.0, 0.0]]).repeat(4, 1).requires_grad_()
    loss = distillation_loss(features, clip)
    assert loss.item() == pytest.approx((0 + 1 + 1 - math.sqrt(0.5) + 2) / 4)
    loss.backward()
    assert clip.grad is None
    assert features.grad.abs().sum() > 0


def test_distillation_of_a_zero_vector_counts_as_cosine_0_without_gradient():
    features = torch.zeros(1, 3, requires_grad=True)
    loss = distillation_loss(features, torch.ones(1, 3))
    assert loss.item() == 1
    assert torch.equal(gradient(loss, features), torch.zeros(1, 3))


def separation_by_loops(z, clip, texts, temperature):
    total = 0.0
    for image, (own, seen) in enumerate(zip(z, clip, strict=True)):
        words = texts[image] if texts.ndim == 3 else texts
        scores = [math.exp(cosine(seen, t) / temperature) for t in words]
        total += sum(score / sum(scores) * abs(cosine(own, t)) for score, t in zip(scores, words, strict=True))
    return total / len(z)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
@pytest.mark.parametrize("own_texts", [False, True])
def test_separation_loss_is_the_formula_written_with_loops(temperature, own_texts):
    z, clip = normal(3, 4), normal(3, 4, seed=1)
    texts = normal(3, 5, 4, seed=2) if own_texts else normal(5, 4, seed=2)
    expected = separation_by_loops(z, clip, texts, temperature)
    assert separation_loss(z, clip, texts, temperature).item() == pytest.approx(expected, rel=1e-12)


def test_separation_loss_of_a_hand_computed_image():
    z = torch.tensor([[3.0, 4.0]])
    texts = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    seen = torch.tensor([[1.0, 0.0]])
    weights = torch.tensor([math.e, 1.0]) / (math.e + 1)
    torch.testing.assert_close(factor_weights(seen, texts, 1.0)[0], weights)
    expected = {
        "absolute": weights[0] * 0.6 + weights[1] * 0.8,
        "squared": weights[0] * 0.36 + weights[1] * 0.64,
        "positive": weights[0] * 0.6,
    }
    for similarity, value in expected.items():
        assert separation_loss(z, seen, texts, 1.0, similarity=similarity).item() == pytest.approx(value.item())
    uniform = separation_loss(z, seen, texts, 1.0, weighting="uniform")
    assert uniform.item() == pytest.approx(0.7)


def test_an_image_is_separated_from_what_it_shows_more_than_from_what_it_does_not():
    texts = torch.eye(3)[:2]
    seen = torch.tensor([[0.9, 0.1, 0.0]])
    like_shown, like_other = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    apart = torch.tensor([[0.0, 0.0, 1.0]])
    losses = [separation_loss(z, seen, texts).item() for z in (like_shown, like_other, apart)]
    assert losses[0] > 0.99
    assert losses[1] < 0.01
    assert losses[2] == 0


@pytest.mark.parametrize("similarity", module.SIMILARITIES)
def test_gradient_of_the_separation_loss_reaches_z_and_texts_but_not_what_clip_sees(similarity):
    z, texts = normal(3, 4).requires_grad_(), normal(5, 4, seed=2).requires_grad_()
    clip = normal(3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: separation_loss(a, clip.detach(), texts, similarity=similarity), (z,))
    separation_loss(z, clip, texts, similarity=similarity).backward()
    assert clip.grad is None
    assert texts.grad.abs().sum() > 0


def test_separation_of_a_zero_vector_is_0_with_zero_gradient():
    z = torch.zeros(2, 3, requires_grad=True)
    loss = separation_loss(z, torch.ones(2, 3), torch.eye(3))
    assert loss.item() == 0
    assert torch.equal(gradient(loss, z), torch.zeros(2, 3))


# ---------------------------------------------------------------------- the loss of learned prompts


def test_prompt_loss_is_the_mean_cross_entropy_over_the_labels_that_are_known():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]], dtype=torch.float64)
    places = {"hat": slice(0, 2), "glasses": slice(2, 4)}
    labels = {"hat": torch.tensor([0, 1]), "glasses": torch.tensor([1, -1])}
    hat = -math.log(math.e / (math.e + 1))
    glasses = -math.log(math.exp(-1) / (math.exp(-1) + math.exp(0.6)))
    loss = prompt_loss(images, texts, labels, places, 0.0)
    assert loss.item() == pytest.approx((2 * hat + glasses) / 3)
    own = texts.expand(2, -1, -1)
    torch.testing.assert_close(prompt_loss(images, own, labels, places, 0.0), loss)


def test_prompt_loss_without_a_single_label_is_0_with_zero_gradient():
    texts = normal(2, 3).requires_grad_()
    loss = prompt_loss(normal(2, 3, seed=1), texts, {"hat": torch.tensor([-1, -1])}, {"hat": slice(0, 2)}, 1.0)
    assert loss.item() == 0
    assert not gradient(loss, texts).any()


# ---------------------------------------------------------------------- rank


def rank_by_loops(features, gaze, margin=0.0, pairs="anchored", average="ordered"):
    """Three loops over faces, or two over pairs of faces, in plain Python numbers but for the gradient."""
    count = len(features)
    vectors = pitchyaw_to_vector(gaze)
    s_g = [[cosine(a, b) for b in vectors] for a in vectors]
    unit = features / features.norm(dim=1, keepdim=True)
    s_f = unit @ unit.T
    if pairs == "anchored":
        both = [
            ((i, j), (i, k)) for i in range(count) for j in range(count) for k in range(count) if len({i, j, k}) == 3
        ]
    else:
        couples = list(itertools.combinations(range(count), 2))
        both = [(p, q) for p in couples for q in couples if p != q]
    hinges = []
    for p, q in both:
        if s_g[p[0]][p[1]] > s_g[q[0]][q[1]] + 1e-13:
            hinges.append(torch.clamp(s_f[q] - s_f[p] + margin, min=0))
    if not hinges:
        return 0 * features.sum()
    violated = sum(h.item() > 0 for h in hinges)
    return sum(hinges) / (len(hinges) if average == "ordered" else max(violated, 1))


@pytest.mark.parametrize("margin", [0.0, 0.25])
@pytest.mark.parametrize("pairs", module.PAIRS)
@pytest.mark.parametrize("average", module.AVERAGES)
def test_rank_loss_and_its_gradient_are_those_of_loops_over_all_triplets(margin, pairs, average):
    features, gaze = normal(8, 4).requires_grad_(), 0.4 * normal(8, 2, seed=1)
    expected = rank_by_loops(features, gaze, margin, pairs, average)
    loss = rank_loss(features, gaze, margin, pairs=pairs, average=average)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    torch.testing.assert_close(gradient(loss, features), gradient(expected, features))


def test_rank_loss_counts_faces_of_equal_gaze_as_tied():
    gaze = 0.4 * normal(3, 2, seed=1)[[0, 1, 0, 2, 1, 0, 2]]
    features = normal(7, 4).requires_grad_()
    for margin in (0.0, 0.5):
        expected = rank_by_loops(features, gaze, margin)
        loss = rank_loss(features, gaze, margin)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
        torch.testing.assert_close(gradient(loss, features), gradient(expected, features))


@given(
    st.integers(2, 7),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from(["anchored", "any"]),
    st.integers(1, 7),
)
def test_rank_loss_is_that_of_the_loops_for_any_batch_with_any_ties(count, seed, margin, pairs, kinds):
    features = normal(count, 3, seed=seed).round(decimals=1) + 0.01  # some features tie as well
    gaze = 0.5 * normal(kinds, 2, seed=seed + 1)[torch.arange(count) % kinds]
    expected = rank_by_loops(features, gaze, margin, pairs)
    assert rank_loss(features, gaze, margin, pairs=pairs).item() == pytest.approx(expected.item(), rel=1e-8, abs=1e-10)


def test_gaze_that_is_as_close_but_for_rounding_is_in_no_order():
    """Four faces in steps of 0.1 rad: seen from the second, the first and the third are equally close."""
    gaze = torch.stack([torch.zeros(4, dtype=torch.float64), torch.arange(4, dtype=torch.float64) / 10], dim=1)
    nearest = {0: ((1,), (2,), (3,)), 1: ((0, 2), (3,)), 2: ((1, 3), (0,)), 3: ((2,), (1,), (0,))}
    features = normal(4, 5).double()
    unit = torch.nn.functional.normalize(features, dim=1)
    likeness, hinges = unit @ unit.T, []
    for anchor, groups in nearest.items():
        for place, closer in enumerate(groups):
            further = [k for group in groups[place + 1 :] for k in group]
            hinges += [(likeness[anchor, k] - likeness[anchor, j] + 0.5).clamp(min=0) for j in closer for k in further]
    assert len(hinges) == 10
    torch.testing.assert_close(rank_loss(features, gaze, 0.5), torch.stack(hinges).mean())


def test_rank_loss_of_three_hand_computed_faces():
    """Gaze at 0°, 10° and 30° of yaw; in features the last two have changed places."""
    gaze = torch.tensor([[0.0, 0.0], [0.0, math.radians(10)], [0.0, math.radians(30)]])
    angles = torch.tensor([0.0, 90.0, 60.0]).deg2rad()
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    # anchor 0: gaze says (0, 1) before (0, 2); features 0 and 0.5: hinge 0.5
    # anchor 1: (1, 0) before (1, 2); features 0 and cos 30°: hinge √3/2
    # anchor 2: (2, 1) before (2, 0); features cos 30° and 0.5: in order
    expected = (0.5 + math.sqrt(3) / 2) / 3
    assert rank_loss(features, gaze).item() == pytest.approx(expected, rel=1e-6)
    assert rank_loss(features, gaze, average="violated").item() == pytest.approx(1.5 * expected, rel=1e-6)
    margin = rank_loss(features, gaze, margin=0.1).item()
    assert margin == pytest.approx(expected + 0.2 / 3, rel=1e-5), "the pair in order is apart by 0.37"


def test_features_in_the_order_of_the_gaze_have_no_rank_loss():
    gaze = torch.linspace(-0.5, 0.5, 9).square().cumsum(0).unsqueeze(1) * torch.tensor([[0.0, 1.0]])
    features = pitchyaw_to_vector(gaze).requires_grad_()
    loss = rank_loss(features, gaze)
    assert loss.item() == 0
    assert not gradient(loss, features).any()


def test_a_step_down_the_rank_loss_improves_the_order():
    features, gaze = normal(40, 8).requires_grad_(), 0.4 * normal(40, 2, seed=1)
    before = rank_loss(features, gaze)
    for _ in range(30):
        features = (features - 20 * gradient(rank_loss(features, gaze), features)).detach().requires_grad_()
    assert rank_loss(features, gaze) < 0.5 * before


def test_sampled_rank_loss_tends_to_that_of_all_triplets():
    features, gaze = normal(20, 4).requires_grad_(), 0.4 * normal(20, 2, seed=1)
    gaze[5] = gaze[9]
    for options in ({}, {"margin": 0.2}, {"pairs": "any"}, {"average": "violated"}):
        full = rank_loss(features, gaze, **options)
        generator = torch.Generator().manual_seed(0)
        sampled = rank_loss(features, gaze, samples=200_000, generator=generator, **options)
        assert sampled.item() == pytest.approx(full.item(), rel=0.02)
        exact = gradient(full, features)
        assert (gradient(sampled, features) - exact).norm() < 0.1 * exact.norm()


def test_samples_are_those_of_the_generator():
    features, gaze = normal(20, 4), 0.4 * normal(20, 2, seed=1)
    first, again, other = (
        rank_loss(features, gaze, samples=50, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


LOSSES = {
    "rank": rank_loss,
    "rank, margin": lambda f, g: rank_loss(f, g, 0.5),
    "rank, any": lambda f, g: rank_loss(f, g, 0.5, pairs="any"),
    "rank, violated": lambda f, g: rank_loss(f, g, average="violated"),
    "rank, sampled": lambda f, g: rank_loss(f, g, 0.5, samples=64),
    "rank, sampled any": lambda f, g: rank_loss(f, g, 0.5, samples=64, pairs="any"),
    "rank similarity": rank_similarity_loss,
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_faces_than_can_be_ordered_give_0_with_zero_gradient(name, count):
    features = normal(count, 4).requires_grad_()
    loss = LOSSES[name](features, 0.3 * normal(count, 2, seed=1))
    assert loss.shape == ()
    assert loss.item() == 0
    assert torch.equal(gradient(loss, features), torch.zeros(count, 4))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_equal_gaze_gives_0_with_zero_gradient(name, dtype):
    features = normal(37, 4, dtype=dtype).requires_grad_()
    gaze = torch.tensor([[0.1234567, -0.7654321]], dtype=dtype).repeat(37, 1)
    loss = LOSSES[name](features, gaze)
    assert loss.item() == 0
    assert not gradient(loss, features).any()


@pytest.mark.parametrize("name", LOSSES)
def test_zero_features_and_equal_features_give_finite_losses_and_gradients(name):
    gaze = 0.3 * normal(6, 2, seed=1)
    features = normal(6, 4)
    features[2] = 0
    for batch in (features, torch.zeros(6, 4), torch.ones(6, 4)):
        leaf = batch.to(torch.float64).clone().requires_grad_()
        loss = LOSSES[name](leaf, gaze)
        assert loss.isfinite()
        assert gradient(loss, leaf).isfinite().all()


@pytest.mark.parametrize("name", ["rank", "rank, any", "rank, sampled"])
def test_nan_in_features_reaches_the_training_loop(name):
    features = normal(6, 4)
    features[1, 2] = math.nan
    assert LOSSES[name](features, 0.3 * normal(6, 2, seed=1)).isnan()


def test_gradient_of_the_rank_loss_agrees_with_finite_differences():
    features, gaze = normal(6, 3).requires_grad_(), 0.4 * normal(6, 2, seed=1)
    for options in ({}, {"margin": 0.3}, {"pairs": "any"}, {"average": "violated"}):
        assert torch.autograd.gradcheck(lambda f, options=options: rank_loss(f, gaze, **options), (features,))


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest result of any operation holds."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, torch.Tensor):
                self.numbers = max(self.numbers, value.numel())
        return result


@pytest.mark.parametrize("loss", [rank_loss, rank_similarity_loss])
def test_a_loss_over_all_triplets_holds_a_few_numbers_a_pair_and_not_the_triplets(loss):
    features, gaze = normal(64, 8).requires_grad_(), 0.4 * normal(64, 2, seed=1)
    with LargestTensor() as largest:
        loss(features, gaze).backward()
    assert 64 * 63 <= largest.numbers <= 4 * 64 * 64  # the triplets are 64 · 63 · 62


def test_rank_loss_of_half_precision_features_is_finite():
    features = normal(16, 8, dtype=torch.float32).bfloat16().requires_grad_()
    loss = rank_loss(features, 0.4 * normal(16, 2, dtype=torch.float32))
    assert gradient(loss, features).isfinite().all()


# ---------------------------------------------------------------------- RankSim's loss


def rank_similarity_by_scipy(features, gaze):
    """Ranks by SciPy, as shares of their number; equal ones share the mean."""
    unit = (features / features.norm(dim=1, keepdim=True)).detach().numpy()
    vectors = pitchyaw_to_vector(gaze).numpy()
    total = []
    for i in range(len(unit)):
        others = [j for j in range(len(unit)) if j != i]
        of_features = rankdata([-unit[i] @ unit[j] for j in others])
        of_gaze = rankdata([round(float(-vectors[i] @ vectors[j]), 12) for j in others])
        total.append(np.mean((of_features - of_gaze) ** 2) / len(others) ** 2)
    return np.mean(total)


def test_rank_similarity_loss_is_the_squared_difference_of_ranks():
    features, gaze = normal(9, 4), 0.4 * normal(9, 2, seed=1)
    expected = rank_similarity_by_scipy(features, gaze)
    assert rank_similarity_loss(features, gaze).item() == pytest.approx(expected, rel=1e-12)
    tied = gaze[[0, 1, 2, 3, 0, 1, 2, 3, 4]]
    expected = rank_similarity_by_scipy(features, tied)
    assert rank_similarity_loss(features, tied).item() == pytest.approx(expected, rel=1e-12)


def test_blackbox_gradient_is_the_change_of_ranks_along_the_gradient_at_the_ranks():
    scores = torch.tensor([[0.9, 0.5, 0.1]], dtype=torch.float64, requires_grad=True)
    ranks = torch.tensor([[3.0, 2.0, 1.0]], dtype=torch.float64)
    loss = module._RankMismatch.apply(scores, ranks, 3.0)
    assert loss.tolist() == [pytest.approx((4 + 0 + 4) / 9 / 3)]
    # g = 2/3 (rank − target) / 3 = (−4/9, 0, 4/9); scores + 3 g = (−0.43, 0.5, 1.43) have ranks 3, 2, 1
    change = torch.tensor([[2.0, 0.0, -2.0]], dtype=torch.float64) / 3
    torch.testing.assert_close(gradient(loss.sum(), scores), change / 3)
    gentle = module._RankMismatch.apply(scores, ranks, 0.3)
    assert not gradient(gentle.sum(), scores).any(), "a tenth of that changes no rank"


def test_a_step_down_the_rank_similarity_loss_improves_the_order():
    features, gaze = normal(30, 8).requires_grad_(), 0.4 * normal(30, 2, seed=1)
    before = rank_similarity_loss(features, gaze)
    for _ in range(60):
        features = (features - 60 * gradient(rank_similarity_loss(features, gaze), features)).detach().requires_grad_()
    assert rank_similarity_loss(features, gaze) < 0.5 * before


def test_rank_similarity_loss_of_features_without_gaze_is_a_sixth_for_any_batch():
    for count in (40, 160):
        loss = rank_similarity_loss(normal(count, 8), 0.4 * normal(count, 2, seed=1))
        assert loss.item() == pytest.approx(1 / 6, abs=0.02)


# ---------------------------------------------------------------------- the total


def total_arguments():
    predicted, gaze = 0.3 * normal(5, 2), 0.3 * normal(5, 2, seed=1)
    f, z, clip = (normal(5, 4, seed=seed) for seed in (2, 3, 4))
    return [predicted, gaze, f, z, clip, normal(3, 4, seed=5)]


def test_total_is_the_weighted_sum_of_its_terms():
    predicted, gaze, f, z, clip, texts = total_arguments()
    weights = ClipGazeWeights(separation=0.5, distillation=2.0, rank=3.0, temperature=0.2, margin=0.1)
    terms = clip_gaze_loss(predicted, gaze, f, z, clip, texts, weights)
    assert list(terms) == ["loss", "gaze", "separation", "distillation", "rank"]
    torch.testing.assert_close(terms["gaze"], gaze_angular(predicted, gaze))
    torch.testing.assert_close(terms["separation"], separation_loss(z, clip, texts, 0.2))
    torch.testing.assert_close(terms["distillation"], distillation_loss(f, clip))
    torch.testing.assert_close(terms["rank"], rank_loss(z, gaze, 0.1))
    expected = terms["gaze"] + 0.5 * terms["separation"] + 2 * terms["distillation"] + 3 * terms["rank"]
    torch.testing.assert_close(terms["loss"], expected)


@pytest.mark.parametrize(
    ("changes", "term", "expected"),
    [
        ({"weighting": "uniform"}, "separation", lambda a: separation_loss(*a[3:], weighting="uniform")),
        ({"similarity": "squared"}, "separation", lambda a: separation_loss(*a[3:], similarity="squared")),
        ({"pairs": "any"}, "rank", lambda a: rank_loss(a[3], a[1], pairs="any")),
        ({"average": "violated"}, "rank", lambda a: rank_loss(a[3], a[1], average="violated")),
        ({"ranking": "ranksim"}, "rank", lambda a: rank_similarity_loss(a[3], a[1])),
    ],
)
def test_every_option_of_the_weights_reaches_its_loss(changes, term, expected):
    arguments = total_arguments()
    torch.testing.assert_close(clip_gaze_loss(*arguments, ClipGazeWeights(**changes))[term], expected(arguments))


def test_samples_reach_the_rank_loss():
    arguments = total_arguments()
    torch.manual_seed(0)
    term = clip_gaze_loss(*arguments, ClipGazeWeights(samples=3))["rank"]
    torch.manual_seed(0)
    torch.testing.assert_close(term, rank_loss(arguments[3], arguments[1], samples=3))
    assert term != rank_loss(arguments[3], arguments[1])


def test_strength_reaches_the_gradient_of_ranksims_loss():
    arguments = total_arguments()
    for strength in (2.0, 40.0):
        z = arguments[3].detach().requires_grad_()
        arguments[3] = z
        terms = clip_gaze_loss(*arguments, ClipGazeWeights(ranking="ranksim", strength=strength))
        expected = gradient(rank_similarity_loss(z, arguments[1], strength), z)
        torch.testing.assert_close(gradient(terms["rank"], z), expected)
        assert expected.any()


def test_total_leaves_texts_and_clip_without_gradient_and_terms_of_weight_0_out():
    predicted, gaze, f, z, clip, texts = (tensor.requires_grad_() for tensor in total_arguments())
    clip_gaze_loss(predicted, gaze.detach(), f, z, clip, texts)["loss"].backward()
    assert clip.grad is None
    assert texts.grad is None
    assert all(tensor.grad.any() for tensor in (predicted, f, z))
    none = ClipGazeWeights(separation=0, distillation=0, rank=0)
    terms = clip_gaze_loss(predicted, gaze.detach(), f, z, clip, texts, none)
    torch.testing.assert_close(terms["loss"], terms["gaze"])


# ---------------------------------------------------------------------- bad input

F = torch.ones(3, 4)
G = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: contrastive_loss(F, F[:2], 0.0), ValueError, r"must have one shape; got \[3, 4\] and \[2, 4\]"),
        (lambda: contrastive_loss(F, F[:, :2], 0.0), ValueError, "two CLIPs of different widths"),
        (lambda: contrastive_loss(F[0], F[0], 0.0), ValueError, r"image_features must be features \[B, D\]"),
        (lambda: contrastive_loss(F, F.long(), 0.0), ValueError, "text_features must be features .* int64"),
        (lambda: contrastive_loss(F[:0], F[:0], 0.0), ValueError, "must hold a feature or more"),
        (lambda: contrastive_loss(F, F, 0.0, positives=torch.eye(3)), ValueError, r"bool \[3, 3\]; got .*float32"),
        (lambda: contrastive_loss(F, F, 0.0, positives=torch.ones(2, 3) > 0), ValueError, r"positives must be bool"),
        (lambda: distillation_loss(F, F[:, :3]), ValueError, "features and clip_features must have one shape"),
        (lambda: separation_loss(F, F, F[:0]), ValueError, "text_features must hold one factor or more; got none"),
        (lambda: separation_loss(F, F, F[:, :3]), ValueError, r"must be \[K, 4\] or \[3, K, 4\]; got .*\[3, 3\]"),
        (lambda: separation_loss(F, F, torch.ones(2, 5, 4)), ValueError, r"must be \[K, 4\] or \[3, K, 4\]"),
        (lambda: separation_loss(F, F, F, 0.0), ValueError, "temperature must be a finite number above 0"),
        (lambda: separation_loss(F, F, F, weighting="soft"), ValueError, "weighting must be one of 'softmax'"),
        (lambda: separation_loss(F, F, F, similarity="cos"), ValueError, "similarity must be one of 'absolute'"),
        (lambda: prompt_loss(F, F, {}, {}, 0.0), ValueError, "labels must hold a factor or more; got none"),
        (lambda: prompt_loss(F, F, {"hat": torch.zeros(2).long()}, {}, 0.0), ValueError, r"labels\['hat'\] must have"),
        (lambda: rank_loss(F, G[:2]), ValueError, r"gaze must have shape \[3, 2\]"),
        (lambda: rank_loss(F, G / 0), ValueError, "gaze must be finite"),
        (lambda: rank_loss(F, G.numpy()), TypeError, "gaze must be a tensor"),
        (lambda: rank_loss(F[0], G), ValueError, r"features must be \[B, D\]"),
        (lambda: rank_loss(F, G, -0.1), ValueError, "margin must be a finite number, 0 or more; got -0.1"),
        (lambda: rank_loss(F, G, math.nan), ValueError, "margin must be a finite number, 0 or more; got nan"),
        (lambda: rank_loss(F, G, samples=0), ValueError, "samples must be 1 or more"),
        (lambda: rank_loss(F, G, pairs="all"), ValueError, "pairs must be one of 'anchored', 'any'"),
        (lambda: rank_loss(F, G, average="mean"), ValueError, "average must be one of 'ordered', 'violated'"),
        (lambda: rank_similarity_loss(F, G, 0), ValueError, "strength must be a finite number above 0"),
        (lambda: ClipGazeWeights(rank=-1.0), ValueError, "rank must be a finite number, 0 or more; got -1.0"),
        (lambda: ClipGazeWeights(separation=math.inf), ValueError, "separation must be a finite.*; got inf"),
        (lambda: ClipGazeWeights(temperature=0), ValueError, "temperature must be a finite number above 0; got 0"),
        (lambda: ClipGazeWeights(margin=-0.1), ValueError, "margin must be a finite number, 0 or more; got -0.1"),
        (lambda: ClipGazeWeights(strength="2"), TypeError, "strength must be a number above 0; got str '2'"),
        (lambda: ClipGazeWeights(samples=0), ValueError, "samples must be 1 or more; got 0"),
        (lambda: ClipGazeWeights(ranking="none"), ValueError, "ranking must be one of 'hinge', 'ranksim'"),
        (lambda: ClipGazeWeights(weighting="soft"), ValueError, "weighting must be one of 'softmax', 'uniform'"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
