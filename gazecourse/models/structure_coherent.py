"""Face alignment with a graph: landmarks that hold on to their neighbors (Lin et al., IEEE TIP 2021).

Would a graph library such as PyTorch Geometric serve better? Not here: it gathers features along lists of edges, which
pays off for large graphs of many shapes. These have 98 points at most and one shape, so that a whole adjacency matrix
is 9,604 numbers; a dense product with it takes a third of the time of gathering, allows weights that differ from face
to face, and is the paper's equation as it stands.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gazecourse.checkpoint import load_trained
from gazecourse.models.alexnet import map_shape
from gazecourse.models.inputs import check_images, check_size
from gazecourse.models.puregaze import resnet_features
from gazecourse.paths import LANDMARK_MODEL
from gazecourse.validation import check_array, check_choice, check_whole, describe

HEADS = ("static", "dynamic", "fc")
"""What leads from features to landmarks: graph layers with one set of edge weights or one per face, or the baseline."""

BACKBONES = ("resnet34", "small")

NODE_MAPS = 4
"""n, feature maps of the node embedding that each landmark owns."""

WIDTH = 128
"""Features of a node inside the graph layers."""

BLOCKS = 4
"""Residual blocks of two graph layers each."""

FC_UNITS = 256
"""Hidden units of the fully connected head: with 512 × 8 × 8 features and 98 points it has the paper's 8.44 M."""


# ---------------------------------------------------------------------- the graph


def landmark_graph(landmarks: Tensor, k: int = 3, symmetric: bool = True) -> Tensor:
    """Which landmarks move together: each one and its k most correlated others.

        C = ½ (|C_x| + |C_y|),   C_x, C_y: Pearson correlations of the x and y coordinates over all faces

    Each row keeps its k + 1 largest entries, of which the landmark itself is one. Ties go to the lower number.

    N landmarks choose k others each, and an edge serves two choices at most: the symmetric graph has N k/2 to N k
    edges. So 68 points with k = 3 have 102 or more. The graph that was released with the paper has 99; it is what k = 2
    can give (68 to 136), where the point itself counts among the three. Here k counts others, as the paper's text does.

    Args:
        landmarks: [M, N, 2] of M training faces, in pixels of crops that hold the face alike.
        k: neighbors per landmark.
        symmetric: also keep j → i wherever i → j is kept, so that some landmarks have more than k neighbors. Without
            it there are exactly N (k + 1) entries.
    Returns:
        Adjacency, bool [N, N]; row i says whom landmark i listens to, the diagonal is True.
    Raises:
        TypeError, ValueError: another shape, fewer than three faces (two always correlate perfectly), fewer than
            k + 1 points, or a coordinate that is the same in all faces and so correlates with nothing.
    """
    check_array("landmarks", landmarks, ("M", "N", 2))
    check_whole("k", k, 1)
    faces, points = landmarks.shape[:2]
    if faces < 3:
        raise ValueError(f"landmarks must be of three faces or more, or all correlate perfectly; got {faces}.")
    if points < k + 1:
        raise ValueError(f"landmarks must have k + 1 = {k + 1} points or more; got {points}.")
    places = torch.as_tensor(landmarks).detach().double()
    _check_varying(places)
    correlation = (_pearson(places[..., 0]).abs() + _pearson(places[..., 1]).abs()) / 2
    # Rounded, so that points that move just alike tie on every machine; and none of them comes before the point itself.
    correlation = correlation.round(decimals=12).fill_diagonal_(torch.inf)
    chosen = correlation.argsort(dim=1, descending=True, stable=True)[:, : k + 1]
    adjacency = torch.zeros_like(correlation, dtype=torch.bool).scatter_(1, chosen, True)
    return adjacency | adjacency.T if symmetric else adjacency


def _check_varying(places: Tensor) -> None:
    constant = (places.amax(0) == places.amin(0)).nonzero()
    if len(constant):
        point, axis = constant[0].tolist()
        raise ValueError(
            f"landmarks must vary from face to face; the {'xy'[axis]} of point {point} is {places[0, point, axis]:g} "
            "in all of them, and a constant has no correlation. Were they aligned on this point?"
        )


def _pearson(values: Tensor) -> Tensor:
    """Correlation matrix [N, N] of the columns of [M, N]."""
    centered = values - values.mean(0)
    unit = centered / centered.norm(dim=0)
    return unit.T @ unit


