"""Right answers to the exercises of notebook 05, written in other ways than its solutions."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from gazecourse.angles import angular_error, pitchyaw_to_vector

# --- the linear probe ---------------------------------------------------------------------------


def with_an_inverse(features, labels, train, ridge=1.0):
    mean, deviation = features[train].mean(0, keepdim=True), features[train].std(0, keepdim=True)
    x = torch.cat([(features - mean) / deviation, torch.ones(len(features), 1)], 1)
    y = F.one_hot(labels, int(labels.max()) + 1).float()
    learn = x[train]
    w = torch.inverse(learn.T @ learn + ridge * torch.eye(learn.shape[1])) @ learn.T @ y[train]
    return ((x[~train] @ w).argmax(dim=-1) == labels[~train]).double().mean()


def ones_first_and_unpenalized(features, labels, train, ridge=1.0):
    scaled = (features - features[train].mean(0)) / features[train].std(0, unbiased=False)
    x = torch.column_stack([torch.ones(len(features)), scaled]).double()
    penalty = ridge * torch.eye(x.shape[1], dtype=torch.float64)
    penalty[0, 0] = 0
    y = torch.eye(int(labels.max()) + 1, dtype=torch.float64)[labels]
    w = torch.linalg.lstsq(x[train].T @ x[train] + penalty, x[train].T @ y[train]).solution
    right = (x @ w).argmax(1) == labels
    return float(right[~train].sum() / (~train).sum())


def with_longer_rows(features, labels, train, ridge=1.0):
    """Ridge regression is least squares with √λ · I below X."""
    scaled = (features - features[train].mean(0)) / features[train].var(0).sqrt()
    x = F.pad(scaled, (0, 1), value=1.0)
    y = F.one_hot(labels).float()
    width = x.shape[1]
    longer = torch.cat([x[train], ridge**0.5 * torch.eye(width)]), torch.cat([y[train], torch.zeros(width, y.shape[1])])
    w = torch.linalg.lstsq(*longer).solution
    guesses = torch.stack([row @ w for row in x[~train]]).argmax(1)
    return guesses.eq(labels[~train]).float().mean().item()


def with_scikit_learn(features, labels, train, ridge=1.0):
    features, labels, train = features.numpy(), labels.numpy(), train.numpy()
    scaler = StandardScaler().fit(features[train])
    model = Ridge(alpha=ridge).fit(scaler.transform(features[train]), np.eye(labels.max() + 1)[labels[train]])
    return np.mean(model.predict(scaler.transform(features[~train])).argmax(1) == labels[~train])


# --- counterfactual errors ----------------------------------------------------------------------


def in_one_expression(predict, render, factors, gaze, changes):
    def error(faces):
        return angular_error(predict(render(faces)), gaze)

    return {name: error(change(factors)) - error(factors) for name, change in changes.items()}


def face_by_face(predict, render, factors, gaze, changes):
    rises = {name: [] for name in changes}
    for number in range(len(factors)):
        face, true = factors[number], gaze[number : number + 1]
        before = angular_error(predict(render(face)), true)
        for name, change in changes.items():
            rises[name].append(angular_error(predict(render(change(face))), true) - before)
    return {name: torch.cat(values) for name, values in rises.items()}


def with_vectors(predict, render, factors, gaze, changes):
    true = pitchyaw_to_vector(gaze.double())

    def error(faces):
        cosine = (pitchyaw_to_vector(predict(render(faces)).double()) * true).sum(-1)
        return torch.rad2deg(cosine.clamp(-1, 1).arccos())

    before, answer = error(factors), {}
    for name in reversed(changes):
        answer[name] = error(changes[name](factors)) - before
    return answer


def all_at_once(predict, render, factors, gaze, changes):
    batches = [factors, *(change(factors) for change in changes.values())]
    images = render(type(factors).concatenate(batches))
    errors = angular_error(predict(images), gaze.repeat(len(batches), 1)).view(len(batches), -1)
    return dict(zip(changes, errors[1:] - errors[0], strict=True))


RIGHT = {
    "linear_probe": [with_an_inverse, ones_first_and_unpenalized, with_longer_rows, with_scikit_learn],
    "counterfactual_errors": [in_one_expression, face_by_face, with_vectors, all_at_once],
}
