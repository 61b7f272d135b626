"""Right answers to the exercises of notebook 08, written in other ways than its solutions."""

import torch
import torch.nn.functional as F

# --- separation weights -------------------------------------------------------------------------


def by_cosine_similarity(clip_features, text_features, temperature):
    return F.cosine_similarity(clip_features[:, None], text_features[None], dim=-1).div(temperature).softmax(-1)


def by_exponentials(clip_features, text_features, temperature):
    u = clip_features / clip_features.norm(dim=1, keepdim=True)
    v = text_features / text_features.norm(dim=1, keepdim=True)
    scores = torch.exp((u @ v.T) / temperature)
    return scores / scores.sum(1, keepdim=True)


def image_by_image(clip_features, text_features, temperature):
    texts = F.normalize(text_features)
    rows = [torch.softmax(texts @ (one / one.norm()) / temperature, dim=0) for one in clip_features]
    return torch.stack(rows)


# --- the rank loss ------------------------------------------------------------------------------


def with_loops(likeness, closeness, margin):
    count, total = 0, 0 * likeness.sum()
    for i in range(len(likeness)):
        for j in range(len(likeness)):
            for k in range(len(likeness)):
                if i not in (j, k) and closeness[i, j] > closeness[i, k]:
                    count += 1
                    total = total + torch.relu(likeness[i, k] - likeness[i, j] + margin)
    return total / max(count, 1)


def without_the_diagonal(likeness, closeness, margin):
    n = len(likeness)
    rows = [torch.cat([torch.arange(i), torch.arange(i + 1, n)]) for i in range(n)]
    s, c = (torch.stack([matrix[i, rows[i]] for i in range(n)]) for matrix in (likeness, closeness))
    ordered = c[:, :, None] > c[:, None, :]
    hinges = F.relu(s[:, None, :] - s[:, :, None] + margin)[ordered]
    return hinges.sum() / max(len(hinges), 1)


def by_signs(likeness, closeness, margin):
    n = len(likeness)
    lead = torch.sign(closeness[:, :, None] - closeness[:, None, :])
    apart = 1 - torch.eye(n)
    counts = (lead > 0).float() * apart[:, :, None] * apart[:, None, :]
    hinge = torch.clamp(margin - (likeness[:, :, None] - likeness[:, None, :]), min=0)
    return torch.einsum("ijk,ijk->", hinge, counts) / counts.sum().clamp(min=1)


def returning_early(likeness, closeness, margin):
    ordered = closeness[:, :, None] > closeness[:, None, :]
    same = torch.eye(len(likeness), dtype=torch.bool)
    ordered = ordered & ~same[:, :, None] & ~same[:, None, :]
    if not ordered.any():
        return likeness.new_zeros(())
    return F.relu(likeness[:, None, :] - likeness[:, :, None] + margin)[ordered].mean()


# --- the personal token -------------------------------------------------------------------------


def person_by_person(start, context, token, phrases):
    made = []
    for own in token:
        personal = context + own
        made.append(torch.stack([torch.cat([start[None], personal, words]) for words in phrases]))
    return torch.stack(made)


def repeated(start, context, token, phrases):
    p, k = len(token), len(phrases)
    personal = (context[None] + token[:, None])[:, None].repeat(1, k, 1, 1)
    return torch.cat([start.repeat(p, k, 1, 1), personal, phrases[None].repeat(p, 1, 1, 1)], dim=-2)


def broadcast(start, context, token, phrases):
    context = context.view(1, 1, *context.shape) + token.view(len(token), 1, 1, -1)
    front = torch.cat([start.view(1, 1, 1, -1).expand(len(token), 1, 1, -1), context], dim=2)
    front = front.expand(-1, len(phrases), -1, -1)
    return torch.cat([front, phrases.unsqueeze(0).expand(len(token), -1, -1, -1)], dim=2)


RIGHT = {
    "separation_weights": [by_cosine_similarity, by_exponentials, image_by_image],
    "rank_loss": [with_loops, without_the_diagonal, by_signs, returning_early],
    "personal_prompts": [person_by_person, repeated, broadcast],
}
