"""Exercises of notebook 10: adjacency, Laplacian, one graph layer, and the relative location loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gazecourse.exercises import Checks, Slips, examine, same_gradient
from gazecourse.losses import l1, l2, soft_wing

check = Checks()

# --- adjacency ----------------------------------------------------------------------------------


def _adjacency(landmarks: Tensor, k: int) -> Tensor:
    x, y = landmarks.unbind(-1)  # [M, N] each
    correlation = (torch.corrcoef(x.T).abs() + torch.corrcoef(y.T).abs()) / 2
    nearest = correlation.topk(k + 1, dim=1).indices
    graph = torch.zeros_like(correlation, dtype=torch.bool).scatter(1, nearest, True)
    return graph | graph.T


@check.exercise(
    reference=_adjacency,
    difficulty=3,
    minutes=12,
    hints=(
        "Two landmarks are neighbors if their coordinates go up and down together, or one up and the other down, from "
        "face to face. torch.corrcoef wants variables as rows and observations as columns.",
        "landmarks[..., 0] is [M, N]: M faces, N points. torch.corrcoef(landmarks[..., 0].T) is C_x [N, N]. Do the "
        "same for y, and take the mean of the absolute values.",
        "correlation.topk(k + 1, dim=1).indices [N, k + 1] says whom each row keeps, itself among them. scatter writes "
        "True at these places: torch.zeros(N, N, dtype=torch.bool).scatter(1, indices, True).",
        "Symmetric: i and j are neighbors if i chose j or j chose i. return graph | graph.T",
    ),
)
def adjacency(candidate):
    """Each landmark has its k strongest partners by |C_x| and |C_y|, itself, and whoever chose it."""
    for points, k in ((8, 3), (12, 2), (9, 1)):
        landmarks = _moving_landmarks(points)
        slips = _slips_of_adjacency(landmarks, k)
        examine(candidate, _adjacency, (landmarks, k), slips, name="the adjacency", setting=f"{points} points, k = {k}")


def _moving_landmarks(points: int) -> Tensor:
    """[60, N, 2] faces whose points move as a chain, some against the others and some more than others."""
    places = torch.randn(60, points, 2, dtype=torch.float64).cumsum(1)
    directions = 1 - 2.0 * torch.randint(0, 2, (points, 2))
    return 100 + places * directions * torch.linspace(1, 9, points).view(-1, 1) + 30 * torch.randn(points, 2)


def _slips_of_adjacency(landmarks: Tensor, k: int) -> Slips:
    """What usual slips make of the adjacency, each with words."""
    x, y = landmarks.unbind(-1)
    c_x, c_y = torch.corrcoef(x.T), torch.corrcoef(y.T)
    points = len(c_x)

    def graph(strength: Tensor, count: int = k + 1) -> Tensor:
        nearest = strength.topk(min(count, points), dim=1).indices
        return torch.zeros_like(strength, dtype=torch.bool).scatter(1, nearest, True)

    def symmetric(strength: Tensor, count: int = k + 1) -> Tensor:
        chosen = graph(strength, count)
        return chosen | chosen.T

    right = (c_x.abs() + c_y.abs()) / 2
    plain = graph(right)
    mean = landmarks.mean(0)
    itself = torch.eye(points, dtype=torch.bool)
    return [
        (plain, "each row has its own choice; i and j are neighbors, too, if only j chose i: graph | graph.T."),
        (plain & plain.T, "only pairs that chose each other are kept; one of both is enough: |, not &."),
        (symmetric(right, k), "the point itself is one of the k + 1 largest; so it has one neighbor too few."),
        (symmetric(right) & ~itself, "the diagonal should be True: every landmark keeps itself."),
        (plain & ~itself, "the diagonal should be True, and i and j are neighbors if either chose the other."),
        (symmetric((c_x + c_y) / 2), "the absolute values are missing: who moves against a point belongs to it, too."),
        (symmetric((c_x + c_y).abs() / 2), "take the absolute values before adding: C_x and C_y may cancel."),
        (symmetric(c_x.abs()), "y is missing: C is the mean of |C_x| and |C_y|."),
        (symmetric(c_y.abs()), "x is missing: C is the mean of |C_x| and |C_y|."),
        (
            symmetric(torch.cov(x.T).abs() + torch.cov(y.T).abs()),
            "this is the covariance; points that move far win there. Correlation: torch.corrcoef.",
        ),
        (symmetric(-torch.cdist(mean, mean)), "these are neighbors in the mean face; correlation is asked for."),
        (symmetric(-right), "these are the smallest entries of each row; keep the largest."),
    ]


# --- the Laplacian ------------------------------------------------------------------------------


def _laplacian(adjacency: Tensor) -> Tensor:
    identity = torch.eye(len(adjacency))
    neighbors = adjacency.float() - identity  # without the landmark itself
    return identity - neighbors / neighbors.sum(1, keepdim=True)


@check.exercise(
    reference=_laplacian,
    difficulty=1,
    minutes=6,
    hints=(
        "L P should be each point minus the mean of its neighbors. Which row of numbers does that to one point with "
        "two neighbors?",
        "The adjacency holds the landmark itself, which is no neighbor of its own: adjacency.float() - torch.eye(N).",
        "|N_i| is the sum of row i: .sum(1, keepdim=True), a column, divides every row by its own number.",
        "neighbors = adjacency.float() - torch.eye(len(adjacency)); return torch.eye(len(adjacency)) - neighbors / "
        "neighbors.sum(1, keepdim=True)",
    ),
)
def laplacian(candidate):
    """Rows sum to zero, every neighbor counts alike, and no landmark is its own neighbor."""
    path = torch.eye(5, dtype=torch.bool)
    for i in range(4):
        path[i, i + 1] = path[i + 1, i] = True
    for setting, graph in (
        ("for five points in a row", path),
        ("for a graph with three points", torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 1]]).bool()),
        ("for nine points", _adjacency(_moving_landmarks(9), 3)),
    ):
        examine(candidate, _laplacian, (graph,), _slips_of_laplacian(graph), name="L", setting=setting)


def _slips_of_laplacian(adjacency: Tensor) -> Slips:
    """What usual slips make of the Laplacian, each with words."""
    identity, graph = torch.eye(len(adjacency)), adjacency.float()
    others = graph - identity
    count = others.sum(1, keepdim=True)
    root = count.sqrt()
    return [
        (identity - graph / graph.sum(1, keepdim=True), "a landmark is no neighbor of its own; take the diagonal out."),
        (
            identity - others / graph.sum(1, keepdim=True),
            "|N_i| counts the neighbors without the landmark itself.",
        ),
        (identity - graph / count, "L_ii should be 1: take the landmark itself out of its neighbors."),
        (others / count - identity, "all signs are turned around."),
        (identity + others / count, "L_ij = −1/|N_i| for neighbors: a minus is missing."),
        (others / count, "these are the means of the neighbors; L is 1 on the diagonal, minus these."),
        (identity - others, "divide by the number of neighbors."),
        (identity * count - others, "this is D − A; here every row is divided by its number of neighbors: L_ii = 1."),
        (
            identity - others / others.sum(0),
            "columns are divided by their sums; rows should be: .sum(1, keepdim=True).",
        ),
        (identity - others / count.T, "column j is divided by |N_j|; row i should be by |N_i|: .sum(1, keepdim=True)."),
        (identity - others / root / root.T, "this is the symmetric normalization; rows should sum to 0."),
        (identity - others / others.sum(), "each row has its own number of neighbors."),
    ]


# --- one graph layer ----------------------------------------------------------------------------


def _graph_layer(x: Tensor, edges: Tensor, own: Tensor, others: Tensor, bias: Tensor) -> Tensor:
    identity = torch.eye(len(edges))
    return (edges * identity) @ (x @ own) + (edges * (1 - identity)) @ (x @ others) + bias


@check.exercise(
    reference=_graph_layer,
    difficulty=2,
    minutes=10,
    hints=(
        "What a node says of itself goes through W₀, what its neighbors say through W₁. Which part of A is which?",
        "edges * torch.eye(N) keeps the diagonal, edges * (1 - torch.eye(N)) everything else. * is ⊙, @ is the matrix "
        "product.",
        "A [N, N] @ X [B, N, F] @ W [F, G] is [B, N, G]: the product works on the last two axes, for every face.",
        "identity = torch.eye(len(edges)); return (edges * identity) @ x @ own + (edges * (1 - identity)) @ x @ others "
        "+ bias",
    ),
)
def graph_layer(candidate):
    """A node's own features and its neighbors' go through their own weights, and gradients reach all of them."""
    for faces, points, inputs, outputs in ((2, 5, 3, 4), (4, 6, 6, 6), (1, 3, 2, 2)):
        edges = torch.randn(points, points).softmax(1)
        given = (
            torch.randn(faces, points, inputs),
            edges,
            torch.randn(inputs, outputs),
            torch.randn(inputs, outputs),
            torch.randn(outputs),
        )
        setting = f"{faces} face{'s'[: faces > 1]}, {points} nodes of {inputs} features"
        slips = _slips_of_graph_layer(*given)
        examine(candidate, _graph_layer, given, slips, name="the output", setting=setting)
        same_gradient(candidate, _graph_layer, *given)


def _slips_of_graph_layer(x: Tensor, edges: Tensor, own: Tensor, others: Tensor, bias: Tensor) -> Slips:
    """What usual slips make of the layer, each with words."""
    identity = torch.eye(len(edges))
    mine, theirs = edges * identity, edges * (1 - identity)
    first, second = mine @ x @ own, theirs @ x @ others
    return [
        (first + second, "the bias is missing."),
        (mine @ x @ others + theirs @ x @ own + bias, "W₀ and W₁ are swapped: W₀ is for the node itself."),
        (first + edges @ x @ others + bias, "the node itself goes through W₁, too: take the diagonal out of A there."),
        (x @ own + second + bias, "the node's own features are to be weighted with A's diagonal."),
        (x @ own + edges @ x @ others + bias, "A ⊙ I and A ⊙ (1 − I) are missing: both weights see only their part."),
        (edges @ x @ own + edges @ x @ others + bias, "A ⊙ I and A ⊙ (1 − I) are missing; A stands in both places."),
        (edges @ x @ own + second + bias, "W₀ is for the node itself alone: A ⊙ I."),
        (edges @ x @ own + bias, "this is a plain graph convolution; neighbors should have their own W₁."),
        (first + theirs.T @ x @ others + bias, "A is transposed: row i says whom node i listens to."),
        (first + bias, "the neighbors are missing."),
        (second + bias, "the node itself is missing."),
        (torch.relu(first + second + bias), "no ReLU belongs into the layer itself; it follows after BatchNorm."),
        (first + x @ others - mine @ x @ others + bias, "the neighbors' features are not gathered: A ⊙ (1 − I) @ X."),
    ]


# --- relative location loss ---------------------------------------------------------------------


def _relative_location_loss(
    pred: Tensor, target: Tensor, laplacian: Tensor, penalty: Callable[[Tensor], Tensor]
) -> Tensor:
    return penalty(laplacian @ pred - laplacian @ target).mean()


@check.exercise(
    reference=_relative_location_loss,
    difficulty=2,
    minutes=6,
    hints=(
        "Δ(P) = L P says where each point lies relative to the mean of its neighbors. Which two Δ are compared?",
        "laplacian [N, N] @ pred [B, N, 2] works on every face.",
        "The penalty takes the difference Δ(P̂) − Δ(P), value by value; then the mean of all.",
        "return penalty(laplacian @ pred - laplacian @ target).mean()",
    ),
)
def relative_location_loss(candidate):
    """Relative places are compared with the penalty given, and a shift of the whole face costs nothing."""
    for faces, points, penalty in ((2, 5, soft_wing), (3, 7, l1), (2, 6, l2)):
        graph = torch.rand(points, points) > 0.5
        matrix = _laplacian(graph | torch.eye(points).bool() | torch.eye(points).bool().roll(1, 0))
        target = 60 + 20 * torch.randn(faces, points, 2)
        pred = target + 6 * torch.randn(faces, points, 2)
        given = (pred, target, matrix, penalty)
        setting = f"{faces} faces of {points} points, penalty {penalty.__name__}"
        slips = _slips_of_relative_location(*given)
        examine(candidate, _relative_location_loss, given, slips, name="the loss", setting=setting)
        same_gradient(candidate, _relative_location_loss, *given)


def _slips_of_relative_location(pred: Tensor, target: Tensor, laplacian: Tensor, penalty: Any) -> Slips:
    """What usual slips make of the loss, each with words."""
    residual = laplacian @ pred - laplacian @ target
    value = penalty(residual)
    return [
        (penalty(pred - target).mean(), "the Laplacian is missing: this compares the landmarks themselves."),
        (penalty(laplacian @ pred - target).mean(), "Δ(P̂) is compared with P; compare it with Δ(P) = L P."),
        (penalty(pred - laplacian @ target).mean(), "P̂ is compared with Δ(P); compare Δ(P̂) = L P̂ with it."),
        (penalty(laplacian @ pred).mean(), "the truth is missing: Δ(P̂) should equal Δ(P), not 0."),
        (
            (penalty(laplacian @ pred) - penalty(laplacian @ target)).mean(),
            "subtract first, then take the penalty: here errors of opposite sign cancel.",
        ),
        (
            (penalty(laplacian @ pred) - penalty(laplacian @ target)).abs().mean(),
            "subtract first, then take the penalty of the difference.",
        ),
        (penalty(residual.mean()), "the mean comes after the penalty, or errors cancel."),
        (residual.mean(), "the penalty is missing: errors of opposite sign cancel."),
        (residual.abs().mean(), "the penalty is an argument; here it is the absolute value."),
        (residual.square().mean(), "the penalty is an argument; here it is the square."),
        (soft_wing(residual).mean(), "the penalty is an argument; here it is soft wing, whatever is given."),
        (penalty(laplacian.T @ (pred - target)).mean(), "L is transposed: row i belongs to point i."),
        (penalty(residual.norm(dim=-1)).mean(), "the penalty is taken of distances; it takes x and y one by one."),
        (value.sum(), "this is the sum; take the mean."),
        (value.sum(-1).mean(), "x and y are added; take the mean over them, too."),
        (value.sum((1, 2)).mean(), "this is the sum over a face; take the mean over its points, too."),
        (value, "this has a value for every coordinate; take the mean of all."),
        (value.mean((1, 2)), "this has a value for every face; take the mean of all."),
    ]
