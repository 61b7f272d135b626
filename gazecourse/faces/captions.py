"""Sentences about faces in varied words, for models that learn from images and text.

``attributes.caption`` says everything about a face in one fixed sentence. Here a sentence says a few things, in one of
several wordings, and only what can be seen: ``seen`` leaves out the eye color behind sunglasses and the hair under a
helmet. Some wordings, and images with some combinations of factors, are held out of training, so that a test can tell
a model that understands words from one that knows sentences by heart.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gazecourse.faces.attributes import BLURRED, NAMED, Factors, luminance
from gazecourse.validation import check_choice, check_not_negative, check_whole, describe

UNSEEN = -1
"""Class of a factor that an image does not show."""

GROUPS = ("appearance", "wearable", "quality")
PROMPT = "An image of {who} with {what}."
"""CLIP-Gaze's prompt for one factor; see ``prompt``."""

_NAMES_THE_FACE = re.compile(r"an? ([\w-]+ )?(face|head)\b")
"""Phrases that a face cannot be "with", such as "a broad face": a person is."""

_ABSENT = {
    "face shape": ("a face of usual width",),
    "nose": ("a nose of usual width",),
    "mouth": ("a mouth of usual width",),
    "eyes": ("eyes of usual size",),
    "eyebrows": ("usual eyebrows",),
    "beard": ("no beard", "a shaved chin"),
    "glasses": ("no glasses", "eyes without glasses"),
    "hat": ("no hat", "a head without a hat"),
    "makeup": ("no makeup",),
    "brightness": ("usual light",),
    "light color": ("white light",),
    "noise": ("no sensor noise", "a picture without noise"),
    "motion": ("no motion blur",),
    "focus": ("a sharp picture", "a picture in focus"),
    "resolution": ("high resolution",),
    "compression": ("no compression artifacts",),
    "occluder": ("nothing in front of the face", "a free face"),
}
"""Words for the classes that ``attributes`` leaves unsaid."""

_MORE: dict[str, tuple[str, ...]] = {
    "thin-framed glasses": ("glasses with a thin frame",),
    "thick-framed glasses": ("glasses with a thick frame",),
    "sunglasses": ("dark glasses",),
    "a cap": ("a cap on the head",),
    "a beanie": ("a beanie on the head",),
    "a helmet": ("a helmet on the head",),
    "light makeup": ("a little makeup",),
    "heavy makeup": ("much makeup",),
    "light from the front": ("a face lit from the front", "light in front of the face"),
    "light from the left": ("a face lit from the left", "light on the left side"),
    "light from the right": ("a face lit from the right", "light on the right side"),
    "light from above": ("a face lit from above", "light above the face"),
    "light from below": ("a face lit from below", "light below the face"),
    "dim light": ("little light",),
    "bright light": ("much light",),
    "sensor noise": ("a noisy picture",),
    "motion blur": ("a picture blurred by motion",),
    "a blurred, out-of-focus picture": ("a picture out of focus", "a blurred picture"),
    "low resolution": ("a picture of low resolution",),
    "compression artifacts": ("a compressed picture",),
    "stubble": ("a short beard",),
    "a mustache": ("hair above the lips",),
    "a full beard": ("a long beard",),
    "a bald head": ("no hair",),
    "a smile": ("a smiling face",),
    "a laugh": ("a laughing face",),
    "a frown": ("a frowning face",),
    "a surprised look": ("a surprised face",),
    "a neutral expression": ("a neutral face",),
}
"""Further wordings of what ``attributes`` says."""

_HELD_OUT: dict[str, str] = {
    "thin-framed glasses": "glasses in a thin frame",
    "thick-framed glasses": "glasses in a thick frame",
    "sunglasses": "dark glasses on the face",
    "no glasses": "a face without glasses",
    "a cap": "a head with a cap",
    "a beanie": "a head with a beanie",
    "a helmet": "a head with a helmet",
    "no hat": "a face without a hat",
    "light from the front": "a face with light from the front",
    "light from the left": "a face with light from the left",
    "light from the right": "a face with light from the right",
    "light from above": "a face with light from above",
    "light from below": "a face with light from below",
    "a blurred, out-of-focus picture": "a face that is out of focus",
    "a sharp picture": "a sharp face",
    "no beard": "a face without a beard",
    "a full beard": "a beard that is long",
    "sensor noise": "a picture with sensor noise",
    "motion blur": "a face blurred by motion",
    "a smile": "a face that is smiling",
    "a laugh": "a face that is laughing",
}
"""A wording per phrase that training never uses, made of words that it does use."""


