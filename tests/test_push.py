"""Each push runs in a process of its own: the hub's library reads its settings once, when it is imported."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omr_kedro.publishing.front_matter import with_front_matter
from omr_kedro.push import files_to_push, licence_warning, push
from omr_kedro.shards import BadInputError
from tests.support.hub_to_write import HubToWrite
from tests.support.project import Project
from tests.support.waiting import wait_until

REPO = "team/olympiads"
STORED = f"datasets/{REPO}"
SIZES = {"cot": [3, 2], "tir": [4]}


def write_dataset(folder: Path, sizes: dict[str, list[int]]) -> None:
    """A folder with a card whose counts are those of its files."""
    for config, rows in sizes.items():
        place = folder / "data" / config
        place.mkdir(parents=True, exist_ok=True)
        for number, count in enumerate(rows):
            texts = [f"{config} {number} {row}" * 50 for row in range(count)]
            pq.write_table(
                pa.table({"problem": texts}), place / f"train-{number:05}-of-{len(rows):05}.parquet", compression="zstd"
            )
    write_card(folder, sizes)


def write_card(folder: Path, sizes: dict[str, list[int]], licence: Any = "mit") -> None:
    fields = {
        "license": licence,
        "configs": [
            {
                "config_name": config,
                "data_files": [
                    {
                        "split": "train",
                        "path": [f"data/{config}/train-{n:05}-of-{len(rows):05}.parquet" for n in range(len(rows))],
                    }
                ],
            }
            for config, rows in sizes.items()
        ],
        "dataset_info": [
            {"config_name": config, "splits": [{"name": "train", "num_examples": sum(rows)}]}
            for config, rows in sizes.items()
        ],
    }
    (folder / "README.md").write_text(with_front_matter(fields, "# Olympiads\n"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "dataset"
    write_dataset(place, SIZES)
    (place / "croissant.json").write_text("{}")
    return place


@pytest.fixture
def hub() -> Iterator[HubToWrite]:
    with HubToWrite() as server:
        yield server


def start(hub: HubToWrite, folder: Path, *, public: bool = False, token: str | None = None) -> subprocess.Popen[str]:
    code = f"""
from pathlib import Path
from omr_kedro.push import push
from omr_kedro.shards import OmrError
try:
    done = push(Path({str(folder)!r}), {REPO!r}, public={public})
    print("private" if done.private else "public", done.url, done.commit)
except OmrError as error:
    print("refused:", error)
