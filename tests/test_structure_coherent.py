"""The landmark graph and its Laplacian by hand and by loops, layers written out, and the paper's parameter counts."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gazecourse.exercises import structure_coherent as exercises
from gazecourse.losses import landmark_loss, relative_location_loss, soft_wing
from gazecourse.models import StructureCoherentNet, landmark_graph, laplacian
from gazecourse.models.structure_coherent import (
    DynamicEdges,
    GraphBlock,
    GraphHead,
    GraphLayer,
    SemanticGraphConv,
    StaticEdges,
    standardize,
)

HEADS = ["static", "dynamic", "fc"]

# Five points in a row with one more tie between the ends of the first four: 0–1, 1–2, 2–3, 3–4, 0–3.
FIVE = torch.eye(5, dtype=torch.bool)
for first, second in ((0, 1), (1, 2), (2, 3), (3, 4), (0, 3)):
    FIVE[first, second] = FIVE[second, first] = True


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def chain(faces, points, seed=0):
    """Landmarks that move the more alike the nearer they are: a random walk along the points."""
    return 60 + 5 * randn(faces, points, 2, seed=seed).cumsum(1)


def small(points=9, head="static", size=64, seed=1, **options):
    torch.manual_seed(seed)
    return StructureCoherentNet(points, landmark_graph(chain(50, points)), "small", head, size, **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def with_statistics(module, *inputs):
    """In evaluation mode with random BatchNorms that have seen some inputs: new ones would do nothing."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
            layer.momentum = 1.0
        if isinstance(layer, StaticEdges):
            nn.init.normal_(layer.logits)
    with torch.no_grad():
        module.train()(*inputs)
    return module.eval()


# ---------------------------------------------------------------------- the graph


def graph_by_loops(landmarks, k, symmetric):
    """NumPy's correlations, and rows sorted one by one."""
    landmarks = landmarks.double().numpy()
    points = landmarks.shape[1]
    across, down = (np.corrcoef(landmarks[:, :, axis], rowvar=False) for axis in (0, 1))
    edges = {(i, i) for i in range(points)}
    for i in range(points):
        strength = {j: (abs(across[i, j]) + abs(down[i, j])) / 2 for j in range(points) if j != i}
        for j in sorted(strength, key=strength.get, reverse=True)[:k]:
            edges.add((i, j))
            if symmetric:
                edges.add((j, i))
    return torch.tensor([[(i, j) in edges for j in range(points)] for i in range(points)])


@pytest.mark.parametrize("symmetric", [True, False])
@settings(max_examples=25)
@given(points=st.integers(2, 12), k=st.integers(1, 5), seed=st.integers(0, 99))
def test_graph_is_numpys_correlations_sorted_row_by_row(symmetric, points, k, seed):
    k = min(k, points - 1)
    landmarks = chain(30, points, seed)
    assert torch.equal(landmark_graph(landmarks, k, symmetric), graph_by_loops(landmarks, k, symmetric))


@pytest.mark.parametrize("points", [29, 68, 98])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_rows_have_k_plus_1_entries_before_and_at_least_as_many_after_the_graph_is_made_symmetric(points, k):
    landmarks = chain(200, points)
    plain, symmetric = landmark_graph(landmarks, k, symmetric=False), landmark_graph(landmarks, k)
    assert plain.dtype == symmetric.dtype == torch.bool
    assert (plain.sum(1) == k + 1).all()
    assert int(plain.sum()) == points * (k + 1)
    assert torch.equal(symmetric, plain | plain.T)
    assert torch.equal(symmetric, symmetric.T)
    assert plain.diagonal().all()
    assert points * k / 2 <= (int(symmetric.sum()) - points) / 2 <= points * k


@pytest.mark.parametrize(("k", "fewest", "most"), [(3, 102, 204), (2, 68, 136)])
def test_68_points_with_three_others_each_have_more_edges_than_the_released_graph(k, fewest, most):
    """99 undirected edges and 266 entries were released: out of reach for k = 3, within that of k = 2."""
    assert 266 == 2 * 99 + 68
    for seed in range(5):
        entries = int(landmark_graph(chain(60, 68, seed), k).sum())
        edges = (entries - 68) // 2
        assert fewest <= edges <= most
    assert (fewest <= 99) is (k == 2)


