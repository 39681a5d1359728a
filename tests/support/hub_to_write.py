"""A hub on loopback that a dataset can be pushed to: the endpoints of the Hugging Face hub that an upload needs.

Large files go up by the protocol of git LFS, which the hub's client speaks where Xet is switched off
(`HF_HUB_DISABLE_XET=1`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from typing import Any

import yaml

from tests.support.hub_server import HubServer, git_hash

_REFUSED = {"X-Error-Message": "refused"}


class HubToWrite(HubServer):
    """Keeps what it is sent with its token. `repos` holds what was committed, by `datasets/owner/name`."""

    def __init__(self, token: str = "hf_secret_token") -> None:
        super().__init__({}, [])
        self.token = token
        self.private: dict[str, bool] = {}
        self.stored: dict[str, bytes] = {}
        """Large files by their sha256, committed or not."""
        self.uploads: Counter[str] = Counter()
        """Large files that came to their end, by their sha256."""
        self.held: set[str] = set()
        """sha256 of large files whose upload never comes to its end."""
        self.holding = threading.Event()
        """Set when the upload of such a file has begun."""

    def take(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?")[0]
        self.asked[path] += 1
        if path.startswith("/storage/"):  # by its address alone, as signed links are
            self._store(request, path.removeprefix("/storage/"))
            return
        sent = request.rfile.read(int(request.headers["Content-Length"]))
        if request.headers["Authorization"] != f"Bearer {self.token}":
            self.send(request, 401, b'{"error": "Invalid username or password."}', _REFUSED)
        elif path == "/api/repos/create":
            self._create(request, json.loads(sent))
        elif path == "/api/validate-yaml":
            yaml.safe_load(json.loads(sent)["content"].split("---\n")[1])
            self._send_json(request, {"errors": [], "warnings": []})
        elif path.endswith("/objects/batch"):
            self._send_json(request, self._batch(json.loads(sent)))
        elif "/preupload/" in path:
            repo = path.removeprefix("/api/").partition("/preupload/")[0]
            self._send_json(request, {"files": [self._mode(repo, file) for file in json.loads(sent)["files"]]})
        else:
            repo = path.removeprefix("/api/").partition("/commit/")[0]
            self._commit(repo, [json.loads(line) for line in sent.splitlines()])
            answer = {"commitUrl": f"{self.url}/{repo}/commit/{self.commits[0]}", "commitOid": self.commits[0]}
            self._send_json(request, {**answer, "pullRequestUrl": None})

    def _answer_api(self, request: BaseHTTPRequestHandler, path: str) -> None:
        repo = next((name for name in self.repos if f"{path}/".startswith(name + "/")), None)
        if repo is None or request.headers["Authorization"] != f"Bearer {self.token}":
            self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif "/tree/" in path:
            self._send_json(request, [self._entry(name, content) for name, content in self.repos[repo].items()])
        else:
            info = {"id": repo.partition("/")[2], "sha": self.commits[0], "siblings": [], "private": self.private[repo]}
            self._send_json(request, info)

    def _create(self, request: BaseHTTPRequestHandler, wanted: dict[str, Any]) -> None:
        repo = f"{wanted['type']}s/{wanted['organization']}/{wanted['name']}"
        found = {"url": f"{self.url}/{repo}"}
        if repo in self.repos:
            self._send_json(request, found, 409)
            return
        self.repos[repo] = {}
        self.private[repo] = wanted.get("private") is True or wanted.get("visibility") == "private"
        self.commits.insert(0, git_hash(repo.encode()))
        self._send_json(request, found)

    def _mode(self, repo: str, file: dict[str, Any]) -> dict[str, Any]:
        large = file["path"].endswith(".parquet")
        there = self.repos[repo].get(file["path"])
        oid = None if there is None else hashlib.sha256(there).hexdigest() if large else git_hash(there)
        mode = "lfs" if large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, **({"oid": oid} if oid else {})}

    def _batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["operation"] == "upload"
        return {"transfer": "basic", "objects": [self._action(one["oid"], one["size"]) for one in asked["objects"]]}

    def _action(self, oid: str, size: int) -> dict[str, Any]:
        upload = {"actions": {"upload": {"href": f"{self.url}/storage/{oid}?X-Amz-Signature=signed", "header": {}}}}
        return {"oid": oid, "size": size, **({} if oid in self.stored else upload)}

    def _store(self, request: BaseHTTPRequestHandler, oid: str) -> None:
        assert request.headers["Authorization"] is None, "the token belongs to the hub alone"
        if oid in self.held:
            self.holding.set()
            request.close_connection = True
            request.rfile.read()  # until the other side is gone
            return
        content = request.rfile.read(int(request.headers["Content-Length"]))
        assert hashlib.sha256(content).hexdigest() == oid
        self.stored[oid] = content
        self.uploads[oid] += 1
        self.send(request, 200, b"")

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        files = dict(self.repos[repo])
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.stored[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        self.repos[repo] = files
        self.commits.insert(0, git_hash(json.dumps(lines).encode()))

    def _send_json(self, request: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
        self.send(request, status, json.dumps(value).encode(), {"Content-Type": "application/json"})
