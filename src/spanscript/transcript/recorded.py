"""A call with all that it sent and got, read when it is asked for: `Transcript.call`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanscript import _json
from spanscript._exchange import Json
from spanscript.transcript import summary
from spanscript.transcript.calls import Call
from spanscript.transcript.lines import Entry
from spanscript.transcript.typed import ProviderCallResponse, typed

if TYPE_CHECKING:
    from spanscript.transcript.reader import Transcript


class RecordedAttempt:
    """
    One HTTP attempt of a call. Properties read the files, and raise `TranscriptError` for what is not there.

    Attributes:
        number: Counted from 0.
        status: `ok`, a status of `provider_call_error`, or `unfinished`.
    """

    def __init__(self, transcript: Transcript, call: Call, number: int) -> None:
        self.number = number
        self.status = call.attempt_status(number)
        self._transcript = transcript
        self._call = call

    @property
    def body(self) -> bytes:
        """The request body as it was sent."""
        return self._transcript.body(self._entry)

    @property
    def request(self) -> Json:
        """The request body as a JSON value; text if it is none."""
        content = self.body
        try:
            return _json.loads(content)
        except ValueError:
            return content.decode(errors="replace")

    @property
    def messages(self) -> list[Json]:
        """The conversation that was sent, oldest first, without the system prompt; blobs in their places."""
        context = self._transcript.contents.context(self._entry.get("context"), self._entry.get("writer"))
        whole = (self._transcript.fill(entry) for entry in context)
        return [typed(entry).message for entry in whole]  # type: ignore[attr-defined]

    @property
    def system_prompt(self) -> Json:
        """The system prompt, as it was sent; `None` without one."""
        return self._value("system_prompt")

    @property
    def tools(self) -> Json:
        """The tools that were offered, as they were sent; `None` without any."""
        return self._value("tool_schemas")

    @property
    def response(self) -> ProviderCallResponse | None:
        """What came: a `ProviderCallError` if it did not end well, `None` if its end was not seen."""
        outcome = self._call.outcomes.get(self.number)
        if outcome is None:
            return None
        found = typed(self._transcript.fill(self._transcript.whole(outcome)))
        return found if isinstance(found, ProviderCallResponse) else None

    def as_dict(self) -> dict[str, Json]:
        """What is known of it in brief, as `spanscript show --json` lists attempts."""
        found = summary.of_attempts(self._call)
        return next(record for record in found if record["attempt"] == self.number)

    @property
    def _entry(self) -> Entry:
        return self._transcript.request(self._call, self.number)

    def _value(self, key: str) -> Json:
        raw = self._transcript.value(self._entry, key)
        return None if raw is None else _json.loads(raw)


class RecordedCall(RecordedAttempt):
    """
    A call; what an attempt has, it has of its last one.

    Attributes:
        call_id: Its UUID.
        attempts: Each of its attempts.
    """

    def __init__(self, transcript: Transcript, call: Call) -> None:
        super().__init__(transcript, call, max(call.attempts, default=0))
        self.call_id = call.call_id
        self.attempts = [RecordedAttempt(transcript, call, number) for number in call.attempts]

    def as_dict(self) -> dict[str, Json]:
        """What is known of it in brief, as `spanscript ls --json` lists calls."""
        return self._call.as_dict()