def test_dynamic_weights_of_the_embeddings_own_maps_would_miss_the_papers_count():
    static_parts = 2_415_762  # embedding and layers at 98 points, without edge weights
    read_from_backbone = 513 * 392 + 393 * 392
    read_from_embedding = 393 * 392 + 393 * 392
    assert f"{(static_parts + read_from_backbone) / 1e6:.2f}" == "2.77"
    assert f"{(static_parts + read_from_embedding) / 1e6:.2f}" == "2.72"
    widths = [h for h in range(1, 1024) if f"{(static_parts + 393 * h + (h + 1) * 392) / 1e6:.2f}" == "2.77"]
    assert (widths[0], widths[-1]) == (445, 457)


@pytest.mark.parametrize("head", ["static", "dynamic"])
def test_fewer_features_a_node_make_the_graph_layers_smaller_and_change_nothing_else(head):
    wide, narrow = small(head=head), small(head=head, graph_width=16)
    assert narrow.head.input.convolution.weight.shape == (2, 4 * 16, 16)
    assert count(narrow.head.embedding) == count(wide.head.embedding)
    assert count(narrow.head.blocks) < count(wide.head.blocks) / 30
    assert narrow.eval()(rand(2, 3, 64, 64)).shape == (2, 9, 2)


def test_graph_has_three_neighbors_and_is_symmetric_unless_told_otherwise():
    landmarks = chain(50, 12)
    assert torch.equal(landmark_graph(landmarks), landmark_graph(landmarks, k=3, symmetric=True))


def test_points_are_connected_that_move_together_or_against_each_other_in_x_and_y():
    a, b, c = randn(3, 100, 2)
    landmarks = torch.stack([a, b, 80 - 3 * a, c, b + 0.1 * c], dim=1)
    expected = torch.eye(5, dtype=torch.bool)
    for i, j in ((0, 2), (2, 0), (1, 4), (4, 1), (3, 4)):
        expected[i, j] = True
    assert torch.equal(landmark_graph(landmarks, 1, symmetric=False), expected)


def test_correlation_of_both_axes_counts_half():
    x, y, z = randn(3, 500)
    landmarks = torch.stack(
        [
            torch.stack([x, y], 1),
            torch.stack([x, z], 1),  # |C| = (1 + 0) / 2 with the first
            torch.stack([x + 0.5 * z, y + 0.5 * z.flip(0)], 1),  # (0.9 + 0.9) / 2
        ],
        dim=1,
    )
    assert landmark_graph(landmarks, 1, symmetric=False)[0].tolist() == [True, False, True]


@given(st.integers(0, 99), st.floats(0.01, 100), st.floats(-500, 500))
@settings(max_examples=25)
def test_graph_depends_on_neither_the_size_of_the_crops_nor_their_origin(seed, scale, shift):
    landmarks = chain(30, 8, seed).double()
    assert torch.equal(landmark_graph(landmarks), landmark_graph(landmarks * scale + shift))


def test_points_that_move_exactly_alike_still_count_themselves_and_ties_go_to_the_lower_number():
    together = randn(40, 1, 2).expand(40, 5, 2)
    graph = landmark_graph(together, 2, symmetric=False)
    assert graph.int().tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_renumbering_the_landmarks_renumbers_the_graph():
    landmarks, order = chain(50, 10), torch.randperm(10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(landmark_graph(landmarks[:, order]), landmark_graph(landmarks)[order][:, order])


# ---------------------------------------------------------------------- the Laplacian


def test_laplacian_of_five_points_by_hand():
    third = 1 / 3
    expected = [
        [1, -0.5, 0, -0.5, 0],
        [-0.5, 1, -0.5, 0, 0],
        [0, -0.5, 1, -0.5, 0],
        [-third, 0, -third, 1, -third],
        [0, 0, 0, -1, 1],
    ]
    torch.testing.assert_close(laplacian(FIVE), torch.tensor(expected))


def test_laplacian_times_points_is_the_offset_from_the_mean_of_the_neighbors_by_hand():
    points = torch.tensor([[0.0, 0.0], [2.0, 1.0], [4.0, 0.0], [6.0, 3.0], [9.0, 3.0]])
    expected = [
        [0 - (2 + 6) / 2, 0 - (1 + 3) / 2],
        [2 - (0 + 4) / 2, 1 - 0],
        [4 - (2 + 6) / 2, 0 - (1 + 3) / 2],
        [6 - (0 + 4 + 9) / 3, 3 - (0 + 0 + 3) / 3],
        [9 - 6, 0],
    ]
    torch.testing.assert_close(laplacian(FIVE) @ points, torch.tensor(expected))


def test_laplacian_follows_the_rows_of_a_graph_that_is_not_symmetric():
    one_way = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 1]]).bool()
    torch.testing.assert_close(laplacian(one_way), torch.tensor([[1, -0.5, -0.5], [0, 1, -1], [-1.0, 0, 1]]))


