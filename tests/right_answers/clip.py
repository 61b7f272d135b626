"""Right answers to the exercises of notebook 07, written in other ways than its solutions."""

import torch
import torch.nn.functional as F

# --- the symmetric loss -------------------------------------------------------------------------


def by_log_softmax(images, texts, temperature):
    u = images / images.norm(dim=1, keepdim=True)
    v = texts / texts.norm(dim=1, keepdim=True)
    logits = torch.einsum("id,jd->ij", u, v) / temperature
    return -(logits.log_softmax(1).diag() + logits.log_softmax(0).diag()).mean() / 2


def with_one_hot_targets(images, texts, temperature):
    logits = F.cosine_similarity(images[:, None], texts[None], dim=-1).div(temperature)
    target = torch.eye(len(logits))
    return 0.5 * F.cross_entropy(logits, target) + 0.5 * F.cross_entropy(logits.mT, target)


def pair_by_pair(images, texts, temperature):
    total = 0.0
    for i in range(len(images)):
        row = torch.stack([F.cosine_similarity(images[i], text, dim=0) for text in texts]) / temperature
        column = torch.stack([F.cosine_similarity(image, texts[i], dim=0) for image in images]) / temperature
        total = total + torch.logsumexp(row, 0) + torch.logsumexp(column, 0) - 2 * row[i]
    return total / (2 * len(images))


# --- zero-shot classification -------------------------------------------------------------------


def by_exponentials(image_features, class_features, temperature):
    u = image_features / image_features.norm(dim=1, keepdim=True)
    v = class_features / class_features.norm(dim=1, keepdim=True)
    scores = torch.exp((u @ v.T - 1) / temperature)
    return scores / scores.sum(1, keepdim=True)


def by_cosine_similarity(image_features, class_features, temperature):
    return F.softmax(F.cosine_similarity(image_features.unsqueeze(1), class_features, dim=2) / temperature, dim=-1)


def image_by_image(image_features, class_features, temperature):
    classes = F.normalize(class_features)
    return torch.stack([(classes @ F.normalize(one, dim=0) / temperature).softmax(0) for one in image_features])


# --- prompt ensembling --------------------------------------------------------------------------


def sums_have_the_same_direction(prompt_features):
    return torch.stack([F.normalize(F.normalize(one).sum(0), dim=0) for one in prompt_features])


def with_loops(prompt_features):
    rows = []
    for features in prompt_features:
        total = torch.zeros(features.shape[1])
        for feature in features:
            total += feature / feature.norm()
        rows.append(total / total.norm())
    return torch.stack(rows)


def all_at_once(prompt_features):
    owner = torch.cat([torch.full((len(one),), number) for number, one in enumerate(prompt_features)])
    unit = F.normalize(torch.cat(prompt_features), dim=-1)
    means = torch.zeros(len(prompt_features), unit.shape[1]).index_add(0, owner, unit)
    return means / torch.linalg.vector_norm(means, dim=1, keepdim=True)


RIGHT = {
    "symmetric_loss": [by_log_softmax, with_one_hot_targets, pair_by_pair],
    "zero_shot": [by_exponentials, by_cosine_similarity, image_by_image],
    "ensemble": [sums_have_the_same_direction, with_loops, all_at_once],
}
