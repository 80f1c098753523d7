"""Each reader on a tiny folder in the published layout, one item of which is broken."""

import json

import pytest

from tests.engine.data.layouts import damage, record, write
from tests.engine.data.test_readers_of_speech import read


@pytest.mark.parametrize("stem", ["abc-_123_30", "Yabc-_123", "abc-_123", "91139"])
def test_audiocaps(tmp_path, stem):
    write(
        tmp_path / "test.csv",
        "audiocap_id,youtube_id,start_time,caption",
        '91139,abc-_123,30,"A dog barks, then growls"',
        "91140,abc-_123,30,A dog barking",
        "91141,gone,0,Wind blows",
        "91142,gone,0,",
    )
    record(tmp_path / "audio/test" / f"{stem}.wav", 10.0)

    reading = read("audiocaps", tmp_path)
    (clip,) = reading.clips
    assert clip.facts == {
        "set": "audiocaps_test",
        "split": "test",
        "captions": ["A dog barks, then growls", "A dog barking"],
    }
    assert reading.reasons == {
        "the recording is missing": 1,
        "its line lacks a video or a caption": 1,
    }


def test_clotho(tmp_path):
    head = "file_name," + ",".join(f"caption_{i}" for i in range(1, 6))
    for part in ("development", "evaluation"):
        write(
            tmp_path / f"clotho_csv_files/clotho_captions_{part}.csv",
            head,
            "Distorted AM Radio.wav,a,b,c,d,e",
            "Broken.wav,a,b,c,d,e",
            "Nothing.wav,,,,,",
        )
        folder = tmp_path / "clotho_audio_files" / part
        record(folder / "Distorted AM Radio.wav", 15.0, rate=44_100)
        damage(folder / "Broken.wav")

    reading = read("clotho", tmp_path)
    first, second = reading.clips
    assert first.facts == {
        "set": "clotho_development",
        "split": "train",
        "captions": ["a", "b", "c", "d", "e"],
    }
    assert "evaluation" in second.file.parts
    assert second.facts["split"] == "test"
    assert reading.reasons == {
        "the recording cannot be read": 2,
        "its line lacks a file or a caption": 2,
    }


def test_wavcaps(tmp_path):
    for source, name, entries in [
        ("SoundBible", "sb_final", [{"id": "2219", "caption": "A bell rings."}]),
        ("FreeSound", "fsd_final", [{"id": "2219", "caption": "Rain."}, {"id": "1"}]),
        ("AudioSet_SL", "as_final", [{"id": "Yx_1.wav", "caption": "A cat."}]),
    ]:
        listing = tmp_path / "json_files" / source / f"{name}.json"
        write(listing, json.dumps({"num_captions_per_audio": 1, "data": entries}))
    record(tmp_path / "waveforms/SoundBible_flac/2219.flac")
    record(tmp_path / "waveforms/FreeSound_flac/2219.flac", 2.0)

    reading = read("wavcaps", tmp_path)
    found = {clip.facts["set"]: clip for clip in reading.clips}
    assert found["wavcaps_soundbible"].facts["captions"] == ["A bell rings."]
    assert found["wavcaps_freesound"].duration_s == 2.0
    assert reading.reasons == {
        "the recording is missing": 1,
        "its entry lacks an id or a caption": 1,
    }


def test_musiccaps(tmp_path):
    write(
        tmp_path / "musiccaps-public.csv",
        "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,"
        "is_balanced_subset,is_audioset_eval",
        "-0Gj8-vB1q4,30,40,/m/0140xf,\"['ballad', 'piano']\",A ballad.,4,False,True",
        '0aaa,0,10,/m/0140xf,"[]",Fast drums.,4,False,False',
        "0bbb,0,10,/m/0140xf,,,4,False,False",
    )
    record(tmp_path / "audio/[-0Gj8-vB1q4]-[30-40].wav")
    record(tmp_path / "audio/0aaa.wav")

    reading = read("musiccaps", tmp_path)
    test, train = reading.clips
    assert test.facts == {
        "set": "musiccaps_test",
        "split": "test",
        "music_captions": ["A ballad."],
        "tags": ["ballad", "piano"],
    }
    assert train.facts["split"] == "train"
    assert reading.reasons == {"its line lacks a video or a caption": 1}


def test_millionsong(tmp_path):
    def track(part, name, tags):
        file = tmp_path / part / "A/A/A" / f"{name}.json"
        write(file, json.dumps({"track_id": name, "tags": tags}))

    track("lastfm_train", "TRAAAAW1", [["classic pop rock", "100"], ["meh", "3"]])
    track("lastfm_test", "TRAAAAW2", [["jazz", "60"]])
    track("lastfm_test", "TRAAAAW3", [])
    write(tmp_path / "lastfm_test/A/A/A/TRAAAAW4.json", "{")
    record(tmp_path / "clips/TRAAAAW1.mp3", rate=44_100)

    reading = read("millionsong", tmp_path)
    (clip,) = reading.clips
    assert clip.facts["tags"] == ["classic pop rock"]
    assert (clip.facts["set"], clip.facts["split"]) == ("millionsong_train", "train")
    assert reading.reasons == {
        "the recording is missing": 1,
        "no tag that 50 % of its listeners use": 1,
        "not a track of Last.fm": 1,
    }


def test_musicnet(tmp_path):
    write(
        tmp_path / "musicnet_metadata.csv",
        "id,composer,composition,movement,ensemble,source,transcriber,catalog_name,seconds",
        "1727,Schubert,Piano Quintet in A major,2. Andante,Piano Quintet,,,OP114,42",
    )
    root = tmp_path / "musicnet"
    record(root / "train_data/1727.wav", 42.0, rate=8_000)
    record(root / "train_data/1728.wav")
    write(
        root / "train_labels/1727.csv",
        "start_time,end_time,instrument,note,start_beat,end_beat,note_value",
        "9182,90078,43,53,4.0,1.5,Dotted Quarter",
        "1000000,1400000,41,60,4.0,1.5,Half",
        "1400000,1500000,1,60,4.0,1.5,Half",
    )

    reading = read("musicnet", tmp_path)
    first, second = reading.clips
    assert (first.start_s, first.duration_s) == (0.0, 30.0)
    assert first.facts["instruments"] == ["cello", "violin"]
    assert (second.start_s, second.duration_s) == (30.0, 12.0)
    assert second.facts["instruments"] == ["piano", "violin"]
    assert second.facts["composer"] == "Schubert"
    assert reading.reasons == {"the piece has no line or no labels": 1}
