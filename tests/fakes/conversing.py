"""What a client of OpenAI's Realtime protocol says in a conversation.

The scripted engine repeats the question and then what it heard.
"""

from tests.fakes.engine import speak
from tests.fakes.realtime import RATE_16K, encoded, until

MODEL = {"model": "gpt-realtime"}
DONE = "response.done"
COMMITTED = "input_audio_buffer.committed"


def session_of(*, turns=None, **more):
    """Return settings: 16 kHz, no turns detected unless `turns` are."""
    audio = {"input": RATE_16K["audio"]["input"] | {"turn_detection": turns}}
    return {"type": "realtime", "audio": audio, **more}


def server_vad(**more):
    """Return how turns are detected."""
    return {"type": "server_vad", **more}


def kinds(events):
    """Return the whole names of events."""
    return [event.type for event in events]


def text_of(events):
    """Return the text of the response that ended last."""
    return events[-1].response.output[0].content[0].text


async def settle(connection, **settings):
    """Change the settings; return them."""
    await connection.session.update(session=session_of(**settings))
    return (await until(connection, "session.updated"))[-1].session


async def say(connection, *words):
    """Say words as one turn, and commit it."""
    await connection.input_audio_buffer.append(audio=encoded(speak(*words)))
    await connection.input_audio_buffer.commit()


def ask(text):
    """Return a message of the user's."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}
