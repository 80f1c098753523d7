import subprocess
import sys

import pytest

from engine.api import Prompt, load
from engine.config import EngineConfig
from engine.errors import PackageError


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


def test_ray_is_asked_for_in_a_sentence_where_it_is_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "engine.ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageError) as caught:
        load(EngineConfig(backend="ray"))
    assert str(caught.value) == (
        'engine.backend = "ray": ray is not installed '
        "(pip install 'salmonn-live[cluster]')"
    )


def test_ray_is_imported_only_where_it_is_chosen():
    code = "import sys, engine.local, stream.__main__; sys.exit('ray' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=False)
    assert run.returncode == 0
