"""The one exception that the command line prints as a plain sentence."""

from __future__ import annotations


class CourseError(Exception):
    """Something the learner can put right; the message is one or two plain sentences that say how."""
