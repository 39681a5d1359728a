"""A published benchmark, in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from omr_kedro.datasets.hub import hub_snapshot
from omr_kedro.shards import BadInputError, Benchmark, Source


class BenchmarkDataset(AbstractDataset[NoReturn, Benchmark]):
    """Loads a `Benchmark`, which fetches its files when its rows are asked for.

    ```yaml
    benchmark_gsm8k:
      type: omr_kedro.datasets.BenchmarkDataset
      name: gsm8k
      repo: openai/gsm8k                # on the Hugging Face hub, or:
      filepath: null                    # .jsonl, .parquet, or a folder of them
      revision: 740312add88f781978c0658806c59bc2815b9866
      files: [main/test-*.parquet]      # the first pattern that matches anything decides
      fields: {problem: question}       # a list of fields is joined; benchmark_id: the field that holds the id
      count: 1319
    ```
    """

    def __init__(
        self,
        *,
        name: str,
        fields: dict[str, str | list[str] | None],
        repo: str | None = None,
        revision: str | None = None,
        files: list[str] | None = None,
        filepath: str | None = None,
        count: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the benchmark; see the class.

        Args:
            name: as reports will call it.
            fields: our column (`problem`, `benchmark_id`) -> the source's field.
            repo: a data set's repository on the hub.
            revision: its commit; needed when it is fetched.
            files: patterns of the files to read.
            filepath: local files, in place of the repository.
            count: problems that must be there.
            metadata: passed on to Kedro-Viz and other plugins.
        """
        self.metadata = metadata
        if not (repo or filepath) or not fields.get("problem") or set(fields) - {"problem", "benchmark_id"}:
            raise DatasetError(
                f"benchmark {name}: give `repo` or `filepath`, and in `fields` the source's field for `problem` and, "
                "if it has one, for `benchmark_id`"
            )
        self._name, self._repo, self._revision, self._files = name, repo, revision, files or ["*.parquet", "*.jsonl"]
        self._filepath = Path(filepath) if filepath else None
        self._fields, self._count = fields, count

    def load(self) -> Benchmark:
        """The benchmark; nothing is fetched yet."""
        problem, own_id = self._fields["problem"] or "", self._fields.get("benchmark_id")
        return Benchmark(
            name=self._name,
            origin=str(self._filepath or self._repo),
            revision=self._current_revision,
            fetch=self._fetch,
            problem=[problem] if isinstance(problem, str) else problem,
            id=own_id if isinstance(own_id, str) else None,
            count=self._count,
        )

    def save(self, data: NoReturn) -> None:
        """Refuse: others publish benchmarks."""
        raise DatasetError(f"benchmark {self._name} is input and is never written")

    def _current_revision(self) -> str:
        if self._filepath:
            return Source(self._filepath).digest()
        if not self._revision:
            raise BadInputError(
                f"the commit of {self._repo} to read is not set. Look it up on the repository's page on the hub "
                f'("Files and versions"), and write it into conf/local/globals.yml:\n'
                f"    benchmark_revisions: {{{self._name}: <commit>}}\n  {self._by_hand}"
            )
        return self._revision

    def _fetch(self) -> dict[str, Path]:
        if self._filepath:
            return {path.name: path for path in Source(self._filepath).files()}
        try:
            folder = hub_snapshot(str(self._repo), str(self._revision), self._files, "dataset").folder
        except BadInputError as error:
            raise BadInputError(f"{error}\n  {self._by_hand}") from error
        for pattern in self._files:
            if found := sorted(path for path in folder.glob(pattern) if path.is_file()):
                break
        return {path.relative_to(folder).as_posix(): path for path in found}

    @property
    def _by_hand(self) -> str:
        return (
            f"Or bring a .jsonl or .parquet file by hand, and name it in conf/local/catalog_benchmarks.yml:\n"
            f"    benchmark_{self._name}: {{filepath: <path>, fields: {{problem: <its field>}}}}"
        )

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        where = {"filepath": str(self._filepath)} if self._filepath else {"repo": self._repo}
        return {"name": self._name, **where, "revision": self._revision}
