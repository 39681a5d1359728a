"""A hub of the test's own on loopback: the endpoints of the Hugging Face hub that a download needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LARGE = 1000
"""Files of this many bytes are stored as the hub stores large ones: known by their sha256."""


class HubServer:
    """Serves repositories from memory. Use as a context manager, and set `HF_ENDPOINT` to its `url`.

    Args:
        repos: by `datasets/owner/name` or `models/owner/name`: files by their paths, as they are at every commit.
        commits: full hashes, the newest first.
    """

    def __init__(self, repos: dict[str, dict[str, bytes]], commits: list[str]) -> None:
        self.repos = repos
        self.commits = commits
        self.asked: Counter[str] = Counter()
        self.corrupt: set[str] = set()
        """Paths whose bytes differ from what the hub says of them."""
        self.cut: dict[str, int] = {}
        """Paths whose first download breaks off after so many bytes."""
        self.ranges: list[str] = []

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_POST(self) -> None:
                hub.take(self)

            def do_PUT(self) -> None:
                hub.take(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.split("?")[0]
        self.asked[path] += 1
        if path.startswith("/api/"):
            self._answer_api(request, path.removeprefix("/api/"))
        else:
            self._answer_file(request, path.strip("/"), body=body)

    def take(self, request: BaseHTTPRequestHandler) -> None:
        """Refuse what is sent; see `hub_to_write.HubToWrite`."""
        self.send(request, 405, b"{}")

    def _answer_api(self, request: BaseHTTPRequestHandler, path: str) -> None:
        repo = next((name for name in self.repos if path.startswith(name + "/")), None)
        if repo is None:
            self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        action, _, revision = path.removeprefix(repo + "/").partition("/")
        if action == "commits":
            commits = [
                {"id": commit, "title": "t", "message": "m", "authors": [], "date": "2025-01-01T00:00:00.000Z"}
                for commit in self.commits
            ]
            self.send(request, 200, json.dumps(commits).encode())
        elif revision.split("/")[0] not in self.commits:
            self.send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif action == "tree":
            tree = [self._entry(name, content) for name, content in self.repos[repo].items()]
            self.send(request, 200, json.dumps(tree).encode())
        else:
            info = {"id": repo.partition("/")[2], "sha": revision, "siblings": []}
            self.send(request, 200, json.dumps(info).encode())

    def _entry(self, name: str, content: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": git_hash(content)}
        if len(content) >= LARGE:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return entry

    def _answer_file(self, request: BaseHTTPRequestHandler, path: str, *, body: bool) -> None:
        kind = "" if path.startswith("datasets/") else "models/"
        repo = next((name for name in self.repos if f"{kind}{path}".startswith(name + "/")), None)
        _, _, rest = path.partition("/resolve/")
        commit, _, name = rest.partition("/")
        content = self.repos[repo].get(name) if repo else None
        if content is None:
            self.send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        large = len(content) >= LARGE
        etag = hashlib.sha256(content).hexdigest() if large else git_hash(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if name in self.corrupt:
            content = b"?" + content[1:]
        status, sent = 200, content
        if body and (wanted := request.headers.get("Range")):
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            status, sent = 206, content[start:]
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Content-Length"] = str(len(sent))
        if body and name in self.cut:
            sent = sent[: self.cut.pop(name)]
            request.close_connection = True
        self.send(request, status, sent if body else b"", headers)

    def send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\x00" % len(content) + content).hexdigest()