def _wordings(name: str) -> tuple[tuple[str, ...], ...]:
    table = []
    for phrase in NAMED[name].words:
        first = (phrase,) if phrase else _ABSENT[name]
        table.append((*first, *_MORE.get(phrase, ())))
    return tuple(table)


WORDINGS: Mapping[str, tuple[tuple[str, ...], ...]] = {name: _wordings(name) for name in NAMED}
"""For every named factor and each of its classes the wordings that training uses; the first is its usual one."""

HELD_OUT_WORDINGS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    name: tuple((_HELD_OUT.get(wordings[0], wordings[0]),) for wordings in table) for name, table in WORDINGS.items()
}
"""As ``WORDINGS``, for testing; a class that has no wording of its own for testing keeps the usual one."""

TEMPLATES = (
    "A photo of {who} with {what}.",
    "An image of {who} with {what}.",
    "This is {who} with {what}.",
    "A picture that shows {what} and {who}.",
    "{who}, {what}.",
)
HELD_OUT_TEMPLATES = ("This image shows {who} with {what}.", "A picture of {who}, {what}.")
BARE_TEMPLATES = ("A photo of {who}.", "An image of {who}.", "This is {who}.")
HELD_OUT_BARE_TEMPLATES = ("A picture of {who}.", "This image shows {who}.")
"""For sentences about sex and age alone."""


@dataclass(frozen=True)
class Combination:
    """Two classes of two factors, such as sunglasses and a cap, that no training image shows together."""

    first: str
    first_class: int
    second: str
    second_class: int

    def shown(self, facts: Mapping[str, Tensor]) -> Tensor:
        """bool [B]: whether an image shows both."""
        return (facts[self.first] == self.first_class) & (facts[self.second] == self.second_class)

    def __str__(self) -> str:
        return f"{WORDINGS[self.first][self.first_class][0]} and {WORDINGS[self.second][self.second_class][0]}"


def _combination(first: str, first_phrase: str, second: str, second_phrase: str) -> Combination:
    return Combination(first, NAMED[first].words.index(first_phrase), second, NAMED[second].words.index(second_phrase))


HELD_OUT_COMBINATIONS = (
    _combination("glasses", "thick-framed glasses", "hat", "a cap"),
    _combination("focus", "a blurred, out-of-focus picture", "light from", "light from the left"),
    _combination("sex", "a man", "hair style", "long hair"),
    _combination("glasses", "thin-framed glasses", "hair color", "gray hair"),
)


def held_out(facts: Mapping[str, Tensor]) -> Tensor:
    """bool [B]: whether an image shows a combination that is held out of training."""
    return torch.stack([combination.shown(facts) for combination in HELD_OUT_COMBINATIONS]).any(0)


# --- what can be seen -----------------------------------------------------------------------------


def seen(factors: Factors) -> dict[str, Tensor]:
    """Class [B] int64 of every named factor, or ``UNSEEN`` where an image does not show it.

    A shape is not seen from the side, an eye color not behind sunglasses, hair not under a beanie, a mouth not behind
    a hand; and where two lights are equally strong, light comes from no one side.
    """
    visible = _visible(factors)
    facts = {name: factor.classify(factors) for name, factor in NAMED.items()}
    return {
        name: torch.where(visible[name], value, UNSEEN) if name in visible else value for name, value in facts.items()
    }


def _visible(factors: Factors) -> dict[str, Tensor]:
    """bool [B] for the factors that are not always visible."""
    facing = factors.head_rotation[:, 2, 2]  # cosine of the angle between face and line of sight
    frontal, half, side = facing > 0.8, facing > 0.5, facing > 0.2
    clear_eyes = half & (NAMED["glasses"].classify(factors) != 3) & (factors.blink < 0.5)
    sharp = (factors.defocus < BLURRED) & (factors.resolution > 0.3)
    free_mouth = factors.occluder == 0
    open_top = factors.hat == 0
    has_hair = factors.hair_style > 0
    return {
        "face shape": frontal & free_mouth,
        "nose": frontal & free_mouth,
        "mouth": frontal & free_mouth,
        "eyes": clear_eyes & sharp,
        "eyebrows": half & (factors.hat != 3),
        "eye color": clear_eyes & sharp & (factors.resolution > 0.5),
        "hair color": has_hair & (open_top | (factors.hat == 1)),
        "hair style": open_top,
        "beard": side & free_mouth,
        "expression": half & free_mouth & ((factors.expression == 0) | (factors.expression_strength > 0.4)),
        "makeup": half & free_mouth,
        "glasses": side,
        "light from": _lit_from_one_side(factors),
    }


