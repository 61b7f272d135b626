"""Plausible wrong answers to the exercises of notebook 10, and what is said to some of them."""

import torch

# --- adjacency ----------------------------------------------------------------------------------


def strengths(landmarks):
    return torch.corrcoef(landmarks[..., 0].T), torch.corrcoef(landmarks[..., 1].T)


def largest(strength, count):
    nearest = strength.topk(count, dim=1).indices
    return torch.zeros_like(strength, dtype=torch.bool).scatter(1, nearest, True)


def either(graph):
    return graph | graph.T


def both_axes(landmarks):
    x, y = strengths(landmarks)
    return (x.abs() + y.abs()) / 2


def not_symmetric(landmarks, k):
    return largest(both_axes(landmarks), k + 1)


def only_mutual(landmarks, k):
    graph = largest(both_axes(landmarks), k + 1)
    return graph & graph.T


def one_too_few(landmarks, k):
    return either(largest(both_axes(landmarks), k))


def without_itself(landmarks, k):
    return either(largest(both_axes(landmarks).fill_diagonal_(-1), k))


def without_absolute_values(landmarks, k):
    x, y = strengths(landmarks)
    return either(largest((x + y) / 2, k + 1))


def absolute_value_of_the_sum(landmarks, k):
    x, y = strengths(landmarks)
    return either(largest((x + y).abs(), k + 1))


def x_alone(landmarks, k):
    return either(largest(strengths(landmarks)[0].abs(), k + 1))


def covariance(landmarks, k):
    x, y = landmarks.unbind(-1)
    return either(largest(torch.cov(x.T).abs() + torch.cov(y.T).abs(), k + 1))


def near_in_the_mean_face(landmarks, k):
    mean = landmarks.mean(0)
    return either(largest(-torch.cdist(mean, mean), k + 1))


def correlation_of_faces(landmarks, k):
    x, y = landmarks.unbind(-1)
    return either(largest(torch.corrcoef(x).abs() + torch.corrcoef(y).abs(), k + 1))


def ones_and_zeros(landmarks, k):
    return either(largest(both_axes(landmarks), k + 1)).float()


def along_the_columns(landmarks, k):
    strength = both_axes(landmarks)
    nearest = strength.topk(k + 1, dim=0).indices
    return either(torch.zeros_like(strength, dtype=torch.bool).scatter(1, nearest.T.flip(0), True))


# --- the Laplacian ------------------------------------------------------------------------------


def counts_itself(adjacency):
    graph = adjacency.float()
    return torch.eye(len(graph)) - graph / graph.sum(1, keepdim=True)


def counts_itself_in_the_degree(adjacency):
    graph, identity = adjacency.float(), torch.eye(len(adjacency))
    return identity - (graph - identity) / graph.sum(1, keepdim=True)


def degree_on_the_diagonal(adjacency):
    others = adjacency.float() - torch.eye(len(adjacency))
    return torch.diag(others.sum(1)) - others


def not_divided(adjacency):
    others = adjacency.float() - torch.eye(len(adjacency))
    return torch.eye(len(adjacency)) - others


def means_of_neighbors(adjacency):
    others = adjacency.float() - torch.eye(len(adjacency))
    return others / others.sum(1, keepdim=True)


def plus(adjacency):
    return torch.eye(len(adjacency)) + means_of_neighbors(adjacency)


def turned_around(adjacency):
    return means_of_neighbors(adjacency) - torch.eye(len(adjacency))


def columns_divided(adjacency):
    others = adjacency.float() - torch.eye(len(adjacency))
    return torch.eye(len(adjacency)) - others / others.sum(0)


def keepdim_forgotten(adjacency):
    others = adjacency.float() - torch.eye(len(adjacency))
    return torch.eye(len(adjacency)) - others / others.sum(1)


def symmetric_normalization(adjacency):
    others = adjacency.float() - torch.eye(len(adjacency))
    root = others.sum(1).sqrt()
    return torch.eye(len(adjacency)) - others / root[:, None] / root


def bool_minus(adjacency):
    return torch.eye(len(adjacency)) - (adjacency - torch.eye(len(adjacency), dtype=torch.bool)).float()


# --- one graph layer ----------------------------------------------------------------------------


