"""A table that is split out of one stream: each row names its shard."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from omr_kedro.shards.code import code_digest
from omr_kedro.shards.identity import fingerprint, shard_names
from omr_kedro.shards.recipes import Check, Finished, Row, Scratch, accept
from omr_kedro.shards.spools import Spool

# Bytes of rows in memory before they are put into the files of their shards, each of which is opened for that and
# closed again: systems allow 1,024 open files, tables have more shards.
_BUFFER = 1 << 24


@dataclass(frozen=True)
class SplitShards:
    """A stream of rows, each of which names its shard."""

    fingerprints: Mapping[str, str]
    stream: Callable[[], Iterable[tuple[str, Row]]]
    tidy: Callable[[Iterator[Row]], Iterable[Row]]
    check: Check = accept

    def finished(self, pending: Sequence[str], scratch: Callable[[str], Scratch]) -> Generator[Finished, None, None]:
        """Lay every row aside in its shard's file in one pass, then give the shards one at a time."""
        spools = {shard_id: Spool(scratch(shard_id)) for shard_id in pending}
        try:
            self._fill(spools)
            for shard_id, spool in spools.items():
                yield Finished(shard_id, self.tidy(spool.take()))
        finally:
            for spool in spools.values():
                spool.delete()

    def _fill(self, spools: Mapping[str, Spool]) -> None:
        buffered = 0
        for shard_id, row in self.stream():
            if shard_id in spools:
                buffered += spools[shard_id].add(row)
            if buffered >= _BUFFER:
                _flush(spools.values())
                buffered = 0
        _flush(spools.values())


def split_stream(
    stream: Callable[[], Iterable[tuple[str, Row]]],
    shards: int,
    by: object,
    tidy: Callable[[Iterator[Row]], Iterable[Row]] = lambda rows: rows,
) -> SplitShards:
    """Split a stream of `(shard id, row)` into a table.

    Args:
        stream: starts the stream anew at each call.
        shards: number of shards of the table.
        by: what decides the rows, as JSON can hold it: a digest of the source, parameters.
        tidy: applied to the rows of each shard, in the stream's order.
    """
    made_by = fingerprint(code_digest(stream, tidy), by)
    return SplitShards(dict.fromkeys(shard_names(shards), made_by), stream, tidy)


def _flush(spools: Iterable[Spool]) -> None:
    for spool in spools:
        spool.flush()
