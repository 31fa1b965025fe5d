"""Robust losses for label noise: the module behind the notebooks of this artifact."""

__version__ = "0.1.0"