def parts(edges):
    identity = torch.eye(len(edges))
    return edges * identity, edges * (1 - identity)


def bias_forgotten(x, edges, own, others, bias):
    mine, theirs = parts(edges)
    return mine @ x @ own + theirs @ x @ others


def weights_swapped(x, edges, own, others, bias):
    mine, theirs = parts(edges)
    return mine @ x @ others + theirs @ x @ own + bias


def itself_twice(x, edges, own, others, bias):
    return parts(edges)[0] @ x @ own + edges @ x @ others + bias


def diagonal_not_weighted(x, edges, own, others, bias):
    return x @ own + parts(edges)[1] @ x @ others + bias


def no_masks(x, edges, own, others, bias):
    return edges @ x @ own + edges @ x @ others + bias


def matrix_product_with_the_identity(x, edges, own, others, bias):
    identity = torch.eye(len(edges))
    return (edges @ identity) @ x @ own + (edges @ (1 - identity)) @ x @ others + bias


def one_weight(x, edges, own, others, bias):
    return edges @ x @ own + bias


def transposed(x, edges, own, others, bias):
    mine, theirs = parts(edges)
    return mine @ x @ own + theirs.T @ x @ others + bias


def with_relu(x, edges, own, others, bias):
    mine, theirs = parts(edges)
    return torch.relu(mine @ x @ own + theirs @ x @ others + bias)


def neighbors_forgotten(x, edges, own, others, bias):
    return parts(edges)[0] @ x @ own + bias


def weights_transposed(x, edges, own, others, bias):
    mine, theirs = parts(edges)
    return mine @ x @ own.T + theirs @ x @ others.T + bias


def diagonal_cleared(x, edges, own, others, bias):
    mine = edges.diagonal().clone()[:, None] * (x @ own)
    return mine + edges.fill_diagonal_(0) @ x @ others + bias


def bias_detached(x, edges, own, others, bias):
    mine, theirs = parts(edges)
    return mine @ x @ own + theirs @ x @ others + bias.detach()


# --- relative location loss ---------------------------------------------------------------------


def laplacian_forgotten(pred, target, laplacian, penalty):
    return penalty(pred - target).mean()


def truth_forgotten(pred, target, laplacian, penalty):
    return penalty(laplacian @ pred).mean()


def one_side_only(pred, target, laplacian, penalty):
    return penalty(laplacian @ pred - target).mean()


def penalties_subtracted(pred, target, laplacian, penalty):
    return (penalty(laplacian @ pred) - penalty(laplacian @ target)).mean()


def penalty_forgotten(pred, target, laplacian, penalty):
    return (laplacian @ pred - laplacian @ target).abs().mean()


def squared(pred, target, laplacian, penalty):
    return (laplacian @ pred - laplacian @ target).square().mean()


def laplacian_transposed(pred, target, laplacian, penalty):
    return penalty(laplacian.T @ (pred - target)).mean()


def mean_first(pred, target, laplacian, penalty):
    return penalty((laplacian @ (pred - target)).mean())


def of_distances(pred, target, laplacian, penalty):
    return penalty((laplacian @ (pred - target)).norm(dim=-1)).mean()


def summed(pred, target, laplacian, penalty):
    return penalty(laplacian @ (pred - target)).sum()


def not_averaged(pred, target, laplacian, penalty):
    return penalty(laplacian @ (pred - target))


def one_number_a_face(pred, target, laplacian, penalty):
    return penalty(laplacian @ (pred - target)).mean((1, 2))


def detached(pred, target, laplacian, penalty):
    return penalty(laplacian @ (pred.detach() - target)).mean()


def from_the_right(pred, target, laplacian, penalty):
    return penalty((pred - target) @ laplacian).mean()


