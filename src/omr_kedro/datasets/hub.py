"""Files of the Hugging Face hub, at a pinned revision, in the hub's shared cache (`HF_HOME`)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from omr_kedro.shards import BadInputError

RepoType = Literal["model", "dataset"]

# It prints its warnings by itself as well as through Kedro's log, which shows them all.
logging.getLogger("huggingface_hub").handlers.clear()

_FULL_HASH = re.compile(r"[0-9a-f]{40}")
_SHORT_HASH = re.compile(r"[0-9a-f]{7,39}")
_SUSPECTS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files of a repository as they were at one commit."""

    folder: Path
    commit: str
    """The full hash."""


def hub_snapshot(repo: str, revision: str, patterns: Iterable[str], kind: RepoType) -> Snapshot:
    """Files of a repository, from the cache, or downloaded to it and compared with the hub's checksums.

    A download that was interrupted goes on where it stopped.

    Args:
        repo: as `owner/name`.
        revision: hash of a commit, at least its first 7 digits. Names of branches are refused: they move.
        patterns: which files, as `*.parquet`.
        kind: of the repository.

    Raises:
        BadInputError: the revision is no hash, the hub cannot be reached, has no such files, or refuses; a file differs
            from its checksum.
    """
    wanted = _Wanted(repo, revision, list(patterns), kind)
    if not _FULL_HASH.fullmatch(revision) and not _SHORT_HASH.fullmatch(revision):
        raise BadInputError(f"{wanted}: a revision is pinned by the hash of its commit (7 to 40 hex digits).")
    commit = _cached_commit(wanted)
    if commit and (folder := _cached(wanted, commit)):
        return Snapshot(folder, commit)
    try:
        commit = revision if _FULL_HASH.fullmatch(revision) else _full_hash(wanted)
        folder = Path(snapshot_download(repo, repo_type=kind, revision=commit, allow_patterns=wanted.patterns))
        wrong = HfApi().verify_repo_checksums(repo, repo_type=kind, revision=commit).mismatches
    except BadInputError:
        raise
    except Exception as error:  # the hub's client raises its own, its HTTP library's and OSError
        raise BadInputError(_explained(wanted, error)) from error
    if wrong:
        raise BadInputError(_corrupt(wanted, wrong))
    if not _matching(folder, wanted.patterns):
        raise BadInputError(f"{wanted} holds no file {' or '.join(wanted.patterns)}.")
    return Snapshot(folder, commit)


@dataclass(frozen=True, slots=True)
class _Wanted:
    repo: str
    revision: str
    patterns: list[str]
    kind: RepoType

    def __str__(self) -> str:
        return f"{self.kind} {self.repo} at revision {self.revision}"


def _cached_commit(wanted: _Wanted) -> str | None:
    if _FULL_HASH.fullmatch(wanted.revision):
        return wanted.revision
    folder = f"{wanted.kind}s--{wanted.repo.replace('/', '--')}"
    found = [path.name for path in (Path(constants.HF_HUB_CACHE) / folder / "snapshots").glob(f"{wanted.revision}*")]
    return found[0] if len(found) == 1 else None


def _cached(wanted: _Wanted, commit: str) -> Path | None:
    try:
        folder = Path(
            snapshot_download(
                wanted.repo,
                repo_type=wanted.kind,
                revision=commit,
                allow_patterns=wanted.patterns,
                local_files_only=True,
            )
        )
    except (LocalEntryNotFoundError, CachedRepoTreeNotFoundError):
        return None
    return folder if _matching(folder, wanted.patterns) else None


def _matching(folder: Path, patterns: list[str]) -> bool:
    return any(file.is_file() for pattern in patterns for file in folder.glob(pattern))


def _full_hash(wanted: _Wanted) -> str:
    commits = [commit.commit_id for commit in HfApi().list_repo_commits(wanted.repo, repo_type=wanted.kind)]
    found = [commit for commit in commits if commit.startswith(wanted.revision)]
    if len(found) != 1:
        count = len(found) or "no"
        raise BadInputError(
            f"{wanted.kind} {wanted.repo} has {count} commits whose hash begins with {wanted.revision}."
        )
    return found[0]


def _explained(wanted: _Wanted, error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return f"{wanted} asks for consent to its terms: give it on its page, then set HF_TOKEN or run `hf auth login`."
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
        return f"{wanted} is not on the hub, or is private and needs HF_TOKEN."
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"{wanted}: the hub answered {error.response.status_code}. Try again later."
    included = " ".join(map(repr, wanted.patterns))
    return (
        f"{wanted} is not in the cache ({constants.HF_HUB_CACHE}), and the hub cannot be reached "
        f"({type(error).__name__}). On a machine with a network: hf download {wanted.repo} --repo-type {wanted.kind} "
        f"--revision {wanted.revision} --include {included}; then copy its cache here and set HF_HOME to it."
    )


def _corrupt(wanted: _Wanted, mismatches: Sequence[Mapping[str, Any]]) -> str:
    names = [mismatch["path"] for mismatch in mismatches]
    return (
        f"{wanted}: {len(names)} files differ from the hub's checksums, among them {', '.join(names[:_SUSPECTS])}. "
        f"Delete them from {constants.HF_HUB_CACHE} and start again."
    )
