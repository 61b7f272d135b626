"""Features as maps (UMAP), and as numbers: how well gaze, person or light order them.

A map is there to be looked at. UMAP keeps near things near, but neither its distances nor the gaps between its
clusters mean anything, so whatever is claimed is measured on the features themselves: ``neighborhood_agreement``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from gazecourse.validation import Array, check_array, check_positive, check_whole, describe

COMPONENTS = 50
"""Principal components that UMAP gets: they hold nearly all of the variance, and it is many times faster."""

LARGEST_SEED = 2**32 - 1


def umap_embedding(features: Array, *, neighbors: int = 15, min_distance: float = 0.1, seed: int = 0) -> np.ndarray:
    """A map of features: faces that the network sees as similar lie close together.

    Principal component analysis to at most 50 components, then UMAP (McInnes et al. 2018). The same features and seed
    give the same map on the same machine; another processor may round otherwise and draw another map.

    Args:
        features: [N, ...] of any unit, floating point; all but the first axis are flattened.
        neighbors: how many nearest faces UMAP keeps near, 2 to N − 1. Few show detail, many the large order.
        min_distance: how close points may lie in the map, above 0 and at most 1 (no unit).
        seed: of the layout, 0 to 2³² − 1.
    Returns:
        [N, 2] coordinates, float32, no unit; directions and scale are arbitrary.
    Raises:
        TypeError, ValueError: ``features`` is not a floating-point [N, ...], has no more samples than ``neighbors``,
            holds NaN or is the same for all faces; or another argument is out of range.
    """
    rows = _rows(features)
    check_whole("neighbors", neighbors, 2)
    check_positive("min_distance", min_distance)
    if min_distance > 1:
        raise ValueError(f"min_distance must be at most 1; got {min_distance!r}.")
    check_whole("seed", seed, 0, LARGEST_SEED)
    _check_enough(features, neighbors)
    if (rows == rows[0]).all():
        raise ValueError(f"features must differ between samples; got {len(rows)} equal ones.")
    return _umap(_principal_components(rows, seed), neighbors, min_distance, seed)


def neighborhood_agreement(
    features: Array, values: Array | Sequence[str], *, neighbors: int = 10, period: float | None = None
) -> float:
    """How well features order (or group) faces by a label: 1 perfectly, 0 or slightly below not at all.

    Each face is compared with its k nearest others in the feature space (Euclidean distance).

    For quantities (floating point: gaze yaw, brightness) it is the R² of predicting a face's value by the mean of its
    neighbors' values, which is k-nearest-neighbor regression with one face left out:

        1 − Σᵢ (vᵢ − mean of its neighbors' v)² / Σᵢ (vᵢ − v̄)²

    For categories (integers, bool, words: person, kind of light) it is the share s of neighbors with the face's own
    label, set against the share c that randomly drawn neighbors would have:

        (s − c) / (1 − c),   c = Σ_labels n (n − 1) / (N (N − 1))

    Features that say nothing about a quantity give about −1/k, because the mean of k random values scatters too.
    The two kinds cannot be compared: 0.5 of gaze and 0.5 of person are different things.

    Args:
        features: [N, ...] of any unit, floating point; flattened. The full features: distances in a map mislead.
        values: [N], one label per face: floats for quantities of any unit; integers, bool or words for categories.
        neighbors: k, from 1 to N − 1.
        period: for angles that wrap around, the value of a full turn (360 for degrees). They are compared as points on
            a circle then, so that 359° and 1° are neighbors. Quantities only.
    Returns:
        The agreement, at most 1.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came; also if all values are the same.
    """
    rows, labels = _rows(features), _labels(values, len(features))
    check_whole("neighbors", neighbors, 1)
    _check_enough(features, neighbors)
    nearest = _nearest(rows, neighbors)
    if labels.dtype.kind != "f":
        if period is not None:
            raise ValueError(f"period is for quantities (floats) only; got values that are {describe(values)}.")
        return _label_agreement(labels, nearest)
    if period is not None:
        turns = 2 * np.pi * labels / check_positive("period", period)
        return _explained_variance(np.stack([np.cos(turns), np.sin(turns)], axis=1), nearest)
    return _explained_variance(labels[:, None], nearest)


# --- arguments ----------------------------------------------------------------------------------


def _rows(features: Array) -> np.ndarray:
    """[N, D] float32 on the CPU; half precision is too coarse for distances."""
    check_array("features", features)
    if features.ndim < 2 or 0 in features.shape:
        raise ValueError(f"features must have shape [N, ...], one row per face; got {describe(features)}.")
    if isinstance(features, torch.Tensor):
        features = features.detach().float().cpu().numpy()
    return np.ascontiguousarray(features, dtype=np.float32).reshape(len(features), -1)


def _labels(values: Array | Sequence[str], count: int) -> np.ndarray:
    """[N], float64 for quantities and the number of the category for categories."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        labels = (values.double() if values.is_floating_point() else values).numpy()
    else:
        labels = np.asarray(values)
    if labels.dtype.kind not in "fiubU":
        raise TypeError(f"values must be floats (quantities), integers or words (categories); got {describe(values)}.")
    if labels.ndim != 1 or len(labels) != count:
        raise ValueError(f"values must be one per row of features, [{count}]; got {describe(labels)}.")
    kinds, numbers = np.unique(labels, return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"values must differ between faces; got {kinds[0]} for all {count}.")
    return check_array("values", labels).astype(np.float64) if labels.dtype.kind == "f" else numbers


def _check_enough(features: Array, neighbors: int) -> None:
    if len(features) <= neighbors:
        raise ValueError(f"features must hold at least neighbors + 1 = {neighbors + 1} samples; got {len(features)}.")


# --- the work -----------------------------------------------------------------------------------


def _principal_components(rows: np.ndarray, seed: int) -> np.ndarray:
    if rows.shape[1] <= COMPONENTS:
        return rows
    from sklearn.decomposition import PCA

    return PCA(min(COMPONENTS, len(rows)), random_state=seed).fit_transform(rows)


def _umap(rows: np.ndarray, neighbors: int, min_distance: float, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        # Notebooks print nothing to stderr, and there is nothing for a reader to do: clusters without a link between
        # them ("graph is not fully connected") are what a map of persons is meant to show.
        warnings.simplefilter("ignore")
        from umap import UMAP  # late: it compiles code, which takes seconds

        # More than one job would ignore the seed.
        settings = {"n_neighbors": neighbors, "min_dist": min_distance, "random_state": seed, "n_jobs": 1}
        # Its usual start, the eigenvectors of the graph, is not the same each time where the graph has several parts.
        # Principal components are, and keep the large order (Kobak and Linderman 2021).
        layout = UMAP(init="pca" if min(rows.shape) > 2 else "random", **settings)
        return np.asarray(layout.fit_transform(rows), dtype=np.float32)


def _nearest(rows: np.ndarray, neighbors: int) -> np.ndarray:
    """[N, k] numbers of each row's nearest others."""
    from sklearn.neighbors import NearestNeighbors

    # Without argument, kneighbors leaves each row itself out, by number, also where another row is equal.
    return NearestNeighbors(n_neighbors=neighbors, algorithm="brute").fit(rows).kneighbors(return_distance=False)


def _explained_variance(values: np.ndarray, nearest: np.ndarray) -> float:
    """R² of predicting ``values`` [N, D] by the mean over the neighbors."""
    residual = values - values[nearest].mean(axis=1)
    return float(1 - (residual**2).sum() / ((values - values.mean(axis=0)) ** 2).sum())


def _label_agreement(labels: np.ndarray, nearest: np.ndarray) -> float:
    shared = (labels[nearest] == labels[:, None]).mean()
    counts = np.unique(labels, return_counts=True)[1]
    chance = (counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1))
    return float((shared - chance) / (1 - chance))
