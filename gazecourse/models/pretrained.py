"""ImageNet weights: taken from torchvision where they can be had, and one clear line that says which it was."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from gazecourse.errors import CourseError
from gazecourse.validation import describe

CONNECT_SECONDS = 3.0
"""Longer than this nobody waits to learn that there is no network."""


def load_imagenet(module: nn.Module, name: str, *, only: str = "", without: str = "") -> str:
    """Load torchvision's ImageNet weights into ``module``, if they are on disk or can be downloaded.

    Args:
        module: takes the weights whose names and shapes fit exactly.
        name: torchvision's name of the network, e.g. "alexnet" or "mobilenet_v2".
        only: take the weights below this prefix ("features."), without it, as far as ``module`` has a place for them:
            a network may keep the first blocks alone.
        without: leave out the weights below this prefix ("fc."), such as a classifier that ``module`` lacks.
    Returns:
        One line for the reader: "ImageNet weights ..." or "random weights: ..." with the reason.
    Raises:
        ValueError: the weights are there, and are those of another architecture.
        CourseError: the file on disk is damaged.
    """
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).DEFAULT
    where = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if not where.exists():
        try:
            _require_network(weights.url)
            where.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url, str(where), where.stem.rsplit("-", 1)[-1], progress=False)
        except (OSError, URLError, RuntimeError) as error:  # RuntimeError: what arrived has another checksum
            return f"random weights: those of ImageNet could not be had ({_reason(error)})"
    try:
        state = weights.get_state_dict(progress=False, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise CourseError(f"{where} is damaged. Delete it, and it is downloaded again.") from error
    if only:
        places = module.state_dict()
        state = {key.removeprefix(only): value for key, value in state.items() if key.startswith(only)}
        state = {key: value for key, value in state.items() if key in places}
    if without:
        state = {key: value for key, value in state.items() if not key.startswith(without)}
    load_weights(module, state)
    return f"ImageNet weights (torchvision, {weights.url.rsplit('/', 1)[-1]})"


def load_weights(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """``module.load_state_dict(state)``, with an error that names the first thing that does not fit.

    Raises:
        TypeError: ``state`` is no mapping.
        ValueError: a weight is missing, unknown or of another shape: the weights are another architecture's.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state must be a state_dict, weights by name; got {describe(state)}.")
    own = module.state_dict()
    problems: list[tuple[Callable[[str], str], list[str]]] = [
        (lambda n: f"has no {n}", sorted(own.keys() - state.keys())),
        (lambda n: f"has {n}, which the network lacks", sorted(state.keys() - own.keys())),
        (
            lambda n: f"has {n} with shape {list(state[n].shape)} where the network has {list(own[n].shape)}",
            [n for n in own if n in state and own[n].shape != state[n].shape],
        ),
    ]
    for describe_problem, names in problems:
        if names:
            more = f" (and {len(names) - 1} more like it)" if len(names) > 1 else ""
            raise ValueError(
                f"state must be the weights of this {type(module).__name__}; it {describe_problem(names[0])}{more}. "
                "They belong to another architecture, width or size."
            )
    module.load_state_dict(dict(state))


def _require_network(url: str) -> None:
    """Raise within seconds where the host cannot be reached: urllib by itself may wait for minutes."""
    if getproxies().get("https"):
        return  # the proxy decides; it cannot be asked without a download
    parts = urlparse(url)
    socket.create_connection((parts.hostname, parts.port or 443), CONNECT_SECONDS).close()


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"{urlparse(error.filename).hostname} answered HTTP {error.code}, {error.reason}"
    return "no network" if isinstance(error, (socket.gaierror, TimeoutError, URLError, ConnectionError)) else str(error)
