import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine import ctranslate2
from engine.errors import WeightsError
from tests.engine.tiny_whisper import container_bytes

NAMES = st.text("abcdefghij/_0123456789", min_size=1, max_size=20)
VALUES = st.sampled_from(sorted(ctranslate2.DTYPES.values(), key=str)).flatmap(
    lambda dtype: arrays.arrays(
        dtype,
        arrays.array_shapes(min_dims=0, max_dims=3, max_side=4),
        elements={"allow_nan": False} if dtype.kind == "f" else None,
    )
)
VARIABLES = {
    "encoder/weight": np.arange(6, dtype=np.float16).reshape(2, 3),
    "heads": np.int16(8),
}


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "model.bin"
        path.write_bytes(content)
        return ctranslate2.read(path)

    return read


@given(
    variables=st.dictionaries(NAMES, VALUES, max_size=5),
    aliases=st.dictionaries(NAMES, NAMES, max_size=3),
)
def test_what_was_written_is_read_back(tmp_path_factory, variables, aliases):
    path = tmp_path_factory.mktemp("container") / "model.bin"
    path.write_bytes(container_bytes(variables, aliases))
    container = ctranslate2.read(path)
    assert (container.specification, container.revision) == ("WhisperSpec", 3)
    assert container.aliases == aliases
    assert list(container.variables) == list(variables)
    for name, array in variables.items():
        found = container.variables[name]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("cut", range(1, len(container_bytes(VARIABLES, {"a": "b"}))))
def test_a_file_cut_short_anywhere_is_refused(read, cut):
    with pytest.raises(WeightsError, match=r"ends at byte \d+, inside .+; expected"):
        read(container_bytes(VARIABLES, {"a": "b"})[:-cut])


def test_a_cut_weight_is_named(read):
    content = container_bytes(VARIABLES, {})
    with pytest.raises(WeightsError, match="inside encoder/weight; expected 3 bytes"):
        read(content[: content.index(struct.pack("<6e", *range(6))) + 9])


def test_bytes_after_the_end_are_refused(read):
    with pytest.raises(WeightsError, match="has 3 bytes after its last alias"):
        read(container_bytes(VARIABLES, {}) + b"???")


def test_another_version_of_the_format_is_refused(read):
    with pytest.raises(WeightsError, match="has CTranslate2's format 5; expected"):
        read(container_bytes(VARIABLES, {}, version=5))


def test_bfloat16_is_refused_by_the_name_of_the_weight(read):
    content = container_bytes(VARIABLES, {})
    float16 = struct.pack("<BI", 4, 12)
    with pytest.raises(WeightsError, match="encoder/weight has data type 5; expected"):
        read(content.replace(float16, struct.pack("<BI", 5, 12)))


def test_a_size_that_does_not_fit_the_shape_is_refused(read):
    content = container_bytes(VARIABLES, {})
    size = struct.pack("<BI", 4, 12)
    with pytest.raises(
        WeightsError, match=r"has 11 bytes; its shape \(2, 3\) needs 12"
    ):
        read(content.replace(size, struct.pack("<BI", 4, 11)))


def test_a_name_without_its_closing_zero_is_refused(read):
    with pytest.raises(WeightsError, match="expected ASCII text that a zero ends"):
        read(container_bytes(VARIABLES, {}).replace(b"heads\0", b"heads!"))
