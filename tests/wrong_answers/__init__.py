"""Plausible wrong answers to the exercises, one module for each of ``gazecourse.exercises``."""