@pytest.mark.parametrize("points", [29, 68, 98])
def test_laplacian_of_a_landmark_graph_serves_the_loss_dense_and_sparse(points):
    landmarks = chain(100, points)
    matrix = laplacian(landmark_graph(landmarks))
    torch.testing.assert_close(matrix.sum(1), torch.zeros(points))
    dense = relative_location_loss(landmarks[:4], landmarks[4:8], matrix)
    torch.testing.assert_close(relative_location_loss(landmarks[:4], landmarks[4:8], matrix.to_sparse()), dense)
    assert dense > 0


def test_laplacian_leaves_the_adjacency_as_it_is():
    before = FIVE.clone()
    laplacian(FIVE)
    assert torch.equal(FIVE, before)


# ---------------------------------------------------------------------- edge weights


def test_row_i_of_the_weights_holds_whom_landmark_i_listens_to_also_where_nobody_listens_back():
    one_way = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 1]]).bool()
    expected = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(StaticEdges(one_way)(), expected)


def test_static_weights_begin_equal_sum_to_one_and_stay_on_the_edges():
    edges = StaticEdges(FIVE)
    assert len(edges) == 15
    torch.testing.assert_close(edges(), FIVE / FIVE.sum(1, keepdim=True))
    nn.init.normal_(edges.logits)
    torch.testing.assert_close(edges().sum(1), torch.ones(5))
    assert torch.equal(edges() > 0, FIVE)


def test_edge_numbers_run_along_the_rows_and_softmax_is_taken_over_each():
    edges = StaticEdges(FIVE)
    logits = torch.arange(15.0) / 5
    weights = edges.spread(logits)
    number = 0
    for i in range(5):
        powers = {}
        for j in range(5):
            if FIVE[i, j]:
                powers[j] = math.exp(float(logits[number]))
                number += 1
        for j in range(5):
            assert float(weights[i, j]) == pytest.approx(powers.get(j, 0.0) / sum(powers.values()), rel=1e-5)


def test_dynamic_weights_differ_from_face_to_face_and_each_row_sums_to_one():
    torch.manual_seed(0)
    edges = DynamicEdges(FIVE, channels=6, hidden=8)
    weights = edges(10 * rand(7, 6, 3, 4))
    assert weights.shape == (7, 5, 5)
    torch.testing.assert_close(weights.sum(2), torch.ones(7, 5))
    assert torch.equal(weights > 0, FIVE.expand(7, 5, 5))
    assert (weights[0] - weights[1]).abs().max() > 1e-3


def test_dynamic_weights_are_two_layers_on_the_averaged_maps_written_out():
    torch.manual_seed(0)
    edges, maps = DynamicEdges(FIVE, channels=6, hidden=8), rand(3, 6, 2, 5)
    hidden = (maps.flatten(2).mean(2) @ edges.fc1.weight.T + edges.fc1.bias).clamp(min=0)
    logits = hidden @ edges.fc2.weight.T + edges.fc2.bias
    for face in range(3):
        dense = torch.full((5, 5), -math.inf)
        dense[FIVE] = logits[face]
        torch.testing.assert_close(edges(maps)[face], dense.softmax(1))


def test_network_tells_the_edge_weights_of_each_face():
    images = rand(3, 3, 64, 64)
    model = small(head="dynamic").eval()
    weights = model.edge_weights(images)
    assert weights.shape == (3, 9, 9)
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 9))
    torch.testing.assert_close(weights, model.head.edges(model.features(images)))
    assert torch.equal(weights[0] > 0, landmark_graph(chain(50, 9)))


# ---------------------------------------------------------------------- layers


