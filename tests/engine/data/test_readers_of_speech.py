"""Each reader on a tiny folder in the published layout, one item of which is broken."""

import json

import pytest

from engine.data.manifest import ManifestError
from engine.data.readers import READERS
from engine.data.reading import Reading, collect
from tests.engine.data.layouts import damage, record, write


def read(name, folder) -> Reading:
    return collect(READERS[name].read(folder))


def test_librispeech(tmp_path):
    root = tmp_path / "LibriSpeech"
    write(
        root / "SPEAKERS.TXT",
        ";ID  |SEX| SUBSET           |MINUTES| NAME",
        "61   | M | test-clean       |  8.08 | Paul-Gabriel Wiener",
        "84   | F | train-clean-100  |  8.10 | Christie Nowak",
    )
    chapter = root / "test-clean/61/70968"
    write(
        chapter / "61-70968.trans.txt",
        "61-70968-0000 HE BEGAN A CONFUSED COMPLAINT",
        "61-70968-0001 GIVE NOT SO EARNEST A MIND",
        "61-70968-0002 A GOLDEN FORTUNE",
        "61-70968-0003",
    )
    record(chapter / "61-70968-0000.flac", 1.5)
    damage(chapter / "61-70968-0001.flac")
    training = root / "train-clean-100/84/121123"
    write(training / "84-121123.trans.txt", "84-121123-0000 GO DO YOU HEAR")
    record(training / "84-121123-0000.flac")

    reading = read("librispeech", tmp_path)
    first, second = reading.clips
    assert first.file == chapter / "61-70968-0000.flac"
    assert first.duration_s == 1.5
    assert first.facts == {
        "set": "librispeech_test_clean",
        "split": "test",
        "text": "HE BEGAN A CONFUSED COMPLAINT",
        "lang": "en",
        "speaker": "ls-61",
        "gender": "m",
    }
    assert second.facts["set"] == "librispeech_train_clean_100"
    assert (second.facts["split"], second.facts["gender"]) == ("train", "f")
    assert reading.reasons == {
        "the recording cannot be read": 1,
        "the recording is missing": 1,
        "no text": 1,
    }


def test_gigaspeech(tmp_path):
    def segment(number, begin_s, end_s, text, *subsets):
        return {
            "sid": f"POD1_S{number:07}",
            "begin_time": begin_s,
            "end_time": end_s,
            "text_tn": text,
            "subsets": list(subsets),
        }

    segments = [
        segment(0, 0.5, 2.0, "AS IT IS <COMMA> SAY <PERIOD>", "{XL}", "{L}", "{M}"),
        segment(1, 2.0, 2.5, "<MUSIC>", "{XL}"),
        segment(2, 2.5, 3.0, "WHO <QUESTIONMARK>", "{TEST}"),
        segment(3, 3.0, 9.0, "TOO FAR", "{XL}"),
        {"sid": "POD1_S4", "begin_time": 1.0},
    ]
    path = "audio/podcast/P0000/POD1.opus"
    audio = {"aid": "POD1", "path": path, "subsets": ["{XL}"], "segments": segments}
    listing = json.dumps({"dataset": "GigaSpeech", "audios": [audio]})
    write(tmp_path / "GigaSpeech.json", listing)
    record(tmp_path / "audio/podcast/P0000/POD1.ogg", 3.0).rename(tmp_path / path)

    reading = read("gigaspeech", tmp_path)
    first, second = reading.clips
    assert (first.start_s, first.duration_s) == (0.5, 1.5)
    assert first.facts["text"] == "AS IT IS, SAY."
    assert (first.facts["set"], first.facts["split"]) == ("gigaspeech_m", "train")
    assert second.facts["text"] == "WHO?"
    assert (second.facts["set"], second.facts["split"]) == ("gigaspeech_test", "test")
    assert reading.reasons == {
        "no speech, says its annotation": 1,
        "the recording ends before the clip does": 1,
        "its line lacks a text, a time or a path": 1,
    }


CLIP = "common_voice_en_{}.mp3"


@pytest.mark.parametrize("is_split", [False, True])
def test_covost2(tmp_path, is_split):
    if is_split:
        head, name = "path\tsentence\ttranslation\tclient_id", "en_zh-CN.test"
        lines = [
            f'{CLIP.format(1)}\tIt "rains.\t下雨了。\tab12',
            f"{CLIP.format(2)}\tGone.\t走了。\tab12",
        ]
    else:
        head, name = "path\ttranslation\tsplit", "en_zh-CN"
        lines = [
            f"{CLIP.format(1)}\t下雨了。\ttest",
            f"{CLIP.format(2)}\t走了。\ttest",
            f"{CLIP.format(3)}\t无。\ttest",
            f"{CLIP.format(1)}\t\ttest",
        ]
        write(
            tmp_path / "validated.tsv",
            "client_id\tpath\tsentence\tup_votes",
            f'ab12\t{CLIP.format(1)}\tIt "rains.\t2',
            f"ab12\t{CLIP.format(2)}\tGone.\t2",
        )
    write(tmp_path / f"covost_v2.{name}.tsv", head, *lines)
    german = f"{CLIP.format(1)}\tIt rains.\tEs regnet.\tab12"
    head = "path\tsentence\ttranslation\tclient_id"
    write(tmp_path / "covost_v2.en_de.test.tsv", head, german)
    record(tmp_path / "clips" / CLIP.format(1), rate=48_000)

    reading = read("covost2", tmp_path)
    (clip,) = reading.clips
    assert clip.facts["translation_zh"] == ["下雨了。"]
    assert clip.facts["translation_de"] == ["Es regnet."]
    assert clip.facts["speaker"] == "ab12"
    assert (clip.facts["set"], clip.facts["split"]) == ("covost2_test", "test")
    assert (clip.facts["lang"], "rains" in clip.facts["text"]) == ("en", True)
    expected = {"the recording is missing": 1}
    if not is_split:
        expected["its sentence is unknown; validated.tsv has it"] = 1
        expected["its line lacks a path or a translation"] = 1
    assert reading.reasons == expected


