"""Right answers written in other ways than the solutions, one module for each of ``gazecourse.exercises``."""