@pytest.mark.parametrize("batched", [False, True])
def test_semantic_graph_convolution_is_its_formula_written_with_loops(batched):
    torch.manual_seed(0)
    layer = SemanticGraphConv(3, 4)
    nn.init.normal_(layer.bias)
    x = randn(2, 5, 3)
    edges = rand(2, 5, 5, seed=1) if batched else rand(5, 5, seed=1)
    own, others = layer.weight.detach()
    for face in range(2):
        a = edges[face] if batched else edges
        for i in range(5):
            out = layer.bias.detach() + a[i, i] * (own.T @ x[face, i])
            for j in range(5):
                if j != i:
                    out = out + a[i, j] * (others.T @ x[face, j])
            torch.testing.assert_close(layer(x, edges)[face, i].detach(), out)


def test_graph_layer_normalizes_every_feature_over_faces_and_nodes():
    torch.manual_seed(0)
    layer, x = GraphLayer(3, 6, FIVE), randn(8, 5, 3)
    out = layer.convolution(x, layer.edges())
    mean, variance = out.mean((0, 1)), out.var((0, 1), unbiased=False)
    torch.testing.assert_close(layer(x, None), ((out - mean) / (variance + 1e-5).sqrt()).clamp(min=0))
    plain = GraphLayer(3, 6, FIVE, activate=False)
    torch.testing.assert_close(plain(x, None), plain.convolution(x, plain.edges()))
    assert plain(x, None).min() < 0, "the last layer gives places, with either sign"


def test_block_adds_its_input_to_two_layers():
    torch.manual_seed(0)
    x = randn(4, 5, 6)
    block = with_statistics(GraphBlock(6, FIVE), x, None)
    torch.testing.assert_close(block(x, None), x + block.second(block.first(x, None), None))
    assert not torch.equal(block.first.edges(), block.second.edges()), "each layer has weights of its own"


def written_out(head, maps, graph):
    """The graph head in evaluation mode, with nothing but functions."""

    def norm(x, layer, shape):
        x = (x - layer.running_mean.view(shape)) / (layer.running_var.view(shape) + 1e-5).sqrt()
        return x * layer.weight.view(shape) + layer.bias.view(shape)

    def row_softmax(logits):
        dense = torch.full((*logits.shape[:-1], *graph.shape), -1e9)
        dense[..., graph] = logits
        return dense.softmax(-1)

    def layer(x, part, edges, last=False):
        a = row_softmax(part.edges.logits) if edges is None else edges
        eye = torch.eye(len(graph))
        w = part.convolution.weight
        x = (a * eye) @ x @ w[0] + (a * (1 - eye)) @ x @ w[1] + part.convolution.bias
        return x if last else norm(x, part.norm, (1, 1, -1)).clamp(min=0)

    edges = None
    if head.edges is not None:
        pooled = maps.mean((2, 3))
        edges = row_softmax(head.edges.fc2(head.edges.fc1(pooled).clamp(min=0)))
    first, first_norm, _, second, second_norm, _ = head.embedding
    x = norm(F.conv2d(maps, first.weight, padding=1), first_norm, (1, -1, 1, 1)).clamp(min=0)
    x = norm(F.conv2d(x, second.weight, padding=1), second_norm, (1, -1, 1, 1)).clamp(min=0)
    x = x.reshape(len(maps), len(graph), -1)
    x = layer(x, head.input, edges)
    for block in head.blocks:
        x = x + layer(layer(x, block.first, edges), block.second, edges)
    return layer(x, head.output, edges, last=True)


@pytest.mark.parametrize("dynamic", [False, True])
def test_graph_head_is_embedding_and_layers_written_out(dynamic):
    torch.manual_seed(0)
    maps = randn(4, 6, 2, 3)
    head = with_statistics(GraphHead((6, 2, 3), FIVE, dynamic), maps)
    torch.testing.assert_close(head(maps), written_out(head, maps, FIVE))
    assert head(maps).shape == (4, 5, 2)
    assert len(head.blocks) == 4


def test_networks_of_one_seed_begin_with_all_the_weights_that_their_heads_share():
    static, dynamic, fc = (small(head=head).state_dict() for head in HEADS)
    graph_layers = {name for name in static if name.startswith("head.")} & set(dynamic)
    assert {"head.embedding.3.weight", "head.blocks.3.second.convolution.weight"} <= graph_layers
    for name in graph_layers:
        assert torch.equal(static[name], dynamic[name]), name
    backbone = {name for name in static if name.startswith("backbone.")}
    assert backbone
    for name in backbone:
        assert torch.equal(static[name], dynamic[name]), name
        assert torch.equal(static[name], fc[name]), name


