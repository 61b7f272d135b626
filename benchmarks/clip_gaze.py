"""CLIP-Gaze's cross-domain tasks and ablations (Yin et al. 2024), beside the baseline and PureGaze.

    python benchmarks/clip_gaze.py --processes 2            # the quick profile, on two CPU cores
    python benchmarks/clip_gaze.py --profile full           # the paper's sizes, on a GPU
    python benchmarks/clip_gaze.py --seeds 7 --ways --into again    # CLIP-Gaze and its own baseline with a new seed

The tasks, the faces, the length of both parts of a training and the interval of every number are those of
``benchmarks/puregaze.py``, and its networks serve as "baseline" and "PureGaze". CLIP-Gaze's network has another end
than theirs, and its gaze loss is the angle where theirs is L1, as in the papers. So it has a baseline of its own: in
the first part it learns with the gaze loss alone, and from there it goes on with that ("gaze loss alone") or with all
losses. These two differ in nothing but the losses. Ablations change one setting at a time; the kinds of prompts also
differ in how many images their context is learned from (``clip_gaze_training.LESSONS``).

CLIP is the course's own (``data_scripts/train_clip.py``). Like the paper's, it has seen more of the world than the gaze
network may: captioned faces of all four domains, without their gaze, and nobody from a test set. To see what that is
worth, ``--clip`` takes one that was trained on the sources alone (``train_clip.py --domains studio wild --out ...``).

A run that was cut off goes on where it stopped: each network is kept in the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import puregaze
import torch
from kept import (
    Kept,
    Measured,
    Rows,
    TwoParts,
    all_rows,
    common_options,
    print_errors,
    priors,
    table,
    use_profile,
)
from report import write
from torch import nn

from gazecourse.analysis.embedding import umap_embedding
from gazecourse.analysis.probes import features_of, leakage, named_leakage
from gazecourse.analysis.rank_agreement import rank_agreement
from gazecourse.checkpoint import load_checkpoint, save_checkpoint
from gazecourse.clip_gaze_training import (
    ClipFaces,
    ClipGazeSettings,
    Prompts,
    clip_gaze,
    gaze_alone,
    learn_context,
    loss_of_prompts,
    new_context,
)
from gazecourse.comparison import Method
from gazecourse.cross_domain import (
    SOURCES,
    TARGETS,
    face_band,
    from_band,
    test_faces,
)
from gazecourse.faces.dataset import FaceDataset
from gazecourse.models.clip import CLIP, load_course_clip
from gazecourse.models.clip_gaze import PersonalizedContext
from gazecourse.paths import CLIP_MODEL, runs_dir

FULL, ALONE = "CLIP-Gaze", "gaze loss alone"
EVERYWHERE = (*TARGETS, "home")


def weighed(**changes: object) -> ClipGazeSettings:
    """CLIP-Gaze's settings with some of the losses' weights or options changed."""
    usual = ClipGazeSettings()
    return replace(usual, weights=replace(usual.weights, **changes))


def scaled(factor: float) -> ClipGazeSettings:
    """CLIP-Gaze's settings with all three weights multiplied."""
    usual = ClipGazeSettings().weights
    return weighed(**{name: factor * getattr(usual, name) for name in ("separation", "distillation", "rank")})


ABLATIONS: Mapping[str, Mapping[str, ClipGazeSettings]] = {
    "losses": {
        "without separation": weighed(separation=0.0),
        "without distillation": weighed(distillation=0.0),
        "without rank loss": weighed(rank=0.0),
    },
    "prompts": {
        "written prompts": ClipGazeSettings(prompts="written"),
        "CoOp": ClipGazeSettings(prompts="coop"),
        "CoCoOp": ClipGazeSettings(prompts="cocoop"),
    },
    "groups": {f"{group} alone": ClipGazeSettings(groups=(group,)) for group in ClipGazeSettings().groups},
    "rank": {"without rank loss": weighed(rank=0.0), "RankSim's loss": weighed(ranking="ranksim")},
    "choices": {
        "weights × 0.1": scaled(0.1),
        "weights × 10": scaled(10.0),
        "distillation × 0.1": weighed(distillation=0.1),
        "rank loss × 10": weighed(rank=10.0),
        "temperature = 0.01": weighed(temperature=0.01),
        "all factors alike": weighed(weighting="uniform"),
        "cos²": weighed(similarity="squared"),
        "max(0, cos)": weighed(similarity="positive"),
        "centered prompts": ClipGazeSettings(centered=True),
        "margin = 0.1": weighed(margin=0.1),
        "violated pairs": weighed(average="violated"),
        "any pairs": weighed(pairs="any"),
    },
}
"""By way, the settings beside ``ClipGazeSettings()``, one changed at a time.

"choices" are those that the paper leaves open. They, and the losses, are tested on the other source domain too: if any
of them is to become the default, that is where to look, not at a target.
"""
WAYS = ("PureGaze", "probes", "fine-tuning", *ABLATIONS)
"""What is trained and measured besides CLIP-Gaze and its own baseline."""
ORDERED = (ALONE, FULL, "without separation", "without rank loss", "RankSim's loss")
"""Rows whose features are asked how well they are ordered by gaze."""
PROBED = (ALONE, FULL, "without separation")
"""Rows whose features are probed, before the filter and after it."""
MAPPED = 300
"""Faces on the maps."""
GAZE = ("gaze pitch", "gaze yaw", "head yaw", "identity")


