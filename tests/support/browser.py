"""A real browser (Debian's chromium), spoken to in the DevTools protocol; see tests/browser/install.sh."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.project import ROOT
from tests.support.waiting import PATIENCE_S, wait_until

INSTALL = ROOT / "tests/browser/install.sh"
_PROGRAM = "chromium"
_HERE = "127.0.0.1"
_POLL_S = 0.1
_LARGEST_MESSAGE = 64 << 20


def require_browser() -> None:
    """Skip the test where there is no browser; where `CI` is set, install it if the machine's packages have it."""
    ci = bool(os.environ.get("CI"))
    if ci and not shutil.which(_PROGRAM) and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run([INSTALL], check=False)
    if not shutil.which(_PROGRAM):
        pytest.skip(f"needs {_PROGRAM} ({INSTALL.relative_to(ROOT)})")


class Page:
    """A page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.errors: list[str] = []
        """Errors that the console showed, exceptions that nobody caught, and addresses of this machine that failed.

        Not what pages want from other hosts, as fonts: there may be no network."""

    async def open(self, url: str) -> None:
        """Load an address."""
        await self._call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, promises awaited."""
        answer = await self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true; returns its value."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (value := await self.evaluate(script)):  # noqa: ASYNC110 (of another process)
                    await asyncio.sleep(_POLL_S)
                return value
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"never came true: {script}\n{text[:3000]}\n{self.errors}") from None

    async def until_text(self, *texts: str) -> None:
        """Wait until the page shows these texts."""
        for text in texts:
            await self.until(f"document.body.innerText.includes({json.dumps(text)})")

    async def click(self, selector: str, text: str = "") -> None:
        """Click on the first element that fits, and that shows this text."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        wanted = f"{found}.find(element => element.textContent.includes({json.dumps(text)}))"
        await self.until(f"!!{wanted}")
        # Elements of a drawing have no `click`.
        await self.evaluate(f"{wanted}.dispatchEvent(new MouseEvent('click', {{bubbles: true}})), true")

    async def picture(self) -> bytes:
        """The page as a PNG, for people who look into a failure."""
        answer = await self._call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json()
            self._note(message)
            if message.get("id") == number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    def _note(self, message: dict[str, Any]) -> None:
        said = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(said["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "assert"}:
                self.errors.append(" ".join(str(part.get("value", part)) for part in said["args"])[:500])
            case "Log.entryAdded" if said["entry"]["level"] == "error" and _HERE in said["entry"].get("url", _HERE):
                self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}"[:500])


@contextmanager
def browser(folder: Path) -> Iterator[int]:
    """A browser with an empty profile in the folder; gives the port that it listens on."""
    require_browser()
    options = [
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--window-size=1600,1000",
    ]
    # Root, as whom CI runs, must do without the sandbox; the pages are our own.
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    profile = folder / "chromium"
    command = [_PROGRAM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    told = profile / "DevToolsActivePort"
    with (folder / "chromium.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: process.poll() is not None or (told.exists() and told.read_text().strip()))
            assert process.poll() is None, (folder / "chromium.log").read_text()
            yield int(told.read_text().split()[0])
        finally:
            process.terminate()


@asynccontextmanager
async def new_page(port: int) -> AsyncIterator[Page]:
    """A page of the browser that notes every error."""
    async with aiohttp.ClientSession() as session:
        async with session.put(f"http://{_HERE}:{port}/json/new?about:blank") as answer:
            target = await answer.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=_LARGEST_MESSAGE) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                await page._call(f"{domain}.enable")
            yield page
