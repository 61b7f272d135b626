"""``GraphExplorer``: the Pearson graph of landmarks drawn on a face, with a slider for its neighbors k."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gazecourse import plotting
from gazecourse.face_drawings import draw_face, draw_graph, draw_points, edges_of
from gazecourse.models.structure_coherent import landmark_graph
from gazecourse.plotting import COLORS
from gazecourse.validation import Array, check_array, check_choice, check_whole, describe
from gazecourse.widgets.screen import Explorer

MOST_NEIGHBORS = 12
LABELS = {"k": "k (neighbors)", "point": "landmark", "symmetric": "symmetric"}


class GraphExplorer(Explorer):
    """Sliders for k and for the landmark that is looked at; on the left the whole graph, on the right its neighbors.

    ``show()`` puts it into the notebook; the last picture stays in the saved notebook with its description.
    ``set(name=value, …)`` moves sliders from code; ``values`` holds where they stand.

    Args:
        landmarks: [M, N, 2] of the training faces, pixels; they make the graph.
        image: [3, H, W], uint8 or in [0, 1], a face to draw on.
        points: [N, 2] its landmarks, pixels of the image.
        k: neighbors per landmark, 1 to 12 and below N.
        point: number of the landmark that is looked at.
        symmetric: also keep j → i wherever i → j is kept.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also as ``landmark_graph``.
    """

    def __init__(
        self, landmarks: Array, image: Array, points: Array, *, k: int = 3, point: int = 30, symmetric: bool = True
    ) -> None:
        check_array("landmarks", landmarks, ("M", "N", 2))
        self.landmarks = torch.as_tensor(landmarks).detach().cpu()
        self.image = torch.as_tensor(check_array("image", image, (3, "H", "W"), floating=False)).detach().cpu()
        check_array("points", points, tuple(self.landmarks.shape[1:]), hint="It must be one face of the same scheme.")
        self.points = torch.as_tensor(points).detach().cpu()
        super().__init__(photo=True)
        self.set(k=k, point=point, symmetric=symmetric)

    def set(self, **values: int | bool) -> None:
        """Move sliders: ``k``, ``point`` or ``symmetric``.

        Raises:
            TypeError: another type. ValueError: no such slider, or a value that it does not have.
        """
        for name, value in values.items():
            check_choice("slider", name, list(LABELS))
            if name == "symmetric":
                if not isinstance(value, bool):
                    raise TypeError(f"symmetric must be True or False; got {describe(value)}.")
            else:
                values[name] = check_whole(name, value, *self._limits(name))
        self.values |= values
        self._refresh()

    def _limits(self, name: str) -> tuple[int, int]:
        count = len(self.points)
        return (1, min(MOST_NEIGHBORS, count - 1)) if name == "k" else (0, count - 1)

    # ------------------------------------------------------------------ numbers
    def adjacency(self) -> torch.Tensor:
        """The graph as the sliders stand, bool [N, N]."""
        return landmark_graph(self.landmarks, self.values["k"], self.values["symmetric"])

    # ------------------------------------------------------------------ picture
    def figure(self) -> tuple[Figure, str]:
        """The picture as the sliders stand, and its description in words."""
        plotting.use_style()
        graph = self.adjacency()
        fig = Figure(figsize=(9.6, 4.9), layout="none")
        whole, near = fig.subplots(1, 2)
        fig.subplots_adjust(left=0.01, right=0.99, top=0.9, bottom=0.01, wspace=0.03)
        draw_face(whole, self.image)
        draw_graph(whole, self.points, graph)
        title = f"k = {self.values['k']}: {len(edges_of(graph))} edges, {int(graph.sum())} entries"
        whole.set_title(title, y=1.0, pad=6)
        self._draw_neighbors(near, graph)
        return fig, self._describe(graph)

    def _draw_neighbors(self, ax: Axes, graph: torch.Tensor) -> None:
        point = self.values["point"]
        draw_face(ax, self.image)
        draw_points(ax, self.points, color="#B0B0B0", size=7)
        neighbors = self._neighbors(graph)
        star = torch.zeros_like(graph).index_put_((torch.tensor(point), torch.tensor(neighbors)), torch.tensor(True))
        draw_graph(ax, self.points, star, color=COLORS["vermillion"])
        draw_points(ax, self.points[neighbors], color=COLORS["sky"], size=26)
        draw_points(ax, self.points[[point]], color=COLORS["vermillion"], size=44)
        ax.set_title(f"landmark {point} hears of {', '.join(map(str, neighbors))}", y=1.0, pad=6)

    def _neighbors(self, graph: torch.Tensor) -> list[int]:
        point = self.values["point"]
        return [other for other in graph[point].nonzero().flatten().tolist() if other != point]

    def _describe(self, graph: torch.Tensor) -> str:
        neighbors = self._neighbors(graph)
        counts = graph.sum(1) - 1
        form = "symmetric" if self.values["symmetric"] else "not symmetric"
        return (
            f"A face with {len(graph)} landmarks and the Pearson graph of k = {self.values['k']}, {form}: "
            f"{len(edges_of(graph))} edges, {int(graph.sum())} entries with the landmarks themselves, "
            f"{int(counts.min())} to {int(counts.max())} neighbors a landmark. Beside it landmark "
            f"{self.values['point']}, which hears of {', '.join(map(str, neighbors))}."
        )

    # ------------------------------------------------------------------ widgets
    def show(self) -> None:
        """Put sliders and picture into the notebook."""
        import ipywidgets

        self._controls = {name: self._control(name) for name in LABELS}
        box = ipywidgets.HBox(list(self._controls.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        plain = "Sliders for k and the landmark, a box for the symmetric graph (in a live notebook)."
        self._put(box, plain)

    def _control(self, name: str):
        import ipywidgets

        look = {"style": {"description_width": "100px"}, "layout": ipywidgets.Layout(width="300px", flex="0 0 auto")}
        look |= {"description": LABELS[name], "value": self.values[name]}
        if name == "symmetric":
            control = ipywidgets.Checkbox(**look)
        else:
            low, high = self._limits(name)
            control = ipywidgets.IntSlider(min=low, max=high, **look)
        return self._watched(name, control)
