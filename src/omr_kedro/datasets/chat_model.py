"""A chat model, in the catalog: where it is, or how to start it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from math import prod
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from kedro.io import DatasetError
from kedro_datasets._typing import JSONPreview

from omr_kedro.datasets.chosen_model import ChosenModel
from omr_kedro.datasets.resource import ResourceDataset
from omr_kedro.llm.calls import ContextError, EndpointError, Prompt
from omr_kedro.llm.calls.token_estimate import ERROR, estimate_prompt_tokens
from omr_kedro.llm.endpoint import ClientKind, Constraint, Limits
from omr_kedro.llm.endpoint.redaction import without_user
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.llm.serving import TEAM_OPTIONS, ServerSpec
from omr_kedro.llm.serving.vllm import check_options, vllm_version

_OTHER_HOSTS = "other"
_PLACEHOLDER = re.compile(r"\{(\w+)\}", re.ASCII)
_SAID_TO_SERVERS = {"revision", "tensor_parallel_size", "context_tokens"}


class ChatModelDataset(ResourceDataset[ChatModel]):
    """Loads a `ChatModel`: a remote endpoint (`base_url`), or a local server that starts on first use.

    ```yaml
    problem_model:
      type: omr_kedro.datasets.ChatModelDataset
      purpose: problem
      model:                                # or its name alone; see ChosenModel
        name: Qwen/Qwen2.5-32B-Instruct
        context_tokens: 32768               # prompt and reply together
        extra_body: {}                      # more fields of every request
      base_url: null                        # when given, nothing is started
      server:
        command: [vllm, serve, "{model}", --port, "{port}"]
        args: {max-model-len: "{context_tokens}"}   # becomes --max-model-len 32768
        path: .                             # folder that the server runs in
        log: data/06_models/{purpose}-vllm.log
      constraint: structured_outputs        # vLLM's way to a closed set of replies; elsewhere response_format
      client: openai                        # instead of the fast one: proxies of organisations, Azure; for hosted APIs
      api_version: null                     # when given, base_url is a resource of Azure
      limits: {max_in_flight: 256}
      host_limits:                          # of hosts and what is below them; `limits` win
        api.nvidia.com: {requests_per_minute: 35}
      credentials: endpoints                # host name -> {api_key, variable, optional, obtain}
    ```

    A key is only ever sent to the host that it is filed under; `other` stands for all hosts without an entry.
    """

    def __init__(
        self,
        *,
        model: str | Mapping[str, Any],
        purpose: str = "",
        instead: str | None = None,
        base_url: str | None = None,
        server: dict[str, Any] | None = None,
        constraint: Constraint = "response_format",
        client: ClientKind = "aiohttp",
        api_version: str | None = None,
        limits: dict[str, Any] | None = None,
        host_limits: Mapping[str, Mapping[str, Any]] | None = None,
        credentials: Mapping[str, Mapping[str, Any]] | None = None,
        note: str = "",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the model; see the class.

        Args:
            model: what the endpoint knows the model by, which is stored in each row; and what goes with this model.
            purpose: what the model is for: its place under `models`, in globals.yml and in --params.
            instead: name of another model in its place, for one run.
            base_url: an OpenAI-compatible endpoint, up to and including `/v1`.
            server: how to start a server, where there is no `base_url`.
            constraint: `structured_outputs`, `response_format` or `none`.
            client: `aiohttp` or `openai`, the HTTP client to ask through.
            api_version: of Azure's API, where `base_url` is a resource of Azure; the model's name is a deployment.
            limits: see `omr_kedro.llm.endpoint.Limits`; what is None is as `host_limits` say.
            host_limits: limits by host, which hold for endpoints of this host and of hosts below it.
            credentials: keys by host.
            note: what a person should know of the model when a run ends.
            metadata: passed on to Kedro-Viz and other plugins.

        Raises:
            DatasetError: names what cannot be used.
        """
        self.metadata = metadata
        self.note = "" if base_url else note
        chosen = ChosenModel.of(model)
        if instead is not None:
            chosen = chosen.replaced_by(instead, served_here=base_url is None)
        self._key = _key_for(base_url, credentials or {})
        self._checks_options = bool((server or {}).get("check_options", True))
        self._entry = ModelEntry(
            name=chosen.name,
            base_url=base_url,
            server=_server(server, chosen, purpose) if server else None,
            # A key that came from a file ends with the file's last line.
            api_key=(self._key.get("api_key") or "").strip() or None,
            client=_client(client, api_version),
            api_version=api_version if base_url else None,
            constraint=constraint,
            limits=_limits(limits or {}, _below(base_url, host_limits or {})),
            context_tokens=chosen.context_tokens,
            extra_body=chosen.extra_body,
            key_variable=str(self._key.get("variable") or ""),
            setting=_setting(purpose),
        )

    def _make(self) -> ChatModel:
        return ChatModel(self._entry)

    @property
    def remote(self) -> bool:
        """Whether the model is served elsewhere."""
        return self._entry.base_url is not None

    @property
    def needs_gpu(self) -> bool:
        """Whether the model is served here, by a server that wants a GPU."""
        return not self.remote and self._entry.server is not None and "vllm" in self._entry.server.command

    @property
    def gpus(self) -> int | None:
        """GPUs that the server wants, by its parallel sizes; None where it says nothing of GPUs."""
        if not (self.needs_gpu and self._entry.server):
            return None
        args = self._entry.server.args
        return prod(int(args.get(f"{kind}-parallel-size") or 1) for kind in ("tensor", "pipeline", "data"))

    def check(self) -> None:
        """Say before any work what would stop it, wherever the model is asked.

        Raises:
            EndpointError: a key is missing or cannot be sent, or vLLM knows no such options (`server.check_options:
                false` for others).
        """
        self._check_options()
        if not (self._entry.api_key or "").isprintable():
            raise EndpointError(
                f"The key for {self._entry.place} ({self._key.get('variable', 'credentials.yml')}) holds a line end or "
                "another character that no request can carry: set it anew. Nothing was sent."
            )
        needed = self._key.get("variable") and not self._key.get("optional")
        if self._entry.base_url and needed and not self._entry.api_key:
            raise EndpointError(
                f"{without_user(self._entry.base_url)} needs a key: set the environment variable "
                f"{self._key['variable']} (get one at {self._key.get('obtain', 'its website')}), or do without: "
                "kedro run --env offline"
            )

    def _check_options(self) -> None:
        server, name = self._entry.server, self._entry.name
        if self.remote or server is None or server.command[:2] != ("vllm", "serve") or not self._checks_options:
            return
        complaints = check_options(server.words(name, port=8000)[2:], reserved={"config", *TEAM_OPTIONS})
        if complaints:
            raise EndpointError(
                f"`vllm serve` {vllm_version()} would refuse these settings of {name} "
                f"({self._entry.setting}):\n  " + "\n  ".join(complaints) + "\n"
                "For another version of vLLM, say `check_options: false` beside the server's args."
            )

    def check_installed(self) -> None:
        """Say before any work that a model cannot be served in this process.

        Raises:
            EndpointError: the server's command is not installed.
        """
        server = self._entry.server
        if not self.remote and not (server and server.installed):
            command = server.command[0] if server else "a server"
            raise EndpointError(
                f"The model {self._entry.name} is to be served here, but `{command}` is not installed. Without a GPU, "
                "use a hosted model (kedro run --env demo), the rule-based stand-in (kedro run --env offline), or any "
                "endpoint of yours: --params=endpoint=http://host:8000/v1"
            )

    def check_context(self, name: str, stage: str, prompt: Prompt, max_tokens: int) -> None:
        """Say before any work that no call of a stage can have the reply that it is allowed.

        Args:
            name: of this entry in the catalog.
            stage: section of the parameters that allows the reply.
            prompt: its fixed text counts, since every call has it; what rows add is not known yet.
            max_tokens: of a reply, by the section.

        Raises:
            ContextError: names parameter and entry.
        """
        context = self._entry.context_tokens
        # The least that the estimate stands for: what is refused here would be refused by every server.
        fixed = round(estimate_prompt_tokens(prompt.messages(**dict.fromkeys(prompt.fields, ""))) * (1 - ERROR))
        if context is not None and fixed + max_tokens > context:
            raise ContextError(
                f"{stage}.max_tokens allows replies of {max_tokens:,} tokens, and the prompt {prompt.name} takes "
                f"{fixed:,} or more without the text of a row: together they do not fit into the context of {name} "
                f"({self._entry.name}, {context:,} tokens). Lower {stage}.max_tokens (conf/<env>/parameters.yml, "
                "--params), or raise `context_tokens` of the model as far as it goes (`models` in globals.yml)."
            )

    def _describe(self) -> dict[str, Any]:
        return {"model": self._entry.name, "context_tokens": self._entry.context_tokens, **self._where()}

    def _where(self) -> dict[str, Any]:
        entry = self._entry
        if entry.base_url:
            return {"base_url": without_user(entry.base_url)}
        return {"server": entry.server and entry.server.command}

    def preview(self) -> JSONPreview:
        """Name, address and limits of the model; never a key, nor a user that stands in an address."""
        shown = {**self._describe(), "limits": asdict(self._entry.limits), "note": self.note}
        if self.remote:
            shown["client"] = self._entry.client
        return JSONPreview(json.dumps(shown, ensure_ascii=False))