@pytest.mark.parametrize("dynamic", [False, True])
def test_renumbering_the_landmarks_everywhere_renumbers_the_predictions(dynamic):
    torch.manual_seed(0)
    order = torch.tensor([3, 0, 4, 1, 2])
    maps = randn(4, 6, 2, 3)
    head = with_statistics(GraphHead((6, 2, 3), FIVE, dynamic), maps)
    other = GraphHead((6, 2, 3), FIVE[order][:, order], dynamic).eval()
    state = head.state_dict()
    number = torch.full((5, 5), -1)
    number[FIVE] = torch.arange(15)
    along = number[order][:, order].flatten()
    along = along[along >= 0]
    own_maps = (4 * order[:, None] + torch.arange(4)).flatten()
    for name, values in state.items():
        if name.endswith("place"):
            state[name] = other.state_dict()[name]
        elif name.endswith("logits") or name.startswith("edges.fc2"):
            state[name] = values[along]
        elif name.startswith(("embedding.3", "embedding.4")) and values.ndim:
            state[name] = values[own_maps]
    other.load_state_dict(state)
    torch.testing.assert_close(other(maps), head(maps)[:, order])


def test_a_landmark_hears_of_others_along_edges_alone():
    points = 14
    path = torch.eye(points, dtype=torch.bool)
    for i in range(points - 1):
        path[i, i + 1] = path[i + 1, i] = True
    torch.manual_seed(0)
    maps = randn(4, 6, 2, 2)
    head = with_statistics(GraphHead((6, 2, 2), path, dynamic=False), maps)
    nodes = head.embedding(maps).unflatten(1, (points, 4)).flatten(2).detach().requires_grad_()
    x = head.input(nodes, None)
    for block in head.blocks:
        x = block(x, None)
    head.output(x, None)[:, 0].sum().backward()
    heard = nodes.grad.abs().sum((0, 2)) > 0
    assert heard.tolist() == [True] * 11 + [False] * 3, "one edge for each of the ten layers"


# ---------------------------------------------------------------------- parameters and shapes


@pytest.mark.parametrize(("head", "millions"), [("static", "2.42"), ("dynamic", "2.77"), ("fc", "8.44")])
def test_heads_have_the_papers_parameters_at_98_points(head, millions):
    graph = landmark_graph(chain(200, 98), symmetric=False)
    model = StructureCoherentNet(98, graph, head=head)
    assert model.maps == (512, 8, 8)
    assert f"{count(model.head) / 1e6:.2f}" == millions
    embedding = 9 * 512 * 256 + 9 * 256 * 392 + 2 * 256 + 2 * 392
    layers = (2 * 256 * 128 + 3 * 128) + 8 * (2 * 128 * 128 + 3 * 128) + (2 * 128 * 2 + 2)
    expected = {
        "static": embedding + layers + 10 * 392,
        "dynamic": embedding + layers + 513 * 392 + 393 * 392,
        "fc": (512 * 64 + 1) * 256 + 257 * 196,
    }
    assert count(model.head) == expected[head]
    assert count(model) == expected[head] + 21_284_672, "ResNet-34 without its classifier"


def test_a_static_head_on_a_symmetric_graph_prints_the_same_count():
    model = StructureCoherentNet(98, landmark_graph(chain(200, 98)))
    assert f"{count(model.head) / 1e6:.2f}" == "2.42"


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("points", [29, 68, 98])
def test_landmarks_of_all_three_schemes_come_out_in_pixels_of_the_images_shape(points, head):
    mean_shape = chain(20, points).mean(0)
    model = small(points, head, size=(64, 48), mean_shape=mean_shape).eval()
    assert model.maps == (128, 4, 3)
    pred = model(rand(2, 3, 64, 48))
    assert pred.shape == (2, points, 2)
    assert (pred - mean_shape).norm(dim=2).max() < 20


