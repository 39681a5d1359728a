"""The exam of a project: its table on the screen, paid once, compared with another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from omr_kedro.cli import cli
from omr_kedro.lineage.exams import NoSuchExamError
from tests.support.exam import STAGES, Examinee, every_file, gold_rows, right, write_gold
from tests.support.project import Project


def test_an_exam_is_shown_paid_for_once_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.create(tmp_path / "project")
    gold = {**every_file(4), "decontaminate": gold_rows("decontaminate", 60)}
    write_gold(project.path, gold)
    monkeypatch.chdir(project.path)

    def said() -> str:
        return " ".join(capsys.readouterr().out.split())

    def kedro(*words: str) -> str:
        cli.main(words, standalone_mode=False)
        return said()

    with Examinee(gold, lambda stage, row: "True" if stage == "decontaminate" else right(stage, row)) as examinee:

        def examine(model: str) -> str:
            project.run(pipelines=["exam"], endpoint=examinee.base_url, model=model)
            return said()

        shown = examine("one")
        assert "Reads data/01_raw/exam/extract_problems.jsonl (4 records" in shown
        assert "decontaminate 60 50.0 % 38-62 0 ? unfit" in shown
        assert "decontaminate is unfit: clean 0/30, contaminated 30/30 right, 50.0 % in the mean" in shown
        assert "convert_proofs 4 100.0 % 51-100 0 ? doubtful" in shown
        assert "exam_wrong" in shown

        paid = len(examinee.asked)
        prompt = project.path / "conf/base/prompts/convert_proofs.yml"
        prompt.write_text(prompt.read_text(encoding="utf-8").replace("system: |\n", "system: |\n  Well.\n", 1))
        examine("one")
        assert examinee.asked[paid:] == ["convert_proofs"] * 4, "all else was paid for"

        examinee.say = right
        assert "decontaminate 60 100.0 % 94-100 0 ? fit" in examine("two")
        line = next(line for line in project.load("exam_report").to_dict("records") if line["stage"] == "decontaminate")
        assert (line["model"], line["calls"], line["verdict"]) == ("two", 120, "fit")
        assert len(project.table("exam_marks")) == sum(len(gold[name]) for name in gold) + 3 * 4
        assert len(project.load("exam_records")) == 2 * len(STAGES) + 1, "a file a stage, model and prompt"

        endpoint = f"--params=endpoint={examinee.base_url},model=three"
        asked = len(examinee.calls)
        assert "exam_decontaminate 60 0 120" in kedro("estimate", "--env=offline", "--pipelines=exam", endpoint)
        assert len(examinee.calls) == asked

    compared = kedro("exam", "compare", "one", "offline", "--env=offline")
    assert "decontaminate 60 50.0 % 38-62 100.0 % 94-100 0 30 0.000" in compared
    assert "decontaminate: only B is right about decontaminate-001, decontaminate-003" in compared
    with pytest.raises(NoSuchExamError, match="Nothing was examined in demo: kedro run --env demo --pipelines exam"):
        kedro("exam", "compare", "demo", "two", "--env=offline")