def _setting(purpose: str) -> str:
    """Where a person changes endpoint and model; for error messages."""
    if not purpose:
        return "the model's entry in the catalog"
    return (
        f"`model` and `endpoint` in --params, or of this model alone models.{purpose}.name and "
        f"models.{purpose}.endpoint; for good, `models` and `serving` in conf/<env>/globals.yml"
    )


def _client(kind: ClientKind, api_version: str | None) -> ClientKind:
    if kind not in (known := get_args(ClientKind)):
        raise DatasetError(f"client: unknown '{kind}'; known are {', '.join(known)}")
    if api_version and kind != "openai":
        raise DatasetError(f"api_version: endpoints of Azure are reached with `client: openai`, and not with '{kind}'")
    return kind


def _limits(values: Mapping[str, Any], of_host: Mapping[str, Any]) -> Limits:
    known = {field.name for field in fields(Limits)}
    if unknown := {*values, *of_host} - known:
        raise DatasetError(f"limits: unknown {sorted(unknown)}; known are {sorted(known)}")
    given = {name: value for name, value in values.items() if value is not None}
    return Limits(**{**of_host, **given})


def _below(base_url: str | None, by_host: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Limits of the longest name that the endpoint's host is, or is below: `a.b.example` is below `b.example`."""
    names = [name for name in by_host if f".{_host(base_url)}".endswith(f".{name}")]
    return by_host[max(names, key=len)] if names else {}


def _server(values: dict[str, Any], model: ChosenModel, purpose: str) -> ServerSpec:
    facts = {**model.model_dump(include=_SAID_TO_SERVERS), "purpose": purpose or "model"}
    folder = Path(values.get("path") or Path.cwd())
    log = str(values.get("log", ServerSpec.log)).replace("{purpose}", str(facts["purpose"]))
    return ServerSpec(
        command=tuple(values["command"]),
        args={name: _filled(value, facts) for name, value in ((values.get("args") or {}) | model.server_args).items()},
        env=values.get("env") or {},
        start_timeout_s=values.get("start_timeout_s", ServerSpec.start_timeout_s),
        folder=folder,
        log=folder / log,
    )


def _filled(value: Any, facts: Mapping[str, Any]) -> Any:
    """An option's value, or what `{name}` stands for: the fact itself, so that what is None is not said."""
    found = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return facts.get(found[1], value) if found else value


def _key_for(base_url: str | None, credentials: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if not base_url:
        return {}
    return credentials.get(_host(base_url)) or credentials.get(_OTHER_HOSTS) or {}


def _host(base_url: str | None) -> str:
    """The host of an address; nothing for what is no address, which is said when it is to be reached."""
    try:
        return urlsplit(base_url or "").hostname or ""
    except ValueError:
        return ""
