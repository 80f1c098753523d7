"""Examples as tensors."""

from dataclasses import replace

import pytest
import torch

from engine.data.lists import read_examples
from engine.tasks import TEST_PROMPTS
from engine.training.order import Visit
from engine.training.reading import Batches, Broken, Item, Reader, Speller, collate
from engine.wordings import WORDINGS
from tests.engine.training.tiny import (
    BANDS,
    END,
    BandListener,
    ByteTokenizer,
    write_clips,
)


@pytest.fixture
def speller():
    return Speller(ByteTokenizer(), END, max_target_tokens=6)


@pytest.fixture
def reader(tmp_path, speller):
    examples = read_examples([write_clips(tmp_path, 4, broken=1)], "train").items
    return Reader(examples, BandListener(), speller, seed=0)


def text(ids):
    return ByteTokenizer().decode(ids.tolist(), skip_special_tokens=True)


def test_a_target_ends_unless_it_was_cut(speller):
    assert speller.target("high").tolist()[-1] == END
    assert len(speller.target("high")) == 5
    cut = speller.target("much too high")
    assert text(cut) == "much t"
    assert END not in cut


def test_an_example_is_asked_in_a_wording_of_its_group(reader):
    item = reader[Visit(0, 1)]
    assert isinstance(item, Item)
    question = text(item.closing)
    assert question.startswith("</Speech> ")
    assert question.endswith("\nASSISTANT:")
    wording = question.removeprefix("</Speech> ").removesuffix("\nASSISTANT:")
    assert wording in WORDINGS["asr"]
    assert text(item.target) == "high"
    assert item.features["bands"].shape == (60, BANDS)


def test_each_visit_may_be_asked_otherwise_and_the_same_one_is_not(reader):
    asked = [text(reader[Visit(epoch, 1)].closing) for epoch in range(12)]
    assert len(set(asked)) > 1
    assert asked == [text(reader[Visit(epoch, 1)].closing) for epoch in range(12)]


def test_fixed_examples_are_asked_as_the_model_is_served(tmp_path, speller):
    examples = read_examples([write_clips(tmp_path, 2)], "dev").items
    reader = Reader(examples, BandListener(), speller, seed=0, fixed=True)
    assert TEST_PROMPTS["asr"] in text(reader[Visit(3, 0)].closing)


def test_what_cannot_be_read_is_told_and_not_in_the_batch(reader):
    batch = collate([reader[Visit(0, index)] for index in range(3)])
    assert batch.keys == ("high1.wav", "low2.wav")
    (broken,) = batch.broken
    assert isinstance(broken, Broken)
    assert broken.key == "low0.wav"
    assert "is not audio" in broken.problem


def test_shorter_features_are_followed_by_zeros(reader):
    batch = collate([reader[Visit(0, index)] for index in (1, 2, 3)])
    assert batch.features["bands"].shape == (3, 70, BANDS)
    assert batch.lengths["bands"].tolist() == [60, 70, 50]
    assert not batch.features["bands"][2, 50:].any()
    assert batch.num_targets == 5 + 4 + 5


def test_examples_about_one_clip_share_its_features(tmp_path, speller):
    listed = write_clips(tmp_path, 2)
    listed.write_text(listed.read_text("utf-8") * 2)
    examples = read_examples([listed], "train").items
    heard = []

    class Counting(BandListener):
        def hear(self, example, seed):
            heard.append(example.key)
            return super().hear(example, seed)

    reader = Reader(examples, Counting(), speller, seed=0)
    batch = collate([reader[Visit(0, index)] for index in (0, 2, 1)])
    assert batch.keys == ("low0.wav", "low0.wav", "high1.wav")
    assert batch.clips == (0, 0, 1)
    assert batch.features["bands"].shape[0] == len(batch.seeds) == 2
    assert heard == ["low0.wav", "high1.wav"]
    again = collate([reader[Visit(0, 0)], reader[Visit(1, 0)]])
    assert again.clips == (0, 1)


def test_what_is_said_stands_before_the_question(tmp_path, speller):
    listed = write_clips(tmp_path, 1)
    (example,) = read_examples([listed], "train").items
    told = replace(example, task="QA", question="Who?", said="Hello.")
    item = Reader([told], BandListener(), speller, seed=0, fixed=True)[Visit(0, 0)]
    assert 'It is said: "Hello." Who?' in text(item.closing)


def test_a_question_about_a_text_has_no_audio(tmp_path, speller):
    path = tmp_path / "x.jsonl"
    line = '{"read": "Hello.", "text": "Hallo.", "task": "QA", "Q": "In German:"}'
    path.write_text(line, encoding="utf-8")
    examples = read_examples([path], "train").items
    item = Reader(examples, BandListener(), speller, seed=0)[Visit(0, 0)]
    assert text(item.closing) == "USER: In German: Hello.\nASSISTANT:"
    assert collate([item]).clips == (-1,)


def test_a_batch_of_nothing_but_broken_examples_is_empty(reader):
    batch = collate([reader[Visit(0, 0)]])
    assert (batch.keys, batch.num_targets, len(batch.broken)) == ((), 0, 1)


@pytest.mark.slow
def test_other_processes_read_the_same_batches_in_the_same_order(reader):
    plan = [[Visit(0, 1), Visit(0, 2)], [Visit(0, 0), Visit(1, 3)], [Visit(1, 1)]]
    here = list(Batches(reader, workers=0).read(plan))
    there = list(Batches(reader, workers=2).read(plan))
    assert [batch.keys for batch in there] == [batch.keys for batch in here]
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.features["bands"], other.features["bands"])


def test_reading_draws_nothing_from_the_generator_of_the_model(reader):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    list(Batches(reader, workers=0).read([[Visit(0, 1)]]))
    assert torch.rand(1) == expected