def _lit_from_one_side(factors: Factors) -> Tensor:
    """bool [B]: whether all lights together come from the side of the strongest one, and outshine the surroundings."""
    strength = luminance(factors.light_color)
    total = strength.sum(1) + luminance(factors.ambient_above + factors.ambient_below) / 2
    together = (strength.unsqueeze(2) * factors.light_direction).sum(1) / total.clamp(min=1e-6).unsqueeze(1)
    one_light = factors.replace(
        light_direction=torch.nn.functional.normalize(together, dim=1).unsqueeze(1).expand_as(factors.light_direction)
    )
    same_side = NAMED["light from"].classify(one_light) == NAMED["light from"].classify(factors)
    return same_side & (together.norm(dim=1) > 0.3)


# --- what is said ---------------------------------------------------------------------------------

UNSAID_WEIGHT = 0.3
"""How often a caption says "no hat", beside 1 for "a cap": what goes without saying is true of most images."""
RAREST = 1e-3
"""Share from which on a class counts as no rarer."""

AS_A_LOOK = 0.25
"""How often a caption says "a face with an old look" instead of "an old face", as the prompts of CLIP-Gaze do."""

Fact = tuple[str, int]
"""A factor's name and its class."""


Weights = Mapping[str, Sequence[float]]
"""By factor, how readily a caption mentions each of its classes."""


@dataclass(frozen=True)
class Caption:
    """A sentence, and the facts that it states."""

    text: str
    facts: tuple[Fact, ...]


def mention_weights(facts: Mapping[str, Tensor], power: float = 1.0) -> dict[str, tuple[float, ...]]:
    """Weights p^(-power) for classes that are a share p of the images that show the factor: people say what is rare.

    With ``power`` 1, "a helmet" is mentioned about as often as "no hat", however few helmets there are.

    Args:
        facts: of all images, from ``seen``. power: 0 or more.
    """
    check_not_negative("power", power)
    weights = {}
    for name, values in facts.items():
        shown = values[values != UNSEEN]
        share = torch.bincount(shown, minlength=len(WORDINGS[name])) / max(len(shown), 1)
        weights[name] = tuple((share.clamp(min=RAREST) ** -power).tolist())
    return weights


def captions(
    facts: Mapping[str, Tensor],
    *,
    rng: random.Random,
    most: int = 5,
    test: bool = False,
    weights: Weights | None = None,
) -> list[Caption]:
    """One sentence for each image, about one to ``most`` of the factors that it shows, chosen at random.

    Args:
        facts: from ``seen``, [B] each.
        rng: chooses the factors and the words; an equal one gives equal sentences.
        most: factors in a sentence.
        test: take the wordings that are held out of training.
        weights: how readily each class is mentioned, e.g. ``mention_weights(facts)``; None for 1, and
            ``UNSAID_WEIGHT`` for what goes without saying.
    Raises:
        TypeError, ValueError: no facts, or ``most`` is less than 1.
    """
    check_whole("most", most, 1)
    if not facts:
        raise ValueError("facts must hold a factor or more; got none.")
    weights = _USUAL_WEIGHTS if weights is None else weights
    rows = {name: values.tolist() for name, values in facts.items()}
    count = len(next(iter(rows.values())))
    made = []
    for i in range(count):
        visible = [(name, values[i]) for name, values in rows.items() if values[i] != UNSEEN]
        if not visible:
            raise ValueError(f"facts must say something about every image; image {i} shows none of them.")
        # The largest of u^(1/w) are a sample without replacement by the weights w (Efraimidis and Spirakis 2006).
        visible.sort(key=lambda fact: rng.random() ** (1 / weights[fact[0]][fact[1]]), reverse=True)
        chosen = visible[: rng.randint(1, min(most, len(visible)))]
        made.append(Caption(_sentence(chosen, rng, test), tuple(chosen)))
    return made


_USUAL_WEIGHTS: Weights = {
    name: tuple(1.0 if words else UNSAID_WEIGHT for words in factor.words) for name, factor in NAMED.items()
}


def _sentence(facts: Sequence[Fact], rng: random.Random, test: bool) -> str:
    table = HELD_OUT_WORDINGS if test else WORDINGS
    said = {name: rng.choice(table[name][value]) for name, value in facts}
    for name in ("sex", "age"):
        if name in said and rng.random() < AS_A_LOOK:
            said[f"{name} of the look"] = _as_noun(name, said.pop(name))
    bearer = "person" if any(_NAMES_THE_FACE.match(phrase) for phrase in said.values()) else None
    who = _who(said.pop("sex", None), said.pop("age", None), bearer or rng.choice(("person", "face")))
    templates = (
        (HELD_OUT_TEMPLATES if test else TEMPLATES) if said else (HELD_OUT_BARE_TEMPLATES if test else BARE_TEMPLATES)
    )
    text = rng.choice(templates).format(who=who, what=_list(list(said.values())))
    return text[0].upper() + text[1:]