def laplacian(adjacency: Tensor) -> Tensor:
    """L of the relative location loss: L P is each landmark's offset from the mean of its neighbors.

        L_ii = 1,   L_ij = −1/|N_i| for the neighbors j ∈ N_i of i without i itself,   else 0

    Args:
        adjacency: bool [N, N], as ``landmark_graph`` makes it.
    Returns:
        float32 [N, N]; every row sums to 0. ``.to_sparse()`` serves the loss just as well.
    Raises:
        TypeError, ValueError: another shape or dtype, or a landmark without neighbors.
    """
    neighbors = _check_adjacency("adjacency", adjacency).clone().fill_diagonal_(False).float()
    count = neighbors.sum(1, keepdim=True)
    if bool((count == 0).any()):
        point = int((count == 0).nonzero()[0, 0])
        raise ValueError(f"adjacency must give every landmark a neighbor; point {point} has none but itself.")
    return torch.eye(len(neighbors), device=neighbors.device) - neighbors / count


def _check_adjacency(name: str, adjacency: Tensor, points: int | None = None) -> Tensor:
    size = "N" if points is None else points
    if not isinstance(adjacency, Tensor) or adjacency.dtype != torch.bool:
        raise TypeError(f"{name} must be a bool tensor [{size}, {size}]; got {describe(adjacency)}.")
    if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1] or points not in (None, len(adjacency)):
        raise ValueError(f"{name} must have shape [{size}, {size}]; got {describe(adjacency)}.")
    if not bool(adjacency.diagonal().all()):
        raise ValueError(f"{name} must connect every landmark to itself; the diagonal has False.")
    return adjacency


# ---------------------------------------------------------------------- edges


class Edges(nn.Module):
    """The places of a graph's edges, and the softmax over each row's own.

    Args:
        graph: adjacency, bool [N, N] with True on the diagonal.
    """

    def __init__(self, graph: Tensor) -> None:
        super().__init__()
        self.points = len(graph)
        self.register_buffer("place", graph.flatten().nonzero().squeeze(1))

    def __len__(self) -> int:
        """Number of entries that are not zero, the landmarks themselves included."""
        return len(self.place)

    def spread(self, logits: Tensor) -> Tensor:
        """A [..., N, N] from one number per edge [..., E]: positive on edges, rows sum to 1, exactly 0 elsewhere."""
        dense = logits.new_full((*logits.shape[:-1], self.points**2), -torch.inf)
        dense = dense.index_copy(-1, self.place, logits)
        return dense.unflatten(-1, (self.points, self.points)).softmax(-1)


class StaticEdges(Edges):
    """Edge weights that are learned once for all faces; they begin equal."""

    def __init__(self, graph: Tensor) -> None:
        super().__init__(graph)
        self.logits = nn.Parameter(torch.zeros(len(self)))

    def forward(self) -> Tensor:
        """A [N, N]."""
        return self.spread(self.logits)


class DynamicEdges(Edges):
    """Edge weights read from each face, so that the graph changes with pose and occlusion.

        global average pooling → fully connected, ReLU → fully connected → one number per edge → softmax over a row

    The paper's text pools the node embedding; its number of parameters says the backbone. Read from the backbone's 512
    maps, with as many hidden units as the node embedding has maps (392 at 98 points) and k + 1 = 4 entries a row, the
    head has the 2.77 M that the paper prints. Read from the embedding's 392 maps it would have 2.72 M, and 2.77 M only
    with about 450 hidden units, a width that is nowhere else. So the number decides; this choice is a reconstruction.

    Args:
        graph: adjacency, bool [N, N].
        channels: maps of the backbone.
        hidden: units of the first fully connected layer.
    """

    def __init__(self, graph: Tensor, channels: int, hidden: int) -> None:
        super().__init__(graph)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, len(self))

    def forward(self, maps: Tensor) -> Tensor:
        """A [B, N, N] from feature maps [B, C, h, w]."""
        return self.spread(self.fc2(torch.relu(self.fc1(maps.mean((2, 3))))))


# ---------------------------------------------------------------------- graph layers


