"""The project's own commands, and `kedro run` with the runner that the configuration names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
import rich
from kedro.framework.cli.project import PARAMS_ARG_HELP
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _split_params
from kedro.framework.project import pipelines as every_pipeline
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project
from rich.text import Text

from omr_kedro.estimate import estimate
from omr_kedro.estimate import show as show_estimate
from omr_kedro.exam import Marks, compare
from omr_kedro.exam.view import show_comparison
from omr_kedro.hooks.preflight import check_inputs
from omr_kedro.hooks.terminal import show_errors_explained
from omr_kedro.lineage import show, trace
from omr_kedro.lineage.exams import NoSuchExamError, last_marks, load_records, marks_of, prompt_hashes
from omr_kedro.lineage.progress import read_stages, stage_table
from omr_kedro.lineage.project_tables import ProjectTables
from omr_kedro.push import FileToPush, files_to_push, licence_warning, push
from omr_kedro.readiness import check
from omr_kedro.runners import ConfiguredRunner, load_runner, make_runner
from omr_kedro.runners.status import as_table, details, read_status, troubles
from omr_kedro.screen import add_numbers, say, stage_rows
from omr_kedro.selection import selected
from omr_kedro.session import OMRSession
from omr_kedro.shards.printable import printable


class CalmCommand(click.Command):
    """A command whose errors are one sentence, from its first step on."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, once this process shows errors so."""
        show_errors_explained()
        return super().invoke(ctx)


class MergedParams(click.Option):
    """`--params`, which may be given several times; the later ones win. Click keeps only the last."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Take also what a file of options (`--config`) says: one text, or the parameters themselves."""
        if isinstance(value, str):
            value = (value,)
        return value if isinstance(value, Mapping) else super().type_cast_value(ctx, value)


