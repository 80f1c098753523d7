"""Inputs for the fuzzing of OpenAI's Realtime protocol: events, and what is in them.

Hypothesis strategies, as those of `tests.fuzz_inputs`.
"""

from hypothesis import strategies as st

from tests.fuzz_inputs import BASE64, nearly, of_type, texts

CONTENT = st.lists(
    nearly(type=st.sampled_from(["input_text", "text"]), text=st.text()), max_size=3
)
ITEM = nearly(
    type=st.sampled_from(["message", "item_reference", "function_call"]),
    role=st.sampled_from(["user", "system", "assistant"]),
    id=st.sampled_from(["a", "b"]),
    content=CONTENT,
)
WATCH = nearly(
    id=st.sampled_from(["a", "b"]),
    text=st.sampled_from(["word 1", "a dog"]),
    threshold=st.sampled_from([0.5, 0.0, 1]) | st.floats(),
    min_s=st.sampled_from([0.0, 2]) | st.floats(),
    cooldown_s=st.sampled_from([0.0, 2]) | st.floats(),
)
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
    | of_type("input_audio_buffer.append", nearly(audio=BASE64))
    | of_type("conversation.item.create", nearly(item=ITEM))
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
