"""The loss of a batch, and what of a model learns."""

import json

import pytest
import torch
import torch.nn.functional as F

from engine.data.lists import read_examples
from engine.training.config import MaskConfig
from engine.training.order import Visit
from engine.training.reading import Reader, collate
from engine.training.student import words_of
from tests.engine.training.tiny import BRIDGE, tiny_parts, write_clips


@pytest.fixture
def parts():
    return tiny_parts()


@pytest.fixture
def items(tmp_path, parts):
    examples = read_examples([write_clips(tmp_path, 6)], "train").items
    reader = Reader(examples, parts.listener, parts.speller, seed=0)
    return [reader[Visit(0, index)] for index in range(6)]


def test_the_loss_is_that_of_each_token_given_all_before_it(parts, items):
    """The plain way: one example, the whole row, transformers' own call."""
    student = parts.student.eval()
    item, batch = items[1], collate([items[1]])
    (prefix,) = student.prefixes(batch)
    table = student.llm.get_input_embeddings()
    row = torch.cat([prefix, table(item.target)])[None]
    logits = student.llm(inputs_embeds=row).logits[0]
    expected = F.cross_entropy(
        logits[len(prefix) - 1 : -1], item.target, reduction="sum"
    )
    tally = student(batch)
    assert tally.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert tally.num_targets == len(item.target)


def test_the_audio_stands_between_opening_and_question(parts, items):
    (prefix,) = parts.student.prefixes(collate([items[1]]))
    windows = 60 // 17
    opening = len(parts.speller.opening)
    assert len(prefix) == opening + windows + len(items[1].closing)
    table = parts.student.llm.get_input_embeddings()
    assert torch.equal(prefix[:opening], table(parts.speller.opening))
    assert torch.equal(prefix[opening + windows :], table(items[1].closing))


def test_a_batch_costs_what_its_examples_cost_alone(parts, items):
    student = parts.student.eval()
    together = student(collate(items))
    alone = [student(collate([item])) for item in items]
    assert together.loss.item() == pytest.approx(
        sum(tally.loss.item() for tally in alone), rel=1e-5
    )
    assert together.num_correct == sum(tally.num_correct for tally in alone)
    assert together.num_targets == sum(tally.num_targets for tally in alone)


def test_what_is_asked_about_one_clip_costs_what_it_would_alone(tmp_path, parts):
    lines = [
        {"path": "low0.wav", "text": "low"},
        {"path": "low0.wav", "text": "a low tone", "task": "QA", "Q": "What is it?"},
        {"read": "low", "text": "high", "task": "QA", "Q": "The opposite?"},
        {"path": "high1.wav", "text": "high"},
    ]
    write_clips(tmp_path, 2)
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    examples = read_examples([path], "train").items
    reader = Reader(examples, parts.listener, parts.speller, seed=0)
    items = [reader[Visit(0, index)] for index in range(4)]
    batch, student = collate(items), parts.student.eval()
    assert (batch.clips, len(batch.features["bands"])) == ((0, 0, -1, 1), 2)
    together = student(batch)
    alone = [student(collate([item])) for item in items]
    assert together.num_targets == sum(tally.num_targets for tally in alone)
    assert together.loss.item() == pytest.approx(
        sum(tally.loss.item() for tally in alone), rel=1e-5
    )
    assert [len(prefix) for prefix in student.prefixes(batch)] == [
        len(student.prefixes(collate([item]))[0]) for item in items
    ]


def test_an_empty_batch_costs_nothing_and_has_gradients(parts):
    tally = parts.student(collate([]))
    tally.loss.backward()
    assert (tally.loss.item(), tally.num_targets) == (0.0, 0)


def test_scoring_only_the_words_that_occur_lowers_the_loss_but_not_by_its_order(
    parts, items
):
    student, batch = parts.student.eval(), collate(items)
    everything = student(batch)
    student.choose_among(words_of(batch.targets))
    some = student(batch)
    assert some.loss < everything.loss
    assert some.num_correct >= everything.num_correct
    everything_is_a_word = torch.arange(student.llm.config.vocab_size)
    student.choose_among(everything_is_a_word)
    assert student(batch).loss.item() == pytest.approx(everything.loss.item(), rel=1e-6)


def test_only_bridge_and_adapters_have_gradients(parts, items):
    parts.student(collate(items)).loss.backward()
    learned = {name for name, _ in parts.learned()}
    with_gradient = {
        name
        for name, parameter in parts.student.named_parameters()
        if parameter.grad is not None
    }
    # With one query, self-attention has nothing to choose: no gradient reaches there.
    assert with_gradient <= learned
    assert {name.partition(".")[0] for name in learned} == {"bridge", "llm"}
    assert sum("lora_" in name for name in learned) == 8


def test_frozen_modules_stay_in_eval_mode():
    parts = tiny_parts(lora_dropout=0.5)
    for mode in (True, False):
        parts.student.train(mode)
        training = {n for n, m in parts.student.named_modules() if m.training}
        if not mode:
            assert not training
            continue
        assert parts.student.training
        assert not [n for n in training if n.startswith("ears")]
        assert not [n for n in training if n.startswith("llm") and "lora_" not in n]
        assert any("lora_dropout.default" in name for name in training)
        assert "bridge" in training


def test_dropout_of_the_adapters_acts_in_training_only(items):
    parts = tiny_parts(lora_dropout=0.5)
    with torch.no_grad():
        for name, parameter in parts.learned():
            if "lora_B" in name:
                parameter.fill_(0.5)
    batch = collate(items)
    parts.student.train()
    assert parts.student(batch).loss != parts.student(batch).loss
    parts.student.eval()
    assert parts.student(batch).loss == parts.student(batch).loss


def test_masks_act_in_training_only(items):
    masks = MaskConfig(time_masks=3, max_share=0.5, channel_masks=2, max_channels=4)
    parts, plain = tiny_parts(masks=masks), tiny_parts()
    batch = collate(items)
    assert BRIDGE.dropout == 0.0
    assert parts.student.train()(batch).loss != plain.student.train()(batch).loss
    assert parts.student.eval()(batch).loss == plain.student.eval()(batch).loss