@pytest.mark.parametrize("size", [32, 40, 96])
def test_small_backbone_gives_a_map_for_every_16_pixels(size):
    assert small(size=size).maps == (128, -(-size // 16), -(-size // 16))


@pytest.mark.parametrize("head", HEADS)
def test_first_predictions_lie_within_a_few_pixels_of_the_mean_face(head):
    mean_shape = chain(20, 9).mean(0)
    images = rand(8, 3, 64, 64)
    for seed in range(3):
        model = small(head=head, seed=seed, mean_shape=mean_shape)
        assert (model(images) - mean_shape).norm(dim=2).mean() < 3
        assert small(head=head, seed=seed)(images).norm(dim=2).mean() < 3, "without one, of the image's corner"


def test_mean_face_is_copied_and_saved_with_the_weights():
    mean_shape = chain(20, 9).mean(0)
    model = small(mean_shape=mean_shape)
    mean_shape.zero_()
    assert model.mean_shape.abs().max() > 10
    other = small(seed=2)
    other.load_state_dict(model.state_dict())
    images = rand(2, 3, 64, 64)
    assert torch.equal(other.eval()(images), model.eval()(images))


def test_weights_of_one_graph_do_not_silently_serve_another():
    model = small()
    state = model.state_dict()
    graph = torch.eye(9, dtype=torch.bool) | torch.eye(9, dtype=torch.bool).roll(1, 0)
    other = StructureCoherentNet(9, graph, "small", size=64)
    with pytest.raises(RuntimeError, match=r"size mismatch for head\.input\.edges"):
        other.load_state_dict(state)


def test_images_are_standardized_color_by_color_so_that_light_and_contrast_do_not_count():
    images = rand(3, 3, 64, 64)
    seen = standardize(images)
    torch.testing.assert_close(seen.mean((2, 3)), torch.zeros(3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std((2, 3), unbiased=False), torch.ones(3, 3))
    assert standardize(torch.full((1, 3, 4, 4), 0.3)).abs().max() < 1e-3
    model = small().eval()
    dimmed = images * torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1) + 0.2
    torch.testing.assert_close(model(dimmed), model(images), atol=1e-3, rtol=1e-4)


def test_gradient_of_images_is_finite_where_a_color_is_the_same_everywhere():
    images = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    standardize(images).sum().backward()
    assert images.grad.isfinite().all()


def test_building_a_network_leaves_batch_norm_without_statistics_and_in_training():
    model = small()
    assert not model.backbone.bn1.running_mean.any()
    assert all(module.training for module in model.modules())


# ---------------------------------------------------------------------- learning


@pytest.mark.parametrize("head", HEADS)
def test_gradient_reaches_every_parameter(head):
    model = small(head=head, mean_shape=chain(20, 9).mean(0))
    landmarks, images = chain(6, 9), rand(6, 3, 64, 64)
    loss = landmark_loss(model(images), landmarks)
    loss = loss + relative_location_loss(model(images), landmarks, laplacian(landmark_graph(chain(50, 9))))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("head", HEADS)
def test_network_learns_eight_random_faces_by_heart(head):
    landmarks, images = 16 + 4 * randn(8, 9, 2), rand(8, 3, 32, 32)
    model = small(head=head, size=32, mean_shape=landmarks.mean(0))
    matrix = laplacian(landmark_graph(landmarks))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    before = (model(images) - landmarks).norm(dim=2).mean().item()
    for _ in range(90):
        pred = model(images)
        loss = landmark_loss(pred, landmarks) + relative_location_loss(pred, landmarks, matrix)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = (model(images) - landmarks).norm(dim=2).mean().item()
    assert before > 4
    assert after < 1, f"{before:.2f} pixels before, {after:.2f} after"


# ---------------------------------------------------------------------- bad input

FACES = chain(10, 6)
CONSTANT = FACES.clone()
CONSTANT[:, 4, 1] = 12.5
GRAPH = landmark_graph(FACES)


def build(points=6, graph=GRAPH, **options):
    return StructureCoherentNet(points, graph, **{"backbone": "small", "size": 32, **options})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: landmark_graph(FACES[:, :3]), ValueError, r"landmarks must have k \+ 1 = 4 points or more; got 3"),
        (lambda: landmark_graph(FACES, k=6), ValueError, r"k \+ 1 = 7 points or more; got 6"),
        (
            lambda: landmark_graph(CONSTANT),
            ValueError,
            "the y of point 4 is 12.5 in all of them, and a constant has no correlation",
        ),
        (lambda: landmark_graph(FACES[:2]), ValueError, "landmarks must be of three faces or more, .*; got 2"),
        (lambda: landmark_graph(FACES, k=0), ValueError, "k must be 1 or more; got 0"),
        (lambda: landmark_graph(FACES, k=1.5), TypeError, "k must be a whole number; got float 1.5"),
        (lambda: landmark_graph(FACES[0]), ValueError, r"landmarks must have shape \[M, N, 2\]; got .*\[6, 2\]"),
        (lambda: landmark_graph(FACES.long()), TypeError, "landmarks must be floating point"),
        (lambda: landmark_graph(FACES * math.nan), ValueError, "landmarks must be finite"),
        (lambda: landmark_graph(None), TypeError, "landmarks must be a tensor or array; got NoneType"),
        (lambda: laplacian(GRAPH.float()), TypeError, r"adjacency must be a bool tensor \[N, N\]; got .*float32"),
        (lambda: laplacian(GRAPH[:4]), ValueError, r"adjacency must have shape \[N, N\]; got .*\[4, 6\]"),
        (
            lambda: laplacian(GRAPH & ~torch.eye(6).bool()),
            ValueError,
            "adjacency must connect every landmark to itself",
        ),
        (lambda: laplacian(torch.eye(6).bool()), ValueError, "every landmark a neighbor; point 0 has none but itself"),
        (lambda: build(68), ValueError, r"graph must have shape \[68, 68\]; got .*\[6, 6\]"),
        (lambda: build(graph=None), TypeError, r"graph must be a bool tensor \[6, 6\]; got NoneType"),
        (lambda: build(graph=GRAPH & ~torch.eye(6).bool()), ValueError, "graph must connect every landmark to itself"),
        (lambda: build(points=0), ValueError, "points must be 1 or more; got 0"),
        (lambda: build(graph_width=0), ValueError, "graph_width must be 1 or more; got 0"),
        (lambda: build(head="gcn"), ValueError, "head must be one of 'static', 'dynamic', 'fc'; got 'gcn'"),
        (lambda: build(backbone="vgg"), ValueError, "backbone must be one of 'resnet34', 'small'; got 'vgg'"),
        (lambda: build(size="32"), TypeError, "size must be a whole number; got str '32'"),
        (
            lambda: build(mean_shape=torch.zeros(68, 2)),
            ValueError,
            r"mean_shape must have shape \[6, 2\]; got .*\[68, 2\]",
        ),
        (lambda: build(mean_shape=torch.full((6, 2), math.inf)), ValueError, "mean_shape must be finite"),
        (lambda: build()(255 * rand(2, 3, 32, 32)), ValueError, "image must be RGB .* Divide by 255"),
        (lambda: build()(rand(2, 3, 64, 64)), ValueError, r"image must be RGB \[B, 3, 32, 32\] .*\[2, 3, 64, 64\]"),
        (lambda: build()(rand(3, 32, 32)), ValueError, "needs a batch axis"),
        (lambda: build().edge_weights(rand(1, 3, 32, 32)), TypeError, 'edge_weights needs head="dynamic"'),
        (lambda: build(head="fc").edge_weights(rand(1, 3, 32, 32)), TypeError, 'edge_weights needs head="dynamic"'),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_fully_connected_head_needs_no_graph():
    assert build(graph=None, head="fc").eval()(rand(2, 3, 32, 32)).shape == (2, 6, 2)


# ---------------------------------------------------------------------- the exercises' versions


def test_versions_of_the_exercises_are_the_librarys():
    landmarks = chain(40, 9)
    graph = landmark_graph(landmarks)
    assert torch.equal(exercises._adjacency(landmarks.double(), 3), graph)
    torch.testing.assert_close(exercises._laplacian(graph), laplacian(graph))
    layer, x, edges = SemanticGraphConv(3, 4), randn(2, 9, 3), graph / graph.sum(1, keepdim=True)
    nn.init.normal_(layer.bias)
    torch.testing.assert_close(exercises._graph_layer(x, edges, *layer.weight, layer.bias), layer(x, edges))
    ours = exercises._relative_location_loss(landmarks[:4], landmarks[4:8], laplacian(graph), soft_wing)
    torch.testing.assert_close(ours, relative_location_loss(landmarks[:4], landmarks[4:8], laplacian(graph)))