WRONG = {
    "adjacency": [
        not_symmetric,
        only_mutual,
        one_too_few,
        without_itself,
        without_absolute_values,
        absolute_value_of_the_sum,
        x_alone,
        covariance,
        near_in_the_mean_face,
        correlation_of_faces,
        ones_and_zeros,
        along_the_columns,
    ],
    "laplacian": [
        counts_itself,
        counts_itself_in_the_degree,
        degree_on_the_diagonal,
        not_divided,
        means_of_neighbors,
        plus,
        turned_around,
        columns_divided,
        keepdim_forgotten,
        symmetric_normalization,
        bool_minus,
    ],
    "graph_layer": [
        bias_forgotten,
        weights_swapped,
        itself_twice,
        diagonal_not_weighted,
        no_masks,
        matrix_product_with_the_identity,
        one_weight,
        transposed,
        with_relu,
        neighbors_forgotten,
        weights_transposed,
        diagonal_cleared,
        bias_detached,
    ],
    "relative_location_loss": [
        laplacian_forgotten,
        truth_forgotten,
        one_side_only,
        penalties_subtracted,
        penalty_forgotten,
        squared,
        laplacian_transposed,
        mean_first,
        of_distances,
        summed,
        not_averaged,
        one_number_a_face,
        detached,
        from_the_right,
    ],
}

WORDS = [
    ("adjacency", not_symmetric, "if only j chose i: graph | graph.T"),
    ("adjacency", only_mutual, "only pairs that chose each other are kept"),
    ("adjacency", one_too_few, "it has one neighbor too few"),
    ("adjacency", without_itself, "the diagonal should be True"),
    ("adjacency", without_absolute_values, "the absolute values are missing"),
    ("adjacency", absolute_value_of_the_sum, "take the absolute values before adding"),
    ("adjacency", x_alone, "y is missing"),
    ("adjacency", covariance, "this is the covariance"),
    ("adjacency", near_in_the_mean_face, "these are neighbors in the mean face"),
    ("adjacency", correlation_of_faces, "has shape [60, 60]; it should be [8, 8]"),
    ("adjacency", ones_and_zeros, "has dtype float32; it should be bool"),
    ("laplacian", counts_itself, "take the diagonal out"),
    ("laplacian", counts_itself_in_the_degree, "counts the neighbors without the landmark itself"),
    ("laplacian", degree_on_the_diagonal, "this is D − A"),
    ("laplacian", not_divided, "divide by the number of neighbors"),
    ("laplacian", means_of_neighbors, "these are the means of the neighbors"),
    ("laplacian", plus, "a minus is missing"),
    ("laplacian", turned_around, "all signs are turned around"),
    ("laplacian", columns_divided, "rows should be: .sum(1, keepdim=True)"),
    ("laplacian", keepdim_forgotten, ".sum(1, keepdim=True)"),
    ("laplacian", symmetric_normalization, "this is the symmetric normalization"),
    ("laplacian", bool_minus, "raised RuntimeError"),
    ("graph_layer", bias_forgotten, "the bias is missing"),
    ("graph_layer", weights_swapped, "W₀ and W₁ are swapped"),
    ("graph_layer", itself_twice, "take the diagonal out of A there"),
    ("graph_layer", diagonal_not_weighted, "weighted with A's diagonal"),
    ("graph_layer", no_masks, "A stands in both places"),
    ("graph_layer", one_weight, "neighbors should have their own W₁"),
    ("graph_layer", transposed, "A is transposed"),
    ("graph_layer", with_relu, "no ReLU belongs into the layer itself"),
    ("graph_layer", neighbors_forgotten, "the neighbors are missing"),
    ("graph_layer", diagonal_cleared, "changes its argument `edges` in place"),
    ("graph_layer", bias_detached, "no gradient reaches `bias`"),
    ("relative_location_loss", laplacian_forgotten, "the Laplacian is missing"),
    ("relative_location_loss", truth_forgotten, "the truth is missing"),
    ("relative_location_loss", one_side_only, "Δ(P̂) is compared with P"),
    ("relative_location_loss", penalties_subtracted, "subtract first, then take the penalty"),
    ("relative_location_loss", penalty_forgotten, "here it is the absolute value"),
    ("relative_location_loss", squared, "here it is the square"),
    ("relative_location_loss", laplacian_transposed, "L is transposed"),
    ("relative_location_loss", mean_first, "the mean comes after the penalty"),
    ("relative_location_loss", of_distances, "the penalty is taken of distances"),
    ("relative_location_loss", summed, "this is the sum; take the mean"),
    ("relative_location_loss", not_averaged, "a value for every coordinate"),
    ("relative_location_loss", one_number_a_face, "a value for every face"),
    ("relative_location_loss", detached, "no gradient reaches `pred`"),
]
