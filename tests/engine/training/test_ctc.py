import torch

from engine.training.ctc import BLANK, Rows, TokenHead, ctc_loss, greedy_places


def test_tokens_have_places_behind_the_blank():
    rows = Rows([900, 7, 30, 7])
    assert rows.tokens == (7, 30, 900)
    assert rows.places([30, 7, 8, 900]) == [2, 1, 3]
    assert rows.at([2, 1, 3]) == [30, 7, 900]
    assert BLANK not in rows.places(rows.tokens)


def test_an_embedding_like_a_row_says_its_token():
    rows = torch.randn(5, 16)
    head = TokenHead(rows)
    logprobs = head(3.0 * rows[None])
    assert logprobs.argmax(-1).tolist() == [[1, 2, 3, 4, 5]]
    assert torch.allclose(logprobs.exp().sum(-1), torch.ones(1, 5), atol=1e-5)


def test_the_rows_are_not_trained():
    head = TokenHead(torch.randn(5, 16))
    assert set(dict(head.named_parameters())) == {"blank", "bias", "sharpness"}
    assert set(head.state_dict()) == {"blank", "bias", "sharpness"}


def test_repeats_are_merged_unless_a_blank_stands_between():
    said = [0, 3, 3, 0, 3, 1, 1, 0, 2]
    logprobs = torch.eye(4)[said]
    assert greedy_places(logprobs, 8) == [3, 3, 1]
    assert greedy_places(logprobs, 9) == [3, 3, 1, 2]


def test_padding_does_not_change_the_loss():
    logprobs = torch.randn(1, 6, 4).log_softmax(-1)
    padded = torch.cat([logprobs, torch.randn(1, 3, 4).log_softmax(-1)], 1)
    assert torch.allclose(
        ctc_loss(logprobs, [6], [[1, 2]]), ctc_loss(padded, [6], [[1, 2]])
    )


def test_the_loss_is_that_of_a_token():
    sure = torch.full((1, 2, 3), -20.0)
    sure[0, 0, 1] = sure[0, 1, 2] = 0.0
    assert float(ctc_loss(sure.log_softmax(-1), [2], [[1, 2]])) < 1e-4
    even = torch.zeros(2, 1, 3).log_softmax(-1)
    loss = ctc_loss(even, [1, 1], [[1], [2]])
    assert torch.isclose(loss, torch.tensor(3.0).log())


def test_a_short_target_weighs_as_much_as_a_long_one():
    logprobs = torch.randn(2, 6, 4).log_softmax(-1)
    short, long = [1], [1, 2, 3]
    alone = [
        ctc_loss(logprobs[:1], [6], [short]),
        ctc_loss(logprobs[1:], [6], [long]),
    ]
    both = ctc_loss(logprobs, [6, 6], [short, long])
    assert torch.allclose(both, sum(alone) / 2)


def test_a_target_too_long_to_be_aligned_does_no_harm():
    logprobs = torch.zeros(1, 1, 3, requires_grad=True)
    loss = ctc_loss(logprobs.log_softmax(-1), [1], [[1, 2]])
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logprobs.grad is not None
    assert not logprobs.grad.any()
