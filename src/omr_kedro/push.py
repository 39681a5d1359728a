"""`kedro push`: the folder of the published dataset goes to a repository of the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from omr_kedro.llm.endpoint.redaction import without_user
from omr_kedro.publishing.front_matter import StatedSplit, stated_licences, stated_splits
from omr_kedro.publishing.licences import UNKNOWN
from omr_kedro.shards import BadInputError, OmrError
from omr_kedro.shards.printable import printable_name, printable_path

CARD = "README.md"
CROISSANT = "croissant.json"
_DATA = "data"
_DATA_FILE = re.compile(r"data/[\w-]+/[\w-]+-(\d{5})-of-(\d{5})\.parquet", re.ASCII)
_REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_SUSPECTS = 5


class PushError(OmrError):
    """The hub refuses, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class FileToPush:
    """A file that goes up."""

    path: str
    """In the repository."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push that came to its end."""

    url: str
    commit: str
    private: bool


def files_to_push(folder: Path) -> list[FileToPush]:
    """The files of a dataset's folder that go up: card, Croissant, Parquet; and no other that lies beside them.

    Raises:
        BadInputError: the card is missing, or does not agree with the files in names or in numbers of rows.
    """
    card = folder / CARD
    if not card.is_file():
        raise BadInputError(
            f"{printable_path(card)} is missing: a dataset goes up with its card. Make both: "
            "kedro run --pipelines publish,describe_dataset"
        )
    found = sorted(_data_files(folder))
    wrong = list(_disagreements(folder, stated_splits(card.read_text("utf-8")), found))
    if wrong:
        more = f" (and {len(wrong) - _SUSPECTS} more)" if len(wrong) > _SUSPECTS else ""
        raise BadInputError(
            f"{printable_path(folder)} is not as its card says: {'; '.join(wrong[:_SUSPECTS])}{more}. Nothing went up. "
            "Make it anew: kedro run --pipelines publish,describe_dataset"
        )
    texts = [name for name in (CARD, CROISSANT) if (folder / name).is_file()]
    return [FileToPush(name, (folder / name).stat().st_size) for name in (*texts, *found)]


def licence_warning(folder: Path, *, public: bool = False) -> str:
    """A sentence about rows for which the card names no licence; empty where it names all.

    Raises:
        BadInputError: everybody shall see them; or see `files_to_push`.
    """
    stated = stated_licences((folder / CARD).read_text("utf-8"))
    if stated and UNKNOWN not in stated:
        return ""
    if public:
        raise BadInputError(
            "The card names no licence for some rows, and everybody would see them. Nothing went up. Set "
            "`publish.license`, or `publish.licenses` by source (conf/base/parameters_publish.yml), then: "
            "kedro run --pipelines publish,describe_dataset"
        )
    return (
        "The card names no licence for some rows: nobody but you knows what they may be used for (`publish.license`)."
    )


def push(folder: Path, repo: str, *, public: bool = False, token: str | None = None) -> Pushed:
    """Upload the dataset; what went up before, in a push that was interrupted, does not go up again.

    Files below `data/` that the repository has of an earlier version and this one has not are deleted by the same push.

    Args:
        folder: of the dataset.
        repo: as `owner/name`; made where there is none.
        public: whether everybody may see a repository that is made by this push. Without it, one that everybody may see
            already is left alone.
        token: of the hub; without one, `HF_TOKEN` or that of `hf auth login`.

    Raises:
        BadInputError: see `files_to_push` and `licence_warning`; `repo` is no name of a repository.
        PushError: the hub refuses or cannot be reached; nothing of its answer but the status is told.
    """
    if not _REPO.fullmatch(repo):
        raise BadInputError(f"{printable_name(repo)} is no repository: it is written as owner/name.")
    files = files_to_push(folder)
    licence_warning(folder, public=public)
    api = HfApi(token=token)
    try:
        url = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        private = bool(api.repo_info(repo, repo_type="dataset").private)
        if not private and not public:
            raise PushError(
                f"Everybody can see {repo}. Nothing went up: say --public if that is meant, or name another repository."
            )
        done = api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[file.path for file in files],
            delete_patterns=[f"{_DATA}/*"],
            commit_message="Publish the dataset",
        )
    except OmrError:
        raise
    except Exception as error:  # the hub's client raises its own, its HTTP library's and OSError
        raise PushError(_explained(repo, error)) from None  # links to storage in its text are signed
    return Pushed(str(url), done.oid, private)


def _data_files(folder: Path) -> Iterator[str]:
    """Paths of the Parquet files.

    Raises:
        BadInputError: one is a link, so that it may be anybody's file.
    """
    for path in (folder / _DATA).rglob("*.parquet"):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        if not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
            raise BadInputError(f"{printable_path(path)} is a link; a dataset's files lie in its folder.")
        yield name.as_posix()


def _disagreements(folder: Path, stated: Iterable[StatedSplit], found: list[str]) -> Iterator[str]:
    named = set[str]()
    for split in stated:
        label = printable_name(f"{split.config}/{split.split}")
        named.update(split.files)
        if missing := [path for path in split.files if path not in found]:
            yield f"{label} lacks {printable_name(missing[0])}"
            continue
        if wrong := _misnamed(split.files):
            yield f"{label} has a file {printable_name(wrong)} that fits no count of files"
            continue
        try:
            rows = sum(pq.read_metadata(folder / path).num_rows for path in split.files)
        except (pa.ArrowException, OSError) as error:
            yield f"{label} has a file that is no Parquet ({type(error).__name__})"
            continue
        if rows != split.rows:
            yield f"{label} has {rows:,} rows, and {split.rows:,} on the card"
    yield from (f"the card does not name {printable_name(path)}" for path in found if path not in named)


def _misnamed(files: tuple[str, ...]) -> str | None:
    """A file whose name does not say its place among so many; None where all do."""
    for place, path in enumerate(sorted(files)):
        parts = _DATA_FILE.fullmatch(path)
        if not parts or (int(parts[1]), int(parts[2])) != (place, len(files)):
            return path
    return None


def _explained(repo: str, error: Exception) -> str:
    cause: BaseException | None = error
    while cause and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__ or cause.__context__
    again = "The same command goes on where it stopped."
    if isinstance(cause, HfHubHTTPError) and cause.response is not None:
        status = cause.response.status_code
        if status in (401, 403) or isinstance(cause, RepositoryNotFoundError):
            return f"The hub refuses {repo} ({status}): set HF_TOKEN to a token that may write to it. {again}"
        return f"{repo}: the hub answered {status}. {again}"
    return f"{repo}: the hub at {without_user(constants.ENDPOINT)} cannot be reached ({type(error).__name__}). {again}"