def _merged(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
    texts = value if isinstance(value, tuple) else (value,)
    # Joined before they are read: `a.b=1` and `a.c=2` are then one group, as on one command line.
    return _split_params(ctx, option, value if isinstance(value, Mapping) else ",".join(filter(None, texts)))


def _options() -> list[click.Parameter]:
    """The options of Kedro's `run`, as our commands take them."""
    options = {option.name: copy.copy(option) for option in kedro_run.params}
    # Kedro's own default would refuse other runners' parameters.
    options["runner"].default = f"{ConfiguredRunner.__module__}.{ConfiguredRunner.__name__}"
    given = options["params"]
    options["params"] = MergedParams(
        given.opts, multiple=True, callback=_merged, help=f"{PARAMS_ARG_HELP} May be given several times."
    )
    return list(options.values())


def _run(pipeline: str | None, runner: str, runner_params: dict[str, Any], **options: Any) -> Any:
    """Run as Kedro does, once runner and words of the command are known to be good."""
    if pipeline:  # Kedro's former name for it, which its `run` takes with a page of warnings
        options["pipelines"] = [*options["pipelines"], pipeline]
    make_runner(load_runner(runner), runner_params)  # for its errors
    assert kedro_run.callback, "Kedro's command runs something"  # noqa: S101
    return kedro_run.callback(pipeline=None, runner=runner, runner_params=runner_params, **options)


run = CalmCommand("run", params=_options(), callback=_run, help=kedro_run.help)


class RunUnlessNamed(click.Group):
    """A group whose options are those of `run` where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with `run` before them where no command is named."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(name="omr_kedro", cls=RunUnlessNamed)
def cli() -> None:
    """Commands of this project."""


cli.add_command(run)


def _takes(*names: str) -> Callable[[click.Command], click.Command]:
    """Give a command options of `kedro run`, so that both understand the same words."""

    def add(command: click.Command) -> click.Command:
        command.params += [option for option in _options() if option.name in names]
        return command

    return add


@contextmanager
def _open_session(env: str | None, params: Mapping[str, Any] | None = None) -> Iterator[OMRSession]:
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    bootstrap_project(project)
    with settings.SESSION_CLASS.create(
        project_path=project, env=env, runtime_params=dict(params or {}), save_on_close=False
    ) as session:
        session.check_names()
        yield session


@_takes("env")
@cli.command(cls=CalmCommand)
def status(env: str | None) -> None:
    """Show how far a run is, here or on Slurm: stages, calls, and of jobs also tasks, tokens, time left."""
    with _open_session(env) as session:
        folder = session.job_folder
        tables = ProjectTables([every_pipeline["__default__"]], session.load_context().catalog)
    groups = read_status(folder)
    console = rich.get_console()
    if groups:
        console.print(as_table(groups))
        for line in [*details(groups), *troubles(groups)]:
            say(f"  {line}")
    if not any(group.at_work for group in groups):
        console.print(stage_table(read_stages(tables)))


_MARKS = {True: "[green]ok[/]   ", False: "[red]wrong[/]", None: "     "}
"""Before each line of `kedro check`, by whether it is good."""


@_takes("env", "params", "pipelines")
@cli.command("check", cls=CalmCommand)
def check_command(env: str | None, params: dict[str, Any], pipelines: list[str]) -> None:
    """Check what a run would need: models, keys, this machine. Asks each remote model for one token."""
    with _open_session(env, params) as session:
        chosen = selected(every_pipeline, pipelines, {})
        catalog = session.load_context().catalog
        findings = check(chosen, catalog, session.credentials, served_here=session.serves_here)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        line = Text(printable(f"{finding.subject:<{width}}  {finding.told}"))
        rich.get_console().print(_MARKS[finding.good], line, soft_wrap=True, highlight=False)
    if any(finding.good is False for finding in findings):
        raise SystemExit(1)


@_takes("env", "params")
@cli.command(cls=CalmCommand)
@click.argument("id")
@click.option(
    "--full", is_flag=True, help="Show each call whole: all messages, worked examples included, and long replies."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def lineage(id: str, env: str | None, params: dict[str, Any], full: bool, as_json: bool) -> None:
    """Show where a thread, a problem or a solution comes from and what became of it.

    ID is a thread_id, a problem_id or a solution_id, or its first digits.
    """
    with _open_session(env, params) as session:
        found = trace(ProjectTables(every_pipeline.values(), session.load_context().catalog), id)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        show(found, rich.get_console(), full=full)


@_takes("env", "params", "pipelines")
@cli.command("estimate", cls=CalmCommand)
@click.option("--sample", type=click.IntRange(min=1), help="Look at so many threads at least.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def estimate_command(
    env: str | None, params: dict[str, Any], pipelines: list[str], sample: int | None, as_json: bool
) -> None:
    """Show what a run would cost, by stage: calls, tokens, time, money. Nothing is asked of a model."""
    with _open_session(env, params) as session:
        chosen = selected(every_pipeline, pipelines, {})
        catalog = session.load_context().catalog
        check_inputs(chosen, catalog)
        found = estimate(_every_node(), chosen, catalog, sample)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        show_estimate(found, rich.get_console())


@cli.group("exam")
def exam_group() -> None:
    """Look at exams; `kedro run --pipelines exam` makes one."""


@_takes("env", "params")
@exam_group.command("compare", cls=CalmCommand)
@click.argument("first")
@click.argument("second")
def exam_compare(first: str, second: str, env: str | None, params: dict[str, Any]) -> None:
    """Compare two exams, stage by stage, by the rows that both have.

    FIRST and SECOND are environments, or models, or the first digits of prompt hashes, or MODEL@HASH. Models and
    prompts are those that were examined in the environment of --env.
    """
    found = compare(*(_marks_of(name, env, params) for name in (first, second)))
    if not found:
        raise NoSuchExamError(f"No stage was examined in both {printable(first)} and {printable(second)}.")
    show_comparison((first, second), found, rich.get_console())


def _marks_of(name: str, env: str | None, params: Mapping[str, Any]) -> dict[str, Marks]:
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    # No name of a model is a folder of conf/, but for one that means to be.
    is_environment = name.isidentifier() and (project / "conf" / name).is_dir()
    with _open_session(name if is_environment else env, params) as session:
        catalog = session.load_context().catalog
        if not is_environment:
            return marks_of(name, load_records(catalog), prompt_hashes(every_pipeline["exam"], catalog))
        if marks := last_marks(catalog):
            return marks
    raise NoSuchExamError(f"Nothing was examined in {name}: kedro run --env {name} --pipelines exam")


@_takes("env", "params")
@cli.command("push", cls=CalmCommand)
@click.option("--repo", required=True, metavar="OWNER/NAME", help="Repository of the hub; made where there is none.")
@click.option("--public", is_flag=True, help="Let everybody see it. Without this, only its owner does.")
@click.option("--dry-run", is_flag=True, help="List what would go up, and contact nobody.")
def push_command(env: str | None, params: dict[str, Any], repo: str, public: bool, dry_run: bool) -> None:
    """Upload the published dataset to the Hugging Face hub. A push that was interrupted goes on where it stopped."""
    with _open_session(env, params) as session:
        card = session.load_context().catalog.get("dataset_card")
        assert card, "the card has an entry"  # noqa: S101
        folder = Path(card._describe()["filepath"]).parent
        token = (session.credentials.get("hub") or {}).get("token")
    files = files_to_push(folder)
    if warning := licence_warning(folder, public=public):
        say(warning)
    if dry_run:
        _show_files(files)
        say(f"Nothing went up. It would go to {repo}, where {_SEERS[not public]} it.")
        return
    done = push(folder, repo, public=public, token=token)
    say(f"{done.url} is at commit {done.commit}; {_SEERS[done.private]} it.")


_SEERS = {True: "only its owner sees", False: "everybody sees"}


def _show_files(files: list[FileToPush]) -> None:
    table = stage_rows(f"{len(files):,} files, {sum(file.size for file in files):,} bytes", "file")
    add_numbers(table, "bytes")
    for file in files:
        table.add_row(file.path, f"{file.size:,}")
    rich.get_console().print(table)


def _every_node() -> Pipeline:
    return sum(every_pipeline.values(), start=Pipeline([]))
