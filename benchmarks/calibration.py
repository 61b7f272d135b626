"""How far a few pictures of a person, with known gaze, lower the error of a network that has never seen them.

    python benchmarks/calibration.py                # the quick profile, on two CPU cores
    python benchmarks/calibration.py --longer 3     # networks that learned three times as long

The networks are the ResNets of ``benchmarks/puregaze.py``, trained on *studio* or *wild*; the people are those of the
test sets of *laptop* and *lab*. Some of a person's first pictures are the labeled ones, the others are tested. How
people differ (``calibration.spread_of``) is learned from every other person and used for the rest, and the other way
round.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import puregaze
import torch
from kept import options_of_networks, use_profile
from report import by_seed, write
from torch import Tensor

from gazecourse.calibration import Calibration, Spread, calibrate, spread_of
from gazecourse.cross_domain import SOURCES, TARGETS, from_band, test_faces
from gazecourse.metrics import gaze_error
from gazecourse.training import predict

PICTURES = (1, 2, 4, 9, 16)
"""Labeled pictures of a person: the first ones. All after the last of these are tested."""

Way = Callable[[Tensor, Tensor, Spread], Calibration]


def mean_offset(predicted: Tensor, true: Tensor, spread: Spread) -> Calibration:
    """The mean of the errors, believed as it is: what is mostly done."""
    return calibrate(predicted, true, Spread(spread.noise, 1e3, 0.0))


def offset_alone(predicted: Tensor, true: Tensor, spread: Spread) -> Calibration:
    """The most probable offset."""
    return calibrate(predicted, true, Spread(spread.noise, spread.offset, 0.0))


WAYS: dict[str, Way] = {"mean error": mean_offset, "offset": offset_alone, "offset and matrix": calibrate}


def errors_of(predicted: Tensor, true: Tensor, person: Tensor) -> dict[str, float]:
    """Mean error without labeled pictures and with so many, by each way, in degrees; and how people differ."""
    names = person.unique()
    found: dict[str, list[float]] = {}
    spreads = []
    for half in (0, 1):
        others = torch.isin(person, names[1 - half :: 2])
        spreads.append(spread_of(predicted[others], true[others], person[others]))
        for one in names[half::2]:
            mine, yours = predicted[person == one], true[person == one]
            tested, wanted = mine[PICTURES[-1] :], yours[PICTURES[-1] :]
            found.setdefault("no picture", []).append(gaze_error(tested, wanted))
            for count in PICTURES:
                for name, way in WAYS.items():
                    correct = way(mine[:count], yours[:count], spreads[-1])
                    error = gaze_error(torch.from_numpy(correct(tested)).float(), wanted)
                    found.setdefault(f"{name}: {count}", []).append(error)
    degrees = {f"spread: {name}": sum(getattr(s, name) for s in spreads) / 2 for name in ("noise", "offset", "slope")}
    for name in ("spread: noise", "spread: offset"):
        degrees[name] = torch.rad2deg(torch.tensor(degrees[name])).item()
    return {name: sum(values) / len(values) for name, values in found.items()} | degrees


def main() -> None:
    """Measure every network on both target domains and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options_of_networks(parser, "calibration")
    options = parser.parse_args()
    use_profile(options.profile)
    plan = puregaze.Plan(tuple(options.seeds), ("ResNet",), (), 0, options.precision, longer=options.longer)
    tasks: dict[str, dict] = {}
    for source in SOURCES:
        for target in TARGETS:
            runs = []
            for seed in plan.seeds:
                network = puregaze.Trained(puregaze.Start("ResNet", source, seed), plan).plain()
                faces = test_faces(target)
                runs.append(errors_of(predict(network, faces, from_band), faces.gaze, faces.person))
            tasks[f"{source} → {target}"] = {name: by_seed([run[name] for run in runs]) for name in runs[0]}
            for name, cell in tasks[f"{source} → {target}"].items():
                print(f"{source} → {target:8}{name:24}" + "  ".join(f"{value:6.2f}" for value in cell["mean"]))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {**plan.settings(), "seeds": options.seeds}
    print(write(options.into, device, **settings, tasks=tasks))


if __name__ == "__main__":
    main()