"""
    env = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder.parent / "home"),
        "HF_TOKEN": token or hub.token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], env=env, stdout=pipe, stderr=pipe, text=True)


def pushed(hub: HubToWrite, folder: Path, **options: Any) -> str:
    process = start(hub, folder, **options)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert hub.token not in out + err
    assert "signed" not in out + err
    return out.strip()


def below(folder: Path) -> dict[str, bytes]:
    return {file.path: (folder / file.path).read_bytes() for file in files_to_push(folder)}


def test_a_push_makes_a_private_repository_that_holds_the_folder_and_nothing_that_lies_beside(
    hub: HubToWrite, folder: Path
) -> None:
    for name in (".made/README.md.crc32", "data/.lock", "data/cot/notes.txt", "secrets.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not for others")
    assert pushed(hub, folder) == f"private {hub.url}/{STORED} {hub.commits[0]}"
    assert hub.repos[STORED] == below(folder)
    assert set(hub.repos[STORED]) == {
        "README.md",
        "croissant.json",
        "data/cot/train-00000-of-00002.parquet",
        "data/cot/train-00001-of-00002.parquet",
        "data/tir/train-00000-of-00001.parquet",
    }


def test_a_push_that_was_killed_goes_on_where_it_stopped(hub: HubToWrite, folder: Path) -> None:
    contents = {name: data for name, data in below(folder).items() if name.endswith(".parquet")}
    keys = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    last = keys["data/tir/train-00000-of-00001.parquet"]
    hub.held.add(last)
    process = start(hub, folder)
    assert hub.holding.wait(60)
    wait_until(lambda: set(hub.uploads) == set(keys.values()) - {last})
    process.kill()
    process.communicate()
    assert hub.repos[STORED] == {}, "no half of a dataset is to be seen"
    hub.held.clear()
    assert pushed(hub, folder).startswith("private")
    assert hub.repos[STORED] == below(folder)
    assert set(hub.uploads.values()) == {1}
    commits = len(hub.commits)
    assert pushed(hub, folder).startswith("private")
    assert (len(hub.commits), set(hub.uploads.values())) == (commits, {1})


def test_files_of_an_earlier_version_go_away_with_the_push_of_the_next(hub: HubToWrite, folder: Path) -> None:
    pushed(hub, folder)
    for path in folder.rglob("*.parquet"):
        path.unlink()
    write_dataset(folder, {"cot": [6]})
    pushed(hub, folder)
    assert hub.repos[STORED] == below(folder)
    assert "data/cot/train-00001-of-00002.parquet" not in hub.repos[STORED]


def test_a_repository_is_public_only_where_that_was_said(hub: HubToWrite, folder: Path) -> None:
    assert pushed(hub, folder, public=True).startswith("public")
    write_dataset(folder, {"cot": [3, 3], "tir": [4]})
    before = dict(hub.repos[STORED])
    assert "Everybody can see team/olympiads. Nothing went up" in pushed(hub, folder)
    assert hub.repos[STORED] == before
    assert pushed(hub, folder, public=True).startswith("public")
    assert hub.repos[STORED] == below(folder)


@pytest.mark.parametrize("licence", ["unknown", ["mit", "unknown"], None, []])
def test_rows_without_a_licence_go_up_for_their_owner_alone(hub: HubToWrite, folder: Path, licence: Any) -> None:
    write_card(folder, SIZES, licence)
    told = pushed(hub, folder, public=True)
    assert told.startswith("refused: The card names no licence for some rows, and everybody would see them.")
    assert "Set `publish.license`" in told
    assert not hub.asked
    assert "The card names no licence" in licence_warning(folder)
    assert pushed(hub, folder).startswith("private")


def test_a_token_that_the_hub_refuses_is_told_without_the_token(hub: HubToWrite, folder: Path) -> None:
    told = pushed(hub, folder, token="hf_another_token")
    assert told.startswith("refused: The hub refuses team/olympiads (401): set HF_TOKEN")
    assert "hf_another_token" not in told


def test_a_hub_that_is_not_there_is_told(hub: HubToWrite, folder: Path) -> None:
    hub.url = "http://user:password@127.0.0.1:9"
    told = pushed(hub, folder)
    assert "the hub at http://127.0.0.1:9 cannot be reached" in told
    assert "password" not in told


@pytest.mark.parametrize("repo", ["olympiads", "team/", "../x/y", "team/olympiads\u202e", "https://hub/team/x"])
def test_a_name_that_is_no_repository_is_refused(folder: Path, repo: str) -> None:
    with pytest.raises(BadInputError, match="is no repository"):
        push(folder, repo)


def test_a_folder_without_a_card_does_not_go_up(folder: Path) -> None:
    (folder / "README.md").unlink()
    with pytest.raises(BadInputError, match=r"README\.md is missing"):
        files_to_push(folder)


def _too_many_on_the_card(folder: Path) -> None:
    write_card(folder, {"cot": [3, 3], "tir": [4]})


def _file_lost(folder: Path) -> None:
    (folder / "data/cot/train-00001-of-00002.parquet").unlink()


def _file_of_an_earlier_run(folder: Path) -> None:
    write_dataset(folder, {"cot": [5], "tir": [4]})


def _config_without_card(folder: Path) -> None:
    write_card(folder, {"cot": [3, 2]})


def _file_cut(folder: Path) -> None:
    path = folder / "data/tir/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def _link(folder: Path) -> None:
    path = folder / "data/tir/train-00000-of-00001.parquet"
    path.rename(folder.parent / "elsewhere.parquet")
    path.symlink_to(folder.parent / "elsewhere.parquet")


def _card_without_front_matter(folder: Path) -> None:
    (folder / "README.md").write_text("# Olympiads\n")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_too_many_on_the_card, "cot/train has 5 rows, and 6 on the card"),
        (_file_lost, r"cot/train lacks data/cot/train-00001-of-00002\.parquet"),
        (_file_of_an_earlier_run, r"the card does not name data/cot/train-00000-of-00002\.parquet"),
        (_config_without_card, r"the card does not name data/tir/train-00000-of-00001\.parquet"),
        (_file_cut, "tir/train has a file that is no Parquet"),
        (_link, "is a link"),
        (_card_without_front_matter, "has no front matter"),
    ],
)
def test_a_folder_that_is_not_as_its_card_says_does_not_go_up(folder: Path, harm: Any, told: str) -> None:
    harm(folder)
    with pytest.raises(BadInputError, match=told):
        files_to_push(folder)


def test_a_dry_run_lists_files_with_sizes_and_contacts_nobody(hub: HubToWrite, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    folder = project.path / "data/07_model_output/offline/dataset"
    write_dataset(folder, SIZES)
    write_card(folder, SIZES, "unknown")
    words = ("push", "--repo", REPO, "--env", "offline")
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home")}
    done = project.kedro(*words, "--dry-run", env=env)
    assert done.returncode == 0, done.stderr
    for file in files_to_push(folder):
        assert re.search(rf"{re.escape(file.path)} +{file.size:,}\b", done.stdout), done.stdout
    assert "Nothing went up. It would go to team/olympiads, where only its owner sees it." in done.stdout
    assert not hub.asked
    done = project.kedro(*words, env=env)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert said.index("The card names no licence for some rows") < said.index("only its owner sees it")
    assert hub.repos[STORED] == below(folder)
    assert hub.token not in done.stdout + done.stderr