@dataclass(frozen=True)
class Start:
    """One first part, from which several networks go on."""

    source: str
    seed: int


@dataclass(frozen=True)
class Plan(TwoParts):
    """What is trained.

    Attributes:
        ways: which of ``WAYS`` are gone.
        ablation_seeds: the first so many seeds also train the ablations and are probed.
        precision: Fabric's name of it.
        clip: checkpoint of the course's CLIP.
    """

    seeds: tuple[int, ...]
    ways: tuple[str, ...]
    ablation_seeds: int
    precision: str = "auto"
    clip: Path = CLIP_MODEL

    def starts(self) -> list[Start]:
        """All first parts, seed by seed: what is there when a run is cut off holds whole seeds."""
        return [Start(source, seed) for seed in self.seeds for source in SOURCES]

    def goes(self, way: str, start: Start) -> bool:
        """Whether this way is gone from there."""
        few = way == "probes" or way in ABLATIONS
        return way in self.ways and not (few and start.seed not in self.seeds[: self.ablation_seeds])

    def ablations(self, start: Start) -> dict[str, ClipGazeSettings]:
        """The ablations that go on from there."""
        ways = [settings for way, settings in ABLATIONS.items() if self.goes(way, start)]
        return {name: one for settings in ways for name, one in settings.items()}

    def settings(self) -> dict:
        """Everything that trainings depend on, besides their code, as JSON values."""
        ablations = {name: asdict(one) for way in ABLATIONS.values() for name, one in way.items()}
        return {
            **self.shared_settings(),
            "clip": hashlib.sha256(self.clip.read_bytes()).hexdigest()[:10],
            "clip_gaze": asdict(ClipGazeSettings()),
            "ablations": ablations,
            "band": asdict(face_band()),
            "precision": self.precision,
        }

    @property
    def digest(self) -> str:
        """Of the settings, but for the list of ablations: it may grow without making what is there out of date."""
        settings = {name: value for name, value in self.settings().items() if name != "ablations"}
        return _digest(settings)


def _digest(settings: dict) -> str:
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:10]