class SemanticGraphConv(nn.Module):
    """Semantic graph convolution (Zhao et al. 2019): a node's own features and its neighbors' get different weights.

        out = (A ⊙ I) X W₀ + (A ⊙ (1 − I)) X W₁ + b

    Args:
        inputs, outputs: features per node.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for matrix in self.weight:
            nn.init.xavier_uniform_(matrix, gain=nn.init.calculate_gain("relu"))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """[B, N, outputs] from nodes X [B, N, inputs] and edge weights A [N, N] or [B, N, N]."""
        own = edges.diagonal(dim1=-2, dim2=-1)
        others = edges - torch.diag_embed(own)
        return own.unsqueeze(-1) * (x @ self.weight[0]) + others @ (x @ self.weight[1]) + self.bias


class GraphLayer(nn.Module):
    """A graph convolution, with edge weights of its own unless it is given those of the face.

    Args:
        inputs, outputs: features per node.
        graph: adjacency for weights of its own; None where ``forward`` brings them.
        activate: BatchNorm over all nodes and ReLU afterwards.
    """

    def __init__(self, inputs: int, outputs: int, graph: Tensor | None, activate: bool = True) -> None:
        super().__init__()
        self.edges = None if graph is None else StaticEdges(graph)
        self.convolution = SemanticGraphConv(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs) if activate else None

    def forward(self, x: Tensor, edges: Tensor | None) -> Tensor:
        """[B, N, outputs] from nodes [B, N, inputs]; ``edges`` [B, N, N] where the layer has none of its own."""
        x = self.convolution(x, edges if self.edges is None else self.edges())
        return x if self.norm is None else torch.relu(self.norm(x.mT).mT)


class GraphBlock(nn.Module):
    """Two graph layers and a shortcut around them.

    Args:
        width: features per node.
        graph: as in ``GraphLayer``.
    """

    def __init__(self, width: int, graph: Tensor | None) -> None:
        super().__init__()
        self.first = GraphLayer(width, width, graph)
        self.second = GraphLayer(width, width, graph)

    def forward(self, x: Tensor, edges: Tensor | None) -> Tensor:
        """[B, N, width] from nodes [B, N, width]."""
        return x + self.second(self.first(x, edges), edges)


# ---------------------------------------------------------------------- heads


class GraphHead(nn.Module):
    """From feature maps to landmarks by way of the graph.

        node embedding    3 × 3 convolution, C → C/2 → BN → ReLU; 3 × 3, → n·N → BN → ReLU; N nodes of n·h·w features
        graph layers      input → 128, four residual blocks of two, output → 2 without activation

    Every landmark owns n maps of the embedding, and hears of others along edges alone.

    Args:
        maps: shape (C, h, w) of the features.
        graph: adjacency, bool [N, N].
        dynamic: edge weights are read from every face, and shared by all layers; else each layer learns its own.
        width: features of a node inside the graph layers.
    """

    def __init__(self, maps: tuple[int, int, int], graph: Tensor, dynamic: bool, width: int = WIDTH) -> None:
        super().__init__()
        channels, rows, columns = maps
        self.points = len(graph)
        middle, nodes = max(1, channels // 2), NODE_MAPS * self.points
        self.embedding = nn.Sequential(
            nn.Conv2d(channels, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, nodes, 3, padding=1, bias=False),
            nn.BatchNorm2d(nodes),
            nn.ReLU(inplace=True),
        )
        own = None if dynamic else graph
        self.input = GraphLayer(NODE_MAPS * rows * columns, width, own)
        self.blocks = nn.ModuleList(GraphBlock(width, own) for _ in range(BLOCKS))
        self.output = GraphLayer(width, 2, own, activate=False)
        nn.init.normal_(self.output.convolution.weight, std=0.01)
        # Drawn last: with one seed the static and the dynamic head then begin with the same embedding and layers, and
        # a comparison of the two is one of their edges alone.
        self.edges = DynamicEdges(graph, channels, nodes) if dynamic else None

    def forward(self, maps: Tensor) -> Tensor:
        """[B, N, 2] from feature maps [B, C, h, w]."""
        edges = None if self.edges is None else self.edges(maps)
        x = self.embedding(maps).unflatten(1, (self.points, NODE_MAPS)).flatten(2)
        x = self.input(x, edges)
        for block in self.blocks:
            x = block(x, edges)
        return self.output(x, edges)


class FullyConnectedHead(nn.Module):
    """The baseline: every landmark depends on every hidden unit, and so on every other landmark.

    Args:
        maps: shape (C, h, w) of the features.
        points: N.
    """

    def __init__(self, maps: tuple[int, int, int], points: int) -> None:
        super().__init__()
        channels, height, width = maps
        self.points = points
        self.fc1 = nn.Linear(channels * height * width, FC_UNITS)
        self.fc2 = nn.Linear(FC_UNITS, 2 * points)
        nn.init.normal_(self.fc2.weight, std=0.01)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, N, 2] from feature maps [B, C, h, w]."""
        return self.fc2(torch.relu(self.fc1(maps.flatten(1)))).unflatten(1, (self.points, 2))


# ---------------------------------------------------------------------- the network


def _backbone(name: str) -> nn.Sequential:
    if name == "resnet34":
        return resnet_features(34)
    # A quarter of ResNet-18's width, and a stride of 16: 8 × 8 maps, as the paper has them, from images of 128.
    return resnet_features(18, width=0.25, stride=16)


