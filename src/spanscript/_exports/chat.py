"""
A conversation of any dialect as OpenAI's chat completions have it.

What was sent as such is kept as it was sent. All else goes through the dialect's own reading into parts, and
what has no place in that form is told, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from spanscript import _json
from spanscript._exchange import (
    Json,
    Media,
    Message,
    Other,
    Part,
    Refusal,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from spanscript._offered import declarations, plain_schema
from spanscript._shapes import mapping, sequence, string

_NATIVE: Final = "chat_completions"
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Chat(Struct):
    """
    A conversation.

    Attributes:
        messages: In OpenAI's form.
        tools: What was offered; empty if nothing was.
        left_out: What could not be put into that form, in words.
    """

    messages: list[dict[str, Json]] = field(default_factory=list)
    tools: list[Json] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def prompt(request: Request) -> Chat:
    """What was sent."""
    split = request.split
    if split is None:
        return Chat(left_out=["the prompt: the body is no JSON object of its dialect"])
    if request.dialect.name == _NATIVE:
        body = mapping(_json.loads(request.content))
        chat = Chat(list(sequence(body.get("messages"))), list(sequence(body.get("tools"))))
        if body.get("functions"):
            chat.left_out.append("`functions`, the form of tools before `tools`")
        return chat
    chat = Chat()
    into = _Into(chat)
    if split.system is not None:
        content = _json.loads(split.system)
        into.add(request.dialect.message({"role": "system", "content": content}), "the system prompt")
    for number, item in enumerate(split.items, 1):
        into.add(request.dialect.message(_json.loads(item)), f"message {number}")
    chat.tools.extend(_tools(split.tools, chat.left_out))
    return chat


def answer(reply: Reply) -> Chat:
    """The first choice of an answer, as one message of the assistant, if it says anything."""
    chat = Chat()
    if reply.choices:
        _Into(chat).add(reply.choices[0].message, "the answer")
    if len(reply.choices) > 1:
        chat.left_out.append(f"{len(reply.choices) - 1} more alternative answers")
    return chat


class _Into:
    """Adds messages to a chat."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._open: list[tuple[str, str | None]] = []
        self._made = 0

    def add(self, message: Message, where: str) -> None:
        """Add one; *where* names it in what is left out."""
        calls, content, refusals = [], [], []
        for part in message.parts:
            if isinstance(part, ToolCall) and not part.server_side:
                calls.append(self._call(part))
            elif isinstance(part, ToolResult) and not part.server_side:
                self._chat.messages.append(self._result(part))
            elif isinstance(part, Refusal):
                refusals.append(part.text)
            elif (found := _CONTENT[type(part)](part)) is not None:
                content.append(found)
            else:
                self._chat.left_out.append(f"{_named(part)} of {where}")
        said = {"content": _plain(content), "refusal": "".join(refusals) or None, "tool_calls": calls or None}
        said = {key: value for key, value in said.items() if value is not None}
        if said:
            self._append(self._role(message.role, where), message.name, said)

    def _role(self, role: str, where: str) -> str:
        if role in _ROLES:
            return role
        self._chat.left_out.append(f"the role {role!r} of {where}: it became `user`")
        return "user"

    def _append(self, role: str, name: str | None, said: dict[str, Json]) -> None:
        """To the assistant's last message, if that is the last: elsewhere each call is an item of its own."""
        last = self._chat.messages[-1] if self._chat.messages else {}
        if role == "assistant" == last.get("role"):
            for key, value in said.items():
                last[key] = _joined(last.get(key), value)
            return
        self._chat.messages.append({"role": role, **({"name": name} if name else {}), **said})

    def _call(self, part: ToolCall) -> Json:
        name = part.name or ""
        ident = part.id or self._new_id()
        self._open.append((ident, part.name))
        arguments = part.arguments if isinstance(part.arguments, str) else _text(part.arguments)
        return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _result(self, part: ToolResult) -> dict[str, Json]:
        ident = part.id or self._answered(part.name)
        content = part.result if isinstance(part.result, str) else _text_of_blocks(part.result)
        return {"role": "tool", "tool_call_id": ident, "content": content}

    def _new_id(self) -> str:
        self._made += 1
        return f"call_{self._made}"

    def _answered(self, name: str | None) -> str:
        """The call that a result without an id answers: the first one of its name, else the first one."""
        at = next((n for n, (_, called) in enumerate(self._open) if called == name), 0)
        return self._open.pop(at)[0] if self._open else self._new_id()


def _text(value: Json) -> str:
    return _json.dumps(value).decode()


def _text_of_blocks(result: Json) -> str:
    """The text of a result that is nothing but texts; else all of it as JSON."""
    blocks = [mapping(block) for block in sequence(result)]
    texts = [block["text"] for block in blocks if block.keys() == {"type", "text"}]
    is_text = texts and len(texts) == len(blocks) and all(isinstance(text, str) for text in texts)
    return "\n".join(texts) if is_text else _text(result)


def _plain(content: Sequence[dict[str, Json]]) -> Json:
    """Text alone as a string, as most have it."""
    if not content:
        return None
    if all(block["type"] == "text" for block in content):
        return "\n".join(block["text"] for block in content)
    return list(content)


def _joined(old: Json, new: Json) -> Json:
    if old is None:
        return new
    if isinstance(old, str) and isinstance(new, str):
        return f"{old}\n{new}"
    return [*_blocks(old), *_blocks(new)]


def _blocks(value: Json) -> list[Json]:
    return [{"type": "text", "text": value}] if isinstance(value, str) else list(value)


def _media(part: Media) -> dict[str, Json] | None:
    """Images, sound and files have a form each; what another provider keeps under a `file_id` has none."""
    inline = f"data:{part.mime_type or _MIME[part.modality]};base64,{part.data}" if part.data else None
    if part.modality == "image" and (part.uri or inline):
        return {"type": "image_url", "image_url": {"url": part.uri or inline}}
    if part.modality == "audio" and part.data:
        form = (part.mime_type or "audio/wav").rpartition("/")[2]
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
    if part.modality == "file" and inline:
        return {"type": "file", "file": {"file_data": inline, "filename": "file"}}
    return None


_MIME: Final[Mapping[str, str]] = {
    "image": "image/png",
    "audio": "audio/wav",
    "video": "video/mp4",
    "file": "application/octet-stream",
}
_CONTENT: Final[Mapping[type, Callable[[Any], dict[str, Json] | None]]] = {
    Text: lambda part: {"type": "text", "text": part.text},
    Media: _media,
    Thinking: lambda _: None,
    ToolCall: lambda _: None,
    ToolResult: lambda _: None,
    Other: lambda _: None,
}
"""Kind of part → its block of content; `None`: it has none."""


def _named(part: Part) -> str:
    if isinstance(part, Other):
        fields = mapping(part.value)
        return f"a part of type {fields.get('type') or ', '.join(fields) or '?'}"
    if isinstance(part, Media):
        return f"{part.modality} that has no form there"
    if isinstance(part, (ToolCall, ToolResult)):
        return f"the use of a tool that the provider runs ({part.name or '?'})"
    return "thinking"


def _tools(raw: bytes | None, left_out: list[str]) -> Iterator[Json]:
    if raw is None:
        return
    for tool in declarations(raw) or ():
        if tool.name is None or tool.is_text:
            left_out.append(f"a tool of the provider's own form ({string(tool.name) or '?'})")
            continue
        about = {"name": tool.name, "description": tool.description, "parameters": plain_schema(tool.schema)}
        yield {"type": "function", "function": {k: v for k, v in about.items() if v is not None}}