def test_iemocap(tmp_path):
    for number in (1, 5):
        session = tmp_path / f"Session{number}"
        turn = f"Ses0{number}F_impro01"
        write(
            session / f"dialog/EmoEvaluation/{turn}.txt",
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]",
            "",
            f"[6.2901 - 8.2357]\t{turn}_F000\texc\t[2.5000, 2.5000, 2.5000]",
            "C-E2:\tNeutral;\t()",
            f"[10.0100 - 11.3925]\t{turn}_M000\tfru\t[2.5000, 2.5000, 2.5000]",
            f"[12.0100 - 13.3925]\t{turn}_M001\tang\t[2.5000, 2.5000, 2.5000]",
        )
        write(
            session / f"dialog/transcriptions/{turn}.txt",
            f"{turn}_F000 [006.2901-008.2357]: Excuse me.",
            "M: No, no.",
        )
        record(session / f"sentences/wav/{turn}/{turn}_F000.wav", 2.0)

    reading = read("iemocap", tmp_path)
    first, second = reading.clips
    assert first.facts == {
        "set": "iemocap",
        "split": "train",
        "label": "happy",
        "task": "emotion,gender",
        "speaker": "iemocap-1f",
        "gender": "f",
        "lang": "en",
        "text": "Excuse me.",
    }
    assert second.facts["split"] == "test"
    assert reading.reasons == {
        "its emotion 'fru' is none of the four classes": 2,
        "the recording is missing": 2,
    }


def test_librimix(tmp_path):
    for name, text in (("1-2-0000", "ONE TWO"), ("3-4-0000", "THREE FOUR")):
        chapter = "/".join(name.split("-")[:2])
        listing = f"LibriSpeech/test-clean/{chapter}/{name.rsplit('-', 1)[0]}.trans.txt"
        write(tmp_path / listing, f"{name} {text}")
    mixtures = tmp_path / "Libri2Mix/wav16k/max/test/mix_clean"
    record(mixtures / "1-2-0000_3-4-0000.wav", 2.0)
    record(mixtures / "1-2-0000_5-6-0000.wav")
    (tmp_path / "Libri2Mix/wav16k/max/dev/s1").mkdir(parents=True)

    reading = read("librimix", tmp_path)
    (clip,) = reading.clips
    assert clip.facts == {
        "set": "librimix_test",
        "split": "test",
        "texts": ["ONE TWO", "THREE FOUR"],
        "speakers": ["ls-1", "ls-3"],
        "lang": "en",
    }
    assert reading.reasons == {
        "LibriSpeech has no text for its utterances": 1,
        "a part without mixtures": 1,
    }


def test_voxceleb1(tmp_path):
    write(
        tmp_path / "vox1_meta.csv",
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet",
        "id10001\tA.J._Buckley\tm\tIreland\tdev",
        "id10270\tEartha_Kitt\tf\tUSA\ttest",
    )
    record(tmp_path / "wav/id10001/1zcIwhmdeo4/00001.wav")
    record(tmp_path / "wav/id10270/x6uYqmx31kE/00001.wav", 1.5)
    record(tmp_path / "wav/id10270/8jEAjG6SegY/00008.wav", 2.0)
    record(tmp_path / "wav/id19999/x/00001.wav")
    write(
        tmp_path / "veri_test2.txt",
        "1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav",
        "0 id10270/x6uYqmx31kE/00001.wav id10001/none/00001.wav",
        "1 id10270/x6uYqmx31kE/00001.wav",
    )

    reading = read("voxceleb1", tmp_path)
    *utterances, pair = reading.clips
    assert [c.facts["split"] for c in utterances] == ["train", "test", "test"]
    assert utterances[0].facts["gender"] == "m"
    assert pair.facts["same_speaker"] is True
    assert pair.expand == (tmp_path / "wav/id10270/8jEAjG6SegY/00008.wav",)
    assert pair.duration_s == pytest.approx(1.5 + 0.1 + 2.0)
    assert reading.reasons == {
        "its speaker is not in vox1_meta.csv": 1,
        "the recording is missing": 1,
        "a pair that is not `0|1 FILE FILE`": 1,
    }


@pytest.mark.parametrize("name", READERS)
def test_a_folder_of_something_else_is_told(name, tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(ManifestError, match=str(tmp_path)):
        read(name, tmp_path)
