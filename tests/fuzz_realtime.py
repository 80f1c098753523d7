"""Inputs for the fuzzing of OpenAI's Realtime protocol: events, and what is in them.

Hypothesis strategies, as those of `tests.fuzz_inputs`.
"""

from hypothesis import strategies as st

from tests.fuzz_inputs import BASE64, nearly, of_type, texts

CONTENT = st.lists(
    nearly(
        *("type", "text"),
        type=st.sampled_from(["input_text", "text"]),
        text=st.text(),
    )
    | nearly(
        *("type", "audio"),
        type=st.just("input_audio"),
        audio=BASE64,
        transcript=st.none() | st.text(),
    ),
    max_size=3,
)
NAME = st.sampled_from(["a", "b", "c"])
ITEM = nearly(
    "content",
    type=st.just("message"),
    role=st.sampled_from(["user", "user", "system", "assistant"]),
    id=NAME,
    content=CONTENT,
) | nearly(
    "type",
    type=st.sampled_from(["function_call", "function_call_output", "item_reference"]),
    id=NAME,
    call_id=st.text(),
    name=st.text(),
    arguments=st.text(),
    output=st.text(),
)
WATCH = nearly(
    *("id", "text"),
    id=st.sampled_from(["a", "b", "c", "d"]),
    text=st.sampled_from(["word 1", "a dog"]),
    threshold=st.sampled_from([0.5, 0.9, 1]),
    min_s=st.sampled_from([0.0, 2]),
    cooldown_s=st.sampled_from([0.0, 2]),
)
LISTENING = nearly("watches", sounds=st.booleans(), watches=st.lists(WATCH, max_size=3))
"""What is of our own: sounds by their names, and watches."""


def _listening(salmonn):
    return {"session": {"audio": {"input": {"salmonn": salmonn}}}}


SESSION = nearly(
    type=st.sampled_from(["realtime", "transcription"]),
    instructions=st.text(),
    max_output_tokens=st.integers(-1, 5_000),
    output_modalities=st.lists(st.sampled_from(["text", "audio"])),
    audio=nearly(
        input=nearly(
            format=nearly(
                type=st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma"]),
                rate=st.sampled_from([8_000, 24_000, 22_050]),
            ),
            transcription=nearly(language=st.sampled_from(["en", "xx"])),
            turn_detection=nearly(
                type=st.sampled_from(["server_vad", "semantic_vad"]),
                eagerness=st.sampled_from(["low", "auto"]),
                threshold=st.floats(),
                prefix_padding_ms=st.integers(-1, 6_000),
                silence_duration_ms=st.integers(-1, 20_000),
                create_response=st.booleans(),
                idle_timeout_ms=st.none() | st.integers(-1, 9_000),
            ),
            salmonn=nearly(sounds=st.booleans(), watches=st.lists(WATCH, max_size=3)),
        ),
        output=nearly(voice=st.text()),
    ),
)
RESPONSE = nearly(
    conversation=st.sampled_from(["auto", "none"]),
    instructions=st.text(),
    metadata=st.dictionaries(st.text(), st.text(), max_size=3),
    max_output_tokens=st.integers(-1, 5_000),
    input=st.lists(ITEM, max_size=3),
)
OPENAI = texts(
    of_type("session.update", nearly(session=SESSION))
    | of_type("session.update", LISTENING.map(_listening))
    | of_type("input_audio_buffer.append", nearly(audio=BASE64))
    | of_type("conversation.item.create", nearly("item", item=ITEM))
    | of_type("conversation.item.delete", nearly("item_id", item_id=NAME))
    | of_type("conversation.item.retrieve", nearly("item_id", item_id=NAME))
    | of_type(
        "conversation.item.truncate",
        nearly(
            "item_id",
            item_id=NAME,
            content_index=st.just(0),
            audio_end_ms=st.integers(0, 9),
        ),
    )
    | of_type("output_audio_buffer.clear", st.just({}))
    | of_type("response.create", nearly(response=RESPONSE))
    | of_type("response.cancel", nearly(response_id=st.text()))
)

SECRETS = (
    texts(
        nearly(
            expires_after=nearly(
                anchor=st.just("created_at"), seconds=st.integers(0, 8_000)
            ),
            session=SESSION.flatmap(
                lambda fields: st.just({"type": "transcription"} | fields)
            ),
        )
    ),
    st.integers(1, 200),
)
