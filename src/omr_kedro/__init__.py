"""Forum threads about mathematics in, a reasoning dataset one can train on and trust out."""

__version__ = "0.1.0"
