import pytest

from engine.data.reading import Broken, Found, Sounds, collect
from tests.engine.data.layouts import record


def found(file, **facts):
    return Found(file, facts)


def test_longer_clips_are_skipped_and_counted(tmp_path):
    files = [record(tmp_path / f"{s}.wav", s) for s in (1.0, 2.0, 3.0)]
    reading = collect(map(found, files), max_s=2.0)
    assert [clip.duration_s for clip in reading.clips] == [1.0, 2.0]
    assert reading.broken == [Broken(str(files[2]), "longer than 2 s")]


def test_an_empty_recording_is_skipped(tmp_path):
    reading = collect([found(record(tmp_path / "empty.wav", 0.0))])
    assert reading.reasons == {"the recording is empty": 1}


def test_a_recording_that_was_cut_off_is_found_by_decoding(tmp_path):
    file = record(tmp_path / "cut.flac", 20.0)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert len(collect([found(file)]).clips) == 1
    reading = collect([found(file)], decode=True)
    assert not reading.clips
    assert sum(reading.reasons.values()) == 1


def test_what_readers_report_is_kept(tmp_path):
    items = [
        Broken("a", "no text"),
        found(record(tmp_path / "a.wav")),
        Broken("b", "x"),
    ]
    reading = collect(items)
    assert len(reading.clips) == 1
    assert [item.item for item in reading.broken] == ["a", "b"]


def test_recordings_are_found_by_name_in_the_folder_that_is_meant(tmp_path):
    record(tmp_path / "a/same.wav")
    record(tmp_path / "b_flac/same.flac")
    (tmp_path / "b_flac/other.txt").touch()
    sounds = Sounds(tmp_path)
    assert sounds.find("none", "same") == tmp_path / "a/same.wav"
    assert sounds.find("same", within="b") == tmp_path / "b_flac/same.flac"
    assert not sounds.find("other").exists()


@pytest.mark.parametrize("start_s", [0.5, 3.0])
def test_a_part_must_lie_in_its_file(tmp_path, start_s):
    part = Found(record(tmp_path / "a.wav", 3.0), {"start_s": start_s}, 1.0)
    reading = collect([part])
    assert len(reading.clips) == (start_s == 0.5)
    assert len(reading.broken) == (start_s == 3.0)
