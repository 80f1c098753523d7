from stream.protocols.openai_idle import Idle


def pushed(*steps, most=10):
    """Return what is due after each step: `a`nswering, `s`peaking, or neither."""
    idle = Idle()
    return [
        idle.push(now, answering=how == "a", speaking=how == "s", most=most)
        for now, how in steps
    ]


def test_a_silence_counts_from_the_end_of_an_answer():
    assert pushed((0, "a"), (5, ""), (14, ""), (15, "")) == [None, None, None, 5]


def test_it_is_due_once_until_the_next_answer_is_over():
    steps = ((0, "a"), (1, ""), (11, ""), (99, ""), (99, "a"), (100, ""), (110, ""))
    assert pushed(*steps) == [None, None, 1, None, None, None, 100]


def test_without_an_answer_nothing_is_due():
    assert pushed((0, ""), (100, ""), (100, "s"), (200, "")) == [None] * 4


def test_who_speaks_is_not_idle():
    assert pushed((0, "a"), (1, ""), (9, "s"), (50, "")) == [None] * 4


def test_a_silence_may_last_if_nobody_says_how_long():
    assert pushed((0, "a"), (1, ""), (10**9, ""), most=None) == [None] * 3