class Trained(Kept):
    """The networks of one first part, and what is measured of them."""

    def __init__(self, start: Start, plan: Plan) -> None:
        folder = runs_dir() / "clip-gaze" / f"{plan.digest}-{start.source}-seed{start.seed}"
        super().__init__(folder, start.source, start.seed, from_band, plan.precision)
        self.plan = plan

    @cached_property
    def clip(self) -> CLIP:
        """The frozen CLIP."""
        return load_course_clip(self.plan.clip)

    @cached_property
    def looked_at(self) -> ClipFaces:
        """The source's faces with what CLIP sees in them."""
        return ClipFaces(self.faces, self.clip)

    @cached_property
    def home_looked_at(self) -> ClipFaces:
        """The same of a quarter of the faces of people whom the networks have not seen."""
        return ClipFaces(self.home.some(max(1, len(self.home) // 4)), self.clip)

    def gaze_method(self) -> Method:
        """CLIP-Gaze's network without its losses."""
        return gaze_alone(self.clip)

    def beginning(self) -> nn.Module:
        """What the first part has learned."""
        method = self.gaze_method()
        return self.kept("first", method.build, lambda: self.learned(method, self.plan.first_part))

    def alone(self) -> nn.Module:
        """It goes on with the gaze loss alone."""
        method = self.gaze_method()
        return self.kept("alone", method.build, lambda: self.learned(method, self.plan.second_part, self.beginning()))

    def with_clip(self, settings: ClipGazeSettings) -> nn.Module:
        """It goes on as CLIP-Gaze."""

        def learn() -> nn.Module:
            prompts = Prompts(self.clip, self.context(settings), self.looked_at, centered=settings.centered)
            method = clip_gaze(self.clip, prompts, settings)
            return self.learned(method, self.plan.second_part, self.beginning(), self.looked_at)

        return self.kept(_key(settings), self.gaze_method().build, learn)

    def context(self, settings: ClipGazeSettings) -> PersonalizedContext:
        """The learned context of some prompts; settings that ask for the same prompts share it."""
        asked = replace(ClipGazeSettings(), **{name: getattr(settings, name) for name in CONTEXT})
        path = self.folder / f"context-{_key(asked)}.safetensors"
        context = new_context(self.clip, asked)
        if asked.prompts == "written":
            return context
        if path.exists():
            load_checkpoint(path, context)
            return context.requires_grad_(False).eval()
        context = learn_context(self.clip, self.looked_at, asked, seed=self.seed)
        save_checkpoint(path, context)
        return context

    def leaks(self, name: str, model: Callable[[], nn.Module], layers: Mapping[str, str]) -> Measured:
        """Scores of probes at each layer, on the source domain's unseen people.

        Args:
            layers: how a layer is called in the table, and its name in the network.
        """

        def measure() -> Measured:
            network, scores = model(), {}
            for label, layer in layers.items():
                features = features_of(network, self.home, layer, forward=from_band)
                found = leakage(features, self.home, GAZE, folds=3, resamples=1)
                found |= named_leakage(features, self.home, folds=3, resamples=1)
                scores |= {f"{label}: {factor}": probe.score for factor, probe in found.items()}
            return scores

        return self.measured(f"leaks-{name}", measure)

    def order(self, name: str, model: Callable[[], nn.Module], layer: str) -> Measured:
        """Spearman's correlation of the similarities of features and of gaze, in each domain."""

        def measure() -> Measured:
            network, found = model(), {}
            for domain in EVERYWHERE:
                faces = self.home if domain == "home" else test_faces(domain)
                features = features_of(network, faces, layer, forward=from_band)
                found[f"order: {domain}"] = rank_agreement(features, faces.gaze)
            return found

        return self.measured(f"order-{name}", measure)

    def words(self, settings: ClipGazeSettings) -> Measured:
        """Loss of the prompts on unseen people, in nats: how well they tell factors apart."""

        def measure() -> Measured:
            prompts = Prompts(self.clip, self.context(settings), self.home_looked_at)
            return {"loss of prompts": loss_of_prompts(prompts, self.home_looked_at)}

        return self.measured(f"words-{_key(settings)}", measure)


CONTEXT = ("prompts", "groups", "length", "steps", "rate")
"""Settings that learned context depends on."""


def _key(settings: ClipGazeSettings) -> str:
    """Name of what was made with some settings: it stays theirs however an ablation is called."""
    return _digest(asdict(settings))


def rows_of(start: Start, plan: Plan) -> Rows:
    """Everything that goes on from one first part: errors in degrees, scores of probes, orders of features."""
    trained = Trained(start, plan)
    settings = {FULL: ClipGazeSettings(), **plan.ablations(start)}
    models = {ALONE: trained.alone} | {name: partial(trained.with_clip, one) for name, one in settings.items()}
    keys = {ALONE: "alone"} | {name: _key(one) for name, one in settings.items()}
    rows: Rows = {}
    if plan.goes("PureGaze", start):
        rows |= rows_of_resnets(start, plan, trained)
    for name, model in models.items():
        rows[name] = trained.errors(keys[name], model, EVERYWHERE)
        if name in (ALONE, FULL, *ABLATIONS["losses"], *ABLATIONS["choices"]) and plan.goes("choices", start):
            rows[name] |= trained.errors(f"{keys[name]}-other", model, [s for s in SOURCES if s != start.source])
        if name in ORDERED:
            rows[name] |= trained.order(keys[name], model, "filter")
        if name in PROBED and plan.goes("probes", start):
            rows[name] |= trained.leaks(keys[name], model, {"before": "project", "after": "filter"})
        if name in (FULL, *ABLATIONS["prompts"]):
            rows[name] |= trained.words(settings[name])
        if name in (FULL, ALONE) and plan.goes("fine-tuning", start):
            rows[f"{name}, fine-tuned"] = trained.tuned_errors(keys[name], model)
    return rows


def resnets_of(start: Start, plan: Plan) -> puregaze.Trained:
    """The baseline and PureGaze of the same source and seed, as ``puregaze.py`` trains and keeps them."""
    resnets = puregaze.Plan(plan.seeds, ("ResNet",), (), 0, plan.precision, longer=plan.longer)
    return puregaze.Trained(puregaze.Start("ResNet", start.source, start.seed), resnets)


def rows_of_resnets(start: Start, plan: Plan, trained: Trained) -> Rows:
    """What is measured of the baseline and of PureGaze."""
    resnets = resnets_of(start, plan)
    rows: Rows = {}
    for name, key, model in (("baseline", "plain", resnets.plain), ("PureGaze", "purified", resnets.purified)):
        own = f"{resnets.folder.name}-{key}"
        rows[name] = resnets.errors(key, model, EVERYWHERE) | trained.order(own, model, "backbone")
        if plan.goes("probes", start):
            rows[name] |= trained.leaks(own, model, {"after": "backbone"})
        if plan.goes("fine-tuning", start):
            rows[f"{name}, fine-tuned"] = resnets.tuned_errors(key, model)
    return rows


def maps_of(start: Start, plan: Plan) -> dict:
    """Maps of the same unseen faces by the features of three networks, and which faces they are.

    Returns:
        "rows" [N] of ``FaceDataset(source, "test")``, and for each network [N, 2] coordinates without unit.
    """
    trained, resnets = Trained(start, plan), resnets_of(start, plan)
    networks = (
        ("baseline", resnets.plain, "backbone"),
        ("PureGaze", resnets.purified, "backbone"),
        (FULL, partial(trained.with_clip, ClipGazeSettings()), "filter"),
    )
    faces = FaceDataset(start.source, "test")
    # Drawn at random: every other image shows half of the people.
    rows = torch.randperm(len(faces), generator=torch.Generator().manual_seed(0))[:MAPPED].sort().values
    maps: dict = {"source": start.source, "seed": start.seed, "rows": rows.tolist()}
    for name, model, layer in networks:
        points = umap_embedding(features_of(model(), faces.subset(rows), layer, forward=from_band))
        maps[name] = [[round(float(value), 3) for value in point] for point in points]
    return maps


def compared_with(name: str) -> tuple[str, ...]:
    """The rows that a row's differences are taken from; those of an ablation, from CLIP-Gaze as it is."""
    tuned = "baseline, fine-tuned", "PureGaze, fine-tuned"
    others = {
        "baseline": (),
        "PureGaze": ("baseline",),
        ALONE: (),
        FULL: ("baseline", "PureGaze", ALONE),
        f"{ALONE}, fine-tuned": (),
        f"{FULL}, fine-tuned": (*tuned, f"{ALONE}, fine-tuned"),
        **dict.fromkeys(tuned, ()),
    }
    return others.get(name, (FULL,))


def main() -> None:
    """Train everything that is not yet there, print the errors and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common_options(parser, "clip_gaze")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), help="what is done besides CLIP-Gaze")
    parser.add_argument("--clip", type=Path, default=CLIP_MODEL, help="checkpoint of the course's CLIP")
    options = parser.parse_args()
    use_profile(options.profile)
    what = tuple(options.seeds), tuple(options.ways), options.ablation_seeds
    plan = Plan(*what, options.precision, options.clip.resolve(), longer=options.longer)
    load_course_clip(plan.clip)  # says at once what is missing
    heads = priors()
    runs = all_rows(rows_of, plan.starts(), plan, options.processes)
    found = table({s: [rows for at, rows in runs.items() if at.source == s] for s in SOURCES}, compared_with)
    print_errors(found)
    settings = {**plan.settings(), "seeds": options.seeds}
    settings |= {"ablation_seeds": options.seeds[: options.ablation_seeds]}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    maps = {"maps": maps_of(plan.starts()[0], plan)} if "PureGaze" in plan.ways else {}
    print(write(options.into, device, **settings, head_pose=heads, rows=found, **maps))


if __name__ == "__main__":
    main()
