"""Forum threads about mathematics in, a reasoning dataset one can train on and trust out."""

import os

__version__ = "0.1.0"

# Arrow's default pool keeps what it once held: 70 MB more in each process that streams Parquet (`make bench`), and no
# faster. Arrow reads this when it is first imported.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
