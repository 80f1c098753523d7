import pytest

from engine.api import Prompt


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "either a task or a text"),
        ({"task": "describe", "text": "What?"}, "either a task or a text"),
        ({"text": "  "}, "either a task or a text"),
        ({"text": "What?", "max_tokens": 0}, "max_tokens is 0"),
        ({"text": "What?", "temperature": -0.1}, "temperature is -0.1"),
    ],
)
def test_a_prompt_that_asks_nothing_sensible_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Prompt(**wrong)