def _who(sex: str | None, age: str | None, otherwise: str = "person") -> str:
    person = sex.removeprefix("a ") if sex else otherwise
    words = f"{age} {person}" if age else person
    return f"{'an' if words.startswith('o') else 'a'} {words}"


def _list(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}" if phrases else ""


def true_of(stated: Sequence[Caption], facts: Mapping[str, Tensor]) -> Tensor:
    """bool [B, N]: whether everything that caption j states is seen in image i.

    These are the positives of ``contrastive_loss``: among a few dozen factors, a short sentence is true of many images.

    Args:
        stated: N captions. facts: of B images, from ``seen``.
    """
    names = list(facts)
    table = torch.stack([facts[name].cpu() for name in names], dim=1)
    wanted = torch.full((len(stated), len(names)), UNSEEN)
    for row, caption in enumerate(stated):
        for name, value in caption.facts:
            wanted[row, names.index(name)] = value
    return ((table.unsqueeze(1) == wanted) | (wanted == UNSEEN)).all(2)


# --- prompts --------------------------------------------------------------------------------------


def class_prompts(name: str, *, test: bool = False) -> list[list[str]]:
    """For every class of a factor all sentences that name it alone: prompts for zero-shot classification.

    Args:
        name: of a factor in ``attributes.NAMED``.
        test: the wordings held out of training instead of those it uses.
    Raises:
        ValueError: no factor of that name.
    """
    check_choice("name", name, tuple(NAMED))
    table = HELD_OUT_WORDINGS if test else WORDINGS
    return [[text for phrase in phrases for text in _alone(name, phrase, test)] for phrases in table[name]]


def _alone(name: str, phrase: str, test: bool) -> list[str]:
    if name in ("sex", "age"):
        templates = HELD_OUT_BARE_TEMPLATES if test else BARE_TEMPLATES
        who = _who(phrase if name == "sex" else None, phrase if name == "age" else None)
        return [template.format(who=who) for template in templates]
    templates = HELD_OUT_TEMPLATES if test else TEMPLATES
    bearers = ("a person",) if _NAMES_THE_FACE.match(phrase) else ("a face", "a person")
    return [template.format(who=who, what=phrase) for template in templates for who in bearers]


def factor_phrases(groups: Sequence[str] = GROUPS) -> dict[str, tuple[str, ...]]:
    """c_k, the phrases for what gaze is not, by factor: one per class that ``attributes`` has words for.

    Args:
        groups: some of "appearance", "wearable" and "quality".
    Returns:
        Factor → phrases; ``prompt(phrase)`` is CLIP-Gaze's prompt.
    Raises:
        ValueError: no group, or another one.
    """
    if isinstance(groups, str) or not groups:
        raise ValueError(f"groups must be a list of one or more of {', '.join(GROUPS)}; got {describe(groups)}.")
    for group in groups:
        check_choice("groups", group, GROUPS)
    return {
        name: tuple(_as_noun(name, words) for words in factor.words if words)
        for name, factor in NAMED.items()
        if factor.group in groups
    }


def prompt(phrase: str) -> str:
    """CLIP-Gaze's prompt for a phrase of ``factor_phrases``: "An image of a face with a cap."."""
    return PROMPT.format(who="a person" if _NAMES_THE_FACE.match(phrase) else "a face", what=phrase)


def _as_noun(name: str, words: str) -> str:
    """A phrase that fits after "a face with"; sexes are persons, and ages are adjectives."""
    if name == "sex":
        return f"the look of {words}"
    return f"{'an' if words.startswith('o') else 'a'} {words} look" if name == "age" else words


def all_texts() -> Iterator[str]:
    """Everything that captions and prompts are made of: where the tokenizer's vocabulary comes from."""
    for table in (WORDINGS, HELD_OUT_WORDINGS):
        for classes in table.values():
            for wordings in classes:
                yield from wordings
    for phrases in factor_phrases().values():
        yield from map(prompt, phrases)
    for templates in (TEMPLATES, HELD_OUT_TEMPLATES, BARE_TEMPLATES, HELD_OUT_BARE_TEMPLATES):
        yield from (template.format(who="a person, an old face", what="that is and without") for template in templates)
