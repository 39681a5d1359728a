"""A chat model, in the catalog: where it is, or how to start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kedro.io import DatasetError

from omr_kedro.datasets.resource import ResourceDataset
from omr_kedro.llm.calls import EndpointError
from omr_kedro.llm.endpoint import Constraint, Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.llm.serving import TEAM_OPTIONS, ServerSpec
from omr_kedro.llm.serving.vllm import check_options, vllm_version

_OTHER_HOSTS = "other"


class ChatModelDataset(ResourceDataset[ChatModel]):
    """Loads a `ChatModel`: a remote endpoint (`base_url`), or a local server that starts on first use.

    ```yaml
    problem_model:
      type: omr_kedro.datasets.ChatModelDataset
      model: Qwen/Qwen2.5-32B-Instruct
      base_url: null                        # when given, nothing is started
      server:
        command: [vllm, serve, "{model}", --port, "{port}"]
        args: {max-model-len: 32768}        # becomes --max-model-len 32768
        path: .                             # folder that the server runs in
        log: data/06_models/vllm.log
      constraint: structured_outputs        # vLLM's way to a closed set of replies; elsewhere response_format
      limits: {max_in_flight: 256}
      credentials: endpoints                # host name -> {api_key, variable, obtain}
    ```

    A key is only ever sent to the host that it is filed under; `other` stands for all hosts without an entry.
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None = None,
        server: dict[str, Any] | None = None,
        constraint: Constraint = "response_format",
        limits: dict[str, Any] | None = None,
        credentials: Mapping[str, Mapping[str, str | None]] | None = None,
        setting: str = "the model's entry in conf/<env>/catalog_models.yml",
        note: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the model; see the class.

        Args:
            model: name that the endpoint knows the model by; stored in each row.
            base_url: an OpenAI-compatible endpoint, up to and including `/v1`.
            server: how to start a server, where there is no `base_url`.
            constraint: `structured_outputs`, `response_format` or `none`.
            limits: see `omr_kedro.llm.Limits`.
            credentials: keys by host.
            setting: where a person changes model and endpoint; said in errors.
            note: what a person should know of the model when a run ends.
            metadata: passed on to Kedro-Viz and other plugins.
        """
        self.metadata = metadata
        self.note = "" if base_url else note
        self._model, self._base_url, self._server = model, base_url, server
        self._constraint, self._limits, self._setting = constraint, _limits(limits or {}), setting
        self._key = _key_for(base_url, credentials or {})
        self._entry = ModelEntry(
            name=model,
            base_url=base_url,
            server=_server(server) if server else None,
            api_key=self._key.get("api_key") or None,
            constraint=constraint,
            limits=self._limits,
            setting=setting,
        )

    @property
    def remote(self) -> bool:
        """Whether the model is served elsewhere."""
        return self._base_url is not None

    @property
    def needs_gpu(self) -> bool:
        """Whether the model is served here, by a server that wants a GPU."""
        return not self.remote and "vllm" in (self._server or {}).get("command", [])

    @property
    def gpus(self) -> int | None:
        """GPUs that the server wants, by its parallel sizes; None where it says nothing of GPUs."""
        if not self.needs_gpu:
            return None
        args = (self._server or {}).get("args") or {}
        return prod(int(args.get(f"{kind}-parallel-size") or 1) for kind in ("tensor", "pipeline", "data"))

    def check(self) -> None:
        """Say before any work what would stop it, wherever the model is asked.

        Raises:
            EndpointError: a key is missing, or vLLM knows no such options (`server.check_options: false` for others).
        """
        self._check_options()
        if self._base_url and self._key.get("variable") and not self._key.get("api_key"):
            raise EndpointError(
                f"{self._base_url} needs a key: set the environment variable {self._key['variable']} "
                f"(get one at {self._key.get('obtain', 'its website')}), or do without: kedro run --env offline"
            )

    def _check_options(self) -> None:
        server = self._entry.server
        if self.remote or server is None or server.command[:2] != ("vllm", "serve"):
            return
        if (self._server or {}).get("check_options", True):
            complaints = check_options(server.words(self._model, port=8000)[2:], reserved={"config", *TEAM_OPTIONS})
            if complaints:
                raise EndpointError(
                    f"`vllm serve` {vllm_version()} would refuse these settings of {self._model} "
                    f"({self._setting}):\n  " + "\n  ".join(complaints) + "\n"
                    "For another version of vLLM, say `check_options: false` beside the server's args."
                )

    def check_installed(self) -> None:
        """Say before any work that a model cannot be served in this process.

        Raises:
            EndpointError: the server's command is not installed.
        """
        if not self.remote and not (self._entry.server and self._entry.server.installed):
            command = self._entry.server.command[0] if self._entry.server else "a server"
            raise EndpointError(
                f"The model {self._model} is to be served here, but `{command}` is not installed. Without a GPU, use a "
                "hosted model (kedro run --env demo), the rule-based stand-in (kedro run --env offline), or any "
                "endpoint of yours: --params=endpoint=http://host:8000/v1"
            )

    def _make(self) -> ChatModel:
        return ChatModel(self._entry)

    def _describe(self) -> dict[str, Any]:
        where = {"base_url": self._base_url} if self._base_url else {"server": (self._server or {}).get("command")}
        return {"model": self._model, **where}


def _limits(values: dict[str, Any]) -> Limits:
    known = {field.name for field in fields(Limits)}
    if unknown := set(values) - known:
        raise DatasetError(f"limits: unknown {sorted(unknown)}; known are {sorted(known)}")
    return Limits(**values)


def _server(values: dict[str, Any]) -> ServerSpec:
    folder = Path(values.get("path") or Path.cwd())
    return ServerSpec(
        command=tuple(values["command"]),
        args=values.get("args") or {},
        env=values.get("env") or {},
        start_timeout_s=values.get("start_timeout_s", ServerSpec.start_timeout_s),
        folder=folder,
        log=folder / values.get("log", ServerSpec.log),
    )


def _key_for(base_url: str | None, credentials: Mapping[str, Mapping[str, str | None]]) -> Mapping[str, str | None]:
    if not base_url:
        return {}
    return credentials.get(urlsplit(base_url).hostname or "") or credentials.get(_OTHER_HOSTS) or {}
