"""Checkpoints as safetensors: plain tensors and a JSON header. Reading one never runs code, unlike a pickle.

safetensors is imported where it is used, so that a loop without checkpoints runs where only PyTorch is installed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gazecourse.errors import CourseError
from gazecourse.files import atomic_write

FILE_NAME = "checkpoint.safetensors"
_HEADER = "gazecourse"

Model = TypeVar("Model", bound=nn.Module)


def save_checkpoint(
    path: Path | str, model: nn.Module, optimizers: Sequence[Optimizer] = (), state: dict | None = None
) -> None:
    """Write weights, buffers, optimizer state and a JSON-able ``state`` to one file, whole or not at all.

    Tensors are named ``model.<name>`` and ``optimizer.<i>.<parameter>.<name>``; the optimizers' settings and plain
    numbers go into the header.

    Raises:
        FloatingPointError: a weight or an optimizer's tensor is NaN or infinite; such a state is not worth keeping.
        CourseError: the file could not be written (disk full, no permission).
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    settings = []
    for index, optimizer in enumerate(optimizers):
        own, plain = _flatten_optimizer(optimizer)
        tensors |= {f"optimizer.{index}.{name}": value for name, value in own.items()}
        settings.append(plain)
    _require_finite(tensors)
    # save_file refuses shared and channels-last memory: store plain contiguous copies.
    plain_tensors = {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}
    header = {_HEADER: json.dumps({"state": state or {}, "optimizers": settings})}
    with atomic_write(path) as temporary:
        try:
            save_file(plain_tensors, temporary, metadata=header)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load_checkpoint(path: Path | str, model: nn.Module, optimizers: Sequence[Optimizer] = ()) -> dict:
    """Load a checkpoint into ``model`` and ``optimizers``, which keep their devices. Returns the saved ``state``.

    Without optimizers only the weights are read: this is also how a trained model is loaded for use.

    Raises:
        FileNotFoundError: there is no such file.
        CourseError: the file is truncated, is no checkpoint of this course, or fits neither model nor optimizers.
    """
    path = Path(path)
    tensors, header = _read(path)
    weights = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
    if optimizers and len(header["optimizers"]) != len(optimizers):
        raise CourseError(f"{path} holds {len(header['optimizers'])} optimizers; {len(optimizers)} were given.")
    try:
        model.load_state_dict(weights)
        for index, optimizer in enumerate(optimizers):
            prefix = f"optimizer.{index}."
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            _restore_optimizer(optimizer, own, header["optimizers"][index])
    except (RuntimeError, ValueError) as error:
        raise CourseError(f"{path} does not fit this model: {error}") from error
    return header["state"]


def read_state(path: Path | str) -> dict:
    """The ``state`` that was saved with a checkpoint, without its tensors: what a model must be built like.

    Raises:
        FileNotFoundError, CourseError: as ``load_checkpoint``.
    """
    return _read(Path(path))[1]["state"]


def save_trained(path: Path | str, model: nn.Module, **state: object) -> None:
    """Write a model that can be shipped: in half precision, with its ``settings`` and JSON-able ``state`` beside them.

    Raises:
        CourseError: the file could not be written. FloatingPointError: a weight is NaN, infinite, or beyond 65504.
    """
    save_checkpoint(path, copy.deepcopy(model).half(), state={"settings": model.settings, **state})


def load_trained(path: Path | str, build: Callable[[dict], Model], *, known_by: str, name: str, remedy: str) -> Model:
    """A model that ``save_trained`` wrote, in evaluation mode and in single precision.

    Args:
        build: makes the model from its settings, as JSON gives them back.
        known_by: a setting that no other kind of model has.
        name: what kind of model it is, for messages. remedy: how to get one, for the message where there is no file.
    Raises:
        FileNotFoundError: no file at ``path``. CourseError: it is damaged, or holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no trained {name} at {path}; {remedy}.")
    settings = read_state(path).get("settings")
    if not isinstance(settings, dict) or known_by not in settings:
        raise CourseError(f"{path} is a checkpoint, but not of a {name}.")
    model = build(settings)
    load_checkpoint(path, model)
    return model.eval()


def _read(path: Path) -> tuple[dict[str, Tensor], dict]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise CourseError(f"{path} is damaged (cut off or altered): {error}. Delete it and train again.") from error
    except KeyError as error:
        raise CourseError(f"{path} is not a checkpoint of this course: its header lacks {error}.") from error


def _require_finite(tensors: dict[str, Tensor]) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise FloatingPointError(f"{name} holds NaN or infinity: this state is not saved.")


def _flatten_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict]:
    """Split an optimizer's state into tensors, named ``<parameter>.<name>``, and what JSON can hold."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict] = {}
    for parameter, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{parameter}.{name}"] = value
            else:
                plain.setdefault(str(parameter), {})[name] = value
    return tensors, {"plain": plain, "groups": state["param_groups"]}


def _restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], settings: dict) -> None:
    state: dict[int, dict] = {int(parameter): dict(values) for parameter, values in settings["plain"].items()}
    for key, value in tensors.items():
        parameter, name = key.split(".", 1)
        state.setdefault(int(parameter), {})[name] = value
    groups = [{name: _tuple(name, value) for name, value in group.items()} for group in settings["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for parameter, values in optimizer.state.items():  # moments in the weights' memory order, as before the save
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _tuple(name: str, value: object) -> object:
    """JSON knows no tuples: give (β₁, β₂) back as one."""
    return tuple(value) if isinstance(value, list) and name != "params" else value
