"""Figures of a cube, one kind of panel a file; of a sweep, and of one of its trajectories."""

from sweep.plots.figure import save_figure, save_path

__all__ = ["save_figure", "save_path"]
