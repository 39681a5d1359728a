"""The root of the project's errors, and those of tables. Each message says what happened, where, and what to do."""


class OmrError(Exception):
    """Anything that this project can explain to the person who runs it."""


class BadInputError(OmrError):
    """Input that no stage may see; names file and line."""


class DiskFullError(OmrError):
    """The disk takes no more."""


class RowError(OmrError):
    """A row that does not fit its table's schema."""


class ShardCountError(OmrError):
    """The table on disk was made with another number of shards."""


class TableBusyError(OmrError):
    """Another process is writing the table."""


class MissingTableError(OmrError, FileNotFoundError):
    """A table, or a shard of one, that was never finished."""


class ChangedTableError(OmrError):
    """Another process has made a table anew while this one was reading it."""


class DamagedTableError(OmrError):
    """A file of a table no longer holds what was written."""


class UnmadeError(OmrError):
    """A table that should be finished lacks shards."""
