"""Right answers to the exercises of notebook 10, written in other ways than its solutions."""

import numpy as np
import torch

# --- adjacency ----------------------------------------------------------------------------------


def by_numpy_and_loops(landmarks, k):
    values = landmarks.numpy()
    strength = sum(np.abs(np.corrcoef(values[:, :, axis], rowvar=False)) for axis in (0, 1))
    graph = torch.zeros(len(strength), len(strength), dtype=torch.bool)
    for i, row in enumerate(strength):
        for j in np.argsort(row)[-(k + 1) :]:
            graph[i, j] = graph[j, i] = True
    return graph


def above_the_threshold(landmarks, k):
    centered = landmarks - landmarks.mean(0)
    unit = centered / centered.norm(dim=0)
    correlation = torch.einsum("mia,mja->aij", unit, unit).abs().mean(0)
    threshold = correlation.sort(dim=1, descending=True).values[:, k : k + 1]
    graph = correlation >= threshold
    return torch.logical_or(graph, graph.mT)


def neighbors_then_itself(landmarks, k):
    c = (torch.corrcoef(landmarks[..., 0].T).abs() + torch.corrcoef(landmarks[..., 1].T).abs()).fill_diagonal_(-1)
    order = c.argsort(dim=1, descending=True)[:, :k]
    graph = torch.eye(len(c), dtype=torch.bool)
    for i in range(len(c)):
        graph[i, order[i]] = True
    return (graph.int() + graph.T.int()) > 0


# --- the Laplacian ------------------------------------------------------------------------------


def row_by_row(adjacency):
    rows = []
    for i, row in enumerate(adjacency):
        neighbors = [j for j in row.nonzero().flatten().tolist() if j != i]
        values = torch.zeros(len(adjacency))
        values[neighbors] = -1 / len(neighbors)
        values[i] = 1
        rows.append(values)
    return torch.stack(rows)


def with_the_inverse_degree(adjacency):
    others = adjacency & ~torch.eye(len(adjacency), dtype=torch.bool)
    return torch.eye(len(adjacency)) - torch.diag(1 / others.sum(1)) @ others.float()


def filled_diagonal(adjacency):
    count = adjacency.sum(dim=1).float() - 1
    return (-adjacency.float() / count[:, None]).fill_diagonal_(1.0)


# --- one graph layer ----------------------------------------------------------------------------


def with_einsum(x, edges, own, others, bias):
    mask = 1 - torch.eye(len(edges))
    mine = torch.einsum("i,bif,fg->big", edges.diagonal(), x, own)
    return mine + torch.einsum("ij,bjf,fg->big", edges * mask, x, others) + bias


def node_by_node(x, edges, own, others, bias):
    nodes = []
    for i in range(x.shape[1]):
        out = edges[i, i] * (x[:, i] @ own) + bias
        for j in range(x.shape[1]):
            if j != i:
                out = out + edges[i, j] * (x[:, j] @ others)
        nodes.append(out)
    return torch.stack(nodes, dim=1)


def difference_of_weights(x, edges, own, others, bias):
    return edges @ x @ others + edges.diag().unsqueeze(-1) * (x @ (own - others)) + bias


# --- relative location loss ---------------------------------------------------------------------


def of_the_difference(pred, target, laplacian, penalty):
    return penalty(torch.matmul(laplacian, pred - target)).mean()


def of_the_reverse_difference(pred, target, laplacian, penalty):
    return torch.mean(penalty(torch.einsum("ij,bjc->bic", laplacian, target - pred)))


def face_by_face(pred, target, laplacian, penalty):
    total = 0.0
    for ours, theirs in zip(pred, target, strict=True):
        total = total + penalty(laplacian @ ours - laplacian @ theirs).sum()
    return total / pred.numel()


RIGHT = {
    "adjacency": [by_numpy_and_loops, above_the_threshold, neighbors_then_itself],
    "laplacian": [row_by_row, with_the_inverse_degree, filled_diagonal],
    "graph_layer": [with_einsum, node_by_node, difference_of_weights],
    "relative_location_loss": [of_the_difference, of_the_reverse_difference, face_by_face],
}