class StructureCoherentNet(nn.Module):
    """Landmarks from a face: a ResNet trained from scratch, then graph layers or the head that they replace.

    Without the backbone, and at 256² and 98 points, the heads have 2.42 M (static), 2.77 M (dynamic, with four entries
    a row of the graph) and 8.44 M parameters (fc). The static and dynamic weights are described at ``StaticEdges`` and
    ``DynamicEdges``.

    Args:
        points: N, such as 29 (COFW), 68 (300W) or 98 (WFLW).
        graph: adjacency, bool [N, N], from ``landmark_graph``. The "fc" head has no use for it.
        backbone: "resnet34", or "small" for a CPU.
        head: "static", "dynamic" or "fc".
        size: height and width of the face in pixels.
        graph_width: features of a node inside the graph layers; 128 in the paper, fewer for a CPU.
        mean_shape: [N, 2] pixels, the mean face of the training set; the head predicts the offset from it. Default:
            zeros.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """

    def __init__(
        self,
        points: int,
        graph: Tensor | None = None,
        backbone: str = "resnet34",
        head: str = "static",
        size: int | tuple[int, int] = 256,
        *,
        graph_width: int = WIDTH,
        mean_shape: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.points = check_whole("points", points, 1)
        check_choice("backbone", backbone, BACKBONES)
        check_choice("head", head, HEADS)
        self.size = check_size(size)
        self.backbone = _backbone(backbone)
        self.maps = map_shape(self.backbone.eval(), self.size)
        self.backbone.train()
        if head == "fc":
            self.head = FullyConnectedHead(self.maps, self.points)
        else:
            graph = _check_adjacency("graph", graph, self.points)
            width = check_whole("graph_width", graph_width, 1)
            self.head = GraphHead(self.maps, graph, head == "dynamic", width)
        # Wing and soft wing pull the less the further off a landmark is: at 100 pixels soft wing's slope is 0.2, at 5
        # it is 3.6. A network that begins at the corner of the image would first have to bring all landmarks near, and
        # those that are nearest would be pulled most. It begins at the mean face, for the last layer is small.
        mean = torch.zeros(points, 2) if mean_shape is None else _check_mean_shape(mean_shape, points)
        self.register_buffer("mean_shape", mean)
        self.settings = {"points": self.points, "backbone": backbone, "head": head, "size": self.size}
        self.settings |= {} if head == "fc" else {"graph": graph.nonzero().tolist(), "graph_width": graph_width}

    def features(self, image: Tensor) -> Tensor:
        """Feature maps [B, C, h, w] for RGB images [B, 3, H, W] in [0, 1]."""
        images = check_images("image", image, self.size).to(self.mean_shape.dtype)
        return self.backbone(standardize(images))

    def edge_weights(self, image: Tensor) -> Tensor:
        """A [B, N, N] that the dynamic head reads from each face; row i says how much landmark i hears from whom.

        Raises:
            TypeError: the head is not dynamic: its weights are those of its layers, whatever the face.
        """
        edges = getattr(self.head, "edges", None)
        if edges is None:
            raise TypeError('edge_weights needs head="dynamic"; other heads read no weights from the face.')
        return edges(self.features(image))

    def forward(self, image: Tensor) -> Tensor:
        """P [B, N, 2], (x, y) in pixels, for RGB images [B, 3, H, W] in [0, 1]."""
        return self.mean_shape + self.head(self.features(image))


def _check_mean_shape(mean_shape: Tensor, points: int) -> Tensor:
    """A copy of the mean face in float32."""
    return torch.as_tensor(check_array("mean_shape", mean_shape, (points, 2))).detach().float().clone()


def standardize(images: Tensor) -> Tensor:
    """Every color of every image with mean 0 and standard deviation 1, as the paper trains.

    Args:
        images: [B, 3, H, W].
    Returns:
        Same shape; a color that is the same everywhere becomes 0, to rounding.
    """
    centered = images - images.mean((2, 3), keepdim=True)
    variance = centered.square().mean((2, 3), keepdim=True)
    return centered / variance.clamp(min=1e-6).sqrt()  # clamped first: the root has no gradient at 0


# ---------------------------------------------------------------------- files


def load_landmark_net(path: Path | str = LANDMARK_MODEL) -> StructureCoherentNet:
    """A trained network, in evaluation mode and in single precision; default the one that comes with the course.

    Raises:
        FileNotFoundError: no file at ``path``. CourseError: it is damaged, or no landmark network of this course.
    """
    remedy = "python data_scripts/train_landmarks.py trains one"
    return load_trained(path, _from_settings, known_by="backbone", name="landmark network", remedy=remedy)


def _from_settings(settings: dict) -> StructureCoherentNet:
    settings = {**settings, "size": tuple(settings["size"])}
    if "graph" in settings:
        edges = torch.tensor(settings["graph"])
        graph = torch.zeros(settings["points"], settings["points"], dtype=torch.bool)
        settings["graph"] = graph.index_put_(tuple(edges.T), torch.tensor(True))
    return StructureCoherentNet(**settings)
