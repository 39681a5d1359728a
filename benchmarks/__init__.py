"""Measurements, each a script of its own: `python -m benchmarks.NAME`; `python -m benchmarks` runs all."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout whose code is measured."""
