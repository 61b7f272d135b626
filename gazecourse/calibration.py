"""Calibration: what a network gets wrong about one person, learned from a few pictures of theirs whose gaze is known.

Eyes differ in ways that no picture shows: the axis of sight is off the eye's own axis by up to 5°, to another side in
everybody. And a network may take one person's lids for a downward gaze in every picture. Such errors stay the same from
picture to picture, so a few labeled ones tell them:

    true − predicted = b + S · predicted + noise,

with an offset b [2] and a matrix S [2, 2] of the person's own. A few pictures cannot tell six numbers from noise. Other
people help: they show how far offsets and matrices go in general, and how large noise is (``spread_of``). With that,
``calibrate`` finds the most probable b and S: nearly none from one noisy picture, whatever the pictures say from many.

Everyone can make one labeled picture without a ruler: look into the camera. In the normalized frame that is (0, 0).

>>> spread = spread_of(predicted_of_others, true_of_others, person)
>>> correct = calibrate(predicted[:5], true[:5], spread)
>>> gaze = correct(predicted[5:])

Source: Bayesian linear regression, Bishop 2006, section 3.3. That gaze networks err by person: Zhang et al. 2018,
"Training person-specific gaze estimators from user interactions with multiple devices"; Lindén et al. 2019, "Learning
to personalize in appearance-based gaze tracking".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gazecourse.metrics import as_float64
from gazecourse.validation import Array, check_array, check_not_negative, check_positive

FEWEST = 4
"""Pictures of a person from which ``spread_of`` can tell offset and matrix, three numbers an axis, from noise."""


@dataclass(frozen=True)
class Spread:
    """How people differ in what a network gets wrong about them.

    Attributes:
        noise: of one picture, standard deviation of pitch and of yaw, radians; above 0.
        offset: how far offsets b go, root mean square of a coordinate, radians.
        slope: how far the entries of S go, root mean square, without unit.
    Raises:
        TypeError, ValueError: naming the attribute, what was expected and what came.
    """

    noise: float
    offset: float
    slope: float

    def __post_init__(self) -> None:
        check_positive("noise", self.noise)
        check_not_negative("offset", self.offset)
        check_not_negative("slope", self.slope)


@dataclass(frozen=True)
class Calibration:
    """What corrects one person's gaze.

    Attributes:
        offset: b [2], radians. slope: S [2, 2]; row i is the error of coordinate i (pitch, yaw).
    """

    offset: np.ndarray
    slope: np.ndarray

    def __call__(self, predicted: Array) -> np.ndarray:
        """Gaze [..., 2] (pitch, yaw) in radians, corrected.

        Raises:
            TypeError, ValueError: no floating-point array of that shape.
        """
        gaze = as_float64(check_array("predicted", predicted, ("...", 2)))
        return gaze + self.offset + gaze @ self.slope.T


def calibrate(predicted: Array, true: Array, spread: Spread) -> Calibration:
    """The most probable offset and matrix of one person.

    Args:
        predicted, true: [N, 2] (pitch, yaw) in radians, in one frame; one picture is enough.
        spread: of other people, by the same network.
    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came.
    """
    gaze, errors = _gaze_and_errors(predicted, true)
    if not len(gaze):
        raise ValueError("predicted must hold at least one picture; got none.")
    terms = _terms(gaze)
    prior = np.array([spread.offset, spread.slope, spread.slope]) ** 2
    # Solved among the N pictures, not among the three coefficients: so a spread of 0 is no special case.
    among_pictures = (terms * prior) @ terms.T + spread.noise**2 * np.eye(len(gaze))
    coefficients = prior[:, None] * terms.T @ np.linalg.solve(among_pictures, errors)
    return Calibration(coefficients[0], coefficients[1:].T)


def spread_of(predicted: Array, true: Array, person: Array) -> Spread:
    """How people differ, from several of whom there are enough pictures: by the method of moments.

    Each person's offset and matrix are fitted by least squares. What these fits would scatter by noise alone is taken
    off what they do scatter; where nothing is left, people do not differ.

    Args:
        predicted, true: [N, 2] (pitch, yaw) in radians. person: [N] integers.
    Raises:
        TypeError, ValueError: naming the argument; also fewer than two people with ``FEWEST`` pictures or more, or a
            network without error.
    """
    gaze, errors = _gaze_and_errors(predicted, true)
    check_array("person", person, (len(gaze),), floating=False)
    who = np.asarray(person)
    fits = [_fit(gaze[who == one], errors[who == one]) for one in np.unique(who) if (who == one).sum() >= FEWEST]
    if len(fits) < 2:
        raise ValueError(f"person must name two people or more with {FEWEST} pictures or more each; got {len(fits)}.")
    squares, freedom = sum(f.squares for f in fits), sum(f.freedom for f in fits)
    noise = float(np.sqrt(squares / freedom))
    if noise == 0:
        raise ValueError("predicted must have errors that offset and matrix do not explain; got none.")
    moments = np.mean([f.coefficients**2 - noise**2 * f.uncertainty[:, None] for f in fits], axis=(0, 2))
    offset, slope = moments[0], moments[1:].mean()
    return Spread(noise, float(np.sqrt(max(offset, 0.0))), float(np.sqrt(max(slope, 0.0))))


@dataclass(frozen=True)
class _Fit:
    """Least squares of one person: coefficients [3, 2], their variances [3] in those of the noise, what is left."""

    coefficients: np.ndarray
    uncertainty: np.ndarray
    squares: float
    freedom: int


def _fit(gaze: np.ndarray, errors: np.ndarray) -> _Fit:
    terms = _terms(gaze)
    inverse = np.linalg.pinv(terms)
    coefficients = inverse @ errors
    left = errors - terms @ coefficients
    return _Fit(coefficients, (inverse**2).sum(1), float((left**2).sum()), 2 * (len(gaze) - terms.shape[1]))


def _terms(gaze: np.ndarray) -> np.ndarray:
    """[N, 3]: 1, pitch, yaw."""
    return np.column_stack([np.ones(len(gaze)), gaze])


def _gaze_and_errors(predicted: Array, true: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both [N, 2], the second as true − predicted."""
    gaze = as_float64(check_array("predicted", predicted, ("N", 2)))
    return gaze, as_float64(check_array("true", true, gaze.shape)) - gaze
