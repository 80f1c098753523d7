"""The prompt's two halves: where they part, how they are tokenised, what ids they give.

`llama_prompt_ids.json` has the ids that LLaMA's tokenizer gives for the halves of the
official prompts, and which piece of text each of these ids stands for.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from engine.geometry import WINDOW, window_count
from engine.prompt import AUDIO, beside, closing, halves, latest, opening, written
from engine.tasks import TEST_PROMPTS

LLAMA = json.loads((Path(__file__).parent / "llama_prompt_ids.json").read_text("utf-8"))
BOS = 1


class LlamaPieces:
    """The few pieces of LLaMA's vocabulary that the official prompts need.

    As SentencePiece does, it puts a space before every text.  It takes the longest
    piece that fits, which for these prompts is what LLaMA's merges arrive at.
    """

    bos_token_id = BOS

    def __init__(self):
        self.ids = {piece: int(number) for number, piece in LLAMA["pieces"].items()}

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens
        rest, ids = ("▁" + text.replace(" ", "▁")), []
        while rest:
            piece = max(filter(rest.startswith, self.ids), key=len)
            ids.append(self.ids[piece])
            rest = rest.removeprefix(piece)
        return ids


class Recorder:
    """Writes down what it is asked for; every character is an id."""

    def __init__(self, bos_token_id=BOS):
        self.bos_token_id = bos_token_id
        self.texts = []

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens, "BOS would come twice"
        self.texts.append(text)
        return [ord(character) for character in text]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("ten letter", "ten letter"),
        ("and ten letters", "letters"),
        ("多于十个字的一句话没有空格", "个字的一句话没有空格"),
        ("aaa bbbb cc ddddd", "cc ddddd"),
        ("多于十个字的一句话没有空格。 好的 ", "好的"),
        ("", ""),
    ],
)
def test_of_many_words_the_last_are_told(text, end):
    assert latest(Recorder(), text, 10) == end


def test_where_spaces_are_rare_they_tell_no_words():
    text = "一二三四五六七八九十" * 5 + " 好的"
    assert latest(Recorder(), text, 40) == text[-40:]


def test_what_was_said_stands_before_the_question_if_anything_was():
    assert beside(" Who? ", " Hello. ") == 'It is said: "Hello." Who?'
    assert beside("Who?", " ") == "Who?"


def test_the_audio_stands_between_two_tags_and_the_question_one_space_behind():
    assert halves("What is it?") == (
        "USER: <Speech>",
        "</Speech> What is it?\nASSISTANT:",
    )


def test_the_halves_are_tokenised_apart_and_nothing_else_is():
    tokenizer = Recorder()
    opening(tokenizer)
    closing(tokenizer, "Who?")
    assert tokenizer.texts == ["USER: <Speech>", "</Speech> Who?\nASSISTANT:"]


def test_bos_comes_once_and_in_front():
    tokenizer = Recorder()
    ids = (*opening(tokenizer), *closing(tokenizer, "Who?"))
    assert ids[0] == BOS
    assert BOS not in ids[1:]


def test_a_model_without_bos_gets_none():
    assert opening(Recorder(bos_token_id=None)) == tuple(map(ord, "USER: <Speech>"))


def test_a_bos_of_id_0_is_a_bos():
    assert opening(Recorder(bos_token_id=0))[0] == 0


@given(question=st.text(), before=st.text(" \n\t"), after=st.text(" \n\t"))
def test_white_space_around_a_question_changes_nothing(question, before, after):
    assert halves(before + question + after) == halves(question)


@given(st.text())
def test_every_question_has_the_same_opening(question):
    assert halves(question)[0] == halves("")[0]


@pytest.mark.parametrize("question", [AUDIO, f"a{AUDIO}b", "{}", "{0}", "%s", "}{"])
def test_a_question_may_hold_any_mark_of_ours(question):
    assert halves(question) == ("USER: <Speech>", f"</Speech> {question}\nASSISTANT:")


def test_every_official_prompt_has_its_ids():
    assert LLAMA["after"].keys() == TEST_PROMPTS.keys()


@pytest.mark.parametrize("group", TEST_PROMPTS)
def test_an_official_prompt_gives_the_ids_of_llama(group):
    tokenizer = LlamaPieces()
    assert opening(tokenizer) == (BOS, *LLAMA["before"])
    assert list(closing(tokenizer, TEST_PROMPTS[group])) == LLAMA["after"][group]


@pytest.mark.parametrize("group", TEST_PROMPTS)
def test_the_ids_of_llama_spell_the_official_prompt(group):
    pieces = [LLAMA["pieces"][str(number)] for number in LLAMA["after"][group]]
    text = "".join(pieces).replace("▁", " ").removeprefix(" ")
    assert text == halves(TEST_PROMPTS[group])[1]


def test_the_second_half_begins_with_a_space_that_only_a_text_of_its_own_is_given():
    assert halves("")[1].startswith("</")
    assert {LLAMA["pieces"][str(ids[0])] for ids in LLAMA["after"].values()} == {"▁</"}


def test_the_official_request_for_a_transcript_is_117_positions_long():
    tokenizer = LlamaPieces()
    windows = window_count(1500, size=WINDOW, hop=WINDOW)
    text = (*opening(tokenizer), *closing(tokenizer, TEST_PROMPTS["asr"]))
    assert len(text) + windows == 117


def test_a_tokenizer_of_transformers_adds_no_bos_of_its_own():
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "USER": 2}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", unk_token="<unk>"
    )
    assert tokenizer.encode("USER")[0] == BOS, "without being told, it adds one"
    assert opening(tokenizer)[:2] == (BOS, 2)
    assert opening(tokenizer).count(BOS) == 1
    assert BOS not in closing(tokenizer, "Who?")


class Characters:
    """A tokenizer whose tokens are characters."""

    bos_token_id = None

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens
        return list(map(ord, text))


def test_a_prompt_about_a_text_has_the_text_where_its_audio_would_be_asked_about():
    ids = written(Characters(), " Translate: ", " Good day. ")
    assert "".join(map(chr, ids)) == "USER: Translate: Good day.\nASSISTANT:"


def test_a_prompt_about_a_text_begins_with_bos():
    tokenizer = Characters()
    tokenizer.bos_token_id = 7
    assert written(tokenizer, "Translate:", "Hello").index(7) == 0
