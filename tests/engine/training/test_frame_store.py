import json

import numpy as np
import pytest

from engine.training.frame_store import (
    FrameReader,
    FrameStoreError,
    FrameWriter,
    FullError,
)

WIDTH = 3


def rows(count, value=0.0):
    return (np.arange(count * WIDTH).reshape(count, WIDTH) + value).astype(np.float16)


def writer(folder, **changes):
    options = {"width": WIDTH, "settings": {"layers": [1]}, "max_bytes": 10_000}
    return FrameWriter(folder, **options | changes)


def reader(folder):
    return FrameReader(folder, width=WIDTH)


def test_what_was_added_is_read_again(tmp_path):
    with writer(tmp_path, shard_bytes=50) as out:
        for index in range(7):
            out.append(f"clip {index}", rows(5, index), {"block_windows": index})
    found = reader(tmp_path)
    assert len(found.entries) == 7
    assert len(list(tmp_path.glob("*.rows"))) > 1
    for index in range(7):
        assert np.array_equal(found.read(f"clip {index}"), rows(5, index))
        assert found.entries[f"clip {index}"].facts == {"block_windows": index}
    assert "another clip" not in found


def test_a_writer_goes_on_where_another_ended(tmp_path):
    for index in range(3):
        with writer(tmp_path, shard_bytes=50) as out:
            assert len(out.entries) == index
            out.append(str(index), rows(4, index), {})
    for index in range(3):
        assert np.array_equal(reader(tmp_path).read(str(index)), rows(4, index))


def test_rows_whose_line_was_never_written_are_overwritten(tmp_path):
    with writer(tmp_path) as out:
        out.append("a", rows(2), {})
        out.append("b", rows(2, 7), {})
    index = tmp_path / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-4])  # killed in the middle of a line
    assert list(reader(tmp_path).entries) == ["a"]
    with writer(tmp_path) as out:
        out.append("c", rows(3, 9), {})
    assert list(reader(tmp_path).entries) == ["a", "c"]
    assert np.array_equal(reader(tmp_path).read("c"), rows(3, 9))
    assert (tmp_path / "00000.rows").stat().st_size == 5 * WIDTH * 2


def test_of_two_clips_with_one_key_the_later_counts(tmp_path):
    with writer(tmp_path) as out:
        out.append("a", rows(2), {})
        out.append("a", rows(4, 1), {})
    assert np.array_equal(reader(tmp_path).read("a"), rows(4, 1))


def test_a_reader_sees_what_was_added_before_it_looked(tmp_path):
    with writer(tmp_path) as out:
        out.append("a", rows(2), {})
        early = reader(tmp_path)
        early.read("a")
        out.append("b", rows(2, 5), {})
        assert "b" not in early
        assert np.array_equal(reader(tmp_path).read("b"), rows(2, 5))


def test_a_full_folder_takes_nothing_more(tmp_path):
    with writer(tmp_path, max_bytes=30) as out:
        out.append("a", rows(4), {})
        with pytest.raises(FullError, match=r"is full: at most 0\.0 GB are allowed"):
            out.append("b", rows(4), {})
    assert list(reader(tmp_path).entries) == ["a"]


def test_two_writers_do_not_share_a_folder(tmp_path):
    with (
        writer(tmp_path),
        pytest.raises(FrameStoreError, match="another process"),
        writer(tmp_path),
    ):
        pass


def test_frames_of_other_settings_are_refused(tmp_path):
    with writer(tmp_path):
        pass
    with pytest.raises(FrameStoreError, match="has other settings"):
        writer(tmp_path, settings={"layers": [2]}).__enter__()


@pytest.mark.parametrize("line", ["nothing", json.dumps(["a", 0, 0]), "[]", "3"])
def test_a_line_that_is_no_entry_is_named(tmp_path, line):
    (tmp_path / "index.jsonl").write_text(line + "\n")
    with pytest.raises(FrameStoreError, match=r"index\.jsonl:1 is no entry"):
        reader(tmp_path)


def test_a_file_that_was_cut_short_is_named(tmp_path):
    with writer(tmp_path) as out:
        out.append("a", rows(4), {})
    file = tmp_path / "00000.rows"
    file.write_bytes(file.read_bytes()[:-6])
    with pytest.raises(FrameStoreError, match=r"has 3 rows; expected 4"):
        reader(tmp_path).read("a")
    file.unlink()
    with pytest.raises(FrameStoreError, match="cannot be mapped"):
        reader(tmp_path).read("a")
