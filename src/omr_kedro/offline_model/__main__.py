"""Run the server: `python -m omr_kedro.offline_model --port 8000 --prompts conf/base/prompts`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from omr_kedro.llm.calls import Prompt, PromptError
from omr_kedro.offline_model.app import make_app
from omr_kedro.offline_model.stages import load_prompts


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 then, and 1 when the server cannot start."""
    options = _options().parse_args(argv)
    try:
        asyncio.run(_serve(load_prompts(options.prompts), options.host, options.port))
    except (PromptError, OSError, OverflowError) as error:
        print(f"The offline model cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m omr_kedro.offline_model",
        description="An OpenAI-compatible chat server of simple rules. It is no language model.",
    )
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--prompts", type=Path, required=True, help="folder of the prompts (*.yml) that it answers")
    parser.add_argument("--host", default="127.0.0.1")
    return parser


async def _serve(prompts: Sequence[Prompt], host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # A rule takes milliseconds: what has not been answered by then is an idle connection.
    runner = web.AppRunner(make_app(prompts, os.environ.get("VLLM_API_KEY", "")), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        print(f"listening on http://{host}:{runner.addresses[0][1]}/v1", flush=True)  # noqa: T201
        await stopped.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
