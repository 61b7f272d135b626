"""What the checks of notebooks 07 and 08 compare answers with is what the library does."""

import torch

from gazecourse.angles import pitchyaw_to_vector
from gazecourse.exercises import clip as clip_exercises
from gazecourse.exercises import clip_gaze as exercises
from gazecourse.losses import contrastive_loss, factor_weights, rank_loss, unit_features
from gazecourse.models import CLIP, PersonalizedContext


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_clip():
    torch.manual_seed(0)
    return CLIP(24, width=0.125, dim=16, text_width=24, text_layers=2, heads=3).eval()


def test_symmetric_loss_is_the_librarys():
    images, texts = normal(6, 8), normal(6, 8, seed=1)
    expected = contrastive_loss(images, texts, torch.tensor(1 / 0.2).log())
    torch.testing.assert_close(clip_exercises._symmetric_loss(images, texts, 0.2), expected)


def test_zero_shot_with_ensembled_prompts_is_the_librarys():
    clip, prompts = small_clip(), [["a hat", "a cap on the head"], ["no hat"]]
    features = clip.encode_image(torch.rand(3, 3, 24, 24))
    classes = clip_exercises._ensemble([3 * clip.encode_text(group) for group in prompts])
    torch.testing.assert_close(classes, clip.class_features(prompts))
    found = clip_exercises._zero_shot(2 * features, classes, 1 / clip.scale.item())
    torch.testing.assert_close(found, clip.zero_shot(features, prompts))


def test_separation_weights_are_the_librarys():
    images, texts = normal(5, 8), normal(3, 8, seed=1)
    torch.testing.assert_close(exercises._separation_weights(images, texts, 0.1), factor_weights(images, texts, 0.1))


def test_rank_loss_is_the_librarys():
    features, gaze = normal(9, 6), 0.4 * normal(9, 2, seed=1)
    z, vectors = unit_features(features), pitchyaw_to_vector(gaze)
    for margin in (0.0, 0.3):
        found = exercises._rank_loss(z @ z.T, vectors @ vectors.T, margin)
        torch.testing.assert_close(found, rank_loss(features, gaze, margin))


def test_personal_prompts_are_those_of_the_personalized_context():
    clip, condition = small_clip(), normal(2, 126)
    context = PersonalizedContext(clip, {"hat": ("a cap", "a beanie")})
    torch.nn.init.normal_(context.meta_net[2].weight)
    prompts = exercises._personal_prompts(
        context.before[0, 0], context.vectors, context.meta_net(condition), context.after
    )
    features = clip.encode_embeddings(prompts.flatten(0, 1), context.ends.repeat(2)).view(2, 2, -1)
    torch.testing.assert_close(features, context(clip, condition))
